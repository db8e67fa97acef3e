"""How verbs are declared, found and explained: each teaches with examples, and none is loaded before it is used.

It refuses to know what any of them does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click

_AGE = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_WRITTEN = frozenset({"output", "faulty", "faults", "receipts", "new_key"})
"""The parameters that name a file to be written."""

_CONTINUED = "since"
"""An older proof, which the new one may replace: it is read before."""

_SECRETS = ("CARNET_PASSPHRASE_FILE", "CARNET_KEY_FILE", "CARNET_BACKUP_PASSPHRASE_FILE", "CARNET_API_KEY_FILE")
"""The variables that name a file to be read."""

Examples = Sequence[tuple[str, str]]
"""What one wants, and the line to type."""


class Place(NamedTuple):
    """Where a verb lives and what the list of verbs says of it."""

    section: str
    module: str
    summary: str


VERBS: dict[str, Place] = {
    "demo": Place("Start here", "carnet.cli.demo", "Tell the whole story on a generated fleet, in half a minute."),
    "init": Place("Start here", "carnet.cli.init", "Make a node: keys, rules, log and an empty store."),
    "serve": Place("Start here", "carnet.cli.serving", "Serve the node: pages, API and verification."),
    "import": Place("Passports", "carnet.cli.importing", "Certify a file of the field, row by row."),
    "watch": Place("Passports", "carnet.cli.watching", "Take in each file that is dropped into a folder."),
    "list": Place("Passports", "carnet.cli.reading", "List the passports that this node keeps."),
    "find": Place("Passports", "carnet.cli.reading", "Find a passport by id, VIN, plate or other subject."),
    "show": Place("Passports", "carnet.cli.showing", "Show a passport as a timeline."),
    "erase": Place("Passports", "carnet.cli.erasing", "Erase entries or a whole passport, for good."),
    "export": Place("Proofs", "carnet.cli.exporting", "Write a proof of a passport, whole or in part."),
    "verify": Place("Proofs", "carnet.cli.verifying", "Judge a proof, offline, under a policy that you chose."),
    "verify-page": Place("Proofs", "carnet.cli.publishing", "Write the page that judges proofs in a browser, offline."),
    "policy": Place("Proofs", "carnet.cli.trust", "Print this node's public trust policy, for those who verify."),
    "trust": Place("Proofs", "carnet.cli.trust", "Keep the policies of the networks that you trust."),
    "draft": Place(
        "Signing elsewhere", "carnet.cli.signing", "Write a draft for a member that signs with its own key."
    ),
    "sign": Place("Signing elsewhere", "carnet.cli.signing", "Sign drafts with an own key; needs no node."),
    "submit": Place("Signing elsewhere", "carnet.cli.signing", "Verify and seal what was signed elsewhere."),
    "member": Place("The node", "carnet.cli.member", "Enrol organisations; accredit and retire them."),
    "account": Place("The node", "carnet.cli.accounts", "Invite people; list and end their accounts."),
    "quota": Place("The node", "carnet.cli.quotas", "See and set how much a member may ask of the API."),
    "audit": Place("The node", "carnet.cli.audit", "Search and export the audit trail."),
    "approval": Place("The node", "carnet.cli.approvals", "See what operators ask each other to approve."),
    "client": Place("The node", "carnet.cli.clients", "Give programs keys; list, replace and revoke them."),
    "webhook": Place("The node", "carnet.cli.webhooks", "Tell members' programs what happened; see how that went."),
    "claim": Place("Passports", "carnet.cli.claims", "Print a code to claim a passport; decide contested claims."),
    "census": Place("The node", "carnet.cli.census", "Seal the heads of all passports: proofs are complete as of it."),
    "keys": Place("The node", "carnet.cli.keys", "Look at keys; make, replace, revoke and protect them."),
    "backup": Place("The node", "carnet.cli.backup", "Write the whole node to one encrypted file, while it runs."),
    "drill": Place("The node", "carnet.cli.drilling", "Try a backup: restore it, check it, and remove the copy."),
    "restore": Place("The node", "carnet.cli.backup", "Make a node of a backup; let a restored copy write again."),
    "checkpoint": Place("The node", "carnet.cli.backup", "Print the newest signed head of the log, to keep elsewhere."),
    "settings": Place("The node", "carnet.cli.serving", "Show every setting of the service, and its value now."),
    "status": Place("The node", "carnet.cli.status", "Show the node at a glance; quick, whatever its size."),
    "doctor": Place("The node", "carnet.cli.status", "Find what is wrong with this installation, and what to do."),
    "move": Place("The node", "carnet.cli.moving", "Move the store to a PostgreSQL database, or back to a file."),
    "fsck": Place("The node", "carnet.cli.fsck", "Check everything again from storage, down to the last bit."),
}


class Teaching(click.Command):
    """A command whose help ends with examples, as lines that can be copied."""

    def __init__(self, *args: Any, examples: Examples = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, unless one file is named for two ends."""
        _check_paths(self, ctx)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples where click would write an epilog."""
        if self.examples:
            with formatter.section("Examples"):
                for at, (purpose, line) in enumerate(self.examples):
                    # Not written as text: an example that is broken over two lines cannot be copied.
                    formatter.write(("\n" if at else "") + f"  # {purpose}\n  {line}\n")
        super().format_epilog(ctx, formatter)


def _check_paths(command: click.Command, ctx: click.Context) -> None:
    """Refuse a file that would be written twice, or be written over what is read: rows, a passphrase, a key."""
    named: dict[str, tuple[str, bool]] = {}
    for name in _SECRETS:
        if os.environ.get(name):
            named[os.path.realpath(os.environ[name])] = (name, False)
    for parameter in command.params:
        if not isinstance(parameter.type, click.Path) or parameter.name in (None, _CONTINUED):
            continue
        given = ctx.params.get(parameter.name or "")
        said = parameter.opts[-1] if isinstance(parameter, click.Option) else parameter.make_metavar(ctx)
        for one in given if isinstance(given, tuple | list) else (given,):
            if one is None or str(one) == "-" or (os.path.exists(one) and not os.path.isfile(one)):
                continue
            path, is_written = os.path.realpath(one), parameter.name in _WRITTEN
            other, was_written = named.get(path, ("", False))
            if other and (is_written or was_written):
                raise click.UsageError(f"{other} and {said} name the same file, {one}: choose another for one", ctx)
            named[path] = (said, is_written)


class TeachingGroup(Teaching, click.Group):
    """A verb with verbs of its own (`member add`), each of which teaches too."""

    command_class = Teaching


class LazyGroup(TeachingGroup):
    """The `carnet` command: knows the verbs by name, and imports the module of one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order in which a newcomer meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, loaded now."""
        place = VERBS.get(cmd_name)
        if place is None:
            return None
        verbs: dict[str, click.Command] = import_module(place.module).VERBS
        return verbs[cmd_name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but a slip of the pen is answered with the verb that was meant."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, 1)
            hint = f" Did you mean {near[0]}?" if near else " `carnet --help` lists the verbs."
            raise click.UsageError(f"There is no verb {args[0]!a}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs under their sections, without loading any."""
        width = max(map(len, VERBS))
        for section in dict.fromkeys(place.section for place in VERBS.values()):
            with formatter.section(section):
                rows = [(name.ljust(width), p.summary) for name, p in VERBS.items() if p.section == section]
                formatter.write_dl(rows)


