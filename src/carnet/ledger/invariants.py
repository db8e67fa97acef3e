"""What must always be so: of a state, of a history of log records, and of both together. The ledger's own fsck.

`check_state` looks at one state; `check_history` at the leaves of a log, without anything else; `replay` founds the
network again from what a node stores and runs every record through the real `process`, so that each signature, each
accreditation and each refusal is judged once more. All of it is pure, and raises InvariantBroken: what is found here
is damage or a bug of ours, never somebody's wrong request. It refuses to know where leaves are stored. Spec: 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, cast

from carnet.encoding import MAX_INTEGER, decode, tag, unb64
from carnet.errors import InvariantBroken, Refused, Unverified
from carnet.ledger.admission import check_accreditations, check_key_shape, check_key_suits
from carnet.ledger.batch import parse_batch
from carnet.ledger.census import Census
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
from carnet.ledger.network import Founder, Genesis, parse_fork
from carnet.ledger.records import MAX_RECORD_BYTES, Endorsement, Ref
from carnet.ledger.rules.document import CENSUS_CLASS, Rules, check_rules
from carnet.ledger.rules.members import NODE_KIND, Member, Members, check_enrolment
from carnet.ledger.state import CensusMark, State
from carnet.ledger.transition import process, with_time
from carnet.types import ID_BYTES, KeyRole

_RECORD = tag("record")

Document = dict[str, Any]

_NAMES: dict[str, frozenset[str]] = {
    "genesis": frozenset({"at", "genesis", "height", "type"}),
    "rules": frozenset({"at", "count", "height", "root", "type"}),
    "members": frozenset({"at", "count", "height", "root", "type"}),
    "seal": frozenset({"at", "batch", "endorsements", "height", "members", "rules", "sig", "type"}),
    "census": frozenset({"at", "census", "endorsements", "height", "key", "members", "rules", "sig", "type"}),
}
_BEGINNING = ("genesis", "rules", "members")


@dataclass
class History:
    """What the leaves of a log say by themselves: the references in force at its end, and each home's latest census."""

    size: int = 0
    at: int = 0
    height: int = 0
    genesis: Genesis | None = None
    rules_ref: Ref | None = None
    members_ref: Ref | None = None
    censuses: dict[bytes, CensusMark] = field(default_factory=dict)


# ---- one state


def check_state(state: State) -> None:
    """Raise InvariantBroken unless the state is one that the ledger could be in."""
    if state.genesis.net != state.net:
        _broken("the network's id is not that of its genesis")
    if not (len(_BEGINNING) <= state.size <= MAX_INTEGER and 0 <= state.height <= MAX_INTEGER and state.at >= 0):
        _broken(f"size {state.size}, height {state.height}, time {state.at}")
    rules, members = state.rules, state.members
    _check_ref("rules", state.rules_ref, Ref(state.rules_ref.index, rules.tree.root, len(rules.lines)), state.size)
    held = Ref(state.members_ref.index, members.tree.root, len(members.all))
    _check_ref("members", state.members_ref, held, state.size)
    with _as_broken("the rules in force"):
        check_rules(rules)
    check_members(state.net, members, rules, state.size)
    for founder in state.genesis.founders:
        found = _find(members, founder.member)
        if found is None or not any(key.key == founder.key and key.role == KeyRole.NODE for key in found.keys):
            _broken(f"founder {founder.member.hex()} does not list its node key")
    for home, mark in state.censuses.items():
        if _find(members, home) is None or not (mark.covers <= mark.index < state.size and mark.chains >= 0):
            _broken(f"the census mark of {home.hex()}: {mark}")
    for (home, _), expires in state.sealed.items():
        if _find(members, home) is None or expires < state.height:
            _broken(f"a batch of {home.hex()} is remembered beyond its expiry, {expires}")


