"""Records of idempotency keys as an event loop writes them: those that come while others are on their way to the store
share the next transaction.

A loop that handed each record to a thread of its own would pay for the hand-over, and each thread would wait for the
store's lock. It refuses to know what is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from carnet.errors import InvariantBroken, Refused
from carnet.services.idempotency import Answered, Asked, Finished, Idempotency, Started, Told

MOST: Final = 256
"""Records in one transaction; the others are in the next one."""


class Together:
    """The records of one worker's loop. One transaction is under way at a time."""

    def __init__(self, records: Idempotency) -> None:
        self._records = records
        self._waiting: list[tuple[Told, asyncio.Future[Any]]] = []
        self._working: asyncio.Task[None] | None = None

    async def start(self, asked: Asked) -> Started | Answered:
        """See `Idempotency.start`; raises as it does."""
        found = await self._tell(asked)
        if isinstance(found, Refused):
            raise found
        if not isinstance(found, (Started, Answered)):
            raise InvariantBroken("a request that was to begin was told as ended")
        return found

    async def finish(self, finished: Finished) -> None:
        """Keep the answer, or forget the request."""
        await self._tell(finished)

    def _tell(self, told: Told) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((told, future))
        if self._working is None or self._working.done():
            # It begins in the next turn of the loop: whoever comes in this one is in the first group.
            self._working = asyncio.create_task(self._work())
        return future

    async def _work(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            try:
                found: Sequence[Any] = await asyncio.to_thread(self._records.write, [told for told, _ in group])
            except BaseException as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, future), one in zip(group, found, strict=True):
                if not future.done():
                    future.set_result(one)
