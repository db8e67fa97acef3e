"""The service over HTTP, as `carnet serve` runs it, beside a bare Litestar handler that returns the same bytes: a
timeline of 200 entries for many readers, while nothing and while an import runs; and one entry a request, acknowledged
durable.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import IS_QUICK, ROUNDS, Figure, make_figure, middle, open_folder
from bench.inspections import make_grouped
from bench.load import Load, make_request, run_load
from carnet.node.home import Home
from carnet.node.jobs import Group, Item
from carnet.node.writer import Writer
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import Visit, open_office
from carnet.services.accounts.registry import HOLDER, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.founding import found, open_writer_at
from carnet.services.holdings import begin_holding
from carnet.services.principals import Principal, Scope, Standing
from carnet.types import Basis, Subject
from carnet.web.turns import NEAR_S
from tests.serving import Served, start

NAME = "test.bench.example"
VEHICLES = 200
ENTRIES = 200
READERS, WRITERS = 50, 64
READS = 1_500 if IS_QUICK else 10_000
WRITES = 2_000 if IS_QUICK else 10_000


@dataclass(frozen=True)
class Town:
    """What is asked for: a vehicle with many entries, many vehicles, and the key of their garage."""

    home: Home
    passport: str
    subjects: list[Subject]
    key: str
    session: str


def measure() -> list[Figure]:
    """Rates and 99th percentiles, each with its peer in the same round."""
    with open_folder("http") as folder:
        town = make_town(folder)
        found: dict[str, list[Load]] = {}
        spent: dict[str, list[float]] = {}
        for round_ in range(1 if IS_QUICK else ROUNDS):
            with serving(town.home, folder / f"log{round_}") as served, serving_bare(served, town, folder) as bare:
                add = found.setdefault
                add("bare read", []).append(_read(bare, "/bare/timeline", {}))
                with taking_cpu(served, "read", READS, spent):
                    add("read", []).append(_read(served.address, _timeline(town), _cookie(town)))
                add("bare page", []).append(_read(bare, "/bare/page", {}))
                with taking_cpu(served, "page", READS, spent):
                    add("page", []).append(_read(served.address, _page(town), _cookie(town)))
                with importing(town, folder):
                    add("read beside an import", []).append(_read(served.address, _timeline(town), _cookie(town)))
                    add("page beside an import", []).append(_read(served.address, _page(town), _cookie(town)))
                add("bare write", []).append(_write(bare, "/bare/receipt", town))
                # Beside the readers of a moment ago it would go one at a time: what that costs, `tenants` tells.
                time.sleep(NEAR_S + 1.0)
                with taking_cpu(served, "write", WRITES, spent):
                    add("write", []).append(_write(served.address, "/v1/entries", town))
                with serving_idle(town, folder) as idle:
                    add("idle write", []).append(_write(idle, "/v1/idle", town))
    figures = _tell({name: _take_middle(loads) for name, loads in found.items()})
    # On a busy machine these say more than the rates.
    return figures + [make_figure(name, middle(values), "µs") for name, values in spent.items()]


@contextmanager
def taking_cpu(served: Served, name: str, count: int, spent: dict[str, list[float]]) -> Iterator[None]:
    """Keep what each of so many requests cost the workers and the writer, as the kernel counts it."""
    workers, writer = served.list_workers(), [served.process.pid]
    before = read_cpu_s(workers), read_cpu_s(writer)
    yield
    after = read_cpu_s(workers), read_cpu_s(writer)
    for who, begin, end in zip(("workers", "writer"), before, after, strict=True):
        spent.setdefault(f"{name}: processor time of the {who} for one", []).append((end - begin) / count * 1e6)


def read_cpu_s(pids: list[int]) -> float:
    """Seconds of processor time that these processes have had."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _tell(found: dict[str, Load]) -> list[Figure]:
    read, busy, bare_read = found["read"], found["read beside an import"], found["bare read"]
    page, busy_page, bare_page = found["page"], found["page beside an import"], found["bare page"]
    write, bare_write, idle_write = found["write"], found["bare write"], found["idle write"]
    return [
        make_figure(
            f"timeline of {ENTRIES} entries over HTTP, {READERS} readers",
            read.per_second,
            "per s",
            peer=("bare handler, same bytes", bare_read.per_second),
        ),
        make_figure("the same, 99th percentile", read.p99_ms, "ms", peer=("bare", bare_read.p99_ms), at_most=50),
        make_figure("the same beside an import, 99th percentile", busy.p99_ms, "ms", at_most=100),
        make_figure(
            f"vehicle page of {ENTRIES} entries over HTTP, {READERS} readers",
            page.per_second,
            "per s",
            peer=("bare handler, same bytes", bare_page.per_second),
        ),
        make_figure("the same page, 99th percentile", page.p99_ms, "ms", peer=("bare", bare_page.p99_ms), at_most=50),
        make_figure("the same page beside an import, 99th percentile", busy_page.p99_ms, "ms", at_most=100),
        make_figure(
            f"one entry over HTTP acknowledged durable, {WRITERS} in flight",
            write.per_second,
            "per s",
            peer=("no-op POST, same bytes", bare_write.per_second),
            at_least=2_000,
            at_least_ratio=0.3,
        ),
        make_figure("the same, 99th percentile", write.p99_ms, "ms", peer=("no-op", bare_write.p99_ms), at_most=50),
        # The must may be read in two ways; this is the other one.
        make_figure(
            "the same beside a route of our own that does nothing",
            write.per_second,
            "per s",
            peer=("the same guard, body, quota and headers", idle_write.per_second),
            at_least_ratio=0.3,
        ),
    ]