def check_members(net: bytes, members: Members, rules: Rules, size: int) -> None:
    """Raise InvariantBroken unless ids and keys are unique, hosts are nodes, keys enrolled themselves, log indices lie
    within the log, and nobody is accredited beyond the writer table. Spec: 3.3, 3.4."""
    seen_ids: set[bytes] = set()
    seen_keys: set[bytes] = set()
    for member in members.all:
        if member.id in seen_ids or len(member.id) != ID_BYTES:
            _broken(f"member {member.id.hex()} stands twice, or is no id")
        seen_ids.add(member.id)
        if (member.kind == NODE_KIND) != (member.host == member.id):
            _broken(f"{member.name}: a node hosts itself, and nobody else does")
        host = _find(members, member.host)
        if host is None or host.kind != NODE_KIND:
            _broken(f"{member.name} is not hosted by a node")
        if member.retired is not None and not 0 <= member.retired < size:
            _broken(f"{member.name} left at {member.retired}, which is not in the log")
        with _as_broken(member.name):
            if member.retired is None:
                # What a retired member was accredited for is history: later rules need not know it any more.
                check_accreditations(rules, member.kind, member.accreditations)
            for key in member.keys:
                if key.digest in seen_keys:
                    _broken(f"{member.name}: a key is listed twice")
                seen_keys.add(key.digest)
                if key.revoked is None and key.disputed_since is not None:
                    _broken(f"{member.name}: a key is disputed that was not revoked")
                if key.revoked is not None and not (key.disputed_since or 0) <= key.revoked < size:
                    _broken(f"{member.name}: a key is revoked at {key.revoked}, disputed since {key.disputed_since}")
                check_key_shape(key)
                check_key_suits(member.kind, key)
                check_enrolment(net, member.id, key)


# ---- a history


def check_history(leaves: Iterable[bytes]) -> History:
    """What the log says at its end; raises InvariantBroken unless each leaf is canonical, of its shape and at most
    60,000 bytes, times and heights never go back, every reference is the one in force, every batch is unexpired and of
    this network, and every census follows its home's latest. Checks no signature: `replay` does."""
    history = History()
    for index, leaf in enumerate(leaves):
        record = parse_record(leaf)
        _check_order(history, index, record)
        with _as_broken(f"record {index}"):
            _take_record(history, index, record)
        history.size = index + 1
    if history.size < len(_BEGINNING):
        _broken(f"a log begins with genesis, rules and members; this one has {history.size} records")
    return history


def parse_record(leaf: bytes) -> Document:
    """The record of a log leaf; raises InvariantBroken unless it has exactly the members of its type. Spec: 3.7."""
    if not leaf.startswith(_RECORD) or len(leaf) > MAX_RECORD_BYTES:
        _broken("a log leaf begins with its tag and has at most 60,000 bytes")
    with _as_broken("a log leaf"):
        record = decode(leaf.removeprefix(_RECORD))
    if not isinstance(record, dict) or frozenset(record) != _NAMES.get(str(record.get("type"))):
        _broken("a log record does not have the members of its type")
    return cast("Document", record)


def _check_order(history: History, index: int, record: Document) -> None:
    beginning = _BEGINNING[index] if index < len(_BEGINNING) else None
    if (beginning or record["type"]) != record["type"] or (record["type"] == "genesis") != (index == 0):
        _broken(f"record {index} is a {record['type']}: a log begins with genesis, rules and members")
    at, height = record["at"], record["height"]
    if not (type(at) is int and type(height) is int and at >= history.at and height >= history.height):
        _broken(f"record {index}: time or height goes back ({height}, {at})")
    history.at, history.height = at, height


def _take_record(history: History, index: int, record: Document) -> None:
    match record["type"]:
        case "genesis":
            history.genesis = parse_genesis(record["genesis"])
        case "rules":
            history.rules_ref = _read_ref({"index": index, "root": record["root"], "count": record["count"]})
            if index == 1 and history.genesis is not None and history.rules_ref.root != history.genesis.rules_root:
                _broken("record 1 holds other rules than genesis names")
        case "members":
            history.members_ref = _read_ref({"index": index, "root": record["root"], "count": record["count"]})
        case "seal":
            _check_in_force(history, record)
            _check_seal(history, record)
        case _:
            _check_in_force(history, record)
            _take_census(history, index, record)


def _check_in_force(history: History, record: Document) -> None:
    if (_read_ref(record["members"]), _read_ref(record["rules"])) != (history.members_ref, history.rules_ref):
        _broken("a record names members or rules that are not in force")


