"""Accounts in a real `carnet serve` with two workers: an invitation from the terminal becomes an account in a browser,
and what is ended on one worker is ended on the other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2

from tests.cli.run import carnet
from tests.services.accounts.authenticator import Authenticator
from tests.serving import serving_home
from tests.web.lodge import post_form, read_form_token

HTML = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
TURNS = 12
"""Connections of their own, so that both workers answer some of them."""


def ask(client: httpx2.Client, path: str, page: str, **body: Any) -> Any:
    token = read_form_token(client.get(page).text)
    answer = client.post(path, json=body, headers={"X-Form-Token": token})
    assert answer.status_code == 200, answer.text
    return answer.json()


def count_welcomes(origin: str, cookies: httpx2.Cookies) -> int:
    """On how many of several new connections the account's page opens."""
    count = 0
    for _ in range(TURNS):
        with httpx2.Client(base_url=origin, headers=HTML, cookies=cookies) as client:
            count += client.get("/account").status_code == 200
    return count


def test_serve__an_invited_operator_gets_in_on_every_worker_and_out_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert carnet("init", "--name", "test.cars.example", home=home).code == 0
    with serving_home(home, tmp_path / "log", "--workers", "2") as served:
        origin = served.address
        code = carnet("account", "add-operator", "--origin", origin, "--json", home=home).json["code"]
        authenticator = Authenticator(origin)
        with httpx2.Client(base_url=origin, headers=HTML) as client:
            options = ask(client, "/ceremonies/join", "/join", name="The operator", code=code)
            joined = post_form(client, "/join", "/join", answer=json.dumps(authenticator.create(options)))
            assert joined.text.count('<li class="mono">') == 10
            options = ask(client, "/ceremonies/sign-in", "/sign-in")
            answer = post_form(client, "/sign-in", "/sign-in", answer=json.dumps(authenticator.get(options)))
            assert (answer.status_code, answer.headers["location"]) == (303, "/operator")
            assert client.get("/operator").status_code == 200
            kept = httpx2.Cookies(client.cookies)
            assert count_welcomes(origin, kept) == TURNS
            assert post_form(client, "/account", "/sign-out").status_code == 303
            assert count_welcomes(origin, kept) == 0
        log = (tmp_path / "log").read_text()
        assert code not in log
        assert "The operator" not in log
    actions = [event["action"] for event in carnet("account", "events", "--json", home=home).json_lines]
    assert actions[0] == "session.signed_out"
    assert actions[-1] == "account.invited"
