"""`carnet --server URL`: the same verbs through a running node's API, from a machine that has no node."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from carnet.services.filing.taking import take
from carnet.vault.partial import PART
from carnet.web.api.files import get_files
from tests.cli.run import Ran, carnet, make_env, make_inspection, make_line
from tests.sdk.server import Served, serving_on_socket
from tests.web.test_api import enrol_own_key, sign
from tests.web.town import OTHER_VIN, VIN


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving_on_socket(tmp_path_factory.mktemp("served")) as served:
        served.town.hold(served.town.open())
        served.town.record("garage", 41_000)
        yield served


@pytest.fixture
def run(served: Served, tmp_path: Path) -> object:
    def ask(who: str, *arguments: str | Path) -> Ran:
        key = tmp_path / f"{who}.key"
        key.write_text(who + "\n")
        os.chmod(key, 0o600)
        return carnet("--server", served.address, "--key-file", key, *arguments, home=tmp_path / "no node here")

    return ask


def test_show__what_the_key_sees(run: object) -> None:
    shown = run("garage", "show", VIN, "--json").json  # type: ignore[operator]
    assert (shown["sees"], [one["fields"]["odometer_km"] for one in shown["entries"]]) == ("own_entries", [41_000])
    whole = run("holder", "show", shown["passport"], "--only", "odometer")  # type: ignore[operator]
    assert whole.code == 0
    assert "41,000 km" in whole.out
    assert "all of it" in whole.out


def test_show__refused__says_what_to_do(run: object, served: Served, tmp_path: Path) -> None:
    refused = run("insurer", "show", VIN, "--json")  # type: ignore[operator]
    assert (refused.code, refused.json_error["error"]) == (1, "unknown_passport")
    assert refused.json_error["facts"]["request_id"]
    nobody = carnet("show", VIN, "--server", served.address, home=tmp_path)
    assert nobody.code == 1
    assert "--key-file" in nobody.err


def test_export__a_proof_that_verifies_here(run: object, tmp_path: Path, served: Served) -> None:
    proof = tmp_path / "car.carnet"
    left = tmp_path / f".car.carnet{PART}"
    left.write_bytes(b"half of it")
    done = run("holder", "export", VIN, "-o", proof, "--json")  # type: ignore[operator]
    assert not left.exists(), "what a killed export has left"
    assert done.json["bytes"] == proof.stat().st_size
    policy = tmp_path / "network.policy"
    policy.write_bytes(served.town.call("visitor", "GET", "/v1/policy").content)
    assert carnet("verify", proof, "--policy", policy, "--complete").code == 0
    assert run("holder", "export", VIN, "-o", proof).code == 1  # type: ignore[operator]
    assert run("holder", "export", VIN, "-o", tmp_path / "x", "--only", "odometer").code == 2  # type: ignore[operator]


def test_submit__what_was_signed_here(run: object, tmp_path: Path, served: Served) -> None:
    member, signer = enrol_own_key(served.town)
    passport = served.town.call("holder", "GET", "/v1/passports").json()["data"][0]["id"]
    file = tmp_path / "reading.submission"
    file.write_bytes(sign(served.town, member, signer, passport, [50_000]))
    first, again = (run("own", "submit", file, "--json").json for _ in range(2))  # type: ignore[operator]
    assert (first["sealed"], again["sealed"]) == (1, 0)
    assert first["receipts"] == again["receipts"]


def test_import__is_sent_and_followed(run: object, tmp_path: Path, served: Served) -> None:
    writer = served.town.service.node.writers[0]
    served.town.add("data", writer.enrol_member("A data service", "data_service").id)
    file = tmp_path / "rows.jsonl"
    file.write_bytes(make_line("HV0abc", make_inspection(), make_inspection(pv="A2", km=-5)))
    with taking_in(served):
        done = run("data", "import", "histovec", file, "--faulty", tmp_path / "mend.jsonl", "--json")  # type: ignore[operator]
    assert (done.code, done.json["sealed"], done.json["faulty"]) == (1, 1, 1)
    assert b"HV0abc" in (tmp_path / "mend.jsonl").read_bytes()
    (fault,) = (tmp_path / "mend.jsonl.faults.ndjson").read_bytes().splitlines()
    assert json.loads(fault)["row"] == 2
    # What may have been mended meanwhile is not written over, and nothing is sent.
    (tmp_path / "mend.jsonl").write_bytes(b"mended")
    again = run("data", "import", "histovec", file, "--faulty", tmp_path / "mend.jsonl")  # type: ignore[operator]
    assert (again.code, "holds rows already" in again.err) == (1, True)
    assert (tmp_path / "mend.jsonl").read_bytes() == b"mended"
    assert run("data", "import", "histovec", "-").code == 2  # type: ignore[operator]


def test_import__lists_its_faults_as_at_the_node(run: object, tmp_path: Path, served: Served) -> None:
    writer = served.town.service.node.writers[0]
    served.town.add("data", writer.enrol_member("Another data service", "data_service").id)
    file, here, there = tmp_path / "rows.jsonl", tmp_path / "here", tmp_path / "there"
    file.write_bytes(make_line("HV0abc", make_inspection(km=-5), make_inspection(), make_inspection(date="no day")))
    assert carnet("import", "histovec", file, "--validate-only", "--faults", here).code == 1
    with taking_in(served):
        assert run("data", "import", "histovec", file, "--faults", there).code == 1  # type: ignore[operator]
    assert len(here.read_bytes().splitlines()) == 2
    assert there.read_bytes() == here.read_bytes()
    os.link(file, tmp_path / "too")
    refused = run("data", "import", "histovec", file, "--faults", tmp_path / "too")  # type: ignore[operator]
    assert (refused.code, "is the file that is imported" in refused.err) == (1, True)


@contextmanager
def taking_in(served: Served) -> Iterator[None]:
    """While somebody imports what is sent."""
    ended = threading.Event()
    taker = threading.Thread(target=_take_in, args=(served, ended))
    taker.start()
    try:
        yield
    finally:
        ended.set()
        taker.join()


def _take_in(served: Served, ended: threading.Event) -> None:
    """What the watcher of a worker does, in this process."""
    files = get_files(served.town.service.desk)
    while not ended.is_set():
        for job in files.list():
            if job.state == "queued":
                running = msgspec.structs.replace(job, state="running")
                files.save(running)
                take(files, served.town.service.node.writers[0], running, worker_count=0)
        time.sleep(0.05)


def test_claim_invite__through_the_service_a_hundred_at_a_time(run: object, tmp_path: Path) -> None:
    listed, out = tmp_path / "list.csv", tmp_path / "codes.csv"
    rows = [f"Client {number},{OTHER_VIN[:-3]}{number:03d}" for number in range(120)]
    listed.write_text("\n".join(["Client,VIN", *rows, f"Mme Durand,{VIN}", "Nobody,"]) + "\n", encoding="utf-8")
    done = run("dealer", "claim", "invite", listed, "-o", out, "--json")  # type: ignore[operator]
    assert (done.code, done.json["made"], done.json["rows"]) == (0, 1, 122), done.err
    *others, durand, nobody = out.read_text(encoding="utf-8-sig").splitlines()[1:]
    assert all(row.endswith(",,,,unknown_passport") for row in others)
    assert durand.startswith(f"Mme Durand,{VIN},")
    assert durand.endswith(",made")
    assert nobody.endswith(",missing_field")


def test_server__other_verbs_do_not_ask_one(run: object) -> None:
    refused = run("holder", "fsck")  # type: ignore[operator]
    assert refused.code == 2
    assert "show" in refused.err


def test_server__that_is_not_there(tmp_path: Path) -> None:
    refused = carnet("--server", "http://127.0.0.1:9", "show", OTHER_VIN, "--json", home=tmp_path)
    assert (refused.code, refused.json_error["error"]) == (1, "unreachable")


def test_server__needs_no_package_of_a_node(served: Served, tmp_path: Path) -> None:
    """`pip install carnet[sdk]` is all: whatever a node needs beside is not even looked for."""
    for name in ("alembic", "cryptography", "litestar", "pysqlite3", "sqlalchemy", "uvicorn"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not here', name='{name}')\n")
    key, rows = tmp_path / "my.key", tmp_path / "rows.jsonl"
    key.write_text("insurer\n")
    os.chmod(key, 0o600)
    rows.write_bytes(make_line("HV0abc", make_inspection()))
    env = make_env(tmp_path / "no node", PYTHONPATH=str(tmp_path))
    asking = ("--server", served.address, "--key-file", key)
    for verb in (("show", VIN), ("export", VIN, "-o", tmp_path / "x.carnet")):
        refused = carnet(*asking, *verb, "--json", env=env)
        assert refused.json_error["error"] == "unknown_passport", refused.err
    listed = tmp_path / "list.csv"
    listed.write_text(f"VIN\n{OTHER_VIN}\n")
    invited = carnet(*asking, "claim", "invite", listed, "-o", tmp_path / "codes.csv", "--json", env=env)
    assert (invited.code, invited.json["made"]) == (0, 0), invited.err
    # A file of a member that may not say it: it was sent and taken in, and all of it failed.
    ended = threading.Event()
    taker = threading.Thread(target=_take_in, args=(served, ended))
    taker.start()
    try:
        sent = carnet(*asking, "import", "histovec", rows, "--json", env=env)
    finally:
        ended.set()
        taker.join()
    assert (sent.code, sent.json["failure"]["code"]) == (1, "not_accredited"), sent.err
