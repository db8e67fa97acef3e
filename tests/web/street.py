"""The service on a real port of this machine, over the demo's fleet and real French inspections: for a browser to
visit.

One server is shared by all tests of pages. A holder holds the hero, the stories below, and one vehicle of the
HistoVec file; whoever brings the cookie of a name below is that person. It refuses to know what pages show.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from carnet.formats.fleet.cast import GARAGES
from carnet.node.door import Door
from carnet.node.door.remote import without_signing_keys
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.people import get_people_address
from carnet.node.reader import Reader, open_reader
from carnet.node.readers import Readers
from carnet.node.writer import Writer
from carnet.services.accounts.office import OPERATOR_HERE, Office, Visit, open_office
from carnet.services.accounts.registry import HOLDER, OPERATOR, Post, get_account_by_id, insert_account
from carnet.services.accounts.sessions import begin_session, confirm_session, find_principal
from carnet.services.appending import enrol_speaker
from carnet.services.claims import issue_code
from carnet.services.demo_files import SampleFiles, write_sample_files
from carnet.services.demonstration import NETWORK, build_world
from carnet.services.filing.acting import wait_a_moment
from carnet.services.filing.desk import announce, certify_file
from carnet.services.filing.records import Files, Wish
from carnet.services.filing.watching import Watcher
from carnet.services.founding import now_ms, open_writer_at
from carnet.services.guarding import set_up_guard
from carnet.services.holdings import begin_holding
from carnet.services.moving import move
from carnet.services.principals import Principal, Role, Standing
from carnet.services.settings import Settings
from carnet.types import Subject
from carnet.vault.asker import asking_as_node
from carnet.vault.people.store import open_people_store
from carnet.web.app import make_app
from carnet.web.desk import Desk
from carnet.web.people import OfficeCallers, make_shelf
from tests.cli.run import carnet
from tests.node.home import Elsewhere
from tests.shared import shared_file
from tests.web.lodge import find_port, serving

HELD = ("hero", "contested", "miles_import", "scrapped")
FREE = ("plate_change",)
PARTING = "rollback"
HISTOVEC_LINES = 40
POSTS = {"holder": HOLDER, "newcomer": HOLDER, "parting": HOLDER, "operator": OPERATOR}
TICK_S = 0.02
PATIENCE_S = 60.0


@dataclass
class Street:
    """Where the service is, the passports (hexadecimal) by story, and the session of each person by name."""

    address: str
    passports: dict[str, str]
    desk: Desk
    office: Office
    sessions: dict[str, str]
    samples: SampleFiles
    files: list[str] = field(default_factory=list)

    def path(self, story: str, section: str = "") -> str:
        """The path of a vehicle's page."""
        return f"/vehicles/pas_{self.passports[story]}{section}"

    def confirm(self, name: str) -> None:
        """That it is them, as each would confirm on coming back: the street stands for longer than a confirmation does
        (`web.policy.FRESH_MS`), and a page that asks for it first would make a test depend on those before it."""
        principal = find_principal(self.office, self.sessions[name])
        assert principal is not None, f"{name} is signed in no more"
        assert principal.account is not None, f"{name} has no account"
        account = get_account_by_id(self.office, principal.account)
        with self.office.people.write() as connection:
            self.sessions[name] = confirm_session(connection, self.office, account, self.sessions[name])

    def list_files(self) -> list[str]:
        """The pages of files in each state: one that waits for its cells, one that is sealed, one that cannot be read,
        one that is half sent."""
        if not self.files:
            other_day = self.samples.other_day.read_bytes()
            self.files += [
                self.send("travaux_2026-11-19.csv", other_day, certified=False),
                self.send("travaux_2026-11-18.csv", other_day, certified=True),
                self.send("facture.pdf", b"%PDF-1.7 an invoice", certified=False),
                self.send("travaux_2026-11-17.csv", other_day, certified=False, parts=1),
            ]
        return self.files

    def send(self, name: str, data: bytes, *, certified: bool = False, parts: int = 0) -> str:
        """A file of the clerk's garage, read; its page."""
        with asking_as_node(), self.desk.reading() as reader:
            garage = next(member for member in reader.state.members.all if member.name == GARAGES[0].name)
        files: Files = self.desk.shelf["files"]
        clerk = Principal(Standing.STAFF, account="acc_" + "1" * 32, member=garage.id, role=Role.CLERK)
        size = len(data) + parts
        job = announce(files, self.office, garage.id, clerk, Wish(name=name, format="guess", size=size, review=True))
        job = wait_a_moment(files, files.add_part(garage.id, job.id, 0, data), PATIENCE_S)
        if certified:
            job = wait_a_moment(files, certify_file(files, self.office, garage, clerk, job.id), PATIENCE_S)
        return f"/console/files/{job.id}"

    def issue_code(self, story: str) -> str:
        """A code for paper, in the name of the member that opened the passport."""
        passport = bytes.fromhex(self.passports[story])
        with asking_as_node(), self.desk.reading() as reader:
            opener = next(iter(reader.read_entries(passport))).member
            return issue_code(self.office, reader, OPERATOR_HERE, passport, member=opener).code

    def get_vin(self, story: str) -> str:
        """What stands on the vehicle."""
        with asking_as_node(), self.desk.reading() as reader:
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
    if Elsewhere.make_url is not None:
        move(home, Elsewhere.make_url(), None, "tests of pages")
    guard = set_up_guard(home)
    office = open_office(home, NETWORK, is_demo=True)
    with open_writer_at(home, None, "tests of pages") as writer:
        enrol_speaker(writer)
        ring, is_guarded = load_key_ring(home.keys, None), guard is not None
        readers = Readers(lambda: Reader(home, ring, is_guarded=is_guarded))
        with asking_as_node(), readers.reading() as reader:
            found = {story: reader.find_subject(subject) for story, subject in subjects.items()}
            epochs = {story: reader.find_head(chain)[1] for story, chain in found.items()}
        held = {found[story]: epochs[story] for story in (*HELD, "histovec")}
        garage = next(member.id for member in built.members if member.name == GARAGES[0].name)
        staff = {"clerk": Role.CLERK, "admin": Role.ADMIN}
        posts = POSTS | {name: Post(Standing.STAFF, garage, role) for name, role in staff.items()}
        sessions = _let_in(office, posts, {"holder": held, "parting": {found[PARTING]: epochs[PARTING]}})
        samples = write_sample_files(folder / "samples", built.fleet, now_ms())
        port = find_port()
        settings = Settings(origin=f"http://127.0.0.1:{port}")
        # What the tests do themselves they do as the node; the service asks as a worker does.
        inside = replace(office, people=open_people_store(get_people_address(home), is_guarded=is_guarded))
        callers, shelf = OfficeCallers(inside), make_shelf(inside)
        desk = Desk(home, readers, writer, now_ms, os.urandom, settings, callers, is_demo=True, shelf=shelf)
        passports = {story: chain.hex() for story, chain in found.items()}
        try:
            with taking_files(home, writer, desk), serving(_Served(make_app(desk)), port):  # type: ignore[arg-type]
                yield Street(settings.origin, passports, desk, office, sessions, samples)
        finally:
            readers.close()
            inside.people.close()
            office.people.close()


@contextmanager
def taking_files(home: Home, writer: Writer, desk: Desk) -> Iterator[None]:
    """Take in what is dropped, in processes of its own that write through the door, as `carnet serve` does."""
    files = desk.shelf["files"] = Files(home, now_ms, os.urandom)
    door, is_over = Door(home, writer), threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            door.serve_once(TICK_S)
        door.close()

    thread = threading.Thread(target=serve)
    thread.start()
    watcher = Watcher(home.path, without_signing_keys(writer.ring), files).start()
    try:
        yield
    finally:
        watcher.close()
        is_over.set()
        thread.join(20)


def _let_in(office: Office, posts: dict[str, Post], held: dict[str, dict[bytes, int]]) -> dict[str, str]:
    """An account and a session for each person, and the passports that each holds."""
    sessions = {}
    with office.people.write() as connection:
        for name, post in posts.items():
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
