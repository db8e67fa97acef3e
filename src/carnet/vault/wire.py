"""The writer's way to a PostgreSQL server: statements that the server keeps ready, sent together where nothing is read
between them, and answered in few steps.

The driver's own way takes five times the processor time for each statement, of which an import asks some thirty for
each batch. It refuses to know what a statement says, and what an error means to whoever asked.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from psycopg import generators, pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.waiting import READY_R, WAIT_RW, WAIT_W

from carnet.vault.bulk import COPY_BEGINS, COPY_ENDS, pack_array, pack_rows

if TYPE_CHECKING:
    from psycopg.abc import Buffer

PIECE_BYTES: Final = 65_536
"""How much of a copy is one message: the server has room for it already."""

_INTEGERS: Final = {20: struct.Struct(">q").pack, 23: struct.Struct(">i").pack, 21: struct.Struct(">h").pack}
_TEXTS: Final = frozenset({19, 25, 1043})
_BYTES: Final = frozenset({17, 1016, 1001, 1009})
_ARRAYS: Final = {1016: "int8", 1001: "bytea", 1009: "text"}
"""The server's own numbers of the types that parameters may have; of arrays also those that are packed already."""

_BINARY: Final = pq.Format.BINARY
_Status = pq.ExecStatus
_GOOD: Final = frozenset({_Status.COMMAND_OK, _Status.TUPLES_OK, _Status.EMPTY_QUERY})

Results = Generator[Any, Any, list[pq.abc.PGresult]]


class Answer:
    """What a statement gave, all of it read: as much of a cursor as the program uses."""

    __slots__ = ("_at", "_rows", "rowcount", "statusmessage")

    def __init__(self, rows: list[Any], rowcount: int, statusmessage: str) -> None:
        self._rows, self._at = rows, 0
        self.rowcount, self.statusmessage = rowcount, statusmessage

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def fetchone(self) -> Any:
        """The next row, or None."""
        if self._at >= len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    def fetchall(self) -> list[Any]:
        """The rows that were not fetched yet."""
        rows = self._rows[self._at :] if self._at else self._rows
        self._at = len(self._rows)
        return rows


class _Kept(NamedTuple):
    """A statement that the server keeps ready: its name there, and the types of its parameters."""

    name: bytes
    types: tuple[int, ...]
    formats: list[int]


class _Call(NamedTuple):
    """One statement with its values, as they are sent."""

    kept: _Kept
    values: list[Buffer | None]


class _Copy(NamedTuple):
    """One COPY, and what is copied."""

    statement: bytes
    data: memoryview


