"""Two members on one node: one floods it with a large file and 64 appends in flight, the other looks and appends now
and then. How much slower is that for the other, and what does a quota change?

The flood comes from a process of its own, so that its sender costs the other's clock nothing. Run as a program, this
module is that process.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.figures import IS_QUICK, Figure, make_figure, open_folder
from bench.http import ENTRIES, Town, make_town, serving
from bench.inspections import make_grouped
from bench.load import make_request, run_load
from carnet.node.home import Home
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import open_office
from carnet.services.founding import open_writer_at
from carnet.services.principals import Principal, Scope, Standing
from carnet.services.quotas import set_quota
from tests.serving import Served

FILE_VEHICLES = 1_700 if IS_QUICK else 16_700
"""Of six rows each: a file of ten, or of a hundred thousand rows."""

IN_FLIGHT = 64
TURNS = 150 if IS_QUICK else 600
PAUSE_S = 0.01
QUOTA = 200 if IS_QUICK else 1_000
"""Requests in a minute that an operator gives the one that floods, in the last part."""


@dataclass(frozen=True)
class Times:
    """The 95th percentiles of the other member's looks and appends, in ms."""

    read_ms: float
    append_ms: float


def measure() -> list[Figure]:
    """The other member's times: alone, beside the flood, and beside the flood under a quota; then what it was told."""
    with open_folder("tenants") as folder:
        town = make_town(folder)
        flooder, key = add_flooder(town.home)
        with serving(town.home, folder / "log") as served:
            days = iter(range(1, 29))
            run_turns(served, town, next(days))
            alone = run_turns(served, town, next(days))
            with flooding(served, key, folder, 1) as told:
                beside = run_turns(served, town, next(days))
            limit_flooder(town.home, flooder)
            # A worker goes by what it has read for so long.
            time.sleep(6)
            with flooding(served, key, folder, 2) as told_more:
                under = run_turns(served, town, next(days))
    refused = told_more["statuses"].get("429", 0)
    if told["statuses"].get("201", 0) == 0 or refused == 0 or told_more["retry_after"] is None:
        raise RuntimeError(f"this was no flood, or it was not told to wait: {told}, {told_more}")
    figures = []
    for name, at, far, less in (
        (f"timeline of {ENTRIES} entries", alone.read_ms, beside.read_ms, under.read_ms),
        ("one entry", alone.append_ms, beside.append_ms, under.append_ms),
    ):
        figures += [
            make_figure(
                f"{name}, another member floods, 95th percentile", far, "ms", peer=("alone", at), at_most=2 * at
            ),
            make_figure("the same, the flood under a quota", less, "ms", peer=("alone", at), at_most=2 * at),
        ]
    answered = sum(told["statuses"].values()) / told["seconds"]
    return [*figures, make_figure("requests of the flood that were answered, without a quota", answered, "per s")]


def run_turns(served: Served, town: Town, day: int) -> Times:
    """Look, append, wait a moment, on one connection, so many times."""
    parts = urlsplit(served.address)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    head = {"Authorization": f"Bearer {town.key}"}
    reads, appends = list[float](), list[float]()
    for at in range(TURNS):
        ask = ("GET", f"/v1/passports/pas_{town.passport}/entries?limit=100", None)
        reads.append(_take(line, *ask, head))
        body = make_entry(town.subjects[at % len(town.subjects)].to_json(), day, at)
        appends.append(_take(line, "POST", "/v1/entries", body, {**head, "Content-Type": "application/json"}))
        time.sleep(PAUSE_S)
    line.close()
    return Times(compute_p95(reads), compute_p95(appends))


def _take(line: http.client.HTTPConnection, method: str, path: str, body: bytes | None, head: dict[str, str]) -> float:
    started = time.perf_counter()
    line.request(method, path, body, head)
    answer = line.getresponse()
    answer.read()
    if answer.status not in (200, 201):
        raise RuntimeError(f"the bench's own request was refused: {answer.status}")
    return (time.perf_counter() - started) * 1000


def compute_p95(times: list[float]) -> float:
    """The 95th percentile."""
    return sorted(times)[int(len(times) * 0.95)]


