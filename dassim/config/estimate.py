"""Bytes that a run holds in memory and writes to disk, before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any, NamedTuple

from dassim.config.schema import GridNamelist, OceanNamelist
from dassim.config.schema.bathymetry import FlatBottom
from dassim.config.schema.grid import GridFromFile
from dassim.config.schema.namelist import AbstractBasinNamelist
from dassim.parallel import Decomposition

HALO = 6
"""Width of the grid's halos."""


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
    """The fields of a model: its state, what a step holds beside it, a record of its output."""

    state: Fields = Fields()
    step: Fields = Fields()
    record: Fields = Fields()


class Estimate(NamedTuple):
    """Bytes of the rank with the largest block, and of all ranks together."""

    what: str
    largest_rank: int
    all_ranks: int


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
    fields = Fields(volume=4 + len(namelist.initial.tracers), surface=1)
    times = 2 if namelist.physics.stepper.type == "adams_bashforth_2" else 1
    state = Fields(volume=times * fields.volume, surface=times * fields.surface)
    return Footprint(state=state, step=Fields(volume=50), record=fields)


def estimates(
    namelist: AbstractBasinNamelist, decomposition: Decomposition, nz: int
) -> list[Estimate]:
    """Memory and files of a run of ``namelist`` with ``nz`` levels on ``decomposition``."""
    itemsize = 8 if namelist.precision == "float64" else 4
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
        total("file: restart", fields.state),
        total("file: output record", fields.record),
    ]


def grid_size(namelist: AbstractBasinNamelist, shape: tuple[int, int, int]) -> int:
    """Bytes of one rank's grid with its halos on a block of ``shape = (nz, ny, nx)``.

    At each of the four kinds of point: depth and wet levels per column, a mask that varies along z
    over topography, and six metrics where they are not functions of x or y alone.
    """
    nz, ny, nx = shape
    itemsize = 8 if namelist.precision == "float64" else 4
    mask = 1 if isinstance(namelist.bathymetry, FlatBottom) else nz
    metrics = 6 * itemsize if isinstance(namelist.grid, GridFromFile) else 0
    return 4 * (itemsize + 4 + mask + metrics) * (ny + 2 * HALO) * (nx + 2 * HALO)
