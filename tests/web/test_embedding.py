"""A view of one vehicle in one frame: whatever else its token is tried on, or whenever its reason ends, shows nothing.

Design: security 6, 9, 12, 26, 33.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.office import DAY_MS
from carnet.services.accounts.purging import purge
from carnet.services.accounts.registry import end_account
from carnet.services.accounts.sessions import find_principal
from carnet.services.accounts.throttling import LIMITS, Attempt
from carnet.services.app_views import MAX_VIEWS, VALID_MS, end_view, grant_view, list_views
from carnet.services.appearance.looks import Look, remove_look
from carnet.services.claims import give_up
from carnet.services.holdings import Holdings, begin_holding
from carnet.services.principals import Principal, Role
from carnet.types import Basis, Mark
from tests.node.home import make_item, more, vin_subject
from tests.services.accounts.ground import OPERATOR
from tests.web.lodge import Lodge, lodging, post_form, read_form_token, visiting
from tests.web.test_organisation import HTML, sign_in
from tests.web.test_with_member import dress, join

APP, OTHER = "https://app.example", "https://other.example"


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        yield made


@pytest.fixture
def client(lodge: Lodge) -> Iterator[TestClient[Litestar]]:
    with visiting(lodge) as made:
        yield made


@pytest.fixture
def member(lodge: Lodge) -> bytes:
    """A garage that has never written in any passport."""
    return bytes(lodge.node.writers[0].enrol_member("Les Tilleuls", "garage").id)


@pytest.fixture
def look(lodge: Lodge, member: bytes) -> Look:
    return dress(lodge, member, APP, OTHER)


def get_principal(lodge: Lodge, client: TestClient[Litestar]) -> Principal:
    found = find_principal(lodge.office, client.cookies["__Host-carnet_session"])
    assert found is not None
    return found


def grant(lodge: Lodge, client: TestClient[Litestar], look: Look, number: int = 0, app: str = APP) -> str:
    """The token of a view that the signed-in holder grants; no session from then on, as in a third party's frame."""
    with lodge.node.read() as reader:
        holdings, principal = Holdings(lodge.office), get_principal(lodge, client)
        return grant_view(lodge.office, reader, holdings, principal, lodge.passports[number], look, app).token


def show(client: TestClient[Litestar], look: Look, passport: bytes, token: str, app: str = APP, **more: str) -> Any:
    """What the frame gets. Its browser sends no cookie."""
    cookies = dict(client.cookies)
    client.cookies.clear()
    path = f"/embed/{look.public_id}/vehicles/pas_{passport.hex()}"
    headers = {"Accept": "text/html", "Accept-Language": "en", "Sec-Fetch-Site": "same-origin", "Origin": "null"}
    answer = client.post(path, data={"view": token, "app": app, **more}, headers=headers)
    for name, value in cookies.items():
        client.cookies.set(name, value, domain="carnet.example")
    return answer


def is_open(answer: Any) -> bool:
    is_shown = "Passport no." in answer.text
    assert is_shown == (answer.status_code == 200), answer.status_code
    return is_shown


def sell(lodge: Lodge, number: int = 0) -> None:
    writer, subject = lodge.node.writers[0], vin_subject(number)
    dealer = writer.enrol_member(f"Dealer {number}", "dealer").id
    item = make_item("passport.transferred/1", subject, Mark.TRANSFER, reason="sale")
    outcome = writer.append(dealer, Basis.HOSTED, [more(writer.find_chain(subject), item)])
    assert not outcome.refusals, outcome.refusals


