"""Small pictures made here, byte by byte, with what a camera or an attacker puts beside them."""

from __future__ import annotations

import struct
import zlib

SECRET = b"GPS 48.85 N 2.35 E <script>alert(1)</script>"


def make_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def make_png(width: int = 64, height: int = 32, *extra: bytes, colour: tuple[int, int, int] = (11, 61, 145)) -> bytes:
    rows = b"".join(b"\x00" + bytes(colour) * width for _ in range(height))
    head = make_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = make_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + body + make_chunk(b"IEND", b"")


def make_segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def make_jpeg(width: int = 64, height: int = 32, *extra: bytes) -> bytes:
    """The shape of one: enough for whoever reads headers, not a picture to look at."""
    frame = make_segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0]))
    scan = make_segment(0xDA, bytes([1, 1, 0, 0, 63, 0])) + b"\x12\x34\xff\x00\x56"
    return b"\xff\xd8" + make_segment(0xE0, b"JFIF\x00\x01\x01") + b"".join(extra) + frame + scan + b"\xff\xd9"


def make_webp(width: int = 64, height: int = 32, *extra: bytes) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    picture = b"\x2f" + struct.pack("<I", bits) + b"\x00" * 5
    body = b"WEBP" + b"".join(extra) + make_riff(b"VP8L", picture)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def make_riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)
