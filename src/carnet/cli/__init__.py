"""The command line: verbs for people and scripts, one module for each group, loaded only when it is used.

`carnet --help` must be quick, so this module imports nothing but the parser of arguments. It knows how to say what went
wrong; it refuses to know what a verb does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from carnet.cli.group import VERBS, LazyGroup
from carnet.cli.session import Session, find_default_home
from carnet.cli.stopping import Signals, describe_stop, heed_signals, to_exit_code

PIPE_CLOSED = 141


REMOTE = frozenset({"show", "export", "submit", "import", "watch", "webhook", "claim"})
"""The verbs that can ask a service."""


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    examples=(
        ("See the whole of it in half a minute", "carnet demo"),
        ("Certify a file of inspections", "carnet import histovec odometer_histories.jsonl"),
        ("Look at one vehicle", "carnet show VFZZZZ000J0000000"),
        (
            "Prove it to a stranger, who needs no account and no network",
            "carnet export VFZZZZ000J0000000 -o car.carnet",
        ),
        ("Check what a stranger gave you", "carnet verify car.carnet --policy network.policy"),
    ),
)
@click.option(
    "--home", metavar="DIR", help=f"The node's folder; may stand anywhere.  [$CARNET_HOME, or {find_default_home()}]"
)
@click.option(
    "--server",
    metavar="URL",
    help="Ask a running node: show, export, submit, import, watch through its API.  [$CARNET_SERVER]",
)
@click.option("--key-file", metavar="FILE", help="Where your API key for it stands.  [$CARNET_API_KEY_FILE]")
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def carnet(context: click.Context, home: str | None, server: str | None, key_file: str | None, version: bool) -> None:
    """Certified histories of vehicles, which anyone can verify offline.

    What happens to a vehicle becomes an entry of its passport, signed by whoever says it and sealed in a log. A proof
    is a file: whoever receives it checks it without trusting the server, or even asking it.
    """
    if version:
        from carnet import __version__

        click.echo(f"carnet {__version__}")
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit()
    context.obj = Session.of(home, server, key_file)
    if server is not None and context.invoked_subcommand not in REMOTE:
        raise click.UsageError(
            f"--server goes with {', '.join(sorted(REMOTE))}; {context.invoked_subcommand} does not ask one."
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the process's exit code: 0, 1 refused, 2 wrong usage, `verify`'s own 10, 11, 12, or 128
    and the signal that ended it."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_closed_streams()
    _mend_variables()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is spelled out; it never ends the verb.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with heed_signals() as signals:
            code = _run(arguments, signals)
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has seen enough (`carnet list | head`). Nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return PIPE_CLOSED
    return code


def _open_closed_streams() -> None:
    """A standard stream that the caller has closed (`>&-`) leads nowhere. Else whatever file is opened next would get
    its number, and what is meant for a person would be written into it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one; a child gets it too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _mend_variables() -> None:
    """A file of variables that was written on Windows leaves the end of its lines in each of ours: in a folder's name
    it would be another folder."""
    for name, value in os.environ.items():
        if name.startswith("CARNET_") and value.endswith("\r"):
            os.environ[name] = value.rstrip("\r")


def hoist_home(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--home DIR` and `--server URL` in front, wherever they stood: people write them after the
    verb as often as before. What stands in front already counts.
    """
    rest, front = list(arguments), list[str]()
    for name in ("--server", "--home"):
        found = list[str]()
        end = rest.index("--") if "--" in rest else len(rest)
        for at in range(end - 1, -1, -1):
            if rest[at] == name and at + 1 < end:
                found = found or rest[at : at + 2]
                del rest[at : at + 2]
            elif rest[at].startswith(f"{name}="):
                found = found or [rest[at]]
                del rest[at]
        front = [*found, *front]
    return [*front, *rest]


def _run(arguments: list[str], signals: Signals) -> int:
    context: click.Context | None = None
    try:
        if "_CARNET_COMPLETE" in os.environ:
            # A shell asks how a word goes on: click answers that, and ends the process.
            carnet.main(arguments, prog_name="carnet")
        # Not click's own main: it would end the process itself when a pipe closes.
        context = carnet.make_context("carnet", hoist_home(arguments))
        with context:
            result = carnet.invoke(context)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return _end_early(signals, context, is_json="--json" in arguments)
    except click.Abort:
        # At a question, and nothing is done before the last one is answered.
        return _end_early(signals, context, is_json="--json" in arguments, message="Nothing was changed.")
    except click.exceptions.Exit as ended:
        return int(ended.exit_code)
    except Exception as error:
        if signals.number is not None:
            # What was interrupted may fail on its way out; that is no news.
            return _end_early(signals, context, is_json="--json" in arguments)
        # Everything that says what went wrong is loaded only now that something has.
        from carnet.cli.failures import report

        return report(error, is_json="--json" in arguments)
    return result if isinstance(result, int) else 0


def _end_early(signals: Signals, context: click.Context | None, *, is_json: bool, message: str | None = None) -> int:
    message = message or describe_stop(None if context is None else context.invoked_subcommand)
    if is_json:
        from carnet.cli.failures import write_json

        write_json({"error": "interrupted", "facts": {"signal": signals.first.name}, "message": message})
    else:
        click.echo(f"\n{message}", err=True)
    return to_exit_code(signals.first)


__all__ = ["VERBS", "carnet", "main"]
