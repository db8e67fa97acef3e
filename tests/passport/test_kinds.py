"""The built-in kinds: complete fields out of what was given, and one refusal for each reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.passport.kinds import all_kinds, get_schema, read_schema
from carnet.types import INT_MAX, Mark
from tests.passport.kind_examples import DAY, KINDS, VIN, make_fields
from tests.shared import shared_file

INSPECTION = "vehicle.inspection/1"


def refuse(of_kind: str, /, **changes: Any) -> Refused:
    schema, fields = get_schema(of_kind), make_fields(of_kind, **changes)
    with pytest.raises(Refused) as refused:
        schema.validate(fields)
    with pytest.raises(Refused) as general:
        schema.validate_by_document(fields)
    assert (general.value.reason, general.value.facts) == (refused.value.reason, refused.value.facts)
    assert schema.find_faults(fields)[0].reason is refused.value.reason
    return refused.value


def test_all_kinds__are_those_of_the_first_release() -> None:
    assert set(KINDS) == set(all_kinds())
    assert len(KINDS) == 37


@pytest.mark.parametrize("kind", KINDS)
def test_validate__completes_with_nulls_in_name_order(kind: str) -> None:
    schema, fields = get_schema(kind), make_fields(kind)
    before = json.dumps(fields)
    values = schema.validate(fields)
    assert json.dumps(fields) == before
    assert tuple(values) == schema.names == tuple(sorted(schema.names))
    for name, value in values.items():
        if name not in fields:
            assert value is None
        elif not isinstance(fields[name], (dict, list)):
            assert value == fields[name]
    assert list(schema.validate(values)) == list(values)
    assert schema.validate(values) == values == schema.validate_by_document(fields)


@pytest.mark.parametrize("kind", KINDS)
def test_validate__works_from_the_document_alone(kind: str) -> None:
    document = json.loads(json.dumps(get_schema(kind).document()))
    voted = read_schema(document)
    assert voted == get_schema(kind)
    assert voted.document() == document
    assert voted.validate(make_fields(kind)) == get_schema(kind).validate(make_fields(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_document__is_canonical_json(kind: str) -> None:
    def walk(value: object) -> None:
        assert value is None or isinstance(value, (dict, list, str, bool, int))
        if isinstance(value, dict):
            for name, inner in value.items():
                assert re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name)
                walk(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                walk(inner)

    walk(json.loads(json.dumps(get_schema(kind).document())))


def test_document__says_every_limit() -> None:
    document = get_schema(INSPECTION).document()
    text = json.dumps(document)
    # Each of these is a promise to whoever writes an entry: were one missing, a changed limit would keep its digest.
    for part in ('"max_length": 120', '"max_items": 200', '"minimum": 0', '"maximum": 9999999', '"national": true'):
        assert part in text
    assert {"rule": "one_when", "field": "odometer_state", "value": "read"}.items() <= document["rules"][0].items()


@pytest.mark.parametrize("kind", ["vehicle.odometer/1", INSPECTION, "vehicle.service/1"])
def test_names__of_hot_kinds_are_few(kind: str) -> None:
    # Each field costs a salt and a hash.
    assert len(get_schema(kind).names) <= 14


def test_marks__are_those_that_the_kind_means() -> None:
    marks = {kind: get_schema(kind).marks for kind in KINDS}
    assert marks["passport.opened/1"] == marks["journal.opened/1"] == {Mark.NONE}
    assert marks["passport.transferred/1"] == {Mark.TRANSFER}
    assert marks["passport.moved/1"] == {Mark.MOVE}
    assert marks["passport.contested/1"] == {Mark.CONTESTS}
    assert marks["passport.corrected/1"] == marks["passport.rectified/1"] == {Mark.SUPERSEDES}
    others = [each for kind, each in marks.items() if kind.startswith("vehicle.")] + [marks["passport.closed/1"]]
    assert all(each == {Mark.NONE, Mark.SUPERSEDES} for each in others)
    # An agreement is never rewritten, and an access never taken back: their ends are entries of their own.
    journal = {kind for kind in KINDS if kind.startswith("journal.")}
    assert all(marks[kind] == {Mark.NONE} for kind in journal)
    assert {kind for kind in KINDS if get_schema(kind).chain == "journal"} == journal
    assert len(journal) == 5


@pytest.mark.parametrize(
    "asked,suggestion",
    [
        ("vehicle.inspecton/1", INSPECTION),
        ("vehicle.odometer", "vehicle.odometer/1"),
        ("odometer", "vehicle.odometer/1"),
        ("vehicle.odometer/2", "vehicle.odometer/1"),
        ("zzz", None),
        (7, None),
        ([], None),
        ("x" * 100_000, None),
    ],
)
def test_get_schema__refused_unknown_kind(asked: object, suggestion: str | None) -> None:
    with pytest.raises(Refused) as refused:
        get_schema(asked)
    assert refused.value.reason is Reason.UNKNOWN_KIND
    assert refused.value.facts.get("suggestion") == suggestion
    assert len(refused.value.message) < 700


@pytest.mark.parametrize(
    "kind,changes,reason,field",
    [
        (INSPECTION, {"centre": "a\nb"}, Reason.TEXT_NOT_ALLOWED, "centre"),
        (INSPECTION, {"centre": "a\u202eb"}, Reason.TEXT_NOT_ALLOWED, "centre"),
        (INSPECTION, {"centre": "\ud800"}, Reason.TEXT_NOT_ALLOWED, "centre"),
        (INSPECTION, {"odometer_km": 2**53}, Reason.NUMBER_OUT_OF_RANGE, "odometer_km"),
        (INSPECTION, {"odometer_km": 10**5000}, Reason.NUMBER_OUT_OF_RANGE, "odometer_km"),
        (INSPECTION, {"odometer": 5}, Reason.UNKNOWN_FIELD, "odometer"),
        (INSPECTION, {"kind": ...}, Reason.MISSING_FIELD, "kind"),
        (INSPECTION, {"occurred": None}, Reason.MISSING_FIELD, "occurred"),
        (INSPECTION, {"subject": ...}, Reason.MISSING_FIELD, "subject"),
        (INSPECTION, {"odometer_state": ..., "odometer_km": ...}, Reason.MISSING_FIELD, "odometer_state"),
        (INSPECTION, {"defects": [{"severity": "minor"}]}, Reason.MISSING_FIELD, "defects[0].text"),
        (INSPECTION, {"odometer_km": "225427"}, Reason.WRONG_TYPE, "odometer_km"),
        (INSPECTION, {"odometer_km": 225427.0}, Reason.WRONG_TYPE, "odometer_km"),
        (INSPECTION, {"odometer_km": True}, Reason.WRONG_TYPE, "odometer_km"),
        (INSPECTION, {"odometer_km": float("nan")}, Reason.WRONG_TYPE, "odometer_km"),
        (INSPECTION, {"defects": {}}, Reason.WRONG_TYPE, "defects"),
        (INSPECTION, {"defects": set()}, Reason.WRONG_TYPE, "defects"),
        (INSPECTION, {"defects": {"x"}}, Reason.WRONG_TYPE, "defects"),
        (INSPECTION, {"defects": ["x"]}, Reason.WRONG_TYPE, "defects[0]"),
        (INSPECTION, {"occurred": "2024-03-05"}, Reason.WRONG_TYPE, "occurred"),
        (INSPECTION, {"kind": "vehicle.service/1"}, Reason.NOT_IN_LIST, "kind"),
        (INSPECTION, {"result": "B"}, Reason.NOT_IN_LIST, "result"),
        (INSPECTION, {"result": "de:OM"}, Reason.NOT_IN_LIST, "result"),
        (INSPECTION, {"nature": ""}, Reason.NOT_IN_LIST, "nature"),
        (INSPECTION, {"odometer_km": -1}, Reason.VALUE_OUT_OF_RANGE, "odometer_km"),
        (INSPECTION, {"odometer_km": 10_000_000}, Reason.VALUE_OUT_OF_RANGE, "odometer_km"),
        (INSPECTION, {"centre": ""}, Reason.VALUE_OUT_OF_RANGE, "centre"),
        (INSPECTION, {"defects": [{"text": "x", "severity": "minor"}] * 201}, Reason.VALUE_OUT_OF_RANGE, "defects"),
        (INSPECTION, {"centre": "x" * 121}, Reason.TEXT_TOO_LONG, "centre"),
        (INSPECTION, {"odometer_mi": 140_000}, Reason.FIELDS_CONFLICT, "odometer_km"),
        (INSPECTION, {"odometer_state": "not_stated"}, Reason.FIELDS_CONFLICT, "odometer_km"),
        (INSPECTION, {"odometer_km": None}, Reason.FIELDS_CONFLICT, "odometer_state"),
        ("vehicle.service/1", {"odometer_mi": 5}, Reason.FIELDS_CONFLICT, "odometer_km"),
        ("vehicle.title/1", {"currency": None}, Reason.FIELDS_CONFLICT, "price_cents"),
        ("vehicle.title/1", {"currency": "euro"}, Reason.VALUE_OUT_OF_RANGE, "currency"),
        ("vehicle.title/1", {"subject": {"scheme": "vin", "value": "IOQ"}}, Reason.INVALID_VIN, "subject"),
        ("vehicle.identity/1", {"vin": "WVWZZZ1KZ7P12345O"}, Reason.INVALID_VIN, "vin"),
        (
            "vehicle.identity/1",
            {"alias": {"from": "2020-01-01", "subject": {"scheme": "plate", "country": "FR", "value": "A1"}}},
            Reason.INVALID_PLATE,
            "alias.subject",
        ),
        (
            "vehicle.identity/1",
            {"alias": {"from": "2020-01-02", "until": "2020-01-01", "subject": VIN}},
            Reason.ENDS_BEFORE_START,
            "alias.until",
        ),
        (INSPECTION, {"occurred": {**DAY, "at": "2021-02-30"}}, Reason.INVALID_TIME, "occurred"),
        (INSPECTION, {"end_time": "24:00"}, Reason.INVALID_TIME, "end_time"),
        (INSPECTION, {"end_time": "9:00"}, Reason.INVALID_TIME, "end_time"),
        (INSPECTION, {"valid_until": "2023-02-29"}, Reason.INVALID_TIME, "valid_until"),
        (INSPECTION, {"valid_until": "1885-12-31"}, Reason.INVALID_TIME, "valid_until"),
        (INSPECTION, {"valid_until": "05/03/2024"}, Reason.INVALID_TIME, "valid_until"),
        ("vehicle.contract/1", {"end_date": "2023-12-31"}, Reason.ENDS_BEFORE_START, "end_date"),
        ("journal.opened/1", {"passport": "AB" * 16}, Reason.VALUE_OUT_OF_RANGE, "passport"),
        ("passport.moved/1", {"new_home": ...}, Reason.MISSING_FIELD, "new_home"),
        ("vehicle.trip/1", {"consent_sha256": ...}, Reason.MISSING_FIELD, "consent_sha256"),
        ("vehicle.trip/1", {"place": "Lille"}, Reason.UNKNOWN_FIELD, "place"),
        ("vehicle.trip/1", {"speeding_permille": 1_001}, Reason.VALUE_OUT_OF_RANGE, "speeding_permille"),
        ("vehicle.end_of_life/1", {"certificate": ...}, Reason.MISSING_FIELD, "certificate"),
        ("vehicle.fault/1", {"state": "fixed"}, Reason.NOT_IN_LIST, "state"),
        (
            "vehicle.fault/1",
            {"freeze_frame": {"coolant_temperature_c": -61}},
            Reason.VALUE_OUT_OF_RANGE,
            "freeze_frame.coolant_temperature_c",
        ),
        (
            "vehicle.reminder/1",
            {"due": {"earliest": "2024-12-02", "date": "2024-12-01"}},
            Reason.ENDS_BEFORE_START,
            "due.date",
        ),
        ("vehicle.insurance_claims/1", {"period_end": "2019-03-04"}, Reason.ENDS_BEFORE_START, "period_end"),
        ("vehicle.damage/1", {"estimate_cents": 5}, Reason.FIELDS_CONFLICT, "estimate_cents"),
        ("vehicle.declared/1", {"odometer_mi": 5}, Reason.FIELDS_CONFLICT, "odometer_km"),
        ("vehicle.odometer_judgement/1", {"code": "08"}, Reason.NOT_IN_LIST, "code"),
        ("journal.granted/1", {"assignee_member": ...}, Reason.FIELDS_CONFLICT, "assignee_type"),
        ("journal.granted/1", {"assignee_person": "0a" * 32}, Reason.FIELDS_CONFLICT, "assignee_member"),
        ("journal.granted/1", {"assignee_type": "person"}, Reason.FIELDS_CONFLICT, "assignee_member"),
        ("journal.granted/1", {"use_until": "2024-06-04"}, Reason.ENDS_BEFORE_START, "use_until"),
        ("journal.granted/1", {"retention_until": "2024-07-04"}, Reason.ENDS_BEFORE_START, "retention_until"),
        ("journal.accessed/1", {"legal_basis": "x", "case_number": "y"}, Reason.FIELDS_CONFLICT, "grant"),
        ("journal.accessed/1", {"grant": None, "legal_basis": "x"}, Reason.FIELDS_CONFLICT, "legal_basis"),
        ("journal.withdrawn/1", {"reason": ...}, Reason.MISSING_FIELD, "reason"),
    ],
)
def test_validate__refused(kind: str, changes: dict[str, Any], reason: Reason, field: str) -> None:
    refused = refuse(kind, **changes)
    assert refused.reason is reason
    assert refused.facts["field"] == field
    assert field.split(".")[0].split("[")[0] in refused.message or reason in (Reason.INVALID_VIN, Reason.INVALID_PLATE)
    assert len(refused.message) < 500


@pytest.mark.parametrize("fields", [None, [], "kind", 5])
def test_validate__refused_what_is_no_object(fields: Any) -> None:
    with pytest.raises(Refused) as refused:
        get_schema(INSPECTION).validate(fields)
    assert refused.value.reason is Reason.WRONG_TYPE


def test_validate__refused_unknown_field_suggests_the_nearest() -> None:
    assert refuse(INSPECTION, odometer_kms=5).facts["suggestion"] == "odometer_km"
    assert refuse(INSPECTION, defects=[{"txt": "a", "severity": "minor"}]).facts["suggestion"] == "defects[0].text"


def test_find_faults__tells_everything_in_the_order_of_precedence() -> None:
    fields = make_fields(INSPECTION, centre="a\nb", result="B", odometer_km="x", end_time="25:00", foo=1, subject=None)
    reasons = [fault.reason for fault in get_schema(INSPECTION).find_faults(fields)]
    assert reasons == [
        Reason.TEXT_NOT_ALLOWED,
        Reason.UNKNOWN_FIELD,
        Reason.MISSING_FIELD,
        Reason.WRONG_TYPE,
        Reason.NOT_IN_LIST,
        Reason.INVALID_TIME,
    ]


def test_find_faults__of_very_many_stays_short() -> None:
    fields = {f"x{number}": number for number in range(100_000)}
    assert len(get_schema(INSPECTION).find_faults(fields)) < 150


def test_validate__makes_text_normal() -> None:
    decomposed = "E\u0301clairage"
    values = get_schema(INSPECTION).validate(make_fields(INSPECTION, centre=decomposed))
    assert values["centre"] == "\u00c9clairage"


def test_validate__counts_length_after_normalisation() -> None:
    values = get_schema(INSPECTION).validate(make_fields(INSPECTION, centre="e\u0301" * 120))
    assert values["centre"] == "\u00e9" * 120


def test_validate__takes_a_country_s_own_code() -> None:
    values = get_schema(INSPECTION).validate(make_fields(INSPECTION, result="DE:OM", nature="DE:HU"))
    assert (values["result"], values["nature"]) == ("DE:OM", "DE:HU")


def test_validate__no_defects_and_defects_not_told_are_two_things() -> None:
    schema = get_schema(INSPECTION)
    assert schema.validate(make_fields(INSPECTION, defects=[]))["defects"] == []
    assert schema.validate(make_fields(INSPECTION, defects=...))["defects"] is None


def test_validate__completes_records_and_items() -> None:
    values = get_schema("vehicle.service/1").validate(make_fields("vehicle.service/1"))
    assert values["activities"] == [{"code": None, "text": "oil and filter"}]
    assert values["next_due"] == {"date": "2025-03-05", "odometer_km": 120_000, "odometer_mi": None}
    alias = get_schema("vehicle.identity/1").validate(make_fields("vehicle.identity/1"))["alias"]
    assert alias == {
        "from": "2016-12-20",
        "subject": {"country": "FR", "scheme": "plate", "value": "AB-123-CD"},
        "until": None,
    }


def test_validate__holds_every_real_inspection() -> None:
    schema = get_schema(INSPECTION)
    count = unread = without_start = 0
    with shared_file("data", "histovec", "dev", "odometer_histories.jsonl").open(encoding="utf-8") as lines:
        for vehicle in map(json.loads, lines):
            for row in vehicle["inspections"]:
                at = row["date"] if row["start"] is None else f"{row['date']}T{row['start']}"
                precision = "day" if row["start"] is None else "second"
                fields = {
                    "kind": INSPECTION,
                    "subject": {"scheme": "histovec", "value": vehicle["vehicle"]},
                    "occurred": {"at": at, "precision": precision, "zone": "Europe/Paris"},
                    "end_time": row["end"],
                    # One row states no nature: the empty text says nothing, and is left out.
                    "nature": row["nature"] or None,
                    "result": row["result"],
                    "odometer_km": row["km"],
                    "odometer_state": "not_stated" if row["km"] is None else "read",
                    "centre": row["centre"],
                    "report_number": row["pv"],
                }
                values = schema.validate(fields)
                assert {name: values[name] for name in fields} == fields
                count += 1
                unread += row["km"] is None
                without_start += row["start"] is None
    assert (count, unread, without_start) == (5_275, 25, 1_332)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(kind="constructor"),
        lambda document: document.update(format=2),
        lambda document: document.update(colour="red"),
        lambda document: document.update(chain="both"),
        lambda document: document.update(marks=[1, 0]),
        lambda document: document.update(marks=[]),
        lambda document: document.update(marks=[0, 7]),
        lambda document: document["fields"].reverse(),
        lambda document: document["fields"].append(document["fields"][-1]),
        lambda document: document["fields"][0].update(name="Centre"),
        lambda document: document["fields"][0].update(type="float"),
        lambda document: document["fields"][0].update(max_length=0),
        lambda document: document["fields"][0].pop("max_length"),
        lambda document: document["rules"][0].update(fields=["odometer_km", "odometer_ly"]),
        lambda document: document["rules"][0].update(fields=[]),
        lambda document: document["rules"].append({"rule": "in_order", "start": "centre", "end": "valid_until"}),
        lambda document: document["fields"].insert(5, {"type": "flag", "name": "kind", "label": "x"}),
    ],
)
def test_read_schema__refused_unsound_document(change: Any) -> None:
    document = json.loads(json.dumps(get_schema(INSPECTION).document()))
    change(document)
    with pytest.raises(Refused) as refused:
        read_schema(document)
    assert refused.value.reason is Reason.WRONG_TYPE


def test_read_schema__limits_of_integers_are_those_of_the_encoding() -> None:
    document = get_schema("journal.opened/1").document()
    epoch = next(field for field in document["fields"] if field["name"] == "epoch")
    assert epoch["maximum"] == INT_MAX
