"""Transports and overturning of flows whose answer is known, whichever rank owns the section."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.grid import build_grid, cartesian, levels
from dassim.ocean import OceanModel, OceanState
from dassim.ocean.diagnostics import overturning, transport_through_x
from dassim.parallel import Domain

NY, NX, SIDE, THICKNESS = 8, 8, 1e4, [100.0, 300.0]

on_one_and_two_ranks = pytest.mark.parametrize(
    "layout", [pytest.param((1, n), marks=pytest.mark.ranks(n)) for n in (1, 2)]
)


def at_rest(layout):
    domain = Domain.create((NY, NX), periodic=(False, True), layout=layout)
    faces = np.arange(NX + 1) * SIDE
    grid = build_grid(cartesian(domain, faces, faces), levels(THICKNESS))
    return OceanModel(grid, 60.0), OceanState.at_rest(grid)


@on_one_and_two_ranks
@pytest.mark.parametrize("x", [4e4, 3.5e4, 3e4])
def test_transport_through_faces_or_between_them(layout, x):
    """Between the faces at 30 and 40 km, which belong to two of two ranks, counts their mean."""
    model, state = at_rest(layout)
    speed = jnp.asarray([0.2, 0.1])[:, None, None] * jnp.ones(model.grid.shape)
    eastward = replace(state, u=speed)
    south = (0.0, 2.01e4)  # the faces' middles at 5 and 15 km
    for y, length in (((-np.inf, np.inf), NY * SIDE), (south, 2 * SIDE)):
        got = float(model.domain.sum(transport_through_x(model, eastward, x, y)))
        assert got == pytest.approx((0.2 * 100 + 0.1 * 300) * length / 1e6, rel=1e-12)


@on_one_and_two_ranks
def test_overturning_is_positive_where_the_upper_level_flows_north(layout):
    model, state = at_rest(layout)
    speed = jnp.asarray([0.3, -0.1])[:, None, None] * model.grid.owned_mask("v")
    psi = np.asarray(model.domain.sum(overturning(model, replace(state, v=speed))))
    expected = np.zeros((3, NY))
    expected[1, 1:] = 0.3 * 100 * NX * SIDE / 1e6
    np.testing.assert_allclose(psi, expected, atol=1e-12)
