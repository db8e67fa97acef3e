"""For developers: what stands there works when it is pasted, says what the contract says, and is light."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carnet.sdk import Client, NotFound
from carnet.services.sandbox import SIMULATED, open_sandbox
from carnet.services.webhooks.events import EVENTS
from carnet.web.api.changes import CHANGES
from carnet.web.api.rendered import TypeShown, list_operations, list_shapes, list_tags, say_type
from tests.sdk.server import Served, serving_on_socket
from tests.web.town import WebTown, serving_town

MAX_PAGE = 100_000
DAY_MS = 86_400_000
PERSON = {"Accept": "text/html", "Accept-Language": "en"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving_on_socket(tmp_path_factory.mktemp("served"), network="test.example.org") as served:
        served.town.service.node.clock.now += 3 * 366 * DAY_MS
        open_sandbox(served.town.service.node.writers[0])
        yield served


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.town.call("visitor", "GET", "/v1/openapi.json").json()
    return found


def read_page(town: WebTown, path: str) -> str:
    answer = town.call("visitor", "GET", path, headers=PERSON)
    assert answer.status_code == 200, (path, answer.text)
    return str(answer.text)


def read_block(served: Served, name: str) -> str:
    """A block of the first page, as a person copies it."""
    page = read_page(served.town, "/developers")
    found = re.search(rf'<pre id="{name}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None, name
    return html.unescape(found[1])


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_quickstart__curl_works_when_it_is_pasted(served: Served, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["bash", "-e", "-c", read_block(served, "curl")], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "car.carnet").read_bytes()
    decoder, answers, rest = json.JSONDecoder(), list[Any](), ran.stdout
    while rest:
        found, end = decoder.raw_decode(rest)
        answers.append(found)
        rest = rest[end:].lstrip()
    listed, entries, verified = answers
    assert len(listed["data"]) == len(SIMULATED)
    assert len(entries["data"]) == 2
    assert verified["verdict"] == "genuine"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_quickstart__curl_with_a_key(served: Served, tmp_path: Path) -> None:
    block = read_block(served, "curl-key")
    script = block.replace("ck_…", "garage")
    assert script != block
    ran = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    me, _, sealed = ran.stdout.partition("}")
    assert '"standing":"machine"' in me
    assert json.loads(sealed)["state"] == "sealed", ran.stdout


@pytest.mark.parametrize("name", ["python", "python-key"])
def test_quickstart__python_works_when_it_is_pasted(served: Served, name: str) -> None:
    script = read_block(served, name).replace("ck_…", "garage")
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "vehicle.odometer/1" in ran.stdout
    if name == "python":
        assert "what its author signed" in ran.stdout


def test_client__sees_the_sandbox_without_a_key(served: Served) -> None:
    with Client(served.address) as carnet:
        found = [carnet.sandbox.get(passport) for passport in carnet.sandbox.list()]
        assert [one.subject["value"] for one in found] == [one.subject.value for one in SIMULATED]
        assert {one.sees for one in found} == {"whole"}
        with pytest.raises(NotFound):
            carnet.sandbox.get("pas_" + "0" * 32)


def test_start__shows_each_vehicle_of_the_sandbox(served: Served) -> None:
    page = read_page(served.town, "/developers")
    for one in SIMULATED:
        assert one.subject.value in page
        assert html.escape(one.shows) in page or one.shows in html.unescape(page)
    for link in re.findall(r'href="(/v1/sandbox/[^"]+)"', page):
        assert served.town.call("visitor", "GET", link).status_code == 200


def test_start__of_a_live_network_says_where_to_try(tmp_path: Path) -> None:
    with serving_town(tmp_path) as live:
        page = read_page(live, "/developers")
        assert "Put the VIN of a vehicle" in page
        assert "Real vehicles are in this network" in page
        assert "/v1/sandbox/passports/" not in page


def test_reference__has_every_operation_shape_and_refusal_of_the_contract(
    served: Served, document: dict[str, Any]
) -> None:
    whole, seen = read_page(served.town, "/developers/reference"), set[str]()
    for tag, count in list_tags(document):
        page = read_page(served.town, f"/developers/reference/{tag.lower()}")
        operations = list_operations(document, tag, "https://carnet.example")
        assert len(operations) == count
        for one in operations:
            assert f'id="{one.id}"' in page
            assert f"#{one.id}" in whole
            seen.add(one.id)
            for _, codes in one.refusals:
                for code in codes:
                    assert f'href="/problems/{code}"' in page
        for shape in list_shapes(document, tag):
            assert page.count(f'id="{shape.name}"') == 1
        # Every link within the page leads somewhere.
        for name in set(re.findall(r'href="#([^"]+)"', page)) - {"main"}:
            assert f'id="{name}"' in page, (tag, name)
    told = {one["operationId"] for found in document["paths"].values() for one in found.values()}
    assert seen == told
    assert served.town.call("visitor", "GET", "/developers/reference/nothing", headers=PERSON).status_code == 404


def test_pages__are_light_and_in_both_languages(served: Served, document: dict[str, Any]) -> None:
    paths = ["/developers", "/developers/reference", "/developers/events", "/developers/status"]
    paths += [f"/developers/reference/{tag.lower()}" for tag, _ in list_tags(document)]
    for path in paths:
        assert len(read_page(served.town, path).encode()) < MAX_PAGE - 30_000, path
        french = served.town.call("visitor", "GET", path, headers={"Accept": "text/html", "Accept-Language": "fr"})
        assert 'lang="fr"' in french.text
        assert "Pour les développeurs" in french.text


def test_events__each_with_its_example(served: Served) -> None:
    page = read_page(served.town, "/developers/events")
    for event in EVENTS:
        assert f'id="{event.name}"' in page
    assert "5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h" in page
    for block in re.findall(r"<pre[^>]*>(\{.*?)</pre>", page, re.DOTALL):
        assert json.loads(html.unescape(block))["type"] in {event.name for event in EVENTS}


def test_status__says_how_it_is_and_what_changed(served: Served, document: dict[str, Any]) -> None:
    page = read_page(served.town, "/developers/status")
    assert "Reading and writing work." in page
    assert "test.example.org" in page
    told = {tag for change in CHANGES for tag in change.tags}
    known = {tag for tag, _ in list_tags(document)}
    assert told <= known
    served.town.service.node.writers[0].close()
    assert "Something does not answer." in read_page(served.town, "/developers/status")


@pytest.mark.parametrize(
    "schema, words, shape",
    [
        ({"type": "string", "minLength": 1, "maxLength": 9}, "string (≥ 1 characters, ≤ 9 characters)", None),
        ({"type": "integer", "minimum": 1}, "integer (≥ 1)", None),
        ({"enum": ["a", "b"]}, '"a" | "b"', None),
        ({"const": "list"}, '"list"', None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null", None),
        ({"$ref": "#/components/schemas/Entry"}, "Entry", "Entry"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Entry"}}, "list of Entry", "Entry"),
        ({}, "anything", None),
    ],
)
def test_say_type__in_a_few_words(schema: dict[str, Any], words: str, shape: str | None) -> None:
    assert say_type(schema) == TypeShown(words, shape)
