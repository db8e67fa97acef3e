"""Upkeep of the node, for operators: how old the last backup is and whether it was tried, the census, and what runs in
the background. Of members' files it tells counts and states, never a content or a name of one.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.node.backup.take import read_last_backup
from carnet.node.glance import glance
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import name_caller
from carnet.services.accounts.registry import find_names
from carnet.services.drilling import read_last_drill
from carnet.services.filing.records import Files
from carnet.services.principals import Principal
from carnet.services.surroundings import WEEK_MS
from carnet.services.upkeep.jobs import BACKUP, DRILL, ask_job, find_last_check, find_obstacle, list_jobs
from carnet.services.upkeep.telling import list_telling
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.operating.common import ACT, LOOK, show_page
from carnet.web.pages.showing import AnyRequest, go
from carnet.web.people import get_office

HERE = "/operator/upkeep"
FILE_JOBS: Final = 50


@get(HERE, opt=LOOK, sync_to_thread=True, include_in_schema=False)
def get_upkeep(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Backups, census, jobs."""
    return _show(request, desk, principal)


@post(f"{HERE}/jobs", opt=ACT, sync_to_thread=True, include_in_schema=False)
def start_job(data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str] | Redirect:
    """Have a backup taken, or the last one tried, in the background."""
    try:
        ask_job(get_office(desk), principal, desk.settings, str(data.get("act", "")))
    except Refused as refused:
        if refused.reason is Reason.NOT_PERMITTED:
            raise
        return _show(request, desk, principal, refused=refused)
    return go(f"{HERE}#jobs")


@post(f"{HERE}/census", opt=ACT, sync_to_thread=True, include_in_schema=False)
def take_census(data: FormData, desk: TheDesk, principal: ThePrincipal) -> Redirect:
    """Take a census now."""
    office = get_office(desk)
    desk.door.take_census()
    with office.people.write() as connection:
        record(connection, office, Action.CENSUS_TAKEN, name_caller(principal))
    return go(f"{HERE}#census")


def _show(request: AnyRequest, desk: Desk, principal: Principal, *, refused: Refused | None = None) -> Response[str]:
    office, now = get_office(desk), desk.clock()
    seen, last, tried = glance(desk.home), read_last_backup(desk.home), read_last_drill(desk.home)
    with desk.reading() as reader:
        members = {one.id.hex(): one.name for one in reader.state.members.all}
    files, jobs = desk.shelf.get("files"), list_jobs(office, principal)
    facts: dict[str, Any] = {
        "census": seen.census,
        "last": last,
        "since": None if last is None else max(0, seen.state.size - last.log_size),
        "is_old": last is not None and seen.state.size > last.log_size and now - last.at > WEEK_MS,
        "tried": tried,
        "checked": find_last_check(office),
        "now": now,
        "jobs": jobs,
        "obstacles": {act: find_obstacle(desk.settings, act) for act in (BACKUP, DRILL)},
        "file_jobs": files.list()[: -FILE_JOBS - 1 : -1] if isinstance(files, Files) else [],
        "telling": list_telling(office, principal),
        "members": members,
        "names": find_names(office, principal, (job.asked_by for job in jobs)),
    }
    return show_page(request, desk, principal, "upkeep.html", refused=refused, **facts)


ROUTES = [get_upkeep, start_job, take_census]
