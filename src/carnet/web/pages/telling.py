"""Refusals, findings and remarks in the reader's language: each by its code and facts, never by an English sentence.

The tables of English sentences stand where the codes are (`services.findings`, `formats.remarks`) or here, for the
reasons of a refusal; the catalogue translates them, and a test walks them all. It refuses to know requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from carnet.errors import Reason, Refused
from carnet.formats.remarks import SENTENCES, Remark
from carnet.services.findings import WORDS, Found
from carnet.types import Fact, fill_in
from carnet.web.language import Language, load_translations
from carnet.web.verify_page import make_texts
from carnet.web.wording import get_wording, sentence


def list_told() -> Iterator[str]:
    """Every English sentence that is said through the catalogue from a table."""
    yield from PLAIN.values()
    yield from SENTENCES.values()
    for words in WORDS.values():
        yield from (text for text in words if text)


def say_reason(language: Language, reason: Reason) -> str:
    """What a reason of a refusal means, and what to do next, in a sentence or two."""
    return load_translations(language).gettext(PLAIN[reason])


def say_code(language: Language, code: str) -> str:
    """The same for a code as it was kept: of a refusal, or of the verifier; "" for what is neither."""
    reason = next((reason for reason in Reason if reason.value == code), None)
    if reason is not None:
        return say_reason(language, reason)
    return str(make_texts()[language]["codes"].get(code, ""))


def say_what(language: Language, refused: Refused) -> str:
    """The same for one refusal: in English its own words, which tell the most; else those of its reason."""
    return refused.message if language == "en" else say_reason(language, refused.reason)


def say_finding(language: Language, found: Found) -> str:
    """What the doctor found, why it matters and what to do."""
    facts = dict(found.facts)
    if facts.get("reason"):
        facts["error"] = say_reason(language, Reason(str(facts["reason"]))).rstrip(".")
    _ = load_translations(language).gettext
    said, why, todo = (_fill(language, text, facts).replace("`", "") if text else "" for text in WORDS[found.code])
    told = " ".join(f"{sentence(text)}." for text in (said, why) if text)
    # A command begins as it is typed, so what to do has words before it.
    before = _("What to do") + get_wording(language).colon
    return f"{told} {before}{todo}." if todo else told


def say_remark(language: Language, remark: Remark) -> str:
    """What is said of a file that was looked at."""
    facts, wording = dict(remark.facts), get_wording(language)
    kind = str(facts.get("kind", ""))
    if kind:
        facts["kind"] = wording.kind(kind)
    rule, field = facts.get("rule"), facts.get("field")
    if rule is not None:
        facts["rule"] = say_reason(language, Reason(str(rule)))
    if field is not None and not kind:
        facts["field"] = wording.label("", str(field))
    if remark.code == "refused" and language != "en":
        facts["message"] = say_reason(language, Reason(str(facts["reason"])))
    said = sentence(_fill(language, SENTENCES[remark.code], facts).replace("`", ""))
    return said if said.endswith((".", "?", "!")) else f"{said}."


def _fill(language: Language, text: str, facts: Mapping[str, Fact]) -> str:
    return fill_in(load_translations(language).gettext(text), facts, get_wording(language).number)


PLAIN: Final[dict[Reason, str]] = {
    Reason.UNREADABLE_FILE: "This file cannot be read: look at it, and send it again.",
    Reason.WRONG_ENCODING: "These bytes are no text that can be read here: save it as UTF-8.",
    Reason.LINE_TOO_LONG: "A line is longer than is read: leave it out, or divide it.",
    Reason.NOT_JSON: "This is no JSON: it is cut off, or a sign is missing in it.",
    Reason.DUPLICATE_KEY: "A name stands twice in one object: remove one of the two.",
    Reason.NUMBER_OUT_OF_RANGE: "This number is too large, or has parts where only whole ones go.",
    Reason.TEXT_NOT_ALLOWED: "This text holds a character that cannot be sealed: type it again.",
    Reason.NESTED_TOO_DEEP: "This is nested too deep to be read.",
    Reason.UNKNOWN_KIND: "There is no such kind of entry in this network.",
    Reason.UNKNOWN_FIELD: "There is no such field in this kind of entry: leave it out.",
    Reason.MISSING_FIELD: "Something that is needed is missing.",
    Reason.WRONG_TYPE: "A value is written in another way than is asked for here.",
    Reason.NOT_IN_LIST: "This is not one of the values that there are: choose one of the list.",
    Reason.VALUE_OUT_OF_RANGE: "This number is too large or too small: look at it again.",
    Reason.TEXT_TOO_LONG: "This text is too long: shorten it.",
    Reason.FIELDS_CONFLICT: "Two things in it contradict each other.",
    Reason.INVALID_VIN: "This cannot be a VIN: 17 letters and digits, never I, O or Q.",
    Reason.INVALID_PLATE: "This is no plate of its country.",
    Reason.INVALID_TIME: "This is no day or time of the calendar.",
    Reason.TIME_IN_FUTURE: "This day is still to come.",
    Reason.ENDS_BEFORE_START: "The end is before the beginning.",
    Reason.WRONG_NETWORK: "It was signed for another network, and is worth nothing in this one.",
    Reason.UNKNOWN_MEMBER: "There is no such organisation in this network.",
    Reason.MEMBER_RETIRED: "This organisation has left the network. What it signed stays valid.",
    Reason.UNKNOWN_KEY: "This key is not listed for the organisation: use one that is, or have it listed.",
    Reason.KEY_REVOKED: "This key was revoked: sign with a newer one.",
    Reason.KEY_IN_USE: "The node cannot do without this key: replace it instead of revoking it.",
    Reason.WRONG_CUSTODY: "The key for this is in other hands: an own key signs where it is, the node's signs here.",
    Reason.MAY_NOT_WRITE: "The rules of this network let no organisation of this kind write such an entry.",
    Reason.NOT_ACCREDITED: "This organisation is not accredited for such an entry: the operator can change that.",
    Reason.UNKNOWN_PASSPORT: "There is no such passport here, or none that you may see.",
    Reason.SUBJECT_TAKEN: "This vehicle has a passport already: write in that one.",
    Reason.SUBJECT_MISMATCH: "Plate, VIN and passport are not of the same vehicle: one of them is wrong.",
    Reason.PASSPORT_CLOSED: "This passport is closed or has moved: only corrections and objections are written in it.",
    Reason.WRONG_CHAIN: "An entry of this kind does not belong there.",
    Reason.STATEMENT_LINKED: "This very entry is in the passport already: there is nothing to do.",
    Reason.UNKNOWN_TARGET: "The passport has no such entry.",
    Reason.TARGET_IS_OPENING: "The opening of a passport is neither corrected nor contested: name the wrong entry.",
    Reason.WRONG_MARK: "An entry of this kind cannot correct or contest that one.",
    Reason.NOT_ALIAS: "On that day no vehicle known here had this plate: look at date and plate.",
    Reason.ELSEWHERE_NOT_ALLOWED: "What this entry says must be kept here, or has to be erased where it is kept.",
    Reason.BAD_SIGNATURE: "A signature does not fit what was signed: sign it again.",
    Reason.FIELDS_MISMATCH: "What is shown is not what was signed: fetch it again, or sign it again.",
    Reason.BATCH_EXPIRED: "This was signed too long ago: sign it again.",
    Reason.RULES_NOT_IN_FORCE: "The rules have changed meanwhile: make it again.",
    Reason.UNKNOWN_CLASS: "The rules know no such class of entries.",
    Reason.NOT_ENOUGH_ENDORSEMENTS: "Not enough other nodes have endorsed it yet.",
    Reason.ALREADY_SEALED: "This is sealed already: there is nothing to do.",
    Reason.CENSUS_NOT_AFTER: "This census is not newer than the last one: take a new one.",
    Reason.CENSUS_COUNT_FELL: "This census counts fewer passports than the one before: look for the missing ones.",
    Reason.TIME_WENT_BACK: "The node's clock is behind its log, and nothing is sealed before it has caught up. Its "
    "operator compares it with another clock, and sets it if it is wrong.",
    Reason.MEMBER_EXISTS: "There is an organisation of this id already, perhaps one that has left: choose another.",
    Reason.KEY_EXISTS: "This key is listed already: make a new one.",
    Reason.RECORD_TOO_LARGE: "This is larger than one record of the log may be.",
    Reason.NO_NODE: "There is no node in this folder.",
    Reason.NODE_EXISTS: "There is a node in this folder already.",
    Reason.FILE_EXISTS: "There is a file of this name already: choose another name.",
    Reason.STORE_UNREACHABLE: "The database does not answer. Try again in a moment; the operator can see why.",
    Reason.STORE_BUSY: "Too much is asked of the database just now. Try again in a moment.",
    Reason.STORE_MOVED: "This node has moved: what is here is only read.",
    Reason.WRITER_BUSY: "Somebody else is writing just now. Nothing was lost: try again in a minute.",
    Reason.WRITER_REPLACED: "Another process writes for this node now. Nothing was written: try again.",
    Reason.WRONG_PASSPHRASE: "The keys do not open with this passphrase.",
    Reason.NOT_PRIVATE: "Others may read a file that holds a secret: take that right from them.",
    Reason.NODE_DAMAGED: "What is stored contradicts the log: nothing more is written before the operator has looked.",
    Reason.DISK_FULL: "The disk of the node is full. Nothing stands half written: its operator has to make room.",
    Reason.DISK_FAILED: "The disk of the node has failed, so it has stopped. Its operator has to look at it.",
    Reason.NOTHING_SEALED: "Nothing is sealed yet that could prove this: ask again after the next census.",
    Reason.ERASED: "This was erased, for good: it does not come back.",
    Reason.BACKUP_ALTERED: "This backup was altered or cut: take another copy of it, or an older one.",
    Reason.RESTORED_COPY: "This node was restored from a backup, and only reads until it sees the newest head.",
    Reason.STALE_COPY: "This copy is older than the log: restore a newer backup.",
    Reason.OTHER_HISTORY: "The log has signed another history than is stored here: stop, keep both, check them.",
    Reason.NO_ROOM: "There is not enough room on the disk for this.",
    Reason.WRONG_HOST: "This service is not known under the address that was used.",
    Reason.MALFORMED_REQUEST: "What arrived cannot be read: send it again.",
    Reason.NOT_FOUND: "There is nothing at this address, or nothing that you may see.",
    Reason.WRONG_METHOD: "This address is not used in this way.",
    Reason.WRONG_MEDIA_TYPE: "A file of this type is not taken here: choose another.",
    Reason.REQUEST_TOO_LARGE: "This is too large: send it in parts.",
    Reason.NOT_SIGNED_IN: "This needs an account: sign in first.",
    Reason.NOT_PERMITTED: "This account may not do this: ask somebody whose office it is.",
    Reason.CONFIRMATION_NEEDED: "This asks for your passkey once more: confirm, then do it again.",
    Reason.FORM_EXPIRED: "This form is no longer good: open the page again, and send it from there.",
    Reason.IDEMPOTENCY_KEY_REUSED: "This key of a request was used for another one: take a new key.",
    Reason.REQUEST_AT_WORK: "The same is being done already: wait until it has ended.",
    Reason.UPLOAD_OFFSET: "This part of the file does not go on where the last one ended: send the file again.",
    Reason.CHANGED_SINCE: "Somebody has changed this since you looked: look again, then decide.",
    Reason.FILE_NOT_WAITING: "The file is at work just now, it has ended, or no row of it is ready.",
    Reason.TOO_MANY_REQUESTS: "Too many attempts. Wait a little, then try again.",
    Reason.WRITER_AWAY: "The node cannot write just now. Nothing was lost: try again in a minute.",
    Reason.SERVICE_FAULT: "This is our fault, and it has been written down. Try again; if it stays, tell the operator.",
    Reason.SIGN_IN_FAILED: "This did not sign you in: try again, or use a recovery code.",
    Reason.CODE_NOT_VALID: "No such code is in force: compare it with the paper, or have a new one made.",
    Reason.LAST_PASSKEY: "This is the last passkey of the account: add another one first.",
    Reason.TOO_MANY_KEYS: "There are as many keys as there may be: end an older one first.",
    Reason.UNKNOWN_ACCOUNT: "There is no such account, device or passkey, or none that you may see.",
    Reason.UNKNOWN_CLIENT: "There is no such program or key, or none that you may see.",
    Reason.UNKNOWN_CONTEST: "There is no such contest, or none that you may see.",
    Reason.CONTEST_DECIDED: "This was decided already.",
    Reason.UNKNOWN_WEBHOOK: "There is no such webhook or message, or none that you may see.",
    Reason.TOO_MANY_WEBHOOKS: "There are as many webhooks as there may be: end one that is not needed.",
    Reason.URL_NOT_ALLOWED: "This address is not called: give an https address of the open network.",
    Reason.UNKNOWN_APPROVAL: "There is no such request.",
    Reason.APPROVAL_DECIDED: "This request was decided already, taken back, or not decided in time.",
    Reason.APPROVAL_OUTDATED: "What this request would replace has changed meanwhile: look at it, and ask again.",
    Reason.SECOND_OPERATOR_NEEDED: "Whoever asked does not approve it too: another operator decides.",
    Reason.CONTRAST_TOO_LOW: "These two colours are too near to each other to be read by everybody.",
    Reason.PROOF_TOO_LARGE: "This proof would be larger than anybody can check: prove single entries.",
}
"""Reason → what a person is told who sees no more of it."""
