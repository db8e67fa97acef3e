"""A member's logo: a small picture, read to its last byte, and kept without anything but the picture.

PNG, JPEG or WebP, told by its bytes; never SVG, which can carry script and ask other servers. What stands beside the
picture (where and with what it was made, comments, whatever follows its end) is left out. It refuses to know whose it
is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused

MAX_BYTES: Final = 64_000
MIN_SIDE, MAX_SIDE = 16, 1024
"""Pixels."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"IDAT", b"IEND"})
_JPEG_LEFT_OUT: Final = frozenset({0xE1, *range(0xE3, 0xEE), 0xEF, 0xFE})
_JPEG_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_WEBP_KEPT: Final = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH"})
_BEYOND: Final = "this picture is cut off, or is not what it says it is: save it again"


class Logo(NamedTuple):
    """A picture as it is kept: its bytes, its media type, width and height in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int


def read_logo(data: bytes) -> Logo:
    """The picture and nothing else of a file. Raises Refused REQUEST_TOO_LARGE (more than 64,000 bytes),
    WRONG_MEDIA_TYPE (no PNG, JPEG or WebP, or one that moves), VALUE_OUT_OF_RANGE (sides of 16 to 1024 pixels),
    UNREADABLE_FILE."""
    if len(data) > MAX_BYTES:
        raise Refused(Reason.REQUEST_TOO_LARGE, f"a logo has at most {MAX_BYTES:,} bytes", field="logo")
    read = _find_reader(data)
    if read is None:
        raise Refused(Reason.WRONG_MEDIA_TYPE, "a logo is a PNG, JPEG or WebP picture (no SVG)", field="logo")
    try:
        logo = read(data)
    except (IndexError, ValueError):
        raise Refused(Reason.UNREADABLE_FILE, _BEYOND, field="logo") from None
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (logo.width, logo.height)):
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE,
            f"a logo is {MIN_SIDE} to {MAX_SIDE} pixels wide and high; this one is {logo.width} by {logo.height}",
            field="logo",
        )
    return logo


def _find_reader(data: bytes) -> Callable[[bytes], Logo] | None:
    if data.startswith(_PNG):
        return _read_png
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg
    return _read_webp if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _read_png(data: bytes) -> Logo:
    """Source: W3C PNG, third edition, 5.3 and 11.2."""
    kept, at, name, width, height = [_PNG], len(_PNG), b"", 0, 0
    while name != b"IEND":
        size, name = int.from_bytes(_take(data, at, 4)), _take(data, at + 4, 4)
        chunk = _take(data, at, size + 12)
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            raise ValueError("a chunk was altered")
        if name == b"acTL":
            raise _refuse_moving()
        if (at == len(_PNG)) != (name == b"IHDR"):
            raise ValueError("the header does not stand first")
        if name == b"IHDR":
            width, height = int.from_bytes(chunk[8:12]), int.from_bytes(chunk[12:16])
        if name in _PNG_KEPT:
            kept.append(chunk)
        at += len(chunk)
    return Logo(b"".join(kept), "image/png", width, height)


def _read_jpeg(data: bytes) -> Logo:
    """Source: ITU-T T.81, annex B."""
    kept, at, width, height = [data[:2]], 2, 0, 0
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker where one must be")
        marker = data[at + 1]
        size = int.from_bytes(_take(data, at + 2, 2))
        segment = _take(data, at, size + 2)
        if marker in _JPEG_FRAMES:
            height, width = int.from_bytes(segment[5:7]), int.from_bytes(segment[7:9])
        if marker == 0xDA:
            break
        if marker not in _JPEG_LEFT_OUT:
            kept.append(segment)
        at += len(segment)
    # From the first scan on everything is the picture, up to the marker of its end.
    end = data.rindex(b"\xff\xd9") + 2
    if end <= at:
        raise ValueError("the picture does not end")
    return Logo(b"".join(kept) + data[at:end], "image/jpeg", width, height)


def _read_webp(data: bytes) -> Logo:
    """Source: RFC 9649, 2.3 to 2.7."""
    end, at, parts, width, height = int.from_bytes(data[4:8], "little") + 8, 12, [], 0, 0
    _take(data, 0, end)
    while at < end:
        name, size = _take(data, at, 4), int.from_bytes(_take(data, at + 4, 4), "little")
        chunk = bytearray(_take(data, at, 8 + size + size % 2))
        if name in (b"ANIM", b"ANMF"):
            raise _refuse_moving()
        if name == b"VP8X":
            # What the flags promise (colour profile, Exif, XMP) is left out.
            chunk[8] &= 0x10
            width, height = (int.from_bytes(chunk[place : place + 3], "little") + 1 for place in (12, 15))
        elif name == b"VP8 " and not width:
            if chunk[11:14] != b"\x9d\x01\x2a":
                raise ValueError("no key frame")
            width, height = (int.from_bytes(chunk[place : place + 2], "little") & 0x3FFF for place in (14, 16))
        elif name == b"VP8L" and not width:
            if chunk[8] != 0x2F:
                raise ValueError("no lossless frame")
            bits = int.from_bytes(chunk[9:13], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if name in _WEBP_KEPT:
            parts.append(bytes(chunk))
        at += len(chunk)
    body = b"WEBP" + b"".join(parts)
    if not {one[:4] for one in parts} & {b"VP8 ", b"VP8L"}:
        raise ValueError("there is no picture in it")
    return Logo(b"RIFF" + len(body).to_bytes(4, "little") + body, "image/webp", width, height)


def _take(data: bytes, at: int, size: int) -> bytes:
    """So many bytes; raises ValueError where the file is too short."""
    taken = data[at : at + size]
    if len(taken) != size:
        raise ValueError("the file ends too early")
    return taken


def _refuse_moving() -> Refused:
    return Refused(Reason.WRONG_MEDIA_TYPE, "a logo does not move: save it as a still picture", field="logo")
