"""The node's store of people: where it is, and the key under which its secrets are digested.

The key comes from the key ring, so that a stolen store without the ring says of no code or token what it was. It
refuses to know what a session or a claim is.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from carnet.node.home import Home
from carnet.node.keyring import KeyRing, load_key_ring
from carnet.vault.people.store import FILE, PeopleStore, open_people_store


class OpenedPeople(NamedTuple):
    """The store, and the key (32 bytes) of its digests."""

    store: PeopleStore
    key: bytes


def get_people_address(home: Home) -> Path | str:
    """Where the store of people of this home is: a file beside the node's store, or the same database."""
    address = home.address
    return address if isinstance(address, str) else home.path / FILE


def open_people(home: Home, passphrase: str | None = None) -> OpenedPeople:
    """The store of people of a home, made if it is absent. Raises Refused(NO_NODE, WRONG_PASSPHRASE, NODE_DAMAGED,
    STORE_UNREACHABLE)."""
    home.finish_founding()
    ring = load_key_ring(home.keys, passphrase)
    return OpenedPeople(open_people_store(get_people_address(home)), compute_people_key(ring))


def compute_people_key(ring: KeyRing) -> bytes:
    """The key of the digests of people's secrets, 32 bytes."""
    return blake2b(b"secrets of people", digest_size=32, key=ring.index, person=b"carnet/people").digest()
