"""A clerk's day in a real Chromium: files of three forms dropped, understood, mended and sealed, with and without
script."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from carnet.formats.templates import TEMPLATES
from carnet.services.filing.template_files import write_template
from tests.web.browser import DESK, NARROW
from tests.web.street import Street
from tests.web.visit import Visit, visiting

HERE = "/console/files"
PATIENCE_MS = 30_000
MARKS = count(1)


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def clerk(request: pytest.FixtureRequest, browser: Browser, street: Street) -> Iterator[Visit]:
    with visiting(browser, street, "clerk", language="en-GB", javascript=request.param) as visit:
        yield visit
        visit.check()


def drop(visit: Visit, name: str, data: bytes) -> None:
    """Choose a file, as a person does; without script, send it."""
    visit.go(HERE)
    if visit.has_script:
        # Then what is chosen is sent by itself, as soon as the script is there.
        visit.page.wait_for_selector("form[data-ready]", timeout=PATIENCE_MS)
    visit.page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": data})
    if not visit.has_script:
        visit.find("Send it", "button").click()
    visit.page.wait_for_url(re.compile(f"{HERE}/job_"), timeout=PATIENCE_MS)


def tally(visit: Visit) -> list[int]:
    visit.page.wait_for_selector(".tally dd", timeout=PATIENCE_MS)
    return [int(text.replace(",", "")) for text in visit.page.locator(".tally dd").all_inner_texts()]


def wait_until_read(visit: Visit) -> None:
    """A page of a file at work becomes the next one: by script, or because it asks for itself again."""
    expect(visit.page.locator("[data-poll]")).to_have_count(0, timeout=PATIENCE_MS)


def seal(visit: Visit) -> None:
    visit.page.get_by_role("button", name=re.compile("^Seal ")).click()
    expect(visit.page.locator(".status")).to_contain_text("sealed", timeout=PATIENCE_MS)


def vary(street: Street) -> bytes:
    """The demo's semicolon file with other words, so that no test finds its rows sealed by another."""
    first, *rest = street.samples.other_day.read_bytes().decode("cp1252").splitlines()
    mark = next(MARKS)
    rows = [";".join([*cells[:3], f"{cells[3]} {mark}", *cells[4:]]) for cells in (line.split(";") for line in rest)]
    return "\r\n".join([first, *rows, ""]).encode("cp1252")


def test_clerk__drops_the_days_csv_mends_three_cells_and_seals_it(clerk: Visit, street: Street) -> None:
    data = vary(street)
    drop(clerk, "travaux_2026-11-19.csv", data)
    wait_until_read(clerk)
    ready, to_mend, _ = tally(clerk)
    assert (ready, to_mend) == (33, 3)
    rows = clerk.page.locator(".mendtable tr.is-out")
    assert rows.count() == 3
    assert clerk.page.locator(".mendtable input.input").count() == 3, "only what is wrong can be written in"
    # One by its proposal, one by hand, one by its proposal again.
    clerk.page.get_by_role("button", name=re.compile("^Write")).first.click()
    wait_until_read(clerk)
    assert tally(clerk)[1:] == [2, 1]
    date = clerk.page.get_by_label(re.compile("^Date, row"))
    date.fill(re.sub(r"/(\d\d)$", r"/20\1", date.input_value()))
    clerk.find("Check what I wrote", "button").click()
    wait_until_read(clerk)
    assert tally(clerk)[1:] == [1, 2]
    assert "Mended. The file said" in clerk.page.inner_text("main")
    clerk.page.get_by_role("button", name=re.compile("^Write")).first.click()
    wait_until_read(clerk)
    assert tally(clerk) == [36, 0, 3]
    seal(clerk)
    assert tally(clerk) == [36, 0, 0]
    receipts = clerk.page.locator("[aria-labelledby=receipts] tbody th").all_inner_texts()
    assert receipts == [str(row) for row in range(1, 13)], "in the order of the file"
    # It is in the list, and read the same way the next time.
    clerk.go(HERE)
    assert "travaux_2026-11-19.csv" in clerk.page.inner_text("main")
    drop(clerk, "the same again.csv", data)
    wait_until_read(clerk)
    assert "Read as your last file with these columns." in clerk.page.inner_text("main")
    assert "sealed on" in clerk.page.inner_text("main")


