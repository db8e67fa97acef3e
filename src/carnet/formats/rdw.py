"""Open data of the RDW (Netherlands): vehicles with the register's judgement of their odometer, fuels, recalls.

The register publishes no reading, only its verdict: the verdict is what is told, with its code, never a number. A day
that the file does not give stays unknown. It refuses to know a vehicle behind a masked plate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from carnet.errors import Reason, Refused
from carnet.formats.documents import Document, read_documents
from carnet.formats.rows import Draft, Item, Place, compute_latest, make_fault, make_item
from carnet.formats.values import find_decimal, find_text, find_whole, get_text, with_column
from carnet.passport.occurred import UNKNOWN, Occurred, join_occurred
from carnet.passport.subject import check_subject
from carnet.types import Millis, Subject, show

FORMAT = "rdw"
IDENTITY = "vehicle.identity/1"
_SAYS_NOTHING = ("Niet geregistreerd", "N.v.t.", "Geen verstrekking in Open Data")
_JUDGEMENTS = {
    "Logisch": "logical",
    "Onlogisch": "illogical",
    "Geen oordeel": "no_judgement",
    "Niet geregistreerd": "not_registered",
}
_WORDS = {
    "category": "europese_voertuigcategorie",
    "colour": "eerste_kleur",
    "make": "merk",
    "model": "handelsbenaming",
    "type_approval": "typegoedkeuringsnummer",
}
_QUANTITIES = {
    "mass_f1_kg": "technische_max_massa_voertuig",
    "mass_f2_kg": "toegestane_maximum_massa_voertuig",
    "mass_f3_kg": "maximum_massa_samenstelling",
    "mass_g1_kg": "massa_ledig_voertuig",
    "mass_g_kg": "massa_rijklaar",
    "seats": "aantal_zitplaatsen",
}
Maker = Callable[[], Draft]


def read_vehicles(chunks: Iterable[bytes], now: Millis, subject: Subject | None = None) -> Iterator[Item]:
    """Every row of a file of vehicles, of fuels or of recalls, good or faulty, in order.

    `chunks` are a JSON array, or one object a line. A vehicle gives its identity, the judgement of its odometer, and
    what is told of its title and of its next inspection; a fuel more of its identity; a recall itself. `subject` says
    which vehicle they are all about; without it that is the plate. Raises nothing for what the file holds.
    """
    latest = compute_latest(now)
    row = 0
    for document in read_documents(chunks):
        for item in _read_record(document, row, latest, subject):
            row = item.row
            yield item


def _read_record(document: Document, row: int, latest: str, known: Subject | None) -> Iterator[Item]:
    try:
        if document.refused is not None:
            raise document.refused
        record = document.value
        if not isinstance(record, dict):
            raise Refused(Reason.WRONG_TYPE, f"a record is an object with kenteken, not {show(record)}")
        written = get_text(record, "kenteken")
        plate = check_subject({"scheme": "plate", "country": "NL", "value": written}, field="kenteken")
        subject = known or plate
        drafts = list(_find_drafts(record))
    except Refused as refused:
        yield make_fault(Place(document.line, row + 1, document.origin), refused, document.data)
        return
    origin = document.origin
    for number, make in enumerate(drafts, row + 1):
        yield _finish(Place(document.line, number, origin), subject, plate, record, latest, make)


def _finish(
    place: Place, subject: Subject, plate: Subject, record: Mapping[str, Any], latest: str, make: Maker
) -> Item:
    try:
        draft = make()
    except Refused as refused:
        return make_fault(place, refused, record)
    if subject.scheme != "plate":
        draft = draft._replace(plate=plate)
    return make_item(FORMAT, place, subject, draft, latest)


def _find_drafts(record: Mapping[str, Any]) -> Iterator[Maker]:
    if "referentiecode_rdw" in record:
        yield lambda: _draft_recall(record)
        return
    if "brandstof_volgnummer" in record:
        yield lambda: _draft_fuel(record)
        return
    yield lambda: _draft_identity(record)
    if "tellerstandoordeel" in record:
        yield lambda: _draft_judgement(record)
    if "datum_tenaamstelling" in record:
        yield lambda: _draft_title(record, "change_of_holder", "datum_tenaamstelling")
    if _is_import(record):
        column = "datum_eerste_tenaamstelling_in_nederland"
        if column not in record:
            column = "datum_eerste_afgifte_nederland"
        yield lambda: _draft_title(record, "imported", column)
    if record.get("export_indicator") == "Ja":
        yield lambda: _draft_title(record, "exported", "export_indicator")
    if "vervaldatum_apk" in record:
        yield lambda: _draft_due(record)


def _is_import(record: Mapping[str, Any]) -> bool:
    """First admitted somewhere else: the first Dutch day is later than the first of all."""
    first = record.get("datum_eerste_toelating")
    dutch = record.get("datum_eerste_tenaamstelling_in_nederland", record.get("datum_eerste_afgifte_nederland"))
    return isinstance(first, str) and isinstance(dutch, str) and first < dutch


def _draft_identity(record: Mapping[str, Any]) -> Draft:
    fields: dict[str, Any] = {"country": "NL"}
    columns = {**_WORDS, **_QUANTITIES, "displacement_mm3": "cilinderinhoud", "type_variant_version": "type"}
    fields |= {field: _find_words(record, column) for field, column in _WORDS.items()}
    # A zero says that the register does not know.
    fields |= {field: find_whole(record, column) or None for field, column in _QUANTITIES.items()}
    volume = find_whole(record, "cilinderinhoud")
    fields["displacement_mm3"] = volume * 1_000 if volume else None
    fields["first_registration"] = _find_day(record, "datum_eerste_toelating").at
    names = [_find_words(record, name) for name in ("type", "variant", "uitvoering")]
    fields["type_variant_version"] = " ".join(name for name in names if name) or None
    used = [*columns.values(), "datum_eerste_toelating", "variant", "uitvoering"]
    # The file says nothing of when it was read: what it was then is of no known day.
    return Draft(IDENTITY, UNKNOWN, fields, _pick(record, used), columns)


def _draft_fuel(record: Mapping[str, Any]) -> Draft:
    columns = {
        "co2_g_per_km": "co2_uitstoot_gecombineerd",
        "energy": "brandstof_omschrijving",
        "euro_class": "uitlaatemissieniveau",
        "power_w": "nettomaximumvermogen",
    }
    power = _find_watts(record, "nettomaximumvermogen") or _find_watts(record, "netto_max_vermogen_elektrisch")
    fields = {
        "co2_g_per_km": find_whole(record, columns["co2_g_per_km"]),
        "country": "NL",
        "energy": _find_words(record, columns["energy"]),
        "euro_class": _find_words(record, columns["euro_class"]),
        "power_w": power,
    }
    return Draft(IDENTITY, UNKNOWN, fields, record, columns)


def _draft_judgement(record: Mapping[str, Any]) -> Draft:
    text = get_text(record, "tellerstandoordeel")
    if text not in _JUDGEMENTS:
        saying = f"tellerstandoordeel is {show(text)}; it is one of {', '.join(_JUDGEMENTS)}"
        raise Refused(Reason.NOT_IN_LIST, saying, field="tellerstandoordeel")
    columns = {
        "code": "code_toelichting_tellerstandoordeel",
        "last_reading_year": "jaar_laatste_registratie_tellerstand",
    }
    fields = {
        "code": find_text(record, columns["code"]),
        "country": "NL",
        "judgement": _JUDGEMENTS[text],
        "last_reading_year": find_whole(record, columns["last_reading_year"]),
        "text": text,
    }
    source = _pick(record, ["tellerstandoordeel", *columns.values()])
    return Draft("vehicle.odometer_judgement/1", UNKNOWN, fields, source, columns)


def _draft_title(record: Mapping[str, Any], type_: str, column: str) -> Draft:
    occurred = UNKNOWN if column == "export_indicator" else _find_day(record, column)
    fields = {"country": "NL", "source_code": column, "type": type_}
    return Draft("vehicle.title/1", occurred, fields, _pick(record, [column]) | {"type": type_}, {"occurred": column})


def _draft_due(record: Mapping[str, Any]) -> Draft:
    """When the periodic inspection is due: not that it took place."""
    due = _find_day(record, "vervaldatum_apk").at
    fields = {"country": "NL", "due": due, "note": "vervaldatum APK", "state": "open", "type": "inspection"}
    return Draft("vehicle.procedure/1", UNKNOWN, fields, _pick(record, ["vervaldatum_apk"]), {"due": "vervaldatum_apk"})


def _draft_recall(record: Mapping[str, Any]) -> Draft:
    # O: open; P: the manufacturer has told the register of its repair.
    states = {"O": "open", "P": "fixed"}
    code = get_text(record, "code_status")
    if code not in states:
        saying = f"code_status is {show(code)}; it is one of {', '.join(states)}"
        raise Refused(Reason.NOT_IN_LIST, saying, field="code_status")
    fields = {
        "campaign": get_text(record, "referentiecode_rdw"),
        "country": "NL",
        "state": states[code],
        "summary": find_text(record, "status"),
    }
    return Draft("vehicle.recall/1", UNKNOWN, fields, record, {"campaign": "referentiecode_rdw", "summary": "status"})


def _find_words(record: Mapping[str, Any], name: str) -> str | None:
    text = find_text(record, name)
    return None if text in _SAYS_NOTHING else text


def _find_day(record: Mapping[str, Any], name: str) -> Occurred:
    """A day written YYYYMMDD."""
    text = find_text(record, name)
    if text is None:
        return UNKNOWN
    if len(text) != 8:
        raise Refused(Reason.INVALID_TIME, f"{name} is {show(text)}; a day is written YYYYMMDD here", field=name)
    return with_column(name, lambda: join_occurred(f"{text[:4]}-{text[4:6]}-{text[6:]}", None))


def _find_watts(record: Mapping[str, Any], name: str) -> int | None:
    """Kilowatts with decimals, as watts."""
    text = find_text(record, name)
    if text is None:
        return None
    kilowatts = find_decimal(text)
    if kilowatts is None or kilowatts * 1_000 != (kilowatts * 1_000).to_integral_value():
        raise Refused(Reason.WRONG_TYPE, f"{name} is {show(text)}, not a number of kilowatts", field=name)
    return int(kilowatts * 1_000)


def _pick(record: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: record[name] for name in names if name in record}
