"""The demo, end to end, as a visitor without a terminal runs it: the story ends well, and so do its last commands."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time
from collections import Counter, deque
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

import httpx2

from tests.cli.run import COMMAND, make_env
from tests.node.home import make_node
from tests.serving import serving_home


def test_demo__tells_the_whole_story_and_its_commands_work(tmp_path: Path) -> None:
    import sys

    command = [sys.executable, "-m", "carnet", "demo", "--no-serve", "--home", str(tmp_path / "node")]
    env = make_env(tmp_path / "someones-node", TMPDIR=str(tmp_path))
    ran = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    story = ran.stdout
    # It touches no node of the person who runs it.
    assert not (tmp_path / "someones-node").exists()
    sealed = re.search(r"([\d,]+) entries of ([\d,]+) vehicles", story)
    assert sealed is not None
    assert int(sealed[1].replace(",", "")) >= 3_000
    assert int(sealed[2].replace(",", "")) >= 200
    assert re.findall(r"exit code (\d+)", story) == ["0", "10", "11", "0"]
    for word in ("GENUINE", "ALTERED", "CANNOT TELL", "fields_mismatch", "no_policy", "superseded by", "withheld"):
        assert word in story, word
    assert "\x1b" not in story
    tried = [line.strip() for line in story.split("try it yourself")[1].splitlines() if "carnet" in line]
    assert len(tried) == 7
    for line in tried[:-1]:
        again = subprocess.run(
            shlex.split(line), env=make_env(), cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert again.returncode == 0, (line, again.stderr)


def test_demo__with_a_terminal_serves_what_it_told_until_stopped(tmp_path: Path) -> None:
    """The links sign in, the line for developers shows a vehicle, and Ctrl-C ends it well."""
    command = [*COMMAND, "demo", "--vehicles", "40", "--home", str(tmp_path / "node")]
    main, terminal = pty.openpty()
    env = make_env(None, TMPDIR=str(tmp_path), CARNET_PORT="0", TERM="dumb", COLUMNS="200")
    process = subprocess.Popen(command, env=env, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    try:
        story = _read_until(main, "/entries")
        links = re.findall(r"http://\S+/demo/sign-in\S+", story)
        assert len(links) == 5
        for link in links:
            with urlopen(link) as page:
                text = page.read().decode()
            assert page.status == 200
            assert "<form" in text
        for link in links:
            assert _walk(link, main) == [], link
        curl = shlex.split(next(line for line in story.splitlines() if line.strip().startswith("curl")))
        name, _, value = curl[2].partition(": ")
        with urlopen(Request(curl[3], headers={name: value})) as answer:
            entries = json.loads(answer.read())["data"]
        assert entries
        assert {entry["author"]["kind"] for entry in entries} == {"insurer"}
        process.send_signal(signal.SIGINT)
        _drain(main)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main)


def test_demo_links__are_in_no_other_home(tmp_path: Path) -> None:
    home = make_node(tmp_path).path
    with serving_home(home, tmp_path / "log") as served:
        assert served.ask("GET", "/demo/sign-in?account=acc_x&secret=y").status == 404
        assert served.stop() == 0


def _read_until(descriptor: int, wanted: str, patience_s: float = 120) -> str:
    seen, until = "", time.monotonic() + patience_s
    while wanted not in seen.rpartition("in a browser")[2] or "in a browser" not in seen:
        assert time.monotonic() < until, seen
        if select.select([descriptor], [], [], 1)[0]:
            seen += os.read(descriptor, 65_536).decode("utf-8", "replace")
    return seen.replace("\r\n", "\n")


def _walk(link: str, descriptor: int) -> list[tuple[int, str, str]]:
    """Sign in by a link of the demo and follow every link from there on, two of each kind: (status, address, where it
    stood) of those that lead to no answer."""
    site, kinds, done, wrong = urlsplit(link).netloc, Counter[str](), set[str](), list[tuple[int, str, str]]()
    with httpx2.Client(follow_redirects=True, timeout=30) as client:
        form = re.search(r'<main.*?<form[^>]* action="([^"]*)"(.*?)</form>', client.get(link).text, re.DOTALL)
        assert form is not None
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form[2]))
        first = client.post(urljoin(link, form[1]), data=hidden)
        assert first.status_code == 200
        todo = deque([(str(first.url), link)])
        while todo:
            address, whence = todo.popleft()
            kind = re.sub(r"[0-9a-f]{16,}|(?<=/)[0-9]+|=[^&]*", "", address)
            if address in done or kinds[kind] == 2:
                continue
            done.add(address)
            kinds[kind] += 1
            answer = client.get(address)
            # What is logged on the terminal meanwhile would hold the demo up.
            while select.select([descriptor], [], [], 0)[0]:
                os.read(descriptor, 65_536)
            if answer.status_code >= 400:
                wrong.append((answer.status_code, address, whence))
            elif answer.headers["content-type"].startswith("text/html"):
                found = (urljoin(str(answer.url), unescape(one)) for one in re.findall(r' href="([^"]+)"', answer.text))
                todo.extend((one.partition("#")[0], address) for one in found if urlsplit(one).netloc == site)
    assert len(kinds) > 50
    return wrong


def _drain(descriptor: int) -> None:
    """What is written until the other side is closed: a full terminal would hold the process up."""
    try:
        while os.read(descriptor, 65_536):
            pass
    except OSError:
        return
