"""What is said when something goes wrong: one sentence, what to do next, a stable code, and never a traceback for what
is no bug.

It refuses to judge: the reasons come from whoever refused.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click

from carnet.errors import Reason, Refused, Unverified

REFUSED, USAGE = 1, 2
SERVER_PACKAGES = frozenset(
    {
        "alembic",
        "cryptography",
        "litestar",
        "prometheus_client",
        "psycopg",
        "pysqlite3",
        "sqlalchemy",
        "structlog",
        "uvicorn",
    }
)
TABLE_PACKAGES = frozenset({"duckdb"})
STORE_MODULES = ("pysqlite3", "sqlalchemy", "sqlite3")

_OF_A_HOME = frozenset({"erasures.journal", "keys.json", "node.db", "people.sqlite", "writer.lock"})

_NOT_ALLOWED = frozenset({"3F000", "42501"})
"""SQLSTATEs of PostgreSQL: no such schema, no right to do that (its appendix A)."""

_TOLD_BY_FACT = {
    "is_ours": "process_killed",
    "is_closed": "closed",
    "is_frozen": "frozen",
    "is_output": "file_busy",
    "is_not_allowed": "not_allowed",
    "is_without_keys": "without_keys",
    "is_without_store": "without_store",
    "is_other_schema": "other_schema",
}

NEXT_STEPS: dict[str, str] = {
    Reason.NO_NODE: "Make a node with `carnet init`, or name another folder with --home.",
    Reason.NODE_EXISTS: "Use it as it is, or choose another folder with --home.",
    Reason.STORE_UNREACHABLE: "Start the server, or see that address and password are right (PGPASSWORD, ~/.pgpass).",
    "not_allowed": "The user in the URL needs one schema that is there and CREATE in it; an administrator makes it\n"
    "  with CREATE SCHEMA NAME AUTHORIZATION USER (docs/postgresql.md, *Begin*).",
    Reason.STORE_MOVED: "Use the home that names the new store; this one can still be read. If a move was killed, the\n"
    "  same `carnet move` finishes it; if one ended while this command ran, run it again.",
    Reason.WRITER_REPLACED: "Let the other writer go on, and ask there again.",
    Reason.TIME_WENT_BACK: "Compare the clock with another. If it is behind, set it and run the same command again.\n"
    "  If it is right, this node once wrote with one that was ahead: do not set it ahead again, and read what is\n"
    "  left in docs/operating.md (*After a wrong clock*).",
    Reason.WRITER_BUSY: "Wait until it has finished, or stop it; reading and verifying work meanwhile.\n"
    "  A running node (`carnet serve`) lets import, submit, census, member, keys and erase through; for the rest,\n"
    "  stop it first.",
    "other_schema": "Nothing is damaged. Whatever writes first with a newer program brings an older store up to date:\n"
    "  `carnet census`, an import, `carnet serve`. The older program cannot open it from then on.",
    "file_busy": "Wait until it has finished, or name another file.",
    Reason.WRITER_AWAY: "Start it again with `carnet serve`; reading and verifying work meanwhile.",
    Reason.WRONG_PASSPHRASE: "Name the file that holds it: --passphrase-file FILE, or CARNET_PASSPHRASE_FILE.",
    "backup_secret": "Name the file that holds what the backup was made with: --passphrase-file FILE,\n"
    "  CARNET_BACKUP_PASSPHRASE_FILE, or --key-file FILE for one that was sealed for a key.",
    Reason.NODE_DAMAGED: "Run `carnet fsck` to see which table, row and column; restore a backup.",
    "without_keys": "Put the newest copy of this node's own keys.json back. If there is none, restore a backup into a\n"
    "  new folder: it has them.",
    "without_store": "Restore a backup into a new folder. A node.db that is put back by hand may be an old copy, and\n"
    "  nothing would notice.",
    Reason.NOT_SIGNED_IN: "Name the file with your API key: --key-file FILE, or CARNET_API_KEY_FILE.",
    "process_killed": "See whether memory ran out (`dmesg` tells), then run the same command again: what was sealed\n"
    "  stays sealed. An import with --workers 0 is one process, and needs the least.",
    "frozen": "Copy the whole home to a disk that can be written, and run it there.",
    "closed": "Run it as the user whose home that is (`sudo -u USER carnet …`), or make the files yours (`chown -R`);\n"
    "  `carnet doctor` looks at each of them.",
    "unreachable": "See that the address is right and that the service runs (`carnet serve`).",
    Reason.DISK_FULL: "Free some space, then run the same command again: it goes on where it stopped.",
    Reason.DISK_FAILED: "Look at the disk (`dmesg` may say more), then run the same command again: it checks first.",
    Reason.UNKNOWN_PASSPORT: "`carnet list` shows what there is, and `carnet find TEXT` looks by VIN, plate or id.",
    Reason.UNKNOWN_MEMBER: "`carnet member list` shows the members.",
    Reason.UNKNOWN_ACCOUNT: "`carnet account list` shows the accounts.",
    Reason.UNKNOWN_CLIENT: "`carnet client list` shows the clients and their keys.",
    Reason.UNKNOWN_WEBHOOK: "`carnet webhook list` shows them, `carnet webhook deliveries` what they were told.",
    Reason.TOO_MANY_WEBHOOKS: "End one that is not needed: `carnet webhook end WEBHOOK`.",
    Reason.URL_NOT_ALLOWED: "Give an https address of the open network; CARNET_WEBHOOK_NETWORKS allows a private one.",
    Reason.UNKNOWN_APPROVAL: "`carnet approval list` shows the requests.",
    Reason.UNKNOWN_CONTEST: "`carnet claim contests` shows those that are open.",
    Reason.PROOF_TOO_LARGE: "Show less of it: `carnet export PASSPORT --only KIND`, or `--fields NAME`.",
    Reason.TOO_MANY_KEYS: "Revoke one first: `carnet client revoke CLIENT KEY`.",
    Reason.NOTHING_SEALED: "Import something first: `carnet import histovec FILE`.",
    Reason.BACKUP_ALTERED: "Fetch another copy of it, or take an older one: nothing was restored from this one.",
    Reason.RESTORED_COPY: "Show it the newest head that anybody has, from a proof or `carnet checkpoint`:\n"
    "  `carnet restore --checkpoint FILE`. If nobody has one, docs/operating.md says what is left.",
    Reason.STALE_COPY: "Restore a newer backup, or a newer copy of the database. This one can only be read: it must\n"
    "  not write on an old end. If none is left, docs/operating.md says how to go on.",
    Reason.OTHER_HISTORY: "One of both was not written by this node alone: stop, keep both, and run `carnet fsck`.",
    Reason.NO_ROOM: "Make room, or name another folder for the copy with --scratch DIR.",
    "erasure_signature_invalid": "The journal is another node's, or the node's key was replaced after this backup:\n"
    "  then restore one that was made later.",
    "policy_malformed": "Ask the network for its policy again; a node prints its own with `carnet policy`.",
}


def report(error: Exception, *, is_json: bool) -> int:
    """Say on standard error what went wrong, and return the exit code."""
    if isinstance(error, click.UsageError):
        return _report_usage(error, is_json)
    code, message, facts = describe(error)
    if code is None:
        return _report_bug(error, is_json)
    if is_json:
        write_json({"error": code, "facts": facts, "message": message})
        return REFUSED
    click.echo(
        f"{_emphasise('Refused' if not isinstance(error, OSError) else 'Failed')}: {_close(message, facts)}", err=True
    )
    # Some facts say more than the reason: a child of this command is not started by `carnet serve`.
    told = next((named for fact, named in _TOLD_BY_FACT.items() if facts.get(fact)), code)
    if told == Reason.WRONG_PASSPHRASE and facts.get("of") == "backup":
        told = "backup_secret"
    advice = NEXT_STEPS.get(told)
    if advice is not None:
        click.echo(f"  {advice}", err=True)
    click.echo(f"  (code: {code})", err=True)
    return REFUSED


def describe(error: Exception) -> tuple[str | None, str, dict[str, object]]:
    """(code, sentence, facts) of an error that is no bug; a code of None says that it is one."""
    if isinstance(error, Refused):
        return str(error.reason.value), error.message, {name: to_json(fact) for name, fact in error.facts.items()}
    if isinstance(error, Unverified):
        return error.code, str(error), {}
    if type(error).__module__ == "carnet.sdk.errors":
        return _describe_api(error)
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] in SERVER_PACKAGES:
        extras = "server,postgres" if error.name == "psycopg" else "server"
        message = f"this needs a node's packages ({error.name} is not installed): pip install 'carnet[{extras}]'"
        return "server_not_installed", message, {"package": error.name}
    if isinstance(error, ImportError) and error.name == "httpx2":
        message = "asking a service needs its client's package (httpx2 is not installed): pip install 'carnet[sdk]'"
        return "sdk_not_installed", message, {"package": error.name}
    if isinstance(error, ImportError) and error.name in TABLE_PACKAGES:
        message = f"reading Parquet needs {error.name}, which is not installed: pip install 'carnet[tables]'"
        return "tables_not_installed", message, {"package": error.name}
    if type(error).__name__ == "BrokenProcessPool":
        return "process_killed", "a process that this one had started was killed, by the system or by somebody", {}
    if isinstance(error, click.FileError):
        return "unreadable_file", error.format_message(), {"file": error.filename}
    if isinstance(error, OSError):
        name = errno.errorcode.get(error.errno or 0, "EIO")
        where = f"{os.fspath(error.filename)!s}: " if error.filename is not None else ""
        saying = f"{where}{error.strerror or error}"
        facts = {"errno": name, "file": str(error.filename) if error.filename else None}
        is_of_a_home = os.path.basename(facts["file"] or "") in _OF_A_HOME
        is_closed, is_frozen = name in ("EACCES", "EPERM") and is_of_a_home, name == "EROFS" and is_of_a_home
        marks = {"is_closed": is_closed, "is_frozen": is_frozen}
        return "system_error", saying, facts | {mark: True for mark, is_so in marks.items() if is_so}
    if isinstance(error, click.ClickException):
        return "refused", error.format_message(), {}
    if type(error).__module__.split(".")[0] in STORE_MODULES or type(error).__module__ == "carnet.vault.store":
        from carnet.vault.disk import explain_disk_error

        if (refused := explain_disk_error(error)) is not None:
            return describe(refused)
        saying = str(getattr(error, "orig", error)).splitlines()[0]
        state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
        if state in _NOT_ALLOWED:
            # The server is well, and nothing of ours is in it yet, or none of it is touched.
            return str(Reason.STORE_UNREACHABLE.value), f"the database refuses it: {saying}", {"is_not_allowed": True}
        return str(Reason.NODE_DAMAGED.value), f"the store cannot be used: {saying}", {"what": saying}
    return None, str(error), {}


def _describe_api(error: Any) -> tuple[str, str, dict[str, object]]:
    """A refusal of a service: what it said, where, and how to find it in the service's log."""
    where = "; ".join(f"{one.pointer}: {one.detail}" for one in error.errors if one.detail != error.detail)
    facts = {"request_id": error.request_id, "status": error.status}
    return error.code, error.detail + (f" ({where})" if where else ""), facts


