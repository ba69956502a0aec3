"""From a validated namelist to the objects that compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from dassim.config.bathymetry import bottom_depth, check_depth
from dassim.config.errors import NamelistError, Problem
from dassim.config.horizontal import build_horizontal, cell_centres
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.vertical import build_levels
from dassim.grid import Grid, GridError
from dassim.grid import build_grid as assemble
from dassim.parallel import (
    AbstractCommunicator,
    Decomposition,
    DecompositionError,
    Domain,
    SerialCommunicator,
    world,
)


def build_grid(namelist: AbstractNamelist, domain: Domain) -> Grid:
    """This rank's part of the grid that ``namelist`` describes.

    All ranks call this together; what one of them refuses is raised as NamelistError on all.
    """
    if jax.dtypes.canonicalize_dtype(namelist.precision) != namelist.precision:
        raise RuntimeError(
            f"precision: {namelist.precision} with 64-bit numbers switched off in JAX; call "
            f'jax.config.update("jax_enable_x64", True) at the start of the program'
        )
    comm = domain.comm
    with _blamed_on("grid", comm=comm):
        horizontal = build_horizontal(namelist.grid, domain, namelist.precision)
        centres = cell_centres(namelist.grid)
    with _blamed_on("vertical", comm=comm):
        column = build_levels(namelist.column, namelist.precision)
    with _blamed_on("bathymetry", comm=comm):
        depth = bottom_depth(namelist.bottom, centres)
    if depth is not None:
        check_depth(depth, centres, domain)
    return assemble(horizontal, column, depth)


def build_domain(namelist: AbstractNamelist, comm: AbstractCommunicator | None = None) -> Domain:
    """The grid's division over the ranks of ``comm`` (default: all of this run), seen from this
    rank."""
    comm = world() if comm is None else comm
    return Domain(comm, build_decomposition(namelist, comm.size))


def build_decomposition(namelist: AbstractNamelist, size: int) -> Decomposition:
    """The grid's division over ``size`` ranks, as the ``decomposition`` section says."""
    layout = namelist.decomposition.layout
    with _blamed_on("decomposition", "layout"):
        return Decomposition.choose(
            cell_centres(namelist.grid).shape,
            size,
            layout=None if layout == "auto" else layout,
            periodic=("y" in namelist.grid.periodic, "x" in namelist.grid.periodic),
            minimum=namelist.narrowest_block,
            bands=namelist.whole_circles,
        )


SERIAL = SerialCommunicator()


@contextmanager
def _blamed_on(*path: str, comm: AbstractCommunicator = SERIAL) -> Iterator[None]:
    """What the grid or the decomposition refuses on any rank of ``comm`` is a problem of the
    section ``path`` on all. The body sends no messages."""
    refusal = None
    try:
        yield
    except (GridError, DecompositionError) as error:
        refusal = NamelistError([Problem(path, str(error))])
    except NamelistError as error:
        refusal = error
    first = next((found for found in comm.allgather(refusal) if found is not None), None)
    if first is not None:
        raise first
