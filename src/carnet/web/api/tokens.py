"""`POST /v1/oauth/token` (RFC 6749 §4.4, RFC 7523), and a member's own programs: `/v1/clients`.

A key is shown in the one answer that makes it. It refuses machines at the second: a program makes no programs.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, JSONBody

from carnet.errors import Reason, Refused
from carnet.services.accounts.clients import (
    KEY,
    OAUTH,
    ApiKey,
    Client,
    Issued,
    add_client,
    end_client,
    issue_key,
    list_clients,
    parse_scopes,
    revoke_key,
    rotate_key,
)
from carnet.services.accounts.oauth import ASSERTION_TYPE, add_public_key, grant_token
from carnet.services.accounts.office import DAY_MS
from carnet.services.principals import Role
from carnet.services.timelines import Shape, format_time
from carnet.web.api.answers import AnyRequest, answer, answer_fresh
from carnet.web.api.contract import Contract, promise
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.headers import get_request_id
from carnet.web.inputs import Input
from carnet.web.people import get_office, get_visit
from carnet.web.policy import HARMLESS, staff
from carnet.web.problems import MEDIA_TYPE, make_problem

FORM: Final = RequestEncodingType.URL_ENCODED.value
PATH: Final = "/v1/oauth/token"
TAG: Final = "Clients"
ADMINS: Final = staff(Role.ADMIN)
FRESH_ADMINS: Final = staff(Role.ADMIN, fresh=True)
"""Keys are made and ended by somebody who is there now. Design: security 7."""

FormData = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]

# RFC 6749 §5.2: what a program's library looks for beside our own code.
_ERRORS: Final = {
    Reason.SIGN_IN_FAILED: "invalid_client",
    Reason.NOT_IN_LIST: "invalid_scope",
    Reason.NOT_PERMITTED: "invalid_scope",
    Reason.VALUE_OUT_OF_RANGE: "unsupported_grant_type",
}


class TokenShown(Shape, frozen=True, kw_only=True):
    """An access token, for `Authorization: Bearer`, and for how many seconds it is good."""

    access_token: str
    expires_in: int
    scope: str
    token_type: Literal["Bearer"] = "Bearer"


class ClientIn(Input, frozen=True, kw_only=True):
    """A program: its name, what it may do, for how many days its key is good (left out: until it is revoked), or the
    public key with which it signs for tokens."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    scopes: Annotated[list[str], msgspec.Meta(min_length=1, max_length=10)]
    valid_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | None = None
    public_key: dict[str, Any] | None = None


class KeyShown(Shape, frozen=True, kw_only=True):
    """A key by its public beginning; times are RFC 3339."""

    hint: str
    created: str
    until: str | None
    last_used: str | None
    revoked: str | None


class ClientShown(Shape, frozen=True, kw_only=True):
    """A program of your member. `key` is there only in the answer that made it."""

    id: str
    name: str
    kind: Literal["key", "oauth"]
    scopes: list[str]
    created: str
    ended: str | None
    keys: list[KeyShown]
    key: str | None = None
    object: Literal["client"] = "client"


class ClientList(Shape, frozen=True, kw_only=True):
    """All programs of your member, oldest first."""

    data: list[ClientShown]
    object: Literal["list"] = "list"


class Ended(Shape, frozen=True, kw_only=True):
    """What is in force no more."""

    id: str
    object: Literal["ended"] = "ended"


# ---- tokens


@post(
    "/oauth/token",
    opt=promise(
        HARMLESS,
        Contract(
            TAG,
            answer=TokenShown,
            takes=(FORM,),
            refusals=(
                Reason.SIGN_IN_FAILED, Reason.NOT_IN_LIST, Reason.NOT_PERMITTED, Reason.VALUE_OUT_OF_RANGE,
                Reason.MISSING_FIELD, Reason.FIELDS_CONFLICT,
            ),
        ),
    ),
    sync_to_thread=True,
    status_code=200,
)  # fmt: skip
def give_token(
    desk: TheDesk,
    request: AnyRequest,
    data: Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[bytes]:
    """A short token for a program that signs that it is itself: `grant_type=client_credentials` with a
    `private_key_jwt` assertion (EdDSA or ES256; `aud` is this address; `exp` within five minutes; each `jti` once)."""
    try:
        return _give_token(desk, request, data)
    except Refused as refused:
        problem = make_problem(refused, get_request_id(request.scope))
        wait = refused.facts.get("retry_after_s")
        headers = {"Retry-After": str(wait)} if isinstance(wait, int) else {}
        document = problem.to_document() | {"error": _ERRORS.get(refused.reason, "invalid_request")}
        return Response(
            msgspec.json.encode(document), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers
        )


def _give_token(desk: Desk, request: AnyRequest, data: dict[str, Any]) -> Response[bytes]:
    given = {name: value for name, value in data.items() if isinstance(value, str)}
    if given.get("grant_type") != "client_credentials":
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "grant_type is client_credentials here", pointer="/grant_type")
    if given.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in given:
        raise Refused(
            Reason.MISSING_FIELD,
            f"send client_assertion, and client_assertion_type={ASSERTION_TYPE}",
            pointer="/client_assertion",
        )
    audiences = frozenset({f"{desk.origin}{PATH}", desk.origin})
    granted = grant_token(
        get_office(desk), get_visit(request), audiences, given["client_assertion"], given.get("scope")
    )
    scope = " ".join(sorted(granted.scopes))
    return answer(TokenShown(access_token=granted.access_token, expires_in=granted.expires_in_s, scope=scope))


