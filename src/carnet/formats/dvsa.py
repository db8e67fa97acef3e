"""Test records of the DVSA (Great Britain): those of lorries, buses and trailers, and the MOT history of cars.

Each test is one inspection, its reading in the unit in which it was read. A test that was cancelled is an inspection
that says so. Earlier versions of a record (`testHistory`) are not told again. It refuses to know names of testers, and
to find a vehicle behind a registration mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from carnet.errors import Reason, Refused
from carnet.formats.documents import Document, read_documents
from carnet.formats.rows import Draft, Item, Place, compute_latest, make_fault, make_item
from carnet.formats.values import find_text, find_whole, get_object, get_objects, get_text, with_column
from carnet.passport.occurred import Occurred, parse_occurred
from carnet.passport.subject import check_subject, find_subject
from carnet.passport.vin import NEARLY_VIN_LENGTH, check_not_short
from carnet.types import Millis, Subject, show

FORMAT = "dvsa"
INSPECTION, IDENTITY = "vehicle.inspection/1", "vehicle.identity/1"
_UNITS = {"kilometres": "odometer_km", "km": "odometer_km", "miles": "odometer_mi", "mi": "odometer_mi"}
# PRS: passed after rectification at the station.
_RESULTS = {"pass": "PASSED", "fail": "FAILED", "prs": "GB:PRS", "abandoned": "GB:ABANDONED"}
_MOT_RESULTS = {"PASSED": "PASSED", "FAILED": "FAILED", "ABANDONED": "GB:ABANDONED", "ABORTED": "GB:ABORTED"}
_SEVERITIES = ("dangerous", "major", "minor", "advisory")
_ODOMETER_STATES = {"READ": "read", "UNREADABLE": "unreadable", "NO_ODOMETER": "no_odometer"}
_PLACES = ("longitudinal", "lateral", "vertical", "horizontal", "axleNumber", "rowNumber", "seatNumber")


def read_tests(chunks: Iterable[bytes], now: Millis, subject: Subject | None = None) -> Iterator[Item]:
    """Every test of a file, good or faulty, in order; the last row number is their count.

    `chunks` are a JSON array, one object a line, or one object: records with `vin` and `testTypes`, or vehicles with
    `registration` and `motTests`. A vehicle that shows only its mark has the plate for subject, unless `subject` says
    which vehicle it is. Raises nothing for what the file holds.
    """
    latest = compute_latest(now)
    row = 0
    for document in read_documents(chunks):
        for item in _read_record(document, row, latest, subject):
            row = item.row
            yield item


def _read_record(document: Document, row: int, latest: str, known: Subject | None) -> Iterator[Item]:
    place = Place(document.line, row + 1, document.origin)
    try:
        if document.refused is not None:
            raise document.refused
        record = document.value
        if not isinstance(record, dict):
            raise Refused(Reason.WRONG_TYPE, f"a test record is an object, not {show(record)}")
        is_mot = "motTests" in record
        tests = get_objects(record, "motTests" if is_mot else "testTypes")
        if not is_mot and "testTypes" not in record:
            saying = "a record has testTypes (lorries, buses) or motTests (cars)"
            raise Refused(Reason.MISSING_FIELD, saying, field="testTypes")
        subject = known or _find_subject(record)
        plate = None if subject.scheme == "plate" else _find_plate(record)
    except Refused as refused:
        yield make_fault(place, refused, document.data)
        return
    frame = {name: value for name, value in record.items() if not isinstance(value, (dict, list))}
    if is_mot:
        yield _finish(place, subject, plate, frame, latest, lambda: _draft_identity(frame))
        place = place._replace(row=place.row + 1)
    for test in tests:
        source = {"record": frame, "test": test}
        if is_mot:
            yield _finish(place, subject, plate, source, latest, lambda s=source, t=test: _draft_mot_test(s, t))
        else:
            yield _finish(place, subject, plate, source, latest, lambda s=source, t=test: _draft_test(s, record, t))
        place = place._replace(row=place.row + 1)


def _finish(place: Place, subject: Subject, plate: Subject | None, source: object, latest: str, make: Any) -> Item:
    try:
        draft: Draft = make()
    except Refused as refused:
        return make_fault(place, refused, source)
    return make_item(FORMAT, place, subject, draft._replace(plate=plate), latest)


def _find_subject(record: Mapping[str, Any]) -> Subject:
    vin = find_text(record, "vin")
    if vin is not None:
        subject = check_subject({"scheme": "vin", "value": vin}, field="vin")
        # Trailers bear shorter numbers of their makers.
        check_not_short(subject.value, "If it is right, say --subject vin:…", shortest=NEARLY_VIN_LENGTH)
        return subject
    plate = get_text(record, "registration")
    return check_subject({"scheme": "plate", "country": "GB", "value": plate}, field="registration")


def _find_plate(record: Mapping[str, Any]) -> Subject | None:
    """The mark that a record shows beside its VIN, where it is one; trailers have a number of another kind."""
    mark = find_text(record, "vrm") or find_text(record, "registration")
    return None if mark is None else find_subject("plate", mark, "GB")


# ---- records of lorries, buses and trailers


def _draft_test(source: object, record: Mapping[str, Any], test: Mapping[str, Any]) -> Draft:
    started = _moment(test, "testTypeStartTimestamp") or _moment(record, "testStartTimestamp")
    if started is None:
        raise Refused(Reason.MISSING_FIELD, "the test has no start", field="testStartTimestamp")
    code = find_text(test, "testCode")
    number = find_text(test, "certificateNumber") or find_text(test, "testNumber")
    fields = {
        "centre": _join((find_text(record, "testStationName"), find_text(record, "testStationPNumber"))),
        "defects": [*map(_read_defect, get_objects(test, "defects")), *_read_custom_defects(test)],
        "end_time": _find_end(_moment(test, "testTypeEndTimestamp"), started),
        "nature": None if code is None else f"GB:{code.upper()}",
        "report_number": number,
        "result": _find_result(record, test),
        "valid_until": _find_day(test, "testExpiryDate"),
        **_read_odometer(record),
    }
    columns = {
        "occurred": "testTypeStartTimestamp",
        "odometer_km": "odometerReading",
        "odometer_mi": "odometerReading",
        "nature": "testCode",
        "result": "testResult",
        "report_number": "certificateNumber",
        "centre": "testStationName",
        "valid_until": "testExpiryDate",
    }
    return Draft(INSPECTION, started, fields, source, columns)


def _find_result(record: Mapping[str, Any], test: Mapping[str, Any]) -> str | None:
    if find_text(record, "testStatus") == "cancelled":
        return "GB:CANCELLED"
    result = find_text(test, "testResult")
    if result is None:
        return None
    if result not in _RESULTS:
        saying = f"testResult is {show(result)}; it is one of {', '.join(_RESULTS)}"
        raise Refused(Reason.NOT_IN_LIST, saying, field="testResult")
    return _RESULTS[result]


def _read_odometer(record: Mapping[str, Any]) -> dict[str, Any]:
    reading = find_whole(record, "odometerReading")
    if reading is None:
        # A trailer has none; of anything else the record is silent.
        return {"odometer_state": "no_odometer" if record.get("vehicleType") == "trl" else "not_stated"}
    return {"odometer_state": "read", _find_unit(record, "odometerReadingUnits"): reading}


def _find_unit(given: Mapping[str, Any], name: str) -> str:
    unit = (find_text(given, name) or "").lower()
    if unit not in _UNITS:
        saying = f"{name} is {show(unit)}; a reading needs kilometres or miles"
        raise Refused(Reason.NOT_IN_LIST if unit else Reason.MISSING_FIELD, saying, field=name)
    return _UNITS[unit]


def _read_defect(defect: Mapping[str, Any]) -> dict[str, Any]:
    category = (find_text(defect, "deficiencyCategory") or "").lower()
    if category and category not in _SEVERITIES:
        saying = f"deficiencyCategory is {show(category)}; it is one of {', '.join(_SEVERITIES)}"
        raise Refused(Reason.NOT_IN_LIST, saying, field="deficiencyCategory")
    more = get_object(defect, "additionalInformation")
    notes = find_text(more, "notes")
    parts = [find_text(defect, name) for name in ("imDescription", "itemDescription", "deficiencyText")]
    text = _join((*parts, None if notes in (None, "None") else notes))
    where = get_object(more, "location")
    names = [(name.removesuffix("Number"), where[name]) for name in _PLACES if where.get(name) is not None]
    return {
        "code": find_text(defect, "deficiencyRef"),
        "location": ", ".join(value if isinstance(value, str) else f"{name} {value}" for name, value in names) or None,
        "severity": category or None,
        "text": text or find_text(defect, "deficiencyRef"),
    }


def _read_custom_defects(test: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Defects of a test without a manual of its own: how grave they are is not told."""
    for defect in get_objects(test, "customDefects"):
        text = _join((find_text(defect, "defectName"), find_text(defect, "defectNotes")))
        yield {"code": find_text(defect, "referenceNumber"), "text": text}


