"""Programs of a member: clients with scopes, and the API keys by which they are known.

A key is `ck_live_` or `ck_test_`, 43 letters and digits, and six that tell a slip of the pen. It is shown once, kept as
a keyed digest, may run out, and two may be in force while one replaces the other. Design: security 3, 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import DAY_MS, MINUTE_MS, Office, Visit, is_token, name_caller, name_id, read_id
from carnet.services.accounts.registry import check_administers, check_name, with_present_role
from carnet.services.accounts.throttling import Attempt, count_attempt
from carnet.services.principals import Principal, Scope, Standing
from carnet.types import MemberId, Millis, is_plain_text
from carnet.vault.store import Connection

LIVE, TEST = "ck_live_", "ck_test_"
HINT_LETTERS: Final = 6
MAX_KEYS: Final = 2
OVERLAP_MS: Final = DAY_MS
TOUCH_MS: Final = MINUTE_MS

KEY, OAUTH = "key", "oauth"

_CLIENT: Final = "id, kind, member, name, scopes, made_by, created_ms, ended_ms"


class Client(NamedTuple):
    """A program of a member. `kind`: by key or by OAuth; times are ms."""

    id: bytes
    kind: str
    member: MemberId
    name: str
    scopes: frozenset[Scope]
    made_by: str
    created_at: Millis
    ended_at: Millis | None

    @property
    def public_id(self) -> str:
        """`cli_…`."""
        return name_id("cli", self.id)


class ApiKey(NamedTuple):
    """A key for people's eyes: its public beginning, and when it began, ends, was last used or revoked (ms)."""

    hint: str
    created_at: Millis
    until: Millis | None
    used_at: Millis | None
    revoked_at: Millis | None

    def is_in_force(self, now: Millis) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and (self.until is None or self.until > now)


