"""What pages are made of: stylesheets, scripts, icons. Each has its content's hash in its address, so that a browser
may keep it for ever; a changed file has another address.

They are read once, when the service starts, and are served from memory.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from carnet.errors import Reason, Refused
from carnet.web.policy import OPEN

HERE = Path(__file__).resolve().parent
BESIDE = ("tokens.css", "components.css", "icons.svg")
STYLESHEET = "carnet.css"
STYLES = (
    "tokens.css",
    "components.css",
    "static/application.css",
    "static/timeline.css",
    "static/look.css",
    "static/files.css",
)
"""What the one stylesheet of the application is made of: the first two dress the verification page too."""

HASH_DIGITS = 16
MINIMUM_GZIP_BYTES = 500
MEDIA_TYPES = {
    ".css": "text/css",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes as they are, and gzipped where that helps."""

    name: str
    data: bytes
    gzipped: bytes | None
    media_type: str
    digest: str

    @property
    def address(self) -> str:
        """Where it is served: `/static/HASH/NAME`."""
        return f"/static/{self.digest}/{self.name}"


@cache
def read_assets() -> dict[str, Asset]:
    """All of them by name: what lies in `static/`, with folders, and the stylesheets beside it."""
    folder = HERE / "static"
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files |= {name: HERE / name for name in BESIDE}
    assets = {name: _make(name, path.read_bytes()) for name, path in files.items() if path.suffix in MEDIA_TYPES}
    assets[STYLESHEET] = _make(STYLESHEET, b"".join((HERE / name).read_bytes() for name in STYLES))
    return assets


def _make(name: str, data: bytes) -> Asset:
    zipped = gzip.compress(data, mtime=0) if len(data) >= MINIMUM_GZIP_BYTES else data
    smaller = zipped if len(zipped) < len(data) * 0.9 else None
    return Asset(name, data, smaller, MEDIA_TYPES[Path(name).suffix], sha256(data).hexdigest()[:HASH_DIGITS])


def find_address(name: str) -> str:
    """The address of a file, for pages. Raises KeyError for one that is not packaged: a slip of a template."""
    return read_assets()[name].address


@get("/static/{digest:str}/{name:path}", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def get_static(request: Request[Any, Any, Any], digest: FromPath[str], name: FromPath[Path]) -> Response[bytes]:
    """A file of `static/`, to be kept for a year."""
    asset = read_assets().get(str(name).lstrip("/"))
    if asset is None or asset.digest != digest:
        raise Refused(Reason.NOT_FOUND, "there is no such file; the page that names it is older than this service")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzipped, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.data, media_type=asset.media_type, headers=headers)
