"""Written moments: what is read, what is refused, and what precision keeps."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.passport.occurred import (
    DAY_MS,
    UNKNOWN,
    Occurred,
    check_not_future,
    check_occurred,
    compute_earliest_ms,
    join_occurred,
    parse_occurred,
    written_date,
)

PARIS = "Europe/Paris"


def moment(at: object, precision: object, zone: object = "UTC") -> dict[str, object]:
    return {"at": at, "precision": precision, "zone": zone}


@pytest.mark.parametrize(
    "at,precision",
    [
        ("2009", "year"),
        ("2009-05", "month"),
        ("2009-05-04", "day"),
        ("2009-05-04T09:48", "minute"),
        ("2009-05-04T23:59:59", "second"),
        ("2024-02-29", "day"),
    ],
)
@pytest.mark.parametrize(
    "zone", ["UTC", "+02:00", "-11:30", PARIS, "America/Argentina/Buenos_Aires", "Etc/GMT+3", None]
)
def test_check_occurred__reads_each_precision_and_zone(at: str, precision: str, zone: str | None) -> None:
    value = moment(at, precision, zone)
    assert check_occurred(value).to_json() == value


def test_check_occurred__unknown_is_said() -> None:
    assert check_occurred(moment(None, "unknown", None)) == UNKNOWN


@pytest.mark.parametrize(
    "value,reason",
    [
        ("2009-05-04", Reason.WRONG_TYPE),
        (moment(2009, "year"), Reason.WRONG_TYPE),
        (moment("2009", None), Reason.WRONG_TYPE),
        (moment("2009", "year", 2), Reason.WRONG_TYPE),
        ({"at": "2009", "precision": "year"}, Reason.MISSING_FIELD),
        ({**moment("2009", "year"), "offset": 2}, Reason.UNKNOWN_FIELD),
        (moment("2009", "decade"), Reason.NOT_IN_LIST),
        (moment("2009", "day"), Reason.INVALID_TIME),
        (moment("2009-05-04", "second"), Reason.INVALID_TIME),
        (moment("2021-02-30", "day"), Reason.INVALID_TIME),
        (moment("2023-02-29T10:00", "minute"), Reason.INVALID_TIME),
        (moment("2021-13", "month"), Reason.INVALID_TIME),
        (moment("1885", "year"), Reason.INVALID_TIME),
        (moment("0000", "year"), Reason.INVALID_TIME),
        (moment("2021-05-04T24:00", "minute"), Reason.INVALID_TIME),
        (moment("2021-05-04T23:59:60", "second"), Reason.INVALID_TIME),
        (moment("2021-W01-1", "day"), Reason.INVALID_TIME),
        (moment("2021-05-04\n", "day"), Reason.INVALID_TIME),
        (moment("٢٠٢١", "year"), Reason.INVALID_TIME),
        (moment(None, "day"), Reason.INVALID_TIME),
        (moment("2009", "unknown", None), Reason.INVALID_TIME),
        (moment(None, "unknown", "UTC"), Reason.INVALID_TIME),
        (moment("2009", "year", "Z"), Reason.INVALID_TIME),
        (moment("2009", "year", "+25:00"), Reason.INVALID_TIME),
        (moment("2009", "year", "Europe/" + "P" * 60), Reason.INVALID_TIME),
        (moment("2009", "year", "../etc/passwd"), Reason.INVALID_TIME),
    ],
)
def test_check_occurred__refused(value: object, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        check_occurred(value)
    assert refused.value.reason is reason
    assert refused.value.facts["field"] == "occurred"


def test_check_occurred__names_the_impossible_date() -> None:
    with pytest.raises(Refused, match="2021-02-30, which is in no calendar"):
        check_occurred(moment("2021-02-30", "day"))


@pytest.mark.parametrize(
    "text,at,zone",
    [
        ("2009", "2009", PARIS),
        ("2009-5", "2009-05", PARIS),
        (" 2009-05-04 ", "2009-05-04", PARIS),
        ("2009-05-04T9:48", "2009-05-04T09:48", PARIS),
        ("2019-04-11 00:00:00.0", "2019-04-11T00:00:00", PARIS),
        ("2009-01-16T23:00Z", "2009-01-16T23:00", "UTC"),
        ("2009-01-16T23:00:00.000+0100", "2009-01-16T23:00:00", "+01:00"),
        ("", None, None),
    ],
)
def test_parse_occurred__keeps_the_precision_of_the_file(text: str, at: str | None, zone: str | None) -> None:
    occurred = parse_occurred(text, PARIS)
    assert (occurred.at, occurred.zone) == (at, zone)
    assert check_occurred(occurred.to_json()) == occurred


@pytest.mark.parametrize(
    "text", ["16/01/2009", "yesterday", "2009-05 10:00", "2009-05-04T25:00", "2009-05-04T10h", "20090504"]
)
def test_parse_occurred__refused_invalid_time(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_occurred(text, PARIS)
    assert refused.value.reason is Reason.INVALID_TIME


def test_join_occurred__a_date_without_a_time_is_a_day_not_a_midnight() -> None:
    assert join_occurred("2009-05-04", None, PARIS) == Occurred("2009-05-04", "day", PARIS)
    assert join_occurred("2009-05-04", "09:48:33", PARIS) == Occurred("2009-05-04T09:48:33", "second", PARIS)


def test_written_date__needs_a_day() -> None:
    assert written_date(parse_occurred("2009-05-04T23:30-08:00")) == date(2009, 5, 4)
    assert written_date(parse_occurred("2009-05")) is None
    assert written_date(UNKNOWN) is None


@given(st.datetimes(datetime(1886, 1, 1), datetime(9999, 12, 31)))
def test_check_not_future__begins_a_day_after_now(when: datetime) -> None:
    occurred = parse_occurred(when.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0"), "UTC")
    earliest = compute_earliest_ms(occurred)
    assert earliest is not None
    check_not_future(occurred, earliest - DAY_MS)
    with pytest.raises(Refused) as refused:
        check_not_future(occurred, earliest - DAY_MS - 1)
    assert refused.value.reason is Reason.TIME_IN_FUTURE
    assert refused.value.could_retry


def test_check_not_future__this_year_has_begun() -> None:
    now = compute_earliest_ms(parse_occurred("2026-06-01"))
    assert now is not None
    check_not_future(parse_occurred("2026"), now)
    check_not_future(UNKNOWN, now)
    with pytest.raises(Refused):
        check_not_future(parse_occurred("2027"), now)
