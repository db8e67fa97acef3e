"""docs/security.md names tests: each of them is there."""

from __future__ import annotations

import re

from tests.shared import ROOT

PAGE = ROOT / "docs" / "security.md"


def test_security__each_test_that_is_named_exists() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 30
    assert named - there == set()


def test_security__each_line_has_a_claim_and_a_test() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| \d", line):
            number, claim, tests = line.strip("| ").split(" | ")
            assert number.isdigit()
            assert claim
            assert "`test_" in tests