def test_frame__shows_the_holder_what_they_see_and_has_no_cookie(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    join(lodge, client, lodge.passports[0])
    token = grant(lodge, client, look)
    for section, sign in (
        ("summary", "State of the passport"),
        ("history", "/entries/1"),
        ("odometer", "All readings"),
    ):
        answer = show(client, look, lodge.passports[0], token, section=section)
        assert is_open(answer), answer.text
        assert sign in answer.text
        assert "set-cookie" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        assert f"frame-ancestors {APP};" in answer.headers["content-security-policy"]
        assert OTHER not in answer.headers["content-security-policy"]
        assert "x-frame-options" not in answer.headers
        # Nothing is written from a frame: its forms ask it for another section of itself, and carry no token of ours.
        assert "form_token" not in answer.text
        assert token not in str(answer.url)


def test_frame__before_it_is_opened_says_nothing_of_any_vehicle(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    join(lodge, client, lodge.passports[0])
    shown = [
        client.get(f"/embed/{look.public_id}/vehicles/pas_{passport}?app={APP}", headers=HTML)
        for passport in (lodge.passports[0].hex(), lodge.passports[1].hex(), "0" * 32)
    ]
    # A session is of no use in it, even where a browser sends one: the same for one's own vehicle, another's, none.
    texts = [
        answer.text.replace(passport, "")
        for answer, passport in zip(shown, (lodge.passports[0].hex(), lodge.passports[1].hex(), "0" * 32), strict=True)
    ]
    assert texts[0] == texts[1] == texts[2]
    assert "set-cookie" not in shown[0].headers


@pytest.mark.parametrize(
    "app", ["", "https://evil.example", "https://app.example.evil", "'none'", "*", "https://APP.example"]
)
def test_frame__refused_not_found__for_an_origin_that_is_not_registered(
    lodge: Lodge, client: TestClient[Litestar], look: Look, app: str
) -> None:
    join(lodge, client, lodge.passports[0])
    path = f"/embed/{look.public_id}/vehicles/pas_{lodge.passports[0].hex()}"
    for answer in (
        client.get(path, params={"app": app}, headers=HTML),
        show(client, look, lodge.passports[0], grant(lodge, client, look), app),
        client.get(f"{path.replace('/embed', '/with')}/open", params={"app": app}, headers=HTML),
    ):
        assert answer.status_code == 404
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"


def test_every_other_page__is_framed_by_nobody(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    join(lodge, client, lodge.passports[0])
    own = f"/vehicles/pas_{lodge.passports[0].hex()}"
    for path in (
        "/",
        "/sign-in",
        "/vehicles",
        own,
        f"/with/{look.public_id}{own}",
        f"/with/{look.public_id}{own}/open?app={APP}",
    ):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 200, path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
        assert answer.headers["x-frame-options"] == "DENY", path


def test_window__alone_keeps_who_opened_it(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    path = f"/with/{look.public_id}/vehicles/pas_{lodge.passports[0].hex()}"
    sent = client.get(f"{path}/open?app={APP}", headers=HTML, follow_redirects=False)
    assert sent.status_code == 303
    for where in (f"{path}/open?app={APP}", sent.headers["location"]):
        answer = client.get(where, headers=HTML, follow_redirects=False)
        assert answer.headers["cross-origin-opener-policy"] == "unsafe-none", where
    for where in (
        path,
        "/sign-in",
        f"/sign-in?back={path}",
        "/sign-in?back=/with/mem_x/vehicles/pas_y/open",
        "/vehicles",
    ):
        answer = client.get(where, headers=HTML, follow_redirects=False)
        assert answer.headers["cross-origin-opener-policy"] == "same-origin", where


def test_window__grants_with_a_form_of_ours_and_hands_the_token_over_once(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    join(lodge, client, lodge.passports[0])
    page = f"/with/{look.public_id}/vehicles/pas_{lodge.passports[0].hex()}/open"
    asked = client.get(f"{page}?app={APP}", headers=HTML)
    assert APP in asked.text
    assert "data-token" not in asked.text
    forged = client.post(page, data={"app": APP}, headers={**HTML, "Sec-Fetch-Site": "cross-site", "Origin": APP})
    assert forged.status_code == 403
    done = post_form(client, f"{page}?app={APP}", page, app=APP)
    token = done.text.partition('data-token="')[2].partition('"')[0]
    assert is_open(show(client, look, lodge.passports[0], token))
    (event,) = [one for one in list_events(lodge.office, OPERATOR) if one.action is Action.VIEW_GRANTED]
    assert event.about == f"pas_{lodge.passports[0].hex()}"
    assert event.member == look.public_id
    for other in (f"pas_{lodge.passports[1].hex()}", "pas_" + "0" * 32):
        assert client.get(f"/with/{look.public_id}/vehicles/{other}/open?app={APP}", headers=HTML).status_code == 404


def test_look__stands_in_the_journal_once_for_each_view(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    join(lodge, client, lodge.passports[0])
    page = f"/vehicles/pas_{lodge.passports[0].hex()}/looks"
    assert "shown to you in its app" not in client.get(page, headers=HTML).text
    for count in (1, 2):
        token = grant(lodge, client, look)
        for _ in range(3):
            assert is_open(show(client, look, lodge.passports[0], token))
        assert client.get(page, headers=HTML).text.count(f"shown to you in its app, {APP}") == count


END: dict[str, Callable[[Lodge, TestClient[Litestar], Look, Principal], object]] = {
    "expiry": lambda lodge, client, look, holder: setattr(lodge.node.clock, "now", lodge.node.clock.now + VALID_MS),
    "sale": lambda lodge, client, look, holder: sell(lodge),
    "giving up": lambda lodge, client, look, holder: give_up(lodge.office, holder, lodge.passports[0]),
    "end of the account": lambda lodge, client, look, holder: end_account(lodge.office, holder, str(holder.account)),
    "removal of the look": lambda lodge, client, look, holder: remove_look(lodge.office, OPERATOR, look.member),
    "an origin withdrawn": lambda lodge, client, look, holder: dress(lodge, look.member, OTHER),
    "retirement": lambda lodge, client, look, holder: lodge.node.writers[0].retire(look.member),
}  # fmt: skip


@pytest.mark.parametrize("end", END)
def test_view__dies_at_once_with(lodge: Lodge, client: TestClient[Litestar], look: Look, end: str) -> None:
    join(lodge, client, lodge.passports[0])
    token, holder = grant(lodge, client, look), get_principal(lodge, client)
    assert is_open(show(client, look, lodge.passports[0], token))
    END[end](lodge, client, look, holder)
    assert not is_open(show(client, look, lodge.passports[0], token))
    assert show(client, look, lodge.passports[0], token).status_code in (403, 404)


def test_view__of_a_sold_vehicle_does_not_come_back_with_its_next_holder(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    """Not even where the same account holds it again after the sale: what was granted before it has ended."""
    account = join(lodge, client, lodge.passports[0])
    token = grant(lodge, client, look)
    sell(lodge)
    with lodge.office.people.write() as connection:
        begin_holding(connection, lodge.office, lodge.passports[0], 1, bytes.fromhex(account[4:]), "claim")
    assert not is_open(show(client, look, lodge.passports[0], token))
    assert is_open(show(client, look, lodge.passports[0], grant(lodge, client, look)))


def test_view__ended_by_its_holder_alone(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    join(lodge, client, lodge.passports[0])
    token, holder = grant(lodge, client, look), get_principal(lodge, client)
    (view,) = list_views(lodge.office, holder, lodge.passports[0])
    page = f"/vehicles/pas_{lodge.passports[0].hex()}"
    sign_in(lodge, client, Role.ADMIN, look.member)
    with pytest.raises(Refused) as refused:
        end_view(lodge.office, get_principal(lodge, client), view.id)
    assert refused.value.reason is Reason.NOT_FOUND
    assert is_open(show(client, look, lodge.passports[0], token))
    other = join(lodge, client, lodge.passports[1])
    assert other != holder.account
    assert post_form(client, "/vehicles", f"{page}/views/{view.id}/end").status_code == 404
    end_view(lodge.office, holder, view.id)
    assert not is_open(show(client, look, lodge.passports[0], token))
    assert list_views(lodge.office, holder, lodge.passports[0]) == []
    (event,) = [one for one in list_events(lodge.office, OPERATOR) if one.action is Action.VIEW_ENDED]
    assert (event.who, event.why) == (holder.account, view.id)


def test_token__opens_no_other_vehicle_member_or_origin(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    join(lodge, client, lodge.passports[0], lodge.passports[1])
    token = grant(lodge, client, look)
    another = dress(lodge, None, APP)
    assert not is_open(show(client, look, lodge.passports[1], token)), "another vehicle, of the same holder"
    assert not is_open(show(client, look, lodge.passports[2], token))
    assert not is_open(show(client, another, lodge.passports[0], token)), "another member, with the same origin"
    replayed = show(client, look, lodge.passports[0], token, OTHER)
    assert not is_open(replayed), "another origin of the same member"
    assert is_open(show(client, look, lodge.passports[0], token))
    # It is no session, key or form token either.
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"__Host-carnet_session={token}"}):
        client.cookies.clear()
        answer = client.get(f"/v1/passports/pas_{lodge.passports[0].hex()}", headers=headers)
        assert answer.status_code == 401


def test_token__guessed_is_throttled(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    limit = LIMITS[Attempt.VIEW_BY_ADDRESS].attempts
    for _ in range(limit):
        assert show(client, look, lodge.passports[0], "cv_nothing").status_code == 403
    assert show(client, look, lodge.passports[0], "cv_nothing").status_code == 429


def test_grant__keeps_a_few_for_a_vehicle_and_purges_what_has_ended(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    join(lodge, client, lodge.passports[0])
    tokens = []
    for _ in range(MAX_VIEWS + 2):
        lodge.node.clock.now += 1000
        tokens.append(grant(lodge, client, look))
    holder = get_principal(lodge, client)
    assert len(list_views(lodge.office, holder, lodge.passports[0])) == MAX_VIEWS
    opened = [is_open(show(client, look, lodge.passports[0], token)) for token in tokens]
    assert opened == [False, False] + [True] * MAX_VIEWS
    lodge.node.clock.now += VALID_MS + 31 * DAY_MS
    assert purge(lodge.office.people, lodge.node.clock.now)["app_view"] == MAX_VIEWS + 2


def test_grant__refused_not_permitted__for_an_origin_of_nobody(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    join(lodge, client, lodge.passports[0])
    with pytest.raises(Refused) as refused:
        grant(lodge, client, look, app="https://evil.example")
    assert refused.value.reason is Reason.NOT_PERMITTED
    with pytest.raises(Refused) as refused:
        grant(lodge, client, look, number=1)
    assert refused.value.reason is Reason.UNKNOWN_PASSPORT


def test_member__gets_nothing_through_it(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    """Its own people and pages: no token, no list, no passport that it has not written in."""
    join(lodge, client, lodge.passports[0])
    grant(lodge, client, look)
    sign_in(lodge, client, Role.ADMIN, look.member)
    page = f"/with/{look.public_id}/vehicles/pas_{lodge.passports[0].hex()}"
    for path in (page, f"{page}/open?app={APP}", page.replace(f"/with/{look.public_id}", "")):
        assert client.get(path, headers=HTML).status_code == 403
    answer = client.get(f"/v1/passports/pas_{lodge.passports[0].hex()}", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    token = read_form_token(client.get("/account", headers=HTML).text)
    posted = client.post(
        f"{page}/open", data={"form_token": token, "app": APP}, headers={**HTML, "Sec-Fetch-Site": "same-origin"}
    )
    assert posted.status_code == 403
