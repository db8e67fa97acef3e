"""The audit trail in the reader's words: every action, everybody who acts without an account, every ground."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from carnet.services.accounts.auditing import Action, Event, record
from carnet.services.accounts.throttling import Attempt
from carnet.services.approving.wishes import NAMES
from carnet.services.erasing import REASONS
from carnet.services.principals import Role
from carnet.types import MemberKind
from carnet.web.language import LANGUAGES, Language
from carnet.web.pages.acts import say_action
from carnet.web.pages.grounds import name_families, name_member_kinds, name_standings, say_ground
from tests.web.workshop import HTML, Workshop, opening_workshop

GROUNDS = [
    *((Action.THROTTLED, attempt.value) for attempt in Attempt),
    *((Action.APPROVAL_ASKED, name) for name in NAMES.values()),
    *((Action.PASSPORT_ERASED, f"3 entries: {reason}") for reason in REASONS),
    *((Action.MEMBER_ENROLLED, f"{kind}: key kept here") for kind in MemberKind),
    *((Action.ACCOUNT_INVITED, f"staff {role}") for role in Role),
    *((Action.ROLE_CHANGED, role.value) for role in Role),
    (Action.APPROVAL_FAILED, "enrol: member_exists"),
    (Action.PASSPORT_ERASED, "whole: court_order"),
    (Action.MEMBER_ENROLLED, "garage: own key"),
    (Action.ACCOUNT_INVITED, "holder"),
    (Action.ACCOUNT_CREATED, "operator"),
    (Action.ACCOUNT_CREATED, "demo"),
    (Action.SIGNED_IN, "passkey"),
    (Action.SIGN_IN_FAILED, "recovery"),
    (Action.SIGN_IN_FAILED, "confirm"),
    (Action.SESSION_ENDED, "others"),
    (Action.KEY_ISSUED, "oauth"),
    (Action.KEY_REFUSED, "token"),
    (Action.QUOTA_SET, "none"),
    (Action.QUOTA_SET, "60 a minute"),
    (Action.CUSTOMERS_INVITED, "1 of 3"),
    (Action.HOLDING_ENDED, "epoch 2"),
    (Action.MEMBER_ACCREDITED, "4 kinds"),
    (Action.SIGNING_KEY_REVOKED, "disputed since record 1200"),
    (Action.APPEARANCE_CHANGED, "no logo"),
    (Action.APPEARANCE_CHANGED, "logo 120 by 40"),
    (Action.APPEARANCE_CHANGED, "1f2a44 ffffff 2 origins"),
    (Action.WEBHOOK_STOPPED, "failing"),
    (Action.WEBHOOK_STOPPED, "gone"),
    (Action.WEBHOOK_REPLAYED, "dead since"),
    (Action.CONTEST_DECIDED, "granted"),
    (Action.CONTEST_DECIDED, "dismissed"),
    (Action.BACKUP_FAILED, "disk_full"),
    (Action.BACKUP_FAILED, "failed"),
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with opening_workshop(tmp_path_factory.mktemp("workshop")) as made:
        yield made


def tell(language: Language, action: Action, ground: str) -> str:
    return say_ground(language, Event("evt_" + "0" * 32, 0, action, "visitor", "", "", ground))


@pytest.mark.parametrize("language", LANGUAGES)
def test_action__every_one_has_words_and_its_family_too(language: Language) -> None:
    said = [say_action(language, action) for action in Action]
    assert not set(said) & {action.value for action in Action}
    assert len(set(said)) == len(said), "two actions are told alike"
    assert set(name_families(language)) == {action.value.partition(".")[0] for action in Action}
    assert set(name_member_kinds(language)) == set(MemberKind)


def test_action__and_ground_are_said_in_the_readers_language() -> None:
    for action in Action:
        assert say_action("fr", action) != say_action("en", action), action
    assert all(name_standings("fr")[who] != name_standings("en")[who] for who in ("visitor", "operator", "node"))


@pytest.mark.parametrize("action, ground", GROUNDS, ids=str)
def test_ground__is_said_in_words(action: Action, ground: str) -> None:
    french, english = tell("fr", action, ground), tell("en", action, ground)
    assert ground != french
    assert french != english
    assert not re.search(r"[a-z]_[a-z]|%|\(", french + english)


@pytest.mark.parametrize("ground", ["", "csv", "cod_" + "1" * 32, "passports:read files", "post /organisation"])
def test_ground__that_is_a_name_stays_as_it_is(ground: str) -> None:
    assert [tell(language, Action.DENIED, ground) for language in LANGUAGES] == [ground, ground]


def test_pages__of_the_trail_have_no_code_in_them(shop: Workshop) -> None:
    office = shop.lodge.office
    with office.people.write() as connection:
        record(connection, office, Action.THROTTLED, "visitor", why="claim_by_address")
        record(connection, office, Action.SIGN_IN_FAILED, "visitor", member=shop.members["garage"], why="passkey")
        record(connection, office, Action.WEBHOOK_STOPPED, "node", member=shop.members["garage"], why="gone")
    for who, path in (("operator", "/operator/audit"), ("admin", "/organisation/audit")):
        shop.be(who)
        page = shop.client.get(path, headers=HTML | {"Accept-Language": "fr"}).text
        shown = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
        assert "Quelqu’un qui n’est pas connecté" in shown
        assert "Le nœud lui-même" in shown
        assert not re.search(r"\b(visitor|node|passkey|gone|access\.|claim_by_address)", shown)
