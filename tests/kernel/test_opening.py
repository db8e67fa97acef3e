"""A statement that the kernel opens is the one that was sealed, shown as a bundle shows it; of all else Python says
what is wrong."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import b64, encode, encode_trusted, sha256
from carnet.errors import Unverified
from carnet.passport import fields as passport_fields
from carnet.passport.kinds import get_schema
from carnet.vault.statements import _open_statement, open_statement
from tests.kernel.case import without_kernel
from tests.kernel.cases_opening import open_in_python, seal
from tests.kernel.test_statements import moments, names, values
from tests.passport.kind_examples import KINDS, make_fields

SECRET = bytes(range(32))


def check_opened(kernel: ModuleType, fields: dict[str, Any], own: object) -> None:
    arguments = seal(fields, SECRET, own)
    statement, shown, subject = kernel.open_statement(*arguments)
    assert (statement, shown, subject) == open_in_python(*arguments) == open_statement(*arguments)
    salts = passport_fields.expand_secret(SECRET, len(fields))[1]
    salt_of = dict(zip(sorted(fields), map(b64, salts), strict=True))
    assert shown == encode_trusted({name: (salt_of[name], value) for name, value in fields.items()})
    assert (sha256(statement), subject) == (arguments[-1], encode(fields["subject"]))


@given(others=st.dictionaries(names, values, max_size=40), occurred=moments, subject=values, is_own=st.booleans())
def test_open_statement__of_any_fields(
    kernel: ModuleType, others: dict[str, Any], occurred: Any, subject: Any, is_own: bool
) -> None:
    fields = {**others, "kind": "a.b/1", "occurred": occurred, "subject": "x" if subject is None else subject}
    check_opened(kernel, fields, fields["subject"] if is_own else [subject])


@pytest.mark.parametrize("kind", KINDS)
def test_open_statement__of_each_kind(kernel: ModuleType, kind: str) -> None:
    fields = get_schema(kind).validate(make_fields(kind))
    check_opened(kernel, fields, fields["subject"])


def test_open_statement__of_another_one_is_that_other_one(kernel: ModuleType) -> None:
    given = seal(dict(get_schema(KINDS[0]).validate(make_fields(KINDS[0]))))
    other = (*given[:4], b"\1" * 32, *given[5:])
    assert kernel.open_statement(*other) is None
    assert open_statement(*other) == _open_statement(*other[:-1])
    assert sha256(open_statement(*other)[0]) != given[-1]


def test_open_statement__refuses_contents_that_are_none(kernel: ModuleType) -> None:
    given = seal(dict(get_schema(KINDS[0]).validate(make_fields(KINDS[0]))))
    for wrong in (b"", given[1] + b"\n", given[1].replace(b"[", b"[ ", 1)):
        assert kernel.open_statement(given[0], wrong, *given[2:]) is None
        with pytest.raises(Unverified) as caught:
            open_statement(given[0], wrong, *given[2:])
        assert caught.value.code == "content_malformed"


@given(secret=st.binary(min_size=32, max_size=32), count=st.integers(0, 1_024))
def test_expand_stream__is_the_same_without_the_kernel(secret: bytes, count: int) -> None:
    stream = passport_fields.expand_stream(secret, count)
    with without_kernel(passport_fields):
        assert passport_fields.expand_stream(secret, count) == stream
        content_key, salts = passport_fields.expand_secret(secret, count)
    assert (content_key + b"".join(salts), len(salts)) == (stream, count)
