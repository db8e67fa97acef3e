"""The general importer: rows of cells become entries of one kind, as a mapping document says.

A bad row never loses a good one, and each fault names row, column and rule. Parquet and XLSX come as objects from a
reader that is passed in (`read_objects`), so that no library of theirs is needed here. It refuses to guess anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Mapping as Object
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from math import isfinite
from typing import Any, TypeAlias

import msgspec

from carnet.errors import Reason, Refused
from carnet.formats.dates import get_date_reader
from carnet.formats.delimited import is_blank, is_directive, name_cells, read_cells, tell_apart
from carnet.formats.documents import read_documents
from carnet.formats.faults import Fault, Frame, Origin
from carnet.formats.mapping_document import (
    Choice,
    Constant,
    Date,
    Delimited,
    Given,
    Mapping,
    Number,
    Odometer,
    Plate,
    Quantity,
    Reader,
    Reading,
    YesNo,
    check_mapping,
)
from carnet.formats.rows import Item, Place, Row, compute_latest, find_column, make_fault
from carnet.formats.table import TableRow
from carnet.formats.values import strip_vin
from carnet.formats.xlsx import NoValue
from carnet.passport.kinds import get_schema
from carnet.passport.occurred import UNKNOWN, Occurred
from carnet.passport.subject import check_subject, find_subject
from carnet.passport.vin import VIN_LENGTH, check_not_short
from carnet.types import Millis, Subject, show

Cell: TypeAlias = str | None
Get: TypeAlias = Callable[[Sequence[Cell]], Any]
Mends: TypeAlias = Object[int, Object[str, str]]
"""What a person says instead of the file: row number → column → cell. The row is known again as it was mended."""

UNMENDED: Mends = {}

_FAILED = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#SPILL!", "#CALC!"}) | {
    "nan",
    "inf",
    "-inf",
    "NaN",
    "Infinity",
    "-Infinity",
}
"""What a spreadsheet shows, and a program writes, where a computation failed."""

_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LINE_BREAKS = re.compile(r"\s*[\t\n\v\f\r\x85\u2028\u2029]\s*")

_IF_OLD = "If the file is of old vehicles, whose numbers are shorter, say so in the mapping: subject.legacy"


def read_mapped(chunks: Iterable[bytes], mapping: Mapping, now: Millis, mends: Mends = UNMENDED) -> Iterator[Item]:
    """Every row of a file, good or faulty, in order, as its mapping says; the last row number is their count.

    `chunks` are the file's bytes, unpacked; `mends` take the place of cells. A column that the mapping names and the
    header lacks is one fault (MISSING_FIELD), and nothing is read. Raises Refused as `read_mapping` does, and nothing
    for what the file holds.
    """
    check_mapping(mapping)
    if isinstance(mapping.reader, Delimited):
        yield from _read_delimited(chunks, mapping, mapping.reader, now, mends)
    else:
        # Faulty rows of a Parquet or XLSX file are written as objects, and read again from there.
        yield from _read_json(chunks, mapping, now, mends)


def read_objects(objects: Iterable[Object[str, object]], mapping: Mapping, now: Millis) -> Iterator[Item]:
    """The same for rows that another reader hands over (Parquet, XLSX): texts, numbers, days, moments, None.

    A day is read in its ISO writing, so the forms of the mapping are `iso`. Raises Refused as `read_mapping` does.
    """
    yield from _read_rows((TableRow(number, dict(row)) for number, row in enumerate(objects, 1)), mapping, now)


def read_table(rows: Iterable[TableRow], mapping: Mapping, now: Millis, mends: Mends = UNMENDED) -> Iterator[Item]:
    """The same for rows that all have the columns of the first, and know where they stand. Where their reader refuses
    to go on, that is one fault, the last."""
    source = iter(rows)
    try:
        first = next(source, None)
    except Refused as refused:
        yield make_fault(Place(1, 1), refused, b"")
        return
    if first is None:
        return
    fault = _find_header_fault(list(first.values), mapping)
    if fault is not None:
        yield make_fault(Place(first.line, 1), fault, first.values)
        return
    yield from _read_rows(chain([first], source), mapping, now, mends)


def _read_rows(rows: Iterable[TableRow], mapping: Mapping, now: Millis, mends: Mends = UNMENDED) -> Iterator[Item]:
    check_mapping(mapping)
    if not isinstance(mapping.reader, Given):
        raise Refused(Reason.WRONG_TYPE, "this mapping reads a file's bytes", field="reader")
    columns = mapping.columns()
    plan = RowPlan(mapping, columns, now)
    number, line = 0, 0
    try:
        for number, (line, row, _) in enumerate(rows, 1):
            place = Place(line, number, Origin(msgspec.json.encode(row, enc_hook=str)))
            if number in mends:
                row = {**row, **mends[number]}
            try:
                cells = [_as_cell(row.get(name), name) for name in columns]
            except Refused as refused:
                yield make_fault(place._replace(origin=_make_copy(row)), refused, row)
                continue
            item = plan.make(place, cells, row)
            yield item._replace(origin=_make_copy(row)) if isinstance(item, Fault) else item
    except Refused as refused:
        yield make_fault(Place(line + 1, number + 1), refused, b"")


def _make_copy(row: Object[str, object]) -> Origin:
    """A faulty row as JSON, which has no NaN: as null it would be blank, and good, when it is read again."""
    said = {
        name: str(value) if isinstance(value, float) and not isfinite(value) else value for name, value in row.items()
    }
    return Origin(msgspec.json.encode(said, enc_hook=str))


def _read_delimited(
    chunks: Iterable[bytes], mapping: Mapping, reader: Delimited, now: Millis, mends: Mends
) -> Iterator[Item]:
    first_line = reader.first_line
    rows = read_cells(
        chunks, encoding=reader.encoding, separator=reader.separator, quote=reader.quote, first_line=first_line
    )
    plan: RowPlan | None = None
    number = width = 0
    header = b""
    frame: Frame = "utf-16" if reader.encoding == "utf-16" else "lines"
    for row in rows:
        if row.refused is None and not any(map(str.strip, row.cells)):
            # Separators alone: what a spreadsheet writes of rows that were emptied.
            continue
        if plan is None and row.refused is None:
            if is_directive(row.cells, row.raw):
                continue
            names = name_cells(row.cells, has_header=bool(reader.header))
            refused = _find_header_fault(names, mapping)
            if first_line > 1 and row.line != first_line:
                saying = f"line {first_line} is blank, and is said to name the columns"
                refused = Refused(Reason.MISSING_FIELD, saying, field="reader.header")
            if refused is not None:
                yield make_fault(Place(row.line, 1), refused, row.raw)
                return
            plan, width = RowPlan(mapping, tell_apart(names), now, names), len(names)
            if reader.header:
                # A copy of faulty rows is read by the same mapping: its header stands in the same line.
                header = b"\n" * (first_line - 1) + row.raw
                continue
        number += 1
        place = Place(row.line, number, Origin(row.raw, header, frame) if row.is_whole else None)
        if row.refused is not None:
            yield make_fault(place, row.refused, row.raw)
        elif plan is not None and (len(row.cells) == width or is_blank(row.cells, width)):
            cells = row.cells[:width]
            yield plan.make(place, plan.mend(cells, mends[number]) if number in mends else cells, row.raw)
        else:
            few = len(row.cells) < width
            saying = f"the row has {len(row.cells)} cells, and the file {width} columns"
            yield make_fault(place, Refused(Reason.MISSING_FIELD if few else Reason.UNKNOWN_FIELD, saying), row.raw)
    if plan is None and number == 0 and reader.header:
        # An export that failed must not pass for one without rows.
        saying = f"the file is empty: no line of it names the columns {', '.join(map(show, mapping.columns()[:40]))}"
        yield make_fault(Place(1, 1), Refused(Reason.MISSING_FIELD, saying), b"")


def _find_header_fault(names: list[str], mapping: Mapping) -> Refused | None:
    apart = tell_apart(names)
    for name in mapping.columns():
        if names.count(name) > 1:
            called = " and ".join(show(own) for own, written in zip(apart, names, strict=True) if written == name)
            saying = f"the file has two columns {show(name)}: the mapping calls them {called}"
            return Refused(Reason.DUPLICATE_KEY, saying, field=name)
        if name not in apart:
            saying = f"the file has no column {show(name)}; it has {', '.join(map(show, apart[:40]))}"
            return Refused(Reason.MISSING_FIELD, saying, field=name)
    return None


def _read_json(chunks: Iterable[bytes], mapping: Mapping, now: Millis, mends: Mends) -> Iterator[Item]:
    columns = mapping.columns()
    paths = [name.split(".") for name in columns]
    plan = RowPlan(mapping, columns, now)
    for number, document in enumerate(read_documents(chunks), 1):
        place = Place(document.line, number, document.origin)
        try:
            if document.refused is not None:
                raise document.refused
            if not isinstance(document.value, dict):
                raise Refused(Reason.WRONG_TYPE, f"a row is an object, not {show(document.value)}")
            value = {**document.value, **mends[number]} if number in mends else document.value
            cells = [_as_cell(_follow(value, path), ".".join(path)) for path in paths]
        except Refused as refused:
            yield make_fault(place, refused, document.data)
            continue
        yield plan.make(place, cells, value)


def _follow(value: Any, path: list[str]) -> object:
    if len(path) == 1 or ".".join(path) in value:
        return value.get(".".join(path))
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _as_cell(value: object, name: str) -> Cell:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, NoValue):
        saying = (
            f"{name} holds the formula {show(value.formula)} without its value: open the file in a spreadsheet program"
            " and save it, or write the value"
        )
        raise Refused(Reason.MISSING_FIELD, saying, field=name)
    cell = write_cell(value)
    if cell is None:
        raise Refused(Reason.WRONG_TYPE, f"{name} holds {show(value)}, which is no one value", field=name)
    return cell


def write_cell(value: object) -> Cell:
    """A typed value as the text that a file would hold; None for a list, an object, or anything else that is no one
    value."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (float, Decimal)) and not isfinite(value):
        # A mapping may list it as empty: some programs have no other way to leave a number out.
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Decimal):
        # Noughts behind the point are the column's type; as a text, 45.000 could be forty-five thousand.
        return str(int(value)) if value == value.to_integral_value() else f"{value.normalize():f}"
    return str(value) if isinstance(value, int) else None


