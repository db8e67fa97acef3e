"""The census tree in the kernel: the same slots, changes, pages and buckets as in Python."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.kernel import kernel
from carnet.ledger.census import _find_slots, _list_changes, _make_changes
from carnet.passport.link import _compute_next_id
from carnet.tlog.pieces import _change_bucket, _change_buckets, _hash_page, make_change
from tests.kernel.cases_census import make_children

pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel is not built: `make kernel` needs a C compiler")


def ask(name: str, *given: Any) -> Any:
    return getattr(kernel, name)(*given)


def make_bucket(chance: Random, depth: int, count: int) -> tuple[int, list[bytes], bytes]:
    """A piece's number, the ascending slots of leaves below it, many bits of which are the same, and what it holds."""
    number = 1 << depth | chance.getrandbits(depth) if depth else 1
    rest = 256 - depth
    ways = {chance.getrandbits(rest) >> chance.choice((0, 0, 3, 60, 190)) for _ in range(count)}
    slots = [
        ((number - (1 << depth) << rest) | way).to_bytes(32, "big") for way in sorted(way % (1 << rest) for way in ways)
    ]
    return number, slots, b"\0" + b"".join(chance.randbytes(48) for _ in slots)


def give_hashes(chance: Random, slots: Sequence[bytes]) -> list[bytes]:
    return [make_change(slot, chance.randbytes(16), chance.randbytes(32)) for slot in slots]


@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 32))
def test_change_bucket__of_any_leaves(seed: int, depth: int, count: int) -> None:
    chance = Random(seed)
    number, slots, content = make_bucket(chance, depth, count)
    changes = give_hashes(chance, sorted(chance.sample(slots, chance.randint(0, len(slots)))))
    changed = ask("change_bucket", content, b"".join(slots), number, changes)
    assert changed is not None
    assert changed == _change_bucket(content, b"".join(slots), number, changes)
    assert ask("change_bucket", content, b"".join(slots), number, tuple(changes)) == changed


@given(st.integers(0, 2**32), st.integers(0, 63), st.integers(1, 40))
def test_change_bucket__of_what_is_none(seed: int, depth: int, count: int) -> None:
    chance = Random(seed)
    number, slots, content = make_bucket(chance, depth, count)
    joined, changes = b"".join(slots), give_hashes(chance, slots[:2])
    other = chance.randbytes(32)
    wrong = [
        (content[:-1], joined, number, changes),
        (content + b"\0", joined, number, changes),
        (b"\1" + content[1:], joined, number, changes),
        (b"\0", b"", number, changes),
        (b"", b"", number, []),
        (content, joined[32:], number, changes),
        (content, joined[:-1], number, changes),
        (content, joined, number + 1, changes),
        (content, joined, 0, changes),
        (content, joined, -number, changes),
        (content, joined, number << 64, changes),
        (content, joined, number, [make_change(slots[0], bytes(16), None)]),
        (content, joined, number, [changes[0][:-1]]),
        (content, joined, number, [changes[0] + b"\0"]),
        (content, joined, number, [b""]),
        (content, joined, number, give_hashes(chance, [other])),
        (content, b"".join(reversed(slots)), number, changes),
        (content + content[-48:], joined + joined[-32:], number, changes),
        (content, chance.randbytes(len(joined)), number, changes),
    ]
    for given_ in wrong:
        assert ask("change_bucket", *given_) == _change_bucket(*given_)
    assert ask("change_bucket", *wrong[0]) is None


@given(st.integers(0, 2**32), st.sampled_from(range(0, 60, 4)), st.floats(0, 1))
def test_change_buckets__changes_each_child_as_alone(seed: int, depth: int, share: float) -> None:
    chance = Random(seed)
    number, digests, contents, slots = make_children(chance, depth)
    joined = b"".join(b"".join(own) for own, one in zip(slots, contents, strict=True) if one is not None)
    changes = give_hashes(chance, [slot for own in slots for slot in own if chance.random() < share])
    made, written, left = ask("change_buckets", number, digests, contents, joined, changes)
    assert (made, written, left) == _change_buckets(number, digests, contents, joined, changes)
    done = [branch for branch, one in enumerate(written) if one is not None]
    assert not set(done) & {branch for branch, _, _ in left}
    for branch, (own, content) in enumerate(zip(slots, contents, strict=True)):
        place = slice(32 * branch, 32 * branch + 32)
        if branch not in done:
            assert made[place] == digests[place]
            continue
        those = [change for change in changes if change[:32] in own]
        alone = _change_bucket(content or b"", b"".join(own), number << 4 | branch, those)
        assert alone == (digests[place], written[branch], made[place])
    those = [change for _, start, end in left for change in changes[start:end]]
    assert those == [one for one in changes if not any(one[:32] in slots[branch] for branch in done)]


