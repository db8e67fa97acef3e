"""The desk at which a member's files are handed in: what announcing and certifying one does beside the job itself.

Both the pages and the API come here, so that a file is one job whoever sends it. It refuses to know requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carnet.errors import Refused
from carnet.formats.mapping_document import read_mapping
from carnet.ledger.rules.members import Member
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.office import Office, name_caller
from carnet.services.filing.acting import Check, as_it_is, certify, get_reading
from carnet.services.filing.mappings import keep_mapping, list_known, note_file
from carnet.services.filing.records import Files, Job, Wish
from carnet.services.principals import Principal
from carnet.types import MemberId


def announce(
    files: Files, office: Office | None, member: MemberId, principal: Principal, wish: Wish, seed: bytes | None = None
) -> Job:
    """A job that waits for its file, and knows how the member's files are read. Raises Refused as `Files.create` and
    `read_mapping`."""
    if wish.format == "mapping" and wish.mapping is not None:
        _check_mapping(wish.mapping)
    known = list_known(office, member) if office is not None and wish.format == "guess" else ()
    job = files.create(member, name_caller(principal), wish, seed, known)
    if office is not None and wish.is_looked_at and not wish.validate_only:
        # The look tells which of its vehicles have a passport, and seals nothing that would say who learned it.
        note_file(office, principal, member, job.id, Action.FILE_LOOKED_AT)
    return job


def _check_mapping(document: Mapping[str, Any]) -> None:
    """Raise what is wrong with a mapping document before a file is sent that nobody could read by it."""
    try:
        read_mapping(document)
    except Refused as refused:
        refused.facts["field"] = "mapping"
        raise


def certify_file(
    files: Files,
    office: Office | None,
    member: Member,
    principal: Principal,
    id_: str,
    own_key: str | None = None,
    check: Check = as_it_is,
) -> Job:
    """Have the rows of a file that are ready sealed, keep how it was read, and leave in the audit trail who said so.
    Raises Refused as `certify`."""
    was = files.get(member.id, id_)
    job = certify(files, member, id_, name_caller(principal), own_key, check)
    if office is not None and was.certified_by is None:
        note_file(office, principal, member.id, job.id, Action.FILE_CERTIFIED)
        keep_mapping(office, principal, member.id, get_reading(files, job), job.wish.name)
    return job
