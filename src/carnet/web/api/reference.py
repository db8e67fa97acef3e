"""The reference of the API as a page: made from the published contract, so that it cannot drift.

It stands between two marks of docs/api.md; a test holds the page to it, and writes it with CARNET_WRITE_DOCS=1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

BEGIN: Final = "<!-- generated: the reference -->"
END: Final = "<!-- end of the reference -->"
_COMMON: Final = frozenset(
    {
        "duplicate_key", "idempotency_key_reused", "malformed_request", "nested_too_deep", "node_damaged", "not_found",
        "not_json", "not_permitted", "not_signed_in", "request_at_work", "request_too_large", "service_fault",
        "too_many_requests", "unknown_field", "wrong_media_type", "wrong_type",
    }
)  # fmt: skip
"""What almost every route may answer; said once, in the page itself."""

_VERBS: Final = ("get", "post", "put", "patch", "delete")


def make_reference(document: Mapping[str, Any]) -> str:
    """The reference in Markdown: every route by its tag, what it takes and gives, and why it may refuse."""
    lines: list[str] = []
    for tag in sorted(one["name"] for one in document["tags"]):
        lines += [f"### {tag}", ""]
        for path, verb, operation in _walk(document, tag):
            lines += _describe(path, verb, operation)
    return "\n".join(lines).rstrip() + "\n"


def put_reference(text: str, reference: str) -> str:
    """The document with this reference between its marks. Raises ValueError where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the document has no marks for the reference")
    return f"{before}{BEGIN}\n\n{reference}\n{END}{after}"


def _walk(document: Mapping[str, Any], tag: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, found in document["paths"].items():
        for verb in _VERBS:
            if verb in found and tag in found[verb]["tags"]:
                yield path, verb.upper(), found[verb]


def _describe(path: str, verb: str, operation: Mapping[str, Any]) -> list[str]:
    told, _, who = str(operation["description"]).partition("\n\n")
    lines = [f"#### `{verb} {path}`", "", told, "", who, ""]
    asked = [one for one in operation["parameters"] if one["in"] == "query"]
    if asked:
        lines += ["Query: " + ", ".join(f"`{one['name']}`" for one in asked) + ".", ""]
    body = operation.get("requestBody")
    if body is not None:
        lines += ["Body: " + ", ".join(_name_content(body["content"])) + ".", ""]
    responses = operation["responses"]
    good = next(status for status in responses if status < "300")
    shape = ", ".join(_name_content(responses[good].get("content", {}))) or "nothing"
    refused = {
        code
        for status, one in responses.items()
        if status >= "400"
        for code in str(one["description"]).removeprefix("Refused: ").split(", ")
    }
    own = ", ".join(f"`{code}`" for code in sorted(refused - _COMMON))
    lines += [f"Answer {good}: {shape}." + (f" Refusals of its own: {own}." if own else ""), ""]
    return lines


def _name_content(content: Mapping[str, Any]) -> Iterator[str]:
    for media, one in content.items():
        name = str(one.get("schema", {}).get("$ref", "")).rpartition("/")[2]
        yield f"{media} (`{name}`)" if name else media
