"""Sending files: announced, sent in parts, resumed where a connection broke, followed until each row is accounted for.

It refuses to read what is in a file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from carnet.sdk import shapes
from carnet.sdk.errors import Conflict, Invalid
from carnet.sdk.pages import walk
from carnet.sdk.transport import Transport

PART_BYTES: Final = 4 * 1024 * 1024
PART: Final = "application/offset+octet-stream"
LOOKS_EVERY_S: Final = 0.5

Progress = Callable[[shapes.File], None]


def _tell_nobody(file: shapes.File) -> None:
    return None


class Files:
    """A member's files."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send(
        self,
        path: str | Path,
        format_: str,
        *,
        mapping: Mapping[str, Any] | None = None,
        subject: str | None = None,
        validate_only: bool = False,
        review: bool = False,
        progress: Progress = _tell_nobody,
        part_bytes: int = PART_BYTES,
        idempotency_key: str | None = None,
    ) -> shapes.File:
        """Announce a file and send all of it, in parts of this size; it waits its turn then (`wait`). `progress` is
        told after each part.

        Raises OSError, ApiError.
        """
        path = Path(path)
        body = {
            "name": path.name,
            "format": format_,
            "size": path.stat().st_size,
            "mapping": mapping,
            "subject": subject,
            "validate_only": validate_only,
            "review": review,
        }
        file = self._transport.post("/v1/files", shapes.File, body, idempotency_key=idempotency_key)
        return self.resume(file.id, path, progress=progress, part_bytes=part_bytes)

    def resume(
        self, file: str, path: str | Path, *, progress: Progress = _tell_nobody, part_bytes: int = PART_BYTES
    ) -> shapes.File:
        """Send what is missing of a file that was announced; at once if nothing is."""
        found = self.get(file)
        with Path(path).open("rb") as data:
            while found.state == "uploading":
                found = self._send_part(found, data, part_bytes)
                progress(found)
        return found

    def wait(self, file: str, *, progress: Progress = _tell_nobody) -> shapes.File:
        """The file when it has ended, or waits for somebody's word. `progress` is told twice a second."""
        while not ((found := self.get(file)).has_ended or found.is_waiting):
            progress(found)
            time.sleep(LOOKS_EVERY_S)
        progress(found)
        return found

    def get(self, file: str) -> shapes.File:
        """How far a file is."""
        return self._transport.get(f"/v1/files/{file}", shapes.File)

    def list(self) -> Iterator[shapes.File]:
        """Your member's files, the newest first."""
        return walk(self._transport, "/v1/files", shapes.File, {})

    def reading(self, file: str) -> shapes.Reading:
        """How a file was understood; there once it waits."""
        answered = self._transport.send("GET", f"/v1/files/{file}/reading")
        found = msgspec.json.decode(answered.content, type=shapes.Reading)
        return msgspec.structs.replace(found, tag=answered.headers.get("etag", ""))

    def mend(
        self, file: str, rows: Mapping[int, Mapping[str, str]], *, seen: shapes.Reading | None = None
    ) -> shapes.File:
        """Put cells of faulty rows of a waiting file right, by row number and column; it is read again then (`wait`).
        `seen` as in `certify`. Raises ApiError."""
        body = {"rows": [{"row": row, "cells": dict(cells)} for row, cells in rows.items()]}
        answered = self._transport.send("POST", f"/v1/files/{file}/mends", json=body, headers=_match(seen))
        return msgspec.json.decode(answered.content, type=shapes.File)

    def choose(
        self, file: str, kind: str, columns: Mapping[str, str], *, seen: shapes.Reading | None = None
    ) -> shapes.File:
        """Say what the columns of a waiting file mean, in entries of this kind; it is read again then (`wait`).
        `seen` as in `certify`. Raises ApiError."""
        body = {"kind": kind, "columns": dict(columns)}
        answered = self._transport.send("PUT", f"/v1/files/{file}/reading", json=body, headers=_match(seen))
        return msgspec.json.decode(answered.content, type=shapes.File)

    def certify(self, file: str, *, seen: shapes.Reading | None = None) -> shapes.File:
        """Have the rows of a waiting file that are ready sealed (`wait` follows it to its end). With what you have
        `seen`, a `reading`, nothing is sealed if another has chosen columns or mended cells since: Conflict
        (`changed_since`)."""
        answered = self._transport.send("POST", f"/v1/files/{file}/certify", headers=_match(seen))
        return msgspec.json.decode(answered.content, type=shapes.File)

    def faults(self, file: str) -> Iterator[shapes.Faulty]:
        """The faulty rows, in their order."""
        return walk(self._transport, f"/v1/files/{file}/faults", shapes.Faulty, {})

    def faulty_rows(self, file: str) -> bytes:
        """The faulty rows as they stood, to be mended and sent alone."""
        return self._transport.get_bytes(f"/v1/files/{file}/faulty")

    def outcomes(self, file: str) -> bytes:
        """What became of each row, as CSV."""
        return self._transport.get_bytes(f"/v1/files/{file}/outcomes")

    def cancel(self, file: str) -> shapes.File:
        """End a file; what is sealed stays."""
        answered = self._transport.send("DELETE", f"/v1/files/{file}")
        return msgspec.json.decode(answered.content, type=shapes.File)

    def _send_part(self, file: shapes.File, data: IO[bytes], part_bytes: int) -> shapes.File:
        data.seek(file.received)
        headers = {"Content-Type": PART, "Upload-Offset": str(file.received)}
        part = data.read(part_bytes)
        if not part:
            # Nothing would ever be the rest of it.
            saying = (
                f"{file.size:,} bytes were announced, and the file has fewer now: cancel {file.id}, and send it anew"
            )
            raise Invalid(400, "unreadable_file", saying)
        try:
            answered = self._transport.send("PATCH", file.content, content=part, headers=headers)
        except Conflict as conflict:
            if conflict.code != "upload_offset":
                raise
            # The part had arrived, and its answer was lost.
            return self.get(file.id)
        return msgspec.json.decode(answered.content, type=shapes.File)


def _match(seen: shapes.Reading | None) -> dict[str, str]:
    return {} if seen is None else {"If-Match": seen.tag}
