"""How near a model is to the limits of its explicit time step, term by term and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.grid import Field, Grid, apply
from dassim.grid.operators import masked

Rate = tuple[str, Field, float]
"""A term's name, its rate (1/s) at cells, and the largest stable ``dt`` times rate."""


BESIDE_POLES = 1.4
"""Times ``nu_4 k^4``: the largest rate of biharmonic terms in the rows beside a pole, where the
filter acts on the second Laplacian and not on the first. On 32, 64, 90 and 180 rows 1.11, 1.35,
1.36 and 1.37 are found by power iteration."""


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


def limits(grid: Grid, time_step: float, rates: Iterable[Rate]) -> list[Limit]:
    """The limit of every term, with its worst wet cell over all ranks, which call this together."""
    return [_limit(grid, time_step, *rate) for rate in rates]


def _limit(grid: Grid, time_step: float, term: str, rate: Field, limit: float) -> Limit:
    owned = np.asarray(grid.owned(masked(grid.mask.c, rate)))
    owned = owned.reshape(-1, *owned.shape[-2:]).max(axis=0)
    block = grid.domain.block
    j, i = np.unravel_index(int(owned.argmax()), owned.shape)
    worst = max(
        grid.domain.comm.allgather(
            (float(owned[j, i]), (int(block.y.start + j), int(block.x.start + i)))
        )
    )
    longest = limit / worst[0] if worst[0] > 0 else np.inf
    return Limit(term, worst[0] * time_step, limit, worst[1], longest)


def damping_rates(
    grid: Grid, kind: str, term: Any, wavenumber2: Field, limit: float, label: str | None = None
) -> Iterable[Rate]:
    """``nu k^2`` and ``nu_4 k^4`` of a lateral friction or diffusion, those of the coefficients
    that it has. ``kind``: the name of the first, viscosity or diffusivity; ``label``: what people
    know it by, where that is something else."""
    label = kind if label is None else label
    for power, name, prefix in ((1, kind, ""), (2, "biharmonic", "biharmonic ")):
        coefficient = getattr(term, name, None)
        if coefficient is None:
            continue
        if term.scale_length is not None:
            length = apply(jnp.sqrt, grid.area.c) / term.scale_length
            coefficient = coefficient * length ** (2 * power - 1)
        rate = wavenumber2**power * coefficient
        yield prefix + label, rate * beside_poles(grid) if power == 2 else rate, limit


def beside_poles(grid: Grid) -> Field | float:
    """:data:`BESIDE_POLES` in the two rows beside a pole, else 1."""
    if not any(grid.horizontal.poles):
        return 1.0
    rows = 180.0 / grid.domain.global_shape[0]
    return apply(lambda lat: jnp.where(abs(lat) > 90.0 - 2.0 * rows, BESIDE_POLES, 1.0), grid.y.c)
