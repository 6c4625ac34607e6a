"""``bearer-guard store``: is it sound, bring it up to date, copy it to another."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, cast

import click

from bearer_guard.errors import ConfigurationError
from bearer_guard.store import Finding, open_store

from ._command import Command, refuse
from ._terminal import note, print_json, print_table, progress
from ._workplace import is_exposed, made_by_the_way, unmade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from bearer_guard.keyring import Keyring
    from bearer_guard.stores.copying import CopyStore, Tally

    from ._workplace import Place, Workplace

__all__ = ["store"]

_PAGE: Final = 1_000  # records whose seals are checked at a time
_SHOWN: Final = 20  # ids of tampered records


@click.group()
def store() -> None:
    """The store: its server, its schema, and what it holds."""


@store.command("check", cls=Command, example="bearer-guard store check")
async def check(place: Place, *, json: bool) -> None:
    """Check connection, schema, server settings, keys, and the seal of every record.

    Exit status 1 where there is an error.
    """
    place.check()
    findings = await open_store(place.store_url).diagnose()
    if not _errors(findings):
        findings += _key_file(place)
        async with place.open() as at:
            findings += [Finding("ok", f"the keys are this store's: {', '.join(at.keyring.ids)}")]
            findings += await _seals(at, quiet=json)
    if json:
        print_json({"findings": [{"level": f.level, "text": f.text} for f in findings]})
    else:
        print_table(("", "Finding"), [(f.level, f.text) for f in findings])
    if errors := _errors(findings):
        refuse(f"{len(errors)} of the findings are errors: do as they say, and check again")


@store.command("upgrade", cls=Command, example="bearer-guard store upgrade")
async def upgrade(place: Place, *, json: bool) -> None:
    """Bring the schema to this version. Make a backup first."""
    place.check_database()
    done = await open_store(place.store_url).upgrade()
    if json:
        print_json({"done": done})
    else:
        note(f"{done[:1].upper()}{done[1:]}.")


@store.command(
    "copy",
    cls=Command,
    example="bearer-guard store copy sqlite:///tokens.db postgresql://guard@db.example.com/guard",
)
@click.argument("store", metavar="FROM", envvar="BEARER_GUARD_STORE_COPY_FROM")
@click.argument("target", metavar="TO", envvar="BEARER_GUARD_STORE_COPY_TO")
@click.option("--dry-run", is_flag=True, help="Copy nothing, and say what would be.")
async def copy(place: Place, *, target: str, dry_run: bool, json: bool) -> None:
    """Copy settings, accounts and tokens from one store to another.

    What is there already stays as it is; after an interruption, run it again. URLs with passwords
    may stand in BEARER_GUARD_STORE_COPY_FROM and BEARER_GUARD_STORE_COPY_TO instead.

    Exit status 1 where something differs or was not copied.
    """
    if target == place.store_url:
        raise click.UsageError("FROM and TO are the same store.")
    if any(url.startswith("memory:") for url in (place.store_url, target)):
        raise click.UsageError("A store in memory is gone with its process.")
    keyring = place.check()
    # What is not there is as empty as one in memory, and a rehearsal makes nothing.
    there = "memory://" if dry_run and unmade(target) else target
    async with (
        _opened(place.store_url, keyring, is_source=True) as one,
        _opened(there, keyring, is_source=False) as other,
    ):
        tallies = await _copy(one, other, keyring, dry=dry_run, quiet=json)
        counts = await _counts(other, tallies)
    if json:
        shown = {kind: asdict(tally) for kind, tally in tallies.items()}
        print_json({"dryRun": dry_run, **shown, "counts": counts})
    else:
        columns = ("", "Copied" if not dry_run else "To copy", "Updated", "There already")
        rows = [
            (k.title(), str(t.copied), str(t.updated), str(t.equal)) for k, t in tallies.items()
        ]
        print_table(columns, rows)
    problems = _problems(tallies, {} if dry_run else counts)
    if problems:
        refuse("; ".join(problems))


@asynccontextmanager
async def _opened(url: str, keyring: Keyring, *, is_source: bool) -> AsyncIterator[CopyStore]:
    """A store that these keys are for; a source must have been in use."""
    one = cast("CopyStore", open_store(url))  # each of ours keeps accounts
    with made_by_the_way(url):
        await one.open()
    try:
        known = await one.remember_keys(() if is_source else keyring.ids)
        keyring.check(known)
        if is_source and not known:
            raise ConfigurationError("FROM is a new store, without anything to copy")
        yield one
    finally:
        await one.close()


async def _copy(
    one: CopyStore, other: CopyStore, keyring: Keyring, *, dry: bool, quiet: bool
) -> dict[str, Tally]:
    from bearer_guard.stores import copying  # noqa: PLC0415 - not for --help

    tallies = {
        "settings": await copying.copy_settings(one, other, dry=dry),
        "accounts": await copying.copy_accounts(one, other, dry=dry),
    }
    with progress("Copying tokens", quiet=quiet) as step:
        tallies["tokens"] = await copying.copy_tokens(one, other, keyring, step, dry=dry)
    return tallies


async def _counts(target: CopyStore, tallies: dict[str, Tally]) -> dict[str, dict[str, int]]:
    """How many accounts and tokens the source was seen to have, and the target has now."""
    from bearer_guard.stores import copying  # noqa: PLC0415 - not for --help

    there = {
        "accounts": await copying.count_accounts(target),
        "tokens": await copying.count_tokens(target),
    }
    return {kind: {"from": tallies[kind].seen, "to": count} for kind, count in there.items()}


def _problems(tallies: dict[str, Tally], counts: dict[str, dict[str, int]]) -> list[str]:
    found = []
    for kind, tally in tallies.items():
        if tally.conflicts:
            found.append(f"{kind} that differ in TO were left as they are: {_few(tally.conflicts)}")
        if tally.unsealed:
            found.append(
                f"{len(tally.unsealed)} {kind} were changed, or made with a key that is not here,"
                f" and were not copied: {_few(tally.unsealed)}"
            )
    for kind, count in counts.items():
        if count["to"] < count["from"] - len(tallies[kind].unsealed):
            found.append(f"FROM has {count['from']} {kind}, and TO only {count['to']}")
    return found


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


async def _seals(at: Workplace, *, quiet: bool) -> list[Finding]:
    """Whether every record is as it was made. Whose key is missing can't be told from a forgery."""
    count, after = 0, None
    bad: list[UUID] = []
    with progress("Checking seals", quiet=quiet) as step:
        while True:
            page = await at.store.page(None, after, _PAGE)
            bad += [record.id for record in page.records if not at.keyring.sealed(record)]
            count += len(page.records)
            step(len(page.records))
            after = page.next
            if after is None:
                break
    if not bad:
        return [Finding("ok", f"the seals of all {count} records hold")]
    return [
        Finding(
            "error",
            f"{len(bad)} of {count} records were changed, or made with a key that is not here;"
            f" they are refused: {_few([str(id) for id in bad])}. Put the key back, or end each by"
            " `bearer-guard token delete ID`; `bearer-guard token purge` takes them out then",
        )
    ]


def _key_file(place: Place) -> list[Finding]:
    if place.keys_text:
        return []
    if is_exposed(place.keys_file):
        return [Finding("warning", f"others can read {place.keys_file}: chmod 600")]
    return [Finding("ok", f"only its owner can read {place.keys_file}")]


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "error"]
