"""`carnet verify`: a proof, judged; one verdict with a shape, four findings with a sentence each, and what is not
proved.

Needs no node and no network. It refuses to repeat anything that stands in an altered file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import Age, as_json, verb
from carnet.cli.session import Session, now_ms

if TYPE_CHECKING:
    from carnet.cli.terminal import Terminal
    from carnet.services.verifying import Verification

SHAPE_OF_EXIT = {0: "good", 10: "bad", 11: "unsure", 12: "other"}
GRAVEST_FIRST = (10, 11, 12, 0)
SHAPE_OF_STATE = {"ok": "good", "failed": "bad", "cannot_tell": "unsure", "moved": "other", "not_judged": "none"}


@verb(
    examples=(
        (
            "Judge a proof under a policy that you got from whom you trust",
            "carnet verify car.carnet --policy network.policy",
        ),
        ("Ask for the whole passport, no older than thirty days", "carnet verify car.carnet --complete --max-age 30d"),
        (
            "Is it this vehicle, and does it continue the proof of last year?",
            "carnet verify new.carnet --subject vin:VFZZZZ000J0000000 --since old.carnet",
        ),
        ("Judge a whole folder: a line for each, and the gravest exit code", "carnet verify proofs/*.carnet"),
        ("For a program", "carnet verify car.carnet --policy network.policy --json"),
    )
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--policy", type=click.Path(path_type=Path), help="The trust policy. Without it: those you keep (carnet trust)."
)
@click.option("--complete", is_flag=True, help="Ask for the whole passport up to the census.")
@click.option("--max-age", type=Age(), metavar="AGE", help="How old the census may be, such as 12h or 30d.")
@click.option(
    "--since", type=click.Path(path_type=Path), metavar="OLD", help="An older proof, which this one must continue."
)
@click.option("--subject", metavar="S", help="The vehicle you ask about: a VIN, scheme:value or plate:FR:AB-123-CD.")
@click.option("--passport", metavar="ID", help="The passport you ask about.")
@click.option(
    "--at", type=click.IntRange(0, 2**53 - 1), metavar="MS", help="Judge as if it were this time (ms since 1970)."
)
@as_json
@click.pass_obj
def verify(
    session: Session,
    files: tuple[Path, ...],
    policy: Path | None,
    complete: bool,
    max_age: int | None,
    since: Path | None,
    subject: str | None,
    passport: str | None,
    at: int | None,
    is_json: bool,
) -> int:
    """Judge a proof, offline, under a policy that you chose.

    Of several files each is told in a line, as one JSON object with --json; the exit code is the gravest of theirs.

    \b
    Exit code   0  genuine, and it answers what you asked
               10  altered: at least one check failed
               11  cannot tell: no policy, another network, or a newer format
               12  genuine, but not what you asked
    """
    from carnet.passport.subject import parse_subject
    from carnet.proof.verify import Asked
    from carnet.services.trusting import read_policy
    from carnet.services.verifying import read_proof, verify_proof, verify_proofs
    from carnet.types import parse_hex_id

    asked = Asked(
        complete=complete,
        max_age=max_age,
        since=None if since is None else read_proof(since),
        subject=None if subject is None else parse_subject(subject).to_json(),
        passport=None if passport is None else parse_hex_id(passport.lower()),
    )
    chosen = None if policy is None else (str(policy), read_policy(policy))
    now = now_ms() if at is None else at
    if len(files) > 1:
        proofs = ((file, read_proof(file)) for file in files)
        return _show_many(verify_proofs(proofs, now, asked=asked, policy=chosen, home=session.home), is_json)
    data = read_proof(None if str(files[0]) == "-" else files[0])
    found = verify_proof(data, now, asked=asked, policy=chosen, home=session.home)
    if is_json:
        sys.stdout.buffer.write(found.verdict.to_json())
    else:
        from carnet.cli.terminal import Terminal

        show_verification(Terminal(), found, now)
    return found.verdict.exit_code


def _show_many(judged: Iterator[tuple[Path, Verification]], is_json: bool) -> int:
    """A line for each proof as soon as it is judged; the gravest of the exit codes."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.explaining import VERDICTS

    terminal, counts = Terminal(), dict.fromkeys(GRAVEST_FIRST, 0)
    for file, found in judged:
        verdict = found.verdict
        counts[verdict.exit_code] += 1
        if is_json:
            write_json_line({"file": str(file), **verdict.to_document()})
            continue
        codes = dict.fromkeys([*(one.code for one in verdict.findings.values() if one.code), *verdict.asked])
        word = VERDICTS[verdict.exit_code][0].upper().ljust(20)
        said = f"  ({', '.join(codes)})" if codes else ""
        terminal.say(
            terminal.shape(SHAPE_OF_EXIT[verdict.exit_code]), " ", (word, "bold"), " ", str(file), (said, "dim")
        )
    if not is_json:
        told = ", ".join(f"{count:,} {VERDICTS[code][0]}" for code, count in counts.items() if count)
        terminal.say(f"{sum(counts.values()):,} proofs: {told}.")
    return next((code for code in GRAVEST_FIRST if counts[code]), 0)


