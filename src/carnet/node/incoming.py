"""A submission that was signed elsewhere, made ready for the writer: contents encrypted, statements in their chains.

Its statements are taken as their author signed them, byte for byte. Whether the signature holds and the fields are the
signed ones has been asked before; whether the author may say it is the writer's to ask. It refuses to sign anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import KindLine
from carnet.node.lookup import get_packing
from carnet.node.prepare import (
    OPENINGS,
    ChainRef,
    Context,
    Item,
    Prepared,
    PreparedGroup,
    Refusal,
    Row,
    check_mark,
    find_day,
)
from carnet.passport.fields import get_sealer
from carnet.passport.kinds import Schema, read_schema
from carnet.passport.submission import Stated, Submission
from carnet.tlog.tree import leaf_hash
from carnet.types import show
from carnet.vault.codes import HISTORY, JOURNAL
from carnet.vault.sealing import encrypt_content, pack_values, wrap

Kinds = dict[str, tuple[KindLine, Schema]]


def prepare_incoming(
    context: Context, submission: Submission, public: bytes, get_chain: Callable[[bytes], ChainRef]
) -> Prepared:
    """The submission as the writer takes it; what cannot stand in its chain is among the refusals, by its place.

    `public` is the author's key, `get_chain` finds a chain by its id or raises a refusal.
    """
    asked = {one.fields["kind"] for one in submission.statements}
    kinds: Kinds = {line.kind: (line, read_schema(doc)) for line, doc in context.kinds if line.kind in asked}
    groups: dict[bytes, tuple[ChainRef, list[Row]]] = {}
    refusals: list[Refusal] = []
    sids = [one.sid for one in submission.statements]
    for place, one in enumerate(submission.statements):
        try:
            chain = one.parts.chain
            ref = groups[chain][0] if chain in groups else get_chain(chain)
            row = _make_row(kinds, ref, place, one, sids[place])
        except Refused as refused:
            refusals.append(Refusal(place, refused.reason, refused.message, refused.facts))
            continue
        groups.setdefault(chain, (ref, []))[1].append(row)
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
        leaves=b"".join(leaf_hash(one.data) for one in statements) if len(statements) > 1 else b"",
        groups=[PreparedGroup(ref.id, ref.chain16, ref.type, None, b"", b"", rows) for ref, rows in groups.values()],
        refusals=refusals,
        item_count=len(statements),
        is_signed_here=False,
        rules=context.rules,
        signed=b"".join(map(submission.compute_signed, sids)),
    )


def _make_row(kinds: Kinds, ref: ChainRef, place: int, one: Stated, sid: bytes) -> Row:
    parts, fields = one.parts, one.fields
    found = kinds.get(fields["kind"])
    if found is None:
        raise Refused(
            Reason.UNKNOWN_KIND, f"the rules in force name no kind {show(fields['kind'])}", kind=fields["kind"]
        )
    line, schema = found
    _check_normal(schema, fields)
    if schema.kind in OPENINGS or ref.type != (HISTORY if line.chain == "history" else JOURNAL):
        raise Refused(Reason.WRONG_CHAIN, f"{schema.kind} cannot stand in this chain")
    check_mark(Item(schema.kind, fields, parts.mark, parts.target), schema.marks, has_source=line.location == "source")
    values = [encode_trusted(fields[name]) for name in schema.names]
    packing = get_packing(schema.names)
    is_own = values[packing.subject_at] == encode_trusted(ref.subject)
    content_key, _ = get_sealer(schema.names).seal(values, one.secret)
    content = encrypt_content(content_key, ref.chain16, sid, pack_values(values, packing, fields["occurred"], is_own))
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
