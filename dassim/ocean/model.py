"""The hydrostatic, Boussinesq primitive equations of the ocean on a C-grid.

Along levels that follow the surface (z*) or are fixed::

    du/dt = (f + zeta) v - d(K)/dx - w du/dz - d(p)/dx + b dz/dx - g d(eta)/dx + F + d/dz(nu du/dz)
    dv/dt = ...
    d(h T)/dt + div(h u T) + d(w T)/dz = d/dz(kappa dT/dz) h + ...
    d(eta)/dt + div(sum of h u) = P - E

``p`` and ``b`` are the hydrostatic potential and the buoyancy; ``w`` follows from continuity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.dynamics.continuity import (
    depth_mean,
    horizontal_outflow,
    vertical_transport,
    volume_transports,
)
from dassim.dynamics.free_surface import (
    AbstractFreeSurface,
    FreeSurfaceStep,
    SplitExplicit,
)
from dassim.dynamics.friction import sum_of
from dassim.dynamics.implicit import implicit_diffusion, open_faces
from dassim.dynamics.momentum import (
    Conserving,
    Vector,
    flux_form_advection,
    gradient_force,
    kinetic_energy,
    relative_vorticity,
    vertical_advection,
    vorticity_flux,
)
from dassim.dynamics.reconstruction import WENO, Scheme
from dassim.dynamics.stepping import AbstractTimeStepper, RungeKutta3
from dassim.dynamics.tracers import tracer_flux_divergence
from dassim.grid import Field, Grid, Span
from dassim.grid.measures import Measure
from dassim.grid.operators import avg_x_c2f, avg_y_c2f, level, masked, sum_z
from dassim.grid.variables import Variable
from dassim.ocean import measures as monitored
from dassim.ocean import output as fields_for_output
from dassim.ocean.forcing import SurfaceFluxes
from dassim.ocean.parameters import OceanParameters
from dassim.ocean.pressure import hydrostatic_potential, slope_force
from dassim.ocean.state import VARIABLES, OceanState
from dassim.ocean.view import View, view
from dassim.parallel import Domain


class VectorInvariant(eqx.Module):
    """Momentum advection by the vorticity flux and the gradient of kinetic energy."""

    conserving: Conserving = eqx.field(static=True, default="energy")


class FluxForm(eqx.Module):
    """Momentum advection by fluxes through the faces of the velocities' cells."""

    scheme: Scheme = eqx.field(static=True, default=WENO(5))