class Issued(NamedTuple):
    """A new key: its client, and the secret, which is shown now and never again."""

    client: Client
    secret: str
    until: Millis | None


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Scopes by their names; raises Refused(NOT_IN_LIST) for another word, MISSING_FIELD for none."""
    scopes = set()
    for word in words:
        if word not in set(Scope):
            listed = ", ".join(Scope)
            raise Refused(Reason.NOT_IN_LIST, f"there is no scope {word[:40]!a}; there are {listed}", field="scopes")
        scopes.add(Scope(word))
    if not scopes:
        raise Refused(Reason.MISSING_FIELD, f"name the scopes: {', '.join(Scope)}", field="scopes")
    return frozenset(scopes)


def add_client(
    office: Office,
    principal: Principal,
    member: MemberId,
    name: str,
    scopes: frozenset[Scope],
    kind: str = KEY,
    *,
    seed: bytes | None = None,
) -> Client:
    """A new client of a member, without a key yet; with the same `seed` (32 secret bytes) the same one. By an operator
    or the member's admin; raises Refused(NOT_PERMITTED), NOT_SIGNED_IN for an account that was ended, and as
    `check_name`."""
    check_administers(principal, member)
    id_ = office.random_bytes(16) if seed is None else seed[:16]
    client = Client(id_, kind, member, check_name(name), scopes, name_caller(principal), office.clock(), None)
    with office.people.change() as connection:
        check_administers(with_present_role(connection, principal), member)
        made = connection.execute(
            f"INSERT INTO client ({_CLIENT}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)"  # noqa: S608 - our own words
            " ON CONFLICT (id) DO NOTHING RETURNING id",
            (client.id, kind, member, client.name, _join(scopes), client.made_by, client.created_at),
        ).fetchall()
        if not made:
            return get_client(connection, principal, client.public_id, kind)
        who = name_caller(principal)
        record(connection, office, Action.CLIENT_CREATED, who, about=client.public_id, member=member, why=_join(scopes))
    return client


def issue_key(
    office: Office, principal: Principal, client: str, *, valid_ms: Millis | None = None, seed: bytes | None = None
) -> Issued:
    """A key for a client; with the same `seed` (32 secret bytes) the same one. Raises Refused UNKNOWN_CLIENT,
    TOO_MANY_KEYS, NOT_PERMITTED; FORM_EXPIRED for a seed whose key has ended since."""
    with office.people.change() as connection:
        return _issue(connection, office, principal, get_client(connection, principal, client, KEY), valid_ms, seed)


def rotate_key(
    office: Office,
    principal: Principal,
    client: str,
    *,
    valid_ms: Millis | None = None,
    overlap_ms: Millis = OVERLAP_MS,
    seed: bytes | None = None,
) -> Issued:
    """A new key beside the one in force, which ends after the overlap. Raises as `issue_key`."""
    with office.people.change() as connection:
        found, now = get_client(connection, principal, client, KEY), office.clock()
        issued = _issue(connection, office, principal, found, valid_ms, seed)
        ends, newest = now + overlap_ms, _digest(office, issued.secret)
        connection.execute(
            "UPDATE api_key SET until_ms = ? WHERE client = ? AND digest <> ? AND revoked_ms IS NULL"
            " AND (until_ms IS NULL OR until_ms > ?)",
            (ends, found.id, newest, ends),
        )
        return issued


def revoke_key(office: Office, principal: Principal, client: str, hint: str) -> None:
    """End one key of a client at once. Raises Refused(UNKNOWN_CLIENT)."""
    with office.people.change() as connection:
        found, changed = get_client(connection, principal, client, KEY), 0
        # A server's texts hold no zero byte: what no key can begin with is not asked for.
        if is_plain_text(hint):
            changed = connection.execute(
                "UPDATE api_key SET revoked_ms = ? WHERE client = ? AND hint = ? AND revoked_ms IS NULL",
                (office.clock(), found.id, hint),
            ).rowcount
        if not changed:
            raise Refused(Reason.UNKNOWN_CLIENT, "this client has no such key in force")
        who = name_caller(principal)
        record(connection, office, Action.KEY_REVOKED, who, about=found.public_id, member=found.member)


def end_client(office: Office, principal: Principal, client: str) -> None:
    """End a client with all its keys and tokens, at once. Raises Refused(UNKNOWN_CLIENT, NOT_PERMITTED)."""
    with office.people.change() as connection:
        found, now = get_client(connection, principal, client), office.clock()
        connection.execute("UPDATE client SET ended_ms = ? WHERE id = ?", (now, found.id))
        for table in ("api_key", "oauth_key"):
            query = f"UPDATE {table} SET revoked_ms = ? WHERE client = ? AND revoked_ms IS NULL"  # noqa: S608
            connection.execute(query, (now, found.id))
        connection.execute("DELETE FROM access_token WHERE client = ?", (found.id,))
        who = name_caller(principal)
        record(connection, office, Action.CLIENT_ENDED, who, about=found.public_id, member=found.member)


def list_clients(office: Office, principal: Principal) -> Sequence[tuple[Client, Sequence[ApiKey]]]:
    """The clients that a caller administers, with their keys: an operator all, a member's admin those of the member.
    Raises Refused(NOT_PERMITTED)."""
    where, values = "1 = 1", tuple[object, ...]()
    if principal.standing is not Standing.OPERATOR:
        check_administers(principal, principal.member)
        where, values = "member = ?", (principal.member,)
    query = f"SELECT {_CLIENT} FROM client WHERE {where} ORDER BY created_ms, id"  # noqa: S608 - our own words
    keys = (
        "SELECT hint, created_ms, until_ms, used_ms, revoked_ms FROM api_key WHERE client = ? ORDER BY created_ms, hint"
    )
    with office.people.read() as connection:
        clients = [to_client(row) for row in connection.execute(query, values).fetchall()]
        return [(one, [ApiKey(*row) for row in connection.execute(keys, (one.id,)).fetchall()]) for one in clients]


def find_by_key(office: Office, visit: Visit, secret: str) -> Principal:
    """Whose key this is. Raises Refused(SIGN_IN_FAILED), the same for every key that lets nobody in, WRONG_NETWORK for
    a test key on a live network and the other way round, and TOO_MANY_REQUESTS for an address that guesses."""
    prefix, other = (TEST, LIVE) if office.is_test else (LIVE, TEST)
    if is_token(secret, other):
        kind, here = ("test", "live") if other == TEST else ("live", "test")
        raise Refused(Reason.WRONG_NETWORK, f"this is a {kind} key, and this is a {here} network: use a key of its own")
    row, now, digest = None, office.clock(), _digest(office, secret)
    if is_token(secret, prefix):
        query = (
            "SELECT c.id, c.member, c.scopes, k.used_ms, k.created_ms FROM api_key k JOIN client c ON c.id = k.client"
            " WHERE k.digest = ? AND k.revoked_ms IS NULL AND (k.until_ms IS NULL OR k.until_ms > ?)"
            " AND c.ended_ms IS NULL"
        )
        with office.people.look_up() as connection:
            row = connection.execute(query, (digest, now)).fetchone()
    if row is None:
        count_attempt(office, Attempt.TOKEN_BY_ADDRESS, visit.address)
        with office.people.note() as connection:
            record(connection, office, Action.KEY_REFUSED, "visitor")
        raise failed()
    client, member, scopes, used, created = row
    if used is None or now >= used + TOUCH_MS:
        with office.people.note() as connection:
            connection.execute("UPDATE api_key SET used_ms = ? WHERE digest = ?", (now, digest))
    return make_machine(bytes(client), bytes(member), scopes, created)


@lru_cache(maxsize=1024)
def make_machine(client: bytes, member: MemberId, scopes: str, since: Millis) -> Principal:
    """The caller that a client is, with scopes as they are stored."""
    return Principal(
        Standing.MACHINE,
        client=name_id("cli", client),
        member=member,
        scopes=frozenset(Scope(word) for word in scopes.split()),
        signed_in_at=since,
    )


def failed() -> Refused:
    """One answer for every key and token that lets nobody in."""
    return Refused(Reason.SIGN_IN_FAILED, "this key or token lets nobody in here: see that it is whole and in force")


def to_client(row: Any) -> Client:
    """A client from a row of the store."""
    id_, kind, member, name, scopes, made_by, created, ended = row
    return Client(
        bytes(id_), kind, bytes(member), name, frozenset(Scope(w) for w in scopes.split()), made_by, created, ended
    )


def find_client(connection: Connection, client: str) -> Client | None:
    """The client `cli_…` that was not ended; None for any other text."""
    try:
        wanted = read_id("cli", client, Reason.UNKNOWN_CLIENT)
    except Refused:
        return None
    query = f"SELECT {_CLIENT} FROM client WHERE id = ? AND ended_ms IS NULL"  # noqa: S608 - our own words
    row = connection.execute(query, (wanted,)).fetchone()
    return None if row is None else to_client(row)


def get_client(connection: Connection, principal: Principal, client: str, kind: str | None = None) -> Client:
    """A client that the caller administers, of this kind if one is named. Raises Refused(UNKNOWN_CLIENT), also for
    another member's; NOT_SIGNED_IN for an account that was ended."""
    found = find_client(connection, client)
    if found is not None and kind in (None, found.kind):
        principal = with_present_role(connection, principal)
        try:
            check_administers(principal, found.member)
        except Refused:
            found = None
    if found is None or kind not in (None, found.kind):
        raise Refused(Reason.UNKNOWN_CLIENT, "there is no such client, or it is not yours")
    return found


