"""The hydrostatic atmosphere: rest, conservation, steady flow, waves, Held-Suarez, fields."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.dot_products import model_dot_product_test
from dassim.atmosphere.primitive import (
    AtmosphereModel,
    AtmosphereParameters,
    AtmosphereState,
    BaroclinicZone,
    DryAdjustment,
    HeldSuarez,
    Sponge,
    isothermal_rest,
)
from dassim.atmosphere.primitive.column import Weights, geopotential, pressure_work, thickness
from dassim.atmosphere.primitive.physics import Columns
from dassim.dynamics.friction import DivergenceDamping, LateralFriction
from dassim.dynamics.tracers import LateralDiffusion
from dassim.grid import (
    Field,
    GridError,
    hybrid_levels,
    levels,
    sigma_levels,
    smooth_hybrid_levels,
)
from dassim.grid.operators import divergence, masked
from tests.models.namelists import integrate
from tests.unit.atmosphere.air import EARTH, air, angular_momentum, atmosphere, total_energy

GAS, KAPPA = 287.0, 287.0 / 1004.5
FACES = (0.0, 0.1, 0.3, 0.6, 0.85, 1.0)


def hills(grid):
    lon, lat = (np.deg2rad(np.asarray(grid.owned(axis.c))) for axis in (grid.x, grid.y))
    return 1500.0 * (1 + np.cos(3 * lon)) * np.cos(lat) ** 2


def stirred(grid, seed=0):
    """Jets and noise over hills."""
    rng = np.random.default_rng(seed)
    flow = BaroclinicZone(EARTH, GAS).state(grid)
    ps = isothermal_rest(grid, EARTH, 280.0, GAS, hills(grid)).ps
    return AtmosphereState.of(
        grid,
        flow.u + rng.standard_normal(grid.shape),
        rng.standard_normal(grid.shape),
        flow.T + rng.standard_normal(grid.shape),
        ps * (1.0 + 1e-3 * rng.standard_normal(grid.shape[1:])),
        {"q": 1e-2 * rng.random(grid.shape)},
    )


LEVELS = {
    "sigma": sigma_levels(FACES),
    "hybrid": hybrid_levels([0.0, 1e4, 2e4, 1e4, 0.0, 0.0], [0.0, 0.0, 0.1, 0.5, 0.85, 1.0]),
    "a lid": hybrid_levels([3e3, 1e4, 2e4, 1e4, 0.0, 0.0], [0.0, 0.0, 0.1, 0.5, 0.85, 1.0]),
}


def with_a_uniform_tracer(state):
    return replace(state, tracers={**state.tracers, "one": jnp.full_like(state.T, 2.0)})


def require_conserved(grid, start, end):
    """The mass of air and of vapour, while air has moved, and the uniform tracer's value."""

    def contents(state):
        mass = grid.owned(grid.area.c) * grid.owned(thickness(grid, Field.at("c", state.ps)))
        return [float(jnp.sum(mass)), float(jnp.sum(mass * state.tracers["q"]))]

    np.testing.assert_allclose(contents(end), contents(start), rtol=1e-13)
    np.testing.assert_allclose(end.tracers["one"], 2.0, rtol=1e-12)
    assert float(abs(end.ps - start.ps).max()) > 100.0


@pytest.fixture(scope="module")
def small():
    grid = air(8, FACES)
    return grid, AtmosphereParameters(orography=hills(grid)), stirred(grid)


@pytest.fixture(scope="module", params=LEVELS)
def over_hills(request):
    grid = air(8, LEVELS[request.param])
    return grid, AtmosphereParameters(orography=hills(grid)), stirred(grid)


def test_the_geopotential_of_isothermal_air_is_exact_between_layers(small):
    """Differences between levels are those of mean layers: R T ln of the ratio of pressures."""
    grid, _, _ = small
    T = Field.at("c", jnp.full(grid.shape, 250.0))
    ground = Field.at("c", jnp.zeros(grid.shape[1:]))
    weights = Weights.of(grid, Field.constant(1e5))
    phi = np.asarray(geopotential(weights, GAS, T, ground).data)[:, 0, 0]
    faces = np.array(FACES)
    upper, lower = faces[1:-1], faces[2:]
    alpha = np.append(np.log(2), 1 - upper / (lower - upper) * np.log(lower / upper))
    above = [GAS * 250.0 * (np.log(1.0 / low) + a) for low, a in zip(faces[1:], alpha, strict=True)]
    np.testing.assert_allclose(phi, above, rtol=1e-13)


