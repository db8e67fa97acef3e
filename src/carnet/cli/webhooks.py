"""`carnet webhook`: addresses of members that are told what happened: at the node's own terminal for any member, and
through `--server` for the member of a key with the scope `webhooks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from carnet.cli.group import Age, TeachingGroup, as_json, passphrase_file
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.cli.webhooks_here import Here
    from carnet.sdk import shapes
    from carnet.sdk.hooks import Webhooks

EXAMPLE = "whk_0123456789abcdef0123456789abcdef"
MESSAGE = "msg_0123456789abcdef0123456789abcdef"
HOOK = "https://hooks.example.org/carnet"
STATES = ("waiting", "delivered", "dead")


@click.group(
    cls=TeachingGroup,
    examples=(
        ("Tell a garage's software what happens", f"carnet webhook add {HOOK} --member Tilleuls"),
        ("Does it take what it is told?", f"carnet webhook test {EXAMPLE}"),
        ("What it was told, and what could not be delivered", f"carnet webhook deliveries {EXAMPLE} --state dead"),
    ),
)
def webhook() -> None:
    """Tell members' programs what happened; see how that went, and send again."""


def about_one(*examples: tuple[str, str]) -> Callable[[Callable[..., None]], click.Command]:
    """A verb about one webhook, which is named first; at the node or through a service, in words or as JSON."""

    def make(act: Callable[..., None]) -> click.Command:
        named = click.argument("webhook", metavar="WEBHOOK")
        framed = named(passphrase_file(as_json(click.pass_obj(act))))
        made: click.Command = webhook.command(examples=examples)(framed)
        return made

    return make


