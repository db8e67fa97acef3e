"""Every golden vector, by both verifiers; and every answer that the specification names has a vector."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.proof.assemble import Selection
from carnet.proof.verify import Asked, verify_bundle
from carnet.tlog.policy import parse_policy
from tests.proof.javascript import make_job, run_batch
from tests.shared import ROOT
from tests.vectors import DIRECTORY, SCENARIOS, answer, scene, to_document

SPEC = ROOT / "docs" / "spec" / "5-verify.md"

# Words in backquotes of chapter 5 that are not codes: states, members of the report, names of fields and options.
NOT_CODES = set(
    """
    cj u64 node alg alias asked at batches by
    cannot_tell carnet chain complete contested contested_by count covers custody d
    disputed disputed_since epoch erased expires failed fields forked_from
    from group h height history journal kind links location
    log m mark max_age name not_judged now null occurred ok passport plate precision quorum record report retired
    revoked role roles s scheme shown sid sig since source stands state subject superseded superseded_by target
    tip until vault withheld witness
    """.split()
)


def load(path: Path) -> tuple[dict[str, Any], bytes, Asked]:
    document = json.loads(path.read_text(encoding="utf-8"))
    spelled, asked = document["bundle"], document["asked"]
    if isinstance(spelled, dict):
        bundle = spelled["character"].encode() * spelled["count"]
    else:
        bundle = base64.b64decode(spelled)
    return (
        document,
        bundle,
        Asked(
            complete=asked["complete"],
            max_age=asked["max_age"],
            since=None if asked["since"] is None else base64.b64decode(asked["since"]),
            subject=asked["subject"],
            passport=None if asked["passport"] is None else bytes.fromhex(asked["passport"]),
        ),
    )


def files() -> list[Path]:
    return sorted(DIRECTORY.glob("bundle-*.json"))


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_vector__answers_as_the_specification_says(name: str) -> None:
    found = SCENARIOS[name]
    report = json.loads(answer(found.make()))
    code = report["findings"][found.finding]["code"] if found.finding else next(iter(report["asked"]), None)
    assert (report["exit"], code) == (found.exit_code, found.code)
    assert (report["report"] is None) == (found.exit_code == 10 or code == "unknown_version")


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_vector__is_the_file_that_is_kept(name: str) -> None:
    vector = SCENARIOS[name].make()
    kept = json.loads((DIRECTORY / f"bundle-{name}.json").read_text(encoding="utf-8"))
    assert to_document(SCENARIOS[name], vector, answer(vector)) == kept


def test_vectors__python_reads_the_kept_files() -> None:
    assert len(files()) == len(SCENARIOS)
    for path in files():
        document, bundle, asked = load(path)
        policy = None if document["policy"] is None else parse_policy(document["policy"].encode())
        assert verify_bundle(bundle, policy, document["now"], asked).to_document() == document["report"], path.name


def test_vectors__javascript_agrees() -> None:
    jobs, wanted = [], []
    for path in files():
        document, bundle, asked = load(path)
        policy = None if document["policy"] is None else document["policy"].encode()
        jobs.append(make_job(bundle, policy, document["now"], asked))
        wanted.append((path.name, document["report"]))
    answers = run_batch(jobs)
    assert len(answers) == len(wanted)
    for (name, report), line in zip(wanted, answers, strict=True):
        assert json.loads(line) == report, name


def test_specification__every_code_has_a_vector() -> None:
    words = set(re.findall(r"`([a-z][a-z0-9_]+)`", SPEC.read_text(encoding="utf-8")))
    codes = words - NOT_CODES
    covered = {found.code for found in SCENARIOS.values()}
    assert codes - covered == set()
    assert covered - words - {None} == set()


def read_clauses() -> set[str]:
    """The numbers of all clauses."""
    return {
        number
        for path in SPEC.parent.glob("[1-5]-*.md")
        for number in re.findall(r"^\*\*(\d\.\d+)[ *]", path.read_text(encoding="utf-8"), re.M)
    }


def test_specification__every_clause_has_a_vector() -> None:
    clauses = read_clauses()
    kept = json.loads((DIRECTORY / "bytes.json").read_text(encoding="utf-8"))["vectors"]
    named = [*(clause for found in SCENARIOS.values() for clause in found.clause.split())]
    named += [clause for vector in kept for clause in vector["clause"].split()]
    covered = {".".join(clause.split(".")[:2]) for clause in named}
    assert covered - clauses == set()
    # 5.11 is the command line of both verifiers: test_javascript.py and tests/cli run it.
    # 1.6 is the tag of every hashed structure: bytes.json spells one for each of them.
    assert clauses - covered == {"5.11", "1.6"}


def test_assemble__refused_proof_too_large__for_what_no_verifier_reads() -> None:
    """Commas within texts count too (5.3.1): a few entries full of them would have every proof of a passport called
    altered."""
    set_ = scene(is_lax=True, readings=1)
    parts = [{"label": "," * 200, "reference": "," * 64, "serial": "," * 64}] * 200
    for _ in range(32):
        set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", {"parts": parts}, validate=False)
    with pytest.raises(Refused) as caught:
        set_.world.bundle(set_.chain)
    assert caught.value.reason is Reason.PROOF_TOO_LARGE
    less = set_.world.bundle(set_.chain, Selection(is_shown=lambda seq, kind: seq < 20))
    assert verify_bundle(less, None, set_.world.at).integrity.state == "ok"
