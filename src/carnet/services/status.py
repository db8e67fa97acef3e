"""The node at a glance: its store, its disk, its last backup, its keys, who writes; gathered, not judged.

It needs no passphrase, works while a writer runs, and reads nothing whole. It refuses to advise (`services.doctor`).
"""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from carnet.node.backup.take import LastBackup, read_last_backup
from carnet.node.glance import Glance, glance
from carnet.node.home import Home
from carnet.node.lock import Holder, find_holder
from carnet.node.people import get_people_address
from carnet.node.restored import Mark, find_mark
from carnet.services.backup import check_founded
from carnet.services.drilling import Drill, read_last_drill
from carnet.services.founding import now_ms
from carnet.services.members import CUSTODY_NAMES, ROLE_NAMES
from carnet.types import Custody, KeyRole
from carnet.vault.people.store import has_people
from carnet.vault.store import describe_address, open_address

ENDS_SOON_MS: Final = 30 * 86_400_000
"""Keys of programs that end within this are told."""


class Desk(NamedTuple):
    """What the store of people says of running the node: requests that wait for a second operator; when the last full
    check ended (ms), and how many things it found (None before the first); how many keys of programs end within
    `ENDS_SOON_MS`, and when the first of them does (ms)."""

    approvals_waiting: int
    checked_at: int | None
    findings: int | None
    keys_ending: int
    first_key_ends_at: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a node at `now` (ms); sizes in bytes. `writer` is None while nobody writes."""

    home: Path
    store: str
    """Where the store is, for people."""
    now: int
    seen: Glance
    log_bytes: int
    """Of SQLite's write-ahead log."""
    disk_free: int
    disk_total: int
    last_backup: LastBackup | None
    writer: Holder | None
    mark: Mark | None
    last_drill: Drill | None
    desk: Desk | None
    """None where nobody has been invited yet."""

    @property
    def records_since_backup(self) -> int | None:
        """How many records the last backup lacks; None without one."""
        return None if self.last_backup is None else max(0, self.seen.state.size - self.last_backup.log_size)

    def to_document(self) -> dict[str, Any]:
        """The object of `status --json`."""
        seen, state, last = self.seen, self.seen.state, self.last_backup
        cited = state.genesis.forked_from
        return {
            "backup": None if last is None else _to_backup(last, self.records_since_backup, self.now),
            "census": _to_census(seen, self.now),
            "drill": None if self.last_drill is None else self.last_drill.to_document(),
            "disk": {
                "free": self.disk_free,
                "store": self.seen.store_bytes,
                "total": self.disk_total,
                "wal": self.log_bytes,
            },
            "entries": {"exact": seen.entries.is_exact, "number": seen.entries.number},
            "desk": None if self.desk is None else self.desk._asdict(),
            "erasures": {"number": seen.erasure_count, "uncleared": seen.uncleared_count},
            "forked_from": None if cited is None else cited.to_document(),
            "home": str(self.home),
            "keys": self._list_keys(),
            "log": {"at": seen.last_at, "signed": seen.head_size, "size": state.size},
            "network": state.genesis.origin,
            "node": state.genesis.founders[0].member.hex(),
            "now": self.now,
            "passports": {"exact": seen.passports.is_exact, "number": seen.passports.number},
            "store": self.store,
            "restored": None if self.mark is None else self.mark._asdict(),
            "writer": None if self.writer is None else self.writer._asdict(),
        }

    def _list_keys(self) -> list[dict[str, Any]]:
        return [
            {
                "custody": CUSTODY_NAMES[Custody(listed.key.custody)],
                "digest": listed.key.digest.hex(),
                "disputed_since": listed.key.disputed_since,
                "listed_at": listed.listed_at,
                "name": listed.member.name,
                "revoked": listed.key.revoked,
                "role": ROLE_NAMES[KeyRole(listed.key.role)],
            }
            for listed in self.seen.keys
        ]


def get_status(home: Home) -> Status:
    """Look at a node. Raises Refused(NO_NODE, NODE_DAMAGED)."""
    check_founded(home)
    disk = shutil.disk_usage(home.path)
    return Status(
        home=home.path,
        store=describe_address(home.address),
        now=now_ms(),
        seen=glance(home),
        log_bytes=_measure(home.store.with_name(home.store.name + "-wal")),
        disk_free=disk.free,
        disk_total=disk.total,
        last_backup=read_last_backup(home),
        writer=find_holder(home.lock),
        mark=find_mark(home),
        last_drill=read_last_drill(home),
        desk=_find_desk(home, now_ms()),
    )


def _find_desk(home: Home, now: int) -> Desk | None:
    """What web workers keep about running the node; nothing is made to look into it."""
    address = get_people_address(home)
    if isinstance(address, Path) and not address.exists():
        return None
    with closing(open_address(address)) as store:
        connection = store.connection
        if not has_people(connection):
            return None
        (version,) = connection.execute("SELECT version_num FROM people_version").fetchone()
        if version < "0003":
            # Of an older program: the next one that opens it brings it up to date.
            return None
        query = "SELECT count(*) FROM approval WHERE state = 'open' AND until_ms > ?"
        (waiting,) = connection.execute(query, (now,)).fetchone()
        query = "SELECT ended_ms, outcome FROM upkeep_job WHERE act = 'check' AND outcome LIKE ? ORDER BY ended_ms DESC"
        checked = connection.execute(f"{query} LIMIT 1", ('%"findings"%',)).fetchone()
        query = (
            "SELECT count(*), min(until_ms) FROM api_key JOIN client ON client.id = api_key.client"
            " WHERE revoked_ms IS NULL AND ended_ms IS NULL AND until_ms > ? AND until_ms <= ?"
        )
        ending, first = connection.execute(query, (now, now + ENDS_SOON_MS)).fetchone()
    at, findings = (None, None) if checked is None else (int(checked[0]), int(json.loads(checked[1])["findings"]))
    return Desk(int(waiting), at, findings, int(ending), first)


def _measure(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _to_backup(last: LastBackup, since: int | None, now: int) -> dict[str, Any]:
    return {
        "age_ms": now - last.at,
        "at": last.at,
        "bytes": last.byte_count,
        "file": last.file,
        "log_size": last.log_size,
        "records_since": since,
    }


def _to_census(seen: Glance, now: int) -> dict[str, Any] | None:
    census = seen.census
    if census is None:
        return None
    return {
        "age_ms": now - census.at,
        "at": census.at,
        "changed": census.changed,
        "count": census.chain_count,
        "erased": census.erased,
        "owed": census.is_owed,
        "record": census.record,
    }
