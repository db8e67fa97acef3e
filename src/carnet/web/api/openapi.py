"""`/v1/openapi.json`: the published contract, made from the routes themselves and from what each promises.

Whatever a route takes and gives is read off its handler; nothing is written twice. It refuses to describe a route that
promises nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import HeaderParameter
from litestar.routes import HTTPRoute

import carnet
from carnet.errors import InvariantBroken, Reason
from carnet.services.names import Prefix, pattern
from carnet.services.principals import Standing
from carnet.services.webhooks.events import EVENTS, EventKind, make_example
from carnet.web.api.contract import ALWAYS, JSON, Contract, promise
from carnet.web.matching import TAGS
from carnet.web.policy import OPEN, Policy, is_answering_options
from carnet.web.problems import MEDIA_TYPE, STATUSES

PATH: Final = "/v1/openapi.json"
_PLACE = re.compile(r"\{(\w+):\w+\}")
_TEMPLATE = "#/components/schemas/{name}"
_NAMES: Final = {
    "passport": Prefix.PASSPORT, "entry": Prefix.ENTRY, "member": Prefix.MEMBER, "job": Prefix.JOB,
    "webhook": Prefix.WEBHOOK, "message": Prefix.MESSAGE,
}  # fmt: skip

_PROBLEM: Final[dict[str, Any]] = {
    "additionalProperties": False,
    "description": "A refusal (RFC 9457). `code` is stable, `type` is the address of what it means and what to do.",
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "error": {
            "type": "string",
            "description": "Of /v1/oauth/token alone: the code of RFC 6749 §5.2, for libraries that look for it.",
        },
        "errors": {
            "items": {
                "additionalProperties": False,
                "properties": {
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "pointer": {"type": "string"},
                },
                "required": ["code", "detail", "pointer"],
                "type": "object",
            },
            "type": "array",
        },
        "request_id": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "type": {"type": "string"},
    },
    "required": ["code", "detail", "errors", "request_id", "status", "title", "type"],
    "title": "Problem",
    "type": "object",
}


@get(
    "/openapi.json",
    opt=promise(OPEN, Contract("Network")),
    sync_to_thread=True,
)
def get_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """This document."""
    shelf = request.app.state.desk.shelf
    if "openapi" not in shelf:
        shelf["openapi"] = msgspec.json.encode(make_openapi(request.app))
    return Response(shelf["openapi"], media_type=JSON, headers={"Cache-Control": "public, max-age=300"})


def make_openapi(app: Litestar) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every route under `/v1`. Raises InvariantBroken for one without a contract."""
    found = list(_walk(app))
    promised = [one for _, _, contract in found for one in (contract.answer, contract.body) if one is not None]
    types = list({repr(one): one for one in (*promised, *(event.data for event in EVENTS))}.values())
    shown, components = msgspec.json.schema_components(types, ref_template=_TEMPLATE)
    refs = {repr(one): schema for one, schema in zip(types, shown, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for path, handler, contract in found:
        for method in sorted(str(one) for one in handler.http_methods - {"HEAD", "OPTIONS"}):
            operation = _make_operation(path, handler, contract, refs)
            paths.setdefault(_PLACE.sub(r"{\1}", path), {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vehicle Life Cycle API",
            "version": carnet.__version__,
            "description": "Certified vehicle histories: append, read, prove. See docs/api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in sorted({contract.tag for _, _, contract in found})],
        "paths": dict(sorted(paths.items())),
        "webhooks": {event.name: {"post": _make_webhook(event, refs)} for event in EVENTS},
        "components": {
            "schemas": {**dict(sorted(components.items())), "Problem": _PROBLEM},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, or an access token of /v1/oauth/token.",
                },
            },
        },
    }


def _make_webhook(event: EventKind, refs: Mapping[str, Any]) -> dict[str, Any]:
    """What a member's address is sent, and what it answers. Standard Webhooks 1.0.0."""
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": event.name},
            "timestamp": {"type": "string", "description": "When it happened: RFC 3339, in UTC."},
            "data": refs[repr(event.data)],
        },
    }
    headers = (
        ("webhook-id", "The id of the message, the same whenever it is sent again."),
        ("webhook-timestamp", "When it was sent, in seconds since 1970."),
        (
            "webhook-signature",
            "`v1a,` and the Ed25519 signature of `id.timestamp.body` in Base64; several with spaces.",
        ),
    )
    return {
        "operationId": "webhook_" + event.name.replace(".", "_"),
        "tags": ["Events"],
        "summary": event.meaning,
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": told, "schema": {"type": "string"}}
            for name, told in headers
        ],
        "requestBody": {"required": True, "content": {JSON: {"schema": schema, "example": make_example(event)}}},
        "responses": {
            "2XX": {"description": "Taken."},
            "410": {"description": "Gone: the address is told nothing more."},
            "default": {"description": "Not taken: it is sent again, for three days."},
        },
    }


def _walk(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler, Contract]]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or not route.path.startswith("/v1/"):
            continue
        for handler in route.route_handlers:
            if is_answering_options(handler):
                continue
            contract = handler.opt.get("contract")
            if not isinstance(contract, Contract):
                raise InvariantBroken(f"the route {route.path} promises nothing (web.api.contract)")
            yield route.path, handler, contract


