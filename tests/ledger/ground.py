"""The ground that the ledger's tests stand on: a real network in memory, with peers that can endorse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs

from carnet.errors import Reason, Refused
from carnet.ledger.batch import Batch, compute_endorsement
from carnet.ledger.census import Census, compute_census_message
from carnet.ledger.commands import Block, ChangeRules, Command, EnrolMember, SealBatch, TakeCensus
from carnet.ledger.invariants import check_history, check_replayed, check_state, replay
from carnet.ledger.records import Endorsement
from carnet.ledger.rules.document import ClassLine, Rules
from carnet.ledger.rules.members import NODE_KIND, Member
from carnet.ledger.state import State
from carnet.ledger.transition import Logged, apply
from carnet.signing import Signer
from tests.world import Actor, World


@dataclass
class Peer:
    """Another node, with its key."""

    id: bytes
    signer: Signer

    def endorse(self, message: bytes) -> Endorsement:
        return Endorsement(self.id, self.signer.digest, self.signer.sign(compute_endorsement(message)))


class Ground:
    """One network: a home, an inspection centre, a garage and some peers; each test makes its own."""

    def __init__(self, peers: int = 0, seed: str = "ground") -> None:
        self.world = World(seed)
        self.centre = self.world.enrol("inspection_centre", "Centre")
        self.garage = self.world.enrol("garage", "Garage")
        # Peers in the order in which their endorsements must stand.
        self.peers = sorted((self.enrol_node(f"Peer {number}") for number in range(peers)), key=lambda peer: peer.id)

    # --- what the network is

    @property
    def state(self) -> State:
        assert self.world.state is not None
        return self.world.state

    @property
    def net(self) -> bytes:
        return self.world.net

    @property
    def home(self) -> bytes:
        return self.world.home

    def check(self) -> None:
        """Every invariant holds, and the log leads to the state."""
        check_state(self.state)
        check_history(self.world.leaves)
        replayed = replay(self.world.leaves, self.world.rules_at.__getitem__, self.world.members_at.__getitem__)
        check_replayed(self.state, replayed)

    # --- what is asked of it

    def accept(self, *commands: Command) -> list[Logged]:
        """Each command in a block of its own (without any: an empty block); raises the first refusal."""
        if not commands:
            return self.world.run()
        return [one for command in commands for one in self.world.run(command)]

    def refuse(self, command: Command, reason: Reason, **facts: object) -> Refused:
        """The command is refused for this reason, with these facts among its own, and nothing has changed."""
        before, leaves = self.state, list(self.world.leaves)
        refusal = self.try_command(command)
        assert isinstance(refusal, Refused), f"accepted, where {reason} was expected"
        assert refusal.reason == reason, refusal.message
        assert refusal.message
        assert {name: refusal.facts.get(name) for name in facts} == facts
        assert (self.state, self.world.leaves) == (before, leaves)
        return refusal

    def try_command(self, command: Command) -> Refused | tuple[Logged, ...]:
        """What the ledger answers, without keeping it; a refusal leaves the state as the block found it."""
        state = self.state
        block = Block(state.height + 1, state.at + 1, (command,))
        after, (result,) = apply(state, block)
        if isinstance(result, Refused):
            unexpired = {key: expires for key, expires in state.sealed.items() if expires >= block.height}
            assert after == replace(state, height=block.height, at=block.at, sealed=unexpired)
        return result

    # --- members

    def make_member(self, kind: str = "garage", **changes: Any) -> Member:
        """A member that could be enrolled, with one author key in the node's custody."""
        signer, member = Signer(self.world.draw(32)), self.world.draw(16)
        is_node = kind == NODE_KIND
        key = self.world.make_key(member, signer, 3 if is_node else 1, 2)
        return replace(Member(member, f"A {kind}", kind, member if is_node else self.home, (), (key,)), **changes)

    def enrol_node(self, name: str) -> Peer:
        signer, member = Signer(self.world.draw(32)), self.world.draw(16)
        key = self.world.make_key(member, signer, 3, 1)
        self.accept(EnrolMember(Member(member, name, NODE_KIND, member, (), (key,))))
        return Peer(member, signer)

    def member(self, actor: Actor) -> Member:
        return self.state.members.get(actor.id)

    # --- rules

    def ask_endorsements(self, class_: int, count: int) -> None:
        """From now on entries of this class need so many endorsements."""
        self.accept(ChangeRules(with_endorsements(self.state.rules, class_, count)))

    # --- batches and censuses

    def make_batch(self, **changes: Any) -> Batch:
        batch = Batch(
            net=self.net,
            home=self.home,
            key_digest=self.world.node_signer.digest,
            class_=1,
            count=3,
            root=self.world.draw(32),
            rules=self.state.rules_ref.index,
            expires=self.state.height + 5,
        )
        return structs.replace(batch, **changes)

    def seal(self, by: tuple[Peer, ...] = (), signer: Signer | None = None, **changes: Any) -> SealBatch:
        """A command that seals a batch of this network, endorsed by these peers in this order."""
        data = self.make_batch(**changes).to_bytes()
        sig = (signer or self.world.node_signer).sign(data)
        return SealBatch(data, sig, tuple(peer.endorse(data) for peer in by))

    def census(
        self, by: tuple[Peer, ...] = (), signer: Signer | None = None, key: bytes | None = None, **changes: Any
    ) -> TakeCensus:
        """A command that takes a census of this network's home."""
        latest = self.state.censuses.get(self.home)
        census = Census(self.home, latest.index if latest else None, self.state.size, 5, 0, self.world.draw(32))
        census = replace(census, **changes)
        message = compute_census_message(self.net, census.to_document())
        signer = signer or self.world.node_signer
        return TakeCensus(
            census,
            signer.digest if key is None else key,
            signer.sign(message),
            tuple(peer.endorse(message) for peer in by),
        )


def with_endorsements(rules: Rules, class_: int, count: int) -> Rules:
    """The same rules, but entries of this class need so many endorsements."""
    others = [line for line in rules.lines if not (isinstance(line, ClassLine) and line.class_ == class_)]
    return Rules.of([*others, ClassLine(class_=class_, endorsements=count)])
