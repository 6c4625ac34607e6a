"""The text form of a token. Nothing here knows of keys or records.

::

    bg_ 0A1b2C3d4E5f6G7h8I9j0K abcdefghijklmnopqrstuvwxyz0123456 0123456789 AbCdEf
    └┬┘ └─────────┬──────────┘ └───────────────┬───────────────┘ └───┬────┘ └─┬──┘
    prefix     id, 22            secret, 33 (24 random bytes)     tag, 10  CRC-32, 6

Base62, digits before capitals before small letters, most significant first, of fixed width: one
number has one spelling. *secret* and *tag* together are the body, 43 characters.

* The **CRC** is over all before it. It needs no key: anyone can tell a typo from a token, and
  secret scanners find leaks offline, see ``pattern``.
* The **tag** is keyed (``keyring``) and is over all before it. It is cut from the MAC as text, so
  that a forgery is found out without a base62 number being read: that costs more than the MAC.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID
from zlib import crc32

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DEFAULT_PREFIX",
    "TAG_ALPHABET",
    "TAG_CHARS",
    "TokenForm",
    "TokenParts",
    "decode_base62",
    "encode_base62",
]

DEFAULT_PREFIX: Final = "bg"
ID_CHARS: Final = 22  # 62**22 > 2**128, a UUID
SECRET_CHARS: Final = 33  # 62**33 > 2**192, 24 random bytes
TAG_CHARS: Final = 10  # 62**10 > 2**59
CRC_CHARS: Final = 6  # 62**6 > 2**32
_SECRET_BYTES: Final = 24
_TAIL_CHARS: Final = ID_CHARS + SECRET_CHARS + TAG_CHARS + CRC_CHARS

_ALPHABET: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final = {char: value for value, char in enumerate(_ALPHABET)}
#: For ``bytes.translate``: ten bytes of a MAC to the tag. 256 is no multiple of 62: eight
#: characters stand for 5 bytes and the others for 4; at least 10 * log2(256 / 5) = 56.7 bits stay.
TAG_ALPHABET: Final = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))


@dataclass(frozen=True, slots=True)
class TokenParts:
    """A well-formed token, taken apart. Whether it is genuine is the keyring's to say.

    Attributes:
        id: The public half.
        tagged: What the tag is over: prefix, id and secret, as they stand in the token.
        tag: Ten characters.
    """

    id: UUID
    tagged: bytes = field(repr=False)
    tag: bytes = field(repr=False)


class TokenForm:
    """The tokens of one prefix: writes them, and takes them apart.

    Args:
        prefix: One to sixteen of ``a-z0-9``, a letter first. Changing it ends every token.

    Raises:
        ConfigurationError: The prefix has another form.
    """

    __slots__ = ("_id_at", "crc_at", "head", "length", "prefix", "tag_at")

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,15}", prefix, re.ASCII):
            msg = "a token prefix is one to sixteen of a-z and 0-9, a letter first"
            raise ConfigurationError(msg)
        self.prefix: Final = prefix
        self.head: Final = f"{prefix}_".encode()
        self._id_at: Final = len(self.head)
        self.length: Final = self._id_at + _TAIL_CHARS
        self.crc_at: Final = self.length - CRC_CHARS
        self.tag_at: Final = self.crc_at - TAG_CHARS

    def mint(self, token_id: UUID, tag: Callable[[bytes], bytes]) -> str:
        """A new token with this id and 192 fresh random bits.

        Args:
            token_id: The public half.
            tag: Makes the ten characters that vouch for what it is given.
        """
        secret = encode_base62(int.from_bytes(secrets.token_bytes(_SECRET_BYTES)), SECRET_CHARS)
        tagged = self.head + encode_base62(token_id.int, ID_CHARS) + secret
        text = tagged + tag(tagged)
        return (text + encode_base62(crc32(text), CRC_CHARS)).decode("ascii")

    def split(self, text: bytes) -> tuple[bytes, bytes] | None:
        """What the tag is over, and the tag; ``None`` where the outline is wrong already.

        This is all that a forgery gets to see: see ``parse`` for the rest.
        """
        if len(text) != self.length or not text.startswith(self.head):
            return None
        if not text[self._id_at :].isalnum():  # of bytes: ASCII letters and digits only
            return None
        return text[: self.tag_at], text[self.tag_at : self.crc_at]

    def checked(self, text: bytes) -> bool:
        """Whether the checksum of a text of the right length fits: if not, it is a typo."""
        return decode_base62(text[self.crc_at :]) == crc32(text[: self.crc_at])

    def parse(self, text: bytes) -> TokenParts | None:
        """The parts of a well-formed token; ``None`` for anything else, however close."""
        outline = self.split(text)
        token_id = None if outline is None else self.id_of(text)
        return None if outline is None or token_id is None else TokenParts(token_id, *outline)

    def id_of(self, text: bytes) -> UUID | None:
        """The public half of a text whose outline is right; ``None``: it is no token after all."""
        if not self.checked(text):
            return None
        secret_at = self._id_at + ID_CHARS
        token_id = text[self._id_at : secret_at]
        # The alphabet is in the order of ASCII: of one width, the greater text is the greater
        # number. Overflow would be a second spelling of another token.
        if token_id > _LAST_ID or text[secret_at : self.tag_at] > _LAST_SECRET:
            return None
        return UUID(int=decode_base62(token_id))

    def pattern(self) -> str:
        """A regular expression that finds these tokens in any text, for secret scanners."""
        return rf"\b{self.prefix}_[0-9A-Za-z]{{{_TAIL_CHARS}}}\b"


def encode_base62(number: int, width: int) -> bytes:
    """``number`` in ``width`` characters.

    Raises:
        OverflowError: It needs more.
    """
    chars = bytearray(width)
    for place in range(width - 1, -1, -1):
        number, digit = divmod(number, 62)
        chars[place] = _ALPHABET[digit]
    if number:
        msg = f"the number needs more than {width} characters"
        raise OverflowError(msg)
    return bytes(chars)


def decode_base62(text: bytes) -> int:
    """The number that these characters spell.

    Raises:
        KeyError: A character is no letter or digit of ASCII.
    """
    number = 0
    for char in text:
        number = number * 62 + _VALUES[char]
    return number


_LAST_ID: Final = encode_base62(2**128 - 1, ID_CHARS)
_LAST_SECRET: Final = encode_base62(2 ** (8 * _SECRET_BYTES) - 1, SECRET_CHARS)
