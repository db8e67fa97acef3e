"""What integrity establishes about a bundle, step by step, for the findings that follow. Spec: 5.4.

Knows what was found so far; refuses to know whether the rest will hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from carnet.errors import InvariantBroken, Unverified
from carnet.kernel import kernel
from carnet.passport.statement import NO_CHAIN
from carnet.proof.memory import Memory
from carnet.proof.parts import Bundle, CensusPart, Ground, Item, Line, SealPart
from carnet.proof.wire import KeyWire, MemberWire
from carnet.tlog.checkpoint import Checkpoint
from carnet.tlog.joint import compute_joint_root

Verify = Callable[[bytes, bytes, bytes], bool]
T = TypeVar("T")


class FirmGround(Struct, frozen=True, gc=False):
    """A ground of which steps 1 to 5 of clause 5.4 held under one policy. `cosigned_s` maps the policy's names of
    witnesses to seconds; seals and censuses stand by their log index, leaves and lines by that of their record."""

    ground: Ground
    net: bytes
    origin: str
    checkpoint: Checkpoint
    cosigned_s: Mapping[bytes, int]
    seals: Mapping[int, SealPart]
    censuses: Mapping[int, CensusPart]
    leaves: Mapping[int, Mapping[bytes, MemberWire]]
    lines: Mapping[int, Mapping[tuple[object, ...], Line]]


class Claim(Struct, frozen=True, gc=False):
    """What of an entry decides what it needs, and whether its author may say it there: the log index of its seal, five
    parts of the statement, its kind (None if it is judged only), its place."""

    seal: int
    member: bytes
    key_digest: bytes
    basis: int
    class_: int
    mark: int
    kind: object
    is_opening: bool
    chain_type: str


class Uses:
    """The claims of a bundle's entries, in their order, for which its ground holds all that they need and no more.
    `keys` are the entries' keys, once authority was found to hold for the ground and for each claim."""

    __slots__ = ("claims", "keys")

    def __init__(self, claims: tuple[Claim, ...]) -> None:
        self.claims = claims
        self.keys: Sequence[KeyWire] | None = None


class Evidence:
    """What integrity established, for the findings that follow. Filled step by step; complete only when every check
    held."""

    def __init__(self, bundle: Bundle, firm: FirmGround, memory: Memory | None = None) -> None:
        self.bundle = bundle
        self.firm = firm
        self.memory = memory
        self.ground, self.net, self.origin, self.checkpoint = firm.ground, firm.net, firm.origin, firm.checkpoint
        self.cosigned_s, self.seals, self.leaves, self.lines = firm.cosigned_s, firm.seals, firm.leaves, firm.lines
        self.census: CensusPart | None = None
        self.uses: Uses | None = None
        self.chain = NO_CHAIN
        self.sids: list[bytes] = []
        self.submissions: list[bytes] = []
        self.link_ids: list[bytes] = []
        self.link_leaves: list[bytes] = []
        self.used_seals = 0
        self.epoch = 0
        self._seq_of: dict[bytes, int] = {}
        self.entries = [(seq, item, item.entry) for seq, item in enumerate(bundle.items) if item.entry is not None]
        """(seq, item, entry) of every shown or judged entry, in order."""

    def find_earlier(self, sid: bytes, seq: int) -> int | None:
        """The seq of the statement with this sid, if it stands before this place."""
        if not self._seq_of:
            self._seq_of = {sid: seq for seq, sid in enumerate(self.sids)}
        found = self._seq_of.get(sid)
        return None if found is None or found >= seq else found

    def get_census(self) -> CensusPart:
        """The census record."""
        census = self.census
        if census is None:
            raise Unverified("placement_not_census")
        return census

    def get_uses(self) -> Uses:
        """What the entries use of the ground."""
        if self.uses is None:
            raise InvariantBroken("integrity did not hold")
        return self.uses

    def seal_of(self, item: Item) -> SealPart:
        """The seal in which an item with a placement stands."""
        if item.placement is None:
            raise Unverified("tip_not_placed")
        return self.seals[item.placement.record]


def order(indices: list[int], leaves: list[bytes]) -> tuple[list[int], list[bytes]]:
    """Leaves of one tree with their indices, ascending, as a joint path asks for them."""
    if indices == sorted(indices):
        return indices, leaves
    placed = sorted(zip(indices, leaves, strict=True))
    return [index for index, _ in placed], [leaf for _, leaf in placed]


def check_path(
    root: bytes,
    count: int,
    indices: Sequence[int],
    leaves: Sequence[bytes],
    path: bytes,
    code: str,
) -> None:
    """Raise Unverified with this code unless the joint path leads to the root; `index_beyond_count` for an index."""
    if kernel is not None and kernel.find_joint_root(count, indices, leaves, path) == root:
        return
    try:
        found = compute_joint_root(count, indices, leaves, path)
    except Unverified as error:
        raise Unverified("index_beyond_count" if error.code == "index_beyond_count" else code) from None
    if found != root:
        raise Unverified(code)