def test_energy_is_conserved_by_the_tendencies(over_hills):
    """Without a filter: ``sum of h (cp T + K) + ps phi_s`` over area and levels."""
    grid, parameters, state = over_hills
    model = AtmosphereModel(grid, 60.0)

    def energy(u, v, ps, content):
        moved = replace(state, u=u, v=v, ps=ps)
        return total_energy(model, parameters, moved, content)

    @jax.jit
    def power():
        rates = model.tendencies(parameters, state)
        moved = [grid.owned(rates[name]) for name in ("u", "v", "ps", "T")]
        content = grid.owned(thickness(grid, Field.at("c", state.ps))) * state.T
        point = (state.u, state.v, state.ps, content)
        slopes = jax.grad(energy, argnums=(0, 1, 2, 3))(*point)
        return jnp.stack([jnp.vdot(slope, by) for slope, by in zip(slopes, moved, strict=True)])

    parts = power()
    assert float(abs(parts.sum())) < 1e-13 * float(abs(parts).max())


def test_angular_momentum_changes_by_truncation_alone():
    """Over flat ground without friction: a wave grows on the jets for half a day, and what the
    flow loses the planet's rotation gains, the better the finer the grid."""
    errors = []
    for ny, step in ((12, 1200.0), (24, 600.0)):
        grid = air(ny, FACES)
        flow = BaroclinicZone(EARTH, GAS).state(grid)
        lon, lat = (np.deg2rad(np.asarray(grid.owned(axis.c))) for axis in (grid.x, grid.y))
        bump = 500.0 * np.cos(2 * lon) * np.cos(lat) ** 4
        start = replace(flow, ps=flow.ps + bump)
        end = integrate(atmosphere(grid, step), AtmosphereParameters(), start, round(43200 / step))
        (flow0, planet0), (flow1, planet1) = (angular_momentum(grid, s) for s in (start, end))
        assert abs(planet1 - planet0) > 1e-2 * flow0
        errors.append(abs(flow1 + planet1 - flow0 - planet0) / flow0)
    assert errors[1] < 1e-5
    assert errors[1] < 0.35 * errors[0]


def test_isothermal_air_over_hills_stays_at_rest(over_hills):
    grid, parameters, _ = over_hills
    start = isothermal_rest(grid, EARTH, 280.0, GAS, parameters.orography)
    end = integrate(atmosphere(grid, 600.0), parameters, start, 10)
    assert max(float(abs(end.u).max()), float(abs(end.v).max())) < 1e-9
    np.testing.assert_allclose(end.ps, start.ps, rtol=1e-12)


def test_mass_and_tracers_are_conserved_and_uniform_ones_stay(over_hills):
    grid, parameters, state = over_hills
    start = with_a_uniform_tracer(state)
    damped = replace(
        parameters,
        friction=LateralFriction(biharmonic=1e17),
        divergence_damping=DivergenceDamping(1e6),
        diffusion=LateralDiffusion(1e5, 1e16),
    )
    end = integrate(atmosphere(grid, 300.0), damped, start, 20)
    require_conserved(grid, start, end)


@pytest.mark.parametrize("exponent", [1.0, 1.5], ids=["sigma", "hybrid"])
def test_the_balanced_jets_stay(exponent):
    """For half a day, better the more levels and rows there are."""
    moved = []
    for ny, nz in ((12, 6), (24, 12)):
        grid = air(ny, smooth_hybrid_levels(nz, 0.0, exponent), nx=8)
        zone = BaroclinicZone(EARTH, GAS)
        parameters = AtmosphereParameters(orography=zone.ground_of(grid))
        start = zone.state(grid)
        end = integrate(atmosphere(grid, 900.0), parameters, start, 48)
        apart = (end.u - start.u) ** 2 * grid.owned(grid.area.u)
        moved.append(float(jnp.sqrt(apart.sum() / nz / grid.owned(grid.area.u).sum())))
        assert float(abs(end.v).max()) < 1.0
    assert moved[0] < 1.5
    assert moved[1] < 0.4 * moved[0]


def test_the_fastest_waves_of_isothermal_air_are_lamb_waves():
    """Speeds of waves, from what the divergence of each level does to potentials."""
    nz, T = 20, 288.0
    grid = air(4, np.linspace(0, 1, nz + 1), nx=4)
    share = 1.0 / nz
    ground = Field.at("c", jnp.zeros(grid.shape[1:]))
    weights = Weights.of(grid, Field.constant(1e5))

    def column(values):
        return Field.at("c", jnp.broadcast_to(values[:, None, None], grid.shape))

    def falling(divergence):
        """Minus the rate of change of ``phi + R T ln ps`` by the divergence."""
        outflow = share * divergence
        warming = KAPPA * pressure_work(weights, column(jnp.full(nz, T)), column(outflow)) / share
        phi = geopotential(weights, GAS, warming, ground)
        return phi.data[:, 0, 0] + GAS * T * outflow.sum()

    speeds = np.sqrt(np.linalg.eigvals(np.asarray(jax.jacobian(falling)(jnp.zeros(nz)))).real)
    assert speeds.max() == pytest.approx(np.sqrt(GAS * T / (1 - KAPPA)), rel=0.02)
    assert speeds.min() > 0.1


