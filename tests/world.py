"""A whole network in memory, for tests and vectors: every key, the real ledger, and hooks to build what an honest
home never would.

Deterministic: all keys, secrets and ids come from one seed, time is a counter. `World` is a `ProofSource`, so the
product's own
`assemble_bundle` makes its bundles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import shake_256
from typing import Any

from carnet.encoding import encode, encode_trusted, u64
from carnet.errors import Refused
from carnet.ledger.batch import Batch
from carnet.ledger.census import Census, compute_census_message, compute_head_leaf, compute_slot
from carnet.ledger.commands import Block, Command, EnrolMember, FoundNetwork, SealBatch, TakeCensus
from carnet.ledger.network import Fork, Founder, Genesis
from carnet.ledger.records import Endorsement, compute_record_leaf
from carnet.ledger.rules.default import CLASS_OF_KIND, default_accreditations, default_rules
from carnet.ledger.rules.document import Rules, compute_kind_line, compute_line_bytes
from carnet.ledger.rules.members import NODE_KIND, Key, Member, Members, compute_enrolment
from carnet.ledger.state import State
from carnet.ledger.transition import Logged, apply
from carnet.passport.fields import expand_secret, seal_values
from carnet.passport.kinds import all_kinds, get_schema
from carnet.passport.link import Head, append_link, compute_chain_id
from carnet.passport.statement import (
    NO_CHAIN,
    NO_TARGET,
    Statement,
    compute_sid,
    compute_signed,
    compute_submission,
    parse_statement,
)
from carnet.proof.assemble import EVERYTHING, Selection, assemble_bundle
from carnet.proof.source import OpenedEntry, PlacedLink, SignedTogether
from carnet.signing import Signer
from carnet.tlog.checkpoint import Checkpoint, log_key, sign_checkpoint
from carnet.tlog.joint import join
from carnet.tlog.note import with_cosignature
from carnet.tlog.policy import Policy, Witness, format_policy
from carnet.tlog.smt import SparseTree
from carnet.tlog.tree import MerkleTree, consistency_path, leaf_hash

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000


@dataclass
class Actor:
    """A member with its secret keys at hand: `author` signs its statements on `basis`, `node` only for nodes."""

    member: Member
    author: Signer
    basis: int

    @property
    def id(self) -> bytes:
        return self.member.id


@dataclass
class Pending:
    """A statement that is signed and linked, waiting for its batch."""

    chain: bytes
    seq: int
    class_: int
    link: bytes


@dataclass
class Stored:
    """One entry as a home keeps it."""

    statement: bytes
    fields: dict[str, tuple[bytes, object]]
    created_ms: int
    count: int
    index: int
    tree: MerkleTree | None
    signature: bytes
    sid: bytes
    signed: bytes
    mark: int
    target: bytes
    kind: str
    seal: int = -1
    position: int = -1


@dataclass
class Chain:
    """One chain in memory."""

    id: bytes
    subject: dict[str, object]
    head: Head | None = None
    entries: list[Stored] = field(default_factory=list)
    at_census: int = 0


class World:
    """A network with one home node. `is_lax` writes records without asking the ledger: the home, and the log, are the
    attackers."""

    def __init__(
        self,
        seed: str = "world",
        name: str = "test.carnet.example",
        is_lax: bool = False,
        forked_from: Fork | None = None,
    ) -> None:
        self._seed = seed.encode()
        self._drawn = 0
        self.is_lax = is_lax
        self.at = START_MS
        self.log_signer = Signer(self.draw(32))
        self.node_signer = Signer(self.draw(32))
        self.home = self.draw(16)
        self.leaves: list[bytes] = []
        self.records: dict[int, dict[str, object]] = {}
        self.batches: dict[int, MerkleTree] = {}
        self.chains: dict[bytes, Chain] = {}
        self.pending: list[Pending] = []
        self.census_tree = SparseTree.build([])
        self.census_index = -1
        self.members_at: dict[int, Members] = {}
        self.rules_at: dict[int, Rules] = {}
        self.actors: dict[str, Actor] = {}
        self.cosigners: list[tuple[str, Signer, int]] = []
        self._log_hashes: list[bytes] = []
        rules = self.make_rules()
        founder = Founder(self.home, self.node_signer.public)
        genesis = Genesis(
            name, self.draw(32), self.log_signer.public, (founder,), rules.tree.root, forked_from=forked_from
        )
        self.net = genesis.net
        node = Member(
            self.home, "Home node", NODE_KIND, self.home, (), (self.make_key(self.home, self.node_signer, 3, 2),)
        )
        self.state: State | None = None
        self.run(FoundNetwork(genesis, rules, (node,)))

    # --- randomness, time, keys

    def draw(self, count: int) -> bytes:
        """The next `count` bytes of this world's randomness."""
        self._drawn += 1
        return shake_256(self._seed + u64(self._drawn)).digest(count)

    def tick(self, ms: int = MINUTE_MS) -> int:
        """Let time pass."""
        self.at += ms
        return self.at

    def make_rules(self) -> Rules:
        """The rules at genesis, with every built-in kind."""
        lines = [
            compute_kind_line(kind, get_schema(kind).chain, CLASS_OF_KIND[kind], get_schema(kind).document())
            for kind in all_kinds()
        ]
        return default_rules(lines)

    def make_key(self, member: bytes, signer: Signer, role: int, custody: int) -> Key:
        """A key with its own enrolment signature."""
        return Key(signer.public, role, custody, signer.sign(compute_enrolment(self.net, member, role, custody)))

    # --- the ledger

    def run(self, *commands: Command) -> list[Logged]:
        """Apply one block; raises the first refusal."""
        height = 1 if self.state is None else self.state.height + 1
        self.state, results = apply(self.state, Block(height, self.tick(), commands))
        logged: list[Logged] = []
        for result in results:
            if isinstance(result, Refused):
                raise result
            logged += result
        for record in logged:
            self._store(record.index, record.leaf)
        self.members_at[self.state.members_ref.index] = self.state.members
        self.rules_at[self.state.rules_ref.index] = self.state.rules
        return logged

    def force(self, record: dict[str, object]) -> int:
        """Log a record without asking the ledger (only a dishonest log does)."""
        assert self.state is not None
        index = len(self.leaves)
        self._store(index, compute_record_leaf(record))
        self.state = replace(self.state, size=index + 1, height=int(str(record["height"])), at=int(str(record["at"])))
        return index

    def _store(self, index: int, leaf: bytes) -> None:
        import json

        assert index == len(self.leaves)
        self.leaves.append(leaf)
        self._log_hashes.append(leaf_hash(leaf))
        self.records[index] = json.loads(leaf.split(b"\n", 1)[1])

    # --- members

    def enrol(
        self,
        kind: str,
        name: str | None = None,
        basis: int = 2,
        accreditations: tuple[tuple[str, int, int], ...] | None = None,
    ) -> Actor:
        """A member of this kind, accredited for all that the writer table allows on its basis, or as given."""
        assert self.state is not None
        signer, member_id = Signer(self.draw(32)), self.draw(16)
        role, custody = (2 if basis == 4 else 1), (1 if basis == 1 else 2)
        if accreditations is None:
            accreditations = tuple(a for a in default_accreditations(self.state.rules, kind) if a[1] == basis)
        member = Member(
            member_id,
            name or f"{kind} {len(self.actors)}",
            kind,
            self.home,
            accreditations,
            (self.make_key(member_id, signer, role, custody),),
        )
        self.run(EnrolMember(member))
        actor = Actor(member, signer, basis)
        self.actors[member.name] = actor
        return actor

    def force_members(self, change: Callable[[Members], Members]) -> None:
        """Put other members in force without asking the ledger: what only a dishonest log would write."""
        from carnet.ledger.records import Ref, members_record

        assert self.state is not None
        members = change(self.state.members)
        self.tick()
        record = members_record(self.at, self.state.height + 1, members.tree.root, len(members.all))
        index = self.force(record)
        self.state = replace(self.state, members=members, members_ref=Ref(index, members.tree.root, len(members.all)))
        self.members_at[index] = members

    def force_rules(self, rules: Rules) -> None:
        """Put other rules in force without asking the ledger."""
        from carnet.ledger.records import Ref, rules_record

        assert self.state is not None
        self.tick()
        index = self.force(rules_record(self.at, self.state.height + 1, rules.tree.root, len(rules.lines)))
        self.state = replace(self.state, rules=rules, rules_ref=Ref(index, rules.tree.root, len(rules.lines)))
        self.rules_at[index] = rules

    # --- entries

    def open(self, by: Actor, subject: dict[str, object] | None = None, journal: bool = False, **how: Any) -> Chain:
        """Open a passport (or a journal) about this subject; `how` goes to `append`."""
        subject = subject or {"scheme": "test", "value": self.draw(4).hex()}
        chain = Chain(NO_CHAIN, subject)
        fields = {"epoch": 0} if journal else {"occasion": "first_registration"}
        self.append(chain, by, "journal.opened/1" if journal else "passport.opened/1", fields, **how)
        self.chains[chain.id] = chain
        return chain

    def append(
        self,
        chain: Chain,
        by: Actor,
        kind: str,
        fields: Mapping[str, object] | None = None,
        *,
        mark: int = 0,
        target: int | None = None,
        target_bytes: bytes | None = None,
        occurred: object = None,
        edit_fields: Callable[[dict[str, object]], dict[str, object]] = lambda fields: fields,
        edit: Callable[[Statement], Statement] = lambda statement: statement,
        sign_with: Signer | None = None,
        class_: int | None = None,
        validate: bool = True,
    ) -> Stored:
        """Sign one statement and link it. `edit` and `sign_with` make what an honest author never would."""
        complete = dict(fields or {})
        complete.setdefault("subject", chain.subject)
        complete["kind"] = kind
        complete["occurred"] = occurred or {"at": "2023-11-14", "precision": "day", "zone": "Europe/Paris"}
        values = get_schema(kind).validate(complete) if validate else dict(sorted(complete.items()))
        values = dict(sorted(edit_fields(values).items()))
        secret = self.draw(32)
        names = tuple(values)
        _, fields_root = seal_values(names, [encode(value) for value in values.values()], secret)
        salts = expand_secret(secret, len(names))[1]
        reached = target_bytes or (NO_TARGET if target is None else chain.entries[target].sid)
        statement = edit(
            Statement(
                self.net,
                chain.id,
                by.id,
                by.author.digest,
                by.basis,
                CLASS_OF_KIND[kind] if class_ is None else class_,
                mark,
                reached,
                fields_root,
            )
        )
        fields_of = {name: (salt, value) for (name, value), salt in zip(values.items(), salts, strict=True)}
        return self._sign(chain, sign_with or by.author, [(kind, statement, fields_of)])[0]

    def append_together(self, chain: Chain, by: Actor, kind: str, all_fields: Sequence[Mapping[str, object]]) -> None:
        """Sign several statements at once, in one submission, and link them."""
        drafts = []
        for fields in all_fields:
            stored = self.append(chain, by, kind, fields)
            drafts.append((kind, parse_statement(stored.statement), stored.fields))
        # Each was linked by itself, to be made: only those of the one submission stay.
        for _ in drafts:
            chain.entries.pop()
            self.pending.pop()
        chain.head = None
        for entry in chain.entries:
            _, chain.head = append_link(chain.head, chain.id, entry.sid, entry.mark, entry.target, entry.signed)
        self._sign(chain, by.author, drafts)

    def _sign(
        self, chain: Chain, signer: Signer, drafts: Sequence[tuple[str, Statement, dict[str, tuple[bytes, object]]]]
    ) -> list[Stored]:
        """One submission of these statements, each placed at the end of the chain."""
        data = [statement.to_bytes() for _, statement, _ in drafts]
        tree = MerkleTree.of(data)
        first = drafts[0][1]
        submission = compute_submission(first.net, first.key_digest, self.tick(1000), len(drafts), tree.root)
        signature = signer.sign(submission)
        signed = []
        for index, (kind, statement, fields) in enumerate(drafts):
            sid = compute_sid(data[index])
            stored = Stored(
                statement=data[index],
                fields=fields,
                created_ms=self.at,
                count=len(drafts),
                index=index,
                tree=tree,
                signature=signature,
                sid=sid,
                signed=compute_signed(sid, submission, signature),
                mark=statement.mark,
                target=statement.target,
                kind=kind,
            )
            self.link(chain, stored, statement.class_)
            signed.append(stored)
        return signed

    def link(self, chain: Chain, stored: Stored, class_: int) -> None:
        """Place a signed statement at the end of a chain."""
        if chain.head is None:
            chain.id = compute_chain_id(self.home, stored.sid)
        link, chain.head = append_link(chain.head, chain.id, stored.sid, stored.mark, stored.target, stored.signed)
        chain.entries.append(stored)
        self.pending.append(Pending(chain.id, chain.head.seq, class_, link))

    def seal(
        self,
        *,
        edit: Callable[[Batch], Batch] = lambda batch: batch,
        edit_record: Callable[[dict[str, object]], dict[str, object]] = lambda record: record,
        sign_with: Signer | None = None,
        endorse: Callable[[bytes], tuple[Endorsement, ...]] = lambda batch: (),
    ) -> list[int]:
        """Seal what is pending, one batch for each run of entries of one class; returns the log indices."""
        sealed = []
        by_id = {chain.id: chain for chain in self.chains.values()}
        while self.pending:
            class_ = self.pending[0].class_
            run = []
            while self.pending and self.pending[0].class_ == class_:
                run.append(self.pending.pop(0))
            tree = MerkleTree.of([pending.link for pending in run])
            assert self.state is not None
            batch = edit(
                Batch(
                    self.net,
                    self.home,
                    self.node_signer.digest,
                    class_,
                    len(run),
                    tree.root,
                    self.state.rules_ref.index,
                    self.state.height + 10,
                )
            )
            sig = (sign_with or self.node_signer).sign(batch.to_bytes())
            index = self._log_seal(batch.to_bytes(), sig, endorse(batch.to_bytes()), edit_record)
            self.batches[index] = tree
            for position, pending in enumerate(run):
                entry = by_id[pending.chain].entries[pending.seq]
                entry.seal, entry.position = index, position
            sealed.append(index)
        return sealed

    def _log_seal(
        self,
        batch: bytes,
        sig: bytes,
        endorsements: tuple[Endorsement, ...],
        edit_record: Callable[[dict[str, object]], dict[str, object]],
    ) -> int:
        if not self.is_lax:
            return self.run(SealBatch(batch, sig, endorsements))[0].index
        from carnet.ledger.records import seal_record

        assert self.state is not None
        self.tick()
        record = seal_record(
            self.at, self.state.height + 1, batch, sig, endorsements, self.state.members_ref, self.state.rules_ref
        )
        return self.force(edit_record(record))

    def take_census(
        self,
        *,
        edit: Callable[[Census], Census] = lambda census: census,
        edit_record: Callable[[dict[str, object]], dict[str, object]] = lambda record: record,
        sign_with: Signer | None = None,
        leaves: Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]] = lambda leaves: leaves,
    ) -> int:
        """Seal what is pending, then take a census of all chains."""
        self.seal()
        heads = []
        for chain in self.chains.values():
            assert chain.head is not None
            slot = compute_slot(chain.id)
            if chain.head.seq + 1 != len(chain.entries):
                raise AssertionError("a chain's head is its last entry")
            heads.append((slot, compute_head_leaf(slot, chain.id, chain.head.epoch, chain.head.seq, chain.head.id)))
            chain.at_census = len(chain.entries)
        assert self.state is not None
        self.census_tree = SparseTree.build(sorted(leaves(heads)))
        latest = self.state.censuses.get(self.home)
        census = edit(
            Census(self.home, latest.index if latest else None, self.state.size, len(heads), 0, self.census_tree.root)
        )
        sig = (sign_with or self.node_signer).sign(compute_census_message(self.net, census.to_document()))
        if self.is_lax:
            from carnet.ledger.records import census_record

            self.tick()
            record = census_record(
                self.at,
                self.state.height + 1,
                census,
                (sign_with or self.node_signer).digest,
                sig,
                (),
                self.state.members_ref,
                self.state.rules_ref,
            )
            self.census_index = self.force(edit_record(record))
        else:
            self.census_index = self.run(TakeCensus(census, self.node_signer.digest, sig))[0].index
        return self.census_index

    def bundle(self, chain: Chain, selection: Selection = EVERYTHING) -> bytes:
        """The bundle of a chain, as of the newest census (taken now if there is none since its last entry)."""
        if self.pending or chain.at_census != len(chain.entries):
            self.take_census()
        return assemble_bundle(self, chain.id, selection)

    def policy(self, witnesses: tuple[Witness, ...] = (), quorum: bytes = b"none") -> bytes:
        """The public trust policy of this network."""
        assert self.state is not None
        key = log_key(self.state.genesis.origin, self.log_signer.public)
        return format_policy(Policy((key,), witnesses, (), quorum))

    # --- ProofSource

    def get_genesis(self) -> dict[str, object]:
        assert self.state is not None
        return self.state.genesis.to_document()

    def get_checkpoint(self) -> tuple[int, bytes]:
        assert self.state is not None
        root = MerkleTree(self._log_hashes).root
        size = len(self.leaves)
        note = sign_checkpoint(Checkpoint(self.state.genesis.origin, size, root), self.log_signer)
        for name, signer, time_s in self.cosigners:
            note = with_cosignature(note, name, signer, time_s)
        return size, note

    def get_record(self, index: int) -> dict[str, object]:
        return self.records[index]

    def get_records_path(self, indices: Sequence[int], size: int) -> bytes:
        return join(MerkleTree(self._log_hashes[:size]), indices)

    def get_consistency_path(self, old_size: int, size: int) -> list[bytes]:
        return consistency_path(self._log_hashes, old_size, size)

    def get_census_index(self) -> int:
        return self.census_index

    def get_census_path(self, chain: bytes) -> list[bytes]:
        return list(self.census_tree.path(compute_slot(chain)).siblings)

    def get_links(self, chain: bytes) -> list[PlacedLink]:
        entries = self.chains[chain].entries[: self.chains[chain].at_census]
        return [PlacedLink(e.sid, e.signed, e.mark, e.target, e.seal, e.position, e.kind) for e in entries]

    def get_batch_path(self, seal: int, positions: Sequence[int]) -> bytes:
        return join(self.batches[seal], positions)

    def get_entry(self, chain: bytes, seq: int) -> OpenedEntry:
        e = self.chains[chain].entries[seq]
        key = parse_statement(e.statement).key_digest
        together = SignedTogether(key, e.created_ms, e.count, e.tree, e.signature)
        kind, subject = (e.fields[name][1] for name in ("kind", "subject"))
        return OpenedEntry(e.statement, str(kind), encode_trusted(subject), encode_trusted(e.fields), together, e.index)

    def get_judged(self, chain: bytes, seq: int) -> OpenedEntry:
        return self.get_entry(chain, seq)

    def get_member(self, members: int, member: bytes) -> tuple[int, dict[str, object]]:
        found = self.members_at[members]
        index = found.find_index(member)
        assert index is not None
        return index, found.all[index].to_document()

    def get_members_path(self, members: int, indices: Sequence[int]) -> bytes:
        return join(self.members_at[members].tree, indices)

    def get_line(self, rules: int, *subject: object) -> tuple[int, dict[str, object]]:
        import json

        at = self.rules_at[rules].find(*subject)
        assert at is not None
        return at[0], json.loads(compute_line_bytes(at[1]))

    def get_lines_path(self, rules: int, indices: Sequence[int]) -> bytes:
        return join(self.rules_at[rules].tree, indices)
