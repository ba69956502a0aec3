"""A layer of fluid on the sphere: steady flow, conservation, rest, tracers, diagnosed fields."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.atmosphere.shallow_water import (
    ShallowWaterModel,
    ShallowWaterParameters,
    ShallowWaterState,
    fluid_at_rest,
    solid_rotation,
)
from dassim.dynamics.friction import LateralFriction
from tests.models.namelists import integrate
from tests.unit.atmosphere.sphere import EARTH, globe, layer

SPEED, HEIGHT = 38.61, 2.94e4 / EARTH.gravity
PARAMETERS = ShallowWaterParameters(gravity=EARTH.gravity)


def hills(grid):
    lon, lat = (np.deg2rad(np.asarray(grid.owned(axis.c))) for axis in (grid.x, grid.y))
    return 500.0 * np.cos(3 * lon) * np.cos(lat) ** 2 + 300.0 * np.sin(lat)


def stirred(grid, seed=0):
    """Smooth flow and noise."""
    rng = np.random.default_rng(seed)
    flow = solid_rotation(grid, EARTH, SPEED, HEIGHT)
    shape = grid.shape[1:]
    return ShallowWaterState.of(
        grid,
        flow.u + rng.standard_normal(shape),
        flow.v + rng.standard_normal(shape),
        flow.h * (1.0 + 1e-2 * rng.random(shape)),
    )


def test_solid_rotation_stays_and_errors_fall_with_the_second_order():
    errors = []
    for n in (8, 16):
        grid = globe(n)
        start = solid_rotation(grid, EARTH, SPEED, HEIGHT)
        end = integrate(layer(grid, 9600.0 / n), PARAMETERS, start, 9 * n // 2)
        area = grid.owned(grid.area.c)
        apart = jnp.sqrt(jnp.sum(area * (end.h - start.h) ** 2) / jnp.sum(area * start.h**2))
        errors.append(float(apart))
        mass = [float(jnp.sum(area * state.h)) for state in (start, end)]
        assert mass[1] == pytest.approx(mass[0], rel=1e-14)
    assert errors[1] < 1e-2
    assert np.log2(errors[0] / errors[1]) > 1.8


@pytest.mark.parametrize("conserving", ["energy", "enstrophy"])
def test_energy_changes_only_where_it_is_not_conserved(conserving):
    """The rate of change of the energy by the unfiltered tendencies."""
    grid = globe(8)
    model = ShallowWaterModel(grid, 60.0, conserving=conserving)
    parameters = replace(PARAMETERS, orography=hills(grid))
    state = stirred(grid)

    def energy(u, v, h):
        here = model.view(parameters, replace(state, u=u, v=v, h=h))
        kinetic = here.u**2.0 * here.thickness.u * grid.dx.u * grid.dy.u * grid.mask.u
        kinetic_v = here.v**2.0 * here.thickness.v * grid.dx.v * grid.dy.v * grid.mask.v
        potential = EARTH.gravity * h * (0.5 * h + parameters.orography)
        total = jnp.sum(grid.owned(grid.area.c) * potential)
        return total + 0.5 * (jnp.sum(grid.owned(kinetic)) + jnp.sum(grid.owned(kinetic_v)))

    @jax.jit
    def power(point):
        rates = model.tendencies(parameters, state)
        moved = tuple(grid.owned(rates[name]) for name in "uvh")
        slopes = jax.grad(energy, argnums=(0, 1, 2))(*point)
        return jnp.stack([jnp.vdot(slope, by) for slope, by in zip(slopes, moved, strict=True)])

    parts = power((state.u, state.v, state.h))
    relative = float(abs(parts.sum()) / abs(parts).sum())
    assert relative < 1e-13 if conserving == "energy" else relative > 1e-10


@pytest.mark.parametrize("conserving", ["energy", "enstrophy"])
def test_the_coriolis_force_beside_the_poles(conserving):
    """On wind towards a pole, everywhere of the same speed."""
    grid = globe(16)
    north = ShallowWaterState.of(grid, 0.0, 1.0, HEIGHT)
    model = layer(grid, 600.0, conserving=conserving)
    rate = grid.owned(model.tendencies(PARAMETERS, north)["u"])
    f = 2 * EARTH.rotation * np.sin(np.deg2rad(np.asarray(grid.owned(grid.y.u))))
    for row in (0, -1):
        np.testing.assert_allclose(rate[row], f[row, 0] * np.ones(32), rtol=0.03)


def test_a_level_surface_over_hills_is_at_rest():
    grid = globe(8)
    parameters = replace(PARAMETERS, orography=hills(grid))
    start = fluid_at_rest(grid, 5000.0, parameters.orography)
    end = integrate(layer(grid, 600.0), parameters, start, 20)
    assert max(float(abs(end.u).max()), float(abs(end.v).max())) < 1e-11


def test_uniform_tracers_stay_and_contents_are_conserved():
    grid = globe(8)
    lat = np.deg2rad(np.asarray(grid.owned(grid.y.c)))
    tracers = {"one": jnp.full(lat.shape, 3.0), "cap": jnp.asarray(np.where(lat > 1, 1.0, 0.0))}
    start = replace(stirred(grid), tracers=tracers)
    friction = LateralFriction(viscosity=1e5, biharmonic=1e16)
    model = layer(grid, 600.0)
    end = integrate(model, replace(PARAMETERS, friction=friction), start, 20)
    np.testing.assert_allclose(end.tracers["one"], 3.0, rtol=1e-12)
    area = grid.owned(grid.area.c)
    before, after = (float(jnp.sum(area * s.h * s.tracers["cap"])) for s in (start, end))
    assert after == pytest.approx(before, rel=1e-13)
    assert float(abs(end.tracers["cap"] - tracers["cap"]).max()) > 1e-3


def test_friction_damps_the_flow_near_the_poles_too():
    grid = globe(16)
    friction = LateralFriction(viscosity=5e6, biharmonic=5e18)
    noise = np.random.default_rng(0).standard_normal((2, *grid.shape[1:]))
    quiet = ShallowWaterState.of(grid, *noise, HEIGHT)
    model = layer(grid, 600.0)

    def energy(parameters):
        end = integrate(model, parameters, quiet, 30)
        assert np.isfinite(end.u).all()
        values = model.output(parameters, end, ["kinetic_energy"])["kinetic_energy"]
        return float(jnp.sum(grid.owned(grid.area.c) * values))

    assert energy(replace(PARAMETERS, friction=friction)) < 0.5 * energy(PARAMETERS)


def test_diagnosed_fields():
    grid = globe(16)
    state = solid_rotation(grid, EARTH, SPEED, HEIGHT)
    found = layer(grid, 600.0).output(PARAMETERS, state, ["zeta", "pv", "speed", "surface_height"])
    lat = np.deg2rad(np.asarray(grid.owned(grid.y.q)))
    assert lat[0, 0] == -0.5 * np.pi
    zeta = 2 * SPEED / EARTH.radius * np.sin(lat)
    np.testing.assert_allclose(found["zeta"], zeta * np.ones((1, 32)), rtol=5e-3, atol=1e-8)
    f = 2 * EARTH.rotation * np.sin(lat)
    h = np.asarray(state.h)
    between = 0.5 * (h + np.roll(h, 1, axis=0))
    between[0] = h[0]
    np.testing.assert_allclose(found["pv"], (f + zeta) / between, rtol=5e-3, atol=1e-12)
    cells = np.deg2rad(np.asarray(grid.owned(grid.y.c)))
    np.testing.assert_allclose(found["speed"], SPEED * np.cos(cells), rtol=1e-2)
    np.testing.assert_array_equal(found["surface_height"], state.h)
