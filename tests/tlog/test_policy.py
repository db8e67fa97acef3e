"""Trust policies: what a reader may write, and when a quorum is met."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Unverified
from carnet.signing import Signer
from carnet.tlog.note import TYPE_COSIGNATURE, TYPE_ED25519, VerifierKey
from carnet.tlog.policy import Group, Policy, Witness, format_policy, parse_policy


def a_key(number: int, kind: int = TYPE_COSIGNATURE) -> VerifierKey:
    return VerifierKey(f"key.example/{number}", kind, Signer(number.to_bytes(32, "big")).public)


LOG = a_key(1000, TYPE_ED25519)
V = [a_key(number).format() for number in range(70)]
EXAMPLE = f"""
# two of three in the north, and any in the south
log {LOG.format()} https://log.example/

witness n1 {V[1]}
witness n2\t{V[2]}
  witness n3 {V[3]} https://n3.example/
group north 2 n1 n2 n3
witness s1 {V[4]}
witness s2 {V[5]}
witness s3 {V[6]}
group south any s1 s2 s3
group both all north south
quorum both
"""


def test_parse_policy__reads_the_example() -> None:
    policy = parse_policy(EXAMPLE.encode())
    assert policy.find_log(LOG.name) == policy.find_log(LOG.name, LOG.public) == LOG
    assert policy.find_log("other") is None
    assert policy.find_log(LOG.name, bytes(32)) is None
    assert policy.witnesses[2].url == b"https://n3.example/"
    assert policy.groups == (
        Group(b"north", 2, (b"n1", b"n2", b"n3")),
        Group(b"south", 1, (b"s1", b"s2", b"s3")),
        Group(b"both", 2, (b"north", b"south")),
    )
    assert policy.get_names([a_key(1), a_key(5), a_key(99)]) == {b"n1", b"s2"}


def test_is_quorum_met__every_set_of_the_example() -> None:
    policy = parse_policy(EXAMPLE.encode())
    names = [b"n1", b"n2", b"n3", b"s1", b"s2", b"s3"]
    for count in range(7):
        for cosigned in combinations(names, count):
            northern = sum(name.startswith(b"n") for name in cosigned)
            assert policy.is_quorum_met(cosigned) == (northern >= 2 and count > northern)
    # Names of groups, and of nobody, are no cosignatures.
    assert not policy.is_quorum_met([b"north", b"south", b"both", b"stranger"])


def test_is_quorum_met__none_and_one() -> None:
    assert parse_policy(b"quorum none\n").is_quorum_met([])
    one = parse_policy(f"witness A {V[1]}\nquorum A\n".encode())
    assert one.is_quorum_met([b"A"])
    assert not one.is_quorum_met([])


def test_parse_policy__names_are_opaque_octets() -> None:
    kelvin = "\u212a".encode()
    policy = parse_policy(b"witness K %b\nwitness %b %b\nquorum %b\n" % (V[1].encode(), kelvin, V[2].encode(), kelvin))
    assert policy.is_quorum_met([kelvin])
    assert not policy.is_quorum_met([b"K"])
    assert parse_policy(b"witness \xff\xfe %b\nquorum \xff\xfe\n" % V[1].encode()).quorum == b"\xff\xfe"


def test_parse_policy__takes_32_of_each() -> None:
    lines = [f"log {a_key(2000 + n, TYPE_ED25519).format()}" for n in range(32)]
    lines += [f"witness w{n} {V[n]}" for n in range(32)]
    lines += ["group g0 any w0"] + [f"group g{n} all g{n - 1} w{n}" for n in range(1, 32)]
    policy = parse_policy("\n".join([*lines, "quorum g31", ""]).encode())
    everyone = [b"w%d" % n for n in range(32)]
    assert policy.is_quorum_met(everyone)
    for left_out in range(32):
        assert not policy.is_quorum_met([name for name in everyone if name != b"w%d" % left_out])


def test_get_witness_keys__leaves_out_the_key_of_the_log_itself() -> None:
    own = VerifierKey("also-a-witness", TYPE_COSIGNATURE, LOG.public)
    policy = parse_policy(f"log {LOG.format()}\nwitness A {own.format()}\nwitness B {V[1]}\nquorum A\n".encode())
    assert policy.get_witness_keys(LOG) == (a_key(1),)
    assert own in policy.get_witness_keys(a_key(5, TYPE_ED25519))


@pytest.mark.parametrize(
    "text, line, why",
    [
        ("quorum none", 1, "cut"),
        ("quorum none\nquorum none\n", 2, "second quorum"),
        ("quorum A\n", 1, "not defined above"),
        (f"quorum A\nwitness A {V[1]}\n", 1, "not defined above"),
        ("quorum\n", 1, "not a line"),
        ("quorum none none\n", 1, "not a line"),
        ("Quorum none\n", 1, "not a line"),
        ("frobnicate\n", 1, "not a line"),
        ("log\n", 1, "not a line"),
        (f"log {V[1]}\n", 1, "type 0x04 where 0x01"),
        (f"witness A {LOG.format()}\n", 1, "type 0x01 where 0x04"),
        (f"\nwitness A {V[1]}\nwitness A {V[2]}\n", 3, "defined twice"),
        (f"witness A {V[1]}\nwitness B {V[1]}\n", 2, "stands twice"),
        (f"log {LOG.format()}\nlog {LOG.format()}\n", 2, "stands twice"),
        (f"log {LOG.format()}\nlog {VerifierKey('other', TYPE_ED25519, LOG.public).format()}\n", 2, "stands twice"),
        (f"witness none {V[1]}\n", 1, "none is taken"),
        (f"witness A {V[1]} url more\n", 1, "not a line"),
        (f"witness A {V[1]}\ngroup A any A\n", 2, "defined twice"),
        ("group G any G\n", 1, "not defined above"),
        ("group G any none\n", 1, "not defined above"),
        ("group G any\n", 1, "not a line"),
        (f"witness A {V[1]}\ngroup G any A A\n", 2, "member already"),
        (f"witness A {V[1]}\ngroup G any A\ngroup H any A\n", 3, "member already"),
        (f"witness A {V[1]}\ngroup G 2 A\n", 2, "from 1 to 1"),
        (f"witness A {V[1]}\ngroup G 0 A\n", 2, "from 1 to 1"),
        (f"witness A {V[1]}\ngroup G 01 A\n", 2, "from 1 to 1"),
        (f"witness A {V[1]}\ngroup G some A\n", 2, "from 1 to 1"),
        (f"witness A {V[1][:-1]}\n", 1, "Base64"),
        ("quorum none\r\n", 1, "control character"),
        ("# \x7f\nquorum none\n", 1, "control character"),
        ("#\n" * 1000 + "quorum none\n", 1001, "at most"),
    ],
)
def test_parse_policy__refused_policy_malformed(text: str, line: int, why: str) -> None:
    with pytest.raises(Unverified, match=why) as caught:
        parse_policy(text.encode())
    assert caught.value.code == "policy_malformed"
    assert f"line {line}:" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"\n" * 10, b"#" * 65_537])
def test_parse_policy__refused_without_a_quorum_or_too_large(data: bytes) -> None:
    with pytest.raises(Unverified) as caught:
        parse_policy(data)
    assert caught.value.code == "policy_malformed"


@given(st.data())
def test_format_policy__is_read_again(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 6))
    free = [b"w%d" % number for number in range(count)]
    witnesses = tuple(
        Witness(name, a_key(number), data.draw(st.sampled_from([None, b"https://w.example/"])))
        for number, name in enumerate(free)
    )
    groups: list[Group] = []
    names = list(free)
    while free and data.draw(st.booleans()):
        members = tuple(data.draw(st.lists(st.sampled_from(free), unique=True, min_size=1)))
        group = Group(b"g%d" % len(groups), data.draw(st.integers(1, len(members))), members)
        free = [name for name in free if name not in members] + [group.name]
        groups.append(group)
        names.append(group.name)
    policy = Policy((LOG,), witnesses, tuple(groups), data.draw(st.sampled_from([b"none", *names])))
    assert parse_policy(format_policy(policy)) == policy
