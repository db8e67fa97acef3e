"""Importers of registers on their real files: HistoVec reports, DVSA tests, RDW records, vPIC answers, WMI lists."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.formats.dvsa import read_tests
from carnet.formats.faults import Fault
from carnet.formats.histovec_report import read_report
from carnet.formats.rdw import read_vehicles
from carnet.formats.rows import Row
from carnet.formats.vpic import read_answer, read_answers, read_decode
from carnet.formats.wmi import find_manufacturers, read_manufacturers
from carnet.passport.vin import check_vin
from carnet.types import Subject
from tests.formats.streams import NOW, cut, split, told
from tests.shared import shared_file

VIN = Subject("vin", "WVWZZZ1KZ7P123456")


def real(*parts: str) -> bytes:
    return shared_file("data", *parts).read_bytes()


def only(faults: list[Fault]) -> tuple[Reason, str | None]:
    (fault,) = faults
    return fault.rule, fault.column


# ---- HistoVec reports


@pytest.mark.parametrize(
    "name,kinds",
    [
        ("aucuneAnomalie", {"vehicle.identity/1": 1, "vehicle.title/1": 1, "vehicle.inspection/1": 3}),
        ("perteCertificatImatriculation", {"vehicle.identity/1": 1, "vehicle.title/1": 11, "vehicle.inspection/1": 3}),
    ],
)
def test_read_report__real_report_of_a_vehicle_that_is_named(name: str, kinds: dict[str, int]) -> None:
    rows, faults = split(read_report(real("histovec", "report_json", f"{name}.json"), NOW, VIN))
    assert faults == []
    assert Counter(row.kind for row in rows) == kinds
    assert {row.subject for row in rows} == {VIN}


def test_read_report__tells_what_it_shows() -> None:
    rows, _ = split(read_report(real("histovec", "report_json", "perteCertificatImatriculation.json"), NOW, VIN))
    assert rows[0].fields["displacement_mm3"] == 1_461_000
    assert rows[0].fields["first_registration"] == "2009-04-08"
    assert rows[0].fields["vin"] is None
    assert [row.fields["type"] for row in rows[1:4]] == ["first_registration", "purchase_declared", "purchase_declared"]
    assert [row.fields["odometer_km"] for row in rows[-3:]] == [98_429, 132_874, 160_532]


def test_read_report__what_holds_of_the_vehicle_is_never_left_out() -> None:
    """The lists are those of HistoVec's own description of a report; the real reports have them empty."""
    report = json.loads(real("histovec", "report_json", "perteCertificatImatriculation.json"))
    vehicle = report["vehicule"]
    vehicle["historique"] += [
        {"date": "2009-03-01", "type": "INSCRIPTION_GAGE"},
        {"date": "2009-02-01", "type": "DECLARATION_CESSION", "date_annulation": "2009-02-11"},
    ]
    vehicle["situation_administrative"] |= {
        "gages": [
            {"date": "2009-03-01", "nom_creancier": "BANQUE DU PONT"},
            {"date": "2015-03-01", "nom_creancier": "BANQUE DU PONT"},
        ],
        "declarations_valant_saisie": [{"date": "2016-03-01", "nom_autorite": "TRIBUNAL"}],
        "suspensions": [{"date": "2017-03-01", "motif": "PVE", "remise_du_titre": False, "retrait_du_titre": False}],
        "opposition": {"oves": [], "oveis": [{"date": "2018-03-01"}], "otcis": [], "otcis_pv": []},
    }
    vehicle["etat"]["procedures_ve"] |= {"nombre_de_procedures_ve": 2, "date_derniere_procedure_ve": "2017-02-01"}
    rows, faults = split(read_report(json.dumps(report).encode(), NOW, VIN))
    assert faults == []
    said = [
        (row.fields["occurred"]["at"], row.fields.get("type"), row.fields["note"])
        for row in rows
        if row.kind in ("vehicle.title/1", "vehicle.accident/1")
    ]
    assert said[:2] == [
        ("2009-02-01", "sale_declared", "annulled on 2009-02-11"),
        ("2009-03-01", "lien_registered", None),
    ]
    assert said[12:] == [
        (None, "duplicate_title", None),
        ("2018-03-01", "opposition_registered", None),
        ("2015-03-01", "lien_registered", "BANQUE DU PONT"),
        ("2016-03-01", "seizure_registered", "TRIBUNAL"),
        ("2017-03-01", "suspended", None),
        ("2017-02-01", None, "damage procedures so far: 2"),
    ]


