"""Keys by purpose: what tags, digests and seals are made with.

Theory of operation. A keyring is a list of masters, newest first, 32 random bytes each: the first
signs, all verify. No master is ever used itself. HKDF-SHA-256 (RFC 5869) derives from each one a
subkey for each purpose, so that what is learnt of one purpose says nothing of another:

* *tag*: ten characters in the token, so that a forgery is thrown away without a store call. Keyed
  BLAKE2s (RFC 7693 section 2.9), at half the price of HMAC: a flood of forgeries is paid with it.
* *digest*: HMAC-SHA-256 of the whole token, which is all that a store keeps of it. A token has 192
  random bits: there is nothing to guess, so that a slow hash would cost the users time and an
  attacker nothing.
* *seal*: HMAC-SHA-256 over every field that is fixed at creation, so that a record which was
  altered, or made up, by someone who can write to the store but has no key is found out.

A master's *key id* is derived too. It is public: it stands in records and in the store, which
tells a wrong keyring at start-up.

It must never show a key: not in a repr, not in an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import KeyringError
from .token import TAG_ALPHABET, TAG_CHARS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from .record import TokenRecord
    from .token import TokenForm

__all__ = ["ENV_FILE", "ENV_KEYS", "Keyring"]

ENV_KEYS: Final = "BEARER_GUARD_KEYS"
ENV_FILE: Final = "BEARER_GUARD_KEYS_FILE"
MASTER_BYTES: Final = 32
_SEAL_VERSION: Final = b"\x01"
_UNSEALED: Final = b"\0" * 32  # stands for the seal while it is being made
_BLOCK: Final = 64  # of SHA-256, RFC 2104 section 2


class Keyring:
    """Master secrets, newest first: the first signs, all verify.

    Args:
        masters: 32 bytes each, newest first, at least one.

    Raises:
        KeyringError: There is none, one has another length, or two are the same.
    """

    __slots__ = ("_masters", "_tag_macs", "ids", "source")

    def __init__(self, masters: Sequence[bytes]) -> None:
        if not masters:
            msg = "a keyring needs at least one key; `bearer-guard keys new` prints one"
            raise KeyringError(msg)
        if any(len(master) != MASTER_BYTES for master in masters):
            msg = f"each key must be {MASTER_BYTES} bytes; `bearer-guard keys new` prints one"
            raise KeyringError(msg)
        if len(set(masters)) != len(masters):
            msg = "the keyring names the same key twice"
            raise KeyringError(msg)
        self._masters: Final = {_derive(m, "id", 8).hex(): _Subkeys(m) for m in masters}
        #: The public ids of the keys, newest first.
        self.ids: Final = tuple(self._masters)
        self._tag_macs: Final = tuple(keys.tag for keys in self._masters.values())
        #: Where the keys came from, for people: a variable or a file. Empty: nobody has said.
        self.source = ""

    def __reduce__(self) -> NoReturn:
        raise TypeError("a keyring can't be pickled: its keys would be in the file")

    def __repr__(self) -> str:
        return f"<Keyring {' '.join(self.ids)}>"

    @classmethod
    def generate(cls) -> Keyring:
        """A new keyring of one random key."""
        return cls([secrets.token_bytes(MASTER_BYTES)])

    @classmethod
    def from_text(cls, text: str, *, source: str = "") -> Keyring:
        """The keys in ``text``: base64url, newest first, between white space or commas.

        What follows a ``#`` on a line is a comment.

        Args:
            text: The keys.
            source: Where they came from, for errors to tell.

        Raises:
            KeyringError: No key, or something that is none.
        """
        bare = "\n".join(line.partition("#")[0] for line in text.splitlines())
        try:
            keyring = cls([_master_from_text(word) for word in re.split(r"[\s,]+", bare) if word])
        except KeyringError as error:
            raise KeyringError(f"{source}: {error}" if source else str(error)) from None
        keyring.source = source
        return keyring

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Keyring:
        """The keys in a file, in the form of ``from_text``.

        Raises:
            KeyringError: It can't be read, or holds no keys.
        """
        try:
            # What is no UTF-8 is no key either; an error that says so would hold all the others.
            text = Path(path).read_text("utf-8", "replace")
        except OSError as error:
            msg = f"the key file {os.fspath(path)} can't be read: {error.strerror}"
            raise KeyringError(msg) from error
        return cls.from_text(text, source=f"the key file {os.fspath(path)}")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Keyring:
        """The keys of ``BEARER_GUARD_KEYS``, else of the file ``BEARER_GUARD_KEYS_FILE`` names.

        Raises:
            KeyringError: Neither is set, or what it holds are no keys.
        """
        environ = os.environ if environ is None else environ
        if text := environ.get(ENV_KEYS):
            return cls.from_text(text, source=ENV_KEYS)
        if path := environ.get(ENV_FILE):
            return cls.from_file(path)
        msg = f"no keys: set {ENV_KEYS}, or {ENV_FILE} to a file; `bearer-guard init` makes one"
        raise KeyringError(msg)

    @staticmethod
    def new_key() -> str:
        """A new random key in text form, to stand in a key file or in the environment."""
        return base64.urlsafe_b64encode(secrets.token_bytes(MASTER_BYTES)).rstrip(b"=").decode()

    def tag(self, tagged: bytes) -> bytes:
        """The ten characters that vouch for ``tagged``, under the newest key."""
        return self._tag_macs[0](tagged)

    def vouches(self, tagged: bytes, tag: bytes) -> bool:
        """Whether one of the keys made this tag."""
        for mac in self._tag_macs:  # noqa: SIM110 - a generator would cost as much as the MAC
            if hmac.compare_digest(mac(tagged), tag):
                return True
        return False

    def forgery_test(self, form: TokenForm, scheme: bytes) -> Callable[[bytes], bool]:
        """A quick test whether a text is ``scheme``, and a token that none of the keys tagged.

        It errs on the side of no: whatever has another outline is left to those who look closer.
        A function of its own, all names bound: a flood of forgeries is paid for with this.
        """
        head = scheme + form.head
        length, begin, head_end = len(scheme) + form.length, len(scheme), len(head)
        tag_at, crc_at = begin + form.tag_at, begin + form.crc_at
        macs, same = self._tag_macs, hmac.compare_digest

        def forged(text: bytes) -> bool:
            if len(text) != length or text[:head_end] != head:
                return False
            tagged, tag = text[begin:tag_at], text[tag_at:crc_at]
            for mac in macs:  # noqa: SIM110 - as in ``vouches``
                if same(mac(tagged), tag):
                    return False
            return True

        return forged

    def seal(self, record: TokenRecord, token: bytes) -> TokenRecord:
        """``record`` with the digest of its token and the seal, under the newest key.

        Args:
            record: Its ``digest``, ``seal`` and ``key_id`` are disregarded.
            token: The whole text.
        """
        key_id, keys = next(iter(self._masters.items()))
        digested = replace(record, digest=keys.digest(token), key_id=key_id, seal=_UNSEALED)
        return replace(digested, seal=keys.seal(sealed_bytes(digested)))

    def sealed(self, record: TokenRecord) -> bool:
        """Whether one of the keys sealed the record just as it stands."""
        keys = self._masters.get(record.key_id)
        return keys is not None and hmac.compare_digest(
            keys.seal(sealed_bytes(record)), record.seal
        )

    def matches(self, key_id: str, digest: bytes, token: bytes) -> bool:
        """Whether ``digest`` is that of this token under the key ``key_id``."""
        keys = self._masters.get(key_id)
        return keys is not None and hmac.compare_digest(keys.digest(token), digest)

    def subkeys(self, purpose: str) -> list[bytes]:
        """32 bytes from each key for a purpose of the caller's, newest first.

        Args:
            purpose: A word that says what for, such as ``session``.
        """
        return [keys.derive(purpose) for keys in self._masters.values()]

    def check(self, known: Collection[str]) -> None:
        """Make sure that a store which knows the keys ``known`` was made with one of these.

        Raises:
            KeyringError: It was made with others.
        """
        if known and not set(known) & set(self.ids):
            ours = f"{self.source or 'the keyring'} has {', '.join(self.ids)}"
            msg = (
                f"these are not the keys of this store: it was made with {', '.join(sorted(known))}"
                f", {ours}; give the right keys, or a new store"
            )
            raise KeyringError(msg)


class _Subkeys:
    """What one master is good for. Holds the only references to its subkeys."""

    __slots__ = ("_master", "digest", "seal", "tag")

    def __init__(self, master: bytes) -> None:
        self._master = master
        self.tag = _tagger(_derive(master, "tag"))
        self.digest = _hmac_sha256(_derive(master, "digest"))
        self.seal = _hmac_sha256(_derive(master, "seal"))

    def derive(self, purpose: str) -> bytes:
        return _derive(self._master, f"use {purpose}")


def _derive(master: bytes, purpose: str, length: int = 32) -> bytes:
    info = b"bearer-guard 1 " + purpose.encode()
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(master)


def _tagger(key: bytes) -> Callable[[bytes], bytes]:
    keyed = hashlib.blake2s(key=key, digest_size=TAG_CHARS)

    def tag(message: bytes) -> bytes:
        state = keyed.copy()
        state.update(message)
        return state.digest().translate(TAG_ALPHABET)

    return tag


def _hmac_sha256(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA-256 under a fixed key (RFC 2104), at under half the price of ``hmac.digest``.

    Both pads are hashed once; each message costs two copies of a state.
    """
    block = key.ljust(_BLOCK, b"\0")
    inner_pad = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer_pad = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(message: bytes) -> bytes:
        inner = inner_pad.copy()
        inner.update(message)
        outer = outer_pad.copy()
        outer.update(inner.digest())
        return outer.digest()

    return mac


