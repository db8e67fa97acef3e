"""Pages of the operator and of a member's desk in states that a quiet day does not have: each is drawn in both
languages, and says what it should."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from carnet.node.acts import EnrolMember
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Visit, name_id
from carnet.services.accounts.registry import HOLDER, OPERATOR, Post, insert_account
from carnet.services.accounts.sessions import begin_session, find_principal
from carnet.services.approving.requests import ask, grant, refuse, withdraw
from carnet.services.claims import claim, issue_code, revoke_code
from carnet.services.principals import Principal
from carnet.services.settings import Settings
from carnet.services.upkeep.jobs import ask_job, end_interrupted, end_job, take_next
from tests.web.street import Street
from tests.web.workshop import VIN, Workshop, opening_workshop

LANGUAGES = ("en", "fr")
DAY_MS = 86_400_000


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with opening_workshop(tmp_path) as made:
        yield made


def draw(shop: Workshop, who: str, path: str) -> tuple[str, str]:
    """The page as this person sees it, in English and in French."""
    shop.be(who)
    pages = []
    for language in LANGUAGES:
        answer = shop.client.get(path, headers={"Accept": "text/html", "Accept-Language": language})
        assert answer.status_code == 200, answer.text
        pages.append(answer.text)
    return pages[0], pages[1]


def let_in(shop: Workshop, name: str, post: Post) -> Principal:
    office = shop.lodge.office
    with office.people.write() as connection:
        account = insert_account(connection, office, post, name, os.urandom(32))
        shop.sessions[name] = begin_session(connection, office, account, Visit("192.0.2.1"), "passkey")
    found = find_principal(office, shop.sessions[name])
    assert found is not None
    return found


def test_contested_claim__waits_for_the_operator_who_decides(shop: Workshop) -> None:
    office, chain = shop.lodge.office, bytes.fromhex(shop.passport.removeprefix("pas_"))
    dealer = find_principal(office, shop.sessions["dealer"])
    assert dealer is not None
    with shop.lodge.node.read() as reader:
        code = issue_code(office, reader, dealer, chain)
        buyer = let_in(shop, "The buyer", HOLDER)
        assert not claim(office, reader, buyer, Visit("192.0.2.2"), code.code, VIN).is_held
    english, french = draw(shop, "operator", "/operator")
    assert "Claims to decide" in english
    assert "The holder has not answered." in english
    assert "Code of The dealer, used on" in english
    assert "Le titulaire n’a pas répondu." in french
    english, _ = draw(shop, "holder", "/vehicles")
    assert "Somebody else claims" in english
    english, french = draw(shop, "holder", "/account")
    contest = "/account/contests/" + english.partition('action="/account/contests/')[2].partition('"')[0]
    assert "code" in english.lower()
    assert shop.send("/account", contest).status_code == 303
    draw(shop, "holder", "/account")
    assert "The holder objects." in draw(shop, "operator", "/operator")[0]
    shop.be("operator")
    page = shop.get("/operator")
    decide = "/operator/claims/" + page.partition('action="/operator/claims/')[2].partition('"')[0]
    assert shop.send("/operator", decide, decision="grant").status_code == 303
    assert "Claims to decide" not in draw(shop, "operator", "/operator")[0]
    assert shop.passport in draw(shop, "The buyer", "/vehicles")[0]
    assert shop.passport not in draw(shop, "holder", "/vehicles")[0]
    draw(shop, "holder", "/account")
    english, french = draw(shop, "The buyer", "/account")
    assert "The claim was granted." in english


def test_upkeep__in_each_of_its_states(shop: Workshop, tmp_path: Path) -> None:
    office, here = shop.lodge.office, "/operator/upkeep"
    operator = find_principal(office, shop.sessions["operator"])
    assert operator is not None
    (tmp_path / "backups").mkdir()
    (tmp_path / "secret").write_text("correct horse battery", encoding="utf-8")
    able = Settings(backup_folder=str(tmp_path / "backups"), backup_passphrase_file=str(tmp_path / "secret"))
    for act, outcome in (("backup", {"file": "x.backup"}), ("drill", {"problem": "wrong_passphrase"})):
        ask_job(office, operator, able, act)
        job = take_next(office)
        assert job is not None
        end_job(office, job, outcome, is_good="problem" not in outcome)
    ask_job(office, operator, able, "check")
    job = take_next(office)
    assert job is not None
    end_job(office, job, {"findings": [{"what": "x"}], "problem": "node_damaged"}, is_good=False)
    ask_job(office, operator, able, "backup")
    assert take_next(office) is not None
    assert end_interrupted(office) == 1
    english, french = draw(shop, "operator", here)
    for words in ("Backup", "Restore drill", "Full check", "Something stored is not what was signed", "Failed"):
        assert words in english, words
    assert "interrupted" in english
    assert "Quelque chose" in french


def test_audit__goes_on_where_the_first_page_ends(shop: Workshop) -> None:
    office = shop.lodge.office
    with office.people.write() as connection:
        for at in range(130):
            record(connection, office, Action.CENSUS_TAKEN, "node", about=name_id("upk", at.to_bytes(16, "big")))
    english, _french = draw(shop, "operator", "/operator/audit")
    assert "Older entries" in english
    older = english.partition('href="/operator/audit?')[2].partition('"')[0].replace("&amp;", "&")
    assert "Audit trail" in draw(shop, "operator", f"/operator/audit?{older}")[0]


def test_approvals__in_each_of_their_states(shop: Workshop) -> None:
    office, writer = shop.lodge.office, shop.lodge.desk.door
    first = find_principal(office, shop.sessions["operator"])
    second = let_in(shop, "A second operator", OPERATOR)
    assert first is not None
    names = ("Refused", "Taken back", "Done", "Late", "Failed")
    asked = {name: ask(office, writer, first, EnrolMember(os.urandom(16), name, "garage")) for name in names}
    refuse(office, second, asked["Refused"].public_id)
    withdraw(office, first, asked["Taken back"].public_id)
    assert grant(office, writer, second, asked["Done"].public_id).state == "done"
    writer.enrol_member("Failed", "garage")
    assert grant(office, writer, second, asked["Failed"].public_id).state == "failed"
    shop.lodge.node.clock.now += 8 * DAY_MS
    for who in ("operator", "A second operator"):
        let_in(shop, f"{who}, later", OPERATOR)
        english, french = draw(shop, f"{who}, later", "/operator/approvals")
        for words in ("Refused", "Taken back", "Carried out", "Not decided in time", "Could not be carried out"):
            assert words in english, words
        for one in asked.values():
            draw(shop, f"{who}, later", f"/operator/approvals/{one.public_id}")
    english, french = draw(shop, "operator, later", f"/operator/approvals/{asked['Failed'].public_id}")
    assert "Nothing was changed. The reason:" in english
    assert "Rien n’a été changé" in french


def test_codes__used_run_out_and_withdrawn(shop: Workshop) -> None:
    office, chain = shop.lodge.office, bytes.fromhex(shop.passport.removeprefix("pas_"))
    dealer = find_principal(office, shop.sessions["dealer"])
    assert dealer is not None
    newcomer = let_in(shop, "A newcomer", HOLDER)
    with shop.lodge.node.read() as reader:
        codes = [
            issue_code(office, reader, dealer, chain, valid_ms=ms) for ms in (5 * DAY_MS, 5 * DAY_MS, 1, 9 * DAY_MS)
        ]
        claim(office, reader, newcomer, Visit("192.0.2.2"), codes[0].code, VIN)
    revoke_code(office, dealer, codes[1].id)
    english, french = draw(shop, "dealer", "/console/codes")
    for words in ("used on", "withdrawn", "run out"):
        assert words in english, words
    for words in ("utilisé le", "retiré", "périmé"):
        assert words in french, words


HEADER = b"vin;date;km;garage\n"
ROW = b"WVWZZZ1KZ7P123456;2023-05-%02d;%d;Tilleuls\n"
FILES = {
    "one row broken off.ndjson": (
        b'{"vin":"WVWZZZ1KZ7P123456","date":"2023-05-04","km":41000}\n{"vin":"WVWZ\n',
        ("This is no JSON", "2 of 2 rows"),
        ("Ce n’est pas du JSON", "2 lignes sur 2", "corrigée"),
    ),
    "an open quote.csv": (
        HEADER + b'WVWZZZ1KZ7P123456;2023-05-04;41000;"Tilleuls\n' + ROW % (5, 41_000) * 20,
        ("This row has no cells",),
        ("Cette ligne n’a pas de cellules",),
    ),
    "no heading that is known.csv": (
        b"a;b;c\n1;2;3\n4;5;6\n",
        ("It is not clear yet how to read this file.", "Say below what its columns mean."),
        ("Il n’est pas encore clair comment lire ce fichier.",),
    ),
    "more rows than a page.csv": (
        HEADER + b"".join(ROW % (1 + at % 28, 41_000 + at) for at in range(300)),
        ("300 of 300 rows", "More rows", "Page 1 of "),
        ("300 lignes sur 300", "Page 1 sur "),
    ),
}


def look(street: Street, path: str, language: str) -> str:
    """A page as the street's clerk sees it."""
    street.confirm("clerk")
    headers = {"Accept": "text/html", "Accept-Language": language}
    with httpx2.Client(cookies={"carnet_session": street.sessions["clerk"]}, timeout=30) as client:
        answer = client.get(street.address + path, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


@pytest.mark.parametrize("name", list(FILES))
def test_file__that_is_not_as_it_should_be(street: Street, name: str) -> None:
    data, english, french = FILES[name]
    path = street.send(name, data)
    for language, words in (("en", english), ("fr", french)):
        page = look(street, path, language)
        for one in words:
            assert one in page, one
    if "Page 1 of " in english:
        page = look(street, f"{path}?page=2", "en")
        assert "Rows before" in page
        assert "Page 2 of " in page
