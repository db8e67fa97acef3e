"""Many people at the same instant, in a real service with two workers, over a file and over a database: one gets what
only one can have, the others are told why, and nothing is doubled."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from carnet.node.reader import open_reader
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.oauth import ASSERTION_TYPE
from carnet.services.accounts.passkeys import begin_sign_in, begin_sign_up
from carnet.services.accounts.registry import OPERATOR, Post
from carnet.services.principals import Role, Scope, Standing
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.ground import VISIT
from tests.services.rush import Rush, Visitor, at_once, rushing, tell
from tests.serving import Answer

MANY = 6
VIN = "WVWZZZ1KZ7P12345{}"


@pytest.fixture(scope="module", params=["a file", "a database"])
def rush(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rush]:
    url = request.getfixturevalue("postgres").make_url() if request.param == "a database" else None
    with rushing(tmp_path_factory.mktemp("rush"), url) as rush:
        yield rush


@pytest.fixture(scope="module")
def key(rush: Rush) -> str:
    return rush.make_key(*Scope)


def open_passport(rush: Rush, key: str, number: int) -> Answer:
    subject = {"scheme": "vin", "value": VIN.format(number)}
    return rush.call(key, "POST", "/v1/passports", {"subject": subject, "occasion": "first_registration"})


def print_code(rush: Rush, key: str, passport: str) -> str:
    return str(rush.call(key, "POST", "/v1/claim-codes", {"passport": passport}).json["code"])


def find_links(answers: list[Answer]) -> set[str]:
    return {found for one in answers for found in re.findall(r"/join#([0-9A-Z-]{29})", one.body.decode())}


def find_once(page: str) -> str:
    """The number of a form."""
    found = re.search(r'name="once" value="([0-9a-f]{32})"', page)
    assert found is not None
    return found[1]


def test_open__of_one_vehicle_by_many_is_one_passport(rush: Rush, key: str) -> None:
    answers = at_once([lambda: open_passport(rush, key, 1)] * MANY)
    assert tell(answers) == {"201": 1, "409 subject_taken": MANY - 1}


def test_claim__of_one_code_by_many_gives_it_to_one(rush: Rush, key: str) -> None:
    passport = open_passport(rush, key, 2).json["passport"]
    code = print_code(rush, key, passport)
    forms = [one.write("/vehicles/add", vehicle=VIN.format(2), code=code) for one in rush.join_holders(MANY)]
    answers = at_once([lambda send=send: send("/vehicles/add") for send in forms])  # type: ignore[misc]
    assert tell(answers) == {"303": 1, "422": MANY - 1}
    assert rush.count("SELECT count(*) FROM holding WHERE chain = ?", bytes.fromhex(passport[4:])) == 1


def test_claim__of_one_vehicle_by_many_codes_is_held_by_one_and_contested_by_the_others(rush: Rush, key: str) -> None:
    passport = open_passport(rush, key, 3).json["passport"]
    forms = [
        one.write("/vehicles/add", vehicle=VIN.format(3), code=print_code(rush, key, passport))
        for one in rush.join_holders(MANY)
    ]
    answers = at_once([lambda send=send: send("/vehicles/add") for send in forms])  # type: ignore[misc]
    assert tell(answers) == {"303": MANY}
    chain = bytes.fromhex(passport[4:])
    assert rush.count("SELECT count(*) FROM holding WHERE chain = ? AND until_ms IS NULL", chain) == 1
    contests = rush.list("SELECT id FROM contest WHERE chain = ? AND decided_ms IS NULL", chain)
    assert len(contests) == MANY - 1

    # All of them are granted at once, by two operators: one is, and ends the others.
    deciding = [rush.join_operator().write("/operator", decision="grant") for _ in range(2)]
    paths = [f"/operator/claims/con_{contest.hex()}" for contest in contests]
    answers = at_once([lambda n=n, path=path: deciding[n % 2](path) for n, path in enumerate(paths)])  # type: ignore[misc]
    assert tell(answers) == {"303": 1, "409": MANY - 2}
    assert rush.count("SELECT count(*) FROM contest WHERE chain = ? AND state = 'granted'", chain) == 1
    assert rush.count("SELECT count(*) FROM holding WHERE chain = ? AND until_ms IS NULL", chain) == 1


def test_claim__while_the_account_ends_leaves_no_holding(rush: Rush, key: str) -> None:
    passport = open_passport(rush, key, 4).json["passport"]
    for _ in range(3):
        (one,) = rush.join_holders(1)
        claiming = one.write("/vehicles/add", vehicle=VIN.format(4), code=print_code(rush, key, passport))
        ending = one.write("/account")
        answers = at_once([lambda send=claiming: send("/vehicles/add"), lambda send=ending: send("/account/end")])  # type: ignore[misc]
        assert answers[1].status == 303
        held = "SELECT count(*) FROM holding WHERE account = ? AND until_ms IS NULL"
        assert rush.count(held, bytes.fromhex(one.account[4:])) == 0


def test_admission__asked_many_times_is_one_request_and_decided_once(rush: Rush) -> None:
    first, second = rush.join_operator(), rush.join_operator()
    page, asked = "/operator/members", {"name": "Garage A", "kind": "garage", "enrolment": ""}
    send = first.write(page, **asked)
    answers = at_once([lambda: send(page)] * MANY)
    (request,) = {one.headers["location"] for one in answers}
    forms = [
        one.write(request, decision=decision)
        for one, decision in ((second, "grant"), (second, "refuse"), (first, "withdraw"), (second, "grant"))
    ]
    answers = at_once([lambda send=send: send(request) for send in forms])  # type: ignore[misc]
    assert tell(answers) == {"303": 1, "422": 3}
    assert rush.count("SELECT count(*) FROM approval WHERE id = ?", bytes.fromhex(request[-32:])) == 1


def test_admission__granted_crosswise_by_two_is_carried_out_once(rush: Rush) -> None:
    pair, page = (rush.join_operator(), rush.join_operator()), "/operator/members"
    asked = [one.write(page, name="Garage B", kind="garage", enrolment="")(page).headers["location"] for one in pair]
    assert len(set(asked)) == 2
    forms = [
        (pair[1].write(asked[0], decision="grant"), asked[0]),
        (pair[0].write(asked[1], decision="grant"), asked[1]),
    ]
    at_once([lambda send=send, path=path: send(path) for send, path in forms])  # type: ignore[misc]
    states = {rush.list("SELECT state FROM approval WHERE id = ?", bytes.fromhex(path[-32:]))[0] for path in asked}
    assert states == {"done", "failed"}
    with rush.served.reach() as writer:
        assert [one.name for one in writer.state.members.all].count("Garage B") == 1


def test_invitation__asked_for_many_times_is_one_and_makes_one_account(rush: Rush) -> None:
    admin = rush.join_staff()
    send = admin.write("/organisation", role="clerk", once=find_once(admin.look("/organisation")))
    answers = at_once([lambda: send("/organisation/invitations")] * MANY)
    (code,) = find_links(answers)

    office, site = rush.office, rush.served.address
    made = [
        json.dumps(Authenticator(site).create(begin_sign_up(office, site, VISIT, "One of many", code)))
        for _ in range(MANY)
    ]
    joining = [Visitor(rush.served).write("/join", answer=answer) for answer in made]
    answers = at_once([lambda send=send: send("/join") for send in joining])  # type: ignore[misc]
    assert tell(answers) == {"200": 1, "422": MANY - 1}
    assert rush.count("SELECT count(*) FROM account WHERE name = 'One of many'") == 1


def test_sign_in__of_one_answer_and_of_one_recovery_code_lets_one_in(rush: Rush) -> None:
    office, site, authenticator = rush.office, rush.served.address, Authenticator(rush.served.address)
    answer = json.dumps(authenticator.create(begin_sign_up(office, site, VISIT, "Camille")))
    shown = Visitor(rush.served).write("/join", answer=answer)("/join").body.decode()
    code = re.findall(r'<li class="mono">([0-9A-Z-]+)</li>', shown)[0]
    signed = json.dumps(authenticator.get(begin_sign_in(office, site, VISIT)))
    for path, fields in (("/sign-in", {"answer": signed}), ("/recover", {"code": code})):
        forms = [Visitor(rush.served).write(path, **fields) for _ in range(MANY)]
        answers = at_once([lambda send=send, path=path: send(path) for send in forms])  # type: ignore[misc]
        assert tell(answers) == {"303": 1, "422": MANY - 1}, path


def test_token__of_one_assertion_is_granted_once_and_ends_with_its_program_on_both_workers(rush: Rush) -> None:
    admin, pair = rush.join_staff(), OKPKey.generate_key("Ed25519")
    body = {"name": "Nightly", "scopes": ["passports:read"], "public_key": pair.as_dict(private=False)}
    client = admin.call("POST", "/v1/clients", body).json["id"]

    def sign(name: str) -> str:
        now = int(time.time())
        claims = {"iss": client, "sub": client, "aud": f"{rush.served.address}/v1/oauth/token", "exp": now + 120}
        return jwt.encode({"alg": "Ed25519"}, claims | {"jti": name}, pair, algorithms=["Ed25519"])

    def ask(assertion: str) -> Answer:
        fields = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
        return rush.served.post_form("/v1/oauth/token", fields | {"client_assertion": assertion})

    assertion = sign("the first")
    answers = at_once([lambda: ask(assertion)] * MANY)
    assert tell(answers) == {"200": 1, "401 sign_in_failed": MANY - 1}
    tokens = [one.json["access_token"] for one in answers if one.status == 200]
    assert tell([rush.call(tokens[0], "GET", "/v1/me") for _ in range(2 * MANY)]) == {"200": 2 * MANY}

    signed = [sign(f"number {number}") for number in range(MANY)]
    ending = admin.prepare("DELETE", f"/v1/clients/{client}")
    answers = at_once([ending, *[lambda one=one: ask(one) for one in signed]])  # type: ignore[misc]
    tokens += [one.json["access_token"] for one in answers[1:] if one.status == 200]
    after = [rush.call(token, "GET", "/v1/me") for token in tokens for _ in range(4)]
    assert tell(after) == {"401 not_signed_in": len(after)}
    assert ask(sign("the last")).status == 401


def test_write__of_one_idempotency_key_is_done_once(rush: Rush, key: str) -> None:
    passport = open_passport(rush, key, 5).json["passport"]

    def send(km: int, name: str) -> Answer:
        occurred = {"at": "2023-05-04", "precision": "day", "zone": None}
        fields = {"odometer_km": km, "odometer_state": "read"}
        body = {"kind": "vehicle.odometer/1", "occurred": occurred, "fields": fields}
        return rush.call(key, "POST", f"/v1/passports/{passport}/entries", body, Idempotency_Key=name)

    answers = at_once([lambda: send(7, "the-same-key-1")] * MANY)
    told = tell(answers)
    assert set(told) <= {"201", "409 request_at_work"}
    assert len({one.json["entry"] for one in answers if one.status == 201}) == 1
    answers = at_once([lambda km=km: send(km, "the-same-key-2") for km in range(MANY)])  # type: ignore[misc]
    assert tell(answers) == {"201": 1, "422 idempotency_key_reused": MANY - 1}
    listed = rush.call(key, "GET", f"/v1/passports/{passport}/entries?kind=vehicle.odometer/1").json["data"]
    assert len(listed) == 2


def test_words_of_a_holder__sent_many_times_are_sealed_once(rush: Rush, key: str) -> None:
    """Each worker looked whether the same stood there already, and none of them saw the others'."""
    passport = open_passport(rush, key, 6).json["passport"]
    occurred = {"at": "2023-05-04", "precision": "day", "zone": None}
    fields = {"odometer_km": 40_000, "odometer_state": "read"}
    body = {"kind": "vehicle.odometer/1", "occurred": occurred, "fields": fields}
    assert rush.call(key, "POST", f"/v1/passports/{passport}/entries", body).status == 201
    (holder,) = rush.join_holders(1)
    code = print_code(rush, key, passport)
    assert holder.write("/vehicles/add", vehicle=VIN.format(6), code=code)("/vehicles/add").status == 303

    page = f"/vehicles/{passport}/entries/1/contest"
    once = {"once": find_once(holder.look(page))}
    send = holder.write(page, reason="wrong_value", note="It never had so many.", **once)
    assert tell(at_once([lambda: send(page)] * MANY)) == {"303": MANY}
    page = f"/vehicles/{passport}/add"
    once = {"once": find_once(holder.look(f"{page}?type=reading"))}
    add = holder.write_parts(page, type="reading", day="2024-05-06", odometer="41000", unit="km", **once)
    added = at_once([lambda: add(page)] * MANY)
    assert tell(added) == {"303": MANY}
    assert len({one.headers["location"] for one in added}) == 1
    with open_reader(rush.served.home) as reader:
        kinds = [entry.kind for entry in reader.read_entries(bytes.fromhex(passport[4:]))]
    assert kinds == ["passport.opened/1", "vehicle.odometer/1", "passport.contested/1", "vehicle.declared/1"]
    # What was withdrawn or corrected can be said again.
    again = holder.write_parts(page, type="reading", day="2024-05-06", odometer="41001", unit="km")
    assert again(f"/vehicles/{passport}/entries/3/correct").status == 303
    once = {"once": find_once(holder.look(f"{page}?type=reading"))}
    add = holder.write_parts(page, type="reading", day="2024-05-06", odometer="41000", unit="km", **once)
    assert add(page).status == 303
    with open_reader(rush.served.home) as reader:
        assert len(list(reader.read_entries(bytes.fromhex(passport[4:])))) == 6


