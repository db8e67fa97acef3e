"""A home that this user may not write, or not read: what can be read is, and what cannot be done says whose it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carnet.vault.disk import is_frozen
from tests.cli.run import COMMAND, Ran, carnet, make_env, make_inspection, make_line

NOBODY = 65_534
VEHICLE = "histovec:HV000001"


@pytest.fixture
def home() -> Iterator[Path]:
    """A node with one vehicle, in a folder that others may look into, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home, file = Path(folder) / "home", Path(folder) / "one.jsonl"
        file.write_bytes(make_line("HV000001", make_inspection()))
        assert carnet("import", "histovec", file, home=home).code == 0
        yield home
        home.chmod(0o700)


def run_as(user: int, home: Path, *words: str) -> Ran:
    """A verb as another user; needs root."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can run a command as another user")
    command = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *COMMAND, *words]
    ran = subprocess.run(
        command, env=make_env(home), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    if "Permission denied" in ran.stderr and "carnet" not in ran.stderr and ran.returncode in (126, 127):
        pytest.skip("another user cannot run this Python")
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def freeze(home: Path) -> Callable[..., Ran]:
    """Let nobody write the home, and let a user who is not root read it; runs a verb as them."""
    for file in [*home.iterdir(), home]:
        if os.geteuid() == 0:
            os.chown(file, NOBODY, NOBODY)
        file.chmod(0o400 if file.is_file() else 0o500)
    return lambda *words: run_as(NOBODY, home, *words) if os.geteuid() == 0 else carnet(*words, home=home)


def test_read__from_a_home_that_nobody_may_write(home: Path) -> None:
    run = freeze(home)
    assert is_frozen(home / "node.db")
    for words in (("status",), ("show", VEHICLE), ("export", VEHICLE, "-o", "-"), ("fsck",), ("checkpoint",)):
        ran = run(*words)
        assert ran.code == 0, (words, ran.err)
    ran = run("census")
    assert ran.code == 1
    assert "writer.lock: Permission denied" in ran.err
    assert "chown" in ran.err
    assert sorted(file.name for file in home.iterdir() if file.suffix in (".db-wal", ".db-shm")) == []


def test_read__accounts_from_a_home_that_nobody_may_write(home: Path) -> None:
    """Whoever looks into a copy of a home, after something has happened there, asks for its audit trail above all."""
    words = ("client", "add", "--name", "Workshop", "--member", "Operator of this node", "--scope", "files")
    made = carnet(*words, home=home)
    assert made.code == 0, made.err
    run = freeze(home)
    for words, wanted in (
        (("account", "list"), "since"),
        (("account", "events"), "client.created"),
        (("audit", "list", "--json"), "client.created"),
        (("client", "list"), "Workshop"),
        (("approval", "list"), "until"),
        (("quota", "list"), "since"),
        (("webhook", "list"), "since"),
        (("claim", "contests"), "since"),
    ):
        ran = run(*words)
        assert (ran.code, wanted in ran.out) == (0, True), (words, ran)
    # What writes says that it cannot: that the trail was taken out stands in it too.
    for words in (("audit", "export", "-o", str(home.parent / "trail.csv")), ("account", "add-operator")):
        ran = run(*words)
        assert (ran.code, "(code: store_unreachable)" in ran.err) == (1, True), (words, ran)
    assert sorted(file.name for file in home.glob("people*")) == ["people.sqlite"]


def test_read__accounts_from_a_frozen_home_that_has_none(home: Path) -> None:
    run = freeze(home)
    ran = run("account", "list")
    assert (ran.code, "nobody has an account here" in ran.err) == (1, True), ran


def test_is_frozen__not_where_a_log_is_or_may_be(home: Path) -> None:
    """What stands in the log only would not be seen."""
    assert not is_frozen(home / "node.db")
    (home / "node.db-wal").write_bytes(b"rows")
    home.chmod(0o500)
    assert not is_frozen(home / "node.db")
    home.chmod(0o700)
    (home / "node.db-wal").unlink()


def test_any_verb__in_the_home_of_another_user(home: Path) -> None:
    """Never called damage, and nobody is sent to restore a backup."""
    home.chmod(0o755)
    (home / "keys.json").chmod(0o644)
    ran = run_as(NOBODY, home, "show", VEHICLE)
    assert ran.code == 1
    assert "node.db is of user 0" in ran.err
    assert "chown" in ran.err
    assert "sqlalche" not in ran.err
    assert "(code: store_unreachable)" in ran.err
    home.chmod(0o700)
    for words in (("show", VEHICLE), ("init",)):
        ran = run_as(NOBODY, home, *words)
        assert (ran.code, "Permission denied" in ran.err, "chown" in ran.err) == (1, True, True), ran.err
    ran = run_as(NOBODY, home, "doctor")
    assert ran.code == 1
    assert "chown -R" in ran.out
    assert "restore a backup" not in ran.out