def test_read_report__refused_masked_vin() -> None:
    _, faults = split(read_report(real("histovec", "report_json", "aucuneAnomalie.json"), NOW))
    assert only(faults) == (Reason.MISSING_FIELD, "vin")


def test_read_report__whole_vin_is_its_subject() -> None:
    rubrics = {"vin": VIN.value, "marque": "VOLKSWAGEN"}
    report = {"vehicule": {"certificat_immatriculation": {"caracteristiques_techniques": rubrics}}}
    rows, faults = split(read_report(json.dumps(report).encode(), NOW))
    assert faults == []
    assert rows[0].subject == VIN
    rubrics["vin"] = VIN.value[:-1]
    _, faults = split(read_report(json.dumps(report).encode(), NOW))
    assert only(faults) == (Reason.INVALID_VIN, "vin")


@pytest.mark.parametrize(
    "report,reason,column",
    [
        ([], Reason.WRONG_TYPE, None),
        ({"vehicule": 5}, Reason.WRONG_TYPE, "vehicule"),
        ({"vehicule": {"historique": {}}}, Reason.WRONG_TYPE, "historique"),
    ],
)
def test_read_report__refused(report: Any, reason: Reason, column: str | None) -> None:
    _, faults = split(read_report(json.dumps(report).encode(), NOW, VIN))
    assert only(faults) == (reason, column)


def test_read_report__bad_inspection_loses_no_good_one() -> None:
    inspections = [{"date": "2014-12-11", "km": 5}, {"date": "11/12/2014", "km": 5}, {"date": "2015-12-11", "km": "x"}]
    report = {"controles_techniques": {"historique": inspections}}
    rows, faults = split(read_report(json.dumps(report).encode(), NOW, VIN))
    assert [(fault.rule, fault.column) for fault in faults] == [
        (Reason.INVALID_TIME, "date"),
        (Reason.WRONG_TYPE, "km"),
    ]
    assert len(rows) == 2


# ---- DVSA


@pytest.mark.parametrize(
    "name,rows,faults,results,states,severities",
    [
        (
            "test-results.json",
            69,
            1,
            {"PASSED": 46, "FAILED": 11, "GB:CANCELLED": 6, "GB:PRS": 5, "GB:ABANDONED": 1},
            {"read": 67, "not_stated": 2},
            {None: 45, "major": 38, "advisory": 5, "minor": 1},
        ),
        (
            "test-results-post.json",
            16,
            0,
            {"PASSED": 11, "FAILED": 4, "GB:CANCELLED": 1},
            {"read": 12, "no_odometer": 4},
            {None: 15, "major": 10},
        ),
    ],
)
def test_read_tests__every_test_of_the_real_file(
    name: str, rows: int, faults: int, results: Any, states: Any, severities: Any
) -> None:
    good, bad = split(read_tests(cut(real("inspections", "dvsa_cvs", "dev", name), 4_099), NOW))
    assert (len(good), len(bad)) == (rows, faults)
    assert Counter(row.fields["result"] for row in good) == results
    assert Counter(row.fields["odometer_state"] for row in good) == states
    assert Counter(defect["severity"] for row in good for defect in row.fields["defects"]) == severities
    assert len({row.source_bytes for row in good}) == rows
    # North American VINs carry a check digit, and one of the file's is wrong.
    assert [(fault.rule, fault.column) for fault in bad] == [(Reason.INVALID_VIN, "vin")] * faults


