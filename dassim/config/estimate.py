"""Bytes that a run holds in memory and writes to disk, before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, NamedTuple

from dassim.config.schema import (
    AtmosphereNamelist,
    GridNamelist,
    OceanNamelist,
    ShallowWaterNamelist,
)
from dassim.config.schema.atmosphere.surface import SlabOcean
from dassim.config.schema.bathymetry import FlatBottom
from dassim.config.schema.grid import GridFromFile
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.output import OutputStream
from dassim.config.schema.simulation import schedule
from dassim.config.simulation import build_plan
from dassim.grid.variables import Variable
from dassim.parallel import Decomposition
from dassim.simulation.events import due_until

HALO = 6
"""Width of the grid's halos."""

RESTARTS = "restarts kept"

BYTES = {"float64": 8, "float32": 4}
"""Of a number."""


@dataclass(frozen=True)
class Fields:
    """How many fields (z, y, x) and (y, x)."""

    volume: int = 0
    surface: int = 0

    def size(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """Bytes on ``shape = (nz, ny, nx)``."""
        nz, ny, nx = shape
        return (self.volume * nz + self.surface) * ny * nx * itemsize


@dataclass(frozen=True)
class Footprint:
    """The fields of a model: its state, what a step holds beside it, what it can write."""

    state: Fields = Fields()
    step: Fields = Fields()
    outputs: Mapping[str, Variable] = field(default_factory=dict)


class Estimate(NamedTuple):
    """Bytes of the rank with the largest block, and of all ranks together."""

    what: str
    largest_rank: int
    all_ranks: int


class Files(NamedTuple):
    """States or records of one kind that a run leaves: how many, and bytes of one on all ranks;
    ``written``: how many, with those that it removes."""

    what: str
    count: int
    each: int
    written: int

    @property
    def all(self) -> int:
        return self.count * self.each


@singledispatch
def footprint(namelist: Any) -> Footprint:
    """The fields of the model that ``namelist`` describes. A new model registers its own."""
    raise TypeError(f"found {type(namelist)}; expected a namelist whose footprint is registered")


@footprint.register
def _(namelist: GridNamelist) -> Footprint:
    return Footprint()


@footprint.register
def _(namelist: OceanNamelist) -> Footprint:
    """Beside the state, a compiled step holds about 50 fields, as XLA reports."""
    from dassim.ocean.eos import LinearEOS
    from dassim.ocean.output import output_variables

    fields = Fields(volume=4 + len(namelist.initial.tracers), surface=1)
    times = 2 if namelist.physics.stepper.type == "adams_bashforth_2" else 1
    state = Fields(volume=times * fields.volume, surface=times * fields.surface)
    outputs = output_variables(LinearEOS(), namelist.initial.tracers)
    return Footprint(state, Fields(volume=50), outputs)


@footprint.register
def _(namelist: ShallowWaterNamelist) -> Footprint:
    """Beside the state, a compiled step holds about 20 fields."""
    from dassim.atmosphere.shallow_water.output import output_variables

    times = 2 if namelist.physics.stepper.type == "adams_bashforth_2" else 1
    tracers = namelist.initial.tracers
    state = Fields(surface=times * (3 + len(tracers)))
    return Footprint(state, Fields(surface=20), output_variables(tracers))


@footprint.register
def _(namelist: AtmosphereNamelist) -> Footprint:
    """Beside the state, a compiled step holds about 30 fields."""
    from dassim.atmosphere.primitive import fluxes_of
    from dassim.atmosphere.primitive.output import output_variables
    from dassim.config.atmosphere.columns import process

    times = 2 if namelist.physics.stepper.type == "adams_bashforth_2" else 1
    tracers = [*(["q"] if namelist.initial.has_vapour else []), *namelist.initial.tracers]
    fluxes = fluxes_of(map(process, namelist.physics.columns))
    surface = 1 + len(fluxes) + isinstance(namelist.surface, SlabOcean)
    state = Fields(times * (3 + len(tracers)), times * surface)
    outputs = output_variables(tracers, fluxes, surface=namelist.surface is not None)
    return Footprint(state, Fields(volume=30), outputs)


def estimates(namelist: AbstractNamelist, decomposition: Decomposition, nz: int) -> list[Estimate]:
    """Memory of a run of ``namelist`` with ``nz`` levels on ``decomposition``."""
    itemsize = BYTES[namelist.precision]
    fields = footprint(namelist)
    shapes = [decomposition.block(rank).shape for rank in range(decomposition.size)]

    def total(what: str, number: Fields) -> Estimate:
        sizes = [number.size((nz, *shape), itemsize) for shape in shapes]
        return Estimate(what, max(sizes), sum(sizes))

    grid = [grid_size(namelist, (nz, *shape)) for shape in shapes]
    return [
        total("one field (y, x)", Fields(surface=1)),
        total("one field (z, y, x)", Fields(volume=1)),
        Estimate("memory: grid", max(grid), sum(grid)),
        total("memory: state", fields.state),
        total("memory: step", fields.step),
    ]


def files(namelist: AbstractNamelist, shape: tuple[int, int, int]) -> list[Files]:
    """What a run of ``namelist`` on the grid ``shape = (nz, ny, nx)`` leaves on disk. A restart
    holds the sums that means need beside the state."""
    time, model = namelist.time, footprint(namelist)
    if time is None:
        return []
    plan, itemsize = build_plan(namelist, time), BYTES[namelist.precision]

    def record(stream: OutputStream, levels: int, itemsize: int) -> int:
        volume = sum(model.outputs[name].levels for name in stream.variables)
        fields = Fields(volume, len(stream.variables) - volume)
        return fields.size((levels, *shape[1:]), itemsize)

    state = model.state.size(shape, itemsize)
    sums = [record(one, shape[0], itemsize) for one in namelist.output if one.kind == "mean"]
    streams = []
    for one in namelist.output:
        count = schedule(one.every, time).count(time.steps)
        each = record(one, len(one.levels or range(shape[0])), BYTES[one.precision])
        streams.append(Files(f"fields/{one.name}", count, each, count))
    written = sorted({*due_until(plan.restarts, time.steps), time.steps})
    kept = {*written[-plan.keep_last :], *filter(plan.milestones.due, written)}
    restarts = Files(RESTARTS, len(kept), state + sum(sums), len(written))
    count = plan.snapshots.count(time.steps)
    return [restarts, *([Files("snapshots", count, state, count)] if count else []), *streams]


def grid_size(namelist: AbstractNamelist, shape: tuple[int, int, int]) -> int:
    """Bytes of one rank's grid with its halos on a block of ``shape = (nz, ny, nx)``.

    At each of the four kinds of point: depth and wet levels per column, a mask that varies along z
    over topography, and six metrics where they are not functions of x or y alone.
    """
    nz, ny, nx = shape
    itemsize = BYTES[namelist.precision]
    mask = 1 if isinstance(namelist.bottom, FlatBottom) else nz
    metrics = 6 * itemsize if isinstance(namelist.grid, GridFromFile) else 0
    return 4 * (itemsize + 4 + mask + metrics) * (ny + 2 * HALO) * (nx + 2 * HALO)
