"""A submission that was signed elsewhere, made ready for the writer: contents encrypted, statements in their chains.

Its statements are taken as their author signed them, byte for byte. Whether the signature holds and the fields are the
signed ones has been asked before; whether the author may say it is the writer's to ask. It refuses to sign anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from carnet.encoding import decode, encode_trusted
from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import KindLine
from carnet.node.jobs import OPENINGS, ChainRef, Context, Item, Prepared, PreparedGroup, Refusal, Row
from carnet.node.lookup import get_packing
from carnet.node.prepare import check_mark, find_day
from carnet.passport.kinds import Schema, read_schema
from carnet.passport.statement import NO_TARGET
from carnet.passport.submission import Opened, Stated, Submission
from carnet.types import show
from carnet.vault.codes import HISTORY, JOURNAL
from carnet.vault.sealing import encrypt_content, pack_values, wrap

Kinds = dict[str, tuple[KindLine, Schema]]


class _Chain(NamedTuple):
    """A chain that the submission writes in: its canonical subject, and the rows that may stand there."""

    ref: ChainRef
    subject: bytes
    rows: list[Row]


def prepare_incoming(
    context: Context,
    submission: Submission,
    opened: Sequence[Opened],
    public: bytes,
    get_chain: Callable[[bytes], ChainRef],
) -> Prepared:
    """The submission as the writer takes it; what cannot stand in its chain is among the refusals, by its place.

    `opened` is what `open_fields` gave for each statement, `public` the author's key; `get_chain` finds a chain by its
    id or raises a refusal.
    """
    asked = {one.fields["kind"] for one in submission.statements}
    kinds: Kinds = {
        line.kind: (line, _compile(encode_trusted(doc))) for line, doc in context.kinds if line.kind in asked
    }
    chains: dict[bytes, _Chain] = {}
    refusals: list[Refusal] = []
    sids = submission.sids
    for place, (one, found) in enumerate(zip(submission.statements, opened, strict=True)):
        try:
            chain = chains.get(one.parts.chain)
            if chain is None:
                ref = get_chain(one.parts.chain)
                chain = chains[one.parts.chain] = _Chain(ref, ref.encoded_subject, [])
            chain.rows.append(_make_row(kinds, chain, place, one, found, sids[place]))
        except Refused as refused:
            refusals.append(Refusal(place, refused.reason, refused.message, refused.facts))
    author, statements = submission.author, submission.statements
    return Prepared(
        net=author.net,
        member=author.member,
        key_digest=author.key_digest,
        public=public,
        basis=author.basis,
        created_ms=submission.created_ms,
        statement_count=len(statements),
        root=submission.root,
        sig=submission.sig,
        leaves=b"".join(submission.leaves) if len(statements) > 1 else b"",
        groups=[
            PreparedGroup(ref.id, ref.chain16, ref.type, None, b"", b"", rows)
            for ref, _, rows in chains.values()
            if rows
        ],
        refusals=refusals,
        item_count=len(statements),
        is_signed_here=False,
        rules=context.rules,
        signed=b"".join(map(submission.compute_signed, sids)),
    )


@lru_cache(maxsize=256)
def _compile(document: bytes) -> Schema:
    """The schema of a kind; to compile it takes as long as many rows."""
    return read_schema(decode(document))


def _make_row(kinds: Kinds, chain: _Chain, place: int, one: Stated, opened: Opened, sid: bytes) -> Row:
    parts, fields, ref = one.parts, one.fields, chain.ref
    found = kinds.get(fields["kind"])
    if found is None:
        raise Refused(
            Reason.UNKNOWN_KIND, f"the rules in force name no kind {show(fields['kind'])}", kind=fields["kind"]
        )
    line, schema = found
    _check_normal(schema, fields)
    if schema.kind in OPENINGS or ref.type != (HISTORY if line.chain == "history" else JOURNAL):
        raise Refused(Reason.WRONG_CHAIN, f"{schema.kind} cannot stand in this chain")
    if parts.mark or parts.target != NO_TARGET or 0 not in schema.marks:
        item = Item(schema.kind, fields, mark=parts.mark, target=parts.target)
        check_mark(item, schema.marks, has_source=line.location == "source")
    # Its fields are complete: those that were opened are the schema's, in the same order.
    values, packing = opened.values, get_packing(schema.names)
    is_own = values[packing.subject_at] == chain.subject
    packed = pack_values(values, packing, fields["occurred"], is_own)
    content = encrypt_content(opened.content_key, ref.chain16, sid, packed)
    return Row(
        place,
        schema.kind,
        parts.class_,
        parts.mark,
        parts.target,
        sid,
        place,
        wrap(ref.key, one.secret),
        content,
        None,
        None if is_own else (values[packing.subject_at], find_day(fields["occurred"])),
    )


def _check_normal(schema: Schema, fields: dict[str, Any]) -> None:
    """Signed is signed: what the kind would write otherwise cannot be mended here."""
    if encode_trusted(schema.validate(fields)) != encode_trusted(fields):
        raise Refused(
            Reason.FIELDS_MISMATCH,
            f"the fields of this {schema.kind} were signed in another form than the kind keeps: sign it again with"
            " `carnet sign`",
            kind=schema.kind,
        )
