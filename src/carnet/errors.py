"""The error tree: three families, and the one list of reasons a request can be refused for.

    CarnetError
    ├── Refused          a request breaks a rule; nothing was changed
    ├── Unverified       bytes, a signature or a proof are not what they claim to be
    └── InvariantBroken  our own bug: stop, change nothing more

This module knows no wording for people beyond one sentence per reason; the surfaces (command line, API) decide how to
show it.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Stable codes of refusal, in their order of precedence (docs/reasons.md): when several apply, the first is given.

    The value is what appears on the wire and in files of faulty rows; it is never renamed or reused.
    """

    # 1. The input cannot be read at all.
    UNREADABLE_FILE = "unreadable_file"
    WRONG_ENCODING = "wrong_encoding"
    LINE_TOO_LONG = "line_too_long"
    NOT_JSON = "not_json"
    DUPLICATE_KEY = "duplicate_key"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    TEXT_NOT_ALLOWED = "text_not_allowed"
    NESTED_TOO_DEEP = "nested_too_deep"

    # 2. It can be read, but is not of the shape asked for.
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    NOT_IN_LIST = "not_in_list"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
    TEXT_TOO_LONG = "text_too_long"
    FIELDS_CONFLICT = "fields_conflict"

    # 3. A value is not possible.
    INVALID_VIN = "invalid_vin"
    INVALID_PLATE = "invalid_plate"
    INVALID_TIME = "invalid_time"
    TIME_IN_FUTURE = "time_in_future"
    ENDS_BEFORE_START = "ends_before_start"

    # 4. Who may say it.
    WRONG_NETWORK = "wrong_network"
    UNKNOWN_MEMBER = "unknown_member"
    MEMBER_RETIRED = "member_retired"
    UNKNOWN_KEY = "unknown_key"
    KEY_REVOKED = "key_revoked"
    KEY_IN_USE = "key_in_use"
    WRONG_CUSTODY = "wrong_custody"
    MAY_NOT_WRITE = "may_not_write"
    NOT_ACCREDITED = "not_accredited"

    # 5. Where it would stand.
    UNKNOWN_PASSPORT = "unknown_passport"
    SUBJECT_TAKEN = "subject_taken"
    SUBJECT_MISMATCH = "subject_mismatch"
    PASSPORT_CLOSED = "passport_closed"
    WRONG_CHAIN = "wrong_chain"
    STATEMENT_LINKED = "statement_linked"
    UNKNOWN_TARGET = "unknown_target"
    TARGET_IS_OPENING = "target_is_opening"
    WRONG_MARK = "wrong_mark"
    NOT_ALIAS = "not_alias"
    ELSEWHERE_NOT_ALLOWED = "elsewhere_not_allowed"

    # 6. The ledger.
    BAD_SIGNATURE = "bad_signature"
    FIELDS_MISMATCH = "fields_mismatch"
    BATCH_EXPIRED = "batch_expired"
    RULES_NOT_IN_FORCE = "rules_not_in_force"
    UNKNOWN_CLASS = "unknown_class"
    NOT_ENOUGH_ENDORSEMENTS = "not_enough_endorsements"
    ALREADY_SEALED = "already_sealed"
    CENSUS_NOT_AFTER = "census_not_after"
    CENSUS_COUNT_FELL = "census_count_fell"
    TIME_WENT_BACK = "time_went_back"
    MEMBER_EXISTS = "member_exists"
    KEY_EXISTS = "key_exists"
    RECORD_TOO_LARGE = "record_too_large"

    # 7. The node and its home.
    NO_NODE = "no_node"
    NODE_EXISTS = "node_exists"
    FILE_EXISTS = "file_exists"
    STORE_UNREACHABLE = "store_unreachable"
    STORE_BUSY = "store_busy"
    STORE_MOVED = "store_moved"
    WRITER_BUSY = "writer_busy"
    WRITER_REPLACED = "writer_replaced"
    WRONG_PASSPHRASE = "wrong_passphrase"
    NOT_PRIVATE = "not_private"
    NODE_DAMAGED = "node_damaged"
    DISK_FULL = "disk_full"
    DISK_FAILED = "disk_failed"
    NOTHING_SEALED = "nothing_sealed"
    ERASED = "erased"
    BACKUP_ALTERED = "backup_altered"
    RESTORED_COPY = "restored_copy"
    STALE_COPY = "stale_copy"
    OTHER_HISTORY = "other_history"
    NO_ROOM = "no_room"

    # 8. The service.
    WRONG_HOST = "wrong_host"
    MALFORMED_REQUEST = "malformed_request"
    NOT_FOUND = "not_found"
    WRONG_METHOD = "wrong_method"
    WRONG_MEDIA_TYPE = "wrong_media_type"
    REQUEST_TOO_LARGE = "request_too_large"
    NOT_SIGNED_IN = "not_signed_in"
    NOT_PERMITTED = "not_permitted"
    CONFIRMATION_NEEDED = "confirmation_needed"
    FORM_EXPIRED = "form_expired"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    REQUEST_AT_WORK = "request_at_work"
    UPLOAD_OFFSET = "upload_offset"
    FILE_NOT_WAITING = "file_not_waiting"
    CHANGED_SINCE = "changed_since"
    TOO_MANY_REQUESTS = "too_many_requests"
    WRITER_AWAY = "writer_away"
    SERVICE_FAULT = "service_fault"

    # 9. People and machine clients.
    SIGN_IN_FAILED = "sign_in_failed"
    CODE_NOT_VALID = "code_not_valid"
    LAST_PASSKEY = "last_passkey"
    TOO_MANY_KEYS = "too_many_keys"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_CLIENT = "unknown_client"
    UNKNOWN_CONTEST = "unknown_contest"
    CONTEST_DECIDED = "contest_decided"
    UNKNOWN_WEBHOOK = "unknown_webhook"
    TOO_MANY_WEBHOOKS = "too_many_webhooks"
    URL_NOT_ALLOWED = "url_not_allowed"
    UNKNOWN_APPROVAL = "unknown_approval"
    APPROVAL_DECIDED = "approval_decided"
    APPROVAL_OUTDATED = "approval_outdated"
    SECOND_OPERATOR_NEEDED = "second_operator_needed"
    CONTRAST_TOO_LOW = "contrast_too_low"
    PROOF_TOO_LARGE = "proof_too_large"


class CarnetError(Exception):
    """Root of every error that Carnet raises on purpose."""


class Refused(CarnetError):
    """A request breaks a rule. Nothing was changed.

    `reason` is the stable code, `facts` are the values a person needs to mend it (never a secret), `could_retry` says
    whether the same request may succeed later without being changed.
    """

    def __init__(self, reason: Reason, message: str, *, could_retry: bool = False, **facts: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.could_retry = could_retry
        self.facts = facts


class Unverified(CarnetError):
    """Bytes, a signature or a proof are not what they claim. `code` is one of docs/spec's stable verification codes."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class InvariantBroken(CarnetError):
    """Something that cannot happen did: a bug of ours. The process must stop writing."""
