"""The application's filter, off: `services.access` asks who holds a passport and who wrote in it, and here everybody
does. What is then still not shown is kept back by the database alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from carnet.node.reader import Reader
from carnet.services.access import Holdings
from carnet.vault.asker import Office, get_asker
from tests.web.town import WebTown, serving_town


class EverybodyWrote(Reader):
    """To it every member has written in every passport."""

    def has_written(self, chain: bytes, member: bytes) -> bool:
        return True


@dataclass
class EverybodyHolds:
    """To it every holder who asks is the holder of what they ask for, if there is such a passport."""

    real: Holdings

    def find_holder(self, chain16: bytes, epoch: int | None = None) -> str | None:
        asker = get_asker()
        if asker.office is Office.HOLDER and epoch is not None:
            return f"acc_{asker.account.hex()}"
        return self.real.find_holder(chain16, epoch)

    def list_held(self, account: str) -> Sequence[bytes]:
        return self.real.list_held(account)


@contextmanager
def serving_unfiltered(path: Path, store_url: str) -> Iterator[WebTown]:
    with serving_town(path, store_url=store_url, reader_type=EverybodyWrote) as town:
        town.service.desk.shelf["holdings"] = EverybodyHolds(town.held)
        yield town
