"""`carnet claim`: codes with which holders claim their passports, and claims that are contested."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import click

from carnet.cli.group import Age, TeachingGroup, as_json, output_file, passphrase_file
from carnet.cli.session import Session, now_ms

CODE = "cod_0123456789abcdef0123456789abcdef"
CONTEST = "con_0123456789abcdef0123456789abcdef"
SHOWN = 20
"""Rows without a code that are told one by one."""


@click.group(
    cls=TeachingGroup,
    examples=(
        ("A code for paper", 'carnet claim code VF1RFB00X56123456 --member "Garage des Tilleuls"'),
        ("Codes for a list of customers", "carnet claim invite list.csv --member Tilleuls -o codes.csv"),
        ("Claims of vehicles that have a holder", "carnet claim contests"),
        ("Decide one", f"carnet claim decide {CONTEST} --dismiss"),
    ),
)
@click.pass_context
def claim(context: click.Context) -> None:
    """Print a code to claim a passport; decide contested claims."""
    if context.obj is not None and context.obj.server is not None and context.invoked_subcommand != "invite":
        raise click.UsageError("--server goes with claim invite alone; the others are done at the node.")


@claim.command(
    examples=(
        (
            "For a vehicle that the garage serviced",
            'carnet claim code VF1RFB00X56123456 --member "Garage des Tilleuls"',
        ),
        ("Good for a week", "carnet claim code VF1RFB00X56123456 --member Autos --valid 7d"),
    )
)
@click.argument("passport")
@click.option("--member", "which", required=True, metavar="MEMBER", help="Who prints it: a name or an id.")
@click.option("--valid", type=Age(), default="30d", metavar="AGE", help="How long it is good.  [30d]")
@passphrase_file
@as_json
@click.pass_obj
def code(session: Session, passport: str, which: str, valid: int, passphrase_file: str | None, is_json: bool) -> None:
    """Print a one-time code in the name of a member that opened or serviced the passport.

    Whoever has it becomes the holder: hand it over as you hand over a key. If the passport has a holder, they are told
    and can object, and an operator decides.
    """
    from carnet.cli.terminal import Terminal, format_moment, write_json_line
    from carnet.services.accounts.office import office_at
    from carnet.services.claims import issue_code
    from carnet.services.founding import find_member
    from carnet.services.principals import Principal, Standing
    from carnet.services.reading import get_passport

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        member = find_member(reader.state.members.all, which)
        chain = get_passport(reader, passport)
        issued = issue_code(office, reader, Principal(Standing.OPERATOR), chain, member=member.id, valid_ms=valid)
    if is_json:
        document = {"code": issued.code, "id": issued.id, "passport": f"pas_{chain.hex()}", "until": issued.until}
        write_json_line(document)
        return
    Terminal().say(f"A code of {member.name} for {passport}, good once, until {format_moment(issued.until)}:")
    click.echo(f"\n  {issued.code}\n")
    Terminal().say("Its holder signs in, chooses “Add a vehicle”, and types VIN or plate and this code.")


@claim.command(examples=(("Those of a garage, newest first", 'carnet claim codes --member "Garage des Tilleuls"'),))
@click.option("--member", "which", required=True, metavar="MEMBER", help="Who printed them: a name or an id.")
@passphrase_file
@as_json
@click.pass_obj
def codes(session: Session, which: str, passphrase_file: str | None, is_json: bool) -> None:
    """List the codes that a member printed, at most 200, without their secrets."""
    from carnet.cli.terminal import Piece, Terminal, format_moment, write_json_line
    from carnet.services.accounts.office import office_at
    from carnet.services.claims import list_codes
    from carnet.services.founding import find_member
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        member = find_member(reader.state.members.all, which)
        found = list_codes(office, Principal(Standing.OPERATOR), member=member.id, limit=200)
    if is_json:
        for one in found:
            write_json_line({**one._asdict(), "passport": f"pas_{one.passport.hex()}"})
        return
    rows: list[list[Piece]] = [
        [one.id, one.passport.hex()[:8], one.state.replace("_", " "), format_moment(one.created_at)] for one in found
    ]
    Terminal().table(("code", "passport", "state", "printed"), rows, whole=(0,))


@claim.command(examples=(("One whose paper was lost", f"carnet claim revoke {CODE} --member Autos"),))
@click.argument("code")
@click.option("--member", "which", required=True, metavar="MEMBER", help="Who printed it: a name or an id.")
@passphrase_file
@click.pass_obj
def revoke(session: Session, code: str, which: str, passphrase_file: str | None) -> None:
    """Withdraw a code that was not used: it claims nothing any more."""
    from carnet.services.accounts.office import office_at
    from carnet.services.claims import revoke_code
    from carnet.services.founding import find_member
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        member = find_member(reader.state.members.all, which)
        revoke_code(office, Principal(Standing.OPERATOR), code, member=member.id)
    click.echo(f"Withdrawn: {code} claims nothing any more.")


@claim.command(
    examples=(
        ("A code and a link for each vehicle of a list", "carnet claim invite list.csv --member Tilleuls -o codes.csv"),
        (
            "For a service at another address than this machine's",
            "carnet claim invite list.xlsx --member Tilleuls --origin https://cars.example -o codes.csv",
        ),
        (
            "Through a service, with your member's key",
            "carnet --server https://cars.example --key-file my.key claim invite list.csv -o codes.csv",
        ),
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--member", "which", metavar="MEMBER", help="Who invites: a name or an id; at the node.")
@click.option("--valid", type=Age(), default="30d", metavar="AGE", help="How long each code is good.  [30d]")
@click.option(
    "--origin", metavar="URL", help="The address of the service, for the links.  [$CARNET_ORIGIN, or this machine's]"
)
@output_file
@click.option("--force", is_flag=True, help="Overwrite the output.")
@passphrase_file
@as_json
@click.pass_obj
def invite(
    session: Session,
    file: Path,
    which: str | None,
    valid: int,
    origin: str | None,
    output: Path,
    force: bool,
    passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Invite a member's customers from a list: CSV or XLSX with a column of VINs or plates.

    What is written is the list itself (10,000 rows at most), with a code and a link for each vehicle that the member
    opened or serviced. Of the list nothing is kept. Each link makes whoever has it the holder: the member sends it to
    the owner alone.
    """
    from carnet.cli.inviting import Begun, check_sides, counting, invite_here, invite_there, open_codes
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.customer_lists import Given, read_customers, write_list

    check_sides(session, which, origin)
    customers = read_customers(file.read_bytes(), now_ms())
    if session.server is not None:
        making = Begun(invite_there(session, customers))
    else:
        making = Begun(invite_here(session, customers, str(which), valid, origin, passphrase_file))
    turned: list[tuple[int, Given]] = []
    is_piped = str(output) == "-"

    def follow() -> Iterator[Given]:
        with counting(len(customers.rows), is_quiet=is_json or is_piped) as go_on:
            for at, one in enumerate(making, 1):
                if one.code is None:
                    turned.append((at, one))
                go_on()
                yield one

    # Written while they are made: a code that was made and is not in the file would be lost.
    with nullcontext(sys.stdout.buffer) if is_piped else open_codes(output, file, making, force=force) as out:
        for piece in write_list(customers, follow()):
            out.write(piece)
    if is_piped:
        return
    made = len(customers.rows) - len(turned)
    if is_json:
        write_json_line({"file": str(output), "made": made, "rows": len(customers.rows)})
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" {output}: {made:,} of {len(customers.rows):,} rows have a code")
    for at, one in turned[:SHOWN]:
        terminal.say(f"  row {at}  {customers.vehicles[at - 1] or '(no vehicle)'}: {one.outcome}")
    if len(turned) > SHOWN:
        terminal.say(f"  and {len(turned) - SHOWN:,} more: the column outcome says why")


