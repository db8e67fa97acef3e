"""The golden vectors: one honest bundle or forgery for each answer that a verifier can give, from fixed seeds.

`python -m tests.vectors` writes docs/spec/vectors/. Each scenario says by hand which clause it is about and what must
be answered; the
files then hold the bundle, the policy, the clock, and the whole report. Forgeries come in two kinds: those that
anyone can make from a
genuine bundle (`edit_…`), and those that only a dishonest home, log or member could make, who signs them anew
(`is_lax` worlds).
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import structs

from carnet.encoding import b64, encode, tag, unb64
from carnet.ledger.batch import compute_endorsement
from carnet.ledger.commands import EnrolMember, RetireMember, RevokeKey
from carnet.ledger.network import Fork
from carnet.ledger.records import Endorsement
from carnet.ledger.rules.document import ClassLine, Rules
from carnet.ledger.rules.members import NODE_KIND, Key, Member, Members
from carnet.passport.statement import NO_TARGET
from carnet.proof.assemble import Selection
from carnet.proof.bundle import MAX_BUNDLE_BYTES, MAX_BUNDLE_VALUES
from carnet.proof.verify import Asked, verify_bundle
from carnet.signing import Signer
from carnet.tlog.joint import join
from carnet.tlog.note import TYPE_COSIGNATURE, VerifierKey
from carnet.tlog.policy import Witness, parse_policy
from carnet.tlog.tree import MerkleTree
from tests.shared import ROOT
from tests.world import Actor, Chain, World

DIRECTORY = ROOT / "docs" / "spec" / "vectors"

Doc = dict[str, Any]


@dataclass
class Vector:
    """What a scenario hands over: the bundle, the reader's policy and clock, and what is asked."""

    bundle: bytes
    policy: bytes | None
    now: int
    complete: bool = False
    max_age: int | None = None
    since: bytes | None = None
    subject: Doc | None = None
    passport: bytes | None = None
    repeat: str | None = None


@dataclass(frozen=True)
class Scenario:
    """A named scenario with the answer that the specification asks for; `clause` names one clause or several."""

    name: str
    clause: str
    about: str
    exit_code: int
    finding: str | None
    code: str | None
    make: Callable[[], Vector]


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    clause: str, exit_code: int, code: str | None = None, finding: str | None = "integrity"
) -> Callable[[Callable[[], Vector]], Callable[[], Vector]]:
    """Register a scenario; its function's name and docstring are the vector's. `finding` is None for what was asked."""

    def register(make: Callable[[], Vector]) -> Callable[[], Vector]:
        name = make.__name__
        assert name not in SCENARIOS
        about = " ".join((make.__doc__ or "").split())
        SCENARIOS[name] = Scenario(name, clause, about, exit_code, finding, code, make)
        return make

    return register


# --- the small network that most scenarios start from


@dataclass
class Scene:
    """A world with an inspection centre, a garage, and one passport with an opening and three readings."""

    world: World
    centre: Actor
    garage: Actor
    chain: Chain

    def vector(self, bundle: bytes | None = None, **how: Any) -> Vector:
        return Vector(bundle or self.world.bundle(self.chain), self.world.policy(), self.world.at + 1000, **how)


def read(km: int) -> Doc:
    return {"odometer_km": km, "odometer_state": "read"}


def scene(is_lax: bool = False, readings: int = 3, open_with: Doc | None = None, **how: Any) -> Scene:
    world = World("scene", is_lax=is_lax, **how)
    lax, world.is_lax = world.is_lax, False
    centre, garage = world.enrol("inspection_centre", "Centre A"), world.enrol("garage", "Garage B")
    world.is_lax = lax
    chain = world.open(centre, {"scheme": "vin", "value": "VF1TEST0000000001"}, **(open_with or {}))
    for number in range(readings):
        world.append(chain, garage, "vehicle.odometer/1", read(10_000 * (number + 1)))
    return Scene(world, centre, garage, chain)


def edited(bundle: bytes, edit: Callable[[Doc], object]) -> bytes:
    """A genuine bundle changed by someone without any key."""
    document = json.loads(bundle)
    edit(document)
    return encode(document)


def edit_scene(edit: Callable[[Doc], object], **how: Any) -> Vector:
    set_ = scene(**how)
    return set_.vector(edited(set_.world.bundle(set_.chain), edit))


def only(*seqs: int, fields: frozenset[str] | None = None) -> Selection:
    return Selection(is_shown=lambda seq, kind: seq in seqs, fields=fields)


def drop_submission(doc: Doc, number: int) -> None:
    """Take a submission out that no entry names any more; those after it move up."""
    doc["submissions"].pop(number)
    for link in doc["links"]:
        if isinstance(link, dict) and link["submission"]["number"] > number:
            link["submission"]["number"] -= 1


def pop_link(doc: Doc, seq: int) -> None:
    """Leave an entry out that is the only one of its submission."""
    drop_submission(doc, doc["links"].pop(seq)["submission"]["number"])


def hide_link(doc: Doc, seq: int, hidden: str) -> None:
    """Hide an entry that is the only one of its submission."""
    number = doc["links"][seq]["submission"]["number"]
    doc["links"][seq] = hidden
    drop_submission(doc, number)


def prove_batches(set_: Scene, doc: Doc) -> None:
    """Write the paths of the batches for the links that are placed now."""
    placements = [link["placement"] for link in doc["links"] if isinstance(link, dict)]
    if doc["tip"] is not None:
        placements.append(doc["tip"])
    seals = sorted({placement["record"] for placement in placements})
    doc["batches"] = [
        join_path(set_.world.batches[seal], [one for one in placements if one["record"] == seal]) for seal in seals
    ]


def join_path(tree: MerkleTree, parts: list[Doc]) -> str:
    """The joint path of parts that bear their index, as a bundle writes it."""
    return b64(join(tree, [part["index"] for part in parts]))


def flip(text: str, at: int = 0) -> str:
    data = bytearray(unb64(text))
    data[at] ^= 1
    return b64(bytes(data))


# --- genuine bundles


@scenario("5.9", 0, finding=None)
def genuine() -> Vector:
    """A whole passport, every field shown, under the network's own policy."""
    return scene().vector(complete=True, max_age=86_400_000)


@scenario("4.6 4.5", 0, finding=None)
def genuine_one_field() -> Vector:
    """One reading shown with its kilometres only; the other entries are withheld and counted."""
    set_ = scene()
    shown = only(1, fields=frozenset({"odometer_km"}))
    return set_.vector(set_.world.bundle(set_.chain, shown), subject={"scheme": "vin", "value": "VF1TEST0000000001"})


@scenario("2.9", 0, finding=None)
def genuine_superseded() -> Vector:
    """The author of a reading corrects it: both stay visible, and the first is reported as superseded."""
    set_ = scene()
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(21_000), mark=1, target=2)
    return set_.vector()


@scenario("4.6", 0, finding=None)
def genuine_judged() -> Vector:
    """The corrected reading is shown, the correction is not: it stands in the bundle without fields, to be judged."""
    set_ = scene()
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(21_000), mark=1, target=2)
    return set_.vector(set_.world.bundle(set_.chain, only(2)))


@scenario("2.9", 0, finding=None)
def genuine_correction_by_stranger() -> Vector:
    """A stranger 'corrects' a reading of the garage: that is reported as a contest, and the reading is not
    superseded."""
    set_ = scene()
    other = set_.world.enrol("garage", "Garage C")
    set_.world.append(set_.chain, other, "vehicle.odometer/1", read(21_000), mark=1, target=2)
    return set_.vector()


@scenario("2.9", 0, finding=None)
def genuine_rectified() -> Vector:
    """An authority that is accredited for corrections withdraws the garage's reading."""
    set_ = scene()
    accreditations = (("passport.rectified/1", 2, 3),)
    authority = set_.world.enrol("public_authority", "Authority", accreditations=accreditations)
    set_.world.append(set_.chain, authority, "passport.rectified/1", {"reason": "wrong_vehicle"}, mark=1, target=2)
    return set_.vector()


def together() -> tuple[Scene, MerkleTree]:
    """An opening, and three of the four readings that the garage signed at once."""
    set_ = scene(readings=0)
    set_.world.append_together(
        set_.chain, set_.garage, "vehicle.odometer/1", [read(10_000 * number) for number in range(1, 5)]
    )
    tree = set_.chain.entries[1].tree
    assert tree is not None
    return set_, tree


@scenario("1.10 2.10 4.11", 0, finding=None)
def genuine_one_submission() -> Vector:
    """Four readings were signed at once: one signature, and one joint path for the two that are shown."""
    set_, _ = together()
    return set_.vector(set_.world.bundle(set_.chain, only(1, 3)))


