"""The holder's pages in the states that a vehicle comes into: measures, recalls, contracts, procedures, objections,
corrections, what was erased, what is closed.

Every vehicle below is made by real entries of the members who may write them; the pages are fetched without a browser,
in both languages. Nothing is looked at but what a reader would read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import groupby
from typing import Any, NamedTuple

import pytest

from carnet.node.jobs import ChainRef, Group, Item
from carnet.services.accounts.registry import get_account_by_id
from carnet.services.accounts.sessions import find_principal
from carnet.services.holdings import begin_holding
from carnet.types import Basis, Mark, Subject
from carnet.web.language import LANGUAGES
from tests.node.home import make_item, more
from tests.web.workshop import HTML, Workshop, opening_workshop

TODAY = "2023-11-14"
"""The day on which a test's node begins (`tests.node.home.START_MS`)."""

KINDS = {
    "authority": "registration_authority",
    "centre": "inspection_centre",
    "centre2": "inspection_centre",
    "insurer": "insurer",
    "maker": "manufacturer",
    "police": "public_authority",
    "scrapyard": "dismantler",
}
SECTIONS = ("", "/status", "/history", "/inspections", "/odometer", "/contracts", "/procedures")
OTHERS = ("/vehicle", "/holder", "/documents", "/looks", "/add")
"""What looks alike whatever has happened to a vehicle."""


class Told(NamedTuple):
    """One entry to make: who, what, when (None: nobody knows), and the place of the entry that its mark is about."""

    who: str
    kind: str
    fields: dict[str, Any]
    day: str | None = "2023-05-04"
    mark: int = Mark.NONE
    target: int = -1


def title(type_: str, day: str | None = "2023-05-04", who: str = "authority") -> Told:
    return Told(who, "vehicle.title/1", {"type": type_}, day)


def inspection(result: str, day: str, until: str | None) -> Told:
    fields = {"odometer_state": "not_stated", "result": result, "valid_until": until}
    return Told("centre", "vehicle.inspection/1", fields, day)


def contract(state: str, day: str = "2023-05-04", who: str = "insurer", **fields: Any) -> Told:
    return Told(who, "vehicle.contract/1", {"state": state, "type": "insurance", **fields}, day)


def recall(state: str, day: str, who: str = "maker", campaign: str = "R-2023/17") -> Told:
    return Told(who, "vehicle.recall/1", {"campaign": campaign, "state": state}, day)


def read(km: int, day: str | None = "2023-05-04", who: str = "garage", mark: int = Mark.NONE, target: int = -1) -> Told:
    return Told(who, "vehicle.odometer/1", {"odometer_km": km, "odometer_state": "read"}, day, mark, target)


def procedure(type_: str, state: str = "open", **fields: Any) -> Told:
    return Told("authority", "vehicle.procedure/1", {"type": type_, "state": state, **fields}, "2023-10-01")


def contest(target: int, who: str = "dealer", note: str = "not ours") -> Told:
    return Told(who, "passport.contested/1", {"reason": "wrong_value", "note": note}, TODAY, Mark.CONTESTS, target)


def withdraw(target: int, who: str = "garage") -> Told:
    fields = {"reason": "typing_error", "note": "the wrong vehicle was open"}
    return Told(who, "passport.corrected/1", fields, TODAY, Mark.SUPERSEDES, target)