class OceanModel(eqx.Module):
    """The discretised equations: which grid, which schemes, which time step (s).

    ``step(parameters, state)`` is pure and differentiable in both. ``moving_levels`` picks z*
    levels, on which volume, heat and salt are conserved to round-off; fixed levels are the
    approximation of a small sea level. Without a ``free_surface`` the external mode takes as many
    explicit substeps as it needs.
    """

    grid: Grid
    time_step: float = eqx.field(static=True)
    momentum_advection: VectorInvariant | FluxForm = VectorInvariant()
    tracer_advection: Scheme = eqx.field(static=True, default=WENO(5))
    free_surface: AbstractFreeSurface = eqx.field(default=None)
    stepper: AbstractTimeStepper = RungeKutta3()
    moving_levels: bool = eqx.field(static=True, default=True)
    halo: int = eqx.field(static=True, default=4)

    def __post_init__(self):
        if self.free_surface is None:
            self.free_surface = SplitExplicit.for_grid(self.grid, self.time_step)

    @property
    def domain(self) -> Domain:
        return self.grid.domain

    @property
    def variables(self) -> dict[str, Variable]:
        return VARIABLES

    @property
    def outputs(self) -> dict[str, Variable]:
        """The state's variables and the diagnosed ones, see :mod:`dassim.ocean.output`."""
        return fields_for_output.OUTPUTS

    def output_variables(
        self, parameters: OceanParameters, state: OceanState
    ) -> dict[str, Variable]:
        """``outputs`` as the equation of state understands them, and the passive tracers."""
        return fields_for_output.output_variables(parameters.eos, state.tracers)

    def measures(self, parameters: OceanParameters, state: OceanState) -> dict[str, Measure]:
        """The numbers by which a run is watched, see :mod:`dassim.ocean.measures`."""
        return monitored.measures(self, parameters, state)

    def output(
        self, parameters: OceanParameters, state: OceanState, names: Iterable[str]
    ) -> dict[str, jax.Array]:
        """Owned points of the outputs ``names``; traceable."""
        return fields_for_output.output(
            lambda: self.view(parameters, state), parameters.eos, state, names
        )

    def start(self, state: OceanState) -> OceanState:
        """``state`` with what the time stepper needs besides the physical fields."""
        return self.stepper.start(state)

    def step(self, parameters: OceanParameters, state: OceanState) -> OceanState:
        """``state`` one time step later."""

        def advance(base: OceanState, at: OceanState, dt: Any) -> OceanState:
            return self._advance(parameters, base, at, dt)

        return self.stepper.step(advance, state, self.time_step)

    def view(self, parameters: OceanParameters, state: OceanState) -> View:
        """``state`` with halos, thicknesses and buoyancy."""
        return view(self.grid, parameters.eos, state, self.halo, self.moving_levels)

    def _advance(
        self, parameters: OceanParameters, base: OceanState, at: OceanState, dt: Any
    ) -> OceanState:
        here = self.view(parameters, at)
        fluxes = parameters.forcing.at(here.time)
        sources = _total([source(here) for source in parameters.sources])
        viscosity, diffusivity = parameters.mixing(here)

        seconds = jnp.asarray(dt, base.u.dtype)
        pull = gradient_force(self.grid, self.free_surface.gravity * here.eta)
        u, v = self._momentum(parameters, here, fluxes, sources, viscosity, pull, base, seconds)
        surface, u, v = self._external_mode(base, u, v, pull, fluxes, seconds)
        tracers = self._tracers(
            parameters, here, fluxes, sources, diffusivity, base, surface, seconds
        )
        owned = self.grid.owned
        return replace(
            base,
            u=owned(u),
            v=owned(v),
            eta=owned(surface.eta),
            T=owned(tracers.pop("T")),
            S=owned(tracers.pop("S")),
            tracers={name: owned(tracer) for name, tracer in tracers.items()},
            time=base.time + dt,
        )

    # -- momentum ---------------------------------------------------------------------------------

    def _momentum(
        self,
        parameters: OceanParameters,
        here: View,
        fluxes: SurfaceFluxes,
        sources: dict[str, Field],
        viscosity: Field,
        pull: Vector,
        base: OceanState,
        dt: Any,
    ) -> Vector:
        """Velocities after ``dt`` under the ``pull`` of the surface as it stands: mixing and drag
        act on balanced flow, so that a steady state is one whatever the time step."""
        grid, density = self.grid, parameters.eos.reference_density
        terms = [
            *self._advection(here),
            pull,
            slope_force(grid, here.buoyancy, here.eta, here.stretch, self.moving_levels),
            parameters.friction(grid, here.u, here.v),
        ]
        along_x = [term[0] for term in terms if term is not None]
        along_y = [term[1] for term in terms if term is not None]
        if fluxes.stress_x is not None:
            along_x.append(self._at_top(fluxes.stress_x / density) / here.thickness.u)
        if fluxes.stress_y is not None:
            along_y.append(self._at_top(fluxes.stress_y / density) / here.thickness.v)
        if "u" in sources:
            along_x.append(sources["u"])
        if "v" in sources:
            along_y.append(sources["v"])

        drag_u, drag_v = parameters.drag(here)
        before = base.fields()

        def move(name, terms, nu, drag):
            mask, wet, thickness = (
                getattr(at, name) for at in (grid.mask, grid.wet, here.thickness)
            )
            moved = before[name] + dt * masked(mask, sum_of(terms))
            between = open_faces(wet, grid.levels.count)
            return implicit_diffusion(moved, thickness, masked(between, nu), dt, sink=drag)

        return (
            move("u", along_x, avg_x_c2f(viscosity), drag_u),
            move("v", along_y, avg_y_c2f(viscosity), drag_v),
        )

    def _advection(self, here: View) -> list[Vector]:
        """Inertia, Coriolis force and the pressure gradient along levels."""
        grid, u, v = self.grid, here.u, here.v
        transports = volume_transports(grid, u, v, here.thickness)
        upward = vertical_transport(grid, *transports, self._thickening(*transports))
        potential = hydrostatic_potential(here.buoyancy, here.thickness.c)
        match self.momentum_advection:
            case VectorInvariant(conserving):
                vorticity = grid.coriolis.q + relative_vorticity(grid, u, v)
                return [
                    vorticity_flux(grid, vorticity, u, v, here.stretch, conserving),
                    gradient_force(grid, potential + kinetic_energy(grid, u, v)),
                    vertical_advection(grid, upward, u, v, here.thickness),
                ]
            case FluxForm(scheme):
                return [
                    vorticity_flux(grid, grid.coriolis.q, u, v, here.stretch),
                    gradient_force(grid, potential),
                    flux_form_advection(grid, *transports, upward, u, v, here.thickness, scheme),
                ]

    def _thickening(self, transport_u: Field, transport_v: Field) -> Field:
        """``dh/dt`` (m/s) of the levels while ``transports`` fill or drain the column."""
        if not self.moving_levels:
            return Field.constant(0.0)
        rising = -sum_z(horizontal_outflow(transport_u, transport_v)) / self.grid.area.c
        return self._share_of_column(rising)

    def _share_of_column(self, column: Field) -> Field:
        """What each level takes of a quantity spread over the column by thickness at rest."""
        depth = self.grid.depth.c
        return column * self.grid.levels.dz.c / (depth + 1.0 * ~(depth > 0.0))

    # -- free surface -----------------------------------------------------------------------------

    def _external_mode(
        self, base: OceanState, u: Field, v: Field, pull: Vector, fluxes: SurfaceFluxes, dt: Any
    ) -> tuple[FreeSurfaceStep, Field, Field]:
        """Sea level and depth-mean flow after ``dt``; ``u``, ``v`` shifted to that mean.

        The slow acceleration is what has moved the depth mean so far, less the ``pull`` of the
        surface, which the external mode follows as it changes.
        """
        grid, before = self.grid, base.fields()
        mean_before = depth_mean(grid, before["u"], before["v"])
        mean = depth_mean(grid, u, v)
        slow_u, slow_v = (
            (after - start) / dt - force
            for after, start, force in zip(mean, mean_before, pull, strict=True)
        )
        freshwater = fluxes.freshwater
        none = 0.0 * before["eta"]
        surface = self.free_surface.advance(
            grid,
            before["eta"],
            mean_before[0],
            mean_before[1],
            slow_u,
            slow_v,
            none if freshwater is None else freshwater,
            dt,
        )
        return (
            surface,
            masked(grid.mask.u, u + (surface.u_mean - mean[0])),
            masked(grid.mask.v, v + (surface.v_mean - mean[1])),
        )

    # -- tracers ----------------------------------------------------------------------------------

    def _tracers(
        self,
        parameters: OceanParameters,
        here: View,
        fluxes: SurfaceFluxes,
        sources: dict[str, Field],
        diffusivity: Field,
        base: OceanState,
        surface: FreeSurfaceStep,
        dt: Any,
    ) -> dict[str, Field]:
        """Tracers after ``dt``: their content ``h T`` moves by fluxes, then mixes vertically."""
        grid, before = self.grid, base.fields()
        h_before = self.thickness(before["eta"])
        h_after = self.thickness(surface.eta)
        thickening = (h_after - h_before) / dt
        transports = self._tracer_transports(here, surface)
        upward = vertical_transport(grid, *transports, thickening)
        into_ocean = self._surface_fluxes(parameters, here, fluxes, upward)

        mixed = {}
        for name, tracer in here.tracers.items():
            terms = [
                tracer_flux_divergence(
                    grid, tracer, *transports, upward, self.tracer_advection, grid.mask.c
                )
            ]
            if (diffused := parameters.diffusion(grid, tracer, here.thickness)) is not None:
                terms.append(diffused)
            if name in into_ocean:
                terms.append(self._at_top(into_ocean[name]))
            if name in sources:
                terms.append(here.thickness.c * sources[name])
            content = h_before * before[name] + dt * sum_of(terms)
            mixed[name] = content / h_after
        between = open_faces(grid.wet.c, grid.levels.count)
        mixed = implicit_diffusion(mixed, h_after, masked(between, diffusivity), dt)
        return {name: masked(grid.mask.c, tracer) for name, tracer in mixed.items()}

    def thickness(self, eta: Field) -> Field:
        """Thickness (m) of the levels at cells under the sea level ``eta``."""
        dz = self.grid.levels.dz.c
        return dz + self._share_of_column(eta) if self.moving_levels else dz

    def _tracer_transports(self, here: View, surface: FreeSurfaceStep) -> Vector:
        """Volume transports (m3/s) of ``here`` whose sum over depth is that of the external mode,
        so that they fill the columns by just what the sea level rises."""
        grid = self.grid
        mean_u, mean_v = grid.exchange((surface.transport_u, surface.transport_v), 1)
        through_x, through_y = volume_transports(grid, here.u, here.v, here.thickness)

        def corrected(through, total, mask, depth):
            per_metre = (total - sum_z(through)) / (depth + 1.0 * ~(depth > 0.0))
            return through + masked(mask, per_metre * grid.levels.dz.c)

        return (
            corrected(through_x, mean_u * grid.dy.u, grid.mask.u, grid.depth.u),
            corrected(through_y, mean_v * grid.dx.v, grid.mask.v, grid.depth.v),
        )

    def _surface_fluxes(
        self,
        parameters: OceanParameters,
        here: View,
        fluxes: SurfaceFluxes,
        upward: Field,
    ) -> dict[str, Field]:
        """Flux of each tracer into the top level (tracer unit times m/s).

        Freshwater has the temperature of the surface and no salt. On fixed levels the surface
        moves through the top face, and freshwater dilutes through a virtual flux.
        """
        top = {name: level(tracer, 0) for name, tracer in here.tracers.items()}
        terms: dict[str, list[Field]] = {name: [] for name in top}
        if fluxes.heat is not None:
            density = parameters.eos.reference_density
            terms["T"].append(fluxes.heat / (density * parameters.heat_capacity))
        for name, flux in fluxes.tracers.items():
            terms[name].append(flux)
        restoring = parameters.forcing.restoring_fluxes(top, level(here.thickness.c, 0), here.time)
        for name, flux in restoring.items():
            terms[name].append(flux)
        for name in top:
            if not self.moving_levels:
                terms[name].append(-level(upward, 0) / self.grid.area.c * top[name])
            if fluxes.freshwater is not None:
                carried = top[name] if name == "T" else 0.0 * top[name]
                if not self.moving_levels:
                    carried = carried - top[name]
                terms[name].append(fluxes.freshwater * carried)
        return {name: sum_of(parts) for name, parts in terms.items() if parts}

    def _at_top(self, value: Field) -> Field:
        """``value``, constant along z, in the top level; 0 below."""
        count = self.grid.levels.count
        is_top = Field((jnp.arange(count) == 0)[:, None, None], (Span("c"), None, None))
        return masked(is_top, value)


def _total(tendencies: list[dict[str, Field]]) -> dict[str, Field]:
    """The sum, name by name, of several sources."""
    names = dict.fromkeys(name for each in tendencies for name in each)
    return {name: sum_of([each[name] for each in tendencies if name in each]) for name in names}
