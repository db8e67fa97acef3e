"""`prepare`: the heavy half of an append – validation, digests, encryption, signature – as a pure function of its job.

It runs in any process and in any number of them: keys, time and randomness come in with the job, and the same job gives
the same bytes. It refuses to know where in the log anything will stand; that is the writer's half. Spec: 2.1 to 2.12.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import KindLine
from carnet.node.jobs import (
    OPENINGS,
    ChainRef,
    Context,
    Group,
    Item,
    Job,
    Prepared,
    PreparedGroup,
    Refusal,
    Row,
    _join_signed,
    count_random_bytes,
)
from carnet.passport.fields import SECRET_BYTES
from carnet.passport.kinds import Schema, read_schema
from carnet.passport.link import compute_chain_id
from carnet.passport.statement import (
    NO_CHAIN,
    NO_TARGET,
    compute_statement_prefix,
    compute_submission,
)
from carnet.signing import Signer, key_digest
from carnet.tlog.tree import compute_root
from carnet.types import Mark
from carnet.vault.codes import HISTORY, JOURNAL
from carnet.vault.sealing import (
    compute_blind,
    encrypt_content,
    encrypt_subject,
    wrap,
)
from carnet.vault.statements import Sealed, frame_names, seal_statement


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


class _Chain:
    """A chain that gets statements; `head` is where each of them begins. A new one is named by its opening (2.12)."""

    __slots__ = ("chain16", "end", "head", "id", "is_new", "key", "start", "subject", "type")

    def __init__(self, ref: ChainRef, subject: bytes, head: bytes, *, is_new: bool) -> None:
        self.id, self.chain16, self.type, self.key, _ = ref
        self.subject, self.head, self.is_new = subject, head, is_new
        self.start = self.end = 0


_Planned: TypeAlias = tuple[_Chain, Item, _Kind, bytes, bytes, int, int]
"""A statement to make: chain, item, kind, the `cj` of all its fields, secret, its place in the job and its index in the
submission."""


def _seal(planned: Sequence[_Planned]) -> list[Sealed]:
    """The digests of each."""
    if not planned:
        return []
    chains, items, kinds, fields, secrets, _, _ = zip(*planned, strict=True)
    heads = [chain.head + kind.tails[item.mark] for chain, item, kind, *_ in planned]
    names = [kind.names for kind in kinds]
    targets = [item.target for item in items]
    subjects = [chain.subject for chain in chains]
    return list(map(seal_statement, names, fields, secrets, heads, targets, subjects))


def _make_rows(planned: Sequence[_Planned], sealed: Sequence[Sealed]) -> list[Row]:
    """Each as it is kept, under keys that only the storage keys open. Its chain has its name by now."""
    if not planned:
        return []
    chains, items, _, fields, secrets, _, _ = zip(*planned, strict=True)
    contents = [
        None if item.is_elsewhere else encrypt_content(content_key, chain.chain16, sid, content)
        for item, chain, (content_key, sid, _, content, _) in zip(items, chains, sealed, strict=True)
    ]
    wrapped = map(wrap, [chain.key for chain in chains], secrets)
    aliases = [
        None if one[4] is None else (one[4], find_day(_read_fields(own).occurred))
        for one, own in zip(sealed, fields, strict=True)
    ]
    return [
        _make(Row, (place, kind.kind, kind.class_, mark, target, one[1], index, secret, content, source, alias))
        for (_, (_, _, source, mark, target, _), kind, _, _, place, index), one, secret, content, alias in zip(
            planned, sealed, wrapped, contents, aliases, strict=True
        )
    ]


class _Fields(msgspec.Struct):
    """What is read again of an entry's fields."""

    occurred: dict[str, object]
    subject: dict[str, object]


_make = tuple.__new__
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
        items = [item for group in job.groups for item in group.items]
        fields = draft.encode(items)
        place = 0
        for group in job.groups:
            draft.add_group(group, fields, place)
            place += len(group.items)
        draft.seal()
        return draft.finish(place)


