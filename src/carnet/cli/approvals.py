"""`carnet approval`: what operators have asked each other for in their pages, and what was decided.

It grants nothing: two people with accounts do. Whoever sits at the node's own terminal acts by the verbs (`carnet
member add` …), and the audit trail says that it was the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import TeachingGroup, as_json, passphrase_file
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.node.reader import Reader
    from carnet.services.approving.requests import Approval

SHAPES = {"open": "unsure", "granted": "unsure", "done": "good", "failed": "bad"}
WORDS = {
    "enrol": "admit a member",
    "accredit": "change what a member may write",
    "add_key": "list a member's key",
    "revoke_key": "revoke a key",
    "rotate_key": "replace a key",
    "retire": "let a member leave",
    "invite_operator": "admit an operator",
}


@click.group(
    cls=TeachingGroup,
    examples=(
        ("What waits for a second operator", "carnet approval list --open"),
        ("What one of them would change", "carnet approval show apr_00112233445566778899aabbccddeeff"),
        ("Take one back", "carnet approval withdraw apr_00112233445566778899aabbccddeeff"),
    ),
)
def approval() -> None:
    """Look at what operators ask each other to approve.

    In the pages, one operator asks and another one grants. Here nothing is granted: use the verbs themselves.
    """


@approval.command("list", examples=(("Those that wait", "carnet approval list --open"),))
@click.option("--open", "is_open", is_flag=True, help="Only those that wait to be decided or carried out.")
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, is_open: bool, passphrase_file: str | None, is_json: bool) -> None:
    """List the requests: those that wait first."""
    from carnet.cli.terminal import Piece, Terminal, format_moment, write_json_line
    from carnet.services.accounts.office import OPERATOR_HERE, office_at
    from carnet.services.approving.requests import list_approvals

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        found = list_approvals(office, OPERATOR_HERE, is_open_only=is_open)
        documents = [to_document(reader, one) for one in found]
    if is_json:
        for document in documents:
            write_json_line(document)
        return
    rows: list[list[Piece]] = [
        [one.public_id, WORDS[one.act], document["member_name"] or "", one.state, format_moment(one.until)]
        for one, document in zip(found, documents, strict=True)
    ]
    Terminal().table(("id", "what", "member", "state", "until"), rows, whole=(0,))


@approval.command(examples=(("One of them", "carnet approval show apr_00112233445566778899aabbccddeeff"),))
@click.argument("which")
@passphrase_file
@as_json
@click.pass_obj
def show(session: Session, which: str, passphrase_file: str | None, is_json: bool) -> None:
    """Show one request: who asked, what it would change, what became of it."""
    from carnet.cli.terminal import Terminal, format_moment, write_json_line
    from carnet.services.accounts.office import OPERATOR_HERE, office_at
    from carnet.services.approving.requests import get_approval

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        found = get_approval(office, OPERATOR_HERE, which)
        document = to_document(reader, found)
    if is_json:
        write_json_line(document)
        return
    terminal = Terminal()
    terminal.say(terminal.shape(SHAPES.get(found.state, "none")), f" {WORDS[found.act]}: {found.state}")
    terminal.facts(
        (
            ("member", document["member_name"] or "–"),
            ("asked by", f"{found.asked_by}, {format_moment(found.asked_at)}"),
            ("until", format_moment(found.until)),
            ("decided", "–" if found.decided_at is None else f"{found.decided_by}, {format_moment(found.decided_at)}"),
            ("outcome", found.outcome or "–"),
        )
    )
    rows: list[list[Any]] = [[one["what"], one["before"] or "", one["after"] or ""] for one in document["changes"]]
    terminal.table(("what", "now", "then"), rows)


@approval.command(
    examples=(("Nobody wants it any more", "carnet approval withdraw apr_00112233445566778899aabbccddeeff"),)
)
@click.argument("which")
@passphrase_file
@as_json
@click.pass_obj
def withdraw(session: Session, which: str, passphrase_file: str | None, is_json: bool) -> None:
    """Take a request back that was not decided yet, whoever asked."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.accounts.office import OPERATOR_HERE, office_at
    from carnet.services.approving.requests import withdraw as take_back

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        document = to_document(reader, take_back(office, OPERATOR_HERE, which))
    if is_json:
        write_json_line(document)
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" Taken back: {WORDS[document['act']]}")


def to_document(reader: Reader, approval: Approval) -> dict[str, Any]:
    """A request as JSON."""
    from carnet.node.acts import EnrolMember
    from carnet.services.approving.changes import find_subject, list_changes
    from carnet.services.approving.wishes import find_member_id

    wish = approval.kept.act
    member, own = find_subject(reader, wish), find_member_id(wish)
    name = member.name if member is not None else wish.name if isinstance(wish, EnrolMember) else None
    return {
        "act": approval.act,
        "asked_at": approval.asked_at,
        "asked_by": approval.asked_by,
        "changes": [one._asdict() for one in list_changes(reader, wish)],
        "decided_at": approval.decided_at,
        "decided_by": approval.decided_by,
        "id": approval.public_id,
        "member": None if own is None else f"mem_{own.hex()}",
        "member_name": name,
        "outcome": approval.outcome,
        "state": approval.state,
        "until": approval.until,
    }


VERBS: dict[str, click.Command] = {"approval": approval}
