"""What the doctor can find, each with a code: what it says, why that matters and what to do.

The sentences are English, and filled in from a finding's facts; the operator's page says the same ones in the reader's
language, through its catalogue. It refuses to know how anything is found (`services.surroundings`, `services.doctor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from carnet.types import Fact, fill_in


class Words(NamedTuple):
    """Sentences without their full stop; `%(name)s` stands for a fact. What is as it should be has the first alone."""

    said: str
    why: str = ""
    todo: str = ""


class Found(NamedTuple):
    """One check: its name, "ok", "warning" or "problem", what was found, why that matters and what to do ("" if ok);
    and the same as a code of `WORDS` with its facts (whole numbers, or text that is shown as it is)."""

    check: str
    level: str
    said: str
    why: str
    todo: str
    code: str
    facts: Mapping[str, Fact]


def find(code: str, level: str = "ok", **facts: Fact) -> Found:
    """The finding of a code; the check's name is its part before the point. Raises KeyError for one that `WORDS` does
    not have, or for a fact that is wanting (our own bug)."""
    check = code.partition(".")[0].replace("_", " ")
    said, why, todo = (fill_in(text, facts) for text in WORDS[code])
    return Found(check, level, said, why, todo, code, facts)


def cannot_check(check: str, error: Exception, reason: str) -> Found:
    """A check that could not be made, which is a problem too; `reason` is the code of a refusal, or ""."""
    return find("any.unchecked", "problem", error=str(error), reason=reason)._replace(check=check)


def cannot_look(check: str, error: Exception, user: int, home: str) -> Found:
    """A check that could not be made since `user` may not read what is in the home."""
    facts = {"error": str(error), "reason": "", "user": str(user), "home": home}
    return find("any.closed", "problem", **facts)._replace(check=check)


_AGAIN: Final = "let any verb write, such as `carnet census`: it is finished before anything else"
_BACK_UP: Final = "`carnet backup -o FILE`, on another disk, regularly (docs/operating.md)"
_BUILT_AGAIN: Final = "install Carnet again; in a checkout, run `make kernel`"
_CLOCK: Final = "compare it with another clock, and set it if it is wrong (a time service does it by itself)"
_CONTRADICTED: Final = (
    "a signed head that the store contradicts means that the log was changed, cut or put back from a copy"
)
_COMPILED: Final = (
    "install a C compiler and the headers of Python (on Debian: apt-get install gcc libc6-dev python3-dev), then "
    "Carnet again, or take the wheel for this platform (docs/packaging.md)"
)
_DIES: Final = "a disk that dies takes all that is in no backup with it"
_LOCAL: Final = "move the node to a local disk"
_MAY_RETURN: Final = "what was erased may be there again, or would come back with a restored copy"
_RESTORE: Final = "restore a backup (`carnet restore`), and look at the disk"
_SECRET: Final = "whoever reads it can sign in the node's name and read everything"
_SLOWER: Final = (
    "Python does its work instead: the bytes are the same, imports and proofs take about one and a half times as long"
)
_UNGUARDED: Final = "a page that forgot to ask who may see a vehicle would show it: the server cannot keep it back"
_UNPROVED: Final = "nothing can be proved before one is taken"

WORDS: Final[dict[str, Words]] = {
    "any.unchecked": Words(
        "could not be checked: %(error)s",
        "what cannot be looked at cannot be relied on",
        "run `carnet fsck`; restore a backup",
    ),
    # ---- the machine
    "any.closed": Words(
        "could not be checked: %(error)s",
        "what cannot be looked at cannot be relied on",
        "run as that user, or: chown -R %(user)s %(home)s",
    ),
    "python.ok": Words("Python %(version)s"),
    "python.old": Words(
        "Python %(version)s", "Carnet is written and tested for 3.11 and newer", "install a newer Python"
    ),
    "kernel.used": Words("the kernel in C does the hashing"),
    "kernel.absent": Words("the kernel in C was not built", _SLOWER, _COMPILED),
    "kernel.unloadable": Words("the kernel in C cannot be loaded: it is for another machine", _SLOWER, _COMPILED),
    "kernel.stale": Words("the kernel in C was built from other sources than these", _SLOWER, _BUILT_AGAIN),
    "kernel.wrong": Words("the kernel in C hashes wrongly, and is not used", _SLOWER, _BUILT_AGAIN),
    "sqlite.ok": Words("SQLite %(version)s"),
    "sqlite.old": Words(
        "SQLite %(version)s",
        "before %(wanted)s it can lose committed data when its write-ahead log is reset",
        "pip install 'pysqlite3>=0.6.1' (see CONTRIBUTING.md, SQLite)",
    ),
    "settings.ok": Words("what the environment sets can be read"),
    "settings.wrong": Words(
        "a setting cannot be read: %(error)s",
        "`carnet serve` does not start with it",
        "set it anew; `carnet serve --help` says how",
    ),
    "settings.unknown": Words(
        "no variables of Carnet: %(names)s",
        "nothing asks for them: what they were to change is as it was",
        "`carnet settings` shows each that there is, and its value now",
    ),
    "rows.ok": Words("the database keeps passports from callers by itself, as role %(role)s"),
    "rows.no_role": Words(
        "the database does not keep passports from callers by itself",
        _UNGUARDED,
        "an administrator of the database runs %(statements)s Then start `carnet serve` again",
    ),
    "rows.off": Words(
        "the database does not keep passports from callers by itself",
        _UNGUARDED,
        "start `carnet serve`: it sets the policies",
    ),
    "node.ok": Words("there is a node in %(home)s"),
    "node.unnamed": Words(
        "its store has not got its name yet",
        "a founding was ended at its very last step; nothing is missing",
        "run any verb, such as `carnet list`",
    ),
    "node.no_store": Words(
        "%(keys)s is there, and no store",
        "keys without a store sign nothing and open nothing",
        "restore a backup elsewhere",
    ),
    "node.no_keys": Words(
        "the store is there, and no %(keys)s",
        "without its keys nothing can be read or signed any more",
        "put %(keys)s back",
    ),
    "node.unfinished": Words(
        "a founding was not finished",
        "a founding was ended before the keys were written: there is no node, and nothing was lost",
        "run `carnet init` again",
    ),
    "node.absent": Words(
        "there is no node in %(home)s", "there is nothing to look at", "`carnet init`, or name it with --home"
    ),
    "modes.ok": Words("only their owner may read the home and the keys"),
    "modes.secret": Words("%(path)s has mode %(mode)s", _SECRET, "chmod %(wanted)s %(path)s"),
    "modes.open": Words(
        "%(path)s has mode %(mode)s",
        "others on this machine can look into the node's folder, or change it",
        "chmod %(wanted)s %(path)s",
    ),
    "owner.ok": Words("all files belong to the user who runs this"),
    "owner.other": Words(
        "%(path)s belongs to user %(owner)s, and this runs as %(user)s",
        "a file that another user made cannot be replaced or locked, so the node stops half way",
        "run as that user, or: chown -R %(user)s %(home)s",
    ),
    "disk.ok": Words("%(free)s bytes free, the store has %(store)s"),
    "disk.full": Words(
        "%(free)s bytes free, the store has %(store)s", "a full disk stops the writer", "make room, or move the node"
    ),
    "disk.little": Words(
        "%(free)s bytes free, the store has %(store)s",
        "erasing may write the store anew, and a backup copies it: both need as much room again",
        "make room; a backup can use another disk with --scratch DIR",
    ),
    "inodes.few": Words(
        "%(count)s new files are possible",
        "a new file is needed for each key that is added and each write-ahead log",
        "remove files on that disk",
    ),
    "log_file.long": Words(
        "the write-ahead log has %(size)s bytes",
        "a process that reads an old moment keeps it from being moved into the store, and it grows",
        "end readers that stay open, then let any verb write",
    ),
    "files.ok": Words("the home is on %(kind)s"),
    "files.unknown": Words("the home is on an unknown file system"),
    "files.untold": Words("%(system)s does not tell the kind of file system: a local disk is needed"),
    "files.network": Words(
        "the home is on %(kind)s",
        "SQLite's write-ahead log does not work over a network: the store can be damaged",
        _LOCAL,
    ),
    "files.frozen": Words(
        "the home is on a disk that may only be read",
        "what is there can be shown, proved and checked; nothing can be sealed, erased or noted",
        "look at the disk (`dmesg` may say why), or copy the whole home to one that can be written",
    ),
    "files.passing": Words(
        "the home is on %(kind)s",
        "it is gone when the machine stops",
        "move the node to a disk, unless this is a test",
    ),
    "clock.ok": Words("it is not behind the log or the files"),
    "clock.behind": Words(
        "the clock says %(clock)s, and the log's last record is of %(last)s",
        "nothing is sealed before the clock has caught up: time in a log never goes back",
        "compare it with another clock. If it is behind, set it: sealing goes on by itself. If it is right, it was "
        "ahead while something was sealed: do not set it ahead again, and read *After a wrong clock* in "
        "docs/operating.md",
    ),
    "clock.set_back": Words(
        "a file of the home was written %(seconds)s s in the future",
        "the clock was set back, or another machine with another clock writes here",
        _CLOCK,
    ),
    "lock.ok": Words("nobody writes now"),
    "lock.held": Words("held by process %(pid)s (%(command)s), which is alive"),
    "lock.orphaned": Words(
        "held by process %(pid)s (%(command)s), which is not",
        "that process has ended, and one that it has started still holds the lock: nobody else can write",
        "find it with `fuser %(lock)s`, and end it",
    ),
    "left.ok": Words("no process that was killed has left anything behind"),
    "left.there": Words(
        "left by processes that were killed: %(paths)s",
        "there can be a copy of the store in it, with its keys, which an erasure does not reach",
        "do again what was killed (serve, backup, drill, move, restore): it removes them first; or remove them",
    ),
    "left.moved": Words(
        "left by a move, %(megabytes)s MB: %(paths)s",
        "it is a copy of the store as it was then, which an erasure does not reach",
        "once the node works where it is now (`carnet fsck`, `carnet backup`), remove them",
    ),
    "copy.ok": Words("this home may write"),
    "copy.restored": Words(
        "this home was restored from a backup, and only reads",
        "it cannot know whether it is the newest; if it wrote on an old end, the log would have two",
        "`carnet restore --checkpoint FILE` with the newest head or proof that anybody has",
    ),
    # ---- the store
    "store.ok": Words("it opens; %(records)s log records"),
    "store.version": Words(
        "the store has schema %(version)s, this program needs %(wanted)s",
        "a program of another version wrote it, and this one does not know its tables",
        "let a verb write (`carnet census`) if the store is the older one; else install the newer program",
    ),
    "keys.ok": Words("the key ring is readable, in clear; `carnet keys passphrase` puts it under one"),
    "keys.closed": Words("the key ring is under a passphrase, and was not opened"),
    "keys.absent": Words("there is no key ring", "nothing can be read or signed", "put %(keys)s back"),
    "keys.other": Words(
        "the key ring is another node's",
        "whatever it signs belongs to another log, and contents do not open",
        "put this node's own %(keys)s back",
    ),
    "keys.revoked": Words(
        "the node key in %(keys)s was revoked at record %(record)s",
        "it is an older copy of the key ring: what is there can be read, and nothing can be sealed",
        "put the newest copy of %(keys)s back; if there is none, `carnet keys rotate node --lost` (docs/keys.md)",
    ),
    "keys.unlisted": Words(
        "the node key in %(keys)s is none of this node's",
        "what is there can be read, and nothing can be sealed",
        "put the newest copy of %(keys)s back; if there is none, `carnet keys rotate node --lost` (docs/keys.md)",
    ),
    "head.ok": Words("the newest signed head, of %(size)s records, is that of the log"),
    "head.absent": Words(
        "the log has signed no head yet",
        "nothing can be proved before the log has signed a head",
        "import something, or `carnet census`",
    ),
    "head.behind": Words(
        "the database lacks records that were signed from here",
        _CONTRADICTED,
        "put a newer copy of the database back: nothing is written to this one",
    ),
    "head.unsigned": Words("the newest head is not signed by the log", _CONTRADICTED, _RESTORE),
    "head.cut": Words("the log is shorter than its newest head, of %(size)s records", _CONTRADICTED, _RESTORE),
    "head.other": Words("the log is not the one whose head was signed at %(size)s", _CONTRADICTED, _RESTORE),
    "erasures.ok": Words("%(count)s, all in the journal and carried out"),
    "erasures.journal": Words(
        "%(journal)s: line %(line)s cannot be read", _MAY_RETURN, "put the newest copy of %(journal)s back"
    ),
    "erasures.missing": Words("erasures of the journal that are not carried out: %(count)s", _MAY_RETURN, _AGAIN),
    "erasures.unwritten": Words("erasures of the store that are not in the journal: %(count)s", _MAY_RETURN, _AGAIN),
    "erasures.uncleared": Words(
        "erasures that are not gone from every file yet: %(count)s",
        "their bytes may still be on the disk",
        f"end readers, remove `node.db.moved-…` if there is one, then {_AGAIN}",
    ),
    "census.ok": Words("record %(record)s; passports changed since: %(changed)s"),
    "census.absent": Words("there is none yet", _UNPROVED, "`carnet census`; an import takes one at its end"),
    "census.owed": Words(
        "one is owed after an erasure",
        "the latest one names a passport that was erased since: until the next, no proof can be made",
        "`carnet census`",
    ),
    "backup.ok": Words("the last one is %(days)s days old and lacks %(lacks)s records"),
    "backup.absent": Words("none was made from here", _DIES, _BACK_UP),
    "backup.old": Words("the last one is %(days)s days old and lacks %(lacks)s records", _DIES, _BACK_UP),
    "backup.away": Words(
        "the last one is %(days)s days old and lacks %(lacks)s records; %(file)s is not there now",
        _DIES,
        "look where it is, or make another",
    ),
}
"""Code → its sentences."""
