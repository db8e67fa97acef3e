"""The ledger's other commands: members, their keys, the rules, the census.

It refuses to know who may give them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.ledger.census import Census
from carnet.ledger.commands import (
    AccreditMember,
    AddKey,
    ChangeRules,
    Command,
    EnrolMember,
    RetireMember,
    RevokeKey,
    TakeCensus,
)
from carnet.ledger.rules.default import default_accreditations
from carnet.ledger.rules.document import Rules
from carnet.ledger.rules.members import Accreditation, Key, Member
from carnet.ledger.transition import Logged
from carnet.node.census import make_census
from carnet.node.erased import is_census_owed
from carnet.node.found import check_member, check_name_is_free, enrol_key
from carnet.node.heads import KnownHead
from carnet.node.keyring import Rotation
from carnet.node.lookup import Kinds
from carnet.node.rotation import check_may_retire, check_may_rotate, find_commands, find_key, settle
from carnet.node.writer.asking import Asking
from carnet.signing import Signer
from carnet.types import Custody, KeyRole
from carnet.vault.census import count_changed
from carnet.vault.ledger import parse_record, read_leaf, read_schemas, write_schemas
from carnet.vault.names import merge_names


class Governing(Asking):
    """A home whose ledger can be changed."""

    def run(self, command: Command) -> Logged:
        """One command of the ledger in a block of its own; raises its refusal."""
        with self._mutex:
            return self._transact(lambda at: self._write_block(at, [command]))[-1]

    def enrol_member(
        self,
        name: str,
        kind: str,
        *,
        accreditations: Sequence[Accreditation] | None = None,
        member_id: bytes | None = None,
        key: Key | None = None,
    ) -> Member:
        """Enrol an organisation hosted by this node, by default accredited for all that the writer table allows to
        its kind.

        Without `key` the node makes one and keeps it (custody node, basis 2). With `key`, an own key that has signed
        its enrolment for `member_id`, the node never sees the secret (custody own, basis 1). Raises
        Refused(MEMBER_EXISTS) for a name that another member has, also if it came a moment before.
        """
        check_member(name, kind)
        with self._mutex:
            check_name_is_free(self._book.state, name)
            return self._enrol(name, kind, accreditations, member_id or self._random_bytes(16), key)

    def _enrol(
        self, name: str, kind: str, accreditations: Sequence[Accreditation] | None, member_id: bytes, key: Key | None
    ) -> Member:
        state = self._book.state
        if key is None:
            seed = self._random_bytes(32)
            # The key is on the disk before the ledger lists it: a listed key that nobody has is lost for ever.
            self._keep_key(seed)
            key = enrol_key(Signer(seed), state.net, member_id, KeyRole.AUTHOR, Custody.NODE)
        if accreditations is None:
            accreditations = default_accreditations(state.rules, kind)
        member = Member(member_id, name, kind, self._node_id, tuple(accreditations), (key,))
        self.run(EnrolMember(member))
        return member

    def accredit(self, member: bytes, accreditations: Sequence[Accreditation]) -> None:
        """Replace a member's accreditations."""
        self.run(AccreditMember(member, tuple(sorted(accreditations))))

    def add_key(self, member: bytes, key: Key | None = None, *, role: int = KeyRole.AUTHOR) -> Key:
        """List one more key of a member: an own one, or one that the node makes and keeps."""
        if key is None:
            seed = self._random_bytes(32)
            self._keep_key(seed)
            key = enrol_key(Signer(seed), self._book.state.net, member, role, Custody.NODE)
        self.run(AddKey(member, key))
        return key

    def revoke_key(self, member: bytes, digest: bytes, disputed_since: int | None = None) -> None:
        """End a key from now on; what it signed since a log index is disputed. Raises Refused(KEY_IN_USE) for the key
        that this node seals with."""
        with self._mutex:
            if digest == self._node.digest:
                raise Refused(
                    Reason.KEY_IN_USE,
                    "the node seals with this key: replace it with `carnet keys rotate node`, which revokes it too",
                    key=digest.hex(),
                )
            self.run(RevokeKey(member, digest, disputed_since))

    def rotate_key(self, member: bytes, old: bytes, disputed_since: int | None = None) -> Key:
        """Replace a key that this node keeps, or should keep: a new one is listed, the old one is revoked.

        Killed at any point, it has not begun, or the next writer finishes it. Raises as `check_may_rotate` does.
        """
        with self._mutex:
            self._check_alive()
            check_may_rotate(self._book.state, self._node_id, member, old, disputed_since)
            seed = self._random_bytes(32)
            self._keep_ring(replace(self._ring, rotation=Rotation(member, old, seed, disputed_since)))
            self._finish_rotation()
            key = find_key(self._book.state.members, member, seed)
            if key is None:
                raise InvariantBroken("a rotation ended without its key")
            return key

    def _finish_rotation(self) -> None:
        """What was begun, by this writer or by one that was killed: the ledger first, then the ring."""
        rotation = self._ring.rotation
        commands = [] if rotation is None else find_commands(rotation, self._book.state)
        if commands:
            # A block for each: each of their records has its own tree of members.
            self._transact(lambda at: [self._write_block(at, [command]) for command in commands])
        ring = settle(self._ring, self._book.state.members, self._node_id)
        if ring != self._ring:
            self._keep_ring(ring)

    def retire(self, member: bytes) -> None:
        """A member leaves the network. Raises Refused(KEY_IN_USE) for this node itself."""
        check_may_retire(self._book.state.members.get(self._node_id), member)
        self.run(RetireMember(member))

    def change_rules(self, rules: Rules, documents: Mapping[str, object] | None = None) -> None:
        """Put other rules in force, with the schema documents of kinds that are new."""
        new = [(kind, document) for kind, document in (documents or {}).items() if kind not in self._kinds.id_of]
        with self._mutex:

            def change(at: int) -> list[Logged]:
                logged = self._write_block(at, [ChangeRules(rules)])
                write_schemas(self._connection, new)
                return logged

            self._transact(change)
            self._kinds = Kinds(read_schemas(self._connection))

    def take_census(self) -> Logged:
        """Seal the heads of all chains (3.8), then sign and keep the checkpoint that proofs are made against. It takes
        as long as the chains that changed since the last one are many."""
        with self._mutex:

            def take(at: int) -> list[Logged]:
                census, sig = self._make_census()
                return self._write_block(at, [TakeCensus(census, self._node.digest, sig)])

            logged = self._transact(take)[-1]
            self.keep_checkpoint()
            return logged

    def count_changed(self) -> int:
        """How many chains are new or have grown since the latest census."""
        with self._mutex:
            return count_changed(self._connection)

    def find_census(self) -> tuple[int, dict[str, Any]] | None:
        """(log index, record) of this node's latest census."""
        with self._mutex:
            latest = self._book.state.censuses.get(self._node_id)
            return None if latest is None else (latest.index, parse_record(read_leaf(self._connection, latest.index)))

    @property
    def is_census_owed(self) -> bool:
        """Whether the latest census counts a passport that was erased since: no proof can be made against it."""
        with self._mutex:
            latest = self.find_census()
            return latest is not None and is_census_owed(self._connection, latest[1]["census"]["erased"])

    def _make_census(self) -> tuple[Census, bytes]:
        find_recent = self._recent.find

        def find_known(number: int) -> KnownHead | None:
            head = find_recent(number)
            return None if head is None else (*head.place[1:], head.seal, head.is_written)

        state, noted = self._book.state, self._unwritten
        made = make_census(self._connection, state, self._node_id, self._node, noted, find_known)
        for head in self._recent:
            if not head.is_written:
                head.remember()
        noted.clear(self._next_chain)
        merge_names(self._connection)
        return made

    def _get_seed(self, member: bytes, roles: tuple[int, ...]) -> bytes:
        leaf = self._book.state.members.get(member)
        ours = [key for key in leaf.keys if key.custody == Custody.NODE and key.role in roles]
        for key in reversed(ours):
            seed = self._ring.find_seed(key.digest)
            if seed is not None and key.revoked is None:
                return seed
        if ours and all(key.revoked is not None for key in ours):
            raise Refused(Reason.KEY_REVOKED, f"the key of {leaf.name} was revoked", member=leaf.name)
        raise Refused(Reason.UNKNOWN_KEY, f"this node keeps no key of {leaf.name}", member=leaf.name)