class Wire:
    """A session's statements. Raises what the driver raises; an error undoes the transaction that is open, and is the
    first one of all that was sent together."""

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._driver, self._conn = driver, driver.pgconn
        self._kept: dict[bytes, _Kept] = {}
        self._reading = Transformer(driver)
        self._waiting: list[_Call | _Copy] = []

    @property
    def waiting_count(self) -> int:
        """How much was put that is not sent yet."""
        return len(self._waiting)

    def forget(self) -> None:
        """Do not send what waits."""
        self._waiting.clear()

    def put(self, statement: bytes, values: Sequence[Any] = ()) -> None:
        """Have a statement sent before the next one that is asked. Like all of them it is in the driver's words: `%s`
        for each value."""
        self._waiting.append(self._make_call(statement, values))

    def put_copy(self, statement: bytes, rows: Sequence[tuple[Any, ...]], layouts: dict[int, bytes]) -> None:
        """Have rows copied before the next statement that is asked. Raises what `pack_rows` raises."""
        data = b"".join((COPY_BEGINS, pack_rows(rows, layouts), COPY_ENDS))
        self._waiting.append(_Copy(statement, memoryview(data)))

    def ask(self, statement: bytes, values: Sequence[Any] = ()) -> Answer:
        """Send what waits, then this; its answer."""
        self._waiting.append(self._make_call(statement, values))
        return self._read(self.send()[-1])

    def say(self, statement: bytes) -> Answer:
        """The same for a statement without values and rows, which the server does not keep."""
        self.send()
        self._conn.send_query(statement)
        return self._read(self._talk(generators.execute(self._conn))[-1])

    def send(self) -> list[pq.abc.PGresult]:
        """Send what waits, statements that follow one another in one message; the results of the last of these."""
        waiting, self._waiting = self._waiting, []
        results: list[pq.abc.PGresult] = []
        calls: list[_Call] = []
        copies: list[_Copy] = []
        for one in [*waiting, None]:
            if calls and not isinstance(one, _Call):
                results, calls = self._talk(self._call(calls)), []
            if copies and not isinstance(one, _Copy):
                results, copies = self._talk(self._copy(copies)), []
            if isinstance(one, _Call):
                calls.append(one)
            elif one is not None:
                copies.append(one)
        return results

    # ---- statements that the server keeps

    def _make_call(self, statement: bytes, values: Sequence[Any]) -> _Call:
        kept = self._kept.get(statement)
        if kept is None:
            kept = self._kept[statement] = self._keep(statement)
        try:
            return _Call(kept, [_pack(type_, value) for type_, value in zip(kept.types, values, strict=True)])
        except (ValueError, OverflowError, struct.error) as error:
            raise psycopg.DataError(str(error)) from error

    def _keep(self, statement: bytes) -> _Kept:
        parts = statement.split(b"%s")
        numbered = b"".join(b"$%d%b" % (at, part) if at else part for at, part in enumerate(parts)).replace(b"%%", b"%")
        name = b"carnet_%d" % len(self._kept)
        self._conn.send_prepare(name, numbered)
        self._talk(generators.execute(self._conn))
        self._conn.send_describe_prepared(name)
        (told,) = self._talk(generators.execute(self._conn))
        types = tuple([told.param_type(at) for at in range(told.nparams)])
        return _Kept(name, types, [_BINARY] * len(types))

    # ---- what is said to the server, and heard

    def _talk(self, talking: Results) -> list[pq.abc.PGresult]:
        try:
            results: list[pq.abc.PGresult] = self._driver.wait(talking)
        except BaseException:
            conn = self._conn
            if conn.status == pq.ConnStatus.OK and (
                conn.transaction_status == pq.TransactionStatus.ACTIVE or conn.pipeline_status != pq.PipelineStatus.OFF
            ):
                # Amid an answer: whoever asked next would hear the rest of it.
                conn.finish()
            raise
        for result in results:
            if result.status not in _GOOD:
                raise error_from_result(result)
        return results

    def _call(self, calls: Sequence[_Call]) -> Results:
        conn = self._conn
        if len(calls) == 1:
            ((kept, values),) = calls
            conn.send_query_prepared(kept.name, values, kept.formats, _BINARY)
            answered: list[pq.abc.PGresult] = yield from generators.execute(conn)
            return answered
        conn.enter_pipeline_mode()
        for kept, values in calls:
            conn.send_query_prepared(kept.name, values, kept.formats, _BINARY)
        conn.pipeline_sync()
        yield from _flush(conn)
        results: list[pq.abc.PGresult] = []
        while True:
            result = yield from generators.fetch(conn)
            if result is None:
                # After each statement, and for ever where the connection is lost.
                _check(conn)
            elif result.status == _Status.PIPELINE_SYNC:
                conn.exit_pipeline_mode()
                return results
            else:
                results.append(result)

    def _copy(self, copies: Sequence[_Copy]) -> Results:
        conn = self._conn
        # Several of them are one question, since they carry no values.
        conn.send_query(b"; ".join([copy.statement for copy in copies]))
        yield from _flush(conn)
        results: list[pq.abc.PGresult] = []
        waiting = iter(copies)
        while (result := (yield from generators.fetch(conn))) is not None:
            if result.status == _Status.COPY_IN:
                yield from _send_copy(conn, next(waiting).data)
            else:
                results.append(result)
        return results

    def _read(self, result: pq.abc.PGresult) -> Answer:
        self._reading.set_pgresult(result)
        count = result.ntuples
        rows = self._reading.load_rows(0, count, tuple) if count else []
        return Answer(rows, result.command_tuples or 0, (result.command_status or b"").decode())


def _check(conn: pq.abc.PGconn) -> None:
    if conn.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError("the connection is lost")


def _flush(conn: pq.abc.PGconn) -> Generator[Any, Any, None]:
    """Send all of it, and read meanwhile: a server that can say nothing hears nothing."""
    while conn.flush():
        ready = yield WAIT_RW
        if ready and ready & READY_R:
            conn.consume_input()


def _send_copy(conn: pq.abc.PGconn, data: memoryview) -> Generator[Any, Any, None]:
    for at in range(0, len(data), PIECE_BYTES):
        while not conn.put_copy_data(data[at : at + PIECE_BYTES]):
            yield WAIT_W
        yield from _flush(conn)
    while not conn.put_copy_end():
        yield WAIT_W
    yield from _flush(conn)


def _pack(type_: int, value: Any) -> Buffer | None:
    """A value as the server takes it for a parameter of a type."""
    if value is None:
        return None
    if type_ in _INTEGERS and isinstance(value, int):
        return _INTEGERS[type_](value)
    if type_ in _BYTES and isinstance(value, (bytes, bytearray)):
        return value
    if type_ in _TEXTS and isinstance(value, str):
        return value.encode()
    if type_ in _ARRAYS and isinstance(value, (list, tuple)):
        return pack_array(_ARRAYS[type_], value)
    raise psycopg.ProgrammingError(f"a {type(value).__name__} is no value for a parameter of the server's type {type_}")
