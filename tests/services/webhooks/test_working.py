"""The process that tells, under a real `carnet serve`: whatever dies and when, each happening is told, under one id."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from carnet.node.home import Home
from carnet.node.writer import open_writer
from carnet.outbound.addresses import Reach
from carnet.sdk.webhooks import verify
from carnet.services.accounts.office import open_office
from carnet.services.founding import now_ms
from carnet.services.webhooks.endpoints import add_endpoint, end
from carnet.services.webhooks.keys import get_public_key
from carnet.types import Basis
from tests.cli.run import carnet
from tests.node.home import new_passport
from tests.receivers import answering, receiving
from tests.services.accounts.ground import OPERATOR
from tests.serving import Served, is_running, serving_home, wait_for


def find_tellers(served: Served) -> list[int]:
    """The processes that tell, by their command line, among the children of the workers."""
    found = []
    for worker in served.list_workers():
        with suppress(FileNotFoundError):
            children = Path(f"/proc/{worker}/task/{worker}/children").read_text(encoding="ascii").split()
            # Started by a thread: listed under that thread.
            for thread in Path(f"/proc/{worker}/task").iterdir():
                children += (thread / "children").read_text(encoding="ascii").split()
            for pid in {int(child) for child in children}:
                with suppress(FileNotFoundError, ProcessLookupError):
                    if b"webhooks.working" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        found.append(pid)
    return found


def test_serve__tells_each_happening_though_the_teller_and_its_worker_are_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert carnet("init", "--name", "test.cars.example", home=home).code == 0
    with open_writer(home, clock=now_ms, random_bytes=os.urandom) as writer:
        operator = writer.enrol_member("Fleet Data", "data_service").id
    office = open_office(Home(home), "test.cars.example")
    with receiving(answering(200)) as receiver, serving_home(home, tmp_path / "log", "--workers", "2") as served:
        assert find_tellers(served) == []
        endpoint = add_endpoint(office, OPERATOR, operator, receiver.url, reach=Reach(is_local=True))
        wait_for(lambda: find_tellers(served), "nobody began to tell")
        sids = set()

        def seal(number: int) -> None:
            with served.reach() as writer:
                outcome = writer.append(operator, Basis.REPORTED, [new_passport(number, 10)])
            sids.update(f"ent_{receipt.sid.hex()}" for receipt in outcome.receipts)

        def told() -> set[str]:
            bodies = [json.loads(taken.body) for taken in receiver.taken]
            return {one["entry"] for body in bodies for one in body["data"].get("entries", [])}

        seal(1)
        wait_for(lambda: told() == sids, "the first was not told")
        # Killed between a seal and its message: nothing was noted yet.
        (teller,) = find_tellers(served)
        os.kill(teller, signal.SIGSTOP)
        seal(2)
        os.kill(teller, signal.SIGKILL)
        wait_for(lambda: told() == sids, "what was sealed while nobody told was not told")
        # The worker that watches is killed: its teller ends with it, and another worker begins one.
        (teller,) = find_tellers(served)
        parent = next(w for w in served.list_workers() if f"PPid:\t{w}\n" in Path(f"/proc/{teller}/status").read_text())
        os.kill(parent, signal.SIGKILL)
        seal(3)
        wait_for(lambda: told() == sids, "after the death of a worker something was not told")
        wait_for(lambda: not is_running(teller), "a teller has outlived its worker")
        key = get_public_key(office, endpoint)
        ids = {}
        for taken in receiver.taken:
            event = verify(taken.body, taken.headers, key)
            if event.type == "entry.sealed":
                assert ids.setdefault(event.data["submission"], event.id) == event.id
        assert len(ids) == 3
        end(office, OPERATOR, endpoint.public_id)
        wait_for(lambda: not find_tellers(served), "it went on without anybody to tell")
        log = served.read_log()
        assert receiver.url not in log
        last = find_tellers(served)
    assert not any(is_running(pid) for pid in last)
    office.people.close()
