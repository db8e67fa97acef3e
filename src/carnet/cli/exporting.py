"""`carnet export`: a proof of a passport as a file, whole or in part.

It refuses to overwrite a file unless told to, and to show a field that was not chosen.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from carnet.cli.group import as_json, output_file, passphrase_file, verb
from carnet.cli.session import Session, now_ms


@verb(
    examples=(
        ("The whole passport", "carnet export VFZZZZ000J0000000 -o car.carnet"),
        (
            "Only the odometer readings; the rest is counted, not shown",
            "carnet export VFZZZZ000J0000000 -o km.carnet --only odometer",
        ),
        ("Of each entry only one field", "carnet export VFZZZZ000J0000000 -o km.carnet --fields odometer_km"),
        (
            "As a continuation of the proof of last year",
            "carnet export VFZZZZ000J0000000 -o new.carnet --since old.carnet",
        ),
    )
)
@click.argument("which")
@output_file
@click.option("--only", metavar="KIND,…", help="Show only entries of these kinds, such as odometer,inspection.")
@click.option("--fields", metavar="NAME,…", help="Show only these fields, beside kind, subject and date.")
@click.option(
    "--since", type=click.Path(path_type=Path), metavar="OLD", help="Prove that the log continues this older proof's."
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@passphrase_file
@as_json
@click.pass_obj
def export(
    session: Session,
    which: str,
    output: Path,
    only: str | None,
    fields: str | None,
    since: Path | None,
    force: bool,
    passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Write a proof of a passport, whole or in part.

    Whoever receives it verifies it alone: no account, no network, no trust in whoever passed it on. What is not shown
    is still counted, so nobody can show only the good entries and call them all.
    """
    from carnet.errors import Reason, Refused

    is_stdout = str(output) == "-"
    if not is_stdout and output.exists() and not force:
        saying = f"{output} exists already; choose another name, or say --force"
        raise Refused(Reason.FILE_EXISTS, saying, file=str(output))
    if session.server is not None:
        from carnet.cli.remote import export_remote

        if only or fields or since:
            raise click.UsageError("A service proves all that your key sees: no --only, --fields, --since.")
        export_remote(session, which, output, passphrase_file, is_json)
        return
    from carnet.services.exporting import Wanted, check_fields, export_proof, resolve_kinds
    from carnet.services.reading import open_reader
    from carnet.services.verifying import read_proof
    from carnet.vault.partial import write_whole

    passphrase = session.find_passphrase(passphrase_file)
    with open_reader(session.home, passphrase) as reader:
        kinds = None if only is None else resolve_kinds(reader, only.split(","))
        names = None if fields is None else frozenset(name.strip() for name in fields.split(",") if name.strip())
        if names is not None:
            check_fields(reader, names, kinds)
    wanted = Wanted(kinds, names, None if since is None else read_proof(since))
    found = export_proof(session.home, which, wanted, passphrase)
    if is_stdout:
        sys.stdout.buffer.write(found.data)
    else:
        # A proof that is cut would be called altered.
        write_whole(output, found.data)
    _report(found, output, is_stdout=is_stdout, is_json=is_json)


def _report(found: object, output: Path, *, is_stdout: bool, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, format_age, format_moment, write_json_line
    from carnet.services.exporting import Exported

    if not isinstance(found, Exported):
        raise TypeError("a report is about what was exported")
    if found.is_behind:
        behind = f"another process is writing: the proof is as of the census {format_age(now_ms() - found.as_of)}"
        click.echo(f"Note: {behind}; what was sealed since is not in it.", err=True)
    if is_stdout:
        return
    withheld = found.link_count - found.shown_count
    if is_json:
        write_json_line(
            {
                "as_of": found.as_of,
                "behind": found.is_behind,
                "bytes": len(found.data),
                "file": str(output),
                "links": found.link_count,
                "passport": found.passport,
                "shown": found.shown_count,
                "withheld": withheld,
            }
        )
        return
    terminal = Terminal()
    counted = f"{found.shown_count:,} of {found.link_count:,} entries shown" + (
        f", {withheld:,} withheld" if withheld else ""
    )
    terminal.say(
        terminal.shape("good"), f" {output}: {len(found.data):,} bytes, {counted}, as of {format_moment(found.as_of)}"
    )
    terminal.say(
        ("Whoever receives it: ", "dim"),
        f"carnet verify {output} --policy POLICY",
        (" (carnet policy prints it)", "dim"),
    )


VERBS: dict[str, click.Command] = {"export": export}
