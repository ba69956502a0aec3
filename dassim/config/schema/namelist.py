"""The whole of a namelist. Every model has its own, with the sections that all share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from dassim.config.explain import refuse
from dassim.config.schema.assimilation import (
    Assimilation,
    Sensitivity,
    Twin,
    require_segments,
    require_window,
)
from dassim.config.schema.bathymetry import Bathymetry, FlatBottom
from dassim.config.schema.grid import HorizontalGrid
from dassim.config.schema.output import Output
from dassim.config.schema.run import Decomposition, Precision, Time
from dassim.config.schema.section import Section
from dassim.config.schema.simulation import (
    Execution,
    Restarts,
    Snapshots,
    require_steps,
    require_whole_steps,
)
from dassim.config.schema.vertical import Vertical

Model = TypeVar("Model")


class AbstractNamelist(Section, Generic[Model]):
    """Sections that every model has."""

    narrowest_block: ClassVar[int] = 1
    """Cells that every rank needs along each axis that is divided."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", examples=["double_gyre"])]
    """Name of the experiment; output files carry it."""
    source: Annotated[str, Field(min_length=1, examples=["Stommel (1948)"])]
    """Where the experiment comes from: a citation."""
    model: Model
    """Which model runs."""
    grid: HorizontalGrid
    """Horizontal grid."""
    time: Time | None = None
    """Start, length and step of the run."""
    decomposition: Decomposition = Decomposition()
    """Division of the grid over ranks."""
    precision: Precision = "float64"
    """Precision of the model's numbers."""
    output: Output = ()
    """Fields to write, one entry for each stream."""
    restarts: Restarts = Restarts()
    """States from which the run goes on."""
    snapshots: Snapshots = Snapshots()
    """States for data assimilation."""
    run: Execution = Execution()
    """Log, time limit, limits of stability."""
    assimilation: Assimilation | None = None
    """Recovery of a state from data."""
    twin: Twin | None = None
    """A twin experiment: the recovery of a state of this very model."""
    sensitivity: Sensitivity | None = None
    """The gradient of a number."""

    @property
    def column(self) -> Any:
        """The section that tells the levels; ``None`` of a fluid that is not divided into any."""
        return None

    @property
    def bottom(self) -> Bathymetry:
        """The section that tells where the bottom lies."""
        return FlatBottom(type="flat")

    @property
    def whole_circles(self) -> bool:
        """Whether ranks that own whole rows of the grid send fewer messages than others."""
        return False

    @model_validator(mode="after")
    def _check_times(self):
        if self.time is not None:
            require_whole_steps(self.time, self.restarts, self.snapshots, self.run)
            if self.assimilation is not None:
                require_segments(self.assimilation, self.twin, self.time.step)
            if self.sensitivity is not None:
                require_window(self.sensitivity, self.time.step)
        return self

    @model_validator(mode="after")
    def _check_output(self):
        names = [stream.name for stream in self.output]
        for index, stream in enumerate(self.output):
            where = f"output[{index}]"
            if stream.name in names[:index]:
                found = f"two streams named '{stream.name}'"
                raise refuse("names of their own", "rename one", found=found, key="output")
            if self.time is not None:
                require_steps(stream.every, self.time, f"{where}.every", "output")
        return self


class AbstractBasinNamelist(AbstractNamelist[Model], Generic[Model]):
    """Sections of every model of a basin, with levels under a surface and a bottom."""

    vertical: Vertical
    """Levels."""
    bathymetry: Bathymetry = FlatBottom(type="flat")
    """Depth of the bottom."""

    @property
    def column(self) -> Vertical:
        return self.vertical

    @property
    def bottom(self) -> Bathymetry:
        return self.bathymetry


class GridNamelist(AbstractBasinNamelist[Literal["grid"]]):
    """A grid by itself, without a fluid."""
