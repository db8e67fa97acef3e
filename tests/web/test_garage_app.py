"""examples/garage-app as its README says: set up, run, and visited by a customer in Chromium; on a real service."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from carnet.node.home import Home
from carnet.sdk import Client
from carnet.sdk.embedding import make_frame_address, make_page_address
from carnet.services.accounts.office import Visit, office_at
from carnet.services.accounts.registry import HOLDER, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.demonstration import build_world
from carnet.services.holdings import begin_holding
from tests.serving import Served, serving_home, wait_for
from tests.shared import ROOT
from tests.web.lodge import find_port

EXAMPLE = ROOT / "examples" / "garage-app"
GARAGE = "Garage des Tilleuls, Metz"


class World:
    """A served demo home, its hero's passport, and the session of whoever holds it."""

    def __init__(self, served: Served, passport: bytes, session: str) -> None:
        self.served, self.passport, self.session = served, passport, session


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("garage")
    home = Home(folder / "home")
    built = build_world(home, seed=2026, vehicles=6, progress=lambda done, total: None)
    hero = next(vehicle.subject for vehicle in built.fleet if vehicle.story == "hero")
    with serving_home(home.path, folder / "log", "--workers", "1") as served:
        with office_at(home) as (office, reader):
            passport = reader.get(str(hero))
            with office.people.write() as connection:
                account = insert_account(connection, office, HOLDER, "Camille", os.urandom(32))
                session = begin_session(connection, office, account, Visit("127.0.0.1", "a test"), "passkey")
                head = reader.find_head(passport)
                assert head is not None
                begin_holding(connection, office, passport, head[1], account.id, "claim")
        yield World(served, passport, session)


def read_commands() -> list[list[str]]:
    """The two commands of the README."""
    lines = re.findall(r"^    (python \S+.*)$", (EXAMPLE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in lines]


@contextmanager
def running(world: World, folder: Path) -> Iterator[dict[str, Any]]:
    """The site, set up and run by the commands of the README, with another port than theirs."""
    set_up, run = read_commands()
    places = {"HOME": str(world.served.home), "MEMBER": GARAGE, "http://localhost:8140": world.served.address}
    asked = [sys.executable, str(ROOT / set_up[1]), *(places.get(word, word) for word in set_up[2:])]
    done = subprocess.run(
        [*asked, "--port", str(find_port())],
        cwd=folder,
        env=world.served.env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    config: dict[str, Any] = json.loads((folder / "garage.json").read_text())
    assert (folder / "garage.json").stat().st_mode & 0o777 == 0o600
    process = subprocess.Popen([sys.executable, str(ROOT / run[1]), *run[2:]], cwd=folder, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert config["site"].encode() in process.stdout.readline()
        yield config
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()  # type: ignore[union-attr]


def test_example__shows_seals_and_hears(world: World, browser: Browser, tmp_path: Path) -> None:
    with running(world, tmp_path) as config:
        context = browser.new_context(locale="en-GB", viewport={"width": 1100, "height": 1000})
        context.set_default_timeout(20_000)
        context.add_cookies([{"name": "carnet_session", "value": world.session, "url": world.served.address}])
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        try:
            page.goto(config["site"])
            page.locator(f'a[href="/vehicles/pas_{world.passport.hex()}"]').click()
            frame = page.wait_for_selector("iframe").content_frame()
            assert frame is not None
            with page.expect_popup() as opened:
                frame.get_by_role("link", name="Open it here").click()
            opened.value.get_by_role("button", name="Show it there").click()
            frame.get_by_role("button", name="History").wait_for()
            page.get_by_label("Odometer, km").fill("21500")
            page.get_by_role("button", name="Seal the reading").click()
            page.wait_for_load_state()
            wait_for(lambda: "vehicle.odometer/1" in _read(config), "the site was not told of the reading", 60)
            page.goto(config["site"])
            assert f"entry.sealed: vehicle.odometer/1 in pas_{world.passport.hex()}" in page.content()
            assert said == []
        finally:
            context.close()
        with Client(world.served.address, key=config["key"]) as carnet:
            kinds = [entry.kind for entry in carnet.entries.timeline(f"pas_{world.passport.hex()}")]
            assert kinds.count("vehicle.odometer/1") >= 1
            invited = carnet.desk.invite([f"{'0' * 17}"])
        assert [one.refused is not None for one in invited] == [True]


def _read(config: dict[str, Any]) -> str:
    connection = HTTPConnection("127.0.0.1", config["port"], timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": "localhost"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_example__believes_no_message_and_no_form_of_others(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path) as config:
        passport = f"/vehicles/pas_{world.passport.hex()}"
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
        signed = {"webhook-id": "msg_1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1a,AAAA"}
        for path, headers, status in (
            (passport, form, 403),
            ("/hooks", signed, 400),
            ("/hooks", {}, 400),
            ("/else", form, 403),
        ):
            connection = HTTPConnection("127.0.0.1", config["port"], timeout=10)
            connection.request("POST", path, b"km=5", headers)
            assert connection.getresponse().status == status, path
            connection.close()
        assert "entry.sealed" not in _read(config)


def test_addresses__are_those_of_the_service() -> None:
    passport = "pas_" + "0" * 32
    frame = make_frame_address("https://c.example/", "mem_1", passport, "https://app.example:8443", theme="dark")
    assert frame == f"https://c.example/embed/mem_1/vehicles/{passport}?app=https%3A%2F%2Fapp.example%3A8443&theme=dark"
    assert make_page_address("https://c.example", "mem_1") == "https://c.example/with/mem_1"
    assert make_page_address("https://c.example/", "mem_1", passport).endswith(f"/with/mem_1/vehicles/{passport}")
