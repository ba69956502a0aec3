"""What must not change, or only by what passes the surface."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from dassim.ocean import SurfaceForcing
from dassim.ocean.diagnostics import content
from tests.models.namelists import build, integrate
from tests.validation.report import Check, case

STEPS = 1000
WORLD = "MITgcm global_oce_latlon; conservation is exact"
DYE = "initial.tracers={dye: {type: step, axis: z, at: -500 m, low: 1, high: 3}}"


@case("rest over a seamount", "Beckmann & Haidvogel (1993); exact", minutes=0.5)
def rest_over_a_seamount():
    for pressure in ("linear", "teos10"):
        one = build("seamount", [f"physics.eos={{type: {pressure}}}", "grid.nx=32", "grid.ny=32"])
        end = integrate(one.model, one.parameters, one.state, 200)
        speed = float(jnp.maximum(abs(end.u).max(), abs(end.v).max()))
        what = f"largest speed after 200 steps, {pressure} equation of state"
        yield Check(what, 1e-12, speed, bound="below", unit="m/s")


def contents(model, state) -> dict[str, float]:
    """Volume, and what it holds of every tracer."""
    names = [name for name in state.fields() if name not in ("u", "v", "eta")]
    share = {name: content(model, state, name) for name in names} | {None: content(model, state)}
    sums = {name: float(model.domain.sum(value)) for name, value in share.items()}
    return {"volume" if name is None else name: value for name, value in sums.items()}


def drifts(forcing: SurfaceForcing | None = None):
    """For every quantity of the world at 4 degrees the content before and after ``STEPS`` steps,
    with the wind of the namelist and the fluxes of ``forcing`` alone."""
    one = build("global_4deg", [DYE])
    wind = one.parameters.forcing
    calm = forcing or SurfaceForcing()
    forced = replace(calm, stress_x=wind.stress_x, stress_y=wind.stress_y)
    end = integrate(one.model, replace(one.parameters, forcing=forced), one.state, STEPS)
    return one, contents(one.model, one.state), contents(one.model, end)


@case("conservation without fluxes", WORLD, minutes=1.5)
def conservation_without_fluxes():
    _, before, after = drifts()
    for name, start in before.items():
        what = f"{name}: relative drift over {STEPS} steps"
        yield Check(what, 1e-12, abs(after[name] / start - 1), bound="below")


@case("budget of heat and salt fluxes", WORLD, minutes=1.5)
def budget_of_heat_and_salt():
    one = build("global_4deg")
    grid = one.model.grid
    wet = grid.owned_mask("c", levels=False)
    heat = jnp.where(wet, 100.0 * jnp.cos(jnp.deg2rad(3 * grid.owned(grid.y.c))), 0.0)
    salt = jnp.where(wet, 1e-6 * jnp.sin(jnp.deg2rad(grid.owned(grid.x.c))) + 1e-7, 0.0)
    _, before, after = drifts(SurfaceForcing(heat=heat, tracer_fluxes={"S": salt}))
    capacity = one.parameters.eos.reference_density * one.parameters.heat_capacity
    for name, flux in {"volume": 0.0 * heat, "T": heat / capacity, "S": salt}.items():
        yield closing(one, name, flux, before[name], after[name])


@case("budget of freshwater", WORLD, minutes=1.5)
def budget_of_freshwater():
    one = build("global_4deg")
    grid = one.model.grid
    wet = grid.owned_mask("c", levels=False)
    rain = jnp.where(wet, 3e-8 * (jnp.cos(jnp.deg2rad(3 * grid.owned(grid.y.c))) + 0.1), 0.0)
    _, before, after = drifts(SurfaceForcing(freshwater=rain))
    for name, flux in {"volume": rain, "S": 0.0 * rain, "dye": 0.0 * rain}.items():
        yield closing(one, name, flux, before[name], after[name])


def closing(one, name: str, flux, before: float, after: float) -> Check:
    """What has changed less what ``flux`` has brought, relative to the content."""
    grid = one.model.grid
    through = float(grid.domain.sum(jnp.sum(flux * grid.owned(grid.area.c))))
    brought = STEPS * one.model.time_step * through
    what = f"{name}: budget over {STEPS} steps, in which it changes by {brought / before:.1e}"
    return Check(what, 1e-12, float(np.abs(after - before - brought) / before), bound="below")
