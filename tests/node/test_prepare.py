"""`prepare` as a pure function: the same job gives the same bytes, in every process and under every hash seed."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import msgspec
import pytest

from carnet.errors import Reason, Refused
from carnet.node.jobs import Job
from carnet.node.made import read_prepared
from carnet.node.pool import PreparePool
from carnet.node.writer import Writer
from carnet.types import Basis
from tests.node.home import TestNode, make_node, more, new_passport, opening, reading, vin_subject

IMPORT = """
import sys
from pathlib import Path
from tests.node.test_prepare import run_import
print(run_import(Path(sys.argv[1])))
"""


def make_jobs(node: TestNode, writer: Writer) -> list[Job]:
    groups = [new_passport(n, n, n + 1, -1 if n % 7 == 0 else 3) for n in range(40)]
    return [writer.make_job(node.operator.id, Basis.REPORTED, groups[at : at + 8]) for at in range(0, 40, 8)]


def run_import(path: Path) -> str:
    """An import with injected time and randomness; the digest of the log's root, the census and every stored entry."""
    node = make_node(path)
    with node.open() as writer:
        for job in make_jobs(node, writer):
            writer.commit([writer.prepare(job)])
        ref = writer.find_chain(vin_subject(3))
        writer.append(node.operator.id, Basis.REPORTED, [more(ref, reading(vin_subject(3), 9))])
        writer.take_census()
        digest = hashlib.sha256()
        for table in ("log_record", "checkpoint", "entry", "chain", "submission", "seal", "passport_key"):
            for row in writer._connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):
                digest.update(repr(row).encode())
    node.check()
    return digest.hexdigest()


def test_import__same_bytes_in_other_processes_and_hash_seeds(tmp_path: Path) -> None:
    here = run_import(tmp_path / "here")
    for seed in ("1", "4242"):
        path = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        root = Path(__file__).parents[2]
        done = subprocess.run(
            [sys.executable, "-c", IMPORT, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=root,
        )
        assert done.stdout.strip() == here


def spell(prepared: object) -> bytes:
    """As bytes, so that it does not matter which type holds those that go to the store."""
    return msgspec.msgpack.encode(prepared)


def test_map__workers_give_the_same_bytes_in_order(node: TestNode) -> None:
    writer = node.open()
    jobs = make_jobs(node, writer)
    inline = [writer.prepare(job) for job in jobs]
    with PreparePool(writer.context(), 2) as pool:
        made = list(pool.map(jobs))
    assert spell(made) == spell(inline)
    with PreparePool(writer.context(), 0) as pool:
        assert list(pool.map(iter(jobs))) == inline
    for outcome in writer.commit(made):
        assert outcome.refused is None
    node.close()
    node.check()


def test_submit__before_there_are_workers(node: TestNode) -> None:
    writer = node.open()
    job = make_jobs(node, writer)[0]
    pool = PreparePool(writer.context(), 1)
    # Whoever made the pool does not wait for it to start: this one is sent later.
    early = pool.submit(job)
    assert not early.is_done
    assert spell(early.result()) == spell(writer.prepare(job))
    assert early.is_done
    assert pool.submit(job).result() == early.result()
    data, refusals = pool.submit(job).encoded()
    assert read_prepared(data, refusals) == early.result()
    pool.close()
    pool.close()
    with PreparePool(writer.context(), 2) as dropped:
        for _ in range(20):
            dropped.submit(job)


def test_submit__to_a_worker_that_was_killed_is_told(node: TestNode) -> None:
    """And nobody waits for ever: neither for it nor for the other one."""
    writer = node.open()
    job = make_jobs(node, writer)[0]
    before = set(active_children())
    with PreparePool(writer.context(), 2) as pool:
        while len(workers := set(active_children()) - before) < 2:
            time.sleep(0.01)
        for worker in workers:
            worker.kill()
            worker.join()
        for _ in range(3):
            with pytest.raises(Refused) as caught:
                pool.submit(job).result()
            assert (caught.value.reason, caught.value.could_retry) == (Reason.WRITER_AWAY, True)


def test_submit__an_error_of_ours_crosses(node: TestNode) -> None:
    writer = node.open()
    job = make_jobs(node, writer)[0]
    with PreparePool(writer.context(), 1) as pool:
        with pytest.raises(ValueError, match="32 random bytes"):
            pool.submit(job._replace(randomness=b"")).result()
        assert pool.submit(job).result().statement_count > 0


def test_prepare__holds_no_secret_but_wrapped(node: TestNode) -> None:
    writer = node.open()
    job = make_jobs(node, writer)[0]
    sent = pickle.dumps(writer.prepare(job))
    assert job.seed is not None
    for at in range(0, len(job.randomness), 32):
        assert job.randomness[at : at + 32] not in sent
    assert job.seed not in sent
    assert vin_subject(1).value.encode() not in sent


def test_prepare__nothing_good_is_nothing_signed(node: TestNode) -> None:
    writer = node.open()
    prepared = writer.prepare(
        writer.make_job(
            node.operator.id, Basis.REPORTED, [new_passport(1)._replace(items=[reading(vin_subject(1), 1)])]
        )
    )
    assert (prepared.statement_count, prepared.groups, prepared.sig) == (0, [], b"")
    outcome = writer.commit([prepared])[0]
    assert (outcome.receipts, len(outcome.refusals), outcome.refused) == ([], 1, None)


REFUSED = {
    Reason.VALUE_OUT_OF_RANGE: reading(vin_subject(9), -1),
    Reason.ALREADY_SEALED: reading(vin_subject(9), 7, source=b"s" * 16),
    Reason.WRONG_CHAIN: opening(vin_subject(9)),
    Reason.UNKNOWN_KIND: reading(vin_subject(9), 7)._replace(kind="vehicle.unheard/1"),
    Reason.WRONG_MARK: reading(vin_subject(9), 7)._replace(mark=4),
    Reason.ELSEWHERE_NOT_ALLOWED: reading(vin_subject(9), 7)._replace(is_elsewhere=True),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_prepare__a_refused_item_changes_no_other(node: TestNode, reason: Reason) -> None:
    """Each item is looked at by itself only where one may be refused: what becomes of the others is the same."""
    writer = node.open()
    writer.commit([writer.prepare(writer.make_job(node.operator.id, Basis.REPORTED, [new_passport(9, 1)]))])
    ref = writer.find_chain(vin_subject(9))
    kept = [reading(vin_subject(9), 5, source=b"s" * 16), reading(vin_subject(8), 6)]
    groups = [new_passport(1, 1, 2), more(ref, reading(vin_subject(9), 3)), new_passport(2), more(ref, *kept)]
    good = writer.make_job(node.operator.id, Basis.REPORTED, groups)
    bad = good._replace(
        groups=[*groups[:-1], more(ref, *kept, REFUSED[reason])], randomness=good.randomness + bytes(32)
    )
    without, refused = writer.prepare(good), writer.prepare(bad)
    assert [refusal.reason for refusal in refused.refusals] == [reason]
    assert refused.refusals[0].place == refused.item_count - 1 == without.item_count
    assert refused._replace(refusals=[], item_count=without.item_count) == without
    rows = [row for group in without.groups for row in group.rows]
    assert [row.sub_index for row in rows] == [row.place for row in rows] == list(range(7))
    assert rows[-1].alias is not None
    node.close()
