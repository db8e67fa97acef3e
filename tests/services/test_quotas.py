"""A member's own limit: set by an operator, for all of its programs and all workers together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.errors import Reason
from carnet.node.home import Home
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import OPERATOR_HERE, office_at
from carnet.services.principals import VISITOR, Scope
from carnet.services.quotas import FRESH_MS, Limits, list_quotas, set_quota
from carnet.web.api.shared_counts import SharedCounts
from tests.cli.run import carnet
from tests.node.home import make_node
from tests.services.approving.ground import Ground, open_ground, refusing
from tests.serving import serving_home, wait_for

MEMBER, OTHER = b"m" * 16, b"n" * 16


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with open_ground(tmp_path) as made:
        yield made


def test_set_quota__is_in_force_a_moment_later_and_noted(ground: Ground) -> None:
    office, first = ground.office, ground.operators[0]
    limits = Limits(office.people, office.clock)
    assert limits.find(MEMBER) is None
    for wrong in (0, 10_000_001):
        with refusing(Reason.VALUE_OUT_OF_RANGE):
            set_quota(office, first, MEMBER, wrong)
    with refusing(Reason.NOT_PERMITTED):
        set_quota(office, VISITOR, MEMBER, 5)
    set_quota(office, first, MEMBER, 500)
    set_quota(office, first, MEMBER, 600)
    ground.wait(FRESH_MS)
    wait_for(lambda: limits.find(MEMBER) == 600, "the limit was not read")
    assert limits.find(OTHER) is None
    (one,) = list_quotas(office, first)
    assert (one.member, one.requests_per_minute, one.changed_by) == (MEMBER, 600, first.account)
    set_quota(office, first, MEMBER, None)
    ground.wait(FRESH_MS)
    wait_for(lambda: limits.find(MEMBER) is None, "the limit was not taken away")
    told = [(event.action, event.why) for event in list_events(office, OPERATOR_HERE)]
    assert told[0] == (Action.QUOTA_SET, "none")


def test_shared_counts__are_those_of_all_workers_in_this_minute(tmp_path: Path) -> None:
    one, two = SharedCounts(tmp_path, "one"), SharedCounts(tmp_path, "two")
    try:
        assert [one.add(MEMBER, 7), two.add(MEMBER, 7), one.add(MEMBER, 7), two.add(OTHER, 7)] == [1, 2, 3, 1]
        # Another minute begins anew, and what a worker still says of the last one does not count.
        assert [one.add(MEMBER, 8), one.add(MEMBER, 8), two.add(MEMBER, 8)] == [1, 2, 3]
        # One that comes while others count is known at their next request.
        late = SharedCounts(tmp_path, "late")
        assert [late.add(MEMBER, 8), one.add(MEMBER, 8)] == [4, 5]
        late.close()
        assert [one.add(MEMBER, 8), two.add(MEMBER, 8)] == [5, 6]
    finally:
        one.close()
        two.close()
    assert list(tmp_path.iterdir()) == []


def test_quota__holds_for_all_workers_and_leaves_others_alone(tmp_path: Path) -> None:
    """Two programs of one member on two workers: together they get what the member may, and another member all."""
    node = make_node(tmp_path)
    with node.open() as writer:
        limited, free = (writer.enrol_member(name, "garage").id for name in ("Limited", "Free"))
    with office_at(Home(node.path)) as (office, _):
        keys = []
        for member in (limited, limited, free):
            client = add_client(office, OPERATOR_HERE, member, "A program", frozenset({Scope.PASSPORTS_READ}))
            keys.append(issue_key(office, OPERATOR_HERE, client.public_id).secret)
    assert carnet("quota", "set", "Limited", "60", home=node.path).code == 0
    assert carnet("quota", "list", "--json", home=node.path).json["requests_per_minute"] == 60
    with serving_home(node.path, tmp_path / "log", "--workers", "2") as served:

        def ask(key: str) -> tuple[int, bool]:
            """The status, and whether the member's own limit was what counted."""
            answer = served.ask("GET", "/v1/kinds", Authorization=f"Bearer {key}")
            return answer.status, "q=60;" in answer.headers["ratelimit-policy"]

        answers = []
        # All of it within one minute, of which a busy machine needs a third; once more if it needed longer.
        answers: list[tuple[int, bool]] = []
        began, ended = time.time() // 60, -1.0
        while began != ended:
            if answers or time.time() % 60 > 40:
                time.sleep(60 - time.time() % 60)
            began = time.time() // 60
            answers = [ask(keys[at % 2]) for at in range(110)]
            ended = time.time() // 60
        counted = [status for status, is_own in answers if is_own]
        # A worker has read the limits a moment after its first request.
        assert len(counted) > 90
        # One after the other they are counted exactly, whichever worker each of them came to.
        assert counted == [200] * 60 + [429] * (len(counted) - 60)
        assert [ask(keys[2]) for _ in range(20)] == [(200, False)] * 20
        refused = served.ask("GET", "/v1/kinds", Authorization=f"Bearer {keys[0]}")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert carnet("quota", "remove", "Limited", home=node.path).code == 0
    assert carnet("quota", "list", home=node.path).code == 0
