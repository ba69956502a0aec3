"""A state as the physics sees it: fields with halos, and what many terms derive from them."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from dassim.dynamics.continuity import stretching
from dassim.grid import Field, Grid, Staggered
from dassim.ocean.state import OceanState


class View(eqx.Module):
    """``fields`` by name (``u``, ``v``, ``T``, ``S``, ``eta``, tracers), with halos.

    ``stretch`` is each column's thickness over that at rest, ``thickness`` (m) that of the levels,
    both at cells, x-faces, y-faces and corners; ``buoyancy`` (m/s2) and ``stratification`` N2
    (1/s2, interior z faces) at cells.
    """

    grid: Grid
    fields: dict[str, Field]
    stretch: Staggered
    thickness: Staggered
    buoyancy: Field
    stratification: Field
    time: Any

    @property
    def u(self) -> Field:
        return self.fields["u"]

    @property
    def v(self) -> Field:
        return self.fields["v"]

    @property
    def eta(self) -> Field:
        return self.fields["eta"]

    @property
    def tracers(self) -> dict[str, Field]:
        """All tracers: ``T``, ``S`` and the passive ones."""
        return {k: f for k, f in self.fields.items() if k not in ("u", "v", "eta")}


def view(grid: Grid, eos: Any, state: OceanState, halo: int, moving_levels: bool) -> View:
    """``state`` with halos ``halo`` points wide: one message per direction."""
    fields = grid.exchange(state.fields(), halo)
    stretch = layer_stretch(grid, fields["eta"], moving_levels)
    dz = grid.levels.dz.c
    buoyancy, stratification = eos.buoyancy_and_stratification(
        fields["T"], fields["S"], grid.levels
    )
    return View(
        grid,
        fields,
        stretch,
        stretch.map(lambda s: dz * s),
        buoyancy,
        stratification,
        state.time,
    )


def layer_stretch(grid: Grid, eta: Field, moving_levels: bool) -> Staggered:
    """Thickness over thickness at rest: follows ``eta`` on z* levels, 1 on fixed ones."""
    if moving_levels:
        return stretching(grid, eta)
    one = Field.constant(grid.levels.dz.c.data.dtype.type(1))
    return Staggered(one, one, one, one)
