"""The vertical modes that move in substeps: which they are, and what they leave as it is."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.dot_products import model_dot_product_test
from dassim.atmosphere.primitive import (
    AtmosphereParameters,
    BaroclinicZone,
    FastModes,
    isothermal_rest,
)
from dassim.atmosphere.primitive.column import thickness
from dassim.atmosphere.primitive.fast_modes import Modes, mixed, require_waves
from dassim.atmosphere.primitive.stability import stability_limits
from dassim.config.errors import NamelistError
from dassim.grid import Field, smooth_hybrid_levels
from tests.models.namelists import SMALLER, build, integrate
from tests.unit.atmosphere.air import AIR, EARTH, air, atmosphere, split
from tests.unit.atmosphere.test_primitive import (
    GAS,
    LEVELS,
    hills,
    require_conserved,
    stirred,
    with_a_uniform_tracer,
)


@pytest.fixture(scope="module", params=LEVELS)
def over_hills(request):
    grid = air(8, LEVELS[request.param])
    return grid, AtmosphereParameters(orography=hills(grid)), stirred(grid)


@pytest.mark.parametrize(
    "squares",
    [
        [9e4, 2e4 + 1j, 2e4 - 1j, 1e3],
        [9e4, 2e4, 2e4, 1e3],
        [9e4, 2e4, -10.0, -20.0],
    ],
    ids=["complex", "twice", "growing"],
)
def test_modes_that_are_no_waves_are_refused(squares):
    require_waves(np.array([9e4, 2e4, 5e3, 1e3]), 3)
    require_waves(np.array([9e4]), 1)
    with pytest.raises(ValueError, match="expected 3 that are waves"):
        require_waves(np.array(squares), 3)


@pytest.mark.parametrize("ps", [1e5, 6e4])
@pytest.mark.parametrize("exponent", [1.0, 1.5], ids=["sigma", "hybrid"])
def test_operators_are_those_of_the_equations(exponent, ps):
    """What the full equations make of small changes of a column at rest, in the modes."""
    nz = 8
    grid = air(6, smooth_hybrid_levels(nz, 0.0, exponent), nx=16)
    modes, model, parameters = (
        Modes.of(grid, 3, AIR),
        atmosphere(grid, 60.0),
        AtmosphereParameters(),
    )
    np.testing.assert_allclose(modes.amplitude @ modes.profile, np.eye(3), atol=1e-10)
    within = 2e-3 if exponent == 1.0 else 2.5e-2  # interpolated in surface pressure
    row = 3  # the polar filter leaves it alone
    T = jnp.linspace(215.0, 285.0, nz)[:, None, None] * jnp.ones(grid.shape)
    still = isothermal_rest(grid, EARTH, 280.0, GAS)
    still = replace(still, T=T, ps=jnp.full_like(still.ps, ps))
    shares = modes.shares(Field.at("c", still.ps))
    along = jnp.sin(jnp.deg2rad(grid.owned(grid.x.c)) + 0.3)
    dx, dy, area = (grid.owned(m)[row] for m in (grid.dx.u, grid.dy.u, grid.area.c))

    def rates(change):
        u, warmer, heavier = change
        state = replace(still, u=u, T=T + warmer, ps=ps * jnp.exp(heavier))
        found = {name: rate.data for name, rate in model.tendencies(parameters, state).items()}
        h, db = thickness(grid, Field.at("c", still.ps)).data, jnp.diff(grid.levels.b.data, axis=0)
        return found["u"], (found["T"] - T * db * found["ps"]) / h, found["ps"][0] / ps

    def response(**changes):
        none = {"u": jnp.zeros(grid.shape), "T": jnp.zeros(grid.shape)}
        none["ps"] = jnp.zeros(grid.shape[1:])
        change = tuple({**none, **changes}.values())
        tangents = jax.jvp(rates, (tuple(none.values()),), (change,))[1]
        return [Field.at("c", each) for each in tangents]

    def same(found, expected):
        scale = float(abs(expected).max())
        np.testing.assert_allclose(found, expected, atol=within * scale)

    def potential(warmer, heavier):
        return (
            mixed(modes.potential, shares, warmer) + mixed(modes.ground, shares, still_T) * heavier
        )

    still_T = Field.at("c", T)
    warmer = Field.at("c", along * jnp.cos(jnp.arange(nz))[:, None, None])
    for push in ({"T": warmer.data}, {"ps": along}):
        force = modes.amplitude @ response(**push)[0].data[:, row]
        fields = warmer if "T" in push else warmer * 0.0, Field.at("c", along)
        there = potential(fields[0], fields[1] * ("ps" in push)).data[:, row]
        same(force, -(there - jnp.roll(there, 1, axis=-1)) / dx)

    wave = along * grid.owned_mask("u")
    stiffness = mixed(modes.stiffness, shares, still_T).data[:, row].reshape(3, 3, -1)
    for mode in range(3):
        _, warming, rising = response(u=modes.profile[:, mode, None, None] * wave)
        found = potential(warming, rising).data[:, row]
        spread = (jnp.roll(wave[0, row], -1) - wave[0, row]) * dy / area
        same(found, -stiffness[:, mode] * spread)


def test_isothermal_air_over_hills_stays_at_rest_in_long_steps(over_hills):
    grid, parameters, _ = over_hills
    start = isothermal_rest(grid, EARTH, 280.0, GAS, parameters.orography)
    end = integrate(split(grid, 3600.0), parameters, start, 10)
    assert max(float(abs(end.u).max()), float(abs(end.v).max())) < 1e-8
    np.testing.assert_allclose(end.ps, start.ps, rtol=1e-12)


def test_mass_and_tracers_are_conserved_and_uniform_ones_stay(over_hills):
    grid, parameters, state = over_hills
    start = with_a_uniform_tracer(state)
    model = split(grid, 3600.0)
    assert model.fast_modes.substeps > 1
    end = integrate(model, parameters, start, 5)
    require_conserved(grid, start, end)


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


@pytest.mark.parametrize("air_pressure", [1e5, 5.5e4])
def test_noise_in_air_at_rest_on_hybrid_levels_decays(air_pressure):
    """Also over ground as high as that of Tibet."""
    grid = air(8, smooth_hybrid_levels(12, 0.0, 1.5))
    rng = np.random.default_rng(0)
    state = isothermal_rest(grid, EARTH, 260.0, GAS)
    noise = 1e-3 * rng.standard_normal(grid.shape)
    state = replace(state, ps=jnp.full_like(state.ps, air_pressure), T=state.T + noise)
    end = integrate(split(grid, 7200.0), AtmosphereParameters(), state, 200)
    assert float(abs(end.u).max()) < 1e-2


@pytest.mark.parametrize("start", ["rest", "motion"])
def test_the_adjoint_is_the_transpose(start):
    grid = air(8, LEVELS["hybrid"])
    parameters, state = AtmosphereParameters(orography=hills(grid)), stirred(grid)
    if start == "rest":
        state = isothermal_rest(grid, EARTH, 280.0, GAS, parameters.orography)
    test = model_dot_product_test(split(grid, 3600.0), parameters, state, steps=1, seed=1)
    assert test.passed, test


def test_a_batch_of_states_moves_as_each_of_them():
    grid, parameters, start = jets(8, 5)
    model = split(grid, 3600.0)
    states = jax.tree.map(lambda x: jnp.stack([x, 1.001 * x]), start)
    both = jax.vmap(lambda state: model.step(parameters, state))(states)
    one = model.step(parameters, jax.tree.map(lambda x: 1.001 * x, start))
    np.testing.assert_allclose(both.u[1], one.u, atol=1e-11)


def test_single_precision_stays_single():
    one = build("held_suarez", [*SMALLER["held_suarez"], "precision=float32"])
    end = integrate(one.model, one.parameters, one.state, 1)
    assert {end.u.dtype, end.T.dtype, end.ps.dtype} == {jnp.dtype("float32")}
    assert np.isfinite(end.u).all()


def test_gravity_waves_that_are_left_bound_the_step():
    """Noise in isothermal air grows in steps that are beyond the limit, and in no others."""
    grid = air(8, smooth_hybrid_levels(12, 0.0, 1.0), rotation=0.0)
    state = isothermal_rest(grid, EARTH, 260.0, GAS)
    rng = np.random.default_rng(0)
    state = replace(state, T=state.T + 1e-3 * rng.standard_normal(grid.shape))
    parameters = AtmosphereParameters()
    limits = stability_limits(split(grid, 3600.0), parameters, state)
    longest = next(limit.longest_step for limit in limits if limit.term == "gravity waves")
    for share, grows in ((0.9, False), (1.4, True)):
        end = integrate(split(grid, share * longest), parameters, state, 200)
        assert (not float(abs(end.u).max()) < 0.1) == grows


def test_more_modes_than_levels_are_refused():
    grid = air(8, LEVELS["sigma"])
    with pytest.raises(ValueError, match="found 6 modes; expected 1 to 5"):
        FastModes.for_grid(grid, 600.0, AIR, count=6)
    few = [*SMALLER["held_suarez"], "physics.fast_modes.modes=7"]
    with pytest.raises(NamelistError, match="found 7 modes; expected at most"):
        build("held_suarez", few)


def test_states_extrapolated_in_time_are_refused():
    """In air at rest noise grows then, within all limits of the step."""
    overrides = [*SMALLER["held_suarez"], "physics.stepper={type: adams_bashforth_2, eps: 0.1}"]
    with pytest.raises(NamelistError, match="adams_bashforth_2 beside fast_modes; expected"):
        build("held_suarez", overrides)
