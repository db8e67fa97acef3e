"""`carnet watch` as people run it: beside a running node, through a service, killed, and run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from carnet.services.filing.taking import take
from carnet.web.api.files import get_files
from tests.cli.run import COMMAND, carnet, make_env
from tests.sdk.server import serving_on_socket
from tests.serving import serving_home
from tests.web.town import VIN, WebTown

MAPPING = {
    "kind": "vehicle.odometer/1",
    "reader": {"type": "delimited"},
    "subject": {"scheme": "vin", "column": "vin"},
    "occurred": {"column": "day", "form": "yyyy-mm-dd"},
    "odometer": {"column": "km", "unit": "km"},
}
ROWS = 3_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING))
    return made


def drop(folder: Path, name: str, rows: int) -> None:
    lines = ["vin,day,km", *(f"VF1RFB00X561{number:05d},2023-05-04,{number}" for number in range(rows))]
    (folder / name).write_text("\n".join(lines) + "\n")


def test_watch__beside_a_running_node_is_killed_and_goes_on(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    assert carnet("init", home=home).code == 0
    drop(folder, "night.csv", ROWS)
    options = ["watch", str(folder), "--map", str(tmp_path / "mapping.json"), "--settle", "0", "--every", "0.1"]
    with serving_home(home, tmp_path / "log") as served:
        watching = subprocess.Popen([*COMMAND, *options], env=make_env(home), stdout=subprocess.PIPE)
        jobs = home / "files"
        until = time.monotonic() + 60
        while not list(jobs.glob("job_*/receipts.ndjson")):
            assert time.monotonic() < until, served.read_log()
            time.sleep(0.02)
        watching.send_signal(signal.SIGKILL)
        watching.communicate()
        ran = carnet(*options, "--once", "--json", home=home)
        assert ran.code == 0, ran.err + served.read_log()
        (line,) = [json.loads(line) for line in ran.out.splitlines()]
        assert line["outcome"] == "done"
        assert line["counts"]["sealed"] + line["counts"]["duplicate"] == ROWS
        assert sorted(path.name for path in (folder / "done").iterdir()) == ["night.csv", "night.csv.account.txt"]
        # A politely stopped one says nothing.
        polite = subprocess.Popen([*COMMAND, *options], env=make_env(home), stderr=subprocess.PIPE)
        time.sleep(1.5)
        polite.send_signal(signal.SIGTERM)
        _, err = polite.communicate(timeout=30)
        assert b"Traceback" not in err
    listed = carnet("list", "--json", home=home)
    assert len(listed.out.splitlines()) == ROWS


@contextmanager
def taking(town: WebTown) -> Iterator[None]:
    """Take in what waits, as the processes of a service do."""
    files, over = get_files(town.service.desk), threading.Event()

    def run() -> None:
        while not over.wait(0.05):
            for job in files.list():
                if job.state == "queued":
                    running = msgspec.structs.replace(job, state="running")
                    files.save(running)
                    take(files, town.service.node.writers[0], running, worker_count=0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(20)


def test_watch__through_a_service(tmp_path: Path, folder: Path) -> None:
    key = tmp_path / "garage.key"
    key.write_text("garage\n")
    key.chmod(0o600)
    (folder / "readings.csv").write_text(f"vin,day,km\n{VIN},2023-05-04,41000\n{VIN},2023-05-05,many\n")
    with serving_on_socket(tmp_path / "town") as served, taking(served.town):
        served.town.open()
        options = ["watch", folder, "--server", served.address, "--key-file", key, "--settle", "0", "--every", "0.1"]
        waits = carnet(*options, "--once")
        assert waits.code == 1, "nobody has said yet how it is read"
        assert "/console/files/job_" in waits.out
        (folder / "problems" / "readings.csv").rename(folder / "again.csv")
        (folder / "again.csv").write_text((folder / "again.csv").read_text() + "\n")
        ran = carnet(*options, "--once", "--map", tmp_path / "mapping.json")
        assert ran.code == 1
        assert "1 sealed" in ran.out
        account = (folder / "problems" / "again.csv.account.txt").read_text()
        assert "line 3, km" in account
        assert (folder / "problems" / "again.csv.faulty").read_text().splitlines()[1] == f"{VIN},2023-05-05,many"
    away = carnet(*options, "--once")
    assert away.code == 0, "nothing is left to be taken in"


def test_watch__refused_wrong_usage(tmp_path: Path) -> None:
    assert carnet("init", home=tmp_path / "home").code == 0
    absent = carnet("watch", tmp_path / "nowhere", home=tmp_path / "home")
    assert (absent.code, absent.out) == (1, "")
    assert "nowhere" in absent.err
    ran = carnet("watch", tmp_path, "--server", "http://127.0.0.1:9", "--as", "Garage")
    assert ran.code == 2
    assert "no --as" in ran.err
    assert os.listdir(tmp_path) == ["home"]
