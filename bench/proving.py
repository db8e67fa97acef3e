"""Proofs: how many are made and checked in a second by one core, and how large one is."""

from __future__ import annotations

from bench.figures import IS_QUICK, ROUNDS, Figure, make_figure, middle, open_folder, take_time
from bench.inspections import make_interleaved
from carnet.node.home import Home
from carnet.node.reader import Reader
from carnet.proof.assemble import assemble_bundle
from carnet.proof.verify import verify_bundle
from carnet.services.founding import found, get_operator, now_ms, open_writer_at
from carnet.services.importing import HISTOVEC, import_file
from carnet.services.reading import open_reader
from carnet.signing import SignatureCache, Signer, verify
from carnet.tlog.policy import Policy, parse_policy

PASSPORTS = 300 if IS_QUICK else 2_000


def measure() -> list[Figure]:
    """Proofs of one entry with its opening, made and checked, cold and with what the run before has cached."""
    with open_folder("proofs") as folder:
        home = Home(folder / "home")
        found(home, name="bench.example")
        with open_writer_at(home, None, "bench") as writer:
            lines = [line for line, _ in zip(make_interleaved(PASSPORTS), range(PASSPORTS), strict=False)]
            import_file(writer, get_operator(writer), HISTOVEC, lines, now_ms())
        return _measure(home)


def _measure(home: Home) -> list[Figure]:
    made: dict[str, list[float]] = {"cold": [], "cached": []}
    checked: dict[str, list[float]] = {"cold": [], "cached": []}
    bare: list[float] = []
    sizes: list[float] = []
    for _ in range(ROUNDS):
        with open_reader(home) as reader:
            policy = parse_policy(reader.get_policy())
            chains = [passport.chain16 for passport in reader.list_passports()]
            # What the listing has opened is forgotten.
            reader.refresh()
            proofs: list[bytes] = []
            for found in made.values():
                seconds, proofs = _make_all(reader, chains)
                found.append(len(chains) / seconds)
        sizes.append(middle([float(len(proof)) for proof in proofs]))
        checked["cold"].append(len(proofs) / _check_all(proofs, policy, None))
        cache = SignatureCache(1024)
        _check_all(proofs[:10], policy, cache)
        checked["cached"].append(len(proofs) / _check_all(proofs, policy, cache))
        bare.append(_measure_bare())
    peer = ("three Ed25519 checks", middle(bare))
    return [
        *(make_figure(f"proofs made, {state}", middle(found), "per s and core") for state, found in made.items()),
        *(
            make_figure(f"proofs checked, {state}", middle(found), "per s and core", peer=peer)
            for state, found in checked.items()
        ),
        make_figure("proof of one entry with its opening", middle(sizes), "bytes"),
    ]


def _make_all(reader: Reader, chains: list[bytes]) -> tuple[float, list[bytes]]:
    proofs: list[bytes] = []
    return take_time(lambda: proofs.extend(assemble_bundle(reader, chain) for chain in chains)), proofs


def _check_all(proofs: list[bytes], policy: Policy, cache: SignatureCache | None) -> float:
    """Seconds for all of them; with a cache that outlives a proof, as a server has one, or without."""
    codes: set[int] = set()
    now = now_ms()
    seconds = take_time(lambda: codes.update(verify_bundle(one, policy, now, cache=cache).exit_code for one in proofs))
    if codes != {0}:
        raise RuntimeError(f"the bench's own proofs are not genuine: {codes}")
    return seconds


def _measure_bare() -> float:
    """The peer: what three signatures alone cost, in the same run."""
    signer, count = Signer(bytes(32)), 300
    messages = [b"%d" % at for at in range(count)]
    signed = [(message, signer.sign(message)) for message in messages]
    seconds = take_time(lambda: [verify(signer.public, message, signature) for message, signature in signed])
    return count / seconds / 3
