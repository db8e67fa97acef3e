"""Addresses of a member: who may add, see and change them, and the keys that sign for each."""

from __future__ import annotations

from typing import Any

import pytest

from carnet.encoding import unb64
from carnet.errors import Reason, Refused
from carnet.outbound.addresses import Reach
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.clients import end_client
from carnet.services.accounts.leaving import end_staff_of
from carnet.services.accounts.registry import change_role, end_account
from carnet.services.principals import VISITOR, Role
from carnet.services.webhooks.endpoints import MAX_WEBHOOKS, add_endpoint, end, list_endpoints, rotate, start_again
from carnet.services.webhooks.events import EVENTS, NAMES, make_example, make_payload
from carnet.services.webhooks.keys import OVERLAP_MS, get_public_key, list_public_keys, sign
from carnet.services.webhooks.messages import get_message, list_messages, replay
from carnet.signing import verify
from tests.services.accounts.ground import OPERATOR
from tests.services.town import HOLDER
from tests.services.webhooks.ground import SOMEWHERE, Ground


def refuse(reason: Reason, call: Any, *args: Any, **more: Any) -> None:
    with pytest.raises(Refused) as refused:
        call(*args, **more)
    assert refused.value.reason is reason


def test_add__is_listed_for_its_member_alone(ground: Ground) -> None:
    mine, other = ground.add("garage"), ground.add("insurer", "https://insurer.example/")
    assert [one.public_id for one in list_endpoints(ground.office, ground.admin())] == [mine.public_id]
    assert [one.public_id for one in list_endpoints(ground.office, ground.program())] == [mine.public_id]
    assert len(list_endpoints(ground.office, OPERATOR)) == 2
    assert (mine.state, mine.kinds) == ("active", NAMES)
    for act in (rotate, end):
        refuse(Reason.UNKNOWN_WEBHOOK, act, ground.office, ground.admin(), other.public_id)
        refuse(Reason.UNKNOWN_WEBHOOK, act, ground.office, ground.admin(), "whk_" + "0" * 32)
        refuse(Reason.UNKNOWN_WEBHOOK, act, ground.office, ground.admin(), "nonsense")
    refuse(Reason.UNKNOWN_WEBHOOK, list_messages, ground.office, ground.admin(), other.public_id)
    refuse(Reason.UNKNOWN_WEBHOOK, replay, ground.office, ground.admin(), other.public_id, since=0)
    refuse(Reason.UNKNOWN_WEBHOOK, get_message, ground.office, ground.admin(), mine.public_id, "msg_" + "0" * 32)


def test_add__refused_not_permitted(ground: Ground) -> None:
    garage = ground.town.members["garage"].id
    others = (VISITOR, HOLDER, ground.admin("insurer"), ground.program("insurer"), ground.town.machine("garage"))
    clerks = tuple(ground.town.staff("garage", role) for role in (Role.CLERK, Role.READER, Role.AUDITOR))
    for who in (*others, *clerks):
        refuse(Reason.NOT_PERMITTED, add_endpoint, ground.office, who, garage, SOMEWHERE, reach=Reach())
    assert list_endpoints(ground.office, OPERATOR) == []


def test_acts__of_an_admin_who_is_none_any_more_are_refused(ground: Ground) -> None:
    """The request was let in before: another one has ended the account, or given it another role, meanwhile."""
    endpoint, office = ground.add(), ground.office
    garage, admin = ground.town.members["garage"].id, ground.admin()
    for demote, added, changed in (
        (lambda: change_role(office, OPERATOR, str(admin.account), Role.CLERK), Reason.NOT_PERMITTED, None),
        (lambda: end_account(office, OPERATOR, str(admin.account)), Reason.NOT_SIGNED_IN, Reason.NOT_SIGNED_IN),
    ):
        demote()
        refuse(added, add_endpoint, office, admin, garage, SOMEWHERE, reach=Reach())
        for act in (rotate, start_again, end):
            refuse(changed or Reason.UNKNOWN_WEBHOOK, act, office, admin, endpoint.public_id)
    assert list_endpoints(office, OPERATOR) == [endpoint]


def test_acts__of_a_program_that_was_ended_are_refused(ground: Ground) -> None:
    """The request was let in before: another one has ended the program meanwhile."""
    endpoint, office = ground.add(), ground.office
    garage, program = ground.town.members["garage"].id, ground.program()
    end_client(office, OPERATOR, str(program.client))
    refuse(Reason.SIGN_IN_FAILED, add_endpoint, office, program, garage, SOMEWHERE, reach=Reach())
    for act in (rotate, start_again, end):
        refuse(Reason.SIGN_IN_FAILED, act, office, program, endpoint.public_id)
    assert list_endpoints(office, OPERATOR) == [endpoint]


