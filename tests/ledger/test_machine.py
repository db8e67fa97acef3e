"""A network lives at random, beside a naive model of it: whatever happens, in whatever order, both say the same.

After each step every invariant holds and a replay from genesis leads to the same state; heads, epochs and the census
root are those that the model computes from the clauses; and a bundle of any chain is judged as the model predicts –
genuine, or with the very finding that a retirement, a revocation or a withdrawn accreditation must have.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from carnet.errors import Reason
from carnet.ledger.commands import AccreditMember, AddKey, ChangeRules, EnrolMember, RetireMember, RevokeKey
from carnet.ledger.rules.default import CLASS_OF_KIND
from carnet.ledger.rules.document import Rules
from carnet.proof.verify import Asked, verify_bundle
from carnet.signing import SignatureCache, Signer
from carnet.tlog.policy import parse_policy
from tests.ledger.clauses import h, sparse, t, u
from tests.ledger.ground import Ground
from tests.world import Actor, Chain

ODOMETER, RECTIFIED = "vehicle.odometer/1", "passport.rectified/1"

# (member kind, basis) of those that may be enrolled: each basis, and each power that the rules give.
ENROLLED = [
    ("garage", 2),
    ("garage", 1),
    ("inspection_centre", 2),
    ("registration_authority", 2),
    ("dealer", 1),
    ("data_service", 2),
    ("data_service", 3),
    ("data_service", 4),
]

NUMBER = st.integers(0, 999)


@dataclass
class Author:
    """What the model remembers of a member: since which log index it was what."""

    actor: Actor
    accredited: list[tuple[int, frozenset[tuple[str, int, int]]]]
    retired: int | None = None
    revoked: int | None = None
    disputed: int | None = None

    def get_accreditations(self, index: int) -> frozenset[tuple[str, int, int]]:
        """As they were when the record at this index was written."""
        return [accreditations for since, accreditations in self.accredited if since < index][-1]


@dataclass
class Entry:
    """One entry as the model knows it; `target` is a seq."""

    author: Author
    kind: str
    mark: int
    target: int | None
    km: int | None = None


@dataclass
class Passport:
    """A chain as a plain list."""

    chain: Chain
    entries: list[Entry] = field(default_factory=list)
    is_journal: bool = False

    @property
    def is_moved(self) -> bool:
        return self.entries[-1].mark == 4


def find_fault(passport: Passport) -> str | None:
    """The code of the first entry that its author had no right to, when it was sealed (5.5.3)."""
    for entry, stored in zip(passport.entries, passport.chain.entries, strict=True):
        author, seal = entry.author, stored.seal
        if author.retired is not None and author.retired <= seal:
            return "member_retired"
        if author.revoked is not None and author.revoked <= seal:
            return "key_revoked"
        wanted = (entry.kind, author.actor.basis, CLASS_OF_KIND[entry.kind])
        if wanted not in author.get_accreditations(seal):
            return "not_accredited"
    return None


def predict_entries(passport: Passport, census: int) -> list[dict[str, Any]]:
    """What a report says of each entry, in the plainest way: look at all the others (2.9, 3.4, 5.10)."""
    predicted = []
    for seq, entry in enumerate(passport.entries):
        superseded, contested = [], []
        for later, other in enumerate(passport.entries):
            if other.target != seq or other.mark not in (1, 2):
                continue
            seal = passport.chain.entries[later].seal
            basis = other.author.actor.basis
            is_own = other.author is entry.author
            is_corrector = (RECTIFIED, basis, 3) in other.author.get_accreditations(seal)
            (superseded if other.mark == 1 and (is_own or is_corrector) else contested).append(later)
        author = entry.author
        is_known = author.revoked is not None and author.revoked < census
        disputed = is_known and author.disputed is not None and author.disputed <= passport.chain.entries[seq].seal
        predicted.append(
            {
                "basis": author.actor.basis,
                "contested_by": contested,
                "disputed": disputed,
                "mark": entry.mark,
                "seq": seq,
                "state": "superseded" if superseded else "contested" if contested else "stands",
                "superseded_by": max(superseded, default=None),
            }
        )
    return predicted


def compute_head(passport: Passport, count: int) -> tuple[int, int, bytes]:
    """(seq, epoch, id) of the chain's first `count` links, from clause 2.11 alone."""
    prev, epoch, seq = bytes(32), 0, -1
    for entry, stored in list(zip(passport.entries, passport.chain.entries, strict=True))[:count]:
        seq += 1
        epoch += entry.mark == 3
        place = passport.chain.id + u(8, seq) + u(4, epoch) + prev
        prev = h(t("link") + place + h(stored.statement) + u(1, entry.mark) + stored.target + stored.signed)
    return seq, epoch, prev


