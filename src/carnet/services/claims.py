"""Claiming: a member prints a one-time code, and whoever has the paper becomes the passport's holder.

Knowing a VIN or a plate gives nothing. A claim of a passport that has a holder changes nothing: it becomes a contest,
of which the holder is told, and an operator decides. Source: rules.md §4; design: security 9, 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.passport.subject import parse_subject
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import (
    DAY_MS,
    Office,
    Visit,
    get_account,
    name_caller,
    name_id,
    read_id,
    read_paper_code,
)
from carnet.services.accounts.registry import find_account, with_present_role
from carnet.services.accounts.throttling import Attempt, count_attempt
from carnet.services.holdings import begin_holding, end_holding, find_holding
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.services.reading import IDENTITY
from carnet.types import ChainId, MemberId, Millis
from carnet.vault.asker import asking_as_node
from carnet.vault.store import Connection

VALID_MS: Final = 30 * DAY_MS
MAX_VALID_MS: Final = 180 * DAY_MS
GROUPS, GROUP_SIZE = 4, 4
"""80 bits: what is guessed at ten attempts an hour is not found."""

OPENED: Final = frozenset({"passport.opened/1"})
SERVICED: Final = frozenset(
    {
        "vehicle.checkup/1",
        "vehicle.inspection/1",
        "vehicle.odometer_replacement/1",
        "vehicle.repair/1",
        "vehicle.service/1",
    }
)
"""What an organisation writes that has had the vehicle, and its holder, before it."""

_CODE: Final = "id, chain, made_by, created_ms, until_ms, used_ms, revoked_ms"
_CONTEST: Final = "id, chain, epoch, claimant, holder, member, state, created_ms, decided_ms"


class IssuedCode(NamedTuple):
    """A new code for paper (shown now and never again), for which passport, until when (ms)."""

    id: str
    code: str
    passport: ChainId
    until: Millis


class Claimed(NamedTuple):
    """What a claim came to: the passport is held now, or, with `contest`, an operator decides."""

    passport: ChainId
    contest: str | None = None

    @property
    def is_held(self) -> bool:
        """Whether the claimant holds it now."""
        return self.contest is None


class Contest(NamedTuple):
    """A claim of a passport that has a holder. `state`: open, objected (the holder said no), granted or dismissed."""

    id: str
    passport: ChainId
    claimant: str
    holder: str
    member: MemberId
    state: str
    created_at: Millis
    decided_at: Millis | None


# ---- codes


def issue_code(
    office: Office,
    reader: Reader,
    principal: Principal,
    passport: ChainId,
    *,
    member: MemberId | None = None,
    valid_ms: Millis = VALID_MS,
    seed: bytes | None = None,
) -> IssuedCode:
    """A code for a passport, in the name of the caller's member (an operator names one). With `seed` (32 secret bytes)
    it is made of them: the same seed gives the same code, which is issued once.

    Raises Refused: NOT_PERMITTED for a caller whose office this is not; UNKNOWN_PASSPORT for a passport that does not
    exist or that the member has neither opened nor serviced; MEMBER_RETIRED; VALUE_OUT_OF_RANGE; TOO_MANY_REQUESTS;
    CODE_NOT_VALID for a seed whose code is in force no more; NOT_SIGNED_IN, SIGN_IN_FAILED as `with_present_role`.
    """
    member = _get_issuer(principal, member)
    if not 0 < valid_ms <= MAX_VALID_MS:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"a code is good for 1 to {MAX_VALID_MS // DAY_MS} days")
    who = name_caller(principal)
    count_attempt(office, Attempt.CODES_BY_CALLER, who)
    _check_is_member(reader, member)
    epoch, authors = _read_authors(reader, passport)
    if not any(author == member and kind in OPENED | SERVICED for author, kind in authors):
        raise Refused(
            Reason.UNKNOWN_PASSPORT,
            "there is no such passport here that this member has opened or serviced",
            passport=name_id("pas", passport),
        )
    code, now = office.make_paper_code(GROUPS, GROUP_SIZE, seed), office.clock()
    code_id = office.random_bytes(16) if seed is None else compute_code_id(seed)
    digest, until = _digest(office, code), now + valid_ms
    with office.people.change() as connection:
        _get_issuer(with_present_role(connection, principal), member)
        new = connection.execute(
            "INSERT INTO claim_code"
            " (digest, id, chain, epoch, member, made_by, created_ms, until_ms, used_ms, account, revoked_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL) ON CONFLICT (digest) DO NOTHING RETURNING id",
            (digest, code_id, passport, epoch, member, who, now, until),
        ).fetchall()
        about, why = name_id("pas", passport), name_id("cod", code_id)
        if new:
            record(connection, office, Action.CODE_ISSUED, who, about=about, member=member, why=why)
        else:
            until = _get_issued(connection, digest, now)
    return IssuedCode(why, code, passport, until)


def compute_code_seed(office: Office, principal: Principal, passport: ChainId, once: str) -> bytes:
    """The seed of the code that a form makes for a passport; `once` is the form's own number, which its sender may
    know: only this node can compute the seed, and another caller's is another."""
    return office.digest("claim-form", name_caller(principal).encode(), passport, once.encode())


