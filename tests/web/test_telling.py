"""What a refusal, a finding or a remark says in French: for every code that there is, and on the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from carnet.errors import Reason, Refused
from carnet.formats.guess import guess
from carnet.formats.remarks import SENTENCES, Remark, find_cause, refuse_file, remark
from carnet.services.accounts.sessions import find_principal
from carnet.services.filing.records import Files, Wish
from carnet.services.filing.taking import take
from carnet.services.findings import WORDS, cannot_check, find
from carnet.services.settings import Settings
from carnet.services.upkeep.jobs import CHECK, ask_job, end_job
from carnet.web.language import load_translations
from carnet.web.pages.telling import PLAIN, list_told, say_code, say_finding, say_reason, say_remark, say_what
from tests.web.messages import WEB
from tests.web.workshop import HTML, VIN, Workshop, opening_workshop

ROOT = WEB.parent
SAME = {"%(message)s", "`carnet census`", "chmod %(wanted)s %(path)s", "%(column)s: %(field)s"}
"""What is the same in both languages, but for the spaces."""
NAMES = re.compile(r"(Python|SQLite) %\(version\)s")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with opening_workshop(tmp_path) as made:
        yield made


def find_codes(call: str) -> set[str]:
    """The codes that are given to a function anywhere in the program."""
    found = set()
    for path in ROOT.rglob("*.py"):
        found |= set(re.findall(rf"\b{call}\(\s*\"([a-z0-9_.]+)\"", path.read_text(encoding="utf-8")))
    return found


def test_told__every_sentence_has_a_french_one() -> None:
    french = load_translations("fr")
    left = [text for text in list_told() if french.gettext(text) == text and text not in SAME]
    assert [text for text in left if not NAMES.fullmatch(text)] == []


def test_told__every_reason_has_a_sentence() -> None:
    assert set(PLAIN) == set(Reason)
    for reason in Reason:
        assert say_reason("fr", reason) != say_reason("en", reason)
        assert say_reason("fr", reason).endswith(".")


def test_told__every_code_that_is_given_is_known_and_every_known_one_is_given() -> None:
    given = find_codes("remark") | find_codes("refuse_file") | find_codes("Remark")
    assert given - set(SENTENCES) == set()
    tables = (ROOT / "formats" / "guess.py").read_text(encoding="utf-8")
    assert {code for code in set(SENTENCES) - given if f'"{code}"' not in tables} == set()
    assert {code for code in find_codes("find") if "." in code} == set(WORDS)


def test_told__a_refusal_keeps_its_own_words_in_english_alone() -> None:
    refused = Refused(Reason.MEMBER_EXISTS, "The garage is enrolled since Monday")
    assert say_what("en", refused) == "The garage is enrolled since Monday"
    assert say_what("fr", refused).startswith("Une organisation porte déjà")


def test_remark__facts_are_written_as_each_language_does() -> None:
    told = remark("too_many_columns", most=1_000, count=1_000_000)
    assert str(told) == "a table has at most 1,000 columns, and this one 1,000,000 or more"
    assert (
        say_remark("fr", told) == "Un tableau a au plus 1\u202f000 colonnes, et celui-ci 1\u202f000\u202f000 ou plus."
    )
    assert (
        say_remark("fr", remark("kind", kind="vehicle.repair/1"))
        == "Chaque ligne est une entrée «\u00a0Réparation\u00a0»."
    )
    faulty = remark("faulty_in", count=3, all=20, rule="invalid_vin", column="châssis")
    assert "dans la colonne châssis\u00a0: Ceci ne peut pas être un VIN" in say_remark("fr", faulty)


def test_remark__of_a_refused_file_is_found_again() -> None:
    refused = refuse_file("xlsx_damaged", error="Bad magic number", file="/tmp/x.xlsx")
    assert (refused.reason, refused.message) == (
        Reason.UNREADABLE_FILE,
        "this XLSX file is damaged: Bad magic number",
    )
    found = find_cause(refused)
    assert found == Remark("xlsx_damaged", {"error": "Bad magic number"})
    assert say_remark("fr", found) == "Ce fichier XLSX est abîmé."
    assert find_cause(Refused(Reason.NOT_JSON, "no")) is None


def test_remark__every_doubt_of_a_guess_can_be_said() -> None:
    head = "immat;date;valeur\n" + "".join(f"AB-{n}-CD;0{n % 9 + 1}/05/2026;1.{n}\n" for n in range(100, 140))
    found = guess(head.encode(), "x.csv", 1_795_000_000_000)
    assert found.reasons
    for one in found.reasons:
        assert say_remark("fr", one) != say_remark("en", one)
        assert "%(" not in say_remark("fr", one)


def test_finding__that_could_not_be_made_tells_why_in_the_readers_language() -> None:
    refused = Refused(Reason.NODE_DAMAGED, "the key ring is not one")
    told = say_finding("fr", cannot_check("keys", refused, refused.reason.value))
    assert told.startswith("N’a pas pu être vérifié\u00a0: Ce qui est gardé contredit le journal")
    assert "key ring" not in told


def test_finding__has_no_mark_of_a_terminal() -> None:
    assert say_finding("fr", find("census.owed", "warning")) == (
        "Il en faut un après un effacement. Le dernier nomme un carnet effacé depuis\u00a0: jusqu’au prochain, aucune "
        "preuve ne peut être faite. Que faire\u00a0: carnet census."
    )


def test_code__of_a_refusal_or_of_the_verifier_is_said_and_another_is_not() -> None:
    assert say_code("fr", "wrong_passphrase") == "Cette phrase de passe n’ouvre pas les clés."
    assert say_code("fr", "fields_mismatch") != say_code("en", "fields_mismatch")
    assert say_code("fr", "batch_path_mismatch").startswith("Une entrée")
    assert say_code("fr", "interrupted") == ""


def test_pages__of_the_operator_say_why_a_job_failed_in_french(shop: Workshop) -> None:
    office = shop.lodge.office
    operator = find_principal(office, shop.sessions["operator"])
    assert operator is not None
    job = ask_job(office, operator, Settings(), CHECK)
    end_job(office, job, {"problem": "wrong_passphrase"}, is_good=False)
    shop.be("operator")
    page = shop.client.get("/operator/upkeep", headers=HTML | {"Accept-Language": "fr"}).text
    assert "Cette phrase de passe n’ouvre pas les clés." in page


def test_pages__of_the_operator_tell_findings_in_french(shop: Workshop) -> None:
    shop.be("operator")
    answer = shop.client.get("/operator", headers=HTML | {"Accept-Language": "fr"})
    assert answer.status_code == 200
    checks = answer.text.partition('id="checks"')[2].partition("</section>")[0]
    assert "Aucune n’a été faite d’ici." in checks
    assert "Seul leur propriétaire peut lire le dossier et les clés." in checks
    assert 'lang="en"' not in checks
    for english in ("the ", "is not", "none", "nobody"):
        assert english not in re.sub(r"/\S+|<[^>]*>", "", checks)


def test_pages__of_the_operator_have_a_name_for_every_check() -> None:
    named = set(re.findall(r'name == "(\w+)"', (WEB / "templates" / "operator.html").read_text(encoding="utf-8")))
    assert {code.partition(".")[0] for code in WORDS} - {"any"} <= named


def test_pages__of_a_file_that_cannot_be_read_say_why_in_french(shop: Workshop) -> None:
    page = drop(shop, "releve.xls", b"\xd0\xcf\x11\xe0" + b"\0" * 600)
    assert "C’est un fichier d’un ancien Excel (XLS)\u00a0: enregistrez-le en XLSX ou en CSV." in page
    assert "old Excel" not in page


def test_pages__of_a_file_that_was_guessed_tell_the_doubts_in_french(shop: Workshop) -> None:
    rows = "".join(f"AB-{n}-CD;0{n % 9 + 1}/05/2026;{n}000\n" for n in range(100, 120))
    page = drop(shop, "x.csv", f"immat;date;compteur\n{rows}".encode())
    doubts = page.partition("Ce qui était douteux")[2].partition("</ul>")[0]
    assert "immat\u00a0: des plaques seules." in doubts.replace("Immat", "immat")
    assert "aucun jour lu ne dépasse 12" in doubts
    assert not re.search(r"\b(the|rows|plates)\b", doubts)


@pytest.mark.parametrize("count, word", [(0, "prête"), (1, "prête"), (2, "prêtes")])
def test_pages__of_a_file_agree_with_the_number_of_its_rows(shop: Workshop, count: int, word: str) -> None:
    rows = "".join(f"{VIN};2024-05-0{n + 1};{count}0{n}000\n" for n in range(count)) or f"{VIN};2999-01-01;1000\n"
    page = drop(shop, "x.csv", f"vin;date;compteur\n{rows}".encode())
    tally = page.partition('class="tally"')[2].partition("</dl>")[0]
    ligne = "ligne" if count < 2 else "lignes"
    assert re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", tally)[0] == (f"{ligne} {word} à sceller", str(count))


def drop(shop: Workshop, name: str, data: bytes) -> str:
    """The page of a file, in French, once it was read."""
    desk, member = shop.lodge.desk, shop.members["garage"]
    files = desk.shelf["files"] = Files(desk.home, desk.clock, desk.random_bytes)
    job = files.create(member, "acc_" + "1" * 32, Wish(name=name, format="guess", size=len(data), review=True))
    files.add_part(member, job.id, 0, data)
    running = msgspec.structs.replace(files.get(member, job.id), state="running")
    files.save(running)
    take(files, shop.lodge.node.writers[0], running)
    shop.be("clerk")
    answer = shop.client.get(f"/console/files/{job.id}", headers=HTML | {"Accept-Language": "fr"})
    assert answer.status_code == 200, answer.text
    return re.sub(r"[ \n]+", " ", answer.text)
