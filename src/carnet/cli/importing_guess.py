"""`carnet import guess`: an unknown file explained, ten of its rows as they would be understood, and a mapping to edit.

It refuses to import anything, and to hide a doubt.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import OutsidePath, as_json, verb
from carnet.cli.session import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from carnet.cli.terminal import Terminal
    from carnet.formats.guess import Guess
    from carnet.formats.rows import Item

NOTHING_FOUND = 1
CELL_MAX_CHARACTERS = 40


@verb(
    name="guess",
    examples=(
        ("Look at a file, and have a mapping written to edit", "carnet import guess workshop.csv -o mapping.json"),
        ("Only look", "carnet import guess workshop.xlsx"),
        ("For a program", "carnet import guess workshop.csv --json"),
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OutsidePath(), metavar="MAPPING", help="Write the mapping here, to be edited.")
@click.option("--force", is_flag=True, help="Write over a mapping that exists.")
@as_json
def guess(file: Path, output: Path | None, force: bool, is_json: bool) -> int:
    """Look at the beginning of an unknown file, and propose how to read it.

    Says what it takes the file for and why, with every doubt, and shows the first ten rows as they would be understood.
    Nothing is imported. The mapping is yours to edit: docs/importing.md explains each key. Where no column says which
    vehicle a row is about, or what was read, it holds what was understood, and you say the rest.

    \b
    Exit code  0  a mapping is proposed
               1  none can be, or none that is whole, and no verb of its own knows the file: the reasons say why
    """
    from carnet.services.guessing import guess_file
    from carnet.services.importers import write_mapping

    found = guess_file(None if str(file) == "-" else file, now_ms())
    proposed = found.mapping or found.draft
    if output is not None and proposed is not None:
        write_mapping(proposed, output, is_forced=force)
    if is_json:
        _write_json(found, output)
    else:
        _show(found, file, output)
    return 0 if found.mapping is not None or found.importer is not None else NOTHING_FOUND


def _write_json(found: Guess, output: Path | None) -> None:
    from carnet.cli.terminal import write_json_line

    write_json_line(
        {
            "columns": [{"name": c.name, "sort": c.sort, "confidence": c.confidence} for c in found.columns],
            "confidence": found.confidence,
            "draft": None if found.draft is None else found.draft.to_json(),
            "importer": found.importer,
            "doubts": [str(one) for one in found.doubts],
            "mapping": None if found.mapping is None else found.mapping.to_json(),
            "reasons": [str(one) for one in found.grounds],
            "rows": [_describe(item) for item in found.rows],
            "written": None if output is None or not (found.mapping or found.draft) else str(output),
        }
    )


def _describe(item: Item) -> dict[str, Any]:
    """A row as it would be understood, or its fault, for a program."""
    from carnet.formats.faults import Fault

    if isinstance(item, Fault):
        return {
            "column": item.column,
            "line": item.line,
            "message": item.message,
            "row": item.row,
            "rule": str(item.rule),
        }
    return {"fields": item.fields, "line": item.line, "row": item.row, "subject": str(item.subject)}


def _show(found: Guess, file: Path, output: Path | None) -> None:
    from carnet.cli.terminal import Terminal

    terminal = Terminal()
    if found.importer is not None:
        terminal.say(terminal.shape("good"), f" {file}: {found.doubts[0]}.")
        terminal.say("")
        terminal.say(("Next: ", "dim"), f"carnet import {found.importer} {_quote(file)}")
        return
    if found.mapping is None:
        terminal.say(terminal.shape("bad"), f" {file}: no mapping can be proposed.")
    else:
        sure = f"{found.confidence} % sure"
        terminal.say(
            terminal.shape("good" if found.confidence >= 80 else "unsure"),
            f" {file}: each row is an entry {found.mapping.kind} ({sure}).",
        )
    if found.doubts:
        terminal.rule("Doubts")
        for doubt in found.doubts:
            terminal.say(terminal.shape("unsure"), f" {doubt}", indent=2)
    if found.grounds:
        terminal.rule("Why")
        for reason in found.grounds:
            terminal.say(terminal.shape("none"), f" {reason}", indent=2)
    if found.rows:
        terminal.rule("The first rows, as they would be understood")
        _show_rows(terminal, found.rows)
    terminal.say("")
    if found.mapping is None and found.draft is None:
        if output is not None:
            terminal.say("Nothing was written: there is no mapping to edit.")
        return
    if output is None:
        what = "the mapping" if found.draft is None else "what was understood, for you to say the rest"
        terminal.say(("Next: ", "dim"), f"carnet import guess {_quote(file)} -o mapping.json writes {what}.")
        return
    if found.draft is None:
        terminal.say(f"The mapping is in {output}: read it, and mend what is wrong.")
    else:
        terminal.say(f"What was understood is in {output}. Before a row can be read, say there:")
        for missing in _list_missing(found):
            terminal.say(missing, indent=2)
    command = f"carnet import file {_quote(file)} --map {_quote(output)}"
    terminal.say(("Next: ", "dim"), f"{command} --validate-only")
    terminal.say(("Then: ", "dim"), command)


def _list_missing(found: Guess) -> Iterator[str]:
    """What is to be said in a mapping that is not whole, and where."""
    codes = {doubt.code for doubt in found.doubts}
    if "no_vehicle" in codes:
        yield 'under "subject" the "column" that names the vehicle, or its VIN as "value" if all rows are about one'
    if "no_kind" in codes:
        yield 'under "odometer" the column of the reading, or under "kind" what a row is, such as "vehicle.service/1"'


def _show_rows(terminal: Terminal, rows: tuple[Item, ...]) -> None:
    """Rows under the fields that any of them has; a faulty one says what is wrong instead."""
    from carnet.formats.faults import Fault
    from carnet.services.describing import format_odometer, format_when

    skipped = ("kind", "occurred", "odometer_km", "odometer_mi", "odometer_state", "subject")
    good = [row for row in rows if not isinstance(row, Fault)]
    names = [
        name
        for name in (good[0].fields if good else ())
        if name not in skipped and any(row.fields[name] is not None for row in good)
    ]
    cells: list[list[Any]] = []
    for row in rows:
        if isinstance(row, Fault):
            what = f"{row.column}: {row.message}" if row.column and row.column not in row.message else row.message
            cells.append([str(row.row), (f"faulty: {what}", "red"), "", "", *("" for _ in names)])
            continue
        values = [_format_cell(row.fields[name]) for name in names]
        when, reading = format_when(row.fields["occurred"]), format_odometer(row.fields)
        cells.append([str(row.row), str(row.subject), when, reading, *values])
    right = [place + 4 for place, name in enumerate(names) if any(isinstance(row.fields[name], int) for row in good)]
    terminal.table(["row", "vehicle", "when", "odometer", *names], cells, right=[0, 3, *right], whole=[2])


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text if len(text) <= CELL_MAX_CHARACTERS else text[: CELL_MAX_CHARACTERS - 1] + "…"


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