def compute_code_id(seed: bytes) -> bytes:
    """The id (16 bytes) of the code that is made of a seed."""
    return blake2b(seed, digest_size=16, person=b"carnet/code-id").digest()


def _get_issued(connection: Connection, digest: bytes, now: Millis) -> Millis:
    """Until when a code that was issued before is good."""
    query = "SELECT until_ms FROM claim_code WHERE digest = ? AND used_ms IS NULL AND until_ms > ?"
    row = connection.execute(query, (digest, now)).fetchone()
    if row is None:
        raise Refused(Reason.CODE_NOT_VALID, "this code was used or withdrawn since it was made: make a new one")
    return int(row[0])


def claim(
    office: Office, reader: Reader, principal: Principal, visit: Visit, code: str, vehicle: str | None = None
) -> Claimed:
    """Claim the passport of a code, which is used up. With `vehicle` (a VIN, plate or subject) the code must be of that
    vehicle, so that the wrong paper takes nothing.

    Raises Refused CODE_NOT_VALID, the same for a code that never was, was used, has run out, or is of another vehicle;
    NOT_SIGNED_IN, NOT_PERMITTED for one who is no holder, TOO_MANY_REQUESTS.
    """
    account = get_account(principal)
    if principal.standing is not Standing.HOLDER:
        raise Refused(Reason.NOT_PERMITTED, "a vehicle is claimed with a holder's account")
    count_attempt(office, Attempt.CLAIM_BY_ADDRESS, visit.address)
    count_attempt(office, Attempt.CLAIM_BY_ACCOUNT, account)
    digest, who = _digest(office, code), name_id("acc", account)
    with office.people.look_up() as connection:
        # Looked at before anybody is kept waiting, and again when it is used.
        seen = _find_code(connection, office, reader, digest)
    is_right = seen is not None and (vehicle is None or is_vehicle(reader, seen.chain, vehicle))
    with office.people.write() as connection:
        if find_account(connection, account) is None:
            raise Refused(Reason.NOT_SIGNED_IN, "this account was ended")
        found = _find_code(connection, office, reader, digest) if is_right else None
        if found is not None:
            connection.execute(
                "UPDATE claim_code SET used_ms = ?, account = ? WHERE digest = ?", (office.clock(), account, digest)
            )
            return _claim(connection, office, found, account, who)
        record(connection, office, Action.CLAIM_REFUSED, who)
    raise Refused(Reason.CODE_NOT_VALID, "this code is not in force for this vehicle: compare it with your paper")


def give_up(office: Office, principal: Principal, passport: ChainId) -> None:
    """Hold a passport no more. Raises Refused(UNKNOWN_PASSPORT) if the caller does not hold it. The route asks for a
    confirmation first."""
    account = get_account(principal)
    with office.people.write() as connection:
        held = find_holding(connection, passport)
        if held is None or held.account != account:
            raise Refused(Reason.UNKNOWN_PASSPORT, "you hold no such passport", passport=name_id("pas", passport))
        end_holding(connection, office, passport)
        about = name_id("pas", passport)
        record(connection, office, Action.GIVEN_UP, name_id("acc", account), about=about)


class CodeLine(NamedTuple):
    """A code that a member printed, without its secret. `state`: in_force, used, revoked or over; times are ms."""

    id: str
    passport: ChainId
    made_by: str
    created_at: Millis
    until: Millis
    used_at: Millis | None
    state: str