def mot(**changes: Any) -> list[Row | Fault]:
    test = {
        "completedDate": "2024-01-15T11:08:00.000Z",
        "testResult": "PASSED",
        "expiryDate": "2025-01-15",
        "odometerValue": "22341",
        "odometerUnit": "MI",
        "odometerResultType": "READ",
        "motTestNumber": "123456789012",
        "defects": [],
        **changes,
    }
    car = {"registration": "AB12CDE", "make": "FORD", "motTests": [test]}
    return list(read_tests([json.dumps(car).encode()], NOW))


def test_read_tests__mot_history_keeps_miles_as_read() -> None:
    defects = [
        {"text": "tyre worn", "type": "MAJOR", "dangerous": False},
        {"text": "brake pipe", "type": "MAJOR", "dangerous": True},
        {"text": "misted lamp", "type": "ADVISORY"},
        {"text": "old failure", "type": "FAIL"},
    ]
    rows, faults = split(mot(defects=defects, testResult="FAILED"))
    assert faults == []
    assert rows[0].subject == Subject("plate", "AB12 CDE", "GB")
    assert told(rows[0]) == {"country": "GB", "make": "FORD"}
    assert told(rows[1]) == {
        "defects": [
            {"code": None, "location": None, "severity": severity, "text": text}
            for severity, text in (
                ("major", "tyre worn"),
                ("dangerous", "brake pipe"),
                ("advisory", "misted lamp"),
                (None, "old failure"),
            )
        ],
        "odometer_mi": 22_341,
        "odometer_state": "read",
        "report_number": "123456789012",
        "result": "FAILED",
        "valid_until": "2025-01-15",
    }


@pytest.mark.parametrize("said,state", [("UNREADABLE", "unreadable"), ("NO_ODOMETER", "no_odometer")])
def test_read_tests__mot_odometer_that_was_not_read(said: str, state: str) -> None:
    rows, _ = split(mot(odometerResultType=said, odometerValue=None, odometerUnit=None))
    assert (rows[1].fields["odometer_state"], rows[1].fields["odometer_mi"]) == (state, None)


def test_read_tests__mot_first_interface_writes_dots() -> None:
    rows, faults = split(mot(completedDate="2013.11.03 09:33:08", expiryDate="2014.11.02", odometerUnit="mi"))
    assert faults == []
    assert rows[1].fields["occurred"] == {"at": "2013-11-03T09:33:08", "precision": "second", "zone": None}
    assert rows[1].fields["valid_until"] == "2014-11-02"


@pytest.mark.parametrize(
    "changes,reason,column",
    [
        ({"testResult": "MAYBE"}, Reason.NOT_IN_LIST, "testResult"),
        ({"odometerUnit": "furlongs"}, Reason.NOT_IN_LIST, "odometerUnit"),
        ({"odometerUnit": None}, Reason.MISSING_FIELD, "odometerUnit"),
        ({"odometerValue": None}, Reason.MISSING_FIELD, "odometerValue"),
        ({"odometerValue": "99999999"}, Reason.VALUE_OUT_OF_RANGE, "odometerValue"),
        ({"odometerValue": "many"}, Reason.WRONG_TYPE, "odometerValue"),
        ({"odometerResultType": "GUESSED"}, Reason.NOT_IN_LIST, "odometerResultType"),
        ({"completedDate": None}, Reason.MISSING_FIELD, "completedDate"),
        ({"completedDate": "2077-01-15"}, Reason.TIME_IN_FUTURE, "completedDate"),
        ({"expiryDate": "2025-02-30"}, Reason.INVALID_TIME, "expiryDate"),
        ({"defects": [{"type": "MAJOR"}]}, Reason.MISSING_FIELD, "text"),
        ({"defects": 5}, Reason.WRONG_TYPE, "defects"),
    ],
)
def test_read_tests__refused_mot_test(changes: dict[str, Any], reason: Reason, column: str) -> None:
    rows, faults = split(mot(**changes))
    assert only(faults) == (reason, column)
    assert [row.kind for row in rows] == ["vehicle.identity/1"]


