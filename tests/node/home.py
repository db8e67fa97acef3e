"""A real node in a temporary directory, with a clock that a test turns and randomness that repeats."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import shake_256
from pathlib import Path

from carnet.ledger.rules.members import Member
from carnet.node.found import found_node
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.jobs import ChainRef, Group, Item, Job
from carnet.node.keyring import load_key_ring
from carnet.node.people import get_people_address
from carnet.node.placing import Outcome
from carnet.node.reader import Reader, open_reader
from carnet.node.readers import Readers
from carnet.node.writer import Writer, open_writer
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.verify import Verdict, verify_bundle
from carnet.services.guarding import set_up_guard
from carnet.tlog.policy import parse_policy
from carnet.types import Subject
from carnet.vault.people.store import PeopleStore, open_people_store
from carnet.vault.store import Connection, open_store
from tests.templates import Folder, lay_people, read_statements, run_statements

START_MS = 1_700_000_000_000


@dataclass
class Clock:
    """Ms since 1970; it goes on by one at each look."""

    now: int = START_MS

    def __call__(self) -> int:
        self.now += 1
        return self.now


@dataclass
class Dice:
    """Bytes that are as good as random, and the same in every run."""

    seed: bytes = b"carnet tests"
    rolls: int = 0

    def __call__(self, count: int) -> bytes:
        self.rolls += 1
        return shake_256(self.seed + self.rolls.to_bytes(8, "big")).digest(count)


@dataclass
class TestNode:
    """A founded home and its operator, a data service; `open()` gives its writer."""

    __test__ = False

    path: Path
    operator: Member
    clock: Clock
    dice: Dice
    writers: list[Writer] = field(default_factory=list)

    def open(self) -> Writer:
        writer = open_writer(self.path, clock=self.clock, random_bytes=self.dice, command="a test")
        self.writers.append(writer)
        return writer

    def read(self) -> Reader:
        return open_reader(self.path)

    def open_readers(self, reader_type: type[Reader] = Reader) -> Readers:
        """As a web worker has them: a database is asked under its policies."""
        home, is_guarded = Home(self.path), self._set_up_guard()
        ring = load_key_ring(home.keys, None)
        return Readers(lambda: reader_type(home, ring, is_guarded=is_guarded))

    def open_people(self) -> PeopleStore:
        """As a web worker has it, too."""
        return open_people_store(get_people_address(Home(self.path)), is_guarded=self._set_up_guard())

    def lay_people(self) -> None:
        """The store of people, empty: then whoever opens it first does not make it."""
        lay_people(get_people_address(Home(self.path)))

    def _set_up_guard(self) -> bool:
        guard = set_up_guard(Home(self.path))
        assert guard is None or guard.is_on, guard
        return guard is not None

    def prove(self, chain: bytes, selection: Selection | None = None) -> Verdict:
        """Make a proof and judge it under the node's own policy."""
        with self.read() as reader:
            bundle = assemble_bundle(reader, chain, selection or Selection())
            return verify_bundle(bundle, parse_policy(reader.get_policy()), self.clock())

    def check(self) -> None:
        """Nothing is wrong with the store."""
        assert check_home(self.path) == []

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


def change_behind(node: TestNode, statement: str) -> int:
    """Change the store without the checks that would forbid it; how many rows were changed. Bytes are written x'00'."""
    with open_store(Home(node.path).address) as store:
        connection = store.connection
        forget_constraints(connection)
        if not connection.is_file:
            statement = re.sub(r"x'([0-9a-f]*)'", r"'\\x\1'::bytea", statement)
        return int(connection.execute(statement).rowcount)


def forget_constraints(connection: Connection) -> None:
    """Foreign keys are not looked at in this session."""
    connection.execute("PRAGMA foreign_keys = OFF" if connection.is_file else "SET session_replication_role = replica")


class Elsewhere:
    """Where a node's store goes if a test says nothing: None for a file, or what makes the URL of an empty place."""

    make_url: Callable[[], str] | None = None


@dataclass(frozen=True)
class Founded:
    """A node as it was founded: its operator, its home, and how far clock and dice had come. In a database, what makes
    its tables again."""

    operator: Member
    home: Folder
    now: int
    rolls: int
    statements: str | None


_founded: dict[tuple[bytes, str, bool], Founded] = {}


def make_node(
    path: Path, *, seed: bytes = b"carnet tests", store_url: str | None = None, network: str = "example.org"
) -> TestNode:
    """A new node: founded if it is the first of its kind in this process, otherwise a copy of the first."""
    home = path / "home"
    if store_url is None and Elsewhere.make_url is not None:
        store_url = Elsewhere.make_url()
    kind = (seed, network, store_url is not None)
    if kind not in _founded:
        _founded[kind] = _found(home, seed, store_url, network)
    else:
        _founded[kind].home.write(home)
        if store_url is not None:
            Home(home).store_url.write_text(f"{store_url}\n", encoding="utf-8")
            run_statements(store_url, _founded[kind].statements or "")
    founded = _founded[kind]
    return TestNode(home, founded.operator, Clock(founded.now), Dice(seed, founded.rolls))


def _found(home: Path, seed: bytes, store_url: str | None, network: str) -> Founded:
    clock, dice = Clock(), Dice(seed)
    operator = found_node(
        home,
        name=network,
        operator_name="Fleet Data",
        operator_kind="data_service",
        now=clock(),
        random_bytes=dice,
        store_url=store_url,
    )
    statements = None if store_url is None else read_statements(store_url)
    return Founded(operator, Folder.read(home), clock.now, dice.rolls, statements)


def vin_subject(number: int) -> Subject:
    return Subject("histovec", f"HV{number:040x}")


def occurred(day: str = "2023-05-04") -> dict[str, object]:
    return {"at": day, "precision": "day", "zone": None}


def opening(subject: Subject) -> Item:
    return make_item("passport.opened/1", subject, occasion="file")


def reading(subject: Subject, km: int, **facts: object) -> Item:
    source = facts.pop("source", None)
    return make_item("vehicle.odometer/1", subject, odometer_km=km, odometer_state="read", **facts)._replace(
        source=source
    )  # type: ignore[arg-type]


def make_item(
    kind: str, subject: Subject, mark: int = 0, target: bytes = bytes(32), day: str = "2023-05-04", **fields: object
) -> Item:
    complete = {"kind": kind, "subject": subject.to_json(), "occurred": occurred(day), **fields}
    return Item(kind, complete, mark=mark, target=target)


def new_passport(number: int, *kms: int) -> Group:
    subject = vin_subject(number)
    return Group([opening(subject), *(reading(subject, km) for km in kms)])


def more(ref: ChainRef | None, *items: Item) -> Group:
    assert ref is not None
    return Group(items, ref)


def is_good(verdict: Verdict) -> bool:
    findings = (verdict.integrity, verdict.authority, verdict.completeness, verdict.freshness)
    return all(finding.state == "ok" for finding in findings)


def commit_jobs(writer: Writer, jobs: Sequence[Job]) -> list[Outcome]:
    return writer.commit([writer.prepare(job) for job in jobs])
