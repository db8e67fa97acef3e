"""`apply(state, block) → (state, results)`: the one place where the ledger changes, pure and deterministic.

Each command has one `process_` function: it checks everything, then returns the new state with the record to log.
What is refused changes
nothing and leaves no record. Spec: docs/spec/3-ledger.md; order of refusals: docs/reasons.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from carnet.encoding import MAX_INTEGER
from carnet.errors import InvariantBroken, Reason, Refused
from carnet.ledger.batch import compute_endorsement, parse_batch
from carnet.ledger.census import compute_census_message
from carnet.ledger.commands import (
    AccreditMember,
    AddKey,
    Block,
    ChangeRules,
    Command,
    EnrolMember,
    FoundNetwork,
    RetireMember,
    RevokeKey,
    SealBatch,
    TakeCensus,
)
from carnet.ledger.records import (
    Endorsement,
    Record,
    Ref,
    census_record,
    compute_record_leaf,
    genesis_record,
    members_record,
    rules_record,
    seal_record,
)
from carnet.ledger.rules.document import CENSUS_CLASS, Rules
from carnet.ledger.rules.members import (
    NODE_KIND,
    Accreditation,
    Member,
    Members,
    check_enrolment,
    with_revoked_key,
)
from carnet.ledger.state import CensusMark, State
from carnet.signing import verify
from carnet.types import KeyRole


@dataclass(frozen=True, slots=True)
class Logged:
    """A command was accepted: its record stands at `index` of the log, with these leaf bytes."""

    index: int
    leaf: bytes


Result = tuple[Logged, ...] | Refused


def apply(state: State | None, block: Block) -> tuple[State, list[Result]]:
    """The state after the block, and for each command what was logged or why it was refused.

    The first block of a network starts from `None` and begins with `FoundNetwork`. Raises Refused(TIME_WENT_BACK) for
    a block that is older
    than the state.
    """
    results: list[Result] = []
    if state is not None:
        check_time(state, block)
        state = replace(state, height=block.height, at=block.at, sealed=_unexpired(state, block.height))
    for command in block.commands:
        try:
            state, records = process(state, command, block)
        except Refused as refusal:
            results.append(refusal)
        else:
            results.append(records)
    if state is None:
        raise InvariantBroken("the first block of a network founds it")
    return state, results


def check_time(state: State, block: Block) -> None:
    """Raise Refused(TIME_WENT_BACK) unless the block is later (height) and not earlier (time) than the state. Spec:
    3.7."""
    if block.height <= state.height or block.at < state.at:
        raise Refused(
            Reason.TIME_WENT_BACK,
            f"the ledger stands at height {state.height}, time {state.at}: {block.height}, {block.at} is early",
            height=state.height,
            at=state.at,
            could_retry=True,
        )


def process(state: State | None, command: Command, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """One command: the table of contents of the ledger."""
    if isinstance(command, FoundNetwork):
        return process_found_network(state, command, block)
    if state is None:
        raise InvariantBroken("a network must be founded first")
    match command:
        case SealBatch():
            return process_seal_batch(state, command, block)
        case TakeCensus():
            return process_take_census(state, command, block)
        case EnrolMember():
            return process_enrol_member(state, command, block)
        case AccreditMember():
            return process_accredit_member(state, command, block)
        case AddKey():
            return process_add_key(state, command, block)
        case RevokeKey():
            return process_revoke_key(state, command, block)
        case RetireMember():
            return process_retire_member(state, command, block)
        case ChangeRules():
            return process_change_rules(state, command, block)


def process_found_network(state: State | None, command: FoundNetwork, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """Records 0, 1 and 2: genesis, rules, members. Spec: 1.9, 3.7."""
    if state is not None:
        raise Refused(Reason.NODE_EXISTS, "this network is founded already")
    genesis, rules = command.genesis, command.rules
    members = Members(command.members)
    if rules.tree.root != genesis.rules_root:
        raise Refused(Reason.RULES_NOT_IN_FORCE, "the genesis document names other rules")
    for founder in genesis.founders:
        leaf = members.get(founder.member)
        if leaf.kind != NODE_KIND or not any(key.key == founder.key and key.role == KeyRole.NODE for key in leaf.keys):
            raise Refused(Reason.UNKNOWN_KEY, f"founder {leaf.name} does not list its node key", member=leaf.name)
    seen = Members(())
    for member in members.all:
        check_new_member(genesis.net, seen, rules, member, members)
        seen = seen.with_member(member)
    records = (
        genesis_record(block.at, block.height, genesis),
        rules_record(block.at, block.height, rules.tree.root, len(rules.lines)),
        members_record(block.at, block.height, members.tree.root, len(members.all)),
    )
    logged = tuple(Logged(index, compute_record_leaf(record)) for index, record in enumerate(records))
    return (
        State(
            genesis=genesis,
            net=genesis.net,
            size=3,
            height=block.height,
            at=block.at,
            rules=rules,
            rules_ref=Ref(1, rules.tree.root, len(rules.lines)),
            members=members,
            members_ref=Ref(2, members.tree.root, len(members.all)),
        ),
        logged,
    )


def process_seal_batch(state: State, command: SealBatch, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """Accept a batch of links. Spec: 3.5 to 3.7."""
    batch = parse_batch(command.batch)
    if batch.net != state.net:
        raise Refused(Reason.WRONG_NETWORK, "the batch belongs to another network")
    if batch.count < 1:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "a batch holds at least one link")
    if batch.class_ == CENSUS_CLASS:
        raise Refused(Reason.UNKNOWN_CLASS, "class 0 is the census")
    wanted = state.rules.get_class(batch.class_).endorsements
    check_node_signature(state, batch.home, batch.key_digest, command.batch, command.sig)
    check_endorsements(state, batch.home, command.batch, command.endorsements, wanted)
    if batch.rules != state.rules_ref.index:
        raise Refused(
            Reason.RULES_NOT_IN_FORCE,
            f"rules {state.rules_ref.index} are in force, not {batch.rules}",
            could_retry=True,
        )
    if block.height > batch.expires:
        raise Refused(Reason.BATCH_EXPIRED, f"the batch expired at height {batch.expires}", expires=batch.expires)
    if (batch.home, batch.root) in state.sealed:
        raise Refused(Reason.ALREADY_SEALED, "this batch is sealed already")

    sealed = {**state.sealed, (batch.home, batch.root): batch.expires}
    record = seal_record(
        block.at, block.height, command.batch, command.sig, command.endorsements, state.members_ref, state.rules_ref
    )
    return _with_record(replace(state, sealed=sealed), record)


def process_take_census(state: State, command: TakeCensus, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """Accept a census: it names its predecessor, covers more, and accounts for no fewer chains. Spec: 3.8."""
    census = command.census
    message = compute_census_message(state.net, census.to_document())
    check_node_signature(state, census.home, command.key, message, command.sig)
    wanted = state.rules.get_class(CENSUS_CLASS).endorsements
    check_endorsements(state, census.home, message, command.endorsements, wanted)
    latest = state.censuses.get(census.home)
    if census.previous != (latest.index if latest else None):
        raise Refused(
            Reason.CENSUS_NOT_AFTER, "the census does not name its home's latest census", previous=census.previous
        )
    if census.covers > state.size or (latest is not None and census.covers <= latest.covers):
        raise Refused(
            Reason.CENSUS_NOT_AFTER, f"a census cannot cover {census.covers} records now", covers=census.covers
        )
    if latest is not None and census.count + census.erased < latest.chains:
        raise Refused(
            Reason.CENSUS_COUNT_FELL,
            f"{latest.chains} chains were known, and only {census.count + census.erased} are accounted for",
        )

    mark = CensusMark(state.size, census.covers, census.count + census.erased)
    record = census_record(
        block.at,
        block.height,
        census,
        command.key,
        command.sig,
        command.endorsements,
        state.members_ref,
        state.rules_ref,
    )
    return _with_record(replace(state, censuses={**state.censuses, census.home: mark}), record)


def process_enrol_member(state: State, command: EnrolMember, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """Add a member; it starts neither retired nor with a revoked key."""
    check_new_member(state.net, state.members, state.rules, command.member, state.members)
    return _with_members(state, state.members.with_member(command.member), block)


def process_accredit_member(state: State, command: AccreditMember, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """Replace a member's accreditations; only what the writer table allows to its kind."""
    member = state.members.get(command.member)
    check_not_retired(member)
    check_accreditations(state.rules, member.kind, command.accreditations)
    return _with_members(
        state, state.members.with_member(replace(member, accreditations=command.accreditations)), block
    )


