"""The background error covariance in blocks: the same numbers as on one rank, and its adjoint."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.background import BackgroundRoot, VariableErrors
from dassim.assimilation.balance import GeostrophicBalance
from dassim.assimilation.control import Control, random_like
from dassim.assimilation.correlation import Normalisation, correlation
from dassim.assimilation.dot_products import dot_product_test
from dassim.grid import build_grid, cartesian, levels
from dassim.parallel import Domain, SerialCommunicator, world
from tests.parallel.oracle import assert_same, gathered

SHAPE = (9, 12)


def root_on(domain, normalisation):
    plane = cartesian(domain, 1e4 * np.arange(SHAPE[1] + 1), 1e4 * np.arange(SHAPE[0] + 1), f0=1e-4)
    depth = np.random.default_rng(7).uniform(120, 300, SHAPE)
    depth[3:5, 4:7] = 0.0
    grid = build_grid(plane, levels([100.0] * 3), depth)
    wide = {"horizontal": 15e3, "normalisation": normalisation}
    return BackgroundRoot(
        {
            "state.T": VariableErrors(
                jnp.asarray(0.5), correlation(grid, "c", vertical=100.0, **wide)
            ),
            "state.eta": VariableErrors(jnp.asarray(0.1)),
            "state.u": VariableErrors(jnp.asarray(0.1), correlation(grid, "u", **wide)),
            "state.v": VariableErrors(jnp.asarray(0.1)),
        },
        {},
        (GeostrophicBalance(grid, {"state.T": jnp.full(grid.shape, 2e-3)}),),
    ), grid


def control_on(grid):
    fields = {f"state.{name}": jnp.zeros(grid.shape) for name in ("T", "u", "v")}
    return Control(fields | {"state.eta": jnp.zeros(grid.shape[1:])})


@pytest.fixture(scope="module")
def comm():
    return world()


@pytest.mark.parametrize("normalisation", [Normalisation(), Normalisation(4.0, 3)])
def test_the_root_gives_the_same_on_every_rank_count(comm, normalisation):
    def applied(comm):
        domain = Domain.create(SHAPE, periodic=(False, True), comm=comm, minimum=3)
        root, grid = root_on(domain, normalisation)
        v = random_like(domain, control_on(grid), 1)
        return gathered(domain, eqx.filter_jit(lambda root, v: root.apply(v))(root, v).distributed)

    assert_same(applied(comm), applied(SerialCommunicator()), 1e-11)


def test_the_root_has_its_adjoint(comm):
    domain = Domain.create(SHAPE, periodic=(False, True), comm=comm, minimum=3)
    root, grid = root_on(domain, Normalisation(4.0))
    result = dot_product_test("B^(1/2)", root.apply, control_on(grid), domain, tolerance=1e-11)
    assert result.passed, str(result)
