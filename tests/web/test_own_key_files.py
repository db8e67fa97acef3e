"""The file of a member that keeps its own key: read here, signed where the key is, sealed here; and known again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser

from carnet.encoding import b64, unb64
from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.node.found import enrol_key
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.office import name_id
from carnet.services.approving.requests import list_approvals
from carnet.services.filing.acting import certify, hand_in_signatures
from carnet.services.filing.desk import certify_file
from carnet.services.filing.reading import SIGNING, Signing
from carnet.services.filing.records import Files, Job, Wish, iterate_lines
from carnet.services.filing.taking import take
from carnet.services.founding import now_ms
from carnet.signing import Signer
from carnet.types import Basis, Custody, KeyRole
from carnet.web.api.files import get_files
from tests.node.home import TestNode
from tests.web.test_console_in_browser import OPERATOR, open_served
from tests.web.town import VIN, WebTown, serving_town
from tests.web.visit import visiting

ROWS = "vin,day,km\n" + "".join(f"{VIN},2023-05-{day:02d},{41_000 + day}\n" for day in range(1, 29))
FAULTY = f"{VIN},2023-06-01,many\n"


@dataclass
class Garage:
    town: WebTown
    member: Member
    signer: Signer
    files: Files

    @property
    def key(self) -> str:
        return self.member.keys[0].digest.hex()

    def send(self, text: str) -> Job:
        data = text.encode()
        job = self.files.create(self.member.id, "acc", Wish(name="x.csv", format="guess", size=len(data), review=True))
        return self.run(self.files.add_part(self.member.id, job.id, 0, data))

    def run(self, job: Job) -> Job:
        running = msgspec.structs.replace(self.files.get(self.member.id, job.id), state="running")
        self.files.save(running)
        node = self.town.service.node
        return take(self.files, node.writers[0], running, worker_count=0, read=node.read)

    def sign(self, job: Job) -> list[str]:
        signing = self.files.read(job, SIGNING, Signing)
        assert signing is not None
        return [b64(self.signer.sign(unb64(message, 128))) for message in signing.messages]


@pytest.fixture
def garage(tmp_path: Path) -> Iterator[Garage]:
    with serving_town(tmp_path) as town:
        # What is prepared for the key says the machine's time, and nothing is taken that was signed a day ahead.
        town.service.node.clock.now = now_ms()
        town.open()
        writer, signer, id_ = town.service.node.writers[0], Signer(bytes(range(32))), bytes(range(16))
        key = enrol_key(signer, writer.state.net, id_, KeyRole.AUTHOR, Custody.OWN)
        member = writer.enrol_member("Own garage", "garage", member_id=id_, key=key)
        town.add("own", id_)
        yield Garage(town, member, signer, get_files(town.service.desk))


def test_file__is_signed_where_the_key_is_and_known_again(garage: Garage) -> None:
    job = garage.send(ROWS + FAULTY)
    assert (job.state, job.counts.ready, job.counts.faulty) == ("waiting", 28, 1)
    job = garage.run(certify(garage.files, garage.member, job.id, "acc", garage.key))
    assert (job.state, job.stage) == ("waiting", "prepare")
    with garage.town.service.node.read() as reader:
        before = reader.count_entries()
    done = garage.run(hand_in_signatures(garage.files, garage.member.id, job.id, garage.sign(job)))
    assert (done.state, done.failure, done.counts.sealed, done.counts.faulty) == ("done", None, 28, 1)
    with garage.town.service.node.read() as reader:
        passport = reader.get(VIN)
        entries = list(reader.read_entries(passport))
        assert reader.count_entries() == before + 28
    assert {entry.basis for entry in entries if entry.member == garage.member.id} == {Basis.OWN_KEY}
    assert sorted(one["row"] for one in iterate_lines(garage.files.path(done, "receipts.ndjson"))) == list(range(1, 29))
    again = garage.send(ROWS)
    assert (again.counts.ready, again.counts.duplicate) == (0, 28)


def test_file__sealed_twice_by_a_killed_process_stands_once(garage: Garage) -> None:
    job = garage.run(certify(garage.files, garage.member, garage.send(ROWS).id, "acc", garage.key))
    sealing = hand_in_signatures(garage.files, garage.member.id, job.id, garage.sign(job))
    kept = garage.files.path(job, "content").read_bytes()
    garage.run(sealing)
    # As if the process had died before it said so.
    garage.files.path(job, "content").write_bytes(kept)
    garage.files.save(sealing)
    done = garage.run(sealing)
    assert done.counts.sealed == 28
    with garage.town.service.node.read() as reader:
        own = [one for one in reader.read_entries(reader.get(VIN)) if one.member == garage.member.id]
    assert len(own) == 28


def test_signatures__refused_bad_signature(garage: Garage) -> None:
    job = garage.run(certify(garage.files, garage.member, garage.send(ROWS).id, "acc", garage.key))
    with pytest.raises(Refused) as refused:
        hand_in_signatures(garage.files, garage.member.id, job.id, [])
    assert refused.value.reason is Reason.BAD_SIGNATURE
    other = [b64(Signer(bytes(32)).sign(b"something else")) for _ in garage.sign(job)]
    failed = garage.run(hand_in_signatures(garage.files, garage.member.id, job.id, other))
    assert failed.state == "failed"
    assert failed.failure is not None
    assert failed.failure[0] == Reason.BAD_SIGNATURE


def test_certify__refused_unknown_key(garage: Garage) -> None:
    job = garage.send(ROWS)
    with pytest.raises(Refused) as refused:
        certify(garage.files, garage.member, job.id, "acc", "00" * 32)
    assert refused.value.reason is Reason.UNKNOWN_KEY
    with pytest.raises(Refused) as unprepared:
        hand_in_signatures(garage.files, garage.member.id, job.id, ["x"])
    assert unprepared.value.reason is Reason.FILE_NOT_WAITING


def test_certify__is_in_the_trail_though_nothing_is_signed(garage: Garage) -> None:
    """The file tells which vehicles have no passport before there is a signature: that somebody asked stays."""
    town, unknown = garage.town, "WVWZZZ1KZ7P123457"
    job = garage.send(ROWS + f"{unknown},2023-05-04,41000\n")
    principal = replace(town.service.callers.bearers["own"], client=name_id("cli", garage.member.id))
    job = garage.run(certify_file(garage.files, town.office, garage.member, principal, job.id, garage.key))
    assert (job.stage, job.counts.ready, job.counts.faulty) == ("prepare", 28, 1)
    garage.files.cancel(garage.member.id, job.id)
    (event,) = [one for one in list_events(town.office, OPERATOR) if one.action is Action.FILE_CERTIFIED]
    assert (event.who, event.about) == (principal.client, job.id)


@contextmanager
def taking(node: TestNode, files: Files) -> Iterator[None]:
    """Take in what waits, as the processes of a service do."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.05):
            for job in files.list():
                if job.state == "queued":
                    running = msgspec.structs.replace(job, state="running")
                    files.save(running)
                    take(files, node.writers[0], running, worker_count=0, read=node.read)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(20)


