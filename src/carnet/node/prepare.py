"""`prepare`: the heavy half of an append – validation, digests, encryption, signature – as a pure function of its job.

It runs in any process and in any number of them: keys, time and randomness come in with the job, and the same job gives
the same bytes. It refuses to know where in the log anything will stand; that is the writer's half. Spec: 2.1 to 2.12.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Final, TypeAlias, TypeVar, cast

import msgspec

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import KindLine
from carnet.node.jobs import (
    OPENINGS,
    ChainRef,
    Context,
    Item,
    Job,
    Prepared,
    PreparedGroup,
    Refusal,
    Row,
    count_random_bytes,
)
from carnet.passport.fields import DIGEST_BYTES, SECRET_BYTES
from carnet.passport.kinds import Schema, read_schema
from carnet.passport.link import compute_chain_id
from carnet.passport.statement import (
    NO_CHAIN,
    NO_TARGET,
    compute_all_signed,
    compute_submission,
    frame_statements,
)
from carnet.signing import Signer, key_digest
from carnet.tlog.tree import compute_root_of_hashes
from carnet.types import Mark, make_tuple
from carnet.vault.codes import HISTORY, JOURNAL
from carnet.vault.sealing import (
    compute_blind,
    encrypt_contents,
    encrypt_subject,
    wrap,
    wrap_all,
)
from carnet.vault.statements import Sealed, frame_names, seal_statements


class _Kind:
    """A kind compiled for the hot loop."""

    __slots__ = ("chain_type", "class_", "encode_all", "has_source", "kind", "marks", "names", "tails")

    def __init__(self, line: KindLine, document: Mapping[str, object]) -> None:
        schema: Schema = read_schema(document)
        self.encode_all = schema.encode_all
        self.names = frame_names(schema.names)
        self.kind = line.kind
        self.class_ = line.class_
        self.marks = frozenset(int(mark) for mark in schema.marks)
        # Class and mark as they stand in a statement.
        self.tails = {mark: bytes((line.class_, mark)) for mark in self.marks}
        self.chain_type = HISTORY if line.chain == "history" else JOURNAL
        self.has_source = line.location == "source"


_Columns: TypeAlias = tuple[
    Sequence[str],
    Sequence[Mapping[str, object] | msgspec.Raw],
    Sequence[bytes | None],
    Sequence[int],
    Sequence[bytes],
    Sequence[bool],
]
"""The parts of items, side by side (`Item`)."""


class _Statements:
    """Statements to make, their parts in columns: those of their items, and what became of them."""

    __slots__ = ("elsewhere", "fields", "kinds", "marks", "places", "sealed", "secrets", "sources", "targets")

    def __init__(self) -> None:
        self.places: list[int] = []
        self.secrets: list[bytes] = []
        self.kinds: Sequence[_Kind] = ()
        self.fields: Sequence[bytes] = ()
        self.marks: Sequence[int] = ()
        self.targets: Sequence[bytes] = ()
        self.sources: Sequence[bytes | None] = ()
        self.elsewhere: Sequence[bool] = ()
        self.sealed: Sealed = [], [], b"", [], []


class _Fields(msgspec.Struct):
    """What is read again of an entry's fields."""

    occurred: dict[str, object]
    subject: dict[str, object]


# Without a function of Python's for each: there are thousands.
_make_row: Final[Callable[[tuple[object, ...]], Row]] = partial(make_tuple, Row)
_make_group: Final[Callable[[tuple[object, ...]], PreparedGroup]] = partial(make_tuple, PreparedGroup)
T = TypeVar("T")
_read_fields = msgspec.json.Decoder(_Fields).decode


class Preparer:
    """Prepares jobs under one context; its kinds are compiled once. Whoever keeps key pairs says by `get_signer` where
    that of a seed is."""

    def __init__(self, context: Context, get_signer: Callable[[bytes], Signer] = Signer) -> None:
        self._context = context
        self._get_signer = get_signer
        self._kinds = {line.kind: _Kind(line, document) for line, document in context.kinds}

    def prepare(self, job: Job) -> Prepared:
        """The job's submission: every good item signed and sealed, every bad one refused with its reason."""
        signer = None if job.seed is None else self._get_signer(job.seed)
        draft = _Submission(self._context, self._kinds, job, signer)
        draft.encode()
        draft.plan()
        draft.seal()
        return draft.finish()


