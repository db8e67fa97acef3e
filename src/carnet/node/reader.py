"""Reading a home: find and list passports, open their entries, and be the source that proofs are made from.

It takes no lock and writes nothing, also while a writer runs. It sees one moment of the store, from its opening or
its last `refresh`. It refuses to know who may read what: whoever holds a reader holds the keys.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, cast

from carnet.encoding import decode, encode_trusted
from carnet.errors import Reason, Refused, Unverified
from carnet.ledger.census import compute_slot
from carnet.ledger.rules.document import Rules, compute_line_leaf
from carnet.ledger.state import State
from carnet.node.census import get_top, read_census_tree
from carnet.node.erased import check_id_not_erased, check_subject_not_erased, is_census_owed
from carnet.node.heads import LAST_SEQ, count_linked
from carnet.node.home import Home
from carnet.node.keyring import KeyRing, load_key_ring
from carnet.node.logbook import read_node
from carnet.node.lookup import (
    Kinds,
    Opened,
    find_chain_by_id,
    find_chain_by_subject,
    get_chain_by_number,
    open_content,
)
from carnet.node.prepare import ChainRef
from carnet.passport.fields import get_sealer
from carnet.passport.statement import NO_CHAIN, NO_TARGET, Statement, compute_signed, compute_submission
from carnet.passport.subject import parse_subject
from carnet.proof.assemble import Document, OpenedEntry, PlacedLink, Shared, SignedTogether
from carnet.signing import Signer
from carnet.tlog.checkpoint import log_key
from carnet.tlog.joint import compute_joint_path, join
from carnet.tlog.note import VerifierKey
from carnet.tlog.pieces import Bucket, Page, Top, find_way, open_piece
from carnet.tlog.policy import Policy, format_policy
from carnet.tlog.smt import check_climb
from carnet.tlog.tree import HASH_BYTES, MerkleTree, compute_subtree_from, consistency_path_from, leaf_hash
from carnet.types import Subject, parse_hex_id
from carnet.vault.census import find_piece
from carnet.vault.erasing import find_fields_root
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
from carnet.vault.sealing import compute_journal_name
from carnet.vault.store import Connection, open_store
from carnet.vault.tables import HISTORY

SMALL_CACHE_KIB = 4096
UPPER_PIECES = 1 << 13
"""Pieces of the census tree with lower numbers are kept once read; a kilobyte each."""

_HEX_DIGITS = frozenset("0123456789abcdef")


class Passport(NamedTuple):
    """One line of a list: id, subject in its signed form (None when it was erased), number of entries, whether it is
    closed."""

    chain16: bytes
    subject: dict[str, object] | None
    entry_count: int
    is_closed: bool


class ShownEntry(NamedTuple):
    """An entry for people: place, who (16-byte member id), ground, what. `fields` is None when the contents are not
    here; `is_erased` that they are nowhere any more; `seal` is the log index of its seal."""

    seq: int
    kind: str
    member: bytes
    basis: int
    mark: int
    target: bytes
    sid: bytes
    sealed_at: int
    created_ms: int
    fields: dict[str, object] | None
    is_erased: bool = False
    key_digest: bytes = b""
    seal: int = 0


class Fingerprint(NamedTuple):
    """All that an answer about one passport can depend on: its last entry; the log indexes of rules, members and the
    census that proofs are made against; the latest of all erasures. The same fingerprint, the same answer."""

    epoch: int
    seq: int
    rules: int
    members: int
    census: int
    erasure: int


class EntryRow(NamedTuple):
    """An entry as it is stored, but for its place in the chain."""

    kind: int
    basis: int
    class_: int
    mark: int
    target: bytes | None
    sid: bytes
    submission: int
    sub_index: int
    seal: int
    position: int
    secret: bytes | None
    content: bytes | None


class Submission(NamedTuple):
    """What an entry's author signed: member, key digest, created, the signed bytes, the signature; all of it again
    with the statements' tree, for proofs."""

    member: bytes
    key_digest: bytes
    created_ms: int
    sub: bytes
    sig: bytes
    signed: SignedTogether


