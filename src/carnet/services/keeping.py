"""Keeping keys: which there are and where, replacing and revoking them, and the passphrase over those of this node.

It refuses to show a secret, to revoke a key without which the node could not seal, and to touch the ring while a
writer runs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key, Member
from carnet.node.acts import RevokeKey, RotateKey
from carnet.node.home import Home, write_private
from carnet.node.keyring import load_key_ring, save_key_ring
from carnet.node.lock import WriterLock
from carnet.node.reader import Reader
from carnet.node.rotation import get_node_key
from carnet.node.writer import open_writer
from carnet.services.founding import now_ms
from carnet.services.members import CUSTODY_NAMES, ROLE_NAMES, find_listed_key
from carnet.services.moments import parse_moment
from carnet.types import Custody, KeyRole, Millis
from carnet.vault.disk import explained_disk_errors

NODE, LOG = "node", "log"
"""Two keys that have a name beside their digest."""

_INDEX = re.compile(r"[0-9]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A listed key: whose, since which log index, and whether this node has its secret (None: not for it to have)."""

    member: Member
    key: Key
    since: int
    is_kept: bool | None

    @property
    def role(self) -> str:
        """What it may sign, in words."""
        return ROLE_NAMES[KeyRole(self.key.role)]

    @property
    def custody(self) -> str:
        """Who holds the secret, in a word."""
        return CUSTODY_NAMES[Custody(self.key.custody)]

    def to_document(self) -> dict[str, object]:
        """The object of `keys list --json`."""
        return {
            "custody": self.custody,
            "digest": self.key.digest.hex(),
            "disputed_since": self.key.disputed_since,
            "kept": self.is_kept,
            "member": self.member.id.hex(),
            "name": self.member.name,
            "revoked": self.key.revoked,
            "role": self.role,
            "since": self.since,
        }


@dataclass(frozen=True, slots=True)
class Ending:
    """What ending a key would do. `disputed_since` is a log index of which the time is `disputed_at` (ms, None beyond
    the end of the log); the counts are of entries, those it signed and those of them that come to be disputed."""

    line: KeyLine
    disputed_since: int | None
    disputed_at: Millis | None
    signed_count: int
    disputed_count: int
    is_last: bool

    @property
    def revocation(self) -> RevokeKey:
        """The act that ends it."""
        return RevokeKey(self.line.member.id, self.line.key.digest, self.disputed_since)

    @property
    def rotation(self) -> RotateKey:
        """The act that replaces it."""
        return RotateKey(self.line.member.id, self.line.key.digest, self.disputed_since)


def list_keys(reader: Reader) -> list[KeyLine]:
    """Every key that a member lists, revoked ones too: a key stays listed for ever."""
    origins = reader.read_key_origins()
    return [make_line(reader, origins, member, key) for member in reader.state.members.all for key in member.keys]


def make_line(reader: Reader, origins: dict[bytes, int], member: Member, key: Key) -> KeyLine:
    """A key with what this node knows about it."""
    is_ours = key.custody == Custody.NODE and member.host == reader.state.genesis.founders[0].member
    return KeyLine(member, key, origins[key.digest], reader.keeps_key(key.digest) if is_ours else None)


def find_key(members: tuple[Member, ...], home: bytes, which: str) -> tuple[Member, Key]:
    """The key that a person names: `node`, a member with one key in force, or the beginning of a digest.

    Raises Refused(UNKNOWN_KEY), and Refused(KEY_IN_USE) for `log`, of which there is one for the life of a network.
    """
    if which == LOG:
        raise Refused(
            Reason.KEY_IN_USE,
            "the log key is part of the network's identity (its genesis): it is neither replaced nor revoked; a lost or"
            " stolen one means a new network, see docs/keys.md",
        )
    if which == NODE:
        node = next(member for member in members if member.id == home)
        return node, get_node_key(node)
    named = [member for member in members if member.name.casefold() == which.strip().casefold()]
    if len(named) != 1:
        return find_listed_key(members, which)
    in_force = [key for key in named[0].keys if key.revoked is None]
    if len(in_force) != 1:
        raise Refused(
            Reason.UNKNOWN_KEY,
            f"{named[0].name} has {len(in_force)} keys in force: name one by its digest (`carnet keys list`)",
            member=named[0].name,
        )
    return named[0], in_force[0]


