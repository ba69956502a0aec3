"""Fields over the grid, as a namelist gives them: one number, a named profile, a file.

A profile is generic in the quantity of its values: ``SurfaceProfile[Stress]`` takes pascals. A
further profile is one more section here, a member of a union, and one function in
:mod:`dassim.config.profiles`. Positions are in the coordinates of the grid; ``low`` and ``high``
belong to the low end of an axis (west, south, bottom) and to the high end (east, north, surface).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType

from dassim.config.paths import InputFile
from dassim.config.schema.section import Section
from dassim.config.units import Coordinate, Duration, Length, Quantity

Value = TypeVar("Value")


class AbstractQuantified(Section, Generic[Value]):
    """A section whose values are of one quantity."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{cls.__name__}[{_unit(params[0]) or 'number'}]"


class AbstractProfile(AbstractQuantified[Value], Generic[Value]):
    """A field over the grid."""

    @property
    def unit(self) -> str | None:
        """Unit of the values, ``None`` where they are plain numbers."""
        return _unit(self.__pydantic_generic_metadata__["args"][0])


class Uniform(AbstractProfile[Value], Generic[Value]):
    """The same value everywhere. Written as the value alone: T: 10 degC."""

    type: Literal["uniform"]
    value: Value
    """The value."""


class Linear(AbstractProfile[Value], Generic[Value]):
    """Linear from one end of the basin to the other."""

    type: Literal["linear"]
    axis: Literal["x", "y", "z"]
    """Axis along which the values change."""
    low: Value
    """Value at the western or southern edge, or at the bottom."""
    high: Value
    """Value at the eastern or northern edge, or at the surface."""


class Step(AbstractProfile[Value], Generic[Value]):
    """One value on one side of a line or depth, another on the other."""

    type: Literal["step"]
    axis: Literal["x", "y", "z"]
    """Axis across the line."""
    at: Coordinate
    """Position of the line; along z negative, below the surface."""
    low: Value
    """Value at smaller coordinates: west, south, below."""
    high: Value
    """Value at larger coordinates: east, north, above."""


class Sinusoid(AbstractProfile[Value], Generic[Value]):
    """amplitude sin(n pi r) or amplitude cos(n pi r), with n half waves and r from 0 to 1 across
    the basin."""

    type: Literal["sine", "cosine"]
    amplitude: Value
    """Factor on the sine or cosine."""
    axis: Literal["x", "y"] = "y"
    """Axis along which the values change."""
    half_waves: Annotated[float, Field(examples=[1])] = 1.0
    """Half wavelengths that fit in the basin."""


class DoubleGyre(AbstractProfile[Value], Generic[Value]):
    """amplitude (cos(2 pi (r - 1/2)) + 2 sin(pi (r - 1/2))), r from 0 to 1 across the basin: wind
    over two gyres. Cooper & Zanna (2015), Ocean Modelling 89, 16."""

    type: Literal["double_gyre"]
    amplitude: Value
    """Factor on the shape; the stress is 3 times as strong at its largest."""
    axis: Literal["x", "y"] = "y"
    """Axis along which the values change."""


class Abernathey(AbstractProfile[Value], Generic[Value]):
    """amplitude cos(3 pi r) up to r = 5/6, then 0; r from 0 to 1 across the basin: heat flux over
    a channel. Abernathey et al. (2011), J. Phys. Oceanogr. 41, 2261."""

    type: Literal["abernathey"]
    amplitude: Value
    """Factor on the cosine."""
    axis: Literal["x", "y"] = "y"
    """Axis along which the values change."""


class NealeHoskins(AbstractProfile[Value], Generic[Value]):
    """poles + (equator - poles) (1 - sin(3 lat / 2)^2) within 60 degrees of the equator, poles
    beyond: the surface of an aquaplanet. Neale & Hoskins (2000), Atmos. Sci. Lett. 1, 101."""

    type: Literal["neale_hoskins"]
    equator: Value
    """Value at the equator."""
    poles: Value
    """Value poleward of 60 degrees."""


class Levels(AbstractProfile[Value], Generic[Value]):
    """One value for each level."""

    type: Literal["levels"]
    values: Annotated[tuple[Value, ...], Strict(False), Field(min_length=1)]
    """Values, the topmost level's first."""


class Exponential(AbstractProfile[Value], Generic[Value]):
    """bottom + (surface - bottom) (exp(z/scale) - exp(-H/scale)) / (1 - exp(-H/scale)), with z the
    height, negative below the surface, and H the depth of all levels."""

    type: Literal["exponential"]
    surface: Value
    """Value at the surface."""
    bottom: Value | None = None
    """Value at the bottom; 0 when left out."""
    scale: Length
    """Depth over which the values fall by a factor e."""


