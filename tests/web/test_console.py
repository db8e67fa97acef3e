"""A member's desk without script: today, forms made from kinds, receipts, corrections and answers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carnet.encoding import b64, encode
from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import compute_enrolment
from carnet.node.acts import AddKey, RetireMember, RevokeKey
from carnet.proof.verify import verify_bundle
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import Visit
from carnet.services.accounts.recovery import renew_codes
from carnet.services.accounts.registry import get_account_by_id
from carnet.services.accounts.sessions import begin_session, end_other_sessions, find_principal
from carnet.services.appending import NewEntry, append
from carnet.services.approving.requests import ask, list_approvals
from carnet.services.approving.wishes import InviteOperator
from carnet.services.calls import Calls
from carnet.services.filing.records import Counts, Files, Wish
from carnet.services.principals import Principal, Scope, Standing
from carnet.signing import Signer
from carnet.tlog.policy import parse_policy
from carnet.types import Custody, KeyRole
from tests.node.home import is_good, occurred
from tests.postgres import Cluster
from tests.web.workshop import HTML, OTHER_VIN, VIN, Workshop, opening_workshop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with opening_workshop(tmp_path_factory.mktemp("workshop")) as made:
        yield made


@pytest.fixture(autouse=True)
def _be_clerk(shop: Workshop) -> None:
    shop.be("clerk")


def find_errors(page: str) -> dict[str, str]:
    found = re.findall(r'id="e-([^"]+)"[^>]*>.*?<span>(.*?)</span>', page, re.DOTALL)
    return dict(found)


def test_console__is_for_staff_and_begins_empty(shop: Workshop) -> None:
    shop.be("reader")
    page = shop.get("/console")
    assert "Nothing is sealed yet today" in page
    assert "/console/write" not in page
    shop.get("/console/write", 403)
    shop.be("admin")
    assert 'href="/organisation"' in shop.get("/console")
    for who in ("holder", "operator"):
        shop.be(who)
        shop.get("/console", 403)


def test_write__offers_what_the_member_is_accredited_for(shop: Workshop) -> None:
    page = shop.get("/console/write")
    assert "/console/write/vehicle.odometer-1" in page
    assert "vehicle.inspection-1" not in page
    assert "passport." not in page
    for slug in ("vehicle.inspection-1", "vehicle.nothing-1", "passport.contested-1", "x"):
        shop.get(f"/console/write/{slug}", 404)


def test_write__every_form_of_the_network_is_drawn(shop: Workshop) -> None:
    for who in ("clerk", "dealer"):
        shop.be(who)
        slugs = re.findall(r'href="/console/write/([a-z0-9_.-]+)"', shop.get("/console/write"))
        assert len(slugs) >= 8
        for slug in slugs:
            page = shop.get(f"/console/write/{slug}")
            assert page.count("<h1>") == 1
            assert 'name="vehicle"' in page


def test_write__seals_and_shows_a_receipt_with_its_proof(shop: Workshop) -> None:
    page = shop.seal(odometer="41 230", odometer_unit="km")
    shown = shop.get(f"{page}?sealed")
    assert "It is sealed." in shown
    assert "41,230" in shown
    proof = shop.client.get(f"{page}/proof")
    assert proof.headers["content-disposition"].endswith('.carnet"')
    with shop.lodge.node.read() as reader:
        verdict = verify_bundle(proof.content, parse_policy(reader.get_policy()), shop.lodge.node.clock())
    assert is_good(verdict)
    assert "1 entry is sealed today" in shop.get("/console")


def test_write__sent_twice_is_sealed_once(shop: Workshop) -> None:
    fields = {"odometer": "41231", "once": "0" * 32}
    assert shop.seal(**fields) == shop.seal(**fields)
    assert shop.seal(odometer="41231") != shop.seal(odometer="41231")


def test_write__tells_every_fault_at_its_input_and_keeps_the_rest(shop: Workshop) -> None:
    answer = shop.write(odometer="12,5", vehicle="WVWZZZ1KZ7P12345O", day="2999-01-01", establishment="Chez nous")
    errors = find_errors(answer.text)
    assert answer.status_code == 422
    assert set(errors) == {"odometer", "vehicle", "day"}
    assert 'value="12,5"' in answer.text
    assert 'value="Chez nous"' in answer.text
    assert re.search(r'name="vehicle"[^>]*autofocus', answer.text) or re.search(
        r'name="day"[^>]*autofocus', answer.text
    )
    blank = shop.write(odometer="")
    assert set(find_errors(blank.text)) == {"odometer"}
    assert find_errors(shop.write(odometer="1", vehicle="").text).keys() == {"vehicle"}


def test_write__a_list_grows_by_a_button_and_blank_rows_are_left_out(shop: Workshop) -> None:
    slug = "vehicle.service-1"
    grown = shop.write(slug, more="activities", **{"activities.0.text": "Oil"})
    assert grown.status_code == 200
    assert 'name="activities.1.text"' in grown.text
    assert 'value="Oil"' in grown.text or ">Oil<" in grown.text
    fields = {
        "activities.0.text": "Oil",
        "activities.2.text": "Filter",
        "odometer": "42000",
        "next_due.odometer": "57000",
    }
    page = shop.get(shop.seal(slug, **fields))
    assert "Oil; Filter" in page
    assert "57,000" in page
    faulty = shop.write(slug, **{"activities.0.text": "Oil", "activities.2.code": "X1"})
    assert find_errors(faulty.text).keys() == {"activities.2.text"}


def test_write__units_are_those_that_people_write(shop: Workshop) -> None:
    shop.be("dealer")
    page = shop.seal(
        "vehicle.identity-1", make="Volkswagen", model="Golf", power_w="77,5", first_registration="2020-02-03"
    )
    with shop.lodge.node.read() as reader:
        entries = list(reader.read_entries(bytes.fromhex(shop.passport[4:])))
    assert entries[-1].fields is not None
    assert entries[-1].fields["power_w"] == 77_500
    assert "77.5" in shop.get(page)


def test_write__by_plate_once_an_author_has_signed_for_it(shop: Workshop) -> None:
    assert "vehicle" in find_errors(shop.write(vehicle="AB-123-CD", odometer="43000").text)
    shop.be("dealer")
    alias = {"alias.subject": "plate:FR:AB-123-CD", "alias.from": "2020-01-01"}
    shop.seal("vehicle.identity-1", make="Volkswagen", **alias)
    shop.be("clerk")
    shop.lodge.node.clock.now += 60_000
    assert shop.passport in shop.seal(vehicle="ab 123 cd", odometer="43000")


def test_write__opens_a_passport_where_the_rules_allow_it(shop: Workshop) -> None:
    refused = shop.write(vehicle=OTHER_VIN, odometer="9")
    assert "your organisation opens none" in refused.text
    shop.be("dealer")
    asked = shop.write(vehicle=OTHER_VIN, odometer="9")
    assert asked.status_code == 200
    assert 'name="occasion"' in asked.text
    page = shop.seal(vehicle=OTHER_VIN, odometer="9", occasion="import")
    assert shop.passport not in page
    assert page.endswith("/1")


def test_write__a_vin_that_lost_a_character_opens_no_passport(shop: Workshop) -> None:
    shop.be("dealer")
    short = OTHER_VIN[:-1]
    refused = shop.write(vehicle=short, odometer="9")
    assert "this one 16" in find_errors(refused.text)["vehicle"]
    assert 'name="occasion"' not in refused.text
    # Whoever says so means the number of an old vehicle; from then on it is known.
    assert shop.seal(vehicle=f"vin:{short}", odometer="9", occasion="import").endswith("/1")
    assert shop.seal(vehicle=short, odometer="10").endswith("/2")


def test_write__another_one_like_it_keeps_what_stays_the_same(shop: Workshop) -> None:
    page = shop.seal(
        "vehicle.service-1", odometer="44000", establishment="Atelier 4", **{"activities.0.text": "Brakes"}
    )
    like = f"{shop.passport}.{page.rpartition('/')[2]}"
    form = shop.get(f"/console/write/vehicle.service-1?like={like}")
    assert "Atelier 4" in form
    assert "Brakes" in form
    assert "44000" not in form
    assert VIN not in form
    shop.be("other")
    assert "Atelier 4" not in shop.get(f"/console/write/vehicle.service-1?like={like}")


@pytest.mark.program_alone("that a vehicle has a passport")
def test_vehicles__only_those_that_the_member_has_written_about(shop: Workshop) -> None:
    shop.seal(odometer="45000")
    assert shop.client.get("/console/vehicles", params={"q": VIN}, follow_redirects=False).status_code == 303
    assert "Your entries" in shop.get(f"/console/vehicles/{shop.passport}")
    shop.be("other")
    assert "has written nothing about this vehicle" in shop.get(f"/console/vehicles?q={VIN}")
    for path in ("", "/entries/1", "/proof", "/entries/1/proof"):
        shop.get(f"/console/vehicles/{shop.passport}{path}", 404)
    assert "has written nothing" in shop.get(f"/console/vehicles?q={OTHER_VIN[:-1]}9")


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_vehicles__others_entries_in_the_same_passport_are_not_there(shop: Workshop) -> None:
    shop.seal(odometer="45001")
    page = shop.get(f"/console/vehicles/{shop.passport}")
    assert "Passport opened" not in page
    assert "first registration" not in page
    shop.get(f"/console/vehicles/{shop.passport}/entries/0", 404)


def test_correct__takes_the_place_of_the_old_entry(shop: Workshop) -> None:
    page = shop.seal(odometer="460000")
    filled = shop.get(f"{page}/correct")
    assert 'value="460000"' in filled
    answer = shop.send(f"{page}/correct", f"{page}/correct", odometer="46000")
    assert answer.status_code == 303
    assert "takes the place" in shop.get(str(answer.headers["location"]))
    assert "Another entry has taken its place" in shop.get(page)
    shop.get(f"{page}/correct", 404)
    shop.be("reader")
    shop.get(f"{page}/correct", 403)


def test_correct__tells_faults_and_changes_nothing(shop: Workshop) -> None:
    page = shop.seal(odometer="47000")
    count = len(shop.list_kinds())
    answer = shop.send(f"{page}/correct", f"{page}/correct", odometer="a lot")
    assert answer.status_code == 422
    assert find_errors(answer.text).keys() == {"odometer"}
    assert len(shop.list_kinds()) == count


def test_withdraw__takes_an_entry_back(shop: Workshop) -> None:
    page = shop.seal(odometer="48000")
    assert shop.send(page, f"{page}/withdraw", reason="nothing").status_code == 422
    answer = shop.send(page, f"{page}/withdraw", reason="wrong_vehicle", note="It was the blue one")
    assert answer.status_code == 303
    assert shop.list_kinds()[-1] == "passport.corrected/1"
    assert "Withdraw the entry" not in shop.get(page)


def test_contest__is_shown_to_the_author_and_answered(shop: Workshop) -> None:
    page = shop.seal(odometer="49000")
    seq = int(page.rpartition("/")[2])
    chain = bytes.fromhex(shop.passport[4:])
    object_to_entry(shop, chain, seq, "It was 39,000")
    today = shop.get("/console")
    assert "An entry of yours is contested" in today
    # What is objected stands in the passport, and the first page looks into none.
    assert "It was 39,000" not in today
    assert "It was 39,000" in shop.get(page)
    assert shop.send(page, f"{page}/answer", note="").status_code == 422
    answer = shop.send(page, f"{page}/answer", note="Read twice, photo kept")
    assert answer.status_code == 303
    assert shop.list_kinds()[-1] == "passport.contested/1"
    assert "You have answered" in shop.get(page)
    assert "An entry of yours is contested" not in shop.get("/console")
    shop.be("other")
    assert "It was 39,000" not in shop.get("/console")


def test_mending__sent_twice_is_sealed_once(shop: Workshop) -> None:
    page = shop.seal(odometer="49100")
    form = {"reason": "typing_error", "note": "A slip"}
    begun = len(shop.list_kinds())
    assert shop.send(page, f"{page}/withdraw", **form).status_code == 303
    again = shop.send(page, f"{page}/withdraw", **form)
    assert (again.status_code, "already: nothing more was sealed" in again.text) == (422, True)
    assert len(shop.list_kinds()) == begun + 1

    page = shop.seal(odometer="49200")
    begun = len(shop.list_kinds())
    assert shop.send(f"{page}/correct", f"{page}/correct", odometer="49201").status_code == 303
    again = shop.send(page, f"{page}/correct", odometer="49201", day="2024-05-01")
    # It said that there was nothing here.
    assert (again.status_code, "See what takes its place" in again.text) == (422, True)
    assert len(shop.list_kinds()) == begun + 1

    page = shop.seal(odometer="49300")
    object_to_entry(shop, bytes.fromhex(shop.passport[4:]), int(page.rpartition("/")[2]), "No")
    begun = len(shop.list_kinds())
    fields = {"note": "Read twice", "objection": str(begun - 1), "once": "1" * 32}
    assert [shop.send(page, f"{page}/answer", **fields).status_code for _ in range(2)] == [303, 303]
    assert len(shop.list_kinds()) == begun + 1


def object_to_entry(shop: Workshop, chain: bytes, seq: int, note: str) -> None:
    holder = Principal(Standing.HOLDER, account=shop.lodge.desk.shelf["holdings"].find_holder(chain))
    with shop.lodge.node.read() as reader:
        target = list(reader.read_entries(chain))[seq].sid
        new = NewEntry(
            kind="passport.contested/1",
            occurred=occurred(),
            fields={"reason": "wrong_value", "note": note},
            contests=target,
        )
        append(
            shop.lodge.desk.door, reader, shop.lodge.desk.shelf["holdings"], holder, new,
            passport=chain, subject=None, now=shop.lodge.node.clock(),
        )  # fmt: skip


def test_codes__are_printed_listed_and_withdrawn(shop: Workshop) -> None:
    refused = shop.send("/console/codes", "/console/codes", vehicle=OTHER_VIN)
    assert refused.status_code == 422
    shop.seal("vehicle.service-1", odometer="50000", **{"activities.0.text": "Oil"})
    made = shop.send("/console/codes", "/console/codes", vehicle=VIN, language="fr")
    assert made.status_code == 200
    (code,) = set(re.findall(r"\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b", made.text))
    assert '<html lang="fr"' in made.text
    assert 'class="qr"' in made.text
    page = shop.get("/console/codes")
    assert code not in page
    assert "not used yet" in page
    assert "1 code for a customer is not used yet" in shop.get("/console")
    (name,) = re.findall(r"/console/codes/(cod_[0-9a-f]{32})/revoke", page)
    shop.be("other")
    path = f"/console/codes/{name}/revoke"
    assert shop.send("/console/codes", path).status_code == 404
    shop.be("clerk")
    assert shop.send("/console/codes", path).status_code == 303
    assert "withdrawn" in shop.get("/console/codes")
    shop.be("reader")
    assert "Make a code" not in shop.get("/console/codes")


def test_codes__of_a_form_sent_twice_are_one_and_another_is_asked_for_first(shop: Workshop) -> None:
    here = "/console/codes"
    shop.seal("vehicle.service-1", odometer="50100", **{"activities.0.text": "Oil"})

    def find_code(answer: Any) -> str:
        (code,) = set(re.findall(r"\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b", answer.text))
        return str(code)

    def count_unused() -> int:
        return shop.get(here).count("not used yet, good until")

    begun, form = count_unused(), {"vehicle": VIN, "once": "1" * 32}
    first = find_code(shop.send(here, here, **form, earlier="keep"))
    # A double click, the page loaded again, or its form kept by the browser: one paper.
    assert find_code(shop.send(here, here, **form)) == first
    assert count_unused() == begun + 1
    told = shop.send(here, here, vehicle=VIN)
    assert (told.status_code, first in told.text) == (200, False)
    assert "not used yet: " in told.text
    assert count_unused() == begun + 1
    once = re.search(r'name="once" value="([0-9a-f]{32})"', told.text)
    assert once is not None
    again = {"vehicle": VIN, "once": once[1], "earlier": "withdraw"}
    second = find_code(shop.send(here, here, **again))
    assert second != first
    assert find_code(shop.send(here, here, **again)) == second
    assert count_unused() == 1
    # The number of a form is good for nothing in another's hands, and the first paper's form says that it is over.
    assert shop.send(here, here, **form).status_code == 422
    shop.be("admin")
    third = find_code(shop.send(here, here, **again | {"earlier": "keep"}))
    assert third not in (first, second)


def test_use__says_how_much_and_gives_it_away(shop: Workshop) -> None:
    shop.be("other")
    for km in (51_000, 51_001):
        shop.seal(odometer=str(km), establishment="=HYPERLINK(1)")
    page = shop.get("/console/use?days=7")
    assert "2 entries sealed since" in page
    assert page.count("<rect ") == 7
    table = shop.client.get("/console/use/entries.csv", headers=HTML)
    assert table.status_code == 200
    assert table.headers["content-disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert [row["odometer"] for row in rows] == ["51001", "51000"]
    assert not any(str(cell).startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    lines = shop.client.get("/console/use/entries.jsonl", headers=HTML).text.splitlines()
    entries = [json.loads(line) for line in lines]
    assert [one["fields"]["establishment"] for one in entries] == ["=HYPERLINK(1)"] * 2
    assert {one["author"]["name"] for one in entries} == {"The other"}
    faulty = shop.get("/console/use/entries.csv?since=never", 422)
    assert "no day of the calendar" in faulty
    empty = shop.client.get("/console/use/entries.csv?since=2020-01-01&until=2020-01-02", headers=HTML)
    assert len(empty.content.decode().splitlines()) == 1


def test_use__counts_what_the_members_programs_asked(shop: Workshop) -> None:
    office = shop.lodge.office
    calls = shop.lodge.desk.shelf["calls"] = Calls(office.people, office.clock, flush_s=60)
    client = add_client(office, Principal(Standing.OPERATOR), shop.members["garage"], "App", frozenset({Scope.FILES}))
    key = issue_key(office, Principal(Standing.OPERATOR), client.public_id).secret
    shop.client.cookies.clear()
    for path in ("/v1/kinds", "/v1/files", "/v1/nothing", "/healthz"):
        shop.client.get(path, headers={"Authorization": f"Bearer {key}"})
    calls.flush()
    shop.be("clerk")
    page = re.sub(r"\s+", " ", shop.get("/console/use?days=7"))
    asked = re.search(r"<dt>Requests of programs</dt><dd>(\d+)</dd>", page)
    assert asked is not None
    assert asked[1] == "2", "no page, and nothing that is not there"
    # Beside the keys of the programs, for who looks after them.
    shop.be("admin")
    programs = shop.get("/organisation").partition('id="asked-by-programs"')[2].partition("</section>")[0]
    assert "2 requests of your programs in the last 30 days." in programs
    assert programs.count("<rect") == 30
    shop.be("other")
    assert "<dt>Requests of programs</dt><dd>0</dd>" in shop.get("/console/use")
    assert "0 requests of your programs" in shop.get("/organisation")


def test_use__is_noted_in_the_holders_journal(shop: Workshop) -> None:
    shop.seal(odometer="52000")
    chain = bytes.fromhex(shop.passport[4:])

    def count() -> int:
        with shop.lodge.node.read() as reader:
            journal = reader.find_journal(chain, 0)
            return 0 if journal is None else len(list(reader.read_entries(journal.chain16)))

    before = count()
    shop.get("/console/use")
    shop.get("/console")
    assert count() == before
    shop.client.get("/console/use/entries.jsonl", headers=HTML)
    assert count() > before


def test_organisation__a_role_is_changed_and_holds_at_once(shop: Workshop) -> None:
    shop.be("clerk")
    shop.get("/console/write")
    shop.be("admin")
    page = shop.get("/organisation")
    accounts = {name: account for account, name in re.findall(r'for="r-(acc_[0-9a-f]{32})">Role of ([\w ]+)<', page)}
    assert "The admin" not in accounts
    path = f"/organisation/people/{accounts['The clerk']}/role"
    assert shop.send("/organisation", path, role="king").status_code == 422
    assert shop.send("/organisation", path, role="reader").status_code == 303
    shop.be("clerk")
    shop.get("/console/write", 403)
    assert "/console/write" not in shop.get("/console")
    shop.be("other")
    assert shop.send("/organisation", path, role="admin").status_code == 404
    shop.be("admin")
    assert shop.send("/organisation", path, role="clerk").status_code == 303
    events = list_events(shop.lodge.office, Principal(Standing.OPERATOR))
    assert [event.why for event in events if event.action is Action.ROLE_CHANGED] == ["clerk", "reader"]


def test_keys__an_admin_asks_and_an_operator_decides(shop: Workshop) -> None:
    shop.be("clerk")
    assert "Ask for it to be listed" not in shop.get("/organisation/keys")
    shop.be("dealer")
    writer, member, signer = shop.lodge.node.writers[0], shop.members["dealer"], Signer(b"d" * 32)
    message = compute_enrolment(writer.state.net, member, KeyRole.AUTHOR, Custody.OWN)
    document = {
        "carnet": "enrolment/1", "custody": 1, "key": b64(signer.public), "member": b64(member),
        "network": writer.state.genesis.origin, "role": 1, "sig": b64(signer.sign(message)),
    }  # fmt: skip
    page = "/organisation/keys"
    for wrong in ("x", encode({**document, "sig": b64(bytes(64))}).decode()):
        refused = shop.send(page, page, enrolment=wrong)
        assert (refused.status_code, "no enrolment of a key of yours" in refused.text) == (422, True)
    foreign = encode({**document, "member": b64(shop.members["garage"])}).decode()
    assert shop.send(page, page, enrolment=foreign).status_code == 422
    assert shop.send(page, page, enrolment=encode(document).decode() + "\r\n").status_code == 303
    assert "an operator decides until" in shop.get(page)
    (asked,) = list_approvals(shop.lodge.office, Principal(Standing.OPERATOR))
    shop.grant(asked)
    assert "granted and done" in shop.get(page)
    assert writer.state.members.get(member).find_key(signer.digest) is not None
    shop.be("other")
    assert shop.send(page, f"{page}/{signer.digest.hex()}/end").status_code == 404


def test_ask__refused_to_an_admin_for_anything_but_its_own_keys(shop: Workshop) -> None:
    office, door = shop.lodge.office, shop.lodge.desk.door
    admin = find_principal(office, shop.sessions["admin"])
    assert admin is not None
    garage, other = (door.state.members.get(shop.members[name]) for name in ("garage", "other"))
    for wish in (
        RetireMember(garage.id), AddKey(garage.id), RevokeKey(other.id, other.keys[0].digest),
        RevokeKey(garage.id, garage.keys[0].digest, 3), InviteOperator(),
    ):  # fmt: skip
        with pytest.raises(Refused) as refused:
            ask(office, door, admin, wish)
        assert refused.value.reason is Reason.NOT_PERMITTED
    clerk = find_principal(office, shop.sessions["clerk"])
    assert clerk is not None
    with pytest.raises(Refused) as refused:
        ask(office, door, clerk, RevokeKey(garage.id, garage.keys[0].digest))
    assert refused.value.reason is Reason.NOT_PERMITTED


def test_answer__to_a_form_has_a_page_to_come_back_to_when_language_or_theme_is_chosen(shop: Workshop) -> None:
    """Its own address takes a form alone: the choice led to "wrong method"."""
    shop.be("admin")
    shown = [
        shop.send("/organisation", "/organisation/programs", name="Counter", scope="files"),
        shop.send("/organisation", "/organisation/invitations", role="clerk"),
        shop.send("/account", "/account/codes"),
        shop.send("/console/codes", "/console/codes", vehicle="nothing"),
    ]
    shop.be("operator")
    shown.append(shop.send("/operator/upkeep", "/operator/upkeep/jobs", act="nothing"))
    for who, answer in zip(("admin", "admin", "admin", "admin", "operator"), shown, strict=True):
        assert answer.status_code in (200, 422)
        shop.be(who)
        (choice,) = set(re.findall(r'class="tool" href="([^"]*lang=\w\w)"', answer.text))
        shop.get(choice if choice.startswith("/") else f"{answer.url.path}{choice}")
        (back,) = set(re.findall(r'name="back" value="([^"]+)"', answer.text))
        shop.get(back)
        # Kept in a cookie, which those who come after this test shall not have.
        shop.get(back + "?lang=en")


def test_trail__has_what_staff_did_with_their_own_accounts(shop: Workshop) -> None:
    """It left out new recovery codes and sessions that were ended elsewhere, which is what an auditor looks for."""
    shop.be("auditor")
    office = shop.lodge.office
    auditor = find_principal(office, shop.sessions["auditor"])
    assert auditor is not None
    renew_codes(office, auditor)
    account = get_account_by_id(office, auditor.account or "")
    with office.people.write() as connection:
        begin_session(connection, office, account, Visit("192.0.2.9"), "passkey")
    end_other_sessions(office, auditor, shop.sessions["auditor"])
    page = shop.get("/organisation/audit")
    trail = page.partition("<tbody>")[2]
    assert "New recovery codes" in trail
    assert "Signed out elsewhere" in trail
    shop.be("dealer")
    assert "New recovery codes" not in shop.get("/organisation/audit").partition("<tbody>")[2]


def test_trail__is_the_members_own_searched_and_taken_away(shop: Workshop) -> None:
    shop.seal("vehicle.service-1", odometer="53000", **{"activities.0.text": "Oil"})
    shop.send("/console/codes", "/console/codes", vehicle=VIN)
    path = "/organisation/audit"
    shop.get(path, 403)
    shop.be("auditor")
    assert f'href="{path}"' in shop.get("/console")
    page = shop.get(f"{path}?action=claim.code_issued")
    assert "Code for a vehicle issued" in page
    assert "The clerk" in page
    assert "Nothing of that is in the trail" in shop.get(f"{path}?until=2001-01-01")
    shop.get(f"{path}?since=yesterday", 422)
    assert "Older entries" not in page
    answer = shop.send(path, f"{path}/export", format="csv", action="claim.code_issued")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["action"] for row in rows} == {"claim.code_issued"}
    assert {row["member"] for row in rows} == {f"mem_{shop.members['garage'].hex()}"}
    lines = shop.send(path, f"{path}/export", format="json").text.splitlines()
    assert len(lines) > len(rows)
    shop.be("other")
    assert "Code for a vehicle issued</th>" not in shop.get(path)
    assert "The clerk" not in shop.get(path)


def test_console__tells_of_files_that_wait_and_of_rows_that_were_refused(shop: Workshop) -> None:
    desk, member = shop.lodge.desk, shop.members["garage"]
    files = desk.shelf["files"] = Files(desk.home, desk.clock, desk.random_bytes)
    made = [files.create(member, "acc_" + "1" * 32, Wish(name=f"{name}.jsonl", format="histovec", size=9))
            for name in ("half", "bad", "broken")]  # fmt: skip
    files.end(made[1], "done", Counts(rows_read=5, sealed=3, faulty=2))
    files.end(made[2], "failed", failure=("unreadable_file", "the file cannot be read"))
    page = shop.get("/console")
    assert "half.jsonl" in page.partition("What waits")[2]
    assert "2 rows were not understood and are not sealed. 3 others are." in re.sub(r"\s+", " ", page)
    assert "nothing of this file was sealed" in page
    shop.be("other")
    assert ".jsonl" not in shop.get("/console")


def test_desk__over_a_database_is_the_same(tmp_path: Path, postgres: Cluster) -> None:
    """A day of it on PostgreSQL: written, corrected, contested, coded, counted, taken out, and who did what."""
    with opening_workshop(tmp_path, store_url=postgres.make_url()) as shop:
        shop.be("dealer")
        alias = {"alias.subject": "plate:FR:AB-123-CD", "alias.from": "2020-01-01"}
        shop.seal("vehicle.identity-1", make="Volkswagen", **alias)
        shop.be("clerk")
        page = shop.seal("vehicle.service-1", vehicle="AB-123-CD", odometer="100", **{"activities.0.text": "Oil"})
        assert shop.send(f"{page}/correct", f"{page}/correct", odometer="1000").status_code == 303
        page = shop.seal(odometer="1001")
        object_to_entry(shop, bytes.fromhex(shop.passport[4:]), int(page.rpartition("/")[2]), "It was 900")
        assert "An entry of yours is contested" in shop.get("/console")
        assert shop.send("/console/codes", "/console/codes", vehicle=VIN).status_code == 200
        (name,) = re.findall(r"/console/codes/(cod_[0-9a-f]{32})/revoke", shop.get("/console/codes"))
        assert shop.send("/console/codes", f"/console/codes/{name}/revoke").status_code == 303
        assert "3 entries sealed since" in shop.get("/console/use")
        taken = shop.client.get("/console/use/entries.jsonl", headers=HTML).text.splitlines()
        assert [json.loads(one)["seq"] for one in taken] == [4, 3, 2]
        shop.be("admin")
        assert "Code for a vehicle withdrawn" in shop.get("/organisation/audit")
        assert "The clerk" in shop.get("/organisation")
