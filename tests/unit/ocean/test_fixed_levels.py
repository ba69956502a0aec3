"""Levels that do not move: what the surface does to tracers passes through the top face."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from dassim.dynamics.reconstruction import Centred
from dassim.ocean import OceanModel, OceanParameters, OceanState, SurfaceForcing
from tests.models.basins import rough_basin


def test_a_moving_surface_keeps_uniform_water_uniform_and_rain_dilutes_salt_alone():
    grid = rough_basin()
    wet = np.asarray(grid.owned_mask("c"))
    hills = np.random.default_rng(5).normal(size=grid.shape[1:]) * wet[0]
    model = OceanModel(grid, 300.0, tracer_advection=Centred(2), moving_levels=False)
    state = replace(OceanState.at_rest(grid, T=10.0, S=35.0), eta=jnp.asarray(hills))
    step = eqx.filter_jit(model.step)

    for rain in (0.0, 1e-5):
        forcing = SurfaceForcing(freshwater=rain * jnp.asarray(wet[0], float))
        end = step(OceanParameters(forcing=forcing), model.start(state))
        assert abs(end.eta - state.eta).max() > 1e-2
        salt = np.where(wet[0], 35.0 * (1 - rain * 300.0 / 100.0), 0.0)
        np.testing.assert_allclose(end.T, 10.0 * wet, rtol=1e-12)
        # Currents carry a little of what is diluted away.
        apart = 1e-10 if rain == 0.0 else 2e-2 * (35.0 - salt.max())
        np.testing.assert_allclose(end.S[0], salt, atol=apart)
        np.testing.assert_allclose(end.S[1:], 35.0 * wet[1:], atol=apart)
