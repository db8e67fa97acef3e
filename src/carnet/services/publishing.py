"""Publishing: the verification page as a file to give away, with the trust policies that its giver chose.

The page is packaged ready-made (`make page`); only the list of policies in it is written here, as data beside its
script. It refuses to vouch for a policy: the page says who put it there, and that trust is the reader's decision.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from carnet.errors import InvariantBroken, Unverified
from carnet.tlog.policy import parse_policy

PACKAGED: Final = Path(__file__).resolve().parent.parent / "web" / "verify.html"
_EMPTY: Final = '<script type="application/json" id="given">[]</script>'


def make_page(policies: Sequence[bytes]) -> bytes:
    """The page with these policies in it; the same policies give the same bytes.

    Raises Unverified("policy_malformed") for one that cannot be read, names no log, or is about the network of
    another.
    """
    seen: set[str] = set()
    for data in policies:
        origins = {key.name for key in parse_policy(data).logs}
        if not origins:
            raise Unverified("policy_malformed", "the policy names no log, so nothing could ever be trusted by it")
        if origins & seen:
            raise Unverified("policy_malformed", f"two policies are about {', '.join(sorted(origins & seen))}")
        seen |= origins
    page = PACKAGED.read_text(encoding="utf-8")
    if page.count(_EMPTY) != 1:
        raise InvariantBroken("the packaged page has no one place for policies")
    texts = escape_json([data.decode() for data in policies])
    return page.replace(_EMPTY, _EMPTY.replace("[]", texts)).encode()


def escape_json(value: object) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
