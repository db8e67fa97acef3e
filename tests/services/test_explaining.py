"""Every code of the verifier has its sentence, and no sentence is for a code that does not exist."""

from __future__ import annotations

import re

from carnet.proof.verify import CANNOT_TELL, FAILED, GENUINE, NOT_AS_ASKED, Verdict
from carnet.services.explaining import BASES, FINDINGS, SENTENCES, VERDICTS
from carnet.types import Basis
from tests.proof.test_vectors import NOT_CODES, SPEC


def test_sentences__cover_each_code_of_the_specification() -> None:
    codes = set(re.findall(r"`([a-z][a-z0-9_]+)`", SPEC.read_text(encoding="utf-8"))) - NOT_CODES
    assert codes == set(SENTENCES)


def test_sentences__are_sentences() -> None:
    for code, sentence in SENTENCES.items():
        assert sentence[0].isupper(), code
        assert sentence.endswith("."), code
        assert len(sentence) <= 120, code


def test_verdicts__name_each_exit_code_finding_and_basis() -> None:
    assert set(VERDICTS) == {GENUINE, FAILED, CANNOT_TELL, NOT_AS_ASKED}
    assert set(FINDINGS) == set(Verdict().findings)
    assert set(BASES) == set(Basis)
