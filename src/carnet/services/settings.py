"""What can be set about a running service: one record, and one list that says of each setting its option, its
environment variable, its default and what it does.

It refuses to read the environment or the command line: `cli` does, with `find_settings`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from carnet.errors import Reason, Refused
from carnet.outbound.addresses import parse_networks
from carnet.vault.gate import PLACES

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h)", re.ASCII)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of `carnet serve`; `SETTINGS` says what each does. Times are ms, sizes bytes."""

    host: str = "127.0.0.1"
    port: int = 8140
    workers: int = 0
    origin: str = ""
    hosts: tuple[str, ...] = ()
    behind_proxy: bool = False
    open_sign_up: bool = True
    census_every_ms: int = 300_000
    max_body_bytes: int = 1_000_000
    max_connections: int = 1_000
    database_requests: int = PLACES
    metrics_token_file: str = ""
    webhook_networks: tuple[str, ...] = ()
    log_level: str = "info"
    shutdown_ms: int = 10_000
    check_every_ms: int = 86_400_000
    backup_folder: str = ""
    backup_recipient: str = ""
    backup_passphrase_file: str = ""

    @property
    def public_address(self) -> str:
        """The origin that people see: as it was set, else that of the socket, with a name where it is this machine's: a
        browser makes no passkey for a bare address."""
        host = "localhost" if self.is_loopback else f"[{self.host}]" if ":" in self.host else self.host
        return self.origin or f"http://{host}:{self.port}"

    @property
    def is_secure(self) -> bool:
        """Whether people reach the service over https."""
        return self.public_address.startswith("https://")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the socket."""
        return self.host in LOOPBACK

    def list_hosts(self) -> frozenset[str]:
        """The names (with port, where it is not the scheme's own) under which requests may ask for this service."""
        own = urlsplit(self.public_address).netloc.lower()
        local = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        return frozenset({own, *(host.lower() for host in self.hosts), *(local if self.is_loopback else ())})

    def check(self) -> None:
        """Raise Refused(VALUE_OUT_OF_RANGE) for an origin that is none, and for an open socket without https before
        it: passkeys, cookies and keys would cross the network readable; and for a network that is none."""
        parts = urlsplit(self.origin)
        if self.origin and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query):
            raise Refused(
                Reason.VALUE_OUT_OF_RANGE, f"{self.origin!a} is no origin: write https://HOST, without a path"
            )
        parse_networks(self.webhook_networks)
        if not self.is_loopback and not (self.behind_proxy and self.is_secure):
            raise Refused(
                Reason.VALUE_OUT_OF_RANGE,
                f"on {self.host} others can reach this service, and it speaks plain http: what people send, their"
                " sign-in too, could be read on the way. Put a proxy with https before it, and say so:"
                " --behind-proxy --origin https://HOST",
                host=self.host,
            )


class Setting(NamedTuple):
    """One setting: the name of its field in `Settings`, its option and environment variable, and what it does."""

    name: str
    option: str
    variable: str
    meaning: str


SETTINGS = (
    Setting("host", "--host", "CARNET_HOST", "The address to listen on. Others than loopback need --behind-proxy."),
    Setting("port", "--port", "CARNET_PORT", "The port to listen on; 0 lets the system choose a free one."),
    Setting("workers", "--workers", "CARNET_WORKERS", "Web workers; 0 means one less than processors, at least 1."),
    Setting("origin", "--origin", "CARNET_ORIGIN", "The origin that people see, such as https://carnet.example.org."),
    Setting("hosts", "--allow-host", "CARNET_HOSTS", "More host names to answer to, separated by commas."),
    Setting(
        "behind_proxy", "--behind-proxy", "CARNET_BEHIND_PROXY", "A proxy with https stands before this service (1/0)."
    ),
    Setting(
        "open_sign_up",
        "--open-sign-up",
        "CARNET_OPEN_SIGN_UP",
        "Whether anybody may make a holder's account (1), or only who was invited (0).",
    ),
    Setting(
        "census_every_ms", "--census-every", "CARNET_CENSUS_EVERY", "How often what changed is censused: 30s, 5m, 1h."
    ),
    Setting("max_body_bytes", "--max-body", "CARNET_MAX_BODY", "The largest body of an ordinary request, in bytes."),
    Setting(
        "max_connections",
        "--max-connections",
        "CARNET_MAX_CONNECTIONS",
        "Requests at once in one worker; more get 429.",
    ),
    Setting(
        "database_requests",
        "--database-requests",
        "CARNET_DATABASE_REQUESTS",
        "Requests of one worker that are at work with a PostgreSQL store at once; others wait 5s, then get 503.",
    ),
    Setting(
        "metrics_token_file",
        "--metrics-token-file",
        "CARNET_METRICS_TOKEN_FILE",
        "A file with the token for /metrics. Without one, only this machine may read them.",
    ),
    Setting(
        "webhook_networks",
        "--webhook-network",
        "CARNET_WEBHOOK_NETWORKS",
        "Private networks that webhooks may reach, such as 10.1.0.0/16, separated by commas.",
    ),
    Setting("log_level", "--log-level", "CARNET_LOG_LEVEL", "What is logged: debug, info, warning or error."),
    Setting(
        "shutdown_ms", "--shutdown-after", "CARNET_SHUTDOWN_AFTER", "How long requests in flight may take to finish."
    ),
    Setting(
        "check_every_ms",
        "--check-every",
        "CARNET_CHECK_EVERY",
        "How often all that is stored is checked again in the background: 6h, 24h.",
    ),
    Setting(
        "backup_folder",
        "--backup-folder",
        "CARNET_BACKUP_FOLDER",
        "Where backups go that an operator asks for in a page; on another disk.",
    ),
    Setting("backup_recipient", "--backup-to", "CARNET_BACKUP_TO", "The backup key that they are sealed for."),
    Setting(
        "backup_passphrase_file",
        "--backup-passphrase-file",
        "CARNET_BACKUP_PASSPHRASE_FILE",
        "The file with the passphrase that they are under, if for no key; a drill needs it.",
    ),
)
"""Every setting, in the order in which people meet them."""

