"""What placing gives and works on: receipts and outcomes, the head of a chain, a batch that is still open.

It refuses to know how any of them comes about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from carnet.errors import Refused
from carnet.ledger.rules.members import Member
from carnet.node.heads import ChainHead
from carnet.node.jobs import Refusal

MAX_BATCH = 4096
"""Links in one batch: a proof that is made cold reads the leaves of its batch, 32 bytes each."""

MAX_SOURCE_BYTES = 512
"""So many bytes of digests of source rows are kept with a head, of 16 bytes each."""


class Receipt(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where the item at `place` of a job now stands, durably: chain, seq, sid 32, the seal's log index, `signed` 32
    bytes and the time of acceptance (ms)."""

    place: int
    chain16: bytes
    seq: int
    sid: bytes
    seal: int
    signed: bytes
    accepted_ms: int


class Tally(NamedTuple):
    """How many statements of a submission were sealed, how many of these opened a chain, and the id (16 bytes) of the
    first chain that was opened."""

    sealed: int = 0
    opened: int = 0
    first_opened: bytes | None = None


NOTHING = Tally()


def tally_receipts(receipts: Iterable[Receipt]) -> Tally:
    """The tally of what these receipts, of one submission and in their order, say."""
    told = list(receipts)
    opened = [receipt.chain16 for receipt in told if receipt.seq == 0]
    return Tally(len(told), len(opened), opened[0] if opened else None)


class Outcome(NamedTuple):
    """What became of one submission: a receipt or a refusal for each item, and the tally, which stands alone where no
    receipts were asked for; `refused` when all of it was refused as a whole."""

    receipts: list[Receipt]
    refusals: list[Refusal]
    refused: Refused | None = None
    tally: Tally = NOTHING


class Head(msgspec.Struct, gc=False):
    """A chain as this transaction sees it. `ordinal` is the last batch of this transaction that holds a link of it,
    -1 at first; `seal` that of its newest link before; `stored` the head that its row remembers, None for a new chain;
    `is_turned` says that it was closed, reopened, transferred or moved; `sources` are the digests of all its source
    rows, one after the other, None where not all are known."""

    number: int
    chain16: bytes
    type: int
    blind: bytes | None
    closed: int
    seq: int
    epoch: int
    id: bytes
    home: bytes | None = None
    ordinal: int = -1
    seal: int = -1
    stored: ChainHead | None = None
    is_turned: bool = False
    sources: bytes | None = None
    wrapped_key: bytes = b""
    subject: bytes = b""

    @property
    def current(self) -> ChainHead:
        """The newest link, which is sealed."""
        return ChainHead(self.seq, self.epoch, self.id, self.seal)

    def keep(self, seal: int, *, is_written: bool = False) -> None:
        """The links of this transaction are sealed up to the log index `seal`; with `is_written` the row says so."""
        self.seal, self.ordinal, self.is_turned, self.wrapped_key, self.subject = seal, -1, False, b"", b""
        if is_written:
            self.stored = self.current


@dataclass(slots=True)
class OpenBatch:
    """Links that will be sealed together: their class and their leaf hashes in order."""

    class_: int
    leaves: list[bytes] = field(default_factory=list)


class Right(NamedTuple):
    """What a submission's author may do now: the member's leaf, and the class or the refusal for each kind asked so
    far."""

    member: Member
    basis: int
    kinds: dict[str, Refused | int]
