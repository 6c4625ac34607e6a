"""Keys by purpose: known answers, rotation, and errors that show no key."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import logging
import pickle
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pytest

from bearer_guard.errors import KeyringError
from bearer_guard.keyring import ENV_FILE, ENV_KEYS, Keyring, sealed_bytes
from bearer_guard.record import TokenRecord
from bearer_guard.testing import a_record, a_token
from bearer_guard.token import TokenForm

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER: Final = Path(__file__).parents[1] / "vectors"
MADE: Final[dict[str, Any]] = json.loads((FOLDER / "digest.json").read_text("utf-8"))
SEALS: Final[list[dict[str, Any]]] = json.loads((FOLDER / "seal.json").read_text("utf-8"))["seals"]
DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OLD: Final = bytes(range(32))
NEW: Final = bytes(range(32, 64))
TAGGED: Final = b"bg_" + b"0" * 55


# Everything once more, from RFC 5869, RFC 2104 and the description of the encoding alone.


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def hkdf(master: bytes, label: str) -> bytes:
    """RFC 5869 with no salt, the first 32 bytes: one round of its expansion."""
    extracted = hmac_sha256(bytes(32), master)
    return hmac_sha256(extracted, f"bearer-guard 1 {label}".encode() + b"\x01")


def tag_of(master: bytes, tagged: bytes) -> str:
    mac = hashlib.blake2s(tagged, key=hkdf(master, "tag"), digest_size=10).digest()
    return "".join(DIGITS[byte % 62] for byte in mac)


def framed(value: bytes | None) -> str:
    return "ffffffff" if value is None else f"{len(value):08x}{value.hex()}"


def framed_list(words: list[str]) -> str:
    return framed(bytes.fromhex("".join(framed(word.encode()) for word in words)))


def framed_number(number: int | None) -> str:
    return framed(None if number is None else str(number).encode())


def framed_hex(text: str | None) -> str:
    return framed(None if text is None else bytes.fromhex(text.replace("-", "")))


def encoded(fields: dict[str, Any]) -> str:
    """The sealed bytes of a record of the vectors, in hexadecimal."""
    return "01" + "".join(
        (
            framed_hex(fields["id"]),
            framed(fields["owner"].encode()),
            framed(fields["description"].encode()),
            framed_list(fields["scopes"]),
            framed_list(fields["networks"]),
            framed_hex(fields["family"]),
            framed_hex(fields["parent"]),
            framed_hex(fields["binding"]),
            framed_number(fields["created_ms"]),
            framed_number(fields["expires_ms"]),
            framed_hex(fields["digest"]),
            framed(fields["key_id"].encode()),
        )
    )


def record_of(fields: dict[str, Any]) -> TokenRecord:
    """A record of the vectors; it bears no seal."""
    return TokenRecord(
        id=UUID(fields["id"]),
        owner=fields["owner"],
        description=fields["description"],
        scopes=tuple(fields["scopes"]),
        networks=tuple(fields["networks"]),
        family=UUID(fields["family"]),
        parent=None if fields["parent"] is None else UUID(fields["parent"]),
        binding=None if fields["binding"] is None else bytes.fromhex(fields["binding"]),
        created_ms=fields["created_ms"],
        expires_ms=fields["expires_ms"],
        digest=bytes.fromhex(fields["digest"]),
        seal=bytes(32),
        key_id=fields["key_id"],
    )


def keyring_of(vector: dict[str, Any]) -> Keyring:
    return Keyring([bytes.fromhex(vector["key"])])


def text_of(*masters: bytes) -> str:
    return " ".join(base64.urlsafe_b64encode(master).decode().rstrip("=") for master in masters)


class TestVectors:
    @pytest.mark.parametrize("vector", MADE["keys"], ids=lambda vector: vector["id"])
    def test_a_key_has_the_id_and_the_subkeys_of_the_vectors(self, vector: dict[str, Any]) -> None:
        keyring = Keyring.from_text(vector["text"])
        assert keyring.ids == (vector["id"],)
        for purpose in ("session", "csrf"):
            assert keyring.subkeys(purpose) == [bytes.fromhex(vector["subkeys"][purpose])]

    @pytest.mark.parametrize("vector", MADE["keys"], ids=lambda vector: vector["id"])
    def test_the_vectors_subkeys_follow_rfc_5869(self, vector: dict[str, Any]) -> None:
        master = bytes.fromhex(vector["key"])
        assert vector["text"] == text_of(master)
        assert vector["id"] == hkdf(master, "id")[:8].hex()
        for purpose, subkey in vector["subkeys"].items():
            own = purpose in {"tag", "digest", "seal"}
            assert subkey == hkdf(master, purpose if own else f"use {purpose}").hex()

    @pytest.mark.parametrize("vector", MADE["tags"], ids=lambda vector: vector["tag"])
    def test_a_tag_is_that_of_the_vectors(self, vector: dict[str, str]) -> None:
        tagged = vector["tagged"].encode()
        assert keyring_of(vector).tag(tagged) == vector["tag"].encode()
        assert vector["tag"] == tag_of(bytes.fromhex(vector["key"]), tagged)

    @pytest.mark.parametrize("vector", MADE["digests"], ids=lambda vector: vector["digest"][:8])
    def test_a_digest_is_that_of_the_vectors(self, vector: dict[str, str]) -> None:
        token, keyring = vector["token"].encode(), keyring_of(vector)
        assert keyring.seal(a_record(), token).digest.hex() == vector["digest"]
        assert keyring.matches(keyring.ids[0], bytes.fromhex(vector["digest"]), token)
        subkey = hkdf(bytes.fromhex(vector["key"]), "digest")
        assert vector["digest"] == hmac_sha256(subkey, token).hex()

    @pytest.mark.parametrize("vector", SEALS, ids=lambda vector: vector["seal"][:8])
    def test_a_seal_is_that_of_the_vectors(self, vector: dict[str, Any]) -> None:
        keyring, bare = keyring_of(vector), record_of(vector["record"])
        sealed = keyring.seal(replace(bare, digest=bytes(32), key_id=""), vector["token"].encode())
        assert sealed == replace(bare, seal=bytes.fromhex(vector["seal"]))
        assert keyring.sealed(sealed)

    @pytest.mark.parametrize("vector", SEALS, ids=lambda vector: vector["seal"][:8])
    def test_the_vectors_seals_follow_the_description_of_the_encoding(
        self, vector: dict[str, Any]
    ) -> None:
        assert sealed_bytes(record_of(vector["record"])).hex() == vector["sealed_bytes"]
        assert vector["sealed_bytes"] == encoded(vector["record"])
        message = bytes.fromhex(vector["sealed_bytes"])
        assert (
            vector["seal"] == hmac_sha256(hkdf(bytes.fromhex(vector["key"]), "seal"), message).hex()
        )


class TestRotation:
    """The newest key signs, all of them verify."""

    old = Keyring([OLD])
    new = Keyring([NEW])
    both = Keyring([NEW, OLD])

    def test_the_newest_key_makes_the_tag(self) -> None:
        assert self.both.tag(TAGGED) == self.new.tag(TAGGED) != self.old.tag(TAGGED)

    def test_every_key_vouches(self) -> None:
        assert self.both.vouches(TAGGED, self.old.tag(TAGGED))
        assert self.both.vouches(TAGGED, self.new.tag(TAGGED))
        assert not self.new.vouches(TAGGED, self.old.tag(TAGGED))

    def test_the_newest_key_seals(self) -> None:
        record = self.both.seal(a_record(), b"token")
        assert record.key_id == self.both.ids[0] == self.new.ids[0]
        assert self.new.sealed(record)

    def test_what_an_old_key_sealed_stays_good(self) -> None:
        record = self.old.seal(a_record(), b"token")
        assert self.both.sealed(record)
        assert self.both.matches(record.key_id, record.digest, b"token")

    def test_what_a_dropped_key_sealed_is_good_no_more(self) -> None:
        record = self.old.seal(a_record(), b"token")
        assert not self.new.sealed(record)
        assert not self.new.matches(record.key_id, record.digest, b"token")

    def test_each_key_gives_a_subkey_the_newest_first(self) -> None:
        assert self.both.subkeys("session") == [
            *self.new.subkeys("session"),
            *self.old.subkeys("session"),
        ]

    def test_a_record_that_names_another_key_than_its_own_is_not_sealed(self) -> None:
        record = self.both.seal(a_record(), b"token")
        assert not self.both.sealed(replace(record, key_id=self.old.ids[0]))

    def test_the_digest_of_a_token_is_of_no_other(self) -> None:
        record = self.both.seal(a_record(), b"token")
        assert not self.both.matches(record.key_id, record.digest, b"tokem")


class TestForgeryTest:
    form = TokenForm()
    keyring = Keyring([NEW, OLD])
    forged = staticmethod(keyring.forgery_test(form, b"Bearer "))

    def field(self, *masters: bytes) -> bytes:
        return b"Bearer " + a_token(Keyring(masters))[0].encode()

    @pytest.mark.parametrize("master", [NEW, OLD])
    def test_a_token_of_one_of_the_keys_is_not_forged(self, master: bytes) -> None:
        assert not self.forged(self.field(master))

    def test_a_token_of_another_key_is(self) -> None:
        assert self.forged(self.field(bytes(32)))

    def test_a_token_with_another_secret_is(self) -> None:
        field = self.field(NEW)
        assert self.forged(field[:40] + (b"1" if field[40:41] == b"0" else b"0") + field[41:])

    @pytest.mark.parametrize(
        "change",
        [
            lambda field: field[:-1],
            lambda field: field + b" ",
            lambda field: b"bearer " + field[7:],
            lambda field: b"Bearer  " + field[8:],
            lambda field: b"Bearer gb" + field[9:],
            lambda _field: b"",
        ],
    )
    def test_another_outline_is_left_to_those_who_look_closer(
        self, change: Callable[[bytes], bytes]
    ) -> None:
        assert not self.forged(change(self.field(bytes(32))))


class TestFromText:
    @pytest.mark.parametrize(
        "text",
        [
            text_of(NEW, OLD),
            text_of(NEW) + "\n" + text_of(OLD) + "\n",
            text_of(NEW) + "," + text_of(OLD),
            f"  {text_of(NEW)} ,\t\r\n {text_of(OLD)},",
            f"# newest first\n{text_of(NEW)} # of 2026\n\n#{text_of(bytes(32))}\n{text_of(OLD)}",
            base64.urlsafe_b64encode(NEW).decode() + " " + base64.b64encode(OLD).decode(),
        ],
    )
    def test_keys_stand_newest_first_between_white_space_or_commas(self, text: str) -> None:
        assert Keyring.from_text(text).ids == Keyring([NEW, OLD]).ids

    @pytest.mark.parametrize("text", ["", " \n", "# nothing\n", ","])
    def test_no_key_is_an_error(self, text: str) -> None:
        with pytest.raises(KeyringError, match="at least one key"):
            Keyring.from_text(text)

    def test_a_new_key_is_one(self) -> None:
        key = Keyring.new_key()
        assert len(key) == 43
        assert Keyring.from_text(key).ids != Keyring.from_text(Keyring.new_key()).ids


class TestMasters:
    def test_a_generated_keyring_has_one_key_of_its_own(self) -> None:
        one, other = Keyring.generate(), Keyring.generate()
        assert len(one.ids) == 1
        assert one.ids != other.ids

    @pytest.mark.parametrize("size", [0, 31, 33])
    def test_a_key_of_another_length_is_refused(self, size: int) -> None:
        with pytest.raises(KeyringError, match="32 bytes"):
            Keyring([OLD, bytes(size)])

    def test_the_same_key_twice_is_refused(self) -> None:
        with pytest.raises(KeyringError, match="twice"):
            Keyring([OLD, NEW, OLD])

    def test_no_key_is_refused(self) -> None:
        with pytest.raises(KeyringError, match="at least one"):
            Keyring([])


class TestFromFile:
    def test_keys_are_read_from_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        path.write_text(text_of(NEW) + "\n" + text_of(OLD), "utf-8")
        assert Keyring.from_file(path).ids == Keyring.from_file(str(path)).ids
        assert Keyring.from_file(path).ids == Keyring([NEW, OLD]).ids

    def test_a_file_that_is_not_there_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(KeyringError, match=r"none\.keys can't be read: No such file"):
            Keyring.from_file(tmp_path / "none.keys")

    def test_a_folder_is_no_key_file(self, tmp_path: Path) -> None:
        with pytest.raises(KeyringError, match="Is a directory"):
            Keyring.from_file(tmp_path)


class TestFromEnvironment:
    def test_keys_are_read_from_the_environment(self) -> None:
        assert Keyring.from_env({ENV_KEYS: text_of(OLD)}).ids == Keyring([OLD]).ids

    def test_keys_are_read_from_the_file_that_it_names(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        path.write_text(text_of(OLD), "utf-8")
        assert Keyring.from_env({ENV_FILE: str(path), ENV_KEYS: ""}).ids == Keyring([OLD]).ids

    def test_keys_come_before_a_file(self) -> None:
        environ = {ENV_KEYS: text_of(OLD), ENV_FILE: "/nowhere"}
        assert Keyring.from_env(environ).ids == Keyring([OLD]).ids

    def test_the_process_environment_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(ENV_KEYS, text_of(NEW))
        assert Keyring.from_env().ids == Keyring([NEW]).ids

    @pytest.mark.parametrize("text", ["", "AAAA", f"{text_of(OLD)},{text_of(OLD)}"])
    def test_an_error_names_where_the_keys_are_from(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "the.keys"
        path.write_text(text)
        with pytest.raises(KeyringError, match=rf"^the key file {path}: "):
            Keyring.from_env({ENV_FILE: str(path)})
        with pytest.raises(KeyringError, match=f"^{ENV_KEYS}: "):
            Keyring.from_env({ENV_KEYS: text or "#"})

    def test_the_keys_of_another_store_are_told_by_where_they_are_from(self) -> None:
        with pytest.raises(KeyringError, match=f"{ENV_KEYS} has {Keyring([OLD]).ids[0]};"):
            Keyring.from_env({ENV_KEYS: text_of(OLD)}).check({"other"})

    @pytest.mark.parametrize("environ", [{}, {ENV_KEYS: "", ENV_FILE: ""}])
    def test_without_keys_the_error_says_what_to_set(self, environ: dict[str, str]) -> None:
        with pytest.raises(KeyringError, match=f"{ENV_KEYS}.*{ENV_FILE}"):
            Keyring.from_env(environ)


class TestCheck:
    """The keyring against the key ids that a store knows."""

    both = Keyring([NEW, OLD])

    @pytest.mark.parametrize("known", [[], [both.ids[0]], [both.ids[1]], [*both.ids, "of old"]])
    def test_a_store_of_one_of_the_keys_fits(self, known: list[str]) -> None:
        self.both.check(known)

    def test_a_store_of_other_keys_is_one_clear_error(self) -> None:
        with pytest.raises(KeyringError, match="not the keys of this store") as raised:
            Keyring([NEW]).check(Keyring([OLD]).ids)
        assert Keyring([OLD]).ids[0] in str(raised.value)
        assert Keyring([NEW]).ids[0] in str(raised.value)


def all_of(error: BaseException) -> str:
    """An error, those it came of, and what a careless handler would make of them."""
    shown = "".join(traceback.format_exception(error))
    cause = error.__cause__ or error.__context__
    return f"{shown} {error!r} {error.args} {vars(error)}" + (all_of(cause) if cause else "")


KEY: Final = text_of(bytes(range(100, 132)))
TYPOS: Final = {
    "a character missing": KEY[:-1],
    "a character more": KEY + "A",
    "a foreign character": KEY[:20] + "!" + KEY[21:],
    "a letter that is not of ASCII": KEY[:20] + "é" + KEY[21:],
    "half a surrogate pair": KEY[:20] + "\ud800" + KEY[21:],
    "quotes": f'"{KEY}"',
    "hexadecimal": bytes(range(100, 132)).hex(),
    "a name before": f"key={KEY}",
    "twice": f"{KEY} {KEY}",
    "padding within": KEY[:20] + "=" + KEY[21:],
}


class TestErrorsShowNoKey:
    @pytest.mark.parametrize("typo", TYPOS.values(), ids=TYPOS)
    def test_invariant_12_a_key_with_a_typo_is_not_shown(self, typo: str) -> None:
        with pytest.raises(KeyringError) as raised:
            Keyring.from_text(typo)
        self.nothing_shown(raised.value)

    @pytest.mark.parametrize("typo", TYPOS.values(), ids=TYPOS)
    def test_invariant_12_nor_is_one_of_the_environment(self, typo: str) -> None:
        with pytest.raises(KeyringError) as raised:
            Keyring.from_env({ENV_KEYS: typo})
        self.nothing_shown(raised.value)

    @pytest.mark.parametrize("typo", TYPOS.values(), ids=TYPOS)
    def test_invariant_12_nor_is_one_of_a_file(self, typo: str, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        path.write_bytes(typo.encode("utf-8", "surrogatepass"))
        with pytest.raises(KeyringError) as raised:
            Keyring.from_file(path)
        self.nothing_shown(raised.value)

    def test_invariant_12_nor_is_a_file_of_raw_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "keys"
        path.write_bytes(b"~~secret~~" + bytes(range(150, 172)))
        with pytest.raises(KeyringError) as raised:
            Keyring.from_file(path)
        assert "~~secret~~" not in all_of(raised.value)

    def nothing_shown(self, error: BaseException) -> None:
        shown = all_of(error)
        secret = bytes(range(100, 132))
        for part in (KEY[:12], KEY[21:33], secret.hex()[:16], repr(secret)[2:20]):
            assert part not in shown


@pytest.mark.parametrize("say", [repr, str, "{}".format, lambda ring: f"{vars_of(ring)}"])
def test_invariant_12_a_keyring_shows_its_ids_and_no_key(say: Callable[[Keyring], str]) -> None:
    keyring = Keyring([bytes(range(100, 132))])
    shown = say(keyring)
    assert keyring.ids[0] in shown
    TestErrorsShowNoKey().nothing_shown(KeyringError(shown))


def test_invariant_12_a_keyring_is_logged_without_its_keys(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keyring = Keyring([bytes(range(100, 132))])
    logging.getLogger("bearer_guard").warning("%s %r", keyring, [keyring])
    TestErrorsShowNoKey().nothing_shown(KeyringError(caplog.text))


def test_invariant_12_a_keyring_is_not_written_out_by_accident() -> None:
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="can't be pickled"):
            write(Keyring.generate())


def vars_of(keyring: Keyring) -> dict[str, object]:
    """What a debugger's table of values shows."""
    return {name: getattr(keyring, name) for name in Keyring.__slots__}
