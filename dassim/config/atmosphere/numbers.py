"""Numbers of the atmosphere that can be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax

from dassim.config.objectives import Number, mean_over_box, no_number
from dassim.config.schema import assimilation as schema
from dassim.grid import Grid
from dassim.grid.variables import Variable


class Integral(eqx.Module):
    """A rank's share of an integral over the grid, as a function of the state."""

    of: Callable[[Grid, Any], jax.Array] = eqx.field(static=True)
    grid: Grid

    def __call__(self, state: Any) -> jax.Array:
        return self.of(self.grid, state)


def numbers(
    kinetic_energy: Callable[[Grid, Any], jax.Array], units: str
) -> Callable[[Any, Any, Mapping[str, Variable]], Number]:
    """Which number a section names, of models with this integral of the kinetic energy, in
    ``units``. All ranks call what is returned together."""

    def number(section: Any, model: Any, variables: Mapping[str, Variable]) -> Number:
        if isinstance(section, schema.MeanOverBox):
            return mean_over_box(section, model, variables)
        if isinstance(section, schema.KineticEnergy):
            return Number("kinetic_energy", units, Integral(kinetic_energy, model.grid))
        return no_number(section, model, variables)

    return number
