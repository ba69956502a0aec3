"""Moist physics: saturation, rain, convection, grey radiation, the boundary layer."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dassim.assimilation.dot_products import model_dot_product_test
from dassim.assimilation.verification import sizes_of
from dassim.atmosphere.primitive import (
    AtmosphereParameters,
    AtmosphereState,
    BettsMiller,
    BoundaryLayer,
    Columns,
    Condensation,
    GreyRadiation,
    PositiveHumidity,
    fluxes_of,
)
from dassim.atmosphere.primitive.column import thickness
from dassim.atmosphere.primitive.moist_convection import ascent
from dassim.atmosphere.primitive.radiation import STEFAN_BOLTZMANN
from dassim.atmosphere.primitive.state import FLUXES
from dassim.atmosphere.primitive.water import Water, virtual_factor
from dassim.atmosphere.primitive.weight import weighed
from dassim.grid import Field, smooth_hybrid_levels
from tests.models.namelists import integrate
from tests.unit.atmosphere.air import EARTH, air, atmosphere

LATENT, CP, GAS, GRAVITY = 2.5e6, 1004.5, 287.0, 9.80616
DT = 600.0


def columns_of(T, q, Ts=300.0, u=5.0, faces=None, ny=4, **numbers):
    """A state and its columns; ``T`` and ``q`` broadcast to ``(nz, ny, 8)``."""
    faces = np.linspace(0, 1, 13) if faces is None else faces
    grid = air(ny, faces, nx=8)
    state = AtmosphereState.of(grid, u, 0.0, T, 1e5, {"q": q}, Ts=Ts)
    return state, Columns.of(grid, AtmosphereParameters(**numbers), state)


def tropical(humidity=0.8, nz=12):
    """Moist air that convects."""
    sigma = (np.arange(nz) + 0.5)[:, None, None] / nz
    T = np.maximum(200.0, 300.0 * sigma**0.19)
    q = humidity * np.asarray(Water().saturation(jnp.asarray(T), 1e5 * sigma, GAS))
    return T, np.minimum.accumulate(q[::-1])[::-1]


def whole(columns, values):
    return np.asarray(jnp.sum(columns.mass * values, axis=0))


def test_saturation_follows_clausius_and_clapeyron():
    water, T = Water(), jnp.linspace(220.0, 310.0, 10)
    slope = jax.vmap(jax.grad(lambda T: jnp.log(water.saturation(T, 1e5, GAS))))(T)
    np.testing.assert_allclose(slope, water.steepness(T), rtol=1e-12)
    # 35.3 hPa at 300 K (Goff & Gratch)
    pressure = 1e5 * float(water.saturation(jnp.asarray(300.0), 1e5, GAS)) * 461.5 / GAS
    assert pressure == pytest.approx(3535.0, rel=0.02)
    assert virtual_factor(0.01, GAS, water) == pytest.approx(1.00608, abs=1e-5)


def test_rain_leaves_saturated_air_and_its_heat():
    T, q = tropical(humidity=1.1)
    q[8] *= 0.5  # a drier level, in which rain evaporates
    state, columns = columns_of(T, q)
    change = Condensation()(columns, DT)
    rain = -whole(columns, DT * change.sources["q"])
    assert (rain > 0).all()
    np.testing.assert_allclose(CP * whole(columns, DT * change.heating), LATENT * rain, rtol=1e-12)
    assert (np.asarray(change.sources["q"])[8] > 0).all()
    end = columns.moved(state, change, DT)
    after = replace(columns, T=end.T, tracers=end.tracers)
    humid = np.asarray(after.q / after.saturation)
    rained = np.asarray(columns.q > columns.saturation)
    assert rained.sum() > 100
    assert np.abs(humid[rained] - 1.0).max() < 0.01  # one Newton step


def test_it_does_not_rain_from_drier_air():
    T, q = tropical(humidity=0.9)
    _, columns = columns_of(T, q)
    assert float(jnp.abs(Condensation()(columns, DT).sources["q"]).max()) == 0.0


def test_levels_without_vapour_borrow_from_below_and_the_lowest_from_above():
    q = np.array([-1.0, 3.0, 1.0, -2.0, -1.0, 2.0])[:, None, None] * 1e-3
    state, columns = columns_of(280.0, q, faces=np.linspace(0, 1, 7))
    end = columns.moved(state, PositiveHumidity()(columns, DT), DT).tracers["q"]
    expected = 1e-3 * np.array([0.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(end[:, 1, 1], expected, atol=1e-17)
    np.testing.assert_allclose(whole(columns, end), whole(columns, state.tracers["q"]), rtol=1e-12)


def test_radiation_gives_the_air_what_goes_in_and_not_out():
    T, q = tropical()
    _, columns = columns_of(T, q)
    radiation = GreyRadiation()
    change = radiation(columns, DT)
    up, down = radiation.streams(columns)
    gain = up[-1] - down[-1] - up[0] + down[0]
    np.testing.assert_allclose(CP * whole(columns, change.heating), gain, rtol=1e-11)
    out = np.asarray(up[0])
    assert (out < 0.9 * STEFAN_BOLTZMANN * 300.0**4).all()
    assert (out > 100.0).all()


def test_grey_air_in_equilibrium_is_not_heated():
    """``B = S (1 + tau) / 2`` under the flux S: the exact solution."""
    errors = []
    for nz in (20, 40):
        faces = np.linspace(0, 1, nz + 1)
        radiation = GreyRadiation(equator=2.0, pole=2.0, linear=1.0)
        flux, middle = 240.0, 0.5 * (faces[1:] + faces[:-1])[:, None, None]
        T = (flux * (1.0 + 2.0 * middle) / 2.0 / STEFAN_BOLTZMANN) ** 0.25
        Ts = (flux * (2.0 + 2.0) / 2.0 / STEFAN_BOLTZMANN) ** 0.25
        _, columns = columns_of(T, 0.0, Ts, faces=faces)
        up, down = radiation.streams(columns)
        errors.append(float(jnp.abs(up - down - flux).max()))
    assert errors[0] < 0.2
    assert errors[0] / errors[1] > 3.5


def test_the_mean_sunlight_is_what_the_earth_absorbs():
    T, q = tropical()
    _, columns = columns_of(T, q, ny=32)
    area = np.asarray(columns.grid.owned(columns.grid.area.c))
    light = np.asarray(GreyRadiation().sunlight(columns))
    assert np.average(light, weights=area + 0 * light) == pytest.approx(0.69 * 340.0, rel=1e-3)


def test_the_boundary_layer_keeps_what_it_does_not_take_from_the_surface():
    T, q = tropical(humidity=0.5)
    sigma = (np.arange(12) + 0.5) / 12
    T[7:, 0, 0] = 300.0 * sigma[7:] ** (GAS / CP)  # well mixed
    state, columns = columns_of(T, q, Ts=303.0)
    change = BoundaryLayer()(columns, DT)
    end = columns.moved(state, change, DT)
    evaporation = whole(columns, end.tracers["q"] - state.tracers["q"]) / DT
    heat = CP * whole(columns, end.T - state.T) / DT
    assert (evaporation > 1e-6).all()
    np.testing.assert_allclose(-heat - LATENT * evaporation, change.surface_heating, rtol=1e-9)
    momentum = whole(columns, end.u - state.u)[1]
    lowest = np.asarray(columns.mass[-1] * change.drag[-1] * end.u[-1])[1]
    np.testing.assert_allclose(momentum, -DT * lowest, rtol=1e-9)
    changed = np.abs(np.asarray(end.tracers["q"] - state.tracers["q"]))
    assert (changed[-3:] > 1e-6).all()
    assert (changed[:4] < 1e-15).all()


def test_a_warmer_surface_exchanges_more_and_a_colder_one_less():
    T, q = tropical(humidity=0.5)
    layer, found = BoundaryLayer(), []
    for Ts in (310.0, 280.0):
        _, columns = columns_of(T, q, Ts=Ts)
        profile = layer.profile(columns)
        stability = layer.stability(columns, profile)
        found.append(float(layer.exchange(profile, stability)[1, 1]))
    _, columns = columns_of(T, q)
    neutral = (0.4 / np.log(float(columns.height[-1, 1, 1]) / 3.21e-5)) ** 2
    assert found[0] == pytest.approx(neutral, rel=1e-12)
    assert found[1] == 0.0


def test_over_a_cold_surface_turbulence_mixes_less():
    """Frierson et al. (2006), equation 20: by 1 + r ln(z / z_0) / (1 - r)."""
    _, columns = columns_of(
        *tropical(humidity=0.5), faces=np.append(0.0, np.linspace(0.99, 1.0, 12))
    )
    layer = BoundaryLayer()
    air, coefficient, r = layer.profile(columns), jnp.asarray(1e-3), 0.6
    free, stable, none = (layer.mixing(columns, air, coefficient, x) for x in (0.0, r, 1.0))
    z = 0.5 * (air.height[1:] + air.height[:-1])
    z = jnp.minimum(z, 0.1 * layer.depth(columns, air))
    expected = 1.0 / (1.0 + r * jnp.log(z / layer.roughness) / (1.0 - r))
    mixed = np.asarray(free) > 0
    assert mixed.any()
    np.testing.assert_allclose((stable / free)[mixed], expected[mixed], rtol=1e-12)
    assert 0.01 < float(expected.min()) < float(expected.max()) < 0.15
    assert not none.any()


def test_a_drier_surface_evaporates_less():
    T, q = tropical(humidity=0.5)
    wetness = np.linspace(0.0, 1.0, 8) * np.ones((4, 1))
    (_, wet), (_, drier) = (columns_of(T, q, **given) for given in ({}, {"wetness": wetness}))
    layer = BoundaryLayer()
    full, found = (
        layer.surface_fluxes(columns, layer.profile(columns), jnp.asarray(0.01))
        for columns in (wet, drier)
    )
    np.testing.assert_allclose(found[1], wetness * full[1], rtol=1e-12)
    np.testing.assert_array_equal(found[0], full[0])
    assert float(full[1].min()) > 1e-6
    evaporated = layer(drier, DT).fluxes["evspsbl"]
    assert (np.diff(evaporated, axis=1) > 0.0).all()
    assert float(abs(evaporated[:, 0]).max()) == 0.0


def test_over_dry_ground_air_is_as_stable_as_its_own_vapour_makes_it():
    """By the humidity of saturated air, hot ground would be warmer by 10 K."""
    T, q = tropical(humidity=0.5)
    layer = BoundaryLayer()
    _, columns = columns_of(T, q, Ts=float(T[-1, 0, 0]) + 1.0, u=20.0, wetness=0.0)
    air = layer.profile(columns)
    surface = CP * columns.surface_temperature * virtual_factor(columns.q[-1], GAS, Water())
    stable = (air.energy[-1] - surface) / air.energy[-1]
    expected = GRAVITY * air.height[-1] * stable / air.speed[-1] ** 2
    assert (np.asarray(expected) > 0.05).all()
    np.testing.assert_allclose(layer.stability(columns, air), expected, rtol=1e-12)
    _, wet = columns_of(T, q, Ts=float(T[-1, 0, 0]) + 1.0, u=20.0)
    assert (layer.stability(wet, air) < layer.stability(columns, air)).all()


def test_a_thin_level_over_rough_ground_does_not_go_beyond_the_surface():
    T, q = tropical(humidity=0.5)
    faces = np.append(np.linspace(0.0, 0.998, 12), 1.0)
    state, columns = columns_of(T, q, Ts=305.0, u=20.0, faces=faces)
    layer, dt = BoundaryLayer(roughness=0.1), 1200.0
    change = layer(columns, dt)
    assert float((dt * change.drag[-1]).min()) > 1.5
    end = state.T[-1] + dt * change.heating[-1]
    aim = columns.surface_temperature - GRAVITY * columns.height[-1] / CP
    assert (state.T[-1] < end).all()
    assert (end < aim).all()
    np.testing.assert_allclose(
        CP * whole(columns, change.heating), change.fluxes["hfss"], rtol=1e-12
    )
    np.testing.assert_allclose(
        whole(columns, change.sources["q"]), change.fluxes["evspsbl"], rtol=1e-12
    )
    damp = state.tracers["q"][-1] + dt * change.sources["q"][-1]
    assert (damp < columns.water.saturation(columns.surface_temperature, columns.ps, GAS)).all()


def test_a_parcel_follows_the_moist_adiabat():
    """Against the same equation, solved by SciPy: four times as near on twice as many levels."""

    def slope(log, T):
        q = 287.0 / 461.5 * 610.78 * np.exp(LATENT / 461.5 * (1 / 273.16 - 1 / T)) / np.exp(log)
        gain = 1 + LATENT * q / (GAS * T)
        return GAS / CP * T * gain / (1 + LATENT**2 * q / (CP * 461.5 * T**2))

    errors = []
    for nz in (20, 40):
        T, q = tropical(humidity=1.0, nz=nz)
        _, columns = columns_of(T, q, faces=np.linspace(0, 1, nz + 1))
        p = np.asarray(columns.pressure)[:, 1, 1]
        level = int(np.searchsorted(p, 4e4))
        found = solve_ivp(slope, np.log([p[-1], p[level]]), [T[-1, 0, 0]], rtol=1e-10)
        errors.append(abs(float(ascent(columns).T[level, 1, 1]) - found.y[0, -1]))
    assert errors[0] < 0.2
    assert errors[0] / errors[1] > 3.0


def test_deep_convection_rains_and_keeps_enthalpy():
    T, q = tropical(humidity=0.9)
    _, columns = columns_of(T, q)
    change = BettsMiller()(columns, DT)
    rain = -whole(columns, change.sources["q"])
    assert (rain * 86400.0 > 1.0).all()
    np.testing.assert_allclose(CP * whole(columns, change.heating), LATENT * rain, rtol=1e-12)
    assert float(jnp.abs(change.heating[0]).max()) == 0.0


def test_shallow_convection_moves_heat_and_vapour_and_does_not_rain():
    T, q = tropical(humidity=0.8)
    q[:-2] *= 0.4  # warming would make rain, drying would not
    _, columns = columns_of(T, q)
    change = BettsMiller()(columns, DT)
    scale = whole(columns, jnp.abs(change.sources["q"]))
    assert (scale * 86400.0 > 1.0).all()
    assert (np.abs(whole(columns, change.sources["q"])) < 1e-12 * scale).all()
    heat = whole(columns, jnp.abs(change.heating))
    assert (np.abs(whole(columns, change.heating)) < 1e-12 * heat).all()


def test_stable_air_does_not_convect():
    T, q = tropical(humidity=0.3)
    _, columns = columns_of(np.maximum(T, 290.0), q)
    assert float(jnp.abs(BettsMiller()(columns, DT).heating).max()) == 0.0


def test_a_slab_takes_up_what_reaches_the_surface():
    T, q = tropical()
    state, columns = columns_of(T, q, slab=1e7)
    change = GreyRadiation()(columns, DT)
    warmed = columns.moved(state, change, DT).Ts - state.Ts
    np.testing.assert_allclose(warmed, DT * change.surface_heating / 1e7, rtol=1e-9)


def moist_start(grid, T, q):
    rng = np.random.default_rng(1)
    state = AtmosphereState.of(
        grid,
        5.0 + rng.standard_normal(grid.shape),
        rng.standard_normal(grid.shape),
        T + rng.standard_normal(grid.shape),
        1e5,
        {"q": q * rng.uniform(0.8, 1.3, grid.shape)},
        Ts=300.0 + rng.standard_normal(grid.shape[1:]),
    )
    return state.watching(fluxes_of(PROCESSES))


PROCESSES = (PositiveHumidity(), GreyRadiation(), BoundaryLayer(), BettsMiller(), Condensation())


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: type(process).__name__)
def test_processes_tell_the_fluxes_that_they_name(process):
    _, columns = columns_of(*tropical(humidity=1.1))
    assert tuple(process(columns, DT).fluxes) == process.fluxes
    assert set(process.fluxes) <= FLUXES.keys()


def test_the_air_holds_what_has_evaporated_and_not_rained():
    """Fluxes of all steps add up to the change of the vapour, and of the slab's temperature."""
    grid = air(8, np.linspace(0, 1, 7))
    T, q = tropical(nz=6)
    state = moist_start(grid, T, q)
    parameters = AtmosphereParameters(physics=PROCESSES, slab=1e7)
    model = atmosphere(grid, 300.0)
    area = np.asarray(grid.owned(grid.area.c))
    names = ["pr", "prl", "prc", "evspsbl", "hfss", "hfls", "rlut", "rlus", "rlds", "rsns", "prw"]

    @jax.jit
    def after(state):
        state = model.step(parameters, state)
        return state, model.output(parameters, state, names)

    def vapour(of):
        return float((area * np.asarray(of["prw"])).sum())

    before, gained = model.output(parameters, state, names), 0.0
    start = vapour(before)
    assert all(float(abs(before[name]).max()) == 0.0 for name in names if name != "prw")
    for _ in range(4):
        warmth = state.Ts
        state, now = after(state)
        gained += 300.0 * float((area * (now["evspsbl"] - now["pr"])).sum())
        into = now["rsns"] + now["rlds"] - now["rlus"] - now["hfss"] - now["hfls"]
        np.testing.assert_allclose(state.Ts - warmth, 300.0 * into / 1e7, rtol=1e-9)
        np.testing.assert_array_equal(now["pr"], now["prl"] + now["prc"])
    assert vapour(now) - start == pytest.approx(gained, abs=1e-12 * start)
    assert abs(gained) > 1e-4 * start
    for name, least in (("prl", 1e-6), ("prc", 1e-6), ("evspsbl", 1e-6), ("rlut", 100.0)):
        assert float(jnp.mean(now[name])) > least, name
    described = model.output_variables(parameters, state)
    assert described["pr"].standard_name == "precipitation_flux"
    assert set(names) <= described.keys()


