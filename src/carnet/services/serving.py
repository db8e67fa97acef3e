"""Serving a node: one writer's process, and the web workers that it starts, watches and ends.

    carnet serve ── Writer, Door (HOME/node.sock)
        ├─ worker ─┐
        └─ worker ─┴─ one listening socket

The writer is opened first, so that a refusal is shown at once, and before anybody listens. A worker that dies is
started again; workers end with their parent, however it ends. It refuses to know what a worker serves.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Final

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.node.door import Door
from carnet.node.home import Home
from carnet.node.people import compute_people_key, get_people_address
from carnet.node.writer import Writer
from carnet.services import attachments
from carnet.services.accounts.office import Office
from carnet.services.accounts.purging import purge
from carnet.services.appending import enrol_speaker
from carnet.services.approving.requests import resume
from carnet.services.founding import now_ms, open_writer_at
from carnet.services.guarding import set_up_guard
from carnet.services.importing import take_census_if_due
from carnet.services.logs import find_places, get_log
from carnet.services.sandbox import open_sandbox
from carnet.services.settings import Settings, to_document
from carnet.services.supervised import READY, SOCKET, STOPPING, tell_manager
from carnet.services.upkeep.jobs import CHECK, Job, find_last_check, queue_check
from carnet.services.upkeep.running import DAMAGED, Runner
from carnet.vault.guarding import Guard
from carnet.vault.people.store import open_people_store
from carnet.vault.scratch import FIGURES, make_folder

WORKER: Final = (sys.executable, "-m", "carnet.web.worker")
BACKLOG: Final = 2048
TICK_S: Final = 0.5
PURGE_EVERY_S: Final = 3600
RESUME_EVERY_S: Final = 15
UPKEEP_EVERY_S: Final = 2
FIRST_CHECK_S: Final = 600
"""A node that was just started has other things to do than to read all that it keeps."""
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 10.0
STEADY_S: Final = 30.0
"""A worker that has lived so long did not die of how it was started."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What is told when the service listens."""

    address: str
    home: Path
    worker_count: int
    settings: Settings
    guard: Guard | None = None
    """How far a database keeps rows from callers by itself; None for a file."""


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    starts_again: float = 0.0
    pause_s: float = FIRST_PAUSE_S


def serve(
    home: Home,
    passphrase: str | None,
    settings: Settings,
    tell: Callable[[Serving], None],
    *,
    environment: Mapping[str, str],
) -> None:
    """Serve until SIGTERM or SIGINT; `tell` is called once, when people can come. For the main thread.

    Raises Refused as `open_writer` and `Settings.check` do, and VALUE_OUT_OF_RANGE where the address cannot be had.
    """
    settings.check()
    with open_writer_at(home, passphrase, "carnet serve") as writer:
        enrol_speaker(writer)
        open_sandbox(writer)
        guard = set_up_guard(home)
        listening = bind(settings)
        try:
            port = int(listening.getsockname()[1])
            settings = replace(settings, port=port)
            with make_folder(FIGURES) as figures:
                _Service(home, writer, listening, settings, environment, figures, passphrase, guard).run(tell)
        finally:
            listening.close()