def _take_middle(loads: list[Load]) -> Load:
    statuses = {status for load in loads for status in load.statuses}
    if not statuses <= {200, 201}:
        raise RuntimeError(f"the bench's own requests were refused: {[load.statuses for load in loads]}")
    return Load(middle([load.per_second for load in loads]), middle([load.p99_ms for load in loads]), {})


def _read(origin: str, path: str, headers: dict[str, str]) -> Load:
    return run_load(origin, [make_request(origin, "GET", path, **headers)] * READS, READERS)


def _write(origin: str, path: str, town: Town) -> Load:
    requests = [
        make_request(origin, "POST", path, _make_entry(town, at), Content_Type="application/json", **_head(town))
        for at in range(WRITES)
    ]
    return run_load(origin, requests, WRITERS)


def _make_entry(town: Town, at: int) -> bytes:
    subject = town.subjects[at % len(town.subjects)]
    document = {
        "fields": {"odometer_km": 10_000 + at, "odometer_state": "read"},
        "kind": "vehicle.odometer/1",
        "occurred": {"at": "2026-03-02", "precision": "day", "zone": None},
        "subject": {"scheme": subject.scheme, "value": subject.value},
    }
    return json.dumps(document).encode()


def _head(town: Town) -> dict[str, str]:
    return {"Authorization": f"Bearer {town.key}"}


def _cookie(town: Town) -> dict[str, str]:
    return {"Cookie": f"carnet_session={town.session}", "Accept": "text/html"}


def _page(town: Town) -> str:
    return f"/vehicles/pas_{town.passport}/history"


def _timeline(town: Town) -> str:
    return f"/v1/passports/pas_{town.passport}/entries?limit=100"


def make_town(folder: Path) -> Town:
    """A node with a garage that keeps a machine's key, vehicles, and one of them with a long life."""
    home = Home(folder / "home")
    found(home, name=NAME)
    with open_writer_at(home, None, "bench") as writer:
        garage = writer.enrol_member("Garage of the bench", "garage")
        subjects = [Subject("histovec", f"HV{at:040x}") for at in range(VEHICLES)]
        opener = writer.enrol_member("Register of the bench", "registration_authority").id
        chains = {subject: open_passport(writer, opener, subject) for subject in subjects}
        chain = writer.get_chain_by_id(chains[subjects[0]])
        items = [_make_item(subjects[0], at) for at in range(ENTRIES - 1)]
        writer.append(garage.id, Basis.HOSTED, [Group(items, chain)])
        writer.take_census()
    office = open_office(home, NAME)
    operator = Principal(Standing.OPERATOR)
    scopes = frozenset({Scope.PASSPORTS_READ, Scope.ENTRIES_APPEND})
    client = add_client(office, operator, garage.id, "bench", scopes)
    key = issue_key(office, operator, client.public_id).secret
    with office.people.write() as connection:
        holder = insert_account(connection, office, HOLDER, "Holder", office.random_bytes(32))
        begin_holding(connection, office, chain.chain16, 0, holder.id, "bench")
        session = begin_session(connection, office, holder, Visit("127.0.0.1"), "passkey")
    office.people.close()
    return Town(home, chain.chain16.hex(), subjects, key, session)


