"""The pieces of the census tree as rows, and the list of chains that changed since it was made.

Knows rows; refuses to know what a piece holds (`tlog.pieces`) and when a census is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from carnet.vault.store import Blob, Connection

_CHANGED = "SELECT chain FROM census_changed WHERE chain > ? ORDER BY chain LIMIT ?"
_CHANGED_AT_ONCE = (
    "SELECT json_group_array(chain) FROM (SELECT chain FROM census_changed WHERE chain > ? ORDER BY chain LIMIT ?)"
)


def find_piece(connection: Connection, number: int) -> bytes | None:
    """A piece of the tree by its number."""
    row = connection.execute("SELECT content FROM census_piece WHERE id = ?", (number,)).fetchone()
    return None if row is None else row[0]


def find_two_pieces(connection: Connection, one: int, other: int) -> dict[int, bytes]:
    """Those of two pieces that there are, by their numbers, with one question."""
    query = (
        "SELECT id, content FROM census_piece WHERE id = ? UNION ALL SELECT id, content FROM census_piece WHERE id = ?"
    )
    return dict(connection.execute(query, (one, other)).fetchall())


def read_pieces_below(connection: Connection, number: int) -> dict[int, bytes]:
    """The pieces directly below a piece (`tlog.pieces`), by their numbers, with one question."""
    query = "SELECT id, content FROM census_piece WHERE id BETWEEN ? AND ?"
    return dict(connection.execute(query, (16 * number, 16 * number + 15)).fetchall())


def write_pieces(connection: Connection, written: Mapping[int, bytes | None]) -> None:
    """Put pieces in the place of older ones; None takes one away."""
    gone = [(number,) for number, content in written.items() if content is None]
    connection.executemany("DELETE FROM census_piece WHERE id = ?", gone)
    # Ascending: neighbours share a page.
    kept = sorted((number, Blob(content)) for number, content in written.items() if content is not None)
    connection.upsert_many(
        "INSERT INTO census_piece VALUES (?,?) ON CONFLICT (id) DO UPDATE SET content = excluded.content", kept
    )


def clear_pieces(connection: Connection) -> None:
    """Take the whole tree away."""
    connection.execute("DELETE FROM census_piece")


def note_new(connection: Connection, chains: Sequence[int]) -> None:
    """Note chains, by number and ascending, that are new, and so cannot be noted yet."""
    if connection.is_file:
        note_changed(connection, chains)
    else:
        connection.insert_many("INSERT INTO census_changed VALUES (?)", [(number,) for number in chains])


def note_changed(connection: Connection, chains: Sequence[int]) -> None:
    """Note chains, by number and ascending, whose head is another than in the latest census; each may be noted
    again."""
    if connection.is_file:
        # One statement for all of them: of so short a row, a step of the driver takes more than the row.
        query = "INSERT INTO census_changed SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"
        connection.write(query, (json.dumps(list(chains)),))
    else:
        query = "INSERT INTO census_changed VALUES (?) ON CONFLICT DO NOTHING"
        connection.upsert_many(query, [(number,) for number in chains])


def read_changed(connection: Connection, after: int, most: int) -> list[int]:
    """The first chains that are noted with numbers above `after`, ascending, `most` of them at most."""
    if connection.is_file:
        # As in `note_changed`: one row for all of them.
        (found,) = connection.execute(_CHANGED_AT_ONCE, (after, most)).fetchone()
        # To have the database promise their order would sort them once more, which takes as long as all of this.
        return sorted(json.loads(found))
    return [number for (number,) in connection.execute(_CHANGED, (after, most)).fetchall()]


def count_changed(connection: Connection) -> int:
    """How many chains are noted."""
    return int(connection.execute("SELECT count(*) FROM census_changed").fetchone()[0])


def clear_changed(connection: Connection) -> None:
    """A census knows all heads: nothing has changed since."""
    connection.execute("DELETE FROM census_changed")


def read_heads(connection: Connection) -> Iterator[tuple[bytes, int, int, bytes]]:
    """(chain16, epoch, seq, link id) of every chain, as its row remembers its head."""
    yield from connection.stream("SELECT chain16, head_epoch, head_seq, head_id FROM chain")


def read_last_erased(connection: Connection, count: int) -> list[bytes]:
    """The ids of the chains that were erased last, so many of them."""
    query = (
        "SELECT chain16 FROM erasure WHERE id IN"
        " (SELECT DISTINCT erasure FROM erased_link ORDER BY erasure DESC LIMIT ?)"
    )
    return [row[0] for row in connection.execute(query, (count,))]
