"""Whether a member's accreditations list one is told from their bytes as from their values."""

from __future__ import annotations

from itertools import product
from random import Random

from carnet.encoding import encode
from carnet.proof.authority import is_accredited


def test_is_accredited__no_text_passes_for_another_accreditation() -> None:
    held = [("x[", 1, 2), ('[",1,2],[', 3, 4), (",b,c]", 1, 2)]
    forged = [("x[", 1, 2), (",1,2]zzz", 3, 4)]
    assert encode((",1,2],[", 1, 2)) in encode(forged), "which is why its bytes alone do not tell"
    assert not is_accredited(encode(forged), ",1,2],[", 1, 2)
    assert all(is_accredited(encode(held), *one) for one in held)


def test_is_accredited__says_what_the_values_say() -> None:
    random = Random(3)
    texts = ["".join(random.choice(',[]"\\1a') for _ in range(random.randrange(1, 9))) for _ in range(300)]
    for _ in range(300):
        held = [(random.choice(texts), random.randrange(1, 3), random.randrange(1, 3)) for _ in range(6)]
        asked = [*held, *product(random.sample(texts, 3), (1, 2), (1, 2))]
        asked += [(one[0][:-1], one[1], one[2]) for one in held]
        for kind, basis, class_ in asked:
            assert is_accredited(encode(held), kind, basis, class_) == ((kind, basis, class_) in held)
