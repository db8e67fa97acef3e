"""Two writers of one database, from two homes: the lock lets one in, and the term stops one that lost it unnoticed.

The homes are copies of each other, so that no lock of a file stands between them. Nothing here plays a database: the
server is a real one, and a proxy between it and the writer loses an answer.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from carnet.errors import Reason, Refused
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.jobs import Group
from carnet.node.writer import Writer
from carnet.types import Basis
from carnet.vault import postgres as postgres_module
from carnet.vault.postgres import connect
from carnet.vault.store import PostgresError
from tests.node.home import TestNode, change_behind, make_node, new_passport, opening, reading, vin_subject
from tests.postgres import Cluster

REPORTED = Basis.REPORTED


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.make_url()


@pytest.fixture
def pair(tmp_path: Path, url: str) -> Iterator[tuple[TestNode, TestNode]]:
    """One node in two homes."""
    first = make_node(tmp_path, store_url=url)
    first.open().close()
    shutil.copytree(first.path, tmp_path / "copy")
    second = replace(first, path=tmp_path / "copy", writers=[])
    yield first, second
    first.close()
    second.close()
    second.check()


def append(node: TestNode, writer: Writer, number: int) -> None:
    assert len(writer.append(node.operator.id, REPORTED, [new_passport(number, 10)]).receipts) == 2


def end_session(url: str, writer: Writer) -> None:
    backend = writer._connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))


def test_open_writer__refused_writer_busy(pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    with first.open() as writer:
        with pytest.raises(Refused) as caught:
            second.open()
        assert caught.value.reason is Reason.WRITER_BUSY
        assert caught.value.could_retry
        facts = caught.value.facts
        assert (facts["pid"], facts["host"]) == (os.getpid(), socket.gethostname())
        assert "pg_terminate_backend" in caught.value.message
        append(first, writer, 1)
    with second.open() as writer:
        append(second, writer, 2)


def test_lock__is_free_before_its_session_has_ended(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends a session a moment after it was closed, and here not at all: the next verb was refused because of
    the one before, a move because of the writer that it had opened and closed itself."""
    first = connect(url, is_read_only=True)
    with closing(first.driver), closing(connect(url, is_read_only=True)) as second:
        first.take_lock("one", "1 here first")
        with monkeypatch.context() as patched:
            patched.setattr(first.driver, "close", lambda: None)
            first.close()
        second.take_lock("one", "2 here second")


def test_lock__of_a_server_that_hangs_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "UNLOCK_PATIENCE_S", 1)
    connection = connect(url, is_read_only=True)
    connection.take_lock("one", "1 here first")
    backend = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    os.kill(backend, signal.SIGSTOP)
    try:
        closing_it = threading.Thread(target=connection.close, daemon=True)
        closing_it.start()
        closing_it.join(20)
        assert not closing_it.is_alive()
        assert connection.is_lost
    finally:
        os.kill(backend, signal.SIGCONT)


def test_commit__refused_writer_replaced(pair: tuple[TestNode, TestNode]) -> None:
    """The first has lost its lock, and nothing told it: a pooler gave its session away, or a standby took over."""
    first, second = pair
    late = first.open()
    append(first, late, 1)
    late._connection.execute("SELECT pg_advisory_unlock_all()")
    with second.open() as writer:
        append(second, writer, 2)
        size = writer.state.size
        with pytest.raises(Refused) as caught:
            append(first, late, 3)
        assert caught.value.reason is Reason.WRITER_REPLACED
        assert str(os.getpid()) in str(caught.value.facts["holder"])
        # It has stopped for good, and what it held in memory is not written by its end either.
        with pytest.raises(Refused) as caught:
            append(first, late, 3)
        assert caught.value.reason is Reason.NODE_DAMAGED
        late.close()
        append(second, writer, 3)
        assert writer.state.size == size + 1
    with second.read() as reader:
        assert reader.count_passports() == 3


