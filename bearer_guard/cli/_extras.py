"""Which packages lack for what is to be served: all at once, before anything is begun."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from bearer_guard.errors import ConfigurationError

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
_OF_SCHEME: Final = {"postgres": "postgresql", "mariadb": "mysql", "rediss": "redis"}


def check_extras(store_url: str, *wanted: str) -> None:
    """Make sure that these extras are installed, and what the store needs.

    Raises:
        ConfigurationError: Some are not. The message names them all.
    """
    scheme = store_url.partition(":")[0]
    extras = (*wanted, _OF_SCHEME.get(scheme, scheme))
    lacking = [extra for extra in extras if None in map(find_spec, _MODULES.get(extra, ()))]
    if lacking:
        raise ConfigurationError(
            f"packages are missing: pip install 'bearer-guard[{','.join(lacking)}]'"
        )
