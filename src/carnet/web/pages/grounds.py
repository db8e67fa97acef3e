"""Who stands in the audit trail beside accounts, to what its actions belong, what a member is, and on which ground
something was done: in the reader's words.

A ground is kept as a code or a short pattern of a small alphabet (`services.accounts.auditing`). What is an id, a scope
or an address is a name, and is shown as it stands. It refuses to know requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from carnet.services.accounts.auditing import Action, Event
from carnet.services.accounts.throttling import Attempt
from carnet.services.approving.wishes import NAMES
from carnet.services.erasing import REASONS
from carnet.services.principals import Role, Standing
from carnet.web.language import Language, load_translations
from carnet.web.pages.telling import say_code
from carnet.web.wording import get_wording

Gettext = Callable[[str], str]


def name_standings(language: Language) -> dict[str, str]:
    """Who acts without an account: `visitor`, `operator`, `node`."""
    _ = load_translations(language).gettext
    return {
        "visitor": _("Somebody not signed in"), "operator": _("The node's own terminal"), "node": _("The node itself"),
    }  # fmt: skip


def name_families(language: Language) -> dict[str, str]:
    """What the actions of each family are about, by the beginning of their codes."""
    _ = load_translations(language).gettext
    return {
        "access": _("Access"),
        "account": _("Accounts"),
        "appearance": _("Look for customers"),
        "approval": _("Approvals"),
        "audit": _("Audit trail"),
        "backup": _("Backups"),
        "census": _("Census"),
        "claim": _("Claims of a vehicle"),
        "client": _("Programs and their keys"),
        "file": _("Files"),
        "holding": _("Holders of vehicles"),
        "mapping": _("Ways of reading files"),
        "member": _("Members"),
        "node": _("Checks of the node"),
        "passkey": _("Passkeys"),
        "passport": _("Erasures"),
        "quota": _("Quotas"),
        "recovery": _("Recovery codes"),
        "session": _("Signing in and out"),
        "signing_key": _("Signing keys"),
        "view": _("Vehicles shown in an app"),
        "webhook": _("Webhooks"),
    }


def name_member_kinds(language: Language) -> Mapping[str, str]:
    """What a member is, by the word of the ledger."""
    _ = load_translations(language).gettext
    return {
        "manufacturer": _("Manufacturer"),
        "distributor": _("Distributor"),
        "dealer": _("Dealer"),
        "registration_authority": _("Registration authority"),
        "rental_company": _("Rental company"),
        "insurer": _("Insurer"),
        "damage_expert": _("Damage expert"),
        "lender": _("Lender"),
        "assistance_company": _("Assistance company"),
        "garage": _("Garage"),
        "inspection_centre": _("Inspection centre"),
        "parts_supplier": _("Parts supplier"),
        "platform": _("Platform"),
        "dismantler": _("Dismantler"),
        "data_service": _("Data service"),
        "storage_provider": _("Storage provider"),
        "public_authority": _("Public authority"),
        "node": _("Node"),
    }


def say_ground(language: Language, event: Event) -> str:
    """The ground of an entry in words; "" where it has none, and itself where it is a name."""
    _ = load_translations(language).gettext
    ground, colon = event.why, get_wording(language).colon
    if event.action is Action.THROTTLED:
        return _list_attempts(_).get(ground, ground)
    if event.action in _APPROVALS:
        act, _parted, more = ground.partition(": ")
        said = _list_wishes(_).get(act, act)
        return f"{said}{colon}{say_code(language, more) or more}" if more else said
    if event.action is Action.MEMBER_ENROLLED:
        kind, _parted, custody = ground.partition(": ")
        words = {"own key": _("with its own key"), "key kept here": _("with a key that is kept here")}
        return f"{name_member_kinds(language).get(kind, kind)}, {words.get(custody, custody)}"
    if event.action is Action.PASSPORT_ERASED:
        what, _parted, reason = ground.partition(": ")
        return f"{_say_counted(language, what)}{colon}{_list_erasures(_).get(reason, reason)}"
    return _list_whole(_).get(ground) or _say_counted(language, ground)


_APPROVALS = frozenset(one for one in Action if one.value.startswith("approval."))


def _list_attempts(_: Gettext) -> Mapping[str, str]:
    return {
        Attempt.SIGN_IN_BY_ADDRESS: _("signing in, from one address"),
        Attempt.SIGN_IN_BY_PASSKEY: _("signing in, with one passkey"),
        Attempt.SIGN_UP_BY_ADDRESS: _("making accounts, from one address"),
        Attempt.CEREMONY_BY_ADDRESS: _("asking for passkeys, from one address"),
        Attempt.RECOVERY_BY_ADDRESS: _("recovery codes, from one address"),
        Attempt.CONFIRM_BY_ACCOUNT: _("confirming, with one account"),
        Attempt.TOKEN_BY_ADDRESS: _("keys of programs, from one address"),
        Attempt.ASSERTION_BY_ADDRESS: _("tokens, from one address"),
        Attempt.ASSERTION_BY_CLIENT: _("tokens, by one program"),
        Attempt.CLAIM_BY_ADDRESS: _("codes of vehicles, from one address"),
        Attempt.CLAIM_BY_ACCOUNT: _("codes of vehicles, with one account"),
        Attempt.CODES_BY_CALLER: _("codes made for customers"),
        Attempt.WEBHOOK_TESTS_BY_CALLER: _("tests of webhooks"),
        Attempt.VIEW_BY_ADDRESS: _("vehicles in an app, from one address"),
        Attempt.DEMO_BY_ADDRESS: _("links of the demonstration, from one address"),
    }


def _list_wishes(_: Gettext) -> Mapping[str, str]:
    words = {
        "enrol": _("Admit a member"),
        "accredit": _("Change what a member may write"),
        "add_key": _("List a key of a member"),
        "revoke_key": _("Revoke a key"),
        "rotate_key": _("Replace a key"),
        "retire": _("Let a member leave"),
        "invite_operator": _("Admit an operator"),
    }
    return {name: words[name] for name in NAMES.values()}


def _list_erasures(_: Gettext) -> Mapping[str, str]:
    words = {
        "holder_request": _("its holder asked for it"),
        "consent_withdrawn": _("consent was withdrawn"),
        "retention_over": _("it was kept for as long as it may be"),
        "unlawful": _("it was unlawful"),
        "court_order": _("a court ordered it"),
        "test_data": _("it was for trying things"),
        "other": _("another reason"),
    }
    return {reason: words[reason] for reason in REASONS}


def _list_whole(_: Gettext) -> Mapping[str, str]:
    """Grounds that are one word, or a fixed few."""
    return {
        "confirm": _("when confirming"),
        "dead since": _("all that had failed since a moment"),
        "demo": _("by a link of the demonstration"),
        "dismissed": _("dismissed"),
        "failed": _("it failed"),
        "failing": _("it has failed for days"),
        "gone": _("its address said that it is gone"),
        "granted": _("granted"),
        "no logo": _("without a logo"),
        "none": _("no limit"),
        "oauth": _("a public key"),
        "others": _("everywhere else"),
        "passkey": _("with a passkey"),
        "recovery": _("with a recovery code"),
        "token": _("a token"),
        Standing.HOLDER.value: _("Holder"),
        Standing.OPERATOR.value: _("Operator"),
        **{f"{Standing.STAFF} {role}": words for role, words in _list_roles(_).items()},
        **{role.value: words for role, words in _list_roles(_).items()},
    }


def _list_roles(_: Gettext) -> Mapping[Role, str]:
    return {
        Role.ADMIN: _("Admin"), Role.CLERK: _("Clerk"), Role.READER: _("Reader"), Role.AUDITOR: _("Auditor"),
    }  # fmt: skip


_COUNTED = re.compile(
    r"whole|(?P<entries>\d+) entries|(?P<kinds>\d+) kinds|(?P<minute>\d+) a minute|(?P<made>\d+) of (?P<all>\d+)"
    r"|epoch (?P<epoch>\d+)|disputed since record (?P<record>\d+)|logo (?P<width>\d+) by (?P<height>\d+)"
    r"|(?P<ink>[0-9a-f]{6}) (?P<paper>[0-9a-f]{6}) (?P<origins>\d+) origins",
    re.ASCII,
)


def _list_sentences(ngettext: Callable[[str, str, int], str]) -> Mapping[str, Callable[[int], str]]:
    """The sentence of each pattern, by its first number's name."""
    return {
        "entries": lambda n: ngettext("%(entries)s entry", "%(entries)s entries", n),
        "kinds": lambda n: ngettext("%(kinds)s kind", "%(kinds)s kinds", n),
        "minute": lambda n: ngettext("%(minute)s request a minute", "%(minute)s requests a minute", n),
        "made": lambda n: ngettext("%(made)s code for %(all)s vehicles", "%(made)s codes for %(all)s vehicles", n),
        "epoch": lambda n: ngettext("%(epoch)s change of holder so far", "%(epoch)s changes of holder so far", n),
        "record": lambda n: ngettext("disputed since record %(record)s", "disputed since record %(record)s", n),
        "width": lambda n: ngettext("logo, %(width)s by %(height)s", "logo, %(width)s by %(height)s", n),
        "ink": lambda n: ngettext(
            "%(ink)s on %(paper)s, %(origins)s origin", "%(ink)s on %(paper)s, %(origins)s origins", n
        ),
    }


def _say_counted(language: Language, ground: str) -> str:
    """A ground with numbers in it; a reason by its code; anything else as it stands."""
    translations, number = load_translations(language), get_wording(language).number
    found = _COUNTED.fullmatch(ground)
    if found is None:
        return (say_code(language, ground) if ground.isidentifier() else "") or ground
    if ground == "whole":
        return translations.gettext("all of it")
    given = {name: value for name, value in found.groupdict().items() if value is not None}
    name = next(iter(given))
    said = _list_sentences(translations.ngettext)[name](int(given["origins" if name == "ink" else name]))
    return said % {key: value if key in ("ink", "paper") else number(int(value)) for key, value in given.items()}
