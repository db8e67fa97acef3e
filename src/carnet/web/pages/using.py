"""How much a member sealed, day by day, as a chart with its table; and its own entries to take away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from litestar import Response, get
from litestar.response import Stream

from carnet.errors import Refused
from carnet.node.reader import Reader
from carnet.services.access import View
from carnet.services.calls import count_calls
from carnet.services.claims import list_codes
from carnet.services.console.book import begin_day, count_days, parse_day
from carnet.services.console.taking_out import take_out, write_lines, write_table
from carnet.services.principals import Principal
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.console import list_jobs
from carnet.web.pages.holding import get_holdings, get_today, note_look
from carnet.web.pages.sayings import say_fault
from carnet.web.pages.showing import AnyRequest, find_reader_language, show
from carnet.web.people import get_office
from carnet.web.policy import staff

STAFF: Final = staff()
PERIODS: Final = (7, 30, 90)
HEIGHT: Final = 100.0


class Bar(NamedTuple):
    """A day in a chart: its total, where it stands and how high, in hundredths of the whole."""

    day: date
    total: int
    x: float
    width: float
    height: float


@get("/console/use", opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_use(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Entries by day and kind, files, codes; and what can be taken away."""
    return _show(request, desk, principal)


@get("/console/use/entries.csv", opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_table(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[Any] | Stream:
    """Own entries of a period, for a spreadsheet."""
    return _take(request, desk, principal, "csv")


@get("/console/use/entries.jsonl", opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_lines(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[Any] | Stream:
    """Own entries of a period, for a program."""
    return _take(request, desk, principal, "jsonl")


def make_bars(first: date, counts: Sequence[int]) -> list[Bar]:
    """The bars of a chart, a day each from the first: as high as the day with most is all of it."""
    most, step = max(max(counts, default=0), 1), HEIGHT / max(len(counts), 1)
    return [
        Bar(first + timedelta(days=at), count, at * step + step * 0.12, step * 0.76, count * HEIGHT / most)
        for at, count in enumerate(counts)
    ]


def chart_calls(desk: Desk, principal: Principal, first: date, last: date) -> list[Bar]:
    """The requests of the member's programs, a bar for each day."""
    calls = count_calls(get_office(desk), principal, first, last)
    return make_bars(first, [calls.get(first + timedelta(days=at), 0) for at in range((last - first).days + 1)])


def _take(request: AnyRequest, desk: Desk, principal: Principal, form: str) -> Response[Any] | Stream:
    """As many as there are, sent while they are read; what is wrong is told before the first of them."""

    def note(reader: Reader, view: View, kinds: list[str]) -> None:
        note_look(desk, principal, reader, view, kinds, "export")

    try:
        first, last = _read_period(request, get_today(desk))
        since, until = begin_day(first), begin_day(last + timedelta(days=1))
        entries = take_out(desk.reading, get_holdings(desk), principal, note, since=since, until=until)
    except Refused as refused:
        return _show(request, desk, principal, say_fault(find_reader_language(request, desk), refused))
    name = f"entries-{first.isoformat()}-{last.isoformat()}.{form}"
    pieces = write_table(entries) if form == "csv" else write_lines(entries)
    media_type = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
    return Stream(pieces, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _read_period(request: AnyRequest, today: date) -> tuple[date, date]:
    """What an address asks for; without days the last thirty. Raises Refused(INVALID_TIME)."""
    until = request.query_params.get("until") or today.isoformat()
    last = parse_day(until, "until")
    since = request.query_params.get("since")
    return (last - timedelta(days=29) if not since else parse_day(since, "since")), last


def _show(request: AnyRequest, desk: Desk, principal: Principal, problem: str | None = None) -> Response[str]:
    today = get_today(desk)
    asked = request.query_params.get("days", "")
    count = int(asked) if asked in map(str, PERIODS) else 30
    first = today - timedelta(days=count - 1)
    with desk.reading() as reader:
        days = count_days(reader, principal, first, today)
    kinds = sorted(
        {kind for day in days for kind in day.kinds}, key=lambda kind: -sum(d.kinds.get(kind, 0) for d in days)
    )
    since_ms = begin_day(first)
    asking = chart_calls(desk, principal, first, today)
    calls = {bar.day: bar.total for bar in asking if bar.total}
    codes = [line for line in list_codes(get_office(desk), principal, limit=200) if line.created_at >= since_ms]
    facts: dict[str, Any] = {
        "asking": asking,
        "bars": make_bars(first, [day.total for day in days]),
        "calls": calls,
        "calls_total": sum(calls.values()),
        "codes": len(codes),
        "codes_used": sum(line.state == "used" for line in codes),
        "count": count,
        "days": [day for day in reversed(days) if day.total or day.day in calls],
        "files": sum(job.created_ms >= since_ms for job in list_jobs(desk, principal)),
        "first": first.isoformat(),
        "kinds": kinds,
        "periods": PERIODS,
        "problem": problem,
        "sums": {kind: sum(day.kinds.get(kind, 0) for day in days) for kind in kinds},
        "today": today.isoformat(),
        "total": sum(day.total for day in days),
    }
    return show(request, desk, principal, "console/use.html", 200 if problem is None else 422, **facts)


ROUTES = [get_use, get_table, get_lines]
