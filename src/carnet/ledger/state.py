"""The ledger's state: what it must remember to judge the next command, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from carnet.ledger.network import Genesis
from carnet.ledger.records import Ref
from carnet.ledger.rules.document import Rules
from carnet.ledger.rules.members import Members


@dataclass(frozen=True, slots=True)
class CensusMark:
    """A home's latest census: where it is logged, what it covered, and how many chains it accounts for (count +
    erased)."""

    index: int
    covers: int
    chains: int


@dataclass(frozen=True, slots=True)
class State:
    """`size` counts log records; `sealed` maps (home, root) of batches that could still be sent again to their expiry
    height."""

    genesis: Genesis
    net: bytes
    size: int
    height: int
    at: int
    rules: Rules
    rules_ref: Ref
    members: Members
    members_ref: Ref
    censuses: Mapping[bytes, CensusMark] = field(default_factory=dict)
    sealed: Mapping[tuple[bytes, bytes], int] = field(default_factory=dict)
