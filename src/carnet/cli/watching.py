"""`carnet watch`: a folder into which a workshop's software drops a file each night.

It refuses to seal what nobody has looked at: such a file waits in the console.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from carnet.cli.group import as_json, passphrase_file, verb
from carnet.cli.session import Session, now_ms

if TYPE_CHECKING:
    from carnet.errors import Refused
    from carnet.sdk import Client
    from carnet.services.watched.folder import Desk, FaultySaid, Seen, Taken

SOME_HAD_PROBLEMS = 1

P = ParamSpec("P")
T = TypeVar("T")


@verb(
    examples=(
        ("Take in whatever the workshop's software drops, until it is stopped", "carnet watch /srv/workshop/out"),
        ("Through a service elsewhere", "carnet --server https://carnet.example watch out --key-file garage.key"),
        ("Read every file as this mapping says", "carnet watch out --map mapping.json"),
        ("Take in what is there now, and end (for cron)", "carnet watch out --once --as 'Garage des Tilleuls, Metz'"),
    )
)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--map", "mapping", type=click.Path(path_type=Path), metavar="MAPPING", help="How each file is read.")
@click.option("--as", "member", metavar="MEMBER", help="In whose name: an id or a name.  [the node's operator]")
@click.option("--once", "is_once", is_flag=True, help="Take in what is there, then end.")
@click.option(
    "--every", type=click.FloatRange(0.1, 3600), default=5.0, show_default=True, help="Seconds between two looks."
)
@click.option(
    "--settle",
    type=click.FloatRange(0, 3600),
    default=10.0,
    show_default=True,
    help="Seconds for which a file stays as it is before it counts as whole.",
)
@passphrase_file
@as_json
@click.pass_obj
def watch(
    session: Session,
    folder: Path,
    mapping: Path | None,
    member: str | None,
    is_once: bool,
    every: float,
    settle: float,
    passphrase_file: str | None,
    is_json: bool,
) -> int:
    """Take in each file that is dropped into a folder, once, and move it to done/ or problems/ with an account beside.

    A file is known by its contents, whatever it is called: a copy is not taken in again, and a watch that was killed
    goes on where it was. A file is sealed as far as it is ready, if somebody has looked at such a file before: by
    --map, a mapping that was kept when one was sealed in the console, or a template. Any other waits in the console.

    \b
    Exit code  0  ended with --once, and every file is in done/
               1  refused, or some file is in problems/
    """
    from carnet.services.watched.folder import Folder
    from carnet.services.watched.folder import watch as run

    document = None if mapping is None else _load(mapping)
    problems = 0
    with _reach(session, member, passphrase_file, document) as desk:
        watched = Folder(folder, desk, settle_s=settle)
        problems = run(
            watched,
            lambda taken: _tell(taken, is_json=is_json),
            lambda path, refused: _fail(path, refused, is_json=is_json),
            every_s=every,
            is_once=is_once,
        )
    return SOME_HAD_PROBLEMS if problems else 0


def _load(path: Path) -> dict[str, Any]:
    from carnet.services.importers import load_mapping

    return load_mapping(path).to_json()


@contextmanager
def _reach(
    session: Session, member: str | None, passphrase_file: str | None, document: dict[str, Any] | None
) -> Iterator[Desk]:
    if session.server is not None:
        from carnet.cli.remote import reaching

        if member is not None:
            raise click.UsageError("With --server files are sent in your key's name: no --as.")
        with reaching(session, passphrase_file) as client:
            yield ServiceDesk(client, document)
        return
    from carnet.services.accounts.office import office_at
    from carnet.services.filing.records import Files
    from carnet.services.founding import find_member
    from carnet.services.watched.here import HereDesk

    home = session.home
    with office_at(home, session.find_passphrase(passphrase_file)) as (office, reader):
        members = reader.state.members.all
        chosen = next((one for one in members if one.kind != "node"), members[0])
        found = chosen if member is None else find_member(members, member)
        yield HereDesk(Files(home, now_ms, os.urandom), office, found, document)


def _trying_again(ask: Callable[P, T]) -> Callable[P, T]:
    """What a service does not answer now is asked again at the next look."""

    @wraps(ask)
    def tried(*given: P.args, **named: P.kwargs) -> T:
        from carnet.errors import Reason, Refused
        from carnet.sdk.errors import Conflict, Invalid, ServiceFailed, TooManyRequests, Unreachable

        try:
            return ask(*given, **named)
        except (ServiceFailed, TooManyRequests, Unreachable) as error:
            raise Refused(Reason.WRITER_AWAY, str(error), could_retry=True) from error
        except (Conflict, Invalid) as error:
            # Of this one file; whoever may not send files at all is told so, and the watch ends.
            raise Refused(Reason.UNREADABLE_FILE, str(error)) from error

    return tried


class ServiceDesk:
    """The desk of a service, through its API. See `carnet.services.watched.folder.Desk`."""

    def __init__(self, client: Client, mapping: dict[str, Any] | None) -> None:
        self._client, self._mapping = client, mapping

    @_trying_again
    def send(self, path: Path, digest: bytes, job: str | None) -> str:
        """See `Desk`."""
        from carnet.sdk.errors import NotFound

        if job is not None:
            try:
                return self._client.files.resume(job, path).id
            except NotFound:
                pass
        sent = self._client.files.send(
            path,
            "guess" if self._mapping is None else "mapping",
            mapping=self._mapping,
            review=True,
            idempotency_key=f"watch-{digest.hex()[:40]}",
        )
        return sent.id

    @_trying_again
    def follow(self, job: str) -> Seen | None:
        """See `Desk`."""
        from carnet.sdk.errors import NotFound
        from carnet.sdk.shapes import to_document
        from carnet.services.watched.folder import Seen

        try:
            found = self._client.files.wait(job)
        except NotFound:
            return None
        counts: Mapping[str, int] = to_document(found.counts)
        if found.state != "waiting":
            return Seen(found.state, counts, None, None if found.failure is None else found.failure.detail)
        reading = self._client.files.reading(job)
        return Seen("waiting", counts, reading.origin, None if reading.problem is None else reading.problem.detail)

    @_trying_again
    def certify(self, job: str) -> None:
        """See `Desk`."""
        self._client.files.certify(job)

    @_trying_again
    def cancel(self, job: str) -> None:
        """See `Desk`."""
        self._client.files.cancel(job)

    @_trying_again
    def list_faults(self, job: str, limit: int) -> Sequence[FaultySaid]:
        """See `Desk`."""
        from carnet.services.watched.folder import FaultySaid

        return [FaultySaid(one.line, one.column, one.detail) for one in islice(self._client.files.faults(job), limit)]

    @_trying_again
    def read_faulty(self, job: str) -> bytes:
        """See `Desk`."""
        return self._client.files.faulty_rows(job)

    def where(self, job: str) -> str:
        """See `Desk`."""
        return f"/console/files/{job}"


def _tell(taken: Taken, *, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, write_json_line

    if is_json:
        write_json_line(
            {"file": taken.name, "outcome": taken.outcome, "said": taken.said, "counts": dict(taken.counts)}
        )
        return
    terminal = Terminal()
    shape = terminal.shape("good" if taken.outcome == "done" else "unsure")
    terminal.say(shape, f" {taken.name}: {taken.said}  → {taken.outcome}/")


def _fail(path: Path, refused: Refused, *, is_json: bool) -> None:
    from carnet.cli.terminal import write_json_line

    if is_json:
        write_json_line({"error": refused.reason.value, "file": path.name, "message": refused.message})
    else:
        click.echo(f"{path.name}: not now ({refused.message}); it is tried again.", err=True)


VERBS: dict[str, click.Command] = {"watch": watch}
