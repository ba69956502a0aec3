"""Transports, stream functions and means from fields on disk, against integrals by hand."""

from __future__ import annotations

import numpy as np
import pytest

import dassim
from dassim.grid import build_grid, cartesian, levels
from dassim.io import derived
from dassim.io.geometry import of_grid
from dassim.io.gridfile import write_grid
from dassim.parallel import Domain
from tests.models.fields import DAY, NX, NY, THICKNESS, basin, stream, writer


@pytest.fixture(scope="module")
def flat():
    """A flat channel of 8 x 7 cells of 1 km x 2 km."""
    domain = Domain.serial((NY, NX), periodic=(False, True))
    faces = 1e3 * np.arange(NX + 1.0), 2e3 * np.arange(NY + 1.0)
    return build_grid(cartesian(domain, *faces, halo=2), levels(THICKNESS))


def opened(folder, grid, **fields):
    """A run of one record of these fields."""
    write_grid(folder / "fields", of_grid(grid), grid.domain, {})
    one = stream(variables=tuple(fields))
    with writer(folder / "fields", one, grid) as made:
        made.put(0.0, DAY, fields)
    return dassim.open(folder).isel(time=0)


def flow(grid, seed=0):
    """Velocities of a stream function at corners, the same on all levels: psi, u, v."""
    psi = np.random.default_rng(seed).normal(size=(NY + 1, NX))
    psi[0], psi[-1] = 3.0, 0.0
    u = -(psi[1:] - psi[:-1]) / (70.0 * 2e3)
    v = (np.roll(psi, -1, axis=1) - psi)[:-1] / (70.0 * 1e3)
    whole = [np.broadcast_to(1e6 * field, grid.shape) for field in (u, v)]
    return psi, *whole


def test_the_stream_function_of_a_flow_is_found_again(tmp_path, flat):
    psi, u, v = flow(flat)
    found = derived.barotropic_streamfunction(opened(tmp_path, flat, u=u, v=v))
    assert found is not None
    assert found.dims == ("y_v", "x_u")
    np.testing.assert_allclose(found, psi[:-1], atol=1e-12)


def test_written_transports_are_preferred(tmp_path, flat):
    psi, u, v = flow(flat)
    _, other, _ = flow(flat, seed=1)
    dz = np.array(THICKNESS)[:, None, None]
    data = opened(tmp_path, flat, u=other, v=v, transport_x=u * dz * 2e3)
    found = derived.barotropic_streamfunction(data)
    assert found is not None
    np.testing.assert_allclose(found, psi[:-1], atol=1e-12)


def test_transport_around_is_the_stream_function_of_the_southern_wall(tmp_path, flat):
    psi, u, v = flow(flat)
    found = derived.transport_around(opened(tmp_path, flat, u=u, v=v))
    assert found is not None
    assert float(found) == pytest.approx(psi[0, 0])


def test_overturning_counts_what_flows_south_below(tmp_path, flat):
    v = np.zeros(flat.shape)
    v[0, 3], v[2, 3] = 0.4, -0.1  # 4 m2/s north on top, 4 m2/s south at the bottom
    found = derived.overturning_streamfunction(opened(tmp_path, flat, v=v))
    assert found is not None
    assert found.dims == ("depth_w", "y_v")
    sverdrups = 4.0 * 8e3 / 1e6
    np.testing.assert_allclose(found[:, 3], [0.0, sverdrups, sverdrups], atol=1e-12)
    assert float(abs(found).sum()) == pytest.approx(2 * sverdrups)


def test_means_are_weighted_by_the_volume_of_water(tmp_path):
    grid = basin("spherical")
    T = np.random.default_rng(5).normal(size=grid.shape)
    data = opened(tmp_path, grid, T=T)
    area = np.broadcast_to(grid.owned(grid.area.c), grid.shape)
    volume = area * np.array(THICKNESS)[:, None, None] * np.asarray(grid.owned_mask("c"))
    found = derived.volume_mean(data["T"], data)
    assert found is not None
    assert float(found) == pytest.approx((T * volume).sum() / volume.sum())


def test_surface_speed_is_that_of_the_means_over_opposite_faces(tmp_path, flat):
    _, u, v = flow(flat)
    v = np.array(v)
    v[:, 0] = 0.0
    found = derived.surface_speed(opened(tmp_path, flat, u=u, v=v))
    at_u = 0.5 * (u[0] + np.roll(u[0], -1, axis=1))
    at_v = 0.5 * (v[0] + np.roll(v[0], -1, axis=0))
    assert found is not None
    np.testing.assert_allclose(found, np.hypot(at_u, at_v), rtol=1e-12)


def test_without_all_levels_there_are_no_transports(tmp_path, flat):
    _, u, v = flow(flat)
    one = stream(variables=("u", "v"), levels=(0, 2))
    write_grid(tmp_path / "fields", of_grid(flat), flat.domain, {})
    with writer(tmp_path / "fields", one, flat) as made:
        made.put(0.0, DAY, {"u": u, "v": v})
    data = dassim.open(tmp_path)
    assert derived.thickness(data) is None
    assert derived.barotropic_streamfunction(data) is None
    assert derived.overturning_streamfunction(data) is None


def test_days_are_those_of_the_files(tmp_path, flat):
    data = opened(tmp_path, flat, eta=np.zeros((NY, NX)))
    assert derived.days(data["time"]).tolist() == 0.5
    assert derived.days(data["time_bnds"]).tolist() == [0.0, 1.0]
