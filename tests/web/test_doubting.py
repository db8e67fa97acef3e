"""A clerk is told when a reading goes against the garage's own, in a form and in a file; and of nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from carnet.node.own_readings import MOST, read_own_readings
from carnet.services.filing.reading import DOUBTS, READING, Reading
from carnet.services.filing.records import Files, Job, Wish, read_lines
from carnet.services.filing.taking import take
from tests.web.workshop import HTML, OTHER_VIN, VIN, Workshop, opening_workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with opening_workshop(tmp_path) as made:
        made.be("clerk")
        yield made


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def sure(page: str) -> str:
    found = re.search(r'name="sure" value="([0-9a-f]*)"', page)
    assert found is not None
    return found[1]


def test_form__a_lower_reading_is_told_once_and_sealed_when_it_is_sent_again(shop: Workshop) -> None:
    shop.seal(day="2023-03-03", odometer="84210")
    told = shop.write(day="2023-04-01", odometer="48210")
    assert told.status_code == 200
    assert "You certified 84,210\u202fkm on 3 March 2023; this reading is lower." in told.text
    assert shop.list_kinds().count("vehicle.odometer/1") == 1
    again = shop.write(day="2023-04-01", odometer="48210", sure=sure(told.text))
    assert again.status_code == 303
    assert shop.list_kinds().count("vehicle.odometer/1") == 2


def test_form__being_sure_of_one_reading_is_not_being_sure_of_another(shop: Workshop) -> None:
    shop.seal(day="2023-03-03", odometer="84210")
    told = shop.write(day="2023-04-01", odometer="48210")
    assert shop.write(day="2023-04-01", odometer="4821", sure=sure(told.text)).status_code == 200
    assert shop.write(day="2023-04-01", odometer="84211", sure=sure(told.text)).status_code == 303


def test_form__in_french_with_french_numbers(shop: Workshop) -> None:
    shop.seal(day="2023-03-03", odometer="84210")
    page = shop.get("/console/write/vehicle.odometer-1")
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token is not None
    answer = shop.client.post(
        "/console/write/vehicle.odometer-1",
        data={"form_token": token[1], "vehicle": VIN, "day": "2023-02-01", "odometer": "84300", "odometer_unit": "km",
              "odometer_state": "read"},
        headers=HTML | {"Accept-Language": "fr", "Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    assert (
        "Vous avez certifié 84\u202f210\u202fkm le 3 mars 2023, plus tard donc\u202f; ce relevé est plus haut."
        in answer.text
    )


def test_form__an_odometer_that_was_replaced_without_a_value_begins_anew(shop: Workshop) -> None:
    shop.seal(day="2023-03-03", odometer="84210")
    shop.seal("vehicle.odometer_replacement-1", day="2023-04-01", reason="defect")
    shop.seal(day="2023-05-01", odometer="800")


def test_form__the_readings_of_others_are_not_told(shop: Workshop) -> None:
    shop.be("dealer")
    shop.seal(day="2023-03-03", odometer="84210")
    shop.be("clerk")
    assert shop.write(day="2023-04-01", odometer="48210").status_code == 303


def test_form__what_was_withdrawn_or_is_being_corrected_is_not_held_against_it(shop: Workshop) -> None:
    path = shop.seal(day="2023-03-03", odometer="842100")
    corrected = shop.send(f"{path}/correct", f"{path}/correct", odometer="84210")
    assert corrected.status_code == 303, flat(corrected.text)[:2000]
    assert shop.write(day="2023-04-01", odometer="84300").status_code == 303


def test_form__that_an_own_reading_was_read_again_is_in_the_journal(shop: Workshop) -> None:
    shop.seal(day="2023-03-03", odometer="84210")

    def count() -> int:
        with shop.lodge.node.read() as reader:
            journal = reader.find_journal(bytes.fromhex(shop.passport[4:]), 0)
            return 0 if journal is None else len(list(reader.read_entries(journal.chain16)))

    before = count()
    assert shop.write(day="2023-04-01", odometer="84300").status_code == 303
    assert count() == before
    assert shop.write(day="2023-04-01", odometer="48210").status_code == 200
    assert count() > before


def look(shop: Workshop, rows: str) -> tuple[Files, Job]:
    """A file as it is looked at by the process that takes it in."""
    desk, member = shop.lodge.desk, shop.members["garage"]
    files = desk.shelf["files"] = Files(desk.home, desk.clock, desk.random_bytes)
    data = f"vin;date;km\n{rows}".encode()
    job = files.create(member, "acc_" + "1" * 32, Wish(name="x.csv", format="guess", size=len(data), review=True))
    files.add_part(member, job.id, 0, data)
    running = msgspec.structs.replace(files.get(member, job.id), state="running")
    files.save(running)
    return files, take(files, shop.lodge.node.writers[0], running, worker_count=0, read=shop.lodge.node.read)


def test_file__rows_that_go_against_own_readings_are_told_before_they_are_sealed(shop: Workshop) -> None:
    shop.seal(day="2023-03-03", odometer="84210")
    rows = [
        (VIN, "2023-04-01", 90_000),
        (VIN, "2023-04-02", 8_000),
        (VIN, "2023-01-01", 1_000),
        (OTHER_VIN, "2023-01-01", 5),
    ]
    files, job = look(shop, "".join(f"{vin};{day};{km}\n" for vin, day, km in rows))
    assert job.state == "waiting"
    doubts, _ = read_lines(files.path(job, DOUBTS), 0, 10)
    assert [(one["row"], one["code"], one["passport"]) for one in doubts] == [
        (2, "lower", shop.passport),
        (3, "earlier", shop.passport),
    ]
    reading = files.read(job, READING, Reading)
    assert reading is not None
    assert reading.doubtful == 2
    page = flat(shop.get(f"/console/files/{job.id}"))
    told = page.partition("Readings to look at")[2].partition("</section>")[0]
    assert "Lower than a reading that you certified before." in told
    assert f'href="/console/vehicles/{shop.passport}"' in told
    assert "84,210" not in told
    assert shop.send(f"/console/files/{job.id}", f"/console/files/{job.id}/certify").status_code == 303


def test_file__the_readings_of_others_are_not_told(shop: Workshop) -> None:
    shop.be("dealer")
    shop.seal(day="2023-03-03", odometer="84210")
    shop.be("clerk")
    files, job = look(shop, f"{VIN};2023-04-02;8000\n")
    assert read_lines(files.path(job, DOUBTS), 0, 10)[0] == []


def test_file__of_each_vehicle_the_last_readings_are_compared(shop: Workshop) -> None:
    for day in range(1, MOST + 2):
        shop.seal(day=f"2023-03-{day:02d}", odometer=str(80_000 + day))
    with shop.lodge.node.read() as reader:
        chain = reader.get_chain(bytes.fromhex(shop.passport[4:]))
        found = read_own_readings(reader, shop.members["garage"], [chain])
        assert [one.value for one in found[chain.id]] == [80_000 + day for day in range(MOST + 1, 1, -1)]
        (last,) = read_own_readings(reader, shop.members["garage"], [chain], most=1)[chain.id]
        assert (last.value, last.day, last.unit) == (80_000 + MOST + 1, f"2023-03-{MOST + 1:02d}", "km")
        assert read_own_readings(reader, shop.members["other"], [chain]) == {}