class Network(RuleBasedStateMachine):
    """The rules are what can happen; everything is drawn, and nothing is refused but what must be."""

    def __init__(self) -> None:
        super().__init__()
        self.authors: list[Author] = []
        self.passports: list[Passport] = []
        self.cache = SignatureCache(4096)
        self.genuine = 0

    @initialize()
    def found(self) -> None:
        """A network with five members and two passports of three readings each."""
        self.ground = Ground(peers=1, seed="machine")
        self.world = self.ground.world
        for actor in (self.ground.centre, self.ground.garage):
            self.remember(actor)
        # Enough to begin with for every rule to have somebody and something to act on.
        for kind, basis in (("registration_authority", 2), ("dealer", 2), ("data_service", 4)):
            self.remember(self.world.enrol(kind, basis=basis))
        for number in range(2):
            self.open(number, False)
            self.append(number, 1000, 3)

    def remember(self, actor: Actor) -> None:
        accreditations = frozenset(self.ground.member(actor).accreditations)
        self.authors.append(Author(actor, [(self.ground.state.size - 1, accreditations)]))

    def find_able(self, kind: str, number: int) -> Author | None:
        """One of those who may write this kind now."""
        able = [
            author
            for author in self.authors
            if author.retired is None
            and author.revoked is None
            and (kind, author.actor.basis, CLASS_OF_KIND[kind]) in author.accredited[-1][1]
        ]
        return able[number % len(able)] if able else None

    def pick_passport(self, number: int) -> Passport | None:
        open_ = [passport for passport in self.passports if not passport.is_journal and not passport.is_moved]
        return open_[number % len(open_)] if open_ else None

    def pick_target(self, passport: Passport, number: int) -> int | None:
        return 1 + number % (len(passport.entries) - 1) if len(passport.entries) > 1 else None

    def write(
        self, passport: Passport, author: Author, kind: str, fields: dict[str, Any], mark: int = 0, **how: Any
    ) -> None:
        self.world.append(passport.chain, author.actor, kind, fields, mark=mark, **how)
        passport.entries.append(Entry(author, kind, mark, how.get("target"), fields.get("odometer_km")))

    # --- members

    @rule(number=NUMBER)
    def enrol(self, number: int) -> None:
        if len(self.authors) < 10:
            kind, basis = ENROLLED[number % len(ENROLLED)]
            self.remember(self.world.enrol(kind, basis=basis))

    @rule(number=NUMBER, keep=st.integers(0, 3), corrector=st.booleans())
    def accredit(self, number: int, keep: int, corrector: bool) -> None:
        """Everything but each `keep`-th, or everything, and power over others' entries for an authority."""
        author = self.authors[number % len(self.authors)]
        if author.retired is not None:
            return
        basis, kind = author.actor.basis, author.actor.member.kind
        everything = set(author.actor.member.accreditations)
        if corrector and kind == "registration_authority":
            everything.add((RECTIFIED, basis, 3))
        kept = [one for at, one in enumerate(sorted(everything)) if keep == 0 or at % (keep + 1) != number % (keep + 1)]
        index = self.ground.accept(AccreditMember(author.actor.id, tuple(kept)))[0].index
        author.accredited.append((index, frozenset(kept)))

    @precondition(lambda self: len(self.authors) > 4)
    @rule(number=NUMBER, since=st.none() | NUMBER)
    def revoke(self, number: int, since: int | None) -> None:
        author = self.authors[number % len(self.authors)]
        if author.revoked is None:
            disputed = None if since is None else since % (self.ground.state.size + 1)
            command = RevokeKey(author.actor.id, author.actor.author.digest, disputed)
            author.revoked, author.disputed = self.ground.accept(command)[0].index, disputed

    @precondition(lambda self: len(self.authors) > 4)
    @rule(number=NUMBER)
    def retire(self, number: int) -> None:
        author = self.authors[number % len(self.authors)]
        if author.retired is None:
            author.retired = self.ground.accept(RetireMember(author.actor.id))[0].index

    @rule()
    def rotate_the_home_s_key(self) -> None:
        old, new = self.world.node_signer, Signer(self.world.draw(32))
        self.ground.accept(AddKey(self.world.home, self.world.make_key(self.world.home, new, 3, 2)))
        self.ground.accept(RevokeKey(self.world.home, old.digest, None))
        self.world.node_signer = new

    @rule(location=st.sampled_from(["vault", "source"]))
    def change_rules(self, location: str) -> None:
        rules = self.ground.state.rules
        line = rules.get_kind(ODOMETER)
        others = [one for one in rules.lines if one is not line]
        self.ground.accept(ChangeRules(Rules.of([*others, msgspec.structs.replace(line, location=location)])))

    # --- chains

    @precondition(lambda self: len(self.passports) < 5)
    @rule(number=NUMBER, is_journal=st.booleans())
    def open(self, number: int, is_journal: bool) -> None:
        kind = "journal.opened/1" if is_journal else "passport.opened/1"
        author = self.find_able(kind, number)
        if author is not None:
            chain = self.world.open(author.actor, journal=is_journal)
            self.passports.append(Passport(chain, [Entry(author, kind, 0, None)], is_journal))

    @rule(number=NUMBER, km=st.integers(0, 500_000), times=st.integers(1, 3))
    def append(self, number: int, km: int, times: int) -> None:
        passport, author = self.pick_passport(number), self.find_able(ODOMETER, number)
        if passport is not None and author is not None:
            for further in range(times):
                self.write(passport, author, ODOMETER, {"odometer_km": km + further, "odometer_state": "read"})

    @rule(number=NUMBER, by=NUMBER, at=NUMBER, kind=st.sampled_from([ODOMETER, "passport.corrected/1", RECTIFIED]))
    def correct(self, number: int, by: int, at: int, kind: str) -> None:
        """By the author itself, by a corrector, or by a stranger: only the first two supersede."""
        passport, author = self.pick_passport(number), self.find_able(kind, by)
        target = None if passport is None else self.pick_target(passport, at)
        if passport is not None and author is not None and target is not None:
            reading = {"odometer_km": by, "odometer_state": "read"}
            self.write(passport, author, kind, reading if kind == ODOMETER else {"reason": "other"}, 1, target=target)

    @rule(number=NUMBER, by=NUMBER, at=NUMBER)
    def contest(self, number: int, by: int, at: int) -> None:
        passport, author = self.pick_passport(number), self.find_able("passport.contested/1", by)
        target = None if passport is None else self.pick_target(passport, at)
        if passport is not None and author is not None and target is not None:
            self.write(passport, author, "passport.contested/1", {"reason": "wrong_value"}, 2, target=target)

    @rule(number=NUMBER, by=NUMBER)
    def transfer(self, number: int, by: int) -> None:
        passport, author = self.pick_passport(number), self.find_able("passport.transferred/1", by)
        if passport is not None and author is not None:
            self.write(passport, author, "passport.transferred/1", {"reason": "sale"}, 3)

    @precondition(lambda self: len(self.passports) > 2)
    @rule(number=NUMBER, by=NUMBER)
    def move(self, number: int, by: int) -> None:
        passport, author = self.pick_passport(number), self.find_able("passport.moved/1", by)
        if passport is not None and author is not None:
            home = self.ground.peers[0].id
            self.write(passport, author, "passport.moved/1", {"new_home": home.hex()}, 4, target_bytes=home + bytes(16))

    # --- the ledger

    @rule()
    def seal(self) -> None:
        self.world.seal()

    @rule(number=NUMBER)
    def seal_one_chain_first(self, number: int) -> None:
        if self.world.pending:
            first = self.world.pending[number % len(self.world.pending)].chain
            others = [pending for pending in self.world.pending if pending.chain != first]
            self.world.pending = [pending for pending in self.world.pending if pending.chain == first]
            self.world.seal()
            self.world.pending = others

    @precondition(lambda self: self.passports)
    @rule()
    def take_census(self) -> None:
        self.world.take_census()
        heads = [compute_head(passport, len(passport.entries)) for passport in self.passports]
        leaves = []
        for passport, (seq, epoch, id_) in zip(self.passports, heads, strict=True):
            slot = h(t("slot") + passport.chain.id)
            leaves.append((slot, t("head") + slot + h(t("tip") + passport.chain.id + u(4, epoch) + u(8, seq) + id_)))
        assert self.world.census_tree.root == sparse(leaves)

    @rule(ms=st.integers(0, 10**9))
    def time_passes(self, ms: int) -> None:
        self.world.tick(ms)

    @rule(number=NUMBER)
    def ask_for_what_is_refused(self, number: int) -> None:
        actor = self.authors[number % len(self.authors)].actor
        again = replace(self.ground.make_member(), id=actor.id, keys=())
        stranger = self.ground.make_member(keys=())
        stranger = replace(stranger, keys=(self.world.make_key(stranger.id, actor.author, 1, 2),))
        refusals = [
            (EnrolMember(again), Reason.MEMBER_EXISTS),
            (EnrolMember(stranger), Reason.KEY_EXISTS),
            (self.ground.seal(expires=0), Reason.BATCH_EXPIRED),
            (self.ground.census(covers=self.ground.state.size + 1), Reason.CENSUS_NOT_AFTER),
            (RetireMember(bytes(16)), Reason.UNKNOWN_MEMBER),
        ]
        self.ground.refuse(*refusals[number % len(refusals)])

    # --- what a stranger is told

    @precondition(lambda self: self.passports)
    @rule(number=NUMBER)
    def prove(self, number: int) -> None:
        passport = self.passports[number % len(self.passports)]
        bundle = self.world.bundle(passport.chain)
        policy = parse_policy(self.world.policy())
        now = self.world.at + 1000
        verdict = verify_bundle(bundle, policy, now, Asked(complete=True, passport=passport.chain.id), self.cache)
        fault = find_fault(passport)
        findings = {name: (found.state, found.code) for name, found in verdict.findings.items()}
        moved = ("moved", "moved") if passport.is_moved else ("ok", None)
        assert findings == {
            "authority": ("ok", None) if fault is None else ("failed", fault),
            "completeness": moved,
            "freshness": ("ok", None),
            "integrity": ("ok", None),
        }
        assert verdict.exit_code == (10 if fault else 12 if passport.is_moved else 0)
        if fault is None:
            self.genuine += 1
            self.check_report(passport, verdict.to_document()["report"])

    def check_report(self, passport: Passport, report: Any) -> None:
        seq, epoch, _ = compute_head(passport, len(passport.entries))
        assert (report["links"], report["epoch"], report["withheld"]) == (seq + 1, epoch, 0)
        assert report["as_of"] == self.world.records[self.world.census_index]["at"]
        predicted = predict_entries(passport, self.world.census_index)
        assert [{name: entry[name] for name in predicted[0]} for entry in report["entries"]] == predicted
        for entry, stored, told in zip(passport.entries, passport.chain.entries, report["entries"], strict=True):
            assert told["fields"]["kind"] == entry.kind
            assert told["fields"].get("odometer_km") == entry.km
            assert told["by"]["id"] == entry.author.actor.id.hex()
            assert told["sealed_at"] == self.world.records[stored.seal]["at"]

    # --- what always holds

    @invariant()
    def ledger_holds(self) -> None:
        if hasattr(self, "ground"):
            self.ground.check()

    @invariant()
    def heads_are_the_model_s(self) -> None:
        for passport in self.passports:
            head = passport.chain.head
            assert head is not None
            assert (head.seq, head.epoch, head.id) == compute_head(passport, len(passport.entries))

    def teardown(self) -> None:
        for number in range(len(self.passports)):
            self.prove(number)
        if hasattr(self, "ground"):
            self.ground.check()


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=40, stateful_step_count=30)
