"""The shapes of the fields that every statement shows, against what their clauses say. Spec: 2.3."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from carnet.proof.shapes import PRECISIONS, is_occurred, is_subject

NAMES = st.sampled_from(["at", "country", "precision", "scheme", "value", "zone", "other"])
TEXTS = st.sampled_from(["", "plate", "vin", "FR", *sorted(PRECISIONS)])
ANY = TEXTS | st.none() | st.booleans() | st.integers() | st.lists(TEXTS, max_size=2) | st.dictionaries(NAMES, TEXTS)
SUBJECTS = st.fixed_dictionaries({"scheme": ANY, "value": ANY}, optional={"country": ANY, "other": ANY})
MOMENTS = st.fixed_dictionaries({"at": ANY, "precision": ANY, "zone": ANY}, optional={"other": ANY})


@given(ANY | st.dictionaries(NAMES, ANY) | SUBJECTS | MOMENTS)
@example({"scheme": "plate", "value": "AA-123-AA"})
@example({"country": "FR", "scheme": "plate", "value": "AA-123-AA"})
@example({"country": "FR", "scheme": "vin", "value": "AA-123-AA"})
@example({"at": None, "precision": "unknown", "zone": None})
@example({"at": None, "precision": [], "zone": None})
def test_shapes__are_those_of_their_clauses(value: Any) -> None:
    names = set(value) if isinstance(value, dict) else set[str]()
    texts = [one for one in value.values() if isinstance(one, str)] if names else []
    of_subject = {"country", "scheme", "value"} if names and value.get("scheme") == "plate" else {"scheme", "value"}
    assert is_subject(value) == (names == of_subject and len(texts) == len(names))
    is_moment = names == {"at", "precision", "zone"} and len(texts) + list(value.values()).count(None) == len(names)
    assert is_occurred(value) == (is_moment and value["precision"] in PRECISIONS)
