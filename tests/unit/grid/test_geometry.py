"""Lengths, areas, positions and the Coriolis parameter against formulas and global arrays."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from dassim.grid import GridError, cartesian, latlon, levels, orthogonal
from dassim.grid.horizontal import EARTH_RADIUS, EARTH_ROTATION, HORIZONTAL
from dassim.parallel import Domain

NY, NX, HALO = 6, 8, 4
CHANNEL = Domain.serial((NY, NX), periodic=(False, True))
CLOSED = Domain.serial((NY, NX))
X_FACES = np.cumsum([0.0, 3, 4, 5, 6, 5, 4, 3, 2])
Y_FACES = 10 + np.cumsum([0.0, 1, 2, 3, 4, 5, 6])


def owned(grid, quantity, at):
    return np.asarray(getattr(getattr(grid, quantity), at).owned(grid.domain.shape))


def column(values):
    return np.repeat(np.asarray(values)[:, None], NX, axis=1)


def row(values):
    return np.repeat(np.asarray(values)[None, :], NY, axis=0)


def test_positions_and_spacings_of_a_stretched_plane():
    grid = cartesian(CHANNEL, X_FACES, Y_FACES, halo=HALO)
    width, height = np.diff(X_FACES), np.diff(Y_FACES)
    centre_x, centre_y = X_FACES[:-1] + width / 2, Y_FACES[:-1] + height / 2
    between_x = 0.5 * (width + np.roll(width, 1))  # wraps around
    between_y = 0.5 * (height + np.concatenate([height[:1], height[:-1]]))  # goes on beyond walls
    expected = {
        "x": {"c": row(centre_x), "u": row(X_FACES[:-1])},
        "y": {"c": column(centre_y), "v": column(Y_FACES[:-1])},
        "dx": {"c": row(width), "u": row(between_x), "v": row(width), "q": row(between_x)},
        "dy": {"c": column(height), "u": column(height), "v": column(between_y)},
        "area": {
            "c": row(width) * column(height),
            "u": row(between_x) * column(height),
            "v": row(width) * column(between_y),
            "q": row(between_x) * column(between_y),
        },
    }
    expected["x"] |= {"v": expected["x"]["c"], "q": expected["x"]["u"]}
    expected["y"] |= {"u": expected["y"]["c"], "q": expected["y"]["v"]}
    expected["dy"]["q"] = expected["dy"]["v"]
    for quantity, at_points in expected.items():
        for at, array in at_points.items():
            np.testing.assert_allclose(
                owned(grid, quantity, at), array, rtol=1e-14, err_msg=f"{quantity}.{at}"
            )


def test_halos_wrap_spacings_around_and_continue_them_beyond_walls():
    grid = cartesian(CHANNEL, X_FACES, Y_FACES, halo=HALO)
    width, height = np.diff(X_FACES), np.diff(Y_FACES)
    np.testing.assert_allclose(grid.dx.c.data.ravel(), np.pad(width, HALO, mode="wrap"))
    np.testing.assert_allclose(grid.dy.c.data.ravel(), np.pad(height, HALO, mode="edge"))
    x = grid.x.u.data.ravel()
    np.testing.assert_allclose(x[NX + HALO :], X_FACES[:HALO] + X_FACES[-1], rtol=1e-14)
    np.testing.assert_allclose(x[:HALO], X_FACES[-1 - HALO : -1] - X_FACES[-1], atol=1e-14)


def test_equal_spacings_are_held_as_one_number():
    grid = cartesian(CLOSED, np.linspace(0, 7, NX + 1), np.linspace(0, 9, NY + 1), halo=HALO)
    assert grid.dx.c.data.shape == grid.area.q.data.shape == (1, 1, 1)
    np.testing.assert_allclose(owned(grid, "area", "c"), 7 / NX * 9 / NY, rtol=1e-15)


def test_coriolis_parameter_of_planes():
    beta = cartesian(CLOSED, X_FACES, Y_FACES, f0=1e-4, beta=2e-11, halo=HALO)
    np.testing.assert_allclose(
        owned(beta, "coriolis", "q"), column(1e-4 + 2e-11 * Y_FACES[:-1]), rtol=1e-15
    )
    np.testing.assert_allclose(
        owned(beta, "coriolis", "c"),
        column(1e-4 + 1e-11 * (Y_FACES[1:] + Y_FACES[:-1])),
        rtol=1e-15,
    )
    constant = cartesian(CLOSED, X_FACES, Y_FACES, f0=-1e-4, halo=HALO)
    assert constant.coriolis.q.spans == (None, None, None)
    np.testing.assert_array_equal(owned(constant, "coriolis", "q"), -1e-4)


def sphere(lat_faces, domain=CHANNEL, **options):
    return latlon(domain, np.linspace(0, 360, NX + 1), lat_faces, halo=HALO, **options)


def test_lengths_and_areas_on_the_sphere():
    lat = np.array([-80.0, -70, -50, -10, 20, 60, 75])
    grid = sphere(lat)
    dlon, phi = 2 * np.pi / NX, np.deg2rad(lat)
    middle = np.deg2rad(0.5 * (lat[1:] + lat[:-1]))
    radius = EARTH_RADIUS
    np.testing.assert_allclose(owned(grid, "dx", "c"), column(radius * np.cos(middle) * dlon))
    np.testing.assert_allclose(owned(grid, "dx", "u"), owned(grid, "dx", "c"))
    np.testing.assert_allclose(owned(grid, "dx", "v"), column(radius * np.cos(phi[:-1]) * dlon))
    np.testing.assert_allclose(owned(grid, "dy", "c"), column(radius * np.diff(phi)))
    np.testing.assert_allclose(owned(grid, "dy", "v")[1:], column(radius * np.diff(middle)))
    exact = radius**2 * dlon * np.diff(np.sin(phi))
    np.testing.assert_allclose(owned(grid, "area", "c"), column(exact), rtol=1e-13)
    np.testing.assert_allclose(owned(grid, "area", "u"), column(exact), rtol=1e-13)
    around_faces = radius**2 * dlon * np.diff(np.sin(middle))
    for at in ("v", "q"):
        np.testing.assert_allclose(owned(grid, "area", at)[1:], column(around_faces), rtol=1e-13)
    for at, angle in (("c", middle), ("q", phi[:-1])):
        np.testing.assert_allclose(
            owned(grid, "coriolis", at), column(2 * EARTH_ROTATION * np.sin(angle)), atol=1e-19
        )
    np.testing.assert_allclose(owned(grid, "x", "u"), row(np.arange(NX) * 360 / NX))
    np.testing.assert_allclose(owned(grid, "y", "v"), column(lat[:-1]))


@pytest.mark.parametrize("stretch", [0.0, 0.2])
def test_cells_from_pole_to_pole_cover_the_sphere(stretch):
    s = np.linspace(-1, 1, NY + 1)
    grid = sphere(90 * (s + stretch * np.sin(np.pi * s) / np.pi), radius=3.0)
    np.testing.assert_allclose(owned(grid, "area", "c").sum(), 4 * np.pi * 9, rtol=1e-14)
    for quantity in ("dx", "dy", "area"):
        for at in HORIZONTAL:
            lengths = np.asarray(getattr(getattr(grid, quantity), at).data)
            assert (lengths > 0).all() and np.isfinite(lengths).all(), f"{quantity}.{at}"
    assert owned(grid, "dx", "v")[0].max() < 1e-11 * owned(grid, "dx", "v").max()


@pytest.mark.parametrize("domain", [CHANNEL, CLOSED], ids=["channel", "closed"])
def test_a_grid_read_from_arrays_has_the_numbers_of_the_formulas(domain):
    longitudes = np.linspace(0, 360, NX + 1) if domain is CHANNEL else X_FACES
    source = latlon(domain, longitudes, np.array([-80.0, -70, -50, -10, 20, 60, 75]), halo=HALO)
    quantities = ("x", "y", "dx", "dy", "area", "coriolis")
    arrays = {f"{name}_{at}": owned(source, name, at) for name in quantities for at in HORIZONTAL}
    grid = orthogonal(domain, arrays, halo=HALO)
    assert grid.geometry == "orthogonal"
    for name in quantities:
        for at in HORIZONTAL:
            np.testing.assert_array_equal(owned(grid, name, at), arrays[f"{name}_{at}"])
            field = getattr(getattr(grid, name), at)
            assert field.location == at and field.data.shape == (1, NY + 2 * HALO, NX + 2 * HALO)
    if domain is CHANNEL:  # x grows on beyond 360 degrees, lengths repeat
        wrapped = np.pad(arrays["dx_v"], [(0, 0), (HALO, HALO)], mode="wrap")
        np.testing.assert_array_equal(grid.dx.v.data[0, HALO:-HALO], wrapped)


def test_areas_and_positions_may_be_left_out_of_the_arrays():
    rng = np.random.default_rng(3)
    arrays = {
        f"{name}_{at}": rng.uniform(1, 2, (NY, NX))
        for name in ("dx", "dy", "coriolis")
        for at in HORIZONTAL
    }
    grid = orthogonal(CLOSED, arrays, halo=HALO)
    for at in HORIZONTAL:
        np.testing.assert_array_equal(
            owned(grid, "area", at), arrays[f"dx_{at}"] * arrays[f"dy_{at}"]
        )
    np.testing.assert_array_equal(owned(grid, "x", "c"), row(np.arange(NX) + 0.5))
    np.testing.assert_array_equal(owned(grid, "y", "v"), column(np.arange(NY)))


def test_numbers_are_rounded_once_to_the_precision_asked_for():
    lat = np.linspace(-80, 75, NY + 1)
    double, single = sphere(lat), sphere(lat, dtype=np.float32)
    for exact, rounded in zip(jax.tree.leaves(double), jax.tree.leaves(single), strict=True):
        assert rounded.dtype == np.float32
        np.testing.assert_array_equal(rounded, np.asarray(exact).astype(np.float32))


def refuse(text, build):
    with pytest.raises(GridError, match=text):
        build()


def test_impossible_geometry_is_refused_with_what_was_found():
    line = np.linspace(0, 1, NX + 1)
    lat = np.linspace(-60, 60, NY + 1)
    refuse(
        r"found \(9,\) faces along y; expected \(7,\), cells \+ 1",
        lambda: cartesian(CLOSED, line, np.linspace(0, 1, 9)),
    )
    refuse(
        r"faces along x must increase; found a step of -0.125",
        lambda: cartesian(CLOSED, line[::-1], Y_FACES),
    )
    endless = np.append(line[:-1], np.inf)
    refuse("faces along x must increase", lambda: cartesian(CLOSED, endless, Y_FACES))
    refuse(
        "beta = 2e-11 on a grid periodic in y",
        lambda: cartesian(
            Domain.serial((NY, NX), periodic=(True, True)), line, Y_FACES, beta=2e-11
        ),
    )
    refuse("level thicknesses", lambda: levels([1.0, np.inf]))
    refuse(r"latitudes -60.0 \.\. 91.0; expected -90", lambda: sphere(np.linspace(-60, 91, NY + 1)))
    refuse(
        r"periodic in x over 300.0 degrees .*expected 360 or a whole",
        lambda: latlon(CHANNEL, 300 * line, lat),
    )
    arrays = {f"{name}_{at}": np.ones((NY, NX)) for name in ("dx", "dy") for at in HORIZONTAL}
    refuse(r"needs coriolis_c, coriolis_u, .*found \['dx_c'", lambda: orthogonal(CLOSED, arrays))
    arrays |= {f"coriolis_{at}": np.ones((NY, NX)) for at in HORIZONTAL}
    negative = arrays | {"dy_v": -np.ones((NY, NX))}
    refuse(r"dy_v: found a value of -1.0; expected positive", lambda: orthogonal(CLOSED, negative))
    hole = arrays | {"coriolis_v": np.full((NY, NX), np.nan)}
    refuse(r"coriolis_v: found a value of nan; expected a number", lambda: orthogonal(CLOSED, hole))
    with pytest.raises(ValueError, match=r"found an array of shape \(3, 4\); expected .* 6, 8\)"):
        orthogonal(CLOSED, arrays | {"dx_q": np.ones((3, 4))})