# ---- the MOT history of cars


def _draft_identity(frame: Mapping[str, Any]) -> Draft:
    engine = find_whole(frame, "engineSize")
    fields = {
        "colour": find_text(frame, "primaryColour"),
        "country": "GB",
        "displacement_mm3": None if engine is None else engine * 1_000 or None,
        "energy": find_text(frame, "fuelType"),
        "first_registration": _find_day(frame, "registrationDate"),
        "make": find_text(frame, "make"),
        "model": find_text(frame, "model"),
    }
    columns = {"displacement_mm3": "engineSize", "first_registration": "registrationDate", "energy": "fuelType"}
    return Draft(IDENTITY, Occurred(None, "unknown", None), fields, frame, columns)


def _draft_mot_test(source: object, test: Mapping[str, Any]) -> Draft:
    completed = _moment(test, "completedDate")
    if completed is None:
        raise Refused(Reason.MISSING_FIELD, "the test has no completedDate", field="completedDate")
    result = get_text(test, "testResult")
    if result not in _MOT_RESULTS:
        saying = f"testResult is {show(result)}; it is one of {', '.join(_MOT_RESULTS)}"
        raise Refused(Reason.NOT_IN_LIST, saying, field="testResult")
    # The name of the list in the first version of the interface.
    defects = get_objects(test, "defects" if "defects" in test else "rfrAndComments")
    fields = {
        "defects": [_read_mot_defect(defect) for defect in defects],
        "report_number": find_text(test, "motTestNumber"),
        "result": _MOT_RESULTS[result],
        "valid_until": _find_day(test, "expiryDate"),
        **_read_mot_odometer(test),
    }
    columns = {
        "occurred": "completedDate",
        "odometer_km": "odometerValue",
        "odometer_mi": "odometerValue",
        "odometer_state": "odometerResultType",
        "report_number": "motTestNumber",
        "valid_until": "expiryDate",
        "result": "testResult",
    }
    return Draft(INSPECTION, completed, fields, source, columns)


