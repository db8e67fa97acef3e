"""The ledger's state as the store keeps it: records, rules, members; read back into the ledger's own objects.

What is read is not trusted more than the roots in the log: `read_state` compares both. It refuses to know how a state
changes (`ledger.transition`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from carnet.encoding import decode, encode, tag, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.ledger.network import Founder, Genesis, parse_fork
from carnet.ledger.records import Ref
from carnet.ledger.rules.document import Line, Rules, compute_line_bytes
from carnet.ledger.rules.members import Key, Member, Members, compute_member_leaf
from carnet.ledger.state import CensusMark, State
from carnet.ledger.transition import Logged
from carnet.vault.store import Connection
from carnet.vault.waiting import check_may_wait

_RECORD = tag("record")
_MEMBER = tag("member")
_line_reader = msgspec.json.Decoder(Line)


_FIND_ENDS = """
SELECT (SELECT coalesce(max(idx) + 1, 0) FROM log_record),
(SELECT max(idx) FROM log_record WHERE type = 'rules' AND type != 'seal'),
(SELECT max(idx) FROM log_record WHERE type = 'members' AND type != 'seal'),
(SELECT max(idx) FROM log_record WHERE type = 'census' AND type != 'seal')
"""
"""How long the log is, and its newest records of three types: one question, which readers ask after each commit."""


class _Moment(msgspec.Struct):
    """When a record was logged: all that is asked of the last one, at each commit that a reader follows."""

    at: int
    height: int


_moment_reader = msgspec.json.Decoder(_Moment)

Document = dict[str, Any]


def parse_record(leaf: bytes) -> Document:
    """The record of a log leaf; raises Unverified unless the leaf is one."""
    if not leaf.startswith(_RECORD):
        raise Unverified("malformed", "a log leaf begins with its tag")
    return cast("Document", decode(leaf.removeprefix(_RECORD)))


def parse_genesis(document: Document) -> Genesis:
    """The genesis object of record 0."""
    founders = tuple(Founder(unb64(f["member"], 16), unb64(f["key"], 32)) for f in document["founders"])
    return Genesis(
        document["name"],
        unb64(document["nonce"], 32),
        unb64(document["log_key"], 32),
        founders,
        unb64(document["rules_root"], 32),
        parse_fork(document),
    )


def parse_line(data: bytes) -> Line:
    """A rules line from its `cj`; raises Unverified("malformed") for other bytes."""
    try:
        line: Line = _line_reader.decode(data)
    except msgspec.DecodeError as error:
        raise Unverified("malformed", f"not a rules line: {error}") from None
    if compute_line_bytes(line) != data:
        raise Unverified("malformed", "a rules line that is not canonical")
    return line


def parse_member(leaf: bytes) -> Member:
    """A member from its leaf; raises Unverified("malformed") unless it encodes to the same leaf."""
    try:
        document = cast("Document", decode(leaf.removeprefix(_MEMBER)))
        keys = tuple(
            Key(
                unb64(key["key"], 32),
                key["role"],
                key["custody"],
                unb64(key["sig"], 64),
                key["revoked"],
                key["disputed_since"],
            )
            for key in document["keys"]
        )
        member = Member(
            unb64(document["id"], 16),
            document["name"],
            document["kind"],
            unb64(document["host"], 16),
            tuple((kind, basis, class_) for kind, basis, class_ in document["accreditations"]),
            keys,
            document["retired"],
        )
        is_same = compute_member_leaf(member) == leaf
    except (KeyError, TypeError, ValueError, Refused) as error:
        raise Unverified("malformed", f"not a member's leaf: {error}") from None
    if not is_same:
        raise Unverified("malformed", "a member's leaf that is not canonical")
    return member


def read_leaf(connection: Connection, index: int) -> bytes:
    """A log leaf; raises Refused(NODE_DAMAGED) where it is missing."""
    row = connection.execute("SELECT leaf FROM log_record WHERE idx = ?", (index,)).fetchone()
    if row is None:
        raise _damaged(f"log record {index} is missing")
    return cast("bytes", row[0])


def read_log_size(connection: Connection) -> int:
    """How many records the log has."""
    return cast("int", connection.execute("SELECT coalesce(max(idx) + 1, 0) FROM log_record").fetchone()[0])


def read_lines(connection: Connection, index: int) -> list[bytes]:
    """The `cj` of each line of the rules that record `index` put in force, in order."""
    return [
        row[0] for row in connection.execute("SELECT bytes FROM rules_line WHERE record = ? ORDER BY line", (index,))
    ]


def read_member_leaves(connection: Connection, index: int) -> list[bytes]:
    """The leaves of the members tree of the members record at `index`, in order."""
    rows = connection.execute(
        "SELECT leaf FROM member_leaf AS one WHERE since ="
        " (SELECT max(since) FROM member_leaf WHERE member = one.member AND since <= ?) ORDER BY member",
        (index,),
    )
    return [row[0] for row in rows]


def find_latest(connection: Connection, type_: str) -> int | None:
    """The index of the newest record of a type other than seal."""
    row = connection.execute("SELECT max(idx) FROM log_record WHERE type = ? AND type != 'seal'", (type_,)).fetchone()
    return cast("int | None", row[0])


def read_state(connection: Connection, known: State | None = None) -> State:
    """The ledger's state after the last record; raises Refused(NODE_DAMAGED) if what is stored contradicts the log.

    Of a state that is `known` from before, rules and members are taken over if they are still those in force.
    """
    try:
        return _read_state(connection, known)
    except (Unverified, msgspec.MsgspecError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(f"the ledger's state cannot be read: {error}") from error


def _read_state(connection: Connection, known: State | None) -> State:
    size, rules_index, members_index, census_index = connection.execute(_FIND_ENDS).fetchone()
    if rules_index is None or members_index is None:
        raise _damaged("the log has no rules or no members")
    if known is None or (known.rules_ref.index, known.members_ref.index) != (rules_index, members_index):
        # There may be thousands of members.
        check_may_wait()
    genesis = known.genesis if known else parse_genesis(parse_record(read_leaf(connection, 0))["genesis"])
    if known is not None and known.rules_ref.index == rules_index:
        rules, rules_ref = known.rules, known.rules_ref
    else:
        rules = Rules(tuple(parse_line(data) for data in read_lines(connection, rules_index)))
        rules_ref = _check_ref(connection, rules_index, rules.tree.root, len(rules.lines), "rules_line")
    if known is not None and known.members_ref.index == members_index:
        members, members_ref = known.members, known.members_ref
    else:
        members = Members(tuple(parse_member(leaf) for leaf in read_member_leaves(connection, members_index)))
        members_ref = _check_ref(connection, members_index, members.tree.root, len(members.all), "member_leaf")
    last = _moment_reader.decode(read_leaf(connection, size - 1).removeprefix(_RECORD))
    return State(
        genesis=genesis,
        net=known.net if known else genesis.net,
        size=size,
        height=last.height,
        at=last.at,
        rules=rules,
        rules_ref=rules_ref,
        members=members,
        members_ref=members_ref,
        censuses=_read_censuses(connection, known, census_index),
        # A batch of this node expires at the height at which it is sealed: none can be sent again.
        sealed={},
    )


def _check_ref(connection: Connection, index: int, root: bytes, count: int, table: str) -> Ref:
    record = parse_record(read_leaf(connection, index))
    if unb64(record["root"], 32) != root or record["count"] != count:
        raise _damaged(f"{table} does not give the root of log record {index}")
    return Ref(index, root, count)


def _read_censuses(connection: Connection, known: State | None, index: int | None) -> Mapping[bytes, CensusMark]:
    """The latest census of each home, given its index; this store has one home."""
    if index is None:
        return {}
    if known is not None and any(mark.index == index for mark in known.censuses.values()):
        return known.censuses
    census = parse_record(read_leaf(connection, index))["census"]
    return {unb64(census["home"], 16): CensusMark(index, census["covers"], census["count"] + census["erased"])}


def write_records(connection: Connection, logged: Sequence[Logged]) -> None:
    """Store new leaves; the caller stores their nodes."""
    connection.executemany(
        "INSERT INTO log_record (idx, type, leaf) VALUES (?, ?, ?)",
        [(one.index, parse_record(one.leaf)["type"], one.leaf) for one in logged],
    )


def write_rules(connection: Connection, state: State) -> None:
    """Store the lines of the rules in force, under their record."""
    connection.executemany(
        "INSERT INTO rules_line (record, line, bytes) VALUES (?, ?, ?)",
        [(state.rules_ref.index, at, compute_line_bytes(line)) for at, line in enumerate(state.rules.lines)],
    )


def write_members(connection: Connection, before: Members | None, state: State) -> None:
    """Store the leaves that changed, under the members record in force."""
    old = before.all if before is not None else ()
    connection.executemany(
        "INSERT INTO member_leaf (member, since, leaf) VALUES (?, ?, ?)",
        [
            (at, state.members_ref.index, compute_member_leaf(member))
            for at, member in enumerate(state.members.all)
            if at >= len(old) or old[at] is not member
        ],
    )


def read_schemas(connection: Connection) -> dict[int, tuple[str, Document]]:
    """The schema documents by the small number that entries carry: id → (kind, document)."""
    rows = connection.execute("SELECT id, kind, document FROM schema ORDER BY id")
    return {id_: (kind, cast("Document", decode(document))) for id_, kind, document in rows}


def write_schemas(connection: Connection, documents: Sequence[tuple[str, object]]) -> None:
    """Add schema documents, with their canonical bytes, under the next numbers."""
    first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM schema").fetchone()[0]
    connection.executemany(
        "INSERT INTO schema (id, kind, document) VALUES (?, ?, ?)",
        [(id_, kind, encode(document)) for id_, (kind, document) in enumerate(documents, first)],
    )


def _damaged(why: str) -> Refused:
    return Refused(Reason.NODE_DAMAGED, f"{why}: run `carnet fsck`", what=why)
