"""Whatever has a name is its owner's alone: for every route that names a thing in its address, from the app's own list,
another who may call the route gets of the real thing just what they get of one that does not exist, and the thing stays
as it was. The owner gets something else, so that it is not the test that is blind. Design: security 9.

Passports as such are in `test_matrix`; here is all else, and others' entries in a passport that one may open oneself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import Visit, name_id
from carnet.services.accounts.registry import Post, find_account, insert_account
from carnet.services.accounts.sessions import begin_session, list_sessions
from carnet.services.app_views import grant_view
from carnet.services.appearance.looks import find_kept_look, set_look
from carnet.services.claims import claim, issue_code
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.web.api.contract import Contract
from carnet.web.policy import RouteLine, get_policy, is_answering_options, list_routes
from tests.web.test_api_readings import send
from tests.web.test_matrix import PLACE
from tests.web.town import ALWAYS, HOLDER, STRANGER, VIN, WebTown, make_reading, serving_town

FORM, PARTS, JSON = "application/x-www-form-urlencoded", "multipart/form-data", "application/json"
PUBLIC = (
    "/demo/", "/developers/", "/embed/", "/problems/", "/static/", "/v1/kinds/", "/v1/members/", "/v1/sandbox/",
    "/with/", "/console/files/templates/", "/console/write/", "/operator/",
)  # fmt: skip
"""Whose things are for everybody, or for every operator; `/with` and `/embed` show passports, by tests of their own."""

WAITING = tuple(f"/console/files/{{job:str}}/{act}" for act in ("certify", "columns", "mend"))
"""To whose owner the page waits until the file is read: tests of the pages do what the owner does."""

ROWS = b"vin,day,km\n" + b"".join(b"%s,2023-05-%02d,%d\n" % (VIN.encode(), n, 41_000 + n) for n in range(1, 29))
FAULTY = b"%s,2023-06-01,many\n" % VIN.encode()

BODIES: dict[str, Any] = {
    "mends": {"rows": [{"row": 29, "cells": {"km": "41500"}}]},
    "reading": {"kind": "vehicle.odometer/1", "columns": {"vin": "vin", "day": "day", "km": "odometer_km"}},
    "replay": {"since": "2020-01-01T00:00:00Z"},
    "{mapping:str}": {"name": "Mine now"},
}
FIELDS: dict[str, dict[str, str]] = {
    "answer": {"objection": "3", "note": "It is right."},
    "columns": {"kind": "vehicle.odometer/1", "m0": "vin", "m1": "day", "m2": "odometer_km"},
    "contest": {"reason": "wrong_value", "note": "It is wrong."},
    "correct": {"day": "2023-05-04", "odometer": "41", "odometer_unit": "km", "odometer_state": "read"},
    "mend": {"c29.2": "41500"},
    "rename": {"name": "Mine now"},
    "replay": {"days": "7"},
    "role": {"role": "reader"},
    "signatures": {"signatures": "AAAA"},
    "withdraw": {"reason": "typing_error", "note": "a slip"},
}
NONE = {
    "account": f"acc_{0:032x}", "client": f"cli_{0:032x}", "code": f"cod_{0:032x}", "contest": f"con_{0:032x}",
    "digest": "0" * 64, "entry": f"ent_{0:064x}", "hint": "ck_live_000000", "job": f"job_{0:032x}",
    "mapping": f"map_{0:032x}", "message": f"msg_{0:032x}", "passkey": f"psk_{0:032x}", "passport": f"pas_{0:032x}",
    "seq": "99", "session": f"ses_{0:032x}", "view": f"vie_{0:032x}", "webhook": f"whk_{0:032x}",
}  # fmt: skip
"""What nobody has."""

TABLES = (
    "account", "api_key", "app_view", "claim_code", "client", "contest", "holding", "passkey", "saved_mapping",
    "session", "webhook",
)  # fmt: skip


@dataclass(frozen=True)
class Route:
    line: RouteLine
    takes: frozenset[str]

    @property
    def places(self) -> list[str]:
        return [name for name, _ in PLACE.findall(self.line.path)]

    @property
    def act(self) -> str:
        return self.line.path.rpartition("/")[2]


def list_naming(town: WebTown) -> list[Route]:
    """Every route whose address names a thing."""
    found = []
    for route in town.service.app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if is_answering_options(handler) or not PLACE.search(route.path) or route.path.startswith(PUBLIC):
                continue
            assert isinstance(handler, HTTPRouteHandler)
            found += [
                Route(RouteLine(str(method), route.path, get_policy(handler), str(handler)), handler.opt["media_types"])
                for method in handler.http_methods - {"HEAD", "OPTIONS"}
            ]
    return sorted(found, key=lambda one: (one.line.path, one.line.method))


class Things:
    """What the garage and the holder have; made when it is asked for, and anew once somebody has acted on it."""

    def __init__(self, town: WebTown) -> None:
        self.town, self.office = town, town.office
        self.passport = town.open()
        assert town.record("garage").status_code == 201
        assert town.record("insurer", 41_500).status_code == 201
        service = make_reading(1) | {"kind": "vehicle.service/1", "fields": {"odometer_km": 41_600}}
        assert town.call("garage", "POST", "/v1/entries", service).status_code == 201
        town.hold(self.passport)
        self.holder = town.service.callers.bearers["holder"]
        self.admin = town.service.callers.bearers["garage's admin"]
        self.count = 0
        self.made: dict[str, str] = {}

    def get(self, name: str) -> str:
        if name not in self.made:
            maker: Callable[[], str] = getattr(self, f"make_{name}")
            self.count += 1
            self.made[name] = maker()
        return self.made[name]

    def forget(self, names: list[str]) -> None:
        for name in names:
            self.made.pop(name, None)

    def make_passport(self) -> str:
        return self.passport

    def make_account(self) -> str:
        return add_account(self.town, f"clerk {self.count}", Post(Standing.STAFF, self.admin.member, Role.CLERK))

    def make_client(self) -> str:
        scopes = frozenset({Scope.PASSPORTS_READ})
        assert self.admin.member is not None
        made = add_client(self.office, self.admin, self.admin.member, "Program", scopes)
        self.hint = issue_key(self.office, self.admin, made.public_id).secret[:14]
        return made.public_id

    def make_hint(self) -> str:
        return self.hint

    def make_code(self) -> str:
        with self.town.service.node.read() as reader:
            self.code = issue_code(self.office, reader, self.admin, bytes.fromhex(self.passport[4:]))
        return self.code.id

    def make_contest(self) -> str:
        self.make_code()
        claimant = Principal(Standing.HOLDER, account=STRANGER)
        with self.town.service.node.read() as reader:
            # As long as an earlier one is open there is no other: the holder's next one is another person's.
            made = claim(self.office, reader, claimant, Visit("192.0.2.1", "a test"), self.code.code)
        assert made.contest is not None
        return made.contest

    def make_job(self) -> str:
        return send(self.town, ROWS + FAULTY)

    def make_mapping(self) -> str:
        job = self.make_job()
        assert self.town.call("garage", "POST", f"/v1/files/{job}/certify").status_code == 200
        return str(self.town.call("garage", "GET", "/v1/mappings").json()["data"][0]["id"])

    def make_webhook(self) -> str:
        for old in self.town.call("garage", "GET", "/v1/webhooks").json()["data"]:
            self.town.call("garage", "DELETE", f"/v1/webhooks/{old['id']}")
        body = {"url": f"https://hooks.example.org/{self.count}", "events": ["entry.sealed"]}
        made = self.town.call("garage", "POST", "/v1/webhooks", body)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def make_message(self) -> str:
        return NONE["message"]

    def make_passkey(self) -> str:
        # The last one is never removed, so that there are two.
        ids = [sha256(f"{self.count} {n}".encode()).digest() for n in range(2)]
        with self.office.people.write() as connection:
            for id_ in ids:
                connection.execute(
                    "INSERT INTO passkey (id, account, credential, sign_count, name, created_ms, used_ms)"
                    " VALUES (?, ?, ?, 0, 'Phone', 1, NULL)",
                    (id_, bytes.fromhex(HOLDER[4:]), id_),
                )
        return name_id("psk", self.office.digest("passkey", ids[0])[:16])

    def make_session(self) -> str:
        with self.office.people.write() as connection:
            account = find_account(connection, bytes.fromhex(HOLDER[4:]))
            assert account is not None
            token = begin_session(connection, self.office, account, Visit("192.0.2.1", "a test"), "passkey")
        return next(one.id for one in list_sessions(self.office, self.holder, token) if one.is_this)

    def make_view(self) -> str:
        assert self.admin.member is not None
        colours = {"ink": "#0b3d91", "paper": "#ffffff"}
        origin = "https://app.example"
        set_look(self.office, self.admin, self.admin.member, name="Les Tilleuls", origins=[origin], **colours)
        look = find_kept_look(self.office.people, self.admin.member)
        assert look is not None
        chain = bytes.fromhex(self.passport[4:])
        with self.town.service.node.read() as reader:
            return grant_view(self.office, reader, self.town.held, self.holder, chain, look, origin).view.id

    def make_seq(self) -> str:
        """The garage's entry."""
        return "1"

    def make_entry(self) -> str:
        entries = self.town.call("garage", "GET", f"/v1/passports/{self.passport}/entries").json()["data"]
        return str(entries[0]["id"])

    def make_digest(self) -> str:
        """Of a key of the garage's."""
        assert self.admin.member is not None
        keys = self.town.call("visitor", "GET", f"/v1/members/mem_{self.admin.member.hex()}").json()["keys"]
        return str(keys[0]["id"]).removeprefix("key_")

    def make_file(self) -> str:
        """The digest of a file of the holder's."""
        data = b"%PDF-1.4 an invoice"
        form = {"type": "document", "day": "2023-05-04", "title": "Paper"}
        files = {"file": ("paper.pdf", data, "application/pdf")}
        answer = self.town.call(
            "holder", "POST", f"/vehicles/{self.passport}/add", data=form, files=files, follow_redirects=False
        )
        assert answer.status_code == 303, answer.text
        return sha256(data).hexdigest()

    def find_real(self, route: Route) -> dict[str, str]:
        names = {name: self.get(name) for name in route.places}
        return NONE | names | ({"digest": self.get("file")} if "/files/{digest" in route.line.path else {})


