"""Numbers with units, as people write them: ``20 min``, ``4 km``, ``1e-4 s-1``, ``0.1 N m-2``.

A field of a section says what it holds through its type, ``depth: Length``; its value is a float in
the unit of that type. A bare number is in that unit already: metres, seconds, degrees, degrees
Celsius for a temperature.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dassim.config.errors import show
from dassim.config.explain import refuse

if TYPE_CHECKING:
    import pint

QUANTITY = re.compile(
    r"\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>[\w°²³*/^.+\- ]*)"
)

KINDS = {
    "m": ("a length", "4 km"),
    "s": ("a time", "20 min"),
    "m s-1": ("a speed", "0.1 m s-1"),
    "degrees": ("an angle", "30 degrees"),
    "s-1": ("a frequency", "1e-4 s-1"),
    "m-1 s-1": ("a frequency per length", "2e-11 m-1 s-1"),
    "m2 s-1": ("a diffusivity", "500 m2 s-1"),
    "m4 s-1": ("a biharmonic diffusivity", "1e11 m4 s-1"),
    "m s-2": ("an acceleration", "9.81 m s-2"),
    "Pa": ("a pressure or stress", "0.1 N m-2"),
    "degC": ("a temperature", "10 degC"),
    "K": ("an absolute temperature", "288 K"),
    "delta_degC": ("a temperature difference", "0.5 K"),
    "kg m-3": ("a density", "1025 kg m-3"),
    "W m-2": ("a heat flux", "100 W m-2"),
    "m2": ("an area", "1e6 km2"),
    "kg": ("a mass", "1 kg"),
    "s-2": ("a squared frequency", "1e-5 s-2"),
    "K-1": ("an expansion coefficient", "2e-4 K-1"),
    "J kg-1 K-1": ("a specific heat capacity", "3994 J kg-1 K-1"),
    "K s-1": ("a rate of warming", "1e-6 K s-1"),
    "K m s-1": ("a temperature flux", "1e-6 K m s-1"),
}
"""Unit that values are held in: its kind, and an example."""


@dataclass(frozen=True)
class Quantity:
    """Annotation of a float, or of a tuple of floats, that is written with a unit.

    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(Annotated[float, Quantity("m", above=0)]).validate_python("4 km")
    4000.0
    """

    unit: str
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def expected(self) -> str:
        kind, example = _kind(self.unit)
        return f"{kind}{self._limits()} such as '{example}'"

    def _limits(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f" from {self.at_least:g} to {self.at_most:g} {self.unit}"
        limits = {"above": self.above, "of at least": self.at_least, "of at most": self.at_most}
        return "".join(f" {word} {x:g} {self.unit}" for word, x in limits.items() if x is not None)

    def parse(self, value: Any) -> Any:
        """The number in this unit; a list becomes a tuple of numbers."""
        if not isinstance(value, list | tuple):
            return self.number(value)
        return tuple(self.number(item, index) for index, item in enumerate(value))

    def number(self, value: Any, key: str | int | None = None) -> float:
        """One number in this unit; a refusal points to ``key`` within what is validated."""
        try:
            number = _in_unit(value, self.unit)
        except UnitError as error:
            found = f"{show(value)}{error}"
            raise refuse(self.expected, error.remedy, found=found, key=key) from None
        if self._allows(number):
            return number
        found = show(value) if number == value else f"{show(value)} ({number:g} {self.unit})"
        raise refuse(self.expected, "correct the value or its unit", found=found, key=key)

    def _allows(self, number: float) -> bool:
        return (
            math.isfinite(number)
            and (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
        )

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.parse, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**_with_units(handler(schema), _kind(self.unit)[1]), "unit": self.unit}


UNIT_OF_POSITIONS = {"cartesian": "m", "latlon": "degrees"}
"""By type of the grid."""


@dataclass(frozen=True)
class CoordinateQuantity(Quantity):
    """A position on the grid: metres on a plane, degrees on a sphere; a bare number is either.

    The type of the grid is the ``grid`` of the validation's context; without one, as on the grid of
    a file, lengths and angles are both taken. With an ``axis: z`` beside it, it is a length.
    """

    unit: str = "m"

    @property
    def expected(self) -> str:
        return "a length, or on a sphere an angle, such as '4 km' or '30 degrees'"

    def number(self, value: Any, key: str | int | None = None) -> float:
        with suppress(PydanticCustomError):
            return Quantity("degrees").number(value, key)
        return super().number(value, key)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def parse(value: Any, info: core_schema.ValidationInfo) -> Any:
            vertical = (info.data or {}).get("axis") == "z"
            grid = (info.context or {}).get("grid")
            unit = "m" if vertical else UNIT_OF_POSITIONS.get(str(grid))
            return (Quantity(unit) if unit else self).parse(value)

        return core_schema.with_info_before_validator_function(parse, handler(source))


Length = Annotated[float, Quantity("m", above=0)]
Position = Annotated[float, Quantity("m")]
Coordinate = Annotated[float, CoordinateQuantity()]
Duration = Annotated[float, Quantity("s", above=0)]
Speed = Annotated[float, Quantity("m s-1")]
Longitude = Annotated[float, Quantity("degrees", at_least=-360, at_most=360)]
Latitude = Annotated[float, Quantity("degrees", at_least=-90, at_most=90)]
Frequency = Annotated[float, Quantity("s-1")]
FrequencyGradient = Annotated[float, Quantity("m-1 s-1")]
Diffusivity = Annotated[float, Quantity("m2 s-1", at_least=0)]
BiharmonicDiffusivity = Annotated[float, Quantity("m4 s-1", at_least=0)]
Acceleration = Annotated[float, Quantity("m s-2")]
Stress = Annotated[float, Quantity("Pa")]
Pressure = Annotated[float, Quantity("Pa", above=0)]
PressureAloft = Annotated[float, Quantity("Pa", at_least=0)]
Temperature = Annotated[float, Quantity("degC", at_least=-273.15)]
AirTemperature = Annotated[float, Quantity("K", above=0)]
TemperatureDifference = Annotated[float, Quantity("delta_degC")]
Salinity = Annotated[float, Ge(0)]  # g/kg, or on the practical scale
Density = Annotated[float, Quantity("kg m-3", above=0)]
HeatFlux = Annotated[float, Quantity("W m-2")]
HeatCapacity = Annotated[float, Quantity("J kg-1 K-1", above=0)]
ThermalExpansion = Annotated[float, Quantity("K-1")]
TemperatureFlux = Annotated[float, Quantity("K m s-1")]
Warming = Annotated[float, Quantity("K s-1")]
SquaredFrequency = Annotated[float, Quantity("s-2")]

Lengths = Annotated[tuple[float, ...], Quantity("m", above=0)]
Spacing = Annotated[float | tuple[float, ...], Quantity("m", above=0)]
AngularLength = Annotated[float, Quantity("degrees", above=0, at_most=180)]
AngularSpacing = Annotated[float | tuple[float, ...], Quantity("degrees", above=0)]


class UnitError(ValueError):
    """What is wrong with a number's unit: the message continues "found '4 s'"."""

    def __init__(self, message: str, remedy: str = "correct the unit"):
        super().__init__(message)
        self.remedy = remedy


