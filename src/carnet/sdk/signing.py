"""Signing with the member's own key, here and not at the service: drafts become one signed submission.

What is signed cannot be changed on its way, nor by the node. It refuses to send anything, and to show the key.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from carnet.errors import Reason, Refused
from carnet.ledger.rules.default import CLASS_OF_KIND
from carnet.passport.draft import FORMAT, read_draft
from carnet.passport.occurred import check_not_future, check_occurred
from carnet.passport.ownkey import OwnKey, read_own_key
from carnet.passport.statement import compute_submission
from carnet.passport.submission import Stated, Submission, state_draft, write_submission
from carnet.tlog.tree import compute_root, leaf_hash
from carnet.types import Basis

MAX_STATEMENTS = 10_000
"""In one submission: its home takes it in one transaction."""


def read_key(path: str | Path, passphrase: str | None = None) -> OwnKey:
    """The own key in a file that `carnet keys new` made and `carnet keys enrol` tied to a member. Raises OSError, and
    Refused WRONG_PASSPHRASE, UNREADABLE_FILE."""
    return read_own_key(Path(path).read_bytes(), passphrase)


def make_entry(
    passport: str,
    subject: Mapping[str, Any],
    kind: str,
    fields: Mapping[str, Any],
    *,
    at: str | None,
    precision: str = "day",
    zone: str | None = None,
    corrects: str | None = None,
    contests: str | None = None,
) -> dict[str, object]:
    """A draft of one entry, for `sign_entries`: in which passport, about which vehicle, what, and when."""
    target = corrects or contests
    return {
        "carnet": FORMAT,
        "fields": dict(fields),
        "kind": kind,
        "mark": 1 if corrects is not None else 2 if contests is not None else 0,
        "occurred": {"at": at, "precision": precision if at is not None else "unknown", "zone": zone},
        "passport": passport.removeprefix("pas_"),
        "subject": dict(subject),
        "target": None if target is None else target.removeprefix("ent_"),
    }


def sign_entries(key: OwnKey, drafts: Iterable[Mapping[str, Any]]) -> bytes:
    """The submission of these drafts, signed once by the member's own key: what `Client.entries.submit` sends.

    One bad draft refuses the whole. Raises Refused UNKNOWN_MEMBER for a key that is tied to nobody, VALUE_OUT_OF_RANGE
    for none or too many, TIME_IN_FUTURE, and as `read_draft` does.
    """
    if key.network is None or key.member is None:
        raise Refused(
            Reason.UNKNOWN_MEMBER, "this key is nobody's yet: tie it to a member of a network with `carnet keys enrol`"
        )
    now, signer, net = time.time_ns() // 1_000_000, key.signer, bytes.fromhex(key.network.rpartition("/")[2])
    stated: list[Stated] = []
    for document in drafts:
        draft = read_draft(document)
        check_not_future(check_occurred(draft.fields["occurred"]), now)
        stated.append(
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
    if not 1 <= len(stated) <= MAX_STATEMENTS:
        saying = f"a submission has 1 to {MAX_STATEMENTS:,} statements, not {len(stated):,}"
        raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, count=len(stated))
    root = compute_root([leaf_hash(one.data) for one in stated])
    message = compute_submission(net, signer.digest, now, len(stated), root)
    return write_submission(Submission(now, signer.sign(message), tuple(stated)))