def add_account(town: WebTown, name: str, post: Post) -> str:
    known = sha256(name.encode()).digest()[:16]
    with town.office.people.write() as connection:
        office = replace(town.office, random_bytes=lambda _: known)
        return insert_account(connection, office, post, name, sha256(known).digest()).public_id


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Things]:
    with serving_town(tmp_path_factory.mktemp("town")) as town:
        bearers = town.service.callers.bearers
        for name in ("garage", "insurer"):
            for role in (Role.ADMIN, Role.CLERK):
                key = f"{name}'s {role.value}"
                bearers[key] = replace(bearers[key], confirmed_at=ALWAYS)
        account = add_account(town, "third", Post(Standing.HOLDER))
        bearers["third"] = Principal(Standing.HOLDER, account=account, confirmed_at=ALWAYS)
        yield Things(town)


def snapshot(things: Things) -> list[Any]:
    with things.office.people.read() as connection:
        rows = [connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES]
    with things.town.service.node.read() as reader:
        count = len(list(reader.read_entries(bytes.fromhex(things.passport[4:]))))
    jobs = [path.read_bytes() for path in sorted((things.town.service.desk.home.path / "files").glob("*/*.json"))]
    return [rows, count, jobs]


def call(things: Things, who: str, route: Route, places: dict[str, str]) -> Any:
    path = PLACE.sub(lambda found: places[found[1]], route.line.path)
    sent: dict[str, Any] = {"headers": {"Sec-Fetch-Site": "same-origin"}}
    if JSON in route.takes:
        sent["json"] = BODIES.get(route.act)
    elif FORM in route.takes:
        sent["data"] = FIELDS.get(route.act, {"x": "1"})
    elif PARTS in route.takes:
        sent |= {"data": FIELDS.get(route.act, {"x": "1"}), "files": {"file": ("", b"")}}
    elif route.takes:
        sent["content"] = b"x"
        sent["headers"] |= {"Content-Type": next(iter(route.takes)), "Upload-Offset": "0"}
    return things.town.call(who, route.line.method, path, **sent)