FORK = Fork(f"old.carnet.example/{'5a' * 32}", 1234, bytes([9]) * 32)


@scenario("1.9 5.10", 0, finding=None)
def genuine_forked() -> Vector:
    """A network that goes on from another: its genesis cites the older log, and the report says so."""
    return scene(forked_from=FORK).vector()


@scenario("1.9", 10, "malformed")
def refused_fork_of_no_log() -> Vector:
    """A citation of what is no origin of a log."""
    return scene(forked_from=replace(FORK, origin="old.carnet.example")).vector()


@scenario("1.9", 10, "malformed")
def refused_fork_of_null() -> Vector:
    """A network that goes on from none leaves the citation out: null would be another network's genesis."""
    return edit_scene(lambda doc: doc["genesis"].update(forked_from=None))


@scenario("5.4.1 1.9", 10, "origin_mismatch")
def refused_fork_unsaid() -> Vector:
    """The citation is cut out, so that a fork would look like a network of its own."""
    return edit_scene(lambda doc: doc["genesis"].pop("forked_from"), forked_from=FORK)


@scenario("2.7", 0, finding=None)
def genuine_contested() -> Vector:
    """The holder's operator contests a reading."""
    set_ = scene()
    operator = set_.world.enrol("data_service", "Operator", basis=4)
    set_.world.append(set_.chain, operator, "passport.contested/1", {"reason": "wrong_value"}, mark=2, target=3)
    return set_.vector()


@scenario("2.11", 0, finding=None)
def genuine_transferred() -> Vector:
    """A transfer raises the epoch; a reading after it stands in epoch 1."""
    set_ = scene()
    dealer = set_.world.enrol("dealer", "Dealer")
    set_.world.append(set_.chain, dealer, "passport.transferred/1", {"reason": "sale"}, mark=3)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(40_000))
    return set_.vector()


@scenario("2.6", 0, finding=None)
def genuine_own_key() -> Vector:
    """Basis 1: a centre signs with a key in its own custody."""
    set_ = scene()
    own = set_.world.enrol("inspection_centre", "Centre with its own key", basis=1)
    set_.world.append(set_.chain, own, "vehicle.odometer/1", read(50_000))
    return set_.vector()


@scenario("2.6", 0, finding=None)
def genuine_reported() -> Vector:
    """Basis 3: a data service reports a file, and is accredited to."""
    set_ = scene()
    service = set_.world.enrol("data_service", "Data service", basis=3)
    set_.world.append(set_.chain, service, "vehicle.odometer/1", read(50_000))
    return set_.vector()


def declare_alias(set_: Scene, by: Actor, start: str = "2020-01-01", until: str | None = "2022-01-01") -> Doc:
    plate = {"country": "FR", "scheme": "plate", "value": "AB-000-CD"}
    alias = {"from": start, "subject": plate, "until": until}
    set_.world.append(set_.chain, by, "vehicle.identity/1", {"alias": alias})
    return plate


def say_under_plate(set_: Scene, plate: Doc, at: str) -> None:
    occurred = {"at": at, "precision": "day", "zone": "Europe/Paris"}
    set_.world.append(
        set_.chain, set_.garage, "vehicle.odometer/1", {**read(60_000), "subject": plate}, occurred=occurred
    )


@scenario("2.14", 0, finding=None)
def genuine_alias() -> Vector:
    """A reading is made under a plate that an accredited centre declared, on a day of its interval."""
    set_ = scene()
    plate = declare_alias(set_, set_.centre)
    say_under_plate(set_, plate, "2021-12-31")
    return set_.vector(subject=plate)


@scenario("2.12", 0, finding=None)
def genuine_journal() -> Vector:
    """A journal proves as a history does."""
    set_ = scene()
    operator = set_.world.enrol("data_service", "Operator")
    journal = set_.world.open(operator, {"scheme": "holder", "value": "h1"}, journal=True)
    return Vector(set_.world.bundle(journal), set_.world.policy(), set_.world.at)


@scenario("3.4", 0, finding=None)
def genuine_disputed() -> Vector:
    """A key is revoked and disputed since before: what it signed is reported as disputed, never as altered."""
    set_ = scene()
    set_.world.seal()
    set_.world.run(RevokeKey(set_.garage.id, set_.garage.author.digest, 0))
    return set_.vector()


@scenario("5.6.3 4.8", 0, finding=None)
def genuine_since() -> Vector:
    """The newer bundle proves that it continues the older one."""
    set_, old = older_and_newer()
    bundle = set_.world.bundle(set_.chain, Selection(since=checkpoint_of(old)))
    return set_.vector(bundle, since=old)


@scenario("3.10 5.7", 0, finding=None)
def genuine_cosigned() -> Vector:
    """A witness that the policy asks for has cosigned the checkpoint."""
    return cosigned()


def cosigned(time_s: int | None = None, break_it: bool = False, signer_seed: int = 7, quorum: bytes = b"w") -> Vector:
    set_ = scene()
    set_.world.take_census()
    witness = Signer(bytes([7]) * 32)
    seen_s = (set_.world.at + 5000) // 1000 if time_s is None else time_s
    set_.world.cosigners = [("witness.example", Signer(bytes([signer_seed]) * 32), seen_s)]
    known = Witness(b"w", VerifierKey("witness.example", TYPE_COSIGNATURE, witness.public))
    bundle = set_.world.bundle(set_.chain)
    if break_it:
        bundle = edited(bundle, lambda doc: doc.update(checkpoint=flip_last_signature(doc["checkpoint"])))
    return Vector(bundle, set_.world.policy((known,), quorum), set_.world.at + 10_000)


def flip_last_signature(checkpoint: str) -> str:
    lines = unb64(checkpoint).decode().splitlines()
    dash, name, blob = lines[-1].split(" ")
    lines[-1] = f"{dash} {name} {flip(blob, 40)}"
    return b64(("\n".join(lines) + "\n").encode())


def older_and_newer() -> tuple[Scene, bytes]:
    set_ = scene()
    old = set_.world.bundle(set_.chain)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(90_000))
    return set_, old


def checkpoint_of(bundle: bytes) -> tuple[int, bytes]:
    _, size, root = unb64(json.loads(bundle)["checkpoint"]).decode().splitlines()[:3]
    return int(size), unb64(root)


# --- 5.3 reading


@scenario("5.3.1", 10, "too_large")
def refused_too_large() -> Vector:
    """One byte more than 32 MiB."""
    return Vector(b"0" * (MAX_BUNDLE_BYTES + 1), None, 0, repeat="0")


@scenario("5.3.1", 10, "too_large")
def refused_too_many_values() -> Vector:
    """32 MiB of nested brackets: more values than any bundle has."""
    return Vector(b"[" * MAX_BUNDLE_BYTES, None, 0, repeat="[")


@scenario("5.3.2", 10, "not_canonical")
def refused_nested_brackets() -> Vector:
    """As many nested brackets as there may be values."""
    return Vector(b"[" * MAX_BUNDLE_VALUES, None, 0, repeat="[")


@scenario("5.3.2", 10, "not_canonical")
def refused_two_values_of_one_field() -> Vector:
    """One field stands twice in a statement, with two values."""
    set_ = scene()
    bundle = set_.world.bundle(set_.chain)
    at = bundle.index(b'"odometer_km":[')
    again = bundle[at : bundle.index(b"]", at) + 1]
    return set_.vector(bundle[:at] + again.replace(b"10000", b"90000") + b"," + bundle[at:])


@scenario("1.3", 10, "not_canonical")
def refused_white_space() -> Vector:
    """A space that the encoder would not write."""
    set_ = scene()
    return set_.vector(set_.world.bundle(set_.chain).replace(b'"since":', b'"since": '))


@scenario("1.3 2.4", 10, "not_canonical")
def refused_fraction() -> Vector:
    """10000.0 where 10000 was signed."""
    set_ = scene()
    return set_.vector(set_.world.bundle(set_.chain).replace(b",10000]", b",10000.0]"))


@scenario("1.2", 10, "not_canonical")
def refused_bidirectional_control() -> Vector:
    """A right-to-left override hides what a name really says."""
    set_ = scene()
    return set_.vector(set_.world.bundle(set_.chain).replace(b"Garage B", "Garage \u202eB".encode()))


@scenario("1.1", 10, "not_canonical")
def refused_depth() -> Vector:
    """A value nested deeper than 16."""
    set_ = scene()
    return set_.vector(set_.world.bundle(set_.chain).replace(b",10000]", b"," + b"[" * 12 + b"1" + b"]" * 12 + b"]"))


