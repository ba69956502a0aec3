"""The start, surface forcing, sponges and body forces of a namelist."""

from __future__ import annotations

import numpy as np
import pytest

from dassim.config.ocean import build_ocean
from dassim.ocean import BodyForce, Sponge
from tests.unit.config.ocean import ocean, refusals

Y = -35e3 + 10e3 * np.arange(8)[:, None]


def build(*overrides):
    return build_ocean(ocean(*overrides))


# -- the start ------------------------------------------------------------------------------------


def test_the_start_is_at_rest_unless_the_namelist_says_otherwise():
    state = build().state
    np.testing.assert_array_equal(state.T, 10.0)
    np.testing.assert_array_equal(state.S, 35.0)
    for still in (state.u, state.v, state.eta):
        np.testing.assert_array_equal(still, 0.0)
    assert state.tracers == {}
    assert float(state.time) == 0.0


def test_every_variable_has_its_field():
    state = build(
        "initial.u={type: linear, axis: y, low: 0, high: 80 m/s}",
        "initial.v=1 cm/s",
        "initial.eta={type: step, axis: x, at: 60 km, low: 0, high: 5 cm}",
        "initial.tracers={dye: {type: step, axis: y, at: 0, low: 0, high: 1}, age: 3}",
    ).state
    np.testing.assert_allclose(state.u[2], Y * 1e-3 + 40 + np.zeros((8, 12)), rtol=1e-12)
    np.testing.assert_array_equal(state.v[:, 0], 0.0)  # the southern wall
    np.testing.assert_allclose(state.v[:, 1:], 0.01)
    assert state.eta.shape == (8, 12)
    np.testing.assert_allclose(state.eta[3], [0.0] * 6 + [0.05] * 6)
    np.testing.assert_array_equal(state.tracers["dye"][1, :, 2], [0.0] * 4 + [1.0] * 4)
    np.testing.assert_array_equal(state.tracers["age"], 3.0)


def test_noise_is_added_where_it_is_asked_for():
    plain, noisy, again, other = (
        build(f"initial.noise={noise}").state
        for noise in (
            "{}",
            "{T: 1e-3, u: 1 mm/s, eta: 1 mm}",
            "{T: 1e-3, u: 1 mm/s, eta: 1 mm}",
            "{T: 1e-3, seed: 1}",
        )
    )
    assert np.std(noisy.T - plain.T) == pytest.approx(1e-3, rel=0.2)
    assert np.std(noisy.u) == pytest.approx(1e-3, rel=0.2)
    assert np.std(noisy.eta) == pytest.approx(1e-3, rel=0.3)
    np.testing.assert_array_equal(noisy.v, 0.0)
    np.testing.assert_array_equal(noisy.S, plain.S)
    np.testing.assert_array_equal(noisy.T, again.T)
    assert abs(noisy.T - other.T).min() > 0


def test_a_multi_step_scheme_gets_its_history():
    state = build("physics.stepper={type: adams_bashforth_2}").state
    np.testing.assert_array_equal(state.previous.T, state.T)


def test_land_holds_zeros():
    state = build(
        "bathymetry={type: wall, x: [30 km, 60 km]}", "initial.noise={T: 1e-3}", "initial.u=1"
    ).state
    np.testing.assert_array_equal(state.T[:, :, 3:6], 0.0)
    np.testing.assert_array_equal(state.u[:, :, 3:7], 0.0)
    assert (state.u[:, :, 7:] == 1.0).all()


# -- the surface ----------------------------------------------------------------------------------


