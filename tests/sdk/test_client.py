"""The client against a real service on a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from carnet.errors import Refused
from carnet.ledger.rules.members import Key, compute_enrolment
from carnet.proof.verify import verify_bundle
from carnet.sdk import (
    ApiError,
    Client,
    Conflict,
    Invalid,
    NotFound,
    NotPermitted,
    NotSignedIn,
    OwnKey,
    ServiceFailed,
    Unreachable,
    shapes,
)
from carnet.sdk.signing import make_entry, sign_entries
from carnet.sdk.transport import MAX_TRIES, Transport
from carnet.services.filing.taking import take
from carnet.services.principals import Principal, Scope, Standing
from carnet.signing import Signer
from carnet.tlog.policy import parse_policy
from carnet.types import Custody, KeyRole
from carnet.web.api.files import get_files
from tests.cli.run import make_inspection, make_line
from tests.node.home import is_good
from tests.sdk.server import Served, serving_on_socket
from tests.web.town import OTHER_VIN, VIN

READING = {"odometer_km": 41_000, "odometer_state": "read"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving_on_socket(tmp_path_factory.mktemp("served")) as served:
        yield served


def client(served: Served, who: str | None) -> Client:
    return Client(served.address, who)


@pytest.fixture(scope="module")
def passport(served: Served) -> str:
    with client(served, "dealer") as carnet:
        passport = carnet.passports.open(VIN, "first_registration").passport
    served.town.hold(passport)
    return passport


def test_client__opens_appends_reads_and_proves(served: Served, passport: str) -> None:
    with client(served, "garage") as carnet:
        sealed = carnet.entries.append_to(VIN, "vehicle.odometer/1", READING, at="2023-05-04", with_proof=True)
        assert (sealed.state, sealed.passport) == ("sealed", passport)
        assert carnet.passports.find(VIN) == passport
        (entry,) = carnet.entries.timeline(passport, kinds=["vehicle.odometer/1"])
        assert (entry.id, entry.fields and entry.fields["odometer_km"]) == (sealed.entry, 41_000)
        assert [one.kind for one in carnet.entries.metadata(passport)] == ["vehicle.odometer/1"]
        proof = carnet.proofs.entry(passport, sealed.entry)
        policy = parse_policy(carnet.network.policy())
        assert is_good(verify_bundle(proof, policy, served.town.service.node.clock()))
    with client(served, None) as stranger:
        assert stranger.proofs.verify(proof, vehicle=VIN).verdict == "genuine"
        assert len(list(stranger.network.members())) == 6
        assert stranger.network.kind("vehicle.odometer/1")["id"] == "vehicle.odometer/1"
    with client(served, "holder") as holder:
        assert list(holder.passports.held()) == [passport]
        assert holder.passports.get(passport).sees == "whole"


def test_client__walks_long_timelines_page_by_page(served: Served, passport: str) -> None:
    with client(served, "centre") as carnet:
        for number in range(5):
            carnet.entries.append_to(VIN, "vehicle.odometer/1", READING, at=f"2022-01-{number + 1:02}")
        pages = 0

        def count(request: Any) -> None:
            nonlocal pages
            pages += request.url.path.endswith("/entries")

        carnet.transport._http.event_hooks["request"] = [count]
        assert len(list(carnet.entries.timeline(passport))) == 5
        assert pages == 1


@pytest.mark.parametrize(
    "who, kind, code",
    [
        (None, NotSignedIn, "not_signed_in"),
        ("no such key", NotSignedIn, "not_signed_in"),
        ("garage, no scope", NotPermitted, "not_permitted"),
        ("insurer", NotFound, "unknown_passport"),
        ("holder", NotFound, "unknown_passport"),
    ],
)
def test_client__a_refusal_is_a_typed_error(served: Served, who: str | None, kind: type[ApiError], code: str) -> None:
    with client(served, who) as carnet, pytest.raises(kind) as caught:
        carnet.passports.get("pas_" + "0" * 32)
    assert (caught.value.code, bool(caught.value.request_id)) == (code, True)


def test_client__says_where_a_request_is_wrong(served: Served, passport: str) -> None:
    with client(served, "garage") as carnet:
        with pytest.raises(Invalid) as caught:
            carnet.entries.append_to(VIN, "vehicle.odometer/1", {**READING, "odometer_km": -1}, at="2023-05-04")
        assert [(one.pointer, one.code) for one in caught.value.errors] == [
            ("/fields/odometer_km", "value_out_of_range")
        ]
        with pytest.raises(NotFound):
            carnet.entries.append_to(OTHER_VIN, "vehicle.odometer/1", READING, at="2023-05-04")
    with client(served, "centre") as carnet, pytest.raises(Conflict) as taken:
        carnet.passports.open(VIN, "import")
    assert taken.value.code == "subject_taken"


# ---- signing here


def test_sign__the_key_never_leaves_and_what_was_signed_verifies(served: Served, passport: str) -> None:
    writer, signer, member = served.town.service.node.writers[0], Signer(b"s" * 32), b"s" * 16
    sig = signer.sign(compute_enrolment(writer.state.net, member, KeyRole.AUTHOR, Custody.OWN))
    writer.enrol_member("Signs itself", "garage", member_id=member,
                        key=Key(signer.public, KeyRole.AUTHOR, Custody.OWN, sig))  # fmt: skip
    machine = Principal(
        Standing.MACHINE, client="self", member=member, scopes=frozenset({Scope.ENTRIES_APPEND, Scope.PASSPORTS_READ})
    )
    served.town.service.callers.bearers["self"] = machine
    key = OwnKey(b"s" * 32, writer.state.genesis.origin, member)
    with client(served, "self") as carnet:
        done = carnet.entries.sign(key, passport, "vehicle.odometer/1", READING, vehicle=VIN, at="2023-05-04")
        assert (done.sealed, done.turned_away) == (1, [])
        (entry,) = carnet.entries.timeline(passport)
        assert entry.basis == "own_key"
        drafts = [
            make_entry(passport, {"scheme": "vin", "value": VIN}, "vehicle.odometer/1", READING, at="2023-05-05")
            for _ in range(3)
        ]
        data = sign_entries(key, drafts)
        assert [carnet.entries.submit(data).sealed for _ in range(2)] == [3, 0]


def test_sign__refused_unknown_member__by_a_key_of_nobody() -> None:
    with pytest.raises(Refused):
        sign_entries(OwnKey(b"s" * 32), [])


# ---- trying again


class Flaky(httpx2.BaseTransport):
    """The network between client and service: loses what a test says, then lets everything through."""

    def __init__(self, losses: list[str | None]) -> None:
        self.losses, self.keys = losses, []  # type: ignore[var-annotated]
        self._real = httpx2.HTTPTransport()

    def close(self) -> None:
        self._real.close()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.keys.append(request.headers.get("idempotency-key"))
        loss = self.losses.pop(0) if self.losses else None
        if loss == "request":
            raise httpx2.ConnectError("lost on its way there")
        answered = self._real.handle_request(request)
        if loss == "reply":
            answered.read()
            answered.close()
            raise httpx2.ReadError("lost on its way back")
        if loss is not None:
            answered.read()
            answered.close()
            return httpx2.Response(int(loss), headers={"Retry-After": "3"}, request=request)
        return answered


def flaky(served: Served, losses: list[str | None], pauses: list[float]) -> tuple[Client, Flaky]:
    network = Flaky(losses)
    carnet = Client(served.address, "garage", transport=network, sleep=pauses.append)
    return carnet, network


@pytest.mark.parametrize("loss", ["request", "reply", "503"])
def test_client__asks_again_and_nothing_is_done_twice(served: Served, passport: str, loss: str) -> None:
    pauses: list[float] = []
    with client(served, "garage") as plain:
        # Whoever has written nothing in it sees no passport, and no other test may have to run before this one.
        plain.entries.append_to(VIN, "vehicle.odometer/1", READING, at="2023-05-03")
        before = len(list(plain.entries.timeline(passport)))
    carnet, network = flaky(served, [loss, loss], pauses)
    with carnet:
        sealed = carnet.entries.append_to(VIN, "vehicle.odometer/1", READING, at="2023-05-04")
        assert sealed.state == "sealed"
        assert len(set(network.keys)) == 1
        assert len(list(carnet.entries.timeline(passport))) == before + 1
    assert len(pauses) == 2
    assert pauses == ([3.0, 3.0] if loss == "503" else pauses)


def test_client__gives_up_in_the_end(served: Served) -> None:
    pauses: list[float] = []
    carnet, network = flaky(served, ["request"] * 50, pauses)
    with carnet, pytest.raises(Unreachable):
        carnet.passports.find(VIN)
    assert len(network.keys) == 6
    assert all(0.5 * 0.2 * 2**at <= pause <= 1.5 * 0.2 * 2**at for at, pause in enumerate(pauses))
    carnet, network = flaky(served, ["500"], pauses)
    with carnet, pytest.raises(ServiceFailed):
        carnet.passports.find(VIN)
    assert len(network.keys) == 1, "a fault of the service is not asked for again"


def test_transport__reads_a_refusal_that_is_no_problem_document() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(502, text="<html>proxy</html>", request=request)

    transport = Transport("http://nowhere.example", None, transport=httpx2.MockTransport(answer), max_tries=1)
    with pytest.raises(ServiceFailed) as caught:
        transport.get_bytes("/v1/policy")
    assert caught.value.code == "http_502"


# ---- one contract


def test_act__is_not_sent_again_where_it_may_have_been_done() -> None:
    """To replace a key twice would lose the first one, which nobody has seen."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.method)
        if len(asked) == 1:
            # It was surely not done.
            return httpx2.Response(429, headers={"Retry-After": "-1"})
        raise httpx2.ReadError("the line was cut")

    pauses: list[float] = []
    mock = httpx2.MockTransport(answer)
    transport = Transport("http://nowhere.example", None, transport=mock, sleep=pauses.append)
    with pytest.raises(Unreachable):
        transport.act("/v1/webhooks/whk_1/rotate", dict)
    assert asked == ["POST", "POST"]
    assert len(pauses) == 1
    assert pauses[0] > 0
    asked.clear()
    with pytest.raises(Unreachable):
        transport.get("/v1/me", dict)
    assert len(asked) == MAX_TRIES


