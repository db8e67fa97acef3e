"""Replacing a key that this node keeps, in steps of which none leaves it without a key that can seal.

First the new key is in the ring, on the disk, beside the old one; then the ledger lists it and revokes the old one, in
one transaction; then the ring signs with it. The old one is kept: a ring that is newer than a store, as in a backup
that was taken meanwhile, still fits it. From the first step on the rotation has begun: whoever opens the home for
writing finishes it. This module decides and computes; it refuses to write. Spec: 3.3, 3.4.
"""

from __future__ import annotations

from dataclasses import replace

from carnet.errors import Reason, Refused
from carnet.ledger.commands import AddKey, RevokeKey
from carnet.ledger.rules.members import Key, Member, Members
from carnet.ledger.state import State
from carnet.node.found import enrol_key
from carnet.node.keyring import KeyRing, Rotation
from carnet.signing import Signer
from carnet.types import Custody, KeyRole


def check_may_rotate(state: State, home: bytes, member: bytes, old: bytes, disputed_since: int | None) -> None:
    """Raise Refused unless the node `home` may replace the key: UNKNOWN_MEMBER, MEMBER_RETIRED, UNKNOWN_KEY,
    KEY_REVOKED, WRONG_CUSTODY for one that its member or another node keeps, VALUE_OUT_OF_RANGE for a dispute since a
    record that is not there."""
    leaf = state.members.get(member)
    key = leaf.find_key(old)
    key = leaf.get_signing_key(old, (key.role,) if key is not None else ())
    if key.custody != Custody.NODE:
        raise Refused(
            Reason.WRONG_CUSTODY,
            f"{leaf.name} keeps this key itself: it makes a new one (`carnet keys new`), which `carnet member add-key`"
            " lists; then revoke this one",
            member=leaf.name,
        )
    if leaf.host != home:
        raise Refused(Reason.WRONG_CUSTODY, f"another node keeps the keys of {leaf.name}", member=leaf.name)
    if disputed_since is not None and not 0 <= disputed_since <= state.size:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE,
            f"the log has {state.size} records: none is number {disputed_since}",
            disputed_since=disputed_since,
        )


def check_may_retire(home: Member, member: bytes) -> None:
    """Raise Refused(KEY_IN_USE) for the node `home` itself: it could seal nothing any more, and nobody in its place."""
    if member == home.id:
        saying = f"{home.name} is this node itself, which seals for all: without it the network ends, for good"
        raise Refused(Reason.KEY_IN_USE, saying, member=home.name)


def find_commands(rotation: Rotation, state: State) -> list[AddKey | RevokeKey]:
    """What the ledger still has to do: list the new key, then revoke the old one; nothing if it has done both."""
    leaf = state.members.get(rotation.member)
    old = leaf.find_key(rotation.old)
    signer = Signer(rotation.seed)
    if old is None or old.revoked is not None or leaf.retired is not None or leaf.find_key(signer.digest) is not None:
        return []
    key = enrol_key(signer, state.net, leaf.id, old.role, Custody.NODE)
    return [AddKey(leaf.id, key), RevokeKey(leaf.id, rotation.old, rotation.disputed_since)]


def settle(ring: KeyRing, members: Members, home: bytes) -> KeyRing:
    """The ring as the ledger has it: no rotation under way, the new key taken if it is listed, and the node key in
    force among those that the ring has. Without one the ring is as it was: see `check_node_key`."""
    rotation = ring.rotation
    if rotation is not None:
        ring = replace(ring, rotation=None)
        key = find_key(members, rotation.member, rotation.seed)
        if key is not None and key.role == KeyRole.NODE:
            ring = ring.with_node(rotation.seed)
        elif key is not None:
            ring = ring.with_author(rotation.seed)
    node = members.get(home)
    for seed in (ring.node, *reversed(ring.old_nodes)):
        if _is_in_force(node, seed):
            return ring if seed == ring.node else ring.with_node(seed)
    return ring


def check_node_key(ring: KeyRing, node: Member) -> None:
    """Raise Refused(NODE_DAMAGED) unless the ring's node key is in force: it is an old copy, or another node's."""
    if _is_in_force(node, ring.node):
        return
    key = node.find_key(Signer(ring.node).digest)
    why = "is none of this node's" if key is None else f"was revoked at record {key.revoked}"
    raise Refused(
        Reason.NODE_DAMAGED,
        f"the node key in keys.json {why}. Put the newest copy of keys.json back; if there is none, replace it with"
        " `carnet keys rotate node --lost`",
        table="keys.json",
    )


def get_node_key(node: Member) -> Key:
    """The node's key in force, the newest if there are several. Raises Refused(UNKNOWN_KEY)."""
    for key in reversed(node.keys):
        if key.role == KeyRole.NODE and key.revoked is None:
            return key
    raise Refused(Reason.UNKNOWN_KEY, "no key of this node is in force", member=node.name)


def find_key(members: Members, member: bytes, seed: bytes) -> Key | None:
    """The listed key of this secret, None if the member lists none."""
    index = members.find_index(member)
    return None if index is None else members.all[index].find_key(Signer(seed).digest)


def _is_in_force(node: Member, seed: bytes) -> bool:
    key = node.find_key(Signer(seed).digest)
    return key is not None and key.role == KeyRole.NODE and key.revoked is None
