"""An own key as bytes: the secret with which a member signs outside any node, in clear or under a passphrase.

It needs no node and no database, only what a verifier needs. It refuses to know files (`node.ownkey` does).

    {"carnet": "own-key/1", "member": base64(16)|null, "network": origin|null, "public": base64(32), "seed": base64(32)}

Under a passphrase, `seed` gives way to `sealed`, `salt` and `nonce`: XChaCha20-Poly1305 under Argon2id (RFC 9106,
64 MiB, three passes, one lane), bound to the rest of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, cast

from nacl import bindings, exceptions, pwhash

from carnet.encoding import b64, decode, encode, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.signing import Signer

FORMAT: Final = "own-key/1"
_PASSES, _MEMORY_BYTES = 3, 64 * 1024 * 1024


@dataclass(frozen=True)
class OwnKey:
    """A seed of 32 bytes; the network (its origin) and the member (16 bytes) that it is enrolled for, if any."""

    seed: bytes = field(repr=False)
    network: str | None = None
    member: bytes | None = None

    @property
    def signer(self) -> Signer:
        """What signs with it."""
        return Signer(self.seed)

    def enrolled(self, network: str, member: bytes) -> OwnKey:
        """For a member of a network, for ever: a key is listed once. Raises Refused(KEY_EXISTS) if it is for another
        one already."""
        if (self.network, self.member) not in ((None, None), (network, member)):
            raise Refused(
                Reason.KEY_EXISTS,
                f"this key is enrolled for member {(self.member or b'').hex()} of {self.network}: make another with"
                " `carnet keys new`",
                network=self.network,
            )
        return replace(self, network=network, member=member)


def write_own_key(key: OwnKey, passphrase: str | None, random_bytes: Callable[[int], bytes]) -> bytes:
    """The bytes of its file."""
    shown = _describe(key.network, key.member, key.signer.public)
    if passphrase is None:
        secret = {"seed": b64(key.seed)}
    else:
        salt, nonce = random_bytes(16), random_bytes(24)
        sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            key.seed, encode(shown), nonce, _derive(passphrase, salt)
        )
        secret = {"nonce": b64(nonce), "salt": b64(salt), "sealed": b64(sealed)}
    return encode({**shown, **secret}) + b"\n"


def read_own_key(data: bytes, passphrase: str | None = None) -> OwnKey:
    """The key in a file's bytes. Raises Refused WRONG_PASSPHRASE, and UNREADABLE_FILE for what is no own key."""
    try:
        document = _read(data)
        network, member = cast("str | None", document["network"]), cast("str | None", document["member"])
        member_id = None if member is None else unb64(member, 16)
        seed = unb64(cast("str", document["seed"]), 32) if "seed" in document else _open(document, passphrase)
        if Signer(seed).public != unb64(cast("str", document["public"]), 32):
            raise Unverified("malformed", "its public half is not that of its secret")
    except (Unverified, KeyError, TypeError, AttributeError) as error:
        raise Refused(Reason.UNREADABLE_FILE, f"this is no key that `carnet keys new` made: {error}") from None
    return OwnKey(seed, network, member_id)


def _read(data: bytes) -> dict[str, object]:
    document = decode(data.removesuffix(b"\n"))
    if not isinstance(document, dict) or document.get("carnet") != FORMAT:
        raise Unverified("malformed", f'it has no "carnet": "{FORMAT}"')
    return document


def _describe(network: str | None, member: bytes | None, public: bytes) -> dict[str, object]:
    return {
        "carnet": FORMAT,
        "member": None if member is None else b64(member),
        "network": network,
        "public": b64(public),
    }


def _open(document: dict[str, object], passphrase: str | None) -> bytes:
    if passphrase is None:
        raise Refused(Reason.WRONG_PASSPHRASE, "this key is under a passphrase, and none was given")
    salt, nonce, sealed = (
        unb64(cast("str", document[name]), size) for name, size in (("salt", 16), ("nonce", 24), ("sealed", 48))
    )
    shown = {name: document[name] for name in ("carnet", "member", "network", "public")}
    try:
        return bytes(
            bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, encode(shown), nonce, _derive(passphrase, salt))
        )
    except exceptions.CryptoError:
        raise Refused(Reason.WRONG_PASSPHRASE, "this key does not open with this passphrase") from None


def _derive(passphrase: str, salt: bytes) -> bytes:
    return bytes(pwhash.argon2id.kdf(32, passphrase.encode(), salt, opslimit=_PASSES, memlimit=_MEMORY_BYTES))
