"""H: what a field says between its points."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.observations.placing import Moments, Placer
from dassim.observations.stencil import interpolated
from tests.models.observed import NX, NY, NZ, VARIABLES, sea, table

NOW = Moments(0.0, (0.0,))


@pytest.fixture(scope="module")
def placer():
    return Placer.on(sea(), NOW)


def observed(placer, kind, field, **columns):
    """H of a whole field at these places."""
    placed, _ = placer(kind, VARIABLES[kind], table(kind=kind, **columns))
    return np.asarray(interpolated(placer.grid.domain, jnp.asarray(field), placed.stencil))


def linear(x, y, depth):
    return 1e-4 * x - 2e-4 * y + 0.03 * depth


def coordinates(location):
    """``x, y, depth`` of the points of a location, to broadcast to ``(nz, ny, nx)``."""
    x = 1e4 * (np.arange(NX) + (0.0 if location == "u" else 0.5))
    y = 1e4 * (np.arange(NY) + (0.0 if location == "v" else 0.5))
    return x, y[:, None], 100.0 * (np.arange(NZ)[:, None, None] + 0.5)


@pytest.mark.parametrize("kind", ["T", "u", "v"])
def test_linear_functions_are_observed_exactly_in_open_water(placer, kind):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(15e3, 45e3, 40), rng.uniform(25e3, 65e3, 40)
    depth = rng.uniform(50.0, 350.0, 40)
    field = linear(*coordinates(VARIABLES[kind].location))
    found = observed(placer, kind, field, x=x, y=y, depth=depth)
    np.testing.assert_allclose(found, linear(x, y, depth), rtol=1e-12)


def test_a_surface_field_is_observed_whatever_the_depth(placer):
    x, y, _ = coordinates("c")
    found = observed(placer, "eta", linear(x, y, 0.0), x=22e3, y=61e3, depth=np.nan)
    np.testing.assert_allclose(found, linear(22e3, 61e3, 0.0), rtol=1e-12)


def test_at_the_coast_the_mean_is_one_of_water(placer):
    field = np.full((NZ, NY, NX), 1e9)
    field[np.asarray(placer.grid.owned_mask("c"))] = 7.0
    near = {"x": [49e3, 71e3, 60e3], "y": [40e3, 40e3, 51e3], "depth": [110.0, 390.0, 0.0]}
    np.testing.assert_allclose(observed(placer, "T", field, **near), 7.0, rtol=1e-14)
    shelf = observed(placer, "T", field, x=1e3, y=1e3, depth=[199.0, 120.0])
    np.testing.assert_allclose(shelf, 7.0, rtol=1e-14)


def test_a_velocity_falls_to_zero_at_the_wall(placer):
    v = np.where(np.asarray(placer.grid.owned_mask("v")), 1.0, 0.0)
    north = observed(placer, "v", v, x=22e3, y=[70e3, 75e3, 80e3], depth=150.0)
    np.testing.assert_allclose(north, [1.0, 0.5, 0.0], atol=1e-14)
    u = np.where(np.asarray(placer.grid.owned_mask("u")), 1.0, 0.0)
    beside_island = observed(placer, "u", u, x=[40e3, 45e3, 50e3 - 1e-6], y=45e3, depth=150.0)
    np.testing.assert_allclose(beside_island, [1.0, 0.5, 0.0], atol=1e-9)


def test_the_grid_wraps_around(placer):
    field = np.zeros((NZ, NY, NX))
    field[..., -1], field[..., 0] = 1.0, 3.0
    at = [0.0, 1.2e5, -5e3, 2.4e5 + 5e3]
    np.testing.assert_allclose(observed(placer, "T", field, x=at), [2.0, 2.0, 1.0, 3.0], rtol=1e-12)


def test_longitudes_are_the_same_after_a_turn():
    placer = Placer.on(sea(geometry="spherical"), NOW)
    field = np.broadcast_to(np.arange(NX, dtype=float), (NZ, NY, NX))
    placed, _ = placer("T", VARIABLES["T"], table("spherical", x=[105.0, -255.0, 465.0], y=5.0))
    found = interpolated(placer.grid.domain, jnp.asarray(field), placed.stencil)
    np.testing.assert_allclose(found, 3.0, rtol=1e-12)


def test_above_and_below_the_centres_values_are_continued(placer):
    field = np.broadcast_to(np.arange(NZ, dtype=float)[:, None, None], (NZ, NY, NX))
    depths = [0.0, 50.0, 100.0, 350.0, 399.0]
    found = observed(placer, "T", field, depth=depths)
    np.testing.assert_allclose(found, [0.0, 0.0, 0.5, 3.0, 3.0], rtol=1e-12)


def test_the_adjoint_is_the_transpose(placer):
    rng = np.random.default_rng(3)
    places = {"x": rng.uniform(0, 12e4, 30), "y": rng.uniform(0, 8e4, 30)}
    placed, _ = placer("T", VARIABLES["T"], table(depth=rng.uniform(0, 400, 30), **places))
    x = jnp.asarray(rng.normal(size=(NZ, NY, NX)))
    y = jnp.asarray(rng.normal(size=len(placed)))
    image, pull = jax.vjp(lambda x: interpolated(placer.grid.domain, x, placed.stencil), x)
    assert float(image @ y) == pytest.approx(float(jnp.sum(x * pull(y)[0])), rel=1e-13)
