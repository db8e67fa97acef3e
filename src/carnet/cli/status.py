"""`carnet status` and `carnet doctor`: the node at a glance, and what is wrong with its installation.

Neither changes anything. They refuse to say that a store is undamaged: only `carnet fsck` reads all of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from carnet.cli.group import as_json, verb
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.cli.terminal import Terminal
    from carnet.ledger.network import Fork
    from carnet.services.status import Desk, Status

PROBLEMS = 1
LEVELS = {"ok": "good", "warning": "unsure", "problem": "bad"}


@verb(
    examples=(
        ("The node at a glance", "carnet status"),
        ("For a program that watches it", "carnet status --json"),
    )
)
@as_json
@click.pass_obj
def status(session: Session, is_json: bool) -> None:
    """Show the node at a glance: entries, log, census, backup, disk, keys, who writes.

    Quick whatever its size, also while it imports; asks for no passphrase. A number that would take long is an
    estimate, and says "about".
    """
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.status import get_status

    found = get_status(session.home)
    if is_json:
        write_json_line(found.to_document())
        return
    _show(Terminal(), found)


def _show(terminal: Terminal, found: Status) -> None:
    from carnet.cli.terminal import format_age

    seen, state = found.seen, found.seen.state
    about = "" if seen.entries.is_exact else "about "
    terminal.facts(
        (
            ("home", f"{found.home}{_say_mark(found)}"),
            ("store", found.store),
            ("network", state.genesis.origin),
            *([] if state.genesis.forked_from is None else [("goes on from", say_fork(state.genesis.forked_from))]),
            ("entries", f"{about}{seen.entries.number:,} in {seen.passports.number:,} passports"),
            ("log", f"{state.size:,} records, the last {format_age(found.now - seen.last_at)}{_say_head(found)}"),
            ("census", _say_census(found)),
            ("backup", _say_backup(found)),
            ("drill", _say_drill(found)),
            *([] if found.desk is None else [("checked", _say_checked(found)), ("approvals", _say_approvals(found))]),
            ("disk", _say_disk(found)),
            ("keys", _say_keys(found)),
            *([] if found.desk is None else [("programs", _say_programs(found.desk))]),
            ("writer", _say_writer(found)),
            ("erasures", _say_erasures(found)),
        )
    )
    terminal.say(("carnet doctor looks for what is wrong; carnet fsck checks everything that is stored.", "dim"))


def say_fork(cited: Fork) -> str:
    """The log that a network cites."""
    return f"{cited.origin}, as of its record {cited.size:,}"


def _say_mark(found: Status) -> str:
    if found.mark is None:
        return ""
    return " (restored from a backup: it only reads until it is shown the newest head)"


def _say_head(found: Status) -> str:
    behind = found.seen.state.size - found.seen.head_size
    return "" if behind == 0 else f"; signed up to record {found.seen.head_size:,}"


def _say_census(found: Status) -> str:
    from carnet.cli.terminal import format_age

    census = found.seen.census
    if census is None:
        return "none yet: nothing can be proved before one is taken"
    since = f"{census.changed:,} passports changed since" if census.changed else "nothing changed since"
    owed = "; one is owed after an erasure: no proof until it is taken" if census.is_owed else ""
    age = format_age(found.now - census.at)
    return f"record {census.record:,}, {age}, {census.chain_count:,} passports; {since}{owed}"


def _say_backup(found: Status) -> str:
    from carnet.cli.terminal import format_age

    last = found.last_backup
    if last is None:
        return "none was made from here: carnet backup -o FILE"
    since = found.records_since_backup
    return f"{format_age(found.now - last.at)}, {last.file}, {last.byte_count:,} bytes; {since:,} records since"


def _say_drill(found: Status) -> str:
    from carnet.cli.terminal import format_age

    last = found.last_drill
    if last is None:
        return "a backup was never tried: carnet drill"
    age = format_age(found.now - last.at)
    return f"{age}, good" if last.problem is None else f"{age}, NOT good: {last.problem}"


def _say_checked(found: Status) -> str:
    from carnet.cli.terminal import format_age

    desk = found.desk
    if desk is None or desk.checked_at is None:
        return "not yet by the service; carnet fsck does it now"
    said = (
        "all of it is what was signed" if not desk.findings else f"{desk.findings:,} findings: carnet fsck names them"
    )
    return f"{format_age(found.now - desk.checked_at)}, {said}"


def _say_approvals(found: Status) -> str:
    waiting = 0 if found.desk is None else found.desk.approvals_waiting
    return f"{waiting:,} wait for a second operator: carnet approval list --open" if waiting else "none wait"


def _say_disk(found: Status) -> str:
    share = 100 * found.disk_free // max(1, found.disk_total)
    log = f" and {format_bytes(found.log_bytes)} not yet moved into it" if found.log_bytes else ""
    return f"store {format_bytes(found.seen.store_bytes)}{log}; {format_bytes(found.disk_free)} free ({share} %)"


def _say_keys(found: Status) -> str:
    from carnet.cli.terminal import format_moment

    keys = found.seen.keys
    in_force = [one for one in keys if one.key.revoked is None]
    oldest = min((one.listed_at for one in in_force), default=None)
    revoked = sum(one.key.revoked is not None for one in keys)
    disputed = sum(one.key.disputed_since is not None for one in keys)
    return (
        f"{len(in_force):,} in force"
        + ("" if oldest is None else f", the oldest of {format_moment(oldest)}")
        + f"; {revoked:,} revoked, {disputed:,} disputed; none expires by itself"
    )


def _say_programs(desk: Desk) -> str:
    from carnet.cli.terminal import format_moment
    from carnet.services.status import ENDS_SOON_MS

    days = ENDS_SOON_MS // 86_400_000
    if desk.first_key_ends_at is None:
        return f"no key of theirs ends within {days} days"
    first = format_moment(desk.first_key_ends_at)
    return f"{desk.keys_ending:,} of their keys end within {days} days, the first {first}: carnet client list"


def _say_writer(found: Status) -> str:
    from carnet.cli.terminal import format_age

    if found.writer is None:
        return "nobody writes now"
    return f"process {found.writer.pid} ({found.writer.command}), since {format_age(found.now - found.writer.since)}"


def _say_erasures(found: Status) -> str:
    left = found.seen.uncleared_count
    waiting = f", {left:,} not yet gone from the disk: end what reads this home, then let it write" if left else ""
    return f"{found.seen.erasure_count:,}{waiting}"


def format_bytes(count: int) -> str:
    """A size for a person, in decimal units."""
    size, unit = float(count), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{count:,} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"


@verb(
    examples=(
        ("What is wrong with this installation?", "carnet doctor"),
        ("For a program: one object a check, then one with their number", "carnet doctor --json"),
    )
)
@as_json
@click.pass_obj
def doctor(session: Session, is_json: bool) -> int:
    """Find what is wrong with this installation, say why it matters and what to do. Changes nothing.

    Permissions, disk, clock, versions, the environment's settings, the lock and who holds it, keys, the signed head,
    erasures, backups.

    \b
    Exit code  0  no problem; there may be warnings
               1  at least one problem
    """
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.doctor import examine

    found = examine(session.home, os.environ)
    problems = sum(one.level == "problem" for one in found)
    warnings = sum(one.level == "warning" for one in found)
    if is_json:
        for one in found:
            write_json_line(one._asdict())
        write_json_line({"checks": len(found), "problems": problems, "warnings": warnings})
        return PROBLEMS if problems else 0
    terminal = Terminal()
    for one in found:
        terminal.say(terminal.shape(LEVELS[one.level]), f" {one.check.ljust(10)} {one.said}")
        if one.level != "ok":
            terminal.say(f"Why it matters: {one.why}", indent=4)
            terminal.say(f"What to do: {one.todo}", indent=4)
    said = f"{len(found)} checks: {_count(problems, 'problem')}, {_count(warnings, 'warning')}."
    terminal.say((said, "bold red" if problems else "bold"), " Nothing was changed.")
    return PROBLEMS if problems else 0


def _count(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


VERBS: dict[str, click.Command] = {"doctor": doctor, "status": status}