class RowPlan:
    """A mapping compiled for the columns of one file: `columns` are each of another name, `written` as the file names
    them, where that is not the same."""

    def __init__(self, mapping: Mapping, columns: list[str], now: Millis, written: list[str] | None = None) -> None:
        self._schema = get_schema(mapping.kind)
        self._kind = mapping.kind
        self._latest = compute_latest(now)
        at = self._at = {name: place for place, name in enumerate(columns)}
        self._subject = _compile_subject(mapping, at)
        self._plate = None if mapping.plate is None else _compile_plate(mapping.plate, at)
        self._no_plate = frozenset(() if mapping.plate is None else mapping.plate.empty)
        self._occurred = _compile_occurred(mapping, at)
        self._odometer = (
            None if mapping.odometer is None else _compile_odometer(self._schema.names, mapping.odometer, at)
        )
        self._readers = [
            (r.field, _compile_reading(r, at, mapping.reader)) for r in mapping.fields if not isinstance(r, Constant)
        ]
        self._constants = {r.field: r.value for r in mapping.fields if isinstance(r, Constant)}
        self.unit = None if mapping.odometer is None else mapping.odometer.unit
        self._columns = {r.field: r.column for r in mapping.fields if not isinstance(r, Constant)}
        if mapping.odometer is not None:
            self._columns |= dict.fromkeys(("odometer_km", "odometer_mi", "odometer_state"), mapping.odometer.column)
        self._columns["subject"] = mapping.subject.column or "subject"
        if mapping.plate is not None:
            self._columns["plate"] = mapping.plate.column
        self._columns["occurred"] = mapping.occurred.column or "occurred"
        # The same row of the same columns is the same, whatever the mapping made of it; another kind is another entry.
        # Columns that were moved, and blanks around a cell, are no other row.
        written = columns if written is None else written
        self._order = sorted(range(len(written)), key=written.__getitem__)
        self._prefix = msgspec.json.encode(["mapping", mapping.kind, [written[at] for at in self._order]])

    def mend(self, cells: Sequence[Cell], mends: Object[str, str]) -> list[Cell]:
        """The cells of a row with those that a person wrote instead; of a column that is not here, nothing."""
        mended = list(cells)
        for name, cell in mends.items():
            if name in self._at:
                mended[self._at[name]] = cell
        return mended

    def list_faults(self, cells: Sequence[Cell]) -> list[tuple[str, Refused]]:
        """Every cell that cannot be read, by column, each with its reason: `make` stops at the first."""
        reads: list[tuple[str, Callable[[], object]]] = [
            (self._columns["occurred"], lambda: self._find_moment(cells)),
        ]
        if self._plate is not None:
            plate = self._plate
            reads.append((self._columns["plate"], lambda: plate(cells)))
        if not self._says_its_plate_alone(cells):
            reads.append((self._columns["subject"], lambda: self._subject(cells)))
        if self._odometer is not None:
            odometer = self._odometer
            reads.append((self._columns["odometer_km"], lambda: odometer(cells, {})))
        reads += [(self._columns[field], lambda read=read: read(cells)) for field, read in self._readers]  # type: ignore[misc]
        found: dict[str, Refused] = {}
        for column, read in reads:
            try:
                read()
            except Refused as refused:
                found.setdefault(column, refused)
        return list(found.items())

    def _says_its_plate_alone(self, cells: Sequence[Cell]) -> bool:
        """Whether a row leaves its subject blank and says the plate beside it: then it is about that plate."""
        place, plate = self._at.get(self._columns["subject"]), self._columns.get("plate")
        if place is None or plate is None or (cells[place] or "").strip():
            return False
        said = (cells[self._at[plate]] or "").strip()
        return bool(said) and said not in self._no_plate

    @staticmethod
    def _read_plate(
        read: Callable[[Sequence[Cell]], Subject | None], cells: Sequence[Cell]
    ) -> tuple[Subject, dict[str, Any]]:
        plate = read(cells)
        if plate is None:
            raise Refused(Reason.MISSING_FIELD, "the row does not say which vehicle it is about")
        return plate, plate.to_json()

    def _find_moment(self, cells: Sequence[Cell]) -> Occurred:
        occurred: Occurred = self._occurred(cells)
        if (occurred.at or "") > self._latest:
            raise Refused(Reason.TIME_IN_FUTURE, f"{occurred.at} is still to come")
        return occurred

    def make(self, place: Place, cells: Sequence[Cell], raw: object) -> Item:
        """The row, or its first fault in the order of the mapping, then of the schema."""
        field = "subject"
        try:
            if self._plate is None or not self._says_its_plate_alone(cells):
                subject, shown = self._subject(cells)
                field = "plate"
                plate = None if self._plate is None else self._plate(cells)
            else:
                field = "plate"
                subject, shown, plate = *self._read_plate(self._plate, cells), None
            field = "occurred"
            occurred: Occurred = self._occurred(cells)
            if (occurred.at or "") > self._latest:
                raise Refused(Reason.TIME_IN_FUTURE, f"{occurred.at} is still to come")
            fields: dict[str, Any] = {
                "kind": self._kind,
                "occurred": {"at": occurred.at, "precision": occurred.precision, "zone": occurred.zone},
                "subject": shown,
            }
            if self._constants:
                fields |= self._constants
            for field, read in self._readers:
                fields[field] = read(cells)
            if self._odometer is not None:
                field = "odometer_km"
                self._odometer(cells, fields)
            field = ""
            values = self._schema.validate(fields)
        except Refused as refused:
            return self._refuse(place, field, refused, raw)
        source = self._prefix + msgspec.json.encode(
            [(cells[at] or "").strip() for at in self._order] if isinstance(raw, bytes) else raw,
            enc_hook=str,
            order="sorted",
        )
        return Row(place.line, place.row, subject, self._kind, values, source, plate, place.origin)

    def _refuse(self, place: Place, field: str, refused: Refused, raw: object) -> Fault:
        column = self._columns.get(field) or find_column(refused, self._columns)
        item = make_fault(place, refused, raw, column)
        return item if column is None or column in item.message else item._replace(message=f"{column}: {item.message}")


