"""`fsck`: verify a whole store again from what was signed, and name the table, row and column that is not what it was.

It believes nothing but the signatures and its own keys: each part is checked against what the part before it has
proved. It writes nothing, and its memory does not grow with the number of entries. It refuses to mend.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from carnet.errors import CarnetError, Refused
from carnet.node.fsck.census import check_census
from carnet.node.fsck.chains import Context
from carnet.node.fsck.crew import Crew, check_chains, choose_worker_count
from carnet.node.fsck.erased import check_cleared, check_erasures, check_journal
from carnet.node.fsck.findings import Finding, Findings, Progress
from carnet.node.fsck.log import check_log
from carnet.node.fsck.placed import check_orphans, check_seals, check_submissions
from carnet.node.fsck.replay import History, check_ledger
from carnet.node.home import Home
from carnet.node.keyring import KeyRing, load_key_ring
from carnet.node.rotation import check_node_key, settle
from carnet.vault.fence import FILLING, FOUNDING, IN_USE
from carnet.vault.store import SCHEMA_VERSION, Address, Connection, Error, open_store

__all__ = ["Finding", "check_home"]


def check_home(
    path: Path,
    *,
    passphrase: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    worker_count: int | None = None,
    copy: Address | None = None,
) -> list[Finding]:
    """Everything that is wrong with the store of a home; empty when all of it is what was signed.

    It reads one moment, also while a writer runs; a large store with several processes (None: as many as there are
    processors), a small one with this one (0). `progress` is told now and then what is being checked, how far, of
    how much. `copy` is looked at in the place of the home's own store: what a move has made of it. At most a thousand
    findings are kept. Raises Refused NO_NODE, WRONG_PASSPHRASE, NODE_DAMAGED for a file that cannot be opened at all.
    """
    home = Home(path)
    ring = load_key_ring(home.keys, passphrase)
    found = Findings(progress)
    address = copy or home.address
    with open_store(address, is_read_only=True) as store, Crew(address) as crew:
        connection = store.connection
        crew.begin(connection, choose_worker_count(connection) if worker_count is None else worker_count)
        try:
            _check_file(connection, (IN_USE, FOUNDING) if copy is None else (FILLING,), found)
            log = check_log(connection, ring, found)
            history = check_ledger(connection, log, found)
            _check_ring(ring, lambda: load_key_ring(home.keys, passphrase), history, found)
            seals = check_seals(connection, log, found)
            check_submissions(connection, history, found)
            erasures = check_erasures(connection, history, found)
            context = Context(ring.kek, ring.index, history, seals.classes, seals.counts, erasures)
            check_chains(connection, context, crew, found)
            check_orphans(connection, seals, erasures, found)
            check_census(connection, history, erasures, found)
            connection.commit()
            check_journal(connection, home, found)
            if copy is None:
                check_cleared(connection, home, found)
        except (*Error, CarnetError, LookupError, ValueError, TypeError, AttributeError) as error:
            # What comes later rests on what comes before. A store so broken that a check cannot go on is reported as
            # that, beside all that was found until then.
            found.add("store", None, None, f"checking could not go on: {type(error).__name__}: {error}")
    return found.all


def _check_ring(ring: KeyRing, load: Callable[[], KeyRing], history: History, found: Findings) -> None:
    """The ring's node key is in force, or that of a rotation which the next writer finishes."""
    members = history.members.get(max(history.members, default=0))
    if members is None:
        return
    node = members.get(history.home)
    try:
        check_node_key(settle(ring, members, history.home), node)
    except Refused:
        # A rotation may have ended between the ring and the store: a ring that is newer than the store fits it.
        try:
            check_node_key(settle(load(), members, history.home), node)
        except Refused as refused:
            found.add("keys.json", None, None, refused.message)


def _check_file(connection: Connection, states: tuple[str, ...], found: Findings) -> None:
    for line in connection.find_damage():
        found.add("store", None, None, line)
    versions = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
    if versions != [SCHEMA_VERSION]:
        found.add("alembic_version", None, "version_num", f"the schema is said to be {versions}, not {SCHEMA_VERSION}")
    rows = connection.execute("SELECT id, state FROM writer").fetchall()
    if [row[0] for row in rows] != [1]:
        found.add("writer", None, "id", f"one row with the id 1, and not {[row[0] for row in rows]}")
    for id_, state in rows:
        if state not in states:
            found.add("writer", id_, "state", f"{state!r}: nothing is written to this store")