# ---- a member's programs


@get("/clients", opt=promise(ADMINS, Contract(TAG, answer=ClientList)), sync_to_thread=True)
def list_programs(desk: TheDesk, principal: ThePrincipal, request: AnyRequest) -> Response[bytes]:
    """The programs of your member, with their keys: since when, until when, when last used."""
    found = list_clients(get_office(desk), principal)
    return answer_fresh(request, ClientList(data=[_show(client, keys) for client, keys in found]))


@post(
    "/clients",
    opt=promise(
        FRESH_ADMINS,
        Contract(
            TAG,
            answer=ClientShown,
            body=ClientIn,
            status=201,
            refusals=(
                Reason.NOT_IN_LIST, Reason.TEXT_NOT_ALLOWED, Reason.MISSING_FIELD, Reason.NOT_PRIVATE,
                Reason.WRONG_TYPE, Reason.FIELDS_CONFLICT,
            ),
        ),
    ),
    sync_to_thread=True,
)  # fmt: skip
def add_program(desk: TheDesk, principal: ThePrincipal, data: JSONBody[ClientIn]) -> Response[bytes]:
    """Add a program. Its key is in this answer, and never again; with `public_key` (a JWK) it has none, and asks for
    tokens."""
    office, member = get_office(desk), principal.member
    if member is None:
        raise Refused(Reason.NOT_PERMITTED, "a program belongs to a member")
    if data.public_key is not None and data.valid_days is not None:
        raise Refused(Reason.FIELDS_CONFLICT, "valid_days is for a key of ours", pointer="/valid_days")
    kind = KEY if data.public_key is None else OAUTH
    made = add_client(office, principal, member, data.name, parse_scopes(data.scopes), kind)
    if data.public_key is not None:
        try:
            add_public_key(office, principal, made.public_id, data.public_key)
        except Refused:
            # A program that nothing can sign for is of no use to anybody.
            end_client(office, principal, made.public_id)
            raise
        return answer(_show(made, []), 201)
    valid_ms = None if data.valid_days is None else data.valid_days * DAY_MS
    return answer(_show_issued(desk, issue_key(office, principal, made.public_id, valid_ms=valid_ms)), 201)


@post(
    "/clients/{client:str}/rotate",
    opt=promise(
        FRESH_ADMINS,
        Contract(TAG, answer=ClientShown, status=201, refusals=(Reason.UNKNOWN_CLIENT, Reason.TOO_MANY_KEYS)),
    ),
    sync_to_thread=True,
)
def rotate_program(desk: TheDesk, principal: ThePrincipal, client: FromPath[str]) -> Response[bytes]:
    """A new key; the one before it is good for one day more."""
    return answer(_show_issued(desk, rotate_key(get_office(desk), principal, client)), 201)


@delete(
    "/clients/{client:str}/keys/{hint:str}",
    opt=promise(FRESH_ADMINS, Contract(TAG, answer=Ended, refusals=(Reason.UNKNOWN_CLIENT,))),
    status_code=200,
    sync_to_thread=True,
)
def revoke_program_key(
    desk: TheDesk, principal: ThePrincipal, client: FromPath[str], hint: FromPath[str]
) -> Response[bytes]:
    """End one key at once, by its beginning."""
    revoke_key(get_office(desk), principal, client, hint)
    return answer(Ended(id=hint))


@delete(
    "/clients/{client:str}",
    opt=promise(FRESH_ADMINS, Contract(TAG, answer=Ended, refusals=(Reason.UNKNOWN_CLIENT,))),
    status_code=200,
    sync_to_thread=True,
)
def end_program(desk: TheDesk, principal: ThePrincipal, client: FromPath[str]) -> Response[bytes]:
    """End a program with every key and token that it has, at once."""
    end_client(get_office(desk), principal, client)
    return answer(Ended(id=client))


def _show_issued(desk: Desk, issued: Issued) -> ClientShown:
    return msgspec.structs.replace(_show(issued.client, []), key=issued.secret)


def _show(client: Client, keys: list[ApiKey] | Any) -> ClientShown:
    return ClientShown(
        id=client.public_id,
        name=client.name,
        kind="oauth" if client.kind == OAUTH else "key",
        scopes=sorted(client.scopes),
        created=format_time(client.created_at),
        ended=None if client.ended_at is None else format_time(client.ended_at),
        keys=[
            KeyShown(
                hint=key.hint,
                created=format_time(key.created_at),
                until=None if key.until is None else format_time(key.until),
                last_used=None if key.used_at is None else format_time(key.used_at),
                revoked=None if key.revoked_at is None else format_time(key.revoked_at),
            )
            for key in keys
        ],
    )


ROUTES = [give_token, list_programs, add_program, rotate_program, revoke_program_key, end_program]