def list_codes(
    office: Office,
    principal: Principal,
    *,
    member: MemberId | None = None,
    limit: int = 50,
    before: str | None = None,
) -> Sequence[CodeLine]:
    """The codes of the caller's member (an operator names one), the newest first, those made before the code `before`.

    Raises Refused(NOT_PERMITTED, VALUE_OUT_OF_RANGE).
    """
    member, now = _get_code_reader(principal, member), office.clock()
    where, values = "member = ?", tuple[object, ...]((member,))
    with office.people.read() as connection:
        if before is not None:
            id_ = read_id("cod", before, Reason.VALUE_OUT_OF_RANGE)
            row = connection.execute("SELECT created_ms FROM claim_code WHERE id = ? AND member = ?", (id_, member))
            found = row.fetchone()
            if found is None:
                raise Refused(Reason.VALUE_OUT_OF_RANGE, "starting_after is the id of a code of this list")
            where, values = f"{where} AND (created_ms, id) < (?, ?)", (*values, found[0], id_)
        query = f"SELECT {_CODE} FROM claim_code WHERE {where} ORDER BY created_ms DESC, id DESC LIMIT ?"  # noqa: S608
        rows = connection.execute(query, (*values, limit)).fetchall()
    return [_to_code(row, now) for row in rows]


def find_printed(office: Office, principal: Principal, code: str) -> CodeLine | None:
    """A code of the caller's member by its id. Raises Refused(NOT_PERMITTED, NOT_FOUND for what is no such id)."""
    query = f"SELECT {_CODE} FROM claim_code WHERE id = ? AND member = ?"  # noqa: S608 - our own words
    values = read_id("cod", code, Reason.NOT_FOUND), _get_code_reader(principal)
    with office.people.read() as connection:
        row = connection.execute(query, values).fetchone()
    return None if row is None else _to_code(row, office.clock())


def list_unused(office: Office, reader: Reader, principal: Principal, passport: ChainId) -> Sequence[CodeLine]:
    """The codes of the caller's member with which this passport can be claimed, the newest first."""
    values = _get_code_reader(principal), passport, _read_authors(reader, passport)[0], office.clock()
    query = (
        f"SELECT {_CODE} FROM claim_code WHERE member = ? AND chain = ? AND epoch = ? AND used_ms IS NULL"  # noqa: S608
        " AND until_ms > ? ORDER BY created_ms DESC, id DESC"
    )
    with office.people.read() as connection:
        return [_to_code(row, values[-1]) for row in connection.execute(query, values).fetchall()]


def count_codes(office: Office, principal: Principal) -> int:
    """How many codes of the caller's member are in force."""
    query = "SELECT count(*) FROM claim_code WHERE member = ? AND used_ms IS NULL AND until_ms > ?"
    with office.people.read() as connection:
        return int(connection.execute(query, (_get_code_reader(principal), office.clock())).fetchone()[0])


def revoke_code(office: Office, principal: Principal, code: str, *, member: MemberId | None = None) -> None:
    """End a code of the caller's member (an operator names one) that was not used; once more changes nothing.

    Raises Refused NOT_PERMITTED, MISSING_FIELD, NOT_FOUND (also for another's), CODE_NOT_VALID for one that was used;
    NOT_SIGNED_IN, SIGN_IN_FAILED as `with_present_role`.
    """
    member, who = _get_issuer(principal, member), name_caller(principal)
    id_, now = read_id("cod", code, Reason.NOT_FOUND), office.clock()
    with office.people.change() as connection:
        _get_issuer(with_present_role(connection, principal), member)
        query = "SELECT chain, used_ms, until_ms FROM claim_code WHERE id = ? AND member = ?"
        row = connection.execute(query, (id_, member)).fetchone()
        if row is None:
            raise Refused(Reason.NOT_FOUND, "there is no such code, or it is not yours")
        if row[1] is not None:
            raise Refused(Reason.CODE_NOT_VALID, "this code was used already: whoever had it holds the passport")
        if row[2] <= now:
            return
        connection.execute("UPDATE claim_code SET until_ms = ?, revoked_ms = ? WHERE id = ?", (now, now, id_))
        about = name_id("pas", bytes(row[0]))
        record(connection, office, Action.CODE_REVOKED, who, about=about, member=member, why=code)


def _get_code_reader(principal: Principal, member: MemberId | None = None) -> MemberId:
    if principal.standing is Standing.OPERATOR:
        return _get_issuer(principal, member)
    is_machine = principal.standing is Standing.MACHINE and Scope.CLAIMS_ISSUE in principal.scopes
    if principal.member is None or not (principal.standing is Standing.STAFF or is_machine):
        raise Refused(
            Reason.NOT_PERMITTED, "codes are listed for the staff of their member, and machines with claims:issue"
        )
    return principal.member


def _to_code(row: Any, now: Millis) -> CodeLine:
    id_, chain, made_by, created, until, used, revoked = row
    state = "used" if used is not None else "revoked" if revoked is not None else "over" if until <= now else "in_force"
    return CodeLine(name_id("cod", bytes(id_)), bytes(chain), made_by, created, until, used, state)


# ---- contests