def test_the_damping_of_divergence_takes_its_square_out_of_the_energy(small):
    grid, _, state = small
    u, v = grid.exchange((Field.at("u", state.u), Field.at("v", state.v)), 3)
    by = DivergenceDamping(1e6)(grid, u, v)
    assert by is not None
    at_u, at_v = (
        grid.owned(area) * wind * grid.owned(masked(mask, rate))
        for area, wind, mask, rate in (
            (grid.dx.u * grid.dy.u, state.u, grid.mask.u, by[0]),
            (grid.dx.v * grid.dy.v, state.v, grid.mask.v, by[1]),
        )
    )
    power = float(at_u.sum() + at_v.sum())
    d = grid.owned(divergence(grid, masked(grid.mask.u, u), masked(grid.mask.v, v)))
    assert power == pytest.approx(-1e6 * float((grid.owned(grid.area.c) * d**2).sum()), rel=1e-12)
    assert power < 0.0


def test_held_suarez_relaxes_to_its_profile(small):
    grid, parameters, state = small
    process = HeldSuarez()
    columns = Columns.of(grid, parameters, state)
    equilibrium = process.equilibrium(columns)
    assert float(equilibrium.min()) == 200.0
    surface = np.asarray(equilibrium[-1])
    assert 300 < surface[3:5].max() < 316
    assert surface[[0, -1]].max() < 265
    change = process(columns, 600.0)
    at_rest = process(Columns.of(grid, parameters, replace(state, T=equilibrium)), 600.0)
    assert float(abs(at_rest.heating).max()) < 1e-15
    colder = np.asarray(equilibrium < state.T) == np.asarray(change.heating < 0)
    assert colder.all()
    day = 86400.0
    drag = np.asarray(change.drag)[:, 0, 0] * day
    np.testing.assert_allclose(drag, [0, 0, 0, 0.025 / 0.3, 0.225 / 0.3], rtol=1e-12)


def test_the_sponge_damps_the_top_alone(small):
    grid, parameters, state = small
    columns = Columns.of(grid, parameters, state)
    after = columns.moved(state, Sponge(1 / 3600.0, 0.2)(columns, 600.0), 600.0)
    ratio = np.asarray(after.u)[:, 3, 3] / np.asarray(state.u)[:, 3, 3]
    np.testing.assert_allclose(ratio, [1 / (1 + 0.75**2 / 6), 1, 1, 1, 1], rtol=1e-12)


def test_dry_adjustment_mixes_what_is_unstable_and_keeps_enthalpy_and_tracers(small):
    grid, parameters, state = small
    sigma = 0.5 * (np.array(FACES)[1:] + np.array(FACES)[:-1])[:, None, None]
    exner = sigma**KAPPA
    warm = np.array([20.0, 10.0, 0.0, -1.0, 4.0])[:, None, None]  # theta falls upward at the ground
    T = jnp.asarray((300.0 + warm) * exner * np.ones(grid.shape)).at[:, 0].set(250.0)
    start = replace(state, T=T)
    columns = Columns.of(grid, parameters, start)
    end = columns.moved(start, DryAdjustment(20)(columns, 600.0), 600.0)
    mass = np.diff(FACES)[:, None, None]
    for before, after in ((start.T, end.T), (start.tracers["q"], end.tracers["q"])):
        np.testing.assert_allclose((mass * after).sum(0), (mass * before).sum(0), rtol=1e-13)
    theta = np.asarray(end.T) / exner
    assert (np.diff(theta, axis=0) < 1e-9).all()
    np.testing.assert_allclose(theta[2:, 3, 3], theta[2, 3, 3], rtol=1e-9)  # three levels as one
    np.testing.assert_array_equal(end.T[:2, 1:], start.T[:2, 1:])
    np.testing.assert_array_equal(end.T[:, 0], start.T[:, 0])


@pytest.mark.parametrize("start", ["rest", "motion"])
def test_the_adjoint_is_the_transpose(over_hills, start):
    grid, parameters, state = over_hills
    forced = replace(parameters, physics=(HeldSuarez(), DryAdjustment(3)))
    if start == "rest":
        state = isothermal_rest(grid, EARTH, 280.0, GAS, parameters.orography)
    test = model_dot_product_test(atmosphere(grid, 300.0), forced, state, steps=1, seed=1)
    assert test.passed, test