class Front(AbstractProfile[Value], Generic[Value]):
    """Two water masses, each linear in depth, and a front between them, linear across."""

    type: Literal["front"]
    axis: Literal["x", "y"] = "y"
    """Axis across the front."""
    centre: Coordinate
    """Position of the middle of the front."""
    width: Annotated[Coordinate, Field(gt=0)]
    """Width of the front."""
    surface: Annotated[tuple[Value, Value], Strict(False)]
    """Values at the surface on the [low, high] side of the front."""
    bottom: Annotated[tuple[Value, Value], Strict(False)]
    """Values at the bottom on the [low, high] side of the front."""


class FromFile(AbstractProfile[Value], Generic[Value]):
    """A variable of a netCDF file, on the points of the grid.

    Values at cells are averaged to the faces where the model needs them, between wet cells.
    Values in units of their own are converted. Fill values are land.
    """

    type: Literal["file"]
    file: InputFile
    """A netCDF file."""
    variable: Annotated[str, Field(examples=["theta"])]
    """Variable (z, y, x), or (y, x) at the surface."""
    staggered: bool = False
    """Whether velocities or stresses in the file lie at the faces of cells already: those along x
    at western faces, those along y at southern ones."""
    extrapolate: Annotated[int, Field(ge=0, examples=[5])] = 0
    """Cells over which values are carried to wet points that have none: in the same level if
    there is one so near, else from the level above. 0 refuses such points."""
    interpolate: bool = False
    """Whether the values lie at longitudes and latitudes of the file's own, (lat, lon) or (lon,
    lat): bilinear in between, and means over cells that are larger than those of the file."""


class VolumeSeriesFromFile(FromFile[Value], Generic[Value]):
    """A variable of a netCDF file that may change in time, on the points of the grid.

    Records are linear in time, and constant before the first and after the last. Their times are
    those of the variable's time coordinate: dates, or the time since the start of the run.
    """

    variable: Annotated[str, Field(examples=["theta"])]
    """Variable (z, y, x), or (time, z, y, x)."""
    period: Duration | None = None
    """Time after which the records repeat, such as 360 d for a climatology."""


class SeriesFromFile(VolumeSeriesFromFile[Value], Generic[Value]):
    """The same of a field over the surface."""

    variable: Annotated[str, Field(examples=["taux"])]
    """Variable (y, x), or (time, y, x)."""
    reload: Duration | None = None
    """Time for which records are read at once, a whole number of steps; all when left out."""


@dataclass(frozen=True)
class _OrValue:
    """Annotation of a union of profiles: a value by itself stands for a uniform field."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def spelled_out(value: Any) -> Any:
            if isinstance(value, dict | Section):
                return value
            return {"type": "uniform", "value": value}

        return core_schema.no_info_before_validator_function(spelled_out, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        union = handler(schema)
        return {**union, "oneOf": [{"type": ["number", "string"]}, *union["oneOf"]]}


SurfaceProfile = TypeAliasType(
    "SurfaceProfile",
    Annotated[
        Uniform[Value]
        | Linear[Value]
        | Step[Value]
        | Sinusoid[Value]
        | DoubleGyre[Value]
        | Abernathey[Value]
        | NealeHoskins[Value]
        | SeriesFromFile[Value],
        Field(discriminator="type"),
        _OrValue(),
    ],
    type_params=(Value,),
)
"""A field over the surface, which may change in time."""

VolumeProfile = TypeAliasType(
    "VolumeProfile",
    Annotated[
        Uniform[Value]
        | Linear[Value]
        | Step[Value]
        | Sinusoid[Value]
        | Levels[Value]
        | Exponential[Value]
        | Front[Value]
        | FromFile[Value],
        Field(discriminator="type"),
        _OrValue(),
    ],
    type_params=(Value,),
)
"""A field over all levels."""

AirProfile = TypeAliasType(
    "AirProfile",
    Annotated[
        Uniform[Value]
        | Linear[Value]
        | Step[Value]
        | Sinusoid[Value]
        | Levels[Value]
        | FromFile[Value],
        Field(discriminator="type"),
        _OrValue(),
    ],
    type_params=(Value,),
)
"""A field over all levels of an atmosphere."""

VolumeForcing = TypeAliasType(
    "VolumeForcing",
    Annotated[
        Uniform[Value]
        | Linear[Value]
        | Step[Value]
        | Sinusoid[Value]
        | Levels[Value]
        | Exponential[Value]
        | Front[Value]
        | VolumeSeriesFromFile[Value],
        Field(discriminator="type"),
        _OrValue(),
    ],
    type_params=(Value,),
)
"""A field over all levels, which may change in time."""


def _unit(quantity: Any) -> str | None:
    """The unit of ``Annotated[float, Quantity(unit)]``."""
    units = [item.unit for item in get_args(quantity)[1:] if isinstance(item, Quantity)]
    return units[0] if units else None
