"""The keys of webhooks: each signs for one address, and follows from the key of the store of people, so that no secret
is kept.

While one key replaces another, both sign: the receiver takes either. Source: Standard Webhooks 1.0.0, "asymmetric".
"""

from __future__ import annotations

from typing import Final

from carnet.encoding import b64
from carnet.services.accounts.office import DAY_MS, Office
from carnet.services.webhooks.endpoints import Endpoint
from carnet.signing import Signer
from carnet.types import Millis

PUBLIC_PREFIX: Final = "whpk_"
OVERLAP_MS: Final = DAY_MS
"""How long the key before the newest one still signs too."""


def get_signer(office: Office, endpoint: Endpoint, generation: int) -> Signer:
    """The key pair of one generation."""
    return Signer(office.digest("webhook key", endpoint.id, generation.to_bytes(4, "big")))


def get_public_key(office: Office, endpoint: Endpoint) -> str:
    """The newest public key, as its member keeps it: `whpk_` and Base64."""
    return show_key(get_signer(office, endpoint, endpoint.generation))


def list_public_keys(office: Office, endpoint: Endpoint, now: Millis) -> list[str]:
    """Those that sign now, the newest first."""
    return [show_key(get_signer(office, endpoint, generation)) for generation in list_generations(endpoint, now)]


def list_generations(endpoint: Endpoint, now: Millis) -> list[int]:
    """The generations that sign now, the newest first."""
    is_overlap = endpoint.rotated_at is not None and now < endpoint.rotated_at + OVERLAP_MS
    return [endpoint.generation, endpoint.generation - 1] if is_overlap else [endpoint.generation]


def sign(office: Office, endpoint: Endpoint, message: str, now: Millis, payload: bytes) -> dict[str, str]:
    """The headers of a delivery at this moment (ms); `message` is its id."""
    seconds = str(now // 1000)
    signed = f"{message}.{seconds}.".encode() + payload
    signers = (get_signer(office, endpoint, generation) for generation in list_generations(endpoint, now))
    return {
        "webhook-id": message,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1a,{b64(signer.sign(signed))}" for signer in signers),
    }


def show_key(signer: Signer) -> str:
    """A public key as text."""
    return PUBLIC_PREFIX + b64(signer.public)
