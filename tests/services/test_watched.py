"""A watched folder: each file is taken in once, whatever happens, and moves on with an account beside it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.node.door.remote import without_signing_keys
from carnet.node.found import enrol_key
from carnet.node.home import Home
from carnet.services.accounts.office import office_at
from carnet.services.filing.records import Files
from carnet.services.filing.watching import Watcher
from carnet.services.founding import now_ms
from carnet.services.watched.folder import Folder, Taken, watch
from carnet.services.watched.here import HereDesk
from carnet.signing import Signer
from carnet.types import Custody, KeyRole
from tests.node.door import open_door
from tests.node.home import TestNode, make_node

MAPPING: dict[str, Any] = {
    "kind": "vehicle.odometer/1",
    "reader": {"type": "delimited"},
    "subject": {"scheme": "vin", "column": "vin"},
    "occurred": {"column": "day", "form": "yyyy-mm-dd"},
    "odometer": {"column": "km", "unit": "km"},
}


@dataclass
class Shop:
    node: TestNode
    folder: Path
    files: Files
    office: Any

    def open(self, mapping: dict[str, Any] | None = MAPPING, settle_s: float = 0.0) -> Folder:
        return Folder(self.folder, HereDesk(self.files, self.office, self.node.operator, mapping), settle_s=settle_s)

    def run(self, mapping: dict[str, Any] | None = MAPPING) -> list[Taken]:
        """Take in what is there, as `carnet watch --once` does."""
        taken: list[Taken] = []

        def fail(path: Path, refused: Refused) -> None:
            raise AssertionError(f"{path}: {refused}")

        watch(self.open(mapping), taken.append, fail, every_s=0.01, is_once=True)
        return taken

    def drop(self, name: str, *rows: str) -> Path:
        path = self.folder / name
        path.write_text("vin,day,km\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        return path

    def list(self, place: str) -> list[str]:
        return sorted(path.name for path in (self.folder / place).iterdir() if path.name != "lock")

    def count(self) -> int:
        with self.node.read() as reader:
            return reader.count_entries() - reader.count_passports()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opening(tmp_path) as shop:
        yield shop


@contextmanager
def opening(tmp_path: Path) -> Iterator[Shop]:
    node = make_node(tmp_path / "node")
    # As those who take files in have it.
    node.clock.now = now_ms()
    home = Home(node.path)
    files = Files(home, node.clock, os.urandom)
    folder = tmp_path / "out"
    folder.mkdir()
    with open_door(node) as served, office_at(home) as (office, _):
        watcher = Watcher(node.path, without_signing_keys(served.writer.ring), files).start()
        try:
            yield Shop(node, folder, files, office)
        finally:
            watcher.close()
    node.close()
    node.check()


def row(number: int, km: str = "41000") -> str:
    return f"VF1RFB00X5612{number:04d},2023-05-04,{km}"


def test_watch__seals_a_file_and_moves_it_with_its_account(shop: Shop) -> None:
    shop.drop("monday.csv", row(1), row(2))
    (taken,) = shop.run()
    assert (taken.outcome, taken.counts["sealed"]) == ("done", 2)
    assert shop.list("done") == ["monday.csv", "monday.csv.account.txt"]
    assert "2 rows = 2 sealed" in (shop.folder / "done" / "monday.csv.account.txt").read_text()
    assert shop.count() == 2


def test_watch__moves_what_is_left_to_problems_with_the_rows_to_mend(shop: Shop) -> None:
    shop.drop("monday.csv", row(1), row(2, "many"))
    (taken,) = shop.run()
    assert (taken.outcome, taken.counts["sealed"], taken.counts["faulty"]) == ("problems", 1, 1)
    assert shop.list("problems") == ["monday.csv", "monday.csv.account.txt", "monday.csv.faulty"]
    account = (shop.folder / "problems" / "monday.csv.account.txt").read_text()
    assert "line 3, km" in account
    # Mended and dropped: exactly this row is new.
    mended = (shop.folder / "problems" / "monday.csv.faulty").read_text().replace("many", "42000")
    (shop.folder / "mended.csv").write_text(mended)
    (again,) = shop.run()
    assert (again.outcome, again.counts["sealed"]) == ("done", 1)


def test_watch__a_copy_under_another_name_is_not_taken_in_again(shop: Shop) -> None:
    shop.drop("monday.csv", row(1))
    shop.run()
    shop.drop("copy of monday.csv", row(1))
    (taken,) = shop.run()
    assert "taken in before, as monday.csv" in taken.said
    assert shop.list("done") == ["copy of monday.csv", "monday.csv", "monday.csv.account.txt"]
    assert len(shop.files.list()) == 1
    # Another file of a name that is taken: both stay.
    shop.drop("monday.csv", row(1), row(2))
    (longer,) = shop.run()
    assert (longer.counts["sealed"], longer.counts["duplicate"]) == (1, 1)
    assert len([name for name in shop.list("done") if name.startswith("monday") and name.endswith(".csv")]) == 2


def test_watch__a_file_that_nobody_has_looked_at_waits_in_the_console(shop: Shop) -> None:
    shop.drop("strange.csv", row(1))
    (taken,) = shop.run(mapping=None)
    assert taken.outcome == "problems"
    (job,) = shop.files.list()
    assert f"/console/files/{job.id}" in taken.said
    assert (job.state, shop.count()) == ("waiting", 0)


def test_watch__leaves_what_is_still_written(shop: Shop) -> None:
    folder = shop.open(settle_s=0.2)
    shop.drop("half.csv.part", row(1))
    (shop.folder / "empty.csv").touch()
    (shop.folder / "link.csv").symlink_to(shop.drop("growing.csv", row(1)))
    assert folder.list_whole() == []
    with shop.open().watching():
        assert folder.list_whole() == []
        shop.drop("growing.csv", row(1), row(2))
        time.sleep(0.25)
        assert folder.list_whole() == [], "it has grown since"
        time.sleep(0.25)
        assert [path.name for path in folder.list_whole()] == ["growing.csv"]


def test_watch__refused_request_at_work__while_another_process_watches(shop: Shop) -> None:
    with shop.open().watching(), pytest.raises(Refused) as refused, shop.open().watching():
        pass
    assert refused.value.reason is Reason.REQUEST_AT_WORK


class BusyDesk(HereDesk):
    """A desk beside which the workshop's software writes its file anew, at one of these steps."""

    rows: tuple[str, ...] = ()
    path: Path
    step = ""

    def send(self, path: Path, digest: bytes, job: str | None) -> str:
        if self.step == "send":
            # Announced as it was, and shorter when it is read.
            self._announce(path, digest)
            self.write()
        return super().send(path, digest, job)

    def follow(self, job: str) -> Any:
        if self.step == "follow":
            self.write()
        return super().follow(job)

    def write(self) -> None:
        self.step = ""
        self.path.write_text("vin,day,km\n" + "".join(f"{row}\n" for row in self.rows), encoding="utf-8")