def list_contests(office: Office, principal: Principal, *, is_open_only: bool = False) -> Sequence[Contest]:
    """The contests of the caller's passports and claims, newest first, or those alone that nobody has decided; an
    operator sees all."""
    where, values = "1 = 1", tuple[object, ...]()
    if principal.standing is not Standing.OPERATOR:
        account = get_account(principal)
        where, values = "(claimant = ? OR holder = ?)", (account, account)
    if is_open_only:
        where += " AND decided_ms IS NULL"
    query = f"SELECT {_CONTEST} FROM contest WHERE {where} ORDER BY created_ms DESC, id"  # noqa: S608 - our own words
    with office.people.read() as connection:
        return [_to_contest(row) for row in connection.execute(query, values).fetchall()]


def object_to(office: Office, principal: Principal, contest: str) -> None:
    """The present holder says that the claim is wrong. Raises Refused(UNKNOWN_CONTEST, CONTEST_DECIDED)."""
    account = get_account(principal)
    with office.people.write() as connection:
        found = _get_contest(connection, contest, "holder = ?", account)
        connection.execute("UPDATE contest SET state = 'objected' WHERE id = ?", (read_contest_id(contest),))
        about = name_id("pas", found.passport)
        record(connection, office, Action.CONTEST_OBJECTED, name_id("acc", account), about=about, why=contest)


def decide(office: Office, reader: Reader, principal: Principal, contest: str, *, is_granted: bool) -> None:
    """An operator decides: the claimant holds the passport from now on, or all stays as it is.

    Raises Refused(NOT_PERMITTED, UNKNOWN_CONTEST, CONTEST_DECIDED). What cannot be granted any more can still be
    dismissed: CONTEST_DECIDED for one from before a change of holder, UNKNOWN_PASSPORT or ERASED for a passport that
    is gone, UNKNOWN_ACCOUNT for a claimant who is gone.
    """
    if principal.standing is not Standing.OPERATOR:
        raise Refused(Reason.NOT_PERMITTED, "only an operator decides a contest")
    with office.people.write() as connection:
        with_present_role(connection, principal)
        found = _get_contest(connection, contest, "1 = 1")
        epoch = _get_epoch(connection, reader, found) if is_granted else 0
        connection.execute(
            "UPDATE contest SET state = ?, decided_by = ?, decided_ms = ? WHERE id = ?",
            (
                "granted" if is_granted else "dismissed",
                name_caller(principal),
                office.clock(),
                read_contest_id(contest),
            ),
        )
        if is_granted:
            claimant = read_id("acc", found.claimant, Reason.UNKNOWN_ACCOUNT)
            begin_holding(connection, office, found.passport, epoch, claimant, "contest")
        about, why = name_id("pas", found.passport), "granted" if is_granted else "dismissed"
        who = name_caller(principal)
        record(connection, office, Action.CONTEST_DECIDED, who, about=about, member=found.member, why=why)


# ---- within


def _get_epoch(connection: Connection, reader: Reader, contest: Contest) -> int:
    """The passport's changes of holder, if the contest can be granted still; else as `decide` raises."""
    epoch, _ = reader.read_authors(contest.passport)
    query = "SELECT epoch FROM contest WHERE id = ?"
    if connection.execute(query, (read_contest_id(contest.id),)).fetchone()[0] < epoch:
        raise Refused(Reason.CONTEST_DECIDED, "the vehicle has changed hands since: a new code is needed")
    if find_account(connection, read_id("acc", contest.claimant, Reason.UNKNOWN_ACCOUNT)) is None:
        raise Refused(Reason.UNKNOWN_ACCOUNT, "whoever claimed this has ended their account: dismiss the claim")
    return epoch


class _Code(NamedTuple):
    chain: ChainId
    epoch: int
    member: MemberId
    made_by: str


def _get_issuer(principal: Principal, member: MemberId | None) -> MemberId:
    if principal.standing is Standing.OPERATOR:
        if member is None:
            raise Refused(Reason.MISSING_FIELD, "name the member in whose name the code is issued", field="member")
        return member
    is_clerk = principal.standing is Standing.STAFF and principal.role in (Role.ADMIN, Role.CLERK)
    is_machine = principal.standing is Standing.MACHINE and Scope.CLAIMS_ISSUE in principal.scopes
    if principal.member is None or not (is_clerk or is_machine) or member not in (None, principal.member):
        raise Refused(Reason.NOT_PERMITTED, "a code is issued by a member's admin, clerk, or machine with claims:issue")
    return principal.member


