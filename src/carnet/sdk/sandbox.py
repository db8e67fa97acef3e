"""The vehicles of a sandbox: `client.sandbox`, for which no key is needed."""

from __future__ import annotations

from collections.abc import Iterator

from carnet.sdk import shapes
from carnet.sdk.pages import Page, walk
from carnet.sdk.transport import Transport


class Sandbox:
    """Invented vehicles, in a network for trying things. Raises NotFound in a network that has none."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[str]:
        """The ids of their passports."""
        return [one.id for one in self._transport.get("/v1/sandbox/passports", Page[shapes.Found]).data]

    def get(self, passport: str) -> shapes.Passport:
        """One of them at a glance, as a holder sees a vehicle."""
        return self._transport.get(f"/v1/sandbox/passports/{passport}", shapes.Passport)

    def timeline(self, passport: str) -> Iterator[shapes.Entry]:
        """Its entries, newest first."""
        return walk(self._transport, f"/v1/sandbox/passports/{passport}/entries", shapes.Entry, {})

    def proof(self, passport: str) -> bytes:
        """Its proof, as the bytes of a `.carnet` file."""
        return self._transport.get_bytes(f"/v1/sandbox/passports/{passport}/proof")
