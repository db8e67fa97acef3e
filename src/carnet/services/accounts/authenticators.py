"""What is asked of an authenticator and what it answers: the one place that knows the WebAuthn library.

Answers come from outside and may be anything at all: whatever cannot be read is no answer. Source: W3C WebAuthn 3 §7.1
and §7.2. It refuses to know accounts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256, CoseKey
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

ALGORITHMS: Final = (-8, -7, -257)
"""EdDSA, ES256, RS256 (COSE's numbers): what authenticators make, and security 21 allows."""

MAX_ID_BYTES: Final = 1023
"""Source: WebAuthn 3 §7.1, step 25."""

SITE_NAME: Final = "Carnet"

# The library writes credential ids at a level that is often on; they are nobody's business but the store's.
logging.getLogger("fido2").setLevel(logging.WARNING)


class Attested(NamedTuple):
    """A new passkey: its credential data as the authenticator attested it, and its counter."""

    credential: bytes
    sign_count: int


class Asserted(NamedTuple):
    """A passkey that has signed: whose, which, its counter now; `is_copied` if that did not grow as it must."""

    account: bytes
    credential_id: bytes
    sign_count: int
    is_copied: bool


FindCredential = Callable[[bytes], tuple[bytes, bytes, int] | None]
"""(account, credential data, counter) of a credential id."""


def make_request(site: str, challenge: bytes, known: Sequence[bytes] = ()) -> dict[str, Any]:
    """The options of `navigator.credentials.get` at an origin; for any passkey of the site if none is `known`."""
    options, _ = _get_server(site).authenticate_begin(
        _describe(known) or None, user_verification=UserVerificationRequirement.REQUIRED, challenge=challenge
    )
    return dict(options.public_key)


def make_creation(site: str, challenge: bytes, handle: bytes, name: str, known: Sequence[bytes]) -> dict[str, Any]:
    """The options of `navigator.credentials.create` for a person; an authenticator that has one of `known` makes no
    second."""
    options, _ = _get_server(site).register_begin(
        PublicKeyCredentialUserEntity(id=handle, name=name, display_name=name),
        _describe(known) or None,
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED,
        challenge=challenge,
    )
    return dict(options.public_key)


def read_challenge(answer: Mapping[str, Any]) -> bytes:
    """The challenge that an answer names; empty if it names none."""
    for response in (RegistrationResponse, AuthenticationResponse):
        found = _parse(response, answer)
        if found is not None:
            return bytes(found.response.client_data.challenge)
    return b""


def read_attestation(site: str, challenge: bytes, answer: Mapping[str, Any]) -> Attested | None:
    """The new passkey of an answer, if it answers this challenge at this site; else None."""
    server = _get_server(site)
    try:
        data = server.register_complete(_make_state(challenge), answer)
        credential = data.credential_data
    except Exception:
        # Bytes from outside in a parser that is not ours: it raises what it likes, and all of it means the same.
        return None
    if credential is None or credential.public_key.ALGORITHM not in ALGORITHMS:
        return None
    if not 1 <= len(credential.credential_id) <= MAX_ID_BYTES:
        return None
    return Attested(bytes(credential), data.counter)


def read_assertion(site: str, challenge: bytes, answer: Mapping[str, Any], find: FindCredential) -> Asserted | None:
    """Whose passkey signed this challenge at this site; None for nobody's. A signature is checked in either case."""
    parsed = _parse(AuthenticationResponse, answer)
    if parsed is None:
        return None
    credential_id = bytes(parsed.raw_id)
    found = find(credential_id)
    stored = _make_decoy(credential_id) if found is None else AttestedCredentialData(found[1])
    try:
        _get_server(site).authenticate_complete(_make_state(challenge), [stored], answer)
        count = parsed.response.authenticator_data.counter
    except Exception:
        # As above.
        return None
    if found is None:
        return None
    account, _, before = found
    # Source: WebAuthn 3 §7.2, step 22. Those that keep no counter always say 0.
    return Asserted(account, credential_id, count, (count or before) != 0 and count <= before)


def get_credential_id(credential: bytes) -> bytes:
    """The id in credential data."""
    return bytes(AttestedCredentialData(credential).credential_id)


def get_site_id(site: str) -> str:
    """The relying party's id of an origin: its host. A passkey is bound to it."""
    return urlsplit(site).hostname or "localhost"


@lru_cache(16)
def _get_server(site: str) -> Fido2Server:
    entity = PublicKeyCredentialRpEntity(name=SITE_NAME, id=get_site_id(site))
    # The very origin, not only the same domain: another port or a subdomain is another site.
    server = Fido2Server(entity, verify_origin=lambda origin: origin == site)
    server.allowed_algorithms = [
        PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=alg) for alg in ALGORITHMS
    ]
    return server


def _make_state(challenge: bytes) -> dict[str, Any]:
    return {"challenge": websafe_encode(challenge), "user_verification": UserVerificationRequirement.REQUIRED}


def _describe(ids: Sequence[bytes]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=one) for one in ids]


def _parse(response: Any, answer: Mapping[str, Any]) -> Any:
    try:
        return response.from_dict(answer)
    except Exception:
        # As in `read_attestation`.
        return None


@lru_cache(1)
def _get_decoy_key() -> CoseKey:
    # Its secret is known to all, and means nothing: what it signs is nobody's.
    return cast("CoseKey", ES256.from_cryptography_key(ec.derive_private_key(1, ec.SECP256R1()).public_key()))  # type: ignore[no-untyped-call]


def _make_decoy(credential_id: bytes) -> AttestedCredentialData:
    return AttestedCredentialData.create(bytes(16), credential_id[:MAX_ID_BYTES], _get_decoy_key())
