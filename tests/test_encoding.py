"""The canonical encoding: one spelling per value, and everything else refused."""

from __future__ import annotations

import json
import time
import tracemalloc

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import (
    MAX_INTEGER,
    SafeInteger,
    b64,
    decode,
    decode_as,
    encode,
    encode_trusted,
    is_key,
    lp,
    parse_json,
    sha256,
    tag,
    u8,
    u32,
    u64,
    unb64,
)
from carnet.errors import Reason, Refused, Unverified

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
FORBIDDEN = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))] + list(BIDI) + ["\ud800", "\udbff", "\udfff"]

keys = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True)
texts = st.text().filter(lambda text: not any(character in FORBIDDEN for character in text))
scalars = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def nested(depth: int) -> object:
    value: object = 0
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


class Point(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A small typed record."""

    name: str
    x: SafeInteger


def reason_of(data: bytes) -> Reason:
    with pytest.raises(Refused) as caught:
        parse_json(data)
    return caught.value.reason


@given(values)
def test_encode__equals_rfc_8785(value: object) -> None:
    assert encode(value) == rfc8785.dumps(value) == encode_trusted(value)  # type: ignore[arg-type]


@given(values)
def test_decode__is_the_inverse_of_encode(value: object) -> None:
    assert decode(encode(value)) == value


@given(values, st.data())
def test_decode__refuses_every_other_spelling(value: object, data: st.DataObject) -> None:
    encoded = encode(value)
    at = data.draw(st.integers(0, len(encoded)))
    other = encoded[:at] + data.draw(st.binary(max_size=2)) + encoded[at + data.draw(st.integers(0, 2)) :]
    try:
        decoded = decode(other)
    except Unverified:
        return
    assert encode(decoded) == other


def test_encode__takes_the_extremes() -> None:
    assert encode([MAX_INTEGER, -MAX_INTEGER, True, None, 'é\u2028😀/"\\']) == (
        '[9007199254740991,-9007199254740991,true,null,"é\u2028😀/\\"\\\\"]'.encode()
    )
    assert encode({"b": (1,), "a_1": {}}) == b'{"a_1":{},"b":[1]}'
    assert encode(nested(16)) == json.dumps(nested(16), separators=(",", ":")).encode()


@pytest.mark.parametrize("character", FORBIDDEN, ids=lambda character: f"U+{ord(character):04X}")
def test_encode__refused_text_not_allowed(character: str) -> None:
    with pytest.raises(Refused) as caught:
        encode({"a": ["ok" + character]})
    assert caught.value.reason is Reason.TEXT_NOT_ALLOWED
    assert caught.value.facts == {"character": f"U+{ord(character):04X}", "position": 3}
    for spelling in (json.dumps("ok" + character), f'"ok{character}"'):
        with pytest.raises(Unverified, match="not a canonical document"):
            decode(spelling.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("key", ["", "A", "1a", "_a", "a-b", "é", "a" * 41, "a\n", "a b", "constructor ", "__proto__"])
def test_encode__refused_key(key: str) -> None:
    assert not is_key(key)
    with pytest.raises(Refused) as caught:
        encode({key: 1})
    assert caught.value.reason is Reason.TEXT_NOT_ALLOWED
    with pytest.raises(Unverified, match="key"):
        decode(json.dumps({key: 1}, separators=(",", ":"), ensure_ascii=False).encode())


def test_encode__constructor_is_a_key_like_another() -> None:
    assert decode(encode({"constructor": 1})) == {"constructor": 1}


@pytest.mark.parametrize("number", [MAX_INTEGER + 1, -MAX_INTEGER - 1, 10**30, 1.0, 0.5, float("nan"), float("inf")])
def test_encode__refused_number_out_of_range(number: float) -> None:
    with pytest.raises(Refused) as caught:
        encode({"n": [number]})
    assert caught.value.reason is Reason.NUMBER_OUT_OF_RANGE


@pytest.mark.parametrize("value", [b"x", {1: 2}, {"a": {1}}, ..., Reason.NOT_JSON, [bytearray()]], ids=repr)
def test_encode__refused_wrong_type(value: object) -> None:
    with pytest.raises(Refused) as caught:
        encode(value)
    assert caught.value.reason is Reason.WRONG_TYPE


@pytest.mark.parametrize("depth", [17, 18, 5_000])
def test_encode__refused_nested_too_deep(depth: int) -> None:
    with pytest.raises(Refused) as caught:
        encode(nested(depth))
    assert caught.value.reason is Reason.NESTED_TOO_DEEP
    opened = b"[" * depth + b"]" * depth
    with pytest.raises(Unverified, match="not a canonical document"):
        decode(opened)


@pytest.mark.parametrize(
    "data",
    [
        b"", b" 1", b"1 ", b"1\n", b"1 2", b"-0", b"01", b"+1", b"1.0", b"1e2", b"0.5", b"NaN", b"Infinity",
        b"9007199254740992",
        b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"a": 1}', b'{"a":1,}', b"[1,]", b'"\\u0061"', b'"\\/"',
        b'"\\n"', b'"a', b"\xef\xbb\xbf1", b'"\xff"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\udc00"', b"'a'",
        b"nul", b"[1", b"\x00",
        b'"\\ud83d\\ude00"', "1".encode("utf-16"), b'{"A":1}', b"9" * 400, b"1e400", b"9" * 100_000,
    ],
)  # fmt: skip
def test_decode__refused_not_canonical(data: bytes) -> None:
    with pytest.raises(Unverified) as caught:
        decode(data)
    assert caught.value.code == "not_canonical"


@pytest.mark.parametrize(
    "piece",
    [b"[", b'{"a":', b"]", b"1.5,", b"NaN,", b"9", b"\xff", b'{"a":1,"a":1}', b'"\\ud800",', b"[[[[", b"\x00"],
)
def test_decode__survives_32_mib_of(piece: bytes) -> None:
    data = b"[" + piece * ((32 * 2**20 - 1) // len(piece))
    started = time.process_time()
    with pytest.raises(Unverified) as caught:
        decode(data)
    assert caught.value.code == "not_canonical"
    assert time.process_time() - started < 20


def test_decode__brackets_cost_no_memory() -> None:
    data = b"[" * 32 * 2**20
    tracemalloc.start()
    try:
        with pytest.raises(Unverified, match="not a canonical document"):
            decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_decode__refused_document_too_large() -> None:
    with pytest.raises(Unverified) as caught:
        decode(b"[1,2]", max_bytes=4)
    assert caught.value.code == "document_too_large"


def test_decode_as__reads_a_record() -> None:
    assert decode_as(b'{"name":"\xc3\xa9\\"\\\\","x":-3}', Point) == Point('é"\\', -3)


@pytest.mark.parametrize(
    "data",
    [
        b'{"x":1,"name":"a"}', b'{"name":"a","x":1,"y":2}', b'{"name":"a"}', b'{"name":"a","x":1.0}',
        b'{"name":"a","x":9007199254740992}',
        b'{"name":"\\n","x":1}', b'{"name":"\\u0001","x":1}', b'{"name":"\xc2\x85","x":1}',
        b'{"name":"\xe2\x80\xae","x":1}',
        b'{"name":"\\\\\\n","x":1}', b'{"name":"\xff","x":1}', b'{"name":"a","x":1}\n',
        b'{"name":"a","name":"a","x":1}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_decode_as__refused_not_canonical(data: bytes) -> None:
    with pytest.raises(Unverified) as caught:
        decode_as(data, Point)
    assert caught.value.code == "not_canonical"


@given(values)
def test_parse_json__reads_any_spelling(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert parse_json(text.encode()) == value


def test_parse_json__counts_colons_inside_texts() -> None:
    assert parse_json(b'{"at": "10:30:00", "a:b": ":", "c": "\\u003a"}') == {"at": "10:30:00", "a:b": ":", "c": ":"}


@given(
    st.dictionaries(st.text(alphabet='a:"\\u003', max_size=3), st.text(alphabet=':\\"{}u03a', max_size=5), min_size=1),
    st.data(),
)
def test_parse_json__refused_duplicate_key(row: dict[str, str], data: st.DataObject) -> None:
    pairs = list(row.items())
    again = data.draw(st.sampled_from(pairs))[0]
    pairs.insert(data.draw(st.integers(0, len(pairs))), (again, data.draw(st.sampled_from(["", ":", "::", "x:y:z"]))))
    written = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"
    with pytest.raises(Refused) as caught:
        parse_json(f'[{{"outer":{written}}}]'.encode())
    assert caught.value.reason is Reason.DUPLICATE_KEY
    assert caught.value.facts["key"] == ascii(again)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b'{"a":"\xff"}', Reason.WRONG_ENCODING),
        ("{}".encode("utf-16"), Reason.WRONG_ENCODING),
        (b"\xed\xa0\x80", Reason.WRONG_ENCODING),
        (b"", Reason.NOT_JSON),
        (b"{} {}", Reason.NOT_JSON),
        (b"{'a':1}", Reason.NOT_JSON),
        (b'{"a":1', Reason.NOT_JSON),
        (b'{"a":"\n"}', Reason.NOT_JSON),
        (b'{"a":1,"a":2}', Reason.DUPLICATE_KEY),
        (b'{"a":[{"b":1,"b":":"}]}', Reason.DUPLICATE_KEY),
        (b'{"a":NaN}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a":-Infinity}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a":1.5}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a":1.0}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a":1e3}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a":1e999}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a":9007199254740992}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a":' + b"9" * 1_000_000 + b"}", Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a":"\\ud800"}', Reason.TEXT_NOT_ALLOWED),
        (b"[" * 17 + b"]" * 17, Reason.NESTED_TOO_DEEP),
        (b'{"a":' * 17 + b"1" + b"}" * 17, Reason.NESTED_TOO_DEEP),
        (b"[" * 30_000_000, Reason.NESTED_TOO_DEEP),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else value.value,
)
def test_parse_json__refused(data: bytes, reason: Reason) -> None:
    assert reason_of(data) is reason


def test_parse_json__says_where() -> None:
    with pytest.raises(Refused, match="at character 7") as caught:
        parse_json(b'{"a":1 "b":2}'.replace(b"1 ", b"1"))
    assert caught.value.facts["position"] == 7


def test_parse_json__takes_sixteen_levels() -> None:
    assert parse_json(b"[" * 16 + b"]" * 16) is not None
    assert parse_json(b'{"a":[1]}', max_depth=2) == {"a": [1]}
    with pytest.raises(Refused, match="deeper"):
        parse_json(b'{"a":[[]]}', max_depth=2)


def test_bytes__are_big_endian_and_bounded() -> None:
    assert tag("statement") == b"carnet/1/statement\n"
    assert (u8(255), u32(1), u64(MAX_INTEGER)) == (b"\xff", b"\0\0\0\1", bytes.fromhex("001fffffffffffff"))
    assert lp(b"abc") == b"\0\0\0\3abc"
    assert sha256(b"").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for build, number in ((u8, 256), (u8, -1), (u32, 2**32), (u32, -1), (u64, 2**53), (u64, -1)):
        with pytest.raises(ValueError, match=r"u32|u64|bytes must be"):
            build(number)


@given(st.binary(max_size=80))
def test_unb64__is_the_inverse_of_b64(data: bytes) -> None:
    assert unb64(b64(data), len(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AA=",
        "AB==",
        "AAB=",
        "AA==\n",
        " AA==",
        "A A=",
        "AA==AA==",
        "-_8=",
        "é",
        "AA===",
        "=",
        "AAAA=",
        "\ud800",
    ],
)
def test_unb64__refused_bad_base64(text: str) -> None:
    with pytest.raises(Unverified) as caught:
        unb64(text)
    assert caught.value.code == "bad_base64"


def test_unb64__refused_wrong_size() -> None:
    with pytest.raises(Unverified, match="3 bytes where 32"):
        unb64("AAAA", 32)


def test_decode__says_of_a_file_that_was_cut_that_it_was() -> None:
    with pytest.raises(Unverified, match="truncated") as caught:
        decode(b'{"carnet":"submission/1","at":12')
    assert caught.value.code == "not_canonical"
