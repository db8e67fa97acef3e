"""What changed in the API, for those who have built on it: the newest first.

Whoever adds a route, or changes what one takes or gives, adds a line under the tag of its contract.
Nothing under `/v1` is taken away, and no member changes its meaning: what must, gets another address.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Change(NamedTuple):
    """Since which version, of which parts of the contract, and what."""

    version: str
    tags: tuple[str, ...]
    what: str


CHANGES: Final = (
    Change(
        "0.1.0",
        ("Clients", "Desk", "Files", "Network", "Webhooks"),
        "All JSON that is read carries an ETag, and 304 is answered to whoever has it.",
    ),
    Change("0.1.0", ("Sandbox",), "A fifth vehicle, CARNET-5, to write in with a key."),
    Change("0.1.0", ("Webhooks", "Files"), "Webhooks and mappings carry an ETag; a webhook is changed with If-Match."),
    Change("0.1.0", ("Webhooks",), "Addresses that are told what happened, by Standard Webhooks; scope webhooks."),
    Change("0.1.0", ("Appearance",), "How a member looks to its customers: name, colours, logo."),
    Change("0.1.0", ("Sandbox",), "Four vehicles: ordinary, corrected, with falling readings, little known."),
    Change("0.1.0", ("Files",), "Files as jobs: in parts, understood, mended, certified, accounted for row by row."),
    Change("0.1.0", ("Clients",), "Programs with keys or OAuth (private_key_jwt) and scopes; keys that overlap."),
    Change("0.1.0", ("Claims",), "Codes with which a holder claims a passport; who one is."),
    Change(
        "0.1.0",
        ("Passports", "Entries", "Proofs"),
        "Opening, appending, timelines, proofs, own signatures.",
    ),
    Change("0.1.0", ("Network",), "Members, kinds with their schemas, checkpoint, policy, verification."),
)
