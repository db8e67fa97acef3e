"""A verifier with a memory answers as one without, whatever it has seen before."""

from __future__ import annotations

import json

import pytest

from carnet.proof.bundle import read_bundle
from carnet.proof.memory import Memory
from carnet.proof.verify import Asked, verify_bundle
from carnet.signing import SignatureCache
from carnet.tlog.policy import parse_policy
from tests.vectors import SCENARIOS, Vector


def judge(vector: Vector, cache: SignatureCache | None) -> bytes:
    policy = None if vector.policy is None else parse_policy(vector.policy)
    asked = Asked(vector.complete, vector.max_age, vector.since, vector.subject, vector.passport)
    return verify_bundle(vector.bundle, policy, vector.now, asked, cache).to_json()


@pytest.mark.parametrize("is_backwards", [False, True])
def test_memory__answers_every_vector_as_without(is_backwards: bool) -> None:
    """All vectors one after the other, the good and the bad of one network, in both orders, twice."""
    memory = Memory()
    vectors = [SCENARIOS[name].make() for name in sorted(SCENARIOS, reverse=is_backwards)]
    wanted = [judge(vector, None) for vector in vectors]
    for _ in range(2):
        assert [judge(vector, memory) for vector in vectors] == wanted


def test_memory__knows_parts_again() -> None:
    data, memory = SCENARIOS["genuine"].make().bundle, Memory()
    one, two = read_bundle(data, memory), read_bundle(data, memory)
    assert one == two == read_bundle(data)
    assert one.ground is two.ground
    assert one.items is not two.items


def test_memory__is_bounded() -> None:
    memory = Memory()
    for number in range(10_000):
        assert memory.once(("a", number), None, lambda number=number: number) == number  # type: ignore[misc]
    assert len(memory._kept) <= 4096


def test_memory__what_does_not_hold_is_not_kept() -> None:
    memory, calls = Memory(), []

    def fail() -> None:
        calls.append(1)
        raise ValueError("it does not hold")

    for _ in range(2):
        with pytest.raises(ValueError, match="does not hold"):
            memory.once(("a",), None, fail)
    assert len(calls) == 2


@pytest.mark.parametrize("depth", range(12, 18))
def test_memory__depth_is_that_of_the_whole_document(depth: int) -> None:
    """A part is read by itself; it may not be nested deeper for that."""
    document = json.loads(SCENARIOS["genuine"].make().bundle)
    value: object = 1
    for _ in range(depth):
        value = [value]
    for name in ("links", "members", "records", "rules", "census", "genesis", "submissions"):
        changed = {**document, name: value}
        data = json.dumps(changed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        memory = Memory()
        judged = [verify_bundle(data, None, 0, cache=cache).integrity for cache in (memory, memory, None)]
        assert judged[0] == judged[1] == judged[2]
        assert judged[0].code == ("not_canonical" if depth > 15 else "malformed")
