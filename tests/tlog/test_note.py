"""Signed notes: what is read, what is refused, and whose signatures count."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Unverified
from carnet.signing import Signer
from carnet.tlog.note import (
    TYPE_COSIGNATURE,
    TYPE_ED25519,
    NoteSignature,
    VerifierKey,
    is_key_name,
    open_note,
    parse_note,
    sign_note,
    with_cosignature,
    with_signatures_of,
)

NAME = "log.example/one"
TEXT = "first line\n\nafter an empty line: é\n"
SIGNER, OTHER = Signer(bytes(32)), Signer(bytes([1]) * 32)
KEY = VerifierKey(NAME, TYPE_ED25519, SIGNER.public)
WITNESS = VerifierKey("witness.example", TYPE_COSIGNATURE, OTHER.public)
NOTE = sign_note(TEXT, NAME, SIGNER)
names = st.text(min_size=1, max_size=20).filter(is_key_name)


def code_of(data: bytes, *keys: VerifierKey) -> str:
    with pytest.raises(Unverified) as caught:
        open_note(data, keys)
    return caught.value.code


def with_lines(*lines: str) -> bytes:
    return NOTE + "".join(line + "\n" for line in lines).encode()


def a_line(name: str = "someone", blob: bytes = b"\0\1\2\3signature") -> str:
    return f"— {name} {base64.b64encode(blob).decode()}"


def test_sign_note__opens_with_its_key() -> None:
    note, verified = open_note(NOTE, [KEY])
    assert note.text == TEXT
    assert [(signature.key, signature.time_s) for signature in verified] == [(KEY, None)]
    assert note.format() == NOTE


@given(names, st.sampled_from([TYPE_ED25519, TYPE_COSIGNATURE]), st.binary(min_size=32, max_size=32))
def test_verifier_key__format_and_parse(name: str, kind: int, seed: bytes) -> None:
    key = VerifierKey(name, kind, Signer(seed).public)
    assert VerifierKey.parse(key.format()) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        KEY.format().upper(),
        KEY.format().replace(KEY.key_id.hex(), "00000000"),
        KEY.format().replace("log.example", "Log.example"),
        KEY.format() + "=",
        KEY.format()[:-1],
        "+" + KEY.format(),
        "a b" + KEY.format(),
        f"{NAME}+{KEY.key_id.hex()}+",
        f"{NAME}+{KEY.key_id.hex()}+AQ==",
        f"{NAME}+{KEY.key_id.hex()}+" + base64.b64encode(b"\x01" + bytes(32)).decode(),
    ],
)
def test_verifier_key__refused_key_malformed(text: str) -> None:
    with pytest.raises(Unverified) as caught:
        VerifierKey.parse(text)
    assert caught.value.code == "key_malformed"


def test_verifier_key__refused_key_type_unknown() -> None:
    with pytest.raises(Unverified) as caught:
        VerifierKey.parse(f"{NAME}+{KEY.key_id.hex()}+" + base64.b64encode(b"\x06" + bytes(1312)).decode())
    assert caught.value.code == "key_type_unknown"


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u00a0b", "a\u2003", "a\u3000b", "a\x85b", "a\nb", "a\tb", "\x00", "\ud800"]
)
def test_is_key_name__refuses(name: str) -> None:
    assert not is_key_name(name)
    with pytest.raises(Unverified, match="name"):
        VerifierKey(name, TYPE_ED25519, SIGNER.public)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        TEXT.encode(),
        TEXT.encode() + b"\n",
        NOTE[:-1],
        NOTE + b"\n",
        NOTE.replace(b"first", b"fir\x00t"),
        NOTE.replace(b"first", b"fir\tt"),
        NOTE.replace(b"first line\n", b"first line\r\n"),
        NOTE.replace(b"first", b"\xff"),
        with_lines("no dash"),
        with_lines("—name AAAAAAA="),
        with_lines("- name AAAAAAA="),
        with_lines("— name"),
        with_lines("— name "),
        with_lines("— name  AAAAAAA="),
        with_lines("—  AAAAAAA="),
        with_lines("— na+me AAAAAAA="),
        with_lines("— na\u00a0me AAAAAAA="),
        with_lines("— name AAAAAAA= "),
        with_lines("— name AAAAAAB="),
        with_lines("— name AAAA AAA="),
        with_lines("— name AAAAAA=="),
        with_lines(*[a_line()] * 100),
    ],
)
def test_parse_note__refused_note_malformed(data: bytes) -> None:
    with pytest.raises(Unverified) as caught:
        parse_note(data)
    assert caught.value.code == "note_malformed"
    assert code_of(data, KEY) == "note_malformed"


def test_parse_note__takes_a_hundred_lines_and_ignores_the_unknown() -> None:
    data = with_lines(*[a_line()] * 99)
    note, verified = open_note(data, [KEY])
    assert len(note.signatures) == 100
    assert len(verified) == 1
    assert with_signatures_of(data, [KEY]) == NOTE


def test_open_note__ignores_a_known_name_with_another_id_and_the_reverse() -> None:
    data = with_lines(
        a_line(NAME, b"\0\0\0\0" + bytes(64)), a_line("someone", KEY.key_id + bytes(64)), a_line("pq", bytes(2424))
    )
    assert len(open_note(data, [KEY, WITNESS])[1]) == 1


def test_open_note__refused_note_unsigned() -> None:
    assert code_of(NOTE) == "note_unsigned"
    assert code_of(NOTE, WITNESS, VerifierKey(NAME, TYPE_ED25519, OTHER.public)) == "note_unsigned"
    # The same public key under another type is another key.
    assert code_of(NOTE, VerifierKey(NAME, TYPE_COSIGNATURE, SIGNER.public)) == "note_unsigned"


def test_open_note__refused_note_signature_invalid() -> None:
    assert code_of(NOTE.replace(b"first", b"First"), KEY) == "note_signature_invalid"
    # A second line by a known key is checked too, wherever it stands.
    assert code_of(with_lines(a_line(NAME, KEY.key_id + bytes(64))), KEY) == "note_signature_invalid"
    assert code_of(with_lines(a_line(NAME, KEY.key_id + b"short")), KEY) == "note_signature_invalid"


def test_with_cosignature__says_when() -> None:
    data = with_cosignature(NOTE, WITNESS.name, OTHER, 1_700_000_000)
    assert data.startswith(NOTE)
    assert [(found.key, found.time_s) for found in open_note(data, [KEY, WITNESS])[1]] == [
        (KEY, None),
        (WITNESS, 1_700_000_000),
    ]
    assert with_signatures_of(data, [KEY]) == NOTE


@given(st.integers(0, len(NOTE) * 8 - 1))
def test_open_note__refused_one_flipped_bit(bit: int) -> None:
    changed = bytearray(NOTE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Unverified):
        open_note(bytes(changed), [KEY])


def test_sign_note__refuses_a_text_that_no_reader_would_read() -> None:
    for text in ("no newline", "", "tab\t\n", "return\r\n"):
        with pytest.raises(ValueError, match="newline"):
            sign_note(text, NAME, SIGNER)
    assert NoteSignature(NAME, b"\0\0\0\0", b"x").format() == f"— {NAME} AAAAAHg=\n"