@pytest.mark.parametrize("step", ["send", "follow"])
def test_watch__a_file_written_anew_while_it_is_at_work_is_taken_in_next(shop: Shop, step: str) -> None:
    path = shop.drop("export.csv", row(1), row(2))
    desk = BusyDesk(shop.files, shop.office, shop.node.operator, MAPPING)
    desk.path, desk.rows, desk.step = path, (row(3),), step
    folder = Folder(shop.folder, desk, settle_s=0)
    with shop.open().watching():
        if step == "send":
            with pytest.raises(Refused) as caught:
                folder.take(path)
            assert caught.value.could_retry
            assert shop.files.list() == []
        else:
            taken = folder.take(path)
            assert taken.counts["sealed"] == 2
            assert "another file has its name now" in taken.said
    assert path.exists(), "it moved on, and nobody had read it"
    (taken,) = shop.run()
    assert (taken.outcome, taken.counts["sealed"]) == ("done", 1)
    assert shop.count() == {"send": 1, "follow": 3}[step]


def test_watch__a_file_that_is_taken_away_meanwhile_ends_nothing(shop: Shop) -> None:
    class Hasty(Folder):
        def list_whole(self) -> list[Path]:
            found = super().list_whole()
            for path in found:
                if path.name == "a.csv":
                    path.unlink()
            return found

    shop.drop("a.csv", row(1))
    shop.drop("b.csv", row(2))
    taken: list[Taken] = []
    folder = Hasty(shop.folder, HereDesk(shop.files, shop.office, shop.node.operator, MAPPING), settle_s=0.0)
    assert watch(folder, taken.append, lambda path, refused: None, every_s=0.01, is_once=True) == 0
    assert [one.name for one in taken] == ["b.csv"]


