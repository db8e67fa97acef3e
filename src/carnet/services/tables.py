"""Opening Parquet and XLSX files as streams of rows, with how far each has been read.

XLSX needs nothing but Python (`formats.xlsx`); Parquet needs DuckDB, which the extra `tables` brings, and which sees no
file but this one. It refuses to read them from a pipe: both begin at their end.
"""

from __future__ import annotations

import gzip
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, TypeAlias

from carnet.errors import Reason, Refused
from carnet.formats.lines import BROKEN
from carnet.formats.mapping_document import Given, Mapping
from carnet.formats.remarks import refuse_file
from carnet.formats.table import TableRow, name_columns
from carnet.formats.xlsx import list_sheets, read_sheet
from carnet.services.sources import CHUNK_BYTES, Source
from carnet.types import brief

Kind: TypeAlias = Literal["parquet", "xlsx"]

PARQUET, ZIP, GZIP = b"PAR1", b"PK\x03\x04", b"\x1f\x8b"
MAX_UNPACKED_BYTES = 4 * 1024 * 1024 * 1024
"""Of a table that is packed once more; tables are packed inside already."""
FETCHED_ROWS = 2_000
MEMORY_LIMIT = "512MB"
"""What DuckDB may use for the pages of a Parquet file."""

_ZONED = "TIMESTAMP WITH TIME ZONE"


def find_table(path: Path | None) -> Kind | None:
    """Whether a file is such a table, packed with gzip or not, by its first bytes; standard input (None) is none, nor
    is a pipe. Raises OSError."""
    # What is read of a pipe to look at it is gone for whoever opens it next, who would wait for more for ever.
    if path is None or stat.S_ISFIFO(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        head = file.read(4)
    if head[: len(GZIP)] == GZIP:
        try:
            with gzip.open(path) as unpacked:
                head = unpacked.read(4)
        except (*BROKEN, gzip.BadGzipFile):
            # Whoever reads it as text will say where it breaks off.
            return None
    return "parquet" if head == PARQUET else "xlsx" if head == ZIP else None


def open_mapped(path: Path | None, mapping: Mapping) -> Source | Table:
    """Open what a mapping is to read. Raises OSError, and Refused(WRONG_TYPE) for a table under a mapping for text."""
    kind = find_table(path)
    if path is None or kind is None:
        return Source(path)
    if not isinstance(mapping.reader, Given):
        name = {"parquet": "Parquet", "xlsx": "XLSX"}[kind]
        saying = f'{path.name} is {name}, and the mapping reads text: its reader should be {{"type": "rows"}}'
        raise Refused(Reason.WRONG_TYPE, saying, field="reader", file=str(path))
    return Table(path, kind, sheet=mapping.reader.sheet, header=mapping.reader.header)


class Table:
    """An open table. `byte_count` is the file's size, `position` about how much of it has been read."""

    def __init__(self, path: Path, kind: Kind, *, sheet: str | None = None, header: int | None = None) -> None:
        """Open it. Raises OSError, and ImportError where Parquet's reader is not installed."""
        if kind == "parquet":
            # Asked for now, so that its absence is told before a node is made.
            import duckdb  # noqa: F401
        self._path, self._kind = path, kind
        self._sheet, self._header = sheet, header
        self._file: IO[bytes] = _open_unpacked(path)
        if self._file.name != str(path):
            self._path = Path(f"/dev/fd/{self._file.fileno()}")
        self.byte_count = self._path.stat().st_size
        self.position = 0

    def rows(self) -> Iterator[TableRow]:
        """Every row in order. Raises Refused where the file is damaged, or lacks the sheet or the header."""
        if self._kind == "parquet":
            yield from self._read_parquet()
            return
        for row in name_columns(read_sheet(self._file, self._sheet), self._header):
            self.position = self._file.tell()
            yield row

    def list_sheets(self) -> list[str]:
        """The names of its sheets that are shown. Raises Refused where it is no XLSX file, or damaged."""
        return list_sheets(self._file)

    def chunks(self) -> Iterator[bytes]:
        """None: a table has no use for its bytes."""
        return iter(())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Table:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _read_parquet(self) -> Iterator[TableRow]:
        import duckdb

        try:
            with _open_duckdb(self._path) as connection:
                count, names, zoned = _look_at_parquet(connection, self._path)
                connection.execute(_make_query(names, zoned), [str(self._path)])
                line = 0
                while fetched := connection.fetchmany(FETCHED_ROWS):
                    for values in fetched:
                        line += 1
                        yield TableRow(line, _name_values(names, zoned, values))
                    self.position = self.byte_count * line // max(1, count)
        except duckdb.Error as error:
            raise refuse_file("parquet_broken", error=brief(str(error).splitlines()[0], 200)) from None


def _open_unpacked(path: Path) -> IO[bytes]:
    """The file, open; of one that is packed with gzip a copy, which is gone when it is closed: both formats begin at
    their end. Raises Refused where it is damaged or unpacks to too much."""
    with path.open("rb") as file:
        if file.read(len(GZIP)) != GZIP:
            return path.open("rb")
    # Without a name: whoever is killed leaves nothing.
    copy: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked for it closes it
    try:
        for chunk in _unpack(path):
            copy.write(chunk)
            if copy.tell() > MAX_UNPACKED_BYTES:
                raise refuse_file("packed_large", most=MAX_UNPACKED_BYTES, file=str(path))
        copy.flush()
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def _unpack(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as unpacked:
        while True:
            try:
                chunk = unpacked.read(CHUNK_BYTES)
            except BROKEN as error:
                raise refuse_file("packed_damaged", error=brief(str(error), 200), file=str(path)) from None
            if not chunk:
                return
            yield chunk


def _open_duckdb(path: Path) -> Any:
    """A database in memory that may read this one file, and nothing else: neither other files nor extensions."""
    import duckdb

    if any(mark in str(path) for mark in "*?["):
        raise refuse_file("parquet_name", file=str(path))
    connection = duckdb.connect(":memory:")
    for setting in (
        "threads = 1",
        f"memory_limit = '{MEMORY_LIMIT}'",
        "temp_directory = ''",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
    ):
        connection.execute(f"SET {setting}")
    connection.execute("SET allowed_paths = [?]", [str(path)])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _look_at_parquet(connection: Any, path: Path) -> tuple[int, list[str], set[str]]:
    """(rows, columns, those with moments that bear a zone)."""
    described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    count = connection.execute("SELECT sum(num_rows) FROM parquet_file_metadata(?)", [str(path)]).fetchone()[0]
    return int(count or 0), [row[0] for row in described], {row[0] for row in described if row[1] == _ZONED}


def _make_query(names: list[str], zoned: set[str]) -> str:
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
    # A moment with a zone comes as microseconds since 1970: the driver would need one more package to make it a moment.
    columns = (f"epoch_us({quoted[name]})" if name in zoned else quoted[name] for name in names)
    return f"SELECT {', '.join(columns)} FROM read_parquet(?)"  # noqa: S608 - names are quoted


def _name_values(names: list[str], zoned: set[str], values: tuple[Any, ...]) -> dict[str, object]:
    if not zoned:
        return dict(zip(names, values, strict=True))
    from datetime import datetime, timedelta

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        name: epoch + timedelta(microseconds=value) if name in zoned and value is not None else value
        for name, value in zip(names, values, strict=True)
    }
