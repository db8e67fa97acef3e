"""A member's look as it is kept and changed: by the member's admin, or by an operator for it.

A look is worn by pages only while its member belongs to the network. It refuses to know pages.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from carnet.errors import Reason, Refused
from carnet.ledger.state import State
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, name_caller, name_id
from carnet.services.accounts.registry import check_administers, with_present_role
from carnet.services.appearance.colours import Colours, check_colours, parse_colour
from carnet.services.appearance.logos import Logo, read_logo
from carnet.services.principals import Principal
from carnet.types import MemberId, Millis, is_plain_text
from carnet.vault.people.store import PeopleStore
from carnet.vault.store import Connection

MAX_NAME: Final = 60
MAX_ORIGINS: Final = 20
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_COLUMNS: Final = "member, name, ink, paper, origins, logo_width, logo_height, changed_ms"


class Look(NamedTuple):
    """How a member looks. `origins` may frame its pages; `logo_size` is its width and height in pixels, None
    without one; `changed_at` (ms) tells one state of it from another."""

    member: MemberId
    name: str
    colours: Colours
    origins: tuple[str, ...]
    logo_size: tuple[int, int] | None
    changed_at: Millis

    @property
    def public_id(self) -> str:
        """`mem_…`."""
        return name_id("mem", self.member)

    def may_frame(self, origin: str | None) -> bool:
        """Whether a page of this origin may show the passport in a frame."""
        return origin is not None and origin in self.origins


Check: TypeAlias = Callable[[Look | None], None]
"""Asked for the look that is to be changed, as it is at that moment; it raises to leave it so."""


def _any_look(look: Look | None) -> None:
    """Whatever there is may be changed."""


def find_look(people: PeopleStore, state: State, member: MemberId) -> Look | None:
    """The look of a member; None where it has none, is unknown, or has left the network."""
    index = state.members.find_index(member)
    if index is None or state.members.get(member).retired is not None:
        return None
    return find_kept_look(people, member)


def find_kept_look(people: PeopleStore, member: MemberId) -> Look | None:
    """What a member has set, whether it may be worn or not."""
    with people.read() as connection:
        return _find(connection, member)


def _find(connection: Connection, member: MemberId) -> Look | None:
    query = f"SELECT {_COLUMNS} FROM appearance WHERE member = ?"  # noqa: S608 - our own words
    row = connection.execute(query, (member,)).fetchone()
    if row is None:
        return None
    id_, name, ink, paper, origins, width, height, changed = row
    size = None if width is None else (width, height)
    return Look(bytes(id_), name, Colours(ink, paper), tuple(origins.split()), size, changed)


def find_logo(people: PeopleStore, member: MemberId) -> tuple[bytes, str] | None:
    """A member's logo and its media type."""
    query = "SELECT logo, logo_type FROM appearance WHERE member = ? AND logo IS NOT NULL"
    with people.read() as connection:
        row = connection.execute(query, (member,)).fetchone()
    return None if row is None else (bytes(row[0]), row[1])


def set_look(
    office: Office,
    principal: Principal,
    member: MemberId,
    *,
    name: str,
    ink: str,
    paper: str,
    origins: Sequence[str],
    is_secure: bool = True,
    check: Check = _any_look,
) -> Look:
    """Keep a member's name, colours and origins; its logo stays. `is_secure`: this service is reached by https.

    Raises what `check` raises, and Refused NOT_PERMITTED for whoever does not administer the member; NOT_SIGNED_IN for
    an account that was ended; MISSING_FIELD, TEXT_TOO_LONG, TEXT_NOT_ALLOWED, WRONG_TYPE, VALUE_OUT_OF_RANGE;
    CONTRAST_TOO_LOW.
    """
    check_administers(principal, member)
    checked = _check_name(name)
    colours = Colours(parse_colour(ink, "ink"), parse_colour(paper, "paper"))
    check_colours(colours)
    kept = parse_origins(origins, is_secure=is_secure)
    with office.people.change() as connection:
        check_administers(with_present_role(connection, principal), member)
        check(_find(connection, member))
        connection.execute(
            "INSERT INTO appearance (member, name, ink, paper, origins, changed_by, changed_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (member) DO UPDATE SET name = excluded.name, ink = excluded.ink,"
            " paper = excluded.paper, origins = excluded.origins, changed_by = excluded.changed_by,"
            " changed_ms = excluded.changed_ms",
            (member, checked, *colours, " ".join(kept), name_caller(principal), office.clock()),
        )
        why = f"{colours.ink} {colours.paper} {len(kept)} origins".replace("#", "")
        record(connection, office, Action.APPEARANCE_CHANGED, name_caller(principal), member=member, why=why)
    return _get(office, member)