def _compile_subject(
    mapping: Mapping, at: Object[str, int]
) -> Callable[[Sequence[Cell]], tuple[Subject, dict[str, Any]]]:
    about = mapping.subject
    base = {"scheme": about.scheme} if about.country is None else {"scheme": about.scheme, "country": about.country}
    if about.column is None:
        fixed = check_subject({**base, "value": about.value})
        if fixed.scheme == "vin" and not about.legacy:
            check_not_short(fixed.value, _IF_OLD)
        shown_once = fixed.to_json()
        return lambda cells: (fixed, shown_once)
    place = at[about.column]
    last: tuple[Cell, Subject, dict[str, Any]] | None = None

    def read(cells: Sequence[Cell]) -> tuple[Subject, dict[str, Any]]:
        nonlocal last
        cell = cells[place]
        # A file tells many things in a row about one vehicle.
        if last is not None and last[0] == cell:
            return last[1], last[2]
        value = (cell or "").strip()
        if not value:
            raise Refused(Reason.MISSING_FIELD, "the row does not say which vehicle it is about")
        _check_not_failed(value)
        if about.scheme == "vin" and len(value) > VIN_LENGTH:
            value = strip_vin(value)
        # What is refused is asked again, for the reason.
        subject = find_subject(about.scheme, value, about.country) or check_subject({**base, "value": value})
        if subject.scheme == "vin" and not any(map(str.isdigit, subject.value)):
            # The foot of a table, such as SUMME, would be a chassis number otherwise.
            raise Refused(Reason.INVALID_VIN, f"{show(value)} holds no digit: it is a word, and no VIN", value=value)
        if subject.scheme == "vin" and not about.legacy:
            check_not_short(subject.value, _IF_OLD)
        last = (cell, subject, subject.to_json())
        return subject, last[2]

    return read


