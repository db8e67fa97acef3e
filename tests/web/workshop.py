"""A service with a garage and a dealer in it: their staff signed in, a passport that the dealer opened, and its holder.

For tests of a member's desk. It refuses to know what they do there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar
from litestar.testing import TestClient

from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import HOLDER, OPERATOR, Post, insert_account
from carnet.services.accounts.sessions import begin_session, find_principal
from carnet.services.appending import enrol_speaker, open_passport
from carnet.services.approving.requests import Approval, grant
from carnet.services.holdings import begin_holding
from carnet.services.principals import Principal, Role, Standing
from carnet.types import Subject
from tests.web.lodge import HTTPS, Lodge, lodging, read_form_token, visiting

VIN = "WVWZZZ1KZ7P123456"
OTHER_VIN = "WVWZZZ1KZ7P123457"
HTML = {"Accept": "text/html", "Accept-Language": "en"}


@dataclass
class Workshop:
    """`passport` is that of `VIN`, as a name; nobody knows `OTHER_VIN` yet."""

    lodge: Lodge
    client: TestClient[Litestar]
    members: dict[str, bytes]
    passport: str
    sessions: dict[str, str]

    @property
    def cookie(self) -> str:
        return str(self.lodge.desk.cookies.session)

    @property
    def domain(self) -> str:
        return str(urlsplit(self.lodge.origin).hostname)

    def be(self, who: str) -> None:
        """From now on requests are this person's: "clerk", "admin", "reader", "auditor" of the garage, "dealer",
        "other" (of another garage), "holder", "operator"."""
        self.client.cookies.set(self.cookie, self.sessions[who], domain=self.domain)

    def get(self, path: str, code: int = 200) -> str:
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == code, answer.text
        return str(answer.text)

    def send(self, page: str, path: str, **fields: Any) -> Any:
        """Send a form from a page, filled in as the page filled it, but for these fields."""
        text = self.get(page)
        given = {"form_token": read_form_token(text), **read_values(text, path), **fields}
        headers = HTML | {"Sec-Fetch-Site": "same-origin"}
        return self.client.post(path, data=given, headers=headers, follow_redirects=False)

    def write(self, kind: str = "vehicle.odometer-1", **fields: Any) -> Any:
        return self.send(f"/console/write/{kind}", f"/console/write/{kind}", **{"vehicle": VIN, **fields})

    def seal(self, kind: str = "vehicle.odometer-1", **fields: Any) -> str:
        """The path of the page of the entry that was sealed."""
        answer = self.write(kind, **fields)
        assert answer.status_code == 303, re.sub(r"\s+", " ", answer.text)[:4000]
        return str(answer.headers["location"]).partition("?")[0]

    def grant(self, approval: Approval) -> None:
        """The operator grants a request, which is carried out at once."""
        operator = find_principal(self.lodge.office, self.sessions["operator"])
        assert operator is not None
        assert grant(self.lodge.office, self.lodge.desk.door, operator, approval.public_id).state == "done"

    def list_kinds(self) -> list[str]:
        with self.lodge.node.read() as reader:
            return [one.kind for one in reader.read_entries(bytes.fromhex(self.passport.removeprefix("pas_")))]


def read_values(page: str, action: str) -> dict[str, str]:
    """What the inputs of the form with this action hold."""
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    found = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name is not None and 'type="file"' not in tag:
            found[name[1]] = value[1] if value else ""
    for name, options in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options) or re.search(
            r'<option value="([^"]*)"', options
        )
        found[name] = chosen[1] if chosen else ""
    return found | dict(re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.DOTALL))


@contextmanager
def opening_workshop(path: Path, origin: str = HTTPS, store_url: str | None = None) -> Iterator[Workshop]:
    with lodging(path, origin, network="test.example", store_url=store_url) as lodge:
        writer = lodge.node.writers[0]
        kinds = {"garage": "garage", "dealer": "dealer", "other": "garage"}
        members = {name: writer.enrol_member(f"The {name}", kind).id for name, kind in kinds.items()}
        enrol_speaker(writer)
        with lodge.node.read() as reader:
            dealer = Principal(Standing.STAFF, account=f"acc_{7:032x}", member=members["dealer"], role=Role.CLERK)
            now = lodge.node.clock()
            opened = open_passport(writer, reader, dealer, Subject("vin", VIN), "first_registration", now)
        chain = bytes.fromhex(opened.passport.removeprefix("pas_"))
        posts = {role.value: Post(Standing.STAFF, members["garage"], role) for role in Role}
        posts |= {name: Post(Standing.STAFF, members[name], Role.ADMIN) for name in ("dealer", "other")}
        posts |= {"holder": HOLDER, "operator": OPERATOR}
        sessions = {}
        with lodge.office.people.write() as connection:
            for name, post in posts.items():
                account = insert_account(connection, lodge.office, post, f"The {name}", lodge.office.random_bytes(32))
                sessions[name] = begin_session(connection, lodge.office, account, Visit("192.0.2.1"), "passkey")
                if name == "holder":
                    begin_holding(connection, lodge.office, chain, 0, account.id, "claim")
        with visiting(lodge) as client:
            yield Workshop(lodge, client, members, opened.passport, sessions)
    lodge.node.check()
