"""Passwords of native accounts: Argon2id (RFC 9106), off the event loop, two at a time.

A password is compared in Unicode's form NFC (RFC 8265 section 4.2.2), as keyboards differ in how
they spell an umlaut; its length is counted in that form. There are no composition rules (NIST SP
800-63B section 3.1.1.2). Control characters are refused, as Basic can't carry them (RFC 7617
section 2).

A derivation takes 64 MiB and about 0.2 seconds of a core. All objects of a process share one pool
of two threads; who waits for one and goes away leaves the queue. One lane only: the work is bounded
by memory, and a thread for each lane would be out of the pool's hands.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from unicodedata import category, normalize

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from bearer_guard.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_BYTES", "MIN_CHARACTERS", "Checked", "Passwords"]

MIN_CHARACTERS: Final = 12
MAX_BYTES: Final = 1024  # of UTF-8
_THREADS: Final = 2
# Of the stored hash, should somebody write one that would take all memory: 1 GiB, 64 passes.
_MOST_KIB: Final = 1 << 20
_MOST_PASSES: Final = 64

_T = TypeVar("_T")
# Threads start with the first password; they are shared, or two log-ins could be four derivations.
_POOL: Final = ThreadPoolExecutor(_THREADS, "bearer-guard-argon2")


class Checked(NamedTuple):
    """What came of a password.

    Attributes:
        right: Whether it is the one.
        outdated: Its hash was made with other parameters than these: hash it again.
    """

    right: bool
    outdated: bool = False


class Passwords:
    """Hashes passwords, and checks them.

    Args:
        passes: How often the memory is gone over.
        memory_kib: How much memory, in kibibytes. The defaults are RFC 9106 section 4, second
            choice, but for the lanes.
    """

    def __init__(self, *, passes: int = 3, memory_kib: int = 65_536) -> None:
        self._hasher: Final = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=1
        )
        self._nobodys: Final = _random_hash(passes, memory_kib)

    async def hash(self, password: str) -> str:
        """The hash to keep of a new password, in PHC form.

        Raises:
            InvalidRequest: Too short, too long, or not text that Basic could carry.
        """
        secret = check_new(password)
        return await _off_the_loop(lambda: self._hasher.hash(secret))

    async def check(self, password_hash: str | None, password: str) -> Checked:
        """Whether this is the password. It takes as long where there is none to compare with.

        Args:
            password_hash: In PHC form; ``None``: there is no such account, or it has no password.
            password: As it was given.
        """
        secret = _bytes(password)
        if password_hash is None or secret is None or not _sound(password_hash):
            await _off_the_loop(lambda: self._verify(self._nobodys, secret or b""))
            return Checked(right=False)
        right = await _off_the_loop(lambda: self._verify(password_hash, secret))
        return Checked(right, right and self._hasher.check_needs_rehash(password_hash))

    def _verify(self, password_hash: str, secret: bytes) -> bool:
        try:
            return self._hasher.verify(password_hash, secret)
        except VerificationError:
            return False


def check_new(password: str) -> bytes:
    """The bytes of a password that may be set.

    Raises:
        InvalidRequest: It may not; the message says why, and never what it was.
    """
    if not isinstance(password, str):
        raise InvalidRequest("a password must be text")
    if {category(char) for char in password} & {"Cc", "Cs"}:
        raise InvalidRequest("a password has no control characters")
    normal = normalize("NFC", password)
    if len(normal) < MIN_CHARACTERS:
        raise InvalidRequest(f"a password has at least {MIN_CHARACTERS} characters")
    secret = normal.encode()
    if len(secret) > MAX_BYTES:
        raise InvalidRequest(f"a password has at most {MAX_BYTES} bytes of UTF-8")
    return secret


def _bytes(password: str) -> bytes | None:
    """What is compared; ``None``: no password could be this."""
    if len(password) > MAX_BYTES:  # bytes are never fewer: a megabyte is not normalised
        return None
    try:
        secret = normalize("NFC", password).encode()
    except UnicodeEncodeError:
        return None
    return secret if len(secret) <= MAX_BYTES else None


def _sound(password_hash: str) -> bool:
    """Whether this is a hash of Argon2 that may be computed."""
    try:
        found = extract_parameters(password_hash)
    except InvalidHashError:
        return False
    return found.memory_cost <= _MOST_KIB and found.time_cost <= _MOST_PASSES


def _random_hash(passes: int, memory_kib: int) -> str:
    """A hash that is nobody's and costs as much to check, without a derivation to make it."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode() for length in (16, 32)
    )
    return f"$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${digest}"


async def _off_the_loop(work: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(_POOL, work)
