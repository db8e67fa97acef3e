"""Two operators approve: one asks, another decides, within seven days, once; and it is carried out once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key, compute_enrolment
from carnet.node.acts import AccreditMember, AddKey, Done, EnrolMember, RetireMember, RevokeKey, RotateKey
from carnet.node.home import Home
from carnet.node.writer import Writer
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.invitations import digest_invitation, invite, use_invitation
from carnet.services.accounts.office import OPERATOR_HERE
from carnet.services.accounts.registry import HOLDER, OPERATOR, Post, end_account, find_account
from carnet.services.accounts.trail import make_search, search
from carnet.services.approving import requests
from carnet.services.approving.changes import find_subject, list_changes
from carnet.services.approving.requests import Approval, ask, grant, list_approvals, refuse, resume, take_link, withdraw
from carnet.services.approving.wishes import InviteOperator
from carnet.services.founding import now_ms
from carnet.services.members import plan_accreditation, plan_enrolment, plan_retirement
from carnet.services.principals import Principal, Role, Standing
from carnet.services.quotas import list_quotas, set_quota
from carnet.services.settings import Settings
from carnet.services.status import get_status
from carnet.services.upkeep.jobs import CHECK, ask_job, end_job, find_last_check, list_jobs, take_next
from carnet.signing import Signer
from carnet.types import Custody, KeyRole
from tests.cli.run import carnet
from tests.postgres import Cluster
from tests.services.approving.ground import Ground, open_ground, refusing

DAY_MS = 86_400_000


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with open_ground(tmp_path) as made:
        yield made


def test_admission__is_asked_by_one_and_granted_by_another(ground: Ground) -> None:
    first, second = ground.operators
    wish = plan_enrolment(ground.writer.state, "Mutuelle", "insurer")
    asked = ask(ground.office, ground.writer, first, wish)
    assert (asked.state, asked.asked_by, asked.kept.act) == ("open", first.account, wish)
    assert ask(ground.office, ground.writer, first, wish).id == asked.id
    assert ground.writer.state.members.find_index(wish.member) is None
    done = grant(ground.office, ground.writer, second, asked.public_id)
    assert (done.state, done.decided_by, done.outcome) == ("done", second.account, None)
    member = ground.writer.state.members.get(wish.member)
    assert (member.name, member.kind, member.keys[0].custody) == ("Mutuelle", "insurer", Custody.NODE)
    told = [(one.action, one.who) for one in ground.list_events() if one.member == f"mem_{wish.member.hex()}"]
    assert told == [
        (Action.APPROVAL_ASKED, first.account),
        (Action.APPROVAL_GRANTED, second.account),
        (Action.MEMBER_ENROLLED, second.account),
        (Action.APPROVAL_DONE, second.account),
    ]
    assert list_approvals(ground.office, first, is_open_only=True) == []
    assert [one.id for one in list_approvals(ground.office, first)] == [asked.id]


def test_admission__asked_for_twice_is_one_request(ground: Ground) -> None:
    """The id of a new member is drawn anew each time that somebody asks; a double click made two requests of one."""
    first, second = ground.operators

    def ask_for(name: str, kind: str, who: Principal = first) -> bytes:
        return ask(ground.office, ground.writer, who, plan_enrolment(ground.writer.state, name, kind)).id

    asked = ask_for("Mutuelle", "insurer")
    assert ask_for("Mutuelle", "insurer") == asked
    others = {ask_for("Mutuelle", "garage"), ask_for("Mutuelle 2", "insurer"), ask_for("Mutuelle", "insurer", second)}
    assert len(others - {asked}) == 3
    withdraw(ground.office, first, f"apr_{asked.hex()}")
    assert ask_for("Mutuelle", "insurer") not in others | {asked}


def test_admission__with_its_own_key_is_checked_when_it_is_asked(ground: Ground) -> None:
    first, second = ground.operators
    member, signer = b"m" * 16, Signer(b"s" * 32)
    net = ground.writer.state.net
    sig = signer.sign(compute_enrolment(net, member, KeyRole.AUTHOR, Custody.OWN))
    key = Key(signer.public, KeyRole.AUTHOR, Custody.OWN, sig)
    bad = Key(signer.public, KeyRole.AUTHOR, Custody.OWN, bytes(64))
    with refusing(Reason.BAD_SIGNATURE):
        ask(ground.office, ground.writer, first, EnrolMember(member, "Mutuelle", "insurer", bad))
    asked = ask(ground.office, ground.writer, first, EnrolMember(member, "Mutuelle", "insurer", key))
    assert grant(ground.office, ground.writer, second, asked.public_id).state == "done"
    assert ground.writer.state.members.get(member).keys[0].digest == signer.digest
    other = Signer(b"t" * 32)
    sig = other.sign(compute_enrolment(net, member, KeyRole.AUTHOR, Custody.OWN))
    wish = AddKey(member, Key(other.public, KeyRole.AUTHOR, Custody.OWN, sig))
    asked = ask(ground.office, ground.writer, second, wish)
    assert grant(ground.office, ground.writer, first, asked.public_id).state == "done"
    assert len(ground.writer.state.members.get(member).keys) == 2


def test_keys__are_rotated_and_revoked_by_two(ground: Ground) -> None:
    first, second = ground.operators
    node, before = ground.writer.node_id, ground.writer.node_key
    asked = ask(ground.office, ground.writer, first, RotateKey(node, before))
    assert grant(ground.office, ground.writer, second, asked.public_id).state == "done"
    assert ground.writer.node_key != before
    with refusing(Reason.KEY_IN_USE):
        ask(ground.office, ground.writer, first, RevokeKey(node, ground.writer.node_key))
    member = ground.enrol()
    digest = ground.writer.state.members.get(member).keys[0].digest
    asked = ask(ground.office, ground.writer, second, RevokeKey(member, digest, ground.writer.state.size))
    assert grant(ground.office, ground.writer, first, asked.public_id).state == "done"
    assert ground.writer.state.members.get(member).keys[0].revoked is not None
    ground.node.check()


def test_retirement__ends_the_people_of_the_member(ground: Ground) -> None:
    first, second = ground.operators
    member = ground.enrol()
    staff = ground.add_staff(member)
    asked = ask(ground.office, ground.writer, first, plan_retirement(ground.writer.state, "Tilleuls"))
    assert grant(ground.office, ground.writer, second, asked.public_id).state == "done"
    assert ground.writer.state.members.get(member).retired is not None
    with ground.office.people.read() as connection:
        assert find_account(connection, bytes.fromhex((staff.account or "")[4:])) is None


def test_retirement__refused_key_in_use__for_the_node_itself(ground: Ground) -> None:
    """Nothing could be sealed any more, and nobody could undo it."""
    first, _ = ground.operators
    state = ground.writer.state
    node = state.members.get(state.genesis.founders[0].member)
    with pytest.raises(Refused) as refused:
        ask(ground.office, ground.writer, first, plan_retirement(state, node.name))
    assert refused.value.reason is Reason.KEY_IN_USE
    with pytest.raises(Refused) as refused:
        ground.writer.perform(plan_retirement(state, node.name))
    assert refused.value.reason is Reason.KEY_IN_USE
    assert ground.writer.state.members.get(node.id).retired is None


def test_grant__refused_second_operator_needed(ground: Ground) -> None:
    first, second = ground.operators
    asked = ask(ground.office, ground.writer, first, plan_enrolment(ground.writer.state, "Mutuelle", "insurer"))
    strangers = (ground.add_staff(ground.enrol()), ground.add(HOLDER), OPERATOR_HERE)
    # Whoever has the machine acts by the verbs: it has no say in what two people decide.
    for who, reason in ((first, Reason.SECOND_OPERATOR_NEEDED), *((one, Reason.NOT_PERMITTED) for one in strangers)):
        with refusing(reason):
            grant(ground.office, ground.writer, who, asked.public_id)
        with refusing(reason):
            refuse(ground.office, who, asked.public_id)
    # An account that has ended, or was never one, is no second operator.
    with refusing(Reason.NOT_PERMITTED):
        grant(ground.office, ground.writer, Principal(OPERATOR.standing, "acc_" + "0" * 32), asked.public_id)
    assert grant(ground.office, ground.writer, second, asked.public_id).state == "done"


def test_decision__refused_approval_decided__comes_once_and_in_time(ground: Ground) -> None:
    first, second = ground.operators
    state = ground.writer.state

    def asking(name: str) -> Approval:
        return ask(ground.office, ground.writer, first, plan_enrolment(state, name, "insurer"))

    one, two, three = asking("One"), asking("Two"), asking("Three")
    assert refuse(ground.office, second, one.public_id).state == "refused"
    with refusing(Reason.NOT_PERMITTED):
        withdraw(ground.office, second, two.public_id)
    assert withdraw(ground.office, first, two.public_id).state == "withdrawn"
    ground.wait(7 * DAY_MS)
    (late,) = [found for found in list_approvals(ground.office, first) if found.id == three.id]
    assert late.state == "expired"
    for approval in (one, two, three):
        with refusing(Reason.APPROVAL_DECIDED):
            grant(ground.office, ground.writer, second, approval.public_id)
    with refusing(Reason.UNKNOWN_APPROVAL):
        grant(ground.office, ground.writer, second, "apr_" + "0" * 32)
    assert len(ground.writer.state.members.all) == 2
    actions = [event.action for event in ground.list_events()]
    assert (actions.count(Action.APPROVAL_REFUSED), actions.count(Action.APPROVAL_WITHDRAWN)) == (1, 1)
    # The machine's own terminal takes any request back.
    assert withdraw(ground.office, OPERATOR_HERE, asking("Four").public_id).decided_by == "operator"


def test_accreditation__refused_approval_outdated(ground: Ground) -> None:
    """What was shown is what is carried out: a change in between is not undone by the way."""
    first, second = ground.operators
    member = ground.enrol()
    (kind, basis, _), *_ = ground.writer.state.members.get(member).accreditations
    wish = plan_accreditation(ground.writer.state, "Tilleuls", kind, basis, is_withdrawn=True)
    asked = ask(ground.office, ground.writer, first, wish)
    before = ground.writer.state.members.get(member).accreditations
    ground.writer.perform(AccreditMember(member, before[:3]))
    failed = grant(ground.office, ground.writer, second, asked.public_id)
    assert (failed.state, failed.outcome) == ("failed", Reason.APPROVAL_OUTDATED.value)
    assert ground.writer.state.members.get(member).accreditations == before[:3]
    assert Action.APPROVAL_FAILED in {event.action for event in ground.list_events()}


def test_grant__of_what_the_ledger_refuses_meanwhile_fails_with_its_reason(ground: Ground) -> None:
    first, second = ground.operators
    member = ground.enrol()
    asked = ask(ground.office, ground.writer, first, RetireMember(member))
    ground.writer.retire(member)
    failed = grant(ground.office, ground.writer, second, asked.public_id)
    assert (failed.state, failed.outcome) == ("failed", Reason.MEMBER_RETIRED.value)


class Away:
    """A writer that goes away before it was asked, or after it has done what was asked."""

    def __init__(self, writer: Writer, *, is_done: bool) -> None:
        self._writer, self._is_done = writer, is_done

    def __getattr__(self, name: str) -> object:
        return getattr(self._writer, name)

    def perform(self, act: EnrolMember) -> Done:
        if self._is_done:
            self._writer.perform(act)
        raise Refused(Reason.WRITER_AWAY, "the writer went away", could_retry=True)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_resume__carries_out_once_what_was_granted_while_the_writer_was_away(ground: Ground, is_done: bool) -> None:
    first, second = ground.operators
    wish = plan_enrolment(ground.writer.state, "Mutuelle", "insurer")
    asked = ask(ground.office, ground.writer, first, wish)
    away: Writer = Away(ground.writer, is_done=is_done)  # type: ignore[assignment]
    assert grant(ground.office, away, second, asked.public_id).state == "granted"
    # Whoever granted it may still be at it.
    assert resume(ground.office, ground.writer) == 0
    ground.wait(requests.UNDER_WAY_MS)
    assert resume(ground.office, ground.writer) == 1
    assert resume(ground.office, ground.writer) == 0
    (found,) = list_approvals(ground.office, first)
    assert (found.state, found.decided_by) == ("done", second.account)
    assert [member.name for member in ground.writer.state.members.all].count("Mutuelle") == 1


def test_operator__is_invited_by_two_and_the_link_is_shown_once(ground: Ground) -> None:
    """One who could make operators alone would be as many as are asked for."""
    first, second = ground.operators
    with refusing(Reason.NOT_PERMITTED):
        invite(ground.office, first, OPERATOR)
    asked = ask(ground.office, ground.writer, first, InviteOperator())
    with refusing(Reason.APPROVAL_DECIDED):
        take_link(ground.office, first, asked.public_id)
    assert grant(ground.office, ground.writer, second, asked.public_id).state == "done"
    with refusing(Reason.NOT_PERMITTED):
        take_link(ground.office, second, asked.public_id)
    seed = b"a form's own number, 32 bytes of"
    made = take_link(ground.office, first, asked.public_id, seed)
    assert made.post == OPERATOR
    assert re.fullmatch(r"[0-9A-Z-]{29}", made.code)
    for other in (None, seed[::-1]):
        with refusing(Reason.APPROVAL_DECIDED):
            take_link(ground.office, first, asked.public_id, other)
    # The answer to the first click of two is never seen.
    assert take_link(ground.office, first, asked.public_id, seed) == made
    with ground.office.people.write() as connection:
        use_invitation(connection, ground.office, digest_invitation(ground.office, made.code))
    with refusing(Reason.CODE_NOT_VALID):
        take_link(ground.office, first, asked.public_id, seed)


def test_ask__refused_to_an_operator_whose_account_ended(ground: Ground) -> None:
    """The request was let in before: neither is anything asked for by it, nor the link of another operator taken."""
    first, second = ground.operators
    asked = ask(ground.office, ground.writer, first, InviteOperator())
    assert grant(ground.office, ground.writer, second, asked.public_id).state == "done"
    end_account(ground.office, OPERATOR_HERE, str(first.account))
    for act in (
        lambda: take_link(ground.office, first, asked.public_id),
        lambda: ask(ground.office, ground.writer, first, InviteOperator()),
    ):
        with refusing(Reason.NOT_SIGNED_IN):
            act()


def test_list__what_waits_is_never_behind_what_is_decided(ground: Ground) -> None:
    first, second = ground.operators
    waits = ask(ground.office, ground.writer, first, InviteOperator())
    for _ in range(3):
        withdraw(ground.office, second, ask(ground.office, ground.writer, second, InviteOperator()).public_id)
    listed = list_approvals(ground.office, first, limit=2)
    assert [one.state for one in listed] == ["open", "withdrawn"]
    assert listed[0].id == waits.id


def test_changes__say_what_would_be_otherwise(ground: Ground) -> None:
    member = ground.enrol()
    before = ground.writer.state.members.get(member)
    kind, basis, _ = before.accreditations[0]
    fewer = AccreditMember(member, before.accreditations[1:])
    enrolment = plan_enrolment(ground.writer.state, "Mutuelle", "insurer")
    with ground.node.read() as reader:
        assert list_changes(reader, fewer) == [("may_write", f"{kind} {basis}", None)]
        assert list_changes(reader, AccreditMember(member, before.accreditations)) == []
        lines = list_changes(reader, enrolment)
        assert lines[:2] == [("name", None, "Mutuelle"), ("kind", None, "insurer")]
        assert any(line.what == "may_write" and line.before is None for line in lines)
        digest = before.keys[0].digest
        assert list_changes(reader, RotateKey(member, digest, 3)) == [
            ("key", digest.hex(), None),
            ("key_here", None, "new"),
            ("disputed_since", None, "3"),
        ]
        assert list_changes(reader, RetireMember(member)) == [("state", "member", "retired")]
        assert find_subject(reader, fewer) == before
        assert find_subject(reader, enrolment) is None


def test_cli__lists_shows_and_takes_back(ground: Ground) -> None:
    home, first = ground.node.path, ground.operators[0]
    asked = ask(ground.office, ground.writer, first, plan_enrolment(ground.writer.state, "Mutuelle", "insurer"))
    # The clock of this test stands years back, and a request has seven days.
    listed = carnet("approval", "list", "--json", home=home)
    assert listed.code == 0, listed.err
    document = listed.json
    assert (document["id"], document["member_name"]) == (asked.public_id, "Mutuelle")
    assert document["state"] == "expired"
    assert carnet("approval", "list", "--open", "--json", home=home).out == ""
    shown = carnet("approval", "show", asked.public_id, home=home)
    assert (shown.code, "Mutuelle" in shown.out, str(first.account) in shown.out) == (0, True, True)
    late = carnet("approval", "withdraw", asked.public_id, home=home)
    assert (late.code, "approval_decided" in late.err) == (1, True)
    nothing = carnet("approval", "show", "apr_" + "0" * 32, home=home)
    assert (nothing.code, "carnet approval list" in nothing.err) == (1, True)


def test_grant__refused_second_operator_needed__for_whoever_let_the_members_people_in(ground: Ground) -> None:
    """An operator who invites a member's admin could be that admin: what it asks for is another one's to decide."""
    first, second = ground.operators
    member = ground.enrol()
    digest = ground.writer.state.members.get(member).keys[0].digest
    invite(ground.office, first, Post(Standing.STAFF, member, Role.ADMIN))
    admin = ground.add_staff(member)
    asked = ask(ground.office, ground.writer, admin, RevokeKey(member, digest))
    with refusing(Reason.SECOND_OPERATOR_NEEDED):
        grant(ground.office, ground.writer, first, asked.public_id)
    assert ground.writer.state.members.get(member).keys[0].revoked is None
    assert grant(ground.office, ground.writer, second, asked.public_id).state == "done"


def test_status__tells_what_waits_for_a_second_operator(ground: Ground) -> None:
    home = Home(ground.node.path)
    desk = get_status(home).desk
    assert desk is not None
    assert (desk.approvals_waiting, desk.checked_at) == (0, None)
    ground.node.clock.now = now_ms()
    ask(ground.office, ground.writer, ground.operators[0], plan_enrolment(ground.writer.state, "Mutuelle", "insurer"))
    desk = get_status(home).desk
    assert desk is not None
    assert desk.approvals_waiting == 1


def test_desk__over_a_database_is_the_same(tmp_path: Path, postgres: Cluster) -> None:
    """Approvals, quotas, jobs and the search of the trail, on PostgreSQL."""
    with open_ground(tmp_path, store_url=postgres.make_url()) as ground:
        first, second = ground.operators
        office = ground.office
        asked = ask(office, ground.writer, first, plan_enrolment(ground.writer.state, "Mutuelle", "insurer"))
        assert grant(office, ground.writer, second, asked.public_id).state == "done"
        with refusing(Reason.APPROVAL_DECIDED):
            refuse(office, second, asked.public_id)
        member = ground.writer.state.members.all[-1].id
        set_quota(office, first, member, 500)
        set_quota(office, first, member, 600)
        assert [one.requests_per_minute for one in list_quotas(office, first)] == [600]
        ask_job(office, first, Settings(), CHECK)
        job = take_next(office)
        assert job is not None
        end_job(office, job, {"clean": True, "findings": 0}, is_good=True)
        assert [one.state for one in list_jobs(office, first)] == ["done"]
        assert find_last_check(office) is not None
        found = search(office, first, make_search(action="approval"))
        assert [one.action for one in found] == [
            Action.APPROVAL_DONE,
            Action.APPROVAL_GRANTED,
            Action.APPROVAL_ASKED,
        ]
        desk = get_status(Home(ground.node.path)).desk
        assert desk is not None
        assert (desk.approvals_waiting, desk.findings) == (0, 0)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_resume__lists_one_key_of_those_that_the_node_makes(ground: Ground, is_done: bool) -> None:
    """Which key it was, nobody knows after a crash: the node made it."""
    first, second = ground.operators
    member = ground.enrol()
    asked = ask(ground.office, ground.writer, first, AddKey(member))
    away: Writer = Away(ground.writer, is_done=is_done)  # type: ignore[assignment]
    assert grant(ground.office, away, second, asked.public_id).state == "granted"
    ground.wait(requests.UNDER_WAY_MS)
    assert resume(ground.office, ground.writer) == 1
    (found,) = list_approvals(ground.office, first)
    assert (found.state, found.outcome) == ("done", None)
    made, listed = ground.writer.state.members.get(member).keys
    assert made != listed
    (noted,) = [event for event in ground.list_events() if event.action is Action.SIGNING_KEY_LISTED]
    assert noted.about == f"key_{listed.digest[:16].hex()}"


def test_grant__refused_approval_outdated__of_a_key_where_another_came_since(ground: Ground) -> None:
    first, second = ground.operators
    member = ground.enrol()
    asked = ask(ground.office, ground.writer, first, AddKey(member))
    ground.writer.add_key(member)
    found = grant(ground.office, ground.writer, second, asked.public_id)
    assert (found.state, found.outcome) == ("failed", "approval_outdated")
    assert len(ground.writer.state.members.get(member).keys) == 2