def test_surface_fluxes_lie_on_wet_points():
    forcing = build(
        "forcing={stress_x: 0.1, stress_y: {type: sine, amplitude: 0.2}, heat: -10 W m-2, "
        "freshwater: 1 mm/day, fluxes: {T: 1e-6, S: 2e-6, tracers: {dye: 3}}}",
        "initial.tracers={dye: 0}",
    ).parameters.forcing
    np.testing.assert_allclose(forcing.stress_x, 0.1 + np.zeros((8, 12)))
    south = np.broadcast_to(0.2 * np.sin(np.pi * np.arange(8) / 8)[:, None], (8, 12))
    np.testing.assert_allclose(forcing.stress_y, south, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(forcing.heat, -10.0)
    np.testing.assert_allclose(forcing.freshwater, 1e-3 / 86400)
    assert {name: float(flux[0, 0]) for name, flux in forcing.tracer_fluxes.items()} == {
        "T": 1e-6,
        "S": 2e-6,
        "dye": 3.0,
    }


def test_restoring_has_a_target_and_a_time():
    restoring = build(
        "forcing.restoring={T: {target: {type: linear, axis: y, low: 20, high: 4}, timescale: "
        "60 d}, tracers: {dye: {target: 1, timescale: 1 h}}}",
        "initial.tracers={dye: 0}",
    ).parameters.forcing.restoring
    assert set(restoring) == {"T", "dye"}
    np.testing.assert_allclose(restoring["T"].target[:, 0], 20 - 16 * (Y[:, 0] + 40e3) / 80e3)
    assert float(restoring["T"].timescale) == 60 * 86400
    assert float(restoring["dye"].timescale) == 3600


# -- within the water -----------------------------------------------------------------------------


def test_sponges_rise_from_0_to_1_and_relax_to_the_start():
    (south, fast) = build(
        "initial.T={type: exponential, surface: 20, scale: 50 m}",
        "initial.noise.T=1e-3",
        "forcing.sponges.T=[{timescale: 1000 s, y: [0 km, -40 km]}, {target: 3, timescale: 10}]",
    ).parameters.sources
    assert isinstance(south, Sponge)
    assert (south.name, fast.name) == ("T", "T")
    strength = [0.875, 0.625, 0.375, 0.125, 0, 0, 0, 0]
    np.testing.assert_allclose(np.squeeze(1000 * south.rate)[:, 3], strength, atol=1e-12)
    share = (np.exp(-5 / 50) - np.exp(-3)) / (1 - np.exp(-3))
    np.testing.assert_allclose(np.ravel(south.target)[0], 20 * share)  # without the noise
    assert float(np.squeeze(fast.target)) == 3.0
    assert float(np.squeeze(fast.rate)) == pytest.approx(0.1)


def test_the_strongest_ramp_of_a_sponge_counts():
    (sponge,) = build(
        "forcing.sponges.u=[{timescale: 1 s, x: [40 km, 0 km], y: [0 km, 40 km]}]"
    ).parameters.sources
    x = np.clip(1 - 10e3 * np.arange(12) / 40e3, 0, 1)
    y = np.clip(Y / 40e3, 0, 1)
    np.testing.assert_allclose(np.squeeze(sponge.rate), np.maximum(x, y), atol=1e-12)
    np.testing.assert_array_equal(sponge.target, 0.0)  # the velocity at the start


def test_body_forces():
    push, warm = build(
        "forcing.body_forces={u: 1e-7, T: {type: linear, axis: z, low: 0, high: 1 K/day}}"
    ).parameters.sources
    assert isinstance(push, BodyForce)
    assert (push.name, float(np.squeeze(push.tendency))) == ("u", pytest.approx(1e-7))
    top = (150 - 5) / 150 / 86400
    assert (warm.name, float(np.ravel(warm.tendency)[0])) == ("T", pytest.approx(top))


def test_sponges_and_forces_act():
    one = build(
        "initial.tracers.dye=0",
        "forcing.body_forces.T=1e-3",
        "forcing.body_forces.u=1e-6",
        "forcing.sponges.S=[{target: 36, timescale: 1 d}]",
        "forcing.sponges.tracers={dye: [{target: 1, timescale: 1 d}]}",
    )
    end = one.model.step(one.parameters, one.state)
    np.testing.assert_allclose(end.T, 10.0 + 1.2, rtol=1e-3)
    np.testing.assert_allclose(end.S, 35 + 1200 / 86400, rtol=1e-3)
    np.testing.assert_allclose(end.tracers["dye"], 1200 / 86400, rtol=1e-2)
    assert float(end.u.mean()) == pytest.approx(1.2e-3, rel=0.05)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["forcing.restoring={tracers: {dye: {target: 1, timescale: 1 d}}}"],
            "forcing: found a tracer named 'dye' in forcing.restoring; expected no passive tracers",
        ),
        (
            ["forcing.fluxes={tracers: {die: 1}}", "initial.tracers={dye: 0}"],
            "forcing: found a tracer named 'die' in forcing.fluxes; expected dye of "
            "initial.tracers; did you mean dye?",
        ),
        (
            ["initial.noise={tracers: {dye: 1}}"],
            "initial: found a tracer named 'dye' in initial.noise; expected no passive tracers",
        ),
        (
            ["initial.tracers={T: 1}"],
            "initial: found a tracer named 'T'; expected a word other than one of u, v, T, S, ",
        ),
        (
            ["initial.tracers={my dye: 1}"],
            "initial: found a tracer named 'my dye'; expected a word other than one of u, v, T",
        ),
        (
            ["forcing.sponges.T=[{timescale: 1 d, y: [1 km, 1 km]}]"],
            "forcing.sponges.T[0].y: found a section with timescale, y; expected two different",
        ),
        (
            ["forcing.sponges.T=[{timescale: 0}]"],
            "forcing.sponges.T[0].timescale: found 0; expected",
        ),
        (["forcing.heat=10 Pa"], "forcing.heat.value: found '10 Pa', a pressure or stress; expec"),
        (["forcing.wind=10"], "forcing.wind: found an unknown key; expected one of stress_x, "),
        (["initial.S=null"], "initial.S.value: found nothing; expected a number"),
    ],
)
def test_forcing_and_starts_that_are_refused(overrides, problem):
    found = refusals(*overrides)
    assert any(line.startswith(problem) for line in found), found