def to_json(fact: object) -> object:
    """A fact as JSON: what is no plain value is described, never guessed."""
    from carnet.types import brief

    if fact is None or isinstance(fact, (bool, str)):
        return fact
    if isinstance(fact, int):
        return int(fact) if abs(fact) < 2**53 else brief(fact)
    if isinstance(fact, bytes):
        return fact.hex()
    if isinstance(fact, (list, tuple)):
        return [to_json(item) for item in fact]
    return brief(fact)


def write_json(document: dict[str, Any]) -> None:
    """One JSON object on standard error."""
    import json

    click.echo(json.dumps(document, ensure_ascii=False, sort_keys=True), err=True)


def _report_usage(error: click.UsageError, is_json: bool) -> int:
    if is_json:
        write_json({"error": "usage", "facts": {}, "message": error.format_message()})
        return USAGE
    if error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        click.echo(f"Try `{error.ctx.command_path} --help`: it has examples.\n", err=True)
    click.echo(f"{_emphasise('Wrong usage')}: {error.format_message()}", err=True)
    return USAGE


def _report_bug(error: Exception, is_json: bool) -> int:
    """A bug of ours: short, unless CARNET_DEBUG asks for all of it."""
    if os.environ.get("CARNET_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
    message = f"{type(error).__name__}: {error}"
    if is_json:
        write_json({"error": "bug", "facts": {}, "message": message})
        return REFUSED
    click.echo(f"{_emphasise('Something went wrong that should not')}: {message}", err=True)
    click.echo("  This is a bug in Carnet; nothing was half done. Please report it with what you typed,", err=True)
    click.echo("  and the traceback that CARNET_DEBUG=1 shows: see CONTRIBUTING.md.", err=True)
    return REFUSED


def _emphasise(word: str) -> str:
    return word if os.environ.get("NO_COLOR") else click.style(word, fg="red", bold=True)


def _close(message: str, facts: Mapping[str, object] = MappingProxyType({})) -> str:
    # A sentence begins with a capital; a file's name, a kind or an option stays as it is written.
    first = message.partition(" ")[0]
    if first.isalpha() and first not in facts.values():
        message = message[:1].upper() + message[1:]
    return message if message.endswith((".", "!", "?")) else message + "."