def convert(number: float, unit: str, target: str) -> float:
    """``number`` from ``unit`` to ``target``.

    >>> convert(20, "min", "s"), convert(0.1, "N/m^2", "Pa"), convert(283.15, "K", "degC")
    (1200.0, 0.1, 10.0)
    """
    registry = _registry()
    units, goal = _parsed(unit), _parsed(target)
    if units.dimensionality != goal.dimensionality:
        raise UnitError(f", {_kind_of(units)}")
    if target.startswith("delta_") and f"delta_{units}" in registry:
        units = registry.Unit(f"delta_{units}")
    try:
        return float(registry.Quantity(number, units).to(goal).magnitude)
    except TypeError:  # pint's, of temperatures among other factors
        raise UnitError(f", which does not convert to {target}") from None


def linear(unit: str, target: str) -> tuple[float, float]:
    """Factor and offset that take numbers in ``unit``, as files spell it, to ``target``.

    >>> linear("cm", "m"), linear("Kelvin", "degC"), linear("psu", "1e-3")
    ((0.01, 0.0), (1.0, -273.15), (1.0, 0.0))
    """
    spelled = _spelled(unit.strip(), target)
    if spelled == target:
        return 1.0, 0.0
    goal = "g/kg" if target in SALINITY else target
    offset = convert(0.0, spelled, goal)
    if target in NUMBERS and spelled not in SPELLINGS[target]:
        raise UnitError(f", which is not known as {NUMBERS[target]}")
    return convert(1.0, spelled, goal) - offset, offset


