"""Files as jobs through the API: sent in parts, taken in by a process of their own or in this one, row by row."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from carnet.errors import Reason
from carnet.ledger.rules.members import Member
from carnet.services.filing.records import MAX_OPEN_JOBS, Files
from carnet.services.filing.taking import take
from carnet.services.founding import now_ms
from carnet.services.guessing import guess_file
from carnet.web.api.files import get_files
from tests.cli.run import make_inspection, make_line
from tests.services.town import close_passport
from tests.web.town import VIN, WebTown, serving_town

PART = "application/offset+octet-stream"
ROWS = make_line("HV0abc", make_inspection(), make_inspection(date="2016-03-04", pv="A2", km=70_000)) + make_line(
    "HV0def", make_inspection(pv="A3"), make_inspection(pv="A4", km=-5)
)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with opening_town(tmp_path) as town:
        yield town


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTown]:
    """A town for what is refused: none of it leaves a file."""
    with opening_town(tmp_path_factory.mktemp("town")) as town:
        yield town
        assert town.call("data", "GET", "/v1/files").json()["data"] == []


@contextmanager
def opening_town(path: Path) -> Iterator[WebTown]:
    """A town with a member that sends files of the field."""
    with serving_town(path) as town:
        writer = town.service.node.writers[0]
        service: Member = writer.enrol_member("The data service", "data_service")
        town.add("data", service.id)
        yield town


def announce(town: WebTown, who: str, data: bytes, **more: Any) -> Any:
    body = {"name": "rows.jsonl", "format": "histovec", "size": len(data)} | more
    answer = town.call(who, "POST", "/v1/files", body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(town: WebTown, who: str, job: str, data: bytes, offset: int = 0) -> Any:
    headers = {"Content-Type": PART, "Upload-Offset": str(offset)}
    return town.call(who, "PATCH", f"/v1/files/{job}/content", content=data, headers=headers)


def files_of(town: WebTown) -> Files:
    return get_files(town.service.desk)


def run(town: WebTown, job: str) -> Any:
    """Take the job in here and now, as its process would."""
    files = files_of(town)
    found = files.find(job)
    assert found is not None
    running = msgspec.structs.replace(found, state="running")
    files.save(running)
    # A file is taken in by the machine's clock, and the writer takes nothing that was signed a day ahead of its own.
    town.service.node.clock.now = max(town.service.node.clock.now, now_ms())
    return take(files, town.service.node.writers[0], running, worker_count=0)


def test_file__cancelled_amid_its_parts_says_so(town: WebTown) -> None:
    job = announce(town, "data", ROWS)["id"]
    assert send(town, "data", job, ROWS[:20]).json()["received"] == 20
    cancelled = town.call("data", "DELETE", f"/v1/files/{job}").json()
    assert (cancelled["state"], cancelled["received"]) == ("cancelled", 0)
    refused = send(town, "data", job, ROWS[20:], 20)
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_offset")
    assert "cancelled" in refused.json()["detail"]
    # One that was whole keeps its size.
    whole = announce(town, "data", ROWS)["id"]
    send(town, "data", whole, ROWS)
    assert town.call("data", "DELETE", f"/v1/files/{whole}").json()["received"] == len(ROWS)


def test_file__cancelled_while_it_is_looked_at_is_no_fault(town: WebTown) -> None:
    files, job = files_of(town), announce(town, "data", ROWS)["id"]
    seen = files.get(town.members["data"], job)
    files.cancel(town.members["data"], job)
    assert files.count_received(seen) == 0


def test_announce__refused_text_not_allowed(standing: WebTown) -> None:
    body = {"name": "rows\x00.jsonl", "format": "histovec", "size": 1}
    answer = standing.call("data", "POST", "/v1/files", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "text_not_allowed")


@pytest.mark.parametrize("document", [{}, {"kind": 5}, {"reader": {"type": "delimited"}, "kind": "vehicle.nothing/1"}])
def test_announce__refused_for_a_mapping_by_which_nothing_can_be_read(
    standing: WebTown, document: dict[str, Any]
) -> None:
    body = {"name": "rows.csv", "format": "mapping", "size": 1, "mapping": document}
    answer = standing.call("data", "POST", "/v1/files", body)
    assert answer.status_code == 422, answer.text
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/mapping"]


def test_part__names_the_header_as_it_is_written(standing: WebTown) -> None:
    path, headers = f"/v1/files/job_{'0' * 32}/content", {"Content-Type": PART, "Upload-Offset": "many"}
    answer = standing.call("data", "PATCH", path, content=b"x", headers=headers)
    assert [one["pointer"] for one in answer.json()["errors"]] == ["#Upload-Offset"]


def test_file__sent_in_parts_taken_in_and_accounted_for_row_by_row(town: WebTown) -> None:
    job = announce(town, "data", ROWS)["id"]
    assert send(town, "data", job, ROWS[:100]).json()["received"] == 100
    lost = send(town, "data", job, ROWS[:100])
    assert lost.status_code == 409, lost.text
    assert lost.json()["code"] == Reason.UPLOAD_OFFSET
    assert town.call("data", "GET", f"/v1/files/{job}").json()["received"] == 100
    assert send(town, "data", job, ROWS[100:], 100).json()["state"] == "queued"
    run(town, job)
    found = town.call("data", "GET", f"/v1/files/{job}").json()
    assert (found["state"], found["counts"]["sealed"], found["counts"]["faulty"]) == ("done", 3, 1)
    (fault,) = town.call("data", "GET", f"/v1/files/{job}/faults").json()["data"]
    assert (fault["row"], fault["code"]) == (4, "value_out_of_range")
    mended = town.call("data", "GET", f"/v1/files/{job}/faulty").content
    assert json.loads(mended)["vehicle"] == "HV0def"
    outcomes = town.call("data", "GET", f"/v1/files/{job}/outcomes")
    assert outcomes.headers["content-type"].startswith("text/csv")
    lines = outcomes.text.removeprefix("\ufeff").splitlines()
    # Sealed rows stand by passport, then in their order.
    assert sorted(line.split(",")[:2] for line in lines[1:]) == [
        ["1", "sealed"], ["2", "sealed"], ["3", "sealed"], ["4", "faulty"],
    ]  # fmt: skip
    assert not files_of(town).path(files_of(town).list()[0], "content").exists(), "the file goes with the end"
    # The same file again seals nothing twice.
    again = announce(town, "data", ROWS)["id"]
    send(town, "data", again, ROWS)
    run(town, again)
    counts = town.call("data", "GET", f"/v1/files/{again}").json()["counts"]
    assert (counts["sealed"], counts["duplicate"], counts["faulty"]) == (0, 3, 1)


def test_file__only_looked_at_seals_nothing(town: WebTown) -> None:
    job = announce(town, "data", ROWS, validate_only=True)["id"]
    send(town, "data", job, ROWS)
    run(town, job)
    found = town.call("data", "GET", f"/v1/files/{job}").json()
    assert (found["state"], found["counts"]["rows_read"], found["counts"]["sealed"]) == ("done", 4, 0)
    with town.service.node.read() as reader:
        assert reader.count_entries() == 0


def test_file__is_its_members_alone(town: WebTown) -> None:
    job = announce(town, "data", ROWS)["id"]
    for verb, path in (
        ("GET", ""), ("DELETE", ""), ("GET", "/faults"), ("GET", "/faulty"), ("GET", "/outcomes"),
    ):  # fmt: skip
        there = town.call("garage", verb, f"/v1/files/{job}{path}")
        absent = town.call("garage", verb, f"/v1/files/job_{'0' * 32}{path}")
        assert there.status_code == absent.status_code == 404
        assert there.json() | {"request_id": ""} == absent.json() | {"request_id": ""}
    assert send(town, "garage", job, ROWS).status_code == 404
    assert town.call("garage", "GET", "/v1/files").json()["data"] == []


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_file__by_a_member_in_its_own_name(town: WebTown) -> None:
    """A garage's list of readings: its own word (basis 2), for vehicles that have a passport."""
    passport = town.open()
    rows = f"vin,day,km\n{VIN},2023-05-04,41000\nWVWZZZ1KZ7P123457,2023-05-04,5\n".encode()
    document = guess_mapping(town, rows)
    job = announce(town, "garage", rows, format="mapping", mapping=document, name="=readings.csv")["id"]
    send(town, "garage", job, rows)
    ended = run(town, job)
    assert (ended.state, ended.failure) == ("done", None)
    found = town.call("garage", "GET", f"/v1/files/{job}").json()
    assert (found["counts"]["sealed"], found["counts"]["faulty"]) == (1, 1)
    (entry,) = town.call("garage", "GET", f"/v1/passports/{passport}/entries").json()["data"]
    assert (entry["basis"], entry["fields"]["odometer_km"]) == ("hosted", 41_000)


