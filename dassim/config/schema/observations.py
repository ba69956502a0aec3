"""Point observations: files of them, and how they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Strict, WithJsonSchema, model_validator

from dassim.config.explain import refuse
from dassim.config.paths import InputFile, RunPath
from dassim.config.schema.section import Count, Section, exactly_one
from dassim.config.units import Duration, Length
from dassim.config.yaml import Text

Positive = Annotated[float, Field(gt=0)]


def _pattern(value: Any) -> Path:
    """A relative path starts from the directory of the namelist that it is written in."""
    if not isinstance(value, str | Path) or "%d" not in str(value):
        raise refuse("a path with %Y, %m and %d", "write for example floats/%Y-%m-%d.nc")
    return (value.directory / value).absolute() if isinstance(value, Text) else Path(value)


DailyFiles = Annotated[
    Path,
    BeforeValidator(_pattern),
    WithJsonSchema({"type": "string", "examples": ["${DATA}/floats/%Y-%m-%d.nc"]}),
]
"""The path of one file for each day: %Y, %m and %d stand for the date."""


class AbstractSource(Section):
    """Observations of some variables, and how they are used."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", examples=["floats"])]
    """Name in tables of the cost: floats.T is the part of the temperatures."""
    check: Positive | None = None
    """Background check: departures from the background beyond so many standard deviations are not
    used; no check when left out. It comes after thinning."""
    background_errors: Annotated[dict[str, Positive], Field(examples=["{T: 1.0}"])] = Field(
        default_factory=dict
    )
    """Standard deviations of the background's errors in the check, by variable; 0 when left
    out."""
    thin: Duration | None = None
    """Within each span of this length at most one observation of a variable in each cell and level
    is used, the one nearest to the cell's centre; all when left out. Thinning knows no background:
    one that the check then rejects has taken the place of its neighbours, good ones too."""
    huber: Positive | None = None
    """Departures beyond so many standard deviations cost linearly (Huber's loss); all
    quadratically when left out."""


class AbstractFiles(AbstractSource):
    """Observations in files of one layout."""

    files: Annotated[tuple[InputFile, ...] | None, Strict(False)] = None
    """netCDF files. Give this or daily."""
    daily: DailyFiles | None = None
    """Path of one file for each day of the window; every day needs one. Give this or files."""
    variables: Annotated[
        tuple[str, ...] | None, Strict(False), Field(min_length=1, examples=["[T, S]"])
    ] = None
    """Variables to use; all that the files have when left out."""
    errors: Annotated[dict[str, Positive], Field(examples=["{T: 0.1, S: 0.02}"])] = Field(
        default_factory=dict
    )
    """Standard deviations of errors by variable, in its unit, for observations without their own;
    such observations are not used when there is none."""

    @model_validator(mode="after")
    def _check_files(self):
        exactly_one(self, ("files",), ("daily",))
        if self.files == ():
            raise refuse("at least one file", "add one", found="an empty list", key="files")
        return self


class TableSource(AbstractFiles):
    """Files in dassim's own layout: one table of all variables, see dassim.io.observations.native.

    Values are in the units of the model, unless the file says that they are in others.
    """

    type: Literal["table"]


class ArgoSource(AbstractFiles):
    """Files of Argo floats. Pressure becomes depth; temperature and salinity become those of the
    model's equation of state."""

    type: Literal["argo"]
    accept: Annotated[tuple[Literal["1", "2", "3", "5", "8"], ...], Strict(False)] = (
        "1",
        "2",
        "5",
        "8",
    )
    """Quality flags of observations that may be used."""


class IodaSource(AbstractFiles):
    """Files in the layout of IODA, of the JEDI project. Other units become those of the model;
    in-situ temperatures and practical salinities become those of its equation of state."""

    type: Literal["ioda"]
    names: Annotated[
        dict[str, str] | None, Field(examples=["{waterTemperature: T, salinity: S}"])
    ] = None
    """Variables of the model by their names in ObsValue; the usual ones when left out."""
    accept: Annotated[tuple[int, ...], Strict(False)] = (0,)
    """Values of PreQC of observations that may be used."""


class SyntheticSource(AbstractSource):
    """Another run seen by instruments: its snapshots at random columns of water, with noise."""

    type: Literal["synthetic"]
    run: RunPath | None = None
    """Folder of the run; in a twin experiment its nature run."""
    errors: Annotated[dict[str, Positive], Field(examples=["{T: 0.1, S: 0.02}"])]
    """Standard deviations of errors, by variable: these variables are observed."""
    columns: Annotated[Count, Field(examples=[1000])]
    """Random positions at each time, uniform over the area; what falls on land is left out."""
    depths: Annotated[tuple[Length, ...] | None, Strict(False)] = None
    """Depths of observations of variables with levels; the levels' own when left out."""
    every: Annotated[Duration | None, Field(examples=["1 d"])] = None
    """Time between observations, a whole number of segments; one segment when left out."""
    noise: bool = True
    """Whether normal noise of these standard deviations is added."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed chooses other positions and other noise."""
    save: Annotated[
        Path | None,
        BeforeValidator(lambda text: None if text is None else Path(str(text))),
        WithJsonSchema({"type": "string", "examples": ["observations.nc"]}),
    ] = None
    """File in dassim's own layout to which the observations are written."""


Source = Annotated[
    TableSource | ArgoSource | IodaSource | SyntheticSource, Field(discriminator="type")
]

ObservationSources = Annotated[tuple[Source, ...], Strict(False)]
"""All point observations of an assimilation."""
