"""`carnet member appearance` at the node's terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run import carnet, make_env, make_inspection, make_line
from tests.services.appearance.pictures import make_png


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("appearance") / "home"
    assert carnet("init", "--name", "cars.example", "--operator", "Fleet Data", home=made).code == 0
    assert carnet("member", "add", "--kind", "garage", "--name", "Tilleuls", home=made).code == 0
    return made


def test_appearance__is_set_shown_and_removed(home: Path, tmp_path: Path) -> None:
    assert "no look of its own" in carnet("member", "appearance", "Tilleuls", home=home).out
    asked = ("member", "appearance", "Tilleuls")
    missing = carnet(*asked, "--ink", "#0b3d91", home=home)
    assert (missing.code, "--paper" in missing.err) == (2, True)
    made = carnet(*asked, "--ink", "#0b3d91", "--paper", "#fff", "--origin", "https://app.example", "--json", home=home)
    assert made.code == 0, made.err
    look = made.json["appearance"]
    assert (look["name"], look["ink"], look["paper"]) == ("Tilleuls", "#0b3d91", "#ffffff")
    assert look["origins"] == ["https://app.example"]
    logo = tmp_path / "logo.png"
    logo.write_bytes(make_png())
    shown = carnet(*asked, "--name", "Les Tilleuls", "--logo", logo, home=home)
    assert shown.code == 0, shown.err
    for words in (
        "Les Tilleuls",
        "64 by 32 pixels",
        "https://app.example",
        made.json["page"],
        "10.0:1 (at least 4.5:1)",
    ):
        assert words in shown.out
    assert carnet(*asked, "--no-origins", "--json", home=home).json["appearance"]["origins"] == []
    assert carnet(*asked, "--remove", "--json", home=home).json["appearance"] is None


def test_appearance__refused_contrast_too_low__says_what_would_do(home: Path) -> None:
    refused = carnet("member", "appearance", "Tilleuls", "--ink", "#4a90d9", "--paper", "#ffffff", home=home)
    assert refused.code == 1
    assert "text: ink on paper has a contrast of 3.34:1, and needs 4.5:1" in " ".join(refused.err.split())
    proposed = refused.err.partition("the nearest that would do: ink ")[2][:7]
    assert carnet("member", "appearance", "Tilleuls", "--ink", proposed, "--paper", "#ffffff", home=home).code == 0


def test_appearance__takes_origins_of_this_machine_only_where_the_service_is_tried_on_it(home: Path) -> None:
    asked = (
        "member",
        "appearance",
        "Tilleuls",
        "--ink",
        "#0b3d91",
        "--paper",
        "#ffffff",
        "--origin",
        "http://localhost:9",
    )
    assert carnet(*asked, home=home).code == 0
    assert carnet(*asked, home=home, env=make_env(home, CARNET_ORIGIN="https://cars.example")).code == 1


def test_claim_invite__writes_the_list_back_with_codes(tmp_path: Path) -> None:
    made, rows = tmp_path / "home", tmp_path / "rows.jsonl"
    rows.write_bytes(make_line("HV" + "0" * 40, make_inspection()))
    assert carnet("init", "--name", "cars.example", "--operator", "Fleet Data", home=made).code == 0
    assert carnet("import", "histovec", rows, home=made).code == 0
    listed, out = tmp_path / "list.csv", tmp_path / "codes.csv"
    listed.write_text("Client,VIN\nMme Durand,WVWZZZ1KZ7P123456\n", encoding="utf-8")
    asked = ("claim", "invite", listed, "--member", "Fleet Data", "-o", out)
    done = carnet(*asked, "--json", home=made)
    assert done.code == 0, done.err
    assert (done.json["made"], done.json["rows"]) == (0, 1)
    text = out.read_text(encoding="utf-8-sig")
    header, row = text.splitlines()
    assert header == "Client,VIN,code,link,until,outcome"
    assert row.startswith("Mme Durand,WVWZZZ1KZ7P123456,,,,there is no such passport")
    assert "Mme Durand" not in carnet("account", "events", "--json", home=made).out
    refused = carnet("claim", "invite", rows, "--member", "Fleet Data", "-o", out, home=made)
    assert refused.code == 1
    assert "no CSV and no XLSX" in " ".join(refused.err.split())
    for wrong in (("claim", "invite", listed, "-o", out), (*asked, "--server", "http://127.0.0.1:9")):
        assert carnet(*wrong, home=made).code == 2
    refused = carnet("claim", "contests", "--server", "http://127.0.0.1:9", home=made)
    assert refused.code == 2
    assert "claim invite alone" in " ".join(refused.err.split())
