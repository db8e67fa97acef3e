"""The two files that the demo's garage drops: yesterday's table as its software writes it, and another day's, with
French dates, spaced numbers and plates alone, in which three cells need mending.

They are about vehicles of the demo's fleet, in files such as workshops have. It refuses to touch a file that is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from carnet.formats.fleet import FleetVehicle
from carnet.types import Millis

YESTERDAY, OTHER_DAY = "travaux-d-hier.xlsx", "travaux-d-un-autre-jour.csv"
ROWS: Final = (24, 36)
MENDED: Final = (7, 18, 29)
"""Rows of the second file in which a cell is wrong: a letter among digits, a year of two digits, a plate misread."""

_WORK: Final = (
    ("Révision annuelle", 189_90),
    ("Vidange, filtre à huile", 119_00),
    ("Plaquettes avant", 214_50),
    ("Pneus avant 195/65 R15 × 2", 238_00),
    ("Courroie d'accessoires", 164_20),
    ("Batterie 70 Ah", 142_00),
    ("Filtre à air, filtre d'habitacle", 74_80),
    ("Disques et plaquettes arrière", 341_00),
    ("Climatisation, recharge", 89_00),
    ("Amortisseurs avant", 512_30),
)


class Job(NamedTuple):
    """One vehicle at the garage: what stands on it, its counter, what was done, and for how much (cents)."""

    vin: str
    plate: str
    km: int
    work: str
    cents: int


class SampleFiles(NamedTuple):
    """Where they are."""

    yesterday: Path
    other_day: Path


def write_sample_files(folder: Path, fleet: Sequence[FleetVehicle], now: Millis) -> SampleFiles:
    """Write both into a folder; one that is there already stays as it is."""
    today = datetime.fromtimestamp(now // 1000, UTC).date()
    jobs = [_make_job(number, vehicle) for number, vehicle in enumerate(_list_at_work(fleet))]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = SampleFiles(folder / YESTERDAY, folder / OTHER_DAY)
    if not found.yesterday.exists():
        _write_yesterday(found.yesterday, _take(jobs, 0, ROWS[0]), today - timedelta(days=1))
    if not found.other_day.exists():
        text = write_other_day(_take(jobs, ROWS[0], ROWS[1]), today - timedelta(days=6))
        found.other_day.write_bytes(text.encode("cp1252"))
    return found


def _list_at_work(fleet: Sequence[FleetVehicle]) -> list[FleetVehicle]:
    """Vehicles on French roads that have had one plate; those of an everyday story first."""
    found = [one for one in fleet if one.plate.country == "FR" and one.story != "plate_change" and not _is_closed(one)]
    return sorted(found, key=lambda one: one.story is not None)


def _is_closed(vehicle: FleetVehicle) -> bool:
    return any(entry.kind == "passport.closed/1" for entry in vehicle.entries)


def _take(jobs: Sequence[Job], start: int, count: int) -> list[Job]:
    """So many jobs, from the beginning again where the fleet is small: a vehicle comes twice then."""
    return [
        job._replace(km=job.km + 35 * ((start + at) // len(jobs)))
        for at in range(count)
        if jobs
        for job in [jobs[(start + at) % len(jobs)]]
    ]


def _make_job(number: int, vehicle: FleetVehicle) -> Job:
    readings = [entry.fields.get("odometer_km") for entry in vehicle.entries]
    km = max((reading for reading in readings if isinstance(reading, int)), default=20_000)
    work, cents = _WORK[number % len(_WORK)]
    return Job(vehicle.subject.value, vehicle.plate.value, km + 240 + 37 * number, work, cents)


def _write_yesterday(path: Path, jobs: Sequence[Job], day: date) -> None:
    # Here, since only a demonstration writes one.
    from xlsxwriter import Workbook

    book = Workbook(str(path))
    sheet = book.add_worksheet("Travaux")
    bold = book.add_format({"bold": True})
    form = book.add_format({"num_format": "dd/mm/yyyy"})
    headings = ("N° OR", "Châssis", "Immatriculation", "Date", "Kilométrage", "Travaux effectués", "Total TTC")
    sheet.write_string(0, 0, f"Garage des Tilleuls, travaux du {day:%d/%m/%Y}", bold)
    for at, heading in enumerate(headings):
        sheet.set_column(at, at, (10, 21, 16, 12, 13, 34, 11)[at])
        sheet.write_string(2, at, heading, bold)
    for row, job in enumerate(jobs, 3):
        sheet.write_number(row, 0, 26_400 + row)
        sheet.write_string(row, 1, job.vin)
        sheet.write_string(row, 2, job.plate)
        sheet.write_datetime(row, 3, datetime(day.year, day.month, day.day), form)
        sheet.write_number(row, 4, job.km)
        sheet.write_string(row, 5, job.work)
        sheet.write_number(row, 6, job.cents / 100)
    book.close()


def write_other_day(jobs: Sequence[Job], day: date) -> str:
    """The second file's text: separated by semicolons, its lines ended as a PC ends them."""
    lines = ["Immat.;Date fact.;Km cpt;Libellé;Mt HT"]
    for row, job in enumerate(jobs, 1):
        plate, when = job.plate.replace("-", "").lower(), f"{day:%d/%m/%Y}"
        km = f"{job.km:,}".replace(",", " ")
        if row == MENDED[0]:
            km = km[:-1] + "O"
        elif row == MENDED[1]:
            when = f"{day:%d/%m/%y}"
        elif row == MENDED[2]:
            # The zeros of the number read as letters.
            plate = plate.replace("000", "OOO")
        euros = f"{job.cents // 100:,}".replace(",", " ") + f",{job.cents % 100:02d}"
        lines.append(f"{plate};{when};{km};{job.work.upper().replace('×', 'x')};{euros}")
    return "\r\n".join(lines) + "\r\n"
