"""What goes into `prepare` and what comes out of it: jobs of statements to make, and submissions that are ready.

Records alone, as they cross processes. It refuses to know how a statement is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import KindLine, Rules
from carnet.passport.fields import SECRET_BYTES
from carnet.passport.statement import NO_TARGET, compute_all_signed, compute_submission
from carnet.types import Mark
from carnet.vault.codes import HISTORY, JOURNAL

OPENINGS = {"passport.opened/1": HISTORY, "journal.opened/1": JOURNAL}
"""The kinds that stand at seq 0 and nowhere else, with the chain that each opens. Spec: 2.8."""

IDENTITY = "vehicle.identity/1"


_read_subject = msgspec.json.Decoder(dict[str, object]).decode


class ChainRef(NamedTuple):
    """An existing chain, for more entries in it: store id, chain16, type, the passport's key and the `cj` of its
    subject (both secret)."""

    id: int
    chain16: bytes
    type: int
    key: bytes
    encoded_subject: bytes

    @property
    def subject(self) -> dict[str, object]:
        """The subject in its signed form, read anew."""
        subject: dict[str, object] = _read_subject(self.encoded_subject)
        return subject


class Item(NamedTuple):
    """One statement to make. `fields` as its kind's schema asks (MessagePack, if they come from another process);
    `source` the keyed digest of the row it was read from; `target` a sid (or a member id for mark 4); `is_elsewhere`
    leaves the contents at their source. Most rows of a file end with their source: the others cross no process."""

    kind: str
    fields: Mapping[str, object] | msgspec.Raw
    source: bytes | None = None
    mark: int = Mark.NONE
    target: bytes = NO_TARGET
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


class Row(NamedTuple):
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
        # Rows stand in the order of the submission.
        sids = [row.sid for group in self.groups for row in group.rows]
        return self._replace(sig=sig, signed=compute_all_signed(sids, self.submission, sig))


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


def count_random_bytes(groups: Sequence[Group]) -> int:
    """How much randomness a job of these groups needs."""
    return SECRET_BYTES * sum([len(items) + (chain is None) for items, chain in groups])
