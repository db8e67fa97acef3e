"""A garage's own site: its vehicles, a customer's passport in a frame, a reading sealed, and what Carnet told it.

    python app.py --config garage.json

It listens on this machine alone, and has no sign-in: whoever can open it is the garage.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from carnet.sdk import ApiError, Client, webhooks
from carnet.sdk.embedding import make_frame_address

MAX_BODY = 200_000
STYLE = """
  :root { color-scheme: light; }
  body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 66rem; margin: 0 auto; padding: 1rem; }
  body { color: #2b1019; background: #fffaf5; }
  header { font-weight: 700; border-bottom: 3px solid #7a1f3d; padding-bottom: .5rem; }
  a { color: #7a1f3d; }
  iframe { width: 100%; height: 46rem; border: 1px solid #d9c3b0; border-radius: .5rem; }
  input, button { font: inherit; padding: .5rem .8rem; }
  button { border: 0; border-radius: .3rem; background: #7a1f3d; color: #fff; cursor: pointer; }
  li { padding: .3rem 0; overflow-wrap: anywhere; }
"""
PASSPORT = re.compile(r"/vehicles/(pas_[0-9a-f]{32})")
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><link rel="icon" href="data:,"><style>{style}</style>
<header><a href="/">{name}</a></header><h1>{title}</h1>
{body}</html>"""


@dataclass
class Site:
    """What the site was given, and what it was told: message ids, so that none counts twice, and the latest lines."""

    config: Mapping[str, Any]
    heard: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self) -> Client:
        """A client of the service, for one thread."""
        return Client(self.config["service"], key=self.config["key"])

    def make_page(self, title: str, body: str) -> bytes:
        """A page of the site; `body` is markup already."""
        page = PAGE.format(title=escape(title), name=escape(self.config["name"]), body=body, style=STYLE)
        return page.encode()

    def list_vehicles(self) -> bytes:
        """Every vehicle that the garage has written about, and what it was told lately."""
        with self.connect() as carnet:
            vehicles = {entry.passport: entry.subject["value"] for entry in carnet.desk.entries()}
        links = "".join(f'<li><a href="/vehicles/{one}">{escape(value)}</a></li>' for one, value in vehicles.items())
        told = "".join(f"<li>{escape(line)}</li>" for line in reversed(self.heard)) or "<li>Nothing yet.</li>"
        return self.make_page("Our customers' vehicles", f"<ul>{links}</ul><h2>What Carnet told us</h2><ul>{told}</ul>")

    def show_vehicle(self, passport: str) -> bytes:
        """The customer's passport in a frame. The site itself reads only what the garage wrote."""
        with self.connect() as carnet:
            found = carnet.passports.get(passport)
        address = make_frame_address(
            self.config["service"], self.config["member"], passport, self.config["site"], lang="en"
        )
        form = (
            f'<form method="post" action="/vehicles/{passport}">'
            f'<input type="hidden" name="once" value="{secrets.token_hex(16)}">'
            '<label>Odometer, km <input name="km" required inputmode="numeric" pattern="[0-9]{1,7}"></label>'
            " <button>Seal the reading</button></form>"
        )
        frame = f'<iframe title="Passport" src="{escape(address)}"></iframe>'
        body = f"{form}<h2>The passport, as your customer sees it</h2>{frame}"
        return self.make_page(str(found.subject["value"]), body)

    def seal_reading(self, passport: str, form: Mapping[str, str]) -> None:
        """A reading of today. `once` names the form: sent twice, it is sealed once."""
        reading = {"odometer_km": int(form["km"]), "odometer_state": "read"}
        with self.connect() as carnet:
            vehicle = carnet.passports.get(passport).subject
            carnet.entries.append(
                passport,
                "vehicle.odometer/1",
                reading,
                at=datetime.now(UTC).date().isoformat(),
                vehicle=f"{vehicle['scheme']}:{vehicle['value']}",
                idempotency_key=form["once"],
            )

    def hear(self, body: bytes, headers: Mapping[str, str]) -> None:
        """What Carnet tells: believed if it is signed, and counted once. Raises webhooks.WebhookError."""
        event = webhooks.verify(body, headers, self.config["webhook_keys"])
        with self.lock:
            if event.id not in self.seen:
                self.seen.add(event.id)
                for one in event.data.get("entries", ()):
                    self.heard.append(f"{event.timestamp} {event.type}: {one['kind']} in {one['passport']}")


class Handler(BaseHTTPRequestHandler):
    """The addresses of the site."""

    site: Site

    def do_GET(self) -> None:
        """A page."""
        found = PASSPORT.fullmatch(self.path)
        try:
            if self.path == "/":
                self.answer(200, self.site.list_vehicles())
            elif found:
                self.answer(200, self.site.show_vehicle(found[1]))
            else:
                self.answer(404, self.site.make_page("Nothing here", ""))
        except ApiError as error:
            self.answer(502, self.site.make_page("Carnet refused", f"<p>{escape(str(error))}</p>"))

    def do_POST(self) -> None:
        """A form of ours, or a message of Carnet's."""
        size = int(self.headers.get("Content-Length") or 0)
        if size > MAX_BODY:
            self.answer(413, b"")
            return
        body, found = self.rfile.read(size), PASSPORT.fullmatch(self.path)
        if self.path == "/hooks":
            try:
                self.site.hear(body, dict(self.headers))
            except webhooks.WebhookError as error:
                self.answer(400, str(error).encode())
                return
            self.answer(204, b"")
        elif found and self.is_own_form():
            self.take_form(found[1], {name: values[0] for name, values in parse_qs(body.decode()).items()})
        else:
            self.answer(403, self.site.make_page("Not like this", ""))

    def take_form(self, passport: str, form: Mapping[str, str]) -> None:
        """Seal what the form says, and show the vehicle again."""
        if not re.fullmatch(r"[0-9]{1,7}", form.get("km", "")) or not re.fullmatch(
            r"[0-9a-f]{32}", form.get("once", "")
        ):
            self.answer(422, self.site.make_page("That is no reading", ""))
            return
        try:
            self.site.seal_reading(passport, form)
        except ApiError as error:
            self.answer(422, self.site.make_page("Carnet refused it", f"<p>{escape(str(error))}</p>"))
            return
        self.send_response(303)
        self.send_header("Location", self.path)
        self.end_headers()

    def is_own_form(self) -> bool:
        """Whether a browser says that the form stood in a page of this site."""
        return bool(self.headers.get("Origin") == self.site.config["site"])

    def answer(self, status: int, body: bytes) -> None:
        """Send a page."""
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve the site until it is stopped."""
    parser = argparse.ArgumentParser(description="A garage's own site.")
    parser.add_argument("--config", type=Path, default=Path("garage.json"))
    config = json.loads(parser.parse_args().config.read_text(encoding="utf-8"))
    Handler.site = Site(config)
    with ThreadingHTTPServer(("127.0.0.1", config["port"]), Handler) as server:
        print(f"The garage's site is at {config['site']}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
