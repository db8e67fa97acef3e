"""What `read_inspections` is called with: lines of the HistoVec file, normal ones and some with one thing wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from carnet.formats import histovec
from tests.kernel.case import Arguments, Case

LATEST = "2026-11-25T18:57:51"
_ONE: dict[str, Any] = {
    "centre": "S084C609",
    "date": "2009-05-04",
    "end": "10:20:48",
    "km": 225427,
    "nature": "VTP",
    "pv": "6299576",
    "result": "A",
    "start": "09:48:33",
}
_TEXTS = [
    "",
    "x",
    "S 1:2",
    "~",
    "é",
    "\x7f",
    "\\",
    '"',
    "\t",
    "x" * 31,
    "x" * 32,
    "x" * 64,
    "x" * 65,
    "x" * 120,
    "x" * 121,
]
_DAYS = ["2026-11-25", "2026-11-26", "1885-12-31", "1886-01-01", "2009-02-29", "2012-02-29", "1900-02-29", "2000-02-29"]
_DAYS += [
    "2009-04-31",
    "2009-12-31",
    "2009-13-01",
    "2009-00-01",
    "2009-01-00",
    "2009-1-01",
    "2009-01-01T",
    "",
    "２009-01-01",
]
_CLOCKS = [
    None,
    "00:00:00",
    "23:59:59",
    "24:00:00",
    "12:60:00",
    "12:00:60",
    "9:00:00",
    "09:00",
    "18:57:51",
    "18:57:52",
    "",
]
_VALUES: dict[str, list[Any]] = {
    "centre": _TEXTS,
    "date": _DAYS,
    "end": _CLOCKS,
    "km": [None, 0, 127, 128, 255, 256, 65_535, 65_536, 9_999_999, 10_000_000, -1, 2**70, 1.0, "1", True],
    "nature": ["VTP", "VTC", "CV", "CVC", "", "vtp", "VT", None],
    "pv": _TEXTS,
    "result": ["A", "AP", "S", "SP", "R", "RP", "X", "", "a", "AA", None],
    "start": _CLOCKS,
}
_VEHICLES = [
    "HVbfd213ec99",
    "HR00ff",
    "HV00f",
    "HV" + "0" * 62,
    "HV" + "0" * 63,
    "HVABCD",
    "XV0000",
    "hv:1",
    "",
    7,
    None,
]
_SEPARATORS = [(",", ":"), (", ", ": "), (" ,\r\n", "\t:\t")]


def _spell(*inspections: Any, vehicle: Any = "HVbfd213ec99", separators: tuple[str, str] = (",", ":")) -> bytes:
    return json.dumps(
        {"vehicle": vehicle, "inspections": inspections}, ensure_ascii=False, separators=separators
    ).encode()


def _odd(random: Random) -> Iterator[Arguments]:
    whole = _spell(_ONE, _ONE | {"start": None, "end": None, "km": None})
    for column, values in _VALUES.items():
        for value in values:
            # In any order of its columns.
            changed = list((_ONE | {column: value}).items())
            random.shuffle(changed)
            yield _spell(dict(changed), separators=random.choice(_SEPARATORS)), LATEST
        yield _spell({name: value for name, value in _ONE.items() if name != column}), LATEST
        yield whole.replace(b"{", b'{"%b":null,' % column.encode(), 2), LATEST
    for vehicle in _VEHICLES:
        yield _spell(_ONE, vehicle=vehicle), LATEST
    for start in _CLOCKS:
        yield _spell(_ONE | {"date": "2026-11-25", "start": start}), LATEST
        yield _spell(_ONE), start or ""
    for size in (0, 1, 7, 8, 9, 100):
        yield _spell(*[_ONE] * size), LATEST
        yield b" " * size + whole + b"\r\n" * size, LATEST
        yield whole + b"x" * size, LATEST
    yield json.dumps({"inspections": [_ONE], "vehicle": "HVbfd213ec99"}).encode(), LATEST
    for name in (b"vehicle", b"inspections", b"more"):
        yield b'{"%b":"HVbfd213ec99",' % name + whole[1:], LATEST
    for number in (
        b"01",
        b"-0",
        b"-00",
        b"-01",
        b"-",
        b"1e3",
        b"1E3",
        b"1.0",
        b"+1",
        b"0x1",
        b"nul",
        b"null1",
        b"",
        b"00",
    ):
        yield whole.replace(b"225427", number), LATEST
    for at in range(len(whole) + 1):
        yield whole[:at], LATEST
        yield whole[:at] + bytes([random.randrange(256)]) + whole[at + 1 :], LATEST
        yield whole[:at] + bytes([random.choice(b'{}[]",: \n')]) + whole[at:], LATEST


INSPECTIONS = {
    "read_inspections": Case(
        histovec._read_inspections,
        [(_spell(_ONE), LATEST), (_spell(), LATEST), (b"", LATEST), (_spell(_ONE), "")],
        _odd,
        [
            (_spell(_ONE), b"2026"),
            (_spell(_ONE), "\ud800"),
            ("{}", LATEST),
            (bytearray(_spell(_ONE)), LATEST),
            (None, LATEST),
            (_spell(_ONE),),
        ],
    )
}
