"""JSON out of a stream: one a line or one array, cut anywhere, and nothing good lost beside something bad."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.formats.documents import MAX_DEPTH, read_documents, read_json
from carnet.formats.lines import MAX_LINE_BYTES
from tests.formats.streams import cut

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
objects = st.dictionaries(words, st.integers(-(2**53) + 1, 2**53 - 1) | words | st.none() | st.lists(words), max_size=4)


def values(chunks: list[bytes]) -> list[object]:
    return [document.value for document in read_documents(chunks) if document.refused is None]


def reasons(data: bytes) -> list[Reason]:
    return [document.refused.reason for document in read_documents([data]) if document.refused is not None]


@given(st.lists(objects, max_size=6), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_read_documents__array_cut_anywhere_gives_its_items(
    given_objects: list[object], size: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(given_objects, indent=indent, ensure_ascii=ascii_only)
    assert values(cut(text.encode(), size)) == given_objects


@given(st.lists(objects, min_size=1, max_size=6), st.integers(1, 40))
def test_read_documents__lines_cut_anywhere_give_their_objects(given_objects: list[object], size: int) -> None:
    data = "\n".join(json.dumps(each) for each in given_objects).encode()
    assert values(cut(data, size)) == given_objects


@given(objects.filter(bool), st.integers(1, 40))
def test_read_documents__one_object_of_many_lines(given_object: object, size: int) -> None:
    assert values(cut(json.dumps(given_object, indent=2).encode(), size)) == [given_object]


def test_read_documents__bad_item_loses_no_good_one() -> None:
    data = b'[{"a": 1},\n{"a": 1, "a": 2},\n{"b: 3},\n{"c": 4},\n5, {"d": 6}]'
    assert values([data]) == [{"a": 1}, {"c": 4}, {"d": 6}]
    assert reasons(data) == [Reason.DUPLICATE_KEY, Reason.NOT_JSON, Reason.NOT_JSON]


def test_read_documents__tells_the_line_where_an_object_begins() -> None:
    assert [document.line for document in read_documents([b'[\n{"a":\n1},\n\n{"b": 2}]'])] == [2, 5]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"[]", b"[ ]\n", b"\xef\xbb\xbf[]"])
def test_read_documents__nothing_in_it(data: bytes) -> None:
    assert list(read_documents([data])) == []


def test_read_documents__refused_open_end() -> None:
    assert reasons(b'[{"a": 1}, {"b": 2') == [Reason.NOT_JSON]
    assert reasons(b'[{"a": 1}') == [Reason.NOT_JSON]


def test_read_documents__refused_item_too_long_and_the_next_is_read() -> None:
    chunks = [b'[{"a": "', *[b"x" * 65_536] * 20, b'"}, {"b": 2}]']
    found = list(read_documents(chunks))
    assert [each.refused and each.refused.reason for each in found] == [Reason.LINE_TOO_LONG, None]
    assert len(found[0].data) < MAX_LINE_BYTES


@pytest.mark.parametrize(
    "data,reason",
    [
        (b"\x1f\x8b\x08", Reason.UNREADABLE_FILE),
        ('{"a": 1}'.encode("utf-16"), Reason.WRONG_ENCODING),
        (b'{"a": "\xe9"}', Reason.WRONG_ENCODING),
        (b'{"a": NaN}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a": 1e999999999}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a": ' + b"9" * 100_000 + b"}", Reason.NUMBER_OUT_OF_RANGE),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", Reason.NESTED_TOO_DEEP),
        (b'{"a": 1, "a": 1}', Reason.DUPLICATE_KEY),
        (b"hello", Reason.NOT_JSON),
    ],
)
def test_read_documents__refused(data: bytes, reason: Reason) -> None:
    assert reasons(data) == [reason]


def test_read_documents__refused_source_that_breaks() -> None:
    def broken() -> object:
        yield b'[{"a": 1},'
        raise EOFError("truncated")

    found = list(read_documents(broken()))  # type: ignore[arg-type]
    assert found[0].value == {"a": 1}
    assert found[-1].refused is not None
    assert found[-1].refused.reason is Reason.UNREADABLE_FILE


def test_read_json__keeps_fractions_exactly() -> None:
    assert read_json(b'{"a": 49.10, "b": 1e2}') == {"a": Decimal("49.10"), "b": Decimal(100)}
    with pytest.raises(Refused) as refused:
        read_json(b"1" * 41 + b".5")
    assert refused.value.reason is Reason.NUMBER_OUT_OF_RANGE


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_read_json__nested_to_the_limit_and_no_further(opening: str, closing: str) -> None:
    assert read_json((opening * MAX_DEPTH + "1" + closing * MAX_DEPTH).encode()) is not None
    # Wide is not deep.
    read_json(json.dumps([[{"a": [at]}] for at in range(1_000)]).encode())
    with pytest.raises(Refused) as refused:
        read_json((opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1)).encode())
    assert refused.value.reason is Reason.NESTED_TOO_DEEP
