"""Messages are made from what happened: all of it, once, for whom it concerns, and nothing besides."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from carnet.ledger.commands import AccreditMember
from carnet.ledger.rules.default import CLASS_OF_KIND
from carnet.services.accounts.auditing import Action, list_events, record
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import DAY_MS
from carnet.services.accounts.purging import purge
from carnet.services.appending import NewEntry, Sealed
from carnet.services.filing.records import Wish
from carnet.services.principals import Scope
from carnet.services.webhooks.endpoints import Endpoint, end, start_again, stop
from carnet.services.webhooks.events import MAX_ENTRIES
from carnet.services.webhooks.following import EXPIRES_WITHIN_MS, Follower, Pace
from carnet.types import Basis, Mark
from tests.node.home import make_item, more, occurred
from tests.node.home import reading as make_reading
from tests.services.accounts.ground import OPERATOR
from tests.services.town import VIN, reading, sid_of
from tests.services.webhooks.ground import Ground


def write(ground: Ground, km: int, day: str = "2023-05-04", by: str = "garage") -> Sealed:
    return ground.town.append(ground.town.staff(by), reading(km, day), subject=VIN)


def test_entries__are_told_to_their_author_alone(ground: Ground) -> None:
    mine, other = ground.add("garage"), ground.add("insurer")
    passport = ground.town.open("dealer")
    sealed = write(ground, 1000)
    assert ground.follow() == 1
    ((kind, data),) = ground.told(mine)
    assert kind == "entry.sealed"
    assert data["entries"] == [
        {"entry": sealed.entry, "passport": f"pas_{passport.hex()}", "kind": "vehicle.odometer/1"}
    ]
    assert (data["entry_count"], data["has_more"]) == (1, False)
    assert data["submission"].startswith("sub_")
    assert ground.told(other) == []
    assert ground.follow() == 0


def test_messages__hold_ids_and_kinds_and_no_value(ground: Ground) -> None:
    mine = ground.add("garage")
    ground.town.open("dealer")
    ground.town.append(ground.town.staff("garage"), reading(123_457, "2023-05-04"), subject=VIN)
    ground.follow()
    (message,) = ground.list(mine)
    text = message.payload.decode()
    for value in ("123457", VIN.value, "2023-05-04", 'read"'):
        assert value not in text


def test_follow__whatever_came_before_the_webhook_is_not_told(ground: Ground) -> None:
    ground.town.open("dealer")
    write(ground, 1000)
    ground.wait(1000)
    mine = ground.add("garage")
    assert ground.follow() == 0
    second = write(ground, 2000, "2023-06-01")
    assert ground.follow() == 1
    assert ground.told(mine)[0][1]["entries"][0]["entry"] == second.entry


def test_follow__nothing_is_lost_or_told_twice_by_a_crash_at_any_point(ground: Ground) -> None:
    """Another process begins where the last one left it; one that forgot its place finds the same ids."""
    mine = ground.add("garage")
    ground.town.open("dealer")
    sent = []
    for number in range(6):
        sealed = ground.town.append(
            ground.town.staff("garage"), reading(1000 + number, f"2023-06-0{number + 1}"), subject=VIN
        )
        sent.append(sealed.entry)
        if number % 2:
            Follower(ground.office, ground.files, Pace(lambda: 0.0)).follow(ground.town.read())
    assert [data["entries"][0]["entry"] for _, data in ground.told(mine)] == sent
    with ground.office.people.write() as connection:
        connection.execute("DELETE FROM webhook_cursor")
    assert ground.follow() == 0
    assert len(ground.told(mine)) == 6


@pytest.mark.parametrize("is_followed_before", [True, False])
def test_follow__across_a_census(ground: Ground, is_followed_before: bool) -> None:
    """A census forgets which chains changed; what was sealed before it is found in their rows."""
    mine = ground.add("garage")
    ground.town.open("dealer")
    sent = [write(ground, 1000).entry]
    if is_followed_before:
        ground.follow()
    for day in (1, 2):
        sent.append(write(ground, 2000 + day, f"2023-07-0{day}").entry)
        ground.town.writer.take_census()
    sent.append(write(ground, 3000, "2023-08-01").entry)
    ground.follow()
    told = {one["entry"] for _, data in ground.told(mine) for one in data["entries"]}
    assert told == set(sent)
    assert len(ground.told(mine)) == 4


def test_follow__a_bulk_submission_is_one_message_with_its_first_entries(ground: Ground) -> None:
    operator = ground.town.members["operator"]
    mine = ground.add("operator")
    passport = ground.town.open("dealer")
    chain = ground.town.writer.find_chain_by_id(passport)
    items = [make_reading(VIN, 10 + number) for number in range(MAX_ENTRIES + 50)]
    ground.town.writer.append(operator.id, Basis.REPORTED, [more(chain, *items)])
    assert ground.follow() == 1
    ((_, data),) = ground.told(mine)
    assert (data["entry_count"], len(data["entries"]), data["has_more"]) == (MAX_ENTRIES + 50, MAX_ENTRIES, True)


def test_marks__of_others_are_told_and_ones_own_are_not(ground: Ground) -> None:
    mine, other = ground.add("garage"), ground.add("centre")
    ground.town.open("dealer")
    first = write(ground, 1000)
    ground.follow()
    contesting = NewEntry(
        kind="passport.contested/1",
        occurred=occurred("2023-07-01"),
        fields={"reason": "wrong_value"},
        contests=sid_of(first),
    )
    ground.town.append(ground.town.staff("centre"), contesting, subject=VIN)
    correcting = reading(1100)
    ground.town.append(
        ground.town.staff("garage"), msgspec.structs.replace(correcting, corrects=sid_of(first)), subject=VIN
    )
    ground.follow()
    told = ground.told(mine)
    assert [kind for kind, _ in told] == ["entry.sealed", "entry.contested", "entry.sealed"]
    assert told[1][1] == {
        "entry": first.entry,
        "passport": told[0][1]["entries"][0]["passport"],
        "kind": "vehicle.odometer/1",
    }
    assert [kind for kind, _ in ground.told(other)] == ["entry.sealed"]


def test_marks__of_a_corrector_supersede_and_those_of_others_contest(ground: Ground) -> None:
    """As docs/spec 2.9 judges them: only who is accredited for it withdraws another's entry."""
    mine = ground.add("garage", "https://hooks.example.org/", "entry.superseded", "entry.contested")
    passport, writer = ground.town.open("dealer"), ground.town.writer
    first, second = (write(ground, 1000 + day, f"2023-05-0{day}") for day in (1, 2))
    authority = writer.enrol_member("The authority", "public_authority")
    right = ("passport.rectified/1", int(Basis.HOSTED), CLASS_OF_KIND["passport.rectified/1"])
    writer.run(AccreditMember(authority.id, tuple(sorted({*authority.accreditations, right}))))
    centre = ground.town.members["centre"]
    for author, kind, target in (
        (authority, "passport.rectified/1", first),
        (centre, "passport.corrected/1", second),
    ):
        marking = make_item(kind, VIN, Mark.SUPERSEDES, sid_of(target), reason="typing_error")
        assert writer.append(author.id, Basis.HOSTED, [more(writer.find_chain_by_id(passport), marking)]).receipts
    ground.follow()
    told = [(kind, data["entry"]) for kind, data in ground.told(mine)]
    assert told == [("entry.superseded", first.entry), ("entry.contested", second.entry)]


