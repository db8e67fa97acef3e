"""Statements, submissions, links and their chain: sizes, order, epochs and marks. Spec: 2.1 to 2.12."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import encode
from carnet.errors import Unverified
from carnet.passport.fields import compute_field_digest, compute_fields_root, expand_secret, seal_values
from carnet.passport.link import (
    LINK_BYTES,
    NO_PREV,
    Head,
    Link,
    _hash_links,
    append_link,
    check_mark,
    compute_chain_id,
    compute_link_id,
    compute_next_epoch,
    hash_links,
)
from carnet.passport.statement import (
    NO_CHAIN,
    NO_TARGET,
    STATEMENT_BYTES,
    Statement,
    compute_all_signed,
    compute_sid,
    compute_signed,
    compute_statement_prefix,
    compute_submission,
    frame_statements,
    frame_submission,
    get_author,
    parse_statement,
    read_statement,
)
from carnet.tlog.tree import leaf_hash

HASH = st.binary(min_size=32, max_size=32)
ID = st.binary(min_size=16, max_size=16)
U8 = st.integers(0, 255)
STATEMENTS = st.builds(Statement, HASH, ID, ID, HASH, U8, U8, U8, HASH, HASH)
NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True), min_size=1, max_size=8, unique=True).map(
    sorted
)

SID = bytes([7]) * 32


# --- fields


@given(names=NAMES, secret=HASH, data=st.data())
def test_seal_values__is_the_root_of_each_field_by_itself(names: list[str], secret: bytes, data: st.DataObject) -> None:
    """The hot path and the clause give the same."""
    values = [data.draw(st.none() | st.integers(-(2**53) + 1, 2**53 - 1) | st.just("é")) for _ in names]
    content_key, salts = expand_secret(secret, len(names))
    digests = [
        (name, compute_field_digest(salt, name, value)) for name, salt, value in zip(names, salts, values, strict=True)
    ]
    sealed = seal_values(tuple(names), [encode(value) for value in values], secret)
    assert sealed == (content_key, compute_fields_root(digests, len(names)))
    assert len(content_key) == 32
    assert {len(salt) for salt in salts} == {16}
    assert len(set(salts)) == len(salts)


def test_expand_secret__more_fields_leave_the_first_salts_alone() -> None:
    assert expand_secret(SID, 5)[1][:3] == expand_secret(SID, 3)[1]
    assert expand_secret(SID, 0)[1] == []


def test_seal_values__one_name_or_value_too_many_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match=r"zip|names and"):
        seal_values(("a", "b"), [b"1"], SID)


@pytest.mark.parametrize(
    "change",
    [
        lambda salt, name, value: (bytes(16), name, value),
        lambda salt, name, value: (salt, "other", value),
        lambda salt, name, value: (salt, name, "1"),
        lambda salt, name, value: (salt, name, None),
    ],
)
def test_field_digest__binds_salt_name_and_value(change: object) -> None:
    salt, name, value = bytes([1]) * 16, "odometer_km", 1
    changed = change(salt, name, value)  # type: ignore[operator]
    assert compute_field_digest(*changed) != compute_field_digest(salt, name, value)


def test_field_digest__names_and_values_share_no_byte() -> None:
    salt = bytes(16)
    assert compute_field_digest(salt, "a", 11) != compute_field_digest(salt, "a1", 1)


# --- statements and submissions


@given(statement=STATEMENTS)
def test_statement__parse_gives_back_what_was_written(statement: Statement) -> None:
    data = statement.to_bytes()
    assert len(data) == STATEMENT_BYTES
    assert parse_statement(data) == statement
    assert get_author(data) == statement.member
    assert data.startswith(
        compute_statement_prefix(statement.net, statement.chain, statement.member, statement.key_digest)
    )
    front, middle = frame_statements(statement.net, statement.member, statement.key_digest, statement.basis)
    assert data.startswith(front + statement.chain + middle + bytes((statement.class_, statement.mark)))


@given(statement=STATEMENTS, bit=st.integers(0, STATEMENT_BYTES * 8 - 1))
def test_statement__any_bit_makes_another_or_none(statement: Statement, bit: int) -> None:
    data = bytearray(statement.to_bytes())
    data[bit // 8] ^= 1 << bit % 8
    assert compute_sid(bytes(data)) != compute_sid(statement.to_bytes())
    if bit // 8 < len(b"carnet/1/statement\n"):
        with pytest.raises(Unverified, match=r"malformed|tag"):
            parse_statement(bytes(data))
    else:
        assert parse_statement(bytes(data)) != statement


@pytest.mark.parametrize("size", [0, 181, 183])
def test_statement__refused_malformed(size: int) -> None:
    data = Statement(*[bytes(32), bytes(16), bytes(16), bytes(32), 1, 1, 0, bytes(32), bytes(32)]).to_bytes()
    for wrong in ((data + data)[:size], b"x" + data[1:], data.replace(b"/1/", b"/2/")):
        with pytest.raises(Unverified) as refused:
            parse_statement(wrong)
        assert refused.value.code == "malformed"


def test_submission__binds_net_key_time_count_and_root() -> None:
    parts = (bytes(32), SID, 5, 6, bytes([9]) * 32)
    base = compute_submission(*parts)
    others = [(SID, *parts[1:]), (parts[0], bytes(32), *parts[2:]), (*parts[:2], 6, *parts[3:])]
    others += [(*parts[:3], 5, parts[4]), (*parts[:4], bytes(32))]
    assert len({base, *(compute_submission(*other) for other in others)}) == 6
    for wrong in ((*parts[:2], 2**53, *parts[3:]), (*parts[:2], -1, *parts[3:]), (*parts[:3], 2**32, parts[4])):
        with pytest.raises(ValueError, match="u"):
            compute_submission(*wrong)


def test_signed__binds_statement_submission_and_signature() -> None:
    parts = (SID, b"submission", b"signature")
    found = {compute_signed(*parts), compute_signed(bytes(32), *parts[1:]), compute_signed(SID, b"x", parts[2])}
    assert len(found | {compute_signed(SID, parts[1], b"y")}) == 4
    sids = [SID, bytes(32), SID]
    assert compute_all_signed(sids, *parts[1:]) == b"".join(compute_signed(sid, *parts[1:]) for sid in sids)
    assert compute_all_signed([], *parts[1:]) == b""


# --- links and chains


def test_link__has_171_bytes_and_one_id() -> None:
    link = Link(bytes(16), 2**53 - 1, 2**32 - 1, SID, SID, 1, SID, SID)
    assert len(link.to_bytes()) == LINK_BYTES
    assert len(compute_link_id(link.to_bytes())) == 32
    for wrong in (link._replace(seq=2**53), link._replace(epoch=2**32), link._replace(mark=256)):
        with pytest.raises(ValueError, match=r"u32|u64|range"):
            wrong.to_bytes()


@given(
    chain=st.binary(min_size=16, max_size=16),
    links=st.lists(st.tuples(st.integers(0, 2**32 - 1), HASH, st.integers(0, 255), HASH, HASH, st.none())),
    submission=st.binary(max_size=200),
)
def test_hash_links__are_those_of_each_link(
    chain: bytes, links: list[tuple[int, bytes, int, bytes, bytes, None]], submission: bytes
) -> None:
    prev, ids, leaves = NO_PREV, [], []
    for seq, (epoch, sid, mark, target, signed, _) in enumerate(links):
        data = Link(chain, seq, epoch, prev, sid, mark, target, signed).to_bytes()
        prev = compute_link_id(data)
        ids.append(prev)
        leaves.append(leaf_hash(data))
    for found in (hash_links(chain, list(links)), _hash_links(chain, list(links))):
        assert found == (ids, leaves)
    # With a signature, what is signed is hashed from it and from what it is over.
    signed_with = [(*link[:4], submission, link[4]) for link in links]
    bound = [(*link[:4], compute_signed(link[1], submission, link[4]), None) for link in links]
    assert hash_links(chain, [*signed_with]) == hash_links(chain, [*bound])


@given(data=st.binary(min_size=163, max_size=163))
def test_read_statement__gives_its_parts_its_sid_and_its_leaf(data: bytes) -> None:
    statement = compute_statement_prefix(b"", b"", b"", b"") + data
    assert read_statement(statement) == (parse_statement(statement), compute_sid(statement), leaf_hash(statement))
    for wrong in (statement[:-1], statement + b"x", b"?" + statement[1:]):
        with pytest.raises(Unverified, match="begins with its tag"):
            read_statement(wrong)


@given(HASH, HASH, st.integers(0, 2**53 - 1), st.integers(0, 2**32 - 1), HASH)
def test_frame_submission__gives_what_the_author_signs(
    net: bytes, key: bytes, at: int, count: int, root: bytes
) -> None:
    assert frame_submission(net, key, at, count, root) == compute_submission(net, key, at, count, root)


def test_chain_id__names_the_home_and_the_opening() -> None:
    ids = {compute_chain_id(home, sid) for home in (bytes(16), bytes([1]) * 16) for sid in (bytes(32), SID)}
    assert len(ids) == 4
    assert {len(one) for one in ids} == {16}
    assert NO_CHAIN not in ids


@given(marks=st.lists(st.sampled_from([0, 1, 2, 3]), max_size=12))
def test_append_link__numbers_epochs_and_predecessors(marks: list[int]) -> None:
    chain = compute_chain_id(bytes(16), SID)
    link, head = append_link(None, chain, SID, 0, NO_TARGET, SID)
    assert Link(chain, 0, 0, NO_PREV, SID, 0, NO_TARGET, SID).to_bytes() == link
    assert head == Head(0, 0, compute_link_id(link))
    for seq, mark in enumerate(marks, 1):
        before, sid = head, bytes([seq]) * 32
        target = SID if mark in (1, 2) else NO_TARGET
        link, head = append_link(head, chain, sid, mark, target, bytes(32))
        epoch = marks[:seq].count(3)
        assert head == Head(seq, epoch, compute_link_id(link))
        assert Link(chain, seq, epoch, before.id, sid, mark, target, bytes(32)).to_bytes() == link


def test_append_link__the_same_statement_elsewhere_is_another_link() -> None:
    head = Head(3, 0, bytes([5]) * 32)
    other = Head(3, 0, bytes([6]) * 32)
    args = (bytes(16), SID, 0, NO_TARGET, SID)
    assert append_link(head, *args) != append_link(other, *args)
    assert append_link(Head(4, 0, head.id), *args) != append_link(head, *args)
    assert append_link(Head(3, 1, head.id), *args) != append_link(head, *args)


def test_compute_next_epoch__only_a_transfer_raises_it() -> None:
    assert [compute_next_epoch(4, mark) for mark in range(6)] == [4, 4, 4, 5, 4, 4]


# --- marks

MOVE_TARGET = bytes([9]) * 16 + bytes(16)


@pytest.mark.parametrize(
    "seq, mark, target, seq_of_target",
    [
        (0, 0, NO_TARGET, None),
        (5, 0, NO_TARGET, None),
        (5, 1, SID, 4),
        (5, 2, SID, 1),
        (5, 3, NO_TARGET, None),
        (5, 4, MOVE_TARGET, None),
    ],
)
def test_check_mark__accepts(seq: int, mark: int, target: bytes, seq_of_target: int | None) -> None:
    check_mark(seq, mark, target, seq_of_target)


@pytest.mark.parametrize(
    "seq, mark, target, seq_of_target, code",
    [
        (5, 5, NO_TARGET, None, "mark_unknown"),
        (0, 5, SID, None, "mark_unknown"),
        (0, 3, NO_TARGET, None, "mark_on_opening"),
        (0, 1, SID, None, "mark_on_opening"),
        (5, 0, SID, 4, "target_malformed"),
        (0, 0, SID, None, "target_malformed"),
        (5, 3, SID, None, "target_malformed"),
        (5, 4, SID, None, "target_malformed"),
        (5, 1, SID, 0, "target_is_opening"),
        (5, 2, SID, 0, "target_is_opening"),
        (5, 1, SID, None, "target_unknown"),
        (5, 2, NO_TARGET, None, "target_unknown"),
    ],
)
def test_check_mark__refused_in_the_order_of_the_clause(
    seq: int, mark: int, target: bytes, seq_of_target: int | None, code: str
) -> None:
    with pytest.raises(Unverified) as refused:
        check_mark(seq, mark, target, seq_of_target)
    assert refused.value.code == code