def _spelling(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


TEMPERATURES = {
    "degC": _spelling(r"(deg(ree)?s?[ _]?)?c(elsius)?"),
    "K": _spelling(r"(deg(ree)?s?[ _]?)?k(elvins?)?"),
}

SALINITY = dict.fromkeys(
    ("1e-3", "g kg-1"),
    _spelling(
        r"-|1|none|unitless|dimensionless|1e-0?3|10\^-3|0?\.001|psu|practical salinity units?|"
        r"pss(-?78)?|ppt|per ?mil(le)?|parts per thousand|g ?/ ?kg|g kg(\^|\*\*)?-1"
    ),
)

SPELLINGS = {
    "degC": TEMPERATURES,
    "K": TEMPERATURES,
    "dbar": {"mbar": _spelling(r"mb(ar)?|millibars?")},
    "degrees": {
        "degrees": _spelling(r"deg(ree)?s?([ _]?(n(orth)?|e(ast)?))?"),
        "radians": _spelling(r"rad(ian)?s?"),
    },
    **{
        unit: {unit: spelling, "kg/kg": _spelling(r"kg ?/ ?kg|kg kg(\^|\*\*)?-1")}
        for unit, spelling in SALINITY.items()
    },
}
"""How files spell units that pint spells in another way, or takes for others, such as C for the
coulomb: by the unit that they are to become."""

NUMBERS = {"degrees": "an angle", **dict.fromkeys(SALINITY, "a salinity")}
"""Units that pint takes for plain numbers, and would convert into each other."""


def _spelled(unit: str, target: str) -> str:
    """``unit`` as :func:`convert` knows it."""
    known = SPELLINGS.get(target, {})
    return next((name for name, spelling in known.items() if spelling.fullmatch(unit)), unit)


def _in_unit(value: Any, target: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise UnitError("", "write a number, or a number with a unit")
    number, unit = float(match["number"]), (match["unit"] or "").strip()
    return convert(number, unit, target) if unit else number


def _parsed(unit: str) -> pint.Unit:
    registry = _registry()
    try:
        units = registry.parse_units(re.sub(r"(?<=[A-Za-z])([-+]?\d+)", r"**\1", unit))
    except Exception:  # the parser lets errors of every kind through
        raise UnitError(f", whose unit '{unit}' is unknown") from None
    factors = {name for name, _ in registry.Quantity(1.0, units).unit_items()}
    if factors & {"month", "year"}:
        raise UnitError(f", and '{unit}' has no fixed length", "write days, such as '365 d'")
    return units


def _kind(unit: str) -> tuple[str, str]:
    return KINDS.get(unit, (f"a number in {unit}", f"1 {unit}"))


def _kind_of(units: pint.Unit) -> str:
    for unit, (kind, _) in KINDS.items():
        if _parsed(unit).dimensionality == units.dimensionality:
            return kind
    return f"in {units:~}"


@cache
def _registry() -> pint.UnitRegistry:
    """Built at the first unit that is met: importing pint takes most of a second."""
    import pint

    registry = pint.UnitRegistry(on_redefinition="ignore")
    registry.define("sverdrup = 1e6 * meter ** 3 / second = Sv")
    registry.define("@alias degree = degrees_north = degrees_east")
    return registry


def _with_units(schema: dict[str, Any], example: str) -> dict[str, Any]:
    """The JSON schema with text such as ``example`` allowed wherever it has a number."""
    if schema.get("type") == "number":
        return {"type": ["number", "string"], "examples": [example]}
    changed = dict(schema)
    if "items" in schema:
        changed["items"] = _with_units(schema["items"], example)
    if "anyOf" in schema:
        changed["anyOf"] = [_with_units(option, example) for option in schema["anyOf"]]
    return changed
