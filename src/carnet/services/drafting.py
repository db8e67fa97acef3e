"""Drafts for those who sign elsewhere: what a node tells a member, so that it can sign an entry without a node.

A draft names the passport and its vehicle, so it is as confidential as they are. It refuses to fill anything in.
"""

from __future__ import annotations

from collections.abc import Sequence

from carnet.errors import Reason, Refused
from carnet.node.jobs import OPENINGS
from carnet.node.reader import Reader
from carnet.passport.draft import make_draft
from carnet.passport.kinds import read_schema
from carnet.services.exporting import resolve_kinds
from carnet.services.reading import get_passport


def make_drafts(reader: Reader, kind: str, passports: Sequence[str]) -> list[dict[str, object]]:
    """One draft of this kind for each passport that a person names.

    Raises Refused UNKNOWN_KIND, UNKNOWN_PASSPORT, ERASED, and WRONG_CHAIN for a kind that opens a passport.
    """
    (name,) = resolve_kinds(reader, [kind])
    if name in OPENINGS:
        raise Refused(Reason.WRONG_CHAIN, "a passport is opened at its home, not by a submission from outside")
    schema, class_ = read_schema(reader.kinds[name]), reader.state.rules.get_kind(name).class_
    network = reader.state.genesis.origin
    chains = [get_passport(reader, which) for which in passports]
    return [
        make_draft(schema, passport=chain, subject=reader.get_subject(chain), class_=class_, network=network)
        for chain in chains
    ]
