"""The second verifier as the tests drive it: many bundles through one Node process."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any

import pytest

from carnet.proof.verify import Asked
from tests.shared import ROOT

VERIFIER = ROOT / "src" / "carnet" / "proof" / "verify.mjs"


def need_node() -> str:
    """The path of a Node of version 20 or newer; skips the test, saying why, where there is none."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js (20 or newer) is not installed: the JavaScript verifier was not run")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"Node.js {version.strip()} is older than 20: the JavaScript verifier was not run")
    return node


def spell_subject(subject: dict[str, Any] | None) -> str | None:
    """A subject as the command line takes it."""
    if subject is None:
        return None
    return ":".join([subject["scheme"], *([subject["country"]] if "country" in subject else []), subject["value"]])


def make_job(bundle: bytes, policy: bytes | None, now: int, asked: Asked = Asked()) -> str:  # noqa: B008
    """One line of the verifier's batch mode."""
    return json.dumps(
        {
            "bundle": base64.b64encode(bundle).decode(),
            "complete": asked.complete,
            "max_age": asked.max_age,
            "now": now,
            "passport": None if asked.passport is None else asked.passport.hex(),
            "policy": None if policy is None else policy.decode(),
            "since": None if asked.since is None else base64.b64encode(asked.since).decode(),
            "subject": spell_subject(asked.subject),
        }
    )


def run_batch(jobs: Iterable[str], mode: str = "--batch", timeout_s: int = 280) -> list[str]:
    """The answers of the JavaScript verifier, one line for each job."""
    node = need_node()
    done = subprocess.run(
        [node, str(VERIFIER), mode], input="\n".join(jobs) + "\n", capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    # Not splitlines: an answer may hold characters at which that breaks a line too.
    return done.stdout.removesuffix("\n").split("\n")
