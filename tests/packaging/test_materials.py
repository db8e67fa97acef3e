"""What a user gets with Carnet, on paper: the lock as a graph, the licences and their policy, the bill of materials."""

from __future__ import annotations

import importlib.metadata
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from licences import Terms, find_faults, is_met, read_terms, write_list
from locked import Package, find_groups, normalise, read_lock, read_wanted
from packaging.requirements import Requirement

from tests.packaging.clean import run_ci
from tests.shared import ROOT

LOCK = read_lock()
GROUPS = find_groups(LOCK, read_wanted())
# What packages call their licence when they say it in words, from before SPDX expressions (PEP 639).
IN_WORDS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def make_package(name: str, *parents: str) -> Package:
    return Package(name, "1.0", "", ("0" * 64,), parents, "")


# ---- the lock as a graph


def test_read_lock__agrees_with_what_the_installed_packages_ask_for() -> None:
    """An oracle of its own: each requirement in the metadata of an installed package is an edge of the lock."""
    compared = 0
    for name in GROUPS:
        try:
            asked = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # wanted on other machines only
        for requirement in map(Requirement, asked):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert name in LOCK[normalise(requirement.name)].parents, (name, str(requirement))
                compared += 1
    assert compared >= 8


def test_find_groups__leaves_development_out() -> None:
    assert {"click", "msgspec", "pynacl", "rich", "cffi"} <= GROUPS.keys()
    assert GROUPS["click"] == ("core",)
    assert "server" in GROUPS["sqlalchemy"]
    assert "core" not in GROUPS["sqlalchemy"]
    assert GROUPS.keys() & {"pytest", "mypy", "ruff", "uv", "hatchling", "hypothesis", "deptry", "execnet"} == set()


def test_find_groups__follows_every_way() -> None:
    packages = {p.name: p for p in (make_package("a"), make_package("b", "a", "c"), make_package("c"))}
    wanted = {"core": frozenset({"a"}), "more": frozenset({"c"}), "even-more": frozenset({"c"})}
    assert find_groups(packages, wanted) == {"a": ("core",), "b": ("core",), "c": ("more", "even-more")}


@pytest.mark.parametrize("line", ["click>=8", "click @ file:///tmp/click.whl", "-e ."])
def test_read_lock__refused_unpinned(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"{line}\n    # via carnet (pyproject.toml)\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not a pinned package"):
        read_lock(lock)