def test_add__refused(ground: Ground) -> None:
    garage, admin = ground.town.members["garage"].id, ground.admin()

    def add(url: str = SOMEWHERE, **more: Any) -> None:
        add_endpoint(ground.office, admin, garage, url, reach=Reach(), **more)

    refuse(Reason.URL_NOT_ALLOWED, add, "http://hooks.example.org/")
    refuse(Reason.URL_NOT_ALLOWED, add, "https://192.168.1.10/hook")
    refuse(Reason.NOT_IN_LIST, add, kinds=["entry.sealed", "entry.read"])
    refuse(Reason.NOT_IN_LIST, add, kinds=["webhook.test"])
    refuse(Reason.TEXT_TOO_LONG, add, note="x" * 81)
    refuse(Reason.TEXT_NOT_ALLOWED, add, note="a\x07b")
    for _ in range(MAX_WEBHOOKS):
        add(kinds=["file.done"], note="the workshop's own")
    refuse(Reason.TOO_MANY_WEBHOOKS, add)
    first = list_endpoints(ground.office, admin)[0]
    assert (first.kinds, first.note) == (("file.done",), "the workshop's own")
    end(ground.office, admin, first.public_id)
    add()


def test_sign__is_what_the_public_key_verifies(ground: Ground) -> None:
    """Standard Webhooks: `v1a,` and the signature of `id.timestamp.payload`."""
    endpoint, now = ground.add(), 1_700_000_123_456
    headers = sign(ground.office, endpoint, "msg_1", now, b'{"a":1}')
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", "1700000123")
    version, signature = headers["webhook-signature"].split(",")
    key = get_public_key(ground.office, endpoint)
    assert (version, key[:5]) == ("v1a", "whpk_")
    public = unb64(key.removeprefix("whpk_"), 32)
    assert verify(public, b'msg_1.1700000123.{"a":1}', unb64(signature, 64))
    assert not verify(public, b'msg_1.1700000124.{"a":1}', unb64(signature, 64))
    other = ground.add("insurer")
    assert get_public_key(ground.office, other) != key


def test_rotate__two_keys_sign_for_a_day_and_then_one(ground: Ground) -> None:
    old = ground.add()
    was = get_public_key(ground.office, old)
    new = rotate(ground.office, ground.admin(), old.public_id)
    (stored,) = list_endpoints(ground.office, ground.admin())
    assert stored == new
    now = ground.office.clock()
    assert list_public_keys(ground.office, new, now) == [get_public_key(ground.office, new), was]
    headers = sign(ground.office, new, "msg_1", now, b"{}")
    signatures = [one.removeprefix("v1a,") for one in headers["webhook-signature"].split(" ")]
    signed = f"msg_1.{headers['webhook-timestamp']}.".encode() + b"{}"
    for key, signature in zip(list_public_keys(ground.office, new, now), signatures, strict=True):
        assert verify(unb64(key.removeprefix("whpk_"), 32), signed, unb64(signature, 64))
    later = now + OVERLAP_MS
    assert list_public_keys(ground.office, new, later) == [get_public_key(ground.office, new)]
    assert " " not in sign(ground.office, new, "msg_1", later, b"{}")["webhook-signature"]


def test_acts__are_in_the_audit_trail(ground: Ground) -> None:
    endpoint = ground.add()
    rotate(ground.office, ground.program(), endpoint.public_id)
    end(ground.office, ground.admin(), endpoint.public_id)
    events = list_events(ground.office, OPERATOR, about=endpoint.public_id)
    assert [event.action for event in events] == [Action.WEBHOOK_ENDED, Action.WEBHOOK_ROTATED, Action.WEBHOOK_ADDED]
    assert {event.member for event in events} == {f"mem_{ground.town.members['garage'].id.hex()}"}
    assert SOMEWHERE not in repr(events)


def test_member_that_leaves__is_told_nothing_more(ground: Ground) -> None:
    ground.add()
    other = ground.add("insurer")
    end_staff_of(ground.office, OPERATOR, ground.town.members["garage"].id)
    assert [one.public_id for one in list_endpoints(ground.office, OPERATOR)] == [other.public_id]


def test_events__have_examples_of_their_shape() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
    for event in EVENTS:
        assert isinstance(event.example, event.data)
        example = make_example(event)
        assert example["type"] == event.name
        assert make_payload(event.name, 0, event.example).startswith(b'{"type":"' + event.name.encode())