def test_clerk__drops_yesterdays_xlsx_and_seals_it_at_once(clerk: Visit, street: Street) -> None:
    drop(clerk, "travaux.xlsx", street.samples.yesterday.read_bytes())
    wait_until_read(clerk)
    text = clerk.page.inner_text("main")
    ready, to_mend, third = tally(clerk)
    assert to_mend == 0
    assert "Ignored" in text, "what is not read is said to be"
    assert clerk.page.locator(".filetable .skipcol").count() > 0
    if ready:
        seal(clerk)
        assert tally(clerk)[0] == ready == 24
    else:
        assert third == 24


def test_clerk__drops_a_template_and_a_packed_csv_of_another_kind(clerk: Visit, street: Street) -> None:
    vin = street.get_vin("hero")
    rows = f"vin,day,km\n{vin},2026-03-04,{200_000 + next(MARKS)}\n".encode()
    drop(clerk, "releves.csv.gz", gzip.compress(rows))
    wait_until_read(clerk)
    assert tally(clerk)[:2] == [1, 0]
    # The columns are changed with select boxes, and nothing else is asked.
    clerk.page.get_by_text("Change what the columns mean").click()
    clerk.page.get_by_label("What each row is").select_option("vehicle.service/1")
    clerk.find("Read it so", "button").click()
    wait_until_read(clerk)
    assert "Read as you said." in clerk.page.inner_text("main")
    clerk.find("Throw this file away", "button").click()
    clerk.page.wait_for_url(re.compile(f"{HERE}$"))
    template = next(one for one in TEMPLATES if one.name == "service")
    drop(clerk, "service.xlsx", write_template(template, "fr", "Entretien"))
    wait_until_read(clerk)
    assert "There is no row in it" in clerk.page.inner_text("main")


def test_clerk__takes_the_errors_along_and_leaves_the_rest(clerk: Visit, street: Street, tmp_path: Path) -> None:
    drop(clerk, "travaux.csv", vary(street))
    wait_until_read(clerk)
    with clerk.page.expect_download() as taken:
        clerk.find("File of errors").first.click()
    path = tmp_path / "errors.csv"
    taken.value.save_as(path)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("Immat.,Date fact.,Km cpt,Libellé,Mt HT,")
    seal(clerk)
    assert tally(clerk) == [33, 0, 3]
    assert "Left out, and why" in clerk.page.inner_text("main")
    # Mended in a spreadsheet, dropped again: these rows alone.
    mended = path.read_text(encoding="utf-8-sig").replace("OOO", "000")
    drop(clerk, "mended.csv", mended.encode("utf-8-sig"))
    wait_until_read(clerk)
    assert tally(clerk)[1] == 2


