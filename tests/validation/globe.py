"""A layer of fluid on the sphere: the cases of Williamson et al. (1992) and Galewsky et al."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from dassim.atmosphere.shallow_water import (
    ShallowWaterModel,
    ShallowWaterParameters,
    ShallowWaterState,
    solid_rotation,
)
from dassim.config import Namelist, load
from dassim.grid import Grid, Staggered
from tests.models.namelists import ATMOSPHERE, build, integrate
from tests.unit.atmosphere.sphere import EARTH, globe, layer
from tests.validation.basin import order
from tests.validation.report import Check, case

DAY = 86400.0
WILLIAMSON = "Williamson et al. (1992), case"


def resolved(name: str, ny: int, *overrides: str):
    """The experiment on ``2 ny x ny`` cells, its time step in proportion to theirs."""
    whole = load(ATMOSPHERE[name], Namelist).namelist
    step = whole.time.step * whole.grid.ny / ny
    return build(name, [f"grid.nx={2 * ny}", f"grid.ny={ny}", f"time.step={step:g} s", *overrides])


def after(one, days: float) -> ShallowWaterState:
    """The state after so many days."""
    return integrate(one.model, one.parameters, one.state, round(days * DAY / one.model.time_step))


def distance(grid: Grid, found, expected) -> float:
    """Relative distance of two fields at cells, root mean square over the sphere."""
    area = grid.owned(grid.area.c)
    squares = jnp.sum(area * (found - expected) ** 2) / jnp.sum(area * expected**2)
    return float(jnp.sqrt(squares))


def mass(grid: Grid, state: ShallowWaterState) -> float:
    return float(jnp.sum(grid.owned(grid.area.c) * state.h))


def energy(model: ShallowWaterModel, parameters: ShallowWaterParameters, state) -> float:
    """Kinetic and potential energy, less that of the mean surface at rest (m5/s2)."""
    grid = model.grid
    here = model.view(parameters, state)
    kinetic = model.output(parameters, state, ["kinetic_energy"])["kinetic_energy"]
    area, surface = grid.owned(grid.area.c), grid.owned(here.surface)
    level = jnp.sum(area * surface) / jnp.sum(area)
    available = 0.5 * parameters.gravity * (surface - level) ** 2
    return float(jnp.sum(area * (state.h * kinetic + available)))


@case("solid rotation around the poles", f"{WILLIAMSON} 2; exact", minutes=1)
def solid_rotation_around_the_poles():
    errors = []
    for ny in (32, 64):
        one = resolved("williamson_2", ny)
        end = after(one, 5)
        grid = one.model.grid
        errors.append(distance(grid, end.h, one.state.h))
        drift = abs(mass(grid, end) / mass(grid, one.state) - 1)
    yield Check("l2 error of the thickness after 5 days", 1e-3, errors[-1], bound="below")
    yield Check("order in the spacing", 1.8, order(errors), bound="above")
    yield Check("relative drift of the mass", 1e-13, drift, bound="below")


@case("solid rotation over the poles", f"{WILLIAMSON} 2, tilted by 90 degrees; exact", minutes=1)
def solid_rotation_over_the_poles():
    errors = [_over_the_poles(ny) for ny in (32, 64)]
    yield Check("l2 error of the thickness after 5 days", 5e-3, errors[-1], bound="below")
    yield Check("order in the spacing", 1.5, order(errors), bound="above")


def _over_the_poles(ny: int) -> float:
    grid, angle = _tilted(globe(ny), np.pi / 2), np.pi / 2
    start = solid_rotation(grid, EARTH, 38.61, 2.94e4 / EARTH.gravity, angle=angle)
    step = 600.0 * 64 / ny
    model = layer(grid, step)
    parameters = ShallowWaterParameters(gravity=EARTH.gravity)
    return distance(grid, integrate(model, parameters, start, round(5 * DAY / step)).h, start.h)


def _tilted(grid: Grid, angle: float) -> Grid:
    """A planet that rotates about an axis ``angle`` (radians) off the grid's."""

    def coriolis(at: str):
        lon, lat = (getattr(axis, at) * (np.pi / 180) for axis in (grid.x, grid.y))
        # A field each of longitude and of latitude; their product has both spans.
        sin_lat, cos_lat = (
            replace(lat, data=jnp.sin(lat.data)),
            replace(lat, data=jnp.cos(lat.data)),
        )
        cos_lon = replace(lon, data=jnp.cos(lon.data))
        sine = sin_lat * np.cos(angle) - cos_lon * cos_lat * np.sin(angle)
        return 2 * EARTH.rotation * sine

    return eqx.tree_at(lambda g: g.horizontal.coriolis, grid, Staggered.build(coriolis))


