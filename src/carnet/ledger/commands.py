"""What can be asked of the ledger: commands are imperative, and each has one `process_` function in `transition`."""

from __future__ import annotations

from dataclasses import dataclass

from carnet.ledger.census import Census
from carnet.ledger.network import Genesis
from carnet.ledger.records import Endorsement
from carnet.ledger.rules.document import Rules
from carnet.ledger.rules.members import Accreditation, Key, Member


@dataclass(frozen=True, slots=True)
class FoundNetwork:
    """The first command: genesis, its rules, its members (records 0, 1 and 2)."""

    genesis: Genesis
    rules: Rules
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class ChangeRules:
    """Put another rules document in force."""

    rules: Rules


@dataclass(frozen=True, slots=True)
class EnrolMember:
    """Add an organisation, its keys and its accreditations."""

    member: Member


@dataclass(frozen=True, slots=True)
class AccreditMember:
    """Replace what a member is accredited for."""

    member: bytes
    accreditations: tuple[Accreditation, ...]


@dataclass(frozen=True, slots=True)
class AddKey:
    """List one more key of a member (rotation)."""

    member: bytes
    key: Key


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """End a key from this record on; what it signed since `disputed_since` (a log index) is disputed."""

    member: bytes
    key: bytes
    disputed_since: int | None


@dataclass(frozen=True, slots=True)
class RetireMember:
    """A member leaves: nothing it signs is accepted from this record on."""

    member: bytes


@dataclass(frozen=True, slots=True)
class SealBatch:
    """Accept a batch: its header as signed, the home's signature, endorsements in ascending order of member id."""

    batch: bytes
    sig: bytes
    endorsements: tuple[Endorsement, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeCensus:
    """Accept a census, signed by the home's key with this digest."""

    census: Census
    key: bytes
    sig: bytes
    endorsements: tuple[Endorsement, ...] = ()


Command = (
    FoundNetwork
    | ChangeRules
    | EnrolMember
    | AccreditMember
    | AddKey
    | RevokeKey
    | RetireMember
    | SealBatch
    | TakeCensus
)


@dataclass(frozen=True, slots=True)
class Block:
    """Commands accepted at one height and one time (`at`, ms). The time comes from the block, never from a clock."""

    height: int
    at: int
    commands: tuple[Command, ...]
