"""What the page of a file shows: its steps, its tally, the rows to mend, and the first rows of the file.

It refuses to decide anything, and to show more rows at once than a person mends.
"""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from carnet.formats.columns import find_meanings, list_meanings
from carnet.formats.mapping_document import Mapping
from carnet.services.filing.acting import find_reading
from carnet.services.filing.reading import DOUBTS, DUPLICATES, FAULTS, MENDED, SIGNING, Reading, Signing
from carnet.services.filing.records import Files, Job, iterate_lines, read_lines
from carnet.web.language import Language
from carnet.web.pages.doubting import say_row_doubt
from carnet.web.pages.filing_words import KINDS, say_cell, say_failure, say_meaning, say_state
from carnet.web.pages.telling import say_remark
from carnet.web.wording import get_wording, sentence

PAGE: Final = 25
SHOWN_RECEIPTS: Final = 12
SORTED_RECEIPTS: Final = 1000
"""A file of a day's work is shown in its own order; of a larger one the first that were sealed."""

SHOWN_DUPLICATES: Final = 20
SHOWN_DOUBTS: Final = 20
MAX_FAULTS: Final = 20_000
GRAVE: Final = (
    "either_mark", "either_order", "either_unit", "mixed_days", "no_day", "no_kind", "no_row", "no_vehicle", "no_vins",
    "other_sheets", "own_id", "plate_country", "serial_days", "unread_day",
)  # fmt: skip
"""What is told before a file can be sealed: a day, a reading or a vehicle would be another, or missing."""


class CellToMend(NamedTuple):
    """A cell of a row in the table: what stands there; if it can be changed here, under which name; what is wrong with
    it, what it must have meant, and what the file said before it was mended."""

    heading: str
    value: str
    name: str | None = None
    error: str | None = None
    proposal: str | None = None
    was: str | None = None
    is_number: bool = False


class RowToMend(NamedTuple):
    """A row that is faulty, or was mended; `text` is the row itself where it has no cells."""

    row: int
    line: int
    is_faulty: bool
    cells: list[CellToMend]
    error: str | None = None
    text: str | None = None


class PreviewRow(NamedTuple):
    """One of the first rows of the file."""

    line: int
    cells: dict[str, str]
    state: str = "unread"


class Choice(NamedTuple):
    """What a form said that was refused, to be shown in it again: the kind, the meanings of columns, one VIN."""

    kind: str
    meanings: dict[str, str]
    vehicle: str


class Column(NamedTuple):
    """A column of the file, and what it means."""

    name: str
    meaning: str
    said: str


