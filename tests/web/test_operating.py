"""The operator's pages, without script: members and approvals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from carnet.errors import Reason
from carnet.node.acts import EnrolMember
from carnet.node.backup.envelope import Passphrase
from carnet.node.home import Home
from carnet.outbound.addresses import Reach
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.invitations import digest_invitation, use_invitation
from carnet.services.accounts.office import OPERATOR_HERE, Visit
from carnet.services.accounts.registry import OPERATOR, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.aging import list_program_keys
from carnet.services.approving.requests import ask, withdraw
from carnet.services.backup import back_up
from carnet.services.drilling import drill
from carnet.services.members import plan_enrolment
from carnet.services.principals import Principal, Scope, Standing
from carnet.services.signing import enrol_own_key, make_own_key
from carnet.services.upkeep.jobs import end_job, take_next
from carnet.services.upkeep.telling import list_telling
from carnet.services.webhooks.endpoints import add_endpoint
from carnet.web.pages.grounds import name_member_kinds
from carnet.web.policy import FRESH_MS
from tests.web.lodge import Lodge, lodging, post_form, visiting

HTML = {"Accept": "text/html", "Accept-Language": "en"}
MEMBERS, APPROVALS = "/operator/members", "/operator/approvals"


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        yield made


class Person:
    """An operator and their browser."""

    def __init__(self, lodge: Lodge, client: TestClient[Litestar], name: str) -> None:
        with lodge.office.people.write() as connection:
            account = insert_account(connection, lodge.office, OPERATOR, name, lodge.office.random_bytes(32))
            token = begin_session(connection, lodge.office, account, Visit("192.0.2.1"), "passkey")
        self._client, self._token, self.account = client, token, account.public_id

    @property
    def client(self) -> TestClient[Litestar]:
        """The one client of the test, as this person from now on."""
        self._client.cookies.set("__Host-carnet_session", self._token, domain="carnet.example")
        return self._client

    def look(self, path: str) -> str:
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == 200, answer.text
        return str(answer.text)

    def send(self, page: str, path: str, status: int = 303, **fields: Any) -> Any:
        answer = post_form(self.client, page, path, **fields)
        assert answer.status_code == status, answer.text
        return answer

    def ask(self, page: str, path: str, **fields: Any) -> str:
        """The page of the request that the form has made."""
        made = str(self.send(page, path, **fields).headers["location"])
        assert re.fullmatch(r"/operator/approvals/apr_[0-9a-f]{32}", made)
        return made

    def grant(self, page: str) -> None:
        self.send(page, page, decision="grant")


@pytest.fixture
def pair(lodge: Lodge) -> Iterator[tuple[Person, Person]]:
    with visiting(lodge) as client:
        yield Person(lodge, client, "Nora Weiss"), Person(lodge, client, "Ada Roux")


def find_member(lodge: Lodge, name: str) -> str:
    found = [one for one in lodge.desk.door.state.members.all if one.name == name]
    return f"{MEMBERS}/mem_{found[0].id.hex()}"


def test_member__is_asked_by_one_granted_by_another_and_its_admin_invited_once(
    lodge: Lodge, pair: tuple[Person, Person]
) -> None:
    first, second = pair
    asked = first.ask(MEMBERS, MEMBERS, name="Garage des Tilleuls", kind="garage", enrolment="")
    assert "another operator decides" in first.look(asked)
    assert "Garage des Tilleuls" not in first.look(MEMBERS)
    first.send(asked, asked, 422, decision="grant")
    shown = second.look(asked)
    assert "Nora Weiss" in shown
    assert "Garage des Tilleuls" in second.look(APPROVALS)
    second.grant(asked)
    assert "Carried out" in second.look(asked)
    second.send(APPROVALS, asked, 422, decision="refuse")
    page = find_member(lodge, "Garage des Tilleuls")
    listed, kinds = first.look(MEMBERS), name_member_kinds("en")
    assert "Takes part" in listed
    assert all(f">{kinds[kind]}</option>" in listed for kind in kinds if kind != "node")
    invited = post_form(first.client, page, f"{page}/invitations")
    link = re.search(r"https://carnet\.example/join#[0-9A-Z-]{29}", invited.text)
    assert link is not None
    assert link[0] not in first.look(page)


def test_member__asked_for_twice_is_one_request_and_its_admin_gets_one_link(
    lodge: Lodge, pair: tuple[Person, Person]
) -> None:
    first, second = pair
    asked = {first.ask(MEMBERS, MEMBERS, name="Garage des Tilleuls", kind="garage", enrolment="") for _ in range(2)}
    assert len(asked) == 1
    second.grant(asked.pop())
    page = find_member(lodge, "Garage des Tilleuls")
    once = re.search(r'name="once" value="([0-9a-f]{32})"', first.look(page))
    assert once is not None
    twice = [post_form(first.client, page, f"{page}/invitations", once=once[1]).text for _ in range(2)]
    links = [re.findall(r"https://carnet\.example/join#[0-9A-Z-]{29}", text) for text in twice]
    assert len(links[0]) == 1
    assert links[0] == links[1]
    assert links[0] != re.findall(
        r"https://carnet\.example/join#[0-9A-Z-]{29}", post_form(first.client, page, f"{page}/invitations").text
    )
    code = links[0][0].partition("#")[2]
    with lodge.office.people.write() as connection:
        use_invitation(connection, lodge.office, digest_invitation(lodge.office, code))
    used = first.send(page, f"{page}/invitations", 422, once=once[1])
    assert code not in used.text


def test_member__with_its_own_key_is_named_by_the_file_that_it_sends(
    lodge: Lodge, pair: tuple[Person, Person], tmp_path: Path
) -> None:
    first, second = pair
    with lodge.desk.reading() as reader:
        policy = tmp_path / "network.policy"
        policy.write_bytes(reader.get_policy())
    key = make_own_key(tmp_path / "own.key", None)
    _, document = enrol_own_key(tmp_path / "own.key", None, policy, None)
    first.send(MEMBERS, MEMBERS, 422, name="Mutuelle", kind="insurer", enrolment="{}")
    asked = first.ask(MEMBERS, MEMBERS, name="Mutuelle", kind="insurer", enrolment=document.decode())
    assert key.signer.digest.hex() in second.look(asked)
    second.grant(asked)
    member = find_member(lodge, "Mutuelle")
    make_own_key(tmp_path / "other.key", None)
    _, document = enrol_own_key(tmp_path / "other.key", None, policy, member.rpartition("_")[2])
    asked = second.ask(member, f"{member}/keys", enrolment=document.decode())
    first.grant(asked)
    assert len(lodge.desk.door.state.members.all[-1].keys) == 2


def test_member__is_accredited_and_leaves_by_two(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, second = pair
    second.grant(first.ask(MEMBERS, MEMBERS, name="Tilleuls", kind="garage", enrolment=""))
    page = find_member(lodge, "Tilleuls")
    before = lodge.desk.door.state.members.all[-1].accreditations
    ticked = [f"{kind} {basis}" for kind, basis, _ in before]
    first.send(page, f"{page}/accreditations", 422, may_write=ticked)
    asked = first.ask(page, f"{page}/accreditations", may_write=ticked[1:])
    assert "waits to be decided" in first.look(page)
    second.grant(asked)
    assert lodge.desk.door.state.members.all[-1].accreditations == before[1:]
    asked = first.ask(page, f"{page}/retire")
    second.send(asked, asked, decision="refuse")
    assert "Refused" in first.look(asked)
    asked = first.ask(page, f"{page}/retire")
    first.send(asked, asked, decision="withdraw")
    second.grant(first.ask(page, f"{page}/retire"))
    assert "Has left" in first.look(MEMBERS)
    first.send(MEMBERS, f"{page}/invitations", 403)


def test_keys__are_replaced_and_revoked_by_two(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, second = pair
    writer = lodge.node.writers[0]
    before = writer.node_key
    node = f"{MEMBERS}/mem_{writer.node_id.hex()}"
    first.send(node, f"{node}/keys/{before.hex()}", 422, how="revoke")
    asked = first.ask(node, f"{node}/keys/{before.hex()}", how="rotate")
    second.grant(asked)
    assert writer.node_key != before
    member = f"{MEMBERS}/mem_{lodge.node.operator.id.hex()}"
    digest = lodge.desk.door.state.members.get(lodge.node.operator.id).keys[0].digest.hex()
    first.send(member, f"{member}/keys/{digest}", 422, how="revoke", disputed_since="yesterday")
    asked = first.ask(member, f"{member}/keys/{digest}", how="revoke", disputed_since="1")
    assert "Disputed since" in second.look(asked)
    second.grant(asked)
    assert "Revoked at record" in first.look(member)
    first.send(node, f"{node}/keys/{digest}", 422, how="rotate")


def test_operator__is_admitted_by_two_and_the_link_shown_once(pair: tuple[Person, Person]) -> None:
    first, second = pair
    asked = first.ask(APPROVALS, "/operator/operators")
    second.grant(asked)
    second.send(asked, f"{asked}/link", 403)
    shown = post_form(first.client, asked, f"{asked}/link")
    assert re.search(r"https://carnet\.example/join#[0-9A-Z-]{29}", shown.text)
    first.send(APPROVALS, f"{asked}/link", 409)


def test_operator__link_of_a_double_click_is_the_same(pair: tuple[Person, Person]) -> None:
    """A browser shows the answer to the second click alone."""
    first, second = pair
    asked = first.ask(APPROVALS, "/operator/operators")
    second.grant(asked)
    once = re.search(r'name="once" value="([0-9a-f]{32})"', first.look(asked))
    assert once is not None
    twice = [post_form(first.client, asked, f"{asked}/link", once=once[1]).text for _ in range(2)]
    links = [re.findall(r"https://carnet\.example/join#[0-9A-Z-]{29}", text) for text in twice]
    assert len(links[0]) == 1
    assert links[0] == links[1]


def test_acts__ask_for_a_fresh_confirmation(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, second = pair
    asked = first.ask(MEMBERS, MEMBERS, name="Tilleuls", kind="garage", enrolment="")
    lodge.node.clock.now += FRESH_MS + 1
    assert "/confirm?back=" in second.look(asked)
    second.send(APPROVALS, asked, 403, decision="grant")
    first.send(APPROVALS, MEMBERS, 403, name="Chênes", kind="garage", enrolment="")
    assert all(one.name != "Tilleuls" for one in lodge.desk.door.state.members.all)


def test_pages__of_what_is_not_there_are_404(pair: tuple[Person, Person]) -> None:
    first, _ = pair
    for path in (f"{MEMBERS}/mem_{'0' * 32}", f"{MEMBERS}/x", f"{APPROVALS}/apr_{'0' * 32}", f"{APPROVALS}/x"):
        assert first.client.get(path, headers=HTML).status_code == 404, path


def test_audit__is_searched_and_taken_away(pair: tuple[Person, Person]) -> None:
    first, second = pair
    second.grant(first.ask(MEMBERS, MEMBERS, name="Tilleuls", kind="garage", enrolment=""))
    page = first.look("/operator/audit")
    assert "Member admitted" in page
    assert "Ada Roux" in page
    found = first.look("/operator/audit?action=approval.asked&since=2023-01-01&until=2030-01-01")
    assert found.count("<tr>") == 2
    assert "Nothing of that" in first.look(f"/operator/audit?who={first.account}&action=member")
    assert first.client.get("/operator/audit?since=yesterday", headers=HTML).status_code == 422
    fields = {"action": "member", "format": "csv"}
    taken = first.send("/operator/audit", "/operator/audit/export", 200, **fields)
    assert taken.headers["content-disposition"] == 'attachment; filename="audit-trail.csv"'
    assert taken.headers["cache-control"] == "no-store"
    assert [line.split(",")[1] for line in taken.text.splitlines()] == ["action", "member.enrolled"]
    assert "Audit trail exported" in first.look("/operator/audit")
    first.send("/operator/audit", "/operator/audit/export", 422, format="xlsx")


def test_upkeep__tells_backups_and_takes_a_census(lodge: Lodge, pair: tuple[Person, Person], tmp_path: Path) -> None:
    first, _ = pair
    home = Home(lodge.node.path)
    assert "No backup was made yet" in first.look("/operator/upkeep")
    first.send("/operator/upkeep", "/operator/upkeep/jobs", 422, act="backup")
    (tmp_path / "elsewhere").mkdir()
    opener = Passphrase("correct horse")
    back_up(home, tmp_path / "elsewhere" / "node.backup", opener)
    drill(home, None, lambda _: opener)
    page = first.look("/operator/upkeep")
    assert "There is a backup" in page or "older than a week" in page
    assert "all of it is what was signed" in page
    first.send("/operator/upkeep", "/operator/upkeep/census")
    assert "Proofs can be made" in first.look("/operator/upkeep")
    assert any(event.action is Action.CENSUS_TAKEN for event in list_events(lodge.office, OPERATOR_HERE))


def test_upkeep__lists_jobs_that_wait_went_well_or_failed(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, _ = pair
    for outcome, state in (({"findings": [], "entries": 7}, "Done"), ({"problem": "disk_full"}, "Failed")):
        first.send("/operator/upkeep", "/operator/upkeep/jobs", act="check")
        assert "Waits" in first.look("/operator/upkeep")
        job = take_next(lodge.office)
        assert job is not None
        assert "Is being done" in first.look("/operator/upkeep")
        end_job(lodge.office, job, outcome, is_good="problem" not in outcome)
        page = first.look("/operator/upkeep")
        assert state in page
        assert ("disk_full" in page) is ("problem" in outcome)


def test_quota__is_set_on_the_page_of_a_member(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, _ = pair
    page = f"{MEMBERS}/mem_{lodge.node.operator.id.hex()}"
    first.send(page, f"{page}/quota", requests_per_minute="1200")
    assert "1,200 requests a minute" in first.look(page)
    first.send(page, f"{page}/quota", 422, requests_per_minute="many")
    first.send(page, f"{page}/quota", requests_per_minute="")
    assert "no limit of its own" in first.look(page)


def test_health__tells_what_wants_attention(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, second = pair
    assert "Accepting writes" in first.look("/operator")
    first.ask(MEMBERS, MEMBERS, name="Tilleuls", kind="garage", enrolment="")
    assert "waits for you" not in first.look("/operator")
    assert "1 request of another operator waits for you" in second.look("/operator")
    lodge.node.clock.now += 366 * 86_400_000
    again = Person(lodge, first.client, "Later")
    assert "signing keys are older than a year" in again.look("/operator")
    assert again.look("/operator/keys").count("Older than a year") == 2


def test_health__of_a_clock_behind_the_log_blames_no_disk(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, _ = pair
    assert "Accepting writes" in first.look("/operator")
    lodge.node.clock.now -= 10 * 60_000
    page = first.look("/operator")
    assert "Not writing" in page
    assert "nothing is sealed before it has caught up" in page
    assert "do not set it ahead again" in page
    assert "an error of the disk" not in page
    lodge.node.clock.now += 10 * 60_000


def test_health__of_a_writer_that_has_stopped_says_what_to_do(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, _ = pair
    lodge.node.writers[0].close()
    page = first.look("/operator")
    assert "start the service again" in page
    answer = first.client.get("/readyz")
    assert (answer.status_code, answer.json()["writer"]) == (503, "node_damaged")
    assert "start the service" in answer.json()["todo"]


@pytest.mark.parametrize(
    "cause, said",
    [
        (Reason.NODE_DAMAGED, "Ce qui est gardé contredit le journal"),
        (Reason.STORE_UNREACHABLE, "La base de données ne répond pas"),
        (Reason.DISK_FULL, "Le disque du nœud est plein"),
    ],
)
def test_health__of_a_writer_that_has_stopped_says_why_in_french(
    lodge: Lodge, pair: tuple[Person, Person], cause: Reason, said: str
) -> None:
    first, _ = pair
    lodge.node.writers[0].stop("so it was told", cause)
    page = first.client.get("/operator", headers=HTML | {"Accept-Language": "fr"}).text
    assert f"<strong>{said}" in page
    assert page.count("so it was told") == 1
    assert page.index('lang="en"') < page.index("so it was told")


def test_keys__of_programs_that_end_or_are_not_used(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, _ = pair
    office, operator, day = lodge.office, Principal(Standing.OPERATOR), 86_400_000
    for name, valid_ms in (("Ending", 20 * day), ("Lasting", 400 * day), ("Endless", None)):
        client = add_client(office, operator, lodge.node.operator.id, name, frozenset({Scope.FILES}))
        issue_key(office, operator, client.public_id, valid_ms=valid_ms)
    assert [one.why for one in list_program_keys(office, operator)] == ["ending", None, None]
    assert "Ends on" in first.look("/operator/keys")
    assert "key of a program ends soon" in first.look("/operator")
    lodge.node.clock.now += 366 * day
    assert [one.why for one in list_program_keys(office, operator)] == ["unused", "unused"]


def test_upkeep__tells_of_webhooks_the_host_and_never_the_address(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, _ = pair
    assert "No member has one" in first.look("/operator/upkeep")
    address = "https://hooks.example.org/secret-path"
    add_endpoint(lodge.office, OPERATOR_HERE, lodge.node.operator.id, address, reach=Reach(is_local=True))
    page = first.look("/operator/upkeep")
    assert "hooks.example.org" in page
    assert "secret-path" not in page
    assert [(one.state, one.waiting, one.dead) for one in list_telling(lodge.office, OPERATOR_HERE)] == [
        ("active", 0, 0)
    ]


def test_members__five_hundred_are_reached_page_by_page_and_found_by_name(
    lodge: Lodge, pair: tuple[Person, Person]
) -> None:
    """All of them on one page were 200 kB, and each of its readings loaded every account of the network."""
    first, _ = pair
    for number in range(500):
        lodge.desk.door.perform(EnrolMember(number.to_bytes(16, "big"), f"Garage {number:03}", "garage"))
    found, path = set[str](), MEMBERS
    sizes = []
    while path:
        text = first.look(path)
        assert len(text.encode()) < 60_000
        rows = re.findall(rf'href="{MEMBERS}/(mem_[0-9a-f]{{32}})"', text)
        sizes.append(len(rows))
        found |= set(rows)
        more = re.search(rf'href="({MEMBERS}\?find=&amp;after=[1-9]\d*)"', text)
        path = "" if more is None else more[1].replace("&amp;", "&")
    assert sizes[:-1] == [100] * 5
    assert {f"mem_{number.to_bytes(16, 'big').hex()}" for number in range(500)} <= found
    assert f"{len(lodge.desk.door.state.members.all)} organisations" in first.look(MEMBERS)
    one = first.look(f"{MEMBERS}?find=GARAGE+42")
    assert len(re.findall(r"Garage 42\d", one)) == 10
    assert "Garage 500" not in one
    assert "No member has such a name" in first.look(f"{MEMBERS}?find=%3Cb%3E")
    assert len(first.look(f"{MEMBERS}/mem_{bytes(15).hex()}07")) < 60_000

    keys = first.look("/operator/keys")
    assert len(keys.encode()) < 80_000
    assert "/operator/keys?programs=0&amp;after=100" in keys
    assert "Garage 499" in first.look("/operator/keys?programs=0&after=450")


def test_approvals__all_that_were_decided_are_reached(lodge: Lodge, pair: tuple[Person, Person]) -> None:
    first, _ = pair
    writer, operator = lodge.desk.door, Principal(Standing.OPERATOR, account=first.account)
    names = [f"Garage {number:03}" for number in range(130)]
    for name in names:
        asked = ask(lodge.office, writer, operator, plan_enrolment(writer.state, name, "garage"))
        withdraw(lodge.office, operator, asked.public_id)
    pages = [first.look(APPROVALS), first.look(f"{APPROVALS}?after=100")]
    assert f'href="{APPROVALS}?after=100"' in pages[0]
    assert {name for page in pages for name in re.findall(r"Garage \d{3}", page)} == set(names)
