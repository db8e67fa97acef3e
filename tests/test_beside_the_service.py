"""What stands beside the service in production: systemd's unit, and the proxies that speak https before it. Each file
of docs/serving is used as it stands, but for the names, ports and paths that differ on this machine.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from carnet.services.accounts.throttling import LIMITS, Attempt
from carnet.services.settings import SETTINGS
from tests.cli.run import COMMAND, make_env
from tests.node.home import make_node
from tests.serving import Answer, serving_home, start, wait_for
from tests.shared import ROOT

SERVING = ROOT / "docs" / "serving"
UNIT = (SERVING / "carnet.service").read_text(encoding="utf-8")
HOST = "carnet.example.org"
TOKEN = "a-token-for-figures"
MakeProxy = Callable[[Path, tuple[int, int], int], "list[str | Path]"]
PARTS = re.compile(r"^(@[\w-]+)$\n((?:    .*\n)*)", re.M)


def find_tool(name: str) -> str:
    """A program of the machine, or a skip."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"no {name} here (Debian: nginx-light, caddy, systemd)")
    return found


# ---- the unit


def test_unit__is_one_that_systemd_takes(tmp_path: Path) -> None:
    analyze = find_tool("systemd-analyze")
    program = tmp_path / "carnet"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "carnet.service"
    unit.write_text(UNIT.replace("/opt/carnet/bin/carnet", str(program)))
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    # Its own judgement of how much a service may do: 10 is everything, a unit without a word of it has 9.6.
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", unit],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-400:]


def test_unit__waits_longer_than_the_service_takes_to_stop() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.M)
    assert found is not None
    assert int(found[1]) >= 30
    variables = {setting.variable for setting in SETTINGS} | {"CARNET_HOME", "CARNET_SHUTDOWN_AFTER"}
    assert set(re.findall(r"CARNET_[A-Z_]+", UNIT)) <= variables


def expand_filter(analyze: str) -> set[str]:
    """The calls of the system that the unit's `SystemCallFilter` lines let through."""
    said = subprocess.run([analyze, "syscall-filter", "--no-pager"], capture_output=True, text=True, timeout=60).stdout
    sets = {
        name: [line.strip() for line in body.splitlines() if not line.strip().startswith("#")]
        for name, body in PARTS.findall(said)
    }

    def expand(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        return {call for one in sets[name] for call in expand(one)}

    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(\S+)$", UNIT, re.M):
        named = expand(line.removeprefix("~"))
        allowed = allowed - named if line.startswith("~") else allowed | named
    # systemd always lets these through.
    return allowed | expand("@default")


def test_unit__lets_through_what_the_service_asks_of_the_system(tmp_path: Path) -> None:
    allowed = expand_filter(find_tool("systemd-analyze"))
    assert {"read", "openat", "setrlimit"} <= allowed
    assert not allowed & {"mount", "ptrace", "setuid", "reboot"}
    strace = find_tool("strace")
    home = make_node(tmp_path).path
    trace = tmp_path / "trace"
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [strace, "-f", "-qq", "--seccomp-bpf", "-e", "trace=!futex", "-o", trace, *COMMAND, "serve", "--port", "0"],
        env=make_env(home), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        wait_for(lambda: "Serving" in (tmp_path / "log").read_text(), "it did not start under strace")
        found = re.search(r"at http://[^:]*:(\d+)", (tmp_path / "log").read_text())
        assert found is not None
        port = int(found[1])
        wait_for(lambda: ask_plainly(port, "/readyz") == 200, "it was not ready under strace")
        assert ask_plainly(port, "/verify") == 200
        assert ask_plainly(port, "/metrics") == 200
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        os.kill(child, signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        log.close()
    used = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)", trace.read_text(errors="replace"), re.M))
    assert {"openat", "write", "listen"} <= used
    # SQLite gives its files to their folder's owner where it may: only as root, as which nobody should serve.
    assert used - allowed - ({"fchown"} if os.geteuid() == 0 else set()) == set()


def ask_plainly(port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize("is_file", [True, False])
def test_serve__tells_its_manager_when_it_listens_and_when_it_stops(tmp_path: Path, is_file: bool) -> None:
    name = str(tmp_path / "notify") if is_file else f"@carnet-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1))
        manager.settimeout(40)
        with serving_home(make_node(tmp_path).path, tmp_path / "log", NOTIFY_SOCKET=name) as served:
            assert manager.recv(100) == b"READY=1"
            for pid in served.list_workers():
                assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
            assert served.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"


# ---- the proxies


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def write_certificate(folder: Path) -> None:
    """A certificate for the host that the files name, which its own key has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def make_nginx(folder: Path, ports: tuple[int, int], service: int) -> list[str | Path]:
    """The command that runs nginx with our file in its own frame."""
    text = (SERVING / "nginx.conf").read_text(encoding="utf-8")
    for before, after in (
        ("listen 80;", f"listen 127.0.0.1:{ports[0]};"),
        ("    listen [::]:80;\n", ""),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{ports[1]} ssl http2;"),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("127.0.0.1:8140;", f"127.0.0.1:{service};"),
        ("/etc/ssl/carnet", str(folder)),
    ):
        assert before in text, before
        text = text.replace(before, after)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    frame = f"pid {folder}/pid; daemon off; error_log {folder}/error.log;\nevents {{}}\nhttp {{\n{temporary}{text}}}\n"
    if os.geteuid() == 0:
        frame = f"user root;\n{frame}"
    (folder / "nginx.conf").write_text(frame)
    return [find_tool("nginx"), "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]


def make_caddy(folder: Path, ports: tuple[int, int], service: int) -> list[str | Path]:
    """The command that runs Caddy with our file; its certificate is ours, since nobody can fetch one here."""
    text = (SERVING / "Caddyfile").read_text(encoding="utf-8")
    for before, after in (
        ("{\n\tservers", f"{{\n\tadmin off\n\thttp_port {ports[0]}\n\thttps_port {ports[1]}\n\tservers"),
        (f"{HOST} {{\n", f"{HOST} {{\n\tbind 127.0.0.1\n\ttls {folder}/fullchain.pem {folder}/privkey.pem\n"),
        ("127.0.0.1:8140 {", f"127.0.0.1:{service} {{"),
    ):
        assert before in text, before
        text = text.replace(before, after)
    (folder / "Caddyfile").write_text(text)
    return [find_tool("caddy"), "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"]


class Before:
    """A proxy that runs; `ask` speaks to it as a browser would, under the host's name."""

    def __init__(self, http_port: int, https_port: int, log: Path) -> None:
        self.http_port, self.https_port, self.log = http_port, https_port, log

    def connect(self, protocols: list[str]) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.log.parent / "fullchain.pem"))
        context.set_alpn_protocols(protocols)
        plain = socket.create_connection(("127.0.0.1", self.https_port), 20)
        return context.wrap_socket(plain, server_hostname=HOST)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(HOST)
        connection.sock = self.connect(["http/1.1"])
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def is_there(self) -> bool:
        try:
            self.connect(["http/1.1"]).close()
        except OSError:
            return False
        return True


