"""Answers that a worker keeps: never another's, never an old one, and nothing of what was erased."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from carnet.node.reader import Fingerprint
from carnet.services.access import View
from carnet.services.names import Prefix, parse_name
from carnet.web.kept import Answer, Kept, get_kept, make_answer
from tests.web.town import WebTown, make_reading, serving_town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with serving_town(tmp_path) as town:
        yield town


@pytest.fixture
def passport(town: WebTown) -> str:
    passport = town.open()
    assert town.record("garage", 41_000).status_code == 201
    assert town.record("centre", 42_000).status_code == 201
    town.hold(passport)
    return passport


def read(town: WebTown, who: str, passport: str, query: str = "") -> list[dict[str, Any]]:
    answer = town.call(who, "GET", f"/v1/passports/{passport}/entries{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_kept__the_same_is_answered_without_being_made_again(town: WebTown, passport: str) -> None:
    kept = get_kept(town.service.desk)
    first = read(town, "garage", passport)
    assert len(kept) == 1
    assert read(town, "garage", passport) == first
    assert len(kept) == 1
    # Another question is another answer.
    assert read(town, "garage", passport, "?limit=1") == first[:1]
    assert len(kept) == 2


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_kept__each_view_has_its_own(town: WebTown, passport: str) -> None:
    whole = read(town, "holder", passport)
    garage = read(town, "garage", passport)
    assert len(whole) > len(garage) == 1
    assert read(town, "holder", passport) == whole
    stranger = town.call("stranger", "GET", f"/v1/passports/{passport}/entries")
    assert stranger.status_code == 404


@pytest.mark.program_alone("a passport from whom this test alone no longer calls its holder")
def test_kept__whoever_may_see_no_more_gets_nothing(town: WebTown, passport: str) -> None:
    assert read(town, "holder", passport)
    town.held.holders.clear()
    assert town.call("holder", "GET", f"/v1/passports/{passport}/entries").status_code == 404


def test_kept__what_was_written_since_is_seen(town: WebTown, passport: str) -> None:
    before = read(town, "holder", passport)
    assert town.record("garage", 43_000).status_code == 201
    after = read(town, "holder", passport)
    assert [one["id"] for one in after if one not in before]
    assert len(after) == len(before) + 1
    # A census changes nothing of it but could: it is made again.
    town.service.node.writers[0].take_census()
    assert read(town, "holder", passport) == after


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_kept__another_s_word_about_the_vehicle_is_no_news_to_a_member_but_one_about_its_own_is(
    town: WebTown, passport: str
) -> None:
    first = read(town, "garage", passport)

    def get_made() -> Answer:
        (found,) = [one for (view, _), (_, one) in get_kept(town.service.desk)._answers.items() if view.author]
        return found

    made = get_made()
    assert town.record("centre", 43_000).status_code == 201
    assert read(town, "garage", passport) == first
    assert get_made() is made
    body = make_reading(0, None) | {"kind": "passport.contested/1", "fields": {"reason": "wrong_value"}}
    body["contests"] = first[0]["id"]
    said = town.call("centre", "POST", f"/v1/passports/{passport}/entries", body)
    assert said.status_code == 201, said.text
    (contested,) = read(town, "garage", passport)
    assert (first[0]["state"], contested["state"]) == ("stands", "contested")
    assert get_made() is not made
    # And its own is, which stands first in the list.
    assert town.record("garage", 44_000).status_code == 201
    assert len(read(town, "garage", passport)) == 2


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_kept__an_erasure_is_seen_and_leaves_nothing_behind(town: WebTown, passport: str) -> None:
    (entry,) = read(town, "garage", passport)
    assert entry["fields"]["odometer_km"] == 41_000
    assert len(get_kept(town.service.desk)) == 1
    writer = town.service.node.writers[0]
    writer.erase(parse_name(Prefix.PASSPORT, passport, "passport"), [entry["seq"]], "holder_request")
    (erased,) = read(town, "garage", passport)
    assert (erased["erased"], erased["fields"]) == (True, None)
    kept = get_kept(town.service.desk)
    assert all(b"41000" not in answer.body for _, answer in kept._answers.values())
    town.service.node.check()


def test_kept__is_no_larger_than_it_may_be() -> None:
    kept, fingerprint = Kept(max_bytes=1_000), Fingerprint(0, 1, 2, 3, 4, 0)
    views = [View(bytes([number]) * 16, None, None, 0) for number in range(20)]
    for view in views:
        kept.keep(view, "/x?", fingerprint, make_answer(bytes(100)))
    assert len(kept) == 10
    assert kept.find(views[0], "/x?", fingerprint) is None
    assert kept.find(views[19], "/x?", fingerprint) is not None
    # Asked for again, it goes last.
    kept.find(views[10], "/x?", fingerprint)
    kept.keep(views[0], "/x?", fingerprint, make_answer(bytes(100)))
    assert kept.find(views[10], "/x?", fingerprint) is not None
    assert kept.find(views[11], "/x?", fingerprint) is None
    assert kept.find(views[19], "/x?", fingerprint._replace(seq=2)) is None
    kept.keep(views[19], "/x?", fingerprint, make_answer(bytes(5_000)))
    assert len(kept) == 0


def test_kept__what_many_ask_for_at_once_is_made_once() -> None:
    kept, fingerprint, view = Kept(), Fingerprint(0, 1, 2, 3, 4, 0), View(bytes(16), None, None, 0)
    made: list[int] = []
    starts = threading.Barrier(8)

    def make() -> Answer:
        made.append(1)
        time.sleep(0.05)
        return make_answer(b"drawn")

    def ask() -> Answer:
        starts.wait()
        return kept.get(view, "/x?", fingerprint, make)

    with ThreadPoolExecutor(8) as pool:
        answers = [one.result(10) for one in [pool.submit(ask) for _ in range(8)]]
    assert {answer.body for answer in answers} == {b"drawn"}
    assert len(made) == 1
    # One that fails leaves the next its turn, and what is of nobody's fingerprint is made each time.
    with pytest.raises(ZeroDivisionError):
        kept.get(view, "/y?", fingerprint, lambda: make_answer(bytes(1 // 0)))
    assert kept.get(view, "/y?", fingerprint, make).body == b"drawn"
    assert kept.get(view, "/y?", None, lambda: make_answer(b"other")).body == b"other"
