"""`carnet serve` and `carnet settings`: run the node as a service, and see how it is set.

They refuse to serve in the clear where others can reach it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import as_json, passphrase_file, verb
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.services.serving import Serving
    from carnet.services.settings import Settings


def with_settings(function: Callable[..., Any]) -> Any:
    """An option for each setting; the verb gets them by name, None where it was not given."""
    from carnet.services.settings import SETTINGS, Settings, to_text

    for setting in reversed(SETTINGS):
        default = to_text(Settings(), setting.name)
        shown = f"  [${setting.variable}{f', or {default}' if default else ''}]"
        if setting.name == "behind_proxy":
            option = click.option(
                setting.option, setting.name, is_flag=True, default=None, help=setting.meaning + shown
            )
        else:
            metavar = setting.name.removesuffix("_ms").removesuffix("_bytes").split("_")[-1].upper()
            metavar = "1|0" if setting.name == "open_sign_up" else metavar
            option = click.option(setting.option, setting.name, metavar=metavar, help=setting.meaning + shown)
        function = option(function)
    return function


@verb(
    examples=(
        ("Serve this node to this machine", "carnet serve"),
        ("On another port, with two web workers", "carnet serve --port 9000 --workers 2"),
        (
            "To everyone, behind a proxy that speaks https",
            "carnet serve --host 0.0.0.0 --behind-proxy --origin https://carnet.example.org",
        ),
    )
)
@with_settings
@passphrase_file
@click.pass_obj
def serve(session: Session, /, passphrase_file: str | None, **options: Any) -> None:
    """Serve the node: pages, API and verification, until it is stopped.

    One process writes; web workers answer, and are started again if they die. Meanwhile `carnet import`, `submit`,
    `census`, `member`, `keys` and `erase` go through it. Ctrl-C (or SIGTERM) lets requests in flight finish, then ends.
    """
    from carnet.services.logs import start_logs
    from carnet.services.serving import serve as run
    from carnet.services.settings import find_settings

    settings = find_settings(options, os.environ)
    for line in say_unknown(os.environ):
        click.echo(line, err=True)
    start_logs(settings.log_level, "writer")
    run(session.home, session.find_passphrase(passphrase_file), settings, tell, environment=os.environ)
    click.echo("Stopped. What was sealed is on the disk.", err=True)


def say_unknown(environment: Mapping[str, str]) -> list[str]:
    """A line for each variable that looks like a setting and is none: a service that starts without a word would be
    taken for one that is set so."""
    from carnet.services.settings import find_unknown

    return [
        f"{name} is no variable of Carnet, and changes nothing" + (f": {meant} is." if meant else ".")
        for name, meant in find_unknown(environment)
    ]


def tell(serving: Serving) -> None:
    """What a person does next; to standard error, since standard output is for those who asked for it."""
    address = serving.address
    click.echo(f"Serving {serving.home} at {address} with {serving.worker_count} web worker(s).", err=True)
    for purpose, what in (
        ("open it", address),
        ("check a proof", f"{address}/verify"),
        ("is it ready?", f"curl {address}/readyz"),
        ("stop", "Ctrl-C"),
    ):
        click.echo(f"  {purpose:<14} {what}", err=True)
    if serving.guard is not None and not serving.guard.is_on:
        click.echo("The database does not keep passports from callers by itself. `carnet doctor` says why.", err=True)


@verb(
    examples=(
        ("Every setting, and its value now", "carnet settings"),
        ("For a program", "carnet settings --json"),
    )
)
@with_settings
@as_json
def settings(is_json: bool, **options: Any) -> None:
    """Show every setting of `carnet serve`: its option, its environment variable, its default, and its value now.

    An option comes before the environment, which comes before the default.
    """
    from carnet.cli.terminal import write_json_line
    from carnet.services.settings import SETTINGS, Settings, find_settings, to_text

    found = find_settings(options, os.environ)
    rows = [
        {
            "default": to_text(Settings(), setting.name),
            "meaning": setting.meaning,
            "name": setting.name,
            "option": setting.option,
            "value": to_text(found, setting.name),
            "variable": setting.variable,
        }
        for setting in SETTINGS
    ]
    if is_json:
        write_json_line({"settings": rows})
        return
    _show(found, rows)
    for line in say_unknown(os.environ):
        click.echo(line, err=True)


def _show(found: Settings, rows: list[dict[str, str]]) -> None:
    from carnet.cli.terminal import Terminal

    terminal = Terminal()
    for row in rows:
        value = row["value"] or "(none)"
        changed = "" if row["value"] == row["default"] else f"  (default {row['default'] or 'none'})"
        terminal.say((row["option"], "bold"), f" {value}{changed}  ", (f"${row['variable']}", "dim"))
        terminal.say(row["meaning"], indent=2)
    terminal.say(f"People come to {found.public_address}.")


VERBS: dict[str, click.Command] = {"serve": serve, "settings": settings}
