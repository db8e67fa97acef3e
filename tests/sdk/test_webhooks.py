"""Checking a webhook: only what this key signed, whole and lately, is an event."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from carnet.sdk.webhooks import (
    TOLERANCE_S,
    BadBody,
    BadKey,
    HeaderMissing,
    NotSigned,
    TooOld,
    WebhookError,
    verify,
)

NOW = 1_700_000_000
BODY = b'{"type":"entry.sealed","timestamp":"2023-11-14T22:13:20.000Z","data":{"entries":[]}}'

# RFC 8032, 7.1, test 1: the key that everybody has. The library that signs here is another than the one that checks.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
SIGNATURE = "v1a,LfI5cIEVFqLpckIorzw4UvfSeRFH4+OkpiaFhjwQeRCyL8haNuLC8QAUtXC+AND42GKHK1J678hBU1xxdUPrCA=="
KEY = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def sign(body: bytes = BODY, at: int | str = NOW, id_: str = "msg_1", seed: bytes = SEED) -> dict[str, str]:
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(f"{id_}.{at}.".encode() + body)
    encoded = b64encode(signature).decode()
    return {"webhook-id": id_, "webhook-timestamp": str(at), "webhook-signature": f"v1a,{encoded}"}


def refuse(kind: type[Exception], body: bytes, headers: dict[str, str], key: Any = KEY, **more: Any) -> None:
    with pytest.raises(kind):
        verify(body, headers, key, **({"now": NOW} | more))


def test_verify__vector() -> None:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    assert private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex().startswith("d75a980182b10ab7")
    headers = sign()
    assert headers["webhook-signature"] == SIGNATURE
    event = verify(BODY, headers, KEY, now=NOW)
    assert (event.id, event.type, event.timestamp) == ("msg_1", "entry.sealed", "2023-11-14T22:13:20.000Z")
    assert event.data == {"entries": []}


def test_verify__headers_in_any_case_and_one_of_several_keys_and_signatures() -> None:
    headers = {name.title(): value for name, value in sign().items()}
    other = "whpk_" + b64encode(bytes(31) + b"\x09").decode()
    assert verify(BODY, headers, [other, KEY], now=NOW).id == "msg_1"
    mine = headers["Webhook-Signature"]
    headers["Webhook-Signature"] = f"v1,aGVsbG8= v1a,AAAA {sign(seed=bytes(32))['webhook-signature']} {mine} v2,x"
    assert verify(BODY, headers, KEY, now=NOW).id == "msg_1"


def test_verify__no_bit_of_what_is_signed_may_be_another() -> None:
    headers = sign()
    for place in range(len(BODY)):
        refuse(NotSigned, BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :], headers)
    refuse(NotSigned, BODY + b" ", headers)
    refuse(NotSigned, BODY, headers | {"webhook-id": "msg_2"})
    refuse(NotSigned, BODY, headers | {"webhook-timestamp": str(NOW + 1)})
    refuse(NotSigned, BODY, sign(seed=bytes(32)))
    for signature in ("v1a", "v1a,", "v1a,***", "v1," + headers["webhook-signature"][4:], "v1a,AAAA"):
        refuse(NotSigned, BODY, headers | {"webhook-signature": signature})


def test_verify__within_five_minutes() -> None:
    for late in (-TOLERANCE_S, 0, TOLERANCE_S):
        assert verify(BODY, sign(), KEY, now=NOW + late).id == "msg_1"
    for late in (-TOLERANCE_S - 1, TOLERANCE_S + 1, 10**9):
        refuse(TooOld, BODY, sign(), now=NOW + late)
    refuse(TooOld, BODY, sign(), now=NOW + 61, tolerance_s=60)
    with pytest.raises(TooOld):
        verify(BODY, sign(), KEY)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_verify__refused_without_a_header(name: str) -> None:
    headers = sign()
    refuse(HeaderMissing, BODY, {**headers, name: ""})
    del headers[name]
    refuse(HeaderMissing, BODY, headers)


@pytest.mark.parametrize("at", ["-1", "1e9", "٣", "1700000000.5", "9" * 13, "now"])
def test_verify__refused_a_time_that_is_none(at: str) -> None:
    refuse(HeaderMissing, BODY, sign(at=at) if at.isascii() else sign() | {"webhook-timestamp": at})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"type":1}', b"\xff\xfe", b'{"type":"x","timestamp":"y"}'])
def test_verify__refused_a_signed_body_that_is_no_event(body: bytes) -> None:
    refuse(BadBody, body, sign(body))


@pytest.mark.parametrize("key", ["", "whpk_", "whpk_AAAA", "whsec_x", "nonsense", b64encode(bytes(33)).decode()])
def test_verify__bad_key(key: str) -> None:
    refuse(BadKey, BODY, sign(), key)


def test_errors__all_but_a_bad_key_are_of_one_family() -> None:
    for kind in (HeaderMissing, TooOld, NotSigned, BadBody):
        assert issubclass(kind, WebhookError)
