"""States of the pages beside a holder's vehicle that nothing else draws: the verification that a server does, and a
claim by somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import HOLDER, insert_account
from carnet.services.accounts.sessions import begin_session, find_principal
from carnet.services.app_views import grant_view
from carnet.services.appearance.looks import set_look
from carnet.services.claims import claim, decide, issue_code
from carnet.services.holdings import Holdings, begin_holding
from carnet.tlog.policy import parse_policy
from carnet.web.language import LANGUAGES, Language
from carnet.web.pages.verifying import judge
from tests.services.accounts.ground import OPERATOR
from tests.web.lodge import read_form_token
from tests.web.samples import SAMPLES, Sample, make_hostile, make_part, make_sample
from tests.web.test_states_of_vehicles import read_text
from tests.web.workshop import HTML, VIN, Workshop, opening_workshop

APP = "https://app.example"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with opening_workshop(tmp_path_factory.mktemp("workshop")) as made:
        yield made


def read(shop: Workshop, path: str, language: Language = "en") -> str:
    answer = shop.client.get(path, headers={**HTML, "Accept-Language": language}, follow_redirects=False)
    assert answer.status_code == 200, (path, answer.status_code)
    return read_text(answer.text)


def post(shop: Workshop, page: str, path: str, code: int, language: Language, **more: object) -> str:
    token = read_form_token(shop.client.get(page, headers=HTML).text)
    headers = {**HTML, "Accept-Language": language, "Sec-Fetch-Site": "same-origin"}
    data = {"form_token": token, **more.pop("data", {})}  # type: ignore[dict-item]
    answer = shop.client.post(path, data=data, headers=headers, follow_redirects=False, **more)  # type: ignore[arg-type]
    assert answer.status_code == code, answer.text
    return read_text(answer.text)


def verify(shop: Workshop, files: dict[str, object], now: int, language: Language) -> str:
    """What the server says of a proof at a time of its own."""
    clock = shop.lodge.node.clock
    before, clock.now = clock.now, now
    try:
        return post(shop, "/verify/here", "/verify/here", 200, language, files=files)
    finally:
        clock.now = before


VERDICTS = {
    "genuine": ("Genuine", "Authentique"),
    "superseded": ("Superseded", "Remplacé"),
    "altered": ("Altered", "Altéré"),
    "cannot_tell": ("Cannot tell", "Impossible à dire"),
    "foreign": ("Cannot tell", "Impossible à dire"),
    "no_proof": ("Altered", "Altéré"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_verify_here__tells_each_verdict(shop: Workshop, name: str) -> None:
    sample = make_sample(name)
    files: dict[str, object] = {"proof": ("x.carnet", sample.bundle)}
    if sample.policy is not None:
        files["policy"] = ("x.policy", sample.policy)
    for language, said in zip(("en", "fr"), VERDICTS[name], strict=True):
        text = verify(shop, files, sample.now, language)
        assert f" {said} " in text, text


@pytest.mark.parametrize("make", [make_hostile, lambda: make_part(1, 3)], ids=["hostile", "part"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_verify_here__shows_whatever_an_author_could_sign(
    shop: Workshop, make: Callable[[], Sample], language: Language
) -> None:
    sample = make()
    files: dict[str, object] = {"proof": ("x.carnet", sample.bundle), "policy": ("x.policy", sample.policy or b"")}
    text = verify(shop, files, sample.now, language)
    assert judge(sample.bundle, parse_policy(sample.policy or b""), sample.now, language).entries
    assert ("What it shows" if language == "en" else "Ce qu’elle montre") in text


def test_verify_here__without_a_file_or_with_a_wrong_policy_says_what_to_do(shop: Workshop) -> None:
    assert "Choose a .carnet file first." in post(
        shop, "/verify/here", "/verify/here", 422, "en", files={"proof": ("", b"")}
    )
    files: dict[str, object] = {"proof": ("x.carnet", b"x"), "policy": ("y.policy", b"no policy")}
    assert "This is no trust policy" in post(shop, "/verify/here", "/verify/here", 422, "en", files=files)


@pytest.fixture(scope="module")
def claimed(shop: Workshop) -> str:
    """Somebody else claims the holder's vehicle; the contest."""
    office, passport = shop.lodge.office, bytes.fromhex(shop.passport.removeprefix("pas_"))
    with office.people.write() as connection:
        account = insert_account(connection, office, HOLDER, "A buyer", office.random_bytes(32))
        shop.sessions["buyer"] = begin_session(connection, office, account, Visit("192.0.2.2"), "passkey")
    buyer = find_principal(office, shop.sessions["buyer"])
    assert buyer is not None
    with shop.lodge.node.read() as reader:
        clerk = find_principal(office, shop.sessions["dealer"])
        assert clerk is not None
        code = issue_code(office, reader, clerk, passport)
        made = claim(office, reader, buyer, Visit("192.0.2.2"), code.code, VIN)
    assert made.contest is not None
    return made.contest