class _Submission:
    """One job in the making. Each step is taken for all items before the next one, and what is known of them stands in
    columns: a loop that does one thing is half as long as one that does everything, and most need no loop."""

    def __init__(self, context: Context, kinds: Mapping[str, _Kind], job: Job, signer: Signer | None) -> None:
        self._context = context
        self._kinds = kinds
        self._job = job
        self._signer = signer
        self._key_digest = key_digest(job.public) if signer is None else signer.digest
        self._frame = frame_statements(context.net, job.member, self._key_digest, job.basis)
        self._items = [item for group in job.groups for item in group.items]
        columns = cast("_Columns", tuple(zip(*self._items, strict=True)) or ((),) * 6)
        self._names, self._given, self._sources, self._marks, self._targets, self._elsewhere = columns
        self._fields: list[bytes | None] = [None] * len(self._items)
        self._openings = _Statements()
        self._others = _Statements()
        # What openings open, without an id as yet; and each chain that gets statements, with the number of those beside
        # an opening: None is the next one that is opened.
        self._opened: list[ChainRef] = []
        self._chains: list[tuple[ChainRef | None, int]] = []
        self._sids: list[bytes] = []
        self._leaves = b""
        self._groups: list[PreparedGroup] = []
        self._refusals: list[Refusal] = []
        sent = job.randomness
        if len(sent) < count_random_bytes(job.groups):
            raise ValueError("a job brings 32 random bytes for each item and for each new chain")
        self._random = [sent[at : at + SECRET_BYTES] for at in range(0, len(sent), SECRET_BYTES)]
        self._taken = 0

    def encode(self) -> None:
        """Find the canonical bytes of each item's complete fields; None where it is refused."""
        places: dict[str, list[int]] = {}
        for place, name in enumerate(self._names):
            places.setdefault(name, []).append(place)
        for name, those in places.items():
            kind = self._kinds.get(name)
            if kind is None:
                for place in those:
                    saying = f"the rules in force name no kind {name!a}"
                    self._refuse(place, Refused(Reason.UNKNOWN_KIND, saying, kind=name))
                continue
            found = kind.encode_all(_pick(self._given, those))
            if set(map(type, found)) == {bytes} and len(those) == len(self._fields):
                self._fields = cast("list[bytes | None]", found)
                continue
            for place, one in zip(those, found, strict=True):
                if isinstance(one, Refused):
                    self._refuse(place, one)
                else:
                    self._fields[place] = one
        self._check_marks(places)

    def _check_marks(self, places: Mapping[str, Sequence[int]]) -> None:
        """Refuse what cannot have its mark, target or place."""
        marks = set(self._marks)
        is_plain = self._targets.count(NO_TARGET) == len(self._targets) and not any(self._elsewhere)
        for name, those in places.items():
            kind = self._kinds.get(name)
            if kind is None or (is_plain and marks <= kind.marks):
                continue
            for place in those:
                if self._fields[place] is None:
                    continue
                try:
                    check_mark(self._items[place], kind.marks, has_source=kind.has_source)
                except Refused as refused:
                    self._refuse(place, refused)
                    self._fields[place] = None

    def plan(self) -> None:
        """Choose what is sealed in each chain, with which secret."""
        only = self._find_only_type()
        if only is not None and {None if ref is None else ref.type for _, ref in self._job.groups} == {only}:
            self._chains = [(ref, len(items)) for items, ref in self._job.groups if items]
            self._others.places += range(len(self._items))
            self._others.secrets = self._take_random(len(self._items))
            return
        end = 0
        for items, ref in self._job.groups:
            place, end = end, end + len(items)
            if ref is None:
                type_ = self._open(place, end)
                place += 1
            else:
                type_ = ref.type
            if type_ is None:
                continue
            places = range(place, end) if type_ == only else self._choose(type_, place, end)
            count = len(places)
            if count or ref is None:
                self._chains.append((ref, count))
                self._others.places += places
                self._others.secrets += self._take_random(count)

    def _find_only_type(self) -> int | None:
        """The type of chain in which every item may stand; None where each has to be looked at, since one was refused,
        a source row may stand twice in a chain, or something may open a chain that is there already."""
        known = len(self._sources) - self._sources.count(None)
        if not all(self._fields) or len(set(self._sources) - {None}) < known:
            return None
        names = set(self._names)
        openings = [items[0].kind for items, ref in self._job.groups if ref is None and items]
        if any(self._names.count(name) != openings.count(name) for name in names & OPENINGS.keys()):
            return None
        types = {self._kinds[name].chain_type for name in names}
        return types.pop() if len(types) == 1 else None

    def _choose(self, type_: int, first: int, end: int) -> list[int]:
        """The places of a chain's items that can stand in it; the others are refused."""
        chosen: list[int] = []
        sources: set[bytes] = set()
        for place in range(first, end):
            if self._fields[place] is None:
                continue
            name, source = self._names[place], self._sources[place]
            if self._kinds[name].chain_type != type_ or name in OPENINGS:
                self._refuse(place, Refused(Reason.WRONG_CHAIN, f"{name} cannot stand in this chain"))
            elif source in sources:
                self._refuse(place, Refused(Reason.ALREADY_SEALED, "this source row stands twice in the job"))
            else:
                chosen.append(place)
                if source is not None:
                    sources.add(source)
        return chosen

    def _open(self, place: int, end: int) -> int | None:
        """Plan a new chain, which the first of these items opens; its type, or None when the opening was refused, and
        all that would follow it with it."""
        fields = self._fields[place] if place < end else None
        reason, saying = Reason.UNKNOWN_PASSPORT, "the passport was not opened"
        if fields is not None:
            item, subject = self._items[place], _read_fields(fields).subject
            if item.kind in OPENINGS and subject["scheme"] != "plate":
                key, secret = self._take_random(2)
                self._openings.places.append(place)
                self._openings.secrets.append(secret)
                type_ = OPENINGS[item.kind]
                self._opened.append(ChainRef(0, NO_CHAIN, type_, key, encode_trusted(subject)))
                return type_
            if item.kind in OPENINGS:
                reason, saying = Reason.SUBJECT_MISMATCH, "a passport's own subject is never a plate (2.14)"
            else:
                saying = f"{item.kind} opens no chain"
        for at in range(place, end):
            if self._fields[at] is not None:
                self._refuse(at, Refused(reason, saying))
        return None

    def _take_random(self, count: int) -> list[bytes]:
        taken = self._random[self._taken : self._taken + count]
        self._taken += count
        return taken

    def seal(self) -> None:
        """Seal what was planned: digests, ids, leaves, and contents under their keys."""
        first, others = self._openings, self._others
        self._digest(first, self._opened)
        ids = [compute_chain_id(self._context.home, sid) for sid in first.sealed[1]]
        opened = [ref._replace(chain16=chain16) for ref, chain16 in zip(self._opened, ids, strict=True)]
        new = iter(opened)
        chains = [(next(new) if ref is None else ref, ref is None, count) for ref, count in self._chains]
        refs = [ref for ref, _, count in chains for _ in range(count)]
        self._digest(others, refs)
        # Where each stands in the submission: an opening goes before whatever follows it.
        at_first = [bisect_left(others.places, place) + before for before, place in enumerate(first.places)]
        taken = set(at_first)
        indices = range(len(others.places) + len(at_first))
        opening_rows = iter(self._make_rows(first, opened, at_first))
        rows = self._make_rows(others, refs, [at for at in indices if at not in taken] if taken else indices)
        start = 0
        for ref, is_new, count in chains:
            end = start + count
            those = rows[start:end]
            if is_new:
                self._groups.append(self._make_new(ref, [next(opening_rows), *those]))
            else:
                number, chain16, type_, _, _ = ref
                self._groups.append(_make_group((number, chain16, type_, None, b"", b"", those)))
            start = end
        self._join(at_first)

    def _digest(self, given: _Statements, refs: Sequence[ChainRef]) -> None:
        """Make the statements, each in its chain."""
        places = given.places
        if not places:
            return
        given.kinds = kinds = [self._kinds[name] for name in _pick(self._names, places)]
        given.fields = cast("Sequence[bytes]", _pick(self._fields, places))
        given.marks, given.targets = _pick(self._marks, places), _pick(self._targets, places)
        given.sources, given.elsewhere = _pick(self._sources, places), _pick(self._elsewhere, places)
        tails = [kind.tails[mark] for kind, mark in zip(kinds, given.marks, strict=True)]
        _, chains, _, _, subjects = zip(*refs, strict=True)
        names = [kind.names for kind in kinds]
        given.sealed = seal_statements(
            *self._frame, names, given.fields, given.secrets, chains, tails, given.targets, subjects
        )

    def _make_rows(self, given: _Statements, refs: Sequence[ChainRef], indices: Sequence[int]) -> list[Row]:
        """Each as it is kept, under keys that only the storage keys open, at its index in the submission."""
        if not given.places:
            return []
        content_keys, sids, _, packed, others = given.sealed
        _, chains, _, keys, _ = zip(*refs, strict=True)
        contents: Sequence[bytes | None] = encrypt_contents(content_keys, chains, sids, packed)
        if any(given.elsewhere):
            pairs = zip(contents, given.elsewhere, strict=True)
            contents = [None if is_elsewhere else one for one, is_elsewhere in pairs]
        aliases: Sequence[tuple[bytes, str | None] | None] = [None] * len(sids)
        if any(others):
            aliases = [
                None if one is None else (one, find_day(_read_fields(own).occurred))
                for one, own in zip(others, given.fields, strict=True)
            ]
        names, classes = [kind.kind for kind in given.kinds], [kind.class_ for kind in given.kinds]
        stated = names, classes, given.marks, given.targets, sids, indices
        kept = wrap_all(keys, given.secrets), contents, given.sources, aliases
        return list(map(_make_row, zip(given.places, *stated, *kept, strict=True)))

    def _join(self, at_first: Sequence[int]) -> None:
        """Bring sids and leaves into the order of the submission, in which openings have these indices."""
        _, self._sids, leaves, _, _ = self._others.sealed
        if not at_first:
            self._leaves = leaves
            return
        _, sids, first, _, _ = self._openings.sealed
        parts, start = list[bytes](), 0
        for before, (index, sid) in enumerate(zip(at_first, sids, strict=True)):
            self._sids.insert(index, sid)
            end = DIGEST_BYTES * (index - before)
            parts += leaves[start:end], first[DIGEST_BYTES * before : DIGEST_BYTES * (before + 1)]
            start = end
        self._leaves = b"".join([*parts, leaves[start:]])

    def _make_new(self, ref: ChainRef, rows: list[Row]) -> PreparedGroup:
        # A journal has one too: one for each passport and epoch, found by a name that only this node can compute.
        blind = compute_blind(self._context.index_key, ref.encoded_subject)
        subject = encrypt_subject(ref.key, ref.chain16, ref.encoded_subject)
        return PreparedGroup(0, ref.chain16, ref.type, blind, wrap(self._context.kek, ref.key), subject, rows)

    def finish(self) -> Prepared:
        """Sign what was added. A job of which nothing is left is signed over nothing and has count 0."""
        job, leaves, net, count = self._job, self._leaves, self._context.net, len(self._sids)
        root = compute_root_of_hashes(leaves)
        sig = signed = b""
        if self._signer is not None and count:
            submission = compute_submission(net, self._key_digest, job.created_ms, count, root)
            sig = self._signer.sign(submission)
            signed = compute_all_signed(self._sids, submission, sig)
        return Prepared(
            net=net,
            member=job.member,
            key_digest=self._key_digest,
            public=job.public,
            basis=job.basis,
            created_ms=job.created_ms,
            statement_count=count,
            root=root,
            sig=sig,
            leaves=leaves if count > 1 else b"",
            groups=self._groups,
            refusals=sorted(self._refusals, key=lambda refusal: refusal.place),
            item_count=len(self._items),
            is_signed_here=self._signer is not None,
            rules=self._context.rules,
            signed=signed,
        )

    def _refuse(self, place: int, refused: Refused) -> None:
        self._refusals.append(Refusal(place, refused.reason, refused.message, refused.facts))


