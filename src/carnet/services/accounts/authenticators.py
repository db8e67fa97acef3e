"""What is asked of an authenticator and what it answers: the one place that knows the WebAuthn library.

Answers come from outside and may be anything at all: whatever cannot be read is no answer. Source: W3C WebAuthn 3 §7.1
and §7.2. It refuses to know accounts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256, CoseKey
from fido2.server import Fido2Server
from fido2.utils import bytes2int, websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from carnet.signing import is_strict_point

ALGORITHMS: Final = (-8, -7, -257)
"""EdDSA, ES256, RS256 (COSE's numbers): what authenticators make, and security 21 allows."""

RSA_BITS: Final = (2048, 4096)

_OKP, _EC, _RSA = 1, 2, 3
_ED25519 = 6
_KINDS: Final = {-8: _OKP, -7: _EC, -257: _RSA}
"""The kind of key of each algorithm, in COSE's numbers (RFC 9053)."""

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
    """A passkey that has signed: whose, which, its counter now (`is_copied` if that did not grow as it must), and the
    handle of the account that the authenticator made it for, where it says one."""

    account: bytes
    credential_id: bytes
    sign_count: int
    is_copied: bool
    handle: bytes | None


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
        parsed = RegistrationResponse.from_dict(answer)
        data = server.register_complete(_make_state(challenge), answer)
        credential = data.credential_data
        if credential is None or not _is_of_this_page(parsed) or not _is_consistent(data):
            return None
        if not _is_plain(parsed.response.attestation_object) or parsed.raw_id != credential.credential_id:
            return None
        if not 1 <= len(credential.credential_id) <= MAX_ID_BYTES or not _can_verify(credential.public_key):
            return None
    except Exception:
        # Bytes from outside in a parser that is not ours: it raises what it likes, and all of it means the same.
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
        data, handle = parsed.response.authenticator_data, parsed.response.user_handle
        is_sound = _is_of_this_page(parsed) and _is_consistent(data)
    except Exception:
        # As above.
        return None
    if found is None or not is_sound:
        return None
    account, _, before = found
    count = data.counter
    # Source: WebAuthn 3 §7.2, step 22. Those that keep no counter always say 0.
    is_copied = (count or before) != 0 and count <= before
    return Asserted(account, credential_id, count, is_copied, None if handle is None else bytes(handle))


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


def _is_of_this_page(parsed: Any) -> bool:
    """Whether a page of ours asked, and no page around it: none of ours asks within a frame. Source: WebAuthn 3 §7.1,
    steps 10 and 11; §7.2, steps 13 and 14. The library looks at neither, nor at the type."""
    said = json.loads(bytes(parsed.response.client_data))
    is_key = parsed.type == PublicKeyCredentialType.PUBLIC_KEY
    return is_key and said.get("crossOrigin", False) is False and "topOrigin" not in said


def _is_consistent(data: AuthenticatorData) -> bool:
    """Whether a passkey that says it has a copy elsewhere may have one. Source: WebAuthn 3 §6.1.3, §7.1 step 16."""
    return not data.is_backed_up() or data.is_backup_eligible()


def _is_plain(attestation: AttestationObject) -> bool:
    """Whether an attestation has the parts of the format and no other, and one of nothing says nothing. Source:
    WebAuthn 3 §6.5.4 and §8.7. No statement is relied upon."""
    document: Any = cbor.decode(bytes(attestation))
    has_parts = set(document) == {"fmt", "attStmt", "authData"}
    return has_parts and (document["fmt"] != "none" or document["attStmt"] == {})


def _can_verify(key: CoseKey) -> bool:
    """Whether a key can sign at all, and not whoever likes: on its curve, of no small order, no short RSA. A passkey
    that never lets anybody in is told of at once, not when it is needed."""
    kind = _KINDS.get(key.ALGORITHM)
    if kind is None or key.get(1) != kind:
        return False
    if kind == _OKP and (key.get(-1) != _ED25519 or not is_strict_point(key[-2])):
        return False
    if kind == _RSA and not (RSA_BITS[0] <= bytes2int(key[-1]).bit_length() <= RSA_BITS[1] and bytes2int(key[-2]) > 2):
        return False
    try:
        key.verify(b"", b"")
    except InvalidSignature:
        return True
    return False


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