def verb(examples: Examples, **settings: Any) -> Callable[[Callable[..., Any]], Teaching]:
    """Declare a verb that teaches with these examples."""
    return click.command(cls=Teaching, examples=examples, **settings)


class Age(click.ParamType[int]):
    """A whole number and `s`, `m`, `h` or `d`; as milliseconds. Spec: 5.11."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The age in milliseconds."""
        found = _AGE.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!a} is not an age: write a number and s, m, h or d, such as 30d", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


class OutsidePath(click.Path):
    """A file to write, or a secret to read, that is none of a node's own: what replaces keys.json ends the node."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; a wrong usage for a file of a node."""
        from carnet.node.home import is_own_file

        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if is_own_file(path):
            self.fail(f"{path} is a file of the node itself, which needs it: name another one", param, ctx)
        return path


yes = click.option("--yes", is_flag=True, help="Do not ask.")

as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON for a program to read.")

output_file = click.option(
    "-o",
    "--output",
    required=True,
    type=OutsidePath(),
    metavar="FILE",
    help="Where to; - is standard output.",
)


def passphrase_file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Two ways to name the file with the passphrase; the verb gets one `passphrase_file`."""

    @click.option(
        "--passphrase-file",
        type=click.Path(),
        metavar="FILE",
        help="Where the passphrase of the keys stands, if they are under one.  [$CARNET_PASSPHRASE_FILE]",
    )
    @click.option(
        "--key-file",
        type=click.Path(),
        metavar="FILE",
        help="The same, from a file that must be yours alone (mode 0600).  [$CARNET_KEY_FILE]",
    )
    @wraps(function)
    def with_one_file(*args: Any, passphrase_file: str | None, key_file: str | None, **options: Any) -> Any:
        if key_file is not None:
            if passphrase_file is not None:
                raise click.UsageError("Say --passphrase-file or --key-file, not both.")
            from carnet.node.home import check_private

            passphrase_file = str(check_private(Path(key_file)))
        return function(*args, passphrase_file=passphrase_file, **options)

    return with_one_file
