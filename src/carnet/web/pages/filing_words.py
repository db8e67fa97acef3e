"""A file's job in a clerk's words: its state, what is wrong with a cell, what a column means.

It refuses to know requests, and to show a code where there are words.
"""

from __future__ import annotations

from typing import Final

from carnet.errors import Reason
from carnet.passport.kinds import get_schema
from carnet.services.filing.records import Job
from carnet.web.language import Language, load_translations
from carnet.web.pages.telling import say_reason, say_remark
from carnet.web.wording import get_wording

KINDS: Final = (
    "vehicle.service/1",
    "vehicle.repair/1",
    "vehicle.odometer/1",
    "vehicle.inspection/1",
    "vehicle.checkup/1",
    "vehicle.contract/1",
    "vehicle.assistance/1",
    "vehicle.emissions/1",
    "vehicle.part/1",
    "vehicle.identity/1",
)
"""Kinds that a table's rows usually are, the most usual first."""


def say_state(language: Language, job: Job) -> str:
    """What a job is doing, or what it waits for."""
    _ = load_translations(language).gettext
    if job.state == "done" and job.wish.validate_only:
        return _("Looked at")
    if job.state in ("queued", "running"):
        return _("Being sealed") if job.stage == "seal" else _("Being read")
    words = {
        "uploading": _("Not sent to its end"),
        "waiting": _("Waits for you"),
        "done": _("Sealed"),
        "failed": _("Cannot be read"),
        "cancelled": _("Cancelled"),
    }
    return words[job.state]


def say_meaning(language: Language, kind: str, meaning: str) -> str:
    """What a column means, as its heading."""
    _ = load_translations(language).gettext
    words = {
        "vin": _("VIN"),
        "legacy": _("VIN or old chassis number"),
        "plate": _("Plate"),
        "day": _("Date"),
        "time": _("Time"),
        "unit": _("Unit of the odometer"),
        "odometer_km": _("Odometer (km)"),
        "odometer_mi": _("Odometer (miles)"),
    }
    known = words.get(meaning)
    if known is not None:
        return known
    return get_wording(language).label(kind, meaning) if meaning in get_schema(kind).names else meaning


def say_cell(language: Language, rule: str, meaning: str, message: str) -> str:
    """What is wrong with a cell, and what to do about it."""
    _ = load_translations(language).gettext
    is_plate, is_number = meaning == "plate", meaning.startswith("odometer")
    unknown = (
        _(
            "No passport here has this plate. Look at it again; if it is right, the vehicle has no passport yet, or"
            " nobody has declared its plate: leave the row, and give the VIN another time."
        )
        if is_plate
        else _("No passport here has this number. Look at it again; if it is right, a dealer or a centre opens one.")
    )
    words = {
        Reason.UNKNOWN_PASSPORT: unknown,
        Reason.NOT_ALIAS: _("On that day no vehicle known here had this plate: look at date and plate."),
        Reason.SUBJECT_MISMATCH: _("Plate and VIN are of two vehicles: one of them is wrong."),
        Reason.INVALID_VIN: _("This cannot be a VIN: 17 letters and digits, never I, O or Q."),
        Reason.INVALID_PLATE: _("This is no plate of its country: AB-123-CD, or 123 ABC 75 before 2009."),
        Reason.MISSING_FIELD: _("Something must stand here."),
        Reason.INVALID_TIME: _("This is no date as the file writes them."),
        Reason.TIME_IN_FUTURE: _("This day is still to come."),
        Reason.ENDS_BEFORE_START: _("This day is before the one on which it began."),
        Reason.WRONG_TYPE: (
            _("This is no number: digits only, such as 142310.")
            if meaning
            else _("This row has no cells: a quotation mark is not closed, or a sign is missing. Mend it in the file.")
        ),
        Reason.VALUE_OUT_OF_RANGE: (
            _("No odometer shows so much: whole kilometres, seven digits at most.")
            if is_number
            else _("This number is too large or too small: look at it again.")
        ),
        Reason.NOT_IN_LIST: _("This word is not one of those that the file uses for it."),
        Reason.TEXT_TOO_LONG: _("This text is too long: shorten it."),
        Reason.TEXT_NOT_ALLOWED: _("This text holds a character that cannot be sealed: type it again."),
        Reason.UNKNOWN_FIELD: _("This row has more cells than the file has columns: mend it in the file."),
        Reason.PASSPORT_CLOSED: _("This passport is closed: only corrections and objections are still written in it."),
        Reason.FIELDS_CONFLICT: _("Two things in this row contradict each other."),
        Reason.NOT_ACCREDITED: _("Your organisation may not write such an entry."),
        Reason.LINE_TOO_LONG: _("This row is too long to be read."),
        Reason.UNREADABLE_FILE: _("The file breaks off in this row: save it anew, and send it again."),
    }
    reason = next((reason for reason in Reason if reason.value == rule), None)
    if reason is None:
        return message
    return words.get(reason) or say_reason(language, reason)


def say_failure(language: Language, job: Job) -> str | None:
    """Why a whole file cannot be taken; None where nothing failed."""
    if job.failure is None:
        return None
    _ = load_translations(language).gettext
    words = {
        Reason.NOT_ACCREDITED: _("Your organisation may not write entries of this kind. Ask the operator of the node."),
        Reason.REQUEST_TOO_LARGE: _("There is more in this file than is taken at once: divide it, and send the parts."),
        Reason.SERVICE_FAULT: _("Reading it has failed several times. Send it in smaller parts, or ask the operator."),
        Reason.MEMBER_RETIRED: _("Your organisation has left the network."),
    }
    reason = next((reason for reason in Reason if reason.value == job.failure[0]), Reason.UNREADABLE_FILE)
    if reason in words:
        return words[reason]
    otherwise = _("This file cannot be read. Save it as .xlsx or .csv, and send it again. What was found:")
    return f"{otherwise} {say_reason(language, reason) if job.cause is None else say_remark(language, job.cause)}"
