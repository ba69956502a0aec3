"""Observations spread over ranks: each is counted once, and the misfit is that of one rank."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.observations.placing import Moments, Placer, Thinning
from dassim.observations.sampling import Design, sample
from dassim.observations.stencil import interpolated
from dassim.parallel import Domain, SerialCommunicator, world
from tests.models.observed import NX, NY, NZ, VARIABLES, sea, table
from tests.parallel.oracle import assert_same

MOMENTS = Moments(0.0, (10.0, 20.0))
DESIGN = Design({"T": 0.1, "u": 0.01}, columns=40, depths=(5.0, 150.0, 350.0), seed=3)


def grid_on(comm):
    return sea(Domain.create((NY, NX), periodic=(False, True), comm=comm, minimum=2))


def many(kind="T"):
    rng = np.random.default_rng(5)
    return table(
        kind=kind,
        x=rng.uniform(-1e4, 13e4, 300),
        y=rng.uniform(-5e3, 85e3, 300),
        depth=rng.uniform(0, 420, 300),
        time=rng.uniform(-2.0, 21.0, 300),
        value=rng.normal(size=300),
    )


@pytest.fixture(scope="module")
def comm():
    return world()


@pytest.mark.parametrize("kind", ["T", "u", "v"])
def test_misfit_and_gradient_are_those_of_one_rank(comm, kind):
    field = np.random.default_rng(1).normal(size=(NZ, NY, NX))

    def misfit(comm):
        grid = grid_on(comm)
        domain = grid.domain
        placed, gone = Placer.on(grid, MOMENTS)(kind, VARIABLES[kind], many(kind))

        def share(x):
            return jnp.sum((interpolated(domain, x, placed.stencil) - placed.table.value) ** 2)

        local = jnp.asarray(domain.local(field))
        value, gradient = jax.jit(jax.value_and_grad(share))(local)
        total = np.asarray(jax.jit(domain.sum)(value))
        return {"J": total, "g": domain.gather(gradient)}, gone.over_ranks(comm)

    (found, gone), (alone, gone_alone) = misfit(comm), misfit(SerialCommunicator())
    assert_same(found, alone, 1e-12)
    assert (gone.read, gone.counts) == (gone_alone.read, gone_alone.counts)
    assert gone.read == {kind: 300} and 50 < gone.used[kind] < 250


def test_thinning_is_that_of_one_rank(comm):
    def kept(comm):
        placed, _ = Placer.on(grid_on(comm), MOMENTS)("T", VARIABLES["T"], many(), Thinning(10.0))
        return sorted(row for part in comm.allgather(placed.table.row.tolist()) for row in part)

    assert kept(comm) == kept(SerialCommunicator())


def test_synthetic_observations_are_the_same_on_every_rank_count(comm):
    truth = np.random.default_rng(2).normal(size=(2, 2, NZ, NY, NX))

    def observed(comm):
        grid = grid_on(comm)
        placer = Placer.on(grid, MOMENTS)

        def fields(number):
            local = jnp.asarray(grid.domain.local(truth[number]))
            return {"T": local[0], "u": local[1]}

        design = DESIGN.table(placer.axes, MOMENTS)
        return sample(placer, VARIABLES, design, fields, seed=1)

    found, alone = observed(comm), observed(SerialCommunicator())
    assert 200 < len(found) == len(alone) < 480
    np.testing.assert_allclose(found.value, alone.value, rtol=1e-13)
    np.testing.assert_array_equal(found.x, alone.x)
