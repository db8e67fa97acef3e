"""What `make bench` keeps: each figure with its peer, its target, and whether it was reached. No speed is asserted."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import __main__ as bench
from bench import figures, importing
from bench.checking import check_proofs, check_store
from bench.figures import Figure, make_figure
from bench.inspections import make_grouped
from carnet.node.home import Home
from carnet.types import Basis
from tests.node.home import change_behind, make_node, new_passport

NAMES = {"name", "value", "unit", "peer", "peer_value", "ratio", "target", "met"}


@pytest.mark.parametrize(
    "figure, ratio, target, met",
    [
        (make_figure("x", 10, "per s"), None, None, None),
        (make_figure("x", 10, "per s", at_least=10), None, "≥ 10", True),
        (make_figure("x", 10, "per s", at_least=11), None, "≥ 11", False),
        (make_figure("x", 10, "MB", at_most=10), None, "≤ 10", True),
        (make_figure("x", 10, "MB", at_most=9), None, "≤ 9", False),
        (make_figure("x", 10, "per s", peer=("y", 20), at_least_ratio=0.5), 0.5, "≥ 0.5 × peer", True),
        (make_figure("x", 10, "per s", peer=("y", 21), at_least_ratio=0.5), 10 / 21, "≥ 0.5 × peer", False),
        # Of several targets all must be met.
        (make_figure("x", 10, "per s", peer=("y", 5), at_least=20, at_least_ratio=1), 2.0, "≥ 20, ≥ 1 × peer", False),
    ],
)
def test_make_figure__judges(figure: Figure, ratio: float | None, target: str | None, met: bool | None) -> None:
    assert (figure.ratio, figure.target, figure.met) == (ratio, target, met)


def test_bench__keeps_all_figures_and_says_which_are_below_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each subject is there, and what it gives is kept; here it gives it without measuring."""
    monkeypatch.setattr(figures, "BUILD", tmp_path / "build")
    for subject in bench.SUBJECTS:
        assert callable(import_module(f"bench.{subject}").measure)
    given = [make_figure("quick", 9, "per s", peer=("plain", 3), at_least=1), make_figure("slow", 9, "s", at_most=1)]
    monkeypatch.setattr(bench, "import_module", lambda name: SimpleNamespace(measure=lambda: given[:1]))
    monkeypatch.setattr("sys.argv", ["bench"])
    assert bench.main() == 0
    kept = json.loads((tmp_path / "build" / "bench.json").read_text(encoding="utf-8"))
    assert len(kept) == len(bench.SUBJECTS)
    assert all(set(one) == NAMES for one in kept)
    assert kept[0]["ratio"] == 3
    assert "Below target" not in capsys.readouterr().out

    monkeypatch.setattr(bench, "import_module", lambda name: SimpleNamespace(measure=lambda: given))
    assert bench.main() == 0
    assert "Below target: slow, " in capsys.readouterr().out
    # A part of it is not kept as the whole.
    (tmp_path / "build" / "bench.json").unlink()
    monkeypatch.setattr("sys.argv", ["bench", "growth"])
    assert bench.main() == 0
    assert not (tmp_path / "build" / "bench.json").exists()
    monkeypatch.setattr("sys.argv", ["bench", "everything"])
    assert bench.main() == 2


def test_check__counts_nothing_that_is_not_what_was_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.checking.PROOFS", 3)
    node = make_node(tmp_path)
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(number, 10) for number in range(3)])
        writer.take_census()
    home = Home(node.path)
    check_store(home)
    check_proofs(home)
    assert change_behind(node, "UPDATE submission SET sig = zeroblob(64)") == 1
    with pytest.raises(RuntimeError, match="damaged"):
        check_store(home)
    with pytest.raises(RuntimeError, match="not genuine"):
        check_proofs(home)


def test_measure_stages__shares_of_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What watches an import from within still fits it: each stage is there, and together they are the whole."""
    monkeypatch.setattr(figures, "BUILD", tmp_path / "build")
    monkeypatch.setattr(importing, "ROUNDS", 1)
    shares = {one.name: one.value for one in importing.measure_stages(list(make_grouped(30)))}
    assert {"share of prepare", "share of insert", "share of commit (fsync)"} <= shares.keys()
    assert sum(shares.values()) == pytest.approx(100)
    assert min(shares.values()) > 0
