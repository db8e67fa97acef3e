"""`carnet verify-page`: the verification page as one file, for whoever has no terminal.

It refuses to choose a policy: only those that are named go into the page, and the page says whose they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from carnet.cli.group import as_json, output_file, verb


@verb(
    examples=(
        ("A page that asks its reader for a policy", "carnet verify-page -o verify.html"),
        ("With this node's own policy in it", "carnet policy | carnet verify-page --policy - -o verify.html"),
        (
            "With the policies of two networks",
            "carnet verify-page --policy one.policy --policy other.policy -o verify.html",
        ),
    )
)
@output_file
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A trust policy to put into the page; - is standard input. May be given more than once.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@as_json
def verify_page(output: Path, policies: tuple[Path, ...], force: bool, is_json: bool) -> None:
    """Write the page on which anyone checks a proof in a browser, also from a disk without a network.

    It needs no server, and it can make no connection. A policy that you put into it is one that its readers are asked
    to take from you: the page says so, and they may untick it. Publish it where they already trust you.
    """
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.errors import Reason, Refused, Unverified
    from carnet.services.publishing import make_page
    from carnet.tlog.policy import MAX_POLICY_BYTES, parse_policy
    from carnet.vault.partial import write_whole

    is_stdout = str(output) == "-"
    if not is_stdout and output.exists() and not force:
        saying = f"{output} exists already; choose another name, or say --force"
        raise Refused(Reason.FILE_EXISTS, saying, file=str(output))
    read = list[bytes]()
    for path in policies:
        with click.open_file(str(path), "rb") as stream:
            read.append(stream.read(MAX_POLICY_BYTES + 1))
        try:
            parse_policy(read[-1])
        except Unverified as error:
            raise Unverified(error.code, f"{path} is not a trust policy: {error}") from None
    page = make_page(read)
    if is_stdout:
        sys.stdout.buffer.write(page)
        return
    write_whole(output, page)
    networks = sorted({key.name for data in read for key in parse_policy(data).logs})
    if is_json:
        write_json_line({"bytes": len(page), "file": str(output), "networks": networks})
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" {output}: {len(page):,} bytes, opens in any current browser, also offline")
    for name in networks:
        terminal.say(f"with the policy of {name}", indent=4)
    if not networks:
        terminal.say(("Its readers add a trust policy themselves (carnet policy prints one).", "dim"), indent=4)


VERBS: dict[str, click.Command] = {"verify-page": verify_page}
