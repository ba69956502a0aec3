"""The vertical modes that move in substeps: which they are, and what they leave as it is."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.atmosphere.primitive import (
    AtmosphereParameters,
    BaroclinicZone,
    FastModes,
    isothermal_rest,
)
from dassim.atmosphere.primitive.column import thickness
from dassim.atmosphere.primitive.fast_modes import Modes, standard_temperature
from dassim.atmosphere.primitive.water import Air
from dassim.grid import Field, smooth_hybrid_levels
from tests.models.namelists import integrate
from tests.unit.atmosphere.air import EARTH, air, atmosphere
from tests.unit.atmosphere.test_primitive import GAS, KAPPA, LEVELS, hills, stirred

AIR = Air(GAS, GAS / KAPPA)


def split(grid, time_step, count=3):
    model = atmosphere(grid, time_step)
    return replace(
        model, fast_modes=FastModes.for_grid(grid, time_step, AIR, model.polar, count=count)
    )


@pytest.fixture(scope="module", params=LEVELS)
def over_hills(request):
    grid = air(8, LEVELS[request.param])
    return grid, AtmosphereParameters(orography=hills(grid)), stirred(grid)


@pytest.mark.parametrize("exponent", [1.0, 1.5], ids=["sigma", "hybrid"])
def test_the_modes_are_those_of_the_equations(exponent):
    """Rates of change, by the full equations, of geopotential and surface pressure in air of the
    standard temperature, disturbed by the divergence of one mode."""
    grid = air(8, smooth_hybrid_levels(12, 0.0, exponent), nx=16)
    modes = Modes.of(grid, 3, AIR)
    np.testing.assert_allclose(modes.amplitude @ modes.profile, np.eye(3), atol=1e-10)

    model, parameters = atmosphere(grid, 60.0), AtmosphereParameters()
    start = isothermal_rest(grid, EARTH, 280.0, GAS)
    start = replace(start, ps=jnp.full_like(start.ps, 1e5))
    here = model.view(parameters, start)
    pressure = 1e5 * np.exp(np.broadcast_to(here.weights.level.data, (12, 16, 24))[:, 0, 0])
    T = jnp.asarray(standard_temperature(pressure))
    start = replace(start, T=jnp.broadcast_to(T[:, None, None], grid.shape))
    wave = jnp.sin(jnp.deg2rad(grid.owned(grid.x.u)))[None] * grid.owned_mask("u")

    def rates(size):
        moving = replace(start, u=size * modes.profile[:, :1, None] * wave)
        found = model.tendencies(parameters, moving)
        h = grid.owned(thickness(grid, Field.at("c", start.ps)))
        dh = grid.levels.dz.c.data * found["ps"].data / 1e5
        if grid.levels.a is not None:
            dh = (grid.levels.b.data[1:] - grid.levels.b.data[:-1]) * found["ps"].data
        warming = (found["T"].data - start.T * dh) / h
        return warming, found["ps"].data / 1e5

    _, (warming, rising) = jax.jvp(rates, (0.0,), (1.0,))
    potential = jnp.einsum("ij,jyx->iyx", modes.potential, warming)
    potential = potential + jnp.einsum("ij,jyx->iyx", modes.ground, start.T) * rising
    u = Field(wave, here.u.spans)
    around = grid.exchange(Field.at("u", u.data), 1)
    spread = around.data[..., 1:-1, 2:] - around.data[..., 1:-1, 1:-1]
    spread = spread * grid.owned(grid.dy.c) / grid.owned(grid.area.c)
    expected = -(modes.speeds[0] ** 2) * spread[0]
    middle = slice(3, 5)  # rows that the polar filter leaves alone
    scale = float(abs(expected[middle]).max())
    np.testing.assert_allclose(potential[0, middle], expected[middle], atol=1e-3 * scale)
    assert float(abs(potential[1:, middle]).max()) < 1e-3 * scale


def test_isothermal_air_over_hills_stays_at_rest_in_long_steps(over_hills):
    grid, parameters, _ = over_hills
    start = isothermal_rest(grid, EARTH, 280.0, GAS, parameters.orography)
    end = integrate(split(grid, 3600.0), parameters, start, 10)
    assert max(float(abs(end.u).max()), float(abs(end.v).max())) < 1e-8
    np.testing.assert_allclose(end.ps, start.ps, rtol=1e-12)


def test_mass_and_tracers_are_conserved_and_uniform_ones_stay(over_hills):
    grid, parameters, state = over_hills
    start = replace(state, tracers={**state.tracers, "one": jnp.full(grid.shape, 2.0)})
    end = integrate(split(grid, 1800.0), parameters, start, 10)
    area = grid.owned(grid.area.c)

    def contents(state):
        mass = area * grid.owned(thickness(grid, Field.at("c", state.ps)))
        return [float(jnp.sum(mass)), float(jnp.sum(mass * state.tracers["q"]))]

    np.testing.assert_allclose(contents(end), contents(start), rtol=1e-13)
    np.testing.assert_allclose(end.tracers["one"], 2.0, rtol=1e-12)
    assert float(abs(end.ps - start.ps).max()) > 100.0


def jets(ny=16, nz=8):
    grid = air(ny, smooth_hybrid_levels(nz, 0.0, 1.0))
    zone = BaroclinicZone(EARTH, GAS)
    parameters = AtmosphereParameters(orography=zone.ground_of(grid))
    return grid, parameters, zone.state(grid, 5.0)


def apart(a, b):
    return float(jnp.sqrt(jnp.mean((a.u - b.u) ** 2)))


def test_substeps_give_what_short_steps_give_to_second_order():
    grid, parameters, start = jets()
    exact = integrate(atmosphere(grid, 75.0), parameters, start, 96)
    errors = [
        apart(integrate(split(grid, 3600.0 / n), parameters, start, 2 * n), exact) for n in (6, 24)
    ]
    assert errors[0] < 5e-3
    assert errors[1] < errors[0] / 13


def test_steps_four_times_as_long_as_those_of_all_waves_are_stable():
    grid, parameters, start = jets()
    short = integrate(atmosphere(grid, 900.0), parameters, start, 2 * 96)
    broken = integrate(atmosphere(grid, 3600.0), parameters, start, 2 * 24)
    long = integrate(split(grid, 3600.0), parameters, start, 2 * 24)
    assert not np.isfinite(np.asarray(broken.u)).all() or apart(broken, short) > 10.0
    assert apart(long, short) < 0.1


def test_more_modes_than_levels_are_refused():
    grid = air(8, LEVELS["sigma"])
    with pytest.raises(ValueError, match="found 6 modes; expected 1 to 5"):
        FastModes.for_grid(grid, 600.0, AIR, count=6)
