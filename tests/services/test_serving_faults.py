"""What goes wrong around a running service: it is stopped amid writes, its disk is full, its clients are slow."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from carnet.errors import Reason, Refused
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.reader import open_reader
from carnet.node.writer import open_writer
from carnet.node.writing import Writing
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import open_office
from carnet.services.founding import found, get_operator, open_writer_at
from carnet.services.principals import Principal, Scope, Standing
from carnet.types import Basis
from tests.node.home import make_node, new_passport, vin_subject
from tests.serving import PATIENCE_S, Served, serving_home, start

NAME = "test.example.org"
VEHICLES = 16


@dataclass(frozen=True)
class Town:
    """A node with vehicles, and the key of a garage that may append."""

    home: Path
    key: str

    @property
    def passports(self) -> list[bytes]:
        with open_reader(self.home) as reader:
            return [reader.get(str(vin_subject(number))) for number in range(VEHICLES)]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    home = Home(tmp_path / "home")
    found(home, name=NAME)
    with open_writer_at(home, None, "a test") as writer:
        garage = writer.enrol_member("A Garage", "garage")
        operator = get_operator(writer)
        writer.append(operator.id, Basis.REPORTED, [new_passport(number, 10) for number in range(VEHICLES)])
    office = open_office(home, NAME)
    client = add_client(office, Principal(Standing.OPERATOR), garage.id, "A program", frozenset({Scope.ENTRIES_APPEND}))
    key = issue_key(office, Principal(Standing.OPERATOR), client.public_id).secret
    office.people.close()
    return Town(home.path, key)


def make_entry(number: int, km: int) -> bytes:
    subject = vin_subject(number)
    document = {
        "fields": {"odometer_km": km, "odometer_state": "read"},
        "kind": "vehicle.odometer/1",
        "occurred": {"at": "2023-05-04", "precision": "day", "zone": None},
        "subject": {"scheme": subject.scheme, "value": subject.value},
    }
    return json.dumps(document).encode()


class Client:
    """Appends over one connection, one after the other, and notes what it was told."""

    def __init__(self, served: Served, town: Town, number: int) -> None:
        parts = urlsplit(served.address)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {town.key}", "Content-Type": "application/json"}
        self._number = number
        self.statements: list[str] = []
        self.other: list[int] = []
        self.ended = ""

    def run(self, is_over: threading.Event) -> None:
        try:
            self._run(is_over)
        finally:
            self._connection.close()

    def _run(self, is_over: threading.Event) -> None:
        km = 100
        while not is_over.is_set():
            km += 1
            try:
                self._connection.request("POST", "/v1/entries", make_entry(self._number, km), self._headers)
                answer = self._connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.ended = repr(error)
                return
            if answer.status != 201:
                self.other.append(answer.status)
                return
            self.statements.append(json.loads(body)["receipt"]["statement"])


def wait_for_some(clients: list[Client], is_over: threading.Event) -> None:
    """Until all of them are at work. If one is not, all are told to end, so that the test can."""
    until = time.monotonic() + PATIENCE_S
    while any(len(client.statements) < 2 for client in clients):
        told = [(len(client.statements), client.other, client.ended) for client in clients]
        if time.monotonic() > until or any(client.other or client.ended for client in clients):
            is_over.set()
            pytest.fail(f"not all of them are at work: {told}")
        time.sleep(0.05)


def list_statements(home: Path, passports: list[bytes]) -> list[str]:
    with open_reader(home) as reader:
        return [entry.sid.hex() for passport in passports for entry in reader.read_entries(passport)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop__amid_writes_lets_them_finish(town: Town, tmp_path: Path, number: int) -> None:
    is_over = threading.Event()
    with serving_home(town.home, tmp_path / "log") as served, ThreadPoolExecutor(VEHICLES) as pool:
        clients = [Client(served, town, at) for at in range(VEHICLES)]
        running = [pool.submit(client.run, is_over) for client in clients]
        wait_for_some(clients, is_over)
        assert served.stop(number) == 0
        is_over.set()
        for one in running:
            one.result(30)
    acknowledged = [sid for client in clients for sid in client.statements]
    assert len(acknowledged) > VEHICLES
    # Nobody was told of a failure: an answer came whole, or no request was taken any more.
    assert [status for client in clients for status in client.other] == []
    stored = list_statements(town.home, town.passports)
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    # What was taken was answered: at most one each was sealed whose answer found a closed line.
    assert len(stored) - 2 * VEHICLES - len(acknowledged) <= VEHICLES
    assert check_home(town.home) == []


def test_kill__amid_writes_keeps_what_was_acknowledged(town: Town, tmp_path: Path) -> None:
    acknowledged: list[str] = []
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for round_ in range(3):
        is_over = threading.Event()
        log, places = tmp_path / f"log{round_}", {"TMPDIR": str(temporary)}
        with serving_home(town.home, log, **places) as served, ThreadPoolExecutor(VEHICLES) as pool:
            clients = [Client(served, town, at) for at in range(VEHICLES)]
            running = [pool.submit(client.run, is_over) for client in clients]
            wait_for_some(clients, is_over)
            # In turn the writer, and a worker with all that it was about to answer.
            victim = served.process.pid if round_ % 2 == 0 else served.list_workers()[0]
            os.kill(victim, signal.SIGKILL)
            time.sleep(0.5)
            is_over.set()
            for one in running:
                one.result(30)
            acknowledged += [sid for client in clients for sid in client.statements]
    assert len(acknowledged) > 3 * VEHICLES
    assert set(acknowledged) <= set(list_statements(town.home, town.passports))
    assert check_home(town.home) == []
    # What the service had that was killed in one round went with the start of the next.
    assert len(list(temporary.glob("carnet-figures-*"))) == 1


def fill(writer: Writing, member: bytes) -> Reason | None:
    """Append until it is refused; why."""
    for number in range(2, 500):
        try:
            writer.append(member, Basis.REPORTED, [new_passport(number, *range(1, 200))])
        except Refused as refused:
            return refused.reason
    return None


def test_serve__with_a_full_disk_goes_on_reading(tmp_path: Path) -> None:
    home = make_node(tmp_path).path
    with serving_home(home, tmp_path / "log") as served:
        with served.reach() as remote:
            operator = get_operator(remote)
            kept = remote.append(operator.id, Basis.REPORTED, [new_passport(1, 1_000)])
            # From here on no file of the writer may grow.
            room = max(file.stat().st_size for file in home.iterdir() if file.is_file())
            resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (room, room))
            # A limit on each file is told as an error of the disk; a full disk, as a full one.
            assert fill(remote, operator.id) in (Reason.DISK_FULL, Reason.DISK_FAILED)
            with pytest.raises(Refused) as caught:
                remote.append(operator.id, Basis.REPORTED, [new_passport(1_000, 5)])
            assert caught.value.reason is Reason.NODE_DAMAGED
            assert remote.get_health().cause in (Reason.DISK_FULL.value, Reason.DISK_FAILED.value)
            assert remote.find_chain(vin_subject(1)) is not None
            assert remote.find_receipt(0, kept.receipts[0].chain16, kept.receipts[0].sid) is not None
        ready = served.ask("GET", "/readyz")
        assert (ready.status, ready.json["writer"]) == (503, Reason.NODE_DAMAGED.value)
        assert served.ask("GET", "/.well-known/carnet-policy").status == 200
        assert served.ask("GET", "/verify").status == 200
        served.stop()
    # With room again it begins where it was.
    with serving_home(home, tmp_path / "log2") as served, served.reach() as remote:
        assert len(remote.append(get_operator(remote).id, Basis.REPORTED, [new_passport(2_000, 5)]).receipts) == 2
        served.stop()
    assert check_home(home) == []


def test_serve__with_a_clock_behind_the_log_says_so(tmp_path: Path) -> None:
    """It reads, proves and verifies; that nothing can be sealed is seen before somebody tries."""
    home = make_node(tmp_path).path
    with serving_home(home, tmp_path / "log") as served:
        served.stop()
    ahead = time.time_ns() // 1_000_000 + 3_600_000
    with open_writer(home, clock=lambda: ahead, random_bytes=os.urandom) as writer:
        writer.append(get_operator(writer).id, Basis.REPORTED, [new_passport(1, 1_000)])
    served = start(home, tmp_path / "log2")
    try:
        ready = served.ask("GET", "/readyz")
        assert (ready.status, ready.json["writer"]) == (503, Reason.TIME_WENT_BACK.value)
        assert "If it is right, it was ahead" in ready.json["todo"]
        assert "docs/operating.md" in ready.json["todo"]
        with pytest.raises(Refused) as caught:
            served.reach()
        assert caught.value.reason is Reason.TIME_WENT_BACK
        assert "UTC" in caught.value.message
        assert served.ask("GET", "/verify").status == 200
    finally:
        assert served.stop() == 0


def test_serve__slow_clients_keep_nobody_waiting(town: Town, tmp_path: Path) -> None:
    with serving_home(town.home, tmp_path / "log") as served:
        parts = urlsplit(served.address)
        slow = [socket.create_connection((parts.hostname or "", parts.port or 0)) for _ in range(100)]
        try:
            for at, one in enumerate(slow):
                head = f"POST /v1/entries HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {town.key}\r\n"
                head += "Content-Type: application/json\r\nContent-Length: 400\r\n\r\n{"
                # Some do not even end their headers.
                one.sendall(head.encode() if at % 2 else head[:40].encode())
            started = time.monotonic()
            for km in range(10):
                sent = {"Authorization": f"Bearer {town.key}", "Content_Type": "application/json"}
                assert served.ask("POST", "/v1/entries", make_entry(3, 500 + km), **sent).status == 201
            assert time.monotonic() - started < 10
        finally:
            for one in slow:
                one.close()
        assert served.stop() == 0


def test_log__holds_no_key_no_vehicle_and_no_statement(town: Town, tmp_path: Path) -> None:
    """Security 25, with a key in force: what is in the log of a day's work is of no use to whoever steals it."""
    with serving_home(town.home, tmp_path / "log", "--log-level", "debug") as served:
        sent = {"Authorization": f"Bearer {town.key}", "Content_Type": "application/json"}
        answer = served.ask("POST", "/v1/entries", make_entry(3, 500), **sent)
        assert answer.status == 201
        passport = town.passports[3].hex()
        served.ask("GET", f"/v1/passports/pas_{passport}/entries", **sent)
        served.ask("POST", "/v1/entries", make_entry(3, -1), **sent)
        served.ask("POST", "/v1/entries", make_entry(3, 500)[:-1], **sent)
        served.ask("GET", "/v1/passports", Authorization=f"Bearer {town.key[:-1]}")
        served.ask("GET", "/", Cookie=f"carnet_session={town.key}")
        assert served.stop() == 0
    log = served.read_log()
    assert log.count('"event": "request"') >= 6
    secrets = (town.key, passport, vin_subject(3).value, answer.json["receipt"]["statement"], answer.json["entry"])
    assert [secret for secret in secrets if secret in log] == []
