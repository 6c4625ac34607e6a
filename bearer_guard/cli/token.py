"""``bearer-guard token``: make tokens with their owner's password; see and end everybody's."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NoReturn
from uuid import UUID

import click

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.endpoints._format import iso, token_json
from bearer_guard.record import EndReason

from ._command import Command, refuse
from ._terminal import counted, date, note, print_json, print_table, progress, read_secret
from ._workplace import operator

if TYPE_CHECKING:
    from bearer_guard.issuing import Principal
    from bearer_guard.record import TokenRecord
    from bearer_guard.verdict import Refusal
    from bearer_guard.verify import Found

    from ._workplace import Place, Workplace

__all__ = ["token"]

_NOT_FOUND: Final = "`bearer-guard token list` shows those that there are"
_DAY_MS: Final = 86_400_000
_SOON_MS: Final = 7 * _DAY_MS  # what ends within a week is marked
_CHUNK: Final = 5_000  # records purged at a time
_NEVER: Final = "-1"
# Of 80 columns at a terminal: times and a status take two lines, an ID never does.
_NARROW: Final = {"Token ID": 36, "Owner": None, "Description": None, "Status": 8, "Expires": 10}


class Days(click.ParamType):  # type: ignore[type-arg] # not generic before click 8.5
    """A length of time in days, with fractions; ``None`` for -1, where that is allowed."""

    name = "days"

    def __init__(self, *, endless: bool) -> None:
        self._endless: Final = endless

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta | None:
        """The length, exact to the millisecond."""
        text = str(value)
        if self._endless and text == _NEVER:
            return None
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, re.ASCII):
            endless = ", or -1 for one that never expires" if self._endless else ""
            self.fail(f"{text!r} is no number of days: write 30 or 0.5{endless}", param, ctx)
        if self._endless and not Decimal(text):
            self.fail("a lifetime must be positive", param, ctx)
        return timedelta(milliseconds=int(Decimal(text) * _DAY_MS))


class TokenId(click.ParamType):  # type: ignore[type-arg] # not generic before click 8.5
    """The ID of a token. What is none is not repeated: it may be the token itself."""

    name = "uuid"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> UUID:
        """Read it."""
        try:
            return value if isinstance(value, UUID) else UUID(str(value))
        except ValueError:
            self.fail("a token ID is a UUID, as `bearer-guard token list` shows it", param, ctx)


@click.group()
def token() -> None:
    """Access tokens."""


@token.command(
    "create",
    cls=Command,
    example="TOKEN=$(bearer-guard token create --user alice --days 30 --description 'nightly')",
    not_found="`bearer-guard user list` shows who there is",
)
@click.option(
    "--user", "owner", metavar="NAME", required=True, help="Whose; asks for the password."
)
@click.option(
    "--days",
    "lifetime",
    type=Days(endless=True),
    required=True,
    help="For how many days, such as 30 or 0.5; -1: it never expires, where the settings allow it.",
)
@click.option("--description", default="", help="The owner's own words.")
@click.option("--scope", "scopes", multiple=True, help="What for; give it again for more.")
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="Only from there.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
async def create(
    place: Place,
    *,
    owner: str,
    lifetime: timedelta | None,
    description: str,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    password_stdin: bool,
    json: bool,
) -> None:
    """Make a token. Its value is printed this once, and can't be had again.

    Only its owner can make it: it takes the password, whoever runs this.
    """
    place.check()  # before anybody types a password for nothing
    password = read_secret(f"Password of {owner}", stdin=password_stdin)
    async with place.open() as at:
        issued = await at.issuer().create(
            await _log_in(at, owner, password),
            lifetime=lifetime,
            description=description,
            scopes=scopes,
            networks=networks,
        )
    if json:
        print_json({"tokenValue": issued.value, "tokenInfo": token_json(issued.record)})
        return
    note(f"Token {issued.record.id}, expires: {date(issued.record.expires_ms, 'never')}")
    note("This is its value; it is not shown again:")
    click.echo(issued.value)


async def _log_in(at: Workplace, name: str, password: str) -> Principal:
    from bearer_guard.issuing.logins import Denied  # noqa: PLC0415 - not for --help

    outcome = await at.log_ins().log_in(name, password)
    if isinstance(outcome, Denied):
        refuse(
            "the name or the password is wrong, or the account is disabled; `bearer-guard user"
            " list` shows who there is"
        )
    return outcome


@token.command("list", cls=Command, example="bearer-guard token list --user alice --json")
@click.option("--user", "owner", metavar="NAME", help="Whose; by default everybody's.")
async def list_(place: Place, *, owner: str | None, json: bool) -> None:
    """Show tokens, newest first, and which of them expire within a week. Never their values."""
    async with place.open() as at:
        records = (await at.issuer().list(operator(), owner=owner or "*")).records
    if json:
        print_json({"data": [_token(record) for record in records]})
        return
    now_ms = SYSTEM_CLOCK.now_ms()
    columns = ("Token ID", "Owner", "Description", "Status", "Created", "Expires", "Last used")
    print_table(columns, [_row(record, now_ms) for record in records], narrow=_NARROW)


@token.command(
    "show",
    cls=Command,
    example="bearer-guard token show 0bc1d49f-5475-4c62-a0ba-6ad269389ada",
    not_found=_NOT_FOUND,
)
@click.argument("token_id", metavar="ID", type=TokenId())
async def show(place: Place, *, token_id: UUID, json: bool) -> None:
    """Show one token, but for its value."""
    async with place.open() as at:
        record = await at.issuer().get(operator(), token_id)
    if json:
        print_json(_token(record))
        return
    print_table(
        ("Field", "Value"),
        [
            ("Token ID", str(record.id)),
            ("Owner", record.owner),
            ("Description", record.description),
            ("Status", _status(record, SYSTEM_CLOCK.now_ms())),
            ("Created", date(record.created_ms, "")),
            ("Expires", date(record.expires_ms, "never")),
            ("Last used", date(record.last_used_ms, "never")),
            ("Last used from", record.last_used_from or ""),
            ("Scopes", " ".join(record.scopes)),
            ("Networks", " ".join(record.networks) or "anywhere"),
        ],
    )


@token.command(
    "delete",
    cls=Command,
    example="bearer-guard token delete 0bc1d49f-5475-4c62-a0ba-6ad269389ada",
    not_found=_NOT_FOUND,
)
@click.argument("token_id", metavar="ID", type=TokenId())
async def delete(place: Place, *, token_id: UUID, json: bool) -> None:
    """End a token, for good: every process refuses it within its bound.

    That goes for a record that was tampered with, too: no process accepts it, and once it has ended
    `bearer-guard token purge` takes it out of the store.
    """
    async with place.open() as at:
        reason = await at.issuer().delete(operator(), token_id)
    if reason is EndReason.TAMPERED:
        note("Warning: the record was changed, or made with a key that is not here.")
    if json:
        print_json({"deleted": 1})
    else:
        note(f"Deleted the token {token_id}.")


@token.command("verify", cls=Command, example="bearer-guard token verify --token-stdin < token.txt")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
async def verify(place: Place, *, token_stdin: bool, json: bool) -> None:
    """Say whose token this is, or why it is refused (exit status 1).

    It counts as no use of the token, and asks for no scope and from no network.
    """
    from bearer_guard.verdict import Refusal  # noqa: PLC0415 - with the next one
    from bearer_guard.verify import Verifier  # noqa: PLC0415 - not for --help

    place.check()
    text = read_secret("Token", stdin=token_stdin)
    async with place.open() as at:
        verifier = Verifier(at.store, at.keyring, staleness=0, listeners=())
        try:
            verdict = await verifier.find(text.encode("utf-8", "surrogatepass"))
        finally:
            await verifier.close()
    if isinstance(verdict, Refusal):
        _print_refusal(verdict, json=json)
    else:
        _print_found(verdict, json=json)


def _print_refusal(refusal: Refusal, *, json: bool) -> NoReturn:
    reason = refusal.reason.value
    which = None if refusal.token is None else str(refusal.token.id)
    if json:
        print_json({"accepted": False, "reason": reason, "tokenId": which})
    else:
        click.echo(f"refused: {reason}" + (f", token {which}" if which else ""))
    refuse("the token is refused; a new one takes its owner's password")


def _print_found(found: Found, *, json: bool) -> None:
    info = found.token
    if json:
        print_json(
            {
                "accepted": True,
                "tokenId": str(info.id),
                "owner": info.owner,
                "description": info.description,
                "createdAt": iso(info.created_ms),
                "expiredAt": iso(info.expires_ms),
                "scopes": list(info.scopes),
                "networks": list(found.networks),
            }
        )
        return
    click.echo(
        f"accepted: token {info.id} of {info.owner}, expires: {date(info.expires_ms, 'never')},"
        f" scopes: {' '.join(info.scopes) or 'none'},"
        f" from: {' '.join(found.networks) or 'anywhere'}"
    )


@token.command("purge", cls=Command, example="bearer-guard token purge --older-than 90 --json")
@click.option(
    "--older-than",
    "age",
    metavar="DAYS",
    type=Days(endless=False),
    default="0",
    show_default=True,
    help="Only what ended so long ago.",
)
async def purge(place: Place, *, age: timedelta, json: bool) -> None:
    """Delete the records of tokens that have expired or were deleted. No others are touched."""
    before_ms = SYSTEM_CLOCK.now_ms() - age // timedelta(milliseconds=1)
    total = 0
    async with place.open() as at:
        with progress("Purging", quiet=json) as step:
            while purged := await at.store.purge(before_ms, limit=_CHUNK):
                total += purged
                step(purged)
    if json:
        print_json({"purged": total})
    else:
        note(f"Purged {counted(total, 'record')}.")


def _token(record: TokenRecord) -> dict[str, object]:
    return {**token_json(record), "owner": record.owner}


def _row(record: TokenRecord, now_ms: int) -> tuple[str, ...]:
    return (
        str(record.id),
        record.owner,
        record.description,
        _status(record, now_ms),
        date(record.created_ms, ""),
        date(record.expires_ms, "never"),
        date(record.last_used_ms, "never"),
    )


def _status(record: TokenRecord, now_ms: int) -> str:
    end_ms = record.dead_ms()
    if end_ms is not None and end_ms <= now_ms:
        return "Expired"
    if record.owner_disabled:
        return "Account disabled"
    return "Active" if end_ms is None or end_ms > now_ms + _SOON_MS else "Expires soon"
