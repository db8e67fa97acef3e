"""A file of ten thousand rows that a member signed with its own key, over HTTP: verified by the server, and certified.

The file goes in parts of a thousand rows, each signed once, a few at a time, as a client sends what it has: while the
writer seals one, the worker checks the next. Signing is the member's, on its own machine, and a figure of its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import IS_QUICK, ROUNDS, Figure, make_figure, middle, open_folder
from bench.http import NAME, open_passport, serving
from bench.load import make_request, run_load
from carnet.ledger.rules.members import Key, compute_enrolment
from carnet.node.home import Home
from carnet.node.reader import open_reader
from carnet.passport.ownkey import OwnKey
from carnet.sdk.signing import make_entry, sign_entries
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import open_office
from carnet.services.founding import found, open_writer_at
from carnet.services.principals import Principal, Scope, Standing
from carnet.signing import Signer
from carnet.types import Custody, KeyRole, Subject

ROWS = 10_000
PART = 1_000
AT_ONCE = 4
VEHICLES = 200


@dataclass(frozen=True)
class Centre:
    """The member that signs: its key, the key of its program, and the passports that it writes in."""

    home: Home
    own: OwnKey
    key: str
    passports: list[tuple[Subject, bytes]]


def measure() -> list[Figure]:
    """Entries a second, from the first byte sent to the last receipt, each round with a new file."""
    rates, signing = [], []
    with open_folder("submissions") as folder:
        centre = make_centre(folder)
        with serving(centre.home, folder / "log") as served:
            before = _count(centre)
            for round_ in range(1 if IS_QUICK else ROUNDS):
                started = time.perf_counter()
                parts = sign_file(centre, round_)
                signing.append(time.perf_counter() - started)
                head = {"Authorization": f"Bearer {centre.key}", "Content_Type": "application/json"}
                requests = [make_request(served.address, "POST", "/v1/submissions", part, **head) for part in parts]
                load = run_load(served.address, requests, AT_ONCE)
                if set(load.statuses) != {201}:
                    raise RuntimeError(f"the bench's own file was refused: {load.statuses}")
                rates.append(load.per_second * PART)
            sealed = _count(centre) - before
    if sealed != len(rates) * ROWS:
        raise RuntimeError(f"{sealed} entries are sealed, not those that were sent")
    name = f"a file of {ROWS:,} rows signed with the member's own key, over HTTP"
    return [
        make_figure(name, middle(rates), "entries/s", at_least=20_000),
        make_figure("such a file, signed by the client", ROWS / middle(signing), "entries/s"),
    ]


def _count(centre: Centre) -> int:
    with open_reader(centre.home.path) as reader:
        return reader.count_entries()


def sign_file(centre: Centre, round_: int) -> list[bytes]:
    """The file in parts, each signed once."""
    rows = [_make_row(centre, at, round_) for at in range(ROWS)]
    return [sign_entries(centre.own, rows[at : at + PART]) for at in range(0, ROWS, PART)]


def _make_row(centre: Centre, at: int, round_: int) -> dict[str, object]:
    subject, passport = centre.passports[at * VEHICLES // ROWS]
    fields = {"odometer_km": 10_000 + at, "odometer_state": "read", "method": "dash"}
    day = f"2026-03-{1 + round_:02d}"
    return make_entry(passport.hex(), subject.to_json(), "vehicle.odometer/1", fields, at=day)


def make_centre(folder: Path) -> Centre:
    """A node with an inspection centre that keeps its key itself."""
    home, seed, member = Home(folder / "home"), bytes(range(32)), bytes(range(16))
    found(home, name=NAME)
    signer = Signer(seed)
    with open_writer_at(home, None, "bench") as writer:
        enrolment = compute_enrolment(writer.state.net, member, KeyRole.AUTHOR, Custody.OWN)
        key = Key(signer.public, KeyRole.AUTHOR, Custody.OWN, signer.sign(enrolment))
        writer.enrol_member("Centre of the bench", "inspection_centre", member_id=member, key=key)
        opener = writer.enrol_member("Register of the bench", "registration_authority").id
        subjects = [Subject("histovec", f"HV{at:040x}") for at in range(VEHICLES)]
        passports = [(subject, open_passport(writer, opener, subject)) for subject in subjects]
        own = OwnKey(seed, writer.state.genesis.origin, member)
    office = open_office(home, NAME)
    operator = Principal(Standing.OPERATOR)
    client = add_client(office, operator, member, "bench", frozenset({Scope.ENTRIES_APPEND}))
    secret = issue_key(office, operator, client.public_id).secret
    office.people.close()
    return Centre(home, own, secret, passports)
