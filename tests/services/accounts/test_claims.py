"""Claiming a passport with a code: guessed, reused, expired, contested; and holding it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.node.reader import Reader
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.clients import add_client, end_client, find_by_key, issue_key
from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import OPERATOR as OPERATOR_POST
from carnet.services.accounts.registry import Post, change_role, end_account
from carnet.services.accounts.throttling import LIMITS, Attempt
from carnet.services.claims import (
    MAX_VALID_MS,
    VALID_MS,
    Claimed,
    claim,
    count_codes,
    decide,
    give_up,
    issue_code,
    list_codes,
    list_contests,
    object_to,
    revoke_code,
)
from carnet.services.holdings import Holdings
from carnet.services.principals import VISITOR, Principal, Role, Scope, Standing
from carnet.types import Basis, Mark
from tests.node.home import TestNode, make_item, make_node, more, new_passport, vin_subject
from tests.services.accounts.ground import INSURER, OPERATOR, VISIT, Ground, Person, open_ground
from tests.services.accounts.test_signing_in import refuse

HERE = VISIT


@dataclass
class Claims:
    """A node with three passports by a data service, a garage that serviced the first, and people."""

    node: TestNode
    ground: Ground
    garage: Member
    dealer: Member
    reader: Reader
    passports: list[bytes]

    def issue(self, number: int = 0, principal: Principal = OPERATOR, member: bytes | None = None) -> str:
        issuer = member or (self.garage.id if number == 0 else self.node.operator.id)
        return issue_code(self.ground.office, self.reader, principal, self.passports[number], member=issuer).code

    def claim(self, person: Person, code: str, vehicle: str | None = None, visit: Visit = HERE) -> Claimed:
        return claim(self.ground.office, self.reader, person.principal, visit, code, vehicle)

    def find_holder(self, number: int = 0) -> str | None:
        return Holdings(self.ground.office).find_holder(self.passports[number])

    def sell(self, number: int = 0) -> None:
        """A change of holder, sealed in the passport."""
        with self.node.open() as writer:
            subject = vin_subject(number)
            item = make_item("passport.transferred/1", subject, Mark.TRANSFER, reason="sale")
            outcome = writer.append(self.dealer.id, Basis.HOSTED, [more(writer.find_chain(subject), item)])
            assert not outcome.refusals, outcome.refusals
        self.reader.refresh()

    def erase(self, number: int = 0) -> None:
        # A reader that still sees it is waited for.
        self.reader.close()
        with self.node.open() as writer:
            writer.erase(self.passports[number], None, "holder_request")
        self.reader = self.node.read()


@pytest.fixture(params=["sqlite", "postgres"])
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Claims]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").make_url()
    node = make_node(tmp_path, store_url=url)
    with node.open() as writer:
        garage, dealer = writer.enrol_member("Garage des Tilleuls", "garage"), writer.enrol_member("Autos", "dealer")
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(n, 10 + n) for n in range(3)])
        subject = vin_subject(0)
        service = make_item("vehicle.service/1", subject, activities=[{"text": "oil and filter"}], odometer_km=20)
        outcome = writer.append(garage.id, Basis.HOSTED, [more(writer.find_chain(subject), service)])
        assert not outcome.refusals, outcome.refusals
    with open_ground(url or tmp_path / "people.sqlite") as ground:
        reader = node.read()
        passports = [reader.get(str(vin_subject(n))) for n in range(3)]
        made = Claims(node, ground, garage, dealer, reader, passports)
        yield made
        made.reader.close()
    node.close()


# ---- who issues a code


def make_machine(claims: Claims) -> Principal:
    office, scopes = claims.ground.office, frozenset({Scope.CLAIMS_ISSUE})
    client = add_client(office, OPERATOR, claims.garage.id, "Workshop", scopes)
    return find_by_key(office, HERE, issue_key(office, OPERATOR, client.public_id).secret)


def test_codes__of_whoever_may_no_more_are_refused(claims: Claims) -> None:
    """The request was let in before: another one has ended the account or program, or given another role, meanwhile."""
    office, reader, passport = claims.ground.office, claims.reader, claims.passports[0]
    gone, demoted = (claims.ground.join_staff(Role.CLERK, claims.garage.id).principal for _ in range(2))
    machine = make_machine(claims)
    code = issue_code(office, reader, machine, passport).id
    end_account(office, OPERATOR, str(gone.account))
    change_role(office, OPERATOR, str(demoted.account), Role.READER)
    end_client(office, OPERATOR, str(machine.client))
    for who, reason in (
        (gone, Reason.NOT_SIGNED_IN),
        (demoted, Reason.NOT_PERMITTED),
        (machine, Reason.SIGN_IN_FAILED),
    ):
        refuse(reason, issue_code, office, reader, who, passport)
        refuse(reason, revoke_code, office, who, code)
    assert [one.state for one in list_codes(office, OPERATOR, member=claims.garage.id)] == ["in_force"]


def test_issue_code__by_who_opened_or_serviced_it(claims: Claims) -> None:
    office, reader, garage = claims.ground.office, claims.reader, claims.garage.id
    clerk = claims.ground.join_staff(Role.CLERK, garage).principal
    machine = make_machine(claims)
    for principal in (clerk, machine):
        assert issue_code(office, reader, principal, claims.passports[0]).passport == claims.passports[0]
        refuse(Reason.UNKNOWN_PASSPORT, issue_code, office, reader, principal, claims.passports[1])
        refuse(Reason.UNKNOWN_PASSPORT, issue_code, office, reader, principal, bytes(16))
    # A passport of others and one that does not exist are refused alike.
    said = {
        refuse(Reason.UNKNOWN_PASSPORT, issue_code, office, reader, clerk, chain).message
        for chain in (claims.passports[1], bytes(16))
    }
    assert len(said) == 1
    reader_role = claims.ground.join_staff(Role.READER, garage).principal
    holder = claims.ground.join().principal
    others = [reader_role, holder, VISITOR, replace(machine, scopes=frozenset({Scope.PASSPORTS_READ}))]
    for principal in others:
        refuse(Reason.NOT_PERMITTED, issue_code, office, reader, principal, claims.passports[0])
    refuse(Reason.NOT_PERMITTED, issue_code, office, reader, clerk, claims.passports[0], member=claims.node.operator.id)
    refuse(Reason.MISSING_FIELD, issue_code, office, reader, OPERATOR, claims.passports[0])
    for days in (0, MAX_VALID_MS + 1):
        refuse(Reason.VALUE_OUT_OF_RANGE, issue_code, office, reader, clerk, claims.passports[0], valid_ms=days)
    assert len(claims.ground.read_events(Action.CODE_ISSUED)) == 2


def test_revoke_code__ends_it_for_good(claims: Claims) -> None:
    office, garage = claims.ground.office, claims.garage.id
    clerk, reader_role = (claims.ground.join_staff(role, garage).principal for role in (Role.CLERK, Role.READER))
    other = claims.ground.join_staff(Role.ADMIN, claims.node.operator.id).principal
    code, used = claims.issue(), claims.issue()
    claims.claim(claims.ground.join(), used)
    lines = list_codes(office, reader_role)
    assert sorted(line.state for line in lines) == ["in_force", "used"]
    assert count_codes(office, clerk) == 1
    assert list_codes(office, clerk, limit=1, before=lines[0].id) == [lines[1]]
    in_force, done = sorted(lines, key=lambda line: line.state)
    refuse(Reason.NOT_PERMITTED, revoke_code, office, reader_role, in_force.id)
    refuse(Reason.NOT_FOUND, revoke_code, office, other, in_force.id)
    refuse(Reason.CODE_NOT_VALID, revoke_code, office, clerk, done.id)
    for _ in range(2):
        revoke_code(office, clerk, in_force.id)
    assert len(claims.ground.read_events(Action.CODE_REVOKED)) == 1
    assert next(line.state for line in list_codes(office, clerk) if line.id == in_force.id) == "revoked"
    refuse(Reason.CODE_NOT_VALID, claims.claim, claims.ground.join(), code)
    assert list_codes(office, other) == []
    refuse(Reason.NOT_PERMITTED, list_codes, office, claims.ground.join().principal)
    refuse(Reason.VALUE_OUT_OF_RANGE, list_codes, office, other, before=in_force.id)


def test_issue_code__refused_member_retired(claims: Claims) -> None:
    code = claims.issue()
    with claims.node.open() as writer:
        writer.retire(claims.garage.id)
    claims.reader.refresh()
    refuse(Reason.MEMBER_RETIRED, claims.issue)
    # A member that has left lets nobody in any more, not even by what it printed before.
    refuse(Reason.CODE_NOT_VALID, claims.claim, claims.ground.join(), code)


# ---- claiming


def test_claim__makes_the_holder(claims: Claims) -> None:
    person = claims.ground.join()
    done = claims.claim(person, claims.issue().lower().replace("-", " "))
    assert (done.is_held, done.passport) == (True, claims.passports[0])
    assert claims.find_holder() == person.account
    claims.claim(person, claims.issue(1))
    assert Holdings(claims.ground.office).list_held(person.account) == claims.passports[:2]
    events = claims.ground.read_events(Action.CLAIMED)
    assert {event.about for event in events} == {f"pas_{chain.hex()}" for chain in claims.passports[:2]}


def test_claim__vin_or_plate_alone_gives_nothing(claims: Claims) -> None:
    person = claims.ground.join()
    for guess in (
        str(vin_subject(0)),
        vin_subject(0).value,
        claims.passports[0].hex(),
        f"pas_{claims.passports[0].hex()}",
    ):
        refuse(Reason.CODE_NOT_VALID, claims.claim, person, guess)
    assert claims.find_holder() is None


def test_claim__refused_code_not_valid__alike_whatever_was_wrong(claims: Claims) -> None:
    """Guessed, reused, expired, and of another vehicle: the same words."""
    person, other = claims.ground.join(), claims.ground.join()
    used, expired, mismatched = claims.issue(), claims.issue(1), claims.issue(2)
    claims.claim(person, used)
    holder = person.account
    claims.ground.wait(VALID_MS - 10_000)
    other.token = other.sign_in()
    refused = [
        refuse(Reason.CODE_NOT_VALID, claims.claim, other, "AAAA-AAAA-AAAA-AAAA"),
        refuse(Reason.CODE_NOT_VALID, claims.claim, other, used),
        refuse(Reason.CODE_NOT_VALID, claims.claim, other, mismatched, str(vin_subject(1))),
        refuse(Reason.CODE_NOT_VALID, claims.claim, other, mismatched, "no vehicle"),
    ]
    claims.ground.wait(10_000)
    other.token = other.sign_in()
    refused.append(refuse(Reason.CODE_NOT_VALID, claims.claim, other, expired))
    assert len({(one.message, str(one.facts)) for one in refused}) == 1
    assert claims.find_holder() == holder
    assert len(claims.ground.read_events(Action.CLAIM_REFUSED)) == 5


def test_claim__the_wrong_vehicle_does_not_use_up_the_code(claims: Claims) -> None:
    person, code = claims.ground.join(), claims.issue()
    refuse(Reason.CODE_NOT_VALID, claims.claim, person, code, str(vin_subject(1)))
    assert claims.claim(person, code, str(vin_subject(0))).is_held


def test_claim__refused_too_many_requests__by_account_and_by_address(claims: Claims) -> None:
    person, other = claims.ground.join(), claims.ground.join()
    code = claims.issue()
    for turn in range(LIMITS[Attempt.CLAIM_BY_ACCOUNT].attempts):
        refuse(Reason.CODE_NOT_VALID, claims.claim, person, "AAAA-AAAA-AAAA-AAAA", visit=Visit(f"198.51.100.{turn}"))
    refuse(Reason.TOO_MANY_REQUESTS, claims.claim, person, code, visit=Visit("198.51.100.99"))
    assert LIMITS[Attempt.CLAIM_BY_ADDRESS].attempts == 3 * LIMITS[Attempt.CLAIM_BY_ACCOUNT].attempts
    many = [claims.ground.join(visit=Visit(f"203.0.113.{n}")) for n in range(3)]
    for guesser in many:
        for _ in range(LIMITS[Attempt.CLAIM_BY_ACCOUNT].attempts):
            refuse(Reason.CODE_NOT_VALID, claims.claim, guesser, "AAAA-AAAA-AAAA-AAAA")
    refuse(Reason.TOO_MANY_REQUESTS, claims.claim, other, code)
    claims.ground.wait(LIMITS[Attempt.CLAIM_BY_ADDRESS].window_ms)
    assert claims.claim(other, code).is_held


def test_claim__refused_not_permitted_for_staff_and_visitors(claims: Claims) -> None:
    code, office = claims.issue(), claims.ground.office
    staff = claims.ground.join_staff(Role.ADMIN).principal
    refuse(Reason.NOT_PERMITTED, claim, office, claims.reader, staff, HERE, code)
    refuse(Reason.NOT_SIGNED_IN, claim, office, claims.reader, VISITOR, HERE, code)


def test_claim__by_the_present_holder_changes_nothing(claims: Claims) -> None:
    person = claims.ground.join()
    claims.claim(person, claims.issue())
    assert claims.claim(person, claims.issue()).is_held
    assert Holdings(claims.ground.office).list_held(person.account) == claims.passports[:1]


# ---- contests


def test_contest__nothing_changes_until_an_operator_decides(claims: Claims) -> None:
    holder, claimant, stranger = (claims.ground.join(name=name) for name in ("Holder", "Claimant", "Stranger"))
    office = claims.ground.office
    claims.claim(holder, claims.issue())
    done = claims.claim(claimant, claims.issue())
    assert done.contest is not None
    assert claims.find_holder() == holder.account
    for person in (holder, claimant):
        (seen,) = list_contests(office, person.principal)
        assert (seen.id, seen.state, seen.holder) == (done.contest, "open", holder.account)
    assert list_contests(office, stranger.principal) == []
    for person in (claimant, stranger):
        refuse(Reason.UNKNOWN_CONTEST, object_to, office, person.principal, done.contest)
    object_to(office, holder.principal, done.contest)
    assert list_contests(office, OPERATOR)[0].state == "objected"
    for person in (holder, claimant):
        refuse(Reason.NOT_PERMITTED, decide, office, claims.reader, person.principal, done.contest, is_granted=True)
    operator = claims.ground.join(OPERATOR_POST).principal
    decide(office, claims.reader, operator, done.contest, is_granted=False)
    assert claims.find_holder() == holder.account
    refuse(Reason.CONTEST_DECIDED, decide, office, claims.reader, operator, done.contest, is_granted=True)
    refuse(Reason.CONTEST_DECIDED, object_to, office, holder.principal, done.contest)
    for name in ("con_" + "0" * 32, "nothing"):
        refuse(Reason.UNKNOWN_CONTEST, decide, office, claims.reader, operator, name, is_granted=True)
    assert len(claims.ground.read_events(Action.CONTESTED)) == 1
    assert len(claims.ground.read_events(Action.CONTEST_OBJECTED)) == 1
    assert [event.why for event in claims.ground.read_events(Action.CONTEST_DECIDED)] == ["dismissed"]


def test_contest__granted_changes_the_holder_and_closes_the_others(claims: Claims) -> None:
    holder, first, second = (claims.ground.join() for _ in range(3))
    office = claims.ground.office
    claims.claim(holder, claims.issue())
    contests = [claims.claim(person, claims.issue()).contest for person in (first, second)]
    assert claims.claim(second, claims.issue()).contest == contests[1]
    decide(office, claims.reader, OPERATOR, contests[0] or "", is_granted=True)
    assert claims.find_holder() == first.account
    assert {one.state for one in list_contests(office, OPERATOR)} == {"granted", "dismissed"}
    refuse(Reason.CONTEST_DECIDED, decide, office, claims.reader, OPERATOR, contests[1] or "", is_granted=True)


def test_contest__refused_unknown_account__when_the_claimant_is_gone(claims: Claims) -> None:
    """Granted to nobody, a passport would be out of everybody's reach."""
    holder, claimant = claims.ground.join(), claims.ground.join()
    office, principal = claims.ground.office, claimant.principal
    claims.claim(holder, claims.issue())
    contest, code = claims.claim(claimant, claims.issue()).contest or "", claims.issue()
    end_account(office, OPERATOR, claimant.account)
    refuse(Reason.CONTEST_DECIDED, decide, office, claims.reader, OPERATOR, contest, is_granted=True)
    # As a version before this left it: open.
    with office.people.write() as connection:
        connection.execute("UPDATE contest SET state = 'open', decided_ms = NULL")
    refuse(Reason.UNKNOWN_ACCOUNT, decide, office, claims.reader, OPERATOR, contest, is_granted=True)
    assert claims.find_holder() == holder.account
    decide(office, claims.reader, OPERATOR, contest, is_granted=False)
    # Nor does a request that was let in a moment before take anything for it.
    give_up(office, holder.principal, claims.passports[0])
    refuse(Reason.NOT_SIGNED_IN, claim, office, claims.reader, principal, HERE, code)
    assert claims.find_holder() is None
    assert claims.claim(holder, code).is_held