def test_shapes__are_those_of_the_published_contract(served: Served) -> None:
    with client(served, None) as carnet:
        document = carnet.transport.get("/v1/openapi.json", dict[str, Any])
    schemas = document["components"]["schemas"]
    pairs: dict[type[msgspec.Struct], str] = {
        shapes.Passport: "PassportShown",
        shapes.Webhook: "WebhookShown",
        shapes.WebhookTry: "TryShown",
        shapes.WebhookMessage: "MessageShown",
        shapes.WebhookTest: "WebhookTestShown",
        shapes.Replayed: "Replayed",
        shapes.Found: "PassportFound",
        shapes.Metadata: "EntryMeta",
        shapes.Entry: "EntryWithProof",
        shapes.Receipt: "ReceiptShown",
        shapes.Sealed: "SealedWithProof",
        shapes.Submitted: "Submitted",
        shapes.TurnedAway: "TurnedAway",
        shapes.Author: "AuthorShown",
        shapes.Occurred: "OccurredShown",
        shapes.Verification: "VerificationShown",
        shapes.Finding: "FindingShown",
        shapes.File: "FileShown",
        shapes.Counts: "CountsShown",
        shapes.Failure: "FailureShown",
        shapes.Faulty: "FaultShown",
    }
    for record, name in pairs.items():
        # The tag of what was read comes beside it, in a header.
        assert set(record.__struct_fields__) - {"tag"} == set(schemas[name]["properties"]) - {"object"}, name


