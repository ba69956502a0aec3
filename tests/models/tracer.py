"""A tracer that is stirred, mixed and grows logistically, written with the grid's operators."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid import Field, Grid, build_grid, cartesian, levels
from dassim.grid.operators import (
    avg_x_c2f,
    avg_y_c2f,
    divergence,
    gradient,
    masked,
    perpendicular_gradient,
)
from dassim.grid.variables import Variable
from dassim.parallel import Domain


@partial(jax.tree_util.register_dataclass, data_fields=["tracer", "time"], meta_fields=[])
@dataclass(frozen=True)
class TracerState:
    tracer: jax.Array
    time: jax.Array


class TracerModel(eqx.Module):
    """``dc/dt = -div(u c - kappa grad c) + r c (1 - c) + source`` in a re-entrant channel.

    Parameters: ``diffusivity`` (m2/s) and ``growth`` (1/s), the same on every rank, and ``source``
    (1/s), a field. Second-order Runge-Kutta.
    """

    grid: Grid
    u: Field
    v: Field
    time_step: float = eqx.field(static=True, default=0.1)

    @classmethod
    def create(cls, shape: tuple[int, int] = (12, 16), **options: Any) -> TracerModel:
        domain = Domain.create(shape, periodic=(False, True), minimum=2, **options)
        ny, nx = shape
        horizontal = cartesian(domain, np.arange(nx + 1.0), np.arange(ny + 1.0), halo=2)
        x, y = horizontal.x.q, horizontal.y.q
        wave = Field(jnp.sin(2 * jnp.pi * x.data / nx), x.spans)
        channel = Field(jnp.sin(jnp.pi * y.data / ny) ** 2, y.spans)
        u, v = perpendicular_gradient(horizontal, 0.5 * channel * (wave + 1.0))
        return cls(build_grid(horizontal, levels([1.0])), u, v)

    @property
    def domain(self) -> Domain:
        return self.grid.domain

    @property
    def variables(self) -> dict[str, Variable]:
        return {"tracer": Variable("tracer", "c", "1", "tracer", levels=False)}

    def parameters(self) -> dict[str, jax.Array]:
        ny, nx = self.domain.global_shape
        source = 0.01 * np.outer(np.hanning(ny), np.cos(2 * np.pi * np.arange(nx) / nx))
        return {
            "diffusivity": jnp.array(0.2),
            "growth": jnp.array(0.3),
            "source": jnp.asarray(self.domain.local(source)),
        }

    def state(self, whole: Any) -> TracerState:
        """This rank's part of a global ``(ny, nx)`` tracer."""
        return TracerState(jnp.asarray(self.domain.local(np.asarray(whole))), jnp.zeros(()))

    def blob(self) -> TracerState:
        y, x = np.indices(self.domain.global_shape)
        ny, nx = self.domain.global_shape
        return self.state(0.5 * np.exp(-(((y - ny / 2) / 3) ** 2) - ((x - nx / 3) / 3) ** 2))

    def step(self, parameters: Any, state: TracerState) -> TracerState:
        dt = self.time_step
        middle = state.tracer + dt / 2 * self._tendency(parameters, state.tracer)
        return TracerState(state.tracer + dt * self._tendency(parameters, middle), state.time + dt)

    def _tendency(self, parameters: Any, tracer: jax.Array) -> jax.Array:
        c = self.grid.exchange(Field.at("c", tracer), 1)
        slope_x, slope_y = gradient(self.grid, c)
        flux_x = self.u * avg_x_c2f(c) - parameters["diffusivity"] * slope_x
        flux_y = self.v * avg_y_c2f(c) - parameters["diffusivity"] * slope_y
        outflow = divergence(self.grid, flux_x, masked(self.grid.mask.v, flux_y))
        growth = parameters["growth"] * (tracer * (1 - tracer))
        return growth + parameters["source"] - self.grid.owned(outflow)