@webhook.command(
    examples=(
        ("At the node: name the member", f"carnet webhook add {HOOK} --member Tilleuls"),
        ("As a member, through a service", f"carnet --server https://carnet.example webhook add {HOOK}"),
        ("Only some events", f"carnet webhook add {HOOK} --member Tilleuls --event file.done --event file.failed"),
    )
)
@click.argument("url")
@click.option("--member", metavar="MEMBER", help="Whose address it is: a name or an id; with --server the key says it.")
@click.option("--event", "events", multiple=True, metavar="EVENT", help="What it is told: entry.sealed, ….  [all]")
@click.option("--note", default="", help="What it is for.")
@passphrase_file
@as_json
@click.pass_obj
def add(
    session: Session,
    url: str,
    member: str | None,
    events: tuple[str, ...],
    note: str,
    passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Tell an address what happens from now on. Its public key checks what comes in: keep it there."""
    from carnet.cli.terminal import Terminal

    if (member is None) == (session.server is None):
        raise click.UsageError("Say --member at the node; with --server the key says whose it is.")
    with managing(session, passphrase_file, member) as hooks:
        made = hooks.add(url, events, note=note)
    if _tell_json(made, is_json):
        return
    Terminal().say(f"Added {made.id}. Its public key:")
    click.echo(f"\n  {made.keys[0]}\n")
    Terminal().say(f"Send it a test: carnet webhook test {made.id}")


@webhook.command("list", examples=(("All of them, and how they are", "carnet webhook list"),))
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """List the addresses that are told what happens, and how they are."""
    from carnet.cli.terminal import Piece, Terminal, write_json_line
    from carnet.sdk.shapes import to_document

    with managing(session, passphrase_file) as hooks:
        found = hooks.list()
    if is_json:
        for one in found:
            write_json_line(to_document(one))
        return
    colours = {"active": "green", "failing": "yellow", "stopped": "red"}
    rows: list[list[Piece]] = [
        [one.id, one.url, one.note, (one.state, colours.get(one.state, "")), one.failing_since or one.stopped or ""]
        for one in found
    ]
    Terminal().table(("webhook", "address", "note", "state", "since"), rows, whole=(0,))


@about_one(("Now, once", f"carnet webhook test {EXAMPLE}"))
def test(session: Session, webhook: str, passphrase_file: str | None, is_json: bool) -> None:
    """Send a test to an address; shows what was sent and what came back. Exit code 1 where it was not taken."""
    from carnet.cli.terminal import Terminal

    with managing(session, passphrase_file) as hooks:
        tested = hooks.test(webhook)
    is_taken = tested.trouble is None
    if not _tell_json(tested, is_json):
        terminal = Terminal()
        said = f"answered {tested.status}" if tested.status is not None else str(tested.trouble)
        word = "taken" if is_taken else "not taken"
        terminal.say(terminal.shape("good" if is_taken else "bad"), f" {word}: {said}, after {tested.took_ms} ms")
        terminal.facts([*tested.headers.items(), ("answer", tested.body or tested.body_base64 or "")])
    if not is_taken:
        raise SystemExit(1)


@about_one(
    ("What it was told lately", f"carnet webhook deliveries {EXAMPLE}"),
    ("For a program: what could not be delivered", f"carnet webhook deliveries {EXAMPLE} --state dead --json"),
)
@click.option("--state", type=click.Choice(STATES), help="Only those.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
def deliveries(
    session: Session, webhook: str, state: str | None, limit: int, passphrase_file: str | None, is_json: bool
) -> None:
    """Show what an address was told in the last thirty days, newest first, and how each try went."""
    from itertools import islice

    from carnet.cli.terminal import Piece, Terminal, write_json_line
    from carnet.sdk.shapes import to_document

    with managing(session, passphrase_file) as hooks:
        found = list(islice(hooks.messages(webhook, in_state=state), limit))
    if is_json:
        for one in found:
            write_json_line(to_document(one))
        return
    colours = {"delivered": "green", "dead": "red", "waiting": "yellow"}
    rows: list[list[Piece]] = []
    for one in found:
        last = one.tries[-1] if one.tries else None
        how = "" if last is None else str(last.status or last.trouble)
        told = f"next {one.next_try}" if one.next_try else one.trouble or ""
        rows.append([one.id, one.type, one.created, (one.state, colours[one.state]), f"{len(one.tries)}", how, told])
    Terminal().table(("message", "event", "when", "state", "tries", "last", ""), rows, right=(4,), whole=(0,))


@about_one(
    ("One message, delivered or not", f"carnet webhook replay {EXAMPLE} {MESSAGE}"),
    ("Whatever could not be delivered in three days", f"carnet webhook replay {EXAMPLE} --since 3d"),
)
@click.argument("message", required=False)
@click.option("--since", type=Age(), metavar="AGE", help="All that could not be delivered in so long: 12h, 3d.")
def replay(
    session: Session, webhook: str, message: str | None, since: int | None, passphrase_file: str | None, is_json: bool
) -> None:
    """Send one message again, or all that could not be delivered since a moment. The ids stay the same."""
    import time
    from datetime import UTC, datetime

    from carnet.cli.terminal import write_json_line

    if (message is None) == (since is None):
        raise click.UsageError("Name one message, or say --since.")
    moment = None if since is None else datetime.fromtimestamp(time.time() - since / 1000, UTC).isoformat()
    with managing(session, passphrase_file) as hooks:
        count = hooks.replay(webhook, message=message, since=moment)
    if is_json:
        write_json_line({"count": count})
        return
    click.echo(f"{count:,} sent again: `carnet webhook deliveries {webhook}` shows how it goes.")


@about_one(("The old key signs too for a day", f"carnet webhook rotate {EXAMPLE}"))
def rotate(session: Session, webhook: str, passphrase_file: str | None, is_json: bool) -> None:
    """Give an address a new key. For a day both sign: take the new one there meanwhile."""
    with managing(session, passphrase_file) as hooks:
        found = hooks.rotate(webhook)
    if not _tell_json(found, is_json):
        click.echo(f"The new public key of {webhook}:\n\n  {found.keys[0]}\n")


@about_one(("After it was mended", f"carnet webhook start {EXAMPLE}"))
def start(session: Session, webhook: str, passphrase_file: str | None, is_json: bool) -> None:
    """Tell an address again that was stopped: what happens from now on."""
    with managing(session, passphrase_file) as hooks:
        found = hooks.start(webhook)
    if not _tell_json(found, is_json):
        click.echo(f"{webhook} is told again what happens.")


@about_one(("An address that is needed no more", f"carnet webhook end {EXAMPLE}"))
def end(session: Session, webhook: str, passphrase_file: str | None, is_json: bool) -> None:
    """End an address: it is told nothing more, and what waited is dropped."""
    from carnet.cli.terminal import write_json_line

    with managing(session, passphrase_file) as hooks:
        hooks.end(webhook)
    if is_json:
        write_json_line({"ended": webhook})
        return
    click.echo(f"Ended {webhook}: it is told nothing more.")


@contextmanager
def managing(session: Session, passphrase_file: str | None, member: str | None = None) -> Iterator[Webhooks | Here]:
    """The webhooks of the service that `--server` names, or those of the node in the home."""
    if session.server is not None:
        from carnet.cli.remote import reaching

        with reaching(session, None) as client:
            yield client.webhooks
        return
    from carnet.cli.webhooks_here import Here
    from carnet.services.accounts.office import office_at

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        yield Here(office, reader, member)


def _tell_json(found: shapes.Webhook | shapes.WebhookTest, is_json: bool) -> bool:
    from carnet.cli.terminal import write_json_line
    from carnet.sdk.shapes import to_document

    if is_json:
        write_json_line(to_document(found))
    return is_json


VERBS: dict[str, click.Command] = {"webhook": webhook}
