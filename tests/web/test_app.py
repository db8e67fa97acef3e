"""The app's own addresses, and what is true of every answer. Design: security 6, 16, 33."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from litestar import get

from carnet import __version__
from carnet.errors import InvariantBroken, Reason
from carnet.web.app import make_app
from carnet.web.policy import OPEN, list_routes
from carnet.web.static_files import find_address, read_assets
from tests.node.home import new_passport, vin_subject
from tests.web.desk import serving


@get("/quiet", opt={"policy": OPEN}, sync_to_thread=False)
def get_quiet() -> str:
    return "quiet"


def test_start__refused_for_a_route_without_a_policy(tmp_path: Path) -> None:
    @get("/bare", sync_to_thread=False)
    def get_bare() -> str:
        return "never"

    with serving(tmp_path) as service, pytest.raises(InvariantBroken, match="/bare"):
        make_app(service.desk, [get_bare])


def test_routes__all_say_their_policy_and_are_named_once(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        lines = list_routes(service.app)
    assert len({(line.method, line.path) for line in lines}) == len(lines)
    paths = {line.path for line in lines}
    assert {"/healthz", "/readyz", "/verify", "/.well-known/carnet-policy", "/problems/{code:str}"} <= paths
    assert all(line.policy.describe() for line in lines)


def test_health__says_that_the_worker_runs(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        answer = service.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readiness__is_gone_with_the_writer(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        assert service.client.get("/readyz").json() == {"status": "ok", "store": "ok", "writer": "ok"}
        service.node.close()
        answer = service.client.get("/readyz")
    assert answer.status_code == 503
    told = answer.json()
    assert "start the service again" in told.pop("todo")
    assert told == {"status": "not_ready", "store": "ok", "writer": "node_damaged"}


def test_policy_and_page__are_those_of_the_node(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        policy = service.client.get("/.well-known/carnet-policy")
        page = service.client.get("/verify")
        with service.desk.reading() as reader:
            assert policy.content == reader.get_policy()
    assert f"{__version__}" in page.text
    assert policy.text.split()[1] in page.text
    # The page allows itself its one script, and nothing else; the header says the same, and forbids frames.
    meta = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page.text)
    assert meta is not None
    assert page.headers["content-security-policy"] == f"{meta[1]}; frame-ancestors 'none'"
    assert "'unsafe-inline'" not in meta[1]


def test_answers__each_wears_the_headers_that_keep_a_browser_safe(tmp_path: Path) -> None:
    with serving(tmp_path, [get_quiet]) as service:
        for path in ("/quiet", "/nothing", "/healthz", "/v1/nothing", "/problems/erased", "/verify"):
            headers = service.client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["referrer-policy"] == "no-referrer", path
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert "unsafe" not in headers["content-security-policy"], path
            assert "includeSubDomains" in headers["strict-transport-security"], path
            assert headers["permissions-policy"], path
            assert "access-control-allow-origin" not in headers, path
        assert service.client.get("/quiet").headers["cache-control"] == "no-store"


def test_head__tells_of_an_answer_what_reading_it_would(tmp_path: Path) -> None:
    """RFC 9110 §9.3.2. Whoever watches a service, or looks how large a file is, asks so first."""
    with serving(tmp_path) as service:
        for path in ("/", "/healthz", "/readyz", "/verify", "/.well-known/carnet-policy", "/v1/members", "/v1/nothing"):
            read, head = service.client.get(path), service.client.head(path)
            assert (head.status_code, head.content) == (read.status_code, b""), path
            same = ("content-type", "content-length", "content-security-policy", "etag", "cache-control")
            assert [head.headers.get(one) for one in same] == [read.headers.get(one) for one in same], path
        assert service.client.head("/v1/claims").status_code == 405, "what is not read has no head"
        assert service.client.options("/v1/members").headers["allow"] == "GET, HEAD, OPTIONS"


def test_answers__over_plain_http_promise_no_https(tmp_path: Path) -> None:
    with serving(tmp_path, origin="http://127.0.0.1:8140") as service:
        answer = service.client.get("/healthz")
        cookie = service.desk.cookies.make("carnet_session", "x").to_header(header="")
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers
    # No browser would keep the prefix without https.
    assert cookie.startswith("carnet_session=x")
    assert "Secure" not in cookie


def test_cookies__over_https_are_bound_to_this_host(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        cookie = service.desk.cookies.make("carnet_session", "x").to_header(header="")
    assert cookie.startswith("__Host-carnet_session=x")
    for part in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
        assert part in cookie
    assert "Domain" not in cookie


def test_request_id__is_the_senders_if_it_is_well_formed(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        kept = service.client.get("/healthz", headers={"X-Request-Id": "abc-12345"})
        bad = service.client.get("/healthz", headers={"X-Request-Id": "a b<script>"})
        refused = service.client.get("/v1/nothing")
    assert kept.headers["x-request-id"] == "abc-12345"
    assert re.fullmatch(r"req_[0-9a-f]{24}", bad.headers["x-request-id"])
    assert refused.json()["request_id"] == refused.headers["x-request-id"]


def test_request__refused_wrong_host(tmp_path: Path) -> None:
    with serving(tmp_path, hosts=("also.example",)) as service:
        for host in ("carnet.example", "also.example"):
            assert service.client.get("/healthz", headers={"Host": host}).status_code == 200
        for host in ("evil.example", "carnet.example.evil.example", "", "carnet.example:1"):
            answer = service.client.get("/healthz", headers={"Host": host})
            assert (answer.status_code, answer.json()["code"]) == (400, Reason.WRONG_HOST.value), host
            assert "evil" not in answer.text
        two = [("Host", "carnet.example"), ("Host", "evil.example")]
        assert service.client.get("/healthz", headers=two).status_code == 400


def test_static__is_kept_for_ever_under_its_contents_hash(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        assert "tokens.css" in read_assets()
        for name, asset in read_assets().items():
            answer = service.client.get(find_address(name))
            assert answer.status_code == 200, name
            assert answer.content == asset.data
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            plain = service.client.get(find_address(name), headers={"Accept-Encoding": "identity"})
            assert plain.content == asset.data
        stale = service.client.get("/static/0000000000000000/tokens.css")
        outside = service.client.get(f"/static/{read_assets()['tokens.css'].digest}/../../app.py")
    for answer in (stale, outside):
        assert (answer.status_code, answer.json()["code"]) == (404, Reason.NOT_FOUND.value)


def test_readers__see_what_was_acknowledged_and_let_go_of_it(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        writer = service.node.writers[0]
        for number in range(3):
            writer.append(service.node.operator.id, 3, [new_passport(number, 1_000)])
            with service.desk.reading() as reader:
                assert reader.count_passports() == number + 1
                assert reader.find_subject(vin_subject(number)) is not None
        with service.desk.reading() as reader, service.desk.reading() as second:
            assert reader is not second
        with service.desk.reading() as reader:
            state = reader.state
        with service.desk.reading() as again:
            # Nothing was written: what was read of the store is kept.
            assert again.state is state


def test_readers__one_that_is_opened_like_another_sees_the_present_too(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        writer = service.node.writers[0]
        with service.desk.reading() as first:
            writer.append(service.node.operator.id, 3, [new_passport(1, 1_000)])
            writer.change_rules(writer.state.rules)
            garage = writer.enrol_member("A Garage", "garage")
            with service.desk.reading() as second:
                assert second is not first
                assert second.count_passports() == 1
                assert second.state == writer.state
                assert second.state.members.get(garage.id) == garage
                assert second.kinds == first.kinds
            # Each still sees its own moment.
            assert first.count_passports() == 0


def test_readers__one_that_failed_is_not_used_again(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        with pytest.raises(ZeroDivisionError), service.desk.reading() as first:
            raise ZeroDivisionError
        with service.desk.reading() as second:
            assert second is not first
            assert second.count_passports() == 0


def test_head__has_the_headers_of_the_get_and_no_body(tmp_path: Path) -> None:
    with serving(tmp_path, [get_quiet]) as service:
        for path in ("/quiet", "/verify", find_address("icons.svg"), "/v1/openapi.json", "/nothing"):
            read, asked = service.client.get(path), service.client.head(path)
            assert (asked.status_code, asked.content) == (read.status_code, b""), path
            kept = {"content-length", "content-type", "cache-control", "content-security-policy", "etag"}
            told = [{name: value for name, value in one.headers.items() if name in kept} for one in (read, asked)]
            if path != "/nothing":
                # A problem names its request.
                assert told[0] == told[1], path
        assert "HEAD" in service.client.options("/quiet").headers["allow"]
        assert "HEAD" in service.client.post("/quiet").headers["allow"]
        # There is nothing to ask about where nothing is read.
        refused = service.client.head("/v1/oauth/token")
        assert (refused.status_code, "HEAD" in refused.headers["allow"]) == (405, False)


def test_requests__refused_too_many_requests(tmp_path: Path) -> None:
    begun, goes_on = Event(), Event()

    @get("/slow", opt={"policy": OPEN}, sync_to_thread=True)
    def get_slow() -> str:
        begun.set()
        assert goes_on.wait(10)
        return "done"

    with serving(tmp_path, [get_slow], max_connections=1) as service, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(service.client.get, "/slow")
        assert begun.wait(10)
        answer = service.client.get("/healthz")
        goes_on.set()
        assert slow.result(10).text == "done"
        assert service.client.get("/healthz").status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (429, Reason.TOO_MANY_REQUESTS.value)
    assert answer.headers["retry-after"] == "1"