class _Submission:
    """One job in the making. Each step is taken for all items before the next one: a loop that does one thing is half
    as long as one that does everything."""

    def __init__(self, context: Context, kinds: Mapping[str, _Kind], job: Job, signer: Signer | None) -> None:
        self._context = context
        self._kinds = kinds
        self._job = job
        self._signer = signer
        self._key_digest = key_digest(job.public) if signer is None else signer.digest
        self._chains: list[_Chain] = []
        self._openings: list[_Planned] = []
        self._others: list[_Planned] = []
        self._sids: list[bytes] = []
        self._leaves: list[bytes] = []
        self._groups: list[PreparedGroup] = []
        self._refusals: list[Refusal] = []
        sent = job.randomness
        if len(sent) < count_random_bytes(job.groups):
            raise ValueError("a job brings 32 random bytes for each item and for each new chain")
        # 32 bytes each.
        self._random = iter([sent[at : at + SECRET_BYTES] for at in range(0, len(sent), SECRET_BYTES)])

    def encode(self, items: Sequence[Item]) -> list[bytes | None]:
        """The canonical bytes of each item's complete fields; None where it is refused."""
        places: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            places.setdefault(item.kind, []).append(place)
        encoded: list[bytes | None] = [None] * len(items)
        for name, those in places.items():
            kind = self._kinds.get(name)
            if kind is None:
                for place in those:
                    saying = f"the rules in force name no kind {name!a}"
                    self._refuse(place, Refused(Reason.UNKNOWN_KIND, saying, kind=name))
                continue
            found = kind.encode_all([items[place].fields for place in those])
            for place, one in zip(those, found, strict=True):
                if isinstance(one, Refused):
                    self._refuse(place, one)
                    continue
                item = items[place]
                if item.mark not in kind.marks or item.target != NO_TARGET or item.is_elsewhere:
                    try:
                        check_mark(item, kind.marks, has_source=kind.has_source)
                    except Refused as refused:
                        self._refuse(place, refused)
                        continue
                encoded[place] = one
        return encoded

    def add_group(self, group: Group, fields: Sequence[bytes | None], place: int) -> None:
        """Plan the items of one chain, whose first has this place among all of which the fields are given."""
        if group.chain is None:
            chain = self._plan_opening(group, fields, place)
            if chain is None:
                return
        else:
            ref = group.chain
            chain = _Chain(ref, encode_trusted(ref.subject), self._make_head(ref.chain16), is_new=False)
        sources: set[bytes] = set()
        others = self._others
        chain.start = len(others)
        for at, item in enumerate(group.items, place):
            encoded = fields[at]
            if encoded is None or (at == place and chain.is_new):
                continue
            kind = self._kinds[item.kind]
            if kind.chain_type != chain.type or item.kind in OPENINGS:
                self._refuse(at, Refused(Reason.WRONG_CHAIN, f"{kind.kind} cannot stand in this chain"))
                continue
            source = item.source
            if source is not None:
                if source in sources:
                    self._refuse(at, Refused(Reason.ALREADY_SEALED, "this source row stands twice in the job"))
                    continue
                sources.add(source)
            index = len(others) + len(self._openings)
            others.append((chain, item, kind, encoded, next(self._random), at, index))
        chain.end = len(others)
        if chain.is_new or chain.end > chain.start:
            self._chains.append(chain)

    def _plan_opening(self, group: Group, fields: Sequence[bytes | None], place: int) -> _Chain | None:
        """The new chain, or None when its opening was refused, and all that would follow it with it."""
        encoded = fields[place] if group.items else None
        reason, saying = Reason.UNKNOWN_PASSPORT, "the passport was not opened"
        if encoded is not None:
            item, subject = group.items[0], _read_fields(encoded).subject
            if item.kind in OPENINGS and subject["scheme"] != "plate":
                return self._add_opening(item, encoded, subject, place)
            if item.kind in OPENINGS:
                reason, saying = Reason.SUBJECT_MISMATCH, "a passport's own subject is never a plate (2.14)"
            else:
                saying = f"{item.kind} opens no chain"
        for at in range(place, place + len(group.items)):
            if fields[at] is not None:
                self._refuse(at, Refused(reason, saying))
        return None

    def _add_opening(self, item: Item, fields: bytes, subject: dict[str, object], place: int) -> _Chain:
        ref = ChainRef(0, NO_CHAIN, OPENINGS[item.kind], next(self._random), subject)
        chain = _Chain(ref, encode_trusted(subject), self._make_head(NO_CHAIN), is_new=True)
        index = len(self._openings) + len(self._others)
        self._openings.append((chain, item, self._kinds[item.kind], fields, next(self._random), place, index))
        return chain

    def seal(self) -> None:
        """Seal what was added: digests, ids, leaves, and contents under their keys."""
        opened = _seal(self._openings)
        for (chain, *_), (_, sid, *_) in zip(self._openings, opened, strict=True):
            chain.chain16 = compute_chain_id(self._context.home, sid)
            chain.head = self._make_head(chain.chain16)
        others = _seal(self._others)
        openings, rows = iter(_make_rows(self._openings, opened)), _make_rows(self._others, others)
        for chain in self._chains:
            those = rows[chain.start : chain.end]
            self._groups.append(self._open(chain, [next(openings), *those]) if chain.is_new else _extend(chain, those))
        # Both ascend: an opening goes in before whatever follows it.
        for (*_, index), one in zip(self._openings, opened, strict=True):
            others.insert(index, one)
        self._sids = [one[1] for one in others]
        self._leaves = [one[2] for one in others]

    def _open(self, chain: _Chain, rows: list[Row]) -> PreparedGroup:
        # A journal has one too: one for each passport and epoch, found by a name that only this node can compute.
        blind = compute_blind(self._context.index_key, chain.subject)
        subject = encrypt_subject(chain.key, chain.chain16, chain.subject)
        return PreparedGroup(0, chain.chain16, chain.type, blind, wrap(self._context.kek, chain.key), subject, rows)

    def _make_head(self, chain16: bytes) -> bytes:
        """A statement up to its class."""
        prefix = compute_statement_prefix(self._context.net, chain16, self._job.member, self._key_digest)
        return prefix + bytes((self._job.basis,))

    def finish(self, item_count: int) -> Prepared:
        """Sign what was added. A job of which nothing is left is signed over nothing and has count 0."""
        job, leaves, net, root = self._job, self._leaves, self._context.net, compute_root(self._leaves)
        sig = signed = b""
        if self._signer is not None and leaves:
            submission = compute_submission(net, self._key_digest, job.created_ms, len(leaves), root)
            sig = self._signer.sign(submission)
            signed = _join_signed(self._sids, submission + sig)
        return Prepared(
            net=net,
            member=job.member,
            key_digest=self._key_digest,
            public=job.public,
            basis=job.basis,
            created_ms=job.created_ms,
            statement_count=len(leaves),
            root=root,
            sig=sig,
            leaves=b"".join(leaves) if len(leaves) > 1 else b"",
            groups=self._groups,
            refusals=sorted(self._refusals, key=lambda refusal: refusal.place),
            item_count=item_count,
            is_signed_here=self._signer is not None,
            rules=self._context.rules,
            signed=signed,
        )

    def _refuse(self, place: int, refused: Refused) -> None:
        self._refusals.append(Refusal(place, refused.reason, refused.message, refused.facts))


def _extend(chain: _Chain, rows: list[Row]) -> PreparedGroup:
    return PreparedGroup(chain.id, chain.chain16, chain.type, None, b"", b"", rows)


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
