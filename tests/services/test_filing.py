"""File jobs in processes of their own: what waits is taken in, and goes on when its process dies."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.node.door.remote import without_signing_keys
from carnet.node.home import Home
from carnet.services.filing.acting import certify
from carnet.services.filing.records import KEPT_MS, WAITS_MS, Counts, Files, Job, Wish, cut_torn_line, read_lines
from carnet.services.filing.taking import take
from carnet.services.filing.watching import MAX_TRIES, TAKER, Watcher
from carnet.services.founding import now_ms
from tests.cli.run import make_inspection, make_line
from tests.node.door import open_door
from tests.node.home import TestNode, make_node

PATIENCE_S = 60.0


def make_present(path: Path) -> TestNode:
    """A node whose clock shows the machine's time, as those who take files in do."""
    node = make_node(path)
    node.clock.now = now_ms()
    return node


def make_rows(count: int) -> bytes:
    return b"".join(make_line(f"HV{number:06x}", make_inspection(pv=f"A{number}")) for number in range(count))


def send(files: Files, node: TestNode, data: bytes) -> Job:
    wish = Wish(name="rows.jsonl", format="histovec", size=len(data))
    job = files.create(node.operator.id, "operator", wish)
    return files.add_part(node.operator.id, job.id, 0, data)


def wait_for(check: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def state_of(files: Files, job: Job) -> str:
    found = files.find(job.id)
    return "gone" if found is None else found.state


def test_watcher__takes_in_what_waits_and_begins_again_what_died(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    home = Home(node.path)
    files = Files(home, node.clock, os.urandom)
    data = make_rows(6_000)
    with open_door(node) as served:
        job = send(files, node, data)
        watcher = Watcher(node.path, without_signing_keys(served.writer.ring), files).start()
        try:
            receipts = files.path(job, "receipts.ndjson")
            wait_for(lambda: receipts.exists() and receipts.stat().st_size > 0, "nothing was sealed")
            process = next(lane.process for lane in watcher.lanes if lane.process is not None)
            process.send_signal(signal.SIGKILL)
            wait_for(lambda: state_of(files, job) in ("done", "failed"), "the job did not end")
        finally:
            watcher.close()
        found = files.get(node.operator.id, job.id)
        assert (found.state, found.failure) == ("done", None)
        assert found.tries in (1, 2)
        assert found.counts.rows_read == 6_000
        assert found.counts.sealed + found.counts.duplicate == 6_000
        # Nothing was sealed twice: an opening and a reading for each vehicle.
        with node.read() as reader:
            assert (reader.count_passports(), reader.count_entries()) == (6_000, 12_000)
    node.close()
    node.check()


def test_watcher__gives_up_a_job_that_always_dies(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    with open_door(node) as served:
        job = send(files, node, make_rows(3))
        files.save(msgspec.structs.replace(job, tries=MAX_TRIES))
        watcher = Watcher(node.path, without_signing_keys(served.writer.ring), files).start()
        try:
            wait_for(lambda: state_of(files, job) == "failed", "the job did not fail")
        finally:
            watcher.close()
    found = files.get(node.operator.id, job.id)
    assert found.failure is not None
    assert found.failure[0] == "service_fault"
    node.close()


def test_purge__removes_what_ended_a_week_ago(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    old, open_one = (
        send(files, node, make_rows(1)),
        files.create(node.operator.id, "operator", Wish(name="x", format="histovec", size=5)),
    )
    files.cancel(node.operator.id, old.id)
    assert files.purge() == 0
    node.clock.now += KEPT_MS + 1_000
    new = send(files, node, make_rows(1))
    assert files.purge() == 2
    assert [job.id for job in files.list()] == [new.id]
    assert files.find(open_one.id) is None
    node.close()


def test_records__are_for_their_owner_alone(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    job = send(files, node, make_rows(1))
    folder = files.root / job.id
    assert oct(folder.stat().st_mode)[-3:] == "700"
    for path in folder.iterdir():
        if path.name != "lock":
            assert oct(path.stat().st_mode)[-3:] == "600", path.name
    node.close()


def test_read_lines__leaves_an_unfinished_line_for_later(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert read_lines(path, 0, 5) == ([], False)
    path.write_bytes(b'{"a":1}\n{"a":2}\n{"a"')
    assert read_lines(path, 0, 1) == ([{"a": 1}], True)
    assert read_lines(path, 1, 5) == ([{"a": 2}], False)


MAPPED = {
    "kind": "vehicle.inspection/1",
    "reader": {"type": "delimited"},
    "subject": {"scheme": "vin", "column": "vin"},
    "occurred": {"column": "day", "form": "yyyy-mm-dd"},
    "odometer": {"column": "km", "unit": "km"},
}


def make_readings(count: int, km: str = "41000") -> bytes:
    rows = (f"VF1RFB00X561{number:05d},2023-05-04,{km}\n" for number in range(count))
    return ("vin,day,km\n" + "".join(rows)).encode()


def send_for_review(files: Files, member: bytes, data: bytes) -> Job:
    wish = Wish(name="readings.csv", format="mapping", mapping=MAPPED, size=len(data), review=True)
    job = files.create(member, "operator", wish)
    return files.add_part(member, job.id, 0, data)


@pytest.mark.parametrize("stage", ["look", "seal"])
def test_watcher__a_reviewed_file_killed_at_any_stage_goes_on_without_a_double_entry(
    tmp_path: Path, stage: str
) -> None:
    node = make_present(tmp_path)
    home = Home(node.path)
    files = Files(home, node.clock, os.urandom)
    count = 6_000
    with open_door(node) as served:
        watcher = Watcher(node.path, without_signing_keys(served.writer.ring), files).start()
        try:
            job = send_for_review(files, node.operator.id, make_readings(count))
            if stage == "seal":
                wait_for(lambda: state_of(files, job) == "waiting", "it was not read")
                certify(files, node.operator, job.id, "operator")
            name = {"look": "progress.json", "seal": "receipts.ndjson"}[stage]
            place = files.path(job, name)
            wait_for(lambda: place.exists() and place.stat().st_size > 0, "nothing was begun")
            killed = [lane.process for lane in watcher.lanes if lane.process is not None]
            for process in killed:
                process.send_signal(signal.SIGKILL)
            if stage == "look":
                wait_for(lambda: state_of(files, job) == "waiting", "it was not read again")
                assert files.get(node.operator.id, job.id).counts.ready == count
                certify(files, node.operator, job.id, "operator")
            wait_for(lambda: state_of(files, job) in ("done", "failed"), "the job did not end")
        finally:
            watcher.close()
        found = files.get(node.operator.id, job.id)
        assert (found.state, found.failure) == ("done", None)
        assert found.counts.sealed + found.counts.duplicate == count
        with node.read() as reader:
            assert (reader.count_passports(), reader.count_entries()) == (count, 2 * count)
    node.close()
    node.check()


def test_watcher__a_large_file_keeps_no_other_members_clerk_waiting(tmp_path: Path) -> None:
    """While one member's file is being sealed, and another of it is read, a second member's is read and sealed."""
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    with open_door(node) as served:
        centre = served.writer.enrol_member("The centre", "inspection_centre")
        large = [send(files, node, make_rows(30_000)), send(files, node, make_rows(20_000))]
        watcher = Watcher(node.path, without_signing_keys(served.writer.ring), files).start()
        try:
            receipts = files.path(large[0], "receipts.ndjson")
            wait_for(lambda: receipts.exists() and receipts.stat().st_size > 0, "nothing was sealed")
            small = send_for_review(files, centre.id, make_readings(20))
            wait_for(lambda: state_of(files, small) == "waiting", "it was not read")
            certify(files, centre, small.id, "operator")
            wait_for(lambda: state_of(files, small) == "done", "it was not sealed")
            assert {state_of(files, job) for job in large} & {"running", "queued"}, "the large ones are still at work"
            # Of one member the files are sealed one after the other.
            assert [state_of(files, job) for job in large] != ["running", "running"]
        finally:
            watcher.close()
    node.close()


def test_watcher__begins_a_look_at_once_where_somebody_is_at_work(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    with open_door(node) as served:
        watcher = Watcher(node.path, without_signing_keys(served.writer.ring), files).start()
        try:
            data = make_readings(3)
            wish = Wish(name="x.csv", format="mapping", mapping=MAPPED, size=len(data), review=True)
            job = files.create(node.operator.id, "operator", wish)
            wait_for(lambda: watcher._spare is not None, "nobody stands ready")
            files.add_part(node.operator.id, job.id, 0, data)
            wait_for(lambda: state_of(files, job) == "waiting", "it was not read")
            files.cancel(node.operator.id, job.id)
            wait_for(lambda: watcher._spare is None, "somebody still stands ready, and nobody is at work")
        finally:
            watcher.close()
    node.close()


def test_purge__removes_what_waited_a_month(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    job = send_for_review(files, node.operator.id, make_readings(1))
    files.wait(job, Counts(ready=1))
    node.clock.now += KEPT_MS + 1_000
    assert files.purge() == 0
    node.clock.now += WAITS_MS
    assert files.purge() == 1
    node.close()


# ---- a kill between any two steps


def test_taker__whose_watcher_was_killed_is_left_to_end_its_file(tmp_path: Path) -> None:
    """The next watcher begins a job that runs again. Whoever was at it lives on: two must not be."""
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    with open_door(node) as served:
        ring = without_signing_keys(served.writer.ring)
        job = send(files, node, make_rows(800))
        order = {"home": str(node.path), "index": b64(ring.index), "job": job.id, "kek": b64(ring.kek)}
        processes = []
        for _ in range(2):
            assert files.begin(job) is not None
            process = subprocess.Popen(TAKER, stdin=subprocess.PIPE)
            processes.append(process)
            assert process.stdin is not None
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.close()
        assert [process.wait(PATIENCE_S) for process in processes] == [0, 0]
        found = files.get(node.operator.id, job.id)
        assert (found.state, found.failure) == ("done", None)
        assert (found.counts.sealed, found.counts.duplicate) == (800, 0)
        assert len(read_lines(files.path(job, "receipts.ndjson"), 0, 2_000)[0]) == 800
    node.close()


def test_end__of_a_job_that_has_ended_stays_as_it_was(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    job = send(files, node, make_rows(1))
    files.cancel(node.operator.id, job.id)
    assert files.begin(job) is None
    assert files.end(job, "done", Counts(sealed=1)).state == "cancelled"
    files.put_back(job)
    assert state_of(files, job) == "cancelled"
    node.close()


def test_records__are_whole_while_several_change_them(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    job = send(files, node, make_rows(1))
    failures: list[BaseException] = []

    def change() -> None:
        try:
            for _ in range(40):
                assert files.begin(job) is not None
                files.put_back(job)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert state_of(files, job) in ("running", "queued")
    node.close()


def test_create__goes_on_where_it_was_killed(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    wish, seed = Wish(name="x", format="histovec", size=5), bytes(range(16))
    job = files.create(node.operator.id, "operator", wish, seed)
    (files.root / job.id / "job.json").unlink()
    again = files.create(node.operator.id, "operator", wish, seed)
    assert (again.id, again.state) == (job.id, "uploading")
    node.close()


def test_watcher__goes_on_with_a_file_whose_last_part_came_before_a_kill(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    with open_door(node) as served:
        job = send(files, node, make_rows(3))
        # As it stood before it was queued.
        files.save(msgspec.structs.replace(job, state="uploading"))
        watcher = Watcher(node.path, without_signing_keys(served.writer.ring), files).start()
        try:
            wait_for(lambda: state_of(files, job) == "done", "nobody took it in")
        finally:
            watcher.close()
    node.close()


def test_watcher__lives_on_when_the_disk_was_full_and_a_record_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carnet.services.filing.watching.PAUSES_S", 0.05)
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    with open_door(node) as served:
        job, damaged = send(files, node, make_rows(3)), send(files, node, make_rows(1))
        files.path(damaged, "job.json").write_bytes(b"")
        # Nothing can be written into this place, as on a full disk.
        files.path(job, "job.json.new").mkdir()
        watcher = Watcher(node.path, without_signing_keys(served.writer.ring), files).start()
        try:
            wait_for(lambda: watcher._spare is not None, "it did not try")
            time.sleep(0.2)
            assert watcher._thread.is_alive()
            files.path(job, "job.json.new").rmdir()
            wait_for(lambda: state_of(files, job) == "done", "nobody took it in any more")
        finally:
            watcher.close()
    node.close()


def test_purge__removes_what_a_kill_has_left_without_a_record(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    job = send(files, node, make_rows(1))
    (files.root / job.id / "job.json").unlink()
    files.purge()
    assert (files.root / job.id / "content").exists()
    old = (node.clock.now - KEPT_MS) / 1000 - 60
    os.utime(files.root / job.id, (old, old))
    files.purge()
    assert not (files.root / job.id).exists()
    node.close()


def test_job__that_was_removed_meanwhile_is_not_found(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    job = send(files, node, make_rows(1))
    shutil.rmtree(files.root / job.id)
    with pytest.raises(Refused) as caught:
        files.end(job, "done")
    assert caught.value.reason is Reason.NOT_FOUND
    with files.taking(job.id) as running:
        assert running is None
    node.close()


@pytest.mark.parametrize(
    "data, left",
    [
        (b"", b""),
        (b'{"a":1}\n', b'{"a":1}\n'),
        (b'{"a":1}\n{"a"', b'{"a":1}\n'),
        (b"a" * 9_000, b""),
        (b"\n" + b"a" * 20_000, b"\n"),
        (b"a" * 8_191 + b"\n" + b"b" * 8_192, b"a" * 8_191 + b"\n"),
    ],
)
def test_cut_torn_line__leaves_whole_lines(tmp_path: Path, data: bytes, left: bytes) -> None:
    """What a killed process has half written must not run into the first line of the next."""
    path = tmp_path / "lines"
    cut_torn_line(path)
    path.write_bytes(data)
    cut_torn_line(path)
    assert path.read_bytes() == left


def test_taker__writes_its_receipts_behind_whole_lines(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    with node.open() as writer:
        job = files.begin(send(files, node, make_rows(3)))
        assert job is not None
        files.path(job, "receipts.ndjson").write_bytes(b'{"row":0}\n{"pass')
        assert take(files, writer, job, worker_count=0).state == "done"
        lines = read_lines(files.path(job, "receipts.ndjson"), 0, 9)[0]
        assert sorted(line["row"] for line in lines) == [0, 1, 2, 3]
    node.close()


def test_add_part__on_a_full_disk_is_refused_and_goes_on_later(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    data = make_rows(60)
    job = files.create(node.operator.id, "operator", Wish(name="x", format="histovec", size=len(data)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond this: the system says the same of a quota that is used up.
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, before[1]))
    try:
        with pytest.raises(Refused) as caught:
            files.add_part(node.operator.id, job.id, 0, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.reason, caught.value.could_retry) == (Reason.DISK_FULL, True)
    received = files.count_received(job)
    assert received <= 8_192
    files.add_part(node.operator.id, job.id, received, data[received:])
    assert files.path(job, "content").read_bytes() == data
    node.close()


def test_taker__on_a_full_disk_does_not_blame_the_file(tmp_path: Path) -> None:
    node = make_present(tmp_path)
    files = Files(Home(node.path), node.clock, os.urandom)
    with node.open() as writer:
        job = files.begin(send(files, node, make_rows(3)))
        assert job is not None
        # Nothing can be written there, as where a limit is reached.
        files.path(job, "receipts.ndjson").symlink_to("/dev/full")
        with pytest.raises(Refused) as caught:
            take(files, writer, job, worker_count=0)
        assert caught.value.reason is Reason.DISK_FULL
    assert state_of(files, job) == "running"
    assert files.path(job, "content").exists()
    node.close()
