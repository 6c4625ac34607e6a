"""``bearer-guard store``: is it sound, and bring it up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from bearer_guard.store import Finding, open_store

from ._command import Command, refuse
from ._terminal import note, print_json, print_table, progress
from ._workplace import is_exposed

if TYPE_CHECKING:
    from uuid import UUID

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
    place.keyring()
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
    done = await open_store(place.store_url).upgrade()
    if json:
        print_json({"done": done})
    else:
        note(f"{done[:1].upper()}{done[1:]}.")


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
    shown = ", ".join(str(token_id) for token_id in bad[:_SHOWN])
    more = ", …" if len(bad) > _SHOWN else ""
    return [
        Finding(
            "error",
            f"{len(bad)} of {count} records were changed, or made with a key that is not here;"
            f" they are refused: {shown}{more}",
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