def test_claim__is_told_to_the_holder_and_to_who_claims_and_nobody_is_sent_to_a_page_that_is_not_theirs(
    shop: Workshop, claimed: str
) -> None:
    link = f'href="/vehicles/{shop.passport}"'
    shop.be("holder")
    assert "Somebody else claims VIN" in read(shop, "/vehicles")
    assert "Quelqu’un d’autre" in read(shop, "/vehicles", "fr")
    assert link in shop.get("/account")
    shop.be("buyer")
    assert "You claim a vehicle that somebody else holds." in read(shop, "/account")
    assert "the operator" in read(shop, "/vehicles?contested")
    assert link not in shop.get("/account")
    with shop.lodge.node.read() as reader:
        decide(shop.lodge.office, reader, OPERATOR, claimed, is_granted=True)
    assert "You claimed a vehicle that somebody else held. " in read(shop, "/account")
    assert "The claim was granted." in read(shop, "/account")
    assert link in shop.get("/account")
    shop.be("holder")
    assert "The claim was granted." in read(shop, "/account")
    assert "that you held" in read(shop, "/account")
    assert link not in shop.get("/account")


def test_looks__an_app_that_has_not_opened_it_yet_and_the_frame_that_it_opens(shop: Workshop) -> None:
    office, passport = shop.lodge.office, bytes.fromhex(shop.passport.removeprefix("pas_"))
    look = set_look(
        office, OPERATOR, shop.members["garage"], name="The garage", ink="#7a1f3d", paper="#fbe9d7", origins=[APP]
    )
    with office.people.write() as connection:
        # Whoever holds it by now, this test has a holder of its own.
        account = insert_account(connection, office, HOLDER, "A reader", office.random_bytes(32))
        shop.sessions["reader of frames"] = begin_session(connection, office, account, Visit("192.0.2.3"), "passkey")
        begin_holding(connection, office, passport, 0, account.id, "claim")
    holder = find_principal(office, shop.sessions["reader of frames"])
    assert holder is not None
    with shop.lodge.node.read() as reader:
        token = grant_view(office, reader, Holdings(office), holder, passport, look, APP).token
    shop.be("reader of frames")
    assert "Not opened yet." in read(shop, f"/vehicles/{shop.passport}/looks")
    assert "Pas encore ouvert" in read(shop, f"/vehicles/{shop.passport}/looks", "fr")
    shop.be("dealer")
    for number in range(1, 46):
        shop.seal(day="2023-03-03", odometer=str(80_000 + number))
    frame = f"/embed/{look.public_id}/vehicles/{shop.passport}"
    headers = {**HTML, "Sec-Fetch-Site": "same-origin", "Origin": "null"}
    for language, older in (("en", "older entries"), ("fr", "entrées plus anciennes")):
        for section, words in (("summary", "80"), ("history", older), ("odometer", "80")):
            data = {"view": token, "app": APP, "section": section, "lang": language, "theme": "dark"}
            shop.client.cookies.clear()
            answer = shop.client.post(frame, data=data, headers=headers)
            assert answer.status_code == 200, answer.text
            assert words in read_text(answer.text), (language, section)
    shop.be("reader of frames")
    assert "Last opened" in read(shop, f"/vehicles/{shop.passport}/looks")
