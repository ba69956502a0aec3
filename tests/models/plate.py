"""Heat in a plate with a dye: a model with measures, several kinds of leaves, and a way to fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid.measures import Extreme, Mean, Measure
from dassim.grid.variables import Variable
from dassim.parallel import Domain

NZ = 2


@partial(jax.tree_util.register_dataclass, data_fields=["T", "tracers", "time"], meta_fields=[])
@dataclass(frozen=True)
class PlateState:
    """``T (2, ny, nx)``, ``tracers`` by name ``(ny, nx)``, ``time``."""

    T: Any
    tracers: dict[str, Any] = field(default_factory=dict)
    time: Any = 0.0


class Plate(eqx.Module):
    """``dT/dt = mixing laplacian(T) + growth T`` in two layers; dye is carried away by decay.

    Parameters: ``growth (ny, nx)`` of this rank. ``T`` beyond 100 counts as unstable.
    """

    domain: Domain = eqx.field(static=True)
    time_step: float = eqx.field(static=True, default=60.0)

    @classmethod
    def create(cls, shape: tuple[int, int] = (6, 8), **options: Any) -> Plate:
        return cls(Domain.create(shape, periodic=(False, True), **options))

    @property
    def variables(self) -> dict[str, Variable]:
        return {
            "T": Variable("T", "c", "degC", "temperature", "sea_water_temperature"),
            "dye": Variable("dye", "c", "1", "dye", levels=False),
        }

    def state(self, seed: int = 0) -> PlateState:
        rng = np.random.default_rng(seed)
        T = rng.uniform(10, 20, (NZ, *self.domain.global_shape))
        dye = rng.random(self.domain.global_shape)
        return PlateState(
            jnp.asarray(self.domain.local(T)),
            {"dye": jnp.asarray(self.domain.local(dye))},
            jnp.zeros(()),
        )

    def parameters(self, hot: tuple[int, int] | None = None) -> dict[str, jax.Array]:
        """With ``hot``, the heat at that row and column grows a hundredfold each step."""
        growth = np.zeros(self.domain.global_shape)
        if hot is not None:
            growth[hot] = 100.0
        return {"growth": jnp.asarray(self.domain.local(growth))}

    def step(self, parameters: Any, state: PlateState) -> PlateState:
        wide = self.domain.exchange(state.T, 1)
        around = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
        T = state.T + 0.01 * (around - 4.0 * state.T) + parameters["growth"] * state.T
        dye = 0.99 * state.tracers["dye"] + 0.001 * T[0]
        return PlateState(T, {"dye": dye}, state.time + self.time_step)

    def output(self, parameters: Any, state: PlateState, names: Any) -> dict[str, Any]:
        fields = {"T": state.T, "dye": state.tracers["dye"]}
        return {name: fields[name] for name in names}

    def measures(self, parameters: Any, state: PlateState) -> dict[str, Measure]:
        return {
            "mean_temperature": Mean(
                jnp.sum(state.T), jnp.asarray(1.0 * state.T.size), "degC", "T"
            ),
            "highest_temperature": Extreme(state.T, "largest", "degC", "up to", limit=100.0),
            "lowest_dye": Extreme(state.tracers["dye"], "smallest", limit=-1.0),
        }
