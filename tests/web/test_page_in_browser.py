"""The verification page in a real Chromium, from a local file and with the network off."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FileChooser, Page

from carnet.proof.bundle import MAX_BUNDLE_BYTES
from carnet.proof.verify import Asked
from carnet.services.publishing import PACKAGED, make_page
from carnet.services.verifying import verify_proof
from carnet.tlog.policy import parse_policy
from tests.proof.javascript import spell_subject
from tests.proof.test_vectors import files, load
from tests.vectors import DIRECTORY
from tests.web.browser import DESK, NARROW, Opened, give, open_page, wait_for_answer
from tests.web.samples import SAMPLES, make_hostile, make_long, make_part, make_sample, make_two

WORDS = {
    "genuine": ("Genuine", "Authentique"),
    "altered": ("Altered", "Altéré"),
    "superseded": ("Superseded", "Remplacé"),
    "cannot_tell": ("Cannot tell", "Impossible à dire"),
    "foreign": ("Cannot tell", "Impossible à dire"),
    "no_proof": ("Not a proof", "Pas une preuve"),
}


def judge(opened: Opened, name: str, file_name: str = "car.carnet") -> str:
    """Give a sample with its policy, and wait for the outcome."""
    sample = make_sample(name)
    policy = [("network.policy", sample.policy)] if sample.policy else []
    give(opened, *policy, (file_name, sample.bundle))
    return wait_for_answer(opened)


def read_answer(page: Page) -> dict[str, object]:
    """The verifier's own answer, which the page shows among the technical details."""
    answer: dict[str, object] = json.loads(page.locator("#report").text_content() or "")
    return answer


