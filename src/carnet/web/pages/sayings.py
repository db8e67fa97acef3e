"""What was wrong with a form, in the reader's language: of each refusal that a person can mend, what to do.

Whatever has no sentence of its own here is told by that of its reason (`telling`).
"""

from __future__ import annotations

from carnet.errors import Reason, Refused
from carnet.web.language import Language, load_translations
from carnet.web.pages.telling import say_what


def say_refusal(language: Language, refused: Refused) -> str:
    """One or two sentences; what to do comes last."""
    _ = load_translations(language).gettext
    sentences = {
        Reason.TIME_IN_FUTURE: _("This day is still to come: give the day on which it happened."),
        Reason.INVALID_TIME: _("This is no day of the calendar: choose it again."),
        Reason.NUMBER_OUT_OF_RANGE: _("This number is too large or too small: look at it again."),
        Reason.VALUE_OUT_OF_RANGE: _("This number is too large or too small: look at it again."),
        Reason.TEXT_TOO_LONG: _("This text is too long: shorten it."),
        Reason.TEXT_NOT_ALLOWED: _("This text holds a character that cannot be sealed: type it again."),
        Reason.PASSPORT_CLOSED: _("This passport is closed: only corrections and objections are still written in it."),
        Reason.MAY_NOT_WRITE: _("This node takes no such entry from a holder. Ask its operator."),
        Reason.NOT_ACCREDITED: _("This node takes no such entry from a holder. Ask its operator."),
        Reason.WRITER_BUSY: _("The node cannot write just now. Nothing was lost: send it again in a minute."),
        Reason.REQUEST_TOO_LARGE: _("This file is too large: choose a smaller one."),
        Reason.WRONG_MEDIA_TYPE: _("This file is no JPEG, PNG, WebP or PDF: choose another."),
        Reason.UNKNOWN_KEY: _("This browser has no key that is in force for your organisation: see “Own keys”."),
        Reason.BAD_SIGNATURE: _("What came back was not signed with this key: write it again."),
        Reason.TOO_MANY_REQUESTS: _("Too many attempts. Wait a little, then try again."),
    }
    otherwise = _("This was refused:")
    return sentences.get(refused.reason) or f"{otherwise} {say_what(language, refused)}"


def say_fault(language: Language, refused: Refused) -> str:
    """What is wrong with one input of a form that was made from a kind's schema."""
    _ = load_translations(language).gettext
    sentences = {
        Reason.MISSING_FIELD: _("This is needed."),
        Reason.NOT_IN_LIST: _("Choose one of these."),
        Reason.WRONG_TYPE: _("This is no number as it is written here: digits, with a comma or a point for parts."),
        Reason.FIELDS_CONFLICT: _(
            "This does not go with another field: one of the two must be filled in, or left blank."
        ),
        Reason.ENDS_BEFORE_START: _("The end is before the beginning."),
        Reason.INVALID_VIN: say_vin(language, refused),
        Reason.INVALID_PLATE: say_vin(language, refused),
    }
    if refused.reason is Reason.WRONG_TYPE and refused.facts.get("is_whole"):
        return _("Write it in digits, without decimals.")
    if refused.reason is Reason.FIELDS_CONFLICT and str(refused.facts.get("field", "")).endswith("odometer_state"):
        return _("Give the reading, or say that it could not be read.")
    return sentences.get(refused.reason) or say_refusal(language, refused)


def say_vin(language: Language, refused: Refused) -> str:
    """What is wrong with a number that should be a VIN: a forbidden letter, a check digit, a length."""
    _ = load_translations(language).gettext
    suggestion = refused.facts.get("suggestion")
    if refused.reason is Reason.INVALID_PLATE:
        return _("This is no plate of a country that is known here: look at it again, or give the VIN.")
    if "length" in refused.facts:
        return _(
            "A VIN has 17 characters, and this one %(count)s: look at it again. If a vehicle from before 1981 really"
            " has this number, write it as vin:NUMBER."
        ) % {"count": refused.facts["length"]}
    text = _("This cannot be a VIN: it has up to 17 letters and digits, never I, O or Q, and its check digit must fit.")
    if suggestion is None:
        return text
    question = _("Did you mean %(suggestion)s?") % {"suggestion": suggestion}
    return f"{text} {question}"