# ---- files


def test_files__that_became_shorter_are_refused_and_not_asked_for_without_end(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"x" * 10)
    with Client(served.address, "garage") as carnet:
        body = {"name": "x", "format": "histovec", "size": 20}
        file = carnet.transport.post("/v1/files", shapes.File, body)
        with pytest.raises(Invalid, match=f"cancel {file.id}"):
            carnet.files.resume(file.id, path)
        assert carnet.files.cancel(file.id).received == 0


def test_files__sent_resumed_and_accounted_for(served: Served, tmp_path: Path) -> None:
    writer = served.town.service.node.writers[0]
    served.town.add("data", writer.enrol_member("A data service", "data_service").id)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(make_line("HV0abc", make_inspection(), make_inspection(pv="A2", km=-5)) * 3)
    lost: list[float] = []
    network = Flaky([])
    carnet = Client(served.address, "data", transport=network, sleep=lost.append)
    with carnet:
        told: list[int] = []
        sent = carnet.files.send(path, "histovec", part_bytes=200, progress=lambda file: told.append(file.received))
        assert sent.state == "queued"
        assert told[-1] == path.stat().st_size
        assert len(told) > 3
        again = carnet.files.send(path, "histovec", idempotency_key="the-second-file")
        assert again.id != sent.id
        third = carnet.transport.post(
            "/v1/files", shapes.File, {"name": "x", "format": "histovec", "size": path.stat().st_size}
        )
        # How far it is, is answered; the answer to the first part is lost.
        network.losses = [None, "reply"]
        assert carnet.files.resume(third.id, path).state == "queued"
        assert lost, "an answer was lost, and asked for again"
        assert [one.id for one in carnet.files.list()] == [third.id, again.id, sent.id]
        take_in(served, sent.id)
        ended = carnet.files.wait(sent.id)
        assert (ended.state, ended.counts.sealed, ended.counts.duplicate, ended.counts.faulty) == ("done", 1, 2, 3)
        assert [one.code for one in carnet.files.faults(sent.id)] == ["value_out_of_range"] * 3
        assert b"HV0abc" in carnet.files.faulty_rows(sent.id)
        assert carnet.files.outcomes(sent.id).count(b"faulty") == 3
        assert carnet.files.cancel(third.id).state == "cancelled"


def take_in(served: Served, file: str) -> None:
    jobs = get_files(served.town.service.desk)
    found = jobs.find(file)
    assert found is not None
    running = msgspec.structs.replace(found, state="running")
    jobs.save(running)
    take(jobs, served.town.service.node.writers[0], running, worker_count=0)
