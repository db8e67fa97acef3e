"""Switching the application's filter off drops what says whose a row is, and nothing else of a statement."""

from __future__ import annotations

import pytest

from tests.filter_off import drop_conditions

STATEMENTS = [
    ("SELECT x FROM client WHERE id = ? AND member = ?", "SELECT x FROM client WHERE id = ? AND (member = ? OR true)"),
    ("SELECT x FROM contest WHERE (claimant = ? OR holder = ?)",
     "SELECT x FROM contest WHERE ((claimant = ? OR true) OR (holder = ? OR true))"),
    ("UPDATE claim_code SET account = ? WHERE digest = ?", "UPDATE claim_code SET account = ? WHERE digest = ?"),
    ("SELECT logo FROM appearance WHERE member = ?", "SELECT logo FROM appearance WHERE member = ?"),
    ("INSERT INTO client (id, member) VALUES (?, ?)", "INSERT INTO client (id, member) VALUES (?, ?)"),
]  # fmt: skip


@pytest.mark.parametrize("statement, wanted", STATEMENTS)
def test_drop_conditions__of_what_says_whose_a_row_is(statement: str, wanted: str) -> None:
    assert drop_conditions(statement) == wanted
