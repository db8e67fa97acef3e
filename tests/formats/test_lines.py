"""Lines out of chunks, whatever the pieces, and in flat memory."""

from __future__ import annotations

import itertools
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.formats.lines import KEPT_BYTES, Line, split_lines


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_split_lines__any_pieces_give_the_same_lines(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    expected = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    if not data.split(b"\n")[-1]:
        expected.pop()
    assert [line.data for line in split_lines(pieces)] == expected
    assert [line.number for line in split_lines(pieces)] == list(range(1, len(expected) + 1))


def test_split_lines__too_long_is_streamed_past_and_the_next_stands() -> None:
    lines = list(split_lines([b"ab\n", b"x" * 30, b"y" * 30 + b"\r\ncd"], max_bytes=20))
    assert [(line.number, line.length, line.is_too_long) for line in lines] == [
        (1, 2, False),
        (2, 61, True),
        (3, 2, False),
    ]
    assert lines[1].data == b"x" * 20


@pytest.mark.parametrize("length, is_too_long", [(19, False), (20, False), (21, True), (22, True)])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_split_lines__limit_does_not_count_the_end(length: int, end: bytes, is_too_long: bool) -> None:
    (line,) = split_lines([b"a" * length + end], max_bytes=20)
    assert line.is_too_long is is_too_long
    assert line.data[:20] == b"a" * 20 if length >= 20 else line.data == b"a" * length


def test_split_lines__hundred_megabytes_in_flat_memory() -> None:
    chunk = b"[" * 65_536

    def flood() -> Iterator[bytes]:
        for _ in range(1_600):
            yield chunk
        yield b"\nlast"

    tracemalloc.start()
    lines = list(split_lines(flood()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines[0].length == 1_600 * 65_536
    assert len(lines[0].data) == KEPT_BYTES
    assert lines[1] == Line(2, b"last", 4)
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("error", [EOFError("cut short"), zlib.error("bad block"), OSError(5, "input/output error")])
def test_split_lines__broken_source_is_the_last_line(error: Exception) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one\ntw"
        raise error

    assert list(split_lines(broken())) == [Line(1, b"one", 3), Line(2, b"tw", 2, str(error))]


def test_split_lines__another_error_is_raised() -> None:
    def wrong() -> Iterator[bytes]:
        yield b"one\n"
        raise RuntimeError("our own bug")

    with pytest.raises(RuntimeError, match="our own bug"):
        list(split_lines(wrong()))
