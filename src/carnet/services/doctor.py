"""What is wrong with an installation: each check with what was found, why it matters and what to do.

It changes nothing, and looks at the ends of the store only. It refuses to say that a store is undamaged: that is for
`carnet fsck`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from carnet.errors import CarnetError, Reason, Refused, Unverified
from carnet.node.backup.take import read_last_backup
from carnet.node.erasing import ErasureJournal, find_missing, find_unwritten
from carnet.node.glance import Glance, glance
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.logbook import read_node
from carnet.node.restored import find_mark
from carnet.services import surroundings as around
from carnet.services.founding import now_ms
from carnet.services.surroundings import WEEK_MS, Found
from carnet.signing import Signer
from carnet.tlog.checkpoint import log_key, open_checkpoint
from carnet.tlog.note import VerifierKey
from carnet.tlog.tree import root_from
from carnet.vault.store import Connection, Error, open_store

RESTORE = "restore a backup (`carnet restore`), and look at the disk"


def examine(home: Home) -> list[Found]:
    """Every check that can be made, in order. Raises nothing for what is wrong: that is the answer."""
    found = [around.check_python(), _attempt("sqlite", _check_sqlite)[0], around.check_founding(home)]
    if not home.path.is_dir():
        return found
    for name, check in _list_surroundings(home):
        found += _attempt(name, check)
    seen: list[Glance] = []
    if home.store.exists() or home.store_url.exists():
        found += _attempt("store", lambda: _check_store(home, seen))
    last_at = seen[0].last_at if seen else None
    found += _attempt("clock", lambda: around.check_clock(home, now_ms(), last_at))
    found += _attempt("keys", lambda: _check_keys(home, seen[0] if seen else None))
    if seen:
        found += _attempt("head", lambda: _check_head(home, seen[0]))
        found += _attempt("erasures", lambda: _check_erasures(home, seen[0]))
        found += _attempt("census", lambda: _check_census(seen[0]))
        found += _attempt("backup", lambda: check_backup(home, seen[0].state.size, now_ms()))
    return found


def _list_surroundings(home: Home) -> Iterator[tuple[str, Callable[[], Found | Iterable[Found]]]]:
    yield "modes", lambda: around.check_modes(home)
    yield "owner", lambda: around.check_owner(home)
    yield "disk", lambda: around.check_disk(home)
    yield "files", lambda: around.check_file_system(home)
    yield "lock", lambda: around.check_lock(home)
    yield "copy", lambda: around.judge_mark(find_mark(home))


def _attempt(name: str, check: Callable[[], Found | Iterable[Found]]) -> list[Found]:
    """The findings of a check; one that could not be made is a problem too."""
    try:
        found = check()
        return [found] if isinstance(found, Found) else list(found)
    except (CarnetError, OSError, ImportError, *Error, LookupError, ValueError, TypeError, AttributeError) as error:
        why = "what cannot be looked at cannot be relied on"
        return [Found(name, "problem", f"could not be checked: {error}", why, "run `carnet fsck`; restore a backup")]


def _check_sqlite() -> Found:
    from pysqlite3 import dbapi2 as sqlite

    return around.check_sqlite(sqlite.sqlite_version_info)


def _check_store(home: Home, seen: list[Glance]) -> Found:
    """That it opens, with the schema of this program; its look goes into `seen`."""
    try:
        seen.append(glance(home))
    except Refused as refused:
        if "version" not in refused.facts:
            raise
        why = "a program of another version wrote it, and this one does not know its tables"
        todo = "let a verb write (`carnet census`) if the store is the older one; else install the newer program"
        return Found("store", "problem", refused.message, why, todo)
    return Found("store", "ok", f"it opens; {seen[0].state.size:,} log records")


def _check_keys(home: Home, seen: Glance | None) -> Found:
    if not home.keys.exists():
        return Found("keys", "problem", "there is no key ring", "nothing can be read or signed", "put keys.json back")
    try:
        ring = load_key_ring(home.keys)
    except Refused as refused:
        if refused.reason is not Reason.WRONG_PASSPHRASE:
            raise
        return Found("keys", "ok", "the key ring is under a passphrase, and was not opened")
    if seen is not None and Signer(ring.log).public != seen.state.genesis.log_key:
        why = "whatever it signs belongs to another log, and contents do not open"
        return Found("keys", "problem", "the key ring is another node's", why, "put this node's own keys.json back")
    return Found("keys", "ok", "the key ring is readable, in clear; `carnet keys passphrase` puts it under one")


def _check_head(home: Home, seen: Glance) -> Found:
    """The newest signed head, against the log as it is stored."""
    genesis = seen.state.genesis
    with open_store(home.address, is_read_only=True) as store:
        store.connection.begin_read()
        return _judge_head(store.connection, log_key(genesis.origin, genesis.log_key))


def _judge_head(connection: Connection, key: VerifierKey) -> Found:
    row = connection.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if row is None:
        why = "nothing can be proved before the log has signed a head"
        return Found("head", "warning", "the log has signed no head yet", why, "import something, or `carnet census`")
    why = "a signed head that the store contradicts means that the log was changed, cut or put back from a copy"
    try:
        head = open_checkpoint(row[1], key).checkpoint
    except Unverified as error:
        return Found("head", "problem", f"the newest head is not signed by the log: {error}", why, RESTORE)
    try:
        root = root_from(lambda level, index: read_node(connection, level, index), head.size)
    except LookupError as error:
        return Found("head", "problem", f"the log is shorter than its newest head: {error}", why, RESTORE)
    if head.size != row[0] or root != head.root:
        return Found("head", "problem", f"the log is not the one whose head was signed at {head.size:,}", why, RESTORE)
    return Found("head", "ok", f"the newest signed head, of {head.size:,} records, is that of the log")


def _check_erasures(home: Home, seen: Glance) -> Iterator[Found]:
    why = "what was erased may be there again, or would come back with a restored copy"
    try:
        journal = ErasureJournal(home.erasures).read()
    except Refused as refused:
        yield Found("erasures", "problem", refused.message, why, "put the newest copy of erasures.journal back")
        return
    with open_store(home.address, is_read_only=True) as store:
        missing, unwritten = find_missing(store.connection, journal), find_unwritten(store.connection, journal)
    todo = "let any verb write, such as `carnet census`: it is finished before anything else"
    if missing:
        yield Found("erasures", "warning", f"{len(missing)} erasures of the journal are not carried out", why, todo)
    if unwritten:
        yield Found("erasures", "warning", f"{len(unwritten)} erasures of the store are not in the journal", why, todo)
    if seen.uncleared_count:
        said = f"{seen.uncleared_count} erasures are not gone from every file yet"
        yield Found("erasures", "warning", said, "their bytes may still be on the disk", f"end readers, then {todo}")
    if not (missing or unwritten or seen.uncleared_count):
        yield Found("erasures", "ok", f"{seen.erasure_count:,}, all in the journal and carried out")


def _check_census(seen: Glance) -> Found:
    census = seen.census
    if census is None:
        why = "nothing can be proved before one is taken"
        return Found("census", "warning", "there is none yet", why, "`carnet census`; an import takes one at its end")
    if census.is_owed:
        why = "the latest one names a passport that was erased since: until the next, no proof can be made"
        return Found("census", "warning", "one is owed after an erasure", why, "`carnet census`")
    return Found("census", "ok", f"record {census.record:,}; {census.changed:,} passports changed since")


def check_backup(home: Home, log_size: int, now: int) -> Found:
    """How old the last backup is (`now` in ms), and how much it lacks."""
    last = read_last_backup(home)
    why = "a disk that dies takes all that is in no backup with it"
    todo = "`carnet backup -o FILE`, on another disk, regularly (docs/operating.md)"
    if last is None:
        return Found("backup", "warning", "none was made from here", why, todo)
    lacks, days = max(0, log_size - last.log_size), (now - last.at) // 86_400_000
    said = f"the last one is {days:,} days old and lacks {lacks:,} records"
    if lacks and now - last.at > WEEK_MS:
        return Found("backup", "warning", said, why, todo)
    if not Path(last.file).exists():
        return Found(
            "backup", "warning", f"{said}; {last.file} is not there now", why, "look where it is, or make another"
        )
    return Found("backup", "ok", said)
