"""Whoever is let in and sends slowly is let in anew: a key that is revoked meanwhile writes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from carnet.web import guard
from carnet.web.api.files import get_files
from tests.web.town import WebTown, make_reading, serving_town

PART = "application/offset+octet-stream"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with serving_town(tmp_path) as town:
        town.open()
        town.add("data", town.service.node.writers[0].enrol_member("The data service", "data_service").id)
        yield town


def send_slowly(
    town: WebTown, who: str, method: str, path: str, media_type: str, body: bytes, pause_s: float, *, is_ended: bool
) -> int:
    """The status of a request whose second half comes so much later; with `is_ended` its sender is ended between."""
    halves, answers = [body[len(body) // 2 :], body[: len(body) // 2]], list[Any]()

    async def receive() -> Any:
        if not halves:
            return {"type": "http.disconnect"}
        if len(halves) == 1:
            if is_ended:
                del town.service.callers.bearers[who]
            await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": halves.pop(), "more_body": len(halves) > 0}

    async def send(message: Any) -> None:
        answers.append(message)

    headers = {"host": "carnet.example", "authorization": f"Bearer {who}", "content-type": media_type}
    headers |= {"content-length": str(len(body)), "upload-offset": "0"}
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "state": {},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("carnet.example", 443),
    }  # fmt: skip
    # In a thread of its own: where a browser was driven before, this one has a loop that runs.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, town.service.app(scope, receive, send)).result()
    return int(next(one["status"] for one in answers if one["type"] == "http.response.start"))


def test_entry__refused_not_signed_in__whose_key_was_revoked_while_it_came(
    town: WebTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LET_IN_S", 0.05)
    body, writer = json.dumps(make_reading(41_000)).encode(), town.service.node.writers[0]
    ask = (town, "dealer", "POST", "/v1/entries", "application/json", body, 0.1)
    assert send_slowly(*ask, is_ended=False) == 201
    size = writer.state.size
    assert send_slowly(*ask, is_ended=True) == 401
    assert writer.state.size == size


def test_part__refused_not_signed_in__whose_key_was_revoked_while_it_came(
    town: WebTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LET_IN_S", 0.05)
    files, rows = get_files(town.service.desk), b"x" * 100
    body = {"name": "rows.jsonl", "format": "histovec", "size": 2 * len(rows)}
    one, other = (town.call("data", "POST", "/v1/files", body).json()["id"] for _ in range(2))
    for job, is_ended, status, received in ((one, False, 200, len(rows)), (other, True, 401, 0)):
        path = f"/v1/files/{job}/content"
        assert send_slowly(town, "data", "PATCH", path, PART, rows, 0.1, is_ended=is_ended) == status
        found = files.find(job)
        assert found is not None
        assert files.count_received(found) == received


def test_entry__that_comes_in_time_is_asked_about_once(town: WebTown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was let in a moment ago is not asked for again, which would be one more question for each entry."""
    monkeypatch.setattr(guard, "LET_IN_S", 60)
    body = json.dumps(make_reading(41_000)).encode()
    assert send_slowly(town, "dealer", "POST", "/v1/entries", "application/json", body, 0, is_ended=True) == 201