@pytest.mark.parametrize(
    "record,reason,column",
    [
        ({"vin": VIN.value}, Reason.MISSING_FIELD, "testTypes"),
        ({"testTypes": []}, Reason.MISSING_FIELD, "registration"),
        ({"vin": "IOQ", "testTypes": []}, Reason.INVALID_VIN, "vin"),
        ({"vin": VIN.value[1:], "testTypes": []}, Reason.INVALID_VIN, "vin"),
        ({"registration": "?", "motTests": []}, Reason.INVALID_PLATE, "registration"),
        (5, Reason.WRONG_TYPE, None),
    ],
)
def test_read_tests__refused_record(record: Any, reason: Reason, column: str | None) -> None:
    _, faults = split(read_tests([json.dumps(record).encode()], NOW))
    assert only(faults) == (reason, column)


# ---- RDW


@pytest.mark.parametrize(
    "name,kinds",
    [
        ("0001TJ", "identity odometer_judgement title procedure"),
        ("11ZKZ3", "identity odometer_judgement title procedure"),
        ("VXJ99N", "identity odometer_judgement"),
        ("fuel_11ZKZ3", "identity"),
        ("fuel_electric", "identity"),
        ("recalls", "recall recall"),
        ("fuel_empty", ""),
        ("no_vehicles", ""),
        ("recalls_empty", ""),
    ],
)
def test_read_vehicles__real_file(name: str, kinds: str) -> None:
    rows, faults = split(read_vehicles([real("inspections", "rdw_nl", f"{name}.json")], NOW))
    assert faults == []
    assert [row.kind for row in rows] == [f"vehicle.{kind}/1" for kind in kinds.split()]
    assert {row.subject.scheme for row in rows} <= {"plate"}


@pytest.mark.parametrize(
    "written,watts",
    [("50", 50_000), ("0.05", 50), ("50.", 50_000), (".5", 500)]
    + [(each, None) for each in ("1e999999999", "1e9999", "1_0", "nan", "Infinity", "0.00001", "٣")],
)
def test_read_vehicles__a_power_that_no_memory_holds_stops_nothing(written: str, watts: int | None) -> None:
    """1e999999999 ended the whole import, with all rows that came after it."""
    record = {"kenteken": "11ZKZ3", "brandstof_volgnummer": "1", "nettomaximumvermogen": written}
    rows, faults = split(read_vehicles([json.dumps([record, record | {"nettomaximumvermogen": "50"}]).encode()], NOW))
    assert [row.fields["power_w"] for row in rows] == ([50_000] if watts is None else [watts, 50_000])
    assert [(fault.row, fault.rule, fault.column) for fault in faults] == (
        [(1, Reason.WRONG_TYPE, "nettomaximumvermogen")] if watts is None else []
    )
    answer = {"Results": [{"VIN": VIN.value, "ErrorCode": "0", "EngineKW": written}]}
    rows, faults = split(read_answers([json.dumps(answer).encode()], NOW))
    assert bool(faults) == (watts is None and written != "0.00001")


def test_read_vehicles__judgement_and_never_a_reading() -> None:
    found = {}
    for name in ("0001TJ", "11ZKZ3", "VXJ99N"):
        rows, _ = split(read_vehicles([real("inspections", "rdw_nl", f"{name}.json")], NOW))
        fields = rows[1].fields
        found[name] = (fields["code"], fields["judgement"], fields["last_reading_year"])
        assert not any(row.fields.get("odometer_km") for row in rows)
    assert found == {
        "0001TJ": ("01", "no_judgement", 2021),
        "11ZKZ3": ("00", "logical", 2021),
        "VXJ99N": ("NG", "not_registered", None),
    }


