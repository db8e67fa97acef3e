"""A statement that the kernel seals is the one that Python seals; fields that are not those of their kind, neither
seals."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import encode
from carnet.kernel import kernel
from carnet.passport.kinds import get_schema
from carnet.vault.statements import _seal_statement, _seal_statements, frame_names, seal_statements
from tests.passport.kind_examples import KINDS, make_fields

FRONT, MIDDLE = bytes(range(51)), bytes(range(60, 109))
SECRET, CHAIN, TAIL, TARGET = bytes(range(32)), bytes(range(16)), b"\4\1", bytes(range(40, 72))
MOMENT = {"at": "2020-01-02", "precision": "day", "zone": None}
SUBJECT = {"scheme": "vin", "value": "VF1"}
GIVEN = {"a": 1, "kind": "k/1", "note": "x", "occurred": MOMENT, "subject": SUBJECT}

pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel is not built: `make kernel`")

texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf"]), max_size=80) | st.text(
    '"\\{}[],:null', max_size=9
)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
moments = st.fixed_dictionaries({"at": scalars, "precision": scalars, "zone": scalars})


def seal(names: tuple[bytes, ...], fields: bytes, subject: bytes, by: Any = seal_statements) -> tuple[Any, ...]:
    keys, sids, leaves, contents, others = by(
        FRONT, MIDDLE, [names], [fields], [SECRET], [CHAIN], [TAIL], [TARGET], [subject]
    )
    return keys[0], sids[0], leaves, contents[0], others[0]


def seal_both(names: Iterable[str], fields: bytes, subject: bytes) -> tuple[Any, Any]:
    found: list[tuple[Any, ...]] = []
    framed = frame_names(sorted(names))
    for by in (seal_statements, _seal_statements):
        try:
            found.append(seal(framed, fields, subject, by))
        except ValueError:
            found.append(())
    return found[0], found[1]


@given(others=st.dictionaries(names, values, max_size=40), occurred=moments, subject=values, is_own=st.booleans())
def test_seal_statements__of_any_fields(others: dict[str, Any], occurred: Any, subject: Any, is_own: bool) -> None:
    fields = {**others, "kind": "a.b/1", "occurred": occurred, "subject": subject}
    own = encode(subject if is_own else [subject])
    by_kernel, by_python = seal_both(fields, encode(fields), own)
    assert by_kernel == by_python != ()
    assert (by_kernel[4] is None) == is_own


@pytest.mark.parametrize("kind", KINDS)
def test_seal_statements__of_each_kind(kind: str) -> None:
    schema = get_schema(kind)
    fields = schema.validate(make_fields(kind))
    assert schema.encode_all([make_fields(kind)]) == [encode(fields)]
    by_kernel, by_python = seal_both(schema.names, encode(fields), encode(fields["subject"]))
    assert by_kernel == by_python != ()


def test_seal_statements__of_as_many_fields_as_there_may_be() -> None:
    fields = {f"f{at:04}": at for at in range(1021)} | GIVEN
    fields.pop("a"), fields.pop("note")
    by_kernel, by_python = seal_both(fields, encode(fields), b"")
    assert by_kernel == by_python != ()
    too_many = frame_names(sorted([*fields, "a"]))
    with pytest.raises(ValueError, match="1025 fields"):
        seal(too_many, encode({**fields, "a": 1}), b"")


def test_seal_statements__refuses_the_fields_of_another_kind() -> None:
    assert seal_both(GIVEN, encode(GIVEN), b"")[0] != ()
    others: list[Any] = [
        {},
        [1],
        {**GIVEN, "b": 1},
        {name: value for name, value in GIVEN.items() if name != "note"},
        {("b" if name == "a" else name): value for name, value in GIVEN.items()},
        {**GIVEN, "occurred": None},
        {**GIVEN, "occurred": []},
        {**GIVEN, "occurred": {"at": 1, "precision": 2}},
        {**GIVEN, "occurred": {"at": 1, "precision": 2, "zona": 3}},
    ]
    for fields in [*map(encode, others), encode(GIVEN) + b"}", encode(GIVEN) + b" ", b" " + encode(GIVEN)]:
        for by in (seal_statements, _seal_statements):
            with pytest.raises(ValueError, match="not those of their kind"):
                seal(frame_names(sorted(GIVEN)), fields, b"", by)


def test_seal_statements__of_damaged_bytes_ends_in_an_error_or_in_bytes() -> None:
    names, whole, random = frame_names(sorted(GIVEN)), encode(GIVEN), Random(1)
    for cut in range(len(whole)):
        assert seal_both(GIVEN, whole[:cut], b"") == ((), ())
    for _ in range(5_000):
        damaged = bytearray(whole)
        for _ in range(random.randrange(1, 4)):
            damaged[random.randrange(len(whole))] = random.choice(b'{}[]",:\\na\x00\xff')
        try:
            assert len(seal(names, bytes(damaged), b"")[1]) == 32
        except ValueError:
            continue


def test_seal_statements__each_as_if_it_were_alone() -> None:
    """However many of a kind follow each other, and however long their fields are."""
    random = Random(5)
    for count in (1, 2, 3, 4, 5, 8, 9, 33):
        kinds = [frame_names(sorted(GIVEN)), frame_names(sorted({**GIVEN, "b": 1}))]
        rows = []
        for _ in range(count):
            is_other = random.random() < 0.3
            fields = {**GIVEN, "note": "x" * random.randrange(300)} | ({"b": 1} if is_other else {})
            sizes = (32, 16, 2, 32)
            rows.append((kinds[is_other], encode(fields), *map(random.randbytes, sizes), encode(SUBJECT)))
        together = seal_statements(FRONT, MIDDLE, *map(list, zip(*rows, strict=True)))  # type: ignore[arg-type]
        assert len(together[2]) == 32 * count
        for at, (names, fields_, secret, chain, tail, target, own) in enumerate(rows):
            head = FRONT + chain + MIDDLE + tail
            key, sid, leaf, content, other = _seal_statement(names, fields_, secret, head, target, own)
            assert (key, sid, content, other) == tuple(together[part][at] for part in (0, 1, 3, 4))
            assert leaf == together[2][32 * at : 32 * at + 32]
