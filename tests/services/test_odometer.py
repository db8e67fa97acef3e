"""Readings and their chart: as read, never converted, never judged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carnet.services.odometer import find_steps, list_readings, make_charts
from tests.services.lives import Life


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
