"""`apply(state, block) → (state, results)`: the one place where the ledger changes, pure and deterministic.

Each command has one `process_` function: it checks everything, then returns the new state with the record to log.
What is refused changes nothing and leaves no record. Spec: docs/spec/3-ledger.md; order of refusals: docs/reasons.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from carnet.encoding import MAX_INTEGER
from carnet.errors import InvariantBroken, Reason, Refused, Unverified
from carnet.ledger.admission import (
    check_accreditations,
    check_accreditations_agree,
    check_may_write_all,
    check_new_key,
    check_new_member,
    check_not_retired,
    check_size,
)
from carnet.ledger.batch import Batch, compute_endorsement, parse_batch
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
from carnet.ledger.network import NETWORK_NAME, Genesis
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
from carnet.ledger.rules.document import CENSUS_CLASS, check_rules
from carnet.ledger.rules.members import NODE_KIND, Key, Members, with_revoked_key
from carnet.ledger.state import CensusMark, State
from carnet.signing import PUBLIC_KEY_BYTES, verify
from carnet.types import KeyRole, brief


@dataclass(frozen=True, slots=True)
class Logged:
    """A command was accepted: its record stands at `index` of the log, with these leaf bytes."""

    index: int
    leaf: bytes


Result = tuple[Logged, ...] | Refused


def apply(state: State | None, block: Block) -> tuple[State, list[Result]]:
    """The state after the block, and for each command what was logged or why it was refused.

    The first block of a network starts from `None` and begins with `FoundNetwork`; if that is refused there is no
    state, and the refusal is raised. Raises Refused(VALUE_OUT_OF_RANGE, TIME_WENT_BACK) for a block that cannot come
    after the state: then none of its commands was looked at.
    """
    results: list[Result] = []
    check_time(state, block)
    if state is not None:
        state = with_time(state, block)
    for command in block.commands:
        try:
            state, records = process(state, command, block)
        except Refused as refusal:
            if state is None:
                raise
            results.append(refusal)
        else:
            results.append(records)
    if state is None:
        raise InvariantBroken("the first block of a network founds it")
    return state, results


def check_time(state: State | None, block: Block) -> None:
    """Raise Refused(VALUE_OUT_OF_RANGE) beyond u64, Refused(TIME_WENT_BACK) unless the block is later (height) and not
    earlier (time) than the state. Spec: 3.7."""
    if not (0 <= block.height <= MAX_INTEGER and 0 <= block.at <= MAX_INTEGER):
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "a block's height and time are u64", height=block.height, at=block.at)
    if state is not None and (block.height <= state.height or block.at < state.at):
        raise Refused(
            Reason.TIME_WENT_BACK,
            f"the ledger stands at height {state.height}, time {state.at}: {block.height}, {block.at} is early",
            height=state.height,
            at=state.at,
            could_retry=True,
        )


def with_time(state: State, block: Block) -> State:
    """The state at the block's height and time, before its first command. Batches that are past their expiry need not
    be remembered: sent again, they are refused for it."""
    sealed = {key: expires for key, expires in state.sealed.items() if expires >= block.height}
    return replace(state, height=block.height, at=block.at, sealed=sealed)


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
    check_genesis(genesis)
    check_rules(rules)
    seen = Members(())
    for member in members.all:
        check_new_member(genesis.net, seen, rules, member, members)
        seen = seen.with_member(member)
    for founder in genesis.founders:
        leaf = members.get(founder.member)
        if leaf.kind != NODE_KIND or not any(key.key == founder.key and key.role == KeyRole.NODE for key in leaf.keys):
            raise Refused(Reason.UNKNOWN_KEY, f"founder {leaf.name} does not list its node key", member=leaf.name)
    if rules.tree.root != genesis.rules_root:
        raise Refused(Reason.RULES_NOT_IN_FORCE, "the genesis document names other rules")

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
    batch = read_batch(command.batch)
    if batch.net != state.net:
        raise Refused(Reason.WRONG_NETWORK, "the batch belongs to another network")
    home = get_node_key(state, batch.home, batch.key_digest)
    check_signatures(state, home, command.batch, command.sig, command.endorsements)
    if block.height > batch.expires:
        raise Refused(
            Reason.BATCH_EXPIRED,
            f"the batch expired at height {batch.expires}",
            expires=batch.expires,
            height=block.height,
        )
    if batch.rules != state.rules_ref.index:
        raise Refused(
            Reason.RULES_NOT_IN_FORCE,
            f"rules {state.rules_ref.index} are in force, not {batch.rules}",
            could_retry=batch.rules > state.rules_ref.index,
            in_force=state.rules_ref.index,
            rules=batch.rules,
        )
    if batch.class_ == CENSUS_CLASS:
        raise Refused(Reason.UNKNOWN_CLASS, "class 0 is the census", class_=batch.class_)
    wanted = state.rules.get_class(batch.class_).endorsements
    check_endorsed_enough(batch.home, command.endorsements, wanted)
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
    check_size("census root", census.root, 32)
    if not all(0 <= number <= MAX_INTEGER for number in (census.covers, census.count, census.erased)):
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "covers, count and erased are u64", covers=census.covers)
    message = compute_census_message(state.net, census.to_document())
    home = get_node_key(state, census.home, command.key)
    check_signatures(state, home, message, command.sig, command.endorsements)
    check_endorsed_enough(census.home, command.endorsements, state.rules.get_class(CENSUS_CLASS).endorsements)
    latest = state.censuses.get(census.home)
    if census.previous != (latest.index if latest else None):
        raise Refused(
            Reason.CENSUS_NOT_AFTER,
            "the census does not name its home's latest census",
            previous=census.previous,
            latest=latest.index if latest else None,
        )
    if census.covers > state.size or (latest is not None and census.covers <= latest.covers):
        raise Refused(
            Reason.CENSUS_NOT_AFTER, f"a census cannot cover {census.covers} records now", covers=census.covers
        )
    if latest is not None and census.count + census.erased < latest.chains:
        raise Refused(
            Reason.CENSUS_COUNT_FELL,
            f"{latest.chains} chains were known, and only {census.count + census.erased} are accounted for",
            known=latest.chains,
            accounted=census.count + census.erased,
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
    check_accreditations_agree(state.rules, command.accreditations)
    member = state.members.get(command.member)
    check_not_retired(member)
    check_may_write_all(state.rules, member.kind, command.accreditations)
    return _with_members(
        state, state.members.with_member(replace(member, accreditations=command.accreditations)), block
    )


def process_add_key(state: State, command: AddKey, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """List one more key; one key has one role and is listed once, ever."""
    check_new_key(state.net, state.members, command.member, command.key)
    member = state.members.get(command.member)
    return _with_members(state, state.members.with_member(replace(member, keys=(*member.keys, command.key))), block)


def process_revoke_key(state: State, command: RevokeKey, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """A key may sign nothing that is sealed at this record or later. Spec: 3.4."""
    if command.disputed_since is not None and not 0 <= command.disputed_since <= state.size:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE,
            "disputed_since is a log index that exists",
            disputed_since=command.disputed_since,
        )
    member = state.members.get(command.member)
    changed = with_revoked_key(member, command.key, state.size, command.disputed_since)
    return _with_members(state, state.members.with_member(changed), block)


def process_retire_member(state: State, command: RetireMember, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """A member leaves; its past stays valid. Spec: 3.4."""
    member = state.members.get(command.member)
    check_not_retired(member)
    return _with_members(state, state.members.with_member(replace(member, retired=state.size)), block)


def process_change_rules(state: State, command: ChangeRules, block: Block) -> tuple[State, tuple[Logged, ...]]:
    """Another rules document is in force from now on. Who may decide it comes with governance.

    What the new writer table takes away must be taken from its members first (in the same block, if need be): proofs
    ask a member's leaf what it was accredited for, never the table.
    """
    rules = command.rules
    check_rules(rules)
    for member in state.members.all:
        if member.retired is None:
            check_accreditations(rules, member.kind, member.accreditations)
    ref = Ref(state.size, rules.tree.root, len(rules.lines))
    record = rules_record(block.at, block.height, ref.root, ref.count)
    return _with_record(replace(state, rules=rules, rules_ref=ref), record)


def check_genesis(genesis: Genesis) -> None:
    """Raise Refused unless the genesis document has the shape of clause 1.9."""
    check_size("nonce", genesis.nonce, 32)
    check_size("log key", genesis.log_key, PUBLIC_KEY_BYTES)
    check_size("rules root", genesis.rules_root, 32)
    if NETWORK_NAME.fullmatch(genesis.name) is None:
        raise Refused(
            Reason.TEXT_NOT_ALLOWED,
            "a network's name has 1 to 63 small letters, digits, dots and hyphens",
            name=brief(genesis.name),
        )
    if not genesis.founders:
        raise Refused(Reason.MISSING_FIELD, "a network has at least one founder")


def read_batch(data: bytes) -> Batch:
    """The header of a batch; raises Refused(WRONG_TYPE) for bytes that are none, Refused(VALUE_OUT_OF_RANGE) if it is
    empty."""
    try:
        batch = parse_batch(data)
    except Unverified as error:
        raise Refused(Reason.WRONG_TYPE, str(error)) from None
    if batch.count < 1:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "a batch holds at least one link", count=batch.count)
    return batch


def get_node_key(state: State, member: bytes, digest: bytes) -> Key:
    """The key with this digest, if it is a node key of this member in force now; raises Refused(UNKNOWN_MEMBER,
    MEMBER_RETIRED, UNKNOWN_KEY, KEY_REVOKED)."""
    return state.members.get(member).get_signing_key(digest, (KeyRole.NODE,))


def check_signatures(state: State, home: Key, message: bytes, sig: bytes, endorsements: Sequence[Endorsement]) -> None:
    """Raise Refused unless home and endorsers signed the message, each with a node key in force. Spec: 3.5, 3.6, 3.8.

    All keys are looked up before the first signature is verified: that costs a hundred times less.
    """
    endorsers = [get_node_key(state, endorsement.member, endorsement.key) for endorsement in endorsements]
    if not verify(home.key, message, sig):
        raise Refused(Reason.BAD_SIGNATURE, "the home's signature does not verify")
    endorsed = compute_endorsement(message)
    for key, endorsement in zip(endorsers, endorsements, strict=True):
        if not verify(key.key, endorsed, endorsement.sig):
            raise Refused(Reason.BAD_SIGNATURE, "an endorsement does not verify", member=endorsement.member.hex())


def check_endorsed_enough(home: bytes, endorsements: Sequence[Endorsement], wanted: int) -> None:
    """Raise Refused(NOT_ENOUGH_ENDORSEMENTS) unless `wanted` others endorsed, once each, in order of id. Spec: 3.6."""
    members = [endorsement.member for endorsement in endorsements]
    if any(left >= right for left, right in pairwise(members)) or home in members:
        raise Refused(Reason.NOT_ENOUGH_ENDORSEMENTS, "endorsements come from other members, once each, in order of id")
    if len(endorsements) < wanted:
        raise Refused(
            Reason.NOT_ENOUGH_ENDORSEMENTS,
            f"{wanted} endorsements are needed, {len(endorsements)} given",
            could_retry=True,
            wanted=wanted,
            given=len(endorsements),
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
