"""The demo's world: a node, one member of each kind that matters, a whole fleet's lives, and a stranger elsewhere.

Everything is done as a user would: entries are prepared, signed, sealed and proved by the same code, and the stranger
is another process with nothing but two files. It refuses to know how the story is told.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from carnet.errors import InvariantBroken
from carnet.formats.fleet import HERO, ORGANISATIONS, FleetEntry, FleetVehicle, Organisation, make_fleet
from carnet.formats.fleet.cast import GARAGES, INSURER
from carnet.ledger.rules.members import Member
from carnet.node.found import enrol_key
from carnet.node.home import Home, write_private
from carnet.node.jobs import ChainRef, Group, Item, Prepared
from carnet.node.placing import Outcome
from carnet.node.reader import open_reader
from carnet.node.writer import Writer
from carnet.passport.statement import NO_TARGET
from carnet.services.accounts.demo_links import DemoLinks, make_demo_links
from carnet.services.accounts.office import open_office
from carnet.services.appearance.looks import set_look
from carnet.services.demo_files import SampleFiles, write_sample_files
from carnet.services.founding import found, now_ms, open_writer_at
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal, Standing
from carnet.signing import Signer
from carnet.types import Basis, Custody, KeyRole, Mark

NETWORK = "demo.carnet.example"
OPERATOR = "Carnet demonstration"

Progress = Callable[[int, int], None]
"""Entries sealed so far, of how many."""


@dataclass(frozen=True, slots=True)
class Built:
    """What was built: the members, the fleet, how many entries in how many seconds, and records of the log."""

    members: tuple[Member, ...]
    fleet: list[FleetVehicle]
    entry_count: int
    commit_count: int
    seconds: float
    record_count: int

    def get_story(self, story: str) -> FleetVehicle:
        """The first vehicle with this story; raises InvariantBroken if the fleet has none."""
        for vehicle in self.fleet:
            if vehicle.story == story:
                return vehicle
        raise InvariantBroken(f"the fleet has no vehicle with the story {story}")

    @property
    def hero(self) -> FleetVehicle:
        """The vehicle that the demo follows."""
        return self.get_story(HERO)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another process answered: its exit code, and what it printed."""

    exit_code: int
    output: str


def build_world(home: Home, *, seed: int, vehicles: int, progress: Progress) -> Built:
    """Found a node in the empty home, enrol everyone, seal the whole fleet and take a census. Raises
    Refused(NODE_EXISTS).
    """
    fleet = list(make_fleet(seed, vehicles, now_ms=now_ms()))
    found(home, name=NETWORK, operator_name=OPERATOR)
    write_private(home.demo, b"")
    with open_writer_at(home, None, "carnet demo") as writer:
        world = _World(writer)
        world.enrol()
        started = time.perf_counter()
        commit_count = world.seal(fleet, progress)
        writer.take_census()
        seconds = time.perf_counter() - started
        return Built(
            members=writer.state.members.all,
            fleet=fleet,
            entry_count=sum(len(vehicle.entries) for vehicle in fleet),
            commit_count=commit_count,
            seconds=seconds,
            record_count=writer.state.size,
        )


GARAGE_COLOURS: Final = ("#7a1f3d", "#fbe9d7")
"""The ink and the paper of the garage that shows its customers their passports under its own name."""


@dataclass(frozen=True, slots=True)
class Invited:
    """Who may come to see it in a browser: a link for each, what the developer asks for first, and where the garage's
    customers come in under its name."""

    links: DemoLinks
    passport: str
    under_name: str
    files: SampleFiles


def invite(home: Home, origin: str, built: Built) -> Invited:
    """Make the links that sign in to this demonstration, at this address: the holder has three vehicles, the insurer's
    developer a key, and the garage a look of its own and two files to drop, in a folder beside the home. Raises
    Refused(NOT_PERMITTED) for a home that `carnet demo` did not make."""
    insurer, garage = (
        next(member for member in built.members if member.name == one.name) for one in (INSURER, GARAGES[0])
    )
    others = [vehicle for vehicle in built.fleet if vehicle.story != HERO and _is_insured(vehicle)]
    office = open_office(home, NETWORK, is_demo=home.demo.exists())
    try:
        with open_reader(home.path) as reader:
            held = []
            for vehicle in (built.hero, *others[:2]):
                chain = reader.get(str(vehicle.subject))
                head = reader.find_head(chain)
                held.append((chain, head[1] if head is not None else 0))
        links = make_demo_links(office, origin, held, insurer.id, garage.id)
        operator = Principal(Standing.OPERATOR)
        ink, paper = GARAGE_COLOURS
        look = set_look(
            office, operator, garage.id, name=garage.name, ink=ink, paper=paper, origins=(), is_secure=False
        )
    finally:
        office.people.close()
    shown = next((at for at, vehicle in enumerate((built.hero, *others[:2])) if _is_insured(vehicle)), 0)
    files = write_sample_files(home.path.with_name(f"{home.path.name}-files"), built.fleet, now_ms())
    passport = format_name(Prefix.PASSPORT, held[shown][0])
    return Invited(links, passport, f"{origin}/with/{look.public_id}", files)


def _is_insured(vehicle: FleetVehicle) -> bool:
    """Whether the insurer wrote of it, so that its developer sees something, and it is still on the road."""
    kinds = {entry.kind for entry in vehicle.entries}
    return "passport.closed/1" not in kinds and any(entry.author == INSURER for entry in vehicle.entries)


