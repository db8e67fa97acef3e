"""What the functions that hash the parts of a bundle are called with: documents, statements, and links of a chain."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from msgspec.structs import astuple

from carnet.encoding import _hash_documents, encode_trusted
from carnet.errors import Unverified
from carnet.passport.link import _hash_links
from carnet.passport.statement import _STATEMENT, STATEMENT_BYTES, _read_statement
from tests.kernel.case import Arguments, Case

_H, _CHAIN = bytes(32), bytes(16)
_STATEMENT_OF_ZEROS = _STATEMENT + bytes(STATEMENT_BYTES - len(_STATEMENT))
_LINK = (0, _H, 0, _H, b"message", b"signature")


def split_statement_in_python(data: bytes) -> tuple[tuple[Any, ...], bytes, bytes] | None:
    try:
        statement, sid, leaf = _read_statement(data)
    except Unverified:
        return None
    return astuple(statement), sid, leaf


def _odd_documents(random: Random) -> Iterator[Arguments]:
    for count in (*range(20), 300):
        documents = [{"a": "x" * random.choice((0, 1, 40, 64, 500)), "b": at} for at in range(count)]
        prefix = random.randbytes(random.choice((0, 1, 16, 63, 64, 200)))
        yield prefix, encode_trusted, random.choice((list, tuple))(documents)
        yield prefix, bytes, [random.randbytes(random.randrange(200)) for _ in range(count)]


def _odd_statements(random: Random) -> Iterator[Arguments]:
    for size in (*range(40), 181, 182, 183, 500):
        yield (random.randbytes(size),)
        yield ((_STATEMENT + random.randbytes(size))[:size],)
        yield ((_STATEMENT + random.randbytes(300))[:size],)
    for at in range(len(_STATEMENT)):
        yield (_STATEMENT_OF_ZEROS[:at] + b"?" + _STATEMENT_OF_ZEROS[at + 1 :],)
    for _ in range(20):
        yield (_STATEMENT + random.randbytes(STATEMENT_BYTES - len(_STATEMENT)),)


def _make_link(random: Random) -> Arguments:
    epoch, mark = random.choice((0, 1, 2**31, 2**32 - 1)), random.choice((0, 1, 4, 255))
    sizes = random.choice((0, 1, 130, 500)), random.choice((0, 64))
    signed = [random.randbytes(size) for size in sizes] if random.random() < 0.7 else [random.randbytes(32), None]
    return epoch, random.randbytes(32), mark, random.randbytes(32), *signed


def _odd_links(random: Random) -> Iterator[Arguments]:
    for count in (*range(30), 300, 1_000):
        yield random.randbytes(16), [_make_link(random) for _ in range(count)]


def _with(at: int, value: object) -> Arguments:
    return _CHAIN, [_LINK, (*_LINK[:at], value, *_LINK[at + 1 :])]


PROOFS: dict[str, Case] = {
    "hash_documents": Case(
        _hash_documents,
        [(b"", encode_trusted, []), (b"x", encode_trusted, ({"a": 1},)), (b"", encode_trusted, [None, 1, "é"])],
        _odd_documents,
        [
            ("x", encode_trusted, [1]), (b"x", None, [1]), (b"x", str, [1]), (b"x", encode_trusted, 1),
            (b"x", encode_trusted, [1, "\ud800"]), (b"x", encode_trusted),
        ],
    ),
    "split_statement": Case(
        split_statement_in_python, [(_STATEMENT_OF_ZEROS,), (b"",)], _odd_statements,
        [("x" * 182,), (bytearray(_STATEMENT_OF_ZEROS),), (1,)],
    ),
    "hash_links": Case(
        _hash_links, [(_CHAIN, []), (_CHAIN, [_LINK]), (_CHAIN, [_LINK, (1, _H, 2, _H, _H, None)])], _odd_links,
        [
            (bytes(15), [_LINK]), ("x", [_LINK]), (_CHAIN, 1), (_CHAIN, [1]), (_CHAIN, [_LINK[:5]]),
            (_CHAIN, [(*_LINK, 1)]), (_CHAIN, [list(_LINK)]),
            _with(0, -1), _with(0, 2**32), _with(0, 2**80), _with(0, "1"), _with(1, bytes(31)),
            _with(1, None), _with(2, -1), _with(2, 256), _with(2, None), _with(3, bytes(33)), _with(3, "x"),
            _with(4, None), _with(4, "x"), _with(5, "x"), _with(5, 1), (_CHAIN, [(*_LINK[:4], bytes(31), None)]),
        ],
    ),
}  # fmt: skip