def test_commit__refused_writer_replaced__in_a_file_whose_lock_somebody_removed(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    late = node.open()
    append(node, late, 1)
    Home(node.path).lock.unlink()
    with node.open() as writer:
        append(node, writer, 2)
        with pytest.raises(Refused) as caught:
            append(node, late, 3)
        assert caught.value.reason is Reason.WRITER_REPLACED
        append(node, writer, 3)
    late.close()
    with node.read() as reader:
        assert reader.count_passports() == 3
    node.check()


def test_commit__session_ended_by_the_server(pair: tuple[TestNode, TestNode], url: str) -> None:
    first, second = pair
    late = first.open()
    append(first, late, 1)
    end_session(url, late)
    with second.open() as writer:
        append(second, writer, 2)
    with pytest.raises(PostgresError, match="connection to the database was lost"):
        append(first, late, 3)
    with pytest.raises(Refused) as caught:
        append(first, late, 3)
    assert caught.value.reason is Reason.NODE_DAMAGED
    with second.read() as reader:
        assert reader.count_passports() == 2


def test_commit__next_writer_waits_for_the_one_within_a_transaction(pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    late = first.open()
    late._connection.execute("SELECT pg_advisory_unlock_all()")
    sizes: list[int] = []

    def take_over() -> None:
        with second.open() as writer:
            sizes.append(writer.state.size)

    thread = threading.Thread(target=take_over)

    def work(at: int) -> None:
        thread.start()
        thread.join(0.5)
        assert sizes == [], "nobody begins a term while a commit is under way"

    late._transact(work)
    thread.join(60)
    assert len(sizes) == 1


STOPPED = """
import sys, time, os
from pathlib import Path
from carnet.errors import CarnetError
from carnet.node.writer import open_writer
from tests.node.home import new_passport
writer = open_writer(Path(sys.argv[1]), clock=lambda: time.time_ns() // 10**6, random_bytes=os.urandom)
member = bytes.fromhex(sys.argv[2])
print("ready", flush=True)
for line in sys.stdin:
    try:
        print(len(writer.append(member, 3, [new_passport(int(line), 10)]).receipts), flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


def test_append__stopped_process_is_replaced_and_cannot_commit(pair: tuple[TestNode, TestNode], url: str) -> None:
    first, second = pair
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(first.path), first.operator.id.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(number: int) -> None:
        assert process.stdin is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()

    try:
        assert process.stdout.readline() == "ready\n"
        ask(1)
        assert process.stdout.readline() == "2\n"
        process.send_signal(signal.SIGSTOP)
        ask(2)
        with pytest.raises(Refused) as caught:
            second.open()
        assert caught.value.reason is Reason.WRITER_BUSY
        assert caught.value.facts["pid"] == process.pid
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (caught.value.facts["backend"],))
        second.clock.now = 4_000_000_000_000
        with second.open() as writer:
            append(second, writer, 3)
            process.send_signal(signal.SIGCONT)
            assert process.stdout.readline() == "PostgresError\n"
            ask(4)
            assert process.stdout.readline() == "Refused\n"
            append(second, writer, 5)
    finally:
        process.kill()
        process.communicate(timeout=60)
    with second.read() as reader:
        assert reader.count_passports() == 3


# ---- the answer to COMMIT is lost


class Proxy:
    """Stands between a client and the server's socket. Told to, it loses one COMMIT, or the answer to it."""

    def __init__(self, server: Path, folder: Path) -> None:
        self.server, self.path = server, folder / server.name
        self.lose: str | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._open: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.server))
            self._open += [client, server]
            threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_question: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if is_question and self.lose == "question" and b"COMMIT\0" in data:
                    break
                if is_question and self.lose == "answer" and b"COMMIT\0" in data:
                    # Before it is sent on: a quick server answers before the next line.
                    self.lose = "now"
                if not is_question and self.lose == "now":
                    break
                target.sendall(data)
        except OSError:
            pass
        for one in (source, target):
            with suppress(OSError):
                # Not `close`: the other thread waits for this socket.
                one.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("lose,is_there", [("question", False), ("answer", True)])
def test_commit__whose_answer_is_lost_is_found_by_asking_again(
    tmp_path: Path, postgres: Cluster, url: str, lose: str, is_there: bool
) -> None:
    node = make_node(tmp_path, store_url=url)
    folder = postgres.sockets / f"proxy-{lose}"
    folder.mkdir(mode=0o777)
    proxy = Proxy(postgres.sockets / ".s.PGSQL.5432", folder)
    through = url.replace(f"{postgres.sockets.name}&", f"{postgres.sockets.name}%2Fproxy-{lose}&")
    assert through != url
    (node.path / "store.url").write_text(through)
    subject = vin_subject(1)
    group = Group([opening(subject), reading(subject, 10, source=b"s" * 16)])
    writer = node.open()
    proxy.lose = lose
    with pytest.raises(PostgresError):
        writer.append(node.operator.id, REPORTED, [group])
    writer.close()
    proxy.close()
    (node.path / "store.url").write_text(url)
    with open_when_free(node) as writer:
        ref = writer.find_chain(subject)
        assert (ref is not None) == is_there
        again = group if ref is None else Group(group.items[1:], ref)
        outcome = writer.append(node.operator.id, REPORTED, [again])
        wanted = [Reason.ALREADY_SEALED] if is_there else []
        assert [refusal.reason for refusal in outcome.refusals] == wanted
        writer.take_census()
    with node.read() as reader:
        assert (reader.count_passports(), reader.count_entries()) == (1, 2)
    node.check()


def open_when_free(node: TestNode) -> Writer:
    """The server needs a moment to notice that a session is gone, and to free its lock."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return node.open()
        except Refused as refused:
            if refused.reason is not Reason.WRITER_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_open_writer__refused_store_unreachable(tmp_path: Path, url: str) -> None:
    node = make_node(tmp_path, store_url=url)
    (node.path / "store.url").write_text("postgresql://carnet:secret@/x?host=/nonexistent")
    for open_it in (node.open, node.read):
        with pytest.raises(Refused) as caught:
            open_it()
        assert caught.value.reason is Reason.STORE_UNREACHABLE
        assert "secret" not in f"{caught.value.message} {caught.value.facts}"


@pytest.mark.parametrize("is_file", [True, False], ids=["sqlite", "postgres"])
def test_open_writer__refused_store_moved(tmp_path: Path, request: pytest.FixtureRequest, is_file: bool) -> None:
    node = make_node(tmp_path, store_url=None if is_file else request.getfixturevalue("url"))
    node.open().close()
    assert change_behind(node, "UPDATE writer SET state = 'moved to the moon'") == 1
    with pytest.raises(Refused) as caught:
        node.open()
    assert caught.value.reason is Reason.STORE_MOVED
    assert caught.value.facts == {"to": "the moon"}
    with node.read() as reader:
        assert reader.state.size == 3
    assert [finding.table for finding in check_home(node.path)] == ["writer"]
