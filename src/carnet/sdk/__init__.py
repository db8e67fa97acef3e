"""The client of a Carnet service: typed, signs with the member's own key, asks again without doing twice.

    from carnet.sdk import Client

    with Client("https://carnet.example", key="ck_live_…") as carnet:
        passport = carnet.passports.find("VF1RFB00X56123456")
        for entry in carnet.entries.timeline(passport):
            print(entry.occurred.at, entry.kind, entry.fields)

It knows the API and the format, and refuses to know the inside of a node. docs/sdk.md.
"""

from __future__ import annotations

from carnet.passport.ownkey import OwnKey as OwnKey
from carnet.sdk.client import Client as Client
from carnet.sdk.errors import (
    ApiError,
    Conflict,
    Gone,
    Invalid,
    NotFound,
    NotPermitted,
    NotSignedIn,
    ServiceFailed,
    TooManyRequests,
    Unreachable,
)
from carnet.sdk.signing import read_key, sign_entries

__all__ = [
    "ApiError",
    "Client",
    "Conflict",
    "Gone",
    "Invalid",
    "NotFound",
    "NotPermitted",
    "NotSignedIn",
    "OwnKey",
    "ServiceFailed",
    "TooManyRequests",
    "Unreachable",
    "read_key",
    "sign_entries",
]
