"""The holder's journal: consent granted, refused and withdrawn, and every access that it led to (domain.md §6).

Terms are ODRL's and purposes DPV's, written as texts. An agreement is never rewritten: its end is an entry of its own,
so these kinds bear no mark. They refuse to know what was read: an access names kinds and counts, never values.
"""

from __future__ import annotations

from carnet.passport.kinds.common import NOTE, choice
from carnet.passport.kinds.language import AtMostOne, Code, Day, InOrder, Integer, Items, OneWhen, Text, Together
from carnet.passport.kinds.schema import declare
from carnet.types import INT_MAX, Mark

_ACTION = choice("action", "what may be done", "read compute export", optional=False)
_ASSIGNEE_TYPE = choice("assignee_type", "to whom", "member person", optional=False)
_ASSIGNEE_MEMBER = Code(name="assignee_member", label="member id of the assignee", form="id")
# A person has no id of the network's: only a digest under a secret, so that two journals name one person differently.
_ASSIGNEE_PERSON = Code(name="assignee_person", label="the person, by a keyed digest", form="sha256")
_ASSIGNEE = (
    AtMostOne(("assignee_member", "assignee_person")),
    OneWhen("assignee_type", "member", ("assignee_member",)),
)
_ASSIGNER = choice("assigner", "who decides", "holder driver", optional=False)
_EPOCH = Integer(name="epoch", label="the holder's epoch", minimum=0, maximum=INT_MAX, optional=False)
_GRANT = Code(name="grant", label="id of the grant", form="id", optional=False)
_PASSPORT = Code(name="passport", label="the passport it is about", form="id", optional=False)
_POLICY = Code(name="policy_sha256", label="digest of the policy", form="sha256")
_PURPOSE = Text(name="purpose", label="purpose", max_length=120, optional=False)
_REQUEST = Code(name="request", label="id of the request", form="id")
_SCOPE = Items(
    name="scope",
    label="kinds of entry, and fields",
    max_items=500,
    fields=(
        Text(name="field", label="one field; null for all of them", max_length=40),
        Text(name="kind", label="kind of entry", max_length=120, optional=False),
    ),
)
_NONE = (Mark.NONE,)

GRANTED = declare(
    "journal.granted/1",
    "access granted",
    Day(name="access_until", label="may be fetched until"),
    _ACTION,
    _ASSIGNEE_MEMBER,
    _ASSIGNEE_PERSON,
    _ASSIGNEE_TYPE,
    _ASSIGNER,
    choice("delivery", "on demand, or as a feed", "on_demand feed"),
    choice("duration", "how long", "once term until_withdrawn", optional=False),
    _EPOCH,
    _GRANT,
    choice("granularity", "how finely", "exact rounded yearly aggregate yes_or_no"),
    Integer(name="history_months", label="how far back, months", minimum=0, maximum=2_400),
    Integer(name="max_uses", label="uses at most", minimum=1, maximum=INT_MAX),
    NOTE,
    Items(
        name="not_purposes",
        label="purposes excluded",
        max_items=50,
        fields=(Text(name="purpose", label="purpose", max_length=120, optional=False),),
    ),
    _PASSPORT,
    _POLICY,
    _PURPOSE,
    Items(
        name="recipients",
        label="who may receive it from the assignee",
        max_items=100,
        fields=(
            Code(name="member", label="member id", form="id"),
            Text(name="name", label="recipient, as written", max_length=120),
        ),
    ),
    Code(name="renews", label="the grant that this one renews", form="id"),
    _REQUEST,
    Day(name="retention_until", label="may be kept until"),
    _SCOPE,
    Day(name="use_until", label="may be used until"),
    chain="journal",
    marks=_NONE,
    # What is no longer kept is no longer used.
    rules=(*_ASSIGNEE, InOrder("access_until", "use_until"), InOrder("use_until", "retention_until")),
)

REFUSED = declare(
    "journal.refused/1",
    "access refused",
    _ACTION,
    _ASSIGNEE_MEMBER,
    _ASSIGNEE_PERSON,
    _ASSIGNEE_TYPE,
    _ASSIGNER,
    _EPOCH,
    NOTE,
    choice("outcome", "answer", "refused deferred", optional=False),
    _PASSPORT,
    _POLICY,
    _PURPOSE,
    choice("reason", "why", "not_wanted purpose scope term price recipient too_many other", optional=False),
    _REQUEST,
    _SCOPE,
    chain="journal",
    marks=_NONE,
    rules=_ASSIGNEE,
)

WITHDRAWN = declare(
    "journal.withdrawn/1",
    "grant ended",
    choice("by", "who ended it", "holder driver assignee operator law", optional=False),
    _EPOCH,
    _GRANT,
    NOTE,
    choice("outcome", "how it ended", "withdrawn expired terminated invalidated", optional=False),
    _PASSPORT,
    choice(
        "reason",
        "why",
        "holder_decision term_reached uses_spent transferred breach fraud closed erased other",
        optional=False,
    ),
    chain="journal",
    marks=_NONE,
)

ACCESSED = declare(
    "journal.accessed/1",
    "data accessed",
    _ACTION,
    Code(name="answer_sha256", label="digest of what was handed out", form="sha256"),
    _ASSIGNEE_MEMBER,
    _ASSIGNEE_PERSON,
    _ASSIGNEE_TYPE,
    # An authority acts under a grant, or names its law and its case (rules.md §3, control).
    Text(name="case_number", label="number of the case", max_length=64),
    Integer(name="entry_count", label="entries handed out", minimum=0, maximum=INT_MAX),
    _EPOCH,
    Code(name="grant", label="id of the grant", form="id"),
    Text(name="legal_basis", label="law that allows it without a grant", max_length=200),
    NOTE,
    _PASSPORT,
    _PURPOSE,
    _SCOPE,
    Integer(name="use_number", label="which use of the grant this is, from 1", minimum=1, maximum=INT_MAX),
    chain="journal",
    marks=_NONE,
    rules=(*_ASSIGNEE, AtMostOne(("grant", "legal_basis")), Together(("case_number", "legal_basis"))),
)

KINDS = (GRANTED, REFUSED, WITHDRAWN, ACCESSED)