STORIES: dict[str, list[Told]] = {
    "bare": [],
    "measures": [
        title("seizure_registered", "2023-03-01", "police"),
        title("opposition_registered", "2023-04-01", "police"),
        title("opposition_lifted", "2023-06-02", "police"),
        title("lien_registered", None),
    ],
    "recalls": [recall("open", "2023-02-01"), recall("no_remedy_yet", "2023-06-01", campaign="R-2023/44")],
    "recall_done": [recall("open", "2023-02-01"), recall("fixed", "2023-08-01", "garage")],
    "contracts": [
        contract("opened", provider="Assurances Réunies", start_date="2023-01-01", end_date="2023-12-31"),
        contract("opened", type="warranty", end_date="2025-01-01"),
        contract("opened", type="assistance", start_date="2023-01-01"),
        contract("suspended", "2023-09-01", type="assistance"),
        contract("opened", type="lease", start_date="2020-01-01", end_date="2022-12-31"),
        contract("opened", type="rental", start_date="2023-01-01", end_date="2024-12-31"),
        contract("closed", "2023-10-01", type="rental"),
    ],
    "inspection_due": [inspection("A", "2021-12-20", "2023-12-20")],
    "inspection_overdue": [inspection("A", "2021-09-20", "2023-09-20")],
    "inspection_failed": [inspection("S", "2023-10-20", "2023-12-20")],
    "corrected": [
        read(84_210, "2023-03-03"),
        read(48_210, "2023-03-03", mark=Mark.SUPERSEDES, target=1),
        read(50_000, "2023-04-03"),
        withdraw(3),
        read(51_000, "2023-06-03"),
        # The dealer may not correct the garage: its correction is a contest (spec 2.9).
        read(15_000, "2023-06-03", "dealer", Mark.SUPERSEDES, 5),
    ],
    "answered": [read(30_000)],
    "objection_withdrawn": [read(30_000), contest(1), withdraw(2, "dealer")],
    "undated": [read(12_000, None), read(14_000, "2023-05-04")],
    "procedures": [
        procedure("import", due="2023-10-31", papers=[{"name": "Facture", "state": "asked"}, {"name": "COC"}]),
        procedure("address_change", due="2024-01-15"),
        procedure("duplicate_title", "submitted"),
        procedure("export", "refused"),
        procedure("purchase", "abandoned"),
        title("sale_declared", "2023-10-10"),
    ],
    "proved": [
        Told("centre", "vehicle.inspection/1", {"odometer_state": "not_stated", "result": "A"}, None),
        Told("centre", "vehicle.inspection/1", {"odometer_state": "not_stated", "result": "A"}, "2023-09-09"),
    ],
    "future": [contract("opened", provider="Assurances Réunies", start_date="2024-02-01", end_date="2025-01-31")],
    "checked": [
        Told(
            "garage",
            "vehicle.checkup/1",
            {
                "term": "short_term",
                "findings": [{"part": "Freins", "state": "now", "text": "à 2 mm"}, {"part": "Pneus", "state": "good"}],
            },
        ),
    ],
    "closed": [
        Told("scrapyard", "vehicle.end_of_life/1", {"certificate": "D-1"}, "2023-10-02"),
        Told("scrapyard", "passport.closed/1", {"reason": "destroyed"}, "2023-10-03"),
    ],
    "erased_entry": [read(9_000, "2023-01-03"), read(10_000, "2023-05-03")],
    "erased": [read(9_000)],
    "disputed": [
        Told("centre2", "vehicle.inspection/1", {"odometer_state": "not_stated", "result": "A"}, "2023-01-03")
    ],
    "contested": [read(20_000)],
    "long": [read(1_000 * n, f"2022-{1 + n // 28:02d}-{1 + n % 28:02d}") for n in range(1, 46)],
}


@dataclass
class Fleet:
    """The vehicles by their story, as names."""

    shop: Workshop
    passports: dict[str, bytes]

    def path(self, story: str, rest: str = "") -> str:
        return f"/vehicles/pas_{self.passports[story].hex()}{rest}"

    def get(self, path: str, language: str = "en", code: int = 200) -> str:
        """What a reader reads at an address: the text of the page's main part."""
        answer = self.shop.client.get(path, headers={**HTML, "Accept-Language": language}, follow_redirects=False)
        assert answer.status_code == code, (path, answer.status_code, read_text(answer.text)[:600])
        return read_text(answer.text)

    def read(self, story: str, rest: str = "", language: str = "en") -> str:
        return self.get(self.path(story, rest), language)

    def write(self, story: str, told: Sequence[Told]) -> None:
        """Seal them in their order; neighbours of one author that bear no mark go together."""
        runs = groupby(enumerate(told), lambda one: (one[1].who, one[0] if one[1].mark else -1))
        for (who, _), run in runs:
            seal(self.shop, who, self.get_subject(story), [one for _, one in run])

    def get_statement(self, story: str, seq: int) -> str:
        with self.shop.lodge.node.read() as reader:
            return list(reader.read_entries(self.passports[story]))[seq].sid.hex()

    def get_subject(self, story: str) -> Subject:
        with self.shop.lodge.node.read() as reader:
            found = reader.get_subject(self.passports[story])
        return Subject(str(found["scheme"]), str(found["value"]))


def read_text(page: str) -> str:
    main = re.search(r"<main.*?</main>", page, re.DOTALL)
    whole = re.sub(
        r"<(script|style|svg)\b.*?</\1>|</?(a|b|del|ins|strong|time)\b[^>]*>",
        "",
        main[0] if main else page,
        flags=re.DOTALL,
    )
    text = re.sub(r"<[^>]*>", " ", whole)
    return re.sub(r"\s+", " ", unescape(text)).strip()