@contextmanager
def running(make: MakeProxy, folder: Path, service: int) -> Iterator[Before]:
    folder.mkdir()
    write_certificate(folder)
    ports = find_port(), find_port()
    command = make(folder, ports, service)
    log = folder / "proxy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        )  # fmt: skip
    try:
        before = Before(*ports, log)
        wait_for(lambda: process.poll() is not None or before.is_there(), "the proxy did not listen")
        assert process.poll() is None, log.read_text()
        yield before
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a service that was told of a proxy before it."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    port = find_port()
    options = ("--port", str(port), "--behind-proxy", "--origin", f"https://{HOST}", "--metrics-token-file", str(token))
    served = start(make_node(tmp_path).path, tmp_path / "log", *options)
    served.address = f"http://127.0.0.1:{port}"
    try:
        served.wait_until_ready()
        yield port
    finally:
        served.stop()


@pytest.mark.parametrize("make", [make_nginx, make_caddy])
def test_proxy__passes_on_what_the_service_expects(tmp_path: Path, port: int, make: MakeProxy) -> None:
    with running(make, tmp_path / "proxy", port) as proxy:
        ready = proxy.ask("GET", "/readyz")
        assert (ready.status, ready.json["status"]) == (200, "ok")
        assert "max-age" in ready.headers["strict-transport-security"]
        with proxy.connect(["h2", "http/1.1"]) as line:
            assert line.selected_alpn_protocol() == "h2"
        plain = http.client.HTTPConnection("127.0.0.1", proxy.http_port, timeout=20)
        plain.request("GET", "/verify?a=b", headers={"Host": HOST})
        moved = plain.getresponse()
        plain.close()
        assert moved.status in (301, 308)
        assert moved.headers["location"] == f"https://{HOST}/verify?a=b"
        # The figures are for whoever has the token and does not come from outside.
        bearer = f"Bearer {TOKEN}"
        assert proxy.ask("GET", "/metrics", Authorization=bearer).status == 404
        assert ask_plainly(port, "/metrics", Authorization=bearer) == 200
        assert ask_plainly(port, "/metrics") == 404
        # A part of a file gets through. Of what is longer than any, nginx looks at the length that is announced; Caddy
        # ends the body on its way, which this service does not even read from somebody unknown.
        part = proxy.ask("POST", "/v1/entries", bytes(8 * 1024 * 1024), Content_Type="application/json")
        assert (part.status, part.json["code"]) == (401, "not_signed_in")
        long = proxy.ask("POST", "/v1/entries", bytes(10_000_000), Content_Type="application/json")
        assert long.status == (413 if make is make_nginx else 401)
        check_address(proxy)


def check_address(proxy: Before) -> None:
    """Who guesses is slowed down, whatever address they say they come from."""
    statuses = [
        proxy.ask(
            "GET", "/v1/passports", Authorization="Bearer ck_live_guess",
            X_Forwarded_For=f"198.51.100.{at}", Forwarded=f"for=198.51.100.{at}",
        ).status
        for at in range(1, LIMITS[Attempt.TOKEN_BY_ADDRESS].attempts + 3)
    ]  # fmt: skip
    assert (statuses[0], statuses[-1]) == (401, 429)