@pytest.mark.parametrize("exponent", [1.0, 1.5], ids=["sigma", "hybrid"])
def test_water_has_weight_and_dry_air_is_kept(exponent):
    """The ground bears what evaporates and does not rain; dry air and a tracer stay as they were,
    through dynamics and physics, and isothermal air keeps its temperature."""
    grid = air(8, smooth_hybrid_levels(6, 0.0, exponent))
    state = moist_start(grid, *tropical(nz=6))
    state = replace(state, tracers=state.tracers | {"dye": 0.5 + 0.1 * state.tracers["q"]})
    parameters = AtmosphereParameters(physics=PROCESSES, slab=1e7)
    model, area = atmosphere(grid, 300.0), np.asarray(grid.owned(grid.area.c))

    def held(state, of):
        pressure = thickness(grid, Field.at("c", state.ps)).data
        return float((area * np.asarray(pressure * of(state.tracers))).sum())

    def dry(state):
        return held(state, lambda tracers: 1.0 - tracers["q"])

    def dye(state):
        return held(state, lambda tracers: tracers["dye"])

    def weight(state):
        return float((area * np.asarray(state.ps)).sum())

    start, gained = state, 0.0
    for _ in range(4):
        state = integrate(model, parameters, state, 1)
        fluxes = state.fluxes
        lost = fluxes["prl"] + fluxes["prc"]
        gained += 300.0 * EARTH.gravity * float((area * (fluxes["evspsbl"] - lost)).sum())
    assert dry(state) == pytest.approx(dry(start), rel=1e-13)
    assert dye(state) == pytest.approx(dye(start), rel=1e-13)
    assert weight(state) - weight(start) == pytest.approx(gained, abs=1e-13 * weight(start))
    assert abs(gained) > 1e-7 * weight(start)

    warm = replace(start, T=jnp.full_like(start.T, 280.0))
    wetter = replace(warm, tracers=warm.tracers | {"q": 1.1 * warm.tracers["q"]})
    end = weighed(grid, warm, wetter)
    np.testing.assert_allclose(end.T, 280.0, rtol=1e-14)
    assert float((end.ps - warm.ps).min()) > 10.0
    assert float(end.tracers["q"].min()) > 0.0