def _check_seal(history: History, record: Document) -> None:
    batch = parse_batch(unb64(record["batch"]))
    if history.genesis is None or batch.net != history.genesis.net:
        _broken("a batch of another network")
    if history.rules_ref is None or batch.rules != history.rules_ref.index:
        _broken("a batch under rules that are not in force")
    if batch.expires < record["height"] or batch.count < 1 or batch.class_ == CENSUS_CLASS:
        _broken(f"a batch that was expired, empty or of class 0: {batch.expires}, {batch.count}, {batch.class_}")
    _check_endorsers(batch.home, record)


def _take_census(history: History, index: int, record: Document) -> None:
    census = parse_census(record["census"])
    latest = history.censuses.get(census.home)
    if census.previous != (latest.index if latest else None):
        _broken("a census does not name its home's latest")
    if census.covers > index or (latest is not None and census.covers <= latest.covers):
        _broken(f"a census covers {census.covers}")
    chains = census.count + census.erased
    if min(census.covers, census.count, census.erased) < 0 or (latest is not None and chains < latest.chains):
        _broken(f"a census accounts for {chains} chains")
    _check_endorsers(census.home, record)
    history.censuses[census.home] = CensusMark(index, census.covers, chains)


def _check_endorsers(home: bytes, record: Document) -> None:
    members = [endorsement.member for endorsement in _read_endorsements(record)]
    if members != sorted(set(members)) or home in members:
        _broken("endorsements come from other members, once each, in order of id")


# ---- both together


def replay(leaves: Iterable[bytes], get_rules: Callable[[int], Rules], get_members: Callable[[int], Members]) -> State:
    """The state that the ledger reaches when every record is put to it again, as the command that it came from.

    `get_rules(index)` and `get_members(index)` give what the rules or members record at a log index put in force; each
    is asked once, in order. Raises InvariantBroken at the first record that the ledger would refuse, or would write
    otherwise. Costs one signature check a record and what the trees cost.
    """
    state: State | None = None
    founding: list[bytes] = []
    for index, leaf in enumerate(leaves):
        record = parse_record(leaf)
        if state is None:
            founding.append(leaf)
            if index == 2:
                state = _refound(founding, get_rules, get_members)
            continue
        block = Block(record["height"], record["at"], ())
        if block.height < state.height or block.at < state.at:
            _broken(f"record {index}: time or height goes back")
        if block.height > state.height or block.at > state.at:
            state = with_time(state, block)
        with _as_broken(f"record {index}"):
            command = _find_command(state, index, record, get_rules, get_members)
            state, logged = process(state, command, block)
        if [one.leaf for one in logged] != [leaf]:
            _broken(f"record {index} is not what the ledger writes")
    if state is None:
        _broken("a log begins with genesis, rules and members")
    return state


def check_replayed(state: State, replayed: State) -> None:
    """Raise InvariantBroken unless a node's state is the one that its own log leads to.

    Height and time may be later (a block of refusals leaves no record), and the node may have forgotten batches that
    could still be sent again, but it may remember none that is not in the log.
    """
    for name in ("genesis", "net", "size", "rules", "rules_ref", "members", "members_ref"):
        if getattr(state, name) != getattr(replayed, name):
            _broken(f"the state's {name} is not what the log leads to")
    if dict(state.censuses) != dict(replayed.censuses):
        _broken("the state's censuses are not what the log leads to")
    if state.height < replayed.height or state.at < replayed.at:
        _broken("the state is older than the log")
    if not set(state.sealed.items()) <= set(replayed.sealed.items()):
        _broken("the state remembers a batch that the log does not hold")


def _refound(founding: list[bytes], get_rules: Callable[[int], Rules], get_members: Callable[[int], Members]) -> State:
    records = [parse_record(leaf) for leaf in founding]
    if [record["type"] for record in records] != list(_BEGINNING):
        _broken("a log begins with genesis, rules and members")
    with _as_broken("the founding"):
        command = FoundNetwork(parse_genesis(records[0]["genesis"]), get_rules(1), get_members(2).all)
        state, logged = process(None, command, Block(records[0]["height"], records[0]["at"], (command,)))
    if [one.leaf for one in logged] != founding:
        _broken("records 0 to 2 are not what founding this network writes")
    return state


