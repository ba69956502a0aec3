"""How near a configuration is to the limits of its time step, term by term and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from dassim.dynamics.free_surface import SplitExplicit, fastest_waves
from dassim.dynamics.implicit import open_faces
from dassim.grid import Field, apply, maximum
from dassim.grid.operators import masked, sum_z
from dassim.ocean.measures import advection_rate
from dassim.ocean.model import OceanModel
from dassim.ocean.parameters import OceanParameters
from dassim.ocean.state import OceanState


@dataclass(frozen=True)
class Limit:
    """``value`` of a dimensionless step (``dt`` times a rate) against its ``limit``."""

    term: str
    value: float
    limit: float
    where: tuple[int, int]
    """Global row and column of the largest value."""
    longest_step: float
    """The longest time step (s) that this term allows."""

    @property
    def ok(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "within" if self.ok else "beyond"
        return (
            f"{self.term}: {self.value:.3g} is {verdict} the limit {self.limit:.3g} at row "
            f"{self.where[0]}, column {self.where[1]}; time step at most {self.longest_step:.4g} s"
        )


def stability_limits(
    model: OceanModel, parameters: OceanParameters, state: OceanState, speed: float = 0.0
) -> list[Limit]:
    """All terms that bound the time step, each with its worst cell over all ranks.

    Where the flow of ``state`` is slower than ``speed`` (m/s), as in a start from rest, advection
    is that of such a flow in the worst direction.

    Explicit terms only: vertical mixing and drag are implicit. With
    ``k = 2 sqrt(1/dx^2 + 1/dy^2)``, the largest wavenumber::

        advection    dt (|u|/dx + |v|/dy + |w|/dz)
        Coriolis     dt |f|
        internal waves   dt c k,     c = sum(N dz) / pi, the first baroclinic mode
        surface waves    dt sqrt(g H) k / (2 substeps), of a split-explicit free surface
        friction     dt (nu k^2 + nu_4 k^4),   diffusion likewise
    """
    rates = _rates(model, parameters, state, speed)
    return [_limit(model, term, rate, limit) for term, rate, limit in rates]


@eqx.filter_jit
def _rates(
    model: OceanModel, parameters: OceanParameters, state: OceanState, speed: float
) -> list[tuple[str, Field, float]]:
    """Terms, their rates (1/s) at cells, and the largest stable ``dt`` times rate."""
    here, grid, stepper = model.view(parameters, state), model.grid, model.stepper
    wavenumber2 = 4.0 * (grid.dx.c**-2.0 + grid.dy.c**-2.0)
    courant = maximum(advection_rate(model, here), 0.5 * speed * apply(jnp.sqrt, wavenumber2))
    between_wet = open_faces(grid.wet.c, grid.levels.count)
    stable = masked(between_wet, maximum(here.stratification, 0.0))
    frequency = apply(jnp.sqrt, stable)
    interior_dz = Field(grid.levels.dz.f.data[1:-1], (*here.stratification.spans[:1], None, None))
    mode_speed = sum_z(frequency * interior_dz) / np.pi

    rates: list[tuple[str, Field, float]] = [
        ("advection (Courant number)", courant, min(1.0, stepper.oscillation_limit)),
        ("Coriolis force", abs(grid.coriolis.c), stepper.oscillation_limit),
        (
            "internal gravity waves",
            mode_speed * apply(jnp.sqrt, wavenumber2),
            stepper.oscillation_limit,
        ),
    ]
    if isinstance(model.free_surface, SplitExplicit):
        substeps = model.free_surface.substeps
        waves = fastest_waves(grid, model.free_surface.gravity) / substeps
        rates.append((f"surface gravity waves in {substeps} substeps", waves, 1.0))
    for kind, term, names in (
        ("viscosity", parameters.friction, ("viscosity", "biharmonic")),
        ("diffusivity", parameters.diffusion, ("diffusivity", "biharmonic")),
    ):
        for name, power in zip(names, (1, 2), strict=True):
            coefficient = getattr(term, name)
            if coefficient is None:
                continue
            scaled = _scaled(coefficient, grid.area.c, term.scale_length, 2 * power - 1)
            label = kind if name == kind else f"biharmonic {kind}"
            rates.append((label, wavenumber2**power * scaled, stepper.decay_limit))
    return rates


def _scaled(coefficient: Any, area: Field, scale_length: float | None, power: int) -> Any:
    if scale_length is None:
        return coefficient
    return coefficient * (apply(jnp.sqrt, area) / scale_length) ** power


def _limit(model: OceanModel, term: str, rate: Field, limit: float) -> Limit:
    grid = model.grid
    column = masked(grid.mask.c, rate)
    owned = np.asarray(grid.owned(column))
    owned = owned.reshape(-1, *owned.shape[-2:]).max(axis=0)
    block = grid.domain.block
    j, i = np.unravel_index(int(owned.argmax()), owned.shape)
    worst = max(
        grid.domain.comm.allgather(
            (float(owned[j, i]), (int(block.y.start + j), int(block.x.start + i)))
        )
    )
    value = worst[0] * model.time_step
    longest = limit / worst[0] if worst[0] > 0 else np.inf
    return Limit(term, value, limit, worst[1], longest)
