"""Drafts and submissions as files: read back as they were written, and nothing else is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.passport.draft import make_draft, read_draft
from carnet.passport.kinds import get_schema
from carnet.passport.statement import NO_TARGET
from carnet.passport.submission import (
    Stated,
    Submission,
    check_fields,
    read_submission,
    state_draft,
    write_submission,
)
from carnet.signing import Signer, verify

SIGNER = Signer(b"\x07" * 32)
CHAIN = bytes(range(16))
SID = "ab" * 32


def make_document(**changed: Any) -> dict[str, Any]:
    """A good draft of a reading."""
    document = make_draft(
        get_schema("vehicle.odometer/1"),
        passport=CHAIN,
        subject={"scheme": "histovec", "value": "HV0a1b"},
        class_=1,
        network="example.org/" + "ab" * 32,
    )
    document["fields"] = {"odometer_km": 10, "odometer_state": "read"}
    document["occurred"] = {"at": "2024-05-04", "precision": "day", "zone": None}
    return document | changed


def make_submission(*documents: dict[str, Any]) -> Submission:
    statements = tuple(
        state_draft(
            read_draft(document),
            net=bytes(32),
            member=bytes(16),
            key_digest=SIGNER.digest,
            basis=1,
            class_=1,
            secret=bytes([at]) * 32,
        )
        for at, document in enumerate(documents, 1)
    )
    unsigned = Submission(5, bytes(64), statements)
    return Submission(5, SIGNER.sign(unsigned.message), statements)


def refuse(document: object) -> Refused:
    with pytest.raises(Refused) as caught:
        read_draft(document)
    return caught.value


def test_read_draft__completes_and_orders_the_fields() -> None:
    draft = read_draft(make_document())
    schema = get_schema("vehicle.odometer/1")
    assert tuple(draft.fields) == schema.names
    assert draft.fields["purpose"] is None
    assert (draft.chain, draft.kind, draft.class_, draft.mark, draft.target) == (CHAIN, schema.kind, 1, 0, NO_TARGET)
    assert read_draft(make_document(mark=1, target=SID)).target == bytes.fromhex(SID)
    without = {
        name: value for name, value in make_document().items() if name not in ("class", "network", "mark", "target")
    }
    assert (read_draft(without).class_, read_draft(without).network) == (None, None)


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"carnet": "draft/2"}, Reason.UNREADABLE_FILE),
        ({"colour": 1}, Reason.UNKNOWN_FIELD),
        ({"passport": None}, Reason.MISSING_FIELD),
        ({"occurred": None}, Reason.MISSING_FIELD),
        ({"kind": "vehicle.odometr/1"}, Reason.UNKNOWN_KIND),
        ({"kind": 7}, Reason.UNKNOWN_KIND),
        ({"passport": "xyz"}, Reason.WRONG_TYPE),
        ({"passport": 7}, Reason.WRONG_TYPE),
        ({"class": 0}, Reason.WRONG_TYPE),
        ({"class": True}, Reason.WRONG_TYPE),
        ({"network": 7}, Reason.WRONG_TYPE),
        ({"fields": []}, Reason.WRONG_TYPE),
        ({"fields": {"kind": "vehicle.odometer/1"}}, Reason.UNKNOWN_FIELD),
        ({"fields": {"odometer_km": 10, "odometer_stat": "read"}}, Reason.UNKNOWN_FIELD),
        ({"fields": {"odometer_km": -1, "odometer_state": "read"}}, Reason.VALUE_OUT_OF_RANGE),
        ({"mark": "1"}, Reason.WRONG_TYPE),
        ({"mark": 3}, Reason.WRONG_MARK),
        ({"mark": 1}, Reason.WRONG_MARK),
        ({"target": SID}, Reason.WRONG_MARK),
        ({"mark": 1, "target": "ab"}, Reason.WRONG_TYPE),
        ({"occurred": {"at": "2024-02-30", "precision": "day", "zone": None}}, Reason.INVALID_TIME),
    ],
)
def test_read_draft__refused(changed: dict[str, Any], reason: Reason) -> None:
    assert refuse(make_document(**changed)).reason is reason


@pytest.mark.parametrize("document", [None, [], "draft/1", 7, {}])
def test_read_draft__refused_unreadable_file(document: object) -> None:
    assert refuse(document).reason is Reason.UNREADABLE_FILE


def test_read_submission__is_what_was_written() -> None:
    submission = make_submission(make_document(), make_document(fields={"odometer_km": 20, "odometer_state": "read"}))
    assert read_submission(write_submission(submission)) == submission
    assert verify(SIGNER.public, submission.message, submission.sig)
    for one in submission.statements:
        check_fields(one)


def test_check_fields__refused_fields_mismatch() -> None:
    (one,) = make_submission(make_document()).statements
    wrong: list[Stated] = [one._replace(secret=bytes(32))]
    for name in one.fields:
        wrong.append(one._replace(fields={**one.fields, name: "another"}))
        wrong.append(one._replace(fields={key: value for key, value in one.fields.items() if key != name}))
    wrong.append(one._replace(fields={**one.fields, "more": None}))
    for forged in wrong:
        with pytest.raises(Refused) as caught:
            check_fields(forged)
        assert caught.value.reason is Reason.FIELDS_MISMATCH


def test_read_submission__refused_several_authors() -> None:
    first, second = make_submission(make_document(), make_document()).statements
    for changed in ({"member": b"\x01" * 16}, {"net": b"\x01" * 32}, {"key_digest": bytes(32)}, {"basis": 2}):
        parts = structs.replace(second.parts, **changed)
        other = second._replace(parts=parts, data=parts.to_bytes())
        with pytest.raises(Refused) as caught:
            read_submission(write_submission(Submission(5, bytes(64), (first, other))))
        assert caught.value.reason is Reason.FIELDS_CONFLICT


def test_read_submission__refused_statement_linked_twice() -> None:
    (one,) = make_submission(make_document()).statements
    with pytest.raises(Refused) as caught:
        read_submission(write_submission(Submission(5, bytes(64), (one, one))))
    assert caught.value.reason is Reason.STATEMENT_LINKED


def mangle() -> list[bytes]:
    """Files that are nearly submissions."""
    good = write_submission(make_submission(make_document()))
    document = json.loads(good)

    def spell(changed: object) -> bytes:
        return json.dumps(changed, separators=(",", ":"), sort_keys=True).encode()

    def change(**changed: object) -> bytes:
        return spell(document | changed)

    def change_one(**changed: object) -> bytes:
        return change(statements=[document["statements"][0] | changed])

    return [
        b"",
        b"{}",
        b"[]",
        b"7",
        b"\xff",
        good[:-2],
        b" " + good,
        spell({name: document[name] for name in document if name != "sig"}),
        change(more=1),
        change(carnet="submission/2"),
        change(created_ms=-1),
        change(created_ms=True),
        change(created_ms="5"),
        change(sig=b64(bytes(63))),
        change(sig=5),
        change(statements=[]),
        change(statements={}),
        change(statements=[5]),
        change_one(fields=[]),
        change_one(fields={}),
        change_one(fields={"kind": 5}),
        change_one(more=1),
        change_one(secret=b64(bytes(31))),
        change_one(secret=None),
        change_one(statement=b64(bytes(182))),
        change_one(statement="?"),
    ]


@pytest.mark.parametrize("data", mangle())
def test_read_submission__refused_unreadable_file(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read_submission(data)
    assert caught.value.reason is Reason.UNREADABLE_FILE
