"""A node at a glance: what its store says of itself in a few look-ups, whatever its size, while others write.

It needs no key. A number that would cost a reading of the whole store is estimated, and says so. It refuses to judge:
that is for `services.doctor`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from carnet.ledger.rules.members import Key, Member
from carnet.ledger.state import State
from carnet.node.erased import is_census_owed
from carnet.node.heads import count_linked
from carnet.node.home import Home
from carnet.vault.census import count_changed
from carnet.vault.erasing import count_erased_chains
from carnet.vault.ledger import find_latest, parse_member, parse_record, read_leaf, read_state
from carnet.vault.store import Connection, open_store

MAX_SEALS: Final = 50_000
"""Seals that are read one by one; each may be a page."""

MAX_CHAINS: Final = 200_000
"""Chains that are read one by one."""

SAMPLES: Final = 1_000
"""Seals that stand for all others, evenly spread; where few large ones stand among many small ones, a rough measure."""


class Count(NamedTuple):
    """A number, and whether it is exact."""

    number: int
    is_exact: bool


class CensusAt(NamedTuple):
    """The latest census: its record and time (ms), what it counted; how many chains changed since, and whether it
    counts a passport that was erased since, so that no proof can be made against it."""

    record: int
    at: int
    covers: int
    chain_count: int
    erased: int
    changed: int
    is_owed: bool


class ListedKey(NamedTuple):
    """A key of a member, and when it was listed (ms)."""

    member: Member
    key: Key
    listed_at: int


class Glance(NamedTuple):
    """What the store says: its state, the time of its last record (ms), the size of its newest signed head (0: none);
    entries and passports; the census (None: none yet); keys; erasures, and those whose bytes may still be on the disk;
    the size of the store.
    """

    state: State
    last_at: int
    head_size: int
    entries: Count
    passports: Count
    census: CensusAt | None
    keys: tuple[ListedKey, ...]
    erasure_count: int
    uncleared_count: int
    store_bytes: int


def glance(home: Home) -> Glance:
    """Look at the store of a home. Raises Refused(NO_NODE, NODE_DAMAGED)."""
    with open_store(home.address, is_read_only=True) as store:
        connection = store.connection
        connection.begin_read()
        state = read_state(connection)
        head = connection.execute("SELECT max(size) FROM checkpoint").fetchone()[0]
        census = _find_census(connection)
        erasures, uncleared = connection.execute(
            "SELECT count(*), coalesce(sum(1 - cleared), 0) FROM erasure"
        ).fetchone()
        return Glance(
            state=state,
            last_at=state.at,
            head_size=head or 0,
            entries=count_entries(connection, state.size),
            passports=_count_passports(connection, census),
            census=census,
            keys=tuple(_list_keys(connection, state)),
            erasure_count=erasures,
            uncleared_count=int(uncleared),
            store_bytes=connection.measure_bytes(),
        )


def count_entries(
    connection: Connection, log_size: int, *, most_seals: int = MAX_SEALS, most_chains: int = MAX_CHAINS
) -> Count:
    """How many entries are kept: what all seals count, less what was erased with its passport. Where there are more
    than `most_seals` the chains say it; where those are more than `most_chains` too, some seals stand for all."""
    others = connection.execute("SELECT count(*) FROM log_record WHERE type != 'seal'").fetchone()[0]
    seals = log_size - others
    if seals <= most_seals:
        sealed = connection.execute("SELECT coalesce(sum(count), 0) FROM seal").fetchone()[0]
        return Count(int(sealed) - _count_erased_links(connection), is_exact=True)
    chains = connection.execute("SELECT coalesce(max(id), 0) FROM chain").fetchone()[0]
    if chains <= most_chains:
        return Count(count_linked(connection), is_exact=True)
    query = "SELECT count FROM seal WHERE idx >= ? ORDER BY idx LIMIT 1"
    samples = [connection.execute(query, (log_size * at // SAMPLES,)).fetchone() for at in range(SAMPLES)]
    counts = [row[0] for row in samples if row is not None]
    return Count(round(sum(counts) / max(1, len(counts)) * seals) - _count_erased_links(connection), is_exact=False)


def _count_erased_links(connection: Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM erased_link").fetchone()[0])


def _find_census(connection: Connection) -> CensusAt | None:
    index = find_latest(connection, "census")
    if index is None:
        return None
    record = parse_record(read_leaf(connection, index))
    census = record["census"]
    changed, is_owed = count_changed(connection), is_census_owed(connection, census["erased"])
    return CensusAt(index, record["at"], census["covers"], census["count"], census["erased"], changed, is_owed)


def _count_passports(connection: Connection, census: CensusAt | None) -> Count:
    """Those of the census, less those erased since, and those opened since, which are among the changed; holders'
    journals, which are chains too, are not counted."""
    if census is None:
        query = "SELECT count(*) FROM chain WHERE type = 1"
        return Count(connection.execute(query).fetchone()[0], is_exact=True)
    query = (
        "SELECT count(*) FROM census_changed JOIN chain ON chain.id = census_changed.chain"
        " WHERE head_seal >= ? AND census_id IS NULL"
    )
    opened = connection.execute(query, (census.covers,)).fetchone()[0]
    gone = count_erased_chains(connection) - census.erased
    journals = connection.execute("SELECT count(*) FROM chain WHERE type = 2").fetchone()[0]
    return Count(census.chain_count - gone + opened - journals, is_exact=True)


def _list_keys(connection: Connection, state: State) -> list[ListedKey]:
    """Every key of every member, with the time of the record that first listed it."""
    times: dict[int, int] = {}
    found = []
    for number, member in enumerate(state.members.all):
        listed: dict[bytes, int] = {}
        query = "SELECT since, leaf FROM member_leaf WHERE member = ? ORDER BY since"
        for since, leaf in connection.execute(query, (number,)):
            for key in parse_member(leaf).keys:
                listed.setdefault(key.digest, since)
        for key in member.keys:
            since = listed[key.digest]
            if since not in times:
                times[since] = parse_record(read_leaf(connection, since))["at"]
            found.append(ListedKey(member, key, times[since]))
    return found
