"""The second verifier's own tests, and its command line, run from here so that one runner answers for both."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from carnet.proof.verify import verify_bundle
from carnet.tlog.policy import parse_policy
from tests.proof.javascript import VERIFIER, need_node
from tests.shared import ROOT, shared_file
from tests.vectors import SCENARIOS


def test_javascript__its_own_tests_pass() -> None:
    node = need_node()
    shared_file("data", "conformance")
    files = sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.test.mjs"))
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, cwd=ROOT, timeout=280)
    counts = {name: int(count) for name, count in re.findall(r"^# (tests|pass|fail|skipped) (\d+)$", done.stdout, re.M)}
    if not counts:
        counts = {
            name: int(count) for name, count in re.findall(r"^ℹ (tests|pass|fail|skipped) (\d+)$", done.stdout, re.M)
        }
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts["fail"] == 0
    assert counts["skipped"] == 0
    assert counts["pass"] == counts["tests"] > 100


def test_javascript__command_line_answers_as_python(tmp_path: Path) -> None:
    node = need_node()
    for name, wanted in (("genuine", 0), ("refused_value_changed", 10), ("no_policy", 11), ("too_old", 12)):
        vector = SCENARIOS[name].make()
        bundle, policy = tmp_path / "b.carnet", tmp_path / "policy"
        bundle.write_bytes(vector.bundle)
        policy.write_bytes(vector.policy or b"")
        command = [node, str(VERIFIER), str(bundle), *([str(policy)] if vector.policy else []), "--at", str(vector.now)]
        if vector.max_age is not None:
            command += ["--max-age", f"{vector.max_age // 1000}s"]
        if vector.complete:
            command.append("--complete")
        done = subprocess.run(command, capture_output=True, timeout=60)
        assert done.returncode == wanted, done
        assert done.stderr == b""
        given = json.loads(done.stdout)
        plain = verify_bundle(vector.bundle, parse_policy(vector.policy) if vector.policy else None, vector.now)
        assert given["findings"] == plain.to_document()["findings"]


def test_javascript__a_missing_file_is_not_a_finding(tmp_path: Path) -> None:
    done = subprocess.run([need_node(), str(VERIFIER), str(tmp_path / "nothing")], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"nothing" in done.stderr


def test_javascript__wrong_usage_is_2(tmp_path: Path) -> None:
    done = subprocess.run([need_node(), str(VERIFIER), "a", "--max-age", "soon"], capture_output=True, timeout=60)
    assert done.returncode == 2
