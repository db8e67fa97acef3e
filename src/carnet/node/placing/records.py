"""What placing gives and works on: receipts and outcomes, the head of a chain, a batch that is still open.

It refuses to know how any of them comes about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from carnet.errors import Refused
from carnet.ledger.rules.members import Member
from carnet.node.jobs import Refusal
from carnet.node.placing.linking import Place

MAX_BATCH = 4096
"""Links in one batch: a proof that is made cold reads the leaves of its batch, 32 bytes each."""

MAX_SOURCE_BYTES = 512
"""So many bytes of digests of source rows are kept with a head, of 16 bytes each."""


MOST_ALIKE = 256
"""Chains of a submission that are looked at together at first. If nothing is special about any of them, twice as many
are, and so on."""


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
    """A chain as this transaction sees it. `place` is where it goes on; `ordinal` the last batch of this transaction
    that holds a link of it, -1 at first; `seal` that of its newest link before; `stored` the place that its row
    remembers, None for a new chain, and `stored_seal` the seal there; `is_turned` says that it was closed, reopened,
    transferred or moved; `sources` are the digests of all its source rows, one after the other, None where not all are
    known."""

    place: Place
    type: int
    blind: bytes | None
    closed: int = 0
    home: bytes | None = None
    seal: int = -1
    stored: Place | None = None
    stored_seal: int = -1
    ordinal: int = -1
    is_turned: bool = False
    sources: bytes | None = None
    wrapped_key: bytes = b""
    subject: bytes = b""

    @property
    def number(self) -> int:
        """Its number in the store."""
        return self.place[0]

    @property
    def chain16(self) -> bytes:
        """Its id."""
        return self.place[1]

    @property
    def seq(self) -> int:
        """That of its newest link."""
        return self.place[2]

    @property
    def is_written(self) -> bool:
        """Whether its row tells its newest link."""
        return self.stored is not None and self.stored[2] == self.place[2]

    def remember(self) -> None:
        """Its newest link is sealed, and its row tells it from here on."""
        self.stored, self.stored_seal = self.place, self.seal


@dataclass(slots=True)
class OpenBatch:
    """Links that will be sealed together: their class and their leaf hashes in order."""

    class_: int
    leaves: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class OpenSubmission:
    """A submission whose statements are being linked: its number, by whose right, their digests of clause 2.11, and
    whether nobody asks for receipts. What it has come to so far: refusals; where its links stand (as
    `vault.places.Run`), and how many there are of each kind (its number); the parts of the receipts; the ids of the
    chains that it opened; and the last batch that has a link of it. `plain` are the kinds that need no second look, by
    their class, each with its number; so many chains at most are looked at together as `reach` says."""

    number: int
    right: Right
    signed: bytes
    is_quiet: bool
    refusals: list[Refusal]
    spots: list[tuple[int, int, int]] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    receipts: list[tuple[Any, ...]] = field(default_factory=list)
    opened: list[bytes] = field(default_factory=list)
    last_ordinal: int = -1
    plain: dict[int, dict[str, int]] = field(default_factory=dict)
    reach: int = MOST_ALIKE

    def note(self, ordinal: int, counts: dict[int, int], receipts: Iterable[tuple[Any, ...]]) -> None:
        """These were linked, in this batch."""
        self.last_ordinal = max(self.last_ordinal, ordinal)
        for kind, count in counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count
        self.receipts += receipts

    @property
    def tally(self) -> Tally:
        """How many statements are sealed with it."""
        opened = self.opened
        return Tally(sum(self.counts.values()), len(opened), opened[0] if opened else None)


class Right(NamedTuple):
    """What an author may do now, in any submission: the member's leaf, and the class or the refusal for each kind asked
    so far."""

    member: Member
    basis: int
    kinds: dict[str, Refused | int]
