"""The rules at genesis: classes and the writer table, as the consortium starts out with them.

Data only. After genesis the code reads the document on the ledger, never these tables. Source: the design note on
rules, §1–4.
"""

from __future__ import annotations

from collections.abc import Iterable

from carnet.ledger.rules.document import CENSUS_CLASS, ClassLine, KindLine, Rules, WriterLine

FACTS, TITLE, CORRECTION = 1, 2, 3

CLASS_OF_KIND = {
    "passport.opened/1": FACTS,
    "journal.opened/1": FACTS,
    "vehicle.identity/1": FACTS,
    "vehicle.odometer/1": FACTS,
    "vehicle.odometer_replacement/1": FACTS,
    "vehicle.odometer_judgement/1": FACTS,
    "vehicle.inspection/1": FACTS,
    "vehicle.service/1": FACTS,
    "vehicle.repair/1": FACTS,
    "vehicle.assistance/1": FACTS,
    "vehicle.accident/1": FACTS,
    "vehicle.contract/1": FACTS,
    "vehicle.manufacture/1": FACTS,
    "vehicle.checkup/1": FACTS,
    "vehicle.reminder/1": FACTS,
    "vehicle.recall/1": FACTS,
    "vehicle.part/1": FACTS,
    "vehicle.fault/1": FACTS,
    "vehicle.battery/1": FACTS,
    "vehicle.emissions/1": FACTS,
    "vehicle.trip/1": FACTS,
    "vehicle.insurance_claims/1": FACTS,
    "vehicle.damage/1": FACTS,
    "vehicle.declared/1": FACTS,
    "vehicle.procedure/1": FACTS,
    "journal.granted/1": FACTS,
    "journal.refused/1": FACTS,
    "journal.withdrawn/1": FACTS,
    "journal.accessed/1": FACTS,
    "vehicle.title/1": TITLE,
    "vehicle.end_of_life/1": TITLE,
    "passport.transferred/1": TITLE,
    "passport.moved/1": TITLE,
    "passport.closed/1": TITLE,
    "passport.corrected/1": CORRECTION,
    "passport.rectified/1": CORRECTION,
    "passport.contested/1": CORRECTION,
}

_SIGNED = (1, 2)
_REPORTED = (3,)
_HOLDER = (4,)

_WORKSHOPS = "manufacturer dealer garage"
_AUTHORITIES = "registration_authority public_authority"
_MEASURERS = f"{_WORKSHOPS} registration_authority inspection_centre rental_company insurer damage_expert"
_WITNESSES = f"{_MEASURERS} public_authority lender assistance_company dismantler"

