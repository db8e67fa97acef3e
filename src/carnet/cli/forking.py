"""What `carnet restore --fork` says when it is done. The verb itself stands with the other restores (`cli.backup`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carnet.services.forking import Forked


def show_fork(forked: Forked, *, is_json: bool) -> None:
    """The new network, the log that it cites, and where the old copy is."""
    from carnet.cli.backup import warn_if_left
    from carnet.cli.terminal import Terminal, write_json_line

    founded, cited, old, restored = forked
    if restored is not None:
        warn_if_left(is_gone=restored.is_gone)
    if is_json:
        write_json_line(
            {
                "forked_from": cited.to_document(),
                "home": str(founded.home),
                "network": founded.network,
                "old": str(old.path),
                "operator": {"id": founded.operator.id.hex(), "name": founded.operator.name},
            }
        )
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" {founded.home}: a new network that goes on from the old one")
    terminal.facts(
        (
            ("network", founded.network),
            ("goes on from", f"{cited.origin}, as of its record {cited.size:,}"),
            ("old copy", f"{old.path} (it only reads: carnet --home {old.path} show | export)"),
        )
    )
    terminal.say("It is another network: nobody trusts it yet. Publish its policy (carnet policy), say that it goes on")
    terminal.say("from the old one, and enrol the members anew. Old proofs stay as they are, under the old policy.")
