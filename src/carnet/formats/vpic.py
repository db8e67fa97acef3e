"""A decoded VIN, as the vPIC interface of the NHTSA answers it: what the vehicle is, and where it was made.

An answer with an error code other than 0 is not believed: its VIN is faulty, or its year cannot be. It refuses to know
how the answer was asked for, and adds nothing to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from carnet.errors import Reason, Refused
from carnet.formats.documents import Document, read_document, read_documents, read_json
from carnet.formats.rows import Draft, Item, Place, compute_latest, make_fault, make_item
from carnet.formats.values import find_decimal, get_objects, get_text, with_column
from carnet.formats.wmi import Manufacturers, find_manufacturers
from carnet.passport.occurred import UNKNOWN, Occurred
from carnet.passport.vin import check_not_short, check_vin
from carnet.types import Millis, Subject, show

FORMAT = "vpic"
_ASKED = re.compile(r"VIN(?:\(s\))?: ?(.+)")
# The names of the flat answers, and those of the others.
_FLAT = {
    "DisplacementCC": "Displacement (CC)",
    "EngineKW": "Engine Power (kW)",
    "ErrorCode": "Error Code",
    "FuelTypePrimary": "Fuel Type - Primary",
    "ModelYear": "Model Year",
    "PlantCity": "Plant City",
    "PlantCompanyName": "Plant Company Name",
    "PlantCountry": "Plant Country",
    "PlantState": "Plant State",
    "Seats": "Number of Seats",
}
_CLEAN = re.compile(r"0\s*(?:-.*)?")
# Countries as vPIC writes them; of others none is written.
_COUNTRIES = {
    "UNITED STATES (USA)": "US",
    "CANADA": "CA",
    "MEXICO": "MX",
    "JAPAN": "JP",
    "GERMANY": "DE",
    "ENGLAND": "GB",
    "UNITED KINGDOM (UK)": "GB",
    "SOUTH KOREA": "KR",
    "ITALY": "IT",
    "FRANCE": "FR",
    "SPAIN": "ES",
    "SWEDEN": "SE",
    "AUSTRIA": "AT",
    "BELGIUM": "BE",
    "NETHERLANDS": "NL",
    "BRAZIL": "BR",
    "CHINA": "CN",
    "INDIA": "IN",
}


class Decode(NamedTuple):
    """What an answer says of one VIN: every variable with a value, by the name that vPIC gives it."""

    vin: str
    values: Mapping[str, str]


def read_decode(data: bytes) -> Decode:
    """Read one answer on one VIN; Refused INVALID_VIN where vPIC could not decode it cleanly, MISSING_FIELD,
    WRONG_TYPE, and what `read_json` raises."""
    found = list(_find_decodes(read_json(data)))
    if len(found) != 1:
        raise Refused(Reason.WRONG_TYPE, f"the answer is about {len(found)} VINs", field="Results")
    if isinstance(found[0], Refused):
        raise found[0]
    return found[0]


def _find_decodes(document: object) -> Iterator[Decode | Refused]:
    """What an answer says of each VIN. DecodeVin gives one variable in each result, DecodeVinValues one VIN."""
    try:
        if not isinstance(document, dict):
            raise Refused(Reason.WRONG_TYPE, f"an answer is an object with Results, not {show(document)}")
        results = get_objects(document, "Results")
        if any("VIN" in result for result in results):
            yield from map(_find_flat, results)
            return
        yield _find_listed(document, results)
    except Refused as refused:
        yield refused


def _find_flat(result: Mapping[str, Any]) -> Decode | Refused:
    try:
        given = {name: value.strip() for name, value in result.items() if isinstance(value, str) and value.strip()}
        vin = with_column("VIN", lambda: _check_whole(get_text(result, "VIN")))
        values = {_FLAT.get(name, name): value for name, value in given.items()}
        _check_clean(values)
    except Refused as refused:
        return refused
    return Decode(vin, values)


def _find_listed(document: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Decode:
    asked = _ASKED.fullmatch(str(document.get("SearchCriteria") or ""))
    if asked is None:
        raise Refused(Reason.MISSING_FIELD, "the answer does not say which VIN was asked", field="SearchCriteria")
    values: dict[str, str] = {}
    for result in results:
        name, value = result.get("Variable"), result.get("Value")
        if isinstance(name, str) and isinstance(value, str) and value.strip():
            values[name] = value.strip()
    _check_clean(values)
    vin = with_column("SearchCriteria", lambda: _check_whole(asked.group(1)))
    return Decode(vin, values)


def _check_whole(text: str) -> str:
    vin = check_vin(text).value
    # vPIC decodes the beginning of a VIN too: what it says then is of many vehicles.
    check_not_short(vin, "Ask vPIC for the whole VIN")
    return vin


def _check_clean(values: Mapping[str, str]) -> None:
    error = values.get("Error Code", "")
    if _CLEAN.fullmatch(error) is None:
        saying = f"vPIC does not vouch for this answer: {error or 'it has no error code'}"
        raise Refused(Reason.INVALID_VIN, saying, field="Error Code")


def read_answer(data: bytes, now: Millis, manufacturers: Manufacturers | None = None) -> Iterator[Item]:
    """The rows of one answer: of each VIN the identity, and the manufacture where its year, plant or manufacturer is
    told; or one fault. `manufacturers` is a list that names the maker by the first characters of the VIN."""
    yield from _read_document(read_document(data), compute_latest(now), 0, manufacturers or {})


def read_answers(chunks: Iterable[bytes], now: Millis, manufacturers: Manufacturers | None = None) -> Iterator[Item]:
    """The same for a file of answers: one alone, one a line, or an array of them."""
    latest, row = compute_latest(now), 0
    for document in read_documents(chunks):
        for item in _read_document(document, latest, row, manufacturers or {}):
            row = item.row
            yield item


def _read_document(document: Document, latest: str, row: int, manufacturers: Manufacturers) -> Iterator[Item]:
    try:
        if document.refused is not None:
            raise document.refused
    except Refused as refused:
        yield make_fault(Place(document.line, row + 1, document.origin), refused, document.data)
        return
    origin = document.origin
    for decode in _find_decodes(document.value):
        place = Place(document.line, row + 1, origin)
        if isinstance(decode, Refused):
            row += 1
            yield make_fault(place, decode, document.data)
            continue
        for item in _read_decode(decode, place, latest, manufacturers):
            row = item.row
            yield item


def _read_decode(decode: Decode, place: Place, latest: str, manufacturers: Manufacturers) -> Iterator[Item]:
    names = find_manufacturers(check_vin(decode.vin), manufacturers)
    makers: list[Callable[[], Draft]] = [lambda: _draft_identity(decode)]
    if names or {"Model Year", "Plant City", "Plant Country"} & set(decode.values):
        makers.append(lambda: _draft_manufacture(decode, names))
    for number, make in enumerate(makers, place.row):
        place = place._replace(row=number)
        try:
            draft = make()
        except Refused as refused:
            yield make_fault(place, refused, dict(decode.values))
            continue
        yield make_item(FORMAT, place, Subject("vin", decode.vin), draft, latest)


def _draft_identity(decode: Decode) -> Draft:
    columns = {
        "displacement_mm3": "Displacement (CC)",
        "energy": "Fuel Type - Primary",
        "make": "Make",
        "model": "Model",
        "power_w": "Engine Power (kW)",
        "seats": "Number of Seats",
    }
    values = decode.values
    fields = {
        "displacement_mm3": _find_scaled(values, columns["displacement_mm3"], 1_000),
        "energy": values.get(columns["energy"]),
        "make": values.get("Make"),
        "model": values.get("Model"),
        "power_w": _find_scaled(values, columns["power_w"], 1_000),
        "seats": _find_scaled(values, columns["seats"], 1),
    }
    return Draft(
        "vehicle.identity/1", UNKNOWN, fields, dict(values), columns | {"displacement_mm3": "Displacement (CC)"}
    )


def _draft_manufacture(decode: Decode, manufacturers: Sequence[str]) -> Draft:
    """The plant and the model year, which begins in the year before: no year of manufacture is made of it. Whoever the
    list names is told in a note, which says where that comes from."""
    values = decode.values
    plant = [values[name] for name in ("Plant Company Name", "Plant City", "Plant State") if name in values]
    fields = {
        "country": _COUNTRIES.get(values.get("Plant Country", "").upper()),
        "model_year": _find_scaled(values, "Model Year", 1),
        "note": _name_manufacturers(decode.vin, manufacturers),
        "plant": ", ".join(plant) or None,
    }
    columns = {"model_year": "Model Year", "plant": "Plant City", "country": "Plant Country"}
    return Draft("vehicle.manufacture/1", Occurred(None, "unknown", None), fields, dict(values), columns)


def _name_manufacturers(vin: str, names: Sequence[str]) -> str | None:
    return f"manufacturer by the VIN's first characters, {vin[:3]}: {' or '.join(names)}"[:400] if names else None


def _find_scaled(values: Mapping[str, str], name: str, factor: int) -> Any:
    """A number with decimals times a factor, to the nearest whole; None where it is absent. Refused WRONG_TYPE."""
    text = values.get(name)
    if text is None:
        return None
    number = find_decimal(text)
    if number is None:
        raise Refused(Reason.WRONG_TYPE, f"{name} is {show(text)}, not a number", field=name)
    return int((number * factor).to_integral_value())
