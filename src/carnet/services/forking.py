"""Forking: a network that cannot be written any more goes on as another one, which cites it and keeps its last copy.

Spec 1.9, ADR 13. The fork has keys, a log and a policy of its own and begins empty; the old passports stay in the copy
beside it, are proved there, and are judged under the old policy. It refuses to call the two one network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from carnet.errors import Reason, Refused
from carnet.ledger.network import Fork
from carnet.node.backup.envelope import Opener
from carnet.node.backup.restore import Restored, Wish
from carnet.node.backup.take import read_moment
from carnet.node.found import check_network_name
from carnet.node.home import Home
from carnet.node.restored import find_mark
from carnet.services.backup import About, Show, restore
from carnet.services.founding import Founded, found
from carnet.services.reading import open_reader
from carnet.tlog.checkpoint import parse_body
from carnet.tlog.note import parse_note
from carnet.vault.store import open_store

PREFIX = "fork."
"""What the name of a fork begins with, unless another is given: people see at once that it is not the old network."""


class Forked(NamedTuple):
    """A new network, the log that it cites, and the copy of that one: what was restored, None if it stood there."""

    founded: Founded
    cited: Fork
    old: Home
    restored: Restored | None


class Older(NamedTuple):
    """A vehicle's passport in the network that this one goes on from. `home` is the copy that proves it."""

    passport: str
    entry_count: int
    home: Path

    def to_document(self) -> dict[str, object]:
        """The member `older` of `show --json`."""
        return {"entries": self.entry_count, "home": str(self.home), "passport": self.passport}


def get_old_home(home: Home) -> Home:
    """Where the copy of the old network stands: beside the fork, under its name with `.old`."""
    path = home.path.resolve()
    return Home(path.with_name(path.name + ".old"))


def fork(
    file: Path | None,
    home: Home,
    opener: Callable[[About], Opener],
    *,
    wish: Wish,
    name: str | None = None,
    progress: Show = lambda _: None,
) -> Forked:
    """Restore a backup beside the new home `home` and found there a network that cites it.

    Without a file the copy stands there already: restored before, or by a fork that was killed. Its keys and those of
    the fork are under the same passphrase. Raises Refused(NODE_EXISTS, NO_NODE, VALUE_OUT_OF_RANGE) and what `restore`
    and `found` do.
    """
    home.finish_founding()
    home.check_empty()
    if name is not None:
        check_network_name(name)
    old = get_old_home(home)
    if file is not None and old.is_founded() and find_mark(old) is not None:
        saying = f"{old.path} holds a copy already: say --fork without a backup to go on from that one, or remove it"
        raise Refused(Reason.NODE_EXISTS, saying, home=str(old.path))
    restored = None if file is None else restore(file, old, opener, wish=wish, progress=progress)
    if not old.is_founded():
        raise Refused(Reason.NO_NODE, f"there is no copy in {old.path}: name the backup", home=str(old.path))
    if find_mark(old) is None:
        saying = f"{old.path} is no restored copy: a network that may be written needs no fork"
        raise Refused(Reason.NODE_EXISTS, saying, home=str(old.path))
    cited = read_head_of(old)
    name = name or (PREFIX + cited.origin.partition("/")[0])[:63].rstrip("-.")
    return Forked(found(home, name=name, passphrase=wish.ring_passphrase, forked_from=cited), cited, old, restored)


def read_head_of(home: Home) -> Fork:
    """The newest signed head that a copy holds, as a genesis cites it. Raises Refused(NOTHING_SEALED)."""
    with open_store(home.address, is_read_only=True) as store:
        signed = read_moment(store.connection).checkpoint
    if signed is None:
        raise Refused(Reason.NOTHING_SEALED, f"the log in {home.path} has signed no head: there is nothing to cite")
    head = parse_body(parse_note(signed[1]).text)
    return Fork(head.origin, head.size, head.root)


def find_older(home: Home, which: str, cited: Fork | None, passphrase: str | None) -> Older | None:
    """The passport of the old network that a person names by its subject; None where there is none, or no copy."""
    old = get_old_home(home)
    if cited is None or not old.is_founded():
        return None
    try:
        with open_reader(old, passphrase) as reader:
            if reader.state.genesis.origin != cited.origin:
                return None
            chain = reader.get(which)
            return Older(chain.hex(), sum(1 for _ in reader.read_entries(chain)), old.path)
    except Refused:
        # Not here, erased, or under another passphrase: nothing to be said about it.
        return None
