"""What instruments say of a vehicle: fault codes, the battery, the exhaust, and a trip's totals (domain.md §2).

Quantities are whole numbers with their unit in the name; a share is in thousandths. It refuses to know where a vehicle
was: a trip holds totals only, and none without its driver's consent.
"""

from __future__ import annotations

from carnet.passport.kinds.common import KM, MI, NOTE, ONE_UNIT, choice
from carnet.passport.kinds.language import Code, Day, Flag, Integer, Items, Record, Text
from carnet.passport.kinds.schema import declare


def _count(name: str, label: str, maximum: int = 1_000_000) -> Integer:
    return Integer(name=name, label=label, minimum=0, maximum=maximum)


def _share(name: str, label: str, maximum: int = 1_000) -> Integer:
    return Integer(name=f"{name}_permille", label=f"{label}, thousandths", minimum=0, maximum=maximum)


def _celsius(name: str, label: str) -> Integer:
    return Integer(name=f"{name}_c", label=f"{label}, degrees Celsius", minimum=-60, maximum=1_500)


# The conditions that a control unit keeps with a code, SAE J1979 service 02; the names are those of COVESA's VSS.
_FREEZE_FRAME = Record(
    name="freeze_frame",
    label="conditions when the code was set",
    fields=(
        _celsius("ambient_temperature", "outside air"),
        Integer(name="battery_mv", label="battery, millivolts", minimum=0, maximum=100_000),
        _celsius("coolant_temperature", "coolant"),
        _share("engine_load", "engine load"),
        Integer(name="engine_speed_rpm", label="engine speed, turns a minute", minimum=0, maximum=30_000),
        Integer(name="fuel_trim_permille", label="fuel trim, thousandths", minimum=-1_000, maximum=1_000),
        _celsius("intake_temperature", "intake air"),
        Integer(name="manifold_pressure_pa", label="intake manifold, pascals", minimum=0, maximum=2_000_000),
        Integer(name="run_time_s", label="since the engine started, seconds", minimum=0, maximum=10_000_000),
        Integer(name="speed_km_h", label="speed, kilometres an hour", minimum=0, maximum=1_000),
        _share("throttle", "throttle"),
    ),
)

FAULT = declare(
    "vehicle.fault/1",
    "fault code",
    Text(name="code", label="code (DTC), such as P0420", max_length=16, optional=False),
    _count("distance_with_mil_km", "driven with the lamp lit, kilometres", 9_999_999),
    _FREEZE_FRAME,
    Flag(name="mil", label="malfunction indicator lamp lit"),
    KM,
    MI,
    choice("state", "state of the code", "pending confirmed permanent cleared", optional=False),
    Text(name="text", label="what the code means, as written", max_length=400),
    Text(name="unit", label="control unit", max_length=64),
    rules=(ONE_UNIT,),
)

# Regulation (EU) 2023/1542, annex VII, in the words of the BatteryPass data model 1.2 (domain.md §2).
BATTERY = declare(
    "vehicle.battery/1",
    "battery",
    Integer(name="certified_energy_wh", label="certified usable energy, watt-hours", minimum=0, maximum=10_000_000),
    _share("capacity_fade", "capacity fade"),
    Text(name="chemistry", label="chemistry, as written", max_length=64),
    _share("energy_efficiency", "energy round trip efficiency"),
    _share("energy_state", "state of certified energy"),
    _count("full_cycles", "full equivalent cycles"),
    Text(name="maker", label="maker of the battery", max_length=120),
    choice("method", "how it was measured", "battery_management full_discharge partial_test declared"),
    Items(
        name="negative_events",
        label="negative events",
        max_items=100,
        fields=(
            Day(name="date", label="day"),
            Text(name="text", label="what happened, as written", max_length=400),
            choice(
                "type",
                "type",
                "accident deep_discharge overcharge overheating overcurrent water fire other",
                optional=False,
            ),
        ),
    ),
    NOTE,
    KM,
    MI,
    Integer(
        name="remaining_capacity_mah", label="remaining capacity, milliampere-hours", minimum=0, maximum=10_000_000
    ),
    Integer(name="remaining_energy_wh", label="remaining usable energy, watt-hours", minimum=0, maximum=10_000_000),
    _share("resistance_increase", "increase of internal resistance", 100_000),
    Text(name="serial", label="serial number", max_length=64),
    rules=(ONE_UNIT,),
)

EMISSIONS = declare(
    "vehicle.emissions/1",
    "measured emissions",
    Text(name="centre", label="centre and approval number, as written", max_length=120),
    _count("co_ppm", "carbon monoxide, parts per million"),
    _count("hc_ppm", "unburnt hydrocarbons, parts per million"),
    Integer(name="lambda_permille", label="air ratio (lambda), thousandths", minimum=0, maximum=100_000),
    choice("method", "how it was measured", "idle fast_idle free_acceleration rolling_road obd road"),
    _count("nox_ppm", "nitrogen oxides, parts per million"),
    KM,
    MI,
    Integer(
        name="opacity_permille_per_m", label="opacity, thousandths of the inverse metre", minimum=0, maximum=100_000
    ),
    _count("particles_per_cm3", "particles per cubic centimetre", 10**12),
    Text(name="report_number", label="number of the report", max_length=64),
    choice("result", "result", "passed failed not_judged"),
    rules=(ONE_UNIT,),
)

# The start is `occurred`. No place, no trace, no driver's name: rules.md §1 puts trips under the driver's consent, so
# none can be written without the digest of that consent.
TRIP = declare(
    "vehicle.trip/1",
    "trip, totals",
    Code(name="consent_sha256", label="digest of the driver's consent", form="sha256", optional=False),
    _count("distance_m", "distance, metres", 10**8),
    _count("duration_s", "duration, seconds", 10**7),
    _count("energy_wh", "electricity used, watt-hours", 10**7),
    _count("fuel_ml", "fuel used, millilitres", 10**7),
    _count("harsh_accelerations", "harsh accelerations"),
    _count("harsh_brakings", "harsh brakings"),
    _count("harsh_cornerings", "harsh cornerings"),
    _share("night", "share of the distance by night"),
    KM,
    MI,
    _share("speeding", "share of the distance above the speed limit"),
    _count("trips", "how many trips these totals cover", 100_000),
    rules=(ONE_UNIT,),
)

KINDS = (FAULT, BATTERY, EMISSIONS, TRIP)
