"""The zonal filter near the poles: what it damps, its symmetry, what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.polar import PolarFilter, filtered, zonal_resolution
from dassim.grid import Field, GridError, build_grid, cartesian, latlon, one_layer
from dassim.parallel import Domain

NY, NX = 12, 16


def sphere(ny=NY, nx=NX):
    domain = Domain.serial((ny, nx), periodic=(False, True))
    return build_grid(
        latlon(domain, np.linspace(0, 360, nx + 1), np.linspace(-90, 90, ny + 1)), one_layer()
    )


def wave(k):
    return np.cos(2 * np.pi * k * np.arange(NX) / NX) * np.ones((NY, 1))


@pytest.mark.parametrize("k", range(NX // 2 + 1))
def test_each_wave_is_multiplied_by_its_factor(k):
    grid = sphere()
    polar = PolarFilter.on(grid, 60.0)
    latitudes = np.deg2rad(np.asarray(grid.owned(grid.y.c))[:, :1])
    sine = max(np.sin(np.pi * k / NX), 1e-300)
    factor = np.minimum(1.0, np.cos(latitudes) / np.cos(np.pi / 3) / sine)
    found = polar(Field.at("c", wave(k))).data[0]
    np.testing.assert_allclose(found, factor * wave(k), atol=1e-14)
    cubed = polar(Field.at("c", wave(k)), power=3).data[0]
    np.testing.assert_allclose(cubed, factor**3 * wave(k), atol=1e-14)


def test_zonal_means_and_low_latitudes_are_left_alone():
    grid = sphere()
    noise = np.random.default_rng(0).standard_normal((3, NY, NX))
    after = np.asarray(PolarFilter.on(grid, 60.0)(Field.at("u", noise)).data)
    np.testing.assert_allclose(after.mean(axis=-1), noise.mean(axis=-1), atol=1e-15)
    np.testing.assert_array_equal(after[:, 2:-2], noise[:, 2:-2])
    assert abs(after[:, [0, -1]] - noise[:, [0, -1]]).max() > 0.1


@pytest.mark.parametrize("location", ["u", "v"])
def test_it_is_symmetric(location):
    polar = PolarFilter.on(sphere(), 45.0)
    x, y = np.random.default_rng(1).standard_normal((2, NY, NX))

    def apply(values):
        return polar(Field.at(location, values)).data[0]

    assert float(jnp.vdot(y, apply(x))) == pytest.approx(float(jnp.vdot(apply(y), x)), rel=1e-14)
    transposed = jax.vjp(apply, jnp.asarray(x))[1](jnp.asarray(y))[0]
    np.testing.assert_allclose(transposed, apply(y), atol=1e-15)


def test_no_filter_leaves_fields_and_spacings():
    grid = sphere()
    field = Field.at("c", wave(NX // 2))
    assert filtered(None, field) is field
    assert zonal_resolution(grid, None) is grid.dx.c


def test_the_resolution_near_the_poles_is_that_of_the_critical_latitude():
    grid = sphere(ny=180)
    found = np.asarray(grid.owned(zonal_resolution(grid, PolarFilter.on(grid, 60.0))))[:, 0]
    dx = np.asarray(grid.owned(grid.dx.c))[:, 0]
    at_60 = 6.371e6 * np.cos(np.pi / 3) * 2 * np.pi / NX
    np.testing.assert_allclose(found, np.maximum(dx, at_60), rtol=1e-12)


def test_grids_without_circles_are_refused():
    plane = cartesian(Domain.serial((4, 4)), np.arange(5.0), np.arange(5.0))
    with pytest.raises(GridError, match="expected a latlon grid that is periodic in x"):
        PolarFilter.on(build_grid(plane, one_layer()), 60.0)
    faces = np.array([0.0, 80, 180, 270, 360])
    domain = Domain.serial((4, 4), periodic=(False, True))
    uneven = latlon(domain, faces, np.linspace(-90, 90, 5))
    with pytest.raises(GridError, match="stretched; expected uniform"):
        PolarFilter.on(build_grid(uneven, one_layer()), 60.0)
