"""A clerk's file over HTTP, as `carnet serve` runs it: from its first byte to its preview, and from the word that seals
it to the last receipt; and what a page takes meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import IS_QUICK, ROUNDS, Figure, make_figure, middle, open_folder
from bench.http import NAME
from carnet.node.home import Home
from carnet.node.jobs import Group, Item
from carnet.sdk import Client
from carnet.sdk.shapes import File
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import open_office
from carnet.services.founding import found, open_writer_at
from carnet.services.principals import Principal, Scope, Standing
from carnet.types import Basis, Subject
from tests.serving import Served, start

ROWS = 10_000
MANY_ROWS = 20_000 if IS_QUICK else 100_000
VEHICLES = 2_000
TICK_S = 0.01
PATIENCE_S = 120.0


def measure() -> list[Figure]:
    """Seconds to the preview of 10,000 rows, entries a second of certifying, and the slowest page beside it."""
    previews: list[float] = []
    rates: list[float] = []
    pages: list[float] = []
    with open_folder("desk") as folder:
        home, key = make_garage(folder)
        served = start(home.path, folder / "log", "--log-level", "warning", "--census-every", "1h")
        try:
            served.wait_until_ready()
            with Client(served.address, key) as client:
                # The first file of a service pays for what all share.
                look(client, folder, 0, 200)
                for round_ in range(1, 1 + ROUNDS):
                    previews.append(look(client, folder, round_, ROWS)[1])
                    file, _ = look(client, folder, 100 + round_, MANY_ROWS)
                    with asking(served) as taken:
                        rates.append(MANY_ROWS / certify(client, file))
                    pages.append(sorted(taken)[int(len(taken) * 0.99)])
        finally:
            served.stop()
    return [
        make_figure(f"a dropped file of {ROWS:,} rows, to its preview", middle(previews), "s", at_most=2),
        make_figure(f"certifying {MANY_ROWS:,} rows of it, all of it", middle(rates), "entries/s", at_least=20_000),
        make_figure("a page beside that, one reader, 99th percentile", 1000 * middle(pages), "ms", at_most=100),
    ]


def make_garage(folder: Path) -> tuple[Home, str]:
    """A node with vehicles, and the key of a garage that may send files."""
    home = Home(folder / "home")
    found(home, name=NAME)
    with open_writer_at(home, None, "bench") as writer:
        garage = writer.enrol_member("Garage of the bench", "garage")
        opener = writer.enrol_member("Register of the bench", "registration_authority").id
        day = {"at": "2015-01-01", "precision": "day", "zone": None}
        opening = {"kind": "passport.opened/1", "occasion": "first_registration", "occurred": day}
        subjects = [Subject("vin", make_vin(at)) for at in range(VEHICLES)]
        groups = [Group([Item("passport.opened/1", {**opening, "subject": subject.to_json()})]) for subject in subjects]
        writer.append(opener, Basis.HOSTED, groups)
        writer.take_census()
    office = open_office(home, NAME)
    client = add_client(office, Principal(Standing.OPERATOR), garage.id, "bench", frozenset({Scope.FILES}))
    key = issue_key(office, Principal(Standing.OPERATOR), client.public_id).secret
    office.people.close()
    return home, key


def make_vin(number: int) -> str:
    """A possible VIN."""
    return f"VFZZZZ00XJ{number:07d}"


def look(client: Client, folder: Path, round_: int, rows: int) -> tuple[File, float]:
    """Send a file of a workshop, and wait until it was read; the job, and the seconds from its first byte."""
    path = folder / f"travaux-{round_}.csv"
    days = [f"{1 + at % 28:02d}/{1 + at % 12:02d}/2023" for at in range(336)]
    lines = [
        f"{make_vin(at % VEHICLES)};{days[at % len(days)]};{10_000 + round_ + at};Vidange {round_}-{at}"
        for at in range(rows)
    ]
    path.write_text("\n".join(["Châssis;Date;Kilométrage;Travaux", *lines, ""]), encoding="cp1252")
    started = time.perf_counter()
    file = client.files.send(path, "guess", review=True)
    file = wait(client, file)
    seconds = time.perf_counter() - started
    if file.state != "waiting" or file.counts.ready != rows:
        raise RuntimeError(f"the bench's own file was not read: {file}")
    return file, seconds


def certify(client: Client, file: File) -> float:
    """Seal what is ready; the seconds that it took."""
    started = time.perf_counter()
    ended = wait(client, client.files.certify(file.id))
    seconds = time.perf_counter() - started
    if ended.state != "done" or ended.counts.sealed != file.counts.ready:
        raise RuntimeError(f"the bench's own rows were not sealed: {ended}")
    return seconds


def wait(client: Client, file: File) -> File:
    """The file when it waits for a word, or has ended."""
    until = time.monotonic() + PATIENCE_S
    while file.state in ("uploading", "queued", "running"):
        if time.monotonic() > until:
            raise RuntimeError(f"the bench's own file is still at work: {file}")
        time.sleep(TICK_S)
        file = client.files.get(file.id)
    return file


@contextmanager
def asking(served: Served) -> Iterator[list[float]]:
    """Ask for the front page, one request after the other, until the block ends; the seconds that each took."""
    taken: list[float] = []
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            started = time.perf_counter()
            served.ask("GET", "/", Accept="text/html")
            taken.append(time.perf_counter() - started)
            time.sleep(TICK_S)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield taken
    finally:
        is_over.set()
        thread.join()
