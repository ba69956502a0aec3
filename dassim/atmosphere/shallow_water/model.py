"""The shallow-water equations on a C-grid, over an uneven bottom.

In vector-invariant form, with mass in flux form::

    du/dt = + (f + zeta) v - d(K + g (h + b))/dx + F_x
    dv/dt = - (f + zeta) u - d(K + g (h + b))/dy + F_y
    dh/dt + div(h u) = 0
    d(h c)/dt + div(h u c) = 0

``h`` is the fluid's thickness, ``b`` the height of the ground. In space mass is conserved to
round-off, and without friction and polar filter so is the energy
``sum of h (K + g (h / 2 + b))`` (Sadourny 1975, J. Atmos. Sci. 32, 680).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.atmosphere.shallow_water import output as fields_for_output
from dassim.atmosphere.shallow_water.state import VARIABLES, ShallowWaterState
from dassim.dynamics.continuity import horizontal_outflow, volume_transports
from dassim.dynamics.friction import LateralFriction
from dassim.dynamics.momentum import (
    Conserving,
    Vector,
    gradient_force,
    kinetic_energy,
    relative_vorticity,
    vorticity_flux,
    with_poles,
)
from dassim.dynamics.polar import DAMPING_POWER, PolarFilter, filtered
from dassim.dynamics.reconstruction import WENO, Scheme
from dassim.dynamics.stepping import AbstractTimeStepper, RungeKutta3
from dassim.dynamics.tracers import tracer_flux_divergence
from dassim.grid import Field, Grid, Staggered, where
from dassim.grid.measures import Measure
from dassim.grid.operators import avg_x_c2f, avg_y_c2f, curl, masked
from dassim.grid.variables import Variable
from dassim.parallel import Domain


class ShallowWaterParameters(eqx.Module):
    """Numbers that can be differentiated: ``gravity`` (m/s2), height of the ground ``orography``
    (m, ``(ny, nx)`` at cells, or a number), friction."""

    gravity: Any = 9.80616
    orography: Any = 0.0
    friction: LateralFriction = eqx.field(default_factory=LateralFriction)


class View(eqx.Module):
    """A state with halos: ``fields`` by name, ``thickness`` (m) at all four kinds of points."""

    grid: Grid
    fields: dict[str, Field]
    thickness: Staggered
    orography: Field
    gravity: Any

    @property
    def u(self) -> Field:
        return self.fields["u"]

    @property
    def v(self) -> Field:
        return self.fields["v"]

    @property
    def tracers(self) -> dict[str, Field]:
        return {name: field for name, field in self.fields.items() if name not in VARIABLES}

    @property
    def relative_vorticity(self) -> Field:
        """1/s, at corners and poles."""
        turning = relative_vorticity(self.grid, self.u, self.v)
        return with_poles(self.grid, turning, curl(self.grid, self.u, self.v))

    @property
    def vorticity(self) -> Field:
        """Absolute, 1/s, at corners and poles."""
        return self.grid.coriolis.q + self.relative_vorticity

    @property
    def surface(self) -> Field:
        """Height of the free surface (m)."""
        return self.thickness.c + self.orography


class ShallowWaterModel(eqx.Module):
    """The discretised equations: which grid, which schemes, which time step (s).

    ``polar``: the zonal filter of all tendencies, for grids that reach the poles.
    """

    grid: Grid
    time_step: float = eqx.field(static=True)
    polar: PolarFilter | None = None
    conserving: Conserving = eqx.field(static=True, default="energy")
    tracer_advection: Scheme = eqx.field(static=True, default=WENO(5))
    stepper: AbstractTimeStepper = RungeKutta3()
    halo: int = eqx.field(static=True, default=4)

    @property
    def domain(self) -> Domain:
        return self.grid.domain

    @property
    def variables(self) -> dict[str, Variable]:
        return VARIABLES

    @property
    def outputs(self) -> dict[str, Variable]:
        """The state's variables and the diagnosed ones."""
        return fields_for_output.OUTPUTS

    def output_variables(
        self, parameters: ShallowWaterParameters, state: ShallowWaterState
    ) -> dict[str, Variable]:
        """``outputs`` and the passive tracers."""
        return fields_for_output.output_variables(state.tracers)

    def output(
        self, parameters: ShallowWaterParameters, state: ShallowWaterState, names: Iterable[str]
    ) -> dict[str, jax.Array]:
        """Owned points of the outputs ``names``; traceable."""
        return fields_for_output.output(self.view(parameters, state), state, names)

    def measures(
        self, parameters: ShallowWaterParameters, state: ShallowWaterState
    ) -> dict[str, Measure]:
        """The numbers by which a run is watched."""
        return fields_for_output.measures(
            self.view(parameters, state), self.polar, self.time_step, self.stepper
        )

    def start(self, state: ShallowWaterState) -> ShallowWaterState:
        """``state`` with what the time stepper needs besides the physical fields."""
        return self.stepper.start(state)

    def step(
        self, parameters: ShallowWaterParameters, state: ShallowWaterState
    ) -> ShallowWaterState:
        """``state`` one time step later. Pure, differentiable in both arguments."""

        def advance(base: ShallowWaterState, at: ShallowWaterState, dt: Any) -> ShallowWaterState:
            seconds = jnp.asarray(dt, base.h.dtype)
            rates, before = self.tendencies(parameters, at), base.fields()

            def moved(name: str) -> jax.Array:
                return self.grid.owned(before[name] + seconds * rates[name])

            h = moved("h")
            tracers = {
                name: (base.h * tracer + seconds * self.grid.owned(rates[name])) / h
                for name, tracer in base.tracers.items()
            }
            u, v = moved("u"), moved("v")
            return replace(base, u=u, v=v, h=h, tracers=tracers, time=base.time + dt)

        return self.stepper.step(advance, state, self.time_step)

    def view(self, parameters: ShallowWaterParameters, state: ShallowWaterState) -> View:
        """``state`` with halos: one message per direction."""
        grid = self.grid
        ground = jnp.broadcast_to(jnp.asarray(parameters.orography, state.h.dtype), state.h.shape)
        fields, ground = grid.exchange((state.fields(), Field.at("c", ground)), self.halo)
        at_c = where(grid.mask.c, fields["h"], 1.0)
        at_u, at_v = avg_x_c2f(at_c), avg_y_c2f(at_c)
        thickness = Staggered(c=at_c, u=at_u, v=at_v, q=mean_around(grid, fields["h"]))
        return View(grid, fields, thickness, ground, parameters.gravity)

    def tendencies(
        self, parameters: ShallowWaterParameters, state: ShallowWaterState
    ) -> dict[str, Field]:
        """Rates of change at the owned points: of ``u`` and ``v`` (m/s2), of ``h`` (m/s), and of
        the content ``h c`` of each tracer."""
        grid, here = self.grid, self.view(parameters, state)
        transports = volume_transports(grid, here.u, here.v, here.thickness)
        along_x, along_y = self._acceleration(here)
        friction = parameters.friction(grid, here.u, here.v)
        rates = {
            "u": self._filtered(grid.mask.u, along_x),
            "v": self._filtered(grid.mask.v, along_y),
            "h": self._filtered(grid.mask.c, -horizontal_outflow(*transports) / grid.area.c),
        }
        if friction is not None:
            rates["u"] = rates["u"] + self._filtered(grid.mask.u, friction[0], DAMPING_POWER)
            rates["v"] = rates["v"] + self._filtered(grid.mask.v, friction[1], DAMPING_POWER)
        none = Field(jnp.zeros((2, 1, 1), state.h.dtype), (None, None, None))
        for name, tracer in here.tracers.items():
            content = tracer_flux_divergence(
                grid, tracer, *transports, none, self.tracer_advection, grid.mask.c
            )
            rates[name] = self._filtered(grid.mask.c, content)
        return rates

    def _acceleration(self, here: View) -> Vector:
        grid = self.grid
        energy = kinetic_energy(grid, here.u, here.v) + here.gravity * here.surface
        turned = vorticity_flux(
            grid, here.vorticity, here.u, here.v, here.thickness, self.conserving
        )
        pushed = gradient_force(grid, energy)
        return turned[0] + pushed[0], turned[1] + pushed[1]

    def _filtered(self, mask: Field, rate: Field, power: int = 1) -> Field:
        owned = self.grid.owned(masked(mask, rate))
        return filtered(self.polar, Field.at(rate.location, owned), power)


def mean_around(grid: Grid, thickness: Field) -> Field:
    """Of the wet cells around each corner, at coasts and poles fewer than four; 1 m where there are
    none."""

    def around(field: Field) -> Field:
        return avg_x_c2f(avg_y_c2f(field))

    share = around(1.0 * grid.mask.c)
    total = around(masked(grid.mask.c, thickness))
    return where(share > 0.0, total, 1.0) / where(share > 0.0, share, 1.0)