def test_file__validated_tells_nobody_which_vehicles_have_a_passport(town: WebTown) -> None:
    """A garage opens none: one that is known (not by it), and one that is not, are the same to it until it certifies.
    Whoever may open passports is told as much by opening one."""
    town.open()
    answers = []
    for vin in (VIN, "WVWZZZ1KZ7P123457"):
        rows = f"vin,day,km\n{vin},2023-05-04,41000\n{vin},2023-05-05,41001\n".encode()
        document = guess_mapping(town, rows)
        job = announce(
            town, "garage", rows, format="mapping", mapping=document, name="readings.csv", validate_only=True
        )["id"]
        send(town, "garage", job, rows)
        run(town, job)
        found = [
            town.call("garage", "GET", f"/v1/files/{job}{path}").text
            for path in ("", "/faults", "/faulty", "/outcomes")
        ]
        answers.append(
            [re.sub(r"req_[0-9a-f]+|[0-9-]+T[0-9:.]+Z", "", text.replace(job, "").replace(vin, "")) for text in found]
        )
        counts = json.loads(found[0])["counts"]
        assert (counts["ready"], counts["faulty"], counts["passports"]) == (2, 0, 1)
    assert answers[0] == answers[1]


def test_file__certified_is_faulty_alike_for_a_closed_passport_and_an_unknown_vehicle(town: WebTown) -> None:
    passport = bytes.fromhex(town.open()[4:])
    close_passport(town.service.node.writers[0], passport)
    rows = f"vin,day,km\n{VIN},2023-05-04,41000\nWVWZZZ1KZ7P123457,2023-05-04,41000\n".encode()
    document = guess_mapping(town, rows)
    job = announce(town, "garage", rows, format="mapping", mapping=document, name="readings.csv")["id"]
    send(town, "garage", job, rows)
    run(town, job)
    faults = town.call("garage", "GET", f"/v1/files/{job}/faults").json()["data"]
    assert len(faults) == 2
    first, second = (
        {name: one[name] for name in one if name in ("code", "rule", "message", "column")} for one in faults
    )
    assert first == second
    assert first