@case("flow over a mountain", f"{WILLIAMSON} 5", minutes=3)
def flow_over_a_mountain():
    """Against the same on twice the points, as the true solution is not known."""
    surfaces = []
    for ny in (32, 64, 128):
        one = resolved("williamson_5", ny)
        end = after(one, 15)
        grid = one.model.grid
        surface = np.asarray(end.h + one.parameters.orography)
        surfaces.append(surface.reshape(32, ny // 32, 64, ny // 32).mean(axis=(1, 3)))
        if ny == 64:
            drift = abs(mass(grid, end) / mass(grid, one.state) - 1)
            energies = [energy(one.model, one.parameters, s) for s in (one.state, end)]
    finest = surfaces[-1]
    errors = [float(np.sqrt(np.mean((s - finest) ** 2)) / finest.mean()) for s in surfaces[:2]]
    yield Check(
        "distance of the surface from 1.4 degrees, 2.8 degrees", 4e-3, errors[1], bound="below"
    )
    yield Check("the same, 5.6 over 2.8 degrees", 2.0, errors[0] / errors[1], bound="above")
    yield Check("relative drift of the mass", 1e-13, drift, bound="below")
    change = abs(energies[1] / energies[0] - 1)
    yield Check("relative change of the energy", 2e-2, change, bound="below")


@case("Rossby-Haurwitz wave", f"{WILLIAMSON} 6; nondivergent phase speed", minutes=1)
def rossby_haurwitz():
    one = resolved("williamson_6", 64)
    state, phases = one.state, []
    row = int(np.argmin(abs(np.asarray(one.model.grid.owned(one.model.grid.y.c))[:, 0] - 40)))
    for _ in range(29):
        wave = np.fft.rfft(np.asarray(state.h)[row])[4]
        phases.append(-np.angle(wave) / 4)
        state = after(replace(one, state=state), 0.25)
    angle = np.unwrap(phases, period=np.pi / 2)
    speed = np.polyfit(0.25 * DAY * np.arange(29), angle, 1)[0]
    yield Check("phase speed over 7 days", 2.46e-6, speed, 0.1, unit="rad/s")
    end = after(replace(one, state=state), 7)
    waves = abs(np.fft.rfft(np.asarray(end.h)[row]))
    yield Check(
        "share of wavenumber 4 after 14 days", 0.9, waves[4] / waves[1:].max(), bound="above"
    )
    drift = abs(mass(one.model.grid, end) / mass(one.model.grid, one.state) - 1)
    yield Check("relative drift of the mass", 1e-13, drift, bound="below")


@case("barotropic jet", "Galewsky et al. (2004); vorticity rolls up by day 6", minutes=3)
def barotropic_jet():
    still = resolved("galewsky", 128, "initial.perturbation=0")
    end = after(still, 4)
    yield Check(
        "northward wind without a bump, day 4",
        0.5,
        float(abs(end.v).max()),
        bound="below",
        unit="m/s",
    )
    error = distance(still.model.grid, end.h, still.state.h)
    yield Check("l2 error of the thickness, day 4", 2e-3, error, bound="below")
    one = resolved("galewsky", 128)
    for day in (4, 6):
        state = after(one, day)
        found = one.model.output(one.parameters, state, ["zeta"])["zeta"]
        eddies = np.asarray(found - found.mean(axis=-1, keepdims=True))
        yield Check(
            f"largest eddy vorticity, day {day}",
            2e-5 if day == 4 else 5e-5,
            float(abs(eddies).max()),
            bound="above",
            unit="1/s",
        )
    drift = abs(mass(one.model.grid, state) / mass(one.model.grid, one.state) - 1)
    yield Check("relative drift of the mass", 1e-13, drift, bound="below")
