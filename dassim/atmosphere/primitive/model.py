"""The hydrostatic primitive equations of the atmosphere on a C-grid, in hybrid coordinates.

Between faces at the pressure ``a + b ps``, with ``a = 0`` of sigma coordinates, the pressure
thickness ``h = d(a) + d(b) ps`` of the levels and the flow ``w`` of pressure through their faces::

    du/dt = + (f + zeta) v - d(K + phi)/dx - R T d(ln p)/dx - (w du/dz) / h + F
    dv/dt = ...
    d(ps)/dt + div(sum of h u) = 0
    d(h T)/dt + div(h u T) + d(w T)/dz = kappa h T omega / p + Q
    d(h c)/dt + div(h u c) + d(w c)/dz = ...

In moist air the virtual temperature, ``T (1 + 0.608 q)``, stands for ``T`` beside the gas constant.

They are those of the ocean with pressure for height (Marshall et al. 2004, Mon. Wea. Rev. 132,
2882): ``dynamics`` moves both. In space mass is conserved to round-off, and without forcing,
friction and polar filter so is the energy ``sum of h (cp T + K) + ps phi_s``
(see :mod:`dassim.atmosphere.primitive.column`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive import output as fields_for_output
from dassim.atmosphere.primitive.column import (
    Continuity,
    Weights,
    geopotential,
    pressure_work,
    stretching,
    thickness,
)
from dassim.atmosphere.primitive.parameters import AtmosphereParameters
from dassim.atmosphere.primitive.physics import Columns
from dassim.atmosphere.primitive.state import VARIABLES, AtmosphereState
from dassim.atmosphere.primitive.water import virtual_factor
from dassim.dynamics.continuity import volume_transports
from dassim.dynamics.friction import sum_of
from dassim.dynamics.momentum import (
    Vector,
    gradient_force,
    kinetic_energy,
    relative_vorticity,
    vertical_advection,
    vorticity_flux,
)
from dassim.dynamics.polar import PolarFilter, filtered
from dassim.dynamics.reconstruction import WENO, Centred, Scheme
from dassim.dynamics.stepping import AbstractTimeStepper, RungeKutta3
from dassim.dynamics.tracers import tracer_flux_divergence
from dassim.grid import Field, Grid, Staggered, apply, where
from dassim.grid.levels import REFERENCE_PRESSURE
from dassim.grid.measures import Measure
from dassim.grid.operators import (
    avg_x_c2f,
    avg_x_f2c,
    avg_y_c2f,
    avg_y_f2c,
    diff_x_c2f,
    diff_y_c2f,
    masked,
)
from dassim.grid.variables import Variable
from dassim.parallel import Domain

DAMPING_POWER = 4
"""How often friction and diffusion are filtered: as often as biharmonic terms differentiate."""


class View(eqx.Module):
    """A state with halos: ``fields`` by name; ``stretch`` of the levels over their thickness at
    rest, and their pressure thickness (Pa), at all four kinds of points; surface geopotential;
    virtual temperature; ``weights`` of sums over the column."""

    grid: Grid
    fields: dict[str, Field]
    stretch: Staggered
    thickness: Staggered
    ground: Field
    virtual_temperature: Field
    weights: Weights

    @property
    def u(self) -> Field:
        return self.fields["u"]

    @property
    def v(self) -> Field:
        return self.fields["v"]

    @property
    def temperature(self) -> Field:
        return self.fields["T"]

    @property
    def tracers(self) -> dict[str, Field]:
        """Temperature and what else the air carries."""
        return {name: f for name, f in self.fields.items() if name not in ("u", "v", "ps")}

    @property
    def transports(self) -> Vector:
        """Pa m2/s through the faces of cells."""
        return volume_transports(self.grid, self.u, self.v, self.thickness)


class AtmosphereModel(eqx.Module):
    """The discretised equations: which grid, which schemes, which time step (s).

    ``polar``: the zonal filter of all tendencies, for grids that reach the poles.
    """

    grid: Grid
    time_step: float = eqx.field(static=True)
    polar: PolarFilter | None = None
    advection: Scheme = eqx.field(static=True, default=WENO(5))
    vertical_advection: Scheme = eqx.field(static=True, default=Centred(2))
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
        self, parameters: AtmosphereParameters, state: AtmosphereState
    ) -> dict[str, Variable]:
        """``outputs``, the tracers, what is made of vapour, and fluxes."""
        return fields_for_output.output_variables(state.tracers, state.fluxes)

    def output(
        self, parameters: AtmosphereParameters, state: AtmosphereState, names: Iterable[str]
    ) -> dict[str, jax.Array]:
        """Owned points of the outputs ``names``; traceable."""
        return fields_for_output.output(
            lambda: self.view(parameters, state), parameters, state, names
        )

    def measures(
        self, parameters: AtmosphereParameters, state: AtmosphereState
    ) -> dict[str, Measure]:
        """The numbers by which a run is watched."""
        return fields_for_output.measures(self, parameters, state)

    def start(self, state: AtmosphereState) -> AtmosphereState:
        """``state`` with what the time stepper needs besides the physical fields."""
        return self.stepper.start(state)

    def step(self, parameters: AtmosphereParameters, state: AtmosphereState) -> AtmosphereState:
        """``state`` one time step later: dynamics, then physics."""

        def advance(base: AtmosphereState, at: AtmosphereState, dt: Any) -> AtmosphereState:
            return self._advance(parameters, base, at, dt)

        moved = self.stepper.step(advance, state, self.time_step)
        return self._physics(parameters, moved)

    def view(self, parameters: AtmosphereParameters, state: AtmosphereState) -> View:
        """``state`` with halos: one message per direction."""
        grid = self.grid
        height = jnp.asarray(parameters.orography, state.ps.dtype) * parameters.gravity
        ground = Field.at("c", jnp.broadcast_to(height, state.ps.shape))
        fields, ground = grid.exchange((state.fields(), ground), self.halo)
        # Behind walls stand the numbers of air at rest, which no logarithm is afraid of.
        fields["ps"] = where(grid.mask.c, fields["ps"], REFERENCE_PRESSURE)
        at_c = stretching(grid, fields["ps"])
        at_u, at_v = avg_x_c2f(at_c), avg_y_c2f(at_c)
        stretch = Staggered(c=at_c, u=at_u, v=at_v, q=avg_x_c2f(at_v))
        dz = grid.levels.dz.c
        virtual = fields["T"]
        if "q" in fields:
            gas, water = parameters.gas_constant, parameters.water
            virtual = virtual * apply(lambda q: virtual_factor(q, gas, water), fields["q"])
        at_all = stretch.map(lambda s: dz * s)
        weights = Weights.of(grid, fields["ps"])
        return View(grid, fields, stretch, at_all, ground, virtual, weights)

    # -- dynamics ---------------------------------------------------------------------------------

    def _advance(
        self,
        parameters: AtmosphereParameters,
        base: AtmosphereState,
        at: AtmosphereState,
        dt: Any,
    ) -> AtmosphereState:
        seconds = jnp.asarray(dt, base.ps.dtype)
        rates = self.tendencies(parameters, at)

        def moved(name: str) -> jax.Array:
            return getattr(base, name) + seconds * self.grid.owned(rates[name])

        ps = moved("ps")
        before, after = (
            self.grid.owned(thickness(self.grid, Field.at("c", each))) for each in (base.ps, ps)
        )

        def carried(name: str, value: jax.Array) -> jax.Array:
            content = before * value + seconds * self.grid.owned(rates[name])
            return content / after

        return replace(
            base,
            u=moved("u"),
            v=moved("v"),
            T=carried("T", base.T),
            ps=ps,
            tracers={name: carried(name, tracer) for name, tracer in base.tracers.items()},
            time=base.time + dt,
        )

    def tendencies(
        self, parameters: AtmosphereParameters, state: AtmosphereState
    ) -> dict[str, Field]:
        """Rates of change at the owned points by the dynamics: of ``u`` and ``v`` (m/s2), of ``ps``
        (Pa/s), and of the contents ``h T`` and ``h c``."""
        grid, here = self.grid, self.view(parameters, state)
        transports = here.transports
        outflow, rising, upward = Continuity.of(grid, *transports)
        along_x, along_y = self._acceleration(parameters, here, upward)
        rates = {
            "u": self._filtered(grid.mask.u, along_x),
            "v": self._filtered(grid.mask.v, along_y),
            "ps": self._filtered(grid.mask.c, rising),
        }
        for name, tracer in here.tracers.items():
            content = tracer_flux_divergence(
                grid,
                tracer,
                *transports,
                upward,
                self.advection,
                grid.mask.c,
                self.vertical_advection,
            )
            if name == "T":
                content = content + self._compression(parameters, here, outflow)
            rates[name] = self._filtered(grid.mask.c, content)
        return self._damped(parameters, here, rates)

    def _acceleration(self, parameters: AtmosphereParameters, here: View, upward: Field) -> Vector:
        """By inertia, the Coriolis force and the pressure gradient."""
        grid, u, v = self.grid, here.u, here.v
        gas, T = parameters.gas_constant, here.virtual_temperature
        phi = geopotential(here.weights, gas, T, here.ground)
        along_x, along_y = _differences_of_pressure(here)
        pressure = (
            -gas * avg_x_c2f(T) * along_x / grid.dx.u,
            -gas * avg_y_c2f(T) * along_y / grid.dy.v,
        )
        vorticity = grid.coriolis.q + relative_vorticity(grid, u, v)
        terms = [
            vorticity_flux(grid, vorticity, u, v, here.stretch),
            gradient_force(grid, phi + kinetic_energy(grid, u, v)),
            vertical_advection(grid, upward, u, v, here.thickness),
            pressure,
        ]
        return sum_of([term[0] for term in terms]), sum_of([term[1] for term in terms])

    def _compression(self, parameters: AtmosphereParameters, here: View, outflow: Field) -> Field:
        """``kappa h T omega / p`` (K Pa/s) at cells."""
        grid, kappa, T = self.grid, parameters.air.kappa, here.virtual_temperature
        through_x, through_y = here.transports
        along_x, along_y = _differences_of_pressure(here)
        along = avg_x_f2c(through_x * avg_x_c2f(T) * along_x)
        along = along + avg_y_f2c(through_y * avg_y_c2f(T) * along_y)
        return kappa * (along - pressure_work(here.weights, T, outflow)) / grid.area.c

    def _damped(
        self, parameters: AtmosphereParameters, here: View, rates: dict[str, Field]
    ) -> dict[str, Field]:
        """``rates`` with those of friction and diffusion."""
        grid = self.grid
        found: dict[str, list[Field]] = {}
        for term in (parameters.friction, parameters.divergence_damping):
            if (friction := term(grid, here.u, here.v)) is not None:
                found.setdefault("u", []).append(masked(grid.mask.u, friction[0]))
                found.setdefault("v", []).append(masked(grid.mask.v, friction[1]))
        for name, tracer in here.tracers.items():
            if (diffused := parameters.diffusion(grid, tracer, here.thickness)) is not None:
                found[name] = [masked(grid.mask.c, diffused)]
        damping = {name: sum_of(terms) for name, terms in found.items()}
        return {
            name: rate + self._filtered(True, damping[name], DAMPING_POWER)
            if name in damping
            else rate
            for name, rate in rates.items()
        }

    def _filtered(self, mask: Any, rate: Field, power: int = 1) -> Field:
        owned = self.grid.owned(masked(mask, rate))
        return filtered(self.polar, Field.at(rate.location, owned), power)

    # -- physics ----------------------------------------------------------------------------------

    def _physics(self, parameters: AtmosphereParameters, state: AtmosphereState) -> AtmosphereState:
        """``state`` after every process of ``parameters.physics`` has acted for a time step, with
        the fluxes of all together."""
        fluxes = {name: jnp.zeros_like(flux) for name, flux in state.fluxes.items()}
        for process in parameters.physics:
            columns = Columns.of(self.grid, parameters, state)
            change = process(columns, self.time_step)
            state = columns.moved(state, change, self.time_step)
            fluxes |= {n: fluxes[n] + flux for n, flux in change.fluxes.items() if n in fluxes}
        return replace(state, fluxes=fluxes)


def _differences_of_pressure(here: View) -> Vector:
    """Of the logarithm of the levels' pressure, between cells along x and along y."""
    ground, above = apply(jnp.log, here.fields["ps"]), here.weights.level
    return diff_x_c2f(ground) + diff_x_c2f(above), diff_y_c2f(ground) + diff_y_c2f(above)
