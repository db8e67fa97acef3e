"""`carnet list` and `carnet find`: which passports there are.

It refuses to open an entry: that is `carnet show`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click

from carnet.cli.group import as_json, passphrase_file, verb
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.cli.terminal import Piece, Terminal
    from carnet.node.reader import Passport

PAGE = 200
"""Rows of one table on a terminal, so that the first appear at once however many there are."""

HEADINGS = ("passport", "subject", "entries", "")


@verb(
    name="list",
    examples=(
        ("All of them", "carnet list"),
        ("The first ten, for a program", "carnet list --limit 10 --json"),
        ("How many", "carnet list --json | wc -l"),
    ),
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Stop after N passports.")
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, limit: int | None, passphrase_file: str | None, is_json: bool) -> None:
    """List the passports that this node keeps, in the order in which they were opened."""
    from carnet.cli.terminal import Terminal
    from carnet.services.reading import open_reader

    with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
        passports = islice(reader.list_passports(), limit)
        if is_json:
            _write(passports)
            return
        total = reader.count_passports()
        if not total:
            click.echo("There is no passport yet. Import something: carnet import histovec FILE", err=True)
            return
        _draw(Terminal(), passports)
        click.echo(f"{total:,} passports, {reader.count_entries():,} entries", err=True)


@verb(
    examples=(
        ("By VIN", "carnet find VFZZZZ000J0000000"),
        ("By the beginning of a passport's id", "carnet find 3fa8"),
        ("By a plate that it has or had", "carnet find plate:FR:AA-000-AA"),
        ("By any other subject", "carnet find histovec:HV0123abcd"),
    )
)
@click.argument("text")
@passphrase_file
@as_json
@click.pass_obj
def find(session: Session, text: str, passphrase_file: str | None, is_json: bool) -> int:
    """Find a passport by id, VIN, plate or other subject.

    Exits with 1 if nothing is found.
    """
    from carnet.cli.failures import REFUSED
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.reading import find_passports, format_subject, open_reader

    with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
        found = list(find_passports(reader, text))
        if is_json:
            for one in found:
                write_json_line({**_to_document(one.passport), "why": one.why})
            return 0 if found else REFUSED
        if found:
            rows: list[list[Piece]] = [
                [p.chain16.hex(), format_subject(p.subject), f"{p.entry_count:,}", one.why]
                for one in found
                for p in [one.passport]
            ]
            Terminal().table(HEADINGS, rows, right=(2,), whole=(0,))
            return 0
        click.echo(f"Nothing found for {text[:80]!a} among {reader.count_passports():,} passports.", err=True)
    click.echo(
        "  Try a VIN (17 characters), scheme:value, plate:FR:AB-123-CD, or four digits of a passport's id.", err=True
    )
    return REFUSED


def _write(passports: Iterator[Passport]) -> None:
    from carnet.cli.terminal import write_json_line

    for passport in passports:
        write_json_line(_to_document(passport))


def _draw(terminal: Terminal, passports: Iterator[Passport]) -> None:
    from carnet.services.reading import format_subject

    while page := list(islice(passports, PAGE)):
        rows: list[list[Piece]] = [
            [p.chain16.hex(), format_subject(p.subject), f"{p.entry_count:,}", ("closed", "dim") if p.is_closed else ""]
            for p in page
        ]
        terminal.table(HEADINGS, rows, right=(2,), whole=(0,))


def _to_document(passport: Passport) -> dict[str, object]:
    return {
        "closed": passport.is_closed,
        "entries": passport.entry_count,
        "passport": passport.chain16.hex(),
        "subject": passport.subject,
    }


VERBS: dict[str, click.Command] = {"find": find, "list": list_}
