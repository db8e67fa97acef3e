"""A program's file that waits: found out, its columns chosen, its cells mended, certified, through the client."""

from __future__ import annotations

from pathlib import Path

import pytest

from carnet.sdk import Client
from carnet.sdk.errors import Conflict
from tests.cli.test_watch import taking
from tests.sdk.server import serving_on_socket
from tests.web.town import VIN

ROWS = "vin;day;km;work\n" + "".join(f"{VIN};{day:02d}/05/2023;{41_000 + day};oil\n" for day in range(1, 21))
BAD = f"{VIN};21/05/2023;41O21;oil\n{VIN};22/05/23;41022;oil\n{VIN};23/05/2023;many;oil\n"


def test_files__found_out_mended_and_certified(tmp_path: Path) -> None:
    path = tmp_path / "travaux.csv"
    path.write_text(ROWS + BAD)
    with serving_on_socket(tmp_path / "town") as served, taking(served.town):
        served.town.open()
        with Client(served.address, "garage") as client:
            file = client.files.wait(client.files.send(path, "guess").id)
            assert (file.state, file.is_waiting, file.has_ended) == ("waiting", True, False)
            reading = client.files.reading(file.id)
            assert (reading.origin, reading.counts.ready, reading.faulty_cells) == ("guessed", 20, 3)
            columns = {"vin": "vin", "day": "day", "km": "odometer_km", "work": "invoice_text"}
            file = client.files.wait(client.files.choose(file.id, "vehicle.repair/1", columns).id)
            assert client.files.reading(file.id).kind == "vehicle.repair/1"
            mends = {
                fault.row: {cell.column: cell.proposal for cell in fault.cells if cell.proposal}
                for fault in client.files.faults(file.id)
            }
            assert mends == {21: {"km": "41021"}, 22: {"day": "22/05/2023"}, 23: {}}
            file = client.files.wait(client.files.mend(file.id, mends).id)
            assert (file.counts.ready, file.counts.faulty) == (22, 1)
            with pytest.raises(Conflict) as outdated:
                client.files.certify(file.id, seen=reading)
            assert outdated.value.code == "changed_since"
            ended = client.files.wait(client.files.certify(file.id, seen=client.files.reading(file.id)).id)
            assert (ended.state, ended.counts.sealed, ended.counts.faulty) == ("done", 22, 1)
            assert client.files.faulty_rows(file.id).decode().splitlines()[-1] == f"{VIN};23/05/2023;many;oil"
            with pytest.raises(Conflict) as conflict:
                client.files.mend(file.id, {23: {"km": "5"}})
            assert conflict.value.code == "file_not_waiting"