def test_diagnosed_fields(small):
    grid, parameters, _ = small
    state = isothermal_rest(grid, EARTH, 280.0, GAS, parameters.orography)
    names = ["theta", "omega", "z", "p", "psl", "speed"]
    found = atmosphere(grid, 300.0).output(parameters, state, names)
    sigma = 0.5 * (np.array(FACES)[1:] + np.array(FACES)[:-1])[:, None, None]
    np.testing.assert_allclose(found["p"], sigma * np.asarray(state.ps), rtol=1e-13)
    theta = 280.0 * (1e5 / np.asarray(found["p"])) ** (GAS / 1004.5)
    np.testing.assert_allclose(found["theta"], theta, rtol=1e-12)
    assert float(abs(found["omega"]).max()) == float(found["speed"].max()) == 0.0
    np.testing.assert_allclose(found["psl"], 1e5, rtol=3e-2)
    assert (np.asarray(found["z"]) > np.asarray(parameters.orography)).all()


def test_levels_of_pressure_feel_hills_less():
    """Air at rest, colder with height up to a tropopause: what pushes it there."""
    pushed, rate = {}, 0.0065
    for name, exponent in (("sigma", 1.0), ("hybrid", 2.0)):
        grid = air(12, smooth_hybrid_levels(20, 1000.0, exponent))
        height, gravity = hills(grid), EARTH.gravity
        ps = 1e5 * (1.0 - rate * height / 288.0) ** (gravity / (GAS * rate))
        parameters = AtmosphereParameters(orography=height)
        columns = Columns.of(grid, parameters, AtmosphereState.of(grid, 0.0, 0.0, 0.0, ps))
        T = 288.0 * (columns.pressure / 1e5) ** (GAS * rate / gravity)
        state = AtmosphereState.of(grid, 0.0, 0.0, jnp.maximum(216.0, T), ps)
        rates = jax.jit(AtmosphereModel(grid, 60.0).tendencies)(parameters, state)
        pushed[name] = float(abs(grid.owned(rates["u"])[:6]).max())
    assert pushed["sigma"] > 1e-5
    assert pushed["hybrid"] < 0.7 * pushed["sigma"], pushed


def test_hybrid_levels_lie_where_they_are_said_to():
    grid = air(8, LEVELS["a lid"])
    state = isothermal_rest(grid, EARTH, 280.0, GAS, hills(grid))
    p = np.asarray(atmosphere(grid, 300.0).output(AtmosphereParameters(), state, ["p"])["p"])
    ps = np.asarray(state.ps)
    np.testing.assert_allclose(p[0], 6500.0, rtol=1e-14)
    np.testing.assert_allclose(p[2], 1.5e4 + 0.3 * ps, rtol=1e-14)
    mass = Columns.of(grid, AtmosphereParameters(gravity=10.0), state).mass
    np.testing.assert_allclose(mass.sum(axis=0), (ps - 3e3) / 10.0, rtol=1e-13)
    assert LEVELS["a lid"].least_pressure == pytest.approx(1e4 / 0.35)
    same = hybrid_levels(np.zeros(6), FACES)
    assert same.a is None
    np.testing.assert_array_equal(same.dz.c.data, LEVELS["sigma"].dz.c.data)


WRONG = {
    "sigma out of order": (
        lambda: sigma_levels([0.0, 0.6, 0.3, 1.0]),
        "expected sigma that grows from 0 to 1",
    ),
    "levels out of order": (
        lambda: hybrid_levels([1e3, 6e4, 3e4, 0.0], [0.0, 0.0, 0.1, 1.0]),
        "found face 2 at 30000 Pa . 0.1 ps, not above the 60000 Pa",
    ),
    "a top below the ground": (
        lambda: hybrid_levels([2e5, 0.0], [0.0, 1.0]),
        "expected pressure and b that grow from the top to the ground",
    ),
    "unequal lists": (lambda: hybrid_levels([1e3, 0.0], [0.0, 0.5, 1.0]), "complete the lists"),
    "ground that is no ground": (
        lambda: hybrid_levels([1e3, 10.0], [0.0, 1.0]),
        "expected a of at least 0 Pa that ends at 0",
    ),
    "no number": (lambda: hybrid_levels([np.nan, 0.0], [0.0, 1.0]), "correct the lists"),
}


@pytest.mark.parametrize(("make", "words"), WRONG.values(), ids=WRONG)
def test_levels_that_cannot_be_are_refused(make, words):
    with pytest.raises(GridError, match=words):
        make()


def test_the_atmosphere_asks_for_levels_of_its_own():
    grid = air(4, levels([10.0, 20.0]), nx=8)
    with pytest.raises(ValueError, match="found levels of depth; expected those of an atmosphere"):
        Columns.of(grid, AtmosphereParameters(), AtmosphereState.of(grid, 0.0, 0.0, 280.0, 1e5))
