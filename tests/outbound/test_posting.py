"""One request to one address: what is answered is judged, and nothing that the other side does holds us up."""

from __future__ import annotations

import datetime
import ssl
import threading
import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from carnet.outbound.addresses import Reach, parse_networks, parse_target
from carnet.outbound.posting import MAX_ANSWER, SHOWN_BYTES, Outcome, Poster, Trouble
from tests.receivers import Behave, answering, find_closed_port, receiving, sending, silent

LOCAL = Reach(is_local=True)
HEADERS = {"Content-Type": "application/json", "webhook-id": "msg_1"}


def post(url: str, reach: Reach = LOCAL, timeout_s: float = 5.0) -> Outcome:
    return Poster(reach, timeout_s).post(parse_target(url, reach), HEADERS, b'{"a":1}')


def judge(behave: Behave, timeout_s: float = 5.0) -> Outcome:
    with receiving(behave) as receiver:
        return post(receiver.url, timeout_s=timeout_s)


def test_post__is_what_the_receiver_reads() -> None:
    with receiving(answering(200, body=b"thanks")) as receiver:
        outcome = post(f"{receiver.url}?of=carnet")
        (taken,) = receiver.wait_for(1)
    assert (outcome.status, outcome.trouble, outcome.body, outcome.is_delivered) == (200, None, b"thanks", True)
    assert taken.line == "POST /hook?of=carnet HTTP/1.1"
    assert taken.body == b'{"a":1}'
    assert taken.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (taken.headers["webhook-id"], taken.headers["content-length"]) == ("msg_1", "7")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_post__taken(status: int) -> None:
    assert judge(answering(status, body=b"")).is_delivered


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_post__answered_with_no_success(status: int) -> None:
    outcome = judge(answering(status))
    assert (outcome.status, outcome.trouble) == (status, Trouble.ANSWERED)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_post__a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    with receiving(answering(200)) as other:
        outcome = judge(answering(status, headers=f"Location: {other.url}\r\n"))
        assert (outcome.status, outcome.trouble) == (status, Trouble.REDIRECTED)
        assert other.connections == 0


def test_post__an_interim_answer_is_none_yet() -> None:
    outcome = judge(sending(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert (outcome.status, outcome.body) == (200, b"ok")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00" * 200, b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 banana\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n", b"<html>" * 100,
    ],
)  # fmt: skip
def test_post__garbage_is_no_answer(data: bytes) -> None:
    outcome = judge(sending(data))
    assert (outcome.status, outcome.trouble) == (None, Trouble.NO_ANSWER)


def test_post__of_a_body_only_the_beginning_is_kept_and_its_end_not_waited_for() -> None:
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"
    outcome = judge(sending(whole + b"400\r\n" + b"y" * 1024 + b"\r\n0\r\n\r\n"))
    assert (outcome.status, outcome.body) == (200, b"x" * SHOWN_BYTES)
    endless = judge(sending(b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * (40 * MAX_ANSWER)))
    assert (endless.status, len(endless.body)) == (200, SHOWN_BYTES)


def test_post__a_silent_receiver_and_one_that_drips_have_one_limit_of_time() -> None:
    for behave in (silent, sending(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 400, pause_s=0.1)):
        began = time.monotonic()
        outcome = judge(behave, timeout_s=1.0)
        assert (outcome.status, outcome.trouble) == (None, Trouble.TIMED_OUT)
        assert time.monotonic() - began < 3
        assert 900 < outcome.took_ms < 3000


def test_post__a_name_that_nobody_answers_for_has_the_same_limit() -> None:
    """The system's own look-up takes as long as its servers of names like, and held a place of another's address."""
    gone = threading.Event()

    def never(host: str, port: int) -> list[str]:
        gone.wait(8)
        return ["127.0.0.1"]

    began = time.monotonic()
    outcome = Poster(Reach(), timeout_s=0.5, resolve=never).post(parse_target("https://a.example/", Reach()), {}, b"")
    assert (outcome.status, outcome.trouble) == (None, Trouble.TIMED_OUT)
    assert time.monotonic() - began < 4
    gone.set()


def test_post__a_status_counts_though_its_body_never_ends() -> None:
    outcome = judge(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 300, pause_s=0.01), 1.5)
    assert outcome.is_delivered


def test_post__nobody_there() -> None:
    assert post(f"http://127.0.0.1:{find_closed_port()}/").trouble is Trouble.NOT_REACHED
    assert post("http://localhost:1/").trouble is Trouble.NOT_REACHED


def test_post__a_name_that_is_none() -> None:
    def nothing(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    outcome = Poster(Reach(), resolve=nothing).post(parse_target("https://hooks.example/", Reach()), {}, b"")
    assert outcome.trouble is Trouble.NAME_UNKNOWN


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1", "10.0.0.7", "169.254.169.254", "fd00::1"])
def test_post__a_name_of_a_private_address_is_not_called(address: str) -> None:
    with receiving(answering(200)) as receiver:
        url = f"https://hooks.example:{receiver.port}/"
        outcome = Poster(Reach(), resolve=lambda host, port: [address]).post(parse_target(url, Reach()), {}, b"")
        assert outcome.trouble is Trouble.ADDRESS_REFUSED
        assert receiver.connections == 0


def test_post__a_name_that_changes_between_two_looks_is_looked_up_once() -> None:
    """What was judged is what is connected to: the second face of the name is never seen."""
    reach, looks = Reach(parse_networks(["127.0.0.2/32"])), list[str]()

    def two_faces(host: str, port: int) -> list[str]:
        looks.append(host)
        return ["127.0.0.2" if len(looks) == 1 else "127.0.0.3"]

    with (
        receiving(answering(200), address="127.0.0.2") as allowed,
        receiving(answering(200), address="127.0.0.3", port=allowed.port) as inner,
    ):
        poster = Poster(reach, 5.0, two_faces)
        # Without TLS, which is not what this is about.
        target = replace(parse_target(f"https://hooks.example:{allowed.port}/", reach), is_secure=False)
        assert poster.post(target, {}, b"").is_delivered
        assert poster.post(target, {}, b"").trouble is Trouble.ADDRESS_REFUSED
        assert (allowed.connections, inner.connections, looks) == (1, 0, ["hooks.example"] * 2)


# ---- https


def make_certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's side with a certificate of its own for this name, which stands in `folder/ca.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "ca.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, private, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def test_post__https_is_to_the_name_whose_certificate_is_trusted(tmp_path: Path) -> None:
    tls = make_certificate(tmp_path, "hooks.example")
    reach = Reach(parse_networks(["127.0.0.1/32"]))
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with receiving(answering(200), tls=tls) as receiver:

        def at(name: str, trust: ssl.SSLContext) -> Outcome:
            poster = Poster(reach, 5.0, lambda host, port: ["127.0.0.1"], trust)
            return poster.post(parse_target(f"https://{name}:{receiver.port}/", reach), HEADERS, b"{}")

        assert at("hooks.example", trust).is_delivered
        assert at("other.example", trust).trouble is Trouble.NOT_TRUSTED
        assert at("hooks.example", ssl.create_default_context()).trouble is Trouble.NOT_TRUSTED
        assert len(receiver.taken) == 1
