"""Errors over HTTP: each reason has its status and page, and none tells more than it should. Design: security 42."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from carnet.errors import Reason, Refused, Unverified
from carnet.web.inputs import Input
from carnet.web.policy import HARMLESS, OPEN
from carnet.web.problems import REASONS, STATUSES
from tests.web.desk import TestService, serving

SECRET = "WVWZZZ1JZXW000001"


class Address(Input):
    city: str


class Sent(Input):
    name: str
    age: int
    where: Address | None = None
    any: Any = None
    tags: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=2)] = ("a",)


@post("/v1/echo", opt={"policy": HARMLESS}, sync_to_thread=False)
def post_echo(data: JSONBody[Sent], limit: FromQuery[int] = 1) -> dict[str, Any]:
    return {"name": data.name, "limit": limit}


@get("/fail/{how:str}", opt={"policy": OPEN}, sync_to_thread=False)
def get_fail(how: FromPath[str]) -> str:
    if how == "bug":
        raise ValueError(SECRET)
    if how == "unverified":
        raise Unverified("fields_mismatch", "a field is not what was signed")
    raise Refused(Reason(how), "a sentence with /a/path of the machine", could_retry=True, retry_after_s=7)


def test_statuses__each_reason_has_one_and_a_page(tmp_path: Path) -> None:
    assert set(STATUSES) == set(Reason)
    with serving(tmp_path) as service:
        for reason in Reason:
            document = service.client.get(f"/problems/{reason.value}").json()
            assert document["code"] == reason.value
            assert document["status"] == STATUSES[reason]
            assert (document["meaning"], document["next"]) == REASONS[reason.value]
            page = service.client.get(f"/problems/{reason.value}", headers={"Accept": "text/html"})
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert reason.value in page.text
        listed = service.client.get("/problems").json()["problems"]
        assert [one["code"] for one in listed] == [reason.value for reason in Reason]
        assert service.client.get("/problems/no_such_reason").status_code == 404


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestService]:
    """A service that fails as it is asked to, and keeps nothing of it."""
    with serving(tmp_path_factory.mktemp("node"), [get_fail, post_echo]) as service:
        yield service


@pytest.mark.parametrize("reason", list(Reason))
def test_refusal__is_a_problem_document(failing: TestService, reason: Reason) -> None:
    answer = failing.client.get(f"/fail/{reason.value}")
    assert answer.status_code == STATUSES[reason]
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert sorted(document) == ["code", "detail", "errors", "request_id", "status", "title", "type"]
    assert (document["status"], document["code"]) == (STATUSES[reason], reason.value)
    assert document["type"] == f"/problems/{reason.value}"
    assert answer.headers["retry-after"] == "7"
    # What a node says of its own house is not told outside.
    assert ("/a/path" in document["detail"]) == (STATUSES[reason] < 503)


def test_bug__tells_nothing_but_the_requests_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, [get_fail]) as service:
        answer = service.client.get("/fail/bug")
        page = service.client.get("/fail/bug", headers={"Accept": "text/html"})
    document = answer.json()
    assert (answer.status_code, document["code"]) == (500, Reason.SERVICE_FAULT.value)
    logged = capsys.readouterr()
    for text in (answer.text, page.text, logged.out, logged.err):
        assert SECRET not in text
        assert "Traceback" not in text
    assert document["request_id"] in logged.out + logged.err
    assert "get_fail" in logged.out + logged.err


def test_unverified__is_told_with_its_code(failing: TestService) -> None:
    answer = failing.client.get("/fail/unverified")
    assert (answer.status_code, answer.json()["code"]) == (422, "fields_mismatch")


def test_page__asked_by_a_browser_says_what_to_do_next(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        asked = {"Accept": "text/html,*/*", "Accept-Language": "en"}
        page = service.client.get("/no<b>where", headers=asked)
        french = service.client.get("/nowhere", headers=asked | {"Accept-Language": "fr"})
        api = service.client.get("/v1/nowhere", headers={"Accept": "text/html,*/*"})
    assert (page.status_code, api.status_code) == (404, 404)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Check the address" in page.text
    assert "Vérifiez l’adresse" in french.text
    assert "<b>where" not in page.text
    assert api.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body, code, pointer",
    [
        (b'{"name":"a","age":1,"colour":2}', Reason.UNKNOWN_FIELD, "/colour"),
        (b'{"name":"a","age":1,"where":{"city":"x","zip":1}}', Reason.UNKNOWN_FIELD, "/where/zip"),
        (b'{"name":"a"}', Reason.MISSING_FIELD, "/age"),
        (b'{"name":"a","age":1,"where":{}}', Reason.MISSING_FIELD, "/where/city"),
        (b'{"name":"a","age":"WVWZZZ1JZXW000001"}', Reason.WRONG_TYPE, "/age"),
        (b'{"name":"a","age":1,"where":{"city":7}}', Reason.WRONG_TYPE, "/where/city"),
        (b'["WVWZZZ1JZXW000001"]', Reason.WRONG_TYPE, ""),
    ],
)
def test_body__refused_with_the_place_and_no_value(
    failing: TestService, body: bytes, code: Reason, pointer: str
) -> None:
    answer = failing.client.post("/v1/echo", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code.value
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [(pointer, code.value)]
    assert SECRET not in answer.text


@pytest.mark.parametrize("body, what", [(b"", "empty"), (b"null", "no JSON object"), (b"[]", "no JSON object")])
def test_body__that_is_no_object_is_told_which_one_is_wanted(failing: TestService, body: bytes, what: str) -> None:
    answer = failing.client.post("/v1/echo", content=body, headers={"Content-Type": "application/json"})
    wanted = "send a JSON object in UTF-8 with name and age; where, any and tags may be left out"
    assert (answer.status_code, answer.json()["code"]) == (422, Reason.WRONG_TYPE.value)
    assert answer.json()["detail"] == f"the body is {what}: {wanted}"
    assert wanted in failing.client.post("/v1/echo").json()["detail"]
    no_json = failing.client.post("/v1/echo", content=b"name=a", headers={"Content-Type": "application/json"})
    assert no_json.json()["detail"] == f"the body is not JSON: {wanted}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","age":1,"age":2}',
        b'{"name":"a","age":1,"any":[{"b":{"k":1,"\\u006b":1}}]}',
        b'{"name":"a","age":1,"tags":["' + b"a" * 20_000 + b'"],"tags":[]}',
    ],
)
def test_body__refused_duplicate_key(failing: TestService, body: bytes) -> None:
    answer = failing.client.post("/v1/echo", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, Reason.DUPLICATE_KEY.value)


@pytest.mark.parametrize(
    "tags, code, saying",
    [("[]", Reason.VALUE_OUT_OF_RANGE, "write at least 1 item"), ('["a","b","c"]', Reason.TEXT_TOO_LONG, "at most 2")],
)
def test_body__of_another_length_is_told_which(failing: TestService, tags: str, code: Reason, saying: str) -> None:
    body = f'{{"name":"a","age":1,"tags":{tags}}}'
    (fault,) = failing.client.post("/v1/echo", content=body, headers={"Content-Type": "application/json"}).json()[
        "errors"
    ]
    assert (fault["pointer"], fault["code"]) == ("/tags", code.value)
    assert saying in fault["detail"]


@pytest.mark.parametrize(
    "body, code",
    [
        (b"{", Reason.NOT_JSON),
        (b"\xff\xfe", Reason.NOT_JSON),
        (b'{"name":"a","age":1,"any":' + b"[" * 100_000 + b"]" * 100_000 + b"}", Reason.NESTED_TOO_DEEP),
    ],
)
def test_body__refused_unreadable(tmp_path: Path, body: bytes, code: Reason) -> None:
    with serving(tmp_path, [post_echo]) as service:
        answer = service.client.post("/v1/echo", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, code.value), answer.text


def test_body__refused_request_too_large(tmp_path: Path) -> None:
    with serving(tmp_path, [post_echo], max_body_bytes=2_000) as service:
        body = b'{"name":"' + b"a" * 3_000 + b'","age":1}'
        sized = service.client.post("/v1/echo", content=body, headers={"Content-Type": "application/json"})
        # Without a length beforehand: counted as it comes in.
        flowing = service.client.post(
            "/v1/echo", content=iter([body[:1_500], body[1_500:]]), headers={"Content-Type": "application/json"}
        )
    for answer in (sized, flowing):
        assert (answer.status_code, answer.json()["code"]) == (413, Reason.REQUEST_TOO_LARGE.value)


def test_request__refused_wrong_method(tmp_path: Path) -> None:
    with serving(tmp_path, [post_echo]) as service:
        answer = service.client.get("/v1/echo")
    assert (answer.status_code, answer.json()["code"]) == (405, Reason.WRONG_METHOD.value)
    assert answer.headers["allow"] == "OPTIONS, POST"


def test_request__refused_wrong_media_type(tmp_path: Path) -> None:
    body = b'{"name":"a","age":1}'
    with serving(tmp_path, [post_echo]) as service:
        for media_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded", ""):
            answer = service.client.post("/v1/echo", content=body, headers={"Content-Type": media_type})
            assert (answer.status_code, answer.json()["code"]) == (415, Reason.WRONG_MEDIA_TYPE.value), media_type
        with_charset = {"Content-Type": "application/json; charset=utf-8"}
        assert service.client.post("/v1/echo", content=body, headers=with_charset).status_code == 201
        empty = service.client.post("/v1/echo")
        assert (empty.status_code, empty.json()["code"]) == (422, Reason.MISSING_FIELD.value)


def test_query__refused_unknown_field(tmp_path: Path) -> None:
    with serving(tmp_path, [post_echo]) as service:
        answer = service.client.post("/v1/echo?limit=2&limmit=3", json={"name": "a", "age": 1})
        wrong = service.client.post(f"/v1/echo?limit={SECRET}", json={"name": "a", "age": 1})
        good = service.client.post("/v1/echo?limit=2", json={"name": "a", "age": 1})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#limmit")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "#limit")
    assert SECRET not in wrong.text
    assert good.json() == {"name": "a", "limit": 2}


def test_query__refused_duplicate_key(failing: TestService) -> None:
    answer = failing.client.post("/v1/echo?limit=2&limit=3", json={"name": "a", "age": 1})
    assert (answer.status_code, answer.json()["code"]) == (400, Reason.DUPLICATE_KEY.value)
    assert answer.json()["errors"][0]["pointer"] == "#limit"


def test_options__names_every_method_of_an_address(failing: TestService) -> None:
    answer = failing.client.options("/v1/clients")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.apart
@pytest.mark.parametrize("path", ["/v1/echo", "/v1/verifications", "/sign-in"])
def test_body__cut_off_by_its_sender_is_no_fault_of_ours(
    failing: TestService, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[Any] = []
    parts = [
        {"type": "http.request", "body": b'{"name":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    media_type = b"application/x-www-form-urlencoded" if path == "/sign-in" else b"application/json"
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("192.0.2.1", 1),
        "server": ("carnet.example", 443), "state": {}, "extensions": {},
        "headers": [(b"host", b"carnet.example"), (b"content-type", media_type), (b"content-length", b"100")],
    }  # fmt: skip

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(failing.app(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["code"] == Reason.MALFORMED_REQUEST.value
    told = capsys.readouterr()
    assert "failure" not in told.out + told.err
