"""Governing a node: the acts by which members come, change and go, keys are replaced and contents erased, carried out
by whichever process writes, and noted in the audit trail.

The command line of the machine itself comes here directly, an operator's page through the approval of a second one
(`services.approving`). It refuses to decide who may.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from carnet.node.acts import AccreditMember, Act, AddKey, Done, EnrolMember, Erase, RetireMember, RevokeKey, RotateKey
from carnet.node.home import Home
from carnet.node.writing import Writing
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.leaving import end_staff_of
from carnet.services.accounts.office import Office, name_caller, name_id, open_office
from carnet.services.founding import reach_writer_at
from carnet.services.principals import Principal


@contextmanager
def acting_at(home: Home, passphrase: str | None, command: str) -> Iterator[tuple[Writing, Office]]:
    """The writer of a home, be it running or not, and the office whose audit trail tells what it does. Raises as
    `reach_writer_at` and `open_office` do."""
    with reach_writer_at(home, passphrase, command) as writer:
        office = open_office(home, writer.state.genesis.name, passphrase)
        try:
            yield writer, office
        finally:
            office.people.close()


def carry_out(writer: Writing, office: Office, principal: Principal, act: Act) -> Done:
    """Carry out an act and note it; of a member that leaves, the people and programs go too. Raises as
    `Writing.perform`; then nothing has changed.

    The trail and the ledger are two stores: a crash between both leaves an act that the log alone tells.
    """
    done = writer.perform(act)
    note_done(office, principal, act, done.key)
    return done


def note_done(office: Office, principal: Principal, act: Act, key: bytes | None = None) -> None:
    """What follows an act that is carried out: its entry in the audit trail, and the end of what depended on a member
    that has left."""
    action, about, why = _describe(act, key)
    member = None if isinstance(act, Erase) else act.member
    with office.people.write() as connection:
        record(connection, office, action, name_caller(principal), about=about, member=member, why=why)
    if isinstance(act, RetireMember):
        end_staff_of(office, principal, act.member)


def name_key(digest: bytes) -> str:
    """How the audit trail names a signing key: the first half of its digest."""
    return name_id("key", digest[:16])


def _describe(act: Act, key: bytes | None) -> tuple[Action, str, str]:
    """(action, about, why): names and grounds only."""
    match act:
        case EnrolMember(member=member, kind=kind, key=own):
            custody = "own key" if own is not None else "key kept here"
            return Action.MEMBER_ENROLLED, name_id("mem", member), f"{kind}: {custody}"
        case AccreditMember(member=member, accreditations=accreditations):
            return Action.MEMBER_ACCREDITED, name_id("mem", member), f"{len(accreditations)} kinds"
        case AddKey(member=member):
            return Action.SIGNING_KEY_LISTED, name_key(key or b""), ""
        case RevokeKey(key=digest, disputed_since=since):
            return Action.SIGNING_KEY_REVOKED, name_key(digest), _say_since(since)
        case RotateKey(key=digest, disputed_since=since):
            return Action.SIGNING_KEY_ROTATED, name_key(digest), _say_since(since)
        case RetireMember(member=member):
            return Action.MEMBER_RETIRED, name_id("mem", member), ""
        case Erase(chain16=chain, seqs=seqs, reason=reason):
            what = "whole" if seqs is None else f"{len(seqs)} entries"
            return Action.PASSPORT_ERASED, name_id("pas", chain), f"{what}: {reason}"


def _say_since(since: int | None) -> str:
    return "" if since is None else f"disputed since record {since}"
