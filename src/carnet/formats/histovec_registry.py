"""The file of the French register (anonymised): one vehicle a line, its rubrics, operations and situation inside.

Each of these is one row: the identity, each operation, each damage procedure, and what the situation tells that no
operation has told. Steps of a procedure that the line describes as a whole are not told twice. No VIN is invented out
of a masked one: the subject is the file's own id. It refuses to know what a title is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from carnet.errors import Reason, Refused
from carnet.formats.documents import Document, read_documents
from carnet.formats.histovec_days import read_moment, read_slashed_day
from carnet.formats.histovec_identity import REGISTRY, read_identity, read_text
from carnet.formats.histovec_operations import PROCEDURE_STEPS, find_country, get_title_type
from carnet.formats.rows import Draft, Item, Place, compute_latest, make_fault, make_item
from carnet.formats.values import find_text, get_object, get_objects, with_column
from carnet.passport.occurred import UNKNOWN, Occurred
from carnet.passport.subject import check_subject
from carnet.types import Millis, Subject, show

FORMAT = "histovec registry"
IDENTITY, TITLE, ACCIDENT = "vehicle.identity/1", "vehicle.title/1", "vehicle.accident/1"

# Where the situation repeats an operation: the list, the title that it means, and the operations that told it.
_SITUATION: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("oves", "opposition_registered", ("INSCRIRE_OVE",)),
    ("oveis", "opposition_registered", ("INSCRIRE_OVE", "INSCRIRE_OPPOSITION")),
    ("otcis", "opposition_registered", ("INSCRIRE_OTCI",)),
    ("otcis_pv", "opposition_registered", ("INSCRIRE_OTCI",)),
    ("gages", "lien_registered", ("INSCRIPTION_GAGE", "PROROG_GAGE", "CESSION_GAGE")),
    ("dvs", "seizure_registered", ("INSCRIRE_DVS", "RENOUV_DVS")),
    # What a report calls them.
    ("declarations_valant_saisie", "seizure_registered", ("INSCRIRE_DVS", "RENOUV_DVS")),
    ("suspensions", "suspended", ("REIMMAT_ETRANGER", "SORTIE_TERRITOIRE", "RETRAIT_VOLONTAIRE")),
)
_FLAGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("vehicule_vole", "stolen", ()),
    ("ci_vole", "title_stolen", ()),
    ("perte_ci", "title_lost", ("DECLARATION_PERTE_TITRE",)),
    ("duplicata", "duplicate_title", ("DUPLICATA",)),
)
_TITLE_COLUMNS = {"occurred": "opa_date", "source_code": "opa_type", "reference": "id_pve", "note": "ope_date_annul"}

_HOLDERS = ("nom_creancier", "dvs_autorite", "nom_autorite", "nom_personne_morale")

# Code of an operation → the days on which it was told.
Told = dict[str, set[str]]

# A draft is made only when its row is reached, so that its fault is its own.
Maker = Callable[[], Draft]


def read_registry(chunks: Iterable[bytes], now: Millis) -> Iterator[Item]:
    """Every row of the file, good or faulty, in order; the last number is their count.

    `chunks` are the file's bytes, unpacked, in pieces of any size; `now` bounds dates. A line of which nothing can be
    read is one faulty row. Raises nothing for what the file holds.
    """
    latest = compute_latest(now)
    row = 0
    for document in read_documents(chunks):
        for item in _read_vehicle(document, row, latest):
            row = item.row
            yield item


def _read_vehicle(document: Document, row: int, latest: str) -> Iterator[Item]:
    try:
        if document.refused is not None:
            raise document.refused
        subject, registration = _read_frame(document.value)
        makers = list(_find_rows(registration))
    except Refused as refused:
        yield make_fault(Place(document.line, row + 1, document.origin), refused, document.data)
        return
    origin = document.origin
    for number, (source, make) in enumerate(makers, row + 1):
        place = Place(document.line, number, origin)
        try:
            draft = make()
        except Refused as refused:
            yield make_fault(place, refused, source)
            continue
        yield make_item(FORMAT, place, subject, draft, latest)


def _read_frame(document: object) -> tuple[Subject, Mapping[str, Any]]:
    """The subject and the registration of a line, whose lists hold objects only."""
    if not isinstance(document, dict):
        raise Refused(Reason.WRONG_TYPE, f"a line is an object with vehicle and registration, not {show(document)}")
    for name in ("vehicle", "registration"):
        if document.get(name) is None:
            raise Refused(Reason.MISSING_FIELD, f"the line lacks {name}", field=name)
    registration = get_object(document, "registration")
    subject = check_subject({"scheme": "histovec", "value": document["vehicle"]}, field="vehicle")
    return subject, registration


def _find_rows(given: Mapping[str, Any]) -> Iterator[tuple[object, Maker]]:
    """Each row of a vehicle with what the file says of it: the identity first, then what happened, oldest first."""
    rubrics = {name: value for name, value in given.items() if not isinstance(value, (dict, list))}
    yield rubrics, lambda: _draft_identity(rubrics)
    operations = get_objects(given, "historique")
    procedures = get_objects(given, "pve")
    # Compared, not hashed: a file may hold an object where a text belongs, which its own row will tell.
    described = [procedure.get("id_pve") for procedure in procedures]
    told: Told = {}
    for operation in reversed(operations):
        code = operation.get("opa_type")
        note_told(told, code, operation.get("opa_date"))
        if not (isinstance(code, str) and code in PROCEDURE_STEPS and operation.get("id_pve") in described):
            yield operation, lambda operation=operation: draft_operation(operation, "opa_date", "opa_type")  # type: ignore[misc]
    for procedure in procedures:
        yield procedure, lambda procedure=procedure: _draft_procedure(procedure)  # type: ignore[misc]
    yield from _find_situation(given, told)


def note_told(told: Told, code: object, day: object) -> None:
    """Note that an operation was told, and on which day."""
    days = told.setdefault(code if isinstance(code, str) else "", set())
    at = _find_day(day)
    if at is not None:
        days.add(at)


def find_situation(
    situation: Mapping[str, Any], told: Told, *, is_procedure_told: bool
) -> Iterator[tuple[object, Maker]]:
    """What holds of a vehicle (liens, oppositions, seizures, suspensions) and no operation has told. Refused
    WRONG_TYPE."""
    lists = {**situation, **get_object(situation, "opposition")}
    for name, type_, operations in _SITUATION:
        for entry in get_objects(lists, name):
            # A controlled repair that suspends is told by its procedure.
            if _is_told(name, entry, operations, told) or (entry.get("motif") == "PVE" and is_procedure_told):
                continue
            yield entry, lambda n=name, t=type_, e=entry: _draft_situation(n, t, e)  # type: ignore[misc]


def _is_told(name: str, entry: Mapping[str, Any], operations: Sequence[str], told: Told) -> bool:
    """Whether an operation is the one that an entry repeats: the same act, where both say their day. A suspension holds
    from another day than that of the operation which wrote it down."""
    found = [told[code] for code in operations if code in told]
    day = None if name == "suspensions" else _find_day(entry.get("date"))
    if day is None or not all(found):
        return bool(found)
    wanted = date.fromisoformat(day)
    # An operation has its time in UTC, and an entry its day in France.
    return any(abs((date.fromisoformat(each) - wanted).days) <= 1 for days in found for each in days)


def _find_day(value: object) -> str | None:
    try:
        at = read_moment(value).at if isinstance(value, str) else None
    except Refused:
        # Its own row says what is wrong with it.
        return None
    return None if at is None else at[:10]


def _find_situation(given: Mapping[str, Any], told: Told) -> Iterator[tuple[object, Maker]]:
    yield from find_situation(get_object(given, "sit_adm"), told, is_procedure_told=bool(given.get("pve")))
    for name, type_, operations in _FLAGS:
        if given.get(name) == "OUI" and not told.keys() & {*operations}:
            yield {name: "OUI"}, lambda t=type_, n=name: Draft(TITLE, UNKNOWN, _title(t, n), {n: "OUI"}, {})  # type: ignore[misc]
    if given.get("annulation_ci") == "OUI":
        cancelled = {"annulation_ci": "OUI", "date_annulation_ci": given.get("date_annulation_ci")}
        yield cancelled, lambda: _draft_dated("title_cancelled", "annulation_ci", "date_annulation_ci", cancelled)
    if given.get("import") == "OUI":
        names = ("import", "date_import_france", "imp_imp_pays", "date_premiere_immat_etranger")
        imported = {name: given.get(name) for name in names}
        yield imported, lambda: _draft_import(imported)
    # Each procedure has its own row; a claim without one is known by the day of the last alone.
    if given.get("nb_sinistres") and not given.get("pve"):
        claims = {"nb_sinistres": given["nb_sinistres"], "date_dernier_sinistre": given.get("date_dernier_sinistre")}
        yield claims, lambda: _draft_claims(claims)


def _draft_identity(rubrics: Mapping[str, Any]) -> Draft:
    fields = read_identity(REGISTRY, rubrics)
    # The rubrics are those of the last change of the file; an older register does not tell when that was.
    changed = _read_day(rubrics.get("dos_date_derniere_modif"), "dos_date_derniere_modif")
    columns = {rubric.field: rubric.column for rubric in REGISTRY} | {"occurred": "dos_date_derniere_modif"}
    return Draft(IDENTITY, changed, fields, rubrics, columns)


def draft_operation(operation: Mapping[str, Any], day: str, code: str) -> Draft:
    """The draft of one operation, whose day and code stand in these columns. Refused MISSING_FIELD, WRONG_TYPE,
    INVALID_TIME."""
    for name in (day, code):
        if not isinstance(operation.get(name), str):
            reason = Reason.MISSING_FIELD if operation.get(name) is None else Reason.WRONG_TYPE
            raise Refused(reason, f"an operation needs {name}, as a text", field=name)
    occurred = with_column(day, lambda: read_moment(operation[day]))
    columns = _TITLE_COLUMNS | {"occurred": day, "source_code": code}
    if operation[code] in PROCEDURE_STEPS:
        fields = {"procedure": PROCEDURE_STEPS[operation[code]], "reference": _read_reference(operation)}
        return Draft(ACCIDENT, occurred, fields, operation, columns | {"procedure": code})
    fields = _title(get_title_type(operation[code]), operation[code])
    for name in ("ope_date_annul", "date_annulation"):
        text = find_text(operation, name)
        if text is not None:
            annulled = _day_of(_moment(text, name))
            fields["note"] = "annulled" if annulled is None else f"annulled on {annulled}"
    return Draft(TITLE, occurred, fields, operation, columns | {"type": code})


def _draft_procedure(procedure: Mapping[str, Any]) -> Draft:
    """One controlled-repair procedure as a whole: its declaration, and the two reports where they were made."""
    steps = {name: get_object(procedure, name) for name in ("decl", "prem", "deux")}
    days = {name: _moment(step.get("date"), f"{name}.date") for name, step in steps.items()}
    is_open = procedure.get("en_cours") == "OUI"
    last = next((step for step in ("deux", "prem", "decl") if days[step].at is not None), "decl")
    procedure_state = {"deux": "second_report", "prem": "first_report", "decl": "opened"}[last]
    notes = []
    for name, words in (("dangereux", "dangerous"), ("tech_reparable", "technically repairable")):
        said = steps["decl"].get(name)
        if said in ("OUI", "NON"):
            notes.append(words if said == "OUI" else f"not {words}")
    fields = {
        "expert_approval": read_text(steps["decl"].get("num_agree")),
        "first_report": _day_of(days["prem"]),
        "note": ", ".join(notes) or None,
        "procedure": procedure_state if is_open else "closed",
        "reference": _read_reference(procedure),
        "second_report": _day_of(days["deux"]),
    }
    columns = {
        "occurred": "decl.date",
        "first_report": "prem.date",
        "second_report": "deux.date",
        "expert_approval": "decl.num_agree",
        "reference": "id_pve",
    }
    return Draft(ACCIDENT, days["decl"], fields, procedure, columns)


def _read_reference(given: Mapping[str, Any]) -> str | None:
    return with_column("id_pve", lambda: read_text(given.get("id_pve")))


def _draft_situation(name: str, type_: str, entry: Mapping[str, Any]) -> Draft:
    fields = _title(type_, read_text(entry.get("motif")) or name)
    holder = next((text for name in _HOLDERS if (text := read_text(entry.get(name))) is not None), None)
    if holder is not None:
        fields["note"] = holder
    columns = {"occurred": "date", "source_code": "motif", "note": "nom_creancier"}
    return Draft(TITLE, _moment(entry.get("date"), "date"), fields, {name: entry}, columns)


def _draft_dated(type_: str, code: str, day: str, source: Mapping[str, Any]) -> Draft:
    return Draft(TITLE, _read_day(source[day], day), _title(type_, code), source, {"occurred": day})


def _draft_import(source: Mapping[str, Any]) -> Draft:
    """The import, on the day of it where the file tells one, or else unknown; the country is the one it came from."""
    fields = _title("imported", "import") | {"country": find_country(read_text(source["imp_imp_pays"]))}
    first = _moment(source["date_premiere_immat_etranger"], "date_premiere_immat_etranger").at
    if first is not None:
        fields["note"] = f"first registered abroad on {first[:10]}"
    return Draft(TITLE, _read_day(source["date_import_france"], "date_import_france"), fields, source, {})


def _draft_claims(source: Mapping[str, Any]) -> Draft:
    if isinstance(source["nb_sinistres"], bool) or not isinstance(source["nb_sinistres"], int):
        raise Refused(Reason.WRONG_TYPE, f"{show(source['nb_sinistres'])} is not a count", field="nb_sinistres")
    occurred = _read_day(source["date_dernier_sinistre"], "date_dernier_sinistre")
    note = f"claims declared so far: {source['nb_sinistres']}"
    return Draft(ACCIDENT, occurred, {"note": note}, source, {"occurred": "date_dernier_sinistre"})


def _title(type_: str, code: str) -> dict[str, Any]:
    return {"country": "FR", "source_code": code, "type": type_}


def _read_day(value: object, column: str) -> Occurred:
    day = with_column(column, lambda: read_slashed_day(read_text(value) or ""))
    return UNKNOWN if day is None else Occurred(day, "day", None)


def _moment(value: object, column: str) -> Occurred:
    return with_column(column, lambda: read_moment(read_text(value) or ""))


def _day_of(occurred: Occurred) -> str | None:
    return None if occurred.at is None else occurred.at[:10]
