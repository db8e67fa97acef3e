"""`prepare`: the heavy half of an append – validation, digests, encryption, signature – as a pure function of its job.

It runs in any process and in any number of them: keys, time and randomness come in with the job, and the same job gives
the same bytes. It refuses to know where in the log anything will stand; that is the writer's half. Spec: 2.1 to 2.12.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from carnet.encoding import encode_trusted, sha256
from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import KindLine, Rules
from carnet.passport.fields import SECRET_BYTES
from carnet.passport.kinds import Schema, read_schema
from carnet.passport.link import compute_chain_id
from carnet.passport.statement import (
    NO_CHAIN,
    NO_TARGET,
    compute_signed_prefix,
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
from carnet.vault.statements import get_statement_sealer

OPENINGS = {"passport.opened/1": HISTORY, "journal.opened/1": JOURNAL}
"""The kinds that stand at seq 0 and nowhere else, with the chain that each opens. Spec: 2.8."""

IDENTITY = "vehicle.identity/1"


class ChainRef(NamedTuple):
    """An existing chain, for more entries in it: store id, chain16, type, the passport's key and the subject (both
    secret)."""

    id: int
    chain16: bytes
    type: int
    key: bytes
    subject: dict[str, object]


class Item(NamedTuple):
    """One statement to make. `fields` as its kind's schema asks (MessagePack, if they come from another process);
    `target` a sid (or a member id for mark 4); `source` the keyed digest of the row it was read from; `is_elsewhere`
    leaves the contents at their source."""

    kind: str
    fields: Mapping[str, object] | msgspec.Raw
    mark: int = Mark.NONE
    target: bytes = NO_TARGET
    source: bytes | None = None
    is_elsewhere: bool = False


class Group(NamedTuple):
    """Items of one chain, in order. Without a `chain` the first item opens a new one."""

    items: Sequence[Item]
    chain: ChainRef | None = None


class Job(NamedTuple):
    """One submission of one author key. `seed` is its secret, or None when the signature is made elsewhere;
    `randomness` holds 32 bytes for each item and 32 for each new chain."""

    member: bytes
    public: bytes
    seed: bytes | None
    basis: int
    created_ms: int
    groups: Sequence[Group]
    randomness: bytes


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A prepared statement. `place` counts the job's items; `alias` is (cj of the subject, written date) where that
    is not the passport's own."""

    place: int
    kind: str
    class_: int
    mark: int
    target: bytes
    sid: bytes
    sub_index: int
    secret: bytes
    content: bytes | None
    source: bytes | None
    alias: tuple[bytes, str | None] | None


class PreparedGroup(NamedTuple):
    """Rows of one chain. `chain` is 0 for a new one, whose blind index, wrapped key and encrypted subject come
    along."""

    chain: int
    chain16: bytes
    type: int
    blind: bytes | None
    wrapped_key: bytes
    subject: bytes
    rows: list[Row]


class Refusal(NamedTuple):
    """Why the item at `place` of a job was left out. An exception taken apart, because it crosses processes."""

    place: int
    reason: Reason
    message: str
    facts: dict[str, object]

    def to_error(self) -> Refused:
        """The same as an exception."""
        error = Refused(self.reason, self.message)
        error.facts = dict(self.facts)
        return error


class Prepared(NamedTuple):
    """A submission ready for the writer: signed (`sig` empty when it is still to be signed elsewhere), sealed and in
    order.

    `leaves` are the statements' leaf hashes, `signed` their digests of clause 2.11 (empty until there is a signature),
    32 bytes each. `item_count` counts the job's items, refused ones too; `rules` is the log index of the rules that it
    was prepared under.
    """

    net: bytes
    member: bytes
    key_digest: bytes
    public: bytes
    basis: int
    created_ms: int
    statement_count: int
    root: bytes
    sig: bytes
    leaves: bytes
    groups: list[PreparedGroup]
    refusals: list[Refusal]
    item_count: int
    is_signed_here: bool
    rules: int
    signed: bytes = b""

    @property
    def submission(self) -> bytes:
        """`sub`, what the author's key signs. Spec: 2.10."""
        return compute_submission(self.net, self.key_digest, self.created_ms, self.statement_count, self.root)

    def with_signature(self, sig: bytes) -> Prepared:
        """With its signature. The writer verifies one that was made elsewhere."""
        prefix, tail = compute_signed_prefix(), self.submission + sig
        # Rows stand in the order of the submission.
        signed = [sha256(prefix + row.sid + tail) for group in self.groups for row in group.rows]
        return self._replace(sig=sig, signed=b"".join(signed))


class Context(NamedTuple):
    """What every job shares: the network, the node, the two storage keys, and the kinds that the rules in force name
    (kind line, schema document)."""

    net: bytes
    home: bytes
    kek: bytes
    index_key: bytes
    rules: int
    kinds: tuple[tuple[KindLine, Mapping[str, object]], ...]