def _read_mot_odometer(test: Mapping[str, Any]) -> dict[str, Any]:
    said = find_text(test, "odometerResultType")
    value = find_whole(test, "odometerValue")
    if said is None:
        said = "READ" if value is not None else None
    if said is None:
        return {"odometer_state": "not_stated"}
    if said not in _ODOMETER_STATES:
        saying = f"odometerResultType is {show(said)}; it is one of {', '.join(_ODOMETER_STATES)}"
        raise Refused(Reason.NOT_IN_LIST, saying, field="odometerResultType")
    if said != "READ":
        return {"odometer_state": _ODOMETER_STATES[said]}
    if value is None:
        raise Refused(
            Reason.MISSING_FIELD, "the odometer was read, and odometerValue is missing", field="odometerValue"
        )
    return {"odometer_state": "read", _find_unit(test, "odometerUnit"): value}


def _read_mot_defect(defect: Mapping[str, Any]) -> dict[str, Any]:
    kind = (find_text(defect, "type") or "").lower()
    # Before May 2018 a defect was a FAIL or an ADVISORY: how grave a failure was, nobody said.
    severity = "dangerous" if defect.get("dangerous") is True else (kind if kind in _SEVERITIES else None)
    return {"severity": severity, "text": get_text(defect, "text")}


# ---- moments and words


def _moment(given: Mapping[str, Any], name: str) -> Occurred | None:
    """A moment as written; the first interface writes dots in its dates."""
    text = find_text(given, name)
    if text is None:
        return None
    return with_column(name, lambda: parse_occurred(text[:10].replace(".", "-") + text[10:]))


def _find_day(given: Mapping[str, Any], name: str) -> str | None:
    occurred = _moment(given, name)
    return None if occurred is None or occurred.at is None else occurred.at[:10]


def _find_end(ended: Occurred | None, started: Occurred) -> str | None:
    """The end as a time of the same day and zone, or nothing."""
    if ended is None or ended.at is None or started.at is None or len(ended.at) < 16:
        return None
    is_same = ended.at[:10] == started.at[:10] and ended.zone == started.zone
    return ended.at[11:] if is_same else None


def _join(parts: Iterable[str | None]) -> str | None:
    return " ".join(part for part in parts if part) or None
