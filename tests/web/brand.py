"""What tests of a member's look need beside the street: its staff, its look, and a site of its own that frames."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import Post, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.appearance.looks import Look, set_logo, set_look
from carnet.services.principals import Principal, Role, Standing
from carnet.vault.asker import asking_as_node
from tests.services.appearance.pictures import make_png
from tests.web.street import Street

OPERATOR = Principal(Standing.OPERATOR)


def find_member(street: Street, story: str = "hero") -> bytes:
    """The member that opened a vehicle's passport."""
    with asking_as_node(), street.desk.reading() as reader:
        return next(iter(reader.read_entries(bytes.fromhex(street.passports[story])))).member


def let_in(street: Street, role: Role = Role.ADMIN, member: bytes | None = None) -> str:
    """A new member of the staff of a member; the name by which the street knows their session."""
    post = Post(Standing.STAFF, member or find_member(street), role)
    with street.office.people.write() as connection:
        account = insert_account(connection, street.office, post, f"The {role}", os.urandom(32))
        street.sessions[f"{role} {account.public_id}"] = begin_session(
            connection, street.office, account, Visit("127.0.0.1", "a test"), "passkey"
        )
    return f"{role} {account.public_id}"


def dress(street: Street, *origins: str, member: bytes | None = None, name: str = "Garage des Tilleuls") -> Look:
    """A look for the member that opened the hero's passport."""
    whose = member or find_member(street)
    set_look(
        street.office,
        OPERATOR,
        whose,
        name=name,
        ink="#7a1f3d",
        paper="#fbe9d7",
        origins=origins,
        is_secure=False,
    )
    return set_logo(street.office, OPERATOR, whose, make_png(48, 48, colour=(199, 120, 20)))


@dataclass
class Site:
    """Where it is, and what its page holds."""

    origin: str
    page: str


@contextmanager
def serving_site(page: str = "") -> Iterator[Site]:
    """A member's own site on another port and another host of this machine: its page holds what `site.page` says."""
    site = Site("", page)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<!doctype html><html lang=fr><meta charset=utf-8><title>Our garage</title>{site.page}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.origin = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
