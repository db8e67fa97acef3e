"""The second verifier's own tests, and its command line, run from here so that one runner answers for both."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from carnet.errors import Unverified
from carnet.proof.verify import verify_bundle
from carnet.tlog.policy import MAX_POLICY_BYTES, MAX_POLICY_LINES, parse_policy
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


SMALL_POLICY = (SCENARIOS["genuine"].make().policy or b"") + b"\n"


@pytest.mark.parametrize(
    "data, is_read",
    [
        (SMALL_POLICY + b"#" * (MAX_POLICY_BYTES - len(SMALL_POLICY) - 1) + b"\n", True),
        (SMALL_POLICY + b"#" * (MAX_POLICY_BYTES - len(SMALL_POLICY)) + b"\n", False),
        # Fewer letters than bytes: bytes count.
        (SMALL_POLICY + b"#" + "é".encode() * (MAX_POLICY_BYTES // 2) + b"\n", False),
        (SMALL_POLICY + b"\n" * (MAX_POLICY_LINES - SMALL_POLICY.count(b"\n")), True),
        (SMALL_POLICY + b"\n" * (MAX_POLICY_LINES + 1 - SMALL_POLICY.count(b"\n")), False),
    ],
    ids=["as large as may be", "larger", "larger in bytes alone", "as long as may be", "longer"],
)
def test_javascript__reads_policies_as_large_as_python_does(tmp_path: Path, data: bytes, is_read: bool) -> None:
    node, vector = need_node(), SCENARIOS["genuine"].make()
    bundle, policy = tmp_path / "b.carnet", tmp_path / "policy"
    bundle.write_bytes(vector.bundle)
    policy.write_bytes(data)
    done = subprocess.run(
        [node, str(VERIFIER), str(bundle), str(policy), "--at", str(vector.now)], capture_output=True, timeout=60
    )
    assert done.returncode == (0 if is_read else 1), done.stderr
    if is_read:
        assert parse_policy(data)
    else:
        with pytest.raises(Unverified) as refused:
            parse_policy(data)
        assert refused.value.code == "policy_malformed"


def test_javascript__a_missing_file_is_not_a_finding(tmp_path: Path) -> None:
    done = subprocess.run([need_node(), str(VERIFIER), str(tmp_path / "nothing")], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"nothing" in done.stderr


def test_javascript__wrong_usage_is_2(tmp_path: Path) -> None:
    done = subprocess.run([need_node(), str(VERIFIER), "a", "--max-age", "soon"], capture_output=True, timeout=60)
    assert done.returncode == 2
