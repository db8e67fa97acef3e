"""Rows out of an XLSX file (ECMA-376), as a stream: sheets, shared texts, dates by their style; in flat memory.

Only what a table needs is read: no formula is computed (the value that was stored with it is taken, and a cell without
one says so), and no picture, macro or outside reference is looked at. What unpacks to far more than a table would is
refused, and so is a document type, which XLSX never has. It refuses to know what a column means.
"""

from __future__ import annotations

import zipfile
import zlib
from array import array
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import IO, Any, NamedTuple, TypeAlias
from xml.parsers import expat

from carnet.errors import Reason, Refused
from carnet.formats.remarks import refuse_file
from carnet.formats.xlsx_styles import find_date_styles
from carnet.types import brief, show


class NoValue(NamedTuple):
    """What a cell holds whose formula was saved without its value, by a program that computes none: nobody knows what
    stood there."""

    formula: str


Value: TypeAlias = str | int | float | bool | date | datetime | time | NoValue

MAX_PARTS = 10_000
MAX_SMALL_PART_BYTES = 16 * 1024 * 1024
"""Workbook, styles and relations are read whole; no real one is as large."""

MAX_TEXT_BYTES = 128 * 1024 * 1024
"""Shared texts are held, as UTF-8: a million rows of texts of a hundred characters."""

MAX_CELL_CHARACTERS = 32_767
"""Excel's own limit; of a longer text one character more is kept, so that whoever reads it can tell."""

FREE_BYTES, MAX_RATIO = 64 * 1024 * 1024, 250
"""A part may unpack to this much, and beyond it to so many times its packed size: tables reach 10 to 100."""

MAX_FORMULA_CHARACTERS = 200
MAX_TOKEN_BYTES = 1024 * 1024
MAX_COLUMNS = 16_384
CHUNK_BYTES = 64 * 1024
_ENCRYPTED = 0x1
_OFFICE_1904 = ("1", "true")


class SheetRow(NamedTuple):
    """One row: its number in the sheet, from 1, and its cells by column, from 0; without those that are empty."""

    line: int
    cells: dict[int, Value]


def read_sheet(file: IO[bytes], sheet: str | None = None) -> Iterator[SheetRow]:
    """Every row of a sheet that holds anything, in order; `sheet` is its name, or None for the first that is shown.

    `file` is open, binary and can be sought. Raises Refused UNREADABLE_FILE where it is no such file, is damaged, is
    under a password or unpacks to too much, and MISSING_FIELD where it has no such sheet; rows before a damage stand.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise refuse_file("xlsx_none", error=brief(str(error), 200)) from None
    if len(archive.infolist()) > MAX_PARTS:
        raise refuse_file("xlsx_parts", most=MAX_PARTS)
    try:
        _check_kind(archive)
        book = _read_workbook(archive)
        target = _choose_sheet(book.sheets, sheet)
        styles = _read_styles(archive, book.styles)
        texts = _read_texts(archive, book.texts)
        sheet_parser = _SheetParser(texts, styles, book.is_1904)
        try:
            for _ in _parse(sheet_parser.parser, _unpack(archive, target)):
                yield from sheet_parser.take()
        except Exception:
            # Rows that were complete in the piece that is damaged.
            yield from sheet_parser.take()
            raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise refuse_file("xlsx_damaged", error=brief(str(error), 200)) from None
    except expat.ExpatError as error:
        raise refuse_file("xlsx_damaged", error=brief(str(error), 200)) from None


def list_sheets(file: IO[bytes]) -> list[str]:
    """The names of the sheets that are shown, in order. Raises Refused as `read_sheet`."""
    try:
        with zipfile.ZipFile(file) as archive:
            _check_kind(archive)
            return [name for name, _, is_shown in _read_workbook(archive).sheets if is_shown]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise refuse_file("xlsx_damaged", error=brief(str(error), 200)) from None
    except expat.ExpatError as error:
        raise refuse_file("xlsx_damaged", error=brief(str(error), 200)) from None


# ---- the archive


def _check_kind(archive: zipfile.ZipFile) -> None:
    """Refuse what is packed in the same way, and is something else."""
    names = archive.NameToInfo
    if "xl/workbook.bin" in names:
        raise refuse_file("xlsb")
    if "content.xml" in names and "mimetype" in names:
        raise refuse_file("open_document")
    if names and not any(name.startswith(("xl/", "_rels/", "[Content_Types]")) for name in names):
        raise refuse_file("zip_of_files")


def _unpack(archive: zipfile.ZipFile, name: str, limit: int | None = None) -> Iterator[bytes]:
    """The bytes of a part in pieces. Raises Refused where they are too many, or the part is absent."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise refuse_file("xlsx_part", part=show(name)) from None
    if info.flag_bits & _ENCRYPTED:
        raise refuse_file("xlsx_password")
    allowed = limit if limit is not None else max(FREE_BYTES, MAX_RATIO * info.compress_size)
    count = 0
    with archive.open(info) as part:
        while chunk := part.read(CHUNK_BYTES):
            count += len(chunk)
            if count > allowed:
                raise refuse_file("xlsx_large", part=show(name), most=allowed)
            yield chunk