def show_verification(terminal: Terminal, found: Verification, now: int) -> None:
    """The whole answer for a person."""
    from carnet.cli.terminal import format_moment
    from carnet.services.explaining import FINDINGS, VERDICTS, get_sentence

    verdict = found.verdict
    word, sentence = VERDICTS[verdict.exit_code]
    shape = terminal.shape(SHAPE_OF_EXIT[verdict.exit_code])
    style = "bold" if isinstance(shape, str) else f"bold {shape[1]}"
    terminal.say(shape, " ", (word.upper(), style), "  ", sentence)
    terminal.say("")
    for name, meaning in FINDINGS.items():
        finding = verdict.findings[name]
        said = (
            meaning if finding.state == "ok" else "Not judged." if finding.code is None else get_sentence(finding.code)
        )
        code = f"  ({finding.code})" if finding.code else ""
        terminal.say(
            terminal.shape(SHAPE_OF_STATE[finding.state]), " ", (name.ljust(13), "bold"), said, (code, "dim"), indent=2
        )
    for code in verdict.asked:
        terminal.say(
            terminal.shape("other"),
            " ",
            ("asked".ljust(13), "bold"),
            get_sentence(code),
            (f"  ({code})", "dim"),
            indent=2,
        )
    if any(finding.code == "time_in_future" for finding in verdict.findings.values()):
        terminal.say("")
        terminal.say(f"The clock that judges says {format_moment(now)}: if that is wrong, set it, then verify again.")
    report = verdict.to_document()["report"]
    if isinstance(report, dict):
        _show_report(terminal, found, report, now)


def _show_report(terminal: Terminal, found: Verification, report: dict[str, Any], now: int) -> None:
    """What the proof shows, and what it leaves open. Never reached for an altered file: its report is null."""
    from carnet.cli.terminal import format_age, format_moment
    from carnet.cli.timeline import show_timeline
    from carnet.services.explaining import NOT_PROVED

    subject, fork = report["subject"], report["forked_from"]
    withheld = f", {report['withheld']:,} withheld" if report["withheld"] else ", none withheld"
    terminal.say("")
    terminal.facts(
        (
            ("subject", ":".join(str(subject[part]) for part in ("scheme", "country", "value") if part in subject)),
            ("passport", report["passport"]),
            ("network", report["network"]),
            *([] if fork is None else [("goes on from", f"{fork['origin']}, as of its record {fork['size']:,}")]),
            ("trusted by", found.policy_name or ""),
            ("as of", f"{format_moment(report['as_of'])} ({format_age(now - report['as_of'])})"),
            ("entries", f"{report['links']:,}: {report['shown']:,} shown{withheld}"),
            ("holders", f"{report['epoch'] + 1:,} (holder {report['epoch'] + 1} now)"),
        )
    )
    terminal.say("")
    if found.verdict.exit_code == 11:
        terminal.say(("What the file says, on nobody's word but its own:", "yellow"))
    show_timeline(terminal, report["entries"])
    if found.verdict.exit_code == 11:
        _show_whom_to_ask(terminal, found, report)
        return
    terminal.say("")
    terminal.say(("Not proved: ", "bold"), "; ".join(NOT_PROVED), ".")


def _show_whom_to_ask(terminal: Terminal, found: Verification, report: dict[str, Any]) -> None:
    codes = {finding.code for finding in found.verdict.findings.values()}
    if not codes & {"no_policy", "other_network"}:
        return
    name = str(report["network"]).split("/")[0]
    terminal.say("")
    terminal.say(
        ("Whose network is it? ", "bold"), f"The file says {report['network']}, and that its log has this key:"
    )
    terminal.say(report["log_key"], indent=4)
    terminal.say(
        f"Ask whoever answers for {name}, in a way that this file's sender does not control, for the policy that"
    )
    terminal.say("`carnet policy` prints there, and compare the key. Then keep it: carnet trust add FILE")


VERBS: dict[str, click.Command] = {"verify": verify}
