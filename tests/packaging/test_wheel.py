"""The wheel: always the same bytes, all that it needs and nothing else, and at work without this checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hatch_build import describe_sources, find_obstacle
from tests.packaging.clean import Clean, make_clean, make_wheel, run_ci
from tests.shared import ROOT

PURE = "py3-none-any"
KERNEL = "carnet/_kernel.abi3.so"

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(180)]

NODE_VERBS = (
    ("init",),
    ("demo", "--no-serve"),
    ("list",),
    ("find", "x"),
    ("show", "x"),
    ("export", "x", "-o", "x.carnet"),
    ("policy",),
    ("member", "list"),
    ("fsck",),
)


def git(*arguments: str | Path, cwd: Path = ROOT) -> str:
    return subprocess.run(
        ["git", *map(str, arguments)], cwd=cwd, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def clone(target: Path) -> Path:
    """The last commit, in another folder, with a tool's leavings and a stranger's file about."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no commit to build from")
    git("clone", "--quiet", "--no-hardlinks", ROOT, target)
    # What stands in .ci may be newer than the last commit; it is under test as it is.
    shutil.copytree(ROOT / ".ci", target / ".ci", dirs_exist_ok=True, ignore=shutil.ignore_patterns("node"))
    return target


def build(source: Path, target: Path, **environment: str) -> Path:
    built = subprocess.run(
        [sys.executable, source / ".ci" / "wheel.py", target],
        cwd=target.parent,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = target.glob("*.whl")
    return wheel


def test_wheel__same_commit_same_bytes(tmp_path: Path) -> None:
    first, second = clone(tmp_path / "a"), clone(tmp_path / "in" / "another folder")
    # Another time zone, hash seed and language; other mode bits and dates on the files; things that lie about.
    for path in (second / "src").rglob("*.py"):
        path.chmod(0o755)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    (second / "src" / "carnet" / "__pycache__").mkdir()
    (second / "src" / "carnet" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"x")
    (second / "src" / "carnet" / "notes.txt").write_text("not tracked", encoding="utf-8")
    one = build(first, tmp_path / "1", TZ="UTC", PYTHONHASHSEED="1")
    two = build(second, tmp_path / "2", TZ="Asia/Tokyo", PYTHONHASHSEED="2", LC_ALL="C", SOURCE_DATE_EPOCH="1")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def read_tag(wheel: Path) -> str:
    """For which Pythons and machines it is, as it says itself."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [name for name in opened.namelist() if name.endswith(".dist-info/WHEEL")]
        said = dict(line.split(": ", 1) for line in opened.read(name).decode().splitlines() if ": " in line)
    assert wheel.name.endswith(f"-{said['Tag']}.whl")
    assert said["Root-Is-Purelib"] == ("true" if said["Tag"] == PURE else "false")
    return said["Tag"]


def test_wheel__with_the_kernel_is_one_of_this_platform(tmp_path: Path) -> None:
    skip_without_compiler()
    wheel = make_wheel(tmp_path)
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    assert read_tag(wheel) == f"cp311-abi3-{platform}"
    with zipfile.ZipFile(wheel) as opened:
        binary = opened.read(KERNEL)
    # Nothing of the machine that built it: no folder of the sources, of Python or of whoever did.
    found = set(re.findall(rb"(?<![\w.])/[\w.+-]+/[\w./+-]*", binary))
    # A compiler takes texts such as carnet/1/link apart.
    assert {path for path in found if not path.startswith(b"/1/")} <= {b"/lib64/ld-linux-x86-64.so.2"}
    for place in (ROOT, tmp_path, tempfile.gettempdir(), sysconfig.get_path("include"), sys.prefix, Path.home()):
        assert str(place) in ("/", "") or os.fsencode(place) not in binary, place
    assert describe_sources(ROOT / "src").encode() in binary


def test_wheel__without_the_kernel_is_for_every_machine(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "off", CARNET_KERNEL="off")
    assert read_tag(wheel) == PURE
    # As where there is no compiler; which is said, since nobody may have meant it.
    built = run_ci("wheel.py", tmp_path / "none", CC="/nowhere/cc")
    assert built.returncode == 0, built.stderr
    assert "wheel: without the kernel in C: there is no compiler (/nowhere/cc)" in built.stderr
    (other,) = (tmp_path / "none").glob("*.whl")
    assert other.read_bytes() == wheel.read_bytes()


def test_wheel__dated_by_the_commit(tmp_path: Path) -> None:
    source = clone(tmp_path / "source")
    commit = datetime.fromtimestamp(int(git("log", "-1", "--format=%ct", cwd=source)), UTC)
    with zipfile.ZipFile(build(source, tmp_path / "out")) as wheel:
        dates = {entry.date_time for entry in wheel.infolist()}
    # A zip file counts in steps of two seconds.
    assert dates == {(*commit.timetuple()[:5], commit.second // 2 * 2)}


def test_wheel__says_what_no_commit_holds(tmp_path: Path) -> None:
    source = clone(tmp_path / "source")
    (source / "src" / "carnet" / "forgotten.py").write_text('"""New."""\n', encoding="utf-8")
    (source / "src" / "carnet" / "py.typed").write_text("partial\n", encoding="utf-8")
    built = subprocess.run(
        [sys.executable, source / ".ci" / "wheel.py", tmp_path / "out"], capture_output=True, text=True, timeout=100
    )
    assert built.returncode == 0
    assert "src/carnet/py.typed has changed" in built.stderr
    assert "src/carnet/forgotten.py is not tracked, and left out" in built.stderr


def test_wheel__holds_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        assert opened.testzip() is None
        metadata = opened.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    (meta,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    sources = {name.removeprefix("src/") for name in git("ls-files", "-z", "--", "src").split("\0") if name}
    sources = {name for name in sources if name.startswith("carnet/") and (ROOT / "src" / name).is_file()}
    if read_tag(wheel) != PURE:
        sources.add(KERNEL)
    records = {f"{meta}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert names == sources | records
    others = {name for name in sources if not name.endswith(".py")}
    assert {"carnet/proof/verify.mjs", "carnet/web/verify.html", "carnet/py.typed"} <= others
    # A new kind of file is looked at by a person before users get it.
    assert {Path(name).suffix for name in others} <= {
        ".css", ".html", ".js", ".json", ".md", ".mjs", ".po", ".png", ".pyi", ".so", ".svg", ".typed", ".webmanifest",
    }  # fmt: skip
    assert "carnet/vault/migrations/env.py" in names
    assert "carnet/vault/migrations/versions/v0001_first.py" in names
    assert "License-Expression: Apache-2.0" in metadata
    assert "Provides-Extra: server" in metadata


def skip_without_compiler() -> None:
    if (obstacle := find_obstacle()) is not None:
        pytest.skip(f"no kernel can be compiled: {obstacle}")


def check_from_wheel(clean: Clean, state: str | None = None) -> None:
    """The code that runs there is the wheel's, and not this checkout's; and its kernel, if any, is used."""
    where = clean.run_program(clean.python, "-c", "import carnet; print(carnet.__file__)")
    assert where.returncode == 0, where.stderr
    assert Path(where.stdout.strip()).is_relative_to(clean.folder / "venv")
    kernel = clean.run_program(clean.python, "-c", "from carnet.kernel import STATE; print(STATE)")
    assert kernel.stdout.strip() == (state or ("used" if find_obstacle() is None else "absent"))


def test_installed__server_tells_the_whole_story(tmp_path: Path) -> None:
    clean = make_clean(tmp_path / "server", make_wheel(tmp_path / "dist"), "server")
    check_from_wheel(clean)
    version = clean.run("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert re.fullmatch(r"carnet \d+\.\d+\.\d+\S*\n", version.stdout)

    told = clean.run("demo", "--no-serve")
    assert told.returncode == 0, told.stdout[-2_000:] + told.stderr
    doctor = clean.run("doctor", "--home", clean.temporary / "nowhere", "--json").stdout.splitlines()
    (kernel,) = [found for found in map(json.loads, doctor) if found.get("check") == "kernel"]
    assert (kernel["level"], kernel["code"]) in (("ok", "kernel.used"), ("warning", "kernel.absent"))
    (stranger,) = clean.temporary.glob("carnet-demo-*/stranger")
    proof, policy = stranger / "car.carnet", stranger / "network.policy"
    genuine = clean.run("verify", proof, "--policy", policy, "--complete")
    assert genuine.returncode == 0, genuine.stdout + genuine.stderr
    assert "GENUINE" in genuine.stdout

    data = bytearray(proof.read_bytes())
    data[len(data) // 2] ^= 1
    (clean.temporary / "altered.carnet").write_bytes(data)
    altered = clean.run("verify", clean.temporary / "altered.carnet", "--policy", policy)
    assert altered.returncode == 10, altered.stdout + altered.stderr
    assert clean.run("verify", proof).returncode == 11
    assert clean.list_traces() == []


def test_installed__without_the_kernel_tells_the_same_story(tmp_path: Path) -> None:
    clean = make_clean(tmp_path / "pure", make_wheel(tmp_path / "dist", CARNET_KERNEL="off"), "server")
    check_from_wheel(clean, "absent")
    told = clean.run("demo", "--no-serve")
    assert told.returncode == 0, told.stdout[-2_000:] + told.stderr
    (stranger,) = clean.temporary.glob("carnet-demo-*/stranger")
    genuine = clean.run("verify", stranger / "car.carnet", "--policy", stranger / "network.policy", "--complete")
    assert (genuine.returncode, "GENUINE" in genuine.stdout) == (0, True), genuine.stdout + genuine.stderr


def test_installed__light_verifies_and_names_the_missing_extra(tmp_path: Path) -> None:
    clean = make_clean(tmp_path / "light", make_wheel(tmp_path / "dist"))
    check_from_wheel(clean)
    helped = clean.run("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "carnet verify" in helped.stdout
    for package in ("sqlalchemy", "alembic", "cryptography", "pysqlite3"):
        assert clean.run_program(clean.python, "-c", f"import {package}").returncode == 1, package

    vector = json.loads((ROOT / "docs/spec/vectors/bundle-genuine.json").read_text(encoding="utf-8"))
    proof, policy = clean.temporary / "car.carnet", clean.temporary / "network.policy"
    proof.write_bytes(b64decode(vector["bundle"]))
    policy.write_text(vector["policy"], encoding="utf-8")
    verified = clean.run("verify", proof, "--policy", policy, "--at", str(vector["now"]), "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert {name: found["state"] for name, found in json.loads(verified.stdout)["findings"].items()} == {
        name: found["state"] for name, found in vector["report"]["findings"].items()
    }

    rows = clean.temporary / "rows.jsonl"
    rows.write_text("{}\n", encoding="utf-8")
    for verb in (*NODE_VERBS, ("import", "histovec", str(rows))):
        refused = clean.run(*verb)
        assert refused.returncode == 1, verb
        assert "pip install 'carnet[server]'" in refused.stderr, verb
        assert "Traceback" not in refused.stderr, verb
    assert clean.list_traces() == []
