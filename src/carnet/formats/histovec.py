"""The file of French roadworthiness inspections of HistoVec (anonymised): one vehicle a line, its inspections inside.

One inspection is one row and one entry, its reading inside. A bad row never loses a good one: where a line cannot be
read as a whole, its inspections are read one by one. It refuses to know who imports the file and what was imported
before; and it judges nothing: an end before its start is written as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from carnet.encoding import encode_trusted, is_plain_json, parse_json
from carnet.errors import Reason, Refused
from carnet.formats.faults import Fault, Origin, compute_raw
from carnet.formats.histovec_columns import (
    CENTRE_MAX_LENGTH,
    COLUMNS,
    KIND,
    KM_MAX,
    REPORT_MAX_LENGTH,
    ZONE,
    is_day,
    read_columns,
)
from carnet.formats.json_items import find_members
from carnet.formats.lines import Line, find_line_fault, is_hopeless, split_text_lines
from carnet.formats.rows import Item, Row, compute_latest
from carnet.kernel import kernel
from carnet.passport.subject import check_subject, is_histovec
from carnet.types import Millis, Subject, brief, make_tuple, show

__all__ = ["Item", "Row", "read_inspections"]

_VEHICLE_COLUMNS = ("inspections", "vehicle")
_PRECEDENCE = {reason: place for place, reason in enumerate(Reason)}
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)


class _Inspection(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row whose columns have the right types: what the fast path recognises, and the slow path explains. The names
    ascend, so that it is written as its canonical JSON."""

    centre: Annotated[str, msgspec.Meta(max_length=CENTRE_MAX_LENGTH)]
    date: str
    end: str | None
    km: Annotated[int, msgspec.Meta(ge=0, le=KM_MAX)] | None
    nature: Literal["VTP", "VTC", "CV", "CVC", ""]
    pv: Annotated[str, msgspec.Meta(max_length=REPORT_MAX_LENGTH)]
    result: Literal["A", "AP", "S", "SP", "R", "RP", "X", ""]
    start: str | None


class _Vehicle(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    vehicle: str
    inspections: list[_Inspection]


_decode = msgspec.json.Decoder(_Vehicle).decode
_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode


def read_inspections(chunks: Iterable[bytes], now: Millis) -> Iterator[Item]:
    """Every row of the file, good or faulty, in order; rows are numbered over the whole file, so the last number is
    their count.

    `chunks` are the file's bytes, unpacked, in pieces or lines of any size; `now` bounds dates. A line of which nothing
    can be read counts as one faulty row; a blank line as none. Raises nothing for what the file holds.
    """
    latest = compute_latest(now)
    row = 0
    for line in split_text_lines(chunks):
        number, data, length, trouble = line
        is_whole = number > 1 and trouble is None and length == len(data)
        if is_whole and (rows := _find_rows(line, row, latest)) is not None:
            row += len(rows)
            yield from rows
            continue
        refused = find_line_fault(line)
        if refused is not None:
            row += 1
            yield _fault(line, row, None, refused, line.data)._replace(origin=None)
            if is_hopeless(refused):
                return
            continue
        if not data.strip():
            continue
        for item in _read_line(line, row, latest):
            row = item.row
            yield item


def _read_line(line: Line, row: int, latest: str) -> Iterator[Item]:
    """The rows of one line, numbered after `row`."""
    rows = _find_rows(line, row, latest)
    if rows is not None:
        yield from rows
        return
    try:
        document = parse_json(line.data)
    except Refused as refused:
        yield from _read_piecewise(line, row, latest, refused)
        return
    yield from _read_vehicle(line, row, latest, document)


# ---- the fast path: only ever says yes


def _find_rows(line: Line, row: int, latest: str) -> list[Row] | None:
    """The rows of a line in which everything is already normal; None where the slow path must look."""
    # Every line below runs once per line or row: measure before adding one.
    data = line.data
    found = read_at_once(data, latest)
    if found is None:
        return None
    value, encoded, fields, sources = found
    number, subject, rows = line.number, Subject("histovec", value), list[Row]()
    origin = make_tuple(Origin, (data, b"", "lines"))
    for own, source in zip(fields, sources, strict=True):
        row += 1
        # A tuple made as one, without a call of ours: there is one for each row.
        rows.append(make_tuple(Row, (number, row, subject, KIND, own, source, None, origin, encoded)))
    return rows


_Read: TypeAlias = tuple[str, bytes, list[bytes], list[bytes]] | None


def _read_inspections(data: bytes, latest: str) -> _Read:
    """Of a line in which everything is already normal the vehicle and its `cj`, and for each inspection its fields as
    MessagePack and its source; None for any other line. `latest` bounds dates."""
    # A text of JSON holds no control but as an escape or as DEL, so that all texts of such a line are plain.
    if not is_plain_json(data):
        return None
    try:
        vehicle = _decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    value, inspections = vehicle.vehicle, vehicle.inspections
    occurred = [_find_occurred(one, latest) for one in inspections]
    if None in occurred or not is_histovec(value) or not _has_no_other_colon(data, inspections):
        return None
    subject = Subject("histovec", value).to_json()
    fields = [
        _pack(
            # Names ascending, as the schema completes them.
            {
                "centre": one.centre or None,
                "defects": None,
                "end_time": one.end,
                "kind": KIND,
                "nature": one.nature or None,
                "occurred": when,
                "odometer_km": one.km,
                "odometer_mi": None,
                "odometer_state": "not_stated" if one.km is None else "read",
                "report_number": one.pv or None,
                "result": one.result or None,
                "subject": subject,
                "valid_until": None,
            }
        )
        for one, when in zip(inspections, occurred, strict=True)
    ]
    # All of it is plain already: nothing is written in another way.
    tail = b',"vehicle":"%b"}' % value.encode()
    sources = [b'{"inspection":' + _encode(one) + tail for one in inspections]
    return value, encode_trusted(subject), fields, sources


read_at_once: Final[Callable[[bytes, str], _Read]] = _read_inspections if kernel is None else kernel.read_inspections


def _find_occurred(inspection: _Inspection, latest: str) -> dict[str, str | None] | None:
    """When an inspection began; None where a day or time of it is not normal, or it is still to come."""
    at, start, end = inspection.date, inspection.start, inspection.end
    if not is_day(at) or not (start is None or _is_clock(start)) or not (end is None or _is_clock(end)):
        return None
    if start is None:
        return None if at > latest else {"at": at, "precision": "day", "zone": None}
    at = f"{at}T{start}"
    return None if at > latest else {"at": at, "precision": "second", "zone": ZONE}


def _has_no_other_colon(data: bytes, inspections: list[_Inspection]) -> bool:
    """Whether the line, whose times are normal, says each of its names once. The decoder keeps one of two equal names
    silently. Each name that was written has one colon outside texts, so as many colons as those of the names and texts
    that were kept mean that no name was dropped (as in parse_json)."""
    known = len(_VEHICLE_COLUMNS) + len(COLUMNS) * len(inspections)
    known += 2 * sum([(one.start is not None) + (one.end is not None) for one in inspections])
    count = data.count(b":")
    return count == known or count == known + sum([one.centre.count(":") + one.pv.count(":") for one in inspections])


@lru_cache(maxsize=4096)
def _is_clock(text: str) -> bool:
    return _CLOCK.fullmatch(text) is not None


def _compute_source(subject: Subject, raw: object) -> bytes:
    return encode_trusted({"inspection": raw, "vehicle": subject.value})


# ---- the slow path: says what is wrong, and loses nothing that is good


def _read_piecewise(line: Line, row: int, latest: str, refused: Refused) -> Iterator[Item]:
    """The rows of a line that is not JSON as a whole: each inspection for itself, where its frame can be told."""
    members = find_members(line.data)
    names = [name for name, _ in members or ()]
    if members is None or sorted(names) != sorted(set(names)) or not set(_VEHICLE_COLUMNS) <= set(names):
        yield _fault(line, row + 1, None, refused, line.data)
        return
    document: dict[str, Any] = {}
    for name, value in members:
        if name == "inspections" and isinstance(value, list):
            # Left as bytes: each is parsed where its fault can be given its own row.
            document[name] = value
            continue
        try:
            document[name] = parse_json(value if isinstance(value, bytes) else line.data)
        except Refused as own:
            yield _fault(line, row + 1, name, own, line.data)
            return
    yield from _read_vehicle(line, row, latest, document)


def _read_vehicle(line: Line, row: int, latest: str, document: object) -> Iterator[Item]:
    """The rows of a line that the fast path did not take; a fault of the line itself is one row more."""
    try:
        if not isinstance(document, dict):
            saying = f"a line is an object with vehicle and inspections, not {show(document)}"
            raise Refused(Reason.WRONG_TYPE, saying)
        for name in ("vehicle", "inspections"):
            if document.get(name) is None:
                raise Refused(Reason.MISSING_FIELD, f"the line lacks {name}", field=name)
        if not isinstance(document["inspections"], list):
            saying = f"inspections must be a list, not {show(document['inspections'])}"
            raise Refused(Reason.WRONG_TYPE, saying, field="inspections")
        if not isinstance(document["vehicle"], str):
            raise Refused(
                Reason.WRONG_TYPE, f"vehicle must be a text, not {show(document['vehicle'])}", field="vehicle"
            )
        subject = check_subject({"scheme": "histovec", "value": document["vehicle"]}, field="vehicle")
    except Refused as refused:
        field = refused.facts.get("field")
        yield _fault(line, row + 1, field if isinstance(field, str) else None, refused, line.data)
        return
    for name in document:
        if name not in _VEHICLE_COLUMNS:
            # What the line says beyond its inspections is not understood; the inspections themselves still stand.
            row += 1
            saying = f"a vehicle has no column {show(name)}; its columns are vehicle and inspections"
            yield _fault(line, row, brief(name), Refused(Reason.UNKNOWN_FIELD, saying), line.data)
    for raw in document["inspections"]:
        row += 1
        yield _read_inspection(line, row, subject, raw, latest)


def _read_inspection(line: Line, row: int, subject: Subject, raw: object, latest: str) -> Item:
    """One inspection, as bytes or as a value, read column by column; of several faults the first in order is given."""
    column: str | None = None
    try:
        value = parse_json(raw) if isinstance(raw, bytes) else raw
        if not isinstance(value, dict):
            raise Refused(Reason.WRONG_TYPE, f"an inspection is an object, not {show(value)}")
        fields, faults = read_columns(value, subject.to_json(), latest)
        if faults:
            column, fault = min(faults, key=lambda pair: _PRECEDENCE[pair[1].reason])
            raise fault
    except Refused as refused:
        shown_raw = raw if isinstance(raw, bytes) else _spell(raw)
        saying = f"{column}: {refused.message}" if column is not None else refused.message
        raw_text = compute_raw(shown_raw)
        return Fault(line.number, row, column, refused.reason, saying, raw_text, Origin(line.data))
    source = _compute_source(subject, value)
    return Row(line.number, row, subject, KIND, fields, source, None, Origin(line.data))


def _fault(line: Line, row: int, column: str | None, refused: Refused, raw: bytes) -> Fault:
    return Fault(line.number, row, column, refused.reason, refused.message, compute_raw(raw), Origin(line.data))


def _spell(raw: object) -> bytes:
    """A parsed row as its canonical JSON: parse_json lets no value through that could not be written again."""
    return encode_trusted(raw)
