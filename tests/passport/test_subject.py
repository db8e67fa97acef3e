"""Subjects: what something is about, by its scheme."""

from __future__ import annotations

import pytest

from carnet.encoding import encode
from carnet.errors import Reason, Refused
from carnet.passport.subject import check_subject, encode_subject, find_subject, parse_subject
from carnet.types import Subject


@pytest.mark.parametrize(
    "value,subject",
    [
        ({"scheme": "vin", "value": "wvwzzz1kz7p123456"}, Subject("vin", "WVWZZZ1KZ7P123456")),
        ({"scheme": "plate", "value": "ab123cd", "country": "FR"}, Subject("plate", "AB-123-CD", "FR")),
        ({"scheme": "histovec", "value": "HVbfd213ec99"}, Subject("histovec", "HVbfd213ec99")),
        ({"scheme": "chassis", "value": "DS 23 O-1", "country": None}, Subject("chassis", "DS 23 O-1")),
    ],
)
def test_check_subject__by_scheme(value: dict[str, object], subject: Subject) -> None:
    assert check_subject(value) == subject
    assert check_subject(subject.to_json()) == subject


@pytest.mark.parametrize(
    "value,reason",
    [
        ("vin:X", Reason.WRONG_TYPE),
        ({"scheme": "vin"}, Reason.MISSING_FIELD),
        ({"scheme": "vin", "value": 1}, Reason.WRONG_TYPE),
        ({"scheme": "vin", "value": "VF1", "make": "x"}, Reason.UNKNOWN_FIELD),
        ({"scheme": "vin", "value": "VF1", "country": "FR"}, Reason.UNKNOWN_FIELD),
        ({"scheme": "vin", "value": "WVWZZZ1KZ7P12345O"}, Reason.INVALID_VIN),
        ({"scheme": "plate", "value": "AB-123-CD"}, Reason.MISSING_FIELD),
        ({"scheme": "plate", "value": "AB", "country": "FR"}, Reason.INVALID_PLATE),
        ({"scheme": "histovec", "value": "XX12"}, Reason.VALUE_OUT_OF_RANGE),
        ({"scheme": "Serial", "value": "1"}, Reason.VALUE_OUT_OF_RANGE),
        ({"scheme": "constructor\n", "value": "1"}, Reason.TEXT_NOT_ALLOWED),
        ({"scheme": "serial", "value": "a\u202eb"}, Reason.TEXT_NOT_ALLOWED),
        ({"scheme": "serial", "value": "1" * 65}, Reason.TEXT_TOO_LONG),
        ({"scheme": "serial", "value": ""}, Reason.VALUE_OUT_OF_RANGE),
    ],
)
def test_check_subject__refused(value: object, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        check_subject(value, field="alias.subject")
    assert refused.value.reason is reason
    assert str(refused.value.facts["field"]).startswith("alias.subject")


@pytest.mark.parametrize("text", ["vin:WVWZZZ1KZ7P123456", "plate:FR:AB-123-CD", "histovec:HVbfd213ec99"])
def test_parse_subject__undoes_str(text: str) -> None:
    assert str(parse_subject(text)) == text


def test_parse_subject__a_bare_word_is_a_vin() -> None:
    assert parse_subject(" wvwzzz1kz7p123456 ") == Subject("vin", "WVWZZZ1KZ7P123456")


def test_parse_subject__refused_plate_without_country() -> None:
    with pytest.raises(Refused) as refused:
        parse_subject("plate:AB-123-CD")
    assert refused.value.reason is Reason.MISSING_FIELD


def test_find_subject__none_where_it_would_be_refused() -> None:
    assert find_subject("vin", "O", None) is None
    assert find_subject("vin", "vf1", None) == Subject("vin", "VF1")


@pytest.mark.parametrize(
    "text,encoded",
    [
        ("plate:FR:AB-123-CD", b'{"country":"FR","scheme":"plate","value":"AB-123-CD"}'),
        ("histovec:HVbfd213ec99", b'{"scheme":"histovec","value":"HVbfd213ec99"}'),
        ('fleet:"\u00e9\\', '{"scheme":"fleet","value":"\\"\u00e9\\\\"}'.encode()),
    ],
)
def test_encode_subject__is_the_canonical_encoding_of_the_signed_form(text: str, encoded: bytes) -> None:
    subject = parse_subject(text)
    assert encode_subject(subject) == encode(subject.to_json()) == encoded
