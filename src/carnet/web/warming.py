"""What a worker does before its first request, while it has one thread.

msgspec looks at a type when that is first decoded into, and two threads that look at the same one at once can crash the
process (0.22). So all of them are looked at here. It refuses to know what they are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from carnet.web.desk import Desk


def warm_up(desk: Desk) -> None:
    """Look at all types that are loaded, and make ready what the first entry would wait for."""
    read_types()
    desk.door.warm_up()


def read_types() -> None:
    """Have msgspec look at every struct that was defined; those that are encoded only may be none that it can decode
    into."""
    for struct in set(_walk(msgspec.Struct)):
        try:
            msgspec.json.Decoder(struct)
        except (TypeError, NameError):
            continue


def _walk(above: type[Any]) -> Iterator[type[Any]]:
    for struct in above.__subclasses__():
        yield struct
        yield from _walk(struct)
