"""Each function of the kernel gives what Python's own gives, to the byte, and refuses what is a fault of ours."""

from __future__ import annotations

from random import Random
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import lp
from carnet.errors import Unverified
from carnet.passport.fields import hash_shown
from carnet.proof.chain import check_fields
from tests.kernel.built import get_kernel
from tests.kernel.case import Case, call
from tests.kernel.cases import CASES, hash_fields_in_python, seal_in_python

hashes = st.binary(min_size=32, max_size=32)
named = st.lists(st.text(max_size=40), max_size=12, unique=True).map(
    lambda names: tuple(lp(name.encode("utf-8", "replace")) for name in sorted(names))
)


def list_functions(kernel: ModuleType) -> set[str]:
    return {name for name in dir(kernel) if callable(getattr(kernel, name)) and not name.startswith("_")}


def test_kernel__has_cases_for_each_of_its_functions() -> None:
    assert list_functions(get_kernel()) == set(CASES), "tests/kernel/cases.py takes a line for each function"


@pytest.mark.parametrize("name", CASES)
def test_kernel__gives_what_python_gives(kernel: ModuleType, name: str) -> None:
    case, count = CASES[name], 0
    for arguments in (*case.small, *case.odd(Random(name))):
        assert getattr(kernel, name)(*arguments) == case.in_python(*arguments), arguments
        count += 1
    assert count > 20


@pytest.mark.parametrize("name, case", CASES.items())
def test_kernel__refuses_what_is_a_fault_of_ours(kernel: ModuleType, name: str, case: Case) -> None:
    function = getattr(kernel, name)
    for arguments in ((), (None,) * 9, *case.bad):
        found = call(function, arguments)
        assert isinstance(found, type), (arguments, found)
    with pytest.raises(TypeError):
        function(*case.small[0], by_name=1)


@given(node=hashes, sides=st.integers(0, 2**256 - 1), siblings=st.lists(hashes, max_size=256))
def test_climb__of_any_path(kernel: ModuleType, node: bytes, sides: int, siblings: list[bytes]) -> None:
    assert kernel.climb(node, sides, siblings) == CASES["climb"].in_python(node, sides, siblings)


@given(node=st.binary(max_size=80), sides=st.integers(), siblings=st.lists(st.binary(max_size=70), max_size=64))
def test_climb__of_hashes_that_are_none(kernel: ModuleType, node: bytes, sides: int, siblings: list[bytes]) -> None:
    assert kernel.climb(node, sides, siblings) == CASES["climb"].in_python(node, sides, siblings)


@given(names=named, secret=hashes, data=st.data())
def test_seal_fields__of_any_values(
    kernel: ModuleType, names: tuple[bytes, ...], secret: bytes, data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.binary(max_size=300), min_size=len(names), max_size=len(names)))
    assert kernel.seal_fields(names, values, secret) == seal_in_python(names, values, secret)


@given(names=named, data=st.data())
def test_hash_fields__of_any_that_are_shown(kernel: ModuleType, names: tuple[bytes, ...], data: st.DataObject) -> None:
    one = st.one_of(hashes, st.tuples(st.binary(min_size=16, max_size=16), st.binary(max_size=300)))
    shown = data.draw(st.lists(one, min_size=len(names), max_size=len(names)))
    assert kernel.hash_fields(names, shown) == hash_fields_in_python(names, shown)


@given(leaves=st.lists(hashes, max_size=300).map(b"".join))
def test_hash_levels__of_any_leaves(kernel: ModuleType, leaves: bytes) -> None:
    assert kernel.hash_levels(leaves) == CASES["hash_levels"].in_python(leaves)


def test_check_fields__of_more_fields_than_any_kind_has() -> None:
    # Who makes a bundle chooses how many: it is judged, by either, and ends nothing.
    fields: dict[str, bytes | tuple[bytes, object]] = {f"f{at:05}": bytes(32) for at in range(3_000)}
    root, _ = hash_shown(fields, 6)
    with pytest.raises(Unverified, match="fields_mismatch"):
        check_fields(fields, root, bytes(32))
    with pytest.raises(Unverified, match="required_field_withheld"):
        check_fields(fields, root, root)
