"""A real `carnet serve` with two workers, people who are signed in, and their requests sent at the same instant."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from carnet.node.home import Home
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import OPERATOR_HERE, Office, Visit, office_at
from carnet.services.accounts.registry import OPERATOR, Post, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.appending import enrol_speaker
from carnet.services.principals import Role, Scope, Standing
from tests.node.home import make_node
from tests.serving import PATIENCE_S, Answer, Served, serving_home
from tests.web.lodge import read_form_token

_T = TypeVar("_T")

HTML = {"Accept": "text/html", "Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}


def at_once(calls: Sequence[Callable[[], _T]]) -> list[_T]:
    """All of them, begun at the same instant, each in a thread of its own; what each gave."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], _T]) -> _T:
        gate.wait(20)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@dataclass(frozen=True)
class Visitor:
    """Somebody with a browser of their own, who is not signed in."""

    served: Served

    @property
    def cookie(self) -> str:
        # A browser that has this cookie of forms already is given no other.
        return f"carnet_form={'A' * 43}"

    def look(self, path: str) -> str:
        answer = self.served.ask("GET", path, None, PATIENCE_S, **HTML, Cookie=self.cookie)
        assert answer.status == 200, (path, answer.status, answer.body[:500])
        return answer.body.decode()

    def write(self, page: str, **fields: str) -> Callable[[str], Answer]:
        """Open a page with forms; what is given sends one of them to an address, as often as it is asked to."""
        body = {"form_token": read_form_token(self.look(page)), **fields}
        return lambda path: self.served.post_form(path, body, **HTML, Cookie=self.cookie)

    def write_parts(self, page: str, **fields: str) -> Callable[[str], Answer]:
        """The same for a form that takes a file, without one."""
        body = {"form_token": read_form_token(self.look(page)), **fields}
        head = "--x\r\nContent-Disposition: form-data; name="
        parts = "".join(f'{head}"{name}"\r\n\r\n{value}\r\n' for name, value in body.items())
        headers = HTML | {"Cookie": self.cookie, "Content-Type": "multipart/form-data; boundary=x"}
        return lambda path: self.served.ask("POST", path, f"{parts}--x--\r\n".encode(), PATIENCE_S, **headers)


@dataclass(frozen=True)
class Somebody(Visitor):
    """Who is signed in there."""

    session: str
    account: str

    @property
    def cookie(self) -> str:
        return f"{super().cookie}; carnet_session={self.session}"

    def prepare(self, method: str, path: str, body: Any = None) -> Callable[[], Answer]:
        """A request of the API, as a page's script sends it."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Form-Token": read_form_token(self.look("/account")), "Sec-Fetch-Site": "same-origin"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        return lambda: self.served.ask(method, path, data, PATIENCE_S, Cookie=self.cookie, **headers)

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """The same, sent now."""
        return self.prepare(method, path, body)()


@dataclass
class Rush:
    """The service, its office as the node itself has it, and a garage that is one of its members."""

    served: Served
    office: Office
    garage: bytes

    def join(self, post: Post, name: str = "Somebody of them") -> Somebody:
        """A new account that has just signed in with a passkey."""
        with self.office.people.write() as connection:
            account = insert_account(connection, self.office, post, name, self.office.random_bytes(32))
            token = begin_session(connection, self.office, account, Visit("192.0.2.1"), "passkey")
        return Somebody(self.served, token, account.public_id)

    def join_holders(self, count: int) -> list[Somebody]:
        return [self.join(Post(Standing.HOLDER), f"Holder {number}") for number in range(count)]

    def join_operator(self) -> Somebody:
        return self.join(OPERATOR, "An operator")

    def join_staff(self, role: Role = Role.ADMIN) -> Somebody:
        return self.join(Post(Standing.STAFF, self.garage, role), f"The {role}")

    def make_key(self, *scopes: Scope) -> str:
        """A key of a program of the garage."""
        client = add_client(self.office, OPERATOR_HERE, self.garage, "A program", frozenset(scopes))
        return issue_key(self.office, OPERATOR_HERE, client.public_id).secret

    def call(self, key: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data, more = None, {"Authorization": f"Bearer {key}"}
        if body is not None:
            data, more = json.dumps(body).encode(), more | {"Content-Type": "application/json"}
        return self.served.ask(method, path, data, PATIENCE_S, **more, **headers)

    def count(self, query: str, *values: object) -> int:
        return int(self.list(query, *values)[0])

    def list(self, query: str, *values: object) -> list[Any]:
        """The first column."""
        with self.office.people.look_up() as connection:
            rows = connection.execute(query, values).fetchall()
        return [bytes(row[0]) if isinstance(row[0], memoryview) else row[0] for row in rows]


@contextmanager
def rushing(path: Path, store_url: str | None = None, *options: str) -> Iterator[Rush]:
    """A service with two workers over a new node; its store is clean in the end."""
    node = make_node(path, network="test.example", store_url=store_url)
    with node.open() as writer:
        garage = writer.enrol_member("Garage des Tilleuls", "dealer").id
        enrol_speaker(writer)
    with (
        serving_home(node.path, path / "log", "--workers", "2", *options) as served,
        office_at(Home(node.path)) as (office, _),
    ):
        yield Rush(served, office, garage)
    node.check()


def tell(answers: Sequence[Answer]) -> dict[str, int]:
    """How many of each: the status, and of a problem its code."""
    return dict(Counter(_name(one) for one in answers))


def _name(answer: Answer) -> str:
    is_problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    return f"{answer.status} {answer.json['code']}" if is_problem else str(answer.status)
