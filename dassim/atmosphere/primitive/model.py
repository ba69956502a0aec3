"""The hydrostatic primitive equations of the atmosphere on a C-grid, in hybrid coordinates.

Between faces at the pressure ``a + b ps``, with ``a = 0`` of sigma coordinates, the pressure
thickness ``h = d(a) + d(b) ps`` of the levels and the flow ``w`` of pressure through their faces::

    du/dt = + (f + zeta) v - d(K + phi)/dx - R T d(ln p)/dx - (w du/dz) / h + F
    dv/dt = ...
    d(ps)/dt + div(sum of h u) = g (E - P)
    d(h T)/dt + div(h u T) + d(w T)/dz = kappa h T omega / p + Q
    d(h c)/dt + div(h u c) + d(w c)/dz = ...

In moist air the virtual temperature, ``T (1 + 0.608 q)``, stands for ``T`` beside the gas constant.
``ps`` is the weight of the air with its vapour: evaporation ``E`` and rain ``P`` change both (see
:mod:`dassim.atmosphere.primitive.weight`), and dry air is kept.

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
from dassim.atmosphere.primitive.fast_modes import FastModes
from dassim.atmosphere.primitive.parameters import AtmosphereParameters
from dassim.atmosphere.primitive.physics import Columns
from dassim.atmosphere.primitive.state import VARIABLES, AtmosphereState
from dassim.atmosphere.primitive.water import virtual_factor
from dassim.atmosphere.primitive.weight import weighed
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
from dassim.dynamics.polar import DAMPING_POWER, PolarFilter, filtered
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
        """What the air carries besides its temperature."""
        return {name: f for name, f in self.fields.items() if name not in VARIABLES}

    @property
    def transports(self) -> Vector:
        """Pa m2/s through the faces of cells."""
        return volume_transports(self.grid, self.u, self.v, self.thickness)


class AtmosphereModel(eqx.Module):
    """The discretised equations: which grid, which schemes, which time step (s).

    ``polar``: the zonal filter of all tendencies, for grids that reach the poles. ``fast_modes``:
    waves that move in substeps of their own; ``None``: all in steps of ``time_step``. With
    Adams-Bashforth noise grows beside them.
    """

    grid: Grid
    time_step: float = eqx.field(static=True)
    polar: PolarFilter | None = None
    fast_modes: FastModes | None = None
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
        """``outputs``, the tracers, what is made of vapour, fluxes, and the temperature of the
        surface if there is one."""
        surface = parameters.temperature_below(state) is not None
        return fields_for_output.output_variables(state.tracers, state.fluxes, surface=surface)

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
        grid, here, seconds = self.grid, self.view(parameters, at), jnp.asarray(dt, base.ps.dtype)
        transports, start = here.transports, base.fields()
        rates = self._rates_of_air(parameters, here)

        def thickness_at(ps: Field) -> Field:
            return Field.at("c", grid.owned(thickness(grid, ps)))

        before = thickness_at(start["ps"])

        def carried(name: str, rate: Field, after: Field) -> Field:
            return (before * start[name] + seconds * rate) / after

        moved = {name: start[name] + seconds * rates[name] for name in ("u", "v", "ps")}
        moved["T"] = carried("T", rates["T"], thickness_at(moved["ps"]))
        if self.fast_modes is not None:
            change = self.fast_modes.correction(
                grid, self.polar, start, at.fields(), moved, seconds
            )
            extra = volume_transports(grid, *change.wind, here.thickness)
            transports = transports[0] + extra[0], transports[1] + extra[1]
            rising = self._filtered(grid.mask.c, Continuity.of(grid, *transports).rising)
            moved |= {name: moved[name] + getattr(change, name) for name in ("u", "v", "T")}
            moved["ps"] = start["ps"] + seconds * rising
        after = thickness_at(moved["ps"])
        for name, rate in self._rates_of_tracers(parameters, here, transports).items():
            moved[name] = carried(name, rate, after)
        new = {name: grid.owned(field) for name, field in moved.items()}
        return replace(
            base,
            **{name: new[name] for name in VARIABLES},
            tracers={name: new[name] for name in base.tracers},
            time=base.time + dt,
        )

    def tendencies(
        self, parameters: AtmosphereParameters, state: AtmosphereState
    ) -> dict[str, Field]:
        """Rates of change at the owned points by the dynamics: of ``u`` and ``v`` (m/s2), of ``ps``
        (Pa/s), and of the contents ``h T`` and ``h c``."""
        here = self.view(parameters, state)
        tracers = self._rates_of_tracers(parameters, here, here.transports)
        return self._rates_of_air(parameters, here) | tracers

    def _rates_of_air(self, parameters: AtmosphereParameters, here: View) -> dict[str, Field]:
        """Of ``u``, ``v``, ``ps`` and of the content ``h T``."""
        grid, flow = self.grid, Continuity.of(self.grid, *here.transports)
        along_x, along_y = self._acceleration(parameters, here, flow.upward)
        rates = {
            "u": self._filtered(grid.mask.u, along_x),
            "v": self._filtered(grid.mask.v, along_y),
            "ps": self._filtered(grid.mask.c, flow.rising),
        }
        if (friction := self._friction(parameters, here)) is not None:
            rates |= {"u": rates["u"] + friction[0], "v": rates["v"] + friction[1]}
        warming = self._compression(parameters, here, flow.outflow)
        through = here.transports, flow.upward
        return rates | {"T": self._carried(parameters, here, "T", *through, warming)}

    def _rates_of_tracers(
        self, parameters: AtmosphereParameters, here: View, transports: Vector
    ) -> dict[str, Field]:
        """Of the contents ``h c`` of what ``transports`` carry besides the temperature."""
        through = transports, Continuity.of(self.grid, *transports).upward
        return {name: self._carried(parameters, here, name, *through) for name in here.tracers}

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

    def _friction(self, parameters: AtmosphereParameters, here: View) -> Vector | None:
        """Accelerations by friction and by the damping of divergence."""
        grid = self.grid
        terms = [
            vector
            for term in (parameters.friction, parameters.divergence_damping)
            if (vector := term(grid, here.u, here.v)) is not None
        ]
        if not terms:
            return None
        along_x, along_y = (sum_of(list(along)) for along in zip(*terms, strict=True))
        return (
            self._filtered(grid.mask.u, along_x, DAMPING_POWER),
            self._filtered(grid.mask.v, along_y, DAMPING_POWER),
        )

    def _carried(
        self,
        parameters: AtmosphereParameters,
        here: View,
        name: str,
        transports: Vector,
        upward: Field,
        source: Any = 0.0,
    ) -> Field:
        """Rate of the content of ``name`` by what flows through the faces, a ``source`` and
        diffusion."""
        grid, tracer, wet = self.grid, here.fields[name], self.grid.mask.c
        advection = tracer_flux_divergence(
            grid,
            tracer,
            transports[0],
            transports[1],
            upward,
            self.advection,
            wet,
            self.vertical_advection,
        )
        rate = self._filtered(wet, advection + source)
        diffused = parameters.diffusion(grid, tracer, here.thickness)
        return rate if diffused is None else rate + self._filtered(wet, diffused, DAMPING_POWER)

    def _filtered(self, mask: Any, rate: Field, power: int = 1) -> Field:
        owned = self.grid.owned(masked(mask, rate))
        return filtered(self.polar, Field.at(rate.location, owned), power)

    # -- physics ----------------------------------------------------------------------------------

    def _physics(self, parameters: AtmosphereParameters, state: AtmosphereState) -> AtmosphereState:
        """``state`` after every process of ``parameters.physics`` has acted for a time step, with
        the fluxes of all together and the weight of their water."""
        before, fluxes = state, {name: jnp.zeros_like(flux) for name, flux in state.fluxes.items()}
        for process in parameters.physics:
            columns = Columns.of(self.grid, parameters, state)
            change = process(columns, self.time_step)
            state = columns.moved(state, change, self.time_step)
            fluxes |= {n: fluxes[n] + flux for n, flux in change.fluxes.items() if n in fluxes}
        return replace(weighed(self.grid, before, state), fluxes=fluxes)


def _differences_of_pressure(here: View) -> Vector:
    """Of the logarithm of the levels' pressure, between cells along x and along y."""
    ground, above = apply(jnp.log, here.fields["ps"]), here.weights.level
    return diff_x_c2f(ground) + diff_x_c2f(above), diff_y_c2f(ground) + diff_y_c2f(above)