def make_entry(subject: Any, day: int, at: int) -> bytes:
    """An odometer reading."""
    occurred = {"at": f"2026-04-{day:02d}", "precision": "day", "zone": None}
    fields = {"odometer_km": 10_000 + at, "odometer_state": "read"}
    return json.dumps(
        {"fields": fields, "kind": "vehicle.odometer/1", "occurred": occurred, "subject": subject}
    ).encode()


def add_flooder(home: Home) -> tuple[bytes, str]:
    """A second member, and the key of its program."""
    with open_writer_at(home, None, "bench") as writer:
        member = writer.enrol_member("Flood of the bench", "data_service").id
        name = writer.state.genesis.name
    office = open_office(home, name)
    operator = Principal(Standing.OPERATOR)
    scopes = frozenset({Scope.PASSPORTS_READ, Scope.ENTRIES_APPEND, Scope.FILES})
    client = add_client(office, operator, member, "flood", scopes)
    key = issue_key(office, operator, client.public_id).secret
    office.people.close()
    return member, key


def limit_flooder(home: Home, member: bytes) -> None:
    """What an operator does about it."""
    office = open_office(home, "test.bench.example")
    set_quota(office, Principal(Standing.OPERATOR), member, QUOTA)
    office.people.close()


@contextmanager
def flooding(served: Served, key: str, folder: Path, round_: int) -> Iterator[dict[str, Any]]:
    """The flood, from before the block until its end; what it was answered stands in the mapping afterwards."""
    told: dict[str, Any] = {}
    order = {"address": served.address, "key": key, "round": round_}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.tenants"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the flood cannot be spoken to")
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != "flooding":
            raise RuntimeError("the flood did not begin")
        time.sleep(1)
        yield told
        process.stdin.close()
        told |= json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Flood until standard input ends: a file, sent again as another when it is sealed, and 64 appends in flight."""
    order = json.loads(sys.stdin.readline())
    address, head = order["address"], {"Authorization": f"Bearer {order['key']}"}
    statuses: dict[str, int] = {}
    send_file(address, head, order["round"])
    sys.stdout.write("flooding\n")
    sys.stdout.flush()
    started, at, retry_after = time.perf_counter(), 0, None
    while not _is_over():
        requests = [
            make_request(
                address, "POST", "/v1/entries",
                make_entry({"scheme": "histovec", "value": f"HV{(at + one) % 200:040x}"}, order["round"], at + one),
                Content_Type="application/json", **head,
            )
            for one in range(4 * IN_FLIGHT)
        ]  # fmt: skip
        at += len(requests)
        for status, count in run_load(address, requests, IN_FLIGHT).statuses.items():
            statuses[str(status)] = statuses.get(str(status), 0) + count
        if "429" in statuses and retry_after is None:
            retry_after = _ask(address, "GET", "/v1/passports", None, head)[1].get("Retry-After")
    seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"retry_after": retry_after, "seconds": seconds, "statuses": statuses}) + "\n")
    return 0


def _is_over() -> bool:
    import select

    return bool(select.select([sys.stdin], [], [], 0)[0])


def send_file(address: str, head: dict[str, str], round_: int) -> None:
    """Announce a file and send all of its bytes; it is sealed while the appends go on."""
    data = b"".join(line.replace(b'"HV', b'"HV%02d' % round_) for line in make_grouped(FILE_VEHICLES))
    wish = json.dumps({"name": f"flood-{round_}.jsonl", "format": "histovec", "size": len(data)}).encode()
    status, _, body = _ask(address, "POST", "/v1/files", wish, {**head, "Content-Type": "application/json"})
    if status != 201:
        raise RuntimeError(f"the flood's file was refused: {body.decode()}")
    job = json.loads(body)["id"]
    for begin in range(0, len(data), 8 * 1024 * 1024):
        more = {**head, "Upload-Offset": str(begin), "Content-Type": "application/offset+octet-stream"}
        part = data[begin : begin + 8 * 1024 * 1024]
        status, _, body = _ask(address, "PATCH", f"/v1/files/{job}/content", part, more)
        if status != 200:
            raise RuntimeError(f"a part of the flood's file was refused: {body.decode()}")


def _ask(address: str, method: str, path: str, body: bytes | None, head: dict[str, str]) -> tuple[int, Any, bytes]:
    parts = urlsplit(address)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        line.request(method, path, body, head)
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        line.close()


if __name__ == "__main__":
    sys.exit(main())