class Reader:
    """Open it with `open_reader`, and close it. For one thread."""

    _kinds: Kinds
    _home: bytes

    def __init__(self, home: Home, ring: KeyRing, *, is_one_of_many: bool = False, like: Reader | None = None) -> None:
        """`is_one_of_many`: with little memory of its own, since a process has dozens of them. `like` is another reader
        of this home, whose rules and members are taken over if they are still in force."""
        self._files, self._ring, self._is_one_of_many = home, ring, is_one_of_many
        self._version: object = None
        self._store = open_store(home.address, is_read_only=True)
        self._connection = self._store.connection
        try:
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

    def open_another(self) -> Reader:
        """Another reader of this home, for another thread: opened in a tenth of the time, also when this one is
        closed."""
        return Reader(self._files, self._ring, is_one_of_many=self._is_one_of_many, like=self)

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
            self._load(self._state)

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
    def shared(self) -> Shared:
        """What the proofs of this moment have in common; made when the first one asks."""
        if self._shared is None:
            self._shared = Shared(self)
        return self._shared

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
        self._ref = lru_cache(1024)(self._read_ref)
        self._rows = lru_cache(4)(self._read_rows)
        self._page = lru_cache(2048)(self._read_piece)
        self._census_tree = lru_cache(1)(lambda covers: read_census_tree(self._connection, covers))

    def _forget(self) -> None:
        for kept in (self._submission, self._ref, self._rows, self._page, self._census_tree):
            kept.cache_clear()

    def close(self) -> None:
        """End the view; idempotent."""
        self._store.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # ---- the node at large

    @property
    def state(self) -> State:
        """The ledger's state at this moment: network, rules, members."""
        return self._state

    @property
    def kinds(self) -> Mapping[str, Mapping[str, object]]:
        """The schema document of each kind."""
        return self._kinds.documents

    @property
    def stored_kinds(self) -> Kinds:
        """The kinds by the numbers under which entries are stored."""
        return self._kinds

    @property
    def connection(self) -> Connection:
        """The connection, within the moment that this reader sees; for the node's own modules."""
        return self._connection

    def get_log_key(self) -> VerifierKey:
        """The key that a trust policy names."""
        return log_key(self._state.genesis.origin, self._state.genesis.log_key)

    def get_policy(self) -> bytes:
        """The node's public trust policy: its log, and no witness yet."""
        return format_policy(Policy((self.get_log_key(),), (), (), b"none"))

    def count_entries(self) -> int:
        """How many entries this node keeps."""
        return count_linked(self._connection)

    def count_passports(self) -> int:
        """How many passports this node keeps."""
        return cast("int", self._connection.execute("SELECT count(*) FROM chain WHERE type = 1").fetchone()[0])

    # ---- keys

    def keeps_key(self, digest: bytes) -> bool:
        """Whether this node has the secret of a key with which it signs for a member, or for itself."""
        ring = self._ring
        return ring.find_seed(digest) is not None or digest in {
            Signer(seed).digest for seed in (ring.node, *ring.old_nodes) if seed
        }

    def read_key_origins(self) -> dict[bytes, int]:
        """The log index since which each key is listed, by its digest."""
        origins: dict[bytes, int] = {}
        for since, leaf in self._connection.execute("SELECT since, leaf FROM member_leaf ORDER BY since"):
            for key in parse_member(leaf).keys:
                origins.setdefault(key.digest, since)
        return origins

    def count_signed(self, digest: bytes, since: int = 0) -> int:
        """How many entries this author key has signed that were sealed at a log index or later. Reads all entries."""
        query = (
            "SELECT count(*) FROM entry JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key WHERE digest = ? AND seal >= ?"
        )
        return cast("int", self._connection.execute(query, (digest, since)).fetchone()[0])

    def find_first_record(self, at: int) -> int:
        """The log index of the first record of this time (ms) or later; the log's size if there is none."""
        return bisect_left(range(self._state.size), at, key=self._record_at)

    # ---- passports

    def find(self, text: str) -> bytes | None:
        """The passport that a person names: its id in hexadecimal, a VIN, or `scheme:value`. Raises as
        `parse_subject` does."""
        if len(text) == 32 and set(text) <= _HEX_DIGITS:
            ref = find_chain_by_id(self._connection, self._ring, parse_hex_id(text))
            return None if ref is None else ref.chain16
        return self.find_subject(parse_subject(text))

    def get(self, text: str) -> bytes:
        """As `find`; raises Refused(UNKNOWN_PASSPORT), and Refused(ERASED) for one that was erased."""
        found = self.find(text)
        if found is None:
            if is_id(text):
                check_id_not_erased(self._connection, parse_hex_id(text))
            else:
                check_subject_not_erased(self._connection, self._ring, parse_subject(text))
            raise Refused(Reason.UNKNOWN_PASSPORT, f"there is no passport {text[:80]!a} here", passport=text[:80])
        return found

    def find_subject(self, subject: Subject) -> bytes | None:
        """The passport of a subject."""
        ref = find_chain_by_subject(self._connection, self._ring, subject)
        return None if ref is None else ref.chain16

    def find_chain(self, subject: Subject) -> ChainRef | None:
        """The passport of a subject, ready for a job."""
        return find_chain_by_subject(self._connection, self._ring, subject)

    def find_by_beginning(self, digits: str) -> Iterator[Passport]:
        """The passports whose id begins with these hexadecimal digits, in the order of their ids; none other is
        read."""
        low = bytes.fromhex(digits.ljust(32, "0"))
        high = bytes.fromhex(digits.ljust(32, "f"))
        where = "chain16 BETWEEN ? AND ? AND type = ? ORDER BY chain16"
        query = f"SELECT id, chain16, {LAST_SEQ}, closed FROM chain WHERE {where}"  # noqa: S608 - our own words
        for number, chain16, seq, closed in self._connection.execute(query, (low, high, HISTORY)):
            yield Passport(chain16, self._find_subject_of(number), seq + 1, bool(closed))

    def list_passports(self) -> Iterator[Passport]:
        """All passports in the order of their opening, read as they are asked for."""
        last = 0
        where = "id > ? AND type = ? ORDER BY id LIMIT 500"
        query = f"SELECT id, chain16, {LAST_SEQ}, closed FROM chain WHERE {where}"  # noqa: S608 - our own words
        while rows := self._connection.execute(query, (last, HISTORY)).fetchall():
            for number, chain16, seq, closed in rows:
                yield Passport(chain16, self._find_subject_of(number), seq + 1, bool(closed))
            last = rows[-1][0]

    def read_authors(self, chain: bytes) -> tuple[int, frozenset[tuple[bytes, str]]]:
        """(how many changes of holder there were, (member, kind) of the entries of a passport), nothing opened.

        Raises Refused(UNKNOWN_PASSPORT).
        """
        row = self._connection.execute(
            "SELECT id, head_epoch FROM chain WHERE chain16 = ? AND type = ?", (chain, HISTORY)
        ).fetchone()
        if row is None:
            raise Refused(Reason.UNKNOWN_PASSPORT, f"there is no passport {chain.hex()} here", passport=chain.hex())
        query = (
            "SELECT DISTINCT author_key.member, schema.kind FROM entry"
            " JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key JOIN schema ON schema.id = entry.kind"
            " WHERE entry.chain = ?"
        )
        rows = self._connection.execute(query, (row[0],)).fetchall()
        return row[1], frozenset((bytes(member), kind) for member, kind in rows)

    def get_subject(self, chain: bytes) -> dict[str, object]:
        """The subject of a passport, in its signed form."""
        return self._ref(chain).subject

    def get_chain(self, chain: bytes) -> ChainRef:
        """A chain by its id, ready for a job; raises Refused(UNKNOWN_PASSPORT, ERASED)."""
        return self._ref(chain)

    def find_journal(self, passport: bytes, epoch: int) -> ChainRef | None:
        """The journal of a passport's holder of this epoch, if one was opened."""
        return find_chain_by_subject(self._connection, self._ring, self.get_journal_subject(passport, epoch))

    def get_journal_subject(self, passport: bytes, epoch: int) -> Subject:
        """What the entries of that journal are about: a name that says nothing without this node's index key."""
        return Subject("journal", compute_journal_name(self._ring.index, passport, epoch))

    def find_head(self, chain: bytes) -> tuple[int, int, int] | None:
        """(type, epoch, seq) of a chain that is here; nothing is opened for the answer."""
        query = f"SELECT type, head_epoch, {LAST_SEQ} FROM chain WHERE chain16 = ?"  # noqa: S608 - our own words
        row = self._connection.execute(query, (chain,)).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def find_fingerprint(self, chain: bytes) -> Fingerprint | None:
        """What an answer about a passport depends on, at this moment; None where there is no such passport."""
        head, state = self.find_head(chain), self._state
        if head is None:
            return None
        (erasure,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM erasure").fetchone()
        census = -1 if self._census is None else self._census[0]
        # Not the checkpoint, of which each commit signs another: an answer that names it is not to be kept.
        return Fingerprint(head[1], head[2], state.rules_ref.index, state.members_ref.index, census, erasure)

    def has_written(self, chain: bytes, member: bytes) -> bool:
        """Whether an entry of this history is a member's own word (any basis but the holder's). Nothing is opened for
        the answer."""
        query = (
            "SELECT 1 FROM chain JOIN entry ON entry.chain = chain.id"
            " JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key"
            " WHERE chain16 = ? AND type = 1 AND member = ? AND basis <> 4 LIMIT 1"
        )
        return self._connection.execute(query, (chain, member)).fetchone() is not None

    def read_entries(
        self, chain: bytes, is_open: Callable[[bytes, int], bool] = lambda member, basis: True
    ) -> Iterator[ShownEntry]:
        """The entries of a chain in order. Contents are opened where `is_open(member, basis)` says so; those of others
        are not touched."""
        ref = self._ref(chain)
        query = (
            "SELECT seq, kind, basis, mark, target, sid, submission, seal, secret, content FROM entry WHERE chain = ?"
            " ORDER BY seq"
        )
        for seq, kind_id, basis, mark, target, sid, number, seal, secret, content in self._connection.execute(
            query, (ref.id,)
        ).fetchall():
            kind, names = self._kinds.names_of[kind_id]
            submission = self._submission(number)
            fields = None
            if secret is not None and content is not None and is_open(submission.member, basis):
                fields = open_content(ref, kind, names, sid, secret, content).fields
            yield ShownEntry(
                seq,
                kind,
                submission.member,
                basis,
                mark,
                target or NO_TARGET,
                sid,
                self._record_at(seal),
                submission.created_ms,
                fields,
                secret is None,
                submission.key_digest,
                seal,
            )

    # ---- what a proof is made from (carnet.proof.assemble.ProofSource)

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
            way = find_way(self._open_piece, slot)
            if way.name == chain and way.digest is not None:
                check_climb(top.digest, slot, way.digest, way.siblings)
                return way.siblings
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
        for row in self._rows(chain):
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
        ref = self._ref(chain)
        rows = self._rows(chain)
        if seq >= len(rows):
            raise Refused(Reason.UNKNOWN_PASSPORT, f"this passport has no entry {seq}", passport=chain.hex())
        row = rows[seq]
        kind, names = self._kinds.names_of[row.kind]
        kept = find_fields_root(self._connection, ref.id, seq) if is_judged and row.secret is None else None
        opened = Opened({}, [])
        if kept is None:
            opened = open_content(ref, kind, names, row.sid, row.secret, row.content)
        submission = self._submission(row.submission)
        statement = Statement(
            net=self._state.net,
            chain=ref.chain16 if seq else NO_CHAIN,
            member=submission.member,
            key_digest=submission.key_digest,
            basis=row.basis,
            class_=row.class_,
            mark=row.mark,
            target=row.target or NO_TARGET,
            fields_root=compute_opened_root(opened) if kept is None else kept,
        )
        return OpenedEntry(
            statement=statement.to_bytes(),
            fields={
                name: (salt, value) for (name, value), salt in zip(opened.fields.items(), opened.salts, strict=True)
            },
            submission=submission.signed,
            index=row.sub_index,
        )

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

    # ---- reading, behind the caches

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

    def _open_piece(self, number: int) -> Bucket | Page:
        # The upper pages are on the way to every chain; those below, and the buckets, on the way to few.
        return self._page(number) if number < UPPER_PIECES else self._read_piece(number)

    def _read_piece(self, number: int) -> Bucket | Page:
        return open_piece(number, find_piece(self._connection, number), compute_slot)

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

    def _read_rows(self, chain: bytes) -> list[EntryRow]:
        """All entries of a chain as they are stored, from seq 0."""
        query = (
            "SELECT kind, basis, class, mark, target, sid, submission, sub_index, seal, position, secret, content"
            " FROM entry WHERE chain = ? ORDER BY seq"
        )
        return [EntryRow(*row) for row in self._connection.execute(query, (self._ref(chain).id,))]

    def _read_ref(self, chain: bytes) -> ChainRef:
        ref = find_chain_by_id(self._connection, self._ring, chain)
        if ref is None:
            raise Refused(Reason.UNKNOWN_PASSPORT, f"there is no passport {chain.hex()} here", passport=chain.hex())
        return ref

    def _find_subject_of(self, number: int) -> dict[str, object] | None:
        try:
            return get_chain_by_number(self._connection, self._ring, number).subject
        except Refused as refused:
            if refused.reason is not Reason.ERASED:
                raise
            return None


def open_reader(path: Path, *, passphrase: str | None = None) -> Reader:
    """A reader of a home. Raises Refused NO_NODE, WRONG_PASSPHRASE, NODE_DAMAGED."""
    home = Home(path)
    home.finish_founding()
    return Reader(home, load_key_ring(home.keys, passphrase))


def compute_opened_root(opened: Opened) -> bytes:
    """The fields root of opened contents. Spec: 2.2."""
    values = [encode_trusted(value) for value in opened.fields.values()]
    return get_sealer(tuple(opened.fields)).compute_root(values, opened.salts)


def is_id(text: str) -> bool:
    """Whether a text is the id of a passport in hexadecimal."""
    return len(text) == 32 and set(text) <= _HEX_DIGITS


def split_hashes(data: bytes) -> list[bytes]:
    """The 32-byte hashes of a blob."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
