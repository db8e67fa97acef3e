"""`carnet serve` as real processes: who writes, who ends with whom, and what survives which death."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest

from carnet.errors import Reason, Refused
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.lock import find_holder
from carnet.node.reader import open_reader
from carnet.services.founding import get_operator
from carnet.types import Basis
from tests.cli.run import carnet, make_env, make_inspection, make_line
from tests.node.home import make_node, new_passport, vin_subject
from tests.postgres import Cluster
from tests.serving import Served, is_running, serving_home, start, wait_for

CANARY = "WVWZZZ1JZXW424242"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_node(tmp_path).path


def append(served: Served, number: int) -> bytes:
    """Seal one passport through the door; its id."""
    with served.reach() as remote:
        operator = get_operator(remote)
        return remote.append(operator.id, Basis.REPORTED, [new_passport(number, 1_000)]).receipts[0].chain16


def test_serve__answers_and_stops_when_asked(home: Path, tmp_path: Path) -> None:
    with serving_home(home, tmp_path / "log") as served:
        assert served.ask("GET", "/healthz").json == {"status": "ok"}
        assert served.ask("GET", "/readyz").json == {"status": "ok", "store": "ok", "writer": "ok"}
        holder = find_holder(Home(home).lock)
        assert holder is not None
        assert (holder.pid, holder.command) == (served.process.pid, "carnet serve")
        workers = served.list_workers()
        assert workers
        assert served.stop() == 0
        assert not any(is_running(pid) for pid in workers)
    assert find_holder(Home(home).lock) is None
    assert not (home / "node.sock").exists()
    assert "Stopped. What was sealed is on the disk." in served.read_log()
    assert check_home(home) == []


def test_serve__over_a_database_is_the_same(tmp_path: Path, postgres: Cluster) -> None:
    home = make_node(tmp_path, store_url=postgres.make_url()).path
    with serving_home(home, tmp_path / "log") as served:
        chain = append(served, 1)
        with open_reader(home) as reader:
            assert reader.find_subject(vin_subject(1)) == chain
        assert served.ask("GET", "/readyz").json == {"status": "ok", "store": "ok", "writer": "ok"}
        assert served.ask("GET", "/v1/kinds").status == 200
        assert carnet("census", "--json", home=home).json["taken"]
        assert served.stop() == 0
    assert check_home(home) == []


def test_serve__over_a_database_asks_as_the_readers_role(tmp_path: Path, postgres: Cluster) -> None:
    """What is taken from that role, the workers cannot read; the writer goes on."""
    url = postgres.make_url()
    schema = url.rpartition("%3D")[2]
    home = make_node(tmp_path, store_url=url).path
    with serving_home(home, tmp_path / "log") as served, psycopg.connect(url, autocommit=True) as owner:
        assert served.ask("GET", "/v1/kinds").status == 200
        assert "does not keep" not in served.read_log()
        owner.execute(f"REVOKE USAGE ON SCHEMA {schema} FROM carnet_reader".encode())
        assert served.ask("GET", "/v1/kinds").status == 500
        append(served, 1)
        owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO carnet_reader".encode())
        assert served.ask("GET", "/v1/kinds").status == 200
        assert served.stop() == 0


def test_serve__without_the_readers_role_says_so_and_goes_on(tmp_path: Path, plain_url: str) -> None:
    home = make_node(tmp_path, store_url=plain_url).path
    with serving_home(home, tmp_path / "log") as served:
        assert served.ask("GET", "/v1/kinds").status == 200
        assert served.stop() == 0
        assert "The database does not keep passports from callers by itself. `carnet doctor` says" in served.read_log()
        assert r"CREATE ROLE \"plain_reader\" NOLOGIN;" in served.read_log()


def test_serve__lets_import_submit_and_census_through(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    file.write_bytes(b"".join(make_line(f"HV{number:040x}", make_inspection()) for number in range(20)))
    with serving_home(home, tmp_path / "log") as served:
        ran = carnet("import", "histovec", file, "--json", home=home)
        assert ran.code == 0, ran.err
        assert ran.json["sealed"] == 20
        again = carnet("import", "histovec", file, "--json", home=home)
        assert again.json == {"rows_read": 20, "sealed": 0, "duplicate": 20, "faulty": 0, "passports": 20}
        census = carnet("census", "--json", home=home)
        assert (census.code, census.json["taken"]) == (0, True), census.err
        # The one process that writes is still the one that did.
        holder = find_holder(Home(home).lock)
        assert holder is not None
        assert holder.pid == served.process.pid
        assert served.stop() == 0
    assert check_home(home) == []


@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), ("keys", "passphrase", "--remove")])
def test_second_writer__refused_writer_busy_whatever_the_environment_says(
    home: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    loud = {"WEB_CONCURRENCY": "8", "UVICORN_WORKERS": "8", "GUNICORN_CMD_ARGS": "--workers 8", "CARNET_WORKERS": "8"}
    with serving_home(home, tmp_path / "log", "--workers", "1", **loud) as served:
        assert len(served.list_workers()) == 1
        ran = carnet(*arguments, env=make_env(home, **loud))
        assert ran.code == 1, ran.out
        assert Reason.WRITER_BUSY.value in ran.err
        assert str(served.process.pid) in ran.err
        assert "stop it first" in ran.err


def test_serve__a_worker_that_dies_is_started_again(home: Path, tmp_path: Path) -> None:
    with serving_home(home, tmp_path / "log", "--workers", "1") as served:
        (first,) = served.list_workers()
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: served.list_workers() not in ([], [first]), "no other worker was started")
        served.wait_until_ready()
        append(served, 1)
        assert served.ask("GET", "/healthz").status == 200
        assert served.stop() == 0


def test_serve__its_workers_end_with_a_parent_that_is_killed(home: Path, tmp_path: Path) -> None:
    with serving_home(home, tmp_path / "log", "--workers", "2") as served:
        append(served, 1)
        workers = served.list_workers()
        assert len(workers) == 2
        served.process.kill()
        served.process.wait()
        wait_for(lambda: not any(is_running(pid) for pid in workers), "a worker outlived its writer")
    # The socket that the dead writer left is in nobody's way.
    assert (home / "node.sock").exists()
    with serving_home(home, tmp_path / "log2") as served:
        append(served, 2)
        with open_reader(home) as reader:
            assert reader.count_passports() == 2


def test_serve__what_was_acknowledged_survives_kills(home: Path, tmp_path: Path) -> None:
    """The oracle is outside of whatever is killed: it writes down what was acknowledged to it, and nothing else."""
    acknowledged: dict[int, bytes] = {}
    gone: list[Reason] = []
    number = 0
    for round_ in range(4):
        served = start(home, tmp_path / f"log{round_}", "--workers", "1")
        is_over = threading.Event()

        def work(served: Served = served, is_over: threading.Event = is_over) -> None:
            nonlocal number
            with served.reach() as remote:
                operator = get_operator(remote)
                while not is_over.is_set():
                    number += 1
                    try:
                        outcome = remote.append(operator.id, Basis.REPORTED, [new_passport(number, 1_000)])
                    except Refused as refused:
                        gone.append(refused.reason)
                        return
                    acknowledged[number] = outcome.receipts[0].chain16

        worker = threading.Thread(target=work)
        worker.start()
        before = len(acknowledged)
        wait_for(lambda before=before: len(acknowledged) > before + 5, "nothing was acknowledged")
        served.process.kill()
        served.process.wait()
        is_over.set()
        worker.join()
    assert len(acknowledged) > 20
    assert set(gone) <= {Reason.WRITER_AWAY}
    assert check_home(home) == []
    with open_reader(home) as reader:
        for one, chain16 in acknowledged.items():
            assert reader.find_subject(vin_subject(one)) == chain16
        # Nothing is there twice, and at most one of each round was sealed without being acknowledged.
        assert len(acknowledged) <= reader.count_passports() <= len(acknowledged) + 4


def test_serve__readiness_falls_and_reading_goes_on_while_the_writer_hangs(home: Path, tmp_path: Path) -> None:
    with serving_home(home, tmp_path / "log") as served:
        os.kill(served.process.pid, signal.SIGSTOP)
        try:
            assert served.ask("GET", "/healthz").status == 200
            assert served.ask("GET", "/.well-known/carnet-policy").status == 200
        finally:
            os.kill(served.process.pid, signal.SIGCONT)
        served.wait_until_ready()
        assert served.stop() == 0


def test_serve__keeps_a_fresh_census(home: Path, tmp_path: Path) -> None:
    with serving_home(home, tmp_path / "log", "--census-every", "500ms") as served:
        chain = append(served, 1)

        def is_provable() -> bool:
            with open_reader(home) as reader:
                try:
                    return reader.get_links(chain) != []
                except Refused:
                    return False

        wait_for(is_provable, "no census was taken")
        with open_reader(home) as reader:
            size = reader.state.size
        time.sleep(1.5)
        with open_reader(home) as reader:
            # Nothing changed: none is taken for its own sake.
            assert reader.state.size == size
        assert served.stop() == 0


def test_serve__refused_in_the_clear(home: Path, tmp_path: Path) -> None:
    ran = carnet("serve", "--host", "0.0.0.0", "--port", "0", home=home)
    assert ran.code == 1
    assert "--behind-proxy" in ran.err
    taken = start(home, tmp_path / "log")
    try:
        port = taken.address.rpartition(":")[2]
        other = make_node(tmp_path / "other").path
        busy = carnet("serve", "--port", port, home=other)
        assert busy.code == 1
        assert "--port 0" in busy.err
    finally:
        taken.process.kill()
        taken.process.wait()


def test_serve__says_nothing_of_what_was_sent(home: Path, tmp_path: Path) -> None:
    """Security 25: what somebody sends is in no line of the log and in no error."""
    body = json.dumps({"subject": {"scheme": "vin", "value": CANARY}, "x": CANARY}).encode()
    asked = [
        ("GET", f"/v1/passports/{CANARY}", None, {}),
        ("GET", f"/v1/passports?subject={CANARY}", None, {}),
        ("GET", f"/nothing/{CANARY}?q={CANARY}", None, {"X_Request_Id": f"{CANARY} or not"}),
        (CANARY, "/healthz", None, {}),
        ("GET", "/healthz", None, {"Cookie": f"carnet_session={CANARY}", "User_Agent": CANARY, "Referer": CANARY}),
        ("GET", "/readyz", None, {"Authorization": f"Bearer {CANARY}"}),
        ("POST", "/v1/passports", body, {"Content_Type": "application/json"}),
        ("POST", "/v1/passports", b"{" + body, {"Content_Type": "application/json"}),
        ("DELETE", f"/v1/entries/{CANARY}", None, {}),
        ("GET", f"/static/{CANARY}/{CANARY}", None, {}),
    ]
    with serving_home(home, tmp_path / "log", "--log-level", "debug") as served:
        for method, path, sent, headers in asked:
            answer = served.ask(method, path, sent, **headers)
            assert answer.status < 500, (path, answer.body)
            assert CANARY.encode() not in answer.body, path
        assert served.stop() == 0
    log = served.read_log()
    assert '"route": "/healthz"' in log
    assert CANARY not in log


def test_metrics__are_for_this_machine_or_for_the_token(home: Path, tmp_path: Path) -> None:
    with serving_home(home, tmp_path / "log") as served:
        append(served, 1)
        text = served.ask("GET", "/metrics").body.decode()
        assert "carnet_writer_up 1.0" in text
        assert "carnet_entries_total 2.0" in text
        assert 'route="/readyz"' in text
        assert vin_subject(1).value not in text
        assert served.ask("GET", "/metrics", X_Forwarded_For="203.0.113.7").status == 404
        assert served.stop() == 0
    token = tmp_path / "token"
    token.write_text("a-long-secret\n", encoding="utf-8")
    with serving_home(home, tmp_path / "log2", "--metrics-token-file", str(token)) as served:
        assert served.ask("GET", "/metrics").status == 404
        assert served.ask("GET", "/metrics", Authorization="Bearer wrong").status == 404
        assert served.ask("GET", "/metrics", Authorization="Bearer a-long-secret").status == 200
        assert served.stop() == 0
