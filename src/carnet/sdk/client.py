"""The client: what a program can ask of a service, grouped as the API is.

Ids are texts with their prefix (`pas_…`, `ent_…`). A vehicle is named by its VIN, or as `scheme:value`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx2
import msgspec

from carnet.passport.ownkey import OwnKey
from carnet.passport.subject import parse_subject
from carnet.sdk import shapes
from carnet.sdk.files import Files
from carnet.sdk.hooks import Webhooks
from carnet.sdk.pages import Page, walk
from carnet.sdk.sandbox import Sandbox
from carnet.sdk.signing import make_entry, sign_entries
from carnet.sdk.transport import Transport


class Client:
    """A service and a key to it. Use it in a `with` block, or close it; for one thread at a time.

    `key` is an API key or an access token; without one, what is public can be asked. Raises nothing until it is used.
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        *,
        timeout_s: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.transport = Transport(address, key, timeout_s=timeout_s, transport=transport, sleep=sleep)
        self.passports = Passports(self.transport)
        self.entries = Entries(self.transport)
        self.proofs = Proofs(self.transport)
        self.files = Files(self.transport)
        self.network = Network(self.transport)
        self.desk = Desk(self.transport)
        self.sandbox = Sandbox(self.transport)
        self.webhooks = Webhooks(self.transport)

    def close(self) -> None:
        """End the connections; idempotent."""
        self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Passports:
    """Opening passports and finding them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def open(self, vehicle: str, occasion: str, *, idempotency_key: str | None = None) -> shapes.Sealed:
        """Open the passport of a vehicle that has none. Raises Conflict (`subject_taken`) where there is one."""
        body = {"subject": _read_vehicle(vehicle), "occasion": occasion}
        return self._transport.post("/v1/passports", shapes.Sealed, body, idempotency_key=idempotency_key)

    def find(self, vehicle: str) -> str:
        """The id of a vehicle's passport. Raises NotFound, also for one that you may not know of."""
        params = {name: _read_vehicle(vehicle)[name] for name in ("scheme", "value")}
        return self._transport.get("/v1/passports", Page[shapes.Found], params).data[0].id

    def held(self) -> Iterator[str]:
        """The ids of the passports that you hold."""
        for found in walk(self._transport, "/v1/passports", shapes.Found, {}):
            yield found.id

    def get(self, passport: str) -> shapes.Passport:
        """A passport at a glance."""
        return self._transport.get(f"/v1/passports/{passport}", shapes.Passport)