def test_file__is_signed_by_a_key_that_never_leaves_the_browser(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_served(tmp_path) as served:
        shop = served.shop
        node = shop.lodge.node
        # What is prepared for the key says the time of the node, which takes nothing that was signed a day ahead.
        monkeypatch.setattr("carnet.services.filing.taking.now_ms", node.clock)
        with (
            taking(node, get_files(shop.lodge.desk)),
            visiting(browser, served.street, "other", language="en-GB") as visit,
        ):
            visit.go("/organisation/keys")
            visit.find("Make a key in this browser", "button").click()
            visit.page.wait_for_selector("[data-made]:not([hidden])")
            visit.find("Ask for it to be listed", "button").click()
            visit.page.wait_for_url("**/organisation/keys?asked")
            shop.grant(list_approvals(shop.lodge.office, OPERATOR)[0])
            keys = node.writers[0].state.members.get(shop.members["other"]).keys
            hosted = next(one for one in keys if one.custody == Custody.NODE)
            visit.go("/organisation/keys")
            visit.page.locator(f"form[action$='{hosted.digest.hex()}/end'] button").click()
            visit.page.wait_for_url("**/organisation/keys?asked")
            shop.grant(list_approvals(shop.lodge.office, OPERATOR)[0])
            visit.go("/console/files")
            visit.page.set_input_files("#file", {"name": "x.csv", "mimeType": "text/csv", "buffer": ROWS.encode()})
            visit.page.wait_for_selector("button:has-text('Seal all 28')", timeout=30_000)
            visit.page.get_by_role("button", name="Seal all 28").click()
            sign = visit.page.locator("form[data-sign-all] button:not([disabled])")
            sign.wait_for(timeout=30_000)
            sign.click()
            visit.page.wait_for_selector(".status:has-text('28 entries are sealed')", timeout=30_000)
            visit.check()
        with node.read() as reader:
            own = [one for one in reader.read_entries(reader.get(VIN)) if one.member == shop.members["other"]]
        assert [one.basis for one in own] == [Basis.OWN_KEY] * 28
