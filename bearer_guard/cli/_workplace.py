"""What a command works on: a store, its keys, and the file that keys are kept in."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from bearer_guard.errors import ConfigurationError, KeyringError, StoreUnavailable
from bearer_guard.keyring import ENV_FILE, ENV_KEYS, Keyring
from bearer_guard.store import open_store

from ._logins import account_store, logins_of
from ._terminal import note

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from bearer_guard.issuing import Issuer, Principal
    from bearer_guard.issuing.accounts import Accounts
    from bearer_guard.issuing.logins import LogIns
    from bearer_guard.store import Store

__all__ = [
    "NoDatabase",
    "Place",
    "Workplace",
    "beside",
    "database_of",
    "is_exposed",
    "is_missing",
    "made_by_the_way",
    "make_keys_file",
    "operator",
    "rotate_keys_file",
    "unmade",
]

_KEYS_NAME: Final = "bearer-guard.keys"
_HEAD: Final = "# Keys of bearer-guard, newest first. Whoever has them can make tokens.\n"
_MODE: Final = 0o600


class NoDatabase(StoreUnavailable):
    """The store is a file, and there is none: to open it would be to make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which store, and whose keys.

    Attributes:
        store_url: May hold a password.
        keys_file: Where the keys are, or are to be made.
        keys_text: The keys themselves, from the environment; they count more than the file.
        logins: Ways to log in, ``[logins]`` of the file.
    """

    store_url: str = field(repr=False)
    keys_file: Path
    keys_text: str | None = field(repr=False, default=None)
    logins: Mapping[str, Any] = field(default_factory=dict)

    def keyring(self) -> Keyring:
        """The keys.

        Raises:
            KeyringError: There are none.
        """
        if self.keys_text:
            return Keyring.from_text(self.keys_text, source=ENV_KEYS)
        if is_missing(self.keys_file.parent):
            raise KeyringError(f"no keys: there is no folder {self.keys_file.parent}")
        if is_missing(self.keys_file):
            msg = (
                f"no keys: there is no file {self.keys_file}; `bearer-guard init` makes it, or set"
                f" {ENV_KEYS} or {ENV_FILE}"
            )
            raise KeyringError(msg)
        return Keyring.from_file(self.keys_file)

    def check(self) -> Keyring:
        """The keys, where the store is there: before anybody types a password for nothing.

        Raises:
            NoDatabase: A mistyped name, or nobody has made it yet.
            KeyringError: There are no keys.
            ConfigurationError: The store's URL is none.
        """
        self.check_database()
        return self.keyring()

    def check_database(self) -> None:
        """Make sure that the store is there, if it is a file; raises as above."""
        if (database := unmade(self.store_url)) is not None:
            open_store(self.store_url)  # what is wrong with the URL itself is better known there
            raise NoDatabase(f"there is no database {database}")

    @asynccontextmanager
    async def open(self, *, new: bool = False) -> AsyncIterator[Workplace]:
        """The store, opened, with the keys that it was made with.

        Args:
            new: It may be made, and then that is said: the name may be mistyped.

        Raises:
            NoDatabase: It would have to be made.
            KeyringError: No keys, or others.
            StoreUnavailable: The store does not answer.
            ConfigurationError: The store can't work as it is set up.
        """
        keyring = self.keyring() if new else self.check()
        store = open_store(self.store_url)
        with made_by_the_way(self.store_url):
            await store.open()
        try:
            keyring.check(await store.remember_keys(keyring.ids))
            yield Workplace(store, keyring, self.logins)
        finally:
            await store.close()

    async def visit(self) -> None:
        """Find out what is wrong with the store while somebody is looking; raises as ``open``."""
        async with self.open(new=True):
            pass


@dataclass(frozen=True, slots=True)
class Workplace:
    """An open store, and who works on it."""

    store: Store
    keyring: Keyring
    logins: Mapping[str, Any]

    # What is done here is told to no audit: these processes have no log.

    def issuer(self) -> Issuer:
        """Makes, lists and ends tokens."""
        from bearer_guard.issuing import Issuer  # noqa: PLC0415 - not for --help

        return Issuer(self.store, self.keyring, listeners=())

    def accounts(self) -> Accounts:
        """Makes and changes native accounts.

        Raises:
            ConfigurationError: The store keeps none.
        """
        from bearer_guard.issuing.accounts import Accounts  # noqa: PLC0415 - it loads Argon2

        return Accounts(account_store(self.store), listeners=())

    def log_ins(self) -> LogIns:
        """The ways to log in."""
        return logins_of(self.store, self.logins).by_password


def operator() -> Principal:
    """Who works on the command line: whoever has the store and its keys may do everything.

    But for one thing: make a token. No account can have this name, as a colon can be in none.
    """
    from bearer_guard.issuing import Principal  # noqa: PLC0415 - not for --help

    return Principal("cli:operator", admin=True, proven_by="keys")


def beside(store_url: str) -> Path:
    """Where the key file of a store is by default: beside the database, or here."""
    database = database_of(store_url)
    return (database.parent if database else Path()) / _KEYS_NAME


def database_of(store_url: str) -> Path | None:
    """The file that a store is; ``None``: it is on a server, or in memory."""
    try:
        parts = urlsplit(store_url)
    except ValueError:  # the store says what is wrong
        return None
    return Path(unquote(parts.path)[1:]) if parts.scheme == "sqlite" else None


@contextmanager
def made_by_the_way(store_url: str) -> Iterator[None]:
    """Tell if a store is made within, that was not there before: its name may be mistyped."""
    database = unmade(store_url)
    yield
    if database is not None:
        note(f"Made a new database, {database}")


def unmade(store_url: str) -> Path | None:
    """The file that a store would be, if it were made; ``None``: it is no file, or is there."""
    database = database_of(store_url)
    return database if database is not None and is_missing(database) else None


def is_missing(path: Path) -> bool:
    """Whether nothing is there, as far as can be seen: what can't be looked at may be there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def make_keys_file(path: Path) -> bool:
    """A key file with a new key, for its owner's eyes only; ``False``: there is one already.

    Raises:
        ConfigurationError: It can't be written.
    """
    try:
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODE)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}") from error
    with os.fdopen(number, "w") as file:
        _write(file.fileno(), _HEAD + Keyring.new_key() + "\n")
    return True


def rotate_keys_file(path: Path) -> Keyring:
    """Put a new key before the others; returns all of them.

    The file is replaced as a whole, by one of the same owner with mode 0600: whoever reads it
    meanwhile sees the old one or the new one.

    Raises:
        KeyringError: It holds no keys.
        ConfigurationError: It can't be written.
    """
    Keyring.from_file(path)  # a file that is none is left alone
    target = path.resolve()
    try:
        old = target.stat()
        number, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            _write(number, _with_new_key(target.read_text("utf-8")))
            os.fchown(number, old.st_uid, old.st_gid)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink()
            raise
        finally:
            os.close(number)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be replaced: {error.strerror}") from error
    return Keyring.from_file(path)


def _with_new_key(text: str) -> str:
    """A key file's text with a new key before the others, below what it begins with."""
    lines = text.splitlines(keepends=True)
    is_key = [bool(line.partition("#")[0].strip()) for line in lines]
    lines.insert(is_key.index(True), f"{Keyring.new_key()}\n")
    return "".join(lines)


def is_exposed(path: Path) -> bool:
    """Whether others than its owner can read a file."""
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _write(number: int, text: str) -> None:
    """Write to a file, and wait until the disk has it."""
    os.write(number, text.encode())
    os.fsync(number)