@scenario("5.3.2", 10, "not_canonical")
def refused_empty_file() -> Vector:
    """No bytes at all."""
    return scene().vector(b" ")


@scenario("5.3.3", 11, "unknown_version")
def unknown_version() -> Vector:
    """A bundle of a later version: this verifier cannot tell."""
    return edit_scene(lambda doc: doc.update(carnet="proof/2", more={}))


@scenario("5.3.4", 10, "malformed")
def refused_other_document() -> Vector:
    """Canonical, but not a bundle."""
    return scene().vector(encode({"carnet": "ticket/1"}))


@scenario("4.9 4.1", 10, "malformed")
def refused_surplus_member_of_bundle() -> Vector:
    """Surplus material in the bundle: a member of the document that no clause names."""
    return edit_scene(lambda doc: doc.update(note="all is well"))


@scenario("1.4", 10, "malformed")
def refused_base64_spelling() -> Vector:
    """Base64 with other padding bits, which would decode to the same bytes."""

    def edit(doc: Doc) -> None:
        text = doc["genesis"]["log_key"]
        swapped = (
            text[:-2] + {"A": "B", "E": "F", "I": "J", "M": "N", "Q": "R", "U": "V", "Y": "Z"}.get(text[-2], "9") + "="
        )
        doc["genesis"]["log_key"] = swapped

    return edit_scene(edit)


@scenario("5.3.4 1.5", 10, "malformed")
def refused_constructor_member() -> Vector:
    """A member named `constructor` is a member like any other: not expected here."""
    return edit_scene(lambda doc: doc["census"].update(constructor=1))


@scenario("4.10", 10, "malformed")
def refused_path_too_long() -> Vector:
    """A consistency path of 129 hashes, more than any log's size can ask for."""
    return edit_scene(lambda doc: doc.update(since={"path": b64(bytes(32 * 129)), "root": b64(bytes(32)), "size": 1}))


@scenario("2.7", 10, "mark_unknown")
def refused_mark_5() -> Vector:
    """A statement bears a mark that no clause defines."""
    set_ = scene(is_lax=True)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), edit=lambda s: structs.replace(s, mark=5))
    return set_.vector()


# --- 5.4 integrity: checkpoint and records


def with_checkpoint(change: Callable[[str], str]) -> Vector:
    return edit_scene(lambda doc: doc.update(checkpoint=b64(change(unb64(doc["checkpoint"]).decode()).encode())))


@scenario("5.4.1", 10, "note_malformed")
def refused_note_without_signature() -> Vector:
    """The checkpoint has no signature lines."""
    return with_checkpoint(lambda note: note.split("\n\n")[0] + "\n\n")


@scenario("5.4.1", 10, "note_malformed")
def refused_note_of_101_signatures() -> Vector:
    """More than a hundred signature lines."""
    return with_checkpoint(lambda note: note + f"— other {b64(bytes(68))}\n" * 100)


@scenario("3.10", 0, finding=None)
def genuine_unknown_signatures() -> Vector:
    """Sixteen lines by keys and types that the reader does not know are ignored."""
    return with_checkpoint(lambda note: note + f"— other {b64(bytes(68))}\n" * 16)


@scenario("5.4.1", 10, "checkpoint_malformed")
def refused_checkpoint_extension() -> Vector:
    """A fourth line in the checkpoint."""
    return with_checkpoint(lambda note: note.replace("\n\n", "\nextension\n\n"))


@scenario("5.4.1", 10, "origin_mismatch")
def refused_other_genesis() -> Vector:
    """The genesis document of another network in front of this log."""
    return edit_scene(lambda doc: doc["genesis"].update(nonce=b64(bytes(32))))


@scenario("5.4.2", 10, "log_signature_missing")
def refused_log_unsigned() -> Vector:
    """Only a stranger signed the checkpoint."""
    return with_checkpoint(lambda note: note.split("— ")[0] + f"— stranger {b64(bytes(68))}\n")


@scenario("5.4.2", 10, "log_signature_invalid")
def refused_log_signature() -> Vector:
    """The log's signature does not verify."""
    return edit_scene(lambda doc: doc.update(checkpoint=flip_last_signature(doc["checkpoint"])))


@scenario("5.4.2", 10, "cosignature_invalid")
def refused_cosignature() -> Vector:
    """A witness that the reader knows did not sign this."""
    return cosigned(break_it=True)


@scenario("5.4.3", 10, "index_beyond_count")
def refused_record_beyond_log() -> Vector:
    """A record's index is not below the checkpoint's size."""
    return edit_scene(lambda doc: doc["records"]["logged"][-1].update(index=10_000))


@scenario("5.4.3 4.2", 10, "record_path_mismatch")
def refused_path_from_another_tree() -> Vector:
    """The records' path leads to the root of another tree."""
    return edit_scene(lambda doc: doc["records"].update(path=flip(doc["records"]["path"], 5)))


@scenario("5.4.3", 10, "record_time_goes_back")
def refused_time_goes_back() -> Vector:
    """The log's time runs backwards between two records."""
    set_ = scene(is_lax=True)
    set_.world.take_census(edit_record=lambda record: record | {"at": 5})
    return set_.vector(set_.world.bundle(set_.chain))


@scenario("5.4.3", 10, "record_height_goes_back")
def refused_height_goes_back() -> Vector:
    """The log's height runs backwards between two records."""
    set_ = scene(is_lax=True)
    set_.world.take_census(edit_record=lambda record: record | {"height": 0})
    return set_.vector(set_.world.bundle(set_.chain))


@scenario("5.4.3", 10, "reference_not_earlier")
def refused_members_of_the_future() -> Vector:
    """A seal names a members record that is written after it."""
    set_ = scene(is_lax=True)

    def later(record: Doc) -> Doc:
        return record | {"members": record["members"] | {"index": 99}}

    set_.world.seal(edit_record=later)
    set_.world.members_at[99] = set_.world.members_at[max(set_.world.members_at)]
    return set_.vector()


@scenario("5.4.3", 10, "batch_other_network")
def refused_batch_of_another_network() -> Vector:
    """A batch that was signed for another network."""
    set_ = scene(is_lax=True)
    set_.world.seal(edit=lambda batch: structs.replace(batch, net=bytes(32)))
    return set_.vector()


@scenario("5.4.3", 10, "rules_conflict")
def refused_rules_of_another_record() -> Vector:
    """A seal names other rules than its batch."""
    set_ = scene(is_lax=True)
    set_.world.seal(edit=lambda batch: structs.replace(batch, rules=0))
    return set_.vector()


@scenario("5.4.3", 10, "batch_expired")
def refused_batch_expired() -> Vector:
    """A batch was sealed after the height at which it expired."""
    set_ = scene(is_lax=True)
    set_.world.seal(edit=lambda batch: structs.replace(batch, expires=1))
    return set_.vector()


@scenario("5.4.3", 10, "census_covers_itself")
def refused_census_of_the_future() -> Vector:
    """A census claims to cover records that are written after it."""
    set_ = scene(is_lax=True)
    set_.world.take_census(edit=lambda census: replace(census, covers=census.covers + 1))
    return set_.vector()


@scenario("5.4.4", 10, "members_conflict")
def refused_two_members_roots() -> Vector:
    """Two records name the same members record with different roots."""
    set_ = scene(is_lax=True)

    def other_root(record: Doc) -> Doc:
        return record | {"members": record["members"] | {"root": b64(bytes(32))}}

    set_.world.take_census(edit_record=other_root)
    return set_.vector()


@scenario("5.4.4", 10, "rules_conflict")
def refused_two_rules_roots() -> Vector:
    """Two records name the same rules record with different roots."""
    set_ = scene(is_lax=True)

    def other_root(record: Doc) -> Doc:
        return record | {"rules": record["rules"] | {"root": b64(bytes(32))}}

    set_.world.take_census(edit_record=other_root)
    return set_.vector()


# --- 5.4.5 members and rules


@scenario("5.4.5 4.3", 10, "surplus_member")
def refused_members_of_no_record() -> Vector:
    """A group of members that no record names."""
    return edit_scene(lambda doc: doc["members"].append({**doc["members"][0], "index": 999}))


@scenario("5.4.5", 10, "index_beyond_count")
def refused_member_beyond_count() -> Vector:
    """A member's index is not below the members record's count."""
    return edit_scene(lambda doc: doc["members"][0]["leaves"][-1].update(index=900))


@scenario("5.4.5", 10, "member_path_mismatch")
def refused_accreditation_swapped() -> Vector:
    """A member's accreditations are not those of the leaf that was logged."""

    def edit(doc: Doc) -> None:
        doc["members"][0]["leaves"][-1]["leaf"]["accreditations"] = [["vehicle.odometer/1", 1, 1]]

    return edit_scene(edit)