def _find_command(
    state: State,
    index: int,
    record: Document,
    get_rules: Callable[[int], Rules],
    get_members: Callable[[int], Members],
) -> Command:
    match record["type"]:
        case "rules":
            return ChangeRules(get_rules(index))
        case "members":
            return find_members_command(state.members, get_members(index))
        case "seal":
            return SealBatch(unb64(record["batch"]), unb64(record["sig"]), _read_endorsements(record))
        case "census":
            census, key, sig = parse_census(record["census"]), unb64(record["key"]), unb64(record["sig"])
            return TakeCensus(census, key, sig, _read_endorsements(record))
        case _:
            raise InvariantBroken("a second genesis")


def find_members_command(before: Members, after: Members) -> Command:
    """The one command that leads from one members tree to the next; raises InvariantBroken if no single one does."""
    if len(after.all) == len(before.all) + 1 and after.all[:-1] == before.all:
        return EnrolMember(after.all[-1])
    changed = [(old, new) for old, new in zip(before.all, after.all, strict=False) if old != new]
    if len(after.all) == len(before.all) and not changed:
        # Accrediting a member for what it is accredited for already writes a record that changes nothing.
        changed = [(member, member) for member in before.all if member.retired is None][:1]
    if len(after.all) != len(before.all) or len(changed) != 1:
        _broken("more than one member changed at once")
    old, new = changed[0]
    if new == replace(old, accreditations=new.accreditations):
        return AccreditMember(new.id, new.accreditations)
    if new == replace(old, retired=new.retired):
        return RetireMember(new.id)
    if new == replace(old, keys=new.keys):
        if new.keys[:-1] == old.keys:
            return AddKey(new.id, new.keys[-1])
        for was, key in zip(old.keys, new.keys, strict=False):
            if was != key:
                return RevokeKey(new.id, was.digest, key.disputed_since)
    raise InvariantBroken(f"{old.name} changed as no command changes a member")


# ---- reading documents


def parse_genesis(document: Document) -> Genesis:
    """The genesis object of record 0; raises Unverified, KeyError or TypeError for another."""
    founders = tuple(Founder(unb64(f["member"], 16), unb64(f["key"], 32)) for f in document["founders"])
    nonce, log_key = unb64(document["nonce"], 32), unb64(document["log_key"], 32)
    genesis = Genesis(
        document["name"], nonce, log_key, founders, unb64(document["rules_root"], 32), parse_fork(document)
    )
    if genesis.to_document() != document:
        raise Unverified("malformed", "not a genesis document")
    return genesis


def parse_census(document: Document) -> Census:
    """The census object of a census record; raises Unverified, KeyError or TypeError for another."""
    home, root = unb64(document["home"], 16), unb64(document["root"], 32)
    census = Census(home, document["previous"], document["covers"], document["count"], document["erased"], root)
    numbers = (census.covers, census.count, census.erased, *((census.previous,) if census.previous is not None else ()))
    if census.to_document() != document or any(type(number) is not int for number in numbers):
        raise Unverified("malformed", "not a census")
    return census


def _read_endorsements(record: Document) -> tuple[Endorsement, ...]:
    found = record["endorsements"]
    return tuple(Endorsement(unb64(e["member"], 16), unb64(e["key"], 32), unb64(e["sig"], 64)) for e in found)


def _read_ref(document: Mapping[str, Any]) -> Ref:
    ref = Ref(document["index"], unb64(document["root"], 32), document["count"])
    if not (type(ref.index) is int and type(ref.count) is int and ref.index >= 0 and ref.count >= 1):
        raise Unverified("malformed", "not a reference")
    return ref


def _check_ref(name: str, ref: Ref, held: Ref, size: int) -> None:
    if ref != held or not 0 < ref.index < size:
        _broken(f"the {name} in force are not those of record {ref.index}")


def _find(members: Members, member: bytes) -> Member | None:
    index = members.find_index(member)
    return None if index is None else members.all[index]


class _as_broken:  # noqa: N801 - reads as a phrase: with _as_broken("record 7")
    """Turns what the checks of requests and bytes raise into a broken invariant that says where."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (Refused, Unverified, KeyError, TypeError, ValueError, AttributeError)):
            raise InvariantBroken(f"{self._where}: {error}") from error


def _broken(why: str) -> NoReturn:
    raise InvariantBroken(why)