def show_job(files: Files, job: Job, language: Language, page: int, choice: Choice | None = None) -> dict[str, Any]:
    """The facts of the template `console/file.html`; `choice` stands in its form instead of how the file is read."""
    reading = find_reading(files, job)
    mapping = _find_mapping(reading)
    kind = "vehicle.service/1" if mapping is None else mapping.kind
    meanings = {} if mapping is None else find_meanings(mapping)
    columns = _list_columns(reading, kind, meanings, language)
    faults = files.path(job, FAULTS)
    is_waiting = job.state == "waiting"
    rows: list[RowToMend] = []
    if is_waiting and reading is not None:
        lines, _ = read_lines(faults, (max(1, page) - 1) * PAGE, PAGE)
        rows = [_make_faulty(one, columns, language) for one in lines]
        if page <= 1:
            mended = (one for one in iterate_lines(files.path(job, MENDED)) if one["is_good"])
            rows += [_make_mended(one, columns) for one in islice(mended, PAGE)]
    doubted, _ = read_lines(files.path(job, DOUBTS), 0, SHOWN_DOUBTS) if is_waiting else ([], 0)
    proposals = sum(cell.proposal is not None for row in rows for cell in row.cells)
    is_over = job.state == "done"
    kinds = _list_kinds(reading, kind, language)
    if choice is None or choice.kind not in dict(kinds):
        choice = Choice(kind, meanings, _find_vehicle(reading, mapping) or "")
    return {
        "job": job,
        "state": say_state(language, job),
        "received": files.count_received(job),
        "reading": reading,
        "kind": kind,
        "kinds": kinds,
        "columns": columns,
        "choice": choice,
        "options": _list_options(choice.kind, language) if columns else [],
        "rows": rows,
        "proposals": proposals,
        "page": max(1, page),
        "pages": 1 if reading is None else max(1, -(-reading.counts.faulty // PAGE)),
        "step": _find_step(job, reading),
        "signing": files.read(job, SIGNING, Signing) if is_waiting and job.stage == "prepare" else None,
        "failure": say_failure(language, job),
        "trouble": None if reading is None or reading.problem is None else _say_trouble(reading, language),
        "grave": _list_grave(reading, language),
        "doubts": [] if reading is None else [say_remark(language, one) for one in reading.doubts],
        "preview": _list_preview(reading),
        "understood": [one for one in columns if one.meaning] if reading is not None and reading.draft else [],
        "asks_vehicle": bool(choice.vehicle) or _find_vehicle(reading, mapping) is not None,
        "receipts": _list_receipts(files, job) if is_over else [],
        "doubted": [(one, say_row_doubt(language, one["code"])) for one in doubted],
        "duplicates": read_lines(files.path(job, DUPLICATES), 0, SHOWN_DUPLICATES)[0],
        "left": [_make_left(one, meanings, language) for one in read_lines(faults, 0, PAGE)[0]] if is_over else [],
    }


def _list_preview(reading: Reading | None) -> list[PreviewRow]:
    """The first rows as they stand, and what would become of each, if it could be read."""
    if reading is None:
        return []
    read = [PreviewRow(one.line, one.cells, one.state) for one in reading.rows]
    return read or [PreviewRow(line, cells) for line, cells in reading.head]


def _find_vehicle(reading: Reading | None, mapping: Mapping | None) -> str | None:
    """The VIN that all rows are about, blank where it is not said yet; None where a column says the vehicle."""
    if reading is None or reading.format != "mapping" or (mapping is not None and mapping.subject.column is not None):
        return None
    return "" if mapping is None else mapping.subject.value or ""


def _list_grave(reading: Reading | None, language: Language) -> list[str]:
    """Of what was doubtful in a file that nobody had said how to read: what would be sealed wrong, or not at all."""
    if reading is None or reading.origin != "guessed":
        return []
    return [_close(say_remark(language, one)) for one in reading.doubts if one.code in GRAVE]


def _close(text: str) -> str:
    return sentence(text) + ("" if text.endswith(".") else ".")


def _list_receipts(files: Files, job: Job) -> list[Any]:
    """The first receipts in the order of the file's rows: they are written passport by passport."""
    first = read_lines(files.path(job, "receipts.ndjson"), 0, SORTED_RECEIPTS)[0]
    return sorted(first, key=itemgetter("row"))[:SHOWN_RECEIPTS]


def find_current(files: Files, job: Job) -> dict[int, dict[str, str]]:
    """What stands in the rows that can be mended, by row and column."""
    found: dict[int, dict[str, str]] = {}
    for name in (FAULTS, MENDED):
        for one in islice(iterate_lines(files.path(job, name)), MAX_FAULTS):
            found.setdefault(one["row"], dict(one.get("cells") or ()))
    return found


def _find_mapping(reading: Reading | None) -> Mapping | None:
    """The mapping that the file was read by, or what was understood of its columns where that was not enough."""
    document = None if reading is None else reading.mapping or reading.draft
    if document is None:
        return None
    try:
        return msgspec.convert(document, Mapping)
    except msgspec.ValidationError:
        return None


def _list_columns(reading: Reading | None, kind: str, meanings: dict[str, str], language: Language) -> list[Column]:
    if reading is None:
        return []
    return [
        Column(one.name, meaning := meanings.get(one.name, ""), say_meaning(language, kind, meaning) if meaning else "")
        for one in reading.columns
    ]


def _list_kinds(reading: Reading | None, kind: str, language: Language) -> list[tuple[str, str]]:
    kinds = dict.fromkeys((kind, *KINDS) if reading is not None else KINDS)
    return [(one, get_wording(language).kind(one)) for one in kinds]


def _list_options(kind: str, language: Language) -> list[tuple[str, str]]:
    return [(one, say_meaning(language, kind, one)) for one in list_meanings(kind)]


def _find_step(job: Job, reading: Reading | None) -> int:
    """Of File 1, Columns 2, Mend 3, Seal 4; 5 when all of it is done."""
    if job.state == "done":
        return 5
    if job.state in ("queued", "running") and job.stage == "seal":
        return 4
    if reading is None:
        return 1
    if reading.problem is not None or not reading.counts.ready + reading.counts.duplicate:
        return 2
    return 3 if reading.counts.faulty else 4


def _say_trouble(reading: Reading, language: Language) -> str:
    if reading.cause is not None:
        return say_remark(language, reading.cause)
    code, message = reading.problem or ("", "")
    return say_cell(language, code, "", message)


def _make_faulty(one: dict[str, Any], columns: list[Column], language: Language) -> RowToMend:
    cells = dict(one.get("cells") or ())
    faults = {fault["column"]: fault for fault in one.get("faulty") or ()}
    if not cells:
        error = say_cell(language, one["rule"], "", one["message"])
        return RowToMend(one["row"], one["line"], True, [], error, one["raw"])
    shown = []
    for at, column in enumerate(columns):
        fault = faults.get(column.name)
        if fault is None and not column.meaning:
            continue
        said = None if fault is None else say_cell(language, fault["rule"], column.meaning, fault["message"])
        shown.append(
            CellToMend(
                column.said or column.name,
                cells.get(column.name, ""),
                None if fault is None else f"c{one['row']}.{at}",
                said,
                None if fault is None else fault["proposal"],
                is_number=column.meaning.startswith("odometer"),
            )
        )
    why = None if faults else say_cell(language, one["rule"], "", one["message"])
    return RowToMend(one["row"], one["line"], True, shown, why)


def _make_mended(one: dict[str, Any], columns: list[Column]) -> RowToMend:
    cells = dict(one["cells"])
    before = {column: was for column, _, was in one["mends"]}
    shown = [
        CellToMend(
            column.said or column.name,
            cells.get(column.name, ""),
            f"c{one['row']}.{at}" if column.name in before else None,
            was=before.get(column.name),
            is_number=column.meaning.startswith("odometer"),
        )
        for at, column in enumerate(columns)
        if column.meaning or column.name in before
    ]
    return RowToMend(one["row"], one["line"], False, shown)


def _make_left(one: dict[str, Any], meanings: dict[str, str], language: Language) -> tuple[int, str, str]:
    """A row that was not sealed: its line, itself, and why."""
    meaning = meanings.get(one.get("column") or "", "")
    cells = [cell for _, cell in one.get("cells") or () if cell]
    text = " · ".join(cells) if cells else one["raw"]
    return one["line"], text[:200], say_cell(language, one["rule"], meaning, one["message"])