def guess_mapping(town: WebTown, rows: bytes) -> dict[str, Any]:
    path = town.service.node.path / "rows.csv"
    path.write_bytes(rows)
    found: dict[str, Any] = guess_file(path, town.service.node.clock()).mapping.to_json()  # type: ignore[union-attr]
    return found


def test_file__refused_not_accredited(town: WebTown) -> None:
    job = announce(town, "insurer", ROWS)["id"]
    send(town, "insurer", job, ROWS)
    run(town, job)
    failed = town.call("insurer", "GET", f"/v1/files/{job}").json()
    assert (failed["state"], failed["failure"]["code"]) == ("failed", "not_accredited")


@pytest.mark.parametrize("kind", ["gzip", "noise", "cut", "zip"])
def test_file__a_bomb_or_a_broken_file_fails_and_nothing_else(town: WebTown, kind: str) -> None:
    bomb = gzip.compress(b" " * (80 * 2**20), 1)
    noise = b"no row\n" * 20_001
    data = {"gzip": bomb, "noise": noise, "cut": gzip.compress(ROWS)[:-12], "zip": b"PK\x03\x04" + b"\0" * 500}[kind]
    job = announce(town, "data", data)["id"]
    assert send(town, "data", job, data).status_code == 200
    ended = run(town, job)
    found = town.call("data", "GET", f"/v1/files/{job}").json()
    if kind == "gzip":
        assert (found["state"], found["failure"]["code"]) == ("failed", "request_too_large")
    elif kind == "noise":
        assert (found["state"], found["failure"]["code"]) == ("failed", "unreadable_file")
    else:
        assert ended.state in ("failed", "done")
        assert found["counts"]["sealed"] <= 3


@pytest.mark.parametrize(
    "change, code",
    [
        ({"size": 0}, "value_out_of_range"),
        ({"size": 2**40}, "value_out_of_range"),
        ({"format": "exe"}, "not_in_list"),
        ({"format": "mapping"}, "missing_field"),
        ({"mapping": {}}, "missing_field"),
        ({"path": "/etc/passwd"}, "unknown_field"),
    ],
)
def test_announce__refused(standing: WebTown, change: dict[str, Any], code: str) -> None:
    body = {"name": "x", "format": "histovec", "size": 10} | change
    answer = standing.call("data", "POST", "/v1/files", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_announce__same_key_same_job(town: WebTown) -> None:
    body = {"name": "../../x", "format": "histovec", "size": 10}
    first, again = (
        town.call("data", "POST", "/v1/files", body, headers={"Idempotency-Key": "key-of-a-file"}) for _ in range(2)
    )
    assert first.json()["id"] == again.json()["id"]
    assert [entry.name for entry in files_of(town).root.iterdir() if entry.is_dir()] == [first.json()["id"]], (
        "the server names the folder"
    )


def test_announce__refused_too_many_requests__while_many_wait(town: WebTown) -> None:
    jobs = [announce(town, "data", ROWS)["id"] for _ in range(MAX_OPEN_JOBS)]
    body = {"name": "x", "format": "histovec", "size": 10}
    assert town.call("data", "POST", "/v1/files", body).status_code == 429
    assert town.call("data", "DELETE", f"/v1/files/{jobs[0]}").json()["state"] == "cancelled"
    assert town.call("data", "POST", "/v1/files", body).status_code == 201
    listed = town.call("data", "GET", "/v1/files?limit=5").json()
    assert (len(listed["data"]), listed["has_more"]) == (5, True)


def test_part__refused_beyond_what_was_announced(town: WebTown) -> None:
    job = announce(town, "data", ROWS)["id"]
    assert send(town, "data", job, ROWS + b"x").status_code == 413
    assert send(town, "data", job, bytes(9 * 2**20)).status_code == 413
