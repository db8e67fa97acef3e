"""Answers that one worker keeps, because making one again takes fifty times as long as seeing that it still holds.

Whoever asks is let in or not as always; only then is a kept answer looked for. It holds for one view of one passport,
and as long as nothing is different of what it was made from: the passport's last entry that concerns the view, the
members, the rules, the census, and everything that was ever erased. After an erasure nothing is kept of any passport.
It refuses to be larger than `MAX_BYTES`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from typing import Final, NamedTuple

from carnet.node.reader import Fingerprint
from carnet.services.access import View
from carnet.vault.waiting import check_may_wait
from carnet.web.desk import Desk

MAX_BYTES: Final = 32 * 1024 * 1024
_SHELF: Final = "kept"


class Answer(NamedTuple):
    """The bytes of an answer, their tag (`ETag`), and the kinds of entry that it shows, for the holder's journal."""

    body: bytes
    tag: str
    kinds: tuple[str, ...]


def make_answer(body: bytes, kinds: tuple[str, ...] = ()) -> Answer:
    """An answer with its tag, which is of what is shown: it tells no more than the answer does."""
    return Answer(body, f'"{sha256(body).hexdigest()[:32]}"', kinds)


class Kept:
    """The answers of one worker, the least asked for first to go. For any thread."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes, self._size = max_bytes, 0
        self._answers: OrderedDict[tuple[View, str], tuple[Fingerprint, Answer]] = OrderedDict()
        self._turns: dict[tuple[View, str], Lock] = {}
        self._erasure = 0
        self._lock = Lock()

    def get(
        self,
        view: View,
        address: str,
        fingerprint: Fingerprint | None,
        make: Callable[[], Answer],
        has_news: Callable[[int], bool] = lambda seq: True,
    ) -> Answer:
        """What was answered to this view at this address, if it still holds, also where `has_news(seq)` says that no
        entry since changes it; else what `make` gives: made by one, while all others who ask for the same wait for it.
        An event loop makes none itself."""
        if fingerprint is not None:
            found = self.find(view, address, fingerprint) or self._renew(view, address, fingerprint, has_news)
            if found is not None:
                return found
        check_may_wait()
        if fingerprint is None:
            return make()
        with self._lock:
            turn = self._turns.setdefault((view, address), Lock())
        try:
            with turn:
                found = self.find(view, address, fingerprint)
                if found is None:
                    found = make()
                    self.keep(view, address, fingerprint, found)
        finally:
            with self._lock:
                self._turns.pop((view, address), None)
        return found

    def find(self, view: View, address: str, mark: Fingerprint) -> Answer | None:
        """What was answered to this view at this address, if it still holds."""
        with self._lock:
            self._forget_erased(mark)
            found = self._answers.get((view, address))
            if found is None or found[0] != mark:
                return None
            self._answers.move_to_end((view, address))
            return found[1]

    def _renew(self, view: View, address: str, mark: Fingerprint, has_news: Callable[[int], bool]) -> Answer | None:
        """An answer that was made before others wrote about the vehicle, and still holds."""
        with self._lock:
            before = self._answers.get((view, address))
        if before is None or before[0]._replace(seq=mark.seq) != mark or has_news(before[0].seq):
            return None
        self.keep(view, address, mark, before[1])
        return before[1]

    def keep(self, view: View, address: str, mark: Fingerprint, answer: Answer) -> None:
        """Keep an answer that was made from what `mark` says."""
        with self._lock:
            self._forget_erased(mark)
            before = self._answers.pop((view, address), None)
            self._size += len(answer.body) - (0 if before is None else len(before[1].body))
            self._answers[view, address] = mark, answer
            while self._size > self._max_bytes:
                self._size -= len(self._answers.popitem(last=False)[1][1].body)

    def _forget_erased(self, mark: Fingerprint) -> None:
        """What was erased is not kept in memory either."""
        if mark.erasure != self._erasure:
            self._answers.clear()
            self._size, self._erasure = 0, mark.erasure

    def __len__(self) -> int:
        return len(self._answers)


def get_kept(desk: Desk) -> Kept:
    """The answers that this worker keeps."""
    kept = desk.shelf.setdefault(_SHELF, Kept())
    if not isinstance(kept, Kept):
        raise TypeError("what stands on the shelf as the kept answers is something else")
    return kept