@pytest.mark.parametrize("end", ["sold", "erased"])
def test_contest__that_cannot_be_granted_can_be_dismissed(claims: Claims, end: str) -> None:
    holder, claimant = claims.ground.join(), claims.ground.join()
    claims.claim(holder, claims.issue())
    contest = claims.claim(claimant, claims.issue()).contest or ""
    if end == "sold":
        claims.sell()
    else:
        claims.erase()
    with pytest.raises(Refused):
        decide(claims.ground.office, claims.reader, OPERATOR, contest, is_granted=True)
    decide(claims.ground.office, claims.reader, OPERATOR, contest, is_granted=False)
    assert [one.state for one in list_contests(claims.ground.office, OPERATOR)] == ["dismissed"]


# ---- the end of holding


def test_give_up__leaves_nobody_and_lets_the_next_one_claim(claims: Claims) -> None:
    person, other = claims.ground.join(), claims.ground.join()
    claims.claim(person, claims.issue())
    refuse(Reason.UNKNOWN_PASSPORT, give_up, claims.ground.office, other.principal, claims.passports[0])
    give_up(claims.ground.office, person.principal, claims.passports[0])
    assert claims.find_holder() is None
    refuse(Reason.UNKNOWN_PASSPORT, give_up, claims.ground.office, person.principal, claims.passports[0])
    assert claims.claim(other, claims.issue()).is_held
    assert len(claims.ground.read_events(Action.GIVEN_UP)) == 1


