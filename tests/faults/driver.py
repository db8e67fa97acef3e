"""A warmed process that forks one that works on a home, and kills it in the middle.

    oracle ── a round (JSON) ─▶ driver ── fork ─▶ victim ── notes and receipts ─▶ oracle
                                  └── kill -9 after so many microseconds ─▶ victim

Loading the program takes half a second and forking a loaded one some milliseconds: that is all it is for. The driver
itself opens no database. What it writes to its output comes after everything that the victim has written there.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

# Loaded here and not in the victim: an upgrade or a founding would spend its life loading it.
import alembic.command
import alembic.config
import alembic.operations.ops
import sqlalchemy.dialects.sqlite.base

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.jobs import Group
from carnet.node.writer import Writer
from carnet.services.founding import found, get_operator, now_ms, open_writer_at
from carnet.services.importing import HISTOVEC, Sinks, import_file, take_census_if_due
from carnet.signing import Signer
from carnet.types import Basis
from carnet.vault.mover import LogMover
from tests.faults.oracle import make_lines
from tests.node.home import new_passport, opening, reading, vin_subject

__all__ = ["alembic", "sqlalchemy"]

_OUT = int(os.environ.get("CARNET_DRIVER_OUT", "1"))
"""The descriptor of the pipe to the oracle."""

_CLOCK: list[int] = []
"""Both ends of the pipe by which a victim tells the driver that it is at its work."""

ROWS_EACH, VEHICLES = 5, 24
"""A file of a round is this long at most; its vehicles are drawn from a few, so that rows come back as duplicates."""


def say(**note: object) -> None:
    """One line to the oracle, in one write: a kill leaves it whole, or absent, or (if it is long) cut."""
    os.write(_OUT, json.dumps(note).encode() + b"\n")


class Receipts(BytesIO):
    """Where an import writes its receipts: flushed as it does, straight to the oracle."""

    def flush(self) -> None:
        data = memoryview(self.getvalue())
        while data:
            data = data[os.write(_OUT, data) :]
        self.seek(0)
        self.truncate()


# ---- what a victim does; each says what it is about to do, and what it has been told is done


def do_import(writer: Writer, chance: random.Random, home: Home) -> None:
    first, count = chance.randrange(VEHICLES), chance.randint(1, VEHICLES // 3)
    say(op="import", size=writer.state.size)
    import_file(
        writer,
        get_operator(writer),
        HISTOVEC,
        make_lines(count, ROWS_EACH, first),
        now_ms(),
        sinks=Sinks(receipts=Receipts()),
        batch_rows=chance.choice((5, 10, 1_000)),
    )
    say(done="import", size=writer.state.size)


def do_submit(writer: Writer, chance: random.Random, home: Home) -> None:
    """The group commit: three submissions from one thread, acknowledged by another."""
    say(op="submit", size=writer.state.size)
    member = get_operator(writer)
    waiting = []
    for _ in range(3):
        number = chance.getrandbits(48)
        subject = vin_subject(number)
        ref = writer.find_chain(subject)
        group = Group([reading(subject, 7)], ref) if ref else Group([opening(subject), reading(subject, 5)])
        waiting.append(writer.submit(writer.prepare(writer.make_job(member.id, Basis.REPORTED, [group]))))
    for future in waiting:
        for one in future.result().receipts:
            say(passport=one.chain16.hex(), seq=one.seq, statement=one.sid.hex(), record=one.seal)
    say(done="submit", size=writer.state.size)


def do_census(writer: Writer, chance: random.Random, home: Home) -> None:
    say(op="census", size=writer.state.size)
    if chance.random() < 0.7:
        writer.append(get_operator(writer).id, Basis.REPORTED, [new_passport(chance.getrandbits(48), 1)])
    take_census_if_due(writer)
    say(done="census", size=writer.state.size)


def do_member(writer: Writer, chance: random.Random, home: Home) -> None:
    say(op="member", size=writer.state.size)
    made = writer.enrol_member(f"Garage {chance.getrandbits(64):016x}", "garage")
    say(member=made.id.hex(), keys=[made.keys[0].digest.hex()], size=writer.state.size)
    say(op="key", size=writer.state.size)
    key = writer.add_key(made.id)
    say(member=made.id.hex(), keys=[key.digest.hex()], size=writer.state.size)
    say(op="rotation", size=writer.state.size)
    key = writer.rotate_key(made.id, key.digest)
    say(member=made.id.hex(), keys=[key.digest.hex()], size=writer.state.size)
    if chance.random() < 0.3:
        say(op="rotation", size=writer.state.size)
        key = writer.rotate_key(writer.node_id, Signer(writer.ring.node).digest)
        say(member=writer.node_id.hex(), keys=[key.digest.hex()], size=writer.state.size)


def do_erase(writer: Writer, chance: random.Random, home: Home) -> None:
    with writer.reading():
        row = writer._connection.execute("SELECT chain16 FROM chain ORDER BY random() LIMIT 1").fetchone()
    if row is None:
        return
    seqs = None if chance.random() < 0.5 else [1]
    say(op="erase", erasing=row[0].hex(), seqs=seqs, size=writer.state.size)
    try:
        writer.erase(row[0], seqs, "test_data")
    except Refused as refused:
        if refused.reason not in (Reason.ERASED, Reason.UNKNOWN_TARGET):
            raise
        say(done="erase", size=writer.state.size)
    else:
        say(erased=row[0].hex(), seqs=seqs, size=writer.state.size)


WORK: tuple[Callable[[Writer, random.Random, Home], None], ...] = (
    do_import,
    do_import,
    do_import,
    do_submit,
    do_census,
    do_member,
    do_erase,
)


def find_url_beside(home: Home) -> Path:
    """Where the URL of a database stands that a home is to be founded in."""
    return home.path.with_name(f"{home.path.name}.url")


def start_clock() -> None:
    """Let the driver count the microseconds to the kill from now on: the victim is at its work."""
    if _CLOCK:
        os.write(_CLOCK[1], b".")


def open_victim(home: Home) -> Writer:
    """A writer that moves its log beside what it writes from a few pages on, as others do once it is long.

    Under a limit on the size of files its log grows: otherwise the store mostly meets the limit, and no commit does.
    """
    writer = open_writer_at(home, None, "a victim")
    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY:
        writer._mover.close()
        writer._mover = LogMover(home.address, writer._connection, max_pages=30)
    return writer


def play(home: Home, chance: random.Random) -> None:
    """Found the home if need be, then do one thing after another until the kill comes, or a dozen are done. Its store
    is in a database if there is the URL of one beside the home."""
    if not home.is_founded():
        say(op="found", size=0)
        beside = find_url_beside(home)
        url = beside.read_text(encoding="utf-8") if beside.exists() else None
        say(founded=found(home, name="example.org", store_url=url).network)
    say(op="open")
    writer = open_victim(home)
    say(opened=True, size=writer.state.size)
    start_clock()
    for _ in range(12):
        if chance.random() < 0.05:
            say(op="close", size=writer.state.size)
            writer.close()
            say(op="open", size=writer.state.size)
            writer = open_victim(home)
            say(opened=True, size=writer.state.size)
        chance.choice(WORK)(writer, chance, home)
    say(op="close", size=writer.state.size)
    writer.close()
    say(closed=True)


# ---- the driver


def fork_victim(round_: dict[str, Any], work: Callable[[Home, random.Random], None]) -> int:
    """Start a victim; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        if round_["limit"] is not None:
            # The kernel ends the process in the middle of the write that makes a file longer than this.
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (round_["limit"], round_["limit"]))
        work(Home(Path(round_["home"])), random.Random(round_["seed"]))
        code = 0
    except BaseException as error:
        with suppress(OSError):
            say(error=f"{type(error).__name__}: {error}")
        if not isinstance(error, Refused):
            import traceback

            traceback.print_exc()
    finally:
        os._exit(code)


def run_round(round_: dict[str, Any], work: Callable[[Home, random.Random], None]) -> None:
    """One victim, from its fork to its end."""
    _CLOCK[:] = os.pipe()
    pid = fork_victim(round_, work)
    os.close(_CLOCK[1])
    if round_["kill_after_us"] is not None:
        if not round_["is_from_fork"]:
            # Also when the victim has ended, and with it the last writer of this pipe.
            os.read(_CLOCK[0], 1)
        time.sleep(round_["kill_after_us"] / 1e6)
        # It may have ended by itself: until it is waited for, its pid is nobody else's.
        os.kill(pid, signal.SIGKILL)
    os.close(_CLOCK[0])
    _, status = os.waitpid(pid, 0)
    # The line feed ends a line that the kill has cut.
    os.write(_OUT, b"\n" + json.dumps({"ended": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


def main(work: Callable[[Home, random.Random], None] = play) -> None:
    """Rounds from standard input, until it is closed."""
    gc.collect()
    gc.freeze()
    say(ready=os.getpid())
    for line in sys.stdin:
        run_round(json.loads(line), work)


if __name__ == "__main__":
    main()