def bind(settings: Settings) -> socket.socket:
    """The socket that all workers share. Raises Refused(VALUE_OUT_OF_RANGE) if the address is taken or is not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _no_address(settings, error) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise _no_address(settings, error) from error
    return listening


def _no_address(settings: Settings, error: OSError) -> Refused:
    return Refused(
        Reason.VALUE_OUT_OF_RANGE,
        f"cannot listen on {settings.host}, port {settings.port} ({error.strerror or error}): choose another with"
        " --port, or --port 0 for any that is free",
    )


def choose_worker_count(settings: Settings) -> int:
    """As many as were asked for, or one less than there are processors: the writer has the other."""
    return settings.workers or max(1, (os.cpu_count() or 2) - 1)


class _Service:
    """The loop of the writer's process."""

    def __init__(
        self,
        home: Home,
        writer: Writer,
        listening: socket.socket,
        settings: Settings,
        environment: Mapping[str, str],
        figures: Path,
        passphrase: str | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._passphrase, self._given, self._guard = passphrase, environment, guard
        self._home, self._writer, self._listening = home, writer, listening
        self._settings = settings
        # Links that sign in are for this machine alone, whatever a demonstration's home is later used for.
        self._is_demo = home.demo.exists() and settings.is_loopback and not settings.behind_proxy
        self._workers = [_Worker() for _ in range(choose_worker_count(settings))]
        # What another server's variables say about workers is not for us: ours are those that were asked for.
        # Nor is what a service manager is told theirs to say.
        theirs = {name: value for name, value in environment.items() if name != SOCKET}
        self._environment = {**theirs, "PROMETHEUS_MULTIPROC_DIR": str(figures)}
        self._log = get_log("carnet.serve")
        self._is_stopping = self._is_lost = False
        self._next_census = time.monotonic() + settings.census_every_ms / 1000
        self._next_purge = time.monotonic()
        self._next_resume = self._next_upkeep = time.monotonic()
        self._next_check = time.monotonic() + min(FIRST_CHECK_S, settings.check_every_ms / 1000)
        self._runner: Runner | None = None
        self._office: Office | None = None

    def run(self, tell: Callable[[Serving], None]) -> None:
        """Until a signal says stop. Raises Refused(STORE_UNREACHABLE) where the database has ended the writer's
        session: whoever started this starts it again."""
        self._heed_last_check()
        door = Door(self._home, self._writer)
        awake, waker = socket.socketpair()
        before = self._take_signals(waker)
        try:
            door.watch(awake.fileno(), lambda: self._note_signals(awake))
            self._note_guard()
            self._keep_workers()
            address, home = self._settings.public_address, self._home.path
            tell(Serving(address, home, len(self._workers), self._settings, self._guard))
            tell_manager(self._given, READY)
            while not self._is_stopping:
                door.serve_once(TICK_S)
                self._keep_workers()
                self._keep_store()
                self._keep_census()
                self._keep_people()
                self._keep_approvals()
                self._keep_upkeep()
            tell_manager(self._given, STOPPING)
            self._stop_workers(door)
        finally:
            self._end_upkeep()
            self._end_workers()
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            awake.close()
            waker.close()
            door.close()
        if self._is_lost:
            raise Refused(
                Reason.STORE_UNREACHABLE,
                "the database has ended the writer's session, and the service with it. What was acknowledged is there",
                could_retry=True,
            )

    # ---- signals

    def _take_signals(self, waker: socket.socket) -> dict[signal.Signals, signal._HANDLER]:
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
        return {number: signal.signal(number, self._notice) for number in numbers}

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._is_stopping = True

    @staticmethod
    def _note_signals(awake: socket.socket) -> None:
        awake.recv(4096)

    def _note_guard(self) -> None:
        if self._guard is not None and not self._guard.is_on:
            self._log.warning("the database keeps no rows from callers", run=" ".join(self._guard.list_statements()))

    # ---- workers

    def _keep_workers(self) -> None:
        """Start those that are not there, those that died after a pause that grows."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is not None and worker.process.poll() is not None:
                code, lived = worker.process.returncode, now - worker.started
                worker.pause_s = FIRST_PAUSE_S if lived > STEADY_S else min(LONGEST_PAUSE_S, 2 * worker.pause_s)
                worker.starts_again = now + (0 if lived > STEADY_S else worker.pause_s)
                self._log.warning("worker died", code=code, lived_s=round(lived, 1))
                self._forget(worker)
            if worker.process is None and now >= worker.starts_again:
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        ring = self._writer.ring
        order = {
            "fd": self._listening.fileno(),
            "home": str(self._home.path),
            "index": b64(ring.index),
            "is_demo": self._is_demo,
            "is_guarded": self._guard is not None and self._guard.is_on,
            "kek": b64(ring.kek),
            "settings": to_document(self._settings),
        }
        # A group of its own: Ctrl-C in a terminal is for this process, which ends its workers in order.
        worker.process = subprocess.Popen(
            WORKER,
            stdin=subprocess.PIPE,
            pass_fds=(self._listening.fileno(),),
            env=dict(self._environment),
            start_new_session=True,
        )
        worker.started = time.monotonic()
        if worker.process.stdin is not None:
            # What it is told stays out of its arguments and environment, which others can list. The pipe stays open:
            # its end tells the worker that this process is gone.
            try:
                worker.process.stdin.write(json.dumps(order).encode() + b"\n")
                worker.process.stdin.flush()
            except BrokenPipeError:
                self._log.warning("worker did not start")

    @staticmethod
    def _forget(worker: _Worker) -> None:
        if worker.process is not None:
            if worker.process.stdin is not None:
                worker.process.stdin.close()
            worker.process.wait()
            worker.process = None

    def _stop_workers(self, door: Door) -> None:
        """Let them finish what they are at, and write it, as long as the settings allow."""
        self._listening.close()
        for worker in self._workers:
            if worker.process is not None and worker.process.stdin is not None:
                worker.process.stdin.close()
        until = time.monotonic() + self._settings.shutdown_ms / 1000 + 1
        while time.monotonic() < until and any(one.process and one.process.poll() is None for one in self._workers):
            door.serve_once(0.05)

    def _end_workers(self) -> None:
        for worker in self._workers:
            if worker.process is not None and worker.process.poll() is None:
                worker.process.kill()
            if worker.process is not None:
                worker.process.wait()

    # ---- the store

    def _keep_store(self) -> None:
        """A session that a database has ended is not made again here: what it had locked may be another's by now."""
        if not self._is_stopping and self._writer.is_store_lost():
            self._writer.stop("the database has ended its session", Reason.STORE_UNREACHABLE)
            self._log.error("the database has ended the writer's session")
            self._is_stopping = self._is_lost = True

    # ---- the census

    def _keep_census(self) -> None:
        """Take one if anything was sealed since, so that proofs are complete as of a few minutes ago."""
        now = time.monotonic()
        if now < self._next_census:
            return
        self._next_census = now + self._settings.census_every_ms / 1000
        try:
            if take_census_if_due(self._writer):
                self._log.info("census taken", log_size=self._writer.state.size)
        except Refused as refused:
            self._log.error("census refused", reason=refused.reason.value)
        except Exception as error:
            # The writer has noted for itself whether it may go on; those who read are served meanwhile.
            self._log.error("census failed", kind=type(error).__name__, at=find_places(error))

    # ---- what has served its purpose

    def _keep_people(self) -> None:
        """Delete, once an hour, what is kept about people beyond its retention."""
        now = time.monotonic()
        if now < self._next_purge:
            return
        self._next_purge = now + PURGE_EVERY_S
        try:
            with open_people_store(get_people_address(self._home)) as people:
                deleted = purge(people, now_ms())
            if deleted:
                self._log.info("purged", rows=sum(deleted.values()))
            self._writer.finish_erasures()
            attachments.finish_erasing(self._home, self._passphrase)
        except Exception as error:
            # It is tried again in an hour; nobody has to wait for it.
            self._log.error("purge failed", kind=type(error).__name__, at=find_places(error))

    # ---- what two operators have approved

    def _keep_approvals(self) -> None:
        """Carry out what was granted and not done: a worker died in between, or this was away."""
        now = time.monotonic()
        if now < self._next_resume:
            return
        self._next_resume = now + RESUME_EVERY_S
        try:
            if ended := resume(self._get_office(), self._writer):
                self._log.info("approvals carried out", count=ended)
        except Exception as error:
            self._log.error("approvals failed", kind=type(error).__name__, at=find_places(error))

    # ---- upkeep

    def _keep_upkeep(self) -> None:
        """Start and end the backups and drills that operators ask for."""
        now = time.monotonic()
        if now < self._next_upkeep:
            return
        self._next_upkeep = now + UPKEEP_EVERY_S
        try:
            if self._runner is None:
                office = self._get_office()
                self._runner = Runner(self._home, office, self._settings, self._passphrase, self._given)
            if now >= self._next_check:
                self._next_check = now + min(FIRST_CHECK_S, self._settings.check_every_ms / 1000)
                queue_check(self._get_office(), self._settings.check_every_ms)
            if (ended := self._runner.look()) is not None:
                self._log.info("upkeep ended", act=ended.act, state=ended.state)
                self._judge(ended)
        except Exception as error:
            self._log.error("upkeep failed", kind=type(error).__name__, at=find_places(error))

    def _heed_last_check(self) -> None:
        """Where the last check has found something, nothing is written until one has found nothing."""
        last = find_last_check(self._get_office())
        if last is not None:
            self._judge(last)

    def _judge(self, ended: Job) -> None:
        """A check that has found something stops the writer: what would be sealed rests on what is stored."""
        if ended.act == CHECK and ended.outcome.get("problem") == DAMAGED:
            count = ended.outcome.get("findings", "some")
            self._writer.stop(f"a check of the store has found {count} things that are not what was signed")
            self._log.error("the store is damaged", findings=count)

    def _end_upkeep(self) -> None:
        try:
            if self._runner is not None:
                self._runner.close()
        except Exception as error:
            self._log.error("upkeep failed", kind=type(error).__name__, at=find_places(error))
        if self._office is not None:
            self._office.people.close()

    def _get_office(self) -> Office:
        """The office of the writer's process, for what it does by itself."""
        if self._office is None:
            people = open_people_store(get_people_address(self._home))
            self._office = Office(people, compute_people_key(self._writer.ring), self._writer.state.genesis.name)
        return self._office