def _pick(column: Sequence[T], places: Sequence[int]) -> Sequence[T]:
    """What stands at these places, of which there are at most as many."""
    if len(places) == len(column):
        return column
    return itemgetter(*places)(column) if len(places) > 1 else [column[place] for place in places]


_DEEDS: Final[dict[int, str]] = {
    Mark.NONE: "says nothing of another one",
    Mark.SUPERSEDES: "corrects another one",
    Mark.CONTESTS: "contests another one",
    Mark.TRANSFER: "transfers the passport",
    Mark.MOVE: "moves the passport",
}


def check_mark(item: Item, marks: Collection[int], *, has_source: bool) -> None:
    """Mark, target and place of the contents, as far as they can be judged without the chain. Raises
    Refused(WRONG_MARK, ELSEWHERE_NOT_ALLOWED)."""
    if item.mark not in marks:
        deed = _DEEDS.get(item.mark, f"bears mark {item.mark}")
        raise Refused(Reason.WRONG_MARK, f"the rules let no {item.kind} be an entry that {deed}", mark=item.mark)
    if len(item.target) != 32 or (item.mark in (0, 3) and item.target != NO_TARGET):
        raise Refused(Reason.WRONG_MARK, "this mark has no such target")
    if item.mark == Mark.MOVE and item.target[16:] != bytes(16):
        raise Refused(Reason.WRONG_MARK, "the target of a move is a member id and 16 zero bytes")
    if item.is_elsewhere and not has_source:
        raise Refused(Reason.ELSEWHERE_NOT_ALLOWED, f"the rules keep the contents of {item.kind} in the home vault")


def find_day(occurred: object) -> str | None:
    """The written date of an `occurred`, where its precision is a day or finer. Spec: 2.14."""
    if not isinstance(occurred, dict) or occurred.get("precision") not in ("day", "minute", "second"):
        return None
    at = occurred.get("at")
    return at[:10] if isinstance(at, str) else None
