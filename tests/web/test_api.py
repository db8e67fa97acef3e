"""The API over a real node: what each caller gets, its refusals, and the conventions of every answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carnet.ledger.rules.members import Key, compute_enrolment
from carnet.passport.draft import make_draft, read_draft
from carnet.passport.kinds import get_schema
from carnet.passport.statement import compute_submission
from carnet.passport.submission import Submission, state_draft, write_submission
from carnet.proof.verify import verify_bundle
from carnet.services.principals import Principal, Scope, Standing
from carnet.signing import Signer
from carnet.tlog.policy import parse_policy
from carnet.tlog.tree import compute_root, leaf_hash
from carnet.types import Basis, Custody, KeyRole
from tests.node.home import is_good
from tests.web.town import OTHER_VIN, VIN, WebTown, make_reading, serving_town

PROBLEM = "application/problem+json"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with serving_town(tmp_path) as town:
        yield town


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebTown, str]]:
    """A town with one passport, for what is refused: none of it changes the log."""
    with serving_town(tmp_path_factory.mktemp("town")) as town:
        passport = settle(town)
        size = town.service.node.writers[0].state.size
        yield town, passport
        assert town.service.node.writers[0].state.size == size


@pytest.fixture
def passport(town: WebTown) -> str:
    return settle(town)


def settle(town: WebTown) -> str:
    """A passport: opened by the dealer, read by the garage and the centre, held by the holder."""
    passport = town.open()
    assert town.record("garage", 41_000).status_code == 201
    assert town.record("centre", 42_000).status_code == 201
    town.hold(passport)
    return passport


def entries(town: WebTown, who: str, passport: str, query: str = "") -> Any:
    return town.call(who, "GET", f"/v1/passports/{passport}/entries{query}").json()


# ---- opening and finding


def test_open__a_second_time_is_pointed_to_the_first_if_one_may_open(town: WebTown, passport: str) -> None:
    body = {"subject": {"scheme": "vin", "value": VIN}, "occasion": "import"}
    again = town.call("centre", "POST", "/v1/passports", body)
    assert (again.status_code, again.json()["code"]) == (409, "subject_taken")
    answers = []
    for vin in (VIN, OTHER_VIN):
        refused = town.call("garage", "POST", "/v1/passports", body | {"subject": {"scheme": "vin", "value": vin}})
        answers.append((refused.status_code, refused.json() | {"request_id": ""}))
    assert answers[0] == answers[1]
    assert answers[0][0] == 403


@pytest.mark.program_alone("that a vehicle has a passport")
def test_find__by_vin_for_those_entitled(town: WebTown, passport: str) -> None:
    for who in ("holder", "garage", "dealer", "garage's reader"):
        found = town.call(who, "GET", f"/v1/passports?value={VIN}").json()
        assert [one["id"] for one in found["data"]] == [passport], who
    for who in ("stranger", "insurer"):
        there, absent = (town.call(who, "GET", f"/v1/passports?value={vin}") for vin in (VIN, OTHER_VIN))
        assert there.status_code == absent.status_code == 404
        assert there.json() | {"request_id": ""} == absent.json() | {"request_id": ""}


def test_list__what_one_holds(town: WebTown, passport: str) -> None:
    other = town.open(vin=OTHER_VIN)
    town.hold(other)
    first = town.call("holder", "GET", "/v1/passports?limit=1").json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == ([passport], True)
    second = town.call("holder", "GET", f"/v1/passports?limit=1&starting_after={passport}").json()
    assert ([one["id"] for one in second["data"]], second["has_more"]) == ([other], False)
    assert town.call("stranger", "GET", "/v1/passports").json()["data"] == []
    assert town.call("garage", "GET", "/v1/passports").json()["code"] == "missing_field"


# ---- reading


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_read__holder_all_and_member_its_own(town: WebTown, passport: str) -> None:
    assert len(entries(town, "holder", passport)["data"]) == 3
    (own,) = entries(town, "garage", passport)["data"]
    assert own["fields"]["odometer_km"] == 41_000
    assert own["author"]["name"] == "The garage"
    for who in ("stranger", "insurer"):
        assert town.call(who, "GET", f"/v1/passports/{passport}/entries").status_code == 404


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_read__an_entry_of_another_is_not_there(town: WebTown, passport: str) -> None:
    ids = {one["author"]["name"]: one["id"] for one in entries(town, "holder", passport)["data"]}
    for part in ("", "/proof"):
        mine = town.call("garage", "GET", f"/v1/passports/{passport}/entries/{ids['The garage']}{part}")
        theirs = town.call("garage", "GET", f"/v1/passports/{passport}/entries/{ids['The centre']}{part}")
        assert (mine.status_code, theirs.status_code) == (200, 404)


def test_read__is_sealed_in_the_holders_journal_before_the_answer(town: WebTown, passport: str) -> None:
    town.call("garage", "GET", f"/v1/passports/{passport}")
    town.call("holder", "GET", f"/v1/passports/{passport}")
    town.call("insurer", "GET", f"/v1/passports/{passport}")
    with town.service.node.read() as reader:
        journal = reader.find_journal(bytes.fromhex(passport[4:]), 0)
        assert journal is not None
        looks = [link for link in reader.read_entries(journal.chain16) if link.kind == "journal.accessed/1"]
    assert [link.fields["assignee_member"] for link in looks if link.fields] == [town.members["garage"].hex()]


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_looks__are_the_holders_alone_to_see(town: WebTown, passport: str) -> None:
    path = f"/v1/passports/{passport}/looks"
    assert town.call("holder", "GET", path).json()["data"] == []
    town.call("garage", "GET", f"/v1/passports/{passport}/entries")
    town.call("centre", "GET", f"/v1/passports/{passport}/metadata")
    first = town.call("holder", "GET", f"{path}?limit=1").json()
    (newest,) = first["data"]
    assert (newest["member_name"], newest["purpose"], newest["entry_count"]) == ("The centre", "metadata", 1)
    rest = town.call("holder", "GET", f"{path}?starting_after={newest['id']}").json()["data"]
    assert [(one["member_name"], one["kinds"]) for one in rest] == [("The garage", ["vehicle.odometer/1"])]
    assert town.call("stranger", "GET", path).status_code == 404
    assert town.call("garage", "GET", path).status_code == 403
    assert len(town.call("holder", "GET", path).json()["data"]) == 2, "the holder's own look is none"


def test_metadata__discloses_no_value(town: WebTown, passport: str) -> None:
    answer = town.call("holder", "GET", f"/v1/passports/{passport}/metadata")
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 3
    for hidden in (VIN, "41000", "41_000", "fields", "subject"):
        assert hidden not in answer.text


def test_read__tagged_so_that_nobody_fetches_the_same_twice(town: WebTown, passport: str) -> None:
    path = f"/v1/passports/{passport}"
    first = town.call("holder", "GET", path)
    again = town.call("holder", "GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert town.call("holder", "GET", path, headers={"If-None-Match": "*"}).status_code == 304
    assert (again.status_code, again.content) == (304, b"")
    assert town.call("garage", "GET", path).headers["etag"] != first.headers["etag"]
    town.record("garage", 43_000)
    assert town.call("holder", "GET", path, headers={"If-None-Match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(
    "query, pointer, code",
    [
        ("?limit=0", "#limit", "value_out_of_range"),
        ("?limit=many", "#limit", "wrong_type"),
        ("?limit=1e1", "#limit", "wrong_type"),
        ("?limit=10.0", "#limit", "wrong_type"),
        ("?limit=+10", "#limit", "wrong_type"),
        ("?limit=%2B10", "#limit", "wrong_type"),
        ("?limit=-10", "#limit", "wrong_type"),
        ("?limit=1_0", "#limit", "wrong_type"),
        ("?limit=%EF%BC%91%EF%BC%90", "#limit", "wrong_type"),
        ("?limit=10%0A", "#limit", "wrong_type"),
        ("?limit=", "#limit", "wrong_type"),
        ("?limit=99999999999999999999", "#limit", "value_out_of_range"),
        ("?kind=vehicle.nothing/1", "#kind", "unknown_kind"),
        ("?since=2023-13", "#since", "value_out_of_range"),
        ("?until=2023-02-30", "#until", "value_out_of_range"),
        ("?colour=red", "#colour", "unknown_field"),
        ("?author=garage", "#author", "wrong_type"),
        ("?in_state=odd", "#in_state", "not_in_list"),
        ("?starting_after=ent_00", "#starting_after", "value_out_of_range"),
    ],
)
def test_list__refuses_a_slip_in_a_filter(standing: tuple[WebTown, str], query: str, pointer: str, code: str) -> None:
    town, passport = standing
    answer = town.call("holder", "GET", f"/v1/passports/{passport}/entries{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


# ---- appending


def test_append__answers_with_state_receipt_and_proof(town: WebTown, passport: str) -> None:
    answer = town.call("garage", "POST", f"/v1/passports/{passport}/entries?proof=1", make_reading(44_000, None))
    document = answer.json()
    assert (answer.status_code, document["state"], document["passport"]) == (201, "sealed", passport)
    policy = parse_policy(town.call("visitor", "GET", "/v1/policy").content)
    bundle = document["bundle"] or town.call("garage", "GET", document["proof"]).text
    assert is_good(verify_bundle(bundle.encode(), policy, town.service.node.clock()))


def test_append__by_a_holder_is_marked_so(town: WebTown, passport: str) -> None:
    body = {
        "kind": "vehicle.declared/1",
        "occurred": {"at": "2023-11-15", "precision": "day"},
        "fields": {"type": "own_work", "note": "new wipers"},
    }
    assert town.call("holder", "POST", f"/v1/passports/{passport}/entries", body).status_code == 201
    newest = entries(town, "holder", passport)["data"][0]
    assert (newest["kind"], newest["basis"]) == ("vehicle.declared/1", "holder")
    assert town.call("stranger", "POST", f"/v1/passports/{passport}/entries", body).status_code == 404


@pytest.mark.parametrize(
    "change, status, code, pointer",
    [
        ({"fields": {"odometer_km": -1, "odometer_state": "read"}}, 422, "value_out_of_range", "/fields/odometer_km"),
        ({"fields": {"odometer_km": 1.5, "odometer_state": "read"}}, 422, "wrong_type", "/fields/odometer_km"),
        ({"fields": {"odometer_km": 1, "odometer_state": "read", "x": 1}}, 422, "unknown_field", "/fields/x"),
        ({"kind": "vehicle.nothing/1"}, 422, "unknown_kind", "/kind"),
        ({"kind": "vehicle.inspection/1"}, 403, "may_not_write", "/kind"),
        ({"surprise": 1}, 422, "unknown_field", "/surprise"),
        ({"subject": {"scheme": "vin", "value": "IOQ"}}, 422, "invalid_vin", "/subject"),
        ({"subject": {"scheme": "plate", "value": "AB-123-CD"}}, 422, "subject_mismatch", "/subject"),
        ({"occurred": {"at": "2099-01-01", "precision": "day"}}, 422, "time_in_future", "/occurred"),
        ({"corrects": "ent_" + "0" * 64}, 422, "unknown_target", "/corrects"),
        ({"contests": "ent_" + "0" * 64}, 422, "wrong_mark", "/contests"),
    ],
)
def test_append__refused(
    standing: tuple[WebTown, str], change: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    town, _ = standing
    answer = town.call("garage", "POST", "/v1/entries", make_reading(1) | change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == PROBLEM
    if pointer is not None:
        assert pointer in [one["pointer"] for one in answer.json()["errors"]]


def test_append__of_a_vehicle_without_passport_says_what_of_a_hidden_one_is_said(town: WebTown, passport: str) -> None:
    absent = town.record("garage", vin=OTHER_VIN)
    assert (absent.status_code, absent.json()["code"]) == (404, "unknown_passport")


@pytest.mark.parametrize(
    "change, code",
    [
        ({"fields": {"odometer_km": -1, "odometer_state": "read"}}, "value_out_of_range"),
        ({"occurred": {"at": "2099-01-01", "precision": "day"}}, "time_in_future"),
        ({"occurred": {"at": "2023-02-30", "precision": "day"}}, "invalid_time"),
        ({"corrects": "ent_" + "0" * 64}, "unknown_target"),
        ({"contests": "ent_" + "0" * 64}, "wrong_mark"),
        ({"kind": "vehicle.declared/1"}, "may_not_write"),
    ],
)
def test_append__that_nobody_would_take_tells_nobody_whether_there_is_a_passport(
    standing: tuple[WebTown, str], change: dict[str, Any], code: str
) -> None:
    """Who learns that there is one leaves a signature in it."""
    town, _ = standing
    answers = []
    for vin in (VIN, OTHER_VIN):
        answer = town.call("garage", "POST", "/v1/entries", make_reading(1, vin) | change)
        answers.append((answer.status_code, answer.json() | {"request_id": ""}))
    assert answers[0] == answers[1]
    assert answers[0][1]["code"] == code


def test_append__sees_a_member_and_a_right_of_a_moment_ago(town: WebTown, passport: str) -> None:
    """A glance may know neither; whatever it would refuse is looked at again."""
    writer = town.service.node.writers[0]
    town.record("garage", 43_000)
    town.add("late", writer.enrol_member("The late garage", "garage").id)
    assert town.record("late", 43_001).status_code == 201
    writer.accredit(town.members["late"], [])
    assert town.record("late", 43_002).json()["code"] == "not_accredited"
    writer.retire(town.members["late"])
    assert town.record("late", 43_003).json()["code"] == "member_retired"


# ---- signed by the member's own key


def enrol_own_key(town: WebTown) -> tuple[bytes, Signer]:
    writer, signer, member = town.service.node.writers[0], Signer(b"k" * 32), b"m" * 16
    sig = signer.sign(compute_enrolment(writer.state.net, member, KeyRole.AUTHOR, Custody.OWN))
    key = Key(signer.public, KeyRole.AUTHOR, Custody.OWN, sig)
    writer.enrol_member("Own keys", "garage", member_id=member, key=key)
    machine = Principal(Standing.MACHINE, client="own", member=member, scopes=frozenset({Scope.ENTRIES_APPEND}))
    town.service.callers.bearers["own"] = machine
    return member, signer


def sign(town: WebTown, member: bytes, signer: Signer, passport: str, kms: list[int]) -> bytes:
    state, stated = town.service.node.writers[0].state, []
    for number, km in enumerate(kms):
        draft = make_draft(
            get_schema("vehicle.odometer/1"), passport=bytes.fromhex(passport[4:]),
            subject={"scheme": "vin", "value": VIN}, class_=1, network=state.genesis.origin,
        )  # fmt: skip
        draft["fields"] = {"odometer_km": km, "odometer_state": "read"}
        draft["occurred"] = {"at": "2023-05-04", "precision": "day", "zone": None}
        stated.append(
            state_draft(
                read_draft(draft), net=state.net, member=member, key_digest=signer.digest, basis=Basis.OWN_KEY,
                class_=1, secret=bytes([number]) * 32,
            )
        )  # fmt: skip
    root = compute_root([leaf_hash(one.data) for one in stated])
    message = compute_submission(state.net, signer.digest, 1_700_000_000_000, len(stated), root)
    return write_submission(Submission(1_700_000_000_000, signer.sign(message), tuple(stated)))


def test_submission__is_sealed_once_and_only_for_its_own_member(town: WebTown, passport: str) -> None:
    member, signer = enrol_own_key(town)
    data = sign(town, member, signer, passport, [50_000, 50_001])
    json = {"Content-Type": "application/json"}
    foreign = town.call("garage", "POST", "/v1/submissions", content=data, headers=json)
    assert (foreign.status_code, foreign.json()["code"]) == (403, "not_permitted")
    first = town.call("own", "POST", "/v1/submissions", content=data, headers=json)
    again = town.call("own", "POST", "/v1/submissions", content=data, headers=json)
    assert (first.status_code, first.json()["sealed"], again.json()["sealed"]) == (201, 2, 0)
    assert first.json()["receipts"] == again.json()["receipts"]
    altered = data.replace(b"50000", b"50009")
    assert town.call("own", "POST", "/v1/submissions", content=altered, headers=json).json()["code"] in (
        "bad_signature", "fields_mismatch",
    )  # fmt: skip


def test_submission__by_a_key_that_was_revoked_since(town: WebTown, passport: str) -> None:
    member, signer = enrol_own_key(town)
    json = {"Content-Type": "application/json"}
    before, after = (sign(town, member, signer, passport, [km]) for km in (50_000, 50_001))
    first = town.call("own", "POST", "/v1/submissions", content=before, headers=json).json()
    town.service.node.writers[0].revoke_key(member, signer.digest)
    assert (
        town.call("own", "POST", "/v1/submissions", content=before, headers=json).json()["receipts"]
        == (first["receipts"])
    )
    late = town.call("own", "POST", "/v1/submissions", content=after, headers=json).json()
    assert (late["sealed"], [one["code"] for one in late["turned_away"]]) == (0, ["key_revoked"])


# ---- what anybody may ask


def test_network__is_public(town: WebTown, passport: str) -> None:
    members = town.call("visitor", "GET", "/v1/members?limit=2").json()
    assert members["has_more"]
    rest = town.call("visitor", "GET", f"/v1/members?starting_after={members['data'][-1]['id']}").json()
    assert len(members["data"]) + len(rest["data"]) == 6
    one = town.call("visitor", "GET", f"/v1/members/{members['data'][1]['id']}").json()
    assert one == members["data"][1]
    assert town.call("visitor", "GET", "/v1/members/mem_00").status_code == 404
    kind = town.call("visitor", "GET", "/v1/kinds/vehicle.odometer/1").json()
    assert kind["schema"]["properties"]["odometer_km"]["maximum"] == 9_999_999
    assert town.call("visitor", "GET", "/v1/kinds/vehicle.odometer/2").status_code == 404
    assert town.call("visitor", "GET", "/v1/checkpoint").text.startswith("example.org/")


def test_verify__genuine_altered_and_what_is_none(town: WebTown, passport: str) -> None:
    proof = town.call("holder", "GET", f"/v1/passports/{passport}/proof").content

    def verdict(data: bytes, query: str = "") -> Any:
        headers = {"Content-Type": "application/octet-stream"}
        answer = town.call("visitor", "POST", f"/v1/verifications{query}", content=data, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert verdict(proof, f"?subject={VIN}")["verdict"] == "genuine"
    assert verdict(proof, f"?subject={OTHER_VIN}")["verdict"] == "not_as_asked"
    altered = verdict(proof.replace(b",41000]", b",11000]"))
    assert (altered["verdict"], altered["report"]) == ("altered", None)
    assert verdict(b"no proof")["verdict"] == "altered"


def test_verify__refused_request_too_large(town: WebTown) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    answer = town.call("visitor", "POST", "/v1/verifications", content=bytes(33 * 2**20), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


def test_every_answer__has_a_request_id(town: WebTown, passport: str) -> None:
    for who, path in (
        ("holder", f"/v1/passports/{passport}"),
        ("visitor", "/v1/nothing"),
        ("visitor", "/v1/passports"),
    ):
        answer = town.call(who, "GET", path, headers={"X-Request-Id": "my-request-1"})
        assert answer.headers["x-request-id"] == "my-request-1"
