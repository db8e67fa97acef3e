"""The chains: every entry opened, digested, linked and found at its place; every head, key, index row and census again.

Entries are read in the order of their chains, so that nothing but the present chain is kept. Spec: 2.1 to 2.14, 3.9.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from carnet.encoding import decode, encode, sha256
from carnet.errors import Refused, Unverified
from carnet.node.fsck.erased import Erasures
from carnet.node.fsck.findings import Findings
from carnet.node.fsck.placed import Signed, Submissions, open_leaves
from carnet.node.fsck.replay import History
from carnet.node.fsck.rights import Aliases, Rights
from carnet.node.jobs import OPENINGS, ChainRef
from carnet.node.lookup import Kinds, open_content
from carnet.node.placing import AFTER_CLOSING, CLOSING
from carnet.node.reader import compute_opened_root
from carnet.passport.link import NO_PREV, Link, check_mark, compute_chain_id, compute_next_epoch
from carnet.passport.statement import NO_CHAIN, NO_TARGET, Statement
from carnet.types import Mark
from carnet.vault.ledger import read_schemas
from carnet.vault.names import count_wrong_names
from carnet.vault.sealing import compute_blind, decrypt_subject, unwrap
from carnet.vault.store import Connection

_CHAINS = (
    "SELECT id, chain16, type, home, blind, subject, closed, head_seq, head_epoch, head_id, head_seal, census_seq,"
    " census_epoch, census_id, wrapped, EXISTS (SELECT 1 FROM census_changed WHERE census_changed.chain = chain.id)"
    ", {wrong_names} FROM chain LEFT JOIN passport_key ON passport_key.chain = chain.id"
    " WHERE id BETWEEN ? AND ? ORDER BY id"
)
_ENTRIES = (
    "SELECT chain, seq, kind, basis, class, mark, target, sid, submission, sub_index, seal, position, location, secret,"
    " content, source"
    " FROM entry WHERE chain BETWEEN ? AND ? ORDER BY chain, seq"
)


class Context(NamedTuple):
    """What the chains are judged by, found out before them: the same for every process that checks some. `counts` and
    `classes` are those of `Seals`."""

    kek: bytes
    index_key: bytes
    history: History
    classes: dict[int, int]
    counts: dict[int, int]
    erasures: Erasures


class Chains:
    """Checks chains, part by part, over one connection."""

    def __init__(self, connection: Connection, context: Context, found: Findings) -> None:
        self._connection, self._context, self._found = connection, context, found
        self._checker = _Chains(connection, context, found)

    @property
    def entry_count(self) -> int:
        """How many entries were checked so far."""
        return self._checker.entry_count

    @property
    def placed(self) -> Counter[int]:
        """How many entries stand in the batch of each seal, by its log index, so far."""
        return self._checker.placed

    def check_part(self, first: int, last: int, total: int | None = None) -> None:
        """Check chain, passport_key and entry of the chains with these numbers, row by row; says how far it is of a
        `total` of entries."""
        found, checker = self._found, self._checker
        entries = groupby(self._connection.stream(_ENTRIES, (first, last)), key=itemgetter(0))
        number, rows = next(entries, (None, iter(())))
        query = _CHAINS.format(wrong_names=count_wrong_names(self._connection))
        for row in self._connection.stream(query, (first, last)):
            while number is not None and number < row[0]:
                found.add("entry", number, "chain", "there is no such chain")
                number, rows = next(entries, (None, iter(())))
            own = rows if number == row[0] else iter(())
            checker.check_chain(row, own)
            if number == row[0]:
                number, rows = next(entries, (None, iter(())))
            if total is not None:
                found.tell("entry", checker.entry_count, total)
        while number is not None:
            found.add("entry", number, "chain", "there is no such chain")
            number, rows = next(entries, (None, iter(())))


def check_all_placed(placed: Counter[int], context: Context, found: Findings) -> None:
    """As many entries as places in each batch: since each link stands where it says, every place is taken once."""
    for seal, count in context.counts.items():
        erased = context.erasures.places[seal]
        if placed[seal] + erased != count:
            what = f"{placed[seal]} entries and {erased} erased, where the batch holds {count} links"
            found.add("entry", f"seal {seal}", None, what)


@dataclass
class _State:
    """A chain while its entries go by."""

    seq: int = -1
    epoch: int = 0
    id: bytes = NO_PREV
    seal: int = -1
    home: bytes | None = None
    closed: int = 0
    sids: dict[bytes, int] = field(default_factory=dict)
    # (kind, member, basis) of entries that may still be withdrawn with an effect on the chain itself.
    closings: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    aliases: Aliases = field(default_factory=Aliases)
    census: tuple[int, int, bytes] | None = None
    # The heads that the chain row remembers, by their seq: None until they go by.
    kept: dict[object, tuple[int, int, bytes, int] | None] = field(default_factory=dict)


class _Chains:
    def __init__(self, connection: Connection, context: Context, found: Findings) -> None:
        history = context.history
        self._kek, self._index, self._history, self._found = context.kek, context.index_key, history, found
        self._classes, self._leaves = context.classes, open_leaves(connection)
        self._submissions = Submissions(connection, history.net)
        self._erasures = context.erasures
        self._kinds = Kinds(read_schemas(connection))
        self.placed: Counter[int] = Counter()
        self._covers = history.census[1]["covers"] if history.census is not None else 0
        self._rights = Rights(history)
        self._marks = {kind: frozenset(one["marks"]) for kind, one in self._kinds.documents.items()}
        self.entry_count = 0

    def check_chain(self, row: Any, entries: Iterator[Any]) -> None:
        """One chain with its entries."""
        number, chain16, type_ = row[:3]
        if row[16]:
            self._found.add("chain_name", number, "name", "the chain is not found by its names, or in two places")
        ref = self._open_chain(row)
        state = _State(kept={row[7]: None, row[11]: None})
        for entry in entries:
            self.entry_count += 1
            if entry[1] != state.seq + 1:
                self._found.add("entry", (number, entry[1]), "seq", f"entry {state.seq + 1} is missing")
                return
            if not self._check_entry(entry, state, chain16, type_, ref):
                # Every later link rests on this one.
                return
        if state.seq < 0:
            self._found.add("chain", number, None, "a chain without entries")
            return
        self._check_head(row, state)

    def _open_chain(self, row: Any) -> ChainRef | None:
        """The chain's key and subject, or None where they do not open; blind index and subject agree."""
        number, chain16, type_, _, blind, sealed = row[:6]
        wrapped = row[14]
        if wrapped is None or sealed is None:
            self._found.add(
                "passport_key" if wrapped is None else "chain", number, None, "the passport's key or subject is missing"
            )
            return None
        try:
            key = unwrap(self._kek, wrapped)
        except Unverified as error:
            self._found.add("passport_key", number, "wrapped", str(error))
            return None
        try:
            subject = decrypt_subject(key, chain16, sealed)
            decode(subject)
        except Unverified as error:
            self._found.add("chain", number, "subject", f"{error} (or it is another passport's key)")
            return None
        if blind != compute_blind(self._index, subject):
            self._found.add("chain", number, "blind", "not the blind index of the subject")
        return ChainRef(number, chain16, type_, key, subject)

    def _check_entry(self, entry: Any, state: _State, chain16: bytes, type_: int, ref: ChainRef | None) -> bool:
        number, seq, kind_id, basis, class_, mark, target, sid, submission, sub_index, seal, position = entry[:12]
        key = (number, seq)
        signed = self._submissions.find(submission)
        if signed is None:
            return self._wrong(key, "submission", "there is no such submission")
        if kind_id not in self._kinds.names_of:
            return self._wrong(key, "kind", "there is no such kind")
        kind = self._kinds.names_of[kind_id][0]
        statement, fields = self._open_entry(entry, kind, signed, chain16, ref)
        if seq == 0 and compute_chain_id(self._history.home, sid) != chain16:
            self._found.add("chain", number, "chain16", "not the id that the opening statement gives")
            return False
        if seq == 0 and OPENINGS.get(kind) != type_:
            self._found.add("chain", number, "type", f"opened by {kind}")
        if statement is not None and sha256(statement) != sid:
            return self._wrong(
                key, "sid", "contents, author, basis, class, mark, target and secret do not give this statement's id"
            )
        if statement is not None and not self._is_submitted(signed, submission, sub_index, statement):
            return self._wrong(key, "sub_index", "the author's submission does not hold this statement there")
        fault = self._find_mark_fault(state, seq, kind, mark, target)
        if fault is not None:
            return self._wrong(key, "mark", fault)
        if fields is not None and ref is not None:
            fault = state.aliases.find_fault(ref.subject, fields)
            if fault is not None:
                return self._wrong(key, "content", fault)
        if not self._place(entry, state, kind, signed, chain16, seal, position, class_, basis, sid, mark, target):
            return False
        state.aliases.note(sid, kind, fields, (signed.member, basis))
        return True

    def _open_entry(
        self, entry: Any, kind: str, signed: Signed, chain16: bytes, ref: ChainRef | None
    ) -> tuple[bytes | None, dict[str, Any] | None]:
        """The statement's bytes, from the contents, and these; None where they are erased, elsewhere, or do not
        open."""
        number, seq, kind_id, sid = entry[0], entry[1], entry[2], entry[7]
        location, secret, content, source = entry[12:]
        key = (number, seq)
        if location not in (0, 1) or (location == 1) != (content is None and secret is not None):
            self._wrong(key, "location", "does not say where the contents are")
        if content is None and secret is None and ref is not None:
            if source is not None:
                self._wrong(key, "source", "kept, although its entry was erased")
            return self._rebuild_erased(entry, signed, chain16), None
        if content is None or secret is None or ref is None:
            if (content is None) != (secret is None) and location == 0:
                self._wrong(key, "content" if content is None else "secret", "gone, while the other half is here")
            return None, None
        try:
            opened = open_content(ref, kind, self._kinds.names_of[kind_id][1], sid, secret, content)
        except Refused:
            return None, None
        except Unverified as error:
            self._wrong(key, "secret" if error.code == "unwrap_failed" else "content", str(error))
            return None, None
        if seq == 0 and encode(opened.fields["subject"]) != ref.encoded_subject:
            self._found.add("chain", number, "subject", "not the subject of the opening entry")
        return self._make_statement(entry, signed, chain16, compute_opened_root(opened)), opened.fields

    def _rebuild_erased(self, entry: Any, signed: Signed, chain16: bytes) -> bytes | None:
        """The statement of an erased entry, from the fields root that was kept."""
        key = (entry[0], entry[1])
        fields_root = self._erasures.roots.get(key)
        if fields_root is None:
            self._wrong(key, "content", "gone, and no erasure tells of it")
            return None
        statement = self._make_statement(entry, signed, chain16, fields_root)
        if statement is not None and sha256(statement) != entry[7]:
            self._found.add("erased_entry", key, "fields_root", "with it the statement has another id")
        return statement

    def _make_statement(self, entry: Any, signed: Signed, chain16: bytes, fields_root: bytes) -> bytes | None:
        number, seq, _, basis, class_, mark, target = entry[:7]
        try:
            return Statement(
                self._history.net,
                chain16 if seq else NO_CHAIN,
                signed.member,
                signed.key_digest,
                basis,
                class_,
                mark,
                target or NO_TARGET,
                fields_root,
            ).to_bytes()
        except (ValueError, TypeError) as error:
            self._wrong((number, seq), "basis", f"basis, class, mark or target is out of range: {error}")
            return None

    def _is_submitted(self, signed: Signed, submission: int, sub_index: int, statement: bytes) -> bool:
        leaf = sha256(b"\x00" + statement)
        if signed.statement_count == 1:
            return sub_index == 0 and signed.root == leaf
        return self._submissions.leaves.find(submission, sub_index) == leaf

    def _place(
        self,
        entry: Any,
        state: _State,
        kind: str,
        signed: Signed,
        chain16: bytes,
        seal: int,
        position: int,
        class_: int,
        basis: int,
        sid: bytes,
        mark: int,
        target: bytes | None,
    ) -> bool:
        """The link at its place in its batch, the author's right at that seal, and the head after it."""
        key = (entry[0], entry[1])
        if self._classes.get(seal) != class_:
            return self._wrong(key, "seal", "no batch of this class stands at this log index")
        if seal < state.seal:
            return self._wrong(key, "seal", "sealed before the entry before it")
        epoch = compute_next_epoch(state.epoch, mark) if state.seq >= 0 else 0
        signed_digest = sha256(b"carnet/1/signed\n" + sid + signed.tail)
        link = Link(chain16, state.seq + 1, epoch, state.id, sid, mark, target or NO_TARGET, signed_digest).to_bytes()
        if self._leaves.find(seal, position) != sha256(b"\x00" + link):
            return self._wrong(key, "position", "its link does not stand there in the batch")
        self.placed[seal] += 1
        fault = self._rights.find_fault(seal, signed, kind, basis, class_)
        if fault is not None:
            return self._wrong(key, "basis", fault)
        if state.closed and kind not in AFTER_CLOSING:
            return self._wrong(key, "kind", "stands after the passport was closed")
        self._follow(state, seal, kind, signed, basis, sid, mark, target)
        state.seq, state.epoch, state.id, state.seal = state.seq + 1, epoch, sha256(link), seal
        state.sids[sid] = state.seq
        if state.seq in state.kept:
            state.kept[state.seq] = (state.seq, state.epoch, state.id, seal)
        if seal < self._covers:
            state.census = (state.seq, state.epoch, state.id)
        return True

    def _follow(
        self,
        state: _State,
        seal: int,
        kind: str,
        signed: Signed,
        basis: int,
        sid: bytes,
        mark: int,
        target: bytes | None,
    ) -> None:
        """What an entry does to its chain, as the writer did it."""
        if kind == CLOSING:
            state.closed = 1
            state.closings[sid] = (signed.member, basis)
        elif mark == Mark.MOVE:
            state.home = (target or NO_TARGET)[:16]
        elif (
            mark == Mark.SUPERSEDES
            and state.closed
            and target in state.closings
            and self._rights.is_held(seal, signed, basis, state.closings[target])
        ):
            state.closed = 0
        if mark == Mark.SUPERSEDES and target is not None:
            declarer = state.aliases.find_author(target)
            if declarer is not None and self._rights.is_held(seal, signed, basis, declarer):
                state.aliases.withdraw(target)

    def _find_mark_fault(self, state: _State, seq: int, kind: str, mark: int, target: bytes | None) -> str | None:
        try:
            check_mark(seq, mark, target or NO_TARGET, state.sids.get(target) if target is not None else None)
        except Unverified as error:
            return str(error)
        if (kind in OPENINGS) != (seq == 0):
            return f"{kind} stands at seq {seq}"
        if mark not in self._marks[kind]:
            return f"{kind} does not bear mark {mark}"
        return None

    def _check_head(self, row: Any, state: _State) -> None:
        number = row[0]
        # Entries may be newer than the head that the row remembers.
        head = state.kept[row[7]] or (None, None, None, None)
        stored = {
            "home": (row[3], state.home),
            "closed": (row[6], state.closed),
            "head_seq": (row[7], head[0]),
            "head_epoch": (row[8], state.epoch),
            "head_id": (row[9], head[2]),
            "head_seal": (row[10], head[3]),
        }
        for column, (said, truth) in stored.items():
            if said != truth:
                self._found.add("chain", number, column, "not what its entries give")
        self._check_census_head(row, state)
        if state.seal >= self._covers and not row[15]:
            self._found.add("census_changed", number, "chain", "has grown since the latest census, and is not noted")

    def _check_census_head(self, row: Any, state: _State) -> None:
        """Where the head that the row remembers is newer than the census, that of the census stands beside it; where it
        is not, it is that one, and what stands beside it is of an older census, and must still be a head that this
        chain had."""
        number, said, kept = row[0], row[11:14], state.kept[row[11]]
        if self._covers and (type(row[10]) is not int or row[10] >= self._covers):
            if said != (state.census if state.census is not None else (None, None, None)):
                self._found.add("chain", number, "census_id", "not the head at the latest census")
            return
        if self._covers and (row[7], row[8], row[9]) != state.census:
            self._found.add("chain", number, "head_seq", "not the head at the latest census")
        if said != (None, None, None) and (kept is None or said != kept[:3] or said[0] >= row[7]):
            self._found.add("chain", number, "census_seq", "not a head that this chain had")

    def _wrong(self, key: tuple[int, int], column: str, what: str) -> bool:
        self._found.add("entry", key, column, what)
        return False
