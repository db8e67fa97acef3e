"""The file of faulty rows: each row as it stood, in a file of its own that can be mended and imported alone.

Beside it lies the list of faults, which says for each row its number, its column and its rule. A line or object that
holds several rows is copied whole, once: the good ones among them are duplicates when it is imported. Until all rows
were read the copy has another name (`vault.partial`): an import that is killed leaves nothing that looks like a whole
one, and nothing that stands in the way of the next. It refuses to write over a file in which somebody may have mended
something.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from carnet.errors import Reason, Refused
from carnet.formats.faults import Fault, Frame, Origin, write_fault
from carnet.vault.partial import writing_whole

LIST_SUFFIX = ".faults.ndjson"
_ARRAY_BEGINS, _ARRAY_GOES_ON, _ARRAY_ENDS = b"[\n", b",\n", b"\n]\n"


class FaultyRows:
    """The faults of one import on their way to two files: the list of them, and, where asked for, the rows."""

    def __init__(self, faults: IO[bytes] | None, rows: IO[bytes] | None) -> None:
        self._faults, self._rows = faults, rows
        self._frame: Frame | None = None
        self._last: Origin | None = None
        self._copied_to = 0
        self._next_line = 1

    def add(self, fault: Fault) -> None:
        """Write one fault, and the part of the file that holds its row, unless that was written just now."""
        copied_to = None
        if self._rows is not None and fault.origin is not None:
            if fault.origin != self._last:
                self._copied_to = self._copy(self._rows, fault.origin)
                self._last = fault.origin
            copied_to = self._copied_to
        if self._faults is not None:
            self._faults.write(write_fault(fault, copied_to))

    def finish(self) -> None:
        """Write the end of the file of rows."""
        if self._rows is not None and self._frame == "array":
            self._rows.write(_ARRAY_ENDS)

    def _copy(self, rows: IO[bytes], origin: Origin) -> int:
        """Write a part of the file; the line where it begins."""
        if self._frame is None:
            self._begin(rows, origin)
        elif self._frame == "array":
            self._write(rows, _ARRAY_GOES_ON)
        begun = self._next_line
        self._write(rows, origin.data if self._frame == "array" else origin.data + b"\n")
        return begun

    def _begin(self, rows: IO[bytes], origin: Origin) -> None:
        self._frame = origin.frame
        if origin.frame == "utf-16":
            rows.write(codecs.BOM_UTF16_LE)
        if origin.frame == "array":
            self._write(rows, _ARRAY_BEGINS)
        elif origin.header:
            self._write(rows, origin.header + b"\n")

    def _write(self, rows: IO[bytes], data: bytes) -> None:
        self._next_line += data.count(b"\n")
        rows.write(data.decode("utf-8").encode("utf-16-le") if self._frame == "utf-16" else data)


@contextmanager
def writing_rows(path: Path) -> Iterator[IO[bytes]]:
    """The file of faulty rows while it is written: it gets its name at the end, and none if it is empty or the import
    fails. What is no file (a pipe) is written as it is.

    Raises Refused(FILE_EXISTS) at the end if the place holds rows by then, WRITER_BUSY at once where another import
    writes the same file, and OSError.
    """
    with writing_whole(path, may_be_empty=False) as rows:
        yield rows
        _check_is_free(path, rows)


@contextmanager
def writing_rows_and_list(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The same with the list of faults beside it, which goes with the rows: where none is faulty there is none of
    either, and where the import does not come to its end both are as they were. Raises as `writing_rows`."""
    place = get_list_beside(path)
    with writing_rows(path) as rows:
        with writing_whole(place, may_be_empty=False) as faults:
            yield rows, faults
            _check_is_free(path, rows)
            is_empty = not faults.tell()
        if is_empty:
            # That of an import before this one.
            place.unlink(missing_ok=True)


def get_list_beside(path: Path) -> Path:
    """Where the list of faults stands, beside the file of rows."""
    return path.with_name(path.name + LIST_SUFFIX)


def _check_is_free(path: Path, rows: IO[bytes]) -> None:
    rows.flush()
    if os.fstat(rows.fileno()).st_size:
        check_may_write(path, None)


def check_may_write(path: Path, source: Path | None) -> None:
    """Refuse (FILE_EXISTS) a place for faulty rows that holds something, the file to import above all."""
    check_is_not_source(path, source)
    if path.exists() and path.stat().st_size:
        saying = f"{path} holds rows already: mend and import them, move it away, or name another file"
        raise Refused(Reason.FILE_EXISTS, saying, file=str(path))


def check_is_not_source(path: Path, source: Path | None) -> None:
    """Refuse (FILE_EXISTS) to write into the file that is imported: it would be emptied before it is read."""
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise Refused(Reason.FILE_EXISTS, f"{path} is the file that is imported", file=str(path))
