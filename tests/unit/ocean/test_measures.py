"""The numbers by which the ocean is watched, against NumPy on a rough basin with an island."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.grid.measures import Mean
from dassim.ocean import OceanModel, OceanParameters, OceanState
from dassim.ocean.measures import measures
from tests.models.basins import NX, NY, NZ, rough_basin

DX, DY, DZ = 10e3, 10e3, 100.0


@pytest.fixture(scope="module")
def ocean():
    grid = rough_basin()
    rng = np.random.default_rng(3)

    def fill(location, low, high):
        values = rng.uniform(low, high, grid.shape)
        return jnp.asarray(values * np.asarray(grid.owned_mask(location)))

    rest = OceanState.at_rest(grid)
    state = replace(
        rest,
        u=fill("u", -1, 1),
        v=fill("v", -1, 1),
        T=fill("c", 5, 25),
        S=fill("c", 33, 37),
        eta=fill("c", -1, 1)[0],
    )
    model = OceanModel(grid, time_step=600.0, moving_levels=False)
    return model, state, np.asarray(grid.owned_mask("c"))


@pytest.fixture(scope="module")
def found(ocean):
    model, state, _ = ocean
    values = eqx.filter_jit(measures)(model, OceanParameters(), state)
    return {
        name: float(m.total / m.weight) if isinstance(m, Mean) else float(m.local()[0])
        for name, m in values.items()
    }


def at_cells(ocean):
    """Squared velocities averaged to cells; the basin is closed along y, periodic along x."""
    _, state, _ = ocean
    u2, v2 = np.asarray(state.u) ** 2, np.asarray(state.v) ** 2
    north = np.concatenate([v2[:, 1:], np.zeros((NZ, 1, NX))], axis=1)
    return (u2 + np.roll(u2, -1, axis=2)) / 2, (v2 + north) / 2


def test_extremes_are_of_wet_cells(ocean, found):
    model, state, wet = ocean
    T, S, eta = np.asarray(state.T), np.asarray(state.S), np.asarray(state.eta)
    assert not wet.all()
    assert found["lowest_temperature"] == T[wet].min() > 0
    assert found["highest_temperature"] == T[wet].max()
    assert (found["lowest_salinity"], found["highest_salinity"]) == (S[wet].min(), S[wet].max())
    assert (found["lowest_sea_level"], found["highest_sea_level"]) == (
        eta[wet[0]].min(),
        eta[wet[0]].max(),
    )
    depth = np.asarray(model.grid.owned(model.grid.depth.c))
    stretch = 1 + eta[wet[0]] / depth[wet[0]]
    assert found["thinnest_column"] == pytest.approx(stretch.min(), rel=1e-15)


def test_means_are_over_the_volume(ocean, found):
    _, state, wet = ocean
    u2, v2 = at_cells(ocean)
    assert found["mean_temperature"] == pytest.approx(np.asarray(state.T)[wet].mean(), rel=1e-13)
    assert found["mean_kinetic_energy"] == pytest.approx(0.5 * (u2 + v2)[wet].mean(), rel=1e-13)
    assert found["maximum_speed"] == pytest.approx(np.sqrt((u2 + v2)[wet].max()), rel=1e-13)


def test_the_courant_number_is_that_of_the_time_step(ocean, found):
    """Level by level: what flows in sideways leaves through the top."""
    _, state, wet = ocean
    u, v = np.asarray(state.u), np.asarray(state.v)
    north = np.concatenate([v[:, 1:], np.zeros((NZ, 1, NX))], axis=1)
    outflow = (np.roll(u, -1, axis=2) - u) * DY * DZ + (north - v) * DX * DZ
    upward = -np.flip(np.cumsum(np.flip(outflow, 0), 0), 0)
    faces = np.abs(np.concatenate([upward, np.zeros((1, NY, NX))]))
    rate = (
        (np.abs(u) + np.abs(np.roll(u, -1, axis=2))) / 2 / DX
        + (np.abs(v) + np.abs(north)) / 2 / DY
        + (faces[1:] + faces[:-1]) / 2 / (DX * DY * DZ)
    )
    assert found["courant_number"] == pytest.approx(600.0 * rate[wet].max(), rel=1e-12)


def test_limits(ocean):
    model, state, _ = ocean
    limits = {
        name: measure.limit
        for name, measure in measures(model, OceanParameters(), state).items()
        if not isinstance(measure, Mean) and measure.limit is not None
    }
    assert limits == {
        "courant_number": model.stepper.oscillation_limit,
        "thinnest_column": 0.05,
        "lowest_temperature": -10.0,
        "highest_temperature": 60.0,
        "lowest_salinity": -1.0,
        "highest_salinity": 100.0,
    }