@claim.command(examples=(("Those to decide, newest first", "carnet claim contests"),))
@passphrase_file
@as_json
@click.pass_obj
def contests(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """List claims of passports that had a holder. Nothing changes until you decide."""
    from carnet.cli.terminal import Piece, Terminal, format_moment, write_json_line
    from carnet.services.accounts.office import office_at
    from carnet.services.claims import list_contests
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        found = list_contests(office, Principal(Standing.OPERATOR))
        names = {one.id: one.name for one in reader.state.members.all}
    if is_json:
        for one in found:
            document = {**one._asdict(), "member": one.member.hex(), "passport": f"pas_{one.passport.hex()}"}
            write_json_line(document)
        return
    rows: list[list[Piece]] = [
        [one.id, one.passport.hex()[:8], one.state, names.get(one.member, ""), format_moment(one.created_at)]
        for one in found
    ]
    Terminal().table(("contest", "passport", "state", "code by", "since"), rows, whole=(0,))


@claim.command(
    examples=(
        ("The claimant holds it from now on", f"carnet claim decide {CONTEST} --grant"),
        ("All stays as it is", f"carnet claim decide {CONTEST} --dismiss"),
    )
)
@click.argument("contest")
@click.option("--grant/--dismiss", "is_granted", required=True, help="Who holds the passport from now on.")
@passphrase_file
@click.pass_obj
def decide(session: Session, contest: str, is_granted: bool, passphrase_file: str | None) -> None:
    """Decide a contested claim. It cannot be undone but by a new claim."""
    from carnet.services.accounts.office import office_at
    from carnet.services.claims import decide as decide_contest
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        decide_contest(office, reader, Principal(Standing.OPERATOR), contest, is_granted=is_granted)
    click.echo(f"{'Granted' if is_granted else 'Dismissed'} {contest}.")


VERBS: dict[str, click.Command] = {"claim": claim}
