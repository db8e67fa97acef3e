"""The French register: its real file, its odd midnights, and what is refused without losing the rest."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.formats.histovec_days import read_moment, read_slashed_day
from carnet.formats.histovec_operations import find_country, get_title_type
from carnet.formats.histovec_registry import read_registry
from carnet.formats.rows import Row
from carnet.passport.occurred import UNKNOWN, Occurred
from tests.formats.streams import NOW, cut, split, told
from tests.shared import shared_file

PARIS = ZoneInfo("Europe/Paris")


def read(*vehicles: Any) -> tuple[list[Row], list[Any]]:
    return split(read_registry([json.dumps(each).encode() + b"\n" for each in vehicles], NOW))


def vehicle(**registration: Any) -> dict[str, Any]:
    return {"vehicle": "HR75b2e35103", "registration": registration}


@pytest.fixture(scope="module")
def real() -> list[Row]:
    data = shared_file("data", "histovec", "dev", "registry_2022.jsonl").read_bytes()
    rows, faults = split(read_registry(cut(data, 65_536), NOW))
    assert faults == []
    return rows


# ---- the real file


def test_read_registry__every_vehicle_and_operation_of_the_real_file(real: list[Row]) -> None:
    assert Counter(row.kind for row in real) == {
        "vehicle.identity/1": 2_132,
        "vehicle.title/1": 8_045,
        "vehicle.accident/1": 40,
    }
    assert len({row.subject for row in real}) == 2_132
    assert len({row.source_bytes for row in real}) == len(real) == 10_217


def test_read_registry__titles_of_the_real_file(real: list[Row]) -> None:
    types = Counter(row.fields["type"] for row in real if row.kind == "vehicle.title/1")
    assert types == {
        "change_of_holder": 2_590,
        "purchase_declared": 1_438,
        "first_registration": 1_401,
        "sale_declared": 1_184,
        "plate_changed": 331,
        "title_cancelled": 295,
        "re_registered": 151,
        "imported": 120,
        "lien_registered": 98,
        "suspended": 78,
        "duplicate_title": 52,
        "opposition_registered": 52,
        "other": 43,
        "seizure_registered": 37,
        "seizure_lifted": 37,
        "usage_changed": 35,
        "lien_lifted": 28,
        "registered_abroad": 22,
        "title_lost": 18,
        "opposition_lifted": 12,
        "stolen": 8,
        "exported": 5,
        "lien_extended": 3,
        "title_stolen": 3,
        "withdrawn": 3,
        "returned_to_traffic": 1,
    }
    others = {row.fields["source_code"] for row in real if row.fields.get("type") == "other"}
    assert others == {"MODIF_CARAC_TECH", "CHANG_LOC"}
    annulled = [row for row in real if (row.fields.get("note") or "").startswith("annulled on ")]
    assert len(annulled) == 11


def test_read_registry__accidents_of_the_real_file(real: list[Row]) -> None:
    accidents = [row.fields for row in real if row.kind == "vehicle.accident/1"]
    assert Counter(each["procedure"] for each in accidents) == {
        "closed": 18,
        "opened": 2,
        "first_report": 9,
        None: 11,
    }
    assert sum(each["first_report"] is not None for each in accidents) == 25
    assert sum(each["second_report"] is not None for each in accidents) == 16
    assert sum(each["expert_approval"] is not None for each in accidents) == 27


def test_read_registry__no_masked_vin_becomes_one(real: list[Row]) -> None:
    assert {row.subject.scheme for row in real} == {"histovec"}
    assert all(row.fields.get("vin") is None for row in real)
    assert not any(re.search(r"\*{3}", str(row.fields["subject"])) for row in real)


def test_read_registry__no_midnight_of_the_eve_is_left(real: list[Row]) -> None:
    moments = [row.fields["occurred"] for row in real]
    assert Counter(each["precision"] for each in moments) == {"day": 6_372, "second": 3_379, "unknown": 466}
    assert not any((each["at"] or "").endswith(("T22:00:00", "T23:00:00")) for each in moments)
    assert not any((each["at"] or "").startswith("1900") for each in moments)


def test_read_registry__is_the_same_cut_anywhere(real: list[Row]) -> None:
    data = shared_file("data", "histovec", "dev", "registry_2022.jsonl").read_bytes()
    whole = data[: data.index(b"\n", 200_000) + 1]
    assert list(read_registry(cut(whole, 977), NOW)) == real[: len(list(read_registry([whole], NOW)))]


# ---- days


@given(st.datetimes(datetime(1965, 1, 1), datetime(2037, 12, 31)))
def test_read_moment__a_midnight_of_paris_is_the_day_of_paris(moment: datetime) -> None:
    day = moment.date()
    midnight = datetime(day.year, day.month, day.day, tzinfo=PARIS).astimezone(UTC)
    assert read_moment(midnight.strftime("%Y-%m-%dT%H:%M:%S.000Z")) == Occurred(day.isoformat(), "day", None)
    # An hour beside a midnight is a moment, not a day.
    beside = midnight + timedelta(hours=1)
    if beside.strftime("%H:%M:%S") not in ("22:00:00", "00:00:00") or beside.astimezone(PARIS).hour:
        assert read_moment(beside.strftime("%Y-%m-%dT%H:%M:%S.000Z")).precision == "second"


@pytest.mark.parametrize(
    "text,at,precision,zone",
    [
        ("2009-01-16T23:00:00.000Z", "2009-01-17", "day", None),
        ("2009-07-16T22:00:00.000Z", "2009-07-17", "day", None),
        ("2009-01-16T22:00:00.000Z", "2009-01-16T22:00:00", "second", "UTC"),
        ("1975-07-16T23:00:00.000Z", "1975-07-17", "day", None),
        ("1992-01-12 23:00:00", "1992-01-13", "day", None),
        ("2013-08-01 00:00:00+02", "2013-08-01", "day", None),
        ("2019-04-11 00:00:00.0", "2019-04-11", "day", None),
        ("2019-06-20T16:05:24.213Z", "2019-06-20T16:05:24", "second", "UTC"),
        ("2010-04-26 14:54:12.191", "2010-04-26T14:54:12", "second", "Europe/Paris"),
        ("2010-04-26 14:54:12+02", "2010-04-26T14:54:12", "second", "+02:00"),
        ("2020-06-29", "2020-06-29", "day", None),
    ],
)
def test_read_moment__writings(text: str, at: str, precision: Any, zone: str | None) -> None:
    assert read_moment(text) == Occurred(at, precision, zone)


@pytest.mark.parametrize("text", ["", " ", "1900-01-01", "1900-01-01 00:00:00"])
def test_read_moment__nobody_knows(text: str) -> None:
    assert read_moment(text) == UNKNOWN


@pytest.mark.parametrize("text", ["2019-02-29", "29/02/2019", "2019-01-01T25:00:00Z", "2019-01-01T10:61:00Z", "soon"])
def test_read_moment__refused_invalid_time(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_moment(text)
    assert refused.value.reason is Reason.INVALID_TIME


def test_read_slashed_day__day_before_month_and_1900_is_unknown() -> None:
    assert read_slashed_day("04/05/2009") == "2009-05-04"
    assert read_slashed_day("01/01/1900") is None
    assert read_slashed_day("") is None
    for text in ("31/02/2009", "2009-05-04", "1/1/2009"):
        with pytest.raises(Refused) as refused:
            read_slashed_day(text)
        assert refused.value.reason is Reason.INVALID_TIME


# ---- operations


def test_get_title_type__unknown_code_is_an_operation_nevertheless() -> None:
    assert get_title_type("CHANG_TIT_NORMAL") == "change_of_holder"
    assert get_title_type("NEW_CODE_OF_2030") == "other"


def test_find_country__two_letters_three_letters_and_none() -> None:
    assert [find_country(text) for text in ("DE", "deu", "XX", "", None, "Allemagne")] == [
        "DE",
        "DE",
        None,
        None,
        None,
        None,
    ]


def test_read_registry__oldest_operation_first() -> None:
    operations = [
        {"opa_date": "2019-06-20T16:05:24.213Z", "opa_type": "DECLARATION_CESSION"},
        {"opa_date": "2009-01-16T23:00:00.000Z", "opa_type": "IMMAT_NORMALE"},
    ]
    rows, faults = read(vehicle(historique=operations))
    assert faults == []
    assert [row.fields.get("type") for row in rows] == [None, "first_registration", "sale_declared"]


def test_read_registry__quantities_in_the_entry_s_units() -> None:
    rows, _ = read(vehicle(CTEC_CYLINDREE=1, CTEC_PUISSANCE_NETTE=0, nom_commercial="NON DEFINI", couleur="INCONNU"))
    assert told(rows[0]) == {"country": "FR", "displacement_mm3": 1_000}
    line = b'{"vehicle": "HR75b2e35103", "registration": {"CTEC_CYLINDREE": 49.1, "CTEC_PUISSANCE_NETTE": 3.1}}'
    rows, _ = split(read_registry([line], NOW))
    assert told(rows[0]) == {"country": "FR", "displacement_mm3": 49_100, "power_w": 3_100}


def test_read_registry__procedure_is_told_once() -> None:
    steps = [
        {"opa_date": "2013-08-08T22:00:00.000Z", "opa_type": "PREM_RAP_VE", "id_pve": "1"},
        {"opa_date": "2013-08-01T22:00:00.000Z", "opa_type": "DEC_VE", "id_pve": "1"},
    ]
    procedure = {"id_pve": "1", "en_cours": "OUI", "decl": {"date": "2013-08-01 00:00:00+02", "dangereux": "OUI"}}
    rows, _ = read(vehicle(historique=steps, pve=[procedure]))
    assert [row.kind for row in rows] == ["vehicle.identity/1", "vehicle.accident/1"]
    assert told(rows[1]) == {"note": "dangerous", "procedure": "opened", "reference": "1"}
    # Without the procedure as a whole, each step is told.
    rows, _ = read(vehicle(historique=steps))
    assert [row.fields.get("procedure") for row in rows[1:]] == ["opened", "first_report"]


def test_read_registry__what_holds_of_the_real_vehicles_is_told_once_and_never_lost(real: list[Row]) -> None:
    """Each lien, opposition and seizure that holds is told, by an operation of its day or by itself. (One of 2006 was
    lost because an operation of 2013 had told another.)"""
    told: dict[str, set[tuple[str, str | None]]] = {}
    for row in real:
        if row.kind == "vehicle.title/1":
            told.setdefault(row.subject.value, set()).add((row.fields["type"], row.fields["occurred"]["at"]))
    types = {"gages": "lien_", "dvs": "seizure_registered"} | dict.fromkeys(
        ("oves", "oveis", "otcis", "otcis_pv"), "opposition_registered"
    )
    held = 0
    for line in shared_file("data", "histovec", "dev", "registry_2022.jsonl").read_text().splitlines():
        document = json.loads(line)
        situation = document["registration"].get("sit_adm") or {}
        for name, type_ in types.items():
            for entry in {**situation, **situation.get("opposition", {})}.get(name) or []:
                held += 1
                days = [at for each, at in told[document["vehicle"]] if each.startswith(type_)]
                assert days, (document["vehicle"], entry)
                if entry["date"]:
                    # An operation after 23 o'clock in UTC is of the next day in France.
                    wanted = date.fromisoformat(entry["date"][:10])
                    near = {str(wanted), str(wanted - timedelta(days=1))}
                    assert near & {str(at)[:10] for at in days}, (document["vehicle"], entry)
    assert held == 36


@pytest.mark.parametrize("odd", [{}, {"a": 1}, [], ["x"], 5, True])
def test_read_registry__what_is_no_text_is_a_fault_of_its_own_row(odd: Any) -> None:
    """An object in place of a procedure's number ended the whole import."""
    operation = {"opa_date": "2019-02-01", "opa_type": "DEC_VE", "id_pve": odd}
    procedure = {"id_pve": odd, "decl": {"date": "2019-02-01"}}
    good = {"opa_date": "2019-02-01", "opa_type": "DUPLICATA"}
    odd_type = good | {"opa_type": odd}
    rows, faults = read(vehicle(historique=[good, operation, odd_type], pve=[procedure]), vehicle(historique=[good]))
    assert [row.fields.get("source_code") for row in rows] == [None, "DUPLICATA", None, "DUPLICATA"]
    assert [(fault.row, fault.rule, fault.column) for fault in faults] == [
        (2, Reason.WRONG_TYPE, "opa_type"),
        (4, Reason.WRONG_TYPE, "id_pve"),
    ]