@scenario("5.4.5", 10, "member_twice")
def refused_member_listed_twice() -> Vector:
    """One member id stands on two leaves of the same tree."""
    set_ = scene(is_lax=True, readings=0)
    garage = set_.garage.member
    set_.world.force_members(lambda members: Members((*members.all, replace(garage, name="Garage B again"))))
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1))
    bundle = set_.world.bundle(set_.chain)
    members = set_.world.members_at[max(set_.world.members_at)]

    def edit(doc: Doc) -> None:
        group = doc["members"][-1]["leaves"]
        held = {leaf["index"] for leaf in group}
        for index, member in enumerate(members.all):
            if index not in held and member.id == garage.id:
                group.append({"index": index, "leaf": member.to_document()})
        group.sort(key=lambda leaf: leaf["index"])
        doc["members"][-1]["path"] = join_path(members.tree, group)

    return set_.vector(edited(bundle, edit))


@scenario("5.4.5 4.4", 10, "surplus_rule")
def refused_rules_of_no_record() -> Vector:
    """A section of rules that no record names."""
    return edit_scene(lambda doc: doc["rules"].append({**doc["rules"][0], "index": 999}))


@scenario("5.4.5", 10, "index_beyond_count")
def refused_rule_beyond_count() -> Vector:
    """A line's index is not below the rules record's count."""
    return edit_scene(lambda doc: doc["rules"][0]["lines"][-1].update(index=900))


@scenario("5.4.5", 10, "rule_path_mismatch")
def refused_rule_changed() -> Vector:
    """A rules line is not the one that was logged."""

    def edit(doc: Doc) -> None:
        line = next(line for line in doc["rules"][0]["lines"] if line["line"]["line"] == "class")
        line["line"]["endorsements"] = 1

    return edit_scene(edit)


@scenario("5.4.5", 10, "rule_twice")
def refused_two_lines_for_one_class() -> Vector:
    """The rules that were logged hold two lines about one class, and both are shown."""
    set_ = scene(is_lax=True, readings=0)
    assert set_.world.state is not None
    lines = [*set_.world.state.rules.lines, ClassLine(class_=1, endorsements=9)]
    from carnet.ledger.rules.document import compute_line_bytes

    rules = Rules(tuple(sorted(lines, key=compute_line_bytes)))
    set_.world.force_rules(rules)
    bundle = set_.world.bundle(set_.chain)

    def edit(doc: Doc) -> None:
        section = doc["rules"][-1]["lines"]
        held = {line["index"] for line in section}
        for index, line in enumerate(rules.lines):
            if index not in held and isinstance(line, ClassLine) and line.class_ == 1:
                section.append({"index": index, "line": json.loads(compute_line_bytes(line))})
        section.sort(key=lambda line: line["index"])
        doc["rules"][-1]["path"] = join_path(rules.tree, section)

    return set_.vector(edited(bundle, edit))


# --- 5.4.6 to 5.4.14


def hidden_of(set_: Scene, seq: int) -> str:
    entry = set_.chain.entries[seq]
    return b64(entry.sid + entry.signed + (bytes([entry.mark]) + entry.target if entry.mark else b""))


@scenario("5.4.6", 10, "opening_not_shown")
def refused_opening_hidden() -> Vector:
    """The first link is hidden."""
    set_ = scene()
    return set_.vector(edited(set_.world.bundle(set_.chain), lambda doc: hide_link(doc, 0, hidden_of(set_, 0))))


@scenario("5.4.6", 10, "tip_not_placed")
def refused_tip_hidden() -> Vector:
    """The last link is hidden and not placed in a batch."""
    set_ = scene()
    return set_.vector(edited(set_.world.bundle(set_.chain), lambda doc: hide_link(doc, 3, hidden_of(set_, 3))))


@scenario("5.4.7", 10, "placement_not_seal")
def refused_placed_in_a_census() -> Vector:
    """An entry claims to stand in a record that is no seal."""
    return edit_scene(lambda doc: doc["links"][1]["placement"].update(record=doc["census"]["record"]))


@scenario("5.4.7", 10, "index_beyond_count")
def refused_place_beyond_count() -> Vector:
    """An entry's place is not below the batch's count."""
    return edit_scene(lambda doc: doc["links"][1]["placement"].update(index=4))


@scenario("5.4.7", 10, "placement_not_census")
def refused_census_is_a_seal() -> Vector:
    """The record that is called the census is a seal."""
    return edit_scene(lambda doc: doc["census"].update(record=doc["records"]["logged"][0]["index"]))


@scenario("5.4.8", 10, "statement_other_network")
def refused_statement_of_another_network() -> Vector:
    """A statement that was signed for another network is linked here."""
    set_ = scene(is_lax=True)
    set_.world.append(
        set_.chain, set_.garage, "vehicle.odometer/1", read(1), edit=lambda s: structs.replace(s, net=bytes(32))
    )
    return set_.vector()


@scenario("5.4.8", 10, "statement_other_passport")
def refused_statement_of_another_passport() -> Vector:
    """A statement about one car is grafted onto another's passport."""
    set_ = scene(is_lax=True)
    other = set_.world.open(set_.centre)
    set_.world.append(
        set_.chain, set_.garage, "vehicle.odometer/1", read(1), edit=lambda s: structs.replace(s, chain=other.id)
    )
    return set_.vector()


@scenario("5.4.8", 10, "statement_other_passport")
def refused_passport_rebuilt() -> Vector:
    """A passport is opened anew and filled with the genuine statements of the old one, except one."""
    set_ = scene(is_lax=True)
    world = set_.world
    world.seal()
    cleaner = world.open(set_.centre, set_.chain.subject)
    for seq in (1, 3):
        world.link(cleaner, replace(set_.chain.entries[seq]), 1)
    return set_.vector(world.bundle(cleaner))


@scenario("5.4.8", 10, "wrong_class")
def refused_class_of_another_batch() -> Vector:
    """A statement of class 2 stands in a batch of class 1."""
    set_ = scene(is_lax=True)
    set_.world.append(
        set_.chain, set_.garage, "vehicle.odometer/1", read(1), edit=lambda s: structs.replace(s, class_=2)
    )
    set_.world.pending[-1].class_ = 1
    return set_.vector()


@scenario("5.4.8 5.2", 10, "fields_mismatch")
def refused_value_changed() -> Vector:
    """Somebody turned the odometer back in the file."""
    return edit_scene(lambda doc: doc["links"][2]["fields"]["odometer_km"].__setitem__(1, 2_000))


@scenario("5.4.8", 10, "fields_mismatch")
def refused_salt_of_another_field() -> Vector:
    """The salt of one field is used for another."""

    def edit(doc: Doc) -> None:
        fields = doc["links"][2]["fields"]
        fields["odometer_km"][0] = fields["odometer_mi"][0]

    return edit_scene(edit)


def withheld(name: str) -> Vector:
    from carnet.passport.fields import compute_field_digest

    def edit(doc: Doc) -> None:
        fields = doc["links"][2]["fields"]
        salt, value = fields[name]
        fields[name] = b64(compute_field_digest(unb64(salt), name, value))

    return edit_scene(edit)


@scenario("5.4.8 2.3", 10, "required_field_withheld")
def refused_kind_withheld() -> Vector:
    """The kind of a shown entry is withheld."""
    return withheld("kind")


@scenario("5.4.8", 10, "required_field_withheld")
def refused_subject_withheld() -> Vector:
    """The subject of a shown entry is withheld."""
    return withheld("subject")


@scenario("5.4.8", 10, "required_field_withheld")
def refused_occurred_withheld() -> Vector:
    """The time of a shown entry is withheld."""
    return withheld("occurred")


@scenario("5.4.8 2.3", 10, "field_malformed")
def refused_subject_malformed() -> Vector:
    """A statement whose subject has no scheme."""
    set_ = scene(is_lax=True)
    edit = {"edit_fields": lambda fields: fields | {"subject": {"value": "VF1TEST0000000001"}}}
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), **edit)
    return set_.vector()


@scenario("5.4.8", 10, "index_beyond_count")
def refused_statement_beyond_submission() -> Vector:
    """A statement's index is not below its submission's count."""
    return edit_scene(lambda doc: doc["links"][1]["submission"].update(index=1))


@scenario("5.4.9", 10, "submission_path_mismatch")
def refused_submission_path() -> Vector:
    """A path in a submission of one statement, which needs none."""
    return edit_scene(lambda doc: doc["submissions"][1].update(path=b64(bytes(32))))