def test_read_vehicles__what_the_real_file_tells_of_one_vehicle() -> None:
    rows, _ = split(read_vehicles([real("inspections", "rdw_nl", "11ZKZ3.json")], NOW))
    assert rows[0].subject == Subject("plate", "11-ZKZ-3", "NL")
    assert told(rows[0]) == {
        "category": "M1",
        "colour": "GRIJS",
        "country": "NL",
        "displacement_mm3": 999_000,
        "first_registration": "2013-01-04",
        "make": "SKODA",
        "mass_f1_kg": 1_290,
        "mass_f2_kg": 1_290,
        "mass_g1_kg": 840,
        "mass_g_kg": 940,
        "model": "CITIGO",
        "seats": 4,
        "type_approval": "e13*2007/46*1169*05",
        "type_variant_version": "AA ABCHYA FM5FM5CF0037MGVR2N1FA1SK",
    }
    assert rows[2].fields["occurred"]["at"] == "2021-11-04"
    assert rows[3].fields["due"] == "2022-01-04"
    fuel, _ = split(read_vehicles([real("inspections", "rdw_nl", "fuel_11ZKZ3.json")], NOW))
    assert told(fuel[0])["power_w"] == 44_000


def test_read_vehicles__refused_masked_plates_of_the_real_file() -> None:
    rows, faults = split(read_vehicles([real("inspections", "rdw_nl", "transcribed_records.json")], NOW))
    assert rows == []
    assert [(fault.rule, fault.column) for fault in faults] == [(Reason.INVALID_PLATE, "kenteken")] * 3


@pytest.mark.parametrize(
    "changes,reason,column,row",
    [
        ({"tellerstandoordeel": "Misschien"}, Reason.NOT_IN_LIST, "tellerstandoordeel", 2),
        ({"code_toelichting_tellerstandoordeel": "99"}, Reason.NOT_IN_LIST, "code_toelichting_tellerstandoordeel", 2),
        ({"massa_rijklaar": "zwaar"}, Reason.WRONG_TYPE, "massa_rijklaar", 1),
        ({"datum_eerste_toelating": "2013-01-04"}, Reason.INVALID_TIME, "datum_eerste_toelating", 1),
        ({"datum_tenaamstelling": "20211399"}, Reason.INVALID_TIME, "datum_tenaamstelling", 3),
    ],
)
def test_read_vehicles__refused(changes: dict[str, str], reason: Reason, column: str, row: int) -> None:
    record = {
        "kenteken": "11ZKZ3",
        "tellerstandoordeel": "Logisch",
        "code_toelichting_tellerstandoordeel": "00",
        "datum_tenaamstelling": "20211104",
    }
    _, faults = split(read_vehicles([json.dumps([record | changes]).encode()], NOW))
    assert only(faults) == (reason, column)
    assert faults[0].row == row


# ---- vPIC and WMI


def test_read_answer__real_success() -> None:
    rows, faults = split(read_answer(real("vin", "vpic_api_json", "success.json"), NOW))
    assert faults == []
    assert {row.subject for row in rows} == {Subject("vin", "1GYDE63A740121151")}
    assert told(rows[0]) == {"displacement_mm3": 4_600_000, "make": "CADILLAC", "model": "SRX"}
    assert told(rows[1]) == {
        "country": "US",
        "model_year": 2004,
        "plant": "NA-GM Corp, Lansing - Grand River, Michigan",
    }


def test_read_answer__refused_real_not_found() -> None:
    rows, faults = split(read_answer(real("vin", "vpic_api_json", "not_found.json"), NOW))
    assert rows == []
    assert only(faults) == (Reason.INVALID_VIN, "Error Code")


