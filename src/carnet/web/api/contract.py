"""What a route promises, said once beside its handler: the answer's shape, the body's, the refusals, an example.

`openapi` makes the published document from it, and the tests hold both to what the routes do. It refuses to know what
any route is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from carnet.errors import Reason
from carnet.services.timelines import Shape

T = TypeVar("T")

JSON = "application/json"
PROOF = "application/vnd.carnet+json"
PLAIN = "text/plain"

ALWAYS = (Reason.MALFORMED_REQUEST, Reason.TOO_MANY_REQUESTS, Reason.SERVICE_FAULT, Reason.NODE_DAMAGED)
"""What any route may answer; those that ask who calls may answer NOT_SIGNED_IN and NOT_PERMITTED too."""


class ListOf(Shape, Generic[T], frozen=True, kw_only=True):
    """A page of a list. With `has_more`, ask again with `starting_after` the last one's id."""

    data: list[T]
    has_more: bool
    object: Literal["list"] = "list"


@dataclass(frozen=True, slots=True)
class Contract:
    """What one route promises. `answer` is the type of a JSON answer, or None where `media` is not JSON; `body` that of
    a JSON body, where it has one; `is_idempotent` that it takes `Idempotency-Key`, `is_matched` that it takes
    `If-Match`; `schemas` replaces the schema of members of the body that the types cannot say."""

    tag: str
    answer: Any = None
    body: Any = None
    media: str = JSON
    status: int = 200
    refusals: tuple[Reason, ...] = ()
    is_idempotent: bool = False
    is_matched: bool = False
    takes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    example: Mapping[str, Any] | None = None


def promise(policy: Any, contract: Contract, *, is_short: bool = False) -> dict[str, Any]:
    """The `opt` of a route. `is_short`: a body that is plainly what it takes comes by the short way (`web.short`)."""
    opt: dict[str, Any] = {"policy": policy, "contract": contract, "is_short": is_short}
    opt["is_matched"] = contract.is_matched
    if contract.takes:
        opt["media_types"] = frozenset(contract.takes)
    return opt