def process_add_key(state: State, command: AddKey, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """List one more key; one key has one role and is listed once, ever."""
    member = state.members.get(command.member)
    check_not_retired(member)
    if state.members.is_key_listed(command.key.digest):
        raise Refused(Reason.KEY_EXISTS, "this key is listed already: a key is listed once, ever")
    check_enrolment(state.net, member.id, command.key)
    return _with_members(state, state.members.with_member(replace(member, keys=(*member.keys, command.key))), block)


def process_revoke_key(state: State, command: RevokeKey, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """A key may sign nothing that is sealed at this record or later. Spec: 3.4."""
    member = state.members.get(command.member)
    if command.disputed_since is not None and not 0 <= command.disputed_since <= state.size:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE,
            "disputed_since is a log index that exists",
            disputed_since=command.disputed_since,
        )
    changed = with_revoked_key(member, command.key, state.size, command.disputed_since)
    return _with_members(state, state.members.with_member(changed), block)


def process_retire_member(state: State, command: RetireMember, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """A member leaves; its past stays valid. Spec: 3.4."""
    member = state.members.get(command.member)
    check_not_retired(member)
    return _with_members(state, state.members.with_member(replace(member, retired=state.size)), block)


def process_change_rules(state: State, command: ChangeRules, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """Another rules document is in force from now on. Who may decide it comes with governance."""
    command.rules.get_class(CENSUS_CLASS)
    rules = command.rules
    ref = Ref(state.size, rules.tree.root, len(rules.lines))
    record = rules_record(block.at, block.height, ref.root, ref.count)
    return _with_record(replace(state, rules=rules, rules_ref=ref), record)


def check_new_member(net: bytes, known: Members, rules: Rules, member: Member, hosts: Members) -> None:
    """Raise Refused unless the member is new, hosted by a node, and every key signed its own enrolment."""
    if known.find_index(member.id) is not None:
        raise Refused(Reason.MEMBER_EXISTS, f"member {member.id.hex()} exists", member=member.id.hex())
    if member.retired is not None or any(k.revoked is not None or k.disputed_since is not None for k in member.keys):
        raise Refused(Reason.FIELDS_CONFLICT, "a new member is not retired and has no revoked key")
    if member.kind == NODE_KIND:
        if member.host != member.id:
            raise Refused(Reason.FIELDS_CONFLICT, "a node hosts itself")
    elif hosts.get(member.host).kind != NODE_KIND:
        raise Refused(Reason.FIELDS_CONFLICT, "a member is hosted by a node")
    digests = [key.digest for key in member.keys]
    if len(set(digests)) != len(digests) or any(known.is_key_listed(digest) for digest in digests):
        raise Refused(Reason.KEY_EXISTS, "this key is listed already: a key is listed once, ever")
    for key in member.keys:
        check_enrolment(net, member.id, key)
    check_accreditations(rules, member.kind, member.accreditations)


def check_accreditations(rules: Rules, member_kind: str, accreditations: Sequence[Accreditation]) -> None:
    """Raise Refused(MAY_NOT_WRITE, FIELDS_CONFLICT) unless the writer table allows each, in strictly ascending
    order."""
    if any(left >= right for left, right in pairwise(accreditations)):
        raise Refused(Reason.FIELDS_CONFLICT, "accreditations stand in strictly ascending order")
    for kind, basis, class_ in accreditations:
        rules.check_may_write(member_kind, kind, basis)
        if rules.get_kind(kind).class_ != class_:
            raise Refused(
                Reason.UNKNOWN_CLASS, f"{kind} has class {rules.get_kind(kind).class_}, not {class_}", kind=kind
            )


def check_not_retired(member: Member) -> None:
    """Raise Refused(MEMBER_RETIRED) if the member has left."""
    if member.retired is not None:
        raise Refused(Reason.MEMBER_RETIRED, f"{member.name} has left the network", member=member.name)


def check_node_signature(state: State, home: bytes, key_digest: bytes, message: bytes, sig: bytes) -> None:
    """Raise Refused unless a node key of this member, in force now, signed the message."""
    key = state.members.get(home).get_signing_key(key_digest, (KeyRole.NODE,))
    if not verify(key.key, message, sig):
        raise Refused(Reason.BAD_SIGNATURE, "the home's signature does not verify")


def check_endorsements(
    state: State, home: bytes, message: bytes, endorsements: Sequence[Endorsement], wanted: int
) -> None:
    """Raise Refused unless every endorsement is another node's, verifies, and there are enough. Spec: 3.6."""
    members = [endorsement.member for endorsement in endorsements]
    if any(left >= right for left, right in pairwise(members)) or home in members:
        raise Refused(Reason.NOT_ENOUGH_ENDORSEMENTS, "endorsements come from other members, once each, in order of id")
    for endorsement in endorsements:
        key = state.members.get(endorsement.member).get_signing_key(endorsement.key, (KeyRole.NODE,))
        if not verify(key.key, compute_endorsement(message), endorsement.sig):
            raise Refused(Reason.BAD_SIGNATURE, "an endorsement does not verify", member=endorsement.member.hex())
    if len(endorsements) < wanted:
        raise Refused(
            Reason.NOT_ENOUGH_ENDORSEMENTS,
            f"{wanted} endorsements are needed, {len(endorsements)} given",
            could_retry=True,
        )


def _with_record(state: State, record: Record) -> tuple[State, tuple[Logged, ...]]:
    if state.size >= MAX_INTEGER:
        raise InvariantBroken("the log is full")
    logged = Logged(state.size, compute_record_leaf(record))
    return replace(state, size=state.size + 1), (logged,)


def _with_members(state: State, members: Members, block: Block) -> tuple[State, tuple[Logged, ...]]:
    ref = Ref(state.size, members.tree.root, len(members.all))
    record = members_record(block.at, block.height, ref.root, ref.count)
    return _with_record(replace(state, members=members, members_ref=ref), record)


def _unexpired(state: State, height: int) -> dict[tuple[bytes, bytes], int]:
    """Batches that could still be sent again; later ones are refused as expired, so they need not be remembered."""
    return {key: expires for key, expires in state.sealed.items() if expires >= height}