def _compile_plate(plate: Plate, at: Object[str, int]) -> Callable[[Sequence[Cell]], Subject | None]:
    place, empty = at[plate.column], frozenset(plate.empty)

    def read(cells: Sequence[Cell]) -> Subject | None:
        value = (cells[place] or "").strip()
        if not value or value in empty:
            return None
        found = find_subject("plate", value, plate.country)
        return found or check_subject({"scheme": "plate", "country": plate.country, "value": value})

    return read


def _compile_occurred(mapping: Mapping, at: Object[str, int]) -> Callable[[Sequence[Cell]], Occurred]:
    when = mapping.occurred
    if when.column is None:
        return lambda cells: UNKNOWN
    day, zone = at[when.column], when.zone
    read = _find_day_reader(when.form, mapping.reader)
    if when.time_column is None:

        def read_day(cells: Sequence[Cell]) -> Occurred:
            cell = cells[day]
            return read(cell, zone) if cell and not cell.isspace() else UNKNOWN

        return read_day
    clock = at[when.time_column]
    timed = get_date_reader("iso")

    def read_both(cells: Sequence[Cell]) -> Occurred:
        cell, hour = cells[day], (cells[clock] or "").strip()
        if not cell or cell.isspace():
            return UNKNOWN
        occurred = read(cell, None)
        return timed(f"{occurred.at}T{hour}", zone) if hour else occurred

    return read_both