def test_read_answers__flat_answers_on_several_vins_lose_no_good_one() -> None:
    good = {"VIN": VIN.value, "Make": "RENAULT", "ModelYear": "2006", "EngineKW": "82.5", "ErrorCode": "0", "Seats": ""}
    bad = good | {"ErrorCode": "1,11", "ErrorText": "1 - Check Digit does not calculate properly"}
    wrong = good | {"VIN": "WVWZZZ1KZ7P10000O"}
    answer = {"Count": 3, "SearchCriteria": "", "Results": [bad, wrong, good]}
    rows, faults = split(read_answers([json.dumps(answer).encode()], NOW))
    assert [(fault.row, fault.rule, fault.column) for fault in faults] == [
        (1, Reason.INVALID_VIN, "Error Code"),
        (2, Reason.INVALID_VIN, "VIN"),
    ]
    assert [(row.row, row.subject, row.kind) for row in rows] == [
        (3, VIN, "vehicle.identity/1"),
        (4, VIN, "vehicle.manufacture/1"),
    ]
    assert told(rows[0]) == {"make": "RENAULT", "power_w": 82_500}
    assert told(rows[1]) == {"model_year": 2006}


@pytest.mark.parametrize(
    "answer,reason",
    [
        ([], Reason.WRONG_TYPE),
        ({}, Reason.MISSING_FIELD),
        ({"Results": [{"VIN": VIN.value}, {"VIN": VIN.value}]}, Reason.WRONG_TYPE),
        ({"SearchCriteria": "VIN:IOQ", "Results": [{"Variable": "Error Code", "Value": "0"}]}, Reason.INVALID_VIN),
        # vPIC decodes the beginning of a VIN, which many vehicles share.
        ({"SearchCriteria": "VIN:WVWZZZ1K", "Results": [{"Variable": "Error Code", "Value": "0"}]}, Reason.INVALID_VIN),
        ({"Results": [{"VIN": "WVWZZZ1K", "ErrorCode": "0"}]}, Reason.INVALID_VIN),
        ({"SearchCriteria": f"VIN:{VIN.value}", "Results": []}, Reason.INVALID_VIN),
        ({"SearchCriteria": f"VIN:{VIN.value}", "Results": 5}, Reason.WRONG_TYPE),
    ],
)
def test_read_decode__refused(answer: Any, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        read_decode(json.dumps(answer).encode())
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "name,identifiers,names,faults", [("wmi_database.json", 2_015, 2_015, 0), ("combined_wmi_raw.txt", 946, 1_484, 3)]
)
def test_read_manufacturers__real_list(name: str, identifiers: int, names: int, faults: int) -> None:
    found, bad = read_manufacturers(real("vin", "wmi_list", name))
    assert (len(found), sum(map(len, found.values())), len(bad)) == (identifiers, names, faults)
    assert find_manufacturers(check_vin(VIN.value), found) == ("Volkswagen",)


def test_find_manufacturers__longest_identifier_first() -> None:
    found, faults = read_manufacturers(b"VF9,Small makers\nVF9123,Maker one\nVF,France\nVF1,Renault\nVF1,Renault\n")
    assert faults == []
    assert find_manufacturers(check_vin("VF9AAAAAAAA123456"), found) == ("Maker one",)
    assert find_manufacturers(check_vin("VF9AAAAAAAA999456"), found) == ("Small makers",)
    assert find_manufacturers(check_vin("VF1AAAAAAAA999456"), found) == ("Renault",)
    assert find_manufacturers(check_vin("VF8AAAAAAAA999456"), found) == ("France",)
    assert find_manufacturers(check_vin("XXXAAAAAAAA999456"), found) == ()
    assert find_manufacturers(check_vin("VF1"), found) == ()


def test_read_manufacturers__refused_wrong_encoding() -> None:
    with pytest.raises(Refused) as refused:
        read_manufacturers(b"VF1,\xe9")
    assert refused.value.reason is Reason.WRONG_ENCODING