OTHER_VARIABLES = frozenset(
    {
        "CARNET_API_KEY_FILE",
        "CARNET_DEBUG",
        "CARNET_HOME",
        "CARNET_KERNEL",
        "CARNET_KEY_FILE",
        "CARNET_PASSPHRASE_FILE",
        "CARNET_SERVER",
    }
)
"""What else is asked of the environment, by the command line and by whoever installs."""

_DEFAULTS = Settings()


def find_settings(options: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """The settings in force: an option that was given (not None), else the environment variable, else the default.

    Raises Refused(VALUE_OUT_OF_RANGE) with the name of the one that cannot be read.
    """
    found: dict[str, Any] = {}
    for setting in SETTINGS:
        given, where = options.get(setting.name), setting.option
        if given is None and setting.variable in environment:
            given, where = environment[setting.variable], setting.variable
        if given is not None:
            found[setting.name] = _parse(setting, given, where)
    return Settings(**found)


def find_unknown(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """(name, the one that was probably meant or "") of variables that look like ours and that nothing asks for: what
    somebody meant to set by them is not set."""
    known = OTHER_VARIABLES | {setting.variable for setting in SETTINGS}
    unknown = sorted(name for name in environment if name.startswith("CARNET_") and name not in known)
    return [(name, next(iter(get_close_matches(name, known, 1, 0.8)), "")) for name in unknown]


def to_text(settings: Settings, name: str) -> str:
    """The value of one setting as a person would write it."""
    value = getattr(settings, name)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return ",".join(value)
    if name.endswith("_ms"):
        unit = next(unit for unit in ("h", "m", "s", "ms") if value % _UNITS[unit] == 0)
        return f"{value // _UNITS[unit]}{unit}"
    return str(value)


def to_document(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, for another process."""
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def from_document(document: Mapping[str, Any]) -> Settings:
    """The settings of `to_document`."""
    tuples = {name: tuple(document[name]) for name in ("hosts", "webhook_networks")}
    return Settings(**{**document, **tuples})


def _parse(setting: Setting, given: object, where: str) -> object:
    default = getattr(_DEFAULTS, setting.name)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in str(given).split(",") if part.strip())
    if isinstance(default, bool):
        return given if isinstance(given, bool) else _parse_bool(str(given), where)
    if setting.name.endswith("_ms"):
        return _parse_duration(str(given), where)
    if isinstance(default, int):
        return _parse_number(setting.name, str(given), where)
    if setting.name == "log_level" and given not in ("debug", "info", "warning", "error"):
        raise _wrong(where, str(given), "debug, info, warning or error")
    return str(given)


def _parse_bool(text: str, where: str) -> bool:
    if text not in ("0", "1"):
        raise _wrong(where, text, "1 or 0")
    return text == "1"


def _parse_duration(text: str, where: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise _wrong(where, text, "a number and ms, s, m or h, such as 5m")
    return int(found[1]) * _UNITS[found[2]]


_LIMITS = {
    "port": (0, 65_535),
    "workers": (0, 64),
    "max_body_bytes": (1_000, 1_000_000_000),
    "database_requests": (1, 64),
}


def _parse_number(name: str, text: str, where: str) -> int:
    low, high = _LIMITS.get(name, (1, 1_000_000))
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        raise _wrong(where, text, f"a number from {low} to {high}")
    return int(text)


def _wrong(where: str, text: str, wanted: str) -> Refused:
    return Refused(Reason.VALUE_OUT_OF_RANGE, f"{where} is {text[:80]!a}, and should be {wanted}", setting=where)
