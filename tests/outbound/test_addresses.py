"""Which addresses may be called: the open network, what the operator allows, and nothing in disguise."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.outbound.addresses import Reach, find_reached, is_reached, parse_networks, parse_target

OPEN = Reach()
LOCAL = Reach(is_local=True)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.88.99.1", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "::ffff:169.254.169.254", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "100::1", "3fff::1", "fec0::1",
    ],
)  # fmt: skip
def test_is_reached__not_inside_and_not_in_disguise(text: str) -> None:
    assert not is_reached(ip_address(text), OPEN)


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4007::200e", "::ffff:8.8.8.8"]
)
def test_is_reached__the_open_network(text: str) -> None:
    assert is_reached(ip_address(text), OPEN)


@given(number=st.integers(0, 2**32 - 1))
def test_is_reached__mapped_addresses_are_judged_as_what_they_are(number: int) -> None:
    plain = IPv4Address(number)
    assert is_reached(IPv6Address(f"::ffff:{plain}"), OPEN) is is_reached(plain, OPEN)


def test_is_reached__what_the_operator_allows() -> None:
    reach = Reach(parse_networks(["10.1.0.0/16", "fd00:1234::/48"]))
    assert is_reached(ip_address("10.1.2.3"), reach)
    assert is_reached(ip_address("::ffff:10.1.2.3"), reach)
    assert is_reached(ip_address("fd00:1234::9"), reach)
    for text in ("10.2.0.1", "127.0.0.1", "fd00:1235::9", "169.254.169.254"):
        assert not is_reached(ip_address(text), reach)
    with pytest.raises(Refused) as refused:
        parse_networks(["10.1.0.0/99"])
    assert refused.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_find_reached__a_name_with_two_faces_is_not_trusted() -> None:
    assert find_reached(["1.1.1.1", "2606:4700::1111"], OPEN) == ["1.1.1.1", "2606:4700::1111"]
    assert find_reached(["1.1.1.1", "127.0.0.1"], OPEN) == []
    assert find_reached(["fe80::1%eth0"], OPEN) == []
    assert find_reached([], OPEN) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "ftp://example.org/", "https://", "https:///x", "//example.org", "example.org",
        "https://user:secret@example.org/", "https://example.org/#part", "https://127.0.0.1/", "https://[::1]/",
        "https://[::ffff:10.0.0.1]/", "https://10.0.0.1:8443/", "https://169.254.169.254/latest", "https://x:0/",
        "https://x:99999/", "https://exam ple.org/", "https://example.org/\r\nHost: x", "https://example.org/é",
        "https://" + "a" * 500, "https://[fe80::1%25eth0]/", "https://example.org\\@10.0.0.1/", "",
    ],
)  # fmt: skip
def test_parse_target__refused_url_not_allowed(url: str) -> None:
    for reach in (OPEN, Reach(parse_networks(["192.168.0.0/16"]))):
        with pytest.raises(Refused) as refused:
            parse_target(url, reach)
        assert refused.value.reason is Reason.URL_NOT_ALLOWED


def test_parse_target__takes_an_address_apart() -> None:
    target = parse_target("https://Hooks.Example.org:8443/carnet?x=1", OPEN)
    assert (target.host, target.port, target.path, target.is_secure) == ("hooks.example.org", 8443, "/carnet?x=1", True)
    assert target.authority == "hooks.example.org:8443"
    assert parse_target("https://hooks.example.org", OPEN).path == "/"
    assert parse_target("https://hooks.example.org", OPEN).authority == "hooks.example.org"


def test_parse_target__plain_http_for_this_machine_in_a_network_for_trying_things() -> None:
    assert parse_target("http://127.0.0.1:9000/hook", LOCAL).port == 9000
    assert parse_target("http://localhost/hook", LOCAL).host == "localhost"
    for url in ("http://example.org/", "http://10.0.0.1/", "http://127.0.0.1.example.org/"):
        with pytest.raises(Refused):
            parse_target(url, LOCAL)