def _issue(
    connection: Connection,
    office: Office,
    principal: Principal,
    client: Client,
    valid_ms: Millis | None,
    seed: bytes | None,
) -> Issued:
    now, prefix = office.clock(), TEST if office.is_test else LIVE
    secret, until = office.make_token(prefix, seed), None if valid_ms is None else now + valid_ms
    known = "SELECT until_ms, revoked_ms FROM api_key WHERE digest = ? AND client = ?"
    row = None if seed is None else connection.execute(known, (_digest(office, secret), client.id)).fetchone()
    if row is not None:
        if row[1] is not None or (row[0] is not None and row[0] <= now):
            raise Refused(Reason.FORM_EXPIRED, "the key that this form made has ended: open its page again")
        return Issued(client, secret, row[0])
    query = (
        "SELECT count(*) FROM api_key WHERE client = ? AND revoked_ms IS NULL AND (until_ms IS NULL OR until_ms > ?)"
    )
    if connection.execute(query, (client.id, now)).fetchone()[0] >= MAX_KEYS:
        raise Refused(Reason.TOO_MANY_KEYS, f"this client has {MAX_KEYS} keys in force: revoke one of them first")
    connection.execute(
        "INSERT INTO api_key (digest, client, hint, created_ms, until_ms, used_ms, revoked_ms)"
        " VALUES (?, ?, ?, ?, ?, NULL, NULL)",
        (_digest(office, secret), client.id, secret[: len(prefix) + HINT_LETTERS], now, until),
    )
    who = name_caller(principal)
    record(connection, office, Action.KEY_ISSUED, who, about=client.public_id, member=client.member)
    return Issued(client, secret, until)


def _join(scopes: frozenset[Scope]) -> str:
    return " ".join(sorted(scopes))


def _digest(office: Office, secret: str) -> bytes:
    return office.digest("api key", secret.encode("utf-8", "replace"))