def set_logo(
    office: Office, principal: Principal, member: MemberId, data: bytes | None, check: Check = _any_look
) -> Look:
    """Keep a logo, or with None none. Raises what `check` raises, Refused NOT_PERMITTED, MISSING_FIELD where
    name and colours are not set yet, and as `read_logo`."""
    check_administers(principal, member)
    logo: Logo | None = None if data is None else read_logo(data)
    with office.people.change() as connection:
        check_administers(with_present_role(connection, principal), member)
        check(_find(connection, member))
        changed = connection.execute(
            "UPDATE appearance SET logo = ?, logo_type = ?, logo_width = ?, logo_height = ?,"
            " changed_by = ?, changed_ms = ? WHERE member = ?",
            (
                *((None, None, None, None) if logo is None else logo),
                name_caller(principal),
                office.clock(),
                member,
            ),
        ).rowcount
        if changed != 1:
            raise Refused(Reason.MISSING_FIELD, "set the name and the colours first, then the logo", field="name")
        why = "no logo" if logo is None else f"logo {logo.width} by {logo.height}"
        record(connection, office, Action.APPEARANCE_CHANGED, name_caller(principal), member=member, why=why)
    return _get(office, member)


def remove_look(office: Office, principal: Principal, member: MemberId, check: Check = _any_look) -> None:
    """Look like Carnet again; nothing where there was no look. Whoever was shown a passport in a frame of the member
    sees it there no more. Raises what `check` raises, and Refused(NOT_PERMITTED)."""
    check_administers(principal, member)
    with office.people.change() as connection:
        check_administers(with_present_role(connection, principal), member)
        check(_find(connection, member))
        if connection.execute("DELETE FROM appearance WHERE member = ?", (member,)).rowcount:
            record(connection, office, Action.APPEARANCE_REMOVED, name_caller(principal), member=member)


def parse_origins(given: Sequence[str], *, is_secure: bool) -> tuple[str, ...]:
    """Exact origins, each once, in the order given. Raises Refused WRONG_TYPE for what is none, VALUE_OUT_OF_RANGE for
    more than 20.

    Only https, since whoever can change a page on its way would see what the frame shows; a service that is itself
    tried on this machine without https takes pages of this machine too.
    """
    found = dict.fromkeys(_parse_origin(one, is_secure=is_secure) for text in given for one in text.split())
    if len(found) > MAX_ORIGINS:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"at most {MAX_ORIGINS} origins", field="origins")
    return tuple(found)


def _parse_origin(text: str, *, is_secure: bool) -> str:
    saying = f"{text[:80]!a} is no origin: write it as https://app.example, without a path, a * or a / at its end"
    wrong = Refused(Reason.WRONG_TYPE, saying, field="origins")
    if not text.isascii() or len(text) > 255 or any(letter in text for letter in "*?#@\\'\",;"):
        raise wrong
    try:
        parts = urlsplit(text.lower())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    place = f"[{host}]" if ":" in host else host
    is_local = not is_secure and parts.scheme == "http" and place in _LOCAL
    if parts.path or not host or not (parts.scheme == "https" or is_local) or not _is_host(place):
        raise wrong
    is_default = port == {"https": 443, "http": 80}[parts.scheme]
    origin = f"{parts.scheme}://{place}" + ("" if port is None or is_default else f":{port}")
    if text.lower() not in (origin, f"{origin}:{port}"):
        raise wrong
    return origin


def _is_host(place: str) -> bool:
    labels = place.strip("[]").split(":" if place.startswith("[") else ".")
    return all(
        (not label and place.startswith("[")) or (label.replace("-", "").isalnum() and label.strip("-") == label)
        for label in labels
    )


def _check_name(text: str) -> str:
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise Refused(Reason.MISSING_FIELD, "a name is needed: what your customers call you", field="name")
    if len(name) > MAX_NAME:
        raise Refused(Reason.TEXT_TOO_LONG, f"the name has at most {MAX_NAME} characters", field="name")
    if not is_plain_text(name):
        raise Refused(Reason.TEXT_NOT_ALLOWED, "the name has no control characters and no line breaks", field="name")
    return name


def _get(office: Office, member: MemberId) -> Look:
    look = find_kept_look(office.people, member)
    if look is None:
        raise Refused(Reason.MISSING_FIELD, "the look was removed meanwhile: set it again")
    return look