def plan_ending(reader: Reader, which: str, disputed_since: str | None, *, is_rotation: bool = False) -> Ending:
    """What revoking a key, or replacing it, would do. `disputed_since` is a log index or a moment, as a person writes
    it.

    Raises Refused UNKNOWN_KEY, KEY_REVOKED, KEY_IN_USE, INVALID_TIME, VALUE_OUT_OF_RANGE.
    """
    home = reader.state.genesis.founders[0].member
    member, key = find_key(reader.state.members.all, home, which)
    if key.revoked is not None:
        raise Refused(
            Reason.KEY_REVOKED, f"this key of {member.name} was revoked at record {key.revoked}", since=key.revoked
        )
    if not is_rotation and key == get_node_key(reader.state.members.get(home)):
        raise Refused(
            Reason.KEY_IN_USE, "the node seals with this key: `carnet keys rotate node` replaces it, and revokes it too"
        )
    since = None if disputed_since is None else parse_since(reader, disputed_since)
    at = None
    if since is not None and since < reader.state.size:
        at = int(str(reader.get_record(since)["at"]))
    is_author = key.role != KeyRole.NODE
    others = [one for one in member.keys if one.revoked is None and one.role == key.role and one != key]
    return Ending(
        line=make_line(reader, reader.read_key_origins(), member, key),
        disputed_since=since,
        disputed_at=at,
        signed_count=reader.count_signed(key.digest) if is_author else 0,
        disputed_count=reader.count_signed(key.digest, since) if is_author and since is not None else 0,
        is_last=not others,
    )


def parse_since(reader: Reader, text: str) -> int:
    """A log index, or the index of the first record at a moment (ISO 8601, UTC unless it says otherwise) or later.

    Raises Refused(VALUE_OUT_OF_RANGE) for a record that the log does not have, Refused(INVALID_TIME).
    """
    if _INDEX.fullmatch(text):
        index = int(text)
        if index > reader.state.size:
            raise Refused(
                Reason.VALUE_OUT_OF_RANGE,
                f"the log has {reader.state.size} records: none is number {index}",
                disputed_since=index,
            )
        return index
    try:
        at = parse_moment(text)
    except Refused as refused:
        saying = f"{text[:60]!a} is no log index and no moment: write 120, 2026-11-24 or 2026-11-24T18:30Z"
        raise Refused(refused.reason, saying) from None
    return reader.find_first_record(at)


def replace_lost_node_key(home: Home, passphrase: str | None, command: str) -> Key:
    """A new node key where the ring is older than the last rotation. Raises as `open_writer` does."""
    with open_writer(
        home.path, clock=now_ms, random_bytes=os.urandom, passphrase=passphrase, command=command, is_node_key_lost=True
    ) as writer:
        return writer.replace_lost_node_key()


# ---- the ring's own lock


def change_passphrase(home: Home, old: str | None, new: str | None) -> None:
    """Put the keys under another passphrase, or under none. Raises Refused(NO_NODE, WRONG_PASSPHRASE, WRITER_BUSY)."""
    home.check_founded()
    lock = WriterLock(home.lock, "carnet keys passphrase")
    try:
        ring = load_key_ring(home.keys, old)
        with explained_disk_errors(home.path):
            save_key_ring(ring, home.keys, new, os.urandom)
    finally:
        lock.release()


def make_key_file(path: Path) -> str:
    """Write a new key file, mode 0600: a passphrase of 32 random bytes that nobody has to remember. Raises
    Refused(FILE_EXISTS)."""
    if path.exists():
        raise Refused(Reason.FILE_EXISTS, f"{path} is there already: a key file is never overwritten", file=str(path))
    passphrase = b64(os.urandom(32))
    write_private(path, passphrase.encode() + b"\n")
    return passphrase