@scenario("5.4.9", 10, "submission_of_two_keys")
def refused_submission_of_two_keys() -> Vector:
    """The statements of two authors are said to stand in one submission."""

    def edit(doc: Doc) -> None:
        doc["links"][1]["submission"] = {"index": 1, "number": 0}
        doc["submissions"][0]["count"] = 2
        doc["submissions"].pop(1)
        for link in doc["links"][2:]:
            link["submission"]["number"] -= 1

    return edit_scene(edit)


@scenario("5.4.9 4.11", 10, "submission_twice")
def refused_submission_twice() -> Vector:
    """One submission is written twice, with a path for each of its statements: the same said in other bytes."""
    set_, tree = together()

    def edit(doc: Doc) -> None:
        parts = [link["submission"] for link in doc["links"][1:]]
        again = doc["submissions"][1]
        doc["submissions"][1:] = [{**again, "path": join_path(tree, [part])} for part in parts]
        for number, part in enumerate(parts, 1):
            part["number"] = number

    return set_.vector(edited(set_.world.bundle(set_.chain), edit))


@scenario("4.11", 10, "malformed")
def refused_submissions_out_of_order() -> Vector:
    """The submissions do not stand in the order of their first use."""

    def edit(doc: Doc) -> None:
        doc["submissions"][:2] = reversed(doc["submissions"][:2])
        doc["links"][0]["submission"]["number"], doc["links"][1]["submission"]["number"] = 1, 0

    return edit_scene(edit)


@scenario("4.11", 10, "malformed")
def refused_unused_submission() -> Vector:
    """A submission that no entry names."""
    return edit_scene(lambda doc: doc["submissions"].append({**doc["submissions"][0], "at": 1}))


@scenario("4.12", 10, "malformed")
def refused_path_of_no_batch() -> Vector:
    """More paths than there are batches."""
    return edit_scene(lambda doc: doc["batches"].append(""))


@scenario("4.5", 10, "malformed")
def refused_tip_beside_entry() -> Vector:
    """A placement for a hidden tip, where the last link is an entry."""
    return edit_scene(lambda doc: doc.update(tip=doc["links"][-1]["placement"]))


@scenario("5.4.10", 10, "statement_linked_twice")
def refused_statement_linked_twice() -> Vector:
    """One genuine statement is linked twice."""
    set_ = scene(is_lax=True)
    set_.world.link(set_.chain, replace(set_.chain.entries[1]), 1)
    return set_.vector()


@scenario("5.4.10", 10, "mark_on_opening")
def refused_mark_on_opening() -> Vector:
    """The opening of a passport bears a mark."""
    return scene(is_lax=True, open_with={"mark": 3}).vector()


@scenario("5.4.10", 10, "target_malformed")
def refused_target_without_mark() -> Vector:
    """A statement without a mark names a target."""
    set_ = scene(is_lax=True)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), target=1)
    return set_.vector()


@scenario("5.4.10", 10, "target_is_opening")
def refused_opening_superseded() -> Vector:
    """A correction targets the opening of the passport."""
    set_ = scene(is_lax=True)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), mark=1, target=0)
    return set_.vector()


@scenario("5.4.10", 10, "target_unknown")
def refused_target_elsewhere() -> Vector:
    """A correction targets a statement that does not stand in this chain."""
    set_ = scene(is_lax=True)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), mark=1, target_bytes=bytes([9]) * 32)
    return set_.vector()


@scenario("5.4.11", 10, "batch_path_mismatch")
def refused_middle_link_left_out() -> Vector:
    """A link in the middle is left out: all that follow have other ids than those that were sealed."""
    return edit_scene(lambda doc: pop_link(doc, 2))


@scenario("5.4.11", 10, "batch_path_mismatch")
def refused_batch_path() -> Vector:
    """The path of the links leads to the root of another batch."""
    set_ = scene()
    bundle = set_.world.bundle(set_.chain, only(1))
    return set_.vector(edited(bundle, lambda doc: doc["batches"].__setitem__(0, flip(doc["batches"][0]))))


@scenario("5.4.11", 10, "batch_path_mismatch")
def refused_stray_link() -> Vector:
    """A genuine link of another chain is put between those of this one."""
    set_ = scene()
    other = set_.world.open(set_.centre)
    set_.world.append(other, set_.garage, "vehicle.odometer/1", read(5))
    hidden = b64(other.entries[1].sid + other.entries[1].signed)
    return set_.vector(edited(set_.world.bundle(set_.chain), lambda doc: doc["links"].insert(2, hidden)))


@scenario("5.4.11", 10, "batch_path_mismatch")
def refused_signature_swapped() -> Vector:
    """An author's signature is exchanged for another."""
    return edit_scene(lambda doc: doc["submissions"][1].update(signature=doc["submissions"][2]["signature"]))


@scenario("5.4.11", 10, "seal_order")
def refused_seal_order() -> Vector:
    """A later link was sealed before an earlier one."""
    set_ = scene(is_lax=True, readings=0)
    set_.world.seal()
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1))
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(2))
    first = set_.world.pending.pop(0)
    set_.world.seal()
    set_.world.pending.append(first)
    return set_.vector()


@scenario("5.4.12", 10, "correction_withheld")
def refused_correction_withheld() -> Vector:
    """A reading is shown and its correction is hidden."""
    set_ = scene()
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(21_000), mark=1, target=2)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(30_000))
    bundle = set_.world.bundle(set_.chain)

    def edit(doc: Doc) -> None:
        hide_link(doc, 4, hidden_of(set_, 4))
        prove_batches(set_, doc)

    return set_.vector(edited(bundle, edit))


@scenario("5.4.13", 10, "consistency_mismatch")
def refused_consistency() -> Vector:
    """The consistency proof leads elsewhere."""
    set_, old = older_and_newer()
    bundle = set_.world.bundle(set_.chain, Selection(since=checkpoint_of(old)))
    return set_.vector(edited(bundle, lambda doc: doc["since"].update(root=b64(bytes(32)))), since=old)


def put_record(set_: Scene, doc: Doc, index: int) -> None:
    """Write a genuine record into a bundle, with the path that proves it among the others."""
    logged = doc["records"]["logged"]
    logged.append({"index": index, "record": set_.world.records[index]})
    logged.sort(key=lambda record: record["index"])
    size = set_.world.get_checkpoint()[0]
    doc["records"]["path"] = b64(set_.world.get_records_path([record["index"] for record in logged], size))
    if set_.world.records[index]["type"] == "seal":
        at = sorted(record["index"] for record in logged if record["record"]["type"] == "seal").index(index)
        doc["batches"].insert(at, b64(set_.world.get_batch_path(index, [0])))


def add_record(set_: Scene, index: int) -> bytes:
    def edit(doc: Doc) -> None:
        put_record(set_, doc, index)

    return edited(set_.world.bundle(set_.chain), edit)


@scenario("5.4.14", 10, "surplus_record")
def refused_surplus_record() -> Vector:
    """A genuine seal that nothing in the bundle refers to."""
    set_ = scene()
    set_.world.seal()
    set_.world.open(set_.centre)
    index = set_.world.seal()[0]
    set_.world.take_census()
    return set_.vector(add_record(set_, index))


@scenario("5.4.14", 10, "surplus_entry")
def refused_surplus_entry() -> Vector:
    """An entry without fields that targets nothing shown."""
    set_ = scene()
    bundle = set_.world.bundle(set_.chain)
    return set_.vector(edited(bundle, lambda doc: doc["links"][2].update(fields=None)))


@scenario("5.4.14", 10, "member_missing")
def refused_member_missing() -> Vector:
    """The leaf of an author is left out."""

    def edit(doc: Doc) -> None:
        leaves = doc["members"][-1]["leaves"]
        leaves.remove(next(leaf for leaf in leaves if leaf["leaf"]["name"] == "Garage B"))
        doc["members"][-1]["path"] = join_path(set_.world.members_at[max(set_.world.members_at)].tree, leaves)

    set_ = scene()
    return set_.vector(edited(set_.world.bundle(set_.chain), edit))


@scenario("5.4.14", 10, "surplus_member")
def refused_surplus_leaf() -> Vector:
    """The leaf of a member that has nothing to do with this passport."""
    set_ = scene()
    set_.world.enrol("insurer", "Insurer")
    bundle = set_.world.bundle(set_.chain)
    members = set_.world.members_at[max(set_.world.members_at)]

    def edit(doc: Doc) -> None:
        index = len(members.all) - 1
        leaves = doc["members"][-1]["leaves"]
        leaves.append({"index": index, "leaf": members.all[index].to_document()})
        doc["members"][-1]["path"] = join_path(members.tree, leaves)

    return set_.vector(edited(bundle, edit))


