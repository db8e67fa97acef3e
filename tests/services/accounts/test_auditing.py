"""The audit trail: every action leaves an entry, nobody reads another's, and nothing but names gets in."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import InvariantBroken, Reason
from carnet.services.accounts.auditing import Action, list_events, record, record_alone
from carnet.services.accounts.purging import ENDS, purge
from carnet.services.accounts.recovery import renew_codes
from carnet.services.accounts.sessions import sign_out
from carnet.services.idempotency import Idempotency
from carnet.services.principals import VISITOR, Principal, Role, Standing
from carnet.vault.people.catalogue import DAY_MS, KEPT_MS
from carnet.vault.people.tables import people
from tests.services.accounts.ground import GARAGE, INSURER, OPERATOR, Ground
from tests.services.accounts.test_signing_in import refuse
from tests.shared import ROOT


def test_actions__each_is_recorded_in_one_place_and_shown_by_a_test() -> None:
    source = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")) if path.name != "auditing.py")
    tests = "\n".join(path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py")))
    for action in Action:
        assert f"Action.{action.name}" in source, action
        assert re.search(rf"Action\.{action.name}\b", tests), action


def test_record__says_who_what_about_whom_why_and_when(ground: Ground) -> None:
    admin = ground.join_staff(Role.ADMIN)
    renew_codes(ground.office, admin.principal)
    (event,) = ground.read_events(Action.CODES_RENEWED)
    assert (event.who, event.about, event.why) == (admin.account, "", "")
    assert 0 < event.at <= ground.clock.now
    (created,) = ground.read_events(Action.ACCOUNT_CREATED)
    assert (created.about, created.member, created.why) == (admin.account, f"mem_{GARAGE.hex()}", "staff admin")


@given(text=st.text(min_size=1, max_size=60))
def test_record__takes_names_and_grounds_only(text: str) -> None:
    """No line break, markup or value gets into the trail, whatever somebody sends."""
    is_name = re.fullmatch(r"visitor|operator|node|[a-z]{3}_[0-9a-f]{32}", text, re.ASCII)
    is_ground = re.fullmatch(r"[a-z0-9_.:/ -]{0,80}", text, re.ASCII)
    for named, is_fine in (({"who": text}, is_name), ({"about": text}, is_name), ({"why": text}, is_ground)):
        if not is_fine:
            with pytest.raises(InvariantBroken):
                record(None, _NoOffice(), Action.DENIED, **{"who": "visitor", **named})  # type: ignore[arg-type]


class _NoOffice:
    """What is refused never gets as far as the store or the clock."""


def test_list_events__shows_each_what_concerns_them(ground: Ground) -> None:
    admin, auditor, clerk = (ground.join_staff(role) for role in (Role.ADMIN, Role.AUDITOR, Role.CLERK))
    other, holder = ground.join_staff(Role.ADMIN, INSURER), ground.join()
    record_alone(ground.office, Action.DENIED, admin.principal, about="pas_" + "0" * 32, why="timeline")
    office = ground.office
    assert len(list_events(office, OPERATOR)) > len(list_events(office, admin.principal))
    for person in (admin, auditor):
        assert {event.member for event in list_events(office, person.principal)} == {f"mem_{GARAGE.hex()}"}
    assert {event.member for event in list_events(office, other.principal)} == {f"mem_{INSURER.hex()}"}
    for person in (clerk, holder):
        for event in list_events(office, person.principal):
            assert person.account in (event.who, event.about)
    refuse(Reason.NOT_SIGNED_IN, list_events, office, VISITOR)
    refuse(Reason.NOT_PERMITTED, list_events, office, Principal(Standing.MACHINE, client="cli_" + "0" * 32))
    refuse(Reason.VALUE_OUT_OF_RANGE, list_events, office, OPERATOR, limit=0)


def test_list_events__pages_from_the_newest(ground: Ground) -> None:
    for _ in range(5):
        ground.wait(10)
        ground.join()
    whole = list_events(ground.office, OPERATOR, limit=200)
    assert [event.at for event in whole] == sorted((event.at for event in whole), reverse=True)
    paged, before = [], None
    while page := list_events(ground.office, OPERATOR, before=before, limit=3):
        paged += page
        before = page[-1].id
    assert paged == list(whole)
    about = whole[-1].about
    assert all(event.about == about for event in list_events(ground.office, OPERATOR, about=about))


# ---- retention


def test_purge__deletes_what_is_past_its_retention_and_nothing_else(ground: Ground) -> None:
    person = ground.join()
    gone = ground.join()
    sign_out(ground.office, gone.token)
    purge(ground.office.people, ground.clock())
    assert find_counts(ground)["account"] == 2
    ground.wait(61 * DAY_MS)
    purge(ground.office.people, ground.clock())
    counts = find_counts(ground)
    assert (counts["account"], counts["passkey"], counts["session"], counts["throttle"]) == (2, 2, 0, 0)
    assert counts["event"] > 0
    ground.wait(KEPT_MS["event"])
    purge(ground.office.people, ground.clock())
    assert find_counts(ground)["event"] == 0
    assert person.sign_in()


def test_purge__keeps_a_request_that_was_never_answered_for_two_days(ground: Ground) -> None:
    records = Idempotency(ground.office.people, ground.office.key)
    begun = records.start(OPERATOR, "key-of-a-request", b"asked", ground.clock.now)
    ground.wait(DAY_MS)
    purge(ground.office.people, ground.clock())
    again = records.start(OPERATOR, "key-of-a-request", b"asked", ground.clock.now)
    assert again == begun
    ground.wait(2 * DAY_MS)
    purge(ground.office.people, ground.clock())
    assert find_counts(ground)["idempotency"] == 0


def test_purge__knows_the_end_of_every_table() -> None:
    # Passkeys end with their account, public keys with their client, files with their passport.
    others = {"passkey", "oauth_key", "attachment", "saved_mapping", "appearance", "member_quota", "webhook_cursor"}
    assert set(ENDS) | others == set(people.tables)
    assert set(KEPT_MS) <= set(ENDS)


def find_counts(ground: Ground) -> dict[str, int]:
    with ground.office.people.read() as connection:
        return {name: int(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in people.tables}