def test_sale__ends_the_holding_the_codes_and_the_contests_from_before(claims: Claims) -> None:
    """No right survives a change of holder. Design: security 12."""
    seller, claimant, buyer = (claims.ground.join() for _ in range(3))
    office, holdings = claims.ground.office, Holdings(claims.ground.office)
    claims.claim(seller, claims.issue())
    contest = claims.claim(claimant, claims.issue()).contest
    before = claims.issue()
    claims.sell()
    epoch, _ = claims.reader.read_authors(claims.passports[0])
    assert epoch == 1
    refuse(Reason.CODE_NOT_VALID, claims.claim, claimant, before)
    refuse(Reason.CONTEST_DECIDED, decide, office, claims.reader, OPERATOR, contest or "", is_granted=True)
    assert holdings.find_holder(claims.passports[0], epoch) is None
    assert holdings.list_held(seller.account) == []
    assert claims.claim(buyer, claims.issue()).is_held
    assert holdings.find_holder(claims.passports[0], epoch) == buyer.account
    assert len(claims.ground.read_events(Action.HOLDING_ENDED)) == 1


def test_sale__a_buyers_claim_replaces_the_seller_without_a_contest(claims: Claims) -> None:
    seller, buyer = claims.ground.join(), claims.ground.join()
    claims.claim(seller, claims.issue())
    claims.sell()
    assert claims.claim(buyer, claims.issue()).is_held
    assert claims.find_holder() == buyer.account


def test_end_account__ends_what_it_held(claims: Claims) -> None:
    person = claims.ground.join()
    claims.claim(person, claims.issue())
    end_account(claims.ground.office, OPERATOR, person.account)
    assert claims.find_holder() is None


def test_claim__refused_when_the_passport_was_erased(claims: Claims) -> None:
    code = claims.issue()
    claims.erase()
    with pytest.raises(Refused) as refused:
        claims.claim(claims.ground.join(), code)
    assert refused.value.reason is Reason.CODE_NOT_VALID


def test_staff__of_another_member_issue_nothing(claims: Claims) -> None:
    clerk = claims.ground.join(Post(Standing.STAFF, INSURER, Role.CLERK)).principal
    with pytest.raises(Refused):
        issue_code(claims.ground.office, claims.reader, clerk, claims.passports[0])
