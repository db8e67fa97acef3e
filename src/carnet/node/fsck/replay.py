"""The ledger again from genesis: each record is turned back into the command that made it, and applied.

What the ledger would not accept again, or would log in other bytes, was not made by it. On the way rules, members
and schema documents are compared with the roots and digests in the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from carnet.encoding import decode, unb64
from carnet.errors import CarnetError, Refused, Unverified
from carnet.ledger.census import Census
from carnet.ledger.commands import (
    AccreditMember,
    AddKey,
    Block,
    ChangeRules,
    Command,
    EnrolMember,
    FoundNetwork,
    RetireMember,
    RevokeKey,
    SealBatch,
    TakeCensus,
)
from carnet.ledger.records import Endorsement
from carnet.ledger.rules.document import KindLine, Rules, compute_schema_digest
from carnet.ledger.rules.members import Member, Members
from carnet.ledger.state import State
from carnet.ledger.transition import Logged, apply
from carnet.node.fsck.findings import Findings
from carnet.node.fsck.log import CheckedLog
from carnet.vault.ledger import (
    Document,
    parse_genesis,
    parse_line,
    parse_member,
    parse_record,
    read_lines,
    read_member_leaves,
)
from carnet.vault.store import Connection


@dataclass
class History:
    """What the chains are judged by: members and rules by the log index of their record, seals' (at, members,
    rules), the newest census."""

    net: bytes
    home: bytes
    members: dict[int, Members] = field(default_factory=dict)
    rules: dict[int, Rules] = field(default_factory=dict)
    census: tuple[int, Document] | None = None

    def get_members_at(self, index: int) -> Members:
        """The members in force when the record at `index` was accepted."""
        return self.members[max(at for at in self.members if at < index)]

    def get_rules_at(self, index: int) -> Rules:
        """The rules in force when the record at `index` was accepted."""
        return self.rules[max(at for at in self.rules if at < index)]


def check_ledger(connection: Connection, log: CheckedLog, found: Findings) -> History:
    """Replay all records; returns what the chains are judged by."""
    history = History(log.net, log.home)
    _check_rules(connection, history, found)
    _check_members(connection, history, found)
    _check_schemas(connection, history, found)
    _Replay(connection, history, found, log.size).run()
    return history


def _check_rules(connection: Connection, history: History, found: Findings) -> None:
    records = _records(connection, "rules")
    stored = {row[0] for row in connection.execute("SELECT DISTINCT record FROM rules_line")}
    for index in sorted(stored - set(records)):
        found.add("rules_line", index, "record", "no rules record stands at this log index")
    for index, record in records.items():
        numbers = [row[0] for row in connection.execute("SELECT line FROM rules_line WHERE record = ?", (index,))]
        if sorted(numbers) != list(range(len(numbers))):
            found.add("rules_line", index, "line", "the lines are not numbered from 0")
        try:
            rules = Rules(tuple(parse_line(line) for line in read_lines(connection, index)))
        except Unverified as error:
            found.add("rules_line", index, "bytes", str(error))
            continue
        if rules.tree.root != unb64(record["root"]) or len(rules.lines) != record["count"]:
            found.add("rules_line", index, "bytes", "the lines do not give the root of their record")
            continue
        history.rules[index] = rules


def _check_members(connection: Connection, history: History, found: Findings) -> None:
    records = _records(connection, "members")
    for number, since in connection.execute("SELECT member, since FROM member_leaf"):
        if since not in records:
            found.add("member_leaf", (number, since), "since", "no members record stands at this log index")
        elif type(number) is not int or not 0 <= number < records[since]["count"]:
            # A file's column takes any number, and 0.5 stands in the same order as 0.
            found.add("member_leaf", (number, since), "member", "no member of that record has this number")
    for index, record in records.items():
        try:
            members = Members(tuple(parse_member(leaf) for leaf in read_member_leaves(connection, index)))
        except Unverified as error:
            found.add("member_leaf", index, "leaf", str(error))
            continue
        if members.tree.root != unb64(record["root"]) or len(members.all) != record["count"]:
            found.add("member_leaf", index, "leaf", "the leaves do not give the root of their record")
            continue
        history.members[index] = members


def _check_schemas(connection: Connection, history: History, found: Findings) -> None:
    wanted = {
        line.kind: line.schema for rules in history.rules.values() for line in rules.lines if isinstance(line, KindLine)
    }
    seen = set()
    for id_, kind, document in connection.execute("SELECT id, kind, document FROM schema"):
        seen.add(kind)
        try:
            digest = compute_schema_digest(decode(document))
        except CarnetError as error:
            found.add("schema", id_, "document", str(error))
            continue
        if kind not in wanted:
            found.add("schema", id_, "kind", f"no rules name the kind {kind!r}")
        elif digest != unb64(wanted[kind]):
            found.add("schema", id_, "document", f"not the document that the rules name for {kind}")
    ids = [row[0] for row in connection.execute("SELECT id FROM schema ORDER BY id")]
    if ids != list(range(1, len(ids) + 1)):
        # Entries name their kind by this number, and a number is given once.
        found.add("schema", None, "id", "the kinds are not numbered from 1")
    for kind in sorted(wanted.keys() - seen):
        found.add("schema", None, "kind", f"the document of {kind} is missing")


def _records(connection: Connection, type_: str) -> dict[int, Document]:
    found = {}
    for index, leaf in connection.execute("SELECT idx, leaf FROM log_record WHERE type != 'seal' ORDER BY idx"):
        record = parse_record(leaf)
        if record["type"] == type_:
            found[index] = record
    return found


class _Replay:
    """Blocks again, one after the other."""

    def __init__(self, connection: Connection, history: History, found: Findings, size: int) -> None:
        self._connection = connection
        self._history = history
        self._found = found
        self._size = size
        self._state: State | None = None
        self._block: list[tuple[int, bytes, Document]] = []

    def run(self) -> None:
        """Stops at the first record that the ledger would not log again: the rest would be judged by a wrong state."""
        for index, leaf in self._connection.stream("SELECT idx, leaf FROM log_record ORDER BY idx"):
            try:
                record = parse_record(leaf)
            except Unverified:
                return
            if self._block and record["height"] != self._block[-1][2]["height"] and not self._apply():
                return
            self._block.append((index, leaf, record))
            if index % 1000 == 0:
                self._found.tell("ledger", index, self._size)
        if self._block:
            self._apply()

    def _apply(self) -> bool:
        block, self._block = self._block, []
        first = block[0]
        try:
            commands = self._find_commands(block)
            self._state, results = apply(self._state, Block(first[2]["height"], first[2]["at"], tuple(commands)))
        except (CarnetError, LookupError, TypeError, ValueError) as error:
            self._found.add("log_record", first[0], "leaf", f"the ledger would not accept this again: {error}")
            return False
        logged: list[Logged] = []
        for result in results:
            if isinstance(result, Refused):
                self._found.add("log_record", first[0], "leaf", f"the ledger would refuse this: {result.message}")
                return False
            logged += result
        for (index, leaf, _), again in zip(block, logged, strict=False):
            if (again.index, again.leaf) != (index, leaf):
                self._found.add("log_record", index, "leaf", "the ledger would log other bytes")
                return False
        if len(logged) != len(block):
            found = f"the ledger would log {len(logged)} records in this block, and {len(block)} stand there"
            self._found.add("log_record", first[0], "leaf", found)
            return False
        return True

    def _find_commands(self, block: list[tuple[int, bytes, Document]]) -> list[Command]:
        if block[0][2]["type"] == "genesis":
            history = self._history
            return [FoundNetwork(parse_genesis(block[0][2]["genesis"]), history.rules[1], history.members[2].all)]
        commands: list[Command] = []
        members = self._state.members if self._state is not None else Members(())
        for index, _, record in block:
            if record["type"] == "members":
                after = self._history.members[index]
                commands.append(find_members_command(members, after))
                members = after
            else:
                commands.append(self._find_command(index, record))
        return commands

    def _find_command(self, index: int, record: Document) -> Command:
        if record["type"] == "rules":
            return ChangeRules(self._history.rules[index])
        endorsements = tuple(
            Endorsement(unb64(e["member"]), unb64(e["key"]), unb64(e["sig"])) for e in record["endorsements"]
        )
        if record["type"] == "seal":
            return SealBatch(unb64(record["batch"]), unb64(record["sig"]), endorsements)
        said = record["census"]
        self._history.census = (index, said)
        census = Census(
            unb64(said["home"]), said["previous"], said["covers"], said["count"], said["erased"], unb64(said["root"])
        )
        return TakeCensus(census, unb64(record["key"]), unb64(record["sig"]), endorsements)


def find_members_command(before: Members, after: Members) -> Command:
    """The one command that leads from one members tree to the next; raises ValueError if none does."""
    if len(after.all) == len(before.all) + 1 and after.all[:-1] == before.all:
        return EnrolMember(after.all[-1])
    changed = [(old, new) for old, new in zip(before.all, after.all, strict=True) if old != new]
    if not changed:
        # Somebody was accredited for what he was accredited for before: the one command that may change nothing.
        someone = next(member for member in before.all if member.retired is None)
        return AccreditMember(someone.id, someone.accreditations)
    if len(changed) != 1:
        raise ValueError("no single command changes the members like this")
    return _find_member_command(*changed[0])


def _find_member_command(old: Member, new: Member) -> Command:
    if replace(new, accreditations=old.accreditations) == old:
        return AccreditMember(old.id, new.accreditations)
    if replace(new, retired=None) == old:
        return RetireMember(old.id)
    if replace(new, keys=new.keys[:-1]) == old:
        return AddKey(old.id, new.keys[-1])
    revoked = [(a, b) for a, b in zip(old.keys, new.keys, strict=True) if a != b]
    if len(revoked) == 1 and replace(new, keys=old.keys) == old:
        return RevokeKey(old.id, revoked[0][0].digest, revoked[0][1].disputed_since)
    raise ValueError("no single command changes a member like this")