class Entries:
    """Appending, and reading the timeline."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def append(
        self,
        passport: str,
        kind: str,
        fields: Mapping[str, Any],
        *,
        at: str | None,
        precision: str = "day",
        zone: str | None = None,
        vehicle: str | None = None,
        corrects: str | None = None,
        contests: str | None = None,
        with_proof: bool = False,
        idempotency_key: str | None = None,
    ) -> shapes.Sealed:
        """Append an entry to a passport; `vehicle` where you have not written in it before. `at` None: nobody knows
        when."""
        body = _make_body(kind, fields, at, precision, zone, corrects, contests)
        if vehicle is not None:
            body["subject"] = _read_vehicle(vehicle)
        path, params = f"/v1/passports/{passport}/entries", {"proof": with_proof or None}
        return self._transport.post(path, shapes.Sealed, body, params=params, idempotency_key=idempotency_key)

    def append_to(
        self,
        vehicle: str,
        kind: str,
        fields: Mapping[str, Any],
        *,
        at: str | None,
        precision: str = "day",
        zone: str | None = None,
        corrects: str | None = None,
        contests: str | None = None,
        with_proof: bool = False,
        idempotency_key: str | None = None,
    ) -> shapes.Sealed:
        """Append an entry to the passport of the vehicle that you have before you."""
        body = _make_body(kind, fields, at, precision, zone, corrects, contests)
        body["subject"] = _read_vehicle(vehicle)
        params = {"proof": with_proof or None}
        return self._transport.post("/v1/entries", shapes.Sealed, body, params=params, idempotency_key=idempotency_key)

    def timeline(
        self,
        passport: str,
        *,
        kinds: Iterable[str] = (),
        author: str | None = None,
        since: str | None = None,
        until: str | None = None,
        in_state: str | None = None,
    ) -> Iterator[shapes.Entry]:
        """The entries that you see, newest first, page by page as they are asked for."""
        params = _make_filters(kinds, author, since, until, in_state)
        return walk(self._transport, f"/v1/passports/{passport}/entries", shapes.Entry, params)

    def metadata(
        self,
        passport: str,
        *,
        kinds: Iterable[str] = (),
        author: str | None = None,
        since: str | None = None,
        until: str | None = None,
        in_state: str | None = None,
    ) -> Iterator[shapes.Metadata]:
        """The same without any value."""
        params = _make_filters(kinds, author, since, until, in_state)
        return walk(self._transport, f"/v1/passports/{passport}/metadata", shapes.Metadata, params)

    def get(self, passport: str, entry: str, *, with_proof: bool = False) -> shapes.Entry:
        """One entry; with its proof in `bundle` if it is asked for."""
        path = f"/v1/passports/{passport}/entries/{entry}"
        return self._transport.get(path, shapes.Entry, {"proof": with_proof or None})

    def sign(
        self,
        key: OwnKey,
        passport: str,
        kind: str,
        fields: Mapping[str, Any],
        *,
        vehicle: str,
        at: str | None,
        precision: str = "day",
        zone: str | None = None,
    ) -> shapes.Submitted:
        """Append an entry that your own key signs here, on this machine: the service sees a signature, never the
        key."""
        draft = make_entry(passport, _read_vehicle(vehicle), kind, fields, at=at, precision=precision, zone=zone)
        return self.submit(sign_entries(key, [draft]))

    def submit(self, submission: bytes) -> shapes.Submitted:
        """Send what `sign_entries` or `carnet sign` made. Sent again it gets the same receipts."""
        headers = {"Content-Type": "application/json"}
        answered = self._transport.send("POST", "/v1/submissions", content=submission, headers=headers)
        return msgspec.json.decode(answered.content, type=shapes.Submitted)


class Desk:
    """Your member's own book: what it sealed, how much on each day, and its codes for customers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def entries(
        self, *, kinds: Iterable[str] = (), since: str | None = None, until: str | None = None
    ) -> Iterator[shapes.OwnEntry]:
        """What your member sealed, the latest first, from the day `since` to the day `until` (UTC)."""
        params = {"kind": list(kinds) or None, "since": since, "until": until}
        return walk(self._transport, "/v1/entries", shapes.OwnEntry, params, "cursor")

    def use(self, *, since: str | None = None, until: str | None = None) -> list[shapes.Use]:
        """How many entries were sealed on each day; without days, in the last thirty."""
        return self._transport.get("/v1/use", Page[shapes.Use], {"since": since, "until": until}).data

    def issue_code(self, passport: str) -> shapes.IssuedCode:
        """A one-time code with which a holder claims a passport that your member opened or serviced."""
        return self._transport.post("/v1/claim-codes", shapes.IssuedCode, {"passport": passport})

    def invite(self, vehicles: Sequence[str]) -> list[shapes.Invited]:
        """For each of up to 100 vehicles (VIN or plate) of your customers, a code and the link to claim its passport
        with, under your member's look; or the code of why there is none."""
        body = {"vehicles": list(vehicles)}
        return self._transport.post("/v1/customers", shapes.InvitedList, body).data

    def codes(self) -> Iterator[shapes.PrintedCode]:
        """The codes that your member printed, the newest first."""
        return walk(self._transport, "/v1/claim-codes", shapes.PrintedCode, {})

    def revoke_code(self, code: str) -> shapes.PrintedCode:
        """Withdraw a code that was not used."""
        answered = self._transport.send("DELETE", f"/v1/claim-codes/{code}")
        return msgspec.json.decode(answered.content, type=shapes.PrintedCode)


class Proofs:
    """Proofs, as the bytes of `.carnet` files."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def passport(self, passport: str) -> bytes:
        """The proof of all that you see of a passport."""
        return self._transport.get_bytes(f"/v1/passports/{passport}/proof")

    def entry(self, passport: str, entry: str) -> bytes:
        """The proof of one entry."""
        return self._transport.get_bytes(f"/v1/passports/{passport}/entries/{entry}/proof")

    def verify(
        self, proof: bytes, *, vehicle: str | None = None, max_age_days: int | None = None
    ) -> shapes.Verification:
        """Have a proof checked by the service, which needs no key. To trust nobody: `carnet verify`."""
        params = {"subject": vehicle, "max_age_days": max_age_days}
        answered = self._transport.send(
            "POST",
            "/v1/verifications",
            content=proof,
            headers={"Content-Type": "application/octet-stream"},
            params={name: value for name, value in params.items() if value is not None},
        )
        return msgspec.json.decode(answered.content, type=shapes.Verification)


class Network:
    """What is public of the network."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def policy(self) -> bytes:
        """The trust policy, to be compared with whom you trust before it is used."""
        return self._transport.get_bytes("/v1/policy")

    def kind(self, kind: str) -> dict[str, Any]:
        """A kind of entry with the JSON Schema of its fields."""
        return self._transport.get(f"/v1/kinds/{kind}", dict[str, Any])

    def members(self) -> Iterator[dict[str, Any]]:
        """The members, in the order of their enrolment."""
        return walk(self._transport, "/v1/members", dict[str, Any], {})


def _make_body(
    kind: str,
    fields: Mapping[str, Any],
    at: str | None,
    precision: str,
    zone: str | None,
    corrects: str | None,
    contests: str | None,
) -> dict[str, Any]:
    return {
        "kind": kind,
        "occurred": {"at": at, "precision": precision if at is not None else "unknown", "zone": zone},
        "fields": dict(fields),
        "corrects": corrects,
        "contests": contests,
    }


def _make_filters(
    kinds: Iterable[str], author: str | None, since: str | None, until: str | None, in_state: str | None
) -> dict[str, Any]:
    return {"kind": list(kinds) or None, "author": author, "since": since, "until": until, "in_state": in_state}


def _read_vehicle(vehicle: str) -> dict[str, Any]:
    """A VIN, or `scheme:value`. Raises Refused as `parse_subject`."""
    return parse_subject(vehicle).to_json()
