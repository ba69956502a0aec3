"""Diagnosed fields of the ocean against what NumPy says of the same state."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.ocean import TEOS10, LinearEOS, OceanModel, OceanParameters, OceanState
from dassim.ocean.output import DIAGNOSED, OUTPUTS
from dassim.simulation.outputs import output, output_variables
from tests.models.lorenz import Lorenz96
from tests.unit.ocean.basin import NX, NY, basin

EOS = LinearEOS(alpha=2e-4, beta=0.0, reference_density=1000.0)
THICKNESS = [10.0, 20.0, 40.0]
PARAMETERS = OceanParameters(eos=EOS)


@pytest.fixture(scope="module")
def ocean():
    return OceanModel(basin(THICKNESS), time_step=10.0, halo=2)


def state_of(model, T=10.0, seed=None, **fields):
    state = OceanState.at_rest(model.grid, T=jnp.asarray(T))
    if seed is not None:
        rng = np.random.default_rng(seed)
        shape = model.grid.shape
        fields |= {
            "u": jnp.asarray(rng.normal(size=shape)),
            "v": jnp.asarray(rng.normal(size=shape)),
            "eta": jnp.asarray(0.1 * rng.normal(size=shape[1:])),
        }
    return OceanState(
        **{name: fields.get(name, getattr(state, name)) for name in ("u", "v", "T", "S", "eta")}
    )


def outputs_of(model, state, *names, parameters=PARAMETERS):
    found = jax.jit(lambda s: output(model, parameters, s, names))(state)
    return {name: np.asarray(value) for name, value in found.items()}


def test_every_output_has_its_shape_and_a_description(ocean):
    state = state_of(ocean, seed=1)
    found = outputs_of(ocean, state, *OUTPUTS)
    assert found.keys() == OUTPUTS.keys() >= DIAGNOSED.keys()
    for name, value in found.items():
        assert value.shape == ((3, NY, NX) if OUTPUTS[name].levels else (NY, NX)), name
        assert np.isfinite(value).all(), name


def test_state_variables_are_handed_on(ocean):
    state = state_of(ocean, seed=2)
    found = outputs_of(ocean, state, "T", "eta", "u")
    for name, value in found.items():
        np.testing.assert_array_equal(value, getattr(state, name))


def test_thickness_and_transports_follow_the_sea_level(ocean):
    state = state_of(ocean, seed=3)
    found = outputs_of(ocean, state, "h", "transport_x", "transport_y")
    dz, eta = np.array(THICKNESS)[:, None, None], np.asarray(state.eta)
    stretch = 1 + eta / 70.0
    np.testing.assert_allclose(found["h"], dz * stretch, rtol=1e-13)
    at_u = 0.5 * (stretch + np.roll(stretch, 1, axis=1))
    np.testing.assert_allclose(found["transport_x"], state.u * dz * at_u * 1e3, rtol=1e-12)
    at_v = 0.5 * (stretch + np.roll(stretch, 1, axis=0))
    np.testing.assert_allclose(found["transport_y"], state.v * dz * at_v * 1e3, rtol=1e-12)


def test_upward_velocity_closes_the_volume_of_each_level(ocean):
    found = outputs_of(ocean, state_of(ocean, seed=4), "w", "transport_x", "transport_y")
    east, north = found["transport_x"], found["transport_y"]
    outflow = np.roll(east, -1, 2) - east + np.roll(north, -1, 1) - north
    upper = found["w"] * 1e6
    lower = np.concatenate([upper[1:], np.zeros((1, NY, NX))])
    np.testing.assert_allclose(upper - lower, -outflow, atol=1e-8 * abs(outflow).max())


def test_density_and_stratification_of_a_linear_equation_of_state(ocean):
    T = np.array([12.0, 11.0, 9.0])[:, None, None]
    found = outputs_of(ocean, state_of(ocean, T=T), "rho", "sigma0", "N2")
    np.testing.assert_allclose(found["rho"][:, 0, 0], 1000 * (1 - 2e-4 * (T[:, 0, 0] - 10)))
    np.testing.assert_allclose(found["sigma0"], found["rho"] - 1000.0, atol=1e-9)
    g = EOS.gravity
    expected = [0.0, g * 2e-4 * 1.0 / 15.0, g * 2e-4 * 2.0 / 30.0]
    np.testing.assert_allclose(found["N2"][:, 0, 0], expected, rtol=1e-12)


def test_speed_and_energy_of_a_uniform_flow(ocean):
    shape = ocean.grid.shape
    state = state_of(ocean, u=jnp.full(shape, 3.0), v=jnp.full(shape, -4.0))
    found = outputs_of(ocean, state, "speed", "kinetic_energy", "zeta")
    np.testing.assert_allclose(found["speed"], 5.0)
    np.testing.assert_allclose(found["kinetic_energy"], 12.5)
    np.testing.assert_allclose(found["zeta"], 0.0, atol=1e-15)


def test_vorticity_of_a_shear(ocean):
    column = np.sin(2 * np.pi * np.arange(NX) / NX)
    v = jnp.asarray(np.broadcast_to(column, ocean.grid.shape))
    found = outputs_of(ocean, state_of(ocean, v=v), "zeta")
    expected = (column - np.roll(column, 1)) / 1e3
    np.testing.assert_allclose(found["zeta"][0, 0], expected, atol=1e-15)


def profile(*temperatures):
    return np.array(temperatures)[:, None, None]


@pytest.mark.parametrize(
    ("T", "depth"),
    [
        (profile(10.0, 10.0, 10.0), 70.0),  # mixed to the bottom
        (profile(10.0, 10.0, 9.7), 35.0),  # 0.06 kg/m3 denser in 50 m: half way from 20 m
        (profile(10.0, 9.5, 9.0), 9.5),  # 0.1 kg/m3 denser in 20 m: 0.3 of the way from 5 m
    ],
)
def test_mixed_layer_ends_where_density_passes_the_threshold(ocean, T, depth):
    found = outputs_of(ocean, state_of(ocean, T=T), "mld")
    np.testing.assert_allclose(found["mld"], depth, rtol=1e-9)


def test_mixed_layer_does_not_enter_the_bottom():
    depth = np.full((NY, NX), 30.0)
    depth[1, 2] = 0.0
    model = OceanModel(basin(THICKNESS, depth), time_step=10.0, halo=2)
    found = outputs_of(model, state_of(model, T=profile(10.0, 10.0, 5.0)), "mld")
    expected = np.where(depth > 0, 30.0, 0.0)
    np.testing.assert_allclose(found["mld"], expected)


def test_names_follow_the_equation_of_state(ocean):
    state = OceanState.at_rest(ocean.grid, tracers={"dye": 1.0})
    linear = output_variables(ocean, PARAMETERS, state)
    assert linear["T"].standard_name == "sea_water_potential_temperature"
    teos = output_variables(ocean, OceanParameters(eos=TEOS10()), state)
    assert teos["T"].standard_name == "sea_water_conservative_temperature"
    assert (teos["S"].standard_name, teos["S"].units) == ("sea_water_absolute_salinity", "g kg-1")
    assert teos["dye"].location == "c"
    found = output(ocean, PARAMETERS, state, ["dye"])
    np.testing.assert_array_equal(found["dye"], 1.0)


def test_unknown_outputs_are_refused(ocean):
    with pytest.raises(ValueError, match=r"found outputs \['psi'\]; expected some of"):
        output(ocean, PARAMETERS, state_of(ocean), ["psi"])


def test_a_model_without_diagnosed_fields_writes_its_state():
    model = Lorenz96.create(8)
    state = model.state(np.arange(8.0))
    assert output_variables(model, None, state) == model.variables
    np.testing.assert_array_equal(output(model, None, state, ["x"])["x"][0], np.arange(8.0))
