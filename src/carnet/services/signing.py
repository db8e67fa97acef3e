"""Signing outside the node: an own key, the proof that one has it, drafts that become a signed submission.

None of it needs a node, a database or a network: only the key's file, and what a node hands out. It refuses to know
whether the home will take what is signed: that is for the home to say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from carnet.encoding import b64, encode, parse_json
from carnet.errors import Reason, Refused
from carnet.ledger.rules.default import CLASS_OF_KIND
from carnet.ledger.rules.members import compute_enrolment
from carnet.node.ownkey import OwnKey, load_own_key, save_own_key
from carnet.passport.draft import Draft, read_draft
from carnet.passport.occurred import check_not_future, check_occurred
from carnet.passport.statement import compute_submission
from carnet.passport.submission import MAX_SUBMISSION_BYTES, Stated, Submission, state_draft
from carnet.services.trusting import read_policy
from carnet.tlog.tree import compute_root, leaf_hash
from carnet.types import ID_BYTES, Basis, Custody, KeyRole, Millis, parse_hex_id

ENROLMENT: Final = "enrolment/1"
MAX_STATEMENTS: Final = 10_000
"""In one submission: its home takes it in one transaction."""

OPENINGS: Final = frozenset({"passport.opened/1", "journal.opened/1"})

_ORIGIN = re.compile(r"[a-z0-9.-]{1,63}/([0-9a-f]{64})", re.ASCII)


def make_own_key(path: Path, passphrase: str | None) -> OwnKey:
    """A new key in a new file. Raises Refused(FILE_EXISTS)."""
    if path.exists():
        raise Refused(Reason.FILE_EXISTS, f"{path} is there already: a key is never overwritten", file=str(path))
    key = OwnKey(os.urandom(32))
    save_own_key(key, path, passphrase, os.urandom)
    return key


def enrol_own_key(path: Path, passphrase: str | None, policy: Path, member: str | None) -> tuple[OwnKey, bytes]:
    """The key, tied to a member of the policy's network from now on, and the file that proves to a node that whoever
    enrols it has it (3.3). Asked again it gives the same. `member` is the id of one that is enrolled already; None:
    that of the key, or a new one.

    Raises as `load_own_key`, `read_policy` and `OwnKey.enrolled`, and Refused(WRONG_NETWORK) for a policy of several
    networks.
    """
    key = load_own_key(path, passphrase)
    origin = read_origin(policy)
    chosen = parse_hex_id(member.lower()) if member is not None else key.member or os.urandom(ID_BYTES)
    enrolled = key.enrolled(origin, chosen)
    if enrolled != key:
        save_own_key(enrolled, path, passphrase, os.urandom)
    signer, custody, role = enrolled.signer, int(Custody.OWN), int(KeyRole.AUTHOR)
    document = {
        "carnet": ENROLMENT,
        "custody": custody,
        "key": b64(signer.public),
        "member": b64(chosen),
        "network": origin,
        "role": role,
        "sig": b64(signer.sign(compute_enrolment(parse_net(origin), chosen, role, custody))),
    }
    return enrolled, encode(document) + b"\n"


def read_origin(policy: Path) -> str:
    """The one network that a policy is about. Raises as `read_policy` does, and Refused(WRONG_NETWORK)."""
    origins = {key.name for key in read_policy(policy).logs}
    if len(origins) != 1:
        raise Refused(Reason.WRONG_NETWORK, f"{policy} is about {len(origins)} networks: give the policy of one")
    return origins.pop()


def parse_net(origin: str) -> bytes:
    """The network's id, 32 bytes, from its origin. Spec: 1.9. Raises Refused(WRONG_NETWORK)."""
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        raise Refused(Reason.WRONG_NETWORK, f"{origin[:80]!a} is no network: one is name/64 hexadecimal digits")
    return bytes.fromhex(found[1])


def sign_drafts(data: bytes, key: OwnKey, now: Millis) -> Submission:
    """The drafts of a file (one JSON document, or one on each line), signed at once by the member's own key, basis 1.

    One bad draft refuses the whole: nothing half is signed. Raises Refused, naming the draft by its number:
    UNKNOWN_MEMBER for a key that is not enrolled, WRONG_NETWORK, WRONG_CHAIN for an opening, TIME_IN_FUTURE,
    VALUE_OUT_OF_RANGE for too many, and as `parse_json` and `read_draft` do.
    """
    if key.network is None or key.member is None:
        raise Refused(
            Reason.UNKNOWN_MEMBER, "this key is nobody's yet: tie it to a member of a network with `carnet keys enrol`"
        )
    signer, net = key.signer, parse_net(key.network)
    statements: list[Stated] = []
    for number, document in enumerate(_read_documents(data), 1):
        try:
            draft = _check_draft(document, key.network, now)
        except Refused as refused:
            raise _name_draft(refused, number) from None
        statements.append(
            state_draft(
                draft,
                net=net,
                member=key.member,
                key_digest=signer.digest,
                basis=Basis.OWN_KEY,
                class_=CLASS_OF_KIND[draft.kind] if draft.class_ is None else draft.class_,
                secret=os.urandom(32),
            )
        )
    if not 1 <= len(statements) <= MAX_STATEMENTS:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE,
            f"a submission has 1 to {MAX_STATEMENTS:,} statements, not {len(statements):,}",
            count=len(statements),
        )
    return _sign(statements, key, net, now)


def _sign(statements: Sequence[Stated], key: OwnKey, net: bytes, now: Millis) -> Submission:
    signer = key.signer
    root = compute_root([leaf_hash(one.data) for one in statements])
    message = compute_submission(net, signer.digest, now, len(statements), root)
    return Submission(now, signer.sign(message), tuple(statements))


def _read_documents(data: bytes) -> Iterator[object]:
    """One document, be it written on many lines, or one on each line."""
    if len(data) > MAX_SUBMISSION_BYTES:
        raise Refused(Reason.UNREADABLE_FILE, f"drafts of more than {MAX_SUBMISSION_BYTES // 2**20} MiB are not read")
    lines = [line for line in data.split(b"\n") if line.strip()]
    if len(lines) > 1 and lines[0].rstrip().endswith(b"}"):
        for number, line in enumerate(lines, 1):
            try:
                yield parse_json(line)
            except Refused as refused:
                raise _name_draft(refused, number) from None
        return
    yield parse_json(data)


def _check_draft(document: object, network: str, now: Millis) -> Draft:
    draft = read_draft(document)
    if draft.network not in (None, network):
        raise Refused(
            Reason.WRONG_NETWORK, f"it is for {draft.network}, and this key is enrolled in {network}", network=network
        )
    if draft.kind in OPENINGS:
        raise Refused(Reason.WRONG_CHAIN, "a passport is opened at its home, not by a submission from outside")
    check_not_future(check_occurred(draft.fields["occurred"]), now)
    return draft


def _name_draft(refused: Refused, number: int) -> Refused:
    """The same refusal, which says of which draft it is."""
    named = Refused(refused.reason, f"draft {number}: {refused.message}")
    named.could_retry = refused.could_retry
    named.facts = {**refused.facts, "draft": number}
    return named
