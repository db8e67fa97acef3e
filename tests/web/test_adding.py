"""What a holder writes is sealed as it was written, or not at all; and a page tells it again."""

from __future__ import annotations

from datetime import date

from carnet.services.declaring import make_declaration
from carnet.web.pages.adding import BLANK, MAX_LINE, MAX_WORK, read_addition
from carnet.web.wording import get_wording

TODAY = date(2026, 11, 26)


def read(**values: str) -> tuple[object, dict[str, str]]:
    return read_addition("fr", "own_work", BLANK | {"day": "2026-11-20"} | values, TODAY)


def test_addition__work_that_fits_is_whole() -> None:
    lines = [f"{number} {'x' * (MAX_LINE - 5)}" for number in range(MAX_WORK)]
    addition, errors = read(work="\r\n".join(lines))
    assert errors == {}
    assert addition.work == lines  # type: ignore[attr-defined]


def test_addition__refused_when_work_would_be_cut() -> None:
    for work in ("x" * (MAX_LINE + 1), "\n".join("vidange" for _ in range(MAX_WORK + 1))):
        addition, errors = read(work=work)
        assert addition is None
        assert "100 lignes de 400 caractères" in errors["work"]


def test_addition__is_told_by_what_was_written_not_by_a_digest_or_a_currency() -> None:
    values = BLANK | {
        "day": "2026-11-20",
        "title": "Pneus",
        "price": "412,5",
        "establishment": "Chez Léo",
        "work": "2 pneus",
    }
    addition, errors = read_addition("fr", "invoice", values, TODAY)
    assert addition is not None, errors
    fields = {"kind": "vehicle.declared/1", **make_declaration(addition).fields, "document_sha256": "0" * 64}
    told = get_wording("fr").told(fields, ("type", "result"))
    assert told == ["Pneus", "2 pneus", "Chez Léo", "412,50\u00a0€"]
    assert get_wording("fr").title(fields) == "Déclaration du titulaire\u00a0: facture"
