"""The faulty rows of a job as a table that a clerk opens in a spreadsheet: the columns of the file, and what is wrong.

The last column says it, and is passed over when the table is sent again. It refuses to leave a row out.
"""

from __future__ import annotations

from collections.abc import Iterator

from carnet.formats.templates import ERROR_HEADINGS, Language
from carnet.services.filing.reading import FAULTS, READING, Reading
from carnet.services.filing.records import Files, Job, iterate_lines


def name_error_columns(files: Files, job: Job, language: Language) -> list[str]:
    """The headings: those of the file where it has columns, else the row as it stands."""
    return [*(_list_names(files, job) or ["row"]), ERROR_HEADINGS[language]]


def list_error_rows(files: Files, job: Job) -> Iterator[list[str]]:
    """The rows, each with its faults in words."""
    names = _list_names(files, job)
    for fault in iterate_lines(files.path(job, FAULTS)):
        cells = dict(fault.get("cells") or ())
        told = fault.get("faulty") or [{"column": fault["column"], "message": fault["message"]}]
        said = "; ".join(f"{one['column']}: {one['message']}" if one["column"] else one["message"] for one in told)
        yield [*([cells.get(name, "") for name in names] if cells and names else [fault["raw"]]), said]


def _list_names(files: Files, job: Job) -> list[str]:
    reading = files.read(job, READING, Reading)
    return [] if reading is None else [column.name for column in reading.columns]