def test_read_registry__an_operation_tells_the_entry_of_its_own_day_alone() -> None:
    operations = [{"opa_date": "2013-08-03T02:50:01.006Z", "opa_type": "INSCRIRE_OTCI"}]
    entries = [{"date": "2006-09-16 00:00:00.0"}, {"date": "2013-08-03 00:00:00.0"}, {"date": ""}]
    situation = {"opposition": {"otcis": entries}}
    rows, _ = read(vehicle(historique=operations, sit_adm=situation))
    assert [row.fields["occurred"]["at"] for row in rows[1:]] == ["2013-08-03T02:50:01", "2006-09-16"]


# ---- refusals


@pytest.mark.parametrize(
    "operation,reason,column",
    [
        ({"opa_date": "2019-02-30", "opa_type": "DUPLICATA"}, Reason.INVALID_TIME, "opa_date"),
        ({"opa_type": "DUPLICATA"}, Reason.MISSING_FIELD, "opa_date"),
        ({"opa_date": "2019-02-01"}, Reason.MISSING_FIELD, "opa_type"),
        ({"opa_date": 5, "opa_type": "DUPLICATA"}, Reason.WRONG_TYPE, "opa_date"),
        ({"opa_date": "2077-02-01", "opa_type": "DUPLICATA"}, Reason.TIME_IN_FUTURE, "opa_date"),
        ({"opa_date": "2019-02-01", "opa_type": "X" * 65}, Reason.TEXT_TOO_LONG, "opa_type"),
        ({"opa_date": "2019-02-01", "opa_type": "A\u202eB"}, Reason.TEXT_NOT_ALLOWED, "opa_type"),
    ],
)
def test_read_registry__refused_operation(operation: dict[str, Any], reason: Reason, column: str) -> None:
    good = {"opa_date": "2019-02-01", "opa_type": "DUPLICATA"}
    rows, faults = read(vehicle(historique=[good, operation, good | {"opa_date": "2018-02-01"}]))
    assert [(fault.rule, fault.column, fault.row) for fault in faults] == [(reason, column, 3)]
    assert len(rows) == 3


