"""What the writer of an entry was allowed to say, judged again: author, accreditation, writer table and class in force
at its seal; the mark that its kind may bear; the alias under which it speaks of the vehicle.

The same questions as the writer's (`node.placing`), asked of what is stored. Spec: 2.9, 2.14, 3.1, 3.6.
"""

from __future__ import annotations

from typing import Any

from carnet.encoding import encode
from carnet.errors import CarnetError, Refused
from carnet.ledger.rules.document import Rules
from carnet.ledger.rules.members import Members, check_custody, roles_for
from carnet.node.aliases import Declaration, check_alias
from carnet.node.fsck.placed import Signed
from carnet.node.fsck.replay import History
from carnet.node.jobs import IDENTITY
from carnet.node.placing import is_corrector
from carnet.node.prepare import find_day

MAX_SEALS = 4096


class Rights:
    """Members and rules as they were, and each question answered once."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._in_force: dict[int, tuple[Members, Rules]] = {}
        self._judged: dict[tuple[object, ...], str | None] = {}

    def get_members(self, seal: int) -> Members:
        """The members in force when the batch at this log index was sealed."""
        return self._get(seal)[0]

    def find_fault(self, seal: int, signed: Signed, kind: str, basis: int, class_: int) -> str | None:
        """What the author lacked under the members and rules of the seal, or None."""
        members, rules = self._get(seal)
        asked = (signed.member, signed.key_digest, kind, basis, class_, id(members), id(rules))
        if asked not in self._judged:
            self._judged[asked] = _find_fault(members, rules, signed, kind, basis, class_)
        return self._judged[asked]

    def is_held(self, seal: int, signed: Signed, basis: int, author: tuple[bytes, int]) -> bool:
        """Whether a correction, sealed there, holds on an entry of this author (member, basis). Spec: 2.9."""
        return author == (signed.member, basis) or is_corrector(self.get_members(seal).get(signed.member), basis)

    def _get(self, seal: int) -> tuple[Members, Rules]:
        found = self._in_force.get(seal)
        if found is None:
            if len(self._in_force) > MAX_SEALS:
                self._in_force.clear()
            found = self._history.get_members_at(seal), self._history.get_rules_at(seal)
            self._in_force[seal] = found
        return found


class Aliases:
    """The other subjects that the identity entries of one chain have declared so far."""

    def __init__(self) -> None:
        # alias, author (member, basis) and whether it was withdrawn, by the entry's sid.
        self._declared: dict[bytes, tuple[object, tuple[bytes, int]]] = {}
        self._withdrawn: set[bytes] = set()
        self._is_hole = False

    def find_fault(self, own: object, fields: dict[str, Any]) -> str | None:
        """Why an entry with these fields may not speak of its subject in a passport of the subject `own`."""
        subject = fields["subject"]
        if subject == own or self._is_hole:
            # What an erased entry declared nobody can read any more.
            return None
        newest_first = [
            Declaration(alias, basis, sid in self._withdrawn)
            for sid, (alias, (_, basis)) in reversed(self._declared.items())
        ]
        try:
            check_alias(encode(subject), find_day(fields["occurred"]), newest_first)
        except Refused as refused:
            return refused.message
        return None

    def note(self, sid: bytes, kind: str, fields: dict[str, Any] | None, author: tuple[bytes, int]) -> None:
        """An entry that may declare one; without fields it is erased, or elsewhere."""
        if kind != IDENTITY:
            return
        if fields is None:
            self._is_hole = True
        elif fields["alias"] is not None:
            self._declared[sid] = fields["alias"], author

    def find_author(self, sid: bytes) -> tuple[bytes, int] | None:
        """(member, basis) of an entry that declared one."""
        found = self._declared.get(sid)
        return None if found is None else found[1]

    def withdraw(self, sid: bytes) -> None:
        """A correction that holds supersedes the entry."""
        self._withdrawn.add(sid)


def _find_fault(members: Members, rules: Rules, signed: Signed, kind: str, basis: int, class_: int) -> str | None:
    try:
        member = members.get(signed.member)
        check_custody(basis, member.get_signing_key(signed.key_digest, roles_for(basis)))
        member.check_accredited(kind, basis, class_)
        rules.check_may_write(member.kind, kind, basis)
        in_force = rules.get_kind(kind).class_
    except (CarnetError, ValueError) as error:
        return str(error)
    return None if in_force == class_ else f"{kind} had class {in_force} then"
