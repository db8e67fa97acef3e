"""`carnet member`: who takes part: enrolling, accrediting, retiring.

Each change is a record of the log, and cannot be undone by editing anything.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.appearance import appearance
from carnet.cli.group import TeachingGroup, as_json, passphrase_file, yes
from carnet.cli.session import Session, end_unconfirmed, is_interactive

if TYPE_CHECKING:
    from carnet.ledger.rules.members import Member
    from carnet.ledger.state import State
    from carnet.node.acts import AccreditMember, AddKey, Done, EnrolMember, RetireMember


@click.group(
    cls=TeachingGroup,
    examples=(
        ("Enrol a garage, for which this node signs", 'carnet member add --kind garage --name "Garage des Tilleuls"'),
        ("See everyone", "carnet member list"),
        ("What one may write", 'carnet member show "Garage des Tilleuls"'),
    ),
)
def member() -> None:
    """Enrol organisations; accredit and retire them. `carnet keys revoke` ends a key."""


def _carry_out(
    session: Session,
    passphrase: str | None,
    plan: Callable[[State], EnrolMember | AccreditMember | AddKey | RetireMember],
) -> tuple[Member, Done]:
    """Do what `plan` makes of the ledger as it is, here or in the running node; the member as it is then."""
    from carnet.services.accounts.office import OPERATOR_HERE
    from carnet.services.governing import acting_at, carry_out

    with acting_at(session.home, passphrase, session.command) as (writer, office):
        act = plan(writer.state)
        done = carry_out(writer, office, OPERATOR_HERE, act)
        return writer.state.members.get(act.member), done


@member.command(
    examples=(
        ("The node keeps its key and signs for it", 'carnet member add --kind garage --name "Garage des Tilleuls"'),
        (
            "It keeps its own key, and has proved that it has it (carnet keys enrol)",
            "carnet member add --kind insurer --name Mutuelle --enrolment mutuelle.enrolment",
        ),
        ("The same, by hand", "carnet member add --kind insurer --name Mutuelle --id ID --own-key PUBLIC:SIGNATURE"),
    )
)
@click.option("--name", required=True, help="What the organisation is called.")
@click.option("--kind", required=True, help="What kind it is, such as garage, inspection_centre or insurer.")
@click.option(
    "--enrolment",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file by which it proves that it has its own key (carnet keys enrol).",
)
@click.option(
    "--own-key", metavar="PUBLIC:SIGNATURE", help="Its own public key and its signature on the enrolment, in Base64."
)
@click.option(
    "--id", "member_id", metavar="ID", help="The member id under which the own key signed (32 hexadecimal digits)."
)
@passphrase_file
@as_json
@click.pass_obj
def add(
    session: Session,
    name: str,
    kind: str,
    enrolment: Path | None,
    own_key: str | None,
    member_id: str | None,
    passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Enrol an organisation, accredited for what the rules allow to its kind.

    Without --enrolment or --own-key the node makes a key and signs for the member (basis 2). With one of them, only
    the member can sign (basis 1): its signature is over the enrolment of clause 3.3, role 1, custody 1. Compare the
    key's digest with the member by another way than the one the file came by.
    """
    from carnet.services.members import plan_enrolment, plan_enrolment_by_file

    if enrolment is not None and (own_key is not None or member_id is not None):
        raise click.UsageError("Say --enrolment alone: it holds the id and the key.")
    proof = None if enrolment is None else enrolment.read_bytes()

    def plan(state: State) -> EnrolMember:
        if proof is not None:
            return plan_enrolment_by_file(state, name, kind, proof)
        return plan_enrolment(state, name, kind, own_key=own_key, member_id=member_id)

    enrolled, _ = _carry_out(session, session.find_passphrase(passphrase_file), plan)
    _tell(enrolled, f"Enrolled {enrolled.name} ({enrolled.kind}), id {enrolled.id.hex()}", is_json)


@member.command("list", examples=(("Everyone, in the order of their enrolment", "carnet member list"),))
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """List the members of the network."""
    from carnet.cli.terminal import Piece, Terminal, write_json_line
    from carnet.services.members import to_document
    from carnet.services.reading import open_reader

    with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
        members = reader.state.members.all
    if is_json:
        for one in members:
            write_json_line(to_document(one))
        return
    rows: list[list[Piece]] = [
        [
            one.id.hex(),
            one.name,
            str(one.kind),
            f"{len(one.accreditations)}",
            ("retired", "yellow") if one.retired is not None else "",
        ]
        for one in members
    ]
    Terminal().table(("id", "name", "kind", "may write", ""), rows, right=(3,), whole=(0,))


