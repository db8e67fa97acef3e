"""The writer's term: a number in the store that every writer raises when it begins, and asks for in every commit.

A lock can be lost without its holder noticing: its process is stopped, its session is ended by the server, another
takes over. Then the term in the store is another's, and the late one's next commit is refused. It refuses to know what
a writer writes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.vault.store import Connection

IN_USE: Final = ""
FOUNDING: Final = "founding"
"""`writer.state` from the founding in a database until its first writer."""

FILLING: Final = "filling"
"""`writer.state` of a copy that a move has not finished."""

MOVED: Final = "moved to "
"""`writer.state` of a store that was moved begins so; where to follows. Nothing is written to it any more."""


class WriterRow(NamedTuple):
    """The one row of `writer`: the latest term, who began it ("pid host command"), and whether the store is in use."""

    term: int
    holder: str
    state: str


class Fence:
    """One writer's term, from its beginning."""

    def __init__(self, connection: Connection, holder: str) -> None:
        """Begin a term, in a transaction of its own.

        Raises Refused STORE_MOVED, NODE_DAMAGED (a copy that was not finished), and WRITER_BUSY where the database's
        lock is another's.
        """
        self._connection = connection
        net = connection.execute("SELECT value FROM meta WHERE key = 'net'").fetchone()
        if net is None:
            raise Refused(Reason.NODE_DAMAGED, "meta: the network is missing. Run `carnet fsck`", table="meta")
        connection.take_lock(str(net[0]), holder)
        connection.begin_write()
        row = get_writer_row(connection)
        check_in_use(row)
        self.term = row.term + 1
        connection.execute(
            "UPDATE writer SET term = ?, holder = ?, state = ? WHERE id = 1", (self.term, holder, IN_USE)
        )
        connection.commit()

    def check(self) -> None:
        """Within a transaction: raise Refused(WRITER_REPLACED) if another writer has begun, or Refused(STORE_MOVED).
        Until the transaction ends, none can."""
        row = get_writer_row(self._connection)
        check_in_use(row)
        if row.term != self.term:
            raise Refused(
                Reason.WRITER_REPLACED,
                f"another writer has taken over ({row.holder}): this one was thought dead, and writes no more",
                term=self.term,
                latest=row.term,
                holder=row.holder,
            )


def get_writer_row(connection: Connection) -> WriterRow:
    """The row, which nobody changes before this transaction ends; raises Refused(NODE_DAMAGED) where it is missing."""
    row = connection.lock_row("SELECT term, holder, state FROM writer WHERE id = 1")
    if row is None:
        raise Refused(Reason.NODE_DAMAGED, "writer: its row is missing. Run `carnet fsck`", table="writer")
    return WriterRow(*row)


def check_in_use(row: WriterRow) -> None:
    """Raise Refused unless a writer may begin here."""
    if row.state.startswith(MOVED):
        raise Refused(
            Reason.STORE_MOVED,
            f"this store was {row.state}, and is kept only to be read",
            to=row.state.removeprefix(MOVED),
        )
    if row.state == FILLING:
        raise Refused(Reason.NODE_DAMAGED, "this is a copy that a move has not finished: run `carnet move` again")
