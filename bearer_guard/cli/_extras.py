"""Which packages lack for what is to be served: all at once, before anything is begun."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from bearer_guard.errors import ConfigurationError
from bearer_guard.store import extra_of

__all__ = ["check_extras"]

# By what they are imported; the extras of pyproject.toml have more, which can be done without.
_MODULES: Final[dict[str, tuple[str, ...]]] = {
    "server": ("uvicorn",),
    "page": ("jinja2", "python_multipart"),
    "metrics": ("prometheus_client",),
    "redis": ("redis",),
    "postgresql": ("sqlalchemy", "asyncpg", "alembic"),
    "mysql": ("sqlalchemy", "asyncmy", "alembic"),
}


def check_extras(store_url: str, *wanted: str) -> None:
    """Make sure that these extras are installed, and what the store needs.

    Raises:
        ConfigurationError: Some are not. The message names them all.
    """
    extras = (*wanted, extra_of(store_url.partition(":")[0]))
    lacking = [extra for extra in extras if None in map(find_spec, _MODULES.get(extra, ()))]
    if lacking:
        raise ConfigurationError(
            f"packages are missing: pip install 'bearer-guard[{','.join(lacking)}]'"
        )
