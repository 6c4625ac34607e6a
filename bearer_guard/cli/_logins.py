"""The ways to log in that the file asks for: ``[logins.NAME]``.

Native passwords are always there, unless ``[logins.password]`` says ``enabled = false``. They come
first: whom they know, nobody else is asked about. Identity providers are for the page alone.
"""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bearer_guard.errors import ConfigurationError
from bearer_guard.store import AccountStore, NoteStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bearer_guard.endpoints.page import PageOptions
    from bearer_guard.events import Listener
    from bearer_guard.issuing.logins import Directory, LogIns, Method
    from bearer_guard.issuing.logins.ldap import LdapLogin
    from bearer_guard.store import Store

__all__ = [
    "Logins",
    "account_store",
    "check_logins",
    "directory_of",
    "logins_of",
    "note_store",
    "page_options",
]

# Each is a module of `issuing.logins`, which loads an extra's packages, and has these settings.
_CONFIGS: Final = {"ldap": "LdapConfig", "saml": "SamlConfig", "oidc": "OidcConfig"}


class Logins(NamedTuple):
    """How people prove who they are, and who knows what they may do.

    Attributes:
        by_password: All that go by a name and a password.
        directories: Who knows what somebody may do, in the order in which they are asked.
        people: Those of them that can look somebody up who isn't there, by the log-in's word.
    """

    by_password: LogIns
    directories: Sequence[Directory]
    people: Mapping[str, Directory]


def check_logins(table: object) -> None:
    """Make sure that every key of ``[logins]`` means something. Values are checked when used.

    Raises:
        ConfigurationError: One does not. The message names it.
    """
    if not isinstance(table, dict):
        raise ConfigurationError("logins must be a table")
    for name, settings in table.items():
        if name not in {"password", *_CONFIGS} or not isinstance(settings, dict):
            raise ConfigurationError(f"unknown key logins.{name}")
        for key in settings:
            if key not in _keys_of(name):
                raise ConfigurationError(f"unknown key logins.{name}.{key}")
    if not isinstance(table.get("password", {}).get("enabled", True), bool):
        raise ConfigurationError("logins.password.enabled must be true or false")


def logins_of(
    store: Store, table: Mapping[str, Any], *, listeners: Sequence[Listener] = ()
) -> Logins:
    """The log-ins of a store's people.

    Args:
        store: Where native accounts are.
        table: ``[logins]`` of the file, checked.
        listeners: Who is told of each log-in.

    Raises:
        ConfigurationError: A setting that can't work, a package that is missing, or the store
            keeps no accounts.
    """
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
    people: dict[str, Directory] = {}
    if "ldap" in table:
        ldap = directory_of(store, table["ldap"])
        methods.append(ldap)  # after native accounts for who somebody is
        directories.insert(0, ldap)  # before them for what they may do: it knows what they add
        if ldap.looks_up:
            people[ldap.name] = ldap
    log_ins = LogIns(methods, listeners=listeners)
    return Logins(log_ins, directories, people)


def page_options(store: Store, table: Mapping[str, Any], logins: Logins) -> PageOptions:
    """How people log in to the page.

    Args:
        store: Where native accounts are.
        table: ``[logins]`` of the file, checked.
        logins: Made of it.

    Raises:
        ConfigurationError: A setting that can't work, or a package that is missing.
    """
    options: PageOptions = {
        "log_ins": logins.by_password,
        "by_password": table.get("password", {}).get("enabled", True) or "ldap" in table,
        "people": logins.people,
    }
    notes, accounts = note_store(store), account_store(store)
    if "saml" in table:
        from bearer_guard.issuing.logins.saml import (  # noqa: PLC0415 - an extra's
            SamlConfig,
            SamlLogin,
        )

        saml = SamlConfig.from_table(table["saml"])
        options["saml"] = SamlLogin(saml, notes, accounts=accounts)
    if "oidc" in table:
        from bearer_guard.issuing.logins.oidc import (  # noqa: PLC0415 - an extra's
            OidcConfig,
            OidcLogin,
        )

        oidc = OidcConfig.from_table(table["oidc"])
        options["oidc"] = OidcLogin(oidc, notes, accounts=accounts)
    return options


def account_store(store: Store) -> AccountStore:
    """The store, as one of accounts.

    Raises:
        ConfigurationError: It keeps none.
    """
    if not isinstance(store, AccountStore):
        raise ConfigurationError("this store keeps no accounts: name another with --store")
    return store


def note_store(store: Store) -> NoteStore:
    """The store, as one of notes.

    Raises:
        ConfigurationError: It keeps none.
    """
    if not isinstance(store, NoteStore):
        raise ConfigurationError("this store keeps no notes: name another with --store")
    return store


def directory_of(store: Store, table: Mapping[str, object]) -> LdapLogin:
    """The directory that ``[logins.ldap]`` tells of.

    Raises:
        ConfigurationError: A setting that can't work, or a package that is missing.
    """
    from bearer_guard.issuing.logins.ldap import LdapConfig, LdapLogin  # noqa: PLC0415 - an extra's

    return LdapLogin(
        LdapConfig.from_table(table),
        accounts=account_store(store),
        notes=store if isinstance(store, NoteStore) else None,
    )


def _keys_of(name: str) -> set[str]:
    if name == "password":
        return {"enabled"}
    try:
        module = importlib.import_module(f"bearer_guard.issuing.logins.{name}")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"[logins.{name}] needs a package more: pip install 'bearer-guard[{name}]'"
        ) from error
    return {field.name for field in fields(getattr(module, _CONFIGS[name])) if field.init}