# Each row: kind of entry → (bases, member kinds). What is not listed is refused.
_WRITERS: dict[str, list[tuple[tuple[int, ...], str]]] = {
    "passport.opened/1": [
        (_SIGNED, "registration_authority manufacturer dealer inspection_centre"),
        (_REPORTED, "data_service"),
    ],
    "journal.opened/1": [((2, 4), "data_service platform")],
    "vehicle.identity/1": [
        (_SIGNED, "registration_authority manufacturer dealer inspection_centre"),
        (_REPORTED, "data_service"),
    ],
    "vehicle.odometer/1": [
        (_SIGNED, f"{_MEASURERS} assistance_company dismantler"),
        ((1, 2, 3, 4), "data_service"),
        (_HOLDER, "platform"),
    ],
    "vehicle.odometer_replacement/1": [(_SIGNED, _WORKSHOPS), (_REPORTED, "data_service")],
    "vehicle.odometer_judgement/1": [(_SIGNED, _AUTHORITIES), (_REPORTED, "data_service")],
    "vehicle.inspection/1": [(_SIGNED, "inspection_centre"), (_REPORTED, "data_service")],
    "vehicle.service/1": [(_SIGNED, _WORKSHOPS), ((3, 4), "data_service"), (_HOLDER, "platform")],
    "vehicle.repair/1": [(_SIGNED, _WORKSHOPS), ((3, 4), "data_service"), (_HOLDER, "platform")],
    "vehicle.assistance/1": [(_SIGNED, "assistance_company"), (_REPORTED, "data_service")],
    "vehicle.accident/1": [(_SIGNED, "insurer damage_expert"), (_REPORTED, "data_service")],
    "vehicle.contract/1": [
        (_SIGNED, "insurer lender rental_company dealer manufacturer assistance_company garage"),
        (_REPORTED, "data_service"),
    ],
    "vehicle.title/1": [(_SIGNED, "registration_authority public_authority dealer platform"), ((3, 4), "data_service")],
    "vehicle.manufacture/1": [(_SIGNED, "manufacturer"), (_REPORTED, "data_service")],
    "vehicle.checkup/1": [(_SIGNED, _WORKSHOPS), (_REPORTED, "data_service")],
    "vehicle.reminder/1": [(_SIGNED, "manufacturer garage"), (_REPORTED, "data_service")],
    "vehicle.recall/1": [(_SIGNED, f"{_WORKSHOPS} {_AUTHORITIES}"), (_REPORTED, "data_service")],
    "vehicle.part/1": [(_SIGNED, "parts_supplier")],
    # A telematics service speaks for the device in the vehicle (rules, usage).
    "vehicle.fault/1": [(_SIGNED, "manufacturer"), ((1, 2, 3), "data_service")],
    "vehicle.battery/1": [(_SIGNED, "manufacturer"), (_REPORTED, "data_service")],
    "vehicle.emissions/1": [(_SIGNED, "inspection_centre"), (_REPORTED, "data_service")],
    "vehicle.trip/1": [(_SIGNED, "manufacturer"), ((1, 2, 3), "data_service")],
    "vehicle.insurance_claims/1": [(_SIGNED, "insurer"), (_REPORTED, "data_service")],
    "vehicle.damage/1": [(_SIGNED, "rental_company insurer damage_expert"), (_REPORTED, "data_service")],
    "vehicle.declared/1": [(_HOLDER, "data_service platform")],
    "vehicle.procedure/1": [(_SIGNED, "registration_authority"), ((3, 4), "data_service"), (_HOLDER, "platform")],
    "vehicle.end_of_life/1": [(_SIGNED, "dismantler"), (_REPORTED, "data_service")],
    # A consent is the holder's word alone; its end may also be a fact that the operator states; an access always is.
    "journal.granted/1": [(_HOLDER, "data_service platform")],
    "journal.refused/1": [(_HOLDER, "data_service platform")],
    "journal.withdrawn/1": [((2, 4), "data_service platform")],
    "journal.accessed/1": [(_SIGNED, "data_service platform")],
    "passport.transferred/1": [(_SIGNED, "registration_authority dealer"), (_HOLDER, "data_service platform")],
    "passport.moved/1": [(_SIGNED, "data_service platform")],
    "passport.closed/1": [(_SIGNED, "registration_authority dismantler")],
    "passport.corrected/1": [
        (_SIGNED, f"{_WITNESSES} parts_supplier platform"),
        ((1, 2, 3, 4), "data_service"),
    ],
    "passport.rectified/1": [(_SIGNED, _AUTHORITIES)],
    "passport.contested/1": [
        (_SIGNED, _WITNESSES),
        ((2, 4), "data_service platform"),
    ],
}


def default_writer_lines() -> list[WriterLine]:
    """The writer table at genesis, one line for each cell that is not a refusal."""
    return [
        WriterLine(bases=bases, kind=kind, member=member)
        for kind, rows in _WRITERS.items()
        for bases, members in rows
        for member in members.split()
    ]


def default_rules(kind_lines: Iterable[KindLine]) -> Rules:
    """The rules document at genesis. One node alone can endorse nothing for itself, so every class asks for 0
    endorsements."""
    classes = [ClassLine(class_=class_, endorsements=0) for class_ in (CENSUS_CLASS, FACTS, TITLE, CORRECTION)]
    return Rules.of([*kind_lines, *classes, *default_writer_lines()])


def default_accreditations(rules: Rules, member_kind: str) -> tuple[tuple[str, int, int], ...]:
    """Everything that the writer table allows to members of this kind, as (kind, basis, class), ascending.

    `passport.rectified/1` gives power over others' entries, so it is never granted by default.
    """
    found: list[tuple[str, int, int]] = []
    for line in rules.lines:
        if isinstance(line, WriterLine) and line.member == member_kind and line.kind != "passport.rectified/1":
            class_ = rules.get_kind(line.kind).class_
            found += [(line.kind, basis, class_) for basis in line.bases]
    return tuple(sorted(found))