def seal(shop: Workshop, who: str, subject: Subject, told: Sequence[Told]) -> None:
    writer = shop.lodge.node.writers[0]
    chain = writer.find_chain(subject)
    assert chain is not None
    outcome = writer.append(shop.members[who], Basis.HOSTED, [more(chain, *(make(shop, chain, one) for one in told))])
    assert not outcome.refusals, (told, outcome.refusals)


def make(shop: Workshop, chain: ChainRef, told: Told) -> Item:
    target = bytes(32)
    if told.mark:
        with shop.lodge.node.read() as reader:
            target = list(reader.read_entries(chain.chain16))[told.target].sid
    moment = {"at": told.day, "precision": "unknown" if told.day is None else "day", "zone": None}
    given = {name: value for name, value in told.fields.items() if value is not None}
    fields = {"kind": told.kind, "subject": chain.subject, "occurred": moment, **given}
    return Item(told.kind, fields, mark=told.mark, target=target)


def make_fleet(shop: Workshop) -> Fleet:
    writer, office = shop.lodge.node.writers[0], shop.lodge.office
    for name, kind in KINDS.items():
        shop.members[name] = writer.enrol_member(f"The {name}", kind).id
    subjects = [Subject("vin", f"WVWZZZ1KZ7P2{number:05d}") for number in range(len(STORIES))]
    openings = [make_item("passport.opened/1", one, day="2020-01-01", occasion="service") for one in subjects]
    outcome = writer.append(shop.members["dealer"], Basis.HOSTED, [Group([item]) for item in openings])
    assert not outcome.refusals, outcome.refusals
    passports = {story: writer.find_chain(one) for story, one in zip(STORIES, subjects, strict=True)}
    fleet = Fleet(shop, {story: chain.chain16 for story, chain in passports.items() if chain is not None})
    holder = find_principal(office, shop.sessions["holder"])
    assert holder is not None
    with office.people.write() as connection:
        account = get_account_by_id(office, str(holder.account))
        for passport in fleet.passports.values():
            begin_holding(connection, office, passport, 0, account.id, "claim")
    for story, told in STORIES.items():
        fleet.write(story, told)
    return fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opening_workshop(tmp_path_factory.mktemp("fleet")) as shop:
        made = make_fleet(shop)
        writer = shop.lodge.node.writers[0]
        shop.be("holder")
        for story in ("answered", "contested"):
            path = made.path(story, "/entries/1/contest")
            sent = shop.send(path, path, reason="wrong_value", note="le compteur montrait autre chose")
            assert sent.status_code == 303, sent.text
        made.write("answered", [contest(2, "garage", "la photo montre 30 000")])
        for seq in (1, 2):
            made.write("proved", [procedure("inspection", "done", proved_by=made.get_statement("proved", seq))])
        centre = writer.state.members.get(shop.members["centre2"])
        writer.revoke_key(centre.id, centre.keys[0].digest, disputed_since=1)
        writer.erase(made.passports["erased_entry"], [1], "holder_request")
        writer.erase(made.passports["erased"], None, "holder_request")
        yield made


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("story", [story for story in STORIES if story != "erased"])
def test_pages__of_every_section_and_entry_are_drawn_without_a_raw_code(
    fleet: Fleet, story: str, language: str
) -> None:
    with fleet.shop.lodge.node.read() as reader:
        count = min(8, len(list(reader.read_entries(fleet.passports[story]))))
    others = OTHERS if story in ("bare", "closed", "erased_entry") else ()
    if story == "closed":
        others = tuple(rest for rest in others if rest != "/add")
    for rest in (*SECTIONS, *others, *(f"/entries/{seq}" for seq in range(count))):
        text = fleet.read(story, rest, language).partition("Technical details" if language == "en" else "Détails tech")[
            0
        ]
        assert not re.search(r"\b[a-z]+_[a-z]+\b|\b(vehicle|passport)\.[a-z]|None|Undefined|%\(", text), (rest, text)
        assert " ." not in text, (rest, text)


class Said(NamedTuple):
    """What stands on a page of a story, in either language; and what does not, after a `!`."""

    story: str
    rest: str
    english: tuple[str, ...]
    french: tuple[str, ...]


