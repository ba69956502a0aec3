"""Wet points from a bathymetry, checked point by point, and levels at rest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dassim.grid import (
    GridError,
    Span,
    build_grid,
    cartesian,
    levels,
    stretched_thickness,
    uniform_thickness,
)
from dassim.grid.field import X, Y, Z
from dassim.parallel import Domain

NY, NX, HALO = 7, 9, 3
THICKNESS = np.array([10.0, 20.0, 40.0, 30.0])
CENTRES = np.array([5.0, 20.0, 50.0, 85.0])


def grid_over(bottom, periodic=(False, False), thickness=THICKNESS):
    domain = Domain.serial((NY, NX), periodic=periodic)
    horizontal = cartesian(domain, np.arange(NX + 1.0), np.arange(NY + 1.0), halo=HALO)
    return build_grid(horizontal, levels(thickness), bottom)


def rough_bottom(seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 110, (NY, NX)) * (rng.random((NY, NX)) < 0.8)


@pytest.mark.parametrize("periodic", list(itertools.product((False, True), repeat=2)))
def test_masks_are_those_found_point_by_point(periodic):
    """A level is wet above the bottom; a face between two wet cells, a corner among four."""
    bottom = rough_bottom(1)
    grid = grid_over(bottom, periodic)

    def wet(k, j, i):
        for index, n, wraps in ((j, NY, periodic[0]), (i, NX, periodic[1])):
            if not wraps and not 0 <= index < n:
                return False
        return bottom[j % NY, i % NX] > CENTRES[k]

    around = {
        "c": [(0, 0)],
        "u": [(0, 0), (0, -1)],
        "v": [(0, 0), (-1, 0)],
        "q": [(0, 0), (0, -1), (-1, 0), (-1, -1)],
    }
    for at, cells in around.items():
        mask = getattr(grid.mask, at)
        assert mask.location == at
        spans = mask.spans
        for k, j, i in np.ndindex(mask.data.shape):
            y, x = j + spans[Y].start, i + spans[X].start
            expected = all(wet(k, y + dy, x + dx) for dy, dx in cells)
            assert mask.data[k, j, i] == expected, (at, k, y, x)
        count = np.asarray(getattr(grid.wet, at).data)[0]
        np.testing.assert_array_equal(count, np.asarray(mask.data).sum(axis=0))
        depth = np.asarray(getattr(grid.depth, at).data)[0]
        np.testing.assert_allclose(
            depth, (THICKNESS[:, None, None] * np.asarray(mask.data)).sum(axis=0)
        )


def test_a_flat_bottom_needs_one_level_of_mask():
    land = rough_bottom(2) > 0
    for bottom, expected in ((None, np.ones((NY, NX), bool)), (200.0 * land, land)):
        grid = grid_over(bottom)
        assert grid.mask.c.spans[Z] is None
        np.testing.assert_array_equal(grid.owned_mask("c", levels=False), expected)
        np.testing.assert_array_equal(grid.owned_mask("c"), np.stack([expected] * 4))
        np.testing.assert_array_equal(grid.owned(grid.depth.c), 100.0 * expected)


def test_a_closed_basin_is_closed_all_around():
    grid = grid_over(None)
    assert not np.asarray(grid.owned(grid.mask.u))[:, 0].any()
    assert not np.asarray(grid.owned(grid.mask.v))[0].any()
    assert np.asarray(grid.owned(grid.mask.u))[:, 1:].all()
    east = grid.mask.u.data[0, HALO, NX + HALO - 1 - (HALO + grid.mask.u.spans[X].start) + 1 :]
    assert not np.asarray(east).any()


def test_shapes_of_a_grid():
    grid = grid_over(None)
    assert grid.shape == grid.global_shape == (4, NY, NX)
    assert grid.mask.c.spans == (None, Span("c", -HALO), Span("c", -HALO))


def test_the_grid_hands_on_its_geometry():
    grid = grid_over(None)
    for name in ("x", "y", "dx", "dy", "area", "coriolis", "domain"):
        assert getattr(grid, name) is getattr(grid.horizontal, name)


@pytest.mark.parametrize(("value", "text"), [(np.nan, "not a number"), (-3.0, "a negative depth")])
def test_bad_depths_are_refused_with_their_place(value, text):
    bottom = rough_bottom(3)
    bottom[4, 6] = value
    with pytest.raises(GridError, match=rf"bathymetry: found {text} .* at row 4, column 6"):
        grid_over(bottom)


def test_a_bathymetry_of_the_wrong_shape_is_refused():
    text = rf"found an array of shape \(9, 7\); expected \(\.\.\., {NY}, {NX}\), the global grid"
    with pytest.raises(ValueError, match=text):
        grid_over(np.ones((NX, NY)))


def test_levels_at_rest():
    column = levels(THICKNESS)
    assert column.count == 4
    np.testing.assert_allclose(column.z.f.data.ravel(), [0, -10, -30, -70, -100])
    np.testing.assert_allclose(column.z.c.data.ravel(), -CENTRES)
    np.testing.assert_allclose(column.dz.c.data.ravel(), THICKNESS)
    np.testing.assert_allclose(column.dz.f.data.ravel(), [5, 15, 30, 35, 15])
    assert column.z.c.spans == (Span("c"), None, None)
    assert column.dz.f.spans == (Span("f"), None, None)


def test_thicknesses_by_rule():
    np.testing.assert_allclose(uniform_thickness(4, 100.0), [25, 25, 25, 25])
    channel = stretched_thickness(32, first=10.0, ratio=1.104)
    np.testing.assert_allclose(channel[:3], [10, 11.04, 10 * 1.104**2])
    assert abs(channel.sum() - 2184.0675) < 1e-4  # Abernathey et al. (2011)


@pytest.mark.parametrize("wrong", [[], [10.0, -1.0], [[1.0, 2.0]], [0.0], [np.nan]])
def test_impossible_thicknesses_are_refused(wrong):
    with pytest.raises(GridError, match="expected a list of positive metres"):
        levels(wrong)