@given(st.lists(st.one_of(st.integers(0, 2), st.integers(0, 2**32 - 1)), min_size=16, max_size=16), st.integers(0, 99))
def test_hash_page__of_any_children(counts: list[int], seed: int) -> None:
    packed, digests = struct.pack(">16I", *counts), Random(seed).randbytes(512)
    assert ask("hash_page", packed, digests) == _hash_page(packed, digests)


@given(st.lists(st.binary(min_size=48, max_size=48), max_size=40))
def test_find_slots__of_any_leaves(leaves: list[bytes]) -> None:
    assert ask("find_slots", b"".join(leaves)) == _find_slots(b"".join(leaves))
    assert ask("list_changes", b"".join(leaves)) == _list_changes(b"".join(leaves))


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), st.integers(0, 2**53 - 1),
            st.binary(min_size=32, max_size=32),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_make_changes__of_any_heads(heads: list[tuple[bytes, int, int, bytes]]) -> None:
    made = ask("make_changes", heads)
    assert made == ask("make_changes", tuple(heads)) == _make_changes(heads)
    ascending = [change for leaves in made for change in ask("list_changes", leaves)]
    assert ascending == sorted(ascending)
    assert sorted(change[32:48] for change in ascending) == sorted(head[0] for head in heads)


@given(
    st.integers(0, 2**32), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255),
    st.booleans(), st.binary(max_size=400),
)  # fmt: skip
def test_compute_next_id__of_any_link(
    seed: int, seq: int, epoch: int, mark: int, has_target: bool, signature: bytes
) -> None:
    chance = Random(seed)
    chain, prev, sid = chance.randbytes(16), chance.randbytes(32), chance.randbytes(32)
    parts = (chain, seq, epoch, prev, sid, mark, chance.randbytes(32) if has_target else None, signature)
    assert ask("compute_next_id", *parts) == _compute_next_id(*parts)


HEAD = (bytes(16), 1, 2, bytes(32))
LINK = (bytes(16), 1, 0, bytes(32), bytes(32), 0, None, b"")
BUCKET = (b"\0" + bytes(48), bytes(32), 1, [bytes(80)])
WRONG = {
    "compute_next_id": [
        LINK[:7], (bytes(15), *LINK[1:]), (LINK[0], -1, *LINK[2:]), (LINK[0], 2**64, *LINK[2:]),
        (*LINK[:2], 2**32, *LINK[3:]), (*LINK[:3], bytes(31), *LINK[4:]), (*LINK[:4], "x", *LINK[5:]),
        (*LINK[:5], 256, *LINK[6:]), (*LINK[:6], bytes(33), b""), (*LINK[:7], None), (*LINK[:5], "0", None, b""),
    ],
    "change_bucket": [
        (), BUCKET[:3], (None, *BUCKET[1:]), (BUCKET[0], "x" * 32, 1, []), (*BUCKET[:2], "1", []), (*BUCKET[:3], 7),
        (*BUCKET[:3], [bytes(80), None]), (*BUCKET[:3], ["x" * 80]), (bytearray(BUCKET[0]), *BUCKET[1:]),
    ],
    "hash_page": [(), (bytes(64),), (bytes(63), bytes(512)), (bytes(64), bytes(511)), (None, bytes(512)), ("", "")],
    "find_slots": [(None,), (bytes(47),), (bytes(49),), ("x" * 48,), ()],
    "list_changes": [(None,), (bytes(47),), (bytes(49),), ("x" * 48,), ()],
    "make_changes": [
        (None,), (7,), ([None],), ([HEAD[:3]],), ([(*HEAD, 1)],), ([list(HEAD)],), ([HEAD, (bytes(15), *HEAD[1:])],),
        ([(*HEAD[:3], bytes(31))],), ([(HEAD[0], -1, *HEAD[2:])],), ([(HEAD[0], 2**32, *HEAD[2:])],),
        ([(*HEAD[:2], 2**53, HEAD[3])],), ([(*HEAD[:2], 2**64, HEAD[3])],), ([(*HEAD[:2], -1, HEAD[3])],),
        ([(*HEAD[:2], None, HEAD[3])],),
        ([(*HEAD[:2], 1.0, HEAD[3])],), (),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_kernel__refuses_what_is_no_such_thing(name: str) -> None:
    for wrong in WRONG[name]:
        with pytest.raises((TypeError, ValueError)):
            ask(name, *wrong)
    assert ask("change_bucket", *BUCKET) is not None