def has_sideways_scroll(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


# --- outcomes


@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
def test_page__says_the_outcome_in_both_languages(browser: Browser, name: str, language: str) -> None:
    now = make_sample(name).now
    with open_page(browser, PACKAGED, language=language, now_ms=now) as opened:
        judge(opened, name)
        word = opened.page.locator("#result")
        assert word.inner_text().strip() == WORDS[name][language == "fr-FR"]
        assert word.locator("svg").count() == 1  # a shape, never colour alone
        assert opened.page.locator(".findings > li").count() == 4
        assert opened.page.evaluate("document.documentElement.lang") == language[:2]
        is_repeated = opened.page.get_by_text("VF1TEST0000000001").count() > 0
        assert is_repeated == (name not in ("altered", "no_proof"))
        opened.check()


def test_page__the_seal_and_its_green_are_earned(browser: Browser) -> None:
    now = make_sample("genuine").now
    for name in ("genuine", "cannot_tell", "altered", "superseded"):
        with open_page(browser, PACKAGED, now_ms=now) as opened:
            judge(opened, name)
            assert opened.page.locator(".stamp").count() == (name == "genuine")
            if name == "cannot_tell":
                assert opened.page.locator("#answer .is-seal, #answer .badge--certified").count() == 0
                assert "test.carnet.example" in opened.page.locator(".banner").first.inner_text()


def test_page__answers_each_vector_as_the_specification(browser: Browser) -> None:
    """All golden vectors, through the worker that the page itself has made, in one go."""
    found = files()
    assert len(found) >= 148
    jobs = [make_job(path) for path in found]
    with open_page(browser, PACKAGED) as opened:
        opened.page.add_init_script(KEEP_WORKERS_URL)
        opened.page.reload()
        judge(opened, "no_proof")
        answers = opened.page.evaluate(RUN_JOBS, jobs)
        opened.check()
    wrong = [path.stem for path, job, said in zip(found, jobs, answers, strict=True) if said != job["report"]]
    assert wrong == []


KEEP_WORKERS_URL = """
const Plain = Worker;
window.Worker = class extends Plain { constructor(url) { super(url); window.workersUrl = url; } };
"""
RUN_JOBS = """async (jobs) => {
  const worker = new Worker(window.workersUrl);
  const bytes = (spelled) => spelled === null ? null : typeof spelled === "object"
    ? new TextEncoder().encode(spelled.character.repeat(spelled.count))
    : Uint8Array.from(atob(spelled), (letter) => letter.charCodeAt(0));
  const answers = [];
  for (const job of jobs) {
    const said = new Promise((resolve) => { worker.onmessage = ({ data }) => { if (data.id === 7) resolve(data); }; });
    worker.postMessage({ id: 7, job: { ...job, bundle: bytes(job.bundle), since: bytes(job.since) } });
    const { answer, fault } = await said;
    answers.push(fault ?? answer.verdict);
  }
  worker.terminate();
  return answers;
}"""


def make_job(path: Path) -> dict[str, Any]:
    """A vector as the page hands it to its worker, and the report that it must give."""
    document = json.loads(path.read_text(encoding="utf-8"))
    asked = document["asked"]
    return {
        "bundle": document["bundle"],
        "complete": asked["complete"],
        "maxAge": asked["max_age"],
        "now": document["now"],
        "policies": [document["policy"]] if document["policy"] else [],
        "report": document["report"],
        "since": asked["since"],
        "vehicle": asked["passport"] or spell_subject(asked["subject"]) or "",
    }


def test_page__asks_what_the_reader_asks(browser: Browser) -> None:
    """The same, driven as a person drives it, for vectors in which something is asked."""
    names = (
        "genuine",
        "genuine_alias",
        "genuine_since",
        "other_passport",
        "other_subject",
        "since_other_chain",
        "too_old",
    )
    with open_page(browser, PACKAGED, now_ms=0) as opened:
        for name in names:
            document, bundle, asked = load(DIRECTORY / f"bundle-{name}.json")
            opened.page.clock.set_fixed_time(document["now"] / 1000)
            opened.page.goto(PACKAGED.as_uri())
            given = [("old.carnet", asked.since)] if asked.since else []
            give(opened, *given, ("network.policy", document["policy"].encode()), ("car.carnet", bundle))
            wait_for_answer(opened)
            ask(opened.page, asked)
            wait_for_answer(opened)
            assert read_answer(opened.page) == document["report"], name
        assert opened.complaints == []


def ask(page: Page, asked: Asked) -> None:
    """Set what is asked, as a person does. A wish in hours is asked for in whole days: the vectors' ages allow it."""
    if asked == Asked():
        return
    page.locator("#ask > summary").click()
    if asked.complete:
        page.check("#complete")
    if asked.max_age is not None:
        page.fill("#days", str(asked.max_age // 86_400_000))
    typed = asked.passport.hex() if asked.passport else spell_subject(asked.subject)
    if typed:
        page.fill("#vehicle", typed)
    if asked.since:
        page.select_option("#since", label="old.carnet")
    page.wait_for_timeout(450)  # what is typed is judged when the typing has stopped


# --- policies


def test_policy__without_one_the_page_says_what_to_do_and_one_that_is_pasted_decides(browser: Browser) -> None:
    sample = make_sample("genuine")
    assert sample.policy is not None
    with open_page(browser, PACKAGED, now_ms=sample.now) as opened:
        page = opened.page
        give(opened, ("car.carnet", sample.bundle))
        assert wait_for_answer(opened) == "cannot_tell"
        page.get_by_role("button", name="Add a policy").first.click()
        assert page.evaluate("document.activeElement.id") == "paste"
        page.fill("#paste", "trust me")
        page.click("#add")
        assert "not a trust policy" in page.locator("#paste-error").inner_text()
        assert page.get_attribute("#paste", "aria-invalid") == "true"
        page.fill("#paste", sample.policy.decode())
        page.click("#add")
        assert wait_for_answer(opened) == "genuine"
        assert "you gave it; whether to trust it is your decision" in page.locator(".outcome").first.inner_text()
        page.uncheck("#policy-0")
        assert wait_for_answer(opened) == "cannot_tell"
        opened.check()


def test_policy__in_the_page_is_named_with_whose_decision_it_is(browser: Browser, tmp_path: Path) -> None:
    sample = make_sample("genuine")
    assert sample.policy is not None
    file = tmp_path / "verify.html"
    file.write_bytes(make_page([sample.policy]))
    with open_page(browser, file, now_ms=sample.now) as opened:
        page = opened.page
        assert "test.carnet.example" in page.locator("#trust > summary").inner_text()
        page.locator("#trust > summary").click()
        assert "whoever gave you the page chose it" in page.locator(".trusts").inner_text()
        give(opened, ("car.carnet", sample.bundle))
        assert wait_for_answer(opened) == "genuine"
        assert "it came with this page; whether to trust it is your decision" in page.locator(".outcome").inner_text()
        page.uncheck("#policy-0")
        assert wait_for_answer(opened) == "cannot_tell"
        opened.check()


def test_policy__is_kept_on_this_device_and_forgotten(browser: Browser) -> None:
    sample = make_sample("genuine")
    assert sample.policy is not None
    with open_page(browser, PACKAGED, now_ms=sample.now) as opened:
        page = opened.page
        give(opened, ("network.policy", sample.policy))
        page.locator("#trust > summary").click()
        page.click("#keep-0")
        page.get_by_text("Kept on this device, in this browser.").wait_for()
        page.reload()
        give(opened, ("car.carnet", sample.bundle))
        assert wait_for_answer(opened) == "genuine"
        page.locator("#trust > summary").click()
        page.click("#forget-0")
        assert wait_for_answer(opened) == "cannot_tell"
        page.reload()
        assert "nobody yet" in page.locator("#trust > summary").inner_text()


def test_policy__cannot_be_kept_where_the_browser_refuses(browser: Browser) -> None:
    sample = make_sample("genuine")
    assert sample.policy is not None
    with open_page(browser, PACKAGED, now_ms=sample.now) as opened:
        page = opened.page
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
        )
        page.reload()
        give(opened, ("network.policy", sample.policy), ("car.carnet", sample.bundle))
        assert wait_for_answer(opened) == "genuine"
        page.locator("#trust > summary").click()
        page.click("#keep-0")
        page.get_by_text("lets a page from a file keep nothing").wait_for()
        page.click("#theme")
        page.click("#language")
        assert page.evaluate("document.documentElement.lang") == "fr"
        opened.check()


# --- questions


def test_questions__are_answered_beside_the_findings(browser: Browser) -> None:
    sample = make_sample("genuine")
    assert sample.policy is not None
    with open_page(browser, PACKAGED, now_ms=sample.now) as opened:
        page = opened.page
        judge(opened, "genuine")
        page.locator("#ask > summary").click()
        page.fill("#vehicle", " vf1 test 0000000001 ")
        page.get_by_text("The proof is about VIN VF1TEST0000000001.").wait_for()
        page.check("#complete")
        page.fill("#days", "30")
        page.get_by_text("The census is not older than 30 days.").wait_for()
        assert wait_for_answer(opened) == "genuine"
        page.fill("#vehicle", "VF1TEST0000000002")
        page.get_by_text("The proof is about another vehicle").wait_for()
        assert wait_for_answer(opened) == "not_asked"
        assert page.evaluate("document.activeElement.id") == "vehicle"  # whoever types is not thrown out
        page.fill("#vehicle", "plate:FR")
        page.get_by_text("a plate needs its country").wait_for()
        opened.check()


def test_two_proofs__the_older_is_superseded_and_the_newer_continues_it(browser: Browser) -> None:
    older, newer = make_two()
    assert newer.policy is not None
    with open_page(browser, PACKAGED, now_ms=newer.now) as opened:
        page = opened.page
        give(opened, ("network.policy", newer.policy), ("old.carnet", older.bundle), ("new.carnet", newer.bundle))
        assert wait_for_answer(opened) == "genuine"
        page.locator("#ask > summary").click()
        page.select_option("#since", label="old.carnet")
        page.get_by_text("It continues the past that old.carnet showed.").wait_for()
        page.select_option("#since", label="No comparison")
        page.get_by_label("old.carnet").check()
        assert wait_for_answer(opened) == "superseded"
        assert "you gave a newer one of the same passport" in page.locator(".outcome").inner_text()
        opened.check()


def test_entries__are_written_as_the_language_writes_them(browser: Browser) -> None:
    sample = make_part(0, 2)
    assert sample.policy is not None
    given = (("network.policy", sample.policy), ("part.carnet", sample.bundle))
    with open_page(browser, PACKAGED, language="fr-FR", now_ms=sample.now) as opened:
        page = opened.page
        give(opened, *given)
        assert wait_for_answer(opened) == "genuine"
        table = page.locator(".table").inner_text()
        assert "20\u202f000\u202fkm" in table
        assert "14 nov. 2023" in table
        assert "relevé du compteur" in table.lower()
        assert "2 entrées ne sont pas montrées." in page.locator("#answer").inner_text()
        page.locator(".entry summary").first.click()
        page.get_by_text("scellé").first.wait_for()
        page.click("#language")
        table = page.locator(".table").inner_text()
        assert "20,000\u202fkm" in table
        assert "14 Nov 2023" in table
        assert "odometer reading" in table.lower()
        opened.check()


# --- hostile and large files


@pytest.mark.parametrize("language", ["en-GB", "fr-FR"])
def test_hostile__markup_in_every_text_stays_text(browser: Browser, language: str, tmp_path: Path) -> None:
    sample = make_hostile()
    assert sample.policy is not None
    name = "<img src=x onerror=alert(1)>.carnet"
    with open_page(browser, PACKAGED, size=NARROW, language=language, now_ms=sample.now) as opened:
        page = opened.page
        before = page.evaluate("document.querySelectorAll('img, script, b:not(summary b)').length")
        policy = b"# <img src=x onerror=alert(1)>\n" + sample.policy
        give(opened, ("<b>x</b>.policy", policy), (name, sample.bundle), (name, sample.bundle))
        assert wait_for_answer(opened) == "genuine"
        for summary in page.locator("summary").all():
            summary.click()
        assert page.locator("#answer").get_by_text("<img src=x").count() > 5
        assert name in page.locator(".label").first.inner_text()
        assert page.evaluate("document.querySelectorAll('img, script, b:not(summary b)').length") <= before
        assert page.title() != "struck"
        assert not has_sideways_scroll(page)
        assert len(page.locator(".table").inner_text()) < 60_000  # a text of 100,000 is cut, and says so
        opened.check()


def test_large__a_bundle_beyond_the_limit_is_not_read_whole(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "huge.carnet"
    with file.open("wb") as out:
        out.write(b'{"carnet":"proof/1",')
        out.truncate(MAX_BUNDLE_BYTES * 8)
    with open_page(browser, PACKAGED) as opened:
        opened.page.set_input_files("#files", file)
        assert wait_for_answer(opened) == "altered"
        assert "larger than 32 MiB" in opened.page.locator(".findings").inner_text()
        opened.check()


def test_large__the_page_stays_alive_while_a_costly_file_is_judged(browser: Browser, tmp_path: Path) -> None:
    """Frames are drawn while the worker judges; judged in the page, there would be none."""
    file = tmp_path / "costly.carnet"
    file.write_bytes(b'{"carnet":"proof/1","x":["' + b"a" * 28_000_000 + b'",' + b"0," * 1_900_000 + b"0]}")
    with open_page(browser, PACKAGED) as opened:
        page = opened.page
        page.evaluate(COUNT_FRAMES)
        page.set_input_files("#files", file)
        assert wait_for_answer(opened) == "altered"
        assert page.evaluate("window.frames_while_busy") >= 5
        opened.check()


COUNT_FRAMES = """() => {
  window.frames_while_busy = 0;
  const tick = () => {
    if (document.querySelector("#answer[aria-busy=true]")) window.frames_while_busy += 1;
    requestAnimationFrame(tick);
  };
  tick();
}"""


def test_large__many_entries_are_drawn_a_hundred_at_a_time(browser: Browser) -> None:
    sample = make_long(250)
    assert sample.policy is not None
    with open_page(browser, PACKAGED, now_ms=sample.now) as opened:
        page = opened.page
        give(opened, ("network.policy", sample.policy), ("long.carnet", sample.bundle))
        assert wait_for_answer(opened) == "genuine"
        counts = []
        for _ in range(3):
            counts.append(page.locator(".entry").count())
            more = page.get_by_role("button", name=re.compile("^Show"))
            if more.count():
                more.click()
        assert counts == [100, 200, 251]
        opened.check()


def test_worker__where_there_is_none_small_files_are_judged_in_the_page(browser: Browser) -> None:
    sample = make_sample("genuine")
    assert sample.policy is not None
    with open_page(browser, PACKAGED, now_ms=sample.now) as opened:
        opened.page.add_init_script("window.Worker = class { constructor() { throw new Error('no_worker'); } }")
        opened.page.reload()
        assert judge(opened, "genuine") == "genuine"
        verdict = verify_proof(sample.bundle, sample.now, asked=Asked(), policy=("p", parse_policy(sample.policy)))
        assert read_answer(opened.page) == json.loads(verdict.verdict.to_json())
        give(opened, ("large.carnet", b'{"carnet":"proof/1",' + b" " * 5_000_000))
        opened.page.get_by_text("without freezing it").wait_for()
        opened.check()


# --- everyone


@pytest.mark.parametrize("scheme,size", [("light", DESK), ("dark", NARROW)], ids=["desk", "narrow"])
def test_everyone__axe_finds_nothing_serious_and_nothing_scrolls_sideways(
    browser: Browser, scheme: str, size: tuple[int, int]
) -> None:
    for name in (None, *sorted(SAMPLES)):
        now = make_sample(name or "genuine").now
        with open_page(browser, PACKAGED, size=size, scheme=scheme, now_ms=now, language="fr-FR") as opened:
            page = opened.page
            if name is not None:
                judge(opened, name)
            for summary in page.locator("#trust > summary, #ask > summary, .fold > summary").all():
                summary.click()
            entry = page.locator(".entry summary")
            if entry.count():
                entry.first.click()
            assert not has_sideways_scroll(page), name
            found = Axe().run(page).response["violations"]
            assert [(rule["id"], rule["impact"], rule["nodes"][0]["html"][:200]) for rule in found] == [], name
            opened.check()


def test_everyone__the_chosen_theme_wins_and_is_remembered(browser: Browser) -> None:
    with open_page(browser, PACKAGED, scheme="light") as opened:
        page = opened.page
        ground = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(ground)
        page.click("#theme")
        dark = page.evaluate(ground)
        assert dark != light
        page.reload()
        assert page.evaluate(ground) == dark
        opened.check()


def test_everyone__the_keyboard_is_enough(browser: Browser, tmp_path: Path) -> None:
    sample = make_sample("genuine")
    assert sample.policy is not None
    files_ = [tmp_path / "network.policy", tmp_path / "car.carnet"]
    for file, data in zip(files_, (sample.policy, sample.bundle), strict=True):
        file.write_bytes(data)
    with open_page(browser, PACKAGED, now_ms=sample.now) as opened:
        page, keys = opened.page, opened.page.keyboard
        choosers: list[FileChooser] = []
        # Listened for from the beginning: one that is asked for at the last moment may come too late.
        page.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108 - it wants a function
        focused = "document.activeElement.id || document.activeElement.textContent.trim()"
        reached = []
        for _ in range(8):
            keys.press("Tab")
            reached.append(page.evaluate(focused))
            if reached[-1] == "files":
                break
        assert reached == ["Skip to the content", "language", "theme", "files"]
        keys.press("Enter")
        for _ in range(150):
            if choosers:
                break
            page.wait_for_timeout(100)
        choosers[0].set_files(files_)
        assert wait_for_answer(opened) == "genuine"
        assert page.evaluate(focused) == "result"  # the answer is where the reader is taken
        keys.press("Tab")
        assert "everything shown" in page.evaluate(focused)
        keys.press("Enter")
        page.locator(".entry details[open] .facts").first.wait_for()
        while page.evaluate("document.activeElement.parentElement.id") != "ask":
            keys.press("Shift+Tab")
        keys.press("Enter")
        keys.press("Tab")
        keys.type("VF1TEST0000000001")
        page.get_by_text("The proof is about VIN").wait_for()
        assert page.evaluate(focused) == "vehicle"
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        opened.check()


def test_everyone__a_file_may_be_dropped_anywhere(browser: Browser) -> None:
    sample = make_sample("genuine")
    with open_page(browser, PACKAGED, now_ms=sample.now) as opened:
        opened.page.evaluate(
            """(bytes) => { const given = new DataTransfer();
                given.items.add(new File([new Uint8Array(bytes)], 'dropped.carnet'));
                const how = {bubbles: true, cancelable: true, dataTransfer: given};
                document.body.dispatchEvent(new DragEvent('drop', how)); }""",
            list(sample.bundle),
        )
        assert wait_for_answer(opened) == "cannot_tell"
        assert "dropped.carnet" in opened.page.locator(".label").first.inner_text()
        opened.check()


def test_everyone__without_javascript_the_page_says_how_else(browser: Browser) -> None:
    with open_page(browser, PACKAGED, javascript=False) as opened:
        text = opened.page.locator("body").inner_text()
        assert "This page needs JavaScript" in text
        assert "Cette page a besoin de JavaScript" in text
        assert "carnet verify car.carnet --policy network.policy" in text
        assert opened.page.locator("#app").is_hidden()