def _make_operation(
    path: str, handler: HTTPRouteHandler, contract: Contract, refs: Mapping[str, Any]
) -> dict[str, Any]:
    policy: Policy = handler.opt["policy"]
    doc = inspect.cleandoc(_get_function(handler).__doc__ or "")
    operation: dict[str, Any] = {
        "operationId": _get_function(handler).__name__,
        "tags": [contract.tag],
        "summary": re.split(r"[.:;]\s|\.$", doc.replace("\n", " "))[0],
        "description": doc.replace("\n", " ") + f"\n\nWho: {policy.describe()}.",
        "parameters": list(_make_parameters(path, handler, contract)),
        "responses": _make_responses(
            contract, policy, refs, has_path="{" in path, is_read="GET" in handler.http_methods
        ),
    }
    if Standing.VISITOR not in policy.standings:
        operation["security"] = [{"key": [] if policy.scope is None else [policy.scope.value]}]
    body = _make_body(contract, refs)
    if body is not None:
        operation["requestBody"] = body
    return operation


def _get_function(handler: HTTPRouteHandler) -> Any:
    """The function as it is written; Litestar wraps the ones that run in a thread."""
    function: Any = handler.fn
    while hasattr(function, "func"):
        function = function.func
    return function


def _make_parameters(path: str, handler: HTTPRouteHandler, contract: Contract) -> Iterator[dict[str, Any]]:
    for name in _PLACE.findall(path):
        prefix = _NAMES.get(name)
        schema = {"type": "string"} if prefix is None else {"type": "string", "pattern": pattern(prefix)}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    places = set(_PLACE.findall(path))
    known: Mapping[str, bool] = handler.opt.get("query", {})
    for name, field in handler.parsed_fn_signature.parameters.items():
        kwarg = field.kwarg_definition
        alias = getattr(kwarg, "name", None) or name
        if isinstance(kwarg, HeaderParameter):
            schema = _make_query_schema(field, kwarg)
            yield {"name": str(kwarg.name), "in": "header", "required": True, "schema": schema}
        if name in places or alias not in known:
            continue
        yield {"name": alias, "in": "query", "required": False, "schema": _make_query_schema(field, kwarg)}
    if contract.is_idempotent:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "A random text of 8 to 128 characters: asked again with it, the answer is the same.",
            "schema": {"type": "string", "pattern": "^[!-~]{8,128}$"},
        }
    if contract.is_matched:
        yield {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": "The `ETag` of what you saw: it is changed only if it is still so (RFC 9110 §13.1.1).",
            "schema": {"type": "string", "pattern": f"^{TAGS}$"},
        }


def _make_query_schema(field: Any, kwarg: Any) -> dict[str, Any]:
    schema = dict(msgspec.json.schema(field.annotation))
    schema.pop("title", None)
    options = schema.pop("anyOf", None)
    if options is not None:
        # Left out is how a query says null.
        kept = [one for one in options if one != {"type": "null"}]
        schema.update(kept[0] if len(kept) == 1 else {"anyOf": kept})
    if "enum" in schema:
        schema["enum"] = [one for one in schema["enum"] if one is not None]
    for ours, theirs in (("ge", "minimum"), ("le", "maximum")):
        if getattr(kwarg, ours, None) is not None:
            schema[theirs] = getattr(kwarg, ours)
    if field.name == "limit":
        schema |= {"minimum": 1, "maximum": 200}
    if field.has_default and field.default not in (None, inspect.Parameter.empty):
        schema["default"] = field.default
    return schema


def _make_body(contract: Contract, refs: Mapping[str, Any]) -> dict[str, Any] | None:
    if contract.body is not None:
        media: dict[str, Any] = {"schema": refs[repr(contract.body)]}
        if contract.example is not None:
            media["example"] = dict(contract.example)
        return {"required": True, "content": {JSON: media}}
    if contract.takes:
        plain: dict[str, Any] = {"schema": {}}
        return {"required": True, "content": dict.fromkeys(contract.takes, plain)}
    return None


def _make_responses(
    contract: Contract, policy: Policy, refs: Mapping[str, Any], *, has_path: bool, is_read: bool
) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "As asked."}
    if contract.status != 204:
        schema: dict[str, Any] = {} if contract.media == JSON else {"type": "string"}
        if contract.answer is not None:
            schema = refs[repr(contract.answer)]
        good["content"] = {contract.media: {"schema": schema}}
    responses: dict[str, Any] = {str(contract.status): good}
    if is_read and contract.answer is not None:
        responses["304"] = {"description": "You have it already: it is that of your If-None-Match."}
    reasons: dict[int, list[str]] = {}
    for reason in list_refusals(contract, policy, has_path=has_path):
        reasons.setdefault(STATUSES[reason], []).append(reason.value)
    for status, codes in sorted(reasons.items()):
        responses[str(status)] = {
            "description": "Refused: " + ", ".join(sorted(set(codes))),
            "content": {MEDIA_TYPE: {"schema": {"$ref": _TEMPLATE.format(name="Problem")}}},
        }
    return responses


def list_refusals(contract: Contract, policy: Policy, *, has_path: bool) -> list[Reason]:
    """Every reason that a route may give, those that any route may give too."""
    reasons = [*ALWAYS, *contract.refusals, Reason.UNKNOWN_FIELD, Reason.WRONG_TYPE]
    if Standing.VISITOR not in policy.standings:
        reasons += [Reason.NOT_SIGNED_IN, Reason.NOT_PERMITTED]
    if policy.fresh:
        reasons.append(Reason.CONFIRMATION_NEEDED)
    if contract.body is not None or contract.takes:
        reasons += [Reason.REQUEST_TOO_LARGE, Reason.WRONG_MEDIA_TYPE, Reason.NOT_JSON]
    if contract.body is not None:
        reasons += [Reason.DUPLICATE_KEY, Reason.NESTED_TOO_DEEP]
    if contract.is_idempotent:
        reasons += [Reason.IDEMPOTENCY_KEY_REUSED, Reason.REQUEST_AT_WORK]
    if contract.is_matched:
        reasons.append(Reason.CHANGED_SINCE)
    if has_path:
        reasons.append(Reason.NOT_FOUND)
    return reasons


ROUTES = [get_openapi]
