"""Lists of the service, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from carnet.sdk.transport import Transport

T = TypeVar("T")
PAGE: Final = 200


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list."""

    data: list[T]
    has_more: bool


def walk(
    transport: Transport, path: str, item: type[T], params: Mapping[str, Any], after_by: str = "id"
) -> Iterator[T]:
    """Every item of a list, page by page; `after_by` is the member by which the service goes on."""
    after: str | None = None
    while True:
        page: Page[T] = transport.get(path, Page[item], {**params, "limit": PAGE, "starting_after": after})  # type: ignore[valid-type]
        yield from page.data
        if not page.has_more:
            return
        last: Any = page.data[-1]
        after = last[after_by] if isinstance(last, dict) else getattr(last, after_by)
