"""One moment of the store, and what is kept of it: records, trees, submissions, chains, each read once.

It refuses to know what any of it is wanted for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from types import TracebackType
from typing import Final, Self, cast

from carnet.encoding import decode
from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import Rules, compute_line_leaf
from carnet.ledger.state import State
from carnet.node.census import get_top, read_census_tree
from carnet.node.erased import is_census_owed
from carnet.node.home import Home
from carnet.node.jobs import ChainRef
from carnet.node.keyring import KeyRing
from carnet.node.logbook import read_node
from carnet.node.lookup import HIDDEN, Kinds, find_chain_by_id, get_chain_by_number
from carnet.node.reader.pieces import Pieces
from carnet.node.reader.records import EntryRow, History, Submission
from carnet.passport.statement import compute_submission
from carnet.proof.shared import Shared
from carnet.proof.source import Document, SignedTogether
from carnet.tlog.pieces import Top
from carnet.tlog.tree import HASH_BYTES, MerkleTree, leaf_hash
from carnet.types import make_tuple
from carnet.vault.asker import Asker, get_asker
from carnet.vault.ledger import (
    find_latest,
    parse_line,
    parse_member,
    parse_record,
    read_leaf,
    read_lines,
    read_member_leaves,
    read_schemas,
    read_state,
)
from carnet.vault.store import open_store

SMALL_CACHE_KIB = 4096


class Moment:
    """What is read at one moment; close it."""

    _kinds: Kinds
    _home: bytes

    def __init__(
        self,
        home: Home,
        ring: KeyRing,
        *,
        is_one_of_many: bool = False,
        is_guarded: bool = False,
        prefers_indexes: bool = False,
        like: Moment | None = None,
    ) -> None:
        """`is_one_of_many`: with little memory of its own, since a process has dozens of them. `is_guarded`: a database
        opens no passport that whoever asks may not see. `prefers_indexes`: it looks single things up, as a writer does.
        `like` is another reader of this home, whose rules and members are taken over if they are still in force."""
        self._files, self._ring, self._is_one_of_many = home, ring, is_one_of_many
        self._prefers_indexes = prefers_indexes
        self._version: object = None
        self._store = open_store(home.address, is_read_only=True, is_guarded=is_guarded)
        self._connection = self._store.connection
        try:
            if prefers_indexes:
                self._connection.prefer_indexes()
            if is_one_of_many and self._connection.is_file:
                self._connection.execute(f"PRAGMA cache_size = -{SMALL_CACHE_KIB}")
            if like is not None:
                self._kinds, self._home = like._kinds, like._home
                self._cache()
            self._begin()
            self._load(None if like is None else like.state)
        except BaseException:
            self._store.close()
            raise

    def open_another(self) -> Self:
        """Another reader of this home, for another thread: opened in a tenth of the time, also when this one is
        closed."""
        is_guarded, is_one_of_many = self._connection.is_guarded, self._is_one_of_many
        return type(self)(
            self._files,
            self._ring,
            is_one_of_many=is_one_of_many,
            is_guarded=is_guarded,
            prefers_indexes=self._prefers_indexes,
            like=self,
        )

    def refresh(self) -> None:
        """See the store as it is now; caches start anew where they could be of another moment."""
        self.rest()
        self._begin()
        self._load(None)

    def refresh_if_changed(self) -> None:
        """See the store as it is now. If nothing was written since, all that is kept of it stays; otherwise what never
        changes: log records, and the rules and members if they are still in force."""
        self.rest()
        if self._begin():
            try:
                self._load(self._state)
            except BaseException:
                # What was not read to its end is read again by whoever comes next.
                self._version = None
                raise

    def glance(self) -> None:
        """See the passports as they are now, while rules and members may still be those of the last refresh: for what
        the writer checks again."""
        self.rest()
        self._connection.begin_read()

    def rest(self) -> None:
        """Let go of the moment that was seen, so that the store's log can be moved on; `refresh` comes before the next
        look."""
        if self._connection.in_transaction:
            self._connection.commit()

    def _begin(self) -> bool:
        """Begin to see the present; whether it differs from what was seen before."""
        self._connection.begin_read()
        version = self._connection.read_version()
        is_other, self._version = version != self._version, version
        return is_other

    def _load(self, known: State | None) -> None:
        connection = self._connection
        self._state = read_state(connection, known)
        if known is None or known.rules_ref != self._state.rules_ref:
            self._kinds = Kinds(read_schemas(connection))
            self._home = self._state.genesis.founders[0].member
        if known is None:
            self._cache()
        else:
            self._forget()
        self._checkpoint = self._read_checkpoint()
        self._census = self._read_census()
        self._shared: Shared | None = None

    @property
    def state(self) -> State:
        """The ledger's state at this moment: network, rules, members."""
        return self._state

    def _cache(self) -> None:
        """Wrap what is asked again and again: first what never changes, the log and what stands in its trees."""
        self._record = lru_cache(8192)(self._read_record)
        self._record_at = lru_cache(8192)(lambda index: cast("int", self._record(index)["at"]))
        self._node = lru_cache(65536)(self._read_node)
        self._batch = lru_cache(64)(self._read_batch)
        self._members = lru_cache(16)(self._read_members)
        self._rules = lru_cache(16)(self._read_rules)
        self._line = lru_cache(256)(self._read_line)
        self._member = lru_cache(256)(self._read_member)
        # The others belong to one moment, and end with it: an erasure may have taken away what was in them.
        self._submission = lru_cache(1024)(self._read_submission)
        self._refs = lru_cache(1024)(self._read_ref)
        self._histories = lru_cache(4)(self._read_history)
        self._pieces = Pieces(self._connection)
        self._census_tree = lru_cache(1)(lambda covers: read_census_tree(self._connection, covers))

    def _forget(self) -> None:
        self._pieces.forget()
        for kept in (self._submission, self._refs, self._histories, self._census_tree):
            kept.cache_clear()

    def close(self) -> None:
        """End the view; idempotent."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _read_checkpoint(self) -> tuple[int, bytes] | None:
        row = self._connection.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else (row[0], row[1])

    def _read_census(self) -> tuple[int, int, Top] | None:
        """(index, covers, root and count) of the newest census below the checkpoint.

        A census and its checkpoint are two commits. In the moment between them there is a census that no checkpoint
        proves; the heads of the one before it are gone by then, so the reader says "not yet".
        """
        index = find_latest(self._connection, "census")
        if index is None or self._checkpoint is None or index >= self._checkpoint[0]:
            return None
        census = cast("Document", self._record(index)["census"])
        if is_census_owed(self._connection, cast("int", census["erased"])):
            return None
        return index, cast("int", census["covers"]), get_top(census)

    def _get_census(self) -> tuple[int, int, Top]:
        if self._census is None:
            raise Refused(Reason.NOTHING_SEALED, "there is no census under a checkpoint yet: take one, then prove")
        return self._census

    def _read_record(self, index: int) -> Document:
        return parse_record(read_leaf(self._connection, index))

    def _read_node(self, level: int, index: int) -> bytes:
        return read_node(self._connection, level, index)

    def _read_batch(self, seal: int) -> MerkleTree:
        row = self._connection.execute("SELECT leaves FROM seal WHERE idx = ?", (seal,)).fetchone()
        if row is None:
            raise Refused(Reason.NODE_DAMAGED, f"the batch of seal {seal} is missing: run `carnet fsck`")
        return MerkleTree(split_hashes(row[0]))

    def _read_submission(self, number: int) -> Submission:
        row = self._connection.execute(
            "SELECT member, digest, created_ms, count, root, sig, leaves FROM submission"
            " JOIN author_key ON author_key.id = submission.author_key WHERE submission.id = ?",
            (number,),
        ).fetchone()
        if row is None:
            raise Refused(Reason.NODE_DAMAGED, f"submission {number} is missing: run `carnet fsck`")
        member, digest, created_ms, count, root, sig, leaves = row
        sub = compute_submission(self._state.net, digest, created_ms, count, root)
        tree = MerkleTree(split_hashes(leaves)) if leaves is not None else None
        signed = SignedTogether(digest, created_ms, count, tree, sig)
        return Submission(member, digest, created_ms, sub, sig, signed)

    def _read_members(self, index: int) -> tuple[dict[bytes, int], list[bytes], MerkleTree]:
        leaves = read_member_leaves(self._connection, index)
        ids = {parse_member(leaf).id: at for at, leaf in enumerate(leaves)}
        return ids, leaves, MerkleTree([leaf_hash(leaf) for leaf in leaves])

    def _read_member(self, index: int, member: bytes) -> tuple[int, Document]:
        ids, leaves, _ = self._members(index)
        if member not in ids:
            raise Refused(Reason.UNKNOWN_MEMBER, f"no member {member.hex()}", member=member.hex())
        at = ids[member]
        return at, parse_member(leaves[at]).to_document()

    def _read_rules(self, index: int) -> tuple[Rules, list[bytes], MerkleTree]:
        lines = read_lines(self._connection, index)
        tree = MerkleTree([leaf_hash(compute_line_leaf(line)) for line in lines])
        return Rules(tuple(parse_line(line) for line in lines)), lines, tree

    def _read_line(self, index: int, subject: tuple[object, ...]) -> tuple[int, Document]:
        rules, lines, _ = self._rules(index)
        found = rules.find(*subject)
        if found is None:
            raise Refused(Reason.UNKNOWN_KIND, f"the rules have no line for {subject}")
        return found[0], cast("Document", decode(lines[found[0]]))

    def _history(self, chain: bytes) -> History:
        """A chain with all its entries."""
        return self._histories(chain, self._find_asker())

    def _read_history(self, chain: bytes, _asker: Asker | None) -> History:
        query = (
            "SELECT kind, basis, class, mark, target, sid, submission, sub_index, seal, position, secret, content"
            " FROM entry WHERE chain = ? ORDER BY seq"
        )
        ref = self._ref(chain)
        rows = list(map(_make_row, self._connection.execute(query, (ref.id,))))
        return History(ref, ref.encoded_subject, rows)

    def _ref(self, chain: bytes) -> ChainRef:
        return self._refs(chain, self._find_asker())

    def _find_asker(self) -> Asker | None:
        """For whom something is kept: what was read for one caller is not for another one. None where all see all: to
        hash an asker takes as long as to find what is kept."""
        return get_asker() if self._connection.is_guarded else None

    def _read_ref(self, chain: bytes, _asker: Asker | None) -> ChainRef:
        ref = find_chain_by_id(self._connection, self._ring, chain)
        if ref is None:
            saying = HIDDEN if self._connection.is_guarded else f"there is no passport {chain.hex()} here"
            raise Refused(Reason.UNKNOWN_PASSPORT, saying, passport=chain.hex())
        return ref

    def _find_subject_of(self, number: int) -> dict[str, object] | None:
        try:
            return get_chain_by_number(self._connection, self._ring, number).subject
        except Refused as refused:
            if refused.reason is not Reason.ERASED:
                raise
            return None


_make_row: Final[Callable[[Sequence[object]], EntryRow]] = partial(make_tuple, EntryRow)
"""An entry from its columns, without a step in between."""


def split_hashes(data: bytes) -> list[bytes]:
    """The 32-byte hashes of a blob."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