def test_clerk__is_told_that_a_file_is_empty_and_may_choose_another(clerk: Visit, street: Street) -> None:
    clerk.go(HERE)
    before = len(street.desk.shelf["files"].list())
    if clerk.has_script:
        clerk.page.wait_for_selector("form[data-ready]", timeout=PATIENCE_MS)
    clerk.page.set_input_files("#file", {"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
    if not clerk.has_script:
        clerk.find("Send it", "button").click()
    expect(clerk.page.get_by_text("This file is empty: look at it again.")).to_be_visible()
    expect(clerk.page.locator("#file")).to_be_visible()
    assert len(street.desk.shelf["files"].list()) == before
    # The browser's console notes that the answer was a refusal, as it was meant to be.
    clerk.complaints[:] = [one for one in clerk.complaints if "422" not in one]


def test_clerk__is_told_before_sealing_that_no_column_is_the_day(browser: Browser, street: Street) -> None:
    vin = street.get_vin("hero")
    with visiting(browser, street, "clerk", javascript=False) as visit:
        visit.go(HERE)
        rows = f"VIN;Date;Km\n{vin};lundi;912 345\n{vin};mardi;912 400\n"
        visit.page.set_input_files("#file", {"name": "jours.csv", "mimeType": "text/csv", "buffer": rows.encode()})
        visit.find("Envoyer", "button").click()
        expect(visit.page.get_by_role("button", name=re.compile("^Sceller"))).to_be_visible(timeout=PATIENCE_MS)
        expect(visit.page.locator(".banner--wait")).to_contain_text("Aucune colonne ne donne le jour des faits")


def test_clerk__drops_a_table_of_one_vehicle_and_says_which(clerk: Visit, street: Street) -> None:
    mark = next(MARKS)
    rows = "".join(f"{day}/03/2026;{300_000 + mark + day} km;Vidange\n" for day in (13, 14, 15))
    drop(clerk, "carnet d'entretien.csv", f"Date;Km;Prestation\n{rows}".encode())
    wait_until_read(clerk)
    told = clerk.page.locator("#trouble").inner_text()
    assert "No column says which vehicle a row is about" in told
    assert "Understood so far: Date → Date, Km → Odometer (km), Prestation → The invoice's own words." in told
    # The cells are shown though none was read yet, and what was understood stands in the form.
    assert "13/03/2026" in clerk.page.locator(".filetable").inner_text()
    assert clerk.page.get_by_label("Km", exact=True).input_value() == "odometer_km"
    # What was refused is asked again, and nothing of what was chosen is lost.
    clerk.page.get_by_label("Prestation", exact=True).select_option("")
    clerk.find("Read it so", "button").click()
    expect(clerk.page.get_by_role("alert")).to_contain_text("Say which vehicle a row is about")
    assert clerk.page.get_by_label("Prestation", exact=True).input_value() == ""
    clerk.complaints[:] = [one for one in clerk.complaints if "422" not in one]
    clerk.page.get_by_label("Prestation", exact=True).select_option("invoice_text")
    clerk.page.get_by_label("its VIN").fill(street.get_vin("hero").lower())
    clerk.find("Read it so", "button").click()
    wait_until_read(clerk)
    assert tally(clerk)[:2] == [3, 0]
    assert clerk.page.get_by_label("its VIN").input_value() == street.get_vin("hero")
    seal(clerk)
    assert tally(clerk) == [3, 0, 0]


def test_clerk__drops_a_table_that_numbers_its_vehicles_in_its_own_way(clerk: Visit, street: Street) -> None:
    drop(clerk, "parc.csv", b"id vehicule;Date;Km\n17;13/03/2026;1000\n18;14/03/2026;2000\n")
    wait_until_read(clerk)
    told = clerk.page.locator("#trouble").inner_text()
    assert "No column says which vehicle a row is about" in told, "17 of one garage is not 17 of another"
    assert tally(clerk)[:2] == [0, 0]


def test_clerk__is_told_that_a_table_has_a_header_alone(clerk: Visit, street: Street) -> None:
    drop(clerk, "vide.csv", b"VIN;Date;Km\n")
    wait_until_read(clerk)
    told = clerk.page.locator("#trouble").inner_text()
    assert "There is no row in it" in told
    assert "Say below" not in told


@pytest.mark.parametrize("name", [template.name for template in TEMPLATES])
def test_template__is_downloaded(browser: Browser, street: Street, name: str) -> None:
    with visiting(browser, street, "clerk", language="fr-FR") as visit:
        visit.go(HERE)
        with visit.page.expect_download() as taken:
            visit.page.locator(f"a[href$='/{name}.xlsx']").click()
        assert taken.value.suggested_filename == f"carnet-{name}-fr.xlsx"


def test_mappings__are_listed_renamed_and_forgotten(browser: Browser, street: Street) -> None:
    with visiting(browser, street, "clerk", language="en-GB", size=NARROW, javascript=False) as visit:
        drop(visit, "mine.csv", f"my vin,day,km\n{street.get_vin('hero')},2026-03-05,210001\n".encode())
        wait_until_read(visit)
        if tally(visit)[0]:
            seal(visit)
        visit.go(f"{HERE}/mappings")
        field = visit.page.get_by_label("Another name for mine.csv")
        field.fill("My own list")
        field.locator("xpath=..").get_by_role("button").click()
        assert "My own list" in visit.page.inner_text("main")
        visit.find("Forget My own list", "button").click()
        assert "My own list" not in visit.page.inner_text("main")


def test_pages__are_for_clerks(browser: Browser, street: Street) -> None:
    for who in ("holder", "operator", None):
        with visiting(browser, street, who) as visit:
            for path in (HERE, f"{HERE}/mappings", f"{HERE}/job_{'0' * 32}", f"{HERE}/templates/service.xlsx"):
                assert visit.go(path).status in (401, 403), (who, path)
    with visiting(browser, street, "clerk", size=DESK) as visit:
        assert visit.go(f"{HERE}/job_{'0' * 32}").status == 404
        assert visit.go(f"{HERE}/templates/nothing.xlsx").status == 404