def test_relative_humidity_and_the_vapour_of_a_column():
    T, q = tropical(humidity=0.8)
    state, columns = columns_of(T, q, ny=8)
    found = atmosphere(columns.grid, DT).output(AtmosphereParameters(), state, ["hur", "prw"])
    np.testing.assert_allclose(found["hur"], columns.q / columns.saturation, rtol=1e-12)
    np.testing.assert_allclose(found["prw"], whole(columns, columns.q), rtol=1e-12)


def test_dry_air_knows_no_fluxes():
    grid = air(4, np.linspace(0, 1, 7), nx=8)
    state = AtmosphereState.of(grid, 0.0, 0.0, 280.0, 1e5)
    model = atmosphere(grid, DT)
    assert not {"pr", "hur", "q"} & model.output_variables(AtmosphereParameters(), state).keys()
    with pytest.raises(ValueError, match=r"found outputs \['pr', 'hur'\]"):
        model.output(AtmosphereParameters(), state, ["pr", "T", "hur"])


def test_fluxes_are_no_variables_of_the_state():
    grid = air(4, np.linspace(0, 1, 7), nx=8)
    state = moist_start(grid, *tropical(nz=6))
    state = replace(state, fluxes=dict.fromkeys(state.fluxes, state.ps * state.Ts))
    assert set(sizes_of(atmosphere(grid, DT), state)) == {"u", "v", "T", "Ts", "tracers.q"}


def test_the_adjoint_of_moist_air_is_the_transpose():
    grid = air(8, np.linspace(0, 1, 7))
    state = moist_start(grid, *tropical(nz=6))
    parameters = AtmosphereParameters(physics=PROCESSES, slab=1e7)
    test = model_dot_product_test(atmosphere(grid, 300.0), parameters, state, steps=1, seed=1)
    assert test.passed, test
