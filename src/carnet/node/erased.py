"""What reading and writing ask about erasures: is this passport gone on purpose, and does a census still count it?

Knows tombstones and the record of erasures; refuses to know how anything is erased (`node.erasing`).
"""

from __future__ import annotations

from carnet.errors import Reason, Refused
from carnet.node.keyring import KeyRing
from carnet.passport.subject import encode_subject
from carnet.types import Subject
from carnet.vault.erasing import Tombstones, count_erased_chains, find_erasures_of
from carnet.vault.sealing import compute_blind
from carnet.vault.store import Connection


def is_census_owed(connection: Connection, erased: int) -> bool:
    """Whether a chain was erased since the latest census, which counted `erased`. That census names a head which is
    not here any more, so that no proof can be made against it."""
    return count_erased_chains(connection) != erased


def check_id_not_erased(connection: Connection, chain16: bytes) -> None:
    """Raise Refused(ERASED) for the id of a passport that was erased. For an id that no chain has."""
    if find_erasures_of(connection, chain16):
        raise Refused(Reason.ERASED, "this passport was erased", passport=chain16.hex())


def check_subject_not_erased(connection: Connection, ring: KeyRing, subject: Subject) -> None:
    """Raise Refused(ERASED) for a subject whose passport was erased. For a subject that no chain has."""
    blind = compute_blind(ring.index, encode_subject(subject))
    if Tombstones(connection, ring.index).has_subject(blind):
        raise Refused(Reason.ERASED, "the passport of this subject was erased")