def open_passport(writer: Writer, member: bytes, subject: Subject) -> bytes:
    """The passport of a vehicle, opened by a register; its id."""
    day = {"at": "2015-01-01", "precision": "day", "zone": None}
    fields = {"kind": "passport.opened/1", "occasion": "first_registration", "occurred": day}
    opening = Item("passport.opened/1", {**fields, "subject": subject.to_json()})
    return writer.append(member, Basis.HOSTED, [Group([opening])]).receipts[0].chain16


def _make_item(subject: Subject, at: int) -> Item:
    fields = {
        "kind": "vehicle.odometer/1",
        "occurred": {"at": f"{2016 + at // 30}-{1 + at % 12:02d}-{1 + at % 28:02d}", "precision": "day", "zone": None},
        "odometer_km": 1_000 * at,
        "odometer_state": "read",
        "subject": subject.to_json(),
    }
    return Item("vehicle.odometer/1", fields)


@contextmanager
def serving(home: Home, log: Path) -> Iterator[Served]:
    """`carnet serve`, as a person would start it."""
    served = start(home.path, log, "--log-level", "warning", "--census-every", "1h")
    try:
        served.wait_until_ready()
        yield served
    finally:
        served.stop()


@contextmanager
def serving_bare(served: Served, town: Town, folder: Path) -> Iterator[str]:
    """The peer, with the very bytes that the service answers."""
    files = folder / "bare"
    files.mkdir(exist_ok=True)
    page = served.ask("GET", _page(town), **_cookie(town))
    if page.status != 200:
        raise RuntimeError(f"the bench's own page was refused: {page.status}")
    (files / "page").write_bytes(page.body)
    (files / "timeline").write_bytes(served.ask("GET", _timeline(town), **_cookie(town)).body)
    one = served.ask("POST", "/v1/entries", _make_entry(town, 0), Content_Type="application/json", **_head(town))
    if one.status != 201:
        raise RuntimeError(f"the bench's own entry was refused: {one.body.decode()}")
    (files / "receipt").write_bytes(one.body)
    process = subprocess.Popen([sys.executable, "-m", "bench.bare", str(files)], stdout=subprocess.PIPE)
    try:
        if process.stdout is None:
            raise RuntimeError("the peer says nothing")
        origin = f"http://127.0.0.1:{int(process.stdout.readline())}"
        time.sleep(1)
        yield origin
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serving_idle(town: Town, folder: Path) -> Iterator[str]:
    """The other peer, over the same home, with the same bytes."""
    command = [sys.executable, "-m", "bench.idle_route", str(town.home.path), str(folder / "bare" / "receipt")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        if process.stdout is None:
            raise RuntimeError("the peer says nothing")
        yield f"http://localhost:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def importing(town: Town, folder: Path) -> Iterator[None]:
    """A `carnet import` through the running node, over and over until the block ends."""
    is_over = threading.Event()
    made = iter(range(1, 1_000_000))

    def work() -> None:
        while not is_over.is_set():
            file = folder / "more.jsonl"
            offset = next(made) * 10_000
            lines = (line.replace(b'"HV', b'"HV%08x' % offset) for line in make_grouped(3_000))
            file.write_bytes(b"".join(lines))
            environment = {**os.environ, "CARNET_HOME": str(town.home.path)}
            command = [sys.executable, "-m", "carnet", "import", "histovec", str(file), "--json"]
            subprocess.run(command, env=environment, capture_output=True, check=False)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(1)
    try:
        yield
    finally:
        is_over.set()
        thread.join()
