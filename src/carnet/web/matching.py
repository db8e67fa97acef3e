"""`If-Match`: what somebody saw is changed only if it is still as they saw it, so that of two who change the same thing
nobody undoes the other's work unseen. Source: RFC 9110 §13.1.1; the design note on conventions (ux.md).

It refuses to be overlooked: where nothing has a tag, no tag can match.
"""

from __future__ import annotations

import re
from typing import Any, Final

from carnet.errors import Reason, Refused

HEADER: Final = b"if-match"
_TAG: Final = r'(?:W/)?"[!#-~]*"'
TAGS: Final = rf"(?:\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*)"
"""What the header may say: `*`, or one tag or several."""

_SAYS: Final = re.compile(TAGS)
_EACH: Final = re.compile(_TAG)


class Wanted:
    """The tags of which one must be that of what is there now; none were named where `tags` is None."""

    def __init__(self, tags: frozenset[str] | None) -> None:
        self.tags = tags

    def check(self, tag: str | None) -> None:
        """Raise Refused(CHANGED_SINCE) unless what is there now, with this tag (None: nothing is there), is wanted. Ask
        where nobody else changes it meanwhile."""
        if self.tags is None or (tag is not None and not self.tags.isdisjoint(("*", tag))):
            return
        raise Refused(Reason.CHANGED_SINCE, "this was changed since you read it: read it again, then send your change")


def find_wanted(scope: Any) -> Wanted:
    """What the `If-Match` of a request wants. A weak tag matches nothing, as the standard says. Raises
    Refused(MALFORMED_REQUEST) for what are no tags."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == HEADER]
    if not lines:
        return Wanted(None)
    said = ", ".join(lines).strip()
    if not _SAYS.fullmatch(said):
        raise Refused(Reason.MALFORMED_REQUEST, 'If-Match has the `ETag` of what you read, as it came: "…"')
    return Wanted(frozenset({"*"} if said == "*" else _EACH.findall(said)))


def check_is_matched(scope: Any, *, is_matched: bool) -> None:
    """Raise Refused(CHANGED_SINCE) for a change that is made dependent on a tag where none is looked at: it must not
    be done as if it had been."""
    if not is_matched and any(name == HEADER for name, _ in scope["headers"]):
        saying = "nothing here has a tag that If-Match could compare: leave the header out, or change what has one"
        raise Refused(Reason.CHANGED_SINCE, saying)