def sealed_bytes(record: TokenRecord) -> bytes:
    """The canonical encoding of every sealed field, the digest included: what a seal is over.

    One version byte, then each field as a length of four bytes, big-endian, and its bytes;
    ``None`` is the length ``ffffffff`` alone. A list of strings is a field of such fields. Numbers
    are decimal digits. No two records have the same encoding.
    """
    parent, expires_ms = record.parent, record.expires_ms
    return _SEAL_VERSION + _framed(
        [
            record.id.bytes,
            _text(record.owner),
            _text(record.description),
            _words(record.scopes),
            _words(record.networks),
            record.family.bytes,
            None if parent is None else parent.bytes,
            record.binding,
            b"%d" % record.created_ms,
            None if expires_ms is None else b"%d" % expires_ms,
            record.digest,
            _text(record.key_id),
        ]
    )


def _text(text: str) -> bytes:
    # A store of somebody else's may hold half a surrogate pair: its record is tampered, no error.
    return text.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=1024)  # most tokens have the scopes of others
def _words(words: tuple[str, ...]) -> bytes:
    return _framed([_text(word) for word in words])


def _framed(fields: list[bytes] | list[bytes | None]) -> bytes:
    # Once for all fields: a call for each cost as much as the MAC of all of them.
    return b"".join(
        [
            b"\xff\xff\xff\xff" if field is None else len(field).to_bytes(4) + field
            for field in fields
        ]
    )


def _master_from_text(word: str) -> bytes:
    try:
        master = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        master = b""
    if len(master) != MASTER_BYTES:
        # The word is not shown: it may be a key with a typo.
        msg = "a key must be 43 characters of base64url; `bearer-guard keys new` prints one"
        raise KeyringError(msg)
    return master
