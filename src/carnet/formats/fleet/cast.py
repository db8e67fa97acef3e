"""Who and what the demo's world is made of: organisations, makes, models, plates and VINs. All of it is invented.

Names belong to nobody: no maker, garage or insurer here exists, a VIN has the filler ZZZ and ends in zeros, a plate
carries the number 000. It refuses to know what happens to a vehicle.
"""

from __future__ import annotations

from typing import NamedTuple

from carnet.types import Basis, MemberKind, Subject


class Organisation(NamedTuple):
    """A member of the demo's network: its name, its kind, and whether it signs with its own key or lets the node."""

    name: str
    kind: MemberKind
    basis: Basis = Basis.HOSTED


REGISTRY = Organisation("Registre des véhicules de démonstration", MemberKind.REGISTRATION_AUTHORITY)
MAKER = Organisation("Valmont Automobiles", MemberKind.MANUFACTURER)
DEALERS = (
    Organisation("Concession Valmont Bellerive, Metz", MemberKind.DEALER),
    Organisation("Automobiles Les Acacias, Limoges", MemberKind.DEALER),
)
BRITISH_DEALER = Organisation("Hollins & Marsh Motors, Kent", MemberKind.DEALER)
GARAGES = (
    Organisation("Garage des Tilleuls, Metz", MemberKind.GARAGE),
    Organisation("Atelier du Pont-Vieux, Limoges", MemberKind.GARAGE),
    Organisation("Mécanique Perrin-Lacoste, Dole", MemberKind.GARAGE),
    Organisation("Garage de la Source Bleue, Vannes", MemberKind.GARAGE),
)
CENTRES = (
    Organisation("Contrôle Technique du Grand Orme, Metz", MemberKind.INSPECTION_CENTRE),
    # One member that keeps its own key, so that the demo shows both ways of signing.
    Organisation("Contrôle Auto Trois Rivières, Limoges", MemberKind.INSPECTION_CENTRE, Basis.OWN_KEY),
    Organisation("Centre de Contrôle Bellevue, Dole", MemberKind.INSPECTION_CENTRE),
)
BRITISH_CENTRE = Organisation("Marsh Lane Test Centre, Kent", MemberKind.INSPECTION_CENTRE)
INSURER = Organisation("Mutuelle du Val Fleuri", MemberKind.INSURER)
EXPERT = Organisation("Cabinet d'expertise Marchal-Ney", MemberKind.DAMAGE_EXPERT)
LENDER = Organisation("Crédit des Deux Vallées", MemberKind.LENDER)
ASSISTANCE = Organisation("Secours Route Azurée", MemberKind.ASSISTANCE_COMPANY)
PLATFORM = Organisation("Annonces Bonne Route", MemberKind.PLATFORM)
RENTAL = Organisation("Location Clairville", MemberKind.RENTAL_COMPANY)
TELEMATICS = Organisation("Télématique Horizon", MemberKind.DATA_SERVICE)
DISMANTLER = Organisation("Recyclage des Peupliers", MemberKind.DISMANTLER)

ORGANISATIONS: tuple[Organisation, ...] = (
    REGISTRY,
    MAKER,
    *DEALERS,
    BRITISH_DEALER,
    *GARAGES,
    *CENTRES,
    BRITISH_CENTRE,
    INSURER,
    EXPERT,
    LENDER,
    ASSISTANCE,
    PLATFORM,
    RENTAL,
    TELEMATICS,
    DISMANTLER,
)
"""Every author of the fleet's entries; the demo enrols each as a member."""


class Model(NamedTuple):
    """A model on paper: make, name, WMI, energy code (P.3), CO2, cm³, kW, kg, price new in euros, service interval."""

    make: str
    name: str
    wmi: str
    energy: str
    co2_g_per_km: int
    displacement_cm3: int
    power_kw: int
    mass_kg: int
    price_euros: int
    interval_km: int


MODELS = (
    Model("VALMONT", "Aubrac 1.5", "VFZ", "GO", 104, 1461, 81, 1290, 24_900, 20_000),
    Model("VALMONT", "Cévenne 1.2", "VFZ", "ES", 119, 1199, 74, 1120, 18_400, 15_000),
    Model("VALMONT", "Lubéron électrique", "VFZ", "EL", 0, 0, 100, 1580, 33_800, 30_000),
    Model("VALMONT", "Mercantour 2.0", "VFZ", "GO", 142, 1997, 110, 1690, 36_200, 25_000),
    Model("ORLINE", "Tarn Break", "VRZ", "ES", 128, 1332, 96, 1340, 26_700, 20_000),
    Model("ORLINE", "Vézère hybride", "VRZ", "EH", 96, 1598, 103, 1420, 30_500, 20_000),
    Model("BRANDT-KESSLER", "B3 Kombi", "WZZ", "GO", 121, 1968, 110, 1510, 35_400, 30_000),
    Model("TORVA", "Lir", "TZZ", "ES", 113, 999, 70, 1080, 16_900, 15_000),
)
BRITISH_MODEL = Model("HOLLINS", "Downland 2.0", "SZZ", "GO", 135, 1999, 110, 1620, 32_600, 20_000)

COLOURS = ("white", "grey", "black", "blue", "red", "green", "silver", "sand")

# ISO 3779 / SAE J853: the model year's letter, without I, O, Q, U, Z and 0; 2010 is A.
_YEAR_LETTERS = "ABCDEFGHJKLMNPRSTVWXY123456789"
# SIV letters without I, O, U; S and W left out too, so that no pair is one of the reserved SS and WW.
_PLATE_LETTERS = "ABCDEFGHJKLMNPQRTVXYZ"
_PLATE_COUNT = len(_PLATE_LETTERS) ** 4
MAX_VEHICLES = _PLATE_COUNT // 2


def make_vin(model: Model, year: int, number: int) -> str:
    """A possible VIN that no vehicle has: WMI, filler ZZZ, thousands of `number`, year, plant 0, the rest, 000."""
    thousands, rest = divmod(number, 1000)
    return f"{model.wmi}ZZZ{thousands:03d}{_YEAR_LETTERS[(year - 2010) % 30]}0{rest:03d}000"


def make_french_plate(number: int) -> Subject:
    """The `number`-th French plate with the number 000, which is never issued."""
    # A step that shares no factor with the count visits every plate once, without neighbours looking alike.
    rest = number * 87_149 % _PLATE_COUNT
    letters = ""
    for _ in range(4):
        rest, place = divmod(rest, len(_PLATE_LETTERS))
        letters += _PLATE_LETTERS[place]
    return Subject("plate", f"{letters[:2]}-000-{letters[2:]}", "FR")


def make_british_plate(number: int) -> Subject:
    """A British plate with the age identifier 00, which is never issued."""
    pool = "ABCDEFGHJKLMNPRSTVWXY"
    letters = "".join(pool[number // len(pool) ** place % len(pool)] for place in range(5))
    return Subject("plate", f"{letters[:2]}00 {letters[2:]}", "GB")
