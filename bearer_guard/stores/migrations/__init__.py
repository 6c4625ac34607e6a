"""How the tables of SQL stores came about. Alembic runs this, driven by ``_sql_schema``."""
