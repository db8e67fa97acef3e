"""Jobs of upkeep: an operator asks for one in a page, or the node itself when one is due; its own process does it, and
its end is kept.

It refuses to do anything itself, and to take a path or a secret from a page: where backups go, the settings say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, name_caller, name_id
from carnet.services.principals import Principal, Standing
from carnet.services.settings import Settings
from carnet.types import Millis

BACKUP, DRILL, CHECK = "backup", "drill", "check"

_COLUMNS: Final = "id, act, state, asked_by, asked_ms, started_ms, ended_ms, outcome"


class Job(NamedTuple):
    """A job. `state`: waiting, running, done, failed; `outcome` is what the verb told, or the code of its failure;
    times are ms."""

    id: bytes
    act: str
    state: str
    asked_by: str
    asked_at: Millis
    started_at: Millis | None
    ended_at: Millis | None
    outcome: dict[str, Any]

    @property
    def public_id(self) -> str:
        """`upk_…`."""
        return name_id("upk", self.id)


def find_obstacle(settings: Settings, act: str) -> str | None:
    """Why such a job cannot be done here; None if it can, as a check always can. `folder`: no place for backups was
    set; `secret`: nothing opens or seals them."""
    if act == CHECK:
        return None
    if not settings.backup_folder:
        return "folder"
    can_seal = bool(settings.backup_passphrase_file or settings.backup_recipient)
    is_ready = can_seal if act == BACKUP else bool(settings.backup_passphrase_file)
    return None if is_ready else "secret"


def ask_job(office: Office, principal: Principal, settings: Settings, act: str) -> Job:
    """Have a backup taken, the last one tried, or all that is stored checked; one of each kind waits or runs at a time.

    Raises Refused NOT_PERMITTED, NOT_IN_LIST for another act, MISSING_FIELD where the settings lack what it takes,
    REQUEST_AT_WORK while one is on its way.
    """
    if principal.standing is not Standing.OPERATOR:
        raise Refused(Reason.NOT_PERMITTED, "upkeep is for operators")
    if act not in (BACKUP, DRILL, CHECK):
        raise Refused(Reason.NOT_IN_LIST, "a job is a backup, a drill or a check", field="act")
    obstacle = find_obstacle(settings, act)
    if obstacle is not None:
        needed = "--backup-folder" if obstacle == "folder" else "--backup-passphrase-file"
        saying = f"this service was not told how: start `carnet serve` with {needed} (docs/settings.md)"
        raise Refused(Reason.MISSING_FIELD, saying, setting=needed)
    return _queue(office, name_caller(principal), act)


def queue_check(office: Office, every_ms: Millis) -> Job | None:
    """Have all that is stored checked in the node's own name, if the last check is so old, or found something; None if
    it is not due, or on its way."""
    last = find_last_check(office)
    if last is not None and last.state == "done" and office.clock() - (last.ended_at or 0) < every_ms:
        return None
    try:
        return _queue(office, "node", CHECK)
    except Refused as refused:
        if refused.reason is not Reason.REQUEST_AT_WORK:
            raise
        return None


def find_last_check(office: Office) -> Job | None:
    """The last check that came to its end, whatever it found; not one that was interrupted."""
    query = f"SELECT {_COLUMNS} FROM upkeep_job WHERE act = 'check' AND ended_ms IS NOT NULL ORDER BY ended_ms DESC"  # noqa: S608
    with office.people.read() as connection:
        jobs = [_read(row) for row in connection.execute(f"{query} LIMIT 20").fetchall()]
    return next((job for job in jobs if "findings" in job.outcome), None)


def _queue(office: Office, who: str, act: str) -> Job:
    with office.people.write() as connection:
        query = "SELECT count(*) FROM upkeep_job WHERE act = ? AND state IN ('waiting', 'running')"
        if connection.execute(query, (act,)).fetchone()[0]:
            raise Refused(Reason.REQUEST_AT_WORK, "one is on its way already", could_retry=True)
        made, now = office.random_bytes(16), office.clock()
        query = "INSERT INTO upkeep_job (id, act, state, asked_by, asked_ms) VALUES (?, ?, 'waiting', ?, ?)"
        connection.execute(query, (made, act, who, now))
    return Job(made, act, "waiting", who, now, None, None, {})


def list_jobs(office: Office, principal: Principal, limit: int = 20) -> list[Job]:
    """The latest jobs, newest first. Raises Refused(NOT_PERMITTED)."""
    if principal.standing is not Standing.OPERATOR:
        raise Refused(Reason.NOT_PERMITTED, "upkeep is for operators")
    query = f"SELECT {_COLUMNS} FROM upkeep_job ORDER BY asked_ms DESC, id LIMIT ?"  # noqa: S608 - our own words
    with office.people.read() as connection:
        return [_read(row) for row in connection.execute(query, (limit,)).fetchall()]


def take_next(office: Office) -> Job | None:
    """The job that has waited longest, which runs from now on; for the one process that does them."""
    query = f"SELECT {_COLUMNS} FROM upkeep_job WHERE state = 'waiting' ORDER BY asked_ms, id LIMIT 1"  # noqa: S608
    with office.people.read() as connection:
        row = connection.execute(query).fetchone()
    if row is None:
        return None
    job, now = _read(row), office.clock()
    with office.people.write() as connection:
        connection.execute("UPDATE upkeep_job SET state = 'running', started_ms = ? WHERE id = ?", (now, job.id))
    return job._replace(state="running", started_at=now)


def end_job(office: Office, job: Job, outcome: dict[str, Any], *, is_good: bool) -> None:
    """Keep what came of a job, and note it."""
    state = "done" if is_good else "failed"
    actions = {(BACKUP, True): Action.BACKUP_TAKEN, (BACKUP, False): Action.BACKUP_FAILED}
    action = actions.get((job.act, is_good), Action.NODE_CHECKED if job.act == CHECK else Action.BACKUP_DRILLED)
    why = "" if is_good else str(outcome.get("problem") or "failed")
    with office.people.write() as connection:
        query = "UPDATE upkeep_job SET state = ?, ended_ms = ?, outcome = ? WHERE id = ?"
        connection.execute(query, (state, office.clock(), json.dumps(outcome, sort_keys=True), job.id))
        record(connection, office, action, job.asked_by, about=job.public_id, why=why)


def end_interrupted(office: Office) -> int:
    """Whatever ran when the process that does them ended: it has failed. How many."""
    query = f"SELECT {_COLUMNS} FROM upkeep_job WHERE state = 'running'"  # noqa: S608 - our own words
    with office.people.read() as connection:
        left = [_read(row) for row in connection.execute(query).fetchall()]
    for job in left:
        end_job(office, job, {"problem": "interrupted"}, is_good=False)
    return len(left)


def _read(row: Sequence[Any]) -> Job:
    own, act, state, asked_by, asked, started, ended, outcome = row
    return Job(bytes(own), act, state, asked_by, asked, started, ended, json.loads(outcome) if outcome else {})
