"""Readings and their chart: as read, never converted, never judged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carnet.services.odometer import find_steps, list_readings, make_charts
from carnet.services.vehicles import Cause
from tests.services.lives import INSURER, Life


def test_readings__each_in_its_own_unit_and_order() -> None:
    life = Life()
    life.read("2021-05-01", 20)
    life.read("2019-05-01", mi=7)
    life.read("2020", 10)
    life.say("vehicle.service", "2022-01-01", activities=[])
    assert [(one.value, one.unit) for one in list_readings(life.entries)] == [(7, "mi"), (10, "km"), (20, "km")]


def test_chart__miles_and_kilometres_apart() -> None:
    life = Life()
    for year, mi in ((2015, 1_000), (2016, 9_000)):
        life.read(f"{year}-01-01", mi=mi)
    for year, km in ((2017, 20_000), (2018, 31_000)):
        life.read(f"{year}-01-01", km)
    charts = make_charts(list_readings(life.entries))
    assert [(chart.unit, len(chart.points)) for chart in charts] == [("km", 2), ("mi", 2)]


def test_chart__the_line_breaks_at_a_new_odometer_and_passes_by_what_was_corrected() -> None:
    life = Life()
    life.read("2015-01-01", 10_000)
    wrong = life.read("2016-01-01", 91_000)
    life.read("2016-01-01", 19_000, supersedes=wrong)
    life.say("vehicle.odometer_replacement", "2017-01-01", old_odometer_km=30_000, new_odometer_km=0, reason="defect")
    life.read("2018-01-01", 9_000)
    (chart,) = make_charts(list_readings(life.entries))
    values = [[point.reading.value for point in run] for run in chart.runs]
    assert values == [[10_000, 19_000], [0, 9_000]]
    assert [point.shape for point in chart.points if point.reading.value == 91_000] == ["gone"]
    steps = find_steps(list_readings(life.entries))
    assert steps == {2: 9_000, 4: 9_000}


def test_readings__of_a_correction_that_does_not_hold_do_not_count() -> None:
    """It is a contest: of somebody who may not correct, its value was the last certified odometer of the vehicle."""
    life = Life()
    life.read("2024-01-01", 80_000)
    wrong = life.read("2025-01-01", 95_000)
    life.read("2025-01-01", 59_000, by=INSURER, supersedes=wrong, holds=False)
    vehicle = life.see()
    assert vehicle.last_certified is not None
    assert vehicle.last_reading is not None
    assert (vehicle.last_certified.value, vehicle.last_reading.value) == (95_000, 95_000)
    readings = list_readings(vehicle.entries)
    assert [(one.value, one.is_counted) for one in readings] == [(80_000, True), (95_000, True), (59_000, False)]
    (chart,) = make_charts(readings)
    assert [[point.reading.value for point in run] for run in chart.runs] == [[80_000, 95_000]]
    assert [point.shape for point in chart.points] == ["certified", "certified", "objection"]
    # Who wrote it can withdraw it still, and the entry it is about is contested.
    assert vehicle.entries[2].is_standing
    assert Cause.CONTESTED in {notice.cause for notice in vehicle.notices}


def test_readings__of_two_corrections_of_one_entry_the_later_counts() -> None:
    life = Life()
    wrong = life.read("2025-01-01", 59_000)
    life.read("2025-01-01", 95_000, supersedes=wrong)
    life.read("2025-01-01", 90_500, supersedes=wrong)
    vehicle = life.see()
    assert vehicle.last_certified is not None
    assert vehicle.last_certified.value == 90_500
    assert [one.is_counted for one in list_readings(vehicle.entries)] == [False, False, True]


def test_summary__of_a_correction_that_does_not_hold_says_nothing() -> None:
    life = Life()
    first = life.inspect("2025-01-01", "A", "2027-01-01")
    life.say(
        "vehicle.inspection", "2025-01-01", by=INSURER, supersedes=first, holds=False, result="R", valid_until=None
    )
    said = life.say("vehicle.identity", "2020-01-01", make="RENAULT")
    life.say("vehicle.identity", "2020-01-01", by=INSURER, supersedes=said, holds=False, make="PEUGEOT")
    vehicle = life.see()
    assert vehicle.last_inspection is not None
    assert (vehicle.last_inspection.seq, vehicle.make) == (first, "RENAULT")
    assert Cause.INSPECTION_FAILED not in {notice.cause for notice in vehicle.notices}


def test_chart__the_line_breaks_where_nobody_wrote_what_the_new_odometer_showed() -> None:
    """The line went on from the old odometer to the new one, and the difference was told as driven."""
    life = Life()
    life.read("2015-01-01", 100_000)
    life.read("2016-01-01", 120_000)
    life.say("vehicle.odometer_replacement", "2016-06-01", old_odometer_km=125_000, reason="defect")
    wrong = life.read("2017-01-01", 80_000)
    life.read("2017-01-01", 8_000, supersedes=wrong)
    life.read("2018-01-01", 21_000)
    readings = list_readings(life.see().entries)
    (chart,) = make_charts(readings)
    assert [[point.reading.value for point in run] for run in chart.runs] == [[100_000, 120_000], [8_000, 21_000]]
    assert find_steps(readings) == {1: 20_000, 5: 13_000}
    assert [one.value for one in readings if one.begins_odometer] == [8_000]


def test_chart__of_a_replacement_that_was_withdrawn_is_one_line() -> None:
    life = Life()
    life.read("2015-01-01", 100_000)
    replaced = life.say("vehicle.odometer_replacement", "2016-06-01", reason="defect")
    life.read("2017-01-01", 120_000)
    life.say("passport.corrected", "2017-02-01", supersedes=replaced)
    (chart,) = make_charts(list_readings(life.see().entries))
    assert [[point.reading.value for point in run] for run in chart.runs] == [[100_000, 120_000]]


def test_chart__of_one_reading_is_none() -> None:
    life = Life()
    life.read("2015-01-01", 10_000)
    life.read(None, 12_000)
    assert make_charts(list_readings(life.entries)) == []


@given(
    st.lists(
        st.tuples(
            st.dates().map(lambda day: day.isoformat()).filter(lambda day: day > "1886"), st.integers(0, 9_999_999)
        ),
        min_size=2,
        max_size=30,
    )
)
def test_chart__every_point_and_line_is_within_it(readings: list[tuple[str, int]]) -> None:
    life = Life()
    for day, km in readings:
        life.read(day, km)
    (chart,) = make_charts(list_readings(life.entries))
    assert all(0 <= point.x <= 100 and 0 <= point.y <= 100 for point in chart.points)
    assert all(0 <= tick.at <= 100 for tick in (*chart.values, *chart.years))
    assert 2 <= len(chart.values) <= 8
    lowest, highest = chart.values[0].value, chart.values[-1].value
    assert all(lowest <= point.reading.value <= highest for point in chart.points)
