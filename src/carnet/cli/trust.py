"""`carnet policy` and `carnet trust`: what a node gives to those who verify, and what they keep of it.

It refuses to fetch a policy from anywhere: whom to trust is the reader's choice.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from carnet.cli.group import TeachingGroup, as_json, passphrase_file, verb
from carnet.cli.session import Session


@verb(
    examples=(
        ("Give it to whoever verifies your proofs", "carnet policy > my-network.policy"),
        ("For a program", "carnet policy --json"),
    )
)
@passphrase_file
@as_json
@click.pass_obj
def policy(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """Print this node's public trust policy (C2SP tlog-policy), for those who verify.

    It holds the log's public key and no secret. Publish it where your readers already trust you.
    """
    from carnet.cli.terminal import write_json_line
    from carnet.services.reading import open_reader

    with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
        key, text = reader.get_log_key(), reader.get_policy().decode()
    if is_json:
        write_json_line({"log_key": key.format(), "network": key.name, "policy": text})
    else:
        click.echo(text, nl=False)


@click.group(
    cls=TeachingGroup,
    examples=(
        ("Keep a network's policy", "carnet trust add my-network.policy"),
        ("See what you keep", "carnet trust list"),
        ("Forget one", "carnet trust remove my-network"),
    ),
)
def trust() -> None:
    """Keep the policies of the networks that you trust.

    `carnet verify` then needs no --policy. Compare the key by another way than the one the file came by.
    """


@trust.command(
    examples=(
        ("From a file", "carnet trust add my-network.policy"),
        ("From another node's output", "carnet --home ../other policy | carnet trust add -"),
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="A name of your own for it.")
@click.option("--replace", "is_replacing", is_flag=True, help="Replace what is kept about the same network.")
@as_json
@click.pass_obj
def add(session: Session, file: Path, name: str | None, is_replacing: bool, is_json: bool) -> None:
    """Keep the policy in FILE, or in standard input for -."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.errors import Unverified
    from carnet.services.trusting import add_trust
    from carnet.tlog.policy import MAX_POLICY_BYTES

    with click.open_file(str(file), "rb") as stream:
        data = stream.read(MAX_POLICY_BYTES + 1)
    try:
        kept = add_trust(session.home, data, name=name, is_replacing=is_replacing)
    except Unverified as error:
        raise Unverified(error.code, f"{file} is not a trust policy: {error}") from None
    if is_json:
        write_json_line({"keys": [key.format() for key in kept.policy.logs], "trust": kept.name})
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" Kept as {kept.name}. Proofs of this network verify without --policy now:")
    for key in kept.policy.logs:
        terminal.say(key.format(), indent=4)


@trust.command("list", examples=(("See whom you trust", "carnet trust list"),))
@as_json
@click.pass_obj
def list_(session: Session, is_json: bool) -> None:
    """List the policies that are kept."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.trusting import list_trusts

    terminal, count = Terminal(), 0
    for kept in list_trusts(session.home):
        count += 1
        if is_json:
            witnesses = [witness.key.format() for witness in kept.policy.witnesses]
            keys = [key.format() for key in kept.policy.logs]
            write_json_line({"keys": keys, "trust": kept.name, "witnesses": witnesses})
            continue
        terminal.say((kept.name, "bold"))
        terminal.facts(
            [("log", key.format()) for key in kept.policy.logs]
            + [("witness", witness.key.format()) for witness in kept.policy.witnesses]
        )
    if not count and not is_json:
        click.echo("No policy is kept. Add one: carnet trust add FILE", err=True)
    sys.stdout.flush()


@trust.command(examples=(("Forget a network", "carnet trust remove my-network"),))
@click.argument("name")
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Forget a policy; proofs of its network are "cannot tell" again."""
    from carnet.services.trusting import remove_trust

    remove_trust(session.home, name)
    click.echo(f"Removed {name}.")


VERBS: dict[str, click.Command] = {"policy": policy, "trust": trust}