def verify_elsewhere(folder: Path, *arguments: str) -> Elsewhere:
    """Run `carnet verify` in a process that has this folder and nothing else of ours: no home, no environment of
    ours.
    """
    kept = {
        name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SYSTEMROOT") if name in os.environ
    }
    ran = subprocess.run(
        [sys.executable, "-m", "carnet", "verify", *arguments],
        cwd=folder,
        env={**kept, "HOME": str(folder), "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    return Elsewhere(ran.returncode, ran.stdout or ran.stderr)


def forge_reading(proof: bytes, km: int) -> tuple[bytes, int]:
    """The proof with one byte altered: the first digit of this reading, smaller where it can be; and the reading that
    it claims.

    Raises InvariantBroken if the proof does not show the reading.
    """
    at = proof.rfind(b'",%d]' % km)
    if at < 0:
        raise InvariantBroken(f"the proof shows no reading of {km} km")
    digit = at + 2
    forged = bytearray(proof)
    forged[digit] = ord("1") if km >= 20 and forged[digit] != ord("1") else ord("2")
    return bytes(forged), int(forged[digit : digit + len(str(km))])


class _World:
    """The writer, and who signs for whom."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._ids: dict[str, bytes] = {}
        self._own: dict[str, Signer] = {}

    def enrol(self) -> None:
        """Every organisation becomes a member; one keeps its own key, which the node never sees."""
        for organisation in ORGANISATIONS:
            if organisation.basis == Basis.OWN_KEY:
                signer, member_id = Signer(os.urandom(32)), os.urandom(16)
                key = enrol_key(signer, self._writer.state.net, member_id, KeyRole.AUTHOR, Custody.OWN)
                self._writer.enrol_member(organisation.name, organisation.kind, member_id=member_id, key=key)
                self._own[organisation.name] = signer
                self._ids[organisation.name] = member_id
            else:
                self._ids[organisation.name] = self._writer.enrol_member(organisation.name, organisation.kind).id

    def seal(self, fleet: Sequence[FleetVehicle], progress: Progress) -> int:
        """Seal every entry, each in its author's name; returns the number of commits.

        In each round every vehicle gives the next entries by one author; submissions of a round may stand in any order.
        """
        total, done, rounds = sum(len(vehicle.entries) for vehicle in fleet), 0, 0
        lives = [_Life(vehicle) for vehicle in fleet]
        while lives:
            by_author: dict[tuple[Organisation, Basis], list[tuple[_Life, list[FleetEntry]]]] = {}
            for life in lives:
                run = life.take_run()
                by_author.setdefault((run[0].author, run[0].basis), []).append((life, run))
            for (author, basis), runs in by_author.items():
                done += self._seal_runs(author, basis, runs)
            progress(done, total)
            rounds += len(by_author)
            lives = [life for life in lives if not life.is_over]
        return rounds

    def _seal_runs(self, author: Organisation, basis: Basis, runs: list[tuple[_Life, list[FleetEntry]]]) -> int:
        groups = [Group([life.make_item(entry) for entry in run], life.chain) for life, run in runs]
        outcome = self._writer.commit([self._prepare(author, basis, groups)])[0]
        count = sum(len(run) for _, run in runs)
        if outcome.refused is not None or outcome.refusals or len(outcome.receipts) != count:
            why = outcome.refused or (outcome.refusals[0] if outcome.refusals else "receipts are missing")
            raise InvariantBroken(f"the demo's own entries were refused ({author.name}): {why}")
        self._keep_receipts(runs, outcome)
        return count

    def _prepare(self, author: Organisation, basis: Basis, groups: list[Group]) -> Prepared:
        signer = self._own.get(author.name)
        member = self._ids[author.name]
        if signer is None:
            return self._writer.prepare(self._writer.make_job(member, basis, groups))
        # The member's own device: it gets the bytes to sign, and gives back the signature.
        prepared = self._writer.prepare(self._writer.make_job(member, basis, groups, public=signer.public))
        return prepared.with_signature(signer.sign(prepared.submission))

    def _keep_receipts(self, runs: list[tuple[_Life, list[FleetEntry]]], outcome: Outcome) -> None:
        places = {receipt.place: receipt for receipt in outcome.receipts}
        place = 0
        for life, run in runs:
            for _ in run:
                receipt = places[place]
                life.sids.append(receipt.sid)
                if life.chain is None:
                    life.chain = self._writer.find_chain_by_id(receipt.chain16)
                place += 1


class _Life:
    """One vehicle's entries while they are being sealed, and the ids of those that are."""

    def __init__(self, vehicle: FleetVehicle) -> None:
        self._entries = vehicle.entries
        self._next = 0
        self.sids: list[bytes] = []
        self.chain: ChainRef | None = None

    @property
    def is_over(self) -> bool:
        """Whether every entry was taken."""
        return self._next == len(self._entries)

    def take_run(self) -> list[FleetEntry]:
        """The next entries by one author, up to one whose target is among them: its id is known only when it is
        sealed.
        """
        run = list(self._iter_run())
        self._next += len(run)
        return run

    def make_item(self, entry: FleetEntry) -> Item:
        """The entry as a statement to make."""
        target = NO_TARGET if entry.target is None else self.sids[entry.target]
        return Item(entry.kind, entry.fields, mark=Mark(entry.mark), target=target)

    def _iter_run(self) -> Iterator[FleetEntry]:
        first = self._entries[self._next]
        for entry in self._entries[self._next :]:
            if (entry.author, entry.basis) != (first.author, first.basis):
                return
            if entry.target is not None and entry.target >= self._next:
                return
            yield entry