def test_words_of_a_clerk__sent_many_times_are_sealed_once(rush: Rush) -> None:
    clerk, page = rush.join_staff(Role.CLERK), "/console/write/vehicle.odometer-1"
    fields = {
        "vehicle": VIN.format(7),
        "day": "2024-07-07",
        "odometer": "50000",
        "unit": "km",
        "odometer_state": "read",
    }
    fields |= {"occasion": "first_registration", "once": find_once(clerk.look(page))}
    send = clerk.write(page, **fields)
    (path,) = {one.headers["location"].partition("?")[0] for one in at_once([lambda: send(page)] * MANY)}
    passport, place = path.split("/")[3], f"{path}/correct"

    def count() -> int:
        with open_reader(rush.served.home) as reader:
            return len(list(reader.read_entries(bytes.fromhex(passport[4:]))))

    assert count() == 2
    again = clerk.write(place, **fields | {"odometer": "50001", "once": find_once(clerk.look(place))})
    (path,) = {
        one.headers["location"].partition("?")[0] for one in at_once([lambda: again(place)] * MANY) if one.status == 303
    }
    assert count() == 3
    back = clerk.write(path, reason="typing_error", note="A slip", once=find_once(clerk.look(path)))
    assert tell(at_once([lambda: back(f"{path}/withdraw")] * MANY))["303"] >= 1
    assert count() == 4


def test_end__of_an_account_many_times_is_noted_once_and_two_admins_leave_one(rush: Rush) -> None:
    (one,) = rush.join_holders(1)
    send = one.write("/account")
    assert tell(at_once([lambda: send("/account/end")] * 3))["303"] == 1
    ended = "SELECT count(*) FROM event WHERE action = ? AND about = ?"
    assert rush.count(ended, Action.ACCOUNT_ENDED.value, one.account) == 1

    pair = [rush.join(Post(Standing.STAFF, rush.garage, Role.ADMIN)) for _ in range(2)]
    forms = [(pair[0].write("/organisation"), pair[1].account), (pair[1].write("/organisation"), pair[0].account)]
    at_once([lambda send=send, who=who: send(f"/organisation/people/{who}/end") for send, who in forms])  # type: ignore[misc]
    names = [bytes.fromhex(one.account[4:]) for one in pair]
    assert rush.count("SELECT count(*) FROM account WHERE id IN (?, ?) AND ended_ms IS NULL", *names) == 1
    assert rush.join(OPERATOR).look("/operator")
