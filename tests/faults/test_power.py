"""The power goes at hundreds of moments: what was not flushed is discarded, torn or kept as chance will have it.

A run is recorded once with strace, and played back up to each moment (`tests.faults.recorder`). Whatever was
acknowledged before that moment must stand on what is left; a flush that failed is played as done and as lost.
"""

from __future__ import annotations

import json
import random
import shutil
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.services.founding import found, open_writer_at
from carnet.vault.store import open_store
from tests.faults.effort import scaled
from tests.faults.oracle import is_of_todays_schema
from tests.faults.recorder import Disk, Event, python, record
from tests.faults.test_kill import Trial, make_place
from tests.faults.tracing import needs_strace


@dataclass
class Recorded:
    """Runs on one home, one after another, and what they acknowledged, by the number of the event that did."""

    home: Path
    work: Path
    start: Path | None = None
    events: list[Event] = field(default_factory=list)
    told: list[tuple[int, dict[str, object]]] = field(default_factory=list)

    def run(self, module: str, *arguments: str | Path, inject: tuple[str, ...] = ()) -> int:
        """Record one more run; returns its exit code."""
        out = self.work / "out"
        out.unlink(missing_ok=True)
        events, code = record(python(module, *arguments), out, self.work / "trace", inject=inject)
        text = b""
        for event in events:
            self.events.append(event)
            if event.call == "write" and event.path == str(out):
                *lines, text = (text + event.data).split(b"\n")
                self.told += [(len(self.events), json.loads(line)) for line in lines if line]
        assert text == b""
        return code

    def cut(self, place: Path, moment: int, chance: random.Random) -> Trial:
        """The home as it is after the power went behind so many events, and what had been acknowledged by then."""
        start = self.start or self.work / "nothing"
        disk = Disk.of(start, chance, is_failure_total=chance.random() < 0.5)
        disk.home = str(self.home)
        for event in self.events[:moment]:
            disk.play(event)
        disk.crash_into(place)
        trial = Trial(Home(place))
        until = bisect_right([at for at, _ in self.told], moment)
        trial.hear([note for _, note in self.told[:until] if "refused" not in note])
        return trial

    def choose_moments(self, count: int, chance: random.Random) -> list[int]:
        """Half of them anywhere, half around a flush, a new name or an acknowledgement, where promises are made."""
        interesting = [at for at, event in enumerate(self.events) if event.call not in ("write", "create")]
        interesting += [at for at, _ in self.told]
        near = [max(0, chance.choice(interesting) + chance.choice((-1, 0, 1, 2))) for _ in range(count // 2)]
        return [*near, *(chance.randrange(len(self.events) + 1) for _ in range(count - len(near)))]


def check_moments(
    recorded: Recorded, count: int, seed: int, check: Callable[[Home], object] | None = None
) -> Counter[str]:
    """Cut the power at so many moments, and look at what is left each time; `check` looks at more."""
    chance, found_at = random.Random(seed), Counter[str]()
    with make_place(is_in_memory=True) as memory:
        for number, moment in enumerate(recorded.choose_moments(count, chance)):
            # A moment that fails is played again with this.
            one = random.Random(f"{seed} {moment} {number}")
            found_at[check_moment(recorded, memory / f"cut{number}", moment, one, check)] += 1
    print(f"power cut at {count} of {len(recorded.events)} moments: {dict(found_at)}")
    return found_at


def check_moment(
    recorded: Recorded,
    place: Path,
    moment: int,
    chance: random.Random,
    check: Callable[[Home], object] | None = None,
) -> str:
    """Cut the power at one moment, and look at what is left in this place; what was there."""
    trial = recorded.cut(place, moment, chance)
    try:
        found_at = check_left(trial, chance)
        if check is not None:
            check(trial.home)
    except BaseException:
        print(f"moment {moment} of {len(recorded.events)}, {place.name}: {recorded.events[moment - 1].call}")
        raise
    shutil.rmtree(place, ignore_errors=True)
    return found_at


def check_left(trial: Trial, chance: random.Random) -> str:
    """Everything acknowledged stands, the next writer starts, and the store checks clean; what was there."""
    home, known = trial.home, trial.size
    if not home.is_founded():
        assert trial.network is None
        assert trial.oracle.receipts == []
        found(home, name="example.org")
        assert check_home(home.path) == []
        return "nothing yet"
    if chance.random() < 0.5 and is_of_todays_schema(home.path):
        # A reader comes first: it may write nothing, and must see all the same.
        trial.check("", 0, None)
    with open_writer_at(home, None, "after the cut"):
        pass
    assert check_home(home.path) == []
    trial.check("", 0, None)
    if chance.random() < 0.1:
        trial.finish()
    return "more than was acknowledged" if trial.size > known else "what was acknowledged"


@pytest.fixture
def founded(tmp_path: Path) -> Iterator[Recorded]:
    """A founded home, durable, and a copy of it to start from."""
    home, start = tmp_path / "home", tmp_path / "start"
    found(Home(start), name="example.org")
    shutil.copytree(start, home)
    return Recorded(home, tmp_path, start)


@needs_strace
def test_founding__survives_power_loss(tmp_path: Path) -> None:
    """From an empty folder on: the home's own name, its keys and its store, then what a writer does there."""
    recorded = Recorded(tmp_path / "new" / "home", tmp_path)
    assert recorded.run("tests.faults.victim", recorded.home, "2") == 0
    states = check_moments(recorded, scaled(80), 1)
    assert states["nothing yet"] > 0
    assert states["what was acknowledged"] > 0


@needs_strace
@pytest.mark.parametrize("seed", [3, 4])
def test_writer__survives_power_loss(founded: Recorded, seed: int) -> None:
    """Imports, submissions, censuses, new and replaced keys, erasures, closing and opening again."""
    assert founded.run("tests.faults.victim", founded.home, str(seed)) == 0
    states = check_moments(founded, scaled(100), seed)
    assert states["what was acknowledged"] > 0


@needs_strace
@pytest.mark.parametrize("place", ["4+", "7+", "9", "9+", "15+"])
def test_writer__survives_power_loss_after_a_flush_that_failed(founded: Recorded, tmp_path: Path, place: str) -> None:
    """The process ends with a failed flush, another one goes on where it stopped, and then the power goes.

    With a +, all later flushes fail too, down to those of closing: then the commit that failed is still in the
    write-ahead log as the system shows it to the next process, and not on the disk.
    """
    inject = ("-e", f"inject=fsync:error=EIO:when={place}")
    assert founded.run("tests.faults.victim", founded.home, "5", inject=inject) == 1
    assert any(event.is_failed for event in founded.events)
    assert founded.told[-1][1] == {"refused": "disk_failed"}
    second = len(founded.events)
    # One that reads is there meanwhile: otherwise SQLite moves the log by itself when its first connection is closed.
    with open_store(Home(founded.home).address, is_read_only=True) as idle:
        idle.connection.execute("SELECT count(*) FROM log_record").fetchone()
        assert founded.run("tests.faults.victim", founded.home, "6") == 0
    check_moments(founded, scaled(30), int(place.rstrip("+")))
    # What the second one tells first rests on what the first one has left.
    for moment in [at for at, _ in founded.told if at > second][:6]:
        for number in range(4):
            check_moment(
                founded, tmp_path / f"again{moment}-{number}", moment, random.Random(f"{place} {moment} {number}")
            )
