"""Backups and restore drills: tried for real, told honestly, and done in the background while the node is served."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from http.client import HTTPException
from pathlib import Path

import pytest

from carnet.errors import Reason
from carnet.node.backup.envelope import Passphrase
from carnet.node.home import Home
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.office import OPERATOR_HERE, office_at
from carnet.services.backup import back_up
from carnet.services.drilling import drill, read_last_drill
from carnet.services.principals import VISITOR
from carnet.services.settings import Settings
from carnet.services.upkeep.jobs import BACKUP, CHECK, DRILL, ask_job, find_last_check, list_jobs
from carnet.services.upkeep.running import Runner
from carnet.types import Basis
from tests.cli.run import carnet, make_env
from tests.node.home import TestNode, change_behind, make_node, new_passport
from tests.services.approving.ground import refusing
from tests.serving import Served, serving_home, start, wait_for

OPENER = Passphrase("correct horse")


@pytest.fixture
def node(tmp_path: Path) -> TestNode:
    node = make_node(tmp_path)
    add(node, 1)
    return node


def add(node: TestNode, number: int) -> None:
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(number, 1_000)])


def take(node: TestNode, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return back_up(Home(node.path), folder / "node.backup", OPENER).file


def test_drill__of_a_good_backup_leaves_its_date_and_no_copy(node: TestNode, tmp_path: Path) -> None:
    home, scratch = Home(node.path), tmp_path / "scratch"
    scratch.mkdir()
    file = take(node, tmp_path / "backups")
    add(node, 2)
    done = drill(home, None, lambda _: OPENER, scratch=scratch)
    assert (done.problem, done.file, done.behind > 0) == (None, str(file), True)
    assert read_last_drill(home) == done
    assert list(scratch.iterdir()) == []


def test_drill__of_a_backup_that_was_altered_says_so(node: TestNode, tmp_path: Path) -> None:
    file = take(node, tmp_path / "backups")
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)
    done = drill(Home(node.path), file, lambda _: OPENER)
    assert done.problem == Reason.BACKUP_ALTERED.value
    assert read_last_drill(Home(node.path)) == done


def test_drill__of_another_nodes_backup_says_so(node: TestNode, tmp_path: Path) -> None:
    other = make_node(tmp_path / "other", seed=b"another")
    file = take(other, tmp_path / "backups")
    assert drill(Home(node.path), file, lambda _: OPENER).problem == Reason.OTHER_HISTORY.value


def test_drill__refused_unreadable_file__where_there_is_none(node: TestNode) -> None:
    with refusing(Reason.UNREADABLE_FILE):
        drill(Home(node.path), None, lambda _: OPENER)
    with refusing(Reason.WRONG_PASSPHRASE):
        file = take(node, node.path.parent / "backups")
        drill(Home(node.path), file, lambda _: Passphrase("another"))
    assert read_last_drill(Home(node.path)) is None


def test_cli__drills_and_status_tells_it(node: TestNode, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    take(node, tmp_path / "backups")
    assert "a backup was never tried" in carnet("status", home=node.path).out
    ran = carnet("drill", "--passphrase-file", secret, "--json", home=node.path)
    assert (ran.code, ran.json["problem"]) == (0, None), ran.err
    assert carnet("status", "--json", home=node.path).json["drill"]["problem"] is None
    assert "all of it is what was signed" in carnet("drill", "--passphrase-file", secret, home=node.path).out


def test_jobs__are_done_one_at_a_time_and_noted(node: TestNode, tmp_path: Path) -> None:
    home, folder, secret = Home(node.path), tmp_path / "backups", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("correct horse\n")
    settings = Settings(backup_folder=str(folder), backup_passphrase_file=str(secret))
    with office_at(home) as (office, _):
        with refusing(Reason.NOT_PERMITTED):
            ask_job(office, VISITOR, settings, BACKUP)
        with refusing(Reason.NOT_IN_LIST):
            ask_job(office, OPERATOR_HERE, settings, "erase")
        for lacking in (Settings(), Settings(backup_folder=str(folder))):
            with refusing(Reason.MISSING_FIELD):
                ask_job(office, OPERATOR_HERE, lacking, BACKUP)
        ask_job(office, OPERATOR_HERE, settings, BACKUP)
        with refusing(Reason.REQUEST_AT_WORK):
            ask_job(office, OPERATOR_HERE, settings, BACKUP)
        runner = Runner(home, office, settings, None, make_env())
        wait_for(lambda: runner.look() is not None, "the backup did not end")
        (done,) = list_jobs(office, OPERATOR_HERE)
        assert (done.act, done.state) == (BACKUP, "done"), done
        assert Path(done.outcome["file"]).exists()
        ask_job(office, OPERATOR_HERE, settings, DRILL)
        wait_for(lambda: runner.look() is not None, "the drill did not end")
        assert list_jobs(office, OPERATOR_HERE)[0].outcome["problem"] is None
        # A backup under another passphrase cannot be tried: it failed, with the reason.
        secret.write_text("another horse\n")
        ask_job(office, OPERATOR_HERE, settings, DRILL)
        wait_for(lambda: runner.look() is not None, "the drill did not end")
        failed = list_jobs(office, OPERATOR_HERE)[0]
        assert (failed.state, failed.outcome) == ("failed", {"problem": Reason.WRONG_PASSPHRASE.value})
        ask_job(office, OPERATOR_HERE, settings, CHECK)
        wait_for(lambda: runner.look() is not None, "the check did not end")
        assert list_jobs(office, OPERATOR_HERE)[0].outcome["findings"] == 0
        assert carnet("status", "--json", home=node.path).json["desk"]["findings"] == 0
        assert "all of it is what was signed" in carnet("status", home=node.path).out
        # One that runs when its process ends has failed.
        secret.unlink()
        ask_job(office, OPERATOR_HERE, settings, BACKUP)
        runner.look()
        runner.close()
        assert list_jobs(office, OPERATOR_HERE)[0].state == "failed"
        actions = [event.action for event in list_events(office, OPERATOR_HERE)]
    assert {Action.BACKUP_TAKEN, Action.BACKUP_DRILLED, Action.BACKUP_FAILED} <= set(actions)


def test_drill__removes_what_a_killed_one_left_and_no_other(node: TestNode, tmp_path: Path) -> None:
    file, scratch = take(node, tmp_path / "backups"), tmp_path / "scratch"
    for name in ("carnet-drill-left", "carnet-drill-atwork", "carnet-drill-other"):
        (scratch / name / "home").mkdir(parents=True)
    for name in ("left", "atwork"):
        (scratch / f"carnet-drill-{name}" / "at-work").touch()
    with (scratch / "carnet-drill-atwork" / "at-work").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        drill(Home(node.path), file, lambda _: OPENER, scratch=scratch)
    assert sorted(path.name for path in scratch.iterdir()) == ["carnet-drill-atwork", "carnet-drill-other"]


def test_cli__a_drill_that_is_told_to_end_leaves_no_copy(node: TestNode, tmp_path: Path) -> None:
    """As the service does that is stopped meanwhile."""
    file, secret, scratch = take(node, tmp_path / "backups"), tmp_path / "secret", tmp_path / "scratch"
    secret.write_text("correct horse\n")
    scratch.mkdir()
    given = ["drill", str(file), "--passphrase-file", str(secret), "--scratch", str(scratch)]
    command = [sys.executable, "-m", "carnet", "--home", str(node.path), *given]
    process = subprocess.Popen(command, env=make_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: any(scratch.iterdir()) or process.poll() is not None, "it did not begin")
    process.terminate()
    process.communicate(timeout=20)
    assert list(scratch.iterdir()) == []


def test_jobs__for_which_no_process_can_be_had_keep_no_other_waiting(
    node: TestNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office_at(Home(node.path)) as (office, _):
        runner = Runner(Home(node.path), office, Settings(), None, make_env())
        ask_job(office, OPERATOR_HERE, Settings(), CHECK)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
        ended = runner.look()
        assert ended is not None
        assert (ended.state, ended.outcome) == ("failed", {"problem": Reason.SERVICE_FAULT.value})
        assert ask_job(office, OPERATOR_HERE, Settings(), CHECK).state == "waiting"
        runner.close()


def test_serve__does_them_in_the_background(node: TestNode, tmp_path: Path) -> None:
    folder, secret = tmp_path / "backups", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("correct horse\n")
    options = ("--backup-folder", str(folder), "--backup-passphrase-file", str(secret))
    settings = Settings(backup_folder=str(folder), backup_passphrase_file=str(secret))
    with serving_home(node.path, tmp_path / "log", *options) as served:
        with office_at(Home(node.path)) as (office, _):
            for act in (BACKUP, DRILL):
                ask_job(office, OPERATOR_HERE, settings, act)
                wait_for(lambda: list_jobs(office, OPERATOR_HERE)[0].state in ("done", "failed"), f"no {act}")
                assert list_jobs(office, OPERATOR_HERE)[0].state == "done", list_jobs(office, OPERATOR_HERE)
        assert list(folder.glob("*.backup"))
        assert served.stop() == 0


def test_serve__checks_itself_and_stops_writing_when_something_is_not_what_was_signed(
    node: TestNode, tmp_path: Path
) -> None:
    """A running node whose store is changed behind it. Reading goes on; nothing more is sealed upon it."""
    with serving_home(node.path, tmp_path / "log", "--check-every", "1s") as served:
        with office_at(Home(node.path)) as (office, _):
            wait_for(lambda: find_last_check(office) is not None, "nothing was checked")
            first = find_last_check(office)
            assert first is not None
            assert (first.state, first.asked_by) == ("done", "node"), first
            assert served.ask("GET", "/readyz").status == 200
            assert change_behind(node, "UPDATE entry SET sid = x'00'") > 0
            wait_for(lambda: served.ask("GET", "/readyz").status == 503, "it went on writing")
            assert served.ask("GET", "/readyz").json["writer"] == Reason.NODE_DAMAGED.value
            events = [one for one in list_events(office, OPERATOR_HERE) if one.action is Action.NODE_CHECKED]
            assert (events[0].who, events[0].why) == ("node", Reason.NODE_DAMAGED.value)
        ran = carnet("member", "add", "--name", "Tilleuls", "--kind", "garage", home=node.path)
        assert (ran.code, "node_damaged" in ran.err) == (1, True)
        assert served.ask("GET", "/v1/kinds").status == 200
        assert served.stop() == 0
    # Started again it does not forget that, until a check has found nothing.
    again = start(node.path, tmp_path / "again")
    try:
        wait_for(lambda: answers(again), "it did not answer")
        assert again.ask("GET", "/readyz").json["writer"] == Reason.NODE_DAMAGED.value
    finally:
        again.stop()


def answers(served: Served) -> bool:
    try:
        return served.ask("GET", "/healthz").status == 200
    except (OSError, HTTPException):
        return False
