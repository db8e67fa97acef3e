"""`/v1/openapi.json` equals reality: its routes are the app's, its examples run, its schemas hold of real answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from litestar import get

from carnet.errors import InvariantBroken
from carnet.web.api.contract import Contract
from carnet.web.api.openapi import make_openapi
from carnet.web.policy import OPEN, list_routes
from tests.web.desk import serving
from tests.web.town import WebTown, serving_town

EXAMPLE_VIN = "VF1RFB00X56123456"
VERBS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTown]:
    with serving_town(tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture(scope="module")
def document(town: WebTown) -> dict[str, Any]:
    answer = town.call("visitor", "GET", "/v1/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for verb in VERBS:
            if verb in found:
                yield verb.upper(), path, found[verb]


def test_openapi__has_the_routes_of_the_app_and_no_other(town: WebTown, document: dict[str, Any]) -> None:
    told = {(verb, path) for verb, path, _ in operations(document)}
    real = {
        (line.method, line.path.replace(":str}", "}"))
        for line in list_routes(town.service.app)
        if line.path.startswith("/v1/")
    }
    assert told == real
    assert len(told) >= 18


def test_openapi__names_each_operation_once_and_says_who_may(town: WebTown, document: dict[str, Any]) -> None:
    found = list(operations(document))
    assert len({one["operationId"] for _, _, one in found}) == len(found)
    policies = {(line.method, line.path.replace(":str}", "}")): line.policy for line in list_routes(town.service.app)}
    for verb, path, one in found:
        policy = policies[verb, path]
        assert ("security" in one) == (policy.describe() != "open to everyone"), (verb, path)
        assert policy.describe() in one["description"]


def test_openapi__lets_no_unknown_field_through(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert len(schemas) >= 25
    for name, schema in schemas.items():
        assert schema["additionalProperties"] is False, name


def test_openapi__is_a_sound_document(document: dict[str, Any]) -> None:
    """Every reference leads somewhere, and every schema is one of JSON Schema 2020-12."""
    refs: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                refs.add(value["$ref"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)
    names = {ref.removeprefix("#/components/schemas/") for ref in refs}
    assert names <= set(document["components"]["schemas"])
    for name in document["components"]["schemas"]:
        make_validator(document, {"$ref": f"#/components/schemas/{name}"})


def make_validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def check_answer(document: dict[str, Any], verb: str, path: str, answer: Any) -> None:
    """The answer's status is promised, and its body has the shape that is promised for it."""
    promised = document["paths"][path][verb.lower()]["responses"]
    assert str(answer.status_code) in promised, (verb, path, answer.status_code, answer.text)
    content = promised[str(answer.status_code)].get("content", {})
    media = answer.headers.get("content-type", "").partition(";")[0]
    if not content:
        return
    assert media in content, (verb, path, media)
    if media.endswith("json") and content[media]["schema"]:
        if content[media]["schema"] == {"type": "string"}:
            return
        errors = [str(one) for one in make_validator(document, content[media]["schema"]).iter_errors(answer.json())]
        assert errors == [], (verb, path)


def test_openapi__its_examples_run_and_real_answers_have_its_shapes(town: WebTown, document: dict[str, Any]) -> None:
    def example(verb: str, path: str) -> Any:
        content = document["paths"][path][verb.lower()]["requestBody"]["content"]
        return content["application/json"]["example"]

    def call(who: str, verb: str, path: str, json: Any = None, query: str = "", **places: str) -> Any:
        answer = town.call(who, verb, path.format(**places) + query, json)
        check_answer(document, verb, path, answer)
        return answer

    opened = call("dealer", "POST", "/v1/passports", example("POST", "/v1/passports"))
    assert opened.status_code == 201
    passport = opened.json()["passport"]
    # The clock of the tests stands in 2023; the examples are of 2026.
    town.service.node.clock.now += 3 * 366 * 86_400_000
    for path in ("/v1/entries", "/v1/passports/{passport}/entries"):
        appended = call("garage", "POST", path, example("POST", path), passport=passport)
        assert appended.status_code == 201, appended.text
    town.hold(passport)
    entry = appended.json()["entry"]
    places = {"passport": passport, "entry": entry, "member": f"mem_{town.members['garage'].hex()}",
              "name": "vehicle.odometer", "version": "1", "job": "job_" + "0" * 32}  # fmt: skip
    webhook = call("garage", "POST", "/v1/webhooks", example("POST", "/v1/webhooks"))
    assert webhook.status_code == 201, webhook.text
    places |= {"webhook": webhook.json()["id"], "message": "msg_" + "0" * 32}
    for verb, path, _ in operations(document):
        if verb != "GET":
            continue
        for who in ("holder", "garage", "stranger", "visitor", "garage's admin", "operator"):
            call(who, verb, path, **places)
            if path.endswith("/entries/{entry}"):
                call(who, verb, path, query="?proof=1", **places)
            if path == "/v1/passports":
                call(who, verb, path, query=f"?value={EXAMPLE_VIN}", **places)


def test_openapi__refuses_a_route_that_promises_nothing(tmp_path: Path) -> None:
    @get("/v1/silent", opt={"policy": OPEN}, sync_to_thread=False)
    def silent() -> dict[str, str]:
        return {}

    with serving(tmp_path, [silent]) as service, pytest.raises(InvariantBroken):
        make_openapi(service.app)
    assert Contract("x").status == 200