def _find_day_reader(form: str, reader: Reader) -> Callable[[str, str | None], Occurred]:
    """The reader of a form; in a table that knows days as such (XLSX, Parquet), which come in their ISO writing, of
    those too: such a column may hold days and texts."""
    read, iso = get_date_reader(form), get_date_reader("iso")
    if not isinstance(reader, Given) or form == "iso" or form.startswith("yyyy-mm-dd"):
        return read
    return lambda cell, zone: iso(cell, zone) if _ISO_DAY.match(cell) else read(cell, zone)


def _compile_odometer(
    names: Sequence[str], odometer: Odometer, at: Object[str, int]
) -> Callable[[Sequence[Cell], dict[str, Any]], None]:
    place, empty = at[odometer.column], frozenset(odometer.empty)
    number = _compile_number(odometer.number, 1)
    mark = odometer.number.decimal
    unclear = None if mark == odometer.number.group else re.compile(rf"\d{{1,3}}\{mark}\d{{3}}(?!\d).*", re.ASCII)
    has_state = "odometer_state" in names
    unit_place = None if odometer.unit_column is None else at[odometer.unit_column]
    fixed = None if odometer.unit is None else f"odometer_{odometer.unit}"
    units = {word: f"odometer_{unit}" for word, unit in odometer.units.items()}

    def read(cells: Sequence[Cell], fields: dict[str, Any]) -> None:
        cell = (cells[place] or "").strip()
        if not cell or cell in empty:
            if has_state:
                fields["odometer_state"] = "not_stated"
            return
        name = fixed
        if name is None and unit_place is not None:
            word = (cells[unit_place] or "").strip()
            name = units.get(word)
            if name is None:
                saying = f"the unit {show(word)} is not one of {', '.join(units)}"
                raise Refused(Reason.NOT_IN_LIST, saying)
        if unclear is not None and unclear.fullmatch(cell):
            saying = f"{show(cell)} could be thousands or a fraction: write the number without that mark"
            raise Refused(Reason.WRONG_TYPE, saying)
        fields[name or ""] = number(cell)
        if has_state:
            fields["odometer_state"] = "read"

    return read


