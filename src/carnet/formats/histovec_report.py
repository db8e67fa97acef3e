"""The report that HistoVec hands to a holder, as JSON: one vehicle, its rubrics, operations, procedures, inspections.

A report that is passed on has its VIN and plate masked: then the caller says which vehicle it is about, and nothing is
invented. It refuses to know who the holder is, and takes neither name nor address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from carnet.errors import Reason, Refused
from carnet.formats.documents import Document, read_document, read_documents
from carnet.formats.histovec_days import read_moment
from carnet.formats.histovec_identity import REPORT, read_identity, read_text
from carnet.formats.histovec_operations import PROCEDURE_STEPS
from carnet.formats.histovec_registry import Told, draft_operation, find_situation, note_told
from carnet.formats.rows import Draft, Item, Place, compute_latest, make_fault, make_item
from carnet.formats.values import find_text, find_whole, get_object, get_objects, get_text, with_column
from carnet.passport.occurred import UNKNOWN, Occurred
from carnet.passport.vin import NEARLY_VIN_LENGTH, check_not_short, check_vin
from carnet.types import Millis, Subject, show

FORMAT = "histovec report"
_STATES = (
    ("annule", "title_cancelled"),
    ("duplicata", "duplicate_title"),
    ("perdu", "title_lost"),
    ("vole", "title_stolen"),
)
_TOLD_BY = {"duplicata": "DUPLICATA", "perdu": "DECLARATION_PERTE_TITRE"}
"""The operation that tells the same."""


def read_report(data: bytes, now: Millis, subject: Subject | None = None) -> Iterator[Item]:
    """Every row of one report: the identity, each operation, what holds of the vehicle beside (liens, oppositions,
    seizures, suspensions, a theft, a title that was cancelled), and each inspection, oldest first.

    `subject` is the vehicle that the caller knows it to be about; without it the report must show its whole VIN, or
    is one fault (MISSING_FIELD). Raises nothing for what the report holds.
    """
    yield from _read_document(read_document(data), compute_latest(now), 0, subject)


def read_reports(chunks: Iterable[bytes], now: Millis, subject: Subject | None = None) -> Iterator[Item]:
    """The same for a file of reports: one alone, one a line, or an array of them."""
    latest, row = compute_latest(now), 0
    for document in read_documents(chunks):
        for item in _read_document(document, latest, row, subject):
            row = item.row
            yield item


def _read_document(document: Document, latest: str, row: int, subject: Subject | None) -> Iterator[Item]:
    try:
        if document.refused is not None:
            raise document.refused
        report = document.value
        if not isinstance(report, dict):
            raise Refused(Reason.WRONG_TYPE, f"a report is an object with vehicule, not {show(report)}")
        vehicle = get_object(report, "vehicule")
        certificate = get_object(vehicle, "certificat_immatriculation")
        rubrics = get_object(certificate, "caracteristiques_techniques")
        about = subject or _find_subject(rubrics)
        rows = list(_find_rows(report, vehicle, certificate, rubrics))
    except Refused as refused:
        yield make_fault(Place(document.line, row + 1, document.origin), refused, document.data)
        return
    origin = document.origin
    for number, (source, make) in enumerate(rows, row + 1):
        place = Place(document.line, number, origin)
        try:
            draft = make()
        except Refused as refused:
            yield make_fault(place, refused, source)
            continue
        yield make_item(FORMAT, place, about, draft, latest)


def _find_subject(rubrics: Mapping[str, Any]) -> Subject:
    vin = find_text(rubrics, "vin")
    if vin is None:
        saying = "the report masks its VIN: say which vehicle it is about (--subject)"
        raise Refused(Reason.MISSING_FIELD, saying, field="vin")
    value = check_vin(vin).value
    check_not_short(value, "If it is right, say --subject vin:…", shortest=NEARLY_VIN_LENGTH)
    return Subject("vin", value)


def _find_rows(
    report: Mapping[str, Any], vehicle: Mapping[str, Any], certificate: Mapping[str, Any], rubrics: Mapping[str, Any]
) -> Iterator[tuple[object, Callable[[], Draft]]]:
    first = certificate.get("date_premiere_immatriculation")
    known = dict(rubrics) | {"date_premiere_immatriculation": first}
    yield known, lambda: _draft_identity(known, vehicle)
    told: Told = {}
    for operation in reversed(get_objects(vehicle, "historique")):
        note_told(told, operation.get("type"), operation.get("date"))
        yield operation, lambda operation=operation: draft_operation(operation, "date", "type")  # type: ignore[misc]
    state = get_object(certificate, "etat")
    for name, type_ in _STATES:
        if state.get(name) is True and _TOLD_BY.get(name) not in told:
            yield {name: True}, lambda name=name, type_=type_: _draft_state(name, type_)  # type: ignore[misc]
    if get_object(vehicle, "etat").get("vole") is True:
        yield {"vehicule": {"vole": True}}, lambda: _draft_state("vole", "stolen")
    is_procedure_told = bool(told.keys() & PROCEDURE_STEPS.keys())
    situation = get_object(vehicle, "situation_administrative")
    yield from find_situation(situation, told, is_procedure_told=is_procedure_told)
    procedures = get_object(get_object(vehicle, "etat"), "procedures_ve")
    if procedures.get("nombre_de_procedures_ve") and not is_procedure_told:
        yield procedures, lambda: _draft_procedures(procedures)
    imported = get_object(vehicle, "import_en_france")
    if imported.get("vehicule_importe_depuis_etranger") is True:
        yield imported, lambda: _draft_import(imported)
    for inspection in get_objects(get_object(report, "controles_techniques"), "historique"):
        yield inspection, lambda inspection=inspection: _draft_inspection(inspection)  # type: ignore[misc]


def _draft_identity(rubrics: Mapping[str, Any], vehicle: Mapping[str, Any]) -> Draft:
    """The rubrics as of the day on which the register was read."""
    columns = {rubric.field: rubric.column for rubric in REPORT} | {"occurred": "date_mise_a_jour"}
    occurred = _moment(vehicle, "date_mise_a_jour")
    return Draft("vehicle.identity/1", occurred, read_identity(REPORT, rubrics), rubrics, columns)


def _draft_state(name: str, type_: str) -> Draft:
    fields = {"country": "FR", "source_code": name, "type": type_}
    return Draft("vehicle.title/1", UNKNOWN, fields, {type_: True}, {"source_code": name})


def _draft_procedures(procedures: Mapping[str, Any]) -> Draft:
    """Damage procedures of which the report tells no step: how many, and the day of the last."""
    count = find_whole(procedures, "nombre_de_procedures_ve")
    fields = {"note": f"damage procedures so far: {count}"}
    columns = {"occurred": "date_derniere_procedure_ve"}
    return Draft("vehicle.accident/1", _moment(procedures, "date_derniere_procedure_ve"), fields, procedures, columns)


def _draft_import(imported: Mapping[str, Any]) -> Draft:
    fields = {"source_code": "import_en_france", "type": "imported"}
    return Draft("vehicle.title/1", _moment(imported, "date_import"), fields, imported, {"occurred": "date_import"})


def _draft_inspection(inspection: Mapping[str, Any]) -> Draft:
    get_text(inspection, "date")
    km = find_whole(inspection, "km")
    fields = {
        "nature": read_text(inspection.get("nature")),
        "odometer_km": km,
        "odometer_state": "not_stated" if km is None else "read",
        "result": read_text(inspection.get("resultat")),
    }
    columns = {"occurred": "date", "odometer_km": "km", "result": "resultat"}
    return Draft("vehicle.inspection/1", _moment(inspection, "date"), fields, inspection, columns)


def _moment(given: Mapping[str, Any], name: str) -> Occurred:
    return with_column(name, lambda: read_moment(find_text(given, name) or ""))