def _read_small(archive: zipfile.ZipFile, name: str) -> bytes:
    return b"".join(_unpack(archive, name, MAX_SMALL_PART_BYTES))


def _make_parser() -> Any:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise refuse_file("xlsx_doctype")

    parser.StartDoctypeDeclHandler = refuse
    return parser


def _parse(parser: Any, chunks: Iterator[bytes]) -> Iterator[None]:
    """Parse piece by piece, with a pause after each. Raises ExpatError, and Refused where one token is longer than any
    of a table: the parser would hold all of it."""
    count = 0
    for chunk in chunks:
        count += len(chunk)
        parser.Parse(chunk, False)
        if count - parser.CurrentByteIndex > MAX_TOKEN_BYTES:
            raise refuse_file("xlsx_tag")
        yield
    parser.Parse(b"", True)
    yield


def _local(name: str) -> str:
    """The name without its prefix: writers choose prefixes freely, and strict files have other namespaces."""
    return name.rpartition(":")[2]


def _find_elements(data: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """Every element of a small part, in order, with its attributes by their local names."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = _make_parser()
    parser.StartElementHandler = lambda name, given: found.append(
        (_local(name), {_local(key): value for key, value in given.items()})
    )
    parser.Parse(data, True)
    return iter(found)


class _Workbook(NamedTuple):
    """(name, part, whether it is shown) of each sheet, the parts of texts and styles, and whether days count from
    1904."""

    sheets: list[tuple[str, str, bool]]
    texts: str
    styles: str
    is_1904: bool


def _read_workbook(archive: zipfile.ZipFile) -> _Workbook:
    workbook, relations = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
    targets: dict[str, str] = {}
    # Writers are free in the names of parts; the last word of a relation's type says what a part is.
    of_type = {"sharedStrings": "xl/sharedStrings.xml", "styles": "xl/styles.xml"}
    for name, given in _find_elements(_read_small(archive, relations)):
        if name == "Relationship" and given.get("TargetMode") != "External":
            target = _resolve(given.get("Target", ""))
            targets[given.get("Id", "")] = of_type[given.get("Type", "").rpartition("/")[2]] = target
    sheets: list[tuple[str, str, bool]] = []
    is_1904 = False
    for name, given in _find_elements(_read_small(archive, workbook)):
        if name == "workbookPr":
            is_1904 = given.get("date1904", "0") in _OFFICE_1904
        elif name == "sheet" and given.get("id") in targets:
            sheets.append((given.get("name", ""), targets[given["id"]], given.get("state", "visible") == "visible"))
    return _Workbook(sheets, of_type["sharedStrings"], of_type["styles"], is_1904)


def _resolve(target: str) -> str:
    """The part's name in the archive: a target is absolute, or begins at the workbook's folder."""
    if target.startswith("/"):
        return target[1:]
    return "xl/" + target.removeprefix("./")


def _choose_sheet(sheets: list[tuple[str, str, bool]], wanted: str | None) -> str:
    for name, target, is_shown in sheets:
        if name == wanted or (wanted is None and is_shown):
            return target
    if wanted is None:
        raise refuse_file("xlsx_no_sheet")
    names = ", ".join(show(name) for name, _, _ in sheets[:20])
    raise Refused(Reason.MISSING_FIELD, f"there is no sheet {show(wanted)}; there is {names}", field="reader.sheet")


def _read_styles(archive: zipfile.ZipFile, name: str) -> frozenset[int]:
    if name not in archive.NameToInfo:
        return frozenset()
    return find_date_styles(_find_elements(_read_small(archive, name)))


# ---- texts that cells share


class Texts:
    """Texts by number, as one run of UTF-8: a text object for each would take three times as much."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("Q")

    def add(self, text: str) -> None:
        """One more. Raises Refused where all of them are too long to be held."""
        self._data += text.encode("utf-8", "replace")
        self._ends.append(len(self._data))
        if len(self._data) + 8 * len(self._ends) > MAX_TEXT_BYTES:
            raise refuse_file("xlsx_texts", most=MAX_TEXT_BYTES)

    def get(self, number: int) -> str:
        """The text of this number, from 0. Raises IndexError."""
        if number < 0:
            raise IndexError(number)
        begins = self._ends[number - 1] if number else 0
        return self._data[begins : self._ends[number]].decode("utf-8")


def _read_texts(archive: zipfile.ZipFile, name: str) -> Texts:
    """The texts of the workbook; of a text in several styles its pieces, without the reading aids of Japanese."""
    texts = Texts()
    if name not in archive.NameToInfo:
        return texts
    pieces: list[str] = []
    depth_of_aid = length = 0
    is_text = False

    def start(tag: str, given: dict[str, str]) -> None:
        nonlocal depth_of_aid, is_text, length
        tag = _local(tag)
        if tag == "si":
            pieces.clear()
            length = 0
        elif tag == "rPh":
            depth_of_aid += 1
        elif tag == "t":
            is_text = depth_of_aid == 0

    def end(tag: str) -> None:
        nonlocal depth_of_aid, is_text
        tag = _local(tag)
        if tag == "si":
            texts.add("".join(pieces)[: MAX_CELL_CHARACTERS + 1])
        elif tag == "rPh":
            depth_of_aid -= 1
        elif tag == "t":
            is_text = False

    def take(data: str) -> None:
        nonlocal length
        if is_text and length <= MAX_CELL_CHARACTERS:
            pieces.append(data)
            length += len(data)

    parser = _make_parser()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, take
    for _ in _parse(parser, _unpack(archive, name)):
        pass
    return texts


# ---- a sheet


class _SheetParser:
    """Takes a sheet's text piece by piece, and gives the rows that are complete."""

    def __init__(self, texts: Texts, styles: frozenset[int], is_1904: bool) -> None:
        self._texts, self._styles, self._is_1904 = texts, styles, is_1904
        self._rows: list[SheetRow] = []
        self._line = 0
        self._column = -1
        self._cells: dict[int, Value] = {}
        self._type = "n"
        self._style = ""
        self._pieces: list[str] = []
        self._length = self._aids = 0
        self._is_value = False
        self._formula: str | None = None
        self._is_formula = False
        self._columns: dict[str, int] = {}
        self.parser = _make_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take_text

    def take(self) -> list[SheetRow]:
        """The rows that became complete."""
        rows, self._rows = self._rows, []
        return rows

    def _start(self, tag: str, given: dict[str, str]) -> None:
        # Every line below runs for each cell: measure before adding one.
        if ":" in tag:
            tag = _local(tag)
        if tag == "c":
            place = given.get("r")
            self._column = self._column + 1 if place is None else self._find_column(place)
            self._type = given.get("t", "n")
            self._style = given.get("s", "")
            self._pieces.clear()
            self._length = 0
            self._formula = None
        elif tag == "v" or tag == "t":
            self._is_value = self._aids == 0
            if self._type == "str":
                # An empty text is a value too.
                self._formula = None
        elif tag == "row":
            self._line = _find_number(given.get("r"), self._line + 1)
            self._cells = {}
            self._column = -1
        elif tag == "f":
            self._formula, self._is_formula = "=", True
        elif tag == "rPh":
            self._aids += 1

    def _end(self, tag: str) -> None:
        if ":" in tag:
            tag = _local(tag)
        if tag == "v" or tag == "t":
            self._is_value = False
        elif tag == "c":
            if self._pieces:
                if not 0 <= self._column < MAX_COLUMNS:
                    raise refuse_file("xlsx_columns", row=str(self._line), most=MAX_COLUMNS)
                value = self._read_value("".join(self._pieces))
                if value != "":
                    self._cells[self._column] = value
            elif self._formula is not None and 0 <= self._column < MAX_COLUMNS:
                self._cells[self._column] = NoValue(self._formula[:MAX_FORMULA_CHARACTERS])
        elif tag == "row":
            if self._cells:
                self._rows.append(SheetRow(self._line, self._cells))
        elif tag == "f":
            self._is_formula = False
        elif tag == "rPh":
            self._aids -= 1

    def _take_text(self, data: str) -> None:
        if self._is_value and self._length <= MAX_CELL_CHARACTERS:
            self._pieces.append(data)
            self._length += len(data)
        elif self._is_formula and self._formula is not None and len(self._formula) <= MAX_FORMULA_CHARACTERS:
            self._formula += data

    def _find_column(self, place: str) -> int:
        """The column of a reference such as AB12, from 0."""
        letters = place.rstrip("0123456789")
        found = self._columns.get(letters)
        if found is None:
            found = 0
            for letter in letters[:4].upper():
                found = found * 26 + ord(letter) - 64
            found -= 1
            if len(self._columns) < MAX_COLUMNS:
                self._columns[letters] = found
        return found

    def _read_value(self, text: str) -> Value:
        kind = self._type
        if kind == "n":
            return self._read_number(text)
        if kind == "s":
            try:
                return self._texts.get(int(text))
            except (ValueError, IndexError, OverflowError):
                raise refuse_file("xlsx_no_text", row=str(self._line)) from None
        if kind == "b":
            return text.strip() == "1"
        # Texts of formulas and of cells themselves, days in ISO 8601, and errors such as #N/A, as they are shown.
        return text[: MAX_CELL_CHARACTERS + 1]

    def _read_number(self, text: str) -> Value:
        try:
            number = int(text) if text.isdecimal() and len(text) < 16 else float(text)
        except ValueError:
            return text
        if self._style and _find_number(self._style, 0) in self._styles:
            moment = compute_moment(number, is_1904=self._is_1904)
            if moment is not None:
                return moment
        # A float is as good as whole up to where the next one is more than 1 away.
        if isinstance(number, float) and number.is_integer() and abs(number) < 2**53:
            return int(number)
        return number


def _find_number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 9 else otherwise


def compute_moment(number: float, *, is_1904: bool) -> date | datetime | time | None:
    """The day, moment or time of day that a number stands for, to the second; None where it stands for none.

    ECMA-376, 18.17.4: days since the eve of 1900, in which 1900 has a 29 February (number 60, which is no day), or
    since the first day of 1904.
    """
    if not 0 <= number < 2_958_466:
        return None
    if number < 1 and not is_1904:
        seconds = round(number * 86_400)
        return (datetime(1900, 1, 1) + timedelta(seconds=seconds)).time() if seconds < 86_400 else None
    if is_1904:
        epoch = datetime(1904, 1, 1)
    elif 60 <= number < 61:
        return None
    else:
        epoch = datetime(1899, 12, 30) if number >= 61 else datetime(1899, 12, 31)
    try:
        moment = epoch + timedelta(days=int(number), seconds=round(number % 1 * 86_400))
    except OverflowError:
        return None
    return moment.date() if moment.time() == time.min else moment