def test_kinds__only_those_that_were_asked_for(ground: Ground) -> None:
    mine = ground.add("garage", "https://hooks.example.org/", "file.done")
    ground.town.open("dealer")
    write(ground, 1000)
    assert ground.follow() == 0
    assert ground.told(mine) == []


def test_files__done_and_failed(ground: Ground) -> None:
    mine, other = ground.add("garage"), ground.add("insurer")
    garage = ground.town.members["garage"].id
    jobs = [ground.files.create(garage, "a test", Wish(name="a.csv", format="dvsa", size=3)) for _ in range(3)]
    ground.files.end(jobs[0], "done")
    ground.files.end(jobs[1], "failed", failure=("unreadable_file", "no"))
    ground.files.end(jobs[2], "cancelled")
    assert ground.follow() == 2
    assert ground.follow() == 0
    assert dict(ground.told(mine)) == {
        "file.done": {"job": jobs[0].id, "format": "dvsa"},
        "file.failed": {"job": jobs[1].id, "format": "dvsa"},
    }
    assert ground.told(other) == []


def test_claims__are_told_to_who_printed_the_code(ground: Ground) -> None:
    mine, other = ground.add("garage"), ground.add("insurer")
    passport, contest, who = "pas_" + "1" * 32, "con_" + "2" * 32, "acc_" + "3" * 32
    with ground.office.people.write() as connection:
        garage = ground.town.members["garage"].id
        record(connection, ground.office, Action.CLAIMED, who, about=passport, member=garage)
        record(connection, ground.office, Action.CONTESTED, who, about=passport, member=garage, why=contest)
    assert ground.follow() == 2
    assert ground.follow() == 0
    assert sorted(ground.told(mine), key=repr) == [
        ("claim.claimed", {"passport": passport}),
        ("claim.contested", {"passport": passport, "contest": contest}),
    ]
    assert who not in repr(ground.list(mine))
    assert ground.told(other) == []


