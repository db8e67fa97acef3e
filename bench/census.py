"""The census: what 1,000 changed passports among 1,000,000 cost, beside making the whole tree anew.

The chains are written straight into the store, without entries: a census reads heads and nothing else.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from hashlib import shake_128
from typing import Any

from bench.figures import IS_QUICK, ROUNDS, Figure, make_figure, middle, open_folder, take_time
from carnet.node.home import Home
from carnet.node.writer import Writer
from carnet.services.founding import found, open_writer_at
from carnet.vault.census import clear_pieces, note_changed
from carnet.vault.store import Connection

CHAINS = 50_000 if IS_QUICK else 1_000_000
CHANGED = 1_000


def measure() -> list[Figure]:
    """Milliseconds of a census after few changes, and of one that makes the whole tree; the size of the tree."""
    with open_folder("census") as folder:
        home = Home(folder / "home")
        found(home, name="bench.example")
        with open_writer_at(home, None, "bench") as writer:
            return _measure(writer)


def _measure(writer: Writer) -> list[Figure]:
    connection: Any = writer._connection
    fill_chains(connection, CHAINS)
    first = 1000 * take_time(writer.take_census)
    few: list[float] = []
    for at in range(ROUNDS):
        change_chains(connection, writer.state.size, CHAINS, at)
        few.append(1000 * take_time(writer.take_census))
    change_chains(connection, writer.state.size, CHAINS, ROUNDS)
    # Without its pieces a tree is made from all heads: so was every census before.
    clear_pieces(connection)
    whole = 1000 * take_time(writer.take_census)
    size = connection.execute("SELECT sum(length(content)) FROM census_piece").fetchone()[0]
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    name = f"of {CHAINS:,} passports"
    return [
        make_figure(f"census, {CHANGED:,} changed {name}", middle(few), "ms", peer=("the whole tree", whole)),
        make_figure(f"first census {name}", first, "ms"),
        make_figure("census tree, stored", size / CHAINS, "bytes a passport"),
        make_figure(f"memory of a node that made whole trees {name}", resident, "MB"),
    ]


def fill_chains(connection: Connection, count: int, *, first: int = 1) -> None:
    """So many chains whose heads are as good as random."""
    connection.execute("BEGIN IMMEDIATE")
    row = "INSERT INTO chain VALUES (?,?,1,NULL,?,NULL,0,5,0,?,3,NULL,NULL,NULL)"
    connection.executemany(row, _make_rows(first, count))
    note_changed(connection, range(first, first + count))
    connection.execute("COMMIT")


def _make_rows(first: int, count: int) -> Iterator[tuple[object, ...]]:
    for number in range(first, first + count):
        noise = shake_128(b"%d" % number).digest(80)
        yield number, noise[:16], noise[16:48], noise[48:]


def change_chains(connection: Connection, size: int, count: int, at: int) -> None:
    """Let chains all over the store grow, as an import in random order would."""
    numbers = sorted({(7919 * one + 104_729 * at) % count + 1 for one in range(CHANGED)})
    connection.execute("BEGIN IMMEDIATE")
    grown = (
        "UPDATE chain SET census_seq = head_seq, census_epoch = head_epoch, census_id = head_id,"
        " head_seq = head_seq + 1, head_seal = ?, head_id = ? WHERE id = ?"
    )
    heads = [(size, shake_128(b"%d %d" % (at, number)).digest(32), number) for number in numbers]
    connection.executemany(grown, heads)
    note_changed(connection, numbers)
    connection.execute("COMMIT")