@scenario("5.4.14", 10, "rule_missing")
def refused_rule_missing() -> Vector:
    """The line of a class is left out."""

    def edit(doc: Doc) -> None:
        lines = doc["rules"][0]["lines"]
        lines.remove(next(line for line in lines if line["line"]["line"] == "kind"))
        doc["rules"][0]["path"] = join_path(set_.world.rules_at[1].tree, lines)

    set_ = scene()
    return set_.vector(edited(set_.world.bundle(set_.chain), edit))


@scenario("5.4.14", 10, "surplus_rule")
def refused_surplus_rule() -> Vector:
    """A genuine rules line that nothing in the bundle needs."""
    set_ = scene()
    bundle = set_.world.bundle(set_.chain)

    def edit(doc: Doc) -> None:
        index, line = set_.world.get_line(1, "kind", "vehicle.repair/1")
        lines = doc["rules"][0]["lines"]
        lines.append({"index": index, "line": line})
        lines.sort(key=lambda line: line["index"])
        doc["rules"][0]["path"] = join_path(set_.world.rules_at[1].tree, lines)

    return set_.vector(edited(bundle, edit))


# --- 5.5 authority


def forged_member(change: Callable[[Scene, Member], Member], basis: int = 2) -> Vector:
    """The garage's leaf is changed by a dishonest log, then the garage writes one more reading."""
    set_ = scene(is_lax=True, readings=0)
    set_.world.seal()
    set_.world.force_members(lambda members: members.with_member(change(set_, members.get(set_.garage.id))))
    set_.garage.basis = basis
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1))
    return set_.vector()


@scenario("5.5.1", 10, "unknown_key", "authority")
def refused_author_swapped() -> Vector:
    """A statement names one member and is signed with another's key."""
    set_ = scene(is_lax=True)
    edit = {"edit": lambda s: structs.replace(s, member=set_.centre.id)}
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), **edit)
    return set_.vector()


@scenario("5.5.1", 11, "unknown_algorithm", "authority")
def unknown_algorithm() -> Vector:
    """The author's key is of an algorithm that this verifier does not know: it cannot tell."""
    from hashlib import sha256

    from carnet.encoding import u8

    set_ = scene(is_lax=True, readings=0)
    world = set_.world
    world.seal()
    material = bytes(48)

    class LaterKey(Key):
        def to_document(self) -> dict[str, object]:
            return super().to_document() | {"alg": 2, "key": b64(material), "sig": b64(bytes(96))}

        @property
        def digest(self) -> bytes:
            return sha256(tag("key") + u8(2) + material).digest()

    later = LaterKey(material, 1, 2, bytes(96))
    world.force_members(lambda members: members.with_member(replace(members.get(set_.garage.id), keys=(later,))))
    edit = {"edit": lambda s: structs.replace(s, key_digest=later.digest)}
    world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), **edit)
    return set_.vector()


@scenario("5.5.1", 10, "wrong_role", "authority")
def refused_node_key_as_author() -> Vector:
    """The home signs a statement as the garage with a node key."""
    return forged_member(
        lambda set_, member: replace(member, keys=(set_.world.make_key(member.id, set_.garage.author, 3, 2),))
    )


@scenario("5.5.1", 10, "key_listed_twice", "authority")
def refused_key_in_two_roles() -> Vector:
    """One key is listed as an author's and as a node's."""

    def change(set_: Scene, member: Member) -> Member:
        return replace(member, keys=(*member.keys, set_.world.make_key(member.id, set_.garage.author, 3, 2)))

    return forged_member(change)


@scenario("5.5.1", 10, "enrolment_invalid", "authority")
def refused_enrolled_by_another() -> Vector:
    """Somebody enrols another's public key, without that key's own signature."""

    def change(set_: Scene, member: Member) -> Member:
        signed_by_thief = Signer(bytes(32)).sign(b"mine")
        return replace(member, keys=(replace(member.keys[0], sig=signed_by_thief),))

    return forged_member(change)


@scenario("5.5.1", 10, "member_retired", "authority")
def refused_member_retired() -> Vector:
    """A member that has left signs once more."""
    set_ = scene(is_lax=True, readings=0)
    set_.world.seal()
    set_.world.force_members(lambda m: m.with_member(replace(m.get(set_.garage.id), retired=len(set_.world.leaves))))
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1))
    return set_.vector()


@scenario("3.4", 0, finding=None)
def genuine_before_retirement() -> Vector:
    """What a member signed before it left stays valid."""
    set_ = scene()
    set_.world.seal()
    set_.world.run(RetireMember(set_.garage.id))
    return set_.vector()


@scenario("5.5.1", 10, "key_revoked", "authority")
def refused_signature_after_revocation() -> Vector:
    """A revoked key signs once more."""
    set_ = scene(is_lax=True, readings=0)
    set_.world.seal()

    def change(members: Members) -> Members:
        member = members.get(set_.garage.id)
        return members.with_member(replace(member, keys=(replace(member.keys[0], revoked=len(set_.world.leaves)),)))

    set_.world.force_members(change)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1))
    return set_.vector()


@scenario("5.5.2", 10, "batch_signature_invalid", "authority")
def refused_batch_signature() -> Vector:
    """A batch that its home did not sign."""
    set_ = scene(is_lax=True)
    set_.world.seal(sign_with=Signer(bytes(32)))
    return set_.vector()


def second_node(set_: Scene) -> tuple[bytes, Signer]:
    signer, member_id = Signer(bytes([5]) * 32), bytes([5]) * 16
    key = set_.world.make_key(member_id, signer, 3, 1)
    lax, set_.world.is_lax = set_.world.is_lax, False
    set_.world.run(EnrolMember(Member(member_id, "Second node", NODE_KIND, member_id, (), (key,))))
    set_.world.is_lax = lax
    return member_id, signer


@scenario("3.6", 0, finding=None)
def genuine_endorsed() -> Vector:
    """A second node endorses the batch."""
    set_ = scene()
    member, signer = second_node(set_)
    set_.world.seal(endorse=lambda bh: (Endorsement(member, signer.digest, signer.sign(compute_endorsement(bh))),))
    return set_.vector()


@scenario("5.5.2", 10, "endorsement_by_home", "authority")
def refused_home_endorses_itself() -> Vector:
    """The home endorses its own batch."""
    set_ = scene(is_lax=True)
    home, signer = set_.world.home, set_.world.node_signer
    set_.world.seal(endorse=lambda bh: (Endorsement(home, signer.digest, signer.sign(compute_endorsement(bh))),))
    return set_.vector()


@scenario("5.5.2", 10, "endorsement_invalid", "authority")
def refused_endorsement_signature() -> Vector:
    """An endorsement that its member did not sign."""
    set_ = scene(is_lax=True)
    member, signer = second_node(set_)
    set_.world.seal(endorse=lambda bh: (Endorsement(member, signer.digest, signer.sign(b"something else")),))
    return set_.vector()


@scenario("5.5.1", 10, "wrong_role", "authority")
def refused_endorsement_by_no_node() -> Vector:
    """A garage that lists a node key endorses a batch."""
    set_ = scene(is_lax=True)
    signer, member = Signer(bytes([6]) * 32), set_.garage.id

    def change(members: Members) -> Members:
        garage = members.get(member)
        return members.with_member(replace(garage, keys=(*garage.keys, set_.world.make_key(member, signer, 3, 1))))

    set_.world.force_members(change)
    set_.world.seal(endorse=lambda bh: (Endorsement(member, signer.digest, signer.sign(compute_endorsement(bh))),))
    return set_.vector()


@scenario("5.5.2", 10, "not_enough_endorsements", "authority")
def refused_unendorsed() -> Vector:
    """The rules ask for an endorsement, and there is none."""
    set_ = scene(is_lax=True)
    assert set_.world.state is not None
    lines = [line for line in set_.world.state.rules.lines if not (isinstance(line, ClassLine) and line.class_ == 1)]
    set_.world.force_rules(Rules.of([*lines, ClassLine(class_=1, endorsements=1)]))
    return set_.vector()


@scenario("5.5.3", 10, "basis_unknown", "authority")
def refused_basis_5() -> Vector:
    """A statement on a basis that no clause defines."""
    set_ = scene(is_lax=True)
    set_.world.append(
        set_.chain, set_.garage, "vehicle.odometer/1", read(1), edit=lambda s: structs.replace(s, basis=5)
    )
    return set_.vector()


@scenario("5.5.3", 10, "wrong_custody", "authority")
def refused_basis_1_with_the_nodes_key() -> Vector:
    """The node claims that the member signed with its own key."""
    set_ = scene(is_lax=True)
    set_.world.append(
        set_.chain, set_.garage, "vehicle.odometer/1", read(1), edit=lambda s: structs.replace(s, basis=1)
    )
    return set_.vector()