@pytest.mark.parametrize(
    "line,reason,column",
    [
        (b"[]", Reason.WRONG_TYPE, None),
        (b"{", Reason.NOT_JSON, None),
        (b'{"vehicle": "HR75b2e35103"}', Reason.MISSING_FIELD, "registration"),
        (b'{"vehicle": "VF1J********44983", "registration": {}}', Reason.VALUE_OUT_OF_RANGE, "vehicle"),
        (b'{"vehicle": "HR75b2e35103", "registration": []}', Reason.WRONG_TYPE, "registration"),
        (b'{"vehicle": "HR75b2e35103", "registration": {"historique": [5]}}', Reason.WRONG_TYPE, "historique"),
        (b'{"vehicle": "HR75b2e35103", "registration": {"ptac_f2": "heavy"}}', Reason.WRONG_TYPE, "ptac_f2"),
        (b'{"vehicle": "HR75b2e35103", "registration": {"ptac_f2": 99999999}}', Reason.VALUE_OUT_OF_RANGE, "ptac_f2"),
        (
            b'{"vehicle": "HR75b2e35103", "registration": {"date_premiere_immat": "2006-06-21"}}',
            Reason.INVALID_TIME,
            "date_premiere_immat",
        ),
    ],
)
def test_read_registry__refused_line(line: bytes, reason: Reason, column: str | None) -> None:
    good = json.dumps(vehicle(marque="RENAULT")).encode()
    rows, faults = split(read_registry([good, b"\n", line, b"\n", good], NOW))
    assert [(fault.line, fault.rule, fault.column) for fault in faults] == [(2, reason, column)] or line in (
        b"[]",
        b"{",
    )
    assert faults[0].rule is reason
    assert len(rows) == 2
