"""The service on a real port of this machine, over the demo's fleet and real French inspections: for a browser to
visit.

One server is shared by all tests of pages. A holder holds the hero, the stories below, and one vehicle of the
HistoVec file; whoever brings the cookie of a name below is that person. It refuses to know what pages show.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from carnet.node.home import Home
from carnet.node.reader import open_reader
from carnet.node.readers import Readers
from carnet.services.accounts.office import Office, Visit, open_office
from carnet.services.accounts.registry import HOLDER, OPERATOR, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.appending import enrol_speaker
from carnet.services.claims import issue_code
from carnet.services.demonstration import NETWORK, build_world
from carnet.services.founding import now_ms, open_writer_at
from carnet.services.holdings import begin_holding
from carnet.services.principals import Principal, Standing
from carnet.services.settings import Settings
from carnet.types import Subject
from carnet.web.app import make_app
from carnet.web.desk import Desk
from carnet.web.people import OfficeCallers, make_shelf
from tests.cli.run import carnet
from tests.shared import shared_file
from tests.web.lodge import find_port, serving

HELD = ("hero", "contested", "miles_import", "scrapped")
FREE = ("plate_change",)
PARTING = "rollback"
HISTOVEC_LINES = 40
POSTS = {"holder": HOLDER, "newcomer": HOLDER, "parting": HOLDER, "operator": OPERATOR}


@dataclass
class Street:
    """Where the service is, the passports (hexadecimal) by story, and the session of each person by name."""

    address: str
    passports: dict[str, str]
    desk: Desk
    office: Office
    sessions: dict[str, str]

    def path(self, story: str, section: str = "") -> str:
        """The path of a vehicle's page."""
        return f"/vehicles/pas_{self.passports[story]}{section}"

    def issue_code(self, story: str) -> str:
        """A code for paper, in the name of the member that opened the passport."""
        passport = bytes.fromhex(self.passports[story])
        with self.desk.reading() as reader:
            opener = next(iter(reader.read_entries(passport))).member
            operator = Principal(Standing.OPERATOR, account="acc_" + "0" * 32)
            return issue_code(self.office, reader, operator, passport, member=opener).code

    def get_vin(self, story: str) -> str:
        """What stands on the vehicle."""
        with self.desk.reading() as reader:
            return str(reader.get_subject(bytes.fromhex(self.passports[story]))["value"])


@dataclass
class _Served:
    app: object


@contextmanager
def open_street(folder: Path) -> Iterator[Street]:
    """Build the world, import the file, serve; a few seconds."""
    home = Home(folder / "home")
    built = build_world(home, seed=2026, vehicles=12, progress=lambda done, total: None)
    subjects = {vehicle.story: vehicle.subject for vehicle in built.fleet if vehicle.story in (*HELD, *FREE, PARTING)}
    subjects["histovec"] = _import_histovec(home, folder)
    office = open_office(home, NETWORK, is_demo=True)
    with open_writer_at(home, None, "tests of pages") as writer:
        enrol_speaker(writer)
        readers = Readers(lambda: open_reader(home.path))
        with readers.reading() as reader:
            found = {story: reader.find_subject(subject) for story, subject in subjects.items()}
            epochs = {story: reader.find_head(chain)[1] for story, chain in found.items()}
        held = {found[story]: epochs[story] for story in (*HELD, "histovec")}
        sessions = _let_in(office, {"holder": held, "parting": {found[PARTING]: epochs[PARTING]}})
        port = find_port()
        settings = Settings(origin=f"http://127.0.0.1:{port}")
        callers, shelf = OfficeCallers(office), make_shelf(office)
        desk = Desk(home, readers, writer, now_ms, os.urandom, settings, callers, is_demo=True, shelf=shelf)
        passports = {story: chain.hex() for story, chain in found.items()}
        try:
            with serving(_Served(make_app(desk)), port):  # type: ignore[arg-type]
                yield Street(settings.origin, passports, desk, office, sessions)
        finally:
            readers.close()
            office.people.close()


def _let_in(office: Office, held: dict[str, dict[bytes, int]]) -> dict[str, str]:
    """An account and a session for each person, and the passports that each holds."""
    sessions = {}
    with office.people.write() as connection:
        for name, post in POSTS.items():
            account = insert_account(connection, office, post, name.title(), os.urandom(32))
            sessions[name] = begin_session(connection, office, account, Visit("127.0.0.1", "a test"), "demo")
            for chain, epoch in held.get(name, {}).items():
                begin_holding(connection, office, chain, epoch, account.id, "demo")
    return sessions


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