def test_read_lock__refused_parent_unknown(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("click==8.0 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via nobody\n", encoding="utf-8")
    with pytest.raises(ValueError, match="nobody"):
        read_lock(lock)


def test_runtime_lock__is_cut_from_the_lock() -> None:
    whole = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    light, server = run_ci("runtime_lock.py"), run_ci("runtime_lock.py", "server")
    assert (light.returncode, server.returncode) == (0, 0)
    pins = [set(re.findall(r"(?m)^[a-z0-9.-]+==", cut.stdout)) for cut in (light, server)]
    assert pins[0] < pins[1]
    for cut in (light, server):
        assert all(line in whole for line in cut.stdout.splitlines()[1:])
    assert run_ci("runtime_lock.py", "nothing-like-it").returncode == 2


# ---- licences


def test_licences__the_policy_objects_to_nothing() -> None:
    assert find_faults(read_terms(), GROUPS) == []


def test_licences__agree_with_the_installed_packages() -> None:
    terms, told = read_terms(), {}
    for name in GROUPS:
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        words = [c.rsplit(" :: ", 1)[-1] for c in metadata.get_all("Classifier", []) if c.startswith("License")]
        spoken = metadata.get("License-Expression")
        if spoken is None:
            # A whole text begins with its name. Several words do not say how they combine: a person reads them.
            said = words or (metadata.get("License") or "").splitlines()[:1]
            spoken = IN_WORDS.get(said[0], said[0]) if len(said) == 1 else None
        if spoken is not None:
            told[name] = spoken
    assert len(told) >= 12
    assert {name: terms.packages[name] for name in told} == told


def test_licences__the_list_for_readers_is_the_newest() -> None:
    written = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    assert written == write_list(read_terms(), GROUPS), "run `make sbom`, and commit docs/licences.md"


@pytest.mark.parametrize(
    "terms, by, fault",
    [
        ("GPL-3.0-or-later", ("core",), "refused by the policy"),
        ("GPL-3.0-or-later", ("server",), "refused by the policy"),
        ("AGPL-3.0-only", ("server",), "refused by the policy"),
        ("MIT AND GPL-2.0-only", ("server",), "refused by the policy"),
        ("(MIT OR GPL-2.0-only)", ("server",), "refused by the policy"),
        ("", ("server",), "refused by the policy"),
        ("LGPL-3.0-only", ("core",), "refused in the core"),
        ("MPL-2.0", ("core",), "refused in the core"),
        ("LGPL-3.0-only", ("server",), "needs a reason"),
        (None, ("server",), "no terms"),
    ],
)
def test_licences__refused_by_policy(terms: str | None, by: tuple[str, ...], fault: str) -> None:
    policy = read_terms()
    told = Terms(policy.permissive, policy.weak_copyleft, {} if terms is None else {"new": terms})
    (only,) = find_faults(told, {"new": by})
    assert only.startswith("new: ")
    assert fault in only


def test_licences__refused_inside_a_package() -> None:
    policy = read_terms()
    told = replace(policy, packages={"new": "MIT"}, bundled={"new": {"libgpl": "GPL-2.0-only"}}, exceptions={})
    assert find_faults(told, {"new": ("server",)}) == ["libgpl in new: GPL-2.0-only is refused by the policy"]


def test_licences__refused_left_over_line() -> None:
    policy = read_terms()
    told = replace(policy, packages={"gone": "MIT"}, bundled={}, exceptions={})
    assert find_faults(told, {}) == ["gone: under [packages], but the lock brings it to no user"]


def test_licences__weak_copyleft_with_a_reason_in_an_extra() -> None:
    policy = read_terms()
    told = replace(policy, packages={"new": "LGPL-3.0-only"}, bundled={}, exceptions={"new": "linked, not changed"})
    assert find_faults(told, {"new": ("postgres",)}) == []
    assert "linked, not changed" in write_list(told, {"new": ("postgres",)})


def test_is_met__one_side_of_or_and_both_of_and() -> None:
    allowed = frozenset({"A", "B"})
    assert is_met("A", allowed)
    assert is_met("X OR A", allowed)
    assert is_met("A AND B", allowed)
    assert is_met("X AND A OR B", allowed)
    assert not is_met("A AND X", allowed)
    assert not is_met("X OR Y", allowed)
    assert not is_met("A WITH exception", allowed)


# ---- the bill of materials


def test_sbom__names_each_runtime_package_once_and_joins_them() -> None:
    told = run_ci("sbom.py")
    assert told.returncode == 0, told.stderr
    bill = json.loads(told.stdout)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    found = {part["name"]: part for part in bill["components"]}
    assert len(found) == len(bill["components"])
    assert {name: part["version"] for name, part in found.items()} == {name: LOCK[name].version for name in GROUPS}
    for name, part in found.items():
        assert part["purl"] == f"pkg:pypi/{name}@{LOCK[name].version}"
        assert part["scope"] == ("required" if "core" in GROUPS[name] else "optional")
        hashes = [p["value"] for p in part["properties"] if p["name"] == "carnet:file:sha256"]
        assert hashes == list(LOCK[name].hashes)
        assert part["licenses"]

    own = bill["metadata"]["component"]["bom-ref"]
    nodes = {node["ref"]: node["dependsOn"] for node in bill["dependencies"]}
    assert nodes.keys() == {own, *(part["bom-ref"] for part in bill["components"])}
    assert {child for children in nodes.values() for child in children} == nodes.keys() - {own}
    assert found["pynacl"]["components"][0]["name"] == "libsodium"


def test_sbom__same_lock_same_bytes() -> None:
    first, second = (run_ci("sbom.py", SOURCE_DATE_EPOCH="1700000000", PYTHONHASHSEED=seed).stdout for seed in "12")
    assert first == second
    assert json.loads(first)["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
