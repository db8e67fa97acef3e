"""Where a request is worked on: on the event loop, or in a thread; and what a worker does before its first."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from litestar import Response, get
from litestar.datastructures import Cookie

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.reader import Fingerprint
from carnet.node.readers import Readers
from carnet.services.access import View
from carnet.services.accounts.clients import add_client, issue_key, revoke_key
from carnet.services.accounts.office import office_at
from carnet.services.principals import Principal, Scope, Standing
from carnet.vault.waiting import WouldWaitError, at_once, check_may_wait
from carnet.web.kept import Answer, Kept, make_answer
from carnet.web.made import Made
from carnet.web.people import OfficeCallers
from carnet.web.policy import OPEN
from carnet.web.waiting import promptly
from tests.node.home import make_node
from tests.web.desk import serving

pytestmark = pytest.mark.apart

RACE = """
import sys, threading
import carnet.web.app
from carnet.passport.kinds import all_kinds, get_schema
from carnet.passport.kinds.language import read_document
from carnet.web.warming import read_types
documents = [get_schema(kind).description.to_json() for kind in all_kinds()]
read_types()
sys.setswitchinterval(1e-6)
gate = threading.Barrier(32)
def work():
    gate.wait()
    for document in documents:
        read_document(document)
threads = [threading.Thread(target=work) for _ in range(32)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_promptly__stays_on_the_loop_unless_it_would_wait() -> None:
    places: list[bool] = []
    here = threading.current_thread()

    def work(is_waiting: bool) -> int:
        if is_waiting:
            check_may_wait()
        places.append(threading.current_thread() is here)
        return len(places)

    async def ask() -> list[int]:
        return [await promptly(work, False), await promptly(work, True)]

    assert asyncio.run(ask()) == [1, 2]
    assert places == [True, False]


def test_promptly__raises_what_the_work_raises() -> None:
    def work(is_waiting: bool) -> None:
        if is_waiting:
            check_may_wait()
        raise Refused(Reason.NOT_FOUND, "there is nothing")

    for is_waiting in (False, True):
        with pytest.raises(Refused):
            asyncio.run(promptly(work, is_waiting))


def test_find_caller__at_once_until_something_is_to_be_written(tmp_path: Path) -> None:
    """Security 11: no answer of a moment ago is kept, so a key that was revoked binds the next request."""
    node = make_node(tmp_path, network="test.example")
    node.open().close()
    with office_at(Home(node.path)) as (office, _):
        operator = Principal(Standing.OPERATOR)
        client = add_client(office, operator, node.operator.id, "program", frozenset({Scope.FILES}))
        key = issue_key(office, operator, client.public_id).secret
        callers = OfficeCallers(office)
        # Its first use is noted, which is writing.
        with pytest.raises(WouldWaitError), at_once():
            callers.find_by_bearer(key, "127.0.0.1")
        known = callers.find_by_bearer(key, "127.0.0.1")
        with at_once():
            assert callers.find_by_bearer(key, "127.0.0.1") == known
        revoke_key(office, operator, client.public_id, key[:14])
        # That it lets nobody in is counted against its address.
        with pytest.raises(WouldWaitError), at_once():
            callers.find_by_bearer(key, "127.0.0.1")
        assert callers.find_by_bearer(key, "127.0.0.1") is None
    node.close()


def test_find_caller__one_turn_of_the_loop_sees_one_moment(tmp_path: Path) -> None:
    """Security 11: what a turn answers was asked before it began; the next turn knows what was revoked in it."""
    node = make_node(tmp_path, network="test.example")
    node.open().close()
    with office_at(Home(node.path)) as (office, _):
        operator = Principal(Standing.OPERATOR)
        client = add_client(office, operator, node.operator.id, "program", frozenset({Scope.FILES}))
        key, other = (issue_key(office, operator, client.public_id).secret for _ in range(2))
        callers = OfficeCallers(office)
        known = callers.find_by_bearer(key, "127.0.0.1")

        async def ask() -> None:
            for _ in range(2):
                assert await promptly(callers.find_by_bearer, key, "127.0.0.1") == known
                with pytest.raises(WouldWaitError), at_once():
                    callers.find_by_bearer(other, "127.0.0.1")
            revoke_key(office, operator, client.public_id, key[:14])
            assert await promptly(callers.find_by_bearer, key, "127.0.0.1") == known
            await asyncio.sleep(0)
            assert await promptly(callers.find_by_bearer, key, "127.0.0.1") is None

        asyncio.run(ask())
    node.close()


def test_readers__at_once_with_one_that_is_open(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    node.open()
    readers = Readers(node.read)
    with pytest.raises(WouldWaitError), at_once(), readers.reading():
        pass
    with readers.reading() as reader:
        size = reader.state.size
    with at_once():
        with readers.reading() as reader:
            assert reader.state.size == size
        # What it was used for may have to wait: the reader is given back all the same.
        with pytest.raises(WouldWaitError), readers.reading():
            check_may_wait()
        node.writers[0].take_census()
        with readers.reading() as reader:
            assert reader.state.size > size
        # Members may be thousands: a thread reads them, and then they are there for everybody.
        member = node.writers[0].enrol_member("The garage", "garage")
        for _ in range(2):
            with pytest.raises(WouldWaitError), readers.reading():
                pass
    with readers.reading() as reader:
        assert reader.state.members.get(member.id) == member
    with at_once(), readers.reading() as reader:
        assert reader.state.members.get(member.id) == member
    readers.close()
    node.close()


def test_readers__see_one_moment_in_one_turn_of_a_loop_and_the_present_in_the_next(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    writer = node.open()
    readers = Readers(node.read)
    with readers.reading() as reader:
        first = reader.state.size

    def measure(*, is_glance: bool = False) -> tuple[int, int]:
        """Members as the reader knows them, and records as the store has them at its moment."""
        with at_once(), readers.reading(is_glance=is_glance) as reader:
            (size,) = reader.connection.execute("SELECT count(*) FROM log_record").fetchone()
            return reader.state.size, size

    async def look() -> None:
        assert measure() == (first, first)
        writer.take_census()
        assert measure() == (first, first)
        with at_once(), readers.reading() as reader:
            # One that is in use is not shared: there is no other, and this one is not waited for.
            with pytest.raises(WouldWaitError), readers.reading():
                pass
            assert reader.state.size == first
        await asyncio.sleep(0)
        assert measure(is_glance=True) == (first, first + 1)
        assert measure() == (first + 1, first + 1)
        with pytest.raises(ZeroDivisionError), at_once(), readers.reading():
            raise ZeroDivisionError
        # What failed may be the reader itself: it is gone, and the next one is opened by a thread.
        with pytest.raises(WouldWaitError):
            measure()
        await asyncio.sleep(0)
        assert await promptly(lambda: measure_anywhere(readers)) == first + 1

    asyncio.run(look())
    # The next loop does not see the moment that the last one left.
    writer.enrol_member("The other garage", "garage")
    assert asyncio.run(promptly(lambda: measure_anywhere(readers))) == first + 2
    readers.close()
    node.close()


def measure_anywhere(readers: Readers) -> int:
    with readers.reading() as reader:
        return reader.state.size


def test_kept__makes_no_answer_at_once() -> None:
    kept, mark, view = Kept(), Fingerprint(0, 1, 2, 3, 4, 0), View(bytes(16), None, None, 0)

    def make() -> Answer:
        return make_answer(b"drawn")

    with at_once():
        for fingerprint in (mark, None):
            with pytest.raises(WouldWaitError):
                kept.get(view, "/x?", fingerprint, make)
    assert kept.get(view, "/x?", mark, make).body == b"drawn"
    with at_once():
        assert kept.get(view, "/x?", mark, lambda: make_answer(b"")).body == b"drawn"


COOKIES = [Cookie(key="a", value="b", path="/", httponly=True, samesite="lax")]


@get("/made", opt={"policy": OPEN}, sync_to_thread=False)
def get_made() -> Response[bytes]:
    return Made("é".encode(), 201, "text/html", {"ETag": '"x"', "Cache-Control": "no-cache"}, COOKIES)


@get("/written", opt={"policy": OPEN}, sync_to_thread=False)
def get_written() -> Response[bytes]:
    headers = {"ETag": '"x"', "Cache-Control": "no-cache"}
    return Response("é".encode(), status_code=201, media_type="text/html", headers=headers, cookies=COOKIES)


@get("/unchanged", opt={"policy": OPEN}, sync_to_thread=False)
def get_unchanged() -> Response[bytes]:
    return Made(b"", 304, headers={"ETag": '"x"'})


def test_made__is_answered_as_litestar_would(tmp_path: Path) -> None:
    with serving(tmp_path, [get_made, get_written, get_unchanged]) as service:
        made, written = service.client.get("/made"), service.client.get("/written")
        assert (made.status_code, made.content) == (written.status_code, written.content) == (201, "é".encode())
        unlike = {"x-request-id"}
        heads = [{name: value for name, value in one.headers.items() if name not in unlike} for one in (made, written)]
        assert heads[0] == heads[1]
        assert heads[0]["cache-control"] == "no-cache"
        assert heads[0]["x-frame-options"] == "DENY"
        unchanged = service.client.get("/unchanged")
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", '"x"')


def test_read_types__spares_threads_from_looking_at_the_same_type_at_once() -> None:
    """Without it, every second such process dies of a segmentation fault."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
