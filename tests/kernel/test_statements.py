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
from carnet.vault.statements import _seal_statement, frame_names, seal_statement
from tests.passport.kind_examples import KINDS, make_fields

SECRET, HEAD, TARGET = bytes(range(32)), bytes(range(118)), bytes(range(40, 72))
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


def seal_both(names: Iterable[str], fields: bytes, subject: bytes) -> tuple[Any, Any]:
    found: list[tuple[Any, ...]] = []
    framed = frame_names(sorted(names))
    for seal in (seal_statement, _seal_statement):
        try:
            found.append(seal(framed, fields, SECRET, HEAD, TARGET, subject))
        except ValueError:
            found.append(())
    return found[0], found[1]


@given(others=st.dictionaries(names, values, max_size=40), occurred=moments, subject=values, is_own=st.booleans())
def test_seal_statement__of_any_fields(others: dict[str, Any], occurred: Any, subject: Any, is_own: bool) -> None:
    fields = {**others, "kind": "a.b/1", "occurred": occurred, "subject": subject}
    own = encode(subject if is_own else [subject])
    by_kernel, by_python = seal_both(fields, encode(fields), own)
    assert by_kernel == by_python != ()
    assert (by_kernel[4] is None) == is_own


@pytest.mark.parametrize("kind", KINDS)
def test_seal_statement__of_each_kind(kind: str) -> None:
    schema = get_schema(kind)
    fields = schema.validate(make_fields(kind))
    assert schema.encode_all([make_fields(kind)]) == [encode(fields)]
    by_kernel, by_python = seal_both(schema.names, encode(fields), encode(fields["subject"]))
    assert by_kernel == by_python != ()


def test_seal_statement__of_as_many_fields_as_there_may_be() -> None:
    fields = {f"f{at:04}": at for at in range(1021)} | GIVEN
    fields.pop("a"), fields.pop("note")
    by_kernel, by_python = seal_both(fields, encode(fields), b"")
    assert by_kernel == by_python != ()
    too_many = frame_names(sorted([*fields, "a"]))
    with pytest.raises(ValueError, match="1025 fields"):
        seal_statement(too_many, encode({**fields, "a": 1}), SECRET, HEAD, TARGET, b"")


def test_seal_statement__refuses_the_fields_of_another_kind() -> None:
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
        for seal in (seal_statement, _seal_statement):
            with pytest.raises(ValueError, match="not those of their kind"):
                seal(frame_names(sorted(GIVEN)), fields, SECRET, HEAD, TARGET, b"")


def test_seal_statement__of_damaged_bytes_ends_in_an_error_or_in_bytes() -> None:
    names, whole, random = frame_names(sorted(GIVEN)), encode(GIVEN), Random(1)
    for cut in range(len(whole)):
        assert seal_both(GIVEN, whole[:cut], b"") == ((), ())
    for _ in range(5_000):
        damaged = bytearray(whole)
        for _ in range(random.randrange(1, 4)):
            damaged[random.randrange(len(whole))] = random.choice(b'{}[]",:\\na\x00\xff')
        try:
            assert len(seal_statement(names, bytes(damaged), SECRET, HEAD, TARGET, b"")[1]) == 32
        except ValueError:
            continue


@pytest.mark.parametrize(
    "at, wrong",
    [(0, []), (0, ("a",)), (1, "x"), (1, None), (2, bytes(31)), (3, bytes(117)), (4, bytes(33)), (5, "x"), (5, None)],
)
def test_seal_statement__refuses_what_is_no_part_of_one(at: int, wrong: Any) -> None:
    given: list[Any] = [frame_names(sorted(GIVEN)), encode(GIVEN), SECRET, HEAD, TARGET, b""]
    assert kernel is not None
    kernel.seal_statement(*given)
    given[at] = wrong
    with pytest.raises((TypeError, ValueError)):
        kernel.seal_statement(*given)
    with pytest.raises(TypeError):
        kernel.seal_statement(*given[:5])
