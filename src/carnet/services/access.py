"""The one door for reading: which entries and fields of a passport a caller may see.

    the holder                   all of it
    a member's staff, machines   the entries that the member wrote, and objections to them
    everyone else                nothing, not even that the passport exists

Whoever shows a passport to a caller asks here first, and opens contents only through the `View` that it gets. It
refuses to know how somebody signed in, and to answer differently for what is hidden and for what does not exist.
Source: the design note on rules, §3; security, 9 and 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.ledger.state import State
from carnet.node.authored import open_fields
from carnet.node.lookup import HIDDEN
from carnet.node.reader import Reader, ShownEntry
from carnet.services.principals import Principal, Scope, Standing
from carnet.types import Basis, Mark, MemberId, Subject
from carnet.vault.codes import HISTORY

OPENING = "passport.opened/1"


class Holdings(Protocol):
    """Who holds which passport now; `services.accounts` knows."""

    def find_holder(self, chain16: bytes, epoch: int | None = None) -> str | None:
        """The account that holds a passport, None where nobody has claimed it; with the number of its changes of
        holder, None too where it was claimed before the latest of them."""

    def list_held(self, account: str) -> Sequence[bytes]:
        """The passports that an account holds, in the order in which it got them."""


class NoHoldings:
    """A node on which nobody holds anything."""

    def find_holder(self, chain16: bytes, epoch: int | None = None) -> str | None:
        """None."""
        return None

    def list_held(self, account: str) -> Sequence[bytes]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class View:
    """What a caller sees of a passport: all (`author` None), or the entries of one member. `holder` is the account that
    holds it, if any; `epoch` the number of its changes of holder."""

    passport: bytes
    author: MemberId | None
    holder: str | None
    epoch: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is hidden: the holder's own view."""
        return self.author is None

    def is_open(self, member: MemberId, basis: int) -> bool:
        """Whether an entry of this author is in the view. What the operator wrote for the holder is the holder's."""
        return self.author is None or (member == self.author and basis != Basis.HOLDER)

    def read_entries(self, reader: Reader) -> list[ShownEntry]:
        """Every link of the chain in order; the contents of those alone that are in the view."""
        return list(reader.read_entries(self.passport, self.is_open))

    def has_news(self, reader: Reader, seq: int) -> bool:
        """Whether any entry after `seq` may change what this view shows. Another member's word about the vehicle does
        not: it supersedes, contests and ends nothing."""
        return self.author is None or reader.has_written_since(self.passport, seq, self.author)

    def read_objections(self, reader: Reader, links: Sequence[ShownEntry]) -> list[ShownEntry]:
        """The entries that contest one in the view, opened: an objection is shown wherever the entry is shown, and to
        its author first of all. `links` are those of the chain."""
        own = {link.sid for link in links if self.is_open(link.member, link.basis)}
        objections = [link for link in links if link.mark == Mark.CONTESTS and link.target in own]
        return [
            link if link.fields is not None else link._replace(fields=open_fields(reader, self.passport, link.seq))
            for link in objections
        ]


def get_view(reader: Reader, holdings: Holdings, principal: Principal, passport: bytes) -> View:
    """The caller's view of a passport.

    Raises Refused(UNKNOWN_PASSPORT) alike for one that does not exist, that was erased, and that the caller may not
    see. Only to its holder an erased one is ERASED.
    """
    head = reader.find_head(passport)
    # Who held it before the latest change of holder holds it no more, whatever else is stored.
    holder = holdings.find_holder(passport, None if head is None else head[1])
    if principal.standing is Standing.HOLDER and principal.account is not None and holder == principal.account:
        if head is None:
            # Says of an erased one that it was.
            reader.get(passport.hex())
        elif head[0] == HISTORY:
            return View(passport, None, holder, head[1])
        raise refuse_unknown(passport)
    member = principal.member
    may_read = principal.standing is Standing.STAFF or (
        principal.standing is Standing.MACHINE and Scope.PASSPORTS_READ in principal.scopes
    )
    if may_read and member is not None and head is not None and reader.has_written(passport, member):
        return View(passport, member, holder, head[1])
    raise refuse_unknown(passport)


def find_by_subject(reader: Reader, holdings: Holdings, principal: Principal, subject: Subject) -> bytes:
    """The passport of a vehicle, for its holder, for a member that wrote in it, and for one that may open passports,
    whom a second opening would tell as much.

    Raises Refused(UNKNOWN_PASSPORT) for everyone else, and where there is none.
    """
    try:
        passport = reader.find_subject(subject)
    except Refused as refused:
        if refused.reason is not Reason.ERASED:
            raise
        passport = None
    if passport is None:
        raise refuse_unknown(None)
    if may_open(reader.state, principal):
        return passport
    try:
        return get_view(reader, holdings, principal, passport).passport
    except Refused:
        # Not with its id, which would say that there is one.
        raise refuse_unknown(None) from None


def may_open(state: State, principal: Principal) -> bool:
    """Whether a caller's member is accredited to open passports with a signature (basis 1 or 2) and has not left."""
    if principal.member is None or state.members.find_index(principal.member) is None:
        return False
    member = state.members.get(principal.member)
    return member.retired is None and any(
        kind == OPENING and basis in (Basis.OWN_KEY, Basis.HOSTED) for kind, basis, _ in member.accreditations
    )


def get_member(state: State, principal: Principal) -> Member:
    """The member that a caller acts for. Raises Refused(UNKNOWN_MEMBER, MEMBER_RETIRED)."""
    if principal.member is None:
        raise Refused(Reason.UNKNOWN_MEMBER, "only a member's staff and machines do this: sign in as one of them")
    member = state.members.get(principal.member)
    if member.retired is not None:
        raise Refused(Reason.MEMBER_RETIRED, f"{member.name} has left the network", member=member.name)
    return member


def refuse_unknown(passport: bytes | None) -> Refused:
    """The one refusal for what does not exist and for what is hidden."""
    if passport is None:
        return Refused(Reason.UNKNOWN_PASSPORT, HIDDEN)
    return Refused(Reason.UNKNOWN_PASSPORT, HIDDEN, passport=f"pas_{passport.hex()}")
