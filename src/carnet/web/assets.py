"""What pages are dressed in: one stylesheet, the icons and a few small files, each at an address that holds its digest.

An address never means other bytes, so that a browser may keep them for ever. The stylesheet is tokens, then the
components that the verification page wears too, then what only the application needs: one source for both. It
refuses to know pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).resolve().parent
STYLES = ("tokens.css", "components.css", "static/application.css", "static/timeline.css")
TYPES = {
    ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}  # fmt: skip
PREFIX = "/static/"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served: its address, what it is, its bytes."""

    address: str
    content_type: str
    data: bytes


@cache
def load_assets() -> dict[str, Asset]:
    """Every asset by the name that templates use (`carnet.css`, `icons.svg` …). Read once; an edit needs a new
    process."""
    files = {"carnet.css": b"".join((HERE / name).read_bytes() for name in STYLES), "icons.svg": make_sprite()}
    files |= {
        path.name: path.read_bytes()
        for path in sorted((HERE / "static").iterdir())
        if path.suffix in TYPES and path.suffix != ".css"
    }
    return {name: _make(name, data) for name, data in files.items()}


def make_sprite() -> bytes:
    """The icons as one file that `<use>` points at."""
    return (HERE / "icons.svg").read_bytes()


def find_asset(name: str) -> Asset | None:
    """The asset at `/static/NAME`."""
    return _by_address().get(PREFIX + name)


@cache
def _by_address() -> dict[str, Asset]:
    return {asset.address: asset for asset in load_assets().values()}


def _make(name: str, data: bytes) -> Asset:
    stem, dot, ending = name.rpartition(".")
    return Asset(f"{PREFIX}{stem}.{sha256(data).hexdigest()[:16]}{dot}{ending}", TYPES[dot + ending], data)