def tell(answer: Any, places: dict[str, str]) -> tuple[int, str]:
    """All that an answer tells, but for what is random, and for what the address says."""
    text = re.sub(r"req_[0-9a-f]+|form_token\" value=\"[0-9a-f]*", "", answer.text)
    for value in sorted(places.values(), key=len, reverse=True):
        text = text.replace(value, "…") if len(value) > 2 else text
    return answer.status_code, text


def choose_callers(things: Things, route: Route, names: tuple[str, ...]) -> list[str]:
    bearers = things.town.service.callers.bearers
    return [name for name in names if route.line.policy.is_let_in(bearers[name])]


def find_absent(route: Route, real: dict[str, str]) -> dict[str, str]:
    """The same but for the thing, which is nobody's: in a passport, that one may open oneself, an entry that is not
    there."""
    return real | {name: NONE[name] for name in route.places if name != "passport"}


def test_thing__of_another_is_as_if_it_did_not_exist(things: Things) -> None:
    routes = [one for one in list_naming(things.town) if set(one.places) - {"passport", "section"}]
    blind = []
    for route in routes:
        where = (route.line.method, route.line.path)
        others = choose_callers(things, route, ("third", "insurer", "insurer's admin", "operator"))
        owners = choose_callers(things, route, ("holder", "garage", "garage's admin"))
        assert others, where
        assert owners, where
        real = things.find_real(route)
        absent = find_absent(route, real)
        before = snapshot(things)
        for who in others:
            answer = call(things, who, route, real)
            assert tell(answer, real) == tell(call(things, who, route, absent), absent), (who, *where)
            assert 400 <= answer.status_code < 500, (who, *where)
            assert snapshot(things) == before, (who, *where)
        if route.line.path in WAITING:
            continue
        nothing = tell(call(things, owners[0], route, absent), absent)
        if tell(call(things, owners[0], route, real), real) == nothing:
            blind.append((owners[0], *where, *nothing))
        if route.line.method != "GET":
            things.forget(route.places)
    assert blind == []
    assert len(routes) > 60


