"""The service on a real port of this machine, over the demo's fleet and real French inspections: for a browser to
visit.

One server is shared by all tests of pages. A holder holds the hero, the stories below, and one vehicle of the
HistoVec file; whoever brings the cookie of a name below is that person. It refuses to know what pages show.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from carnet.node.home import Home
from carnet.node.people import open_people
from carnet.node.reader import open_reader
from carnet.node.readers import Readers
from carnet.services.appending import enrol_speaker
from carnet.services.demonstration import build_world
from carnet.services.founding import now_ms, open_writer_at
from carnet.services.principals import Principal, Standing
from carnet.services.settings import Settings
from carnet.types import Subject
from carnet.web.app import make_app
from carnet.web.desk import Desk
from tests.cli.run import carnet
from tests.services.town import Held
from tests.shared import shared_file
from tests.web.desk import KnownCallers

STORIES = ("hero", "contested", "miles_import", "scrapped")
HISTOVEC_LINES = 40
PEOPLE = {
    "holder": Principal(Standing.HOLDER, account="acc_holder"),
    "newcomer": Principal(Standing.HOLDER, account="acc_newcomer"),
    "operator": Principal(Standing.OPERATOR, account="acc_operator"),
}
CODE = "GOOD-CODE"


@dataclass
class Street:
    """Where the service is, and the passports (hexadecimal) by story."""

    address: str
    passports: dict[str, str]
    desk: Desk
    held: Held

    def path(self, story: str, section: str = "") -> str:
        """The path of a vehicle's page."""
        return f"/vehicles/pas_{self.passports[story]}{section}"


@contextmanager
def open_street(folder: Path) -> Iterator[Street]:
    """Build the world, import the file, serve; a few seconds."""
    home = Home(folder / "home")
    built = build_world(home, seed=2026, vehicles=12, progress=lambda done, total: None)
    vins = {vehicle.story: vehicle.subject for vehicle in built.fleet if vehicle.story in STORIES}
    histovec = _import_histovec(home, folder)
    with open_writer_at(home, None, "tests of pages") as writer:
        enrol_speaker(writer)
        people = open_people(home)
        readers = Readers(lambda: open_reader(home.path))
        held = Held()
        with readers.reading() as reader:
            subjects = vins | {"histovec": histovec}
            passports = {story: reader.find_subject(subject).hex() for story, subject in subjects.items()}
        held.holders |= {bytes.fromhex(passport): "acc_holder" for passport in passports.values()}
        port = _find_port()
        settings = Settings(origin=f"http://127.0.0.1:{port}")
        desk = Desk(
            home, readers, writer, now_ms, os.urandom, settings, KnownCallers(sessions=dict(PEOPLE)), is_demo=True
        )
        desk.shelf.update(holdings=held, people=people.store)
        try:
            with _serving(make_app(desk), port):
                yield Street(settings.origin, passports, desk, held)
        finally:
            readers.close()
            people.store.close()


def _import_histovec(home: Home, folder: Path) -> Subject:
    """Import the first vehicles of the real file; the subject of the first."""
    source = shared_file("data", "histovec", "dev", "odometer_histories.jsonl")
    lines = source.read_text(encoding="utf-8").splitlines()[:HISTOVEC_LINES]
    file = folder / "histories.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = carnet("import", "histovec", file, home=home.path)
    assert ran.code == 0, ran.err
    with open_reader(home.path) as reader:
        found = [
            line.subject for line in reader.list_passports() if line.subject and line.subject["scheme"] == "histovec"
        ]
    return Subject("histovec", str(found[0]["value"]))


def _find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _serving(app: object, port: int) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        for _ in range(500):
            if server.started:
                break
            time.sleep(0.02)
        assert server.started, "the service did not start"
        yield
    finally:
        server.should_exit = True
        thread.join(20)