@scenario("5.5.3", 10, "author_signature_invalid", "authority")
def refused_signed_by_another_key() -> Vector:
    """A submission signed by a key that is not the statement's."""
    set_ = scene(is_lax=True)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), sign_with=set_.centre.author)
    return set_.vector()


@scenario("5.5.3 2.13", 10, "wrong_home", "authority")
def refused_sealed_by_another_home() -> Vector:
    """Another node seals an entry of this passport."""
    return sealed_elsewhere(is_shown=True)


@scenario("5.5.4", 10, "wrong_home", "authority")
def refused_tip_of_another_home() -> Vector:
    """Another node seals the last, hidden link of this passport."""
    return sealed_elsewhere(is_shown=False)


def sealed_elsewhere(is_shown: bool) -> Vector:
    set_ = scene(is_lax=True)
    set_.world.seal()
    member, signer = second_node(set_)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1))
    set_.world.seal(edit=lambda batch: structs.replace(batch, home=member, key_digest=signer.digest), sign_with=signer)
    set_.world.take_census()
    return set_.vector(set_.world.bundle(set_.chain, only(*range(5 if is_shown else 4))))


@scenario("5.5.3", 10, "not_accredited", "authority")
def refused_accredited_only_to_report() -> Vector:
    """A data service that may only report claims to have signed as a hosted member."""
    set_ = scene(is_lax=True)
    set_.world.is_lax = False
    reporter = set_.world.enrol("data_service", "Reporter", accreditations=(("vehicle.odometer/1", 3, 1),))
    set_.world.is_lax = True
    set_.world.append(set_.chain, reporter, "vehicle.odometer/1", read(1))
    return set_.vector()


@scenario("5.5.3 3.2", 10, "wrong_chain", "authority")
def refused_history_kind_in_journal() -> Vector:
    """A kind of the history stands in a journal."""
    set_ = scene(is_lax=True)
    set_.world.is_lax = False
    operator = set_.world.enrol("data_service", "Operator")
    set_.world.is_lax = True
    journal = set_.world.open(operator, {"scheme": "holder", "value": "h1"}, journal=True)
    set_.world.append(journal, set_.garage, "vehicle.odometer/1", read(1))
    return set_.vector(set_.world.bundle(journal))


@scenario("5.5.3 3.2", 10, "wrong_class", "authority")
def refused_class_of_the_rules() -> Vector:
    """Statement, batch and accreditation agree on a class that the rules do not give to this kind."""
    set_ = scene(is_lax=True)
    accreditations = (("vehicle.odometer/1", 2, 2),)
    set_.world.force_members(lambda m: m.with_member(replace(m.get(set_.garage.id), accreditations=accreditations)))
    set_.world.seal()
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(1), class_=2)
    set_.world.seal()
    set_.world.take_census()
    return set_.vector(set_.world.bundle(set_.chain, only(4)))


@scenario("5.5.3 2.8", 10, "wrong_opening", "authority")
def refused_second_opening() -> Vector:
    """A second opening in the middle of a chain."""
    set_ = scene(is_lax=True)
    set_.world.append(set_.chain, set_.centre, "passport.opened/1", {"occasion": "sale"})
    return set_.vector()


@scenario("5.5.3", 10, "wrong_chain", "authority")
def refused_chain_without_opening() -> Vector:
    """A chain that starts with a reading: it is no history, and so no place for a reading."""
    set_ = scene(is_lax=True)
    chain = Chain(bytes(16), {"scheme": "vin", "value": "VF1TEST0000000002"})
    set_.world.append(chain, set_.garage, "vehicle.odometer/1", read(1))
    set_.world.chains[chain.id] = chain
    bundle = set_.world.bundle(chain)
    return set_.vector(bundle)


@scenario("5.5.3 2.8", 10, "wrong_mark", "authority")
def refused_transfer_without_mark() -> Vector:
    """A transfer that does not bear its mark, and so would not raise the epoch."""
    set_ = scene(is_lax=True)
    set_.world.is_lax = False
    dealer = set_.world.enrol("dealer", "Dealer")
    set_.world.is_lax = True
    set_.world.append(set_.chain, dealer, "passport.transferred/1", {"reason": "sale"})
    return set_.vector()


@scenario("5.5.5", 10, "subject_is_plate", "authority")
def refused_passport_of_a_plate() -> Vector:
    """A passport about a plate."""
    set_ = scene(is_lax=True)
    plate = {"country": "FR", "scheme": "plate", "value": "AB-000-CD"}
    chain = set_.world.open(set_.centre, plate)
    return set_.vector(set_.world.bundle(chain))


@scenario("5.5.5", 10, "subject_mismatch", "authority")
def refused_subject_of_another_vehicle() -> Vector:
    """A reading about another vehicle in this passport."""
    set_ = scene(is_lax=True)
    other = {"scheme": "vin", "value": "VF1TEST0000000009"}
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", {**read(1), "subject": other})
    return set_.vector()


@scenario("5.5.5", 10, "alias_unaccredited", "authority")
def refused_plate_declared_by_the_unaccredited() -> Vector:
    """A plate that only a reported entry declares."""
    set_ = scene(is_lax=True)
    set_.world.is_lax = False
    service = set_.world.enrol("data_service", "Data service", basis=3)
    set_.world.is_lax = True
    plate = declare_alias(set_, service)
    say_under_plate(set_, plate, "2021-06-01")
    return set_.vector()


@scenario("5.5.5", 10, "alias_superseded", "authority")
def refused_plate_superseded() -> Vector:
    """The declaration of the plate was corrected away."""
    set_ = scene(is_lax=True)
    plate = declare_alias(set_, set_.centre)
    set_.world.append(set_.chain, set_.centre, "vehicle.identity/1", {"colour": "blue"}, mark=1, target=4)
    say_under_plate(set_, plate, "2021-06-01")
    return set_.vector()


@scenario("5.5.5", 10, "alias_malformed", "authority")
def refused_alias_malformed() -> Vector:
    """An alias without an end that is said."""
    set_ = scene(is_lax=True)
    plate = {"country": "FR", "scheme": "plate", "value": "AB-000-CD"}
    alias = {"from": "2020-01-01", "subject": plate}
    edit = {"edit_fields": lambda fields: fields | {"alias": alias}}
    set_.world.append(set_.chain, set_.centre, "vehicle.identity/1", {}, **edit)
    say_under_plate(set_, plate, "2021-06-01")
    return set_.vector()


@scenario("5.5.5", 10, "alias_outside_interval", "authority")
def refused_plate_outside_its_interval() -> Vector:
    """The reading under the plate was made on the day on which the plate no longer held."""
    set_ = scene(is_lax=True)
    plate = declare_alias(set_, set_.centre)
    say_under_plate(set_, plate, "2022-01-01")
    return set_.vector()


@scenario("5.5.6", 10, "census_wrong_home", "authority")
def refused_census_of_another_home() -> Vector:
    """The census is another node's."""
    set_ = scene(is_lax=True)
    member, signer = second_node(set_)
    set_.world.take_census(edit=lambda census: replace(census, home=member), sign_with=signer)
    return set_.vector()


@scenario("5.5.6", 10, "census_signature_invalid", "authority")
def refused_census_signature() -> Vector:
    """A census that its home did not sign."""
    set_ = scene(is_lax=True)
    digest = b64(set_.world.node_signer.digest)
    set_.world.take_census(sign_with=Signer(bytes(32)), edit_record=lambda record: record | {"key": digest})
    return set_.vector()


@scenario("5.5.7 5.1", 11, "no_policy", "authority")
def no_policy() -> Vector:
    """Without a policy the verifier says which key to compare with whom."""
    return replace(scene().vector(), policy=None)


@scenario("5.5.7", 11, "other_network", "authority")
def other_network() -> Vector:
    """Another node of the same name, with the same members and data but other keys, under the first one's policy."""
    world = scene().world
    twin = scene()
    twin_world = World("twin")
    centre, garage = twin_world.enrol("inspection_centre", "Centre A"), twin_world.enrol("garage", "Garage B")
    chain = twin_world.open(centre, {"scheme": "vin", "value": "VF1TEST0000000001"})
    for number in range(3):
        twin_world.append(chain, garage, "vehicle.odometer/1", read(10_000 * (number + 1)))
    assert twin.world.net == world.net
    return Vector(twin_world.bundle(chain), world.policy(), twin_world.at + 1000)


