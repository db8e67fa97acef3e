"""OAuth 2.0 client credentials with `private_key_jwt`: a client signs that it is itself, and gets a short token.

The node keeps the client's public keys only. An assertion names this service, ends within minutes and is good once.
Source: RFC 6749 §4.4, RFC 7523 §3, RFC 8725; design: security 4. It refuses every algorithm but
EdDSA on Ed25519, and ES256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.clients import (
    OAUTH,
    Client,
    failed,
    find_client,
    get_client,
    make_machine,
    parse_scopes,
)
from carnet.services.accounts.office import MINUTE_MS, Office, Visit, is_token, name_caller
from carnet.services.accounts.throttling import Attempt, count_attempt
from carnet.services.principals import Principal, Scope
from carnet.vault.store import Connection

ALGORITHMS: Final = {"OKP": "Ed25519", "EC": "ES256"}
CURVES: Final = {"OKP": "Ed25519", "EC": "P-256"}
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ASSERTION_MS: Final = 5 * MINUTE_MS
"""An assertion that ends later than so long from now is refused: it would have to be remembered as long."""
SKEW_MS: Final = MINUTE_MS // 2
TOKEN_MS: Final = 15 * MINUTE_MS
MAX_KEYS: Final = 2
MAX_JTI: Final = 128
MAX_ASSERTION: Final = 8192

LIVE, TEST = "ct_live_", "ct_test_"

_PUBLIC: Final = {"OKP": ("kty", "crv", "x"), "EC": ("kty", "crv", "x", "y")}


class _Algorithms(JWSRegistry):
    """The one algorithm of a kind of key. Ed25519 has two names: RFC 8037's `EdDSA`, and RFC 9864's own."""

    def __init__(self, kind: str) -> None:
        super().__init__(algorithms=[ALGORITHMS[kind]])

    def get_alg(self, name: str) -> Any:
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


class Granted(NamedTuple):
    """A token (shown once), for how long (s), and for which scopes."""

    access_token: str
    expires_in_s: int
    scopes: frozenset[Scope]


def add_public_key(office: Office, principal: Principal, client: str, document: Mapping[str, Any]) -> str:
    """Keep a client's public key, a JWK; its id (`kid`, its RFC 7638 thumbprint).

    Raises Refused(UNKNOWN_CLIENT, TOO_MANY_KEYS, KEY_EXISTS), WRONG_TYPE for what is no such key, and NOT_PRIVATE for
    a private one: nobody but the client may ever have that.
    """
    if "d" in document:
        raise Refused(Reason.NOT_PRIVATE, "that is the private key: send the public one, and make a new pair")
    kind = document.get("kty")
    if not isinstance(kind, str) or kind not in CURVES or document.get("crv") != CURVES[kind]:
        raise Refused(
            Reason.WRONG_TYPE, "a client's key is a public JWK: OKP on Ed25519, or EC on P-256", field="public_key"
        )
    public = {name: document.get(name) for name in _PUBLIC[kind]}
    try:
        kid = _load(public).thumbprint()
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise Refused(Reason.WRONG_TYPE, "this JWK is no key", field="public_key") from None
    with office.people.write() as connection:
        found = get_client(connection, principal, client, OAUTH)
        rows = connection.execute("SELECT kid, revoked_ms FROM oauth_key WHERE client = ?", (found.id,)).fetchall()
        if any(row[0] == kid for row in rows):
            raise Refused(Reason.KEY_EXISTS, "this client has that key already, or had it", kid=kid)
        if sum(row[1] is None for row in rows) >= MAX_KEYS:
            raise Refused(Reason.TOO_MANY_KEYS, f"this client has {MAX_KEYS} keys in force: revoke one of them first")
        connection.execute(
            "INSERT INTO oauth_key (client, kid, jwk, created_ms, revoked_ms) VALUES (?, ?, ?, ?, NULL)",
            (found.id, kid, json.dumps(public, sort_keys=True), office.clock()),
        )
        who = name_caller(principal)
        record(connection, office, Action.KEY_ISSUED, who, about=found.public_id, member=found.member, why="oauth")
    return kid


def revoke_public_key(office: Office, principal: Principal, client: str, kid: str) -> None:
    """End a public key, and every token that the client has. Raises Refused(UNKNOWN_CLIENT)."""
    with office.people.write() as connection:
        found = get_client(connection, principal, client, OAUTH)
        changed = connection.execute(
            "UPDATE oauth_key SET revoked_ms = ? WHERE client = ? AND kid = ? AND revoked_ms IS NULL",
            (office.clock(), found.id, kid),
        ).rowcount
        if not changed:
            raise Refused(Reason.UNKNOWN_CLIENT, "this client has no such key in force")
        connection.execute("DELETE FROM access_token WHERE client = ?", (found.id,))
        who = name_caller(principal)
        record(connection, office, Action.KEY_REVOKED, who, about=found.public_id, member=found.member, why="oauth")


def list_public_keys(office: Office, principal: Principal, client: str) -> list[tuple[str, int, int | None]]:
    """(kid, since, revoked) of each key of a client, oldest first; ms. Raises Refused(UNKNOWN_CLIENT)."""
    query = "SELECT kid, created_ms, revoked_ms FROM oauth_key WHERE client = ? ORDER BY created_ms, kid"
    with office.people.read() as connection:
        found = get_client(connection, principal, client, OAUTH)
        return [(row[0], row[1], row[2]) for row in connection.execute(query, (found.id,)).fetchall()]


def grant_token(
    office: Office, visit: Visit, audiences: frozenset[str], assertion: str, scope: str | None = None
) -> Granted:
    """A token for whoever signed the assertion, which names one of our `audiences`. Raises Refused(SIGN_IN_FAILED),
    the same whatever was wrong; NOT_IN_LIST, NOT_PERMITTED for scopes; TOO_MANY_REQUESTS."""
    count_attempt(office, Attempt.ASSERTION_BY_ADDRESS, visit.address)
    claims = _read_unchecked(assertion)
    name = claims.get("iss") if claims else None
    if isinstance(name, str):
        # A client's id is no secret: counted by it alone, anybody could use up the attempts of the client itself.
        count_attempt(office, Attempt.ASSERTION_BY_CLIENT, f"{visit.address}\n{name[:80]}")
    with office.people.write() as connection:
        client = _check(connection, office, audiences, assertion, name)
        if client is not None:
            return _grant(connection, office, client, scope)
        record(connection, office, Action.TOKEN_REFUSED, "visitor")
    raise failed()


def find_by_token(office: Office, visit: Visit, token: str) -> Principal:
    """Whose access token this is. Raises Refused(SIGN_IN_FAILED, TOO_MANY_REQUESTS)."""
    row = None
    if is_token(token, TEST if office.is_test else LIVE):
        query = (
            "SELECT c.id, c.member, t.scopes, t.created_ms FROM access_token t JOIN client c ON c.id = t.client"
            " WHERE t.digest = ? AND t.until_ms > ? AND c.ended_ms IS NULL"
        )
        with office.people.look_up() as connection:
            row = connection.execute(query, (_digest(office, token), office.clock())).fetchone()
    if row is None:
        count_attempt(office, Attempt.TOKEN_BY_ADDRESS, visit.address)
        with office.people.note() as connection:
            record(connection, office, Action.KEY_REFUSED, "visitor", why="token")
        raise failed()
    client, member, scopes, created = row
    return make_machine(bytes(client), bytes(member), scopes, created)


def _grant(connection: Connection, office: Office, client: Client, scope: str | None) -> Granted:
    wanted = client.scopes if not scope else parse_scopes(scope.split())
    if not wanted <= client.scopes:
        raise Refused(Reason.NOT_PERMITTED, "the client was not given one of these scopes", field="scope")
    token, now = office.make_token(TEST if office.is_test else LIVE), office.clock()
    joined = " ".join(sorted(wanted))
    connection.execute(
        "INSERT INTO access_token (digest, client, scopes, created_ms, until_ms) VALUES (?, ?, ?, ?, ?)",
        (_digest(office, token), client.id, joined, now, now + TOKEN_MS),
    )
    record(connection, office, Action.TOKEN_ISSUED, client.public_id, member=client.member, why=joined)
    return Granted(token, TOKEN_MS // 1000, wanted)


def _check(
    connection: Connection, office: Office, audiences: frozenset[str], assertion: str, name: object
) -> Client | None:
    """The client that signed, if everything about the assertion is as it must be. Source: RFC 7523 §3."""
    client = find_client(connection, name) if isinstance(name, str) else None
    if client is None or client.kind != OAUTH:
        return None
    claims = _verify(connection, client, assertion)
    if claims is None or claims.get("sub") != name or claims.get("iss") != name:
        return None
    named = _list_texts(claims.get("aud"))
    now, jti = office.clock(), claims.get("jti")
    ends = _to_ms(claims.get("exp"))
    if audiences.isdisjoint(named) or ends is None or not now < ends <= now + MAX_ASSERTION_MS + SKEW_MS:
        return None
    for begin in ("iat", "nbf"):
        since = _to_ms(claims.get(begin, 0))
        if since is None or since > now + SKEW_MS:
            return None
    if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI:
        return None
    digest = office.digest("jti", client.id, jti.encode("utf-8", "replace"))
    is_new = connection.execute(
        "INSERT INTO seen_once (digest, until_ms) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
        (digest, ends + SKEW_MS),
    ).rowcount
    return client if is_new == 1 else None


def _verify(connection: Connection, client: Client, assertion: str) -> dict[str, Any] | None:
    """The claims, if a key of the client in force signed them by the algorithm of that key."""
    query = "SELECT jwk FROM oauth_key WHERE client = ? AND revoked_ms IS NULL"
    for (text,) in connection.execute(query, (client.id,)).fetchall():
        document = json.loads(text)
        try:
            return dict(jwt.decode(assertion, _load(document), registry=_Algorithms(document["kty"])).claims)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return None


def _read_unchecked(assertion: str) -> dict[str, Any] | None:
    """What an assertion says of itself: good for looking up its client, and for nothing else."""
    from joserfc.util import urlsafe_b64decode

    if len(assertion) > MAX_ASSERTION or assertion.count(".") != 2:
        return None
    try:
        found = json.loads(urlsafe_b64decode(assertion.split(".")[1].encode("ascii")))
    except (ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _load(document: Mapping[str, Any]) -> OKPKey | ECKey:
    kind: type[OKPKey] | type[ECKey] = OKPKey if document["kty"] == "OKP" else ECKey
    return kind.import_key(dict(document))


def _list_texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _to_ms(value: object) -> int | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value * 1000) if is_number and abs(value) < 1e11 else None  # type: ignore[operator, arg-type]


def _digest(office: Office, token: str) -> bytes:
    return office.digest("access token", token.encode("utf-8", "replace"))