class Killed(Exception):
    """The process ends here."""


class FragileDesk(HereDesk):
    """A desk whose process is killed when one of its answers has come back: what it did is done."""

    dies_after = ""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name != object.__getattribute__(self, "dies_after"):
            return found

        def once(*given: Any) -> Any:
            found(*given)
            raise Killed(name)

        return once


@pytest.mark.parametrize("step", ["send", "follow", "certify", "list_faults", "read_faulty"])
def test_watch__killed_after_any_step_goes_on_and_seals_nothing_twice(shop: Shop, step: str) -> None:
    path = shop.drop("monday.csv", row(1), row(2), row(3, "many"))
    desk = FragileDesk(shop.files, shop.office, shop.node.operator, MAPPING)
    desk.dies_after = step
    with shop.open().watching(), pytest.raises(Killed):
        Folder(shop.folder, desk, settle_s=0).take(path)
    (taken,) = shop.run()
    assert taken.counts["sealed"] + taken.counts["duplicate"] == 2
    assert shop.count() == 2
    assert len(shop.files.list()) == 1, "one file, one job"
    assert shop.list("problems") == ["monday.csv", "monday.csv.account.txt", "monday.csv.faulty"]
    assert shop.run() == []


def test_watch__of_a_job_that_was_forgotten_begins_anew(shop: Shop) -> None:
    path = shop.drop("monday.csv", row(1))
    desk = FragileDesk(shop.files, shop.office, shop.node.operator, MAPPING)
    desk.dies_after = "certify"
    with shop.open().watching(), pytest.raises(Killed):
        Folder(shop.folder, desk, settle_s=0).take(path)
    (job,) = shop.files.list()
    shutil.rmtree(shop.files.root / job.id)
    (taken,) = shop.run()
    assert taken.outcome == "done"
    assert shop.count() == 1


def test_watch__a_file_that_is_refused_keeps_no_other_waiting(shop: Shop) -> None:
    """A member that keeps its own key: nobody is here who could sign."""
    shop.drop("opens.csv", row(1), row(2))
    shop.run()
    writer, signer, id_ = shop.node.writers[0], Signer(bytes(range(32))), bytes(range(16))
    key = enrol_key(signer, writer.state.net, id_, KeyRole.AUTHOR, Custody.OWN)
    member = writer.enrol_member("Own garage", "garage", member_id=id_, key=key)
    shop.drop("a.csv", row(1, "42000"))
    shop.drop("b.csv", row(2, "43000"))
    taken: list[Taken] = []
    folder = Folder(shop.folder, HereDesk(shop.files, shop.office, member, MAPPING), settle_s=0.0)
    problems = watch(folder, taken.append, lambda path, refused: None, every_s=0.01, is_once=True)
    assert problems == 2
    assert [one.name for one in taken] == ["a.csv", "b.csv"]
    account = (shop.folder / "problems" / "a.csv.account.txt").read_text()
    assert "keeps its own key" in account
    assert "/console/files/job_" in account
