"""The tables of a node's store: clustered, with small integers inside and nothing random-keyed for each entry.

An entry is one row of one tree, next to its neighbours in the chain. What thousands of entries share (an author, a
signature, the leaves of a batch) is one row that they point to. It refuses to know how anything is encrypted
(`sealing`), and which values are right (`node.fsck`).
"""

from __future__ import annotations

from sqlalchemy import (
    BLOB,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

metadata = MetaData()

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))
"""What the store is about: the network and the node, as hexadecimal."""

log_record = Table(
    "log_record",
    metadata,
    Column("idx", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("leaf", BLOB, nullable=False),
)
"""Every leaf of the log, as it was hashed. `type` repeats the record's own, so that the few that are not seals are
found."""

Index("log_record_by_type", log_record.c.type, log_record.c.idx, sqlite_where=log_record.c.type != "seal")

log_node = Table(
    "log_node",
    metadata,
    Column("level", Integer, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("hash", BLOB, nullable=False),
    PrimaryKeyConstraint("level", "idx"),
    sqlite_with_rowid=False,
)
"""Hashes of the log's complete subtrees; once written they never change."""

checkpoint = Table(
    "checkpoint", metadata, Column("size", Integer, primary_key=True), Column("note", BLOB, nullable=False)
)
"""Signed notes of the log's head. Written after the records they speak of."""

rules_line = Table(
    "rules_line",
    metadata,
    Column("record", Integer, ForeignKey("log_record.idx"), nullable=False),
    Column("line", Integer, nullable=False),
    Column("bytes", BLOB, nullable=False),
    PrimaryKeyConstraint("record", "line"),
    sqlite_with_rowid=False,
)
"""The lines of each rules document, under the record that put it in force."""

member_leaf = Table(
    "member_leaf",
    metadata,
    Column("member", Integer, nullable=False),
    Column("since", Integer, ForeignKey("log_record.idx"), nullable=False),
    Column("leaf", BLOB, nullable=False),
    PrimaryKeyConstraint("member", "since"),
    sqlite_with_rowid=False,
)
"""Each member's leaf, once for each record that changed it."""

schema = Table(
    "schema",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False, unique=True),
    Column("document", BLOB, nullable=False),
)
"""The schema document of each kind; `id` is the small number that entries carry."""

author_key = Table(
    "author_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("member", BLOB, nullable=False),
    Column("digest", BLOB, nullable=False, unique=True),
    Column("public", BLOB, nullable=False),
)

submission = Table(
    "submission",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("author_key", Integer, ForeignKey("author_key.id"), nullable=False),
    Column("created_ms", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("root", BLOB, nullable=False),
    Column("sig", BLOB, nullable=False),
    Column("leaves", BLOB),
    Column("seal", Integer),
    Column("places", BLOB),
    Column("kinds", BLOB),
)
"""What an author signed at once; `leaves` are the statements' leaf hashes, 32 bytes each, where there are several.
`seal` is the log index of the last seal over its entries, `places` where they stand and `kinds` how many there are of
each (`vault.places`); null where all of them were erased before this was noted."""

Index("submission_by_author", submission.c.author_key)

chain = Table(
    "chain",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain16", BLOB, nullable=False),
    Column("type", Integer, nullable=False),
    Column("home", BLOB),
    Column("blind", BLOB),
    Column("subject", BLOB),
    Column("closed", Integer, nullable=False),
    Column("head_seq", Integer, nullable=False),
    Column("head_epoch", Integer, nullable=False),
    Column("head_id", BLOB, nullable=False),
    Column("head_seal", Integer, nullable=False),
    Column("census_seq", Integer),
    Column("census_epoch", Integer),
    Column("census_id", BLOB),
    CheckConstraint("type IN (1, 2)"),
)
"""One chain. `home` is the node it moved to (null: this one); `blind` the keyed digest of its subject, the index
that keeps one vehicle to one passport; `subject` is encrypted. `head_…` is a head that the chain had: entries may be
newer (`node.heads`), but no transfer, and none that the latest census knows. Where `head_…` itself is newer than that
census, `census_…` is the head which that census names. `chain16` and `blind` are one chain's alone: on a server by two
unique indexes, in a file by what the writer asks before it links (`vault.names`); fsck looks."""

names = MetaData()
"""What a file has beside the tables that both stores have."""

for _name in ("chain_name", "new_chain_name"):
    Table(
        _name,
        names,
        Column("is_blind", Integer, nullable=False),
        Column("name", BLOB, nullable=False),
        Column("chain", Integer, nullable=False),
        PrimaryKeyConstraint("is_blind", "name", "chain"),
        sqlite_with_rowid=False,
    )

census_piece = Table(
    "census_piece", metadata, Column("id", Integer, primary_key=True), Column("content", BLOB, nullable=False)
)
"""The tree of the latest census, in the pieces of `tlog.pieces`. Derived from the heads, and made anew where it is
absent or damaged."""

census_changed = Table("census_changed", metadata, Column("chain", Integer, ForeignKey("chain.id"), primary_key=True))
"""Chains that are new or have grown since the latest census, so that the next one pays for these alone. On a server its
reference, and that of `passport_key`, is not checked: each check would cost more than the row; fsck looks."""

passport_key = Table(
    "passport_key",
    metadata,
    Column("chain", Integer, ForeignKey("chain.id"), primary_key=True),
    Column("wrapped", BLOB, nullable=False),
)
"""The key of each chain, wrapped. In a table of its own: to destroy it is to erase the passport."""

entry = Table(
    "entry",
    metadata,
    Column("chain", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("basis", Integer, nullable=False),
    Column("class", Integer, nullable=False),
    Column("mark", Integer, nullable=False),
    Column("target", BLOB),
    Column("sid", BLOB, nullable=False),
    Column("submission", Integer, nullable=False),
    Column("sub_index", Integer, nullable=False),
    Column("seal", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("location", Integer, nullable=False),
    Column("source", BLOB),
    Column("secret", BLOB),
    Column("content", BLOB),
    PrimaryKeyConstraint("chain", "seq", name="entry_in_order"),
    CheckConstraint("location = 0 OR (location = 1 AND content IS NULL)"),
    sqlite_with_rowid=False,
)
"""One entry: who and where it stands in the log in small integers; `secret` is wrapped under the passport's key,
`content` encrypted under the key that the secret gives. `source` is a keyed digest of the imported row that it became,
to know a duplicate: here, where a new entry touches a page anyway, and erased with it. No foreign keys: their checks
would cost more than the insert; fsck looks."""

seal = Table(
    "seal",
    metadata,
    Column("idx", Integer, ForeignKey("log_record.idx"), primary_key=True),
    Column("class", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("leaves", BLOB, nullable=False),
)
"""The leaf hashes of a batch's links, 32 bytes each, under the log index of its seal."""

erasure = Table(
    "erasure",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain16", BLOB, nullable=False),
    Column("document", BLOB, nullable=False),
    Column("sig", BLOB, nullable=False),
    Column("cleared", Integer, nullable=False),
    CheckConstraint("cleared IN (0, 1)"),
)
"""What was erased on purpose, when and why, signed by the node: contents that are gone without it are damage.
`cleared` says that its bytes were looked for in every file, and are in none."""

Index("erasure_by_chain", erasure.c.chain16)

erased_entry = Table(
    "erased_entry",
    metadata,
    Column("chain", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("erasure", Integer, ForeignKey("erasure.id"), nullable=False),
    Column("fields_root", BLOB, nullable=False),
    PrimaryKeyConstraint("chain", "seq"),
    sqlite_with_rowid=False,
)
"""An entry whose contents were erased. Without the salts its fields root is noise; it keeps the statement provable."""

erased_link = Table(
    "erased_link",
    metadata,
    Column("seal", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("erasure", Integer, ForeignKey("erasure.id"), nullable=False),
    PrimaryKeyConstraint("seal", "position"),
    sqlite_with_rowid=False,
)
"""A place in a batch whose link belonged to an erased passport: nothing else of it is left."""

tombstone = Table(
    "tombstone",
    metadata,
    Column("digest", BLOB, primary_key=True),
    Column("erasure", Integer, ForeignKey("erasure.id"), nullable=False),
    sqlite_with_rowid=False,
)
"""Keyed digests, under a key of their own, of subjects and source rows that may not come back."""

writer = Table(
    "writer",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("term", Integer, nullable=False),
    Column("holder", Text, nullable=False),
    Column("state", Text, nullable=False),
    CheckConstraint("id = 1"),
)
"""One row: the latest writer's term, who it is, and whether the store is in use (`vault.fence`). Nothing is proved by
it."""
