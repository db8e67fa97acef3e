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
    "vehicle.odometer_judgement/1": {
        "judgement": "no_judgement",
        "code": "05",
        "text": "no reading before the import",
        "last_reading_year": 2023,
    },
    "vehicle.manufacture/1": {
        "plant": "Sochaux",
        "country": "FR",
        "model_year": 2024,
        "options": [{"code": "ZH01", "text": "tow bar"}],
        "odometer_km": 4,
    },
    "vehicle.end_of_life/1": {
        "certificate": "VHU-2024-17",
        "approval_number": "PR6200012D",
        "country": "FR",
        "handed_over": "2024-03-01",
        "battery": "removed_for_reuse",
        "reason": "worn_out",
    },
    "vehicle.checkup/1": {
        "term": "seasonal",
        "findings": [{"part": "front tyres", "state": "soon", "text": "2.1 mm"}, {"part": "wipers", "state": "good"}],
        "fault_codes": [],
        "next_due": {"date": "2024-10-01"},
        "odometer_km": 100_500,
    },
    "vehicle.reminder/1": {
        "text": "brake fluid",
        "state": "open",
        "origin": "schedule",
        "topic": "fluids",
        "due": {"earliest": "2024-09-01", "date": "2024-12-01", "odometer_km": 120_000},
    },
    "vehicle.recall/1": {
        "campaign": "24V-118",
        "state": "fixed",
        "fixer": "Garage des Lilas",
        "published": "2024-01-10",
    },
    "vehicle.part/1": {"label": "timing belt", "serial": "TB-00017", "origin": "new", "warranty_until": "2026-03-05"},
    "vehicle.fault/1": {
        "code": "P0420",
        "state": "confirmed",
        "mil": True,
        "odometer_km": 100_120,
        "freeze_frame": {"engine_speed_rpm": 2_150, "coolant_temperature_c": 89, "fuel_trim_permille": -31},
    },
    "vehicle.battery/1": {
        "certified_energy_wh": 52_000,
        "full_cycles": 411,
        "capacity_fade_permille": 84,
        "negative_events": [{"type": "deep_discharge", "date": "2023-12-24"}],
        "method": "full_discharge",
    },
    "vehicle.emissions/1": {"co_ppm": 300, "lambda_permille": 1_001, "method": "fast_idle", "result": "passed"},
    "vehicle.trip/1": {
        "consent_sha256": "0a" * 32,
        "distance_m": 18_400,
        "duration_s": 1_500,
        "fuel_ml": 1_130,
        "harsh_brakings": 1,
        "night_permille": 0,
        "speeding_permille": 12,
    },
    "vehicle.insurance_claims/1": {
        "period_start": "2019-03-05",
        "period_end": "2024-03-04",
        "bonus_malus_hundredths": 50,
        "claims": [{"date": "2021-07-01", "type": "glass", "state": "settled", "amount_cents": 41_000}],
        "currency": "EUR",
    },
    "vehicle.damage/1": {
        "occasion": "contract_end",
        "damage": [{"part": "rear bumper", "severity": "light", "photo_sha256": "0a" * 32}],
        "odometer_km": 32_000,
    },
    "vehicle.declared/1": {"type": "reading", "odometer_km": 101_222, "photo_sha256": "0a" * 32},
    "vehicle.procedure/1": {
        "type": "sale",
        "state": "open",
        "due": "2024-03-20",
        "papers": [{"name": "inspection report", "state": "given", "sha256": "0a" * 32}],
    },
    "journal.granted/1": {
        "grant": "0b" * 16,
        "assigner": "holder",
        "assignee_type": "member",
        "assignee_member": "0c" * 16,
        "passport": "0d" * 16,
        "epoch": 2,
        "action": "read",
        "purpose": "insurance quote",
        "duration": "term",
        "access_until": "2024-06-05",
        "use_until": "2024-07-05",
        "retention_until": "2024-12-31",
        "scope": [{"kind": "vehicle.inspection/1", "field": "odometer_km"}],
    },
    "journal.refused/1": {
        "assigner": "driver",
        "assignee_type": "person",
        "assignee_person": "0a" * 32,
        "passport": "0d" * 16,
        "epoch": 2,
        "action": "compute",
        "purpose": "driving score",
        "outcome": "refused",
        "reason": "purpose",
    },
    "journal.withdrawn/1": {
        "grant": "0b" * 16,
        "passport": "0d" * 16,
        "epoch": 2,
        "by": "holder",
        "outcome": "withdrawn",
        "reason": "holder_decision",
    },
    "journal.accessed/1": {
        "grant": "0b" * 16,
        "assignee_type": "member",
        "assignee_member": "0c" * 16,
        "passport": "0d" * 16,
        "epoch": 2,
        "action": "read",
        "purpose": "insurance quote",
        "entry_count": 12,
        "use_number": 1,
    },
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
