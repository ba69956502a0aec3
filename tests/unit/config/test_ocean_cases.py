"""The namelists of the project against the descriptions that they are named after."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from dassim.ocean.stability import stability_limits
from tests.models.namelists import OCEAN, SMALLER, build


@pytest.fixture(autouse=True)
def data(data_directory, monkeypatch):
    monkeypatch.setenv("DASSIM_DATA", str(data_directory))


# -- the re-entrant channel -----------------------------------------------------------------------

LX, LY = 1e6, 2e6
Y = 6.25e3 + 12.5e3 * np.arange(160)
X = 6.25e3 + 12.5e3 * np.arange(80)
DZ = 10 * 1.104 ** np.arange(32)
DEPTH = DZ.sum()
Z = -(np.cumsum(DZ) - DZ / 2)
WALL = ((X > 470e3) & (X < 530e3)) & ((Y < 400e3) | (Y > 1000e3))[:, None]


@pytest.fixture(scope="module")
def channel():
    return build("reentrant_channel")


def initial_temperature():
    return 8 * (np.exp(Z / 1000) - np.exp(-DEPTH / 1000)) / (1 - np.exp(-DEPTH / 1000))


def test_the_channel_has_the_published_grid(channel):
    grid = channel.model.grid
    assert abs(DEPTH - 2184.0675) < 1e-4
    np.testing.assert_allclose(np.squeeze(grid.levels.dz.c.data), DZ, rtol=1e-13)
    np.testing.assert_array_equal(grid.owned_mask("c"), np.broadcast_to(~WALL, (32, 160, 80)))
    assert grid.domain.periodic == (False, True)
    np.testing.assert_allclose(grid.owned(grid.coriolis.c)[:, 0], -1e-4 + 1e-11 * Y, rtol=1e-12)
    assert (channel.model.time_step, channel.time.steps) == (150.0, 8100)


def test_the_channel_has_the_published_forcing(channel):
    forcing = channel.parameters.forcing
    u_wet, wet = ~(WALL | np.roll(WALL, 1, axis=1)), ~WALL
    np.testing.assert_allclose(
        forcing.stress_x, 0.2 * np.sin(np.pi * Y / LY)[:, None] * u_wet, rtol=1e-12
    )
    upward = np.where(Y < 5 * LY / 6, 10 / (999.8 * 3994) * np.cos(3 * np.pi * Y / LY), 0.0)
    capacity = channel.parameters.eos.reference_density * channel.parameters.heat_capacity
    np.testing.assert_allclose(forcing.heat / capacity, -upward[:, None] * wet, atol=1e-20)
    assert forcing.stress_y is None
    (sponge,) = channel.parameters.sources
    rate = np.clip((Y - 0.95 * LY) / (0.05 * LY), 0, 1) / (7 * 86400)
    np.testing.assert_allclose(np.squeeze(sponge.rate)[:, 0], rate, atol=1e-18)
    np.testing.assert_allclose(np.squeeze(sponge.target), initial_temperature(), rtol=1e-13)


def test_the_channel_has_the_published_coefficients(channel):
    numbers = channel.parameters
    eos = numbers.eos
    assert [float(x) for x in (eos.alpha, eos.beta, eos.gravity)] == [1.67e-4, 7.8e-4, 9.80665]
    assert [float(numbers.friction.viscosity), float(numbers.friction.biharmonic)] == [500.0, 1e11]
    assert float(numbers.diffusion.diffusivity) == 5e-5
    assert float(numbers.drag.linear) == 8.426e-4
    here = channel.model.view(numbers, channel.state)
    viscosity, diffusivity = numbers.mixing(here)
    np.testing.assert_allclose(viscosity.data, 3e-3, rtol=1e-13)
    np.testing.assert_allclose(
        np.squeeze(diffusivity.data), 5e-5 * (1 + np.exp(-np.arange(1, 32) / 5)), rtol=1e-13
    )


def test_the_channel_has_the_published_start(channel):
    state = channel.state
    difference = np.asarray(state.T) - initial_temperature()[:, None, None] * ~WALL
    assert np.std(difference[:, ~WALL]) == pytest.approx(1e-8, rel=0.01)
    assert abs(difference).max() < 1e-7
    np.testing.assert_array_equal(state.S, np.broadcast_to(35.0 * ~WALL, (32, 160, 80)))
    for still in (state.u, state.v, state.eta):
        np.testing.assert_array_equal(still, 0.0)


# -- the world ocean ------------------------------------------------------------------------------


def test_the_world_is_that_of_the_file(data_directory):
    world = build("global_4deg")
    grid, forcing = world.model.grid, world.parameters.forcing
    with netCDF4.Dataset(data_directory / "global_4deg.nc") as dataset:
        theta, taux, tauy, sst, sss, depth = (
            dataset[name][...].astype(float)
            for name in ("theta", "taux", "tauy", "sst", "sss", "bathymetry")
        )
    land = np.ma.filled(depth, 0.0) == 0
    wet = np.asarray(grid.owned_mask("c"))
    np.testing.assert_array_equal(wet[0], ~land)
    np.testing.assert_allclose(world.state.T, np.where(wet, theta.filled(0), 0.0), rtol=1e-7)
    west = np.roll(taux, 1, axis=1)
    between = ~land & ~np.roll(land, 1, axis=1)
    expected = np.where(between, 0.5 * (west.filled(0) + taux.filled(0)), 0.0)
    np.testing.assert_allclose(forcing.stress_x, expected, rtol=1e-6, atol=1e-12)
    between = ~land[1:] & ~land[:-1]
    expected = np.where(between, 0.5 * (tauy[1:].filled(0) + tauy[:-1].filled(0)), 0.0)
    np.testing.assert_allclose(forcing.stress_y[1:], expected, rtol=1e-6, atol=1e-12)
    for name, climatology, days in (("T", sst, 60), ("S", sss, 180)):
        restoring = forcing.restoring[name]
        np.testing.assert_allclose(restoring.target, climatology.filled(0), rtol=1e-6)
        assert float(restoring.timescale) == days * 86400


# -- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OCEAN)
def test_time_steps_are_within_their_limits(name):
    one = build(name, SMALLER.get(name, ()))
    assert all(limit.ok for limit in stability_limits(one.model, one.parameters, one.state))


def test_buoyancy_of_the_adjusting_front():
    one = build("baroclinic_adjustment", ["initial.noise.T=0"])
    grid = one.model.grid
    here = one.model.view(one.parameters, one.state)
    np.testing.assert_allclose(grid.owned(here.stratification), 1e-5, rtol=1e-6)
    b = np.asarray(grid.owned(here.buoyancy))[0, :, 0]
    assert b[-1] - b[0] == pytest.approx(1e-7 * 100e3, rel=1e-6)
    steepest = np.diff(b).max() / (1e6 / 48)
    assert steepest == pytest.approx(1e-7, rel=1e-6)