def test_get__changes_nothing_of_anybodys(things: Things) -> None:
    """Pages and API, asked by everybody of their own things and of others': no row of people, no entry, no file's
    record is another one afterwards. (That somebody looked stands in the holder's journal.)"""
    names = ("job", "mapping", "webhook", "client", "code", "contest", "passkey", "session", "view", "account", "file")
    real = NONE | {name: things.get(name) for name in (*names, "passport", "seq", "entry")} | {"section": "history"}
    real["digest"] = things.get("file")
    before = snapshot(things)
    answered = set()
    for line in list_routes(things.town.service.app):
        known = all(name in real for name, _ in PLACE.findall(line.path))
        if line.method != "GET" or not known:
            continue
        path = PLACE.sub(lambda found: real[found[1]], line.path)
        for who in ("visitor", "holder", "stranger", "garage", "garage's admin", "insurer's admin", "operator"):
            answer = things.town.call(who, "GET", path, follow_redirects=False)
            assert answer.status_code < 500, (who, path)
            answered |= {path} if answer.status_code == 200 else set()
    assert snapshot(things) == before
    assert len(answered) > 80


def test_get__of_json_has_a_tag_that_is_known_again(things: Things) -> None:
    """Every read of the API, whoever may: 304 for what one has."""
    names = ("job", "mapping", "webhook", "client", "code", "passport", "entry", "view")
    places = NONE | {name: things.get(name) for name in names}
    things.town.call("garage", "POST", f"/v1/webhooks/{places['webhook']}/test")
    messages = things.town.call("garage", "GET", f"/v1/webhooks/{places['webhook']}/messages").json()["data"]
    member = things.town.call("visitor", "GET", "/v1/members").json()["data"][0]["id"]
    places |= {"message": messages[0]["id"], "member": member, "name": "vehicle.odometer", "version": "1"}
    untagged, unread = [], []
    for route in things.town.service.app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            contract = handler.opt.get("contract")
            if "GET" not in handler.http_methods or not isinstance(contract, Contract) or contract.answer is None:
                continue
            path = PLACE.sub(lambda found: places.get(found[1], "x"), route.path)
            answers = {
                who: answer
                for who in ("visitor", "holder", "garage", "garage's admin")
                if (answer := things.town.call(who, "GET", path)).status_code == 200
            }
            unread += [] if answers else [path]
            for who, answer in answers.items():
                tag = answer.headers.get("etag", "")
                again = things.town.call(who, "GET", path, headers={"If-None-Match": tag})
                if again.status_code != 304:
                    untagged.append((who, path, tag))
    assert untagged == []
    # The town is no network for trying things.
    assert [path for path in unread if not path.startswith("/v1/sandbox/")] == []
