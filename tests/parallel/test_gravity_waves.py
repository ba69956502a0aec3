"""Jc on any number of ranks: the cost and the gradient of one, and it is the gradient."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.control import random_like
from dassim.assimilation.gravity_waves import FastPart
from dassim.assimilation.taylor import taylor_test
from dassim.parallel import SerialCommunicator, world
from tests.models.twin import LorenzTwin


def filtered(comm):
    """Lorenz-96 with waves of less than four steps as noise."""
    twin = LorenzTwin(comm, deviation=0.5)
    objective = twin.objective()
    path = FastPart({"x": jnp.full_like(twin.truth.x, 1.0 / 0.05)}, half=2, steps_in_period=4.0)
    segment = eqx.tree_at(
        lambda s: s.path, objective.run.segment, path, is_leaf=lambda leaf: leaf is None
    )
    return twin, replace(objective, run=replace(objective.run, segment=segment))


def test_cost_and_gradient_do_not_depend_on_the_number_of_ranks():
    comm = world()
    (twin, here), (_, alone) = filtered(comm), filtered(SerialCommunicator())
    one, other = (objective(objective.transform.zero()) for objective in (here, alone))
    assert list(one.shares) == ["Jb", "Jc", "Jo"]
    total = here.space.sum(np.array([float(one.shares["Jc"])]))[0]
    assert total == pytest.approx(float(other.shares["Jc"]), rel=1e-12)
    assert total > 0.1
    whole = np.asarray(other.gradient.distributed["state.x"])
    np.testing.assert_allclose(
        twin.model.domain.gather(one.gradient.distributed["state.x"]),
        whole,
        rtol=0,
        atol=1e-12 * np.abs(whole).max(),
    )


def test_the_gradient_passes_the_taylor_test():
    _, objective = filtered(world())
    zero = objective.transform.zero()
    domain = objective.run.domain
    test = taylor_test(
        objective,
        random_like(domain, zero, 1),
        random_like(domain, zero, 2),
        objective.space,
        shares=objective.shares,
    )
    assert test.passed and test.order == pytest.approx(2.0, abs=0.05), str(test)
