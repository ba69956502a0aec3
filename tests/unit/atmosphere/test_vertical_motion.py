"""The pressure velocity that is diagnosed: its sign, its value, and what it does to temperature."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.atmosphere.primitive import (
    AtmosphereModel,
    AtmosphereParameters,
    AtmosphereState,
    BaroclinicZone,
    isothermal_rest,
)
from dassim.atmosphere.primitive.column import follows_ground, thickness
from dassim.grid import Field, smooth_hybrid_levels
from dassim.grid.operators import diff_z_f2c, divergence, masked
from tests.unit.atmosphere.air import EARTH, air
from tests.unit.atmosphere.test_primitive import GAS, KAPPA, LEVELS, hills

T = 280.0


@eqx.filter_jit
def looked_at(model, parameters, state):
    """Diagnosed fields, and the rates of change by the dynamics."""
    rates = model.tendencies(parameters, state)
    found = model.output(parameters, state, ["omega", "z", "p"])
    return found, {name: rates[name].data for name in ("ps", "T")}


def warming(grid, rates):
    """``kappa h T omega / p`` (K Pa/s) of isothermal air: what changes ``h T`` besides ``h``."""
    return rates["T"] - T * grid.owned(diff_z_f2c(follows_ground(grid))) * rates["ps"]


def thick(grid, state):
    return grid.owned(thickness(grid, Field.at("c", state.ps)))


@pytest.mark.parametrize("levels", LEVELS)
def test_air_that_converges_below_and_diverges_aloft_rises_and_cools(levels):
    """Over flat ground ``omega`` at the faces is minus what diverges above them, and the column
    gives to the wind what it loses: ``cp sum of kappa h T omega / p = - sum of D phi``."""
    grid = air(8, LEVELS[levels])
    lon, lat = (
        np.deg2rad(np.asarray(axis)) for axis in (grid.owned(grid.x.u), grid.owned(grid.y.c))
    )
    rest = isothermal_rest(grid, EARTH, T, GAS)
    h = np.asarray(thick(grid, rest)) * np.ones(grid.shape)
    share = np.zeros(grid.shape)
    share[-1], share[1] = 1.0 / h[-1], -1.0 / h[1]
    state = replace(rest, u=jnp.asarray(-3e4 * share * np.sin(lon) * np.cos(lat)))
    column = 4, 0  # on the equator, where the lowest air converges
    u, v = grid.exchange((Field.at("u", state.u), Field.at("v", state.v)), 2)
    wind = masked(grid.mask.u, u), masked(grid.mask.v, v)
    outflow = h * np.asarray(grid.owned(divergence(grid, *wind)))
    assert outflow[-1][column] < 0.0 < outflow[1][column]

    found, rates = looked_at(AtmosphereModel(grid, 60.0), AtmosphereParameters(), state)
    at_faces = -np.cumsum(np.concatenate([0.0 * outflow[:1], outflow]), axis=0)
    omega = np.asarray(found["omega"])
    scale = abs(omega).max()
    np.testing.assert_allclose(omega, 0.5 * (at_faces[1:] + at_faces[:-1]), atol=1e-12 * scale)
    assert (omega[1:, *column] < -0.1 * scale).all()
    change = np.asarray(warming(grid, rates))
    assert (change[1:, *column] < 0.0).all()
    expected = -(outflow * EARTH.gravity * np.asarray(found["z"])).sum(axis=0)
    np.testing.assert_allclose(
        GAS / KAPPA * change.sum(axis=0), expected, atol=1e-12 * abs(expected).max()
    )


def test_the_pressure_velocity_is_the_one_that_warms_the_air():
    """``kappa T omega / p`` over hills, in air that converges and diverges; second order."""
    errors = []
    for n in (1, 2):
        grid = air(12 * n, smooth_hybrid_levels(10 * n, 0.0, 1.5))
        height = hills(grid)
        wind = BaroclinicZone(EARTH, GAS).state(grid).u
        lon, lat = (np.deg2rad(np.asarray(grid.owned(axis.v))) for axis in (grid.x, grid.y))
        across = 10.0 * np.sin(2 * lon) * np.cos(lat) ** 2
        ps = isothermal_rest(grid, EARTH, T, GAS, height).ps
        state = AtmosphereState.of(grid, wind, across, T, ps)
        parameters = AtmosphereParameters(orography=height)
        found, rates = looked_at(AtmosphereModel(grid, 60.0), parameters, state)
        rate = warming(grid, rates) / thick(grid, state)
        expected = KAPPA * T * found["omega"] / found["p"]
        below = slice(2 * n, None)  # alpha of the topmost level is no mean of its faces
        apart, size = (
            jnp.sum(grid.owned(grid.area.c) * x[below] ** 2) for x in (rate - expected, expected)
        )
        errors.append(float(jnp.sqrt(apart / size)))
    assert errors[1] < 0.05
    assert errors[0] > 3.0 * errors[1], errors