def test_keys__that_end_soon_are_told_once(ground: Ground) -> None:
    mine = ground.add("garage")
    garage = ground.town.members["garage"].id
    client = add_client(ground.office, OPERATOR, garage, "Workshop", frozenset({Scope.FILES}))
    issued = issue_key(ground.office, OPERATOR, client.public_id, valid_ms=EXPIRES_WITHIN_MS + DAY_MS)
    assert ground.follow() == 0
    ground.wait(2 * DAY_MS)
    assert ground.follow() == 1
    assert ground.follow() == 0
    ((kind, data),) = ground.told(mine)
    assert (kind, data["client"]) == ("key.expiring", client.public_id)
    assert issued.secret.startswith(data["hint"])
    assert issued.secret not in repr(ground.list(mine))


def test_stopped_and_ended__are_told_nothing(ground: Ground) -> None:
    mine = ground.add("garage")
    ground.town.open("dealer")

    def write_one(km: int) -> None:
        ground.wait(1000)
        write(ground, km, "2023-06-01")
        ground.follow()

    with ground.office.people.write() as connection:
        stop(connection, ground.office, mine, "failing")
    write_one(1000)
    assert ground.told(mine) == []
    ground.wait(1000)
    start_again(ground.office, ground.admin(), mine.public_id)
    assert [event.action for event in _events(ground, mine)][:1] == [Action.WEBHOOK_STARTED]
    write_one(2000)
    assert len(ground.told(mine)) == 1
    end(ground.office, ground.admin(), mine.public_id)
    write_one(3000)
    with ground.office.people.read() as connection:
        assert connection.execute("SELECT count(*) FROM webhook_message").fetchone()[0] == 1


def test_pace__a_long_look_is_followed_by_a_longer_pause() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.is_due()
    now[0] = 2.0
    pace.note(0.0)
    assert not pace.is_due()
    now[0] = 41.9
    assert not pace.is_due()
    now[0] = 42.0
    assert pace.is_due()


def test_purge__messages_after_thirty_days(ground: Ground) -> None:
    mine = ground.add("garage")
    ground.town.open("dealer")
    write(ground, 1000)
    ground.follow()
    ground.wait(31 * DAY_MS)
    assert purge(ground.office.people, ground.office.clock())["webhook_message"] == 1
    assert ground.follow() == 0
    assert ground.told(mine) == []


def _events(ground: Ground, endpoint: Endpoint) -> list[Any]:
    return list(list_events(ground.office, OPERATOR, about=endpoint.public_id))
