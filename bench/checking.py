"""Only what can be trusted counts: the store that a bench made is checked whole, and random proofs of it are judged."""

from __future__ import annotations

import random

from bench.figures import IS_QUICK
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.verify import verify_bundle
from carnet.services.founding import now_ms
from carnet.services.reading import open_reader
from carnet.signing import SignatureCache
from carnet.tlog.policy import parse_policy

PROOFS = 100 if IS_QUICK else 1_000


def check_store(home: Home) -> None:
    """Every stored value; raises RuntimeError for any finding."""
    findings = check_home(home.path)
    if findings:
        raise RuntimeError(f"the bench's own store is damaged: {findings[:3]}")


def check_proofs(home: Home) -> None:
    """PROOFS random passports are proved to a stranger; raises RuntimeError for a proof that is not genuine."""
    with open_reader(home) as reader:
        policy, cache = parse_policy(reader.get_policy()), SignatureCache(1024)
        chains = [passport.chain16 for passport in reader.list_passports()]
        for chain in random.Random(3).sample(chains, PROOFS):
            verdict = verify_bundle(assemble_bundle(reader, chain, Selection()), policy, now_ms(), cache=cache)
            if verdict.exit_code != 0:
                raise RuntimeError(f"a proof of the bench's own entries is not genuine: {verdict}")
