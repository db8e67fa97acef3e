"""The first three characters of a VIN, and the manufacturer that they stand for, by a list that is passed in.

ISO 3780: characters 1 to 3 are the world manufacturer identifier; where the third is 9 the maker is a small one, told
apart by characters 12 to 14. It refuses to hold a list of its own: each has its source and its licence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from carnet.errors import Reason, Refused
from carnet.formats.documents import read_json
from carnet.formats.faults import Fault, compute_raw
from carnet.passport.vin import Vin
from carnet.types import show

Manufacturers: TypeAlias = Mapping[str, tuple[str, ...]]
"""Identifier (3 characters, 6 for a small maker, 2 for all of one country's maker) → names as written, none twice."""

_IDENTIFIER = re.compile(r"[A-HJ-NPR-Z0-9]{2,3}|[A-HJ-NPR-Z0-9]{6}")
_SMALL_MAKER = "9"


def read_manufacturers(data: bytes) -> tuple[dict[str, tuple[str, ...]], list[Fault]]:
    """(identifiers with their names, what could not be read) of a list: a JSON object, or lines `ABC,name`.

    An identifier may stand on several lines, each with another name. Raises Refused WRONG_ENCODING, or what `read_json`
    does for a text that begins as an object.
    """
    pairs: list[tuple[int, str, object]]
    if data.lstrip()[:1] == b"{":
        document = read_json(data)
        if not isinstance(document, dict):
            raise Refused(Reason.WRONG_TYPE, f"a list of manufacturers is an object, not {show(document)}")
        pairs = [(line, key, name) for line, (key, name) in enumerate(document.items(), 1)]
    else:
        try:
            lines = data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise Refused(Reason.WRONG_ENCODING, f"not UTF-8: byte {error.start + 1} cannot be read") from None
        parts = [(line, *text.partition(",")[::2]) for line, text in enumerate(lines, 1) if text.strip()]
        pairs = [(line, key, name) for line, key, name in parts]
    found: dict[str, tuple[str, ...]] = {}
    faults: list[Fault] = []
    for line, key, name in pairs:
        identifier = key.strip().upper()
        if _IDENTIFIER.fullmatch(identifier) is None or not isinstance(name, str) or not name.strip():
            saying = f"{show(key)} with {show(name)} is no identifier of 2, 3 or 6 characters with a name"
            raw = compute_raw(f"{key},{name}".encode())
            faults.append(Fault(line, len(faults) + 1, None, Reason.VALUE_OUT_OF_RANGE, saying, raw))
            continue
        names = found.get(identifier, ())
        if name.strip() not in names:
            found[identifier] = (*names, name.strip())
    return found, faults


def find_manufacturers(vin: Vin, manufacturers: Manufacturers) -> tuple[str, ...]:
    """The names that the list has for a VIN, by its longest identifier; empty for a legacy number or an unknown one."""
    if vin.is_legacy:
        return ()
    if vin.wmi[2] == _SMALL_MAKER:
        small = manufacturers.get(vin.wmi + vin.value[11:14])
        if small is not None:
            return small
    return manufacturers.get(vin.wmi) or manufacturers.get(vin.wmi[:2], ())
