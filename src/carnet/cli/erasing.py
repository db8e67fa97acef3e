"""`carnet erase`: erase entries or a whole passport, for good, and print a certificate of it.

It explains first and asks; without a person to answer it needs --yes. It refuses to take a reason in free text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from carnet.cli.group import as_json, passphrase_file, verb, yes
from carnet.cli.session import Session, is_interactive

if TYPE_CHECKING:
    from carnet.cli.terminal import Terminal
    from carnet.services.erasing import Certificate, Plan

LISTED = 10
DEFAULT_REASON = "holder_request"


@verb(
    examples=(
        ("What would go, and what would stay; then it asks", "carnet erase VFZZZZ000J0000000"),
        ("Only two entries", "carnet erase VFZZZZ000J0000000 --entry 3 --entry 7"),
        ("From a script, with its reason", "carnet erase 3fa8 --reason retention_over --yes --json"),
    )
)
@click.argument("which")
@click.option(
    "--entry", "seqs", type=click.IntRange(0), multiple=True, metavar="SEQ", help="Only this entry; may be repeated."
)
@click.option(
    "--reason",
    default=DEFAULT_REASON,
    show_default=True,
    metavar="CODE",
    help="Why: holder_request, consent_withdrawn, retention_over, unlawful, court_order, test_data or other.",
)
@yes
@passphrase_file
@as_json
@click.pass_obj
def erase(
    session: Session,
    which: str,
    seqs: tuple[int, ...],
    reason: str,
    yes: bool,
    passphrase_file: str | None,
    is_json: bool,
) -> int:
    """Erase entries of a passport, or all of it, for good.

    Keys and contents are destroyed, and every file of the node is searched for what might be left of them. Hashes in
    the log stay, so that all other proofs hold. Copies elsewhere are not reached: the certificate names them.
    """
    from carnet.cli.failures import USAGE
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.errors import Reason, Refused
    from carnet.services.erasing import REASONS, plan_erasure
    from carnet.services.erasing import erase as erase_for_good
    from carnet.services.reading import open_reader

    if reason not in REASONS:
        raise Refused(Reason.NOT_IN_LIST, f"there is no reason {reason[:60]!a}; there are {', '.join(REASONS)}")
    passphrase = session.find_passphrase(passphrase_file)
    with open_reader(session.home, passphrase) as reader:
        plan = plan_erasure(reader, which, seqs)
    terminal = Terminal()
    if not is_json:
        _explain(terminal, plan)
    if not yes:
        if is_json or not is_interactive():
            click.echo("Nothing was erased: nobody is here to ask. Say --yes if this is meant.", err=True)
            return USAGE
        if not click.confirm("Erase this for good?", default=False, err=True):
            click.echo("Nothing was erased.", err=True)
            return 0
    certificate = erase_for_good(session.home, plan, reason, passphrase, session.command)
    if is_json:
        write_json_line(certificate.to_document())
    else:
        _certify(terminal, certificate)
    if not certificate.traces.is_gone:
        _warn(certificate)
    return 0


def _explain(terminal: Terminal, plan: Plan) -> None:
    what = "the whole passport" if plan.seqs is None else f"{len(plan.entries)} of its entries"
    terminal.say((f"{plan.subject}", "bold"), f": {what}")
    terminal.rule("What goes")
    if plan.seqs is None:
        terminal.say("its key, its subject, and every index that leads to it", indent=2)
    for seq, label, when in plan.entries[:LISTED]:
        terminal.say(f"#{seq} {label}, {when}", indent=2)
    if len(plan.entries) > LISTED:
        terminal.say(f"and {len(plan.entries) - LISTED:,} entries more", indent=2)
    if plan.judging and plan.seqs is not None:
        terminal.say(f"{plan.judging} of them corrects or contests another: that stays known", indent=2)
    terminal.rule("What stays")
    for line in plan.stays:
        terminal.say(line, indent=2)


def _certify(terminal: Terminal, certificate: Certificate) -> None:
    from carnet.cli.terminal import format_moment

    document, traces = certificate.to_document(), certificate.traces
    census = certificate.census
    counted = "none yet" if census is None else f"{census['count']:,} passports, {census['erased']:,} erased"
    entries = document["entries"]
    what = (
        f"the whole passport, {document['links']:,} entries"
        if entries is None
        else ", ".join(f"#{seq}" for seq in entries)
    )
    terminal.rule("Certificate of erasure")
    terminal.facts(
        (
            ("passport", document["passport"]),
            ("erased", what),
            ("at", format_moment(document["at"])),
            ("reason", document["reason"]),
            ("by node", document["by"]),
            ("log", f"{certificate.log_size:,} records"),
            ("census", counted),
            ("searched", f"{traces.byte_count:,} bytes in {', '.join(traces.files)}"),
            ("journal", document["backup_journal"] or "erasures.journal: copy it to wherever there are backups"),
            ("signature", document["sig"]),
        )
    )
    if traces.is_gone and traces.is_on_server:
        tables = ", ".join(document["searched"]["tables"])
        terminal.say(terminal.shape("good"), f" The server wrote these tables anew, without it: {tables}.")
    elif traces.is_gone:
        terminal.say(terminal.shape("good"), " Nothing of it was found in any file of this node.")
    terminal.rule("Copies that this node cannot reach")
    for line in certificate.copies:
        terminal.say(line, indent=2)


def _warn(certificate: Certificate) -> None:
    traces = certificate.traces
    if traces.is_log_empty:
        why = f"it was still found in {', '.join(traces.found_in)}"
    elif traces.is_on_server:
        why = "a session that reads the database still sees it, and the tables could not be written anew"
    else:
        why = "a process that is reading holds the write-ahead log (node.db-wal), where older pages stand"
    click.echo(f"Erased, but not yet from the disk: {why}.", err=True)
    if any(".moved-" in name for name in traces.found_in):
        click.echo("  That is the store from before a move: remove the file.", err=True)
        return
    click.echo("  End what reads this home; the next command that writes finishes it.", err=True)


VERBS: dict[str, click.Command] = {"erase": erase}