def _compile_reading(reading: Reading, at: Object[str, int], table: Reader) -> Get:
    """A function of the cells that gives the field, None where the file says nothing."""
    if isinstance(reading, Constant):
        return lambda cells: reading.value
    place, empty = at[reading.column], frozenset(reading.empty)
    read = _compile_cell(reading, table)

    def find(cells: Sequence[Cell]) -> Any:
        cell = cells[place]
        if not cell:
            return None
        cell = cell.strip()
        return None if not cell or cell in empty else read(_check_not_failed(cell))

    return find


def _check_not_failed(cell: str) -> str:
    if cell in _FAILED:
        raise Refused(Reason.NOT_IN_LIST, f"{cell} is what a program writes where it has no value")
    return cell


def _compile_cell(reading: Reading, table: Reader) -> Callable[[str], Any]:
    if isinstance(reading, Quantity):
        return _compile_number(reading.number, reading.factor)
    if isinstance(reading, Date):
        dated = _find_day_reader(reading.form, table)

        def read_day(cell: str) -> str:
            at = dated(cell, None).at or ""
            if len(at) < 10:
                raise Refused(Reason.INVALID_TIME, f"{show(cell)} is no whole day")
            return at[:10]

        return read_day
    if isinstance(reading, Choice):
        return _compile_words(reading.values)
    if isinstance(reading, YesNo):
        return _compile_words(dict.fromkeys(reading.yes, True) | dict.fromkeys(reading.no, False))
    # People break lines within a cell; an entry's text is one line.
    return lambda cell: _LINE_BREAKS.sub(" ", cell) if not cell.isprintable() else cell


def _compile_words(values: Object[str, Any]) -> Callable[[str], Any]:
    def read(cell: str) -> Any:
        try:
            return values[cell]
        except KeyError:
            listed = ", ".join(map(show, list(values)[:20]))
            raise Refused(Reason.NOT_IN_LIST, f"{show(cell)} is not one of {listed}") from None

    return read


def _compile_number(number: Number, factor: int) -> Callable[[str], int]:
    group = re.escape(number.group) if number.group is not None else None
    if number.group == " ":
        # The thin and no-break spaces that typesetters put between groups.
        group = "[ \u00a0\u2009\u202f]"
    elif number.group == "'":
        group = "['\u2019]"
    whole = r"\d+" if group is None else rf"\d{{1,3}}(?:{group}\d{{3}})+|\d+"
    suffix = "" if number.suffix is None else rf"(?:\s*{re.escape(number.suffix)})?"
    pattern = re.compile(rf"([+-]?)({whole})(?:{re.escape(number.decimal)}(\d+))?{suffix}", re.ASCII | re.IGNORECASE)

    def read(cell: str) -> int:
        if cell.isdecimal() and cell.isascii() and len(cell) <= 15:
            return int(cell) * factor
        found = pattern.fullmatch(cell) if len(cell) <= 40 else None
        if found is None:
            raise Refused(Reason.WRONG_TYPE, f"{show(cell)} is not a number as this file writes them")
        digits = re.sub(r"\D", "", found.group(2))
        scaled = Decimal(f"{found.group(1)}{digits}.{found.group(3) or 0}") * factor
        if scaled != scaled.to_integral_value():
            raise Refused(Reason.VALUE_OUT_OF_RANGE, f"{show(cell)} is not a whole number in the entry's unit")
        return int(scaled)

    return read
