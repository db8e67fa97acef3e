"""What the services may ask of the one writer, be it in this process (`Writer`) or behind the node's door
(`door.RemoteWriter`).

It refuses to know which of the two answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from carnet.ledger.state import State
from carnet.ledger.transition import Logged
from carnet.node.acts import Act, Done
from carnet.node.aliases import Declaration
from carnet.node.jobs import ChainRef, Context, Group, Job, Prepared, Refusal
from carnet.node.placing import Outcome, Receipt
from carnet.node.sealed_rows import SealedRow
from carnet.types import Subject


class Preparing(Protocol):
    """A submission that is being prepared, somewhere (`pool`)."""

    def result(self) -> Prepared:
        """What it became; waits for it, and raises what preparing it raised."""

    def encoded(self) -> tuple[bytes, list[Refusal]]:
        """The same as it crosses to another process, and the refusals, which stay behind."""


class Landing(Protocol):
    """A submission on its way to the disk."""

    def result(self) -> Outcome:
        """What became of it; waits for it, and raises what `Writing.commit` raises."""


class Writing(Protocol):
    """The shared surface. Each method means, and raises, what the same method of `Writer` says; its methods may be
    called from any thread."""

    @property
    def state(self) -> State:
        """The ledger's state in force, as this caller last saw it."""

    @property
    def node_id(self) -> bytes:
        """This node's member id."""

    @property
    def node_key(self) -> bytes:
        """The digest of the key that this node seals and signs receipts with."""

    @property
    def index_key(self) -> bytes:
        """The key of the blind index, with which source rows are known again."""

    @property
    def is_census_owed(self) -> bool:
        """Whether the latest census counts a passport that was erased since."""

    def check_alive(self) -> None:
        """Raise a refusal if the writer has stopped or does not answer."""

    def context(self) -> Context:
        """What is needed to prepare jobs under the rules in force."""

    def reading(self) -> AbstractContextManager[None]:
        """Look many things up under one read."""

    def find_chain(self, subject: Subject) -> ChainRef | None:
        """The passport of a subject."""

    def find_chains(self, subjects: Iterable[Subject]) -> dict[Subject, ChainRef]:
        """The passports that these subjects have."""

    def find_numbers(self, subjects: Sequence[bytes]) -> list[int | None]:
        """The number in the store of the passport that each of these subjects (their `cj`) has, if any: neighbours have
        neighbouring numbers."""

    def find_chains_by_numbers(self, numbers: Sequence[int], subjects: Sequence[bytes]) -> dict[bytes, ChainRef]:
        """By their subjects (`cj`) the passports with these numbers, which were found before by these."""

    def find_chain_by_id(self, chain16: bytes) -> ChainRef | None:
        """The chain with this id."""

    def get_chain_by_id(self, chain16: bytes) -> ChainRef:
        """The same, or a refusal."""

    def find_receipt(self, place: int, chain16: bytes, sid: bytes) -> Receipt | None:
        """The receipt of a statement that is sealed."""

    def find_receipts(self, wanted: Sequence[tuple[bytes, bytes]]) -> dict[int, Receipt]:
        """The receipts of many statements (chain16, sid) that are sealed, by their places."""

    def find_sources(self, sources: Mapping[int, Sequence[bytes]]) -> dict[int, set[bytes]]:
        """Which of these source rows the chains hold already."""

    def find_sealed_row(self, chain: int, source: bytes) -> SealedRow | None:
        """The row of a chain that was read from this source, if it holds it."""

    def read_aliases(self) -> list[tuple[Subject, Declaration]]:
        """Every alias that an author signed for."""

    def make_job(
        self,
        member: bytes,
        basis: int,
        groups: Sequence[Group],
        *,
        created_ms: int | None = None,
        public: bytes | None = None,
    ) -> Job:
        """A job in the name of a member. Only a writer in this process puts the key's secret into it."""

    def prepare(self, job: Job) -> Prepared:
        """Prepare in this process."""

    def warm_up(self) -> None:
        """Make ready what the first submission would wait for."""

    def append(self, member: bytes, basis: int, groups: Sequence[Group]) -> Outcome:
        """Prepare and commit one submission."""

    def commit(self, prepared: Sequence[Prepared]) -> list[Outcome]:
        """Seal the submissions in one transaction; durable when it returns."""

    def start_commit(self, preparing: Preparing, *, is_quiet: bool = False) -> Landing:
        """The same for one submission, for whoever has many to hand in one after the other: it waits until this one is
        prepared, and is durable when `Landing.result` returns. They are sealed in the order in which they came. Whoever
        is quiet wants no receipts, but how many statements were sealed: `Outcome.tally`."""

    @property
    def most_ahead(self) -> int:
        """How many submissions `start_commit` takes on their way before the first of them is waited for."""

    @property
    def is_shared(self) -> bool:
        """Whether others wait for the writer now and then, so that much is to be handed in in small parts."""

    async def commit_soon(self, prepared: Prepared) -> Outcome:
        """The same for one submission, from an event loop."""

    async def leave_loop(self) -> None:
        """Let go of what belongs to the event loop that runs, before that ends."""

    def keeps_key(self, digest: bytes) -> bool:
        """Whether the node has the secret of an author key, to sign with it for its member."""

    def sign_receipt(self, receipt: Receipt, deadline_ms: int) -> bytes:
        """The node's signature on a receipt."""

    def perform(self, act: Act) -> Done:
        """Carry out an act of whoever runs the node; durable when it returns."""

    def sign_receipts(self, receipts: Sequence[Receipt]) -> list[bytes]:
        """The same for many, each with its acceptance as its deadline."""

    def take_census(self) -> Logged:
        """Seal the heads of all chains, then sign the checkpoint."""

    def keep_checkpoint(self) -> None:
        """Sign and store the head of the log."""

    def count_changed(self) -> int:
        """Chains that are new or have grown since the latest census."""

    def close(self) -> None:
        """Let go of it; idempotent."""

    def find_census(self) -> tuple[int, dict[str, Any]] | None:
        """(log index, record) of this node's latest census."""
