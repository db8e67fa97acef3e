"""The house keeps its own rules: what may stand in a file, what may import what, and what the Makefile promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.shared import ROOT

SOURCE = ROOT / "src" / "carnet"
PURE_ROOMS = ("errors", "types", "encoding", "signing", "tlog", "ledger", "passport", "proof", "formats", "insight")

# Put together from pieces, so that this file may itself be searched.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("crates", "io"),
        ("deb", "debian", "org"),
        ("maven", "org"),
    )
)
# Paths of the machines this is written on, and names of what they carry: meaningless to a reader elsewhere.
WORKPLACE = re.compile(
    r"(?<![\w.$}])/(?:wor"
    r"k|roo"
    r"t|opt/whee"
    r"ls|tmp/bri"
    r"ef)/|\.lib"
    r"rary/|\bfar"
    r"m-[a-z]|\bsub"
    r"agent|\bissues (?:sh"
    r"ow|fi"
    r"le)\b"
)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=120)


def list_tracked_texts() -> list[tuple[str, str]]:
    """Every file that git tracks, as (path, text); undecodable bytes are kept: a name may hide among them."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: tracked files are unknown")
    paths = [path for path in run("git", "ls-files", "-z").stdout.split("\0") if path]
    assert paths, "git tracks no file at all"
    present = [path for path in paths if (ROOT / path).is_file()]
    return [(path, (ROOT / path).read_bytes().decode("utf-8", "surrogateescape")) for path in present]


def test_tracked_files__name_no_registry_host() -> None:
    found = [
        f"{path}: {host}" for path, text in list_tracked_texts() for host in REGISTRY_HOSTS if host in text.lower()
    ]
    assert found == []


def test_tracked_files__name_nothing_of_one_workplace() -> None:
    found = [f"{path}: {match[0]}" for path, text in list_tracked_texts() for match in WORKPLACE.finditer(text)]
    assert found == []


def test_workplace_pattern__knows_what_it_must_find() -> None:
    # The pattern is made of pieces; without this a slip in one of them would find nothing, for ever.
    for sample in (
        "cd /wor" + "k/main",
        "see /roo" + "t/x",
        "the far" + "m-search tool",
        "issues sh" + "ow 3",
        ".lib" + "rary/env",
    ):
        assert WORKPLACE.search(sample), sample
    for innocent in ("../shared/work/x", "https://example.org/work/", "$HOME/root/x", "issues shown here"):
        assert not WORKPLACE.search(innocent), innocent


@pytest.mark.parametrize("lock", ["requirements.lock", ".ci/node.lock"])
def test_lock__pins_and_hashes_each_requirement(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    # A requirement is one logical line: its continuations end with a backslash.
    logical = [
        line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    assert logical
    unpinned = [line.split()[0] for line in logical if not re.match(r"[a-z0-9][a-z0-9.-]*==\S+ ", line)]
    unhashed = [line.split()[0] for line in logical if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", line)]
    assert (unpinned, unhashed) == ([], [])
    assert "://" not in text


def test_lock__holds_each_package_that_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *project["dependency-groups"]["dev"],
    ]
    names = {re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower() for requirement in asked}  # type: ignore[index]
    locked = set(
        re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert names - locked == set()


def test_make_help__lists_each_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    targets = phony[1].split()
    assert set("help setup demo test lint bench vectors wheel sbom audit clean".split()) <= set(targets)
    shown = re.findall(r"^  make (\S+) +\S", run("make", "help").stdout, re.MULTILINE)
    assert sorted(shown) == sorted(targets)


def test_imports__flow_as_the_contracts_say() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("lint-imports is not installed")
    report = run(linter, "--no-logo", "--no-cache")
    assert report.returncode == 0, report.stdout + report.stderr


def test_imports__of_proof_load_no_database_web_or_network_module() -> None:
    script = "import sys, carnet.proof; print('\\n'.join(sys.modules))"
    report = run(sys.executable, "-c", script)
    assert report.returncode == 0, report.stderr
    loaded = set(report.stdout.split())
    assert "carnet.proof" in loaded
    libraries = "alembic asyncio click cryptography http.client litestar pysqlite3 rich socket sqlalchemy sqlite3 ssl"
    rooms = "carnet.cli carnet.node carnet.services carnet.vault carnet.web"
    forbidden = {*libraries.split(), "urllib.request", "uvicorn", *rooms.split()}
    assert loaded & forbidden == set()


def list_pure_modules() -> list[Path]:
    rooms = [path for room in PURE_ROOMS for path in (SOURCE / room, SOURCE / f"{room}.py") if path.exists()]
    return sorted(path for room in rooms for path in ([room] if room.is_file() else room.rglob("*.py")))


def test_pure_modules__touch_no_file_and_run_no_text() -> None:
    """What the import contracts cannot see: built-in functions that reach outside, or clocks of an allowed module."""
    banned_names = {"open", "input", "print", "exec", "eval", "__import__", "breakpoint"}
    banned_methods = {"now", "today", "utcnow"}
    modules = list_pure_modules()
    assert SOURCE / "errors.py" in modules
    found = []
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Name) and called.id in banned_names:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {called.id}()")
            if isinstance(called, ast.Attribute) and called.attr in banned_methods:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: .{called.attr}()")
    assert found == []


def test_source_modules__open_with_their_concept() -> None:
    modules = sorted(SOURCE.rglob("*.py"))
    assert modules
    silent = [
        str(path.relative_to(ROOT)) for path in modules if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []
