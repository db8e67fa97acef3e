"""The verifier: a bundle, a policy and a clock go in; four findings, an exit code and a report come out. Spec:
docs/spec/5-verify.md.

Trusts no server and no key of the bundle. It reads no clock, no file and no network: everything is given to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVarTuple

from carnet.encoding import b64, encode, encode_trusted
from carnet.errors import Unverified
from carnet.ledger.census import check_head
from carnet.proof.authority import CannotTell, check_authority, compute_standing, is_disputed
from carnet.proof.bundle import UnknownVersion, read_bundle
from carnet.proof.evidence import Evidence
from carnet.proof.integrity import check_integrity, compute_log_key_id
from carnet.proof.memory import MAX_BYTES, Memory
from carnet.proof.parts import EntryPart, Item
from carnet.signing import SignatureCache, verify
from carnet.tlog.note import TYPE_ED25519
from carnet.tlog.policy import Policy
from carnet.types import Basis, Mark, Millis

GENUINE, FAILED, CANNOT_TELL, NOT_AS_ASKED = 0, 10, 11, 12
CLOCK_TOLERANCE_MS = 300_000

Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader asks beyond *is it genuine*: `max_age` in ms, `since` the bytes of an older bundle, `subject` a
    subject object,
    `passport` 16 bytes."""

    complete: bool = False
    max_age: Millis | None = None
    since: bytes | None = None
    subject: dict[str, object] | None = None
    passport: bytes | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One of the four: its state and the code of the check that ended it. Spec: 5.2."""

    state: str = "not_judged"
    code: str | None = None


_OK = Finding("ok")
_NOT_JUDGED = Finding()


@dataclass(slots=True)
class Verdict:
    """The verifier's answer. `evidence` is there only if integrity held."""

    integrity: Finding = _NOT_JUDGED
    authority: Finding = _NOT_JUDGED
    completeness: Finding = _NOT_JUDGED
    freshness: Finding = _NOT_JUDGED
    asked: list[str] = field(default_factory=list)
    evidence: Evidence | None = None

    @property
    def findings(self) -> dict[str, Finding]:
        """The four findings by name, ascending."""
        return {
            "authority": self.authority,
            "completeness": self.completeness,
            "freshness": self.freshness,
            "integrity": self.integrity,
        }

    @property
    def exit_code(self) -> int:
        """Spec: 5.9."""
        states = self.integrity.state, self.authority.state, self.completeness.state, self.freshness.state
        if "failed" in states:
            return FAILED
        if "cannot_tell" in states:
            return CANNOT_TELL
        return NOT_AS_ASKED if self.asked else GENUINE

    def to_document(self) -> dict[str, object]:
        """The report of clause 5.10."""
        report = None if self.exit_code == FAILED or self.evidence is None else compute_report(self.evidence)
        return {
            "asked": list(self.asked),
            "exit": self.exit_code,
            "findings": {name: {"code": f.code, "state": f.state} for name, f in self.findings.items()},
            "report": report,
        }

    def to_json(self) -> bytes:
        """The report as one `cj` object and a newline."""
        return encode(self.to_document()) + b"\n"


def verify_bundle(
    data: bytes, policy: Policy | None, now: Millis, asked: Asked = Asked(), cache: SignatureCache | None = None
) -> Verdict:
    """Judge the bytes of a bundle. `cache` may outlive the call, so that many bundles of one network cost fewer
    signature checks; one that is a `Memory` also knows the parts again that they share."""
    if cache is None and asked.since is not None:
        # The older bundle has most of its signatures in common with this one.
        cache = SignatureCache(1024)
    check_signature = verify if cache is None else cache.verify
    memory = cache if isinstance(cache, Memory) and len(data) <= MAX_BYTES else None
    verdict = Verdict()
    try:
        bundle = read_bundle(data, memory)
        evidence = check_integrity(bundle, policy, check_signature, memory)
    except UnknownVersion as error:
        verdict.integrity = Finding("cannot_tell", error.code)
        return verdict
    except Unverified as error:
        verdict.integrity = Finding("failed", error.code)
        return verdict
    verdict.integrity = _OK
    verdict.evidence = evidence
    verdict.authority = _judge(check_authority, evidence, policy, check_signature)
    older = None if asked.since is None else verify_bundle(asked.since, policy, now, Asked(), cache)
    verdict.completeness = _judge(check_completeness, evidence, older)
    if verdict.completeness.state == "ok" and bundle.items[-1].mark == Mark.MOVE:
        verdict.completeness = Finding("moved", "moved")
    verdict.freshness = _judge(check_freshness, evidence, now)
    verdict.asked = compute_unmet(evidence, verdict, now, asked, older)
    return verdict


def _judge(check: Callable[[*Ts], None], *args: *Ts) -> Finding:
    try:
        check(*args)
    except CannotTell as error:
        return Finding("cannot_tell", error.code)
    except Unverified as error:
        return Finding("failed", error.code)
    return _OK


def check_completeness(evidence: Evidence, older: Verdict | None) -> None:
    """Spec: 5.6."""
    census = evidence.get_census()
    tip = len(evidence.link_ids) - 1
    check_head(census.root, (evidence.chain, evidence.epoch, tip, evidence.link_ids[tip]), evidence.bundle.census_path)
    if evidence.seal_of(evidence.bundle.items[-1]).index >= census.covers:
        raise Unverified("tip_not_covered")
    if older is not None:
        check_since(evidence, older)


def check_since(evidence: Evidence, older: Verdict) -> None:
    """Spec: 5.6.3."""
    failed = "failed" in (older.integrity.state, older.authority.state, older.completeness.state)
    if failed or older.evidence is None:
        raise Unverified("since_invalid")
    old = older.evidence
    if old.chain != evidence.chain:
        return
    tip = len(old.link_ids) - 1
    if tip >= len(evidence.link_ids) or evidence.link_ids[tip] != old.link_ids[tip]:
        raise Unverified("since_fork")
    if old.get_census().index > evidence.get_census().index:
        raise Unverified("since_census_later")
    since = evidence.bundle.since
    if since is None or (since.size, since.root) != (old.checkpoint.size, old.checkpoint.root):
        raise CannotTell("no_consistency_proof")


def check_freshness(evidence: Evidence, now: Millis) -> None:
    """Spec: 5.8."""
    at = evidence.get_census().at
    if at > now + CLOCK_TOLERANCE_MS:
        raise Unverified("time_in_future")
    cosigned_s = evidence.cosigned_s
    if cosigned_s and any(at > time_s * 1000 + 999 for time_s in cosigned_s.values()):
        raise Unverified("census_after_cosignature")


def compute_unmet(evidence: Evidence, verdict: Verdict, now: Millis, asked: Asked, older: Verdict | None) -> list[str]:
    """What was asked and is not so. Spec: 5.8."""
    unmet = []
    if asked.complete and verdict.completeness.state != "ok":
        unmet.append("not_complete")
    if asked.max_age is not None and now - evidence.get_census().at > asked.max_age:
        unmet.append("too_old")
    if asked.subject is not None and encode(asked.subject) not in find_subjects(evidence):
        unmet.append("other_subject")
    if asked.passport is not None and asked.passport != evidence.chain:
        unmet.append("other_passport")
    if older is not None and older.evidence is not None and older.evidence.chain != evidence.chain:
        unmet.append("since_other_chain")
    return unmet


def find_subjects(evidence: Evidence) -> set[bytes]:
    """`cj` of the passport's subject, and of every alias that an accredited author declares in a shown entry that
    stands.

    A merely reported alias does not count: whoever may report could otherwise make any passport answer for any vehicle.
    """
    found = set()
    for seq, _, entry in evidence.entries:
        if seq == 0:
            found.add(encode_trusted(entry.get_shown("subject")))
        alias = entry.get_shown("alias")
        if entry.get_shown("kind") != "vehicle.identity/1" or not isinstance(alias, dict) or "subject" not in alias:
            continue
        is_signed = entry.statement.basis in (Basis.OWN_KEY, Basis.HOSTED)
        if is_signed and compute_standing(evidence, seq).superseded_by is None:
            found.add(encode_trusted(alias["subject"]))
    return found


def compute_report(evidence: Evidence) -> dict[str, object]:
    """Spec: 5.10."""
    shown = [(seq, item, entry) for seq, item, entry in evidence.entries if entry.is_shown]
    links, cited = len(evidence.bundle.items), evidence.ground.forked_from
    return {
        "as_of": evidence.get_census().at,
        "entries": [compute_entry_report(evidence, seq, item, entry) for seq, item, entry in shown],
        "epoch": evidence.epoch,
        "forked_from": None if cited is None else {"origin": cited.origin, "root": b64(cited.root), "size": cited.size},
        "links": links,
        "log_key": format_log_key(evidence),
        "network": evidence.origin,
        "passport": evidence.chain.hex(),
        "shown": len(shown),
        "subject": shown[0][2].get_shown("subject"),
        "withheld": links - len(shown),
    }


def compute_entry_report(evidence: Evidence, seq: int, item: Item, entry: EntryPart) -> dict[str, object]:
    """One shown entry as clause 5.10 reports it."""
    seal, standing = evidence.seal_of(item), compute_standing(evidence, seq)
    leaf = evidence.leaves[seal.members.index][entry.statement.member]
    state = "superseded" if standing.superseded_by is not None else "contested" if standing.contested_by else "stands"
    fields = entry.fields or {}
    return {
        "basis": entry.statement.basis,
        "by": {"id": leaf.id.hex(), "kind": leaf.kind, "name": leaf.name},
        "contested_by": standing.contested_by,
        "disputed": is_disputed(evidence, item, entry),
        "fields": {name: found[1] for name, found in fields.items() if isinstance(found, tuple)},
        "mark": entry.statement.mark,
        "sealed_at": seal.at,
        "seq": seq,
        "state": state,
        "submitted_at": entry.submission.at,
        "superseded_by": standing.superseded_by,
    }


def format_log_key(evidence: Evidence) -> str:
    """The genesis log key as a vkey, to compare with whom one trusts. Spec: 5.10."""
    public = evidence.ground.log_key
    key_id = compute_log_key_id(evidence.origin, public).hex()
    return f"{evidence.origin}+{key_id}+{b64(bytes((TYPE_ED25519,)) + public)}"
