"""Reading a home: find and list passports, open their entries, and be the source that proofs are made from.

It takes no lock and writes nothing, also while a writer runs. It sees one moment of the store, from its opening or
its last `refresh`. It refuses to know who may read what: whoever holds a reader holds the keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

from carnet.errors import Reason, Refused, Unverified
from carnet.ledger.census import compute_slot, find_way
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.lookup import Opened, decrypt_entry
from carnet.node.reader.passports import Passports
from carnet.passport.fields import get_sealer
from carnet.passport.statement import NO_CHAIN, NO_TARGET, compute_signed, compute_statement_prefix
from carnet.proof.shared import Shared
from carnet.proof.source import Document, OpenedEntry, PlacedLink
from carnet.tlog.joint import compute_joint_path, join
from carnet.tlog.smt import check_climb
from carnet.tlog.tree import compute_subtree_from, consistency_path_from
from carnet.vault.erasing import find_fields_root
from carnet.vault.statements import open_statement


class Reader(Passports):
    """Open it with `open_reader`, and close it. For one thread."""

    @property
    def shared(self) -> Shared:
        """What the proofs of this moment have in common; made when the first one asks."""
        if self._shared is None:
            self._shared = Shared(self)
        return self._shared

    # ---- what a proof is made from (carnet.proof.source.ProofSource)

    def get_genesis(self) -> Document:
        """The genesis object."""
        return cast("Document", self._record(0)["genesis"])

    def get_checkpoint(self) -> tuple[int, bytes]:
        """(size, note) of the newest stored checkpoint; raises Refused(NOTHING_SEALED) where there is none."""
        if self._checkpoint is None:
            raise Refused(Reason.NOTHING_SEALED, "this node has signed no checkpoint yet")
        return self._checkpoint

    def get_record(self, index: int) -> Document:
        """A log record."""
        return self._record(index)

    def get_records_path(self, indices: Sequence[int], size: int) -> bytes:
        """Joint path of records in the log of this size."""
        return compute_joint_path(partial(compute_subtree_from, self._node), indices, size)

    def get_consistency_path(self, old_size: int, size: int) -> list[bytes]:
        """Consistency path between two log sizes; raises Refused(VALUE_OUT_OF_RANGE) for an old one that is larger."""
        if not 1 <= old_size <= size:
            raise Refused(Reason.VALUE_OUT_OF_RANGE, f"the older checkpoint has size {old_size}, this log has {size}")
        return consistency_path_from(self._node, old_size, size)

    def get_census_index(self) -> int:
        """Log index of the newest census below the checkpoint; raises Refused(NOTHING_SEALED) where there is none."""
        return self._get_census()[0]

    def get_census_path(self, chain: bytes) -> list[bytes]:
        """Siblings from the root down to the chain's head in that census."""
        slot, (_, covers, top) = compute_slot(chain), self._get_census()
        try:
            way = find_way(self._pieces.read_way(slot), slot)
            if way is not None:
                siblings, _, digest = way
                check_climb(top.digest, slot, digest, siblings)
                return siblings
        except Unverified:
            # No pieces, or changed ones: the heads themselves still give the tree.
            pass
        tree = self._census_tree(covers)
        if tree.root != top.digest:
            raise Refused(Reason.NODE_DAMAGED, "the chains do not give the root of the census: run `carnet fsck`")
        return list(tree.path(slot).siblings)

    def get_links(self, chain: bytes) -> list[PlacedLink]:
        """The links that the census knows; raises Refused(NOTHING_SEALED) for a chain that was opened after it."""
        covers = self._get_census()[1]
        links = []
        for row in self._history(chain).rows:
            if row.seal >= covers:
                break
            submission = self._submission(row.submission)
            signed = compute_signed(row.sid, submission.sub, submission.sig)
            kind = self._kinds.names_of[row.kind][0]
            target = row.target or NO_TARGET
            links.append(
                PlacedLink(row.sid, signed, row.mark, target, row.seal, row.position, kind, row.secret is None)
            )
        if not links:
            raise Refused(
                Reason.NOTHING_SEALED,
                "no census knows this passport yet: take one, then prove",
                passport=chain.hex(),
                could_retry=True,
            )
        return links

    def get_batch_path(self, seal: int, positions: Sequence[int]) -> bytes:
        """Joint path of links in the batch of the seal at this log index."""
        return join(self._batch(seal), positions)

    def get_entry(self, chain: bytes, seq: int) -> OpenedEntry:
        """An entry, contents opened; raises Refused(ERASED) when they are not here."""
        return self._get_entry(chain, seq, is_judged=False)

    def get_judged(self, chain: bytes, seq: int) -> OpenedEntry:
        """An entry as far as it is needed to judge what it does to another: without its fields where they are
        erased."""
        return self._get_entry(chain, seq, is_judged=True)

    def _get_entry(self, chain: bytes, seq: int, *, is_judged: bool) -> OpenedEntry:
        ref, own, rows = self._history(chain)
        if seq >= len(rows):
            raise Refused(Reason.UNKNOWN_PASSPORT, f"this passport has no entry {seq}", passport=chain.hex())
        row, submission = rows[seq], self._submission(rows[seq].submission)
        chain16 = ref.chain16 if seq else NO_CHAIN
        head = compute_statement_prefix(self._state.net, chain16, submission.member, submission.key_digest)
        head += bytes((row.basis, row.class_, row.mark))
        target, kind = row.target or NO_TARGET, self._kinds.names_of[row.kind][0]
        if is_judged and row.secret is None:
            root = find_fields_root(self._connection, ref.id, seq)
            if root is not None:
                return OpenedEntry(head + target + root, kind, b"", b"", submission.signed, row.sub_index)
        encoded, names = self._kinds.framed_of[row.kind]
        stream, contents = decrypt_entry(ref, len(names), row.sid, row.secret, row.content)
        statement, shown, subject = open_statement(names, contents, stream, head, target, encoded, own, row.sid)
        return OpenedEntry(statement, kind, subject, shown, submission.signed, row.sub_index)

    def get_member(self, members: int, member: bytes) -> tuple[int, Document]:
        """(leaf index, leaf object) of a member in the members tree of the record at this log index."""
        return self._member(members, member)

    def get_members_path(self, members: int, indices: Sequence[int]) -> bytes:
        """Joint path of leaves in that tree."""
        return join(self._members(members)[2], indices)

    def get_line(self, rules: int, *subject: object) -> tuple[int, Document]:
        """(line index, line object) in the rules of the record at this log index."""
        return self._line(rules, subject)

    def get_lines_path(self, rules: int, indices: Sequence[int]) -> bytes:
        """Joint path of lines in those rules."""
        return join(self._rules(rules)[2], indices)


def open_reader(path: Path, *, passphrase: str | None = None) -> Reader:
    """A reader of a home. Raises Refused NO_NODE, WRONG_PASSPHRASE, NODE_DAMAGED."""
    home = Home(path)
    home.finish_founding()
    ring = load_key_ring(home.keys, passphrase)
    reader = Reader(home, ring)
    try:
        ring.check_is_of(reader.state.genesis.log_key)
    except BaseException:
        reader.close()
        raise
    return reader


def compute_opened_root(opened: Opened) -> bytes:
    """The fields root of opened contents. Spec: 2.2."""
    return get_sealer(tuple(opened.fields)).compute_root(opened.encoded, opened.salts)
