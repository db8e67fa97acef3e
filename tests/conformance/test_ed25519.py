"""CCTV and Wycheproof: the edges of Ed25519, and one accepted set for both verifiers."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from carnet.signing import verify
from tests.conformance.ed25519 import KEPT, Vector, accepted_set, read_vectors
from tests.shared import ROOT, shared_file

SECOND_VERIFIER = ROOT / "src" / "carnet" / "proof" / "verify.mjs"
# What the format refuses before the equation, or by the equation without a cofactor, in the words of the CCTV vectors.
REFUSED_FLAGS = {"low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue", "reencoded_k"}


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    return list(
        read_vectors(
            shared_file("data", "conformance", "cctv_ed25519", "ed25519", "ed25519vectors.json"),
            shared_file("data", "conformance", "wycheproof", "ed25519_test.json"),
        )
    )


def test_cctv__accepts_exactly_what_the_rule_accepts(vectors: list[Vector]) -> None:
    cctv = [vector for vector in vectors if vector.id.startswith("cctv:")]
    assert len(cctv) == 914
    for vector in cctv:
        verdict = verify(vector.public, vector.message, vector.signature)
        assert verdict == (not vector.flags & REFUSED_FLAGS), vector


def test_wycheproof__agrees_with_every_verdict(vectors: list[Vector]) -> None:
    wycheproof = [vector for vector in vectors if vector.id.startswith("wycheproof:")]
    assert len(wycheproof) == 151
    for vector in wycheproof:
        assert verify(vector.public, vector.message, vector.signature) == vector.is_valid, vector


def test_accepted_set__is_the_one_that_is_kept() -> None:
    files = (
        shared_file("data", "conformance", "cctv_ed25519", "ed25519", "ed25519vectors.json"),
        shared_file("data", "conformance", "wycheproof", "ed25519_test.json"),
    )
    assert accepted_set(*files) == KEPT.read_text()


def test_accepted_set__is_that_of_the_second_verifier(vectors: list[Vector]) -> None:
    node = shutil.which("node")
    if node is None or not SECOND_VERIFIER.exists():
        pytest.skip("the second verifier cannot run: no node on this machine")
    asked = "".join(
        json.dumps({"key": vector.public.hex(), "message": vector.message.hex(), "signature": vector.signature.hex()})
        + "\n"
        for vector in vectors
    )
    run = subprocess.run(
        [node, str(SECOND_VERIFIER), "--ed25519"], input=asked, capture_output=True, text=True, check=True, timeout=120
    )
    verdicts = run.stdout.split()
    accepted = [vector.id for vector, verdict in zip(vectors, verdicts, strict=True) if verdict == "true"]
    assert accepted == json.loads(KEPT.read_text())