def make_context(
    net: bytes,
    home: bytes,
    kek: bytes,
    index_key: bytes,
    rules_index: int,
    rules: Rules,
    documents: Mapping[str, object],
) -> Context:
    """The context of rules in force at a log index, with the schema documents that their kind lines name."""
    lines = [line for line in rules.lines if isinstance(line, KindLine)]
    kinds = tuple((line, documents[line.kind]) for line in lines if isinstance(documents.get(line.kind), Mapping))
    return Context(net, home, kek, index_key, rules_index, kinds)  # type: ignore[arg-type]


class _Kind:
    """A kind compiled for the hot loop."""

    __slots__ = (
        "chain_type", "class_", "encode", "encode_packed", "has_source", "kind", "marks", "seal",
    )  # fmt: skip

    def __init__(self, line: KindLine, document: Mapping[str, object]) -> None:
        schema: Schema = read_schema(document)
        self.encode, self.encode_packed = schema.encode, schema.encode_packed
        self.seal = get_statement_sealer(schema.names).seal
        self.kind = line.kind
        self.class_ = line.class_
        self.marks = frozenset(int(mark) for mark in schema.marks)
        self.chain_type = HISTORY if line.chain == "history" else JOURNAL
        self.has_source = line.location == "source"


_Validated: TypeAlias = tuple[_Kind, bytes]


class _Fields(msgspec.Struct):
    """What is read again of an entry's fields."""

    occurred: dict[str, object]
    subject: dict[str, object]


_read_fields = msgspec.json.Decoder(_Fields).decode


class Preparer:
    """Prepares jobs under one context; its kinds are compiled once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kinds = {line.kind: _Kind(line, document) for line, document in context.kinds}

    def prepare(self, job: Job) -> Prepared:
        """The job's submission: every good item signed and sealed, every bad one refused with its reason."""
        draft = _Submission(self._context, self._kinds, job)
        place = 0
        for group in job.groups:
            draft.add_group(group, place)
            place += len(group.items)
        return draft.finish(place)