def _read_authors(reader: Reader, passport: ChainId) -> tuple[int, frozenset[tuple[bytes, str]]]:
    """As the reader's; nobody's for a passport that does not exist, so that both are refused alike."""
    try:
        return reader.read_authors(passport)
    except Refused:
        return 0, frozenset()


def _check_is_member(reader: Reader, member: MemberId) -> None:
    found = reader.state.members.get(member)
    if found.retired is not None:
        raise Refused(Reason.MEMBER_RETIRED, f"{found.name} has left the network", member=found.name)


def _find_code(connection: Connection, office: Office, reader: Reader, digest: bytes) -> _Code | None:
    """The code, if it is in force: its member still belongs, and nobody has bought the vehicle since it was printed."""
    query = "SELECT chain, epoch, member, made_by FROM claim_code WHERE digest = ? AND used_ms IS NULL AND until_ms > ?"
    row = connection.execute(query, (digest, office.clock())).fetchone()
    if row is None:
        return None
    found = _Code(bytes(row[0]), row[1], bytes(row[2]), row[3])
    try:
        epoch, _ = reader.read_authors(found.chain)
        _check_is_member(reader, found.member)
    except Refused:
        # The passport was erased, or the member is gone.
        return None
    return found if epoch == found.epoch else None


def is_vehicle(reader: Reader, chain: ChainId, vehicle: str) -> bool:
    """Whether a VIN, plate or subject is that of this passport; no other passport is looked at."""
    try:
        subject = parse_subject(vehicle.strip())
        if subject.scheme != "plate":
            return reader.find_subject(subject) == chain
    except Refused:
        return False
    wanted = subject.to_json()
    # Whoever claims does not hold it yet, and is told yes or no alone.
    with asking_as_node():
        entries = list(reader.read_entries(chain))
    aliases = (entry.fields.get("alias") for entry in entries if entry.fields and entry.kind == IDENTITY)
    return any(isinstance(alias, dict) and alias["subject"] == wanted for alias in aliases)


def _claim(connection: Connection, office: Office, code: _Code, account: bytes, who: str) -> Claimed:
    held, about = find_holding(connection, code.chain), name_id("pas", code.chain)
    if held is not None and held.epoch == code.epoch and held.account != account:
        contest = _contest(connection, office, code, account, held.account)
        record(connection, office, Action.CONTESTED, who, about=about, member=code.member, why=contest)
        return Claimed(code.chain, contest)
    if held is None or held.account != account or held.epoch != code.epoch:
        begin_holding(connection, office, code.chain, code.epoch, account, "claim")
    record(connection, office, Action.CLAIMED, who, about=about, member=code.member)
    return Claimed(code.chain)


def _contest(connection: Connection, office: Office, code: _Code, claimant: bytes, holder: bytes) -> str:
    query = "SELECT id FROM contest WHERE chain = ? AND claimant = ? AND decided_ms IS NULL"
    row = connection.execute(query, (code.chain, claimant)).fetchone()
    if row is not None:
        return name_id("con", bytes(row[0]))
    contest = office.random_bytes(16)
    connection.execute(
        f"INSERT INTO contest ({_CONTEST}) VALUES (?, ?, ?, ?, ?, ?, 'open', ?, NULL)",  # noqa: S608 - our own words
        (contest, code.chain, code.epoch, claimant, holder, code.member, office.clock()),
    )
    return name_id("con", contest)


def read_contest_id(contest: str) -> bytes:
    """The 16 bytes of `con_…`; raises Refused(UNKNOWN_CONTEST)."""
    return read_id("con", contest, Reason.UNKNOWN_CONTEST)


def _get_contest(connection: Connection, contest: str, where: str, *values: object) -> Contest:
    query = f"SELECT {_CONTEST} FROM contest WHERE id = ? AND {where}"  # noqa: S608 - our own words
    row = connection.execute(query, (read_contest_id(contest), *values)).fetchone()
    if row is None:
        raise Refused(Reason.UNKNOWN_CONTEST, "there is no such contest, or it is not yours")
    found = _to_contest(row)
    if found.decided_at is not None:
        raise Refused(Reason.CONTEST_DECIDED, f"this contest was decided already: {found.state}")
    return found


def _to_contest(row: Any) -> Contest:
    id_, chain, _, claimant, holder, member, state, created, decided = row
    return Contest(
        name_id("con", bytes(id_)),
        bytes(chain),
        name_id("acc", bytes(claimant)),
        name_id("acc", bytes(holder)),
        bytes(member),
        state,
        created,
        decided,
    )


def _digest(office: Office, code: str) -> bytes:
    return office.digest("claim", read_paper_code(code))
