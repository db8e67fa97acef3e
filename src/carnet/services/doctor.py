"""What is wrong with an installation: each check with what was found, why it matters and what to do.

It changes nothing, and looks at the ends of the store only. It refuses to say that a store is undamaged: that is for
`carnet fsck`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from carnet.errors import CarnetError, Reason, Refused, Unverified
from carnet.node.backup.take import read_last_backup
from carnet.node.erasing import ErasureJournal, find_missing, find_unwritten
from carnet.node.glance import Glance, glance
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.logbook import read_node
from carnet.node.restored import find_mark, find_what_is_lost
from carnet.node.rotation import settle
from carnet.services import surroundings as around
from carnet.services.findings import Found, cannot_check, cannot_look, find
from carnet.services.founding import now_ms
from carnet.services.guarding import check_guard
from carnet.services.settings import find_settings, find_unknown
from carnet.services.surroundings import WEEK_MS
from carnet.signing import Signer
from carnet.tlog.checkpoint import log_key, open_checkpoint
from carnet.tlog.note import VerifierKey
from carnet.tlog.tree import root_from
from carnet.vault.store import Connection, Error, open_store


def examine(home: Home, environment: Mapping[str, str] | None = None) -> list[Found]:
    """Every check that can be made, in order; of `environment` whether the service could be set by it. Raises nothing
    for what is wrong: that is the answer."""
    found = [around.check_python(), around.check_kernel(), _attempt(home, "sqlite", _check_sqlite)[0]]
    if environment is not None:
        found += _attempt(home, "settings", lambda: check_settings(environment))
    found += _attempt(home, "node", lambda: around.check_founding(home))
    if not home.path.is_dir():
        return found
    if not os.access(home.path, os.R_OK | os.X_OK):
        return found + _attempt(home, "owner", lambda: around.check_owner(home))
    for name, check in _list_surroundings(home):
        found += _attempt(home, name, check)
    seen: list[Glance] = []
    if home.store.exists() or home.store_url.exists():
        found += _attempt(home, "store", lambda: _check_store(home, seen))
        found += _attempt(home, "rows", lambda: filter(None, [check_guard(home)]))
    last_at = seen[0].last_at if seen else None
    found += _attempt(home, "clock", lambda: around.check_clock(home, now_ms(), last_at))
    found += _attempt(home, "keys", lambda: _check_keys(home, seen[0] if seen else None))
    if seen:
        found += _attempt(home, "head", lambda: _check_head(home, seen[0]))
        found += _attempt(home, "erasures", lambda: _check_erasures(home, seen[0]))
        found += _attempt(home, "census", lambda: _check_census(seen[0]))
        found += _attempt(home, "backup", lambda: check_backup(home, seen[0].state.size, now_ms()))
    return found


def _list_surroundings(home: Home) -> Iterator[tuple[str, Callable[[], Found | Iterable[Found]]]]:
    yield "modes", lambda: around.check_modes(home)
    yield "owner", lambda: around.check_owner(home)
    yield "disk", lambda: around.check_disk(home)
    yield "files", lambda: around.check_file_system(home)
    yield "lock", lambda: around.check_lock(home)
    yield "left", lambda: around.check_left(home)
    yield "copy", lambda: around.judge_mark(find_mark(home))


def _attempt(home: Home, name: str, check: Callable[[], Found | Iterable[Found]]) -> list[Found]:
    """The findings of a check; one that could not be made is a problem too."""
    try:
        found = check()
        return [found] if isinstance(found, Found) else list(found)
    except PermissionError as error:
        return [cannot_look(name, error, os.geteuid(), str(home.path))]
    except (CarnetError, OSError, ImportError, *Error, LookupError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, Refused) and error.facts.get("is_closed"):
            return [cannot_look(name, error, os.geteuid(), str(home.path))]
        return [cannot_check(name, error, error.reason.value if isinstance(error, Refused) else "")]


def _check_sqlite() -> Found:
    from pysqlite3 import dbapi2 as sqlite

    return around.check_sqlite(sqlite.sqlite_version_info)


def _check_store(home: Home, seen: list[Glance]) -> Found:
    """That it opens, with the schema of this program; its look goes into `seen`."""
    try:
        seen.append(glance(home))
    except Refused as refused:
        if "wanted" not in refused.facts:
            raise
        version, wanted = str(refused.facts["version"]), str(refused.facts["wanted"])
        return find("store.version", "problem", version=version, wanted=wanted)
    return find("store.ok", records=seen[0].state.size)


def _check_keys(home: Home, seen: Glance | None) -> Found:
    if not home.keys.exists():
        return find("keys.absent", "problem", keys=home.keys.name)
    try:
        ring = load_key_ring(home.keys)
    except Refused as refused:
        if refused.reason is not Reason.WRONG_PASSPHRASE:
            raise
        return find("keys.closed")
    if seen is None:
        return find("keys.ok")
    if Signer(ring.log).public != seen.state.genesis.log_key:
        return find("keys.other", "problem", keys=home.keys.name)
    node = seen.state.members.get(seen.state.genesis.founders[0].member)
    # As a writer takes it: a rotation that was killed is finished by the next one, and is no fault.
    key = node.find_key(Signer(settle(ring, seen.state.members, node.id).node).digest)
    if key is None:
        return find("keys.unlisted", "problem", keys=home.keys.name)
    if key.revoked is not None:
        return find("keys.revoked", "problem", keys=home.keys.name, record=key.revoked)
    return find("keys.ok")


def _check_head(home: Home, seen: Glance) -> Found:
    """The newest signed head, against the log as it is stored."""
    genesis = seen.state.genesis
    with open_store(home.address, is_read_only=True) as store:
        store.connection.begin_read()
        if find_what_is_lost(home, store.connection) is not None:
            return find("head.behind", "problem")
        return _judge_head(store.connection, log_key(genesis.origin, genesis.log_key))


def _judge_head(connection: Connection, key: VerifierKey) -> Found:
    row = connection.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if row is None:
        return find("head.absent", "warning")
    try:
        head = open_checkpoint(row[1], key).checkpoint
    except Unverified:
        return find("head.unsigned", "problem")
    try:
        root = root_from(lambda level, index: read_node(connection, level, index), head.size)
    except LookupError:
        return find("head.cut", "problem", size=head.size)
    if head.size != row[0] or root != head.root:
        return find("head.other", "problem", size=head.size)
    return find("head.ok", size=head.size)


def _check_erasures(home: Home, seen: Glance) -> Iterator[Found]:
    try:
        journal = ErasureJournal(home.erasures).read()
    except Refused as refused:
        line = int(str(refused.facts.get("line", 0)))
        yield find("erasures.journal", "problem", journal=home.erasures.name, line=line)
        return
    with open_store(home.address, is_read_only=True) as store:
        missing, unwritten = find_missing(store.connection, journal), find_unwritten(store.connection, journal)
    if missing:
        yield find("erasures.missing", "warning", count=len(missing))
    if unwritten:
        yield find("erasures.unwritten", "warning", count=len(unwritten))
    if seen.uncleared_count:
        yield find("erasures.uncleared", "warning", count=seen.uncleared_count)
    if not (missing or unwritten or seen.uncleared_count):
        yield find("erasures.ok", count=seen.erasure_count)


def _check_census(seen: Glance) -> Found:
    census = seen.census
    if census is None:
        return find("census.absent", "warning")
    if census.is_owed:
        return find("census.owed", "warning")
    return find("census.ok", record=census.record, changed=census.changed)


def check_settings(environment: Mapping[str, str]) -> Iterator[Found]:
    """Whether `carnet serve` can read what the environment sets, and asks for all of it."""
    try:
        find_settings({}, environment)
    except Refused as refused:
        yield find("settings.wrong", "problem", error=refused.message)
        return
    unknown = find_unknown(environment)
    if unknown:
        names = ", ".join(f"{name} ({meant}?)" if meant else name for name, meant in unknown)
        yield find("settings.unknown", "warning", names=names)
    else:
        yield find("settings.ok")


def check_backup(home: Home, log_size: int, now: int) -> Found:
    """How old the last backup is (`now` in ms), and how much it lacks."""
    last = read_last_backup(home)
    if last is None:
        return find("backup.absent", "warning")
    lacks, days = max(0, log_size - last.log_size), (now - last.at) // 86_400_000
    if lacks and now - last.at > WEEK_MS:
        return find("backup.old", "warning", days=days, lacks=lacks)
    if not Path(last.file).exists():
        return find("backup.away", "warning", days=days, lacks=lacks, file=last.file)
    return find("backup.ok", days=days, lacks=lacks)
