"""An authenticator in software: it makes passkeys and signs with them, as a phone does. Nothing of ours is in it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from fido2.cose import ES256, CoseKey, EdDSA
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

PRESENT_AND_VERIFIED = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass
class Authenticator:
    """Passkeys by credential id. `site` is the origin that the browser says; `counter` is 0 where none is kept."""

    site: str
    counter: int = 0
    flags: int = PRESENT_AND_VERIFIED
    is_edwards: bool = False
    keys: dict[bytes, PrivateKey] = field(default_factory=dict)
    handles: dict[bytes, str] = field(default_factory=dict)

    def create(self, options: Any, **changed: Any) -> dict[str, Any]:
        """The answer to `navigator.credentials.create`."""
        key: PrivateKey = (
            ed25519.Ed25519PrivateKey.generate() if self.is_edwards else ec.generate_private_key(ec.SECP256R1())
        )
        credential_id = os.urandom(32)
        self.keys[credential_id] = key
        kind: Any = EdDSA if self.is_edwards else ES256
        public: CoseKey = kind.from_cryptography_key(key.public_key())
        self.handles[credential_id] = options["user"]["id"]
        credential = AttestedCredentialData.create(bytes(16), credential_id, public)
        data = AuthenticatorData.create(
            self._hash_site(options["rp"]["id"]), self.flags | AuthenticatorData.FLAG.AT, self.counter, credential
        )
        attestation = AttestationObject.create("none", data, {})
        client = self._make_client_data("webauthn.create", options, changed)
        response = {"clientDataJSON": websafe_encode(client), "attestationObject": websafe_encode(attestation)}
        return self._answer(credential_id, response)

    def get(self, options: Any, credential_id: bytes | None = None, **changed: Any) -> dict[str, Any]:
        """The answer to `navigator.credentials.get`, with the newest passkey or the one that is named."""
        credential_id = credential_id or list(self.keys)[-1]
        if self.counter:
            self.counter += 1
        data = AuthenticatorData.create(self._hash_site(options["rpId"]), self.flags, self.counter)
        client = self._make_client_data("webauthn.get", options, changed)
        key, message = self.keys[credential_id], bytes(data) + sha256(client).digest()
        signature = (
            key.sign(message)
            if isinstance(key, ed25519.Ed25519PrivateKey)
            else key.sign(message, ec.ECDSA(hashes.SHA256()))
        )
        response = {
            "clientDataJSON": websafe_encode(client),
            "authenticatorData": websafe_encode(bytes(data)),
            "signature": websafe_encode(signature),
        }
        if credential_id in self.handles:
            response["userHandle"] = self.handles[credential_id]
        return self._answer(credential_id, response)

    def make_unknown(self) -> bytes:
        """A passkey that no service has seen."""
        credential_id = os.urandom(32)
        self.keys[credential_id] = ec.generate_private_key(ec.SECP256R1())
        return credential_id

    def _make_client_data(self, type_: str, options: Any, changed: dict[str, Any]) -> bytes:
        document = {"type": type_, "challenge": options["challenge"], "origin": self.site, "crossOrigin": False}
        return json.dumps(document | changed).encode()

    def _hash_site(self, site_id: str) -> bytes:
        return sha256(site_id.encode()).digest()

    def _answer(self, credential_id: bytes, response: dict[str, Any]) -> dict[str, Any]:
        name = websafe_encode(credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
