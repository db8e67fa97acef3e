"""What a proof is made from: the links, entries, records and paths that a node's store has, or a network in memory.

It refuses to know how any of it is stored. Spec: docs/spec/4-bundle.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct
from msgspec.json import Decoder

from carnet.tlog.tree import MerkleTree

Document = dict[str, object]


class PlacedLink(Struct, frozen=True, gc=False):
    """One link of a chain as its home keeps it: sid 32, signed 32, mark, target 32 bytes; the seal's log index and the
    place in its batch; the kind of the entry (never proved by it: the signed field is); whether its contents were
    erased."""

    sid: bytes
    signed: bytes
    mark: int
    target: bytes
    seal: int
    position: int
    kind: str
    is_erased: bool = False


class SignedTogether(Struct, frozen=True, gc=False):
    """One submission: the digest of its key, its time in ms, the number of its statements and their tree (None for a
    single one), the signature."""

    key_digest: bytes
    created_ms: int
    count: int
    tree: MerkleTree | None
    signature: bytes


class OpenedEntry(Struct, frozen=True, gc=False):
    """One entry with its contents opened: its kind; the `cj` of its subject, and of all its fields as a bundle shows
    them (4.5), both empty where they were erased; `index` is its place in the submission."""

    statement: bytes
    kind: str
    subject: bytes
    shown: bytes
    submission: SignedTogether
    index: int

    def read_fields(self) -> Mapping[str, tuple[str, object]]:
        """Each name's salt, in Base64, and its value; ascending."""
        return _read_fields(self.shown)


_read_fields: Final = Decoder(dict[str, tuple[str, object]]).decode


class ProofSource(Protocol):
    """What a proof is made from. Joint paths are bytes, of ascending indices; documents are the plain objects of the
    specification."""

    def get_genesis(self) -> Document:
        """The genesis object."""

    def get_checkpoint(self) -> tuple[int, bytes]:
        """(size, signed note) of the checkpoint to prove against."""

    def get_record(self, index: int) -> Document:
        """A log record."""

    def get_records_path(self, indices: Sequence[int], size: int) -> bytes:
        """Joint path of records in the log of this size."""

    def get_consistency_path(self, old_size: int, size: int) -> list[bytes]:
        """Consistency path between two log sizes."""

    def get_census_index(self) -> int:
        """Log index of the newest census below the checkpoint's size."""

    def get_census_path(self, chain: bytes) -> list[bytes]:
        """Siblings from the root down to the chain's head in that census."""

    def get_links(self, chain: bytes) -> list[PlacedLink]:
        """All links of the chain, from seq 0 to the tip that the census names."""

    def get_batch_path(self, seal: int, positions: Sequence[int]) -> bytes:
        """Joint path of links in the batch of the seal at this log index."""

    def get_entry(self, chain: bytes, seq: int) -> OpenedEntry:
        """The entry at this seq, contents opened; raises Refused(ERASED) when they are gone."""

    def get_judged(self, chain: bytes, seq: int) -> OpenedEntry:
        """As `get_entry`; of an erased entry without its fields."""

    def get_member(self, members: int, member: bytes) -> tuple[int, Document]:
        """(leaf index, leaf object) of a member in the members tree of the record at this log index."""

    def get_members_path(self, members: int, indices: Sequence[int]) -> bytes:
        """Joint path of leaves in that tree."""

    def get_line(self, rules: int, *subject: object) -> tuple[int, Document]:
        """(line index, line object) of `("kind", kind)` or `("class", class)` in the rules of the record at this log
        index."""

    def get_lines_path(self, rules: int, indices: Sequence[int]) -> bytes:
        """Joint path of lines in those rules."""