class _Submission:
    """One job in the making."""

    def __init__(self, context: Context, kinds: Mapping[str, _Kind], job: Job) -> None:
        self._context = context
        self._kinds = kinds
        self._job = job
        self._signer = Signer(job.seed) if job.seed is not None else None
        self._key_digest = key_digest(job.public) if self._signer is None else self._signer.digest
        self._leaves: list[bytes] = []
        self._groups: list[PreparedGroup] = []
        self._refusals: list[Refusal] = []
        self._random_at = 0
        self._prefix_chain, self._prefix = b"", b""

    def add_group(self, group: Group, place: int) -> None:
        """Prepare the items of one chain; a new one is named by its first statement (2.12)."""
        validated = [self._validate(item, place + at) for at, item in enumerate(group.items)]
        if group.chain is not None:
            ref, wrapped, subject = group.chain, b"", encode_trusted(group.chain.subject)
            rows: list[Row] = []
            sealed_subject = b""
        else:
            opening = self._open(group, validated, place)
            if opening is None:
                return
            ref, subject, wrapped, sealed_subject, rows = opening
        rows += self._seal_rows(group, validated, ref, subject, place, len(rows))
        if rows:
            # A journal's too: one for each passport and epoch, found by a name that only this node can compute.
            blind = compute_blind(self._context.index_key, subject) if group.chain is None else None
            self._groups.append(PreparedGroup(ref.id, ref.chain16, ref.type, blind, wrapped, sealed_subject, rows))

    def finish(self, item_count: int) -> Prepared:
        """Sign what was added. A job of which nothing is left is signed over nothing and has count 0."""
        job, leaves = self._job, self._leaves
        prepared = Prepared(
            net=self._context.net,
            member=job.member,
            key_digest=self._key_digest,
            public=job.public,
            basis=job.basis,
            created_ms=job.created_ms,
            statement_count=len(leaves),
            root=compute_root(leaves),
            sig=b"",
            leaves=b"".join(leaves) if len(leaves) > 1 else b"",
            groups=self._groups,
            refusals=sorted(self._refusals, key=lambda refusal: refusal.place),
            item_count=item_count,
            is_signed_here=self._signer is not None,
            rules=self._context.rules,
        )
        if self._signer is None or not leaves:
            return prepared
        return prepared.with_signature(self._signer.sign(prepared.submission))

    def _validate(self, item: Item, place: int) -> _Validated | None:
        """The kind, and the canonical bytes of the complete fields."""
        try:
            name, given, mark, target, _, is_elsewhere = item
            kind = self._kinds.get(name)
            if kind is None:
                raise Refused(Reason.UNKNOWN_KIND, f"the rules in force name no kind {name!a}", kind=name)
            fields = kind.encode_packed(given) if isinstance(given, msgspec.Raw) else kind.encode(given)
            if mark not in kind.marks or target != NO_TARGET or is_elsewhere:
                check_mark(item, kind.marks, has_source=kind.has_source)
        except Refused as refused:
            self._refuse(place, refused)
            return None
        return kind, fields

    def _open(
        self, group: Group, validated: Sequence[_Validated | None], place: int
    ) -> tuple[ChainRef, bytes, bytes, bytes, list[Row]] | None:
        """The new chain and its first row, or None when the opening was refused, and all that would follow it with
        it."""
        first = validated[0] if validated else None
        if first is None or first[0].kind not in OPENINGS:
            why = "the passport was not opened" if first is None else f"{first[0].kind} opens no chain"
            for at in range(len(group.items)):
                if validated[at] is not None:
                    self._refuse(place + at, Refused(Reason.UNKNOWN_PASSPORT, why))
            return None
        kind, fields = first
        subject_value = _read_fields(fields).subject
        subject = encode_trusted(subject_value)
        if subject_value["scheme"] == "plate":
            for at in range(len(group.items)):
                if validated[at] is not None:
                    self._refuse(
                        place + at,
                        Refused(Reason.SUBJECT_MISMATCH, "a passport's own subject is never a plate (2.14)"),
                    )
            return None
        key = self._take_random()
        row = self._seal_row(group.items[0], kind, fields, NO_CHAIN, key, subject, place, home=self._context.home)
        chain16 = compute_chain_id(self._context.home, row.sid)
        ref = ChainRef(0, chain16, OPENINGS[kind.kind], key, subject_value)
        return ref, subject, wrap(self._context.kek, key), encrypt_subject(key, chain16, subject), [row]

    def _seal_rows(
        self,
        group: Group,
        validated: Sequence[_Validated | None],
        ref: ChainRef,
        subject: bytes,
        place: int,
        skip: int,
    ) -> list[Row]:
        rows: list[Row] = []
        sources: set[bytes] = set()
        for at in range(skip, len(group.items)):
            found = validated[at]
            if found is None:
                continue
            item, (kind, fields) = group.items[at], found
            if kind.chain_type != ref.type or kind.kind in OPENINGS:
                self._refuse(place + at, Refused(Reason.WRONG_CHAIN, f"{kind.kind} cannot stand in this chain"))
                continue
            if item.source is not None:
                if item.source in sources:
                    self._refuse(place + at, Refused(Reason.ALREADY_SEALED, "this source row stands twice in the job"))
                    continue
                sources.add(item.source)
            rows.append(self._seal_row(item, kind, fields, ref.chain16, ref.key, subject, place + at))
        return rows

    def _seal_row(
        self,
        item: Item,
        kind: _Kind,
        fields: bytes,
        chain: bytes,
        passport_key: bytes,
        subject: bytes,
        place: int,
        home: bytes | None = None,
    ) -> Row:
        """One statement: digests, id, leaf, contents under their key. `home` names the chain that an opening makes."""
        # Every line below runs once per entry: measure before adding one.
        secret = self._take_random()
        if self._prefix_chain != chain:
            self._prefix_chain = chain
            self._prefix = compute_statement_prefix(self._context.net, chain, self._job.member, self._key_digest)
        _, _, mark, target, source, is_elsewhere = item
        head = self._prefix + bytes((self._job.basis, kind.class_, mark))
        content_key, sid, leaf, packed, other = kind.seal(fields, secret, head, target, subject)
        leaves = self._leaves
        index = len(leaves)
        leaves.append(leaf)
        alias = None if other is None else (other, find_day(_read_fields(fields).occurred))
        content = None
        if not is_elsewhere:
            named = chain if home is None else compute_chain_id(home, sid)
            content = encrypt_content(content_key, named, sid, packed)
        wrapped = wrap(passport_key, secret)
        return Row(place, kind.kind, kind.class_, mark, target, sid, index, wrapped, content, source, alias)

    def _take_random(self) -> bytes:
        at = self._random_at
        self._random_at = at + SECRET_BYTES
        taken = self._job.randomness[at : at + SECRET_BYTES]
        if len(taken) != SECRET_BYTES:
            raise ValueError("a job brings 32 random bytes for each item and for each new chain")
        return taken

    def _refuse(self, place: int, refused: Refused) -> None:
        self._refusals.append(Refusal(place, refused.reason, refused.message, refused.facts))


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


def count_random_bytes(groups: Sequence[Group]) -> int:
    """How much randomness a job of these groups needs."""
    return sum(SECRET_BYTES * (len(group.items) + (group.chain is None)) for group in groups)


def find_day(occurred: object) -> str | None:
    """The written date of an `occurred`, where its precision is a day or finer. Spec: 2.14."""
    if not isinstance(occurred, dict) or occurred.get("precision") not in ("day", "minute", "second"):
        return None
    at = occurred.get("at")
    return at[:10] if isinstance(at, str) else None
