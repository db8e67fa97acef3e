"""A reading beside those that the same member gave before."""

from __future__ import annotations

import pytest

from carnet.node.own_readings import REPLACEMENT, OwnReading
from carnet.services.own_readings import find_doubt, find_reading

ODOMETER = "vehicle.odometer/1"
MARCH = OwnReading(2, ODOMETER, "2026-03-03", 84_210, "km")
JUNE = OwnReading(3, ODOMETER, "2026-06-10", 90_000, "km")


@pytest.mark.parametrize(
    "day, value, code, seq",
    [
        ("2026-04-01", 86_000, "earlier", 3),
        ("2026-07-01", 90_000, None, None),
        ("2026-07-01", 89_999, "lower", 3),
        ("2026-03-03", 84_209, "lower", 2),
        ("2026-03-03", 84_210, "earlier", 3),
        ("2026-02-01", 84_211, "higher", 2),
        ("2026-02-01", 95_000, "higher", 2),
        ("2026-04-01", 84_000, "lower", 2),
    ],
)
def test_doubt__is_the_gravest(day: str, value: int, code: str | None, seq: int | None) -> None:
    found = find_doubt([MARCH, JUNE], day, value, "km")
    assert (code, seq) == (None, None) if found is None else (found.code, found.before.seq) == (code, seq)
    assert (found is None) == (code is None)


def test_doubt__of_another_unit_there_is_none() -> None:
    assert find_doubt([MARCH], "2026-07-01", 52_000, "mi") is None


def test_doubt__readings_of_another_odometer_say_nothing() -> None:
    replaced = OwnReading(4, REPLACEMENT, "2026-07-01", 12, "km")
    assert find_doubt([MARCH, JUNE, replaced], "2026-08-01", 400, "km") is None
    assert find_doubt([MARCH, JUNE, replaced], "2026-06-20", 90_500, "km") is None
    found = find_doubt([MARCH, JUNE, replaced], "2026-08-01", 11, "km")
    assert found is not None
    assert found.before.seq == 4


def test_doubt__of_a_new_odometer_that_nobody_read_there_is_none() -> None:
    replaced = OwnReading(4, REPLACEMENT, "2026-07-01", 0, "")
    assert find_doubt([MARCH, JUNE, replaced], "2026-08-01", 400, "km") is None
    assert find_doubt([MARCH, JUNE, replaced], "2026-08-01", 400, "mi") is None


def test_reading__is_a_number_and_no_new_odometer() -> None:
    assert find_reading({"odometer_mi": 5}) == (5, "mi")
    assert find_reading({"odometer_km": True, "new_odometer_km": 4}) is None
