"""The hydrostatic atmosphere: rest, conservation, steady flow, waves, Held-Suarez, fields."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.checks import model_dot_product_test
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
from dassim.atmosphere.primitive.column import geopotential, pressure_work
from dassim.atmosphere.primitive.physics import Columns
from dassim.dynamics.friction import DivergenceDamping, LateralFriction
from dassim.grid import Field, GridError, sigma_levels
from tests.models.namelists import integrate
from tests.unit.atmosphere.air import EARTH, air, atmosphere

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


@pytest.fixture(scope="module")
def small():
    grid = air(8, FACES)
    return grid, AtmosphereParameters(orography=hills(grid)), stirred(grid)


def test_the_geopotential_of_isothermal_air_is_exact_between_layers(small):
    """Differences between levels are those of mean layers: R T ln of the ratio of pressures."""
    grid, _, _ = small
    T = Field.at("c", jnp.full(grid.shape, 250.0))
    ground = Field.at("c", jnp.zeros(grid.shape[1:]))
    phi = np.asarray(geopotential(grid, GAS, T, ground).data)[:, 0, 0]
    faces = np.array(FACES)
    upper, lower = faces[1:-1], faces[2:]
    alpha = np.append(np.log(2), 1 - upper / (lower - upper) * np.log(lower / upper))
    above = [GAS * 250.0 * (np.log(1.0 / low) + a) for low, a in zip(faces[1:], alpha, strict=True)]
    np.testing.assert_allclose(phi, above, rtol=1e-13)


def test_energy_is_conserved_by_the_tendencies(small):
    """Without a filter: ``sum of h (cp T + K) + ps phi_s`` over area and levels."""
    grid, parameters, state = small
    model = AtmosphereModel(grid, 60.0)
    ground = parameters.gravity * parameters.orography
    share = grid.levels.dz.c / grid.depth.c

    def energy(u, v, ps, content):
        here = model.view(parameters, replace(state, u=u, v=v, ps=ps))
        along_x = here.u**2.0 * here.thickness.u * grid.dx.u * grid.dy.u * grid.mask.u
        along_y = here.v**2.0 * here.thickness.v * grid.dx.v * grid.dy.v * grid.mask.v
        kinetic = 0.5 * (jnp.sum(grid.owned(along_x)) + jnp.sum(grid.owned(along_y)))
        area = grid.owned(grid.area.c)
        enthalpy = parameters.heat_capacity * jnp.sum(area * content)
        return kinetic + enthalpy + jnp.sum(area * ps * ground)

    @jax.jit
    def power():
        rates = model.tendencies(parameters, state)
        moved = [grid.owned(rates[name]) for name in ("u", "v", "ps", "T")]
        content = grid.owned(share * Field.at("c", state.ps)) * state.T
        point = (state.u, state.v, state.ps, content)
        slopes = jax.grad(energy, argnums=(0, 1, 2, 3))(*point)
        return jnp.stack([jnp.vdot(slope, by) for slope, by in zip(slopes, moved, strict=True)])

    parts = power()
    assert float(abs(parts.sum())) < 1e-13 * float(abs(parts).max())


def test_isothermal_air_over_hills_stays_at_rest(small):
    grid, parameters, _ = small
    start = isothermal_rest(grid, EARTH, 280.0, GAS, parameters.orography)
    end = integrate(atmosphere(grid, 600.0), parameters, start, 10)
    assert max(float(abs(end.u).max()), float(abs(end.v).max())) < 1e-9
    np.testing.assert_allclose(end.ps, start.ps, rtol=1e-12)


def test_mass_and_tracers_are_conserved_and_uniform_ones_stay(small):
    grid, parameters, state = small
    start = replace(state, tracers={**state.tracers, "one": jnp.full(grid.shape, 2.0)})
    damped = replace(
        parameters,
        friction=LateralFriction(biharmonic=1e17),
        divergence_damping=DivergenceDamping(1e6),
    )
    end = integrate(atmosphere(grid, 300.0), damped, start, 20)
    area = grid.owned(grid.area.c)
    share = np.diff(FACES)[:, None, None]

    def contents(state):
        mass = area * state.ps
        return [float(jnp.sum(mass)), float(jnp.sum(mass * share * state.tracers["q"]))]

    np.testing.assert_allclose(contents(end), contents(start), rtol=1e-13)
    np.testing.assert_allclose(end.tracers["one"], 2.0, rtol=1e-12)
    assert float(abs(end.ps - start.ps).max()) > 100.0


def test_the_balanced_jets_stay():
    """For half a day, better the more levels and rows there are."""
    moved = []
    for ny, nz in ((12, 6), (24, 12)):
        grid = air(ny, np.linspace(0, 1, nz + 1), nx=8)
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

    def column(values):
        return Field.at("c", jnp.broadcast_to(values[:, None, None], grid.shape))

    def falling(divergence):
        """Minus the rate of change of ``phi + R T ln ps`` by the divergence."""
        outflow = share * divergence
        warming = KAPPA * pressure_work(grid, column(jnp.full(nz, T)), column(outflow)) / share
        phi = geopotential(grid, GAS, warming, ground)
        return phi.data[:, 0, 0] + GAS * T * outflow.sum()

    speeds = np.sqrt(np.linalg.eigvals(np.asarray(jax.jacobian(falling)(jnp.zeros(nz)))).real)
    assert speeds.max() == pytest.approx(np.sqrt(GAS * T / (1 - KAPPA)), rel=0.02)
    assert speeds.min() > 0.1


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
def test_the_adjoint_is_the_transpose(small, start):
    grid, parameters, state = small
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


def test_levels_out_of_order_are_refused():
    with pytest.raises(GridError, match="expected sigma that grows from 0 to 1"):
        sigma_levels([0.0, 0.6, 0.3, 1.0])
