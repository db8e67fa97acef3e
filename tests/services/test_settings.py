"""Settings: each has one place where it is said, and a service that would be open in the clear does not start."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest

from carnet.errors import Reason, Refused
from carnet.services.settings import (
    SETTINGS,
    Settings,
    find_settings,
    find_unknown,
    from_document,
    to_document,
    to_text,
)
from tests.cli.run import carnet, make_env
from tests.shared import ROOT


def test_settings__each_field_is_explained_once() -> None:
    assert [setting.name for setting in SETTINGS] == [field.name for field in fields(Settings)]
    for part in ("option", "variable"):
        said = [getattr(setting, part) for setting in SETTINGS]
        assert len(set(said)) == len(said)
    assert all(setting.variable.startswith("CARNET_") and setting.meaning.endswith(".") for setting in SETTINGS)


def test_find_settings__option_before_environment_before_default() -> None:
    environment = {"CARNET_PORT": "9000", "CARNET_CENSUS_EVERY": "90s", "CARNET_HOSTS": "a.example, b.example"}
    found = find_settings({"port": 9001, "host": None}, environment)
    assert (found.port, found.host, found.census_every_ms) == (9001, "127.0.0.1", 90_000)
    assert found.hosts == ("a.example", "b.example")
    assert find_settings({}, {}) == Settings()


def test_settings__go_through_text_and_document() -> None:
    chosen = Settings(port=0, hosts=("a", "b"), behind_proxy=True, census_every_ms=90_000, origin="https://x.example")
    assert from_document(to_document(chosen)) == chosen
    for settings in (Settings(), chosen):
        spoken = {setting.variable: to_text(settings, setting.name) for setting in SETTINGS}
        assert find_settings({}, spoken) == settings


@pytest.mark.parametrize(
    "variable, text",
    [
        ("CARNET_PORT", "70000"),
        ("CARNET_PORT", "-1"),
        ("CARNET_PORT", "x"),
        ("CARNET_CENSUS_EVERY", "5"),
        ("CARNET_CENSUS_EVERY", "0s"),
        ("CARNET_BEHIND_PROXY", "yes"),
        ("CARNET_LOG_LEVEL", "loud"),
        ("CARNET_WORKERS", "1000"),
    ],
)
def test_find_settings__refused_value_out_of_range(variable: str, text: str) -> None:
    with pytest.raises(Refused, match=variable) as caught:
        find_settings({}, {variable: text})
    assert caught.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_find_unknown__names_what_was_probably_meant() -> None:
    given = {"CARNET_PROT": "9000", "CARNET_BEHIND_PROYX": "1", "CARNET_COLOUR": "red", "PATH": "/", "CARNET_HOME": "h"}
    assert find_unknown({**given, **{setting.variable: "" for setting in SETTINGS}}) == [
        ("CARNET_BEHIND_PROYX", "CARNET_BEHIND_PROXY"),
        ("CARNET_COLOUR", ""),
        ("CARNET_PROT", "CARNET_PORT"),
    ]


def test_find_unknown__knows_every_variable_that_the_code_asks_for() -> None:
    asked = set()
    for file in (ROOT / "src" / "carnet").rglob("*.py"):
        asked |= set(re.findall(r"""environ(?:\.get\(|\[)["'](CARNET_[A-Z_]+)""", file.read_text(encoding="utf-8")))
    assert len(asked) >= 5
    assert find_unknown(dict.fromkeys(asked, "")) == []


def test_settings__tell_of_variables_that_change_nothing() -> None:
    ran = carnet("settings", env=make_env(CARNET_PROT="9000"))
    assert ran.code == 0
    assert "CARNET_PROT is no variable of Carnet, and changes nothing: CARNET_PORT is." in ran.err
    assert "CARNET_" not in carnet("settings", env=make_env(CARNET_PORT="9000")).err


def test_settings__of_a_file_with_the_line_ends_of_windows() -> None:
    found = carnet("settings", "--json", env=make_env(CARNET_PORT="9000\r", CARNET_ORIGIN="https://x.example\r"))
    values = {row["name"]: row["value"] for row in found.json["settings"]}
    assert (found.code, values["port"], values["origin"]) == (0, "9000", "https://x.example")


def test_check__refuses_to_be_open_in_the_clear() -> None:
    Settings().check()
    Settings(host="0.0.0.0", behind_proxy=True, origin="https://x.example").check()
    for bad in (
        Settings(host="0.0.0.0"),
        Settings(host="0.0.0.0", behind_proxy=True),
        Settings(host="0.0.0.0", behind_proxy=True, origin="http://x.example"),
        Settings(host="192.0.2.1", origin="https://x.example"),
        Settings(origin="x.example"),
        Settings(origin="https://x.example/path"),
    ):
        with pytest.raises(Refused) as caught:
            bad.check()
        assert caught.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_webhook_networks__reach_another_process_and_are_networks() -> None:
    given = find_settings({}, {"CARNET_WEBHOOK_NETWORKS": "10.1.0.0/16, fd00:1::/32"})
    told = from_document(json.loads(json.dumps(to_document(given))))
    assert told == given
    told.check()
    assert told.webhook_networks == ("10.1.0.0/16", "fd00:1::/32")
    with pytest.raises(Refused) as caught:
        find_settings({"webhook_networks": "10.1.0.0/64"}, {}).check()
    assert caught.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_settings__the_document_has_each_of_them() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip().strip("`") for cell in line.strip("| ").split(" | ")]
        for line in text.splitlines()
        if line.startswith("| `--")
    ]
    wanted = [
        [one.option, one.variable, to_text(Settings(), one.name) or "none", one.meaning.strip("`")] for one in SETTINGS
    ]
    assert rows == wanted


def test_settings_verb__shows_each_with_its_value_now() -> None:
    shown = carnet("settings", "--port", "9001", "--json", env=make_env(CARNET_CENSUS_EVERY="90s"))
    assert shown.code == 0, shown.err
    values = {row["name"]: row["value"] for row in shown.json["settings"]}
    assert list(values) == [one.name for one in SETTINGS]
    assert (values["port"], values["census_every_ms"], values["host"]) == ("9001", "90s", "127.0.0.1")
    text = carnet("settings")
    assert all(f"${one.variable}" in text.out and one.meaning in " ".join(text.out.split()) for one in SETTINGS)
    wrong = carnet("settings", env=make_env(CARNET_PORT="x"))
    assert wrong.code == 1
    assert "CARNET_PORT" in wrong.err
