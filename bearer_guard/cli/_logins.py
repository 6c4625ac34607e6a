"""The ways to log in that the file asks for: ``[logins.NAME]``.

Native passwords are always there, unless ``[logins.password]`` says ``enabled = false``. They come
first: whom they know, nobody else is asked about.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from bearer_guard.errors import ConfigurationError
from bearer_guard.store import AccountStore, NoteStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bearer_guard.issuing.logins import Directory, LogIns, Method
    from bearer_guard.store import Store

__all__ = ["Logins", "account_store", "check_logins", "logins_of"]


class Logins(NamedTuple):
    """How people prove who they are, and who knows what they may do."""

    by_password: LogIns
    directories: Sequence[Directory]


def check_logins(table: object) -> None:
    """Make sure that every key of ``[logins]`` means something. Values are checked when used.

    Raises:
        ConfigurationError: One does not. The message names it.
    """
    if not isinstance(table, dict):
        raise ConfigurationError("logins must be a table")
    for name, settings in table.items():
        if name not in {"password", "ldap"} or not isinstance(settings, dict):
            raise ConfigurationError(f"unknown key logins.{name}")
        for key in settings:
            if key not in _keys_of(name):
                raise ConfigurationError(f"unknown key logins.{name}.{key}")
    if not isinstance(table.get("password", {}).get("enabled", True), bool):
        raise ConfigurationError("logins.password.enabled must be true or false")


def logins_of(store: Store, table: Mapping[str, Any], *, audited: bool = True) -> Logins:
    """The log-ins of a store's people.

    Args:
        store: Where native accounts are.
        table: ``[logins]`` of the file, checked.
        audited: Whether each log-in is told to the audit log.

    Raises:
        ConfigurationError: A setting that can't work, a package that is missing, or the store
            keeps no accounts.
    """
    from bearer_guard.events import log_event  # noqa: PLC0415 - with the next two
    from bearer_guard.issuing.logins import LogIns  # noqa: PLC0415 - not for --help
    from bearer_guard.issuing.logins.password import (  # noqa: PLC0415 - it loads Argon2
        AccountDirectory,
        PasswordLogin,
    )

    accounts = account_store(store)
    methods: list[Method] = []
    directories: list[Directory] = [AccountDirectory(accounts)]
    if table.get("password", {}).get("enabled", True):
        methods.append(PasswordLogin(accounts))
    if "ldap" in table:
        _add_ldap(table["ldap"], store, methods, directories)
    return Logins(LogIns(methods, listeners=(log_event,) if audited else ()), directories)


def account_store(store: Store) -> AccountStore:
    """The store, as one of accounts.

    Raises:
        ConfigurationError: It keeps none.
    """
    if not isinstance(store, AccountStore):
        raise ConfigurationError("this store keeps no accounts: name another with --store")
    return store


def _add_ldap(
    table: Mapping[str, object],
    store: Store,
    methods: list[Method],
    directories: list[Directory],
) -> None:
    """A directory: asked after native accounts who somebody is, before them what they may do.

    What an account without a password adds, it knows itself.
    """
    from bearer_guard.issuing.logins.ldap import LdapConfig, LdapLogin  # noqa: PLC0415 - an extra's

    ldap = LdapLogin(
        LdapConfig.from_table(table),
        accounts=account_store(store),
        notes=store if isinstance(store, NoteStore) else None,
    )
    methods.append(ldap)
    directories.insert(0, ldap)


def _keys_of(name: str) -> set[str]:
    if name == "password":
        return {"enabled"}
    try:
        from bearer_guard.issuing.logins.ldap import LdapConfig  # noqa: PLC0415 - an extra's
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "[logins.ldap] needs a package more: pip install 'bearer-guard[ldap]'"
        ) from error
    return {field.name for field in fields(LdapConfig) if field.init}
