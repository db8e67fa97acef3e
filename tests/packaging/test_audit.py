"""`make audit` is green only after an answer that can be relied on; every other end says NOT CHECKED, and is a failure.

The database here is a small server of the test's own, on this machine: the real one belongs to others.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from subprocess import CompletedProcess
from threading import Thread
from typing import Any

import pytest
from locked import read_lock

from tests.packaging.clean import run_ci

Answer = Callable[[dict[str, Any]], bytes]
CONTROL = {"package": {"ecosystem": "PyPI", "name": "jinja2"}, "version": "2.4.1"}
KNOWN = {"vulns": [{"id": "GHSA-control", "modified": "2020-01-01T00:00:00Z"}]}


@contextmanager
def serve(answer: Answer, status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A database on this machine: its address, and the questions that it got."""
    questions: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            questions.append(question)
            body = answer(question)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            """Say nothing: the test's output is for the test."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/querybatch", questions
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(url: str) -> CompletedProcess[str]:
    return run_ci("audit.py", "--database", url, no_proxy="127.0.0.1", NO_PROXY="127.0.0.1")


def answer_with(**vulnerable: str) -> Answer:
    """An honest database that knows the control, and these packages."""

    def answer(question: dict[str, Any]) -> bytes:
        results = []
        for query in question["queries"]:
            found = vulnerable.get(query["package"]["name"])
            results.append(KNOWN if query == CONTROL else {"vulns": [{"id": found}]} if found else {})
        return json.dumps({"results": results}).encode()

    return answer


def test_audit__nothing_known() -> None:
    with serve(answer_with()) as (url, questions):
        done = audit(url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(read_lock())} locked packages checked, none known" in done.stdout
    (question,) = questions
    asked = {(query["package"]["name"], query["version"]) for query in question["queries"] if query != CONTROL}
    assert asked == {(package.name, package.version) for package in read_lock().values()}


def test_audit__something_known() -> None:
    with serve(answer_with(msgspec="GHSA-0000-\x1b[31m")) as (url, _):
        done = audit(url)
    assert done.returncode == 1
    assert f"msgspec {read_lock()['msgspec'].version}: GHSA-0000-" in done.stdout
    assert "1 known to be vulnerable" in done.stdout
    assert "\x1b" not in done.stdout


def answer_none(question: dict[str, Any]) -> bytes:
    return json.dumps({"results": [{} for _ in question["queries"]]}).encode()


def answer_short(question: dict[str, Any]) -> bytes:
    return json.dumps({"results": [KNOWN]}).encode()


def answer_later(question: dict[str, Any]) -> bytes:
    more = [{"next_page_token": "more"} for _ in question["queries"][1:]]
    return json.dumps({"results": [KNOWN, *more]}).encode()


def answer_otherwise(question: dict[str, Any]) -> bytes:
    return json.dumps({"results": [KNOWN, *("safe" for _ in question["queries"][1:])]}).encode()


@pytest.mark.parametrize(
    "answer, status",
    [
        pytest.param(answer_none, 200, id="knows_nothing_of_the_control"),
        pytest.param(answer_short, 200, id="fewer_answers_than_questions"),
        pytest.param(answer_later, 200, id="the_rest_is_on_other_pages"),
        pytest.param(answer_otherwise, 200, id="another_form"),
        pytest.param(lambda _: b"<html>sign in to the network</html>", 200, id="a_page_for_people"),
        pytest.param(lambda _: b"", 200, id="empty"),
        pytest.param(lambda _: b"[" * 200_000, 200, id="nested_brackets"),
        pytest.param(answer_with(), 503, id="out_of_order"),
    ],
)
def test_audit__refused_not_checked(answer: Answer, status: int) -> None:
    with serve(answer, status) as (url, questions):
        done = audit(url)
    assert len(questions) == 1
    assert done.returncode == 3, done.stdout + done.stderr
    assert "NOT CHECKED" in done.stdout
    assert done.stderr == ""


def test_audit__refused_not_checked_when_nobody_answers() -> None:
    with socket.socket() as taken:
        # Bound, and not listening: whoever knocks is refused.
        taken.bind(("127.0.0.1", 0))
        done = audit(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert done.returncode == 3
    assert "NOT CHECKED: no vulnerability database could be asked" in done.stdout


def test_audit__refused_not_checked_over_plain_http() -> None:
    done = audit("http://database.example/v1/querybatch")
    assert done.returncode == 3
    assert "https://" in done.stdout
