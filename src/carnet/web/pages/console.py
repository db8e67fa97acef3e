"""The first page of a member's desk: what was sealed today, what waits, what was refused, and the way to write."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from litestar import Response, get

from carnet.node.reader import Reader
from carnet.services.claims import count_codes
from carnet.services.console.book import count_days, describe_lines, iterate_own
from carnet.services.console.contests import Contests
from carnet.services.filing.records import ENDED, Files, Job
from carnet.services.principals import Principal
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.filing_words import say_failure, say_state
from carnet.web.pages.holding import get_holdings, get_today
from carnet.web.pages.showing import AnyRequest, find_reader_language, show
from carnet.web.people import get_office
from carnet.web.policy import staff

STAFF: Final = staff()
LATEST: Final = 12
TROUBLE_DAYS: Final = 7


@get("/console", opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_console(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Today."""
    today = get_today(desk)
    with desk.reading() as reader:
        member = reader.state.members.get(principal.member or b"")
        week = count_days(reader, principal, today - timedelta(days=6), today)
        lines = []
        for line in iterate_own(reader, principal):
            lines.append(line)
            if len(lines) == LATEST:
                break
        latest = describe_lines(reader, lines)
        contests = list_contests(desk, reader, principal)
    jobs, language = list_jobs(desk, principal), find_reader_language(request, desk)
    facts: dict[str, Any] = {
        "member": member.name,
        "is_retired": member.retired is not None,
        "today": today.isoformat(),
        "sealed": week[-1],
        "week_total": sum(day.total for day in week),
        "latest": latest,
        "contests": contests,
        "codes": count_codes(get_office(desk), principal),
        "waiting": [(job, say_state(language, job)) for job in jobs if job.state not in ENDED],
        "troubled": [
            (job, say_failure(language, job))
            for job in jobs
            if is_troubled(job, desk.clock() - TROUBLE_DAYS * 86_400_000)
        ],
    }
    return show(request, desk, principal, "console/today.html", **facts)


def list_contests(desk: Desk, reader: Reader, principal: Principal) -> list[Any]:
    """The member's entries that are contested and wait for an answer."""
    known: Contests = desk.shelf.setdefault("contests", Contests())
    return known.list_open(reader, get_holdings(desk), principal)


def list_jobs(desk: Desk, principal: Principal) -> list[Job]:
    """The member's file jobs, the newest first; none where the service takes no files."""
    files = desk.shelf.get("files")
    return files.list(principal.member)[::-1] if isinstance(files, Files) else []


def is_troubled(job: Job, since: int) -> bool:
    """Whether rows of a file were refused, or all of it, since a moment (ms)."""
    return (job.ended_ms or 0) >= since and (job.state == "failed" or (job.state == "done" and job.counts.faulty > 0))


ROUTES = [get_console]
