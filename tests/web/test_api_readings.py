"""A file that waits: understood, its columns chosen, its cells mended, certified; and known again the next time."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from carnet.encoding import unb64
from carnet.errors import Reason
from carnet.node.found import enrol_key
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.filing import mappings
from carnet.services.filing.records import Files
from carnet.services.filing.taking import take
from carnet.services.founding import now_ms
from carnet.services.principals import Principal, Standing
from carnet.services.receipts import describe_receipt
from carnet.signing import Signer
from carnet.types import Custody, KeyRole
from carnet.web.api.files import get_files
from tests.web.town import OTHER_VIN, VIN, WebTown, serving_town

PART = "application/offset+octet-stream"
HEADER = "Immat.;Date fact.;Km cpt;Libellé;Mt HT\n"
GOOD = [f"ab123cd;{day:02d}/11/2023;{67 + day} {day:03d};Vidange n° {day};{day}9,90\n" for day in range(1, 28)]
BAD = ["AB-123-CD;28/11/2023;7O 112;Pneus;238,00\n", "AB-123-CD;29/11/23;71 000;Plaquettes;94,50\n"]
UNKNOWN = "ZZ-999-ZZ;28/11/2023;5 000;Freins;10,00\n"
DAY = (HEADER + "".join(GOOD) + "".join(BAD) + UNKNOWN).encode("cp1252")


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with opening_town(tmp_path) as town:
        yield town


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebTown, str]]:
    """A town and a file of its garage, for what is refused: none of it changes how the file is read."""
    with opening_town(tmp_path_factory.mktemp("town")) as town:
        job = send(town, DAY)
        before = read(town, job)
        yield town, job
        assert read(town, job) == before


@contextmanager
def opening_town(path: Path) -> Iterator[WebTown]:
    """A town with one vehicle of a known plate."""
    with serving_town(path) as town:
        town.open()
        alias = {"from": "2020-01-01", "subject": {"scheme": "plate", "country": "FR", "value": "AB-123-CD"}}
        body = {
            "kind": "vehicle.identity/1",
            "occurred": {"at": "2020-01-01", "precision": "day", "zone": None},
            "subject": {"scheme": "vin", "value": VIN},
            "fields": {"alias": {**alias, "until": None}},
        }
        assert town.call("dealer", "POST", "/v1/entries", body).status_code == 201
        yield town


def files_of(town: WebTown) -> Files:
    return get_files(town.service.desk)


def send(town: WebTown, data: bytes, who: str = "garage", **more: Any) -> str:
    """Announce a file and send it; it is looked at, as its process would."""
    body = {"name": "travaux.csv", "format": "guess", "size": len(data)} | more
    answer = town.call(who, "POST", "/v1/files", body)
    assert answer.status_code == 201, answer.text
    job = str(answer.json()["id"])
    sent = town.call(
        who, "PATCH", f"/v1/files/{job}/content", content=data, headers={"Content-Type": PART, "Upload-Offset": "0"}
    )
    assert sent.status_code == 200, sent.text
    run(town, job)
    return job


def run(town: WebTown, job: str) -> None:
    files = files_of(town)
    found = files.find(job)
    assert found is not None
    assert found.state == "queued"
    running = msgspec.structs.replace(found, state="running")
    files.save(running)
    # A file is taken in by the machine's clock, and the writer takes nothing that was signed a day ahead of its own.
    town.service.node.clock.now = max(town.service.node.clock.now, now_ms())
    take(files, town.service.node.writers[0], running, worker_count=0)


def read(town: WebTown, job: str, who: str = "garage") -> Any:
    answer = town.call(who, "GET", f"/v1/files/{job}/reading")
    assert answer.status_code == 200, answer.text
    return answer.json()


def count_services(town: WebTown) -> int:
    with town.service.node.read() as reader:
        return sum(
            entry.fields is not None and entry.fields["kind"] == "vehicle.service/1"
            for passport in reader.list_passports()
            for entry in reader.read_entries(passport.chain16)
        )


def test_decision__refused_changed_since(town: WebTown) -> None:
    """Of two at one file neither seals, mends or chooses over what the other has done unseen."""
    job = send(town, DAY)
    path = f"/v1/files/{job}"
    seen = town.call("garage", "GET", f"{path}/reading").headers["etag"]
    assert town.call("garage", "GET", f"{path}/reading", headers={"If-None-Match": seen}).status_code == 304
    mend = {"rows": [{"row": 28, "cells": {"Km cpt": "70112"}}]}
    again = {"rows": [{"row": 28, "cells": {"Km cpt": "70113"}}]}
    columns = {"kind": "vehicle.repair/1", "columns": {"Immat.": "plate", "Date fact.": "day"}}
    assert town.call("garage", "POST", f"{path}/mends", mend, headers={"If-Match": seen}).status_code == 200
    run(town, job)
    newer = town.call("garage", "GET", f"{path}/reading").headers["etag"]
    # What is shown of both is alike: neither is among the first rows.
    assert town.call("garage", "POST", f"{path}/mends", again, headers={"If-Match": newer}).status_code == 200
    run(town, job)
    before = read(town, job)
    for verb, act, body in (
        ("POST", "certify", None), ("POST", "mends", mend), ("PUT", "reading", columns),
        ("PUT", "reading", {"mapping": before["mapping"]}),
    ):  # fmt: skip
        for tag in (seen, newer, f"{seen}, {newer}", '"x"', '""'):
            answer = town.call("garage", verb, f"{path}/{act}", body, headers={"If-Match": tag})
            assert (answer.status_code, answer.json()["code"]) == (412, "changed_since"), (act, tag)
    assert read(town, job) == before
    now = town.call("garage", "GET", f"{path}/reading").headers["etag"]
    weak = town.call("garage", "POST", f"{path}/certify", headers={"If-Match": f"W/{now}"})
    assert weak.status_code == 412, "a weak tag is not one for changes"
    for said in ("x", now.strip('"'), f"{now},,{now}", '"a" "b"', ""):
        answer = town.call("garage", "POST", f"{path}/certify", headers={"If-Match": said})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request"), said
    certified = town.call("garage", "POST", f"{path}/certify", headers={"If-Match": f'"x", {now}'})
    assert certified.status_code == 200, certified.text
    asked_again = town.call("garage", "POST", f"{path}/certify", headers={"If-Match": now})
    assert asked_again.status_code == 200, "a reply that was lost is asked for again"


def test_page__seals_no_more_than_was_shown(town: WebTown) -> None:
    job = send(town, DAY)
    page = f"/console/files/{job}"

    def show(path: str, data: dict[str, str] | None = None) -> Any:
        method = "GET" if data is None else "POST"
        return town.call(
            "garage's clerk", method, path, data=data, headers={"Accept": "text/html", "Accept-Language": "en"}
        )

    def find_seen(text: str) -> str:
        found = re.search(r'name="seen" value="([0-9a-f]{64})"', text)
        assert found is not None
        return found[1]

    shown = show(page).text
    columns = {"kind": "vehicle.repair/1", "columns": {"Immat.": "plate", "Date fact.": "day"}}
    assert town.call("garage", "PUT", f"/v1/files/{job}/reading", columns).status_code == 200
    run(town, job)
    refused = show(f"{page}/certify", {"seen": find_seen(shown)})
    assert refused.status_code == 422
    assert "Somebody has changed this since you looked" in refused.text
    assert town.call("garage", "GET", f"/v1/files/{job}").json()["state"] == "waiting"
    assert show(f"{page}/certify", {"seen": find_seen(refused.text)}).status_code in (200, 303)
    assert town.call("garage", "GET", f"/v1/files/{job}").json()["state"] == "queued"


def test_page__leaves_what_a_colleague_has_mended(town: WebTown) -> None:
    """Two clerks have the same page before them; each mends a cell, and each form holds the other one as it was."""
    job = send(town, DAY)
    page = f"/console/files/{job}"
    shown = town.call("garage's clerk", "GET", page, headers={"Accept": "text/html"}).text
    fields = {
        html.unescape(name): html.unescape(value)
        for name, value in re.findall(r'name="((?:was\.)?c\d+\.\d+)" value="([^"]*)"', shown)
    }
    assert fields["c28.2"] == fields["was.c28.2"] == "7O 112"
    for cell, value in (("c28.2", "70112"), ("c29.1", "29/11/2023")):
        answer = town.call(
            "garage's clerk", "POST", f"{page}/mend", data=fields | {cell: value}, follow_redirects=False
        )
        assert answer.status_code == 303, answer.text
        run(town, job)
    left = town.call("garage", "GET", f"/v1/files/{job}/faults").json()["data"]
    assert [one["row"] for one in left] == [30]


@pytest.mark.parametrize(
    "who, method, path",
    [
        ("garage", "POST", "/v1/entries"),
        ("garage", "DELETE", f"/v1/mappings/map_{0:032x}"),
        ("holder", "POST", "/v1/claims"),
    ],
)
def test_write__refused_changed_since__where_nothing_has_a_tag(
    standing: tuple[WebTown, str], who: str, method: str, path: str
) -> None:
    """A header that is overlooked would promise what nobody keeps."""
    town, _ = standing
    answer = town.call(who, method, path, {} if method == "POST" else None, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (412, "changed_since")


def test_file__is_understood_mended_and_certified(town: WebTown) -> None:
    job = send(town, DAY)
    found = town.call("garage", "GET", f"/v1/files/{job}").json()
    assert (found["state"], found["stage"], found["review"]) == ("waiting", "look", True)
    assert {name: found["counts"][name] for name in ("rows_read", "ready", "faulty", "sealed", "duplicate")} == {
        "rows_read": 30, "ready": 27, "faulty": 3, "sealed": 0, "duplicate": 0,
    }  # fmt: skip
    reading = read(town, job)
    assert (reading["origin"], reading["kind"], reading["faulty_cells"]) == ("guessed", "vehicle.service/1", 3)
    assert {one["name"]: one["meaning"] for one in reading["columns"]} == {
        "Immat.": "plate", "Date fact.": "day", "Km cpt": "odometer_km", "Libellé": "invoice_text", "Mt HT": None,
    }  # fmt: skip
    assert reading["rows"][0]["cells"]["Km cpt"] == "68 001"
    faults = town.call("garage", "GET", f"/v1/files/{job}/faults").json()["data"]
    assert [(one["row"], one["line"], one["cells"][0]["column"], one["cells"][0]["proposal"]) for one in faults] == [
        (28, 29, "Km cpt", "70112"), (29, 30, "Date fact.", "29/11/2023"), (30, 31, "Immat.", None),
    ]  # fmt: skip
    assert faults[2]["code"] == "unknown_passport"
    assert count_services(town) == 0, "nothing is sealed before somebody says so"

    body = {"rows": [{"row": 28, "cells": {"Km cpt": "70112"}}, {"row": 29, "cells": {"Date fact.": "29/11/2023"}}]}
    answer = town.call("garage", "POST", f"/v1/files/{job}/mends", body)
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    early = town.call("garage", "POST", f"/v1/files/{job}/certify")
    assert (early.status_code, early.json()["code"]) == (409, Reason.FILE_NOT_WAITING)
    run(town, job)
    reading = read(town, job)
    assert (reading["counts"]["ready"], reading["faulty_cells"], reading["mended_cells"]) == (29, 1, 2)

    assert town.call("garage", "POST", f"/v1/files/{job}/certify").json()["state"] == "queued"
    assert town.call("garage", "POST", f"/v1/files/{job}/certify").status_code == 200, "said twice, done once"
    run(town, job)
    done = town.call("garage", "GET", f"/v1/files/{job}").json()
    assert (done["state"], done["counts"]["sealed"], done["counts"]["faulty"]) == ("done", 29, 1)
    assert count_services(town) == 29
    receipts = town.call("garage", "GET", f"/v1/files/{job}/receipts?limit=2").json()
    assert (len(receipts["data"]), receipts["has_more"]) == (2, True)
    one = receipts["data"][0]["receipt"]
    signed = town.service.node.writers[0].find_receipt(
        0, bytes.fromhex(one["passport"]), bytes.fromhex(one["statement"])
    )
    assert signed is not None
    assert describe_receipt(signed).items() <= one.items()
    assert len(unb64(one["sig"], 64)) == 64
    assert town.call("dealer", "GET", f"/v1/files/{job}/receipts").status_code == 404
    assert town.call("garage", "GET", f"/v1/files/{job}/faulty").content.splitlines()[-1] == UNKNOWN.strip().encode()
    for action in (Action.FILE_LOOKED_AT, Action.FILE_CERTIFIED):
        (event,) = [one for one in list_events(town.office, operator()) if one.action is action]
        assert event.about == job, "the look has told which plates are unknown"


def operator() -> Principal:
    return Principal(Standing.OPERATOR)


@pytest.mark.parametrize("was_kept", [False, True])
def test_file__of_one_vehicle_does_not_say_of_which_the_next_one_is(
    town: WebTown, monkeypatch: pytest.MonkeyPatch, was_kept: bool
) -> None:
    """Not even where such a way of reading is among those that are kept, as it was once."""
    if was_kept:
        monkeypatch.setattr(mappings, "is_of_one_vehicle", lambda document: False)
    data = b"Date;Km\n13/11/2023;70 000\n14/11/2023;70 100\n"
    job = send(town, data)
    (found,) = [read(town, send(town, b"VIN;" + data.replace(b"\n1", b"\n" + VIN.encode() + b";1")))["mapping"]]
    body = {"mapping": found | {"subject": {"scheme": "vin", "value": VIN}}}
    assert town.call("garage", "PUT", f"/v1/files/{job}/reading", body).status_code == 200
    run(town, job)
    assert read(town, job)["counts"]["ready"] == 2
    assert town.call("garage", "POST", f"/v1/files/{job}/certify").status_code == 200
    run(town, job)
    assert len(town.call("garage", "GET", "/v1/mappings").json()["data"]) == was_kept
    reading = read(town, send(town, data.replace(b"7", b"8")))
    assert (reading["origin"], reading["mapping"]) == ("guessed", None)
    assert "vehicle" in reading["doubts"][0]


def test_file__that_numbers_its_vehicles_in_its_own_way_does_not_say_which_they_are(town: WebTown) -> None:
    reading = read(town, send(town, b"id vehicule;Date;Km\n17;13/03/2023;1000\n18;14/03/2023;2000\n"))
    assert (reading["mapping"], reading["counts"]["ready"], reading["confidence"]) == (None, 0, 0)
    assert "vehicle" in reading["doubts"][0], "17 of one garage is not 17 of another"


def test_file__with_the_same_columns_is_read_the_same_way(town: WebTown) -> None:
    job = send(town, DAY)
    kind = {"kind": "vehicle.repair/1", "columns": {"Immat.": "plate", "Date fact.": "day", "Km cpt": "odometer_km"}}
    assert town.call("garage", "PUT", f"/v1/files/{job}/reading", kind).status_code == 200
    run(town, job)
    assert (read(town, job)["origin"], read(town, job)["kind"]) == ("chosen", "vehicle.repair/1")
    assert town.call("garage", "GET", "/v1/mappings").json()["data"] == []
    town.call("garage", "POST", f"/v1/files/{job}/certify")
    run(town, job)
    (saved,) = town.call("garage", "GET", "/v1/mappings").json()["data"]
    assert (saved["kind"], saved["name"]) == ("vehicle.repair/1", "travaux.csv")
    # The next day, in another encoding.
    tomorrow = (HEADER + "".join(GOOD[:3])).replace("2023", "2022").encode()
    reading = read(town, send(town, tomorrow))
    assert (reading["origin"], reading["saved"], reading["kind"]) == ("saved", saved["id"], "vehicle.repair/1")
    assert reading["counts"]["ready"] == 3
    # Another member's, and other columns, are looked at anew.
    assert read(town, send(town, tomorrow, "dealer"), "dealer")["origin"] == "guessed"
    assert read(town, send(town, tomorrow.replace(b"Mt HT", b"Montant")))["origin"] == "guessed"
    path = f"/v1/mappings/{saved['id']}"
    assert town.call("dealer", "PATCH", path, {"name": "mine"}).status_code == 404
    assert town.call("dealer", "DELETE", path).status_code == 404
    assert town.call("garage", "PATCH", path, {"name": "  "}).status_code == 422
    assert town.call("garage", "PATCH", path, {"name": "a\x00"}).json()["code"] == "text_not_allowed"
    renamed = town.call("garage", "PATCH", path, {"name": "Friday's list"}).json()["data"]
    assert [one["name"] for one in renamed] == ["Friday's list"]
    assert town.call("garage", "DELETE", path).json()["data"] == []
    assert read(town, send(town, tomorrow))["origin"] == "guessed"
    done = {one.action for one in list_events(town.office, operator())}
    assert done >= {Action.MAPPING_SAVED, Action.MAPPING_RENAMED, Action.MAPPING_REMOVED}


def test_file__rows_that_were_sealed_before_are_told(town: WebTown) -> None:
    first = send(town, DAY)
    town.call("garage", "POST", f"/v1/files/{first}/certify")
    run(town, first)
    again = send(town, DAY + GOOD[0].encode("cp1252"))
    counts = read(town, again)["counts"]
    assert (counts["ready"], counts["duplicate"], counts["faulty"]) == (0, 28, 3)
    refused = town.call("garage", "POST", f"/v1/files/{again}/certify")
    assert (refused.status_code, refused.json()["code"]) == (409, "file_not_waiting")


def test_file__a_row_with_a_plate_and_no_vin_finds_its_vehicle(town: WebTown) -> None:
    rows = f"VIN,Plate,Date,Km\n{VIN},AB-123-CD,2023-05-04,1\n,AB-123-CD,2023-05-05,2\n,,2023-05-06,3\n"
    job = send(town, rows.encode(), name="odometer.csv")
    counts = read(town, job)["counts"]
    assert (counts["ready"], counts["faulty"]) == (2, 1)
    (fault,) = town.call("garage", "GET", f"/v1/files/{job}/faults").json()["data"]
    assert (fault["row"], fault["code"]) == (3, "missing_field")


def test_file__of_vehicles_that_no_passport_knows(town: WebTown) -> None:
    rows = f"vin,day,km\n{VIN},2023-05-04,41000\n{OTHER_VIN},2023-05-04,5\n".encode()
    garage = send(town, rows)
    assert read(town, garage)["counts"] | {"bytes_read": 0} == {
        "rows_read": 2, "ready": 1, "sealed": 0, "duplicate": 0, "faulty": 1, "passports": 1, "bytes_read": 0,
    }  # fmt: skip
    # Whoever may open passports opens one.
    assert read(town, send(town, rows, "dealer"), "dealer")["counts"]["ready"] == 2


def test_mend__points_to_the_cells(standing: tuple[WebTown, str]) -> None:
    town, job = standing
    answer = town.call("garage", "POST", f"/v1/files/{job}/mends", {"rows": [{"row": 28, "cells": {"Km cpt": 5}}]})
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/rows/0/cells"]


@pytest.mark.parametrize(
    "body, code",
    [
        ({"rows": [{"row": 1, "cells": {"Km cpt": "5"}}]}, "value_out_of_range"),
        ({"rows": [{"row": 28, "cells": {"Prix": "5"}}]}, "unknown_field"),
        ({"rows": [{"row": 0, "cells": {}}]}, "value_out_of_range"),
        ({"rows": []}, "value_out_of_range"),
        ({"rows": [{"row": 28, "cells": {"Km cpt": "5" * 3000}}]}, "text_too_long"),
    ],
)
def test_mend__refused(standing: tuple[WebTown, str], body: dict[str, Any], code: str) -> None:
    town, job = standing
    answer = town.call("garage", "POST", f"/v1/files/{job}/mends", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize(
    "body, code",
    [
        ({"kind": "vehicle.service/1", "columns": {"Date fact.": "day"}}, "missing_field"),
        ({"kind": "vehicle.service/1", "columns": {"Immat.": "plate", "Libellé": "plate"}}, "fields_conflict"),
        ({"kind": "vehicle.service/1", "columns": {"Prix": "plate"}}, "unknown_field"),
        ({"kind": "vehicle.service/1", "columns": {"Immat.": "plate", "Libellé": "labour_minutes"}}, "wrong_type"),
        ({"kind": "vehicle.sevrice/1", "columns": {}}, "unknown_kind"),
        ({"mapping": {"kind": "x"}}, "wrong_type"),
    ],
)
def test_choose__refused(standing: tuple[WebTown, str], body: dict[str, Any], code: str) -> None:
    town, job = standing
    answer = town.call("garage", "PUT", f"/v1/files/{job}/reading", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_reading__is_its_members_alone(town: WebTown) -> None:
    job = send(town, DAY)
    for verb, path, body in (
        ("GET", "/reading", None),
        ("PUT", "/reading", {"kind": "vehicle.service/1", "columns": {}}),
        ("POST", "/mends", {"rows": [{"row": 28, "cells": {"Km cpt": "5"}}]}),
        ("POST", "/certify", None),
    ):
        there = town.call("dealer", verb, f"/v1/files/{job}{path}", body)
        absent = town.call("dealer", verb, f"/v1/files/job_{'0' * 32}{path}", body)
        assert there.status_code == absent.status_code == 404, (verb, path, there.text)
        assert there.json() | {"request_id": ""} == absent.json() | {"request_id": ""}


def test_file__nobody_can_guess_waits_for_its_columns(town: WebTown) -> None:
    """Two columns of words: no vehicle, no day."""
    job = send(town, b"a;b\nx;y\nz;w\n")
    reading = read(town, job)
    assert (reading["mapping"], reading["problem"]["code"]) == (None, "missing_field")
    assert town.call("garage", "POST", f"/v1/files/{job}/certify").status_code == 409


def test_certify__refused_wrong_custody__of_a_member_with_a_key_of_its_own(town: WebTown) -> None:
    writer, signer, member = town.service.node.writers[0], Signer(bytes(range(32))), bytes(range(16))
    key = enrol_key(signer, writer.state.net, member, KeyRole.AUTHOR, Custody.OWN)
    writer.enrol_member("Own garage", "garage", member_id=member, key=key)
    town.add("own", member)
    job = send(town, DAY, "own")
    assert read(town, job, "own")["counts"]["ready"] == 27
    refused = town.call("own", "POST", f"/v1/files/{job}/certify")
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_custody")
    assert "carnet sign" in refused.json()["detail"]
