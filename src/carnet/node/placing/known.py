"""What a placing knows of the store: heads, subjects, source rows and statements that stand there, each asked for once.

It refuses to judge what may be added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carnet.ledger.rules.members import Key, Member
from carnet.ledger.state import State
from carnet.node.aliases import Declaration
from carnet.node.heads import StoredHead, follow_heads
from carnet.node.jobs import IDENTITY, ChainRef, Prepared, PreparedGroup, Row
from carnet.node.keyring import KeyRing
from carnet.node.lookup import Kinds, ask_many, ask_named, ask_sources, find_linked, get_chain_by_number, open_content
from carnet.node.placing.linking import Place
from carnet.node.placing.recent import RecentHeads
from carnet.node.placing.records import Head, OpenBatch, Right
from carnet.types import Mark
from carnet.vault.erasing import Tombstones
from carnet.vault.sealing import decrypt_subject, unwrap
from carnet.vault.store import Connection

_FIND_HEADS = (
    "SELECT id, chain16, head_seq, head_epoch, head_id, type, blind, closed, home, head_seal FROM chain WHERE id IN (?)"
)
_FIND_BLINDS = "SELECT blind, chain16 FROM chain"


_NONE: set[bytes] = set()


class Known:
    """What one transaction has placed so far, and what the store holds of the chains that it touches."""

    def __init__(
        self,
        connection: Connection,
        ring: KeyRing,
        kinds: Kinds,
        state: State,
        home: bytes,
        at: int,
        next_chain: int,
        next_submission: int,
        key_ids: dict[bytes, int],
        recent: RecentHeads | None = None,
    ) -> None:
        self._connection = connection
        self._ring = ring
        self._kinds = kinds
        self._state = state
        self._home = home
        self._at = at
        self._key_ids = key_ids
        self.next_chain = next_chain
        self.next_submission = next_submission
        self.new_keys: dict[bytes, tuple[int, bytes, bytes, bytes]] = {}
        self._recent = RecentHeads() if recent is None else recent
        self.heads: dict[int, Head] = {}
        self.batches: list[OpenBatch] = []
        # Rows of `entry`: imported ones, whose target is left out; those with neither target nor source; the others.
        self.entries: list[tuple[object, ...]] = []
        self.bare_entries: list[tuple[object, ...]] = []
        self.entries_at_target: list[tuple[object, ...]] = []
        self.submissions: list[tuple[object, ...]] = []
        self._latest: dict[int, int] = {}
        self._blinds: dict[bytes, bytes] = {}
        # Source rows that a chain held before, as far as they were asked for.
        self._known: dict[int, set[bytes]] = {}
        # What was placed so far under the number of its chain: rows, also those that the list will get, the seq of the
        # first of them, by whose right. Runs of one chain each that were placed together are noted at first as they
        # came: hardly anybody asks.
        self._placed: dict[int, list[tuple[Sequence[Row], int, Right]]] = {}
        self._placed_together: list[tuple[Sequence[Sequence[Row]], Sequence[Place], Right]] = []
        self._linked: dict[int, set[bytes]] = {}
        # By what right a member's key signs on a basis, with that key: found once, since the state is one.
        self._rights: dict[tuple[bytes, bytes, int], tuple[Right, Key]] = {}
        self._tombstones = Tombstones(connection, ring.index)

    def _find_known(self, head: Head) -> set[bytes]:
        """The source rows that a chain holds already, as far as they were asked for, and those placed since."""
        known = self._known.get(head.number, _NONE)
        if head.ordinal < 0:
            return known
        return known | {row.source for row, _, _ in self._get_placed(head) if row.source is not None}

    def _get_placed(self, head: Head) -> list[tuple[Row, int, Right]]:
        """What this transaction has added to a chain, each row with its seq and by whose right, from the lowest on."""
        for given, places, right in self._placed_together:
            for rows, place in zip(given, places, strict=True):
                self._placed.setdefault(place[0], []).append((rows, place[2] + 1, right))
        self._placed_together.clear()
        runs = self._placed.get(head.number, ())
        return [(row, seq, right) for rows, first, right in runs for seq, row in enumerate(rows, first)]

    def _load_heads(self, numbers: Iterable[int]) -> None:
        """Read many heads with few questions: one for each would cost more than the links."""
        wanted = set(numbers) - self.heads.keys()
        if not wanted:
            return
        self.heads |= self._recent.find_all(wanted)
        loaded = dict[int, Head]()
        # Every line below runs for each chain.
        for number, chain16, seq, epoch, id_, type_, blind, closed, home, seal in ask_many(
            self._connection, _FIND_HEADS, sorted(wanted - self.heads.keys())
        ):
            place = number, chain16, seq, epoch, id_
            loaded[number] = Head(place, type_, blind, closed, home, seal, place, seal)

        def find_stored(number: int) -> StoredHead:
            head = loaded[number]
            return (*head.place[1:], head.seal)

        for number, newer in follow_heads(self._connection, self._state.net, list(loaded), find_stored).items():
            head = loaded[number]
            head.place, head.seal = (number, head.chain16, newer.seq, newer.epoch, newer.id), newer.seal
        self.heads |= loaded

    def _load_blinds(self, blinds: Iterable[bytes | None]) -> None:
        """Read which of the subjects of new passports have one already."""
        missing = [blind for blind in blinds if blind is not None and blind not in self._blinds]
        if missing:
            self._blinds.update(ask_named(self._connection, _FIND_BLINDS, "blind", missing))

    def _load_linked(self, all_prepared: Iterable[Prepared]) -> None:
        """Read which of the statements stand in their chains already: of those that we signed a moment ago, the first
        chain's alone are asked for."""
        asked: dict[int, list[bytes]] = {}
        for prepared in all_prepared:
            groups = [group for group in prepared.groups if group.chain]
            for group in groups[:1] if prepared.is_signed_here else groups:
                asked.setdefault(group.chain, []).extend([row.sid for row in group.rows])
        self._linked = find_linked(self._connection, asked)

    def _load_sources(self, groups: Iterable[PreparedGroup]) -> None:
        """Read which source rows the chains hold already to which more are to be added."""
        asked: dict[int, list[bytes]] = {}
        heads, known = self.heads, self._known
        # Every line of this loop runs for each chain.
        for group in groups:
            head = heads.get(group.chain)
            # A new chain has no head yet.
            if head is None:
                continue
            held = head.sources
            if held is None:
                sources = [row.source for row in group.rows if row.source]
            else:
                # Bytes that stand there across two digests are asked for in vain, and no harm is done.
                sources = [row.source for row in group.rows if row.source and row.source in held]
            if sources:
                asked[group.chain] = asked[group.chain] + sources if group.chain in asked else sources
        if not asked:
            return
        for chain, source in ask_sources(self._connection, asked):
            known.setdefault(chain, set()).add(source)

    def _is_held(self, right: Right, member: bytes, basis: int) -> bool:
        """Whether a correction by this author holds on an entry of that member and basis. Spec: 2.9."""
        if right.member.id == member and right.basis == basis:
            return True
        return is_corrector(right.member, right.basis)

    def _has_written(self, head: Head, member: Member) -> bool:
        """Whether an entry of this passport is a member's own word; asked only where something was refused."""
        if any(right.member.id == member.id for _, _, right in self._get_placed(head)):
            return True
        query = (
            "SELECT 1 FROM entry JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key"
            " WHERE entry.chain = ? AND member = ? AND basis <> 4 LIMIT 1"
        )
        return self._connection.execute(query, (head.number, member.id)).fetchone() is not None

    def _find_target(self, head: Head, sid: bytes) -> int | None:
        for row, seq, _ in self._get_placed(head):
            if row.sid == sid:
                return seq
        query = "SELECT seq FROM entry WHERE chain = ? AND sid = ?"
        found = self._connection.execute(query, (head.number, sid)).fetchone()
        return None if found is None else int(found[0])

    def _find_entry(self, head: Head, sid: bytes) -> tuple[str, bytes, int] | None:
        """(kind, member, basis) of an entry of this chain."""
        for row, _, right in self._get_placed(head):
            if row.sid == sid:
                return row.kind, right.member.id, right.basis
        query = (
            "SELECT kind, member, basis FROM entry JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key WHERE chain = ? AND sid = ?"
        )
        found = self._connection.execute(query, (head.number, sid)).fetchone()
        return None if found is None else (self._kinds.names_of[found[0]][0], found[1], found[2])

    def read_declarations(self, number: int) -> list[Declaration]:
        """The aliases that the entries of a stored chain declare, from the highest seq down; raises Refused(ERASED)."""
        self._load_heads([number])
        return self._read_declarations(self.heads[number])

    def _read_declarations(self, head: Head) -> list[Declaration]:
        """The aliases that the chain's identity entries declare, from the highest seq down."""
        ref = self._get_ref(head)
        kind_id = self._kinds.id_of.get(IDENTITY, 0)
        names = self._kinds.names_of[kind_id][1]
        query = (
            "SELECT sid, basis, secret, content FROM entry WHERE chain = ? AND kind = ? AND content IS NOT NULL"
            " ORDER BY seq DESC"
        )
        stored = self._connection.execute(query, (head.number, kind_id)).fetchall()
        pending = [
            (row.sid, right.basis, row.secret, row.content)
            for row, _, right in reversed(self._get_placed(head))
            if row.kind == IDENTITY and row.content is not None
        ]
        return [
            Declaration(
                open_content(ref, IDENTITY, names, sid, secret, content).fields["alias"],
                basis,
                self._is_superseded(head, sid),
            )
            for sid, basis, secret, content in [*pending, *stored]
        ]

    def _is_superseded(self, head: Head, sid: bytes) -> bool:
        found = self._find_entry(head, sid)
        if found is None:
            return False
        for row, _, right in self._get_placed(head):
            if row.mark == Mark.SUPERSEDES and row.target == sid and self._is_held(right, found[1], found[2]):
                return True
        query = (
            "SELECT member, basis FROM entry JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key WHERE chain = ? AND mark = 1 AND target = ?"
        )
        for member, basis in self._connection.execute(query, (head.number, sid)):
            # The accreditation in force is asked, not that of the old seal: a stricter answer for an author who lost
            # it.
            if (member, basis) == found[1:] or is_corrector(self._state.members.get(member), basis):
                return True
        return False

    def _get_ref(self, head: Head) -> ChainRef:
        if head.stored is not None:
            return get_chain_by_number(self._connection, self._ring, head.number)
        key = unwrap(self._ring.kek, head.wrapped_key)
        subject = decrypt_subject(key, head.chain16, head.subject)
        return ChainRef(head.number, head.chain16, head.type, key, subject)


def is_corrector(member: Member, basis: int) -> bool:
    """Whether a member may withdraw what others wrote, on this basis. Spec: 2.9."""
    return any(kind == "passport.rectified/1" and accredited == basis for kind, accredited, _ in member.accreditations)
