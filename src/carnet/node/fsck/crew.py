"""The chains of a large store, checked by several processes that all see the same moment of it.

A database gives no process another's view. So all begin to read at once and compare what they see; if somebody has
written in between, all begin anew. It refuses to know what is wrong with a chain (`chains`).
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Final

from carnet.errors import CarnetError
from carnet.node.children import signals_held_back
from carnet.node.fsck.chains import Chains, Context, check_all_placed
from carnet.node.fsck.findings import Finding, Findings
from carnet.vault.store import Address, Connection, Error, open_store

MIN_ENTRIES: Final = 50_000
"""Below this, starting processes takes as long as it saves."""

PARTS_OF_EACH: Final = 24
"""Parts for each process: some take longer than others, and a person wants to see it go on."""

MAX_ATTEMPTS: Final = 200
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_MOMENT = (
    "SELECT (SELECT max(idx) FROM log_record), (SELECT max(size) FROM checkpoint), (SELECT count(*) FROM erasure),"
    " (SELECT count(*) FROM erasure WHERE cleared = 0)"
)


def choose_worker_count(connection: Connection) -> int:
    """As many as there are processors, if the store is worth it."""
    # Not counted: a number that is about as large as the number of entries, and found at once.
    row = connection.execute("SELECT max(id) FROM chain").fetchone()
    is_large = (row[0] or 0) >= MIN_ENTRIES // 4
    processors = min(os.cpu_count() or 1, 8)
    return processors if is_large and processors > 1 else 0


class Crew:
    """Processes that wait for parts to check; none, until `begin`. To be closed, whatever happens."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._processes: list[BaseProcess] = []
        self.pipes: list[Pipe] = []

    def begin(self, connection: Connection, worker_count: int) -> None:
        """Let this connection and so many processes begin to read the same moment. Where others write so often that it
        does not come about, there is no crew, and this connection reads alone."""
        self._start(worker_count)
        for _ in range(MAX_ATTEMPTS):
            connection.begin_read()
            if self._is_at(read_moment(connection)):
                return
            connection.commit()
        self.close()
        connection.begin_read()

    def _is_at(self, moment: tuple[object, ...]) -> bool:
        """Whether all processes, which begin to read now, see this moment."""
        try:
            for pipe in self.pipes:
                pipe.send(None)
            # Every answer is taken, also where the first differs.
            return all([pipe.recv() == moment for pipe in self.pipes])  # noqa: C419
        except (EOFError, OSError):
            return False

    def _start(self, worker_count: int) -> None:
        # From a clean server, never by forking a process that has threads, locks and an open database.
        context = get_context("forkserver")
        for _ in range(worker_count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, self._address), name="carnet-fsck", daemon=True)
            with signals_held_back():
                process.start()
            theirs.close()
            self._processes.append(process)
            self.pipes.append(ours)

    def close(self) -> None:
        """End the processes; idempotent."""
        for pipe in self.pipes:
            pipe.close()
        for process in self._processes:
            process.join(10)
            process.kill()
        self._processes, self.pipes = [], []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def check_chains(connection: Connection, context: Context, crew: Crew, found: Findings) -> None:
    """Check all chains, here or by the crew; then that every place of every batch is taken."""
    total = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    if crew.pipes:
        try:
            placed = _check_by_crew(connection, context, crew, total, found)
        except (EOFError, OSError):
            raise BrokenProcessPool("a process that checked chains has ended") from None
    else:
        chains = Chains(connection, context, found)
        chains.check_part(_LOWEST, _HIGHEST, total)
        placed = chains.placed
    check_all_placed(placed, context, found)


def read_moment(connection: Connection) -> tuple[object, ...]:
    """What every change of a store changes, as this connection sees it."""
    return tuple(connection.execute(_MOMENT).fetchone())


def _check_by_crew(connection: Connection, context: Context, crew: Crew, total: int, found: Findings) -> Counter[int]:
    parts = deque(_list_parts(connection, len(crew.pipes) * PARTS_OF_EACH))
    results: dict[int, list[Finding]] = {}
    placed: Counter[int] = Counter()
    done = 0
    working: dict[Pipe, int] = {}
    for pipe in crew.pipes:
        pipe.send(context)
        _hand_out(pipe, parts, working)
    while working:
        for ready in wait(list(working)):
            pipe = next(one for one in working if one is ready)
            answer = pipe.recv()
            if isinstance(answer, str):
                raise CarnetError(answer)
            findings, part_placed, count = answer
            results[working.pop(pipe)] = findings
            placed.update(part_placed)
            done += count
            found.tell("entry", done, total)
            _hand_out(pipe, parts, working)
    for first in sorted(results):
        for finding in results[first]:
            found.add(finding.table, finding.key, finding.column, finding.what)
    return placed


def _hand_out(pipe: Pipe, parts: deque[tuple[int, int]], working: dict[Pipe, int]) -> None:
    if parts:
        part = parts.popleft()
        pipe.send(part)
        working[pipe] = part[0]


def _list_parts(connection: Connection, count: int) -> Iterator[tuple[int, int]]:
    """Ranges of numbers that leave none out, also none that no chain has."""
    low, high = connection.execute("SELECT min(id), max(id) FROM chain").fetchone()
    first = _LOWEST
    for at in range(1, count):
        last = (low or 0) + ((high or 0) - (low or 0)) * at // count
        if last >= first:
            yield first, last
            first = last + 1
    yield first, _HIGHEST


def _work(pipe: Pipe, address: Address) -> None:
    """A process of the crew. It ends when the other side does, even by a kill."""
    try:
        with open_store(address, is_read_only=True) as store:
            _begin(pipe, store.connection)
    except (EOFError, OSError):
        return


def _begin(pipe: Pipe, connection: Connection) -> None:
    while (context := pipe.recv()) is None:
        if connection.in_transaction:
            connection.commit()
        connection.begin_read()
        pipe.send(read_moment(connection))
    found = Findings(None)
    chains = Chains(connection, context, found)
    while True:
        first, last = pipe.recv()
        before = chains.entry_count
        try:
            chains.check_part(first, last)
        except (*Error, CarnetError, LookupError, ValueError, TypeError, AttributeError) as error:
            pipe.send(f"{type(error).__name__}: {error}")
            return
        pipe.send((found.all, chains.placed, chains.entry_count - before))
        found.all.clear()
        chains.placed.clear()