SAID = [
    Said(
        "bare",
        "",
        ("Nothing to report", "Nothing has been written about the vehicle yet."),
        ("Rien à signaler", "Rien n’a encore été écrit sur le véhicule."),
    ),
    Said("bare", "/odometer", ("No reading yet",), ("Pas encore de relevé",)),
    Said("bare", "/documents", ("No document yet",), ("Pas encore de document",)),
    Said("bare", "/history?group=damage", ("Nothing of this kind yet",), ("Rien de ce genre encore",)),
    Said("measures", "", ("To be dealt with Seizure registered",), ("À régler Saisie inscrite",)),
    Said(
        "measures",
        "/status",
        ("In force: since 1 March 2023", "Measures that ended Opposition registered Opposition lifted, 2 June 2023"),
        ("En vigueur : depuis le 1er mars 2023", "Mesures terminées Opposition inscrite Opposition levée, 2 juin 2023"),
    ),
    Said(
        "recalls",
        "",
        ("A recall is open. 1 more point below.", "To be dealt with"),
        ("Un rappel est ouvert. 1 autre point plus bas.", "À régler"),
    ),
    # The maker says that it is open, and the garage that it was mended: each in an entry of its own.
    Said("recall_done", "", ("Nothing to report", "!A recall is open"), ("Rien à signaler", "!Un rappel est ouvert")),
    Said("recall_done", "/history", ("State: fixed", "State: open"), ("État : réparé", "État : ouvert")),
    Said("contracts", "", ("A contract ends on 31 December 2023",), ("Un contrat finit le 31 décembre 2023",)),
    Said(
        "contracts",
        "/contracts",
        ("Until 1 Jan 2025", "Ends soon", "Suspended", "until 31 Dec 2024 · closed on 1 Oct 2023"),
        ("Jusqu’au 1er janv. 2025", "Finit bientôt", "Suspendu", "au 31 déc. 2024 · clos le 1er oct. 2023"),
    ),
    Said("future", "/contracts", ("Not begun yet",), ("Pas encore commencé",)),
    Said("future", "/procedures", ("!Done, valid until",), ("!Fait, valable",)),
    Said(
        "inspection_due",
        "",
        ("Inspection due before 20 December 2023", "In 36 days."),
        ("avant le 20 décembre 2023", "Dans 36 jours."),
    ),
    Said(
        "inspection_overdue",
        "",
        ("The inspection was valid until 20 September 2023", "55 days ago."),
        ("était valable jusqu’au 20 septembre 2023", "Depuis 55 jours."),
    ),
    Said(
        "inspection_overdue",
        "/inspections",
        ("Inspections The inspection was valid until 20 September 2023",),
        ("Contrôles Le contrôle était valable jusqu’au 20 septembre 2023",),
    ),
    Said(
        "inspection_overdue",
        "/procedures",
        ("Was due by 20 September 2023",),
        ("Était à faire avant le 20 septembre 2023",),
    ),
    Said(
        "inspection_failed",
        "",
        ("The last inspection asks for repairs",),
        ("Le dernier contrôle demande des réparations",),
    ),
    Said(
        "corrected",
        "/entries/1",
        ("Corrected by The garage", "Odometer: 84,210 km → 48,210 km", "See what takes its place"),
        ("Corrigé par The garage", "84 210 km → 48 210 km"),
    ),
    Said(
        "corrected", "/entries/2", ("It takes the place of entry no. 1.",), ("Elle prend la place de : entrée n° 1.",)
    ),
    # Nothing takes the place of what was withdrawn.
    Said(
        "corrected",
        "/entries/3",
        ("Withdrawn by The garage", "See the withdrawal", "!takes its place"),
        ("Retirée par The garage", "Voir le retrait"),
    ),
    Said("corrected", "/entries/4", ("It withdraws entry no. 3.",), ("Elle retire : entrée n° 3.",)),
    # A correction by somebody who may not correct takes no place (spec 2.9).
    Said(
        "corrected",
        "/entries/5",
        ("Contested by The dealer, 3 June 2023 15,000 km",),
        ("Contesté par The dealer, 3 juin 2023 15 000 km",),
    ),
    Said(
        "corrected",
        "/entries/6",
        ("It contests entry no. 5.", "!the place of"),
        ("Elle conteste : entrée n° 5.", "!la place de"),
    ),
    Said("contested", "", ("An entry is contested",), ("Une entrée est contestée",)),
    Said(
        "contested",
        "/entries/1",
        ("Contested by the holder", "le compteur montrait autre chose"),
        ("Contesté par le titulaire", "le compteur montrait autre chose"),
    ),
    # The holder's objection is the holder's, whoever signs for them.
    Said(
        "answered",
        "",
        ("An objection was answered Entry contested: The holder", "1 more point below.", "!Fleet Data"),
        ("Une objection a reçu une réponse Entrée contestée : Le titulaire",),
    ),
    Said(
        "answered",
        "/entries/2",
        ("Contested by The garage", "la photo montre 30 000", "!Correct this entry"),
        ("Contesté par The garage", "!Corriger cette entrée"),
    ),
    Said("objection_withdrawn", "", ("Nothing to report",), ("Rien à signaler",)),
    Said(
        "objection_withdrawn",
        "/entries/1",
        ("the objection was withdrawn since",),
        ("l’objection a été retirée depuis",),
    ),
    Said("undated", "/history", ("Undated date unknown",), ("Sans date date inconnue",)),
    Said("undated", "/odometer", ("date unknown 12,000",), ("date inconnue 12 000",)),
    Said(
        "procedures",
        "/procedures",
        (
            "Import Was due by 31 October 2023 Papers asked for: asked: Facture; COC",
            "Address change Due by 15 January 2024",
            "Duplicate title Under way",
            "Export Refused: it was not done",
            "Purchase Given up: it was not done",
            "after the sale Under way",
        ),
        (
            "Import Était à faire avant le 31 octobre 2023 Pièces demandées : demandé : Facture ; COC",
            "Changement d’adresse À faire avant le 15 janvier 2024",
            "Duplicata du titre En cours",
            "Export Refusé : cela n’a pas été fait",
            "Achat Abandonné : cela n’a pas été fait",
        ),
    ),
    # The day of an inspection is not until when it is valid.
    Said(
        "proved",
        "/procedures",
        ("Done, 9 September 2023", "!valid until"),
        ("Fait, 9 septembre 2023", "!valable jusqu’au"),
    ),
    Said(
        "checked",
        "/entries/1",
        ("What was looked at now: Freins", "now: Freins, à 2 mm; good: Pneus"),
        ("maintenant : Freins, à 2 mm ; bon : Pneus",),
    ),
    Said(
        "closed",
        "",
        ("Passport closed", "only corrections and objections are still written", "!Add to the passport"),
        ("Carnet clos", "seules des corrections et des contestations", "!Ajouter au carnet"),
    ),
    Said("closed", "/entries/1", ("Contest this entry",), ("Contester cette entrée",)),
    Said("closed", "/procedures", ("Destruction Done, 2 October 2023",), ("Destruction Fait, 2 octobre 2023",)),
    Said(
        "erased_entry",
        "/entries/1",
        ("The contents of this entry were erased.", "!9,000"),
        ("Le contenu de cette entrée a été effacé",),
    ),
    Said("erased_entry", "/history", ("Odometer reading",), ("Relevé du compteur",)),
    Said("disputed", "", ("An entry was signed with a key that is disputed",), ("signée avec une clé mise en doute",)),
    Said("disputed", "/entries/1", ("Signed with a disputed key",), ("Signé avec une clé mise en doute",)),
    Said(
        "long", "/history", ("46 entries, newest first", "6 older entries"), ("46 entrées", "6 entrées plus anciennes")
    ),
    Said("long", "/history?after=40", ("1 January 2020", "!older entr"), ("1er janvier 2020",)),
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: f"{said.story}{said.rest}")
def test_page__says_what_is_so(fleet: Fleet, said: Said) -> None:
    for language, wanted in (("en", said.english), ("fr", said.french)):
        text = fleet.read(said.story, said.rest, language)
        for words in wanted:
            assert (words.removeprefix("!") in text) != words.startswith("!"), (language, words, text)


def test_page__where_one_adds_to_a_closed_passport_leads_to_what_says_so(fleet: Fleet) -> None:
    for rest in ("/add", "/add?type=reading"):
        answer = fleet.shop.client.get(fleet.path("closed", rest), headers=HTML, follow_redirects=False)
        assert (answer.status_code, answer.headers.get("location")) == (303, fleet.path("closed")), rest


def test_page__of_an_erased_passport_says_so_and_the_list_leaves_it_out(fleet: Fleet) -> None:
    for language, words in (("en", "erased"), ("fr", "effacé")):
        for rest in ("", "/history", "/looks", "/entries/1"):
            assert words in fleet.get(fleet.path("erased", rest), language, 410), rest
        assert fleet.passports["erased"].hex() not in fleet.get("/vehicles", language)
