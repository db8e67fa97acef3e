"""A submission on its way: statements signed by a member's own key, with all that their home needs to seal them.

Its file holds fields and secrets in clear, so whoever has it can read what it says: it is as confidential as what it is
about, also after it is sealed. It refuses to know keys, members and rules. Spec: 2.1 to 2.10.

    {"carnet": "submission/1", "created_ms": u64, "sig": base64(64),
     "statements": [{"fields": {…}, "secret": base64(32), "statement": base64(182)} …]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple, cast

from carnet.encoding import MAX_INTEGER, b64, decode, encode, encode_trusted, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.passport.draft import Draft
from carnet.passport.fields import SECRET_BYTES, seal_values
from carnet.passport.statement import (
    STATEMENT_BYTES,
    Statement,
    compute_sid,
    compute_signed,
    compute_submission,
    parse_statement,
)
from carnet.tlog.tree import compute_root, leaf_hash
from carnet.types import show

FORMAT: Final = "submission/1"
MAX_SUBMISSION_BYTES: Final = 16 * 1024 * 1024
SIGNATURE_BYTES: Final = 64


class Stated(NamedTuple):
    """One statement as signed (`st`, 182 bytes), its parts, its secret (32 bytes), its complete fields."""

    data: bytes
    parts: Statement
    secret: bytes
    fields: dict[str, Any]

    @property
    def sid(self) -> bytes:
        """The statement's id."""
        return compute_sid(self.data)


class Opened(NamedTuple):
    """The canonical values of a statement's fields, in ascending name order, and the key (32 bytes) of its contents."""

    values: list[bytes]
    content_key: bytes


@dataclass(frozen=True)
class Submission:
    """Statements of one author, signed once. All of them name the same network, member, key and basis."""

    created_ms: int
    sig: bytes
    statements: tuple[Stated, ...]

    @property
    def author(self) -> Statement:
        """The parts that all statements share: network, member, key digest, basis."""
        return self.statements[0].parts

    @cached_property
    def sids(self) -> list[bytes]:
        """The ids of the statements, in order."""
        return [one.sid for one in self.statements]

    @cached_property
    def leaves(self) -> list[bytes]:
        """The leaf hashes of the statements, in order."""
        return [leaf_hash(one.data) for one in self.statements]

    @cached_property
    def root(self) -> bytes:
        """The Merkle root over the statements, 32 bytes."""
        return compute_root(self.leaves)

    @cached_property
    def message(self) -> bytes:
        """`sub`, what the author's key signs. Spec: 2.10."""
        author = self.author
        return compute_submission(author.net, author.key_digest, self.created_ms, len(self.statements), self.root)

    def compute_signed(self, sid: bytes) -> bytes:
        """What binds the link of this statement to the signature. Spec: 2.11."""
        return compute_signed(sid, self.message, self.sig)


def state_draft(
    draft: Draft, *, net: bytes, member: bytes, key_digest: bytes, basis: int, class_: int, secret: bytes
) -> Stated:
    """The statement that a draft becomes in the name of a member. `secret` is 32 random bytes, used once. Spec: 2.5."""
    names = tuple(draft.fields)
    _, root = seal_values(names, [encode_trusted(value) for value in draft.fields.values()], secret)
    parts = Statement(net, draft.chain, member, key_digest, basis, class_, draft.mark, draft.target, root)
    return Stated(parts.to_bytes(), parts, secret, draft.fields)


def write_submission(submission: Submission) -> bytes:
    """The file's bytes: one `cj` document and a newline."""
    document = encode(
        {
            "carnet": FORMAT,
            "created_ms": submission.created_ms,
            "sig": b64(submission.sig),
            "statements": [
                {"fields": one.fields, "secret": b64(one.secret), "statement": b64(one.data)}
                for one in submission.statements
            ],
        }
    )
    return document + b"\n"


def read_submission(data: bytes) -> Submission:
    """The submission in a file's bytes; nothing of it is verified yet.

    Raises Refused: UNREADABLE_FILE for what is none, FIELDS_CONFLICT for statements of several authors,
    STATEMENT_LINKED for one that stands twice.
    """
    try:
        document = decode(data.removesuffix(b"\n"), max_bytes=MAX_SUBMISSION_BYTES)
        if not isinstance(document, dict) or document.get("carnet") != FORMAT:
            raise Unverified("malformed", f'it has no "carnet": "{FORMAT}"')
        found = _read(document)
    except (Unverified, KeyError, TypeError, AttributeError) as error:
        saying = f"this is no submission as `carnet sign` writes it: {error}"
        raise Refused(Reason.UNREADABLE_FILE, saying) from None
    authors = {(p.net, p.member, p.key_digest, p.basis) for p in (one.parts for one in found.statements)}
    if len(authors) > 1:
        raise Refused(Reason.FIELDS_CONFLICT, "a submission has one network, one member, one key and one basis")
    if len({one.data for one in found.statements}) < len(found.statements):
        raise Refused(Reason.STATEMENT_LINKED, "a statement stands twice in this submission")
    return found


def check_fields(one: Stated) -> None:
    """Raise Refused(FIELDS_MISMATCH) unless fields and secret are those that the statement was made of. Spec: 2.2."""
    open_fields(one)


def open_fields(one: Stated) -> Opened:
    """The same, and what was computed for it."""
    fields = one.fields
    names = tuple(sorted(fields))
    values = [encode_trusted(fields[name]) for name in names]
    content_key, root = seal_values(names, values, one.secret)
    if root != one.parts.fields_root:
        raise Refused(
            Reason.FIELDS_MISMATCH,
            f"the fields of {show(one.fields.get('kind'))} are not those that were signed: one of them was changed",
            statement=one.sid.hex(),
        )
    return Opened(values, content_key)


def _read(document: Mapping[str, Any]) -> Submission:
    _check_names(document, ("carnet", "created_ms", "sig", "statements"))
    created, items = document["created_ms"], document["statements"]
    if not isinstance(created, int) or isinstance(created, bool) or not 0 <= created <= MAX_INTEGER:
        raise Unverified("malformed", "created_ms is no moment")
    if not isinstance(items, list) or not items:
        raise Unverified("malformed", "it holds no statement")
    return Submission(created, unb64(document["sig"], SIGNATURE_BYTES), tuple(_read_items(items)))


def _read_items(items: Sequence[object]) -> list[Stated]:
    found = []
    for item in items:
        if not isinstance(item, dict):
            raise Unverified("malformed", "a statement is no object")
        _check_names(item, ("fields", "secret", "statement"))
        fields = item["fields"]
        if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
            raise Unverified("malformed", "a statement has no kind")
        data = unb64(item["statement"], STATEMENT_BYTES)
        found.append(Stated(data, parse_statement(data), unb64(item["secret"], SECRET_BYTES), cast("Any", fields)))
    return found


def _check_names(document: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if tuple(sorted(document)) != names:
        raise Unverified("malformed", f"it holds {', '.join(sorted(document))[:200]}, not {', '.join(names)}")
