"""docs/reasons.md and the list of reasons are one: same codes, same order; and each reason is provoked by some test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from carnet.errors import Reason
from tests.shared import ROOT

DOCUMENT = ROOT / "docs" / "reasons.md"
RETRY = {"no", "yes", "sometimes"}


def read_table() -> list[list[str]]:
    """The rows of every table of the document: code, meaning, source, what to do, retry."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in DOCUMENT.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    return [[row[0].strip("`"), *row[1:]] for row in rows]


def read_tests() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path != Path(__file__).resolve()
    }


def is_provoked(reason: Reason, texts: dict[str, str]) -> bool:
    """Whether a test is named after the reason, or names it. Plain texts do not count: verifiers share some codes."""
    pattern = re.compile(rf"\bReason\.{reason.name}\b|def test_\w+__refused_{reason.value}(?:__|\()")
    return any(pattern.search(text) for text in texts.values())


def test_reasons__are_documented_in_their_order_of_precedence() -> None:
    assert [row[0] for row in read_table()] == [reason.value for reason in Reason]


def test_reasons__say_what_it_means_and_what_to_do_next() -> None:
    for row in read_table():
        assert len(row) == 5, row
        assert all(row), row
        assert row[4] in RETRY, row


def test_reasons__sections_are_those_of_the_list() -> None:
    headings = re.findall(r"^## (\d)\. ([^\n]+)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    source = (ROOT / "src" / "carnet" / "errors.py").read_text(encoding="utf-8")
    assert headings == re.findall(r"^    # (\d)\. ([^\n]+?)\.$", source, re.MULTILINE)


def test_reasons__clauses_exist() -> None:
    spec = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "spec").glob("[1-5]-*.md")))
    for code, _, source, *_ in read_table():
        for clause in re.findall(r"\d\.\d+", source):
            assert re.search(rf"\*\*{re.escape(clause)}[ *]", spec), (code, clause)


def test_reasons__that_can_be_retried_are_those_that_the_code_says() -> None:
    """Each place that raises with `could_retry` is documented as one that may help, and no other reason is."""
    found: set[str] = set()
    for path in sorted((ROOT / "src" / "carnet").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not any(keyword.arg == "could_retry" for keyword in node.keywords):
                continue
            names = [
                one.attr
                for one in ast.walk(node)
                if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == "Reason"
            ]
            assert names, f"{path.relative_to(ROOT)}:{node.lineno}: could_retry without a reason"
            found.update(Reason[name].value for name in names)
    assert found == {row[0] for row in read_table() if row[4] != "no"}


def test_reasons__each_is_provoked_by_a_test() -> None:
    texts = read_tests()
    assert [reason.value for reason in Reason if not is_provoked(reason, texts)] == []