@member.command(examples=(("By name, or by the beginning of its id", 'carnet member show "Garage des Tilleuls"'),))
@click.argument("which")
@passphrase_file
@as_json
@click.pass_obj
def show(session: Session, which: str, passphrase_file: str | None, is_json: bool) -> None:
    """Show one member: its keys, and what it may write on which basis."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.explaining import BASES
    from carnet.services.founding import find_member
    from carnet.services.members import list_keys, to_document
    from carnet.services.reading import open_reader

    with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
        found = find_member(reader.state.members.all, which)
    if is_json:
        write_json_line(to_document(found))
        return
    terminal = Terminal()
    terminal.say((found.name, "bold"), f"  {found.kind}", "  (retired)" if found.retired is not None else "")
    terminal.facts((("id", found.id.hex()), ("host", found.host.hex())))
    for listed in list_keys((found,)):
        revoked = f", revoked at record {listed.key.revoked}" if listed.key.revoked is not None else ""
        terminal.facts(((f"{listed.role} key", f"{listed.key.digest.hex()} (custody {listed.custody}{revoked})"),))
    terminal.say("")
    rows: list[list[Any]] = [[kind, BASES[basis]] for kind, basis, _ in found.accreditations]
    terminal.table(("may write", "basis"), rows)


@member.command(
    examples=(
        (
            "Let a garage replace odometers",
            'carnet member accredit "Garage des Tilleuls" --kind vehicle.odometer_replacement/1 --basis 2',
        ),
        (
            "No longer",
            'carnet member accredit "Garage des Tilleuls" --kind vehicle.odometer_replacement/1 --basis 2 --withdraw',
        ),
    )
)
@click.argument("which")
@click.option("--kind", required=True, help="The kind of entry, such as vehicle.odometer/1.")
@click.option(
    "--basis", required=True, type=click.IntRange(1, 4), help="1 own key, 2 certified, 3 reported, 4 declared."
)
@click.option("--withdraw", is_flag=True, help="Take it back; what was sealed before stays as it is.")
@passphrase_file
@as_json
@click.pass_obj
def accredit(
    session: Session, which: str, kind: str, basis: int, withdraw: bool, passphrase_file: str | None, is_json: bool
) -> None:
    """Let a member write a kind of entry on a basis, or no longer."""
    from carnet.services.members import plan_accreditation

    changed, _ = _carry_out(
        session,
        session.find_passphrase(passphrase_file),
        lambda state: plan_accreditation(state, which, kind, basis, is_withdrawn=withdraw),
    )
    verb = "may no longer write" if withdraw else "may write"
    _tell(changed, f"{changed.name} {verb} {kind} on basis {basis}", is_json)


@member.command(
    "add-key",
    examples=(
        ("Its own, with which it replaces an older one", "carnet member add-key Mutuelle --enrolment new.enrolment"),
        ("One that this node makes and keeps", 'carnet member add-key "Garage des Tilleuls"'),
    ),
)
@click.argument("which")
@click.option(
    "--enrolment",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file by which it proves that it has its own key (carnet keys enrol --member).",
)
@passphrase_file
@as_json
@click.pass_obj
def add_key(session: Session, which: str, enrolment: Path | None, passphrase_file: str | None, is_json: bool) -> None:
    """List one more key of a member: its own, or without --enrolment one that this node makes and keeps.

    Which of its keys signs is the member's choice; end the old one with `carnet keys revoke`.
    """
    from carnet.services.members import plan_key

    proof = None if enrolment is None else enrolment.read_bytes()
    passphrase = session.find_passphrase(passphrase_file)
    changed, done = _carry_out(session, passphrase, lambda state: plan_key(state, which, proof))
    _tell(changed, f"{changed.name} has one more key: {(done.key or b'').hex()}", is_json)


@member.command(
    examples=(
        ("A garage that closes: what ends with it; then it asks", 'carnet member retire "Garage des Tilleuls"'),
        ("From a script", 'carnet member retire "Garage des Tilleuls" --yes --json'),
    )
)
@click.argument("which")
@yes
@passphrase_file
@as_json
@click.pass_obj
def retire(session: Session, which: str, yes: bool, passphrase_file: str | None, is_json: bool) -> int:
    """Let a member leave, for good: it signs nothing from now on, and what it signed stays valid.

    The accounts of its people and the keys of its programs end with it. It explains first and asks.
    """
    from carnet.cli.terminal import Terminal
    from carnet.services.members import plan_retirement
    from carnet.services.reading import open_reader

    passphrase = session.find_passphrase(passphrase_file)
    with open_reader(session.home, passphrase) as reader:
        act = plan_retirement(reader.state, which)
        leaving = reader.state.members.get(act.member)
    if not is_json:
        terminal = Terminal()
        terminal.say((leaving.name, "bold"), f": {leaving.kind}, id {leaving.id.hex()}")
        terminal.say("It leaves the network for good: this cannot be taken back.", indent=2)
        terminal.say("The accounts of its people and the keys of its programs end.", indent=2)
        terminal.say("What it signed stays valid.", indent=2)
    if not yes:
        is_asked = not is_json and is_interactive()
        if not (is_asked and click.confirm("Let this member leave?", default=False, err=True)):
            return end_unconfirmed(is_json=is_json)
    # By its id: what was confirmed is what is done, whoever is enrolled or leaves meanwhile.
    changed, _ = _carry_out(session, passphrase, lambda state: plan_retirement(state, act.member.hex()))
    _tell(changed, f"{changed.name} has left the network", is_json)
    return 0


def _tell(changed: Member, sentence: str, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.members import to_document

    if is_json:
        write_json_line(to_document(changed))
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" {sentence}")


member.add_command(appearance)

VERBS: dict[str, click.Command] = {"member": member}
