"""A kind of entry, ready for use: what it is called, where it stands, and whether given fields are good.

It refuses to know which kinds exist (see the package itself, and the rules document) and who may write them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import msgspec

from carnet.encoding import encode_trusted
from carnet.errors import Refused
from carnet.passport.kinds.fast import FastPaths, compile_fast_path
from carnet.passport.kinds.general import read_fields
from carnet.passport.kinds.language import COMMON_FIELDS, FieldSpec, SchemaDocument, check_schema, read_document
from carnet.types import Mark

_COMMON_LABELS = {"kind": "kind of entry", "occurred": "when it happened", "subject": "what it is about"}


@dataclass(frozen=True)
class Schema:
    """One version of one kind, for ever: an entry is read under the version in which it was written."""

    description: SchemaDocument

    @property
    def kind(self) -> str:
        """Its full name with its version, such as `vehicle.odometer/1`."""
        return self.description.kind

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.description.label

    @property
    def chain(self) -> Literal["history", "journal"]:
        """The chain that its entries stand in. Source: format.md, Who says what."""
        return self.description.chain

    @cached_property
    def marks(self) -> frozenset[Mark]:
        """The marks that a statement of this kind may carry; one of them it must carry."""
        return frozenset(Mark(mark) for mark in self.description.marks)

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        """The kind's own fields, in ascending name order, without the common ones."""
        return self.description.fields

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All field names in ascending order, the common ones included: the names that a fields root covers."""
        return tuple(sorted([*COMMON_FIELDS, *(spec.name for spec in self.description.fields)]))

    @cached_property
    def labels(self) -> dict[str, str]:
        """What a person calls each field, by name."""
        return _COMMON_LABELS | {spec.name: spec.label for spec in self.description.fields}

    def document(self) -> dict[str, Any]:
        """The schema as plain JSON; the digest of its canonical bytes is what the rules document names."""
        return self.description.to_json()

    def validate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The complete fields in ascending name order, normal and with nulls; the input is left as it was.

        Raises the first Refused in the order of Reason, with `field` and `value` among its facts: UNKNOWN_FIELD,
        MISSING_FIELD, WRONG_TYPE, NOT_IN_LIST, VALUE_OUT_OF_RANGE, NUMBER_OUT_OF_RANGE, TEXT_TOO_LONG,
        TEXT_NOT_ALLOWED, FIELDS_CONFLICT, INVALID_VIN, INVALID_PLATE, INVALID_TIME, ENDS_BEFORE_START.
        """
        good = self._fast_path.read(fields)
        return self.validate_by_document(fields) if good is None else good

    def encode_all(self, fields: Sequence[Mapping[str, Any] | msgspec.Raw]) -> list[bytes | Refused]:
        """For each the canonical bytes of what `validate` gives, or its error. Fields that come from a process of our
        own may be MessagePack: they are judged as they are read."""
        found = self._fast_path.encode_all(fields)
        if all(found):
            return found  # type: ignore[return-value]
        return [one or self._encode_by_document(given) for one, given in zip(found, fields, strict=True)]

    def _encode_by_document(self, fields: Mapping[str, Any] | msgspec.Raw) -> bytes | Refused:
        given = msgspec.msgpack.decode(fields) if isinstance(fields, msgspec.Raw) else fields
        try:
            return encode_trusted(self.validate_by_document(given))
        except Refused as refused:
            return refused

    def validate_by_document(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The same answer by the general path alone, several times slower: the reference that `validate` is held
        against."""
        values, faults = read_fields(self.description, fields)
        if faults:
            raise faults[0]
        return values

    def find_faults(self, fields: Mapping[str, Any]) -> list[Refused]:
        """Everything that is wrong with the fields, in the order of Reason (about a hundred at most); empty when they
        are good."""
        return read_fields(self.description, fields)[1]

    @cached_property
    def _fast_path(self) -> FastPaths:
        return compile_fast_path(self.description)


def read_schema(document: object) -> Schema:
    """The schema that a document from outside describes, such as one that a vote added; Refused WRONG_TYPE if
    unsound."""
    return Schema(read_document(document))


def declare(
    kind: str,
    label: str,
    *fields: FieldSpec,
    chain: Literal["history", "journal"] = "history",
    marks: tuple[Mark, ...] = (Mark.NONE, Mark.SUPERSEDES),
    rules: tuple[Any, ...] = (),
) -> Schema:
    """Declare a built-in kind; its fields may be written in any order."""
    schema = SchemaDocument(
        kind=kind,
        label=label,
        chain=chain,
        marks=tuple(int(mark) for mark in marks),
        fields=tuple(sorted(fields, key=lambda spec: spec.name)),
        rules=rules,
    )
    check_schema(schema)
    return Schema(schema)
