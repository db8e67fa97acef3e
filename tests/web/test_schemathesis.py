"""Schemathesis over the whole API: whatever is sent, the answer is one that the published contract promises, and never
a fault of ours. Bounded, so that it is part of every run; the same examples each time. Design: security 16, 42, 43."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from httpx import InvalidURL
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.web.test_openapi import check_answer
from tests.web.town import WebTown, serving_town

EXAMPLES = 30
WHO = ("dealer", "garage", "holder", "garage's clerk", "operator")


@schemathesis.serializer("application/offset+octet-stream")
def send_part(context: Any, value: Any) -> dict[str, Any]:
    """A part of a file goes as the bytes that it is."""
    return {"data": value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTown]:
    with serving_town(tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.mark.parametrize("part", range(4))
def test_api__answers_whatever_is_sent_as_it_promises(town: WebTown, part: int) -> None:
    document: dict[str, Any] = town.call("visitor", "GET", "/v1/openapi.json").json()
    passport = town.open(vin=f"WVWZZZ1KZ7P{part:06d}")
    town.hold(passport)
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 18
    for operation in operations[part::4]:
        _try(town, document, operation, passport)


def _try(town: WebTown, document: dict[str, Any], operation: Any, passport: str) -> None:
    strategy = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy, who=st.sampled_from(WHO), is_real=st.booleans())
    def send(case: Any, who: str, is_real: bool) -> None:
        if is_real and "passport" in (case.path_parameters or {}):
            case.path_parameters["passport"] = passport
        sent = case.as_transport_kwargs(base_url="https://carnet.example")
        body = {"content": sent["data"]} if isinstance(sent.get("data"), (bytes, str)) else {}
        if "json" in sent:
            body = {"json": sent["json"]}
        headers = {name: value for name, value in dict(sent.get("headers") or {}).items() if name != "Authorization"}
        url = sent["url"].removeprefix("https://carnet.example")
        try:
            answer = town.call(who, sent["method"], url, headers=headers, params=sent.get("params"), **body)
        except (UnicodeEncodeError, InvalidURL):
            # What the client cannot even send.
            return
        assert answer.status_code < 500, answer.text
        check_answer(document, operation.method, operation.path, answer)

    send()
