"""Checkpoints and cosignatures: the three lines, who signed them, and when they were seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import MAX_INTEGER
from carnet.errors import Unverified
from carnet.signing import Signer
from carnet.tlog.checkpoint import Checkpoint, format_body, log_key, open_checkpoint, parse_body, sign_checkpoint
from carnet.tlog.cosignature import (
    COSIGNATURE_BYTES,
    compute_cosigned_message,
    find_cosigned_time,
    sign_cosignature,
)
from carnet.tlog.note import TYPE_COSIGNATURE, TYPE_ED25519, NoteSignature, VerifierKey, sign_note, with_cosignature
from carnet.tlog.tree import EMPTY_ROOT

LOG, OTHER, FIRST, SECOND = (Signer(bytes((number,)) * 32) for number in range(4))
CHECKPOINT = Checkpoint("test.example/" + "ab" * 32, 7, bytes(range(32)))
KEY = log_key(CHECKPOINT.origin, LOG.public)
WITNESSES = [VerifierKey("w/1", TYPE_COSIGNATURE, FIRST.public), VerifierKey("w/2", TYPE_COSIGNATURE, SECOND.public)]
NOTE = sign_checkpoint(CHECKPOINT, LOG)
BODY = format_body(CHECKPOINT)


def code_of(data: bytes, key: VerifierKey = KEY) -> str:
    with pytest.raises(Unverified) as caught:
        open_checkpoint(data, key, WITNESSES)
    return caught.value.code


def test_format_body__is_three_lines() -> None:
    assert f"test.example/{'ab' * 32}\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" == BODY
    assert parse_body(BODY) == CHECKPOINT


@given(st.integers(1, MAX_INTEGER), st.binary(min_size=32, max_size=32))
def test_sign_checkpoint__opens(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(CHECKPOINT.origin, size, root)
    opened = open_checkpoint(sign_checkpoint(checkpoint, LOG), KEY)
    assert opened.checkpoint == checkpoint
    assert opened.cosignatures == ()


def test_open_checkpoint__gives_the_cosignatures_of_known_witnesses() -> None:
    data = with_cosignature(NOTE, "w/2", SECOND, 20)
    data = with_cosignature(data, "w/1", FIRST, 10)
    data = with_cosignature(data, "w/unknown", OTHER, 30)
    data = with_cosignature(data, "w/1", FIRST, 11)
    assert [(seen.key.name, seen.time_s) for seen in open_checkpoint(data, KEY, WITNESSES).cosignatures] == [
        ("w/2", 20),
        ("w/1", 10),
        ("w/1", 11),
    ]
    assert open_checkpoint(data, KEY).cosignatures == ()


@pytest.mark.parametrize(
    "body",
    [
        "o\n1\n",
        BODY + "extension\n",
        BODY.replace("\n7\n", "\n07\n"),
        BODY.replace("\n7\n", "\n+7\n"),
        BODY.replace("\n7\n", "\n7 \n"),
        BODY.replace("\n7\n", "\n-7\n"),
        BODY.replace("\n7\n", "\n٧\n"),
        BODY.replace("\n7\n", "\n9007199254740992\n"),
        BODY.replace("\n7\n", "\n" + "9" * 5_000 + "\n"),
        BODY.replace("\n7\n", "\n0\n"),
        BODY.replace("=\n", "\n"),
        BODY.replace("h8=", "h9="),
        BODY.replace("Hh8=", "Hg=="),
        "\n" + BODY.partition("\n")[2],
        BODY.replace("\n7", "\n\n7"),
    ],
)
def test_open_checkpoint__refused_checkpoint_malformed(body: str) -> None:
    with pytest.raises(Unverified) as caught:
        parse_body(body)
    assert caught.value.code == "checkpoint_malformed"
    assert code_of(sign_note(body, CHECKPOINT.origin, LOG)) == "checkpoint_malformed"


def test_parse_body__takes_the_empty_log() -> None:
    assert parse_body(format_body(Checkpoint("o", 0, EMPTY_ROOT))).size == 0
    with pytest.raises(Unverified):
        Checkpoint("o\n", 1, bytes(32))


def test_open_checkpoint__refused_by_its_own_reason() -> None:
    assert code_of(b"nothing") == "note_malformed"
    assert code_of(NOTE, log_key("another.example", LOG.public)) == "origin_mismatch"
    assert code_of(NOTE, log_key(CHECKPOINT.origin, OTHER.public)) == "log_signature_missing"
    assert code_of(with_cosignature(NOTE, "w/1", FIRST, 1).replace(b"\n7\n", b"\n8\n")) == "log_signature_invalid"
    forged = NoteSignature("w/1", WITNESSES[0].key_id, bytes(72)).format().encode()
    assert code_of(NOTE + forged) == "cosignature_invalid"
    assert code_of(NOTE + NoteSignature(KEY.name, KEY.key_id, bytes(64)).format().encode()) == "log_signature_invalid"
    # A witness alone does not make a log.
    alone = sign_note(BODY, "stranger", OTHER)
    assert code_of(with_cosignature(alone, "w/1", FIRST, 1)) == "log_signature_missing"


def test_cosignature__is_that_of_the_specification() -> None:
    body = BODY.encode()
    assert compute_cosigned_message(body, 1679315147) == b"cosignature/v1\ntime 1679315147\n" + body
    blob = sign_cosignature(body, 1679315147, FIRST)
    assert len(blob) == COSIGNATURE_BYTES == 72
    assert find_cosigned_time(body, FIRST.public, blob) == 1679315147


@given(st.integers(0, MAX_INTEGER), st.integers(0, 72 * 8 - 1))
def test_cosignature__refused_one_flipped_bit(time_s: int, bit: int) -> None:
    blob = bytearray(sign_cosignature(BODY.encode(), time_s, FIRST))
    assert find_cosigned_time(BODY.encode(), FIRST.public, bytes(blob)) == time_s
    blob[bit // 8] ^= 1 << bit % 8
    assert find_cosigned_time(BODY.encode(), FIRST.public, bytes(blob)) is None


def test_cosignature__refused_beyond_the_safe_times_and_other_sizes() -> None:
    late = 2**53
    signed = late.to_bytes(8, "big") + FIRST.sign(compute_cosigned_message(BODY.encode(), late))
    assert find_cosigned_time(BODY.encode(), FIRST.public, signed) is None
    assert find_cosigned_time(BODY.encode(), FIRST.public, signed[8:]) is None
    with pytest.raises(ValueError, match="u64"):
        sign_cosignature(BODY.encode(), late, FIRST)
    # A plain note signature is no cosignature, and the reverse.
    assert find_cosigned_time(BODY.encode(), FIRST.public, bytes(8) + FIRST.sign(BODY.encode())) is None
    assert KEY.type == TYPE_ED25519