@scenario("5.5.7", 11, "quorum_unmet", "authority")
def quorum_unmet() -> Vector:
    """The policy asks for a witness that has not cosigned."""
    return cosigned(signer_seed=8)


# --- 5.6 completeness


@scenario("5.6.1", 10, "census_path_mismatch", "completeness")
def refused_tail_cut() -> Vector:
    """The last reading is cut off, and the one before it is shown as the tip."""
    set_ = scene()

    def edit(doc: Doc) -> None:
        pop_link(doc, 3)
        prove_batches(set_, doc)

    return set_.vector(edited(set_.world.bundle(set_.chain), edit))


@scenario("5.6.1", 10, "census_path_mismatch", "completeness")
def refused_older_census() -> Vector:
    """An older census is put under newer links."""
    set_ = scene()
    set_.world.open(set_.centre)
    first = set_.world.take_census()
    old_path = b64(b"".join(set_.world.get_census_path(set_.chain.id)))
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(70_000))
    bundle = set_.world.bundle(set_.chain)

    def edit(doc: Doc) -> None:
        newer, logged = doc["census"]["record"], doc["records"]["logged"]
        doc["records"]["logged"] = [record for record in logged if record["index"] != newer]
        put_record(set_, doc, first)
        doc["census"] = {"path": old_path, "record": first}

    return set_.vector(edited(bundle, edit))


@scenario("5.6.1", 10, "census_path_too_deep", "completeness")
def refused_two_heads_in_one_slot() -> Vector:
    """A home puts two heads into one slot, below the last bit: the path would be too deep."""
    set_ = scene()
    return set_.vector(
        edited(set_.world.bundle(set_.chain), lambda doc: doc["census"].update(path=b64(bytes([1]) * 32 * 257)))
    )


@scenario("5.6.1 4.7", 10, "census_path_empty_sibling", "completeness")
def refused_empty_sibling() -> Vector:
    """A census path that ends in an empty sibling: the head would stand higher in an honest tree."""
    return edit_scene(lambda doc: doc["census"].update(path=b64(bytes(32))))


@scenario("5.6.2", 10, "tip_not_covered", "completeness")
def refused_tip_not_covered() -> Vector:
    """A census names a head that it does not cover."""
    set_ = scene(is_lax=True)
    set_.world.seal()
    set_.world.take_census(edit=lambda census: replace(census, covers=3))
    return set_.vector()


@scenario("5.6.3", 10, "since_invalid", "completeness")
def refused_since_invalid() -> Vector:
    """The older bundle is itself altered."""
    set_, old = older_and_newer()
    bundle = set_.world.bundle(set_.chain, Selection(since=checkpoint_of(old)))
    return set_.vector(bundle, since=edited(old, lambda doc: pop_link(doc, 1)))


@scenario("5.6.3", 10, "since_fork", "completeness")
def refused_fork_between_censuses() -> Vector:
    """Between two censuses the home relinked the chain without one reading."""
    set_ = scene(is_lax=True)
    world = set_.world
    old = world.bundle(set_.chain)
    kept = [replace(set_.chain.entries[seq]) for seq in (0, 1, 3)]
    set_.chain.head, set_.chain.entries = None, []
    for entry in kept:
        world.link(set_.chain, entry, 1)
    world.seal()
    bundle = world.bundle(set_.chain, Selection(since=checkpoint_of(old)))
    return set_.vector(bundle, since=old)


@scenario("5.6.3", 10, "since_census_later", "completeness")
def refused_since_later() -> Vector:
    """The bundle that is called older was proved under a later census."""
    set_ = scene()
    first = set_.world.bundle(set_.chain)
    set_.world.open(set_.centre)
    set_.world.take_census()
    later = set_.world.bundle(set_.chain)
    return set_.vector(first, since=later)


@scenario("5.6.3", 11, "no_consistency_proof", "completeness")
def no_consistency_proof() -> Vector:
    """The newer bundle was exported without a consistency proof."""
    set_, old = older_and_newer()
    return set_.vector(since=old)


def moved(**how: Any) -> Vector:
    set_ = scene()
    operator = set_.world.enrol("data_service", "Operator")
    member, _ = second_node(set_)
    fields = {"new_home": member.hex()}
    set_.world.append(set_.chain, operator, "passport.moved/1", fields, mark=4, target_bytes=member + bytes(16))
    return set_.vector(**how)


@scenario("5.6.4", 0, "moved", "completeness")
def moved_passport() -> Vector:
    """A passport that has moved to another home is genuine, but not complete here."""
    return moved()


@scenario("5.8", 12, "not_complete", None)
def moved_passport_shown_as_complete() -> Vector:
    """A moved passport does not answer a reader who asks for completeness."""
    return moved(complete=True)


# --- 5.8 freshness, and what was asked


@scenario("5.8", 10, "time_in_future", "freshness")
def refused_time_in_future() -> Vector:
    """The census lies more than five minutes ahead of the reader's clock."""
    set_ = scene()
    vector = set_.vector()
    return replace(vector, now=set_.world.at - 300_001)


@scenario("5.8", 10, "census_after_cosignature", "freshness")
def refused_census_after_cosignature() -> Vector:
    """A witness saw this checkpoint before the census claims to have been made."""
    return cosigned(time_s=1_699_999_999)


@scenario("5.8", 12, "too_old", None)
def too_old() -> Vector:
    """The census is older than the reader accepts."""
    set_ = scene()
    vector = set_.vector(max_age=3_600_000)
    return replace(vector, now=set_.world.at + 3_600_001)


@scenario("5.8", 12, "other_subject", None)
def other_subject() -> Vector:
    """A genuine proof about another vehicle than the one asked for."""
    return scene().vector(subject={"scheme": "vin", "value": "VF1TEST0000000002"})


@scenario("5.8", 12, "other_subject", None)
def other_subject_reported_alias() -> Vector:
    """A data service merely reports that this passport is another vehicle's: asked for that one, it does not answer."""
    set_ = scene()
    service = set_.world.enrol("data_service", "Data service", basis=3)
    plate = declare_alias(set_, service)
    return set_.vector(subject=plate)


@scenario("5.8", 12, "other_subject", None)
def other_subject_superseded_alias() -> Vector:
    """The plate asked for was declared by mistake, and corrected."""
    set_ = scene()
    plate = declare_alias(set_, set_.centre)
    set_.world.append(set_.chain, set_.centre, "vehicle.identity/1", {"colour": "blue"}, mark=1, target=4)
    return set_.vector(subject=plate)


@scenario("5.8", 12, "other_passport", None)
def other_passport() -> Vector:
    """A genuine proof of another passport than the one asked for."""
    return scene().vector(passport=bytes(16))


@scenario("5.8", 12, "since_other_chain", None)
def since_other_chain() -> Vector:
    """The older bundle is about another passport."""
    set_ = scene()
    other = set_.world.open(set_.centre)
    old = set_.world.bundle(other)
    return set_.vector(since=old)


# --- files


def answer(vector: Vector) -> bytes:
    """The Python verifier's report."""
    policy = None if vector.policy is None else parse_policy(vector.policy)
    asked = Asked(vector.complete, vector.max_age, vector.since, vector.subject, vector.passport)
    return verify_bundle(vector.bundle, policy, vector.now, asked).to_json()


def to_document(scenario_: Scenario, vector: Vector, report: bytes) -> Doc:
    """A vector's file. A bundle of one repeated character is described, not spelled out."""
    spelled: object = base64.b64encode(vector.bundle).decode()
    if vector.repeat is not None:
        spelled = {"character": vector.repeat, "count": len(vector.bundle)}
    return {
        "about": scenario_.about,
        "asked": {
            "complete": vector.complete,
            "max_age": vector.max_age,
            "passport": None if vector.passport is None else vector.passport.hex(),
            "since": None if vector.since is None else base64.b64encode(vector.since).decode(),
            "subject": vector.subject,
        },
        "bundle": spelled,
        "clause": scenario_.clause,
        "name": scenario_.name,
        "now": vector.now,
        "policy": None if vector.policy is None else vector.policy.decode(),
        "report": json.loads(report),
    }


def write_all(directory: Path = DIRECTORY) -> int:
    """Write every vector; returns how many."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("bundle-*.json"):
        old.unlink()
    for name, found in SCENARIOS.items():
        vector = found.make()
        document = to_document(found, vector, answer(vector))
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
        (directory / f"bundle-{name}.json").write_text(text + "\n", encoding="utf-8")
    return len(SCENARIOS)


if __name__ == "__main__":
    sys.stdout.write(f"{write_all()} vectors written\n")

__all__ = ["NO_TARGET", "SCENARIOS", "Scenario", "Vector", "answer", "to_document", "write_all"]
