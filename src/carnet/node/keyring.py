"""The key ring: every secret of a node in one file of mode 0600, in clear or under a passphrase.

Knows secrets and how to keep them; refuses to know what is signed with them. No secret appears in an error or a
representation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from carnet.encoding import b64, decode, encode, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.node.home import write_private
from carnet.signing import Signer

RandomBytes = Callable[[int], bytes]

_PLAIN: Final = "keys/1"
_SEALED: Final = "keys/1-passphrase"
ARGON2: Final = {"iterations": 3, "lanes": 4, "memory_cost": 64 * 1024}
"""What a passphrase costs: RFC 9106 §4, second recommended option, 64 MiB and three passes."""


@dataclass(frozen=True)
class Rotation:
    """A rotation that has begun: of a member (16 bytes), the key with digest `old` is replaced by the key of `seed`.

    It stands in the ring before the ledger knows of it, so that no kill loses the new key. `disputed_since` is the log
    index since which what the old one signed is disputed.
    """

    member: bytes
    old: bytes
    seed: bytes = field(repr=False)
    disputed_since: int | None = None


@dataclass(frozen=True)
class KeyRing:
    """Seeds of 32 bytes: log, node, and the author keys of hosted members by key digest; the two storage keys; the
    rotation that has begun, if any; node keys that were replaced.

    No key is ever taken out: a ring that is newer than a store, as in a backup, has the keys that the store lists.
    """

    log: bytes = field(repr=False)
    node: bytes = field(repr=False)
    kek: bytes = field(repr=False)
    index: bytes = field(repr=False)
    authors: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    rotation: Rotation | None = field(default=None, repr=False)
    old_nodes: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, random_bytes: RandomBytes) -> KeyRing:
        """New keys."""
        log, node, kek, index = (random_bytes(32) for _ in range(4))
        return cls(log, node, kek, index)

    def with_author(self, seed: bytes) -> KeyRing:
        """With one more author key."""
        return replace(self, authors={**self.authors, Signer(seed).digest: seed})

    def with_node(self, seed: bytes) -> KeyRing:
        """With this node key; the one before it is kept among the old ones."""
        others = tuple(one for one in (*self.old_nodes, self.node) if one != seed)
        return replace(self, node=seed, old_nodes=others)

    def find_seed(self, digest: bytes) -> bytes | None:
        """The seed of an author key that this node keeps."""
        return self.authors.get(digest)

    def check_is_of(self, log_key: bytes) -> None:
        """Raise Refused(NODE_DAMAGED) unless this is the ring of the node with this public log key, 32 bytes. Another
        node's finds no passport, opens none and signs for another log."""
        if Signer(self.log).public != log_key:
            raise Refused(Reason.NODE_DAMAGED, "keys.json is that of another node", is_without_keys=True)

    def __repr__(self) -> str:
        return f"KeyRing({len(self.authors)} author keys)"


def save_key_ring(ring: KeyRing, path: Path, passphrase: str | None, random_bytes: RandomBytes) -> None:
    """Write the ring, durably and in one step; under Argon2id and AES-256-GCM if there is a passphrase."""
    secrets: dict[str, object] = {
        "authors": sorted(b64(seed) for seed in ring.authors.values()),
        "index": b64(ring.index),
        "kek": b64(ring.kek),
        "log": b64(ring.log),
        "node": b64(ring.node),
    }
    if ring.old_nodes:
        secrets["old_nodes"] = [b64(seed) for seed in ring.old_nodes]
    if ring.rotation is not None:
        begun = ring.rotation
        secrets["rotation"] = {
            "disputed_since": begun.disputed_since,
            "member": b64(begun.member),
            "old": b64(begun.old),
            "seed": b64(begun.seed),
        }
    if passphrase is None:
        write_private(path, encode({"carnet": _PLAIN, **secrets}) + b"\n")
        return
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = random_bytes(16), random_bytes(12)
    sealed = AESGCM(derive_key(passphrase, salt)).encrypt(nonce, encode(secrets), _SEALED.encode())
    document = {"argon2id": ARGON2, "carnet": _SEALED, "nonce": b64(nonce), "salt": b64(salt), "sealed": b64(sealed)}
    write_private(path, encode(document) + b"\n")


def load_key_ring(path: Path, passphrase: str | None = None) -> KeyRing:
    """Read the ring. Raises Refused(NO_NODE) if it is absent, Refused(WRONG_PASSPHRASE) if it does not open, and
    Refused(NODE_DAMAGED) if it is no key ring."""
    if not path.is_file():
        raise Refused(Reason.NO_NODE, f"there is no node here: {path.name} is absent; make one with `carnet init`")
    try:
        document = cast("dict[str, object]", decode(path.read_bytes().removesuffix(b"\n")))
        if document["carnet"] == _SEALED:
            document = _open(document, passphrase)
        authors = [unb64(seed, 32) for seed in cast("list[str]", document["authors"])]
        log, node, kek, index = (unb64(cast("str", document[name]), 32) for name in ("log", "node", "kek", "index"))
        old_nodes = tuple(unb64(seed, 32) for seed in cast("list[str]", document.get("old_nodes", [])))
        rotation = _read_rotation(cast("dict[str, object] | None", document.get("rotation")))
    except (Unverified, KeyError, TypeError, AttributeError):
        saying = f"{path.name} is not a key ring of this program"
        raise Refused(Reason.NODE_DAMAGED, saying, is_without_keys=True) from None
    return KeyRing(log, node, kek, index, {Signer(seed).digest: seed for seed in authors}, rotation, old_nodes)


def is_under_passphrase(path: Path) -> bool:
    """Whether the ring asks for a passphrase."""
    return path.is_file() and _SEALED.encode() in path.read_bytes()


def _read_rotation(document: dict[str, object] | None) -> Rotation | None:
    if document is None:
        return None
    member, old, seed = (
        unb64(cast("str", document[name]), size) for name, size in (("member", 16), ("old", 32), ("seed", 32))
    )
    return Rotation(member, old, seed, cast("int | None", document["disputed_since"]))


def _open(document: dict[str, object], passphrase: str | None) -> dict[str, object]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if passphrase is None:
        raise Refused(Reason.WRONG_PASSPHRASE, "the keys are under a passphrase, and none was given")
    salt, nonce, sealed = (unb64(cast("str", document[name])) for name in ("salt", "nonce", "sealed"))
    try:
        opened = AESGCM(derive_key(passphrase, salt)).decrypt(nonce, sealed, _SEALED.encode())
    except InvalidTag:
        raise Refused(Reason.WRONG_PASSPHRASE, "the keys do not open with this passphrase") from None
    return cast("dict[str, object]", decode(opened))


def derive_key(passphrase: str, salt: bytes) -> bytes:
    """The key (32 bytes) that a passphrase gives with this salt, by Argon2id with the costs of `ARGON2`."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id(
        salt=salt,
        length=32,
        iterations=ARGON2["iterations"],
        lanes=ARGON2["lanes"],
        memory_cost=ARGON2["memory_cost"],
    ).derive(passphrase.encode())
