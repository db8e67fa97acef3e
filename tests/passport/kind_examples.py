"""One good entry of every built-in kind, as its author would give it: only what the source says."""

from __future__ import annotations

from typing import Any

VIN = {"scheme": "vin", "value": "WVWZZZ1KZ7P123456"}
DAY = {"at": "2024-03-05", "precision": "day", "zone": "Europe/Paris"}

_OWN_FIELDS: dict[str, dict[str, Any]] = {
    "passport.opened/1": {"occasion": "file", "source": "inspections 1992-2019"},
    "journal.opened/1": {"epoch": 0, "passport": "0" * 32},
    "vehicle.identity/1": {
        "make": "PEUGEOT",
        "model": "TKR FS",
        "displacement_mm3": 49_100,
        "power_w": 3_100,
        "first_registration": "2006-06-21",
        "alias": {"from": "2016-12-20", "subject": {"scheme": "plate", "country": "FR", "value": "AB-123-CD"}},
    },
    "vehicle.odometer/1": {"odometer_mi": 42_000, "odometer_state": "read", "method": "dash", "purpose": "sale"},
    "vehicle.odometer_replacement/1": {"old_odometer_km": 180_000, "new_odometer_km": 12, "reason": "defect"},
    "vehicle.inspection/1": {
        "nature": "VTP",
        "result": "S",
        "odometer_km": 225_427,
        "odometer_state": "read",
        "centre": "S007D 96",
        "report_number": "6299576",
        "end_time": "10:20:48",
        "valid_until": "2024-05-05",
        "defects": [{"text": "Éclairage défectueux", "severity": "major", "location": "AVG"}],
    },
    "vehicle.service/1": {
        "activities": [{"text": "oil and filter"}],
        "parts": [{"label": "oil filter", "reference": "1109.AY", "quantity": 1}],
        "labour_minutes": 75,
        "over_one_hour": True,
        "next_due": {"date": "2025-03-05", "odometer_km": 120_000},
        "odometer_km": 100_000,
        "establishment": "Garage des Lilas",
    },
    "vehicle.repair/1": {"activities": [{"code": "B12", "text": "clutch"}], "cause": "wear", "odometer_km": 99_000},
    "vehicle.assistance/1": {"symptom": "no start", "outcome": "towed", "fault_codes": [{"code": "P0420"}]},
    "vehicle.accident/1": {
        "severity": "medium",
        "first_report": "2024-03-06",
        "second_report": "2024-04-01",
        "estimate_cents": 123_456,
        "currency": "EUR",
        "economically_irreparable": False,
        "driver_age_band": "from_35_to_49",
    },
    "vehicle.contract/1": {
        "type": "insurance",
        "state": "opened",
        "start_date": "2024-01-01",
        "end_date": "2024-12-31",
    },
    "vehicle.title/1": {"type": "change_of_holder", "price_cents": 950_000, "currency": "EUR", "odometer_km": 101_000},
    "passport.transferred/1": {"reason": "sale"},
    "passport.moved/1": {"new_home": "ab" * 16},
    "passport.corrected/1": {"reason": "typing_error", "note": "one digit too many"},
    "passport.rectified/1": {"reason": "wrong_unit", "reference": "2024-118"},
    "passport.contested/1": {"reason": "wrong_vehicle"},
    "passport.closed/1": {"reason": "destroyed", "certificate": "VHU-2024-17"},
}


def make_fields(of_kind: str, /, **changes: Any) -> dict[str, Any]:
    """The good entry of a kind with some fields changed, added, or, given as `...`, left out."""
    fields = {"kind": of_kind, "subject": dict(VIN), "occurred": dict(DAY), **_OWN_FIELDS[of_kind], **changes}
    return {name: value for name, value in fields.items() if value is not ...}


KINDS = tuple(_OWN_FIELDS)
