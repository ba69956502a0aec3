"""The minimiser on any number of ranks takes the same path as on one."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.control import Control, ControlSpace, sum_over_ranks
from dassim.assimilation.incremental import Incremental
from dassim.assimilation.lbfgs import LBFGS, Evaluation, State, Stop
from dassim.assimilation.minimise import Criteria, minimise
from dassim.assimilation.posterior import posterior
from dassim.parallel import Domain, SerialCommunicator, world
from tests.models.objectives import PAIRS, rosenbrock, rosenbrock_start
from tests.models.twin import LorenzTwin

TIGHT = Criteria(gradient_reduction=1e-10)


@pytest.fixture(scope="module")
def comm():
    return world()


def recovered(domain, start=None, criteria=TIGHT):
    method = LBFGS(ControlSpace(domain), pairs=10)
    start = rosenbrock_start(domain) if start is None else start
    return minimise(rosenbrock(domain), start, method, criteria)


def test_ten_rosenbrock_pairs_take_the_same_iterations_on_every_rank_count(comm):
    result = recovered(Domain.create(PAIRS, comm=comm))
    assert (result.state.iterations, result.state.evaluations) == (36, 50)
    alone = recovered(Domain.serial(PAIRS))
    for one, other in zip(result.state.history[:6], alone.state.history, strict=False):
        assert one.value == pytest.approx(other.value, rel=1e-12)
    assert len(set(comm.allgather(result.state.history[-1].value))) == 1


def test_a_restart_at_iteration_10_continues_bitwise_on_the_same_layout(comm):
    domain = Domain.create(PAIRS, comm=comm)
    whole = recovered(domain)
    half = recovered(domain, criteria=dataclasses.replace(TIGHT, iterations=10))
    assert half.stop is Stop.ITERATIONS and half.state.iterations == 10
    restored = State.from_arrays(half.state.to_arrays(), like=rosenbrock_start(domain))
    again = recovered(domain, restored)
    assert [dataclasses.replace(record, seconds=0.0) for record in again.state.history] == [
        dataclasses.replace(record, seconds=0.0) for record in whole.state.history
    ]
    for one, other in zip(jax.tree.leaves(again.point), jax.tree.leaves(whole.point), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_replicated_unknown_is_counted_once_and_its_gradient_summed_once(comm):
    """Fit ``y = a x + b_i``, one slope for all and an offset at each point, with a background."""
    whole = np.random.default_rng(5).normal(size=(2, 4, 6))

    def fit(domain):
        x, y = (jnp.asarray(domain.local(field)) for field in whole)
        space = ControlSpace(domain)

        def share(control):
            misfit = control.replicated["a"] * x + control.distributed["b"] - y
            return 0.5 * space.share(control, control) + 0.5 * jnp.sum(misfit**2)

        @jax.jit
        def evaluate(control):
            value, gradient = jax.value_and_grad(share)(control)
            slope = sum_over_ranks(domain, gradient.replicated)
            return value, dataclasses.replace(gradient, replicated=slope)

        def objective(control):
            value, gradient = evaluate(control)
            return Evaluation({"J": value}, gradient)

        start = Control({"b": jnp.zeros(domain.shape)}, {"a": jnp.zeros(())})
        return minimise(objective, start, LBFGS(space), Criteria(gradient_reduction=1e-8))

    domain = Domain.create((4, 6), comm=comm)
    result = fit(domain)
    x, y = whole
    slope = np.sum(x * y) / 2 / (1 + np.sum(x**2) / 2)
    assert result.converged
    # To the square root of round-off, where the cost ceases to decrease.
    np.testing.assert_allclose(result.point.replicated["a"], slope, rtol=1e-8)
    np.testing.assert_allclose(
        domain.gather(result.point.distributed["b"]), (y - slope * x) / 2, rtol=0, atol=1e-8
    )


def test_one_rank_out_of_time_stops_all(comm):
    domain = Domain.create(PAIRS, comm=comm)
    late = comm.rank == comm.size - 1
    ticks = iter(range(10**6))
    result = minimise(
        rosenbrock(domain),
        rosenbrock_start(domain),
        LBFGS(ControlSpace(domain)),
        dataclasses.replace(TIGHT, seconds=30.0),
        clock=lambda: float(next(ticks)) * late,
    )
    assert result.stop is Stop.WALL_CLOCK
    assert len(set(comm.allgather(result.state.evaluations))) == 1


def test_one_rank_that_blows_up_makes_all_step_back(comm):
    domain = Domain.create(PAIRS, comm=comm)
    cost, calls = rosenbrock(domain), iter(range(10**6))

    def fragile(control):
        evaluation = cost(control)
        if next(calls) != 3 or comm.rank != comm.size - 1:
            return evaluation
        return Evaluation({**evaluation.shares, "slope": np.nan}, evaluation.gradient)

    method = LBFGS(ControlSpace(domain))
    result = minimise(fragile, rosenbrock_start(domain), method, TIGHT)
    assert result.converged
    assert len(set(comm.allgather(result.state.evaluations))) == 1


# -- 4D-Var ---------------------------------------------------------------------------------------


def recover(twin, **criteria):
    objective = twin.objective()
    method = LBFGS(objective.space, pairs=20)
    result = minimise(objective, objective.transform.zero(), method, Criteria(**criteria))
    return objective, result


def error(twin, objective, control) -> float:
    """Largest error of the recovered start, over all ranks."""
    x = objective.transform.physical(control).state.x
    return float(twin.model.domain.max(jnp.abs(x - twin.truth.x).max()))


def test_lorenz_96_is_recovered_from_perfect_observations(comm):
    twin = LorenzTwin(comm)
    objective, result = recover(twin, gradient_reduction=1e-12, iterations=200)
    assert result.converged
    assert error(twin, objective, objective.transform.zero()) > 1.0
    assert error(twin, objective, result.point) < 1e-8


def test_incremental_4d_var_recovers_lorenz_96(comm):
    twin = LorenzTwin(comm)
    objective = twin.objective()
    method = Incremental(outer=8, tolerance=1e-10, gradient_reduction=1e-10)
    result = method.minimise(objective, objective.transform.zero())
    assert result.stop.converged
    assert error(twin, objective, result.point) < 1e-12


def test_errors_of_the_analysis_do_not_depend_on_the_number_of_ranks(comm):
    def found(comm):
        objective = LorenzTwin(comm, deviation=0.5).objective()
        state = Incremental(outer=1, inner=10).minimise(objective, objective.transform.zero()).state
        return posterior(objective, state.spectrum)

    here, alone = found(comm), found(SerialCommunicator())
    domain = LorenzTwin(comm).model.domain
    assert here.pairs == alone.pairs > 0
    whole = domain.gather(here.analysis["state.x"])
    np.testing.assert_allclose(whole, alone.analysis["state.x"], rtol=1e-8)
    assert (whole < 1.0).all()


def test_with_noise_twice_the_least_cost_is_the_number_of_observations(comm):
    """Four draws of background and observations: chi-squared of 320 each."""
    costs = []
    for seed in range(4):
        _, result = recover(LorenzTwin(comm, deviation=0.5, seed=seed), gradient_reduction=1e-6)
        assert result.converged
        costs.append(2 * result.state.history[-1].value / 320)
    assert np.mean(costs) == pytest.approx(1.0, abs=3 * np.sqrt(2 / (4 * 320)))
    assert costs == pytest.approx(np.ones(4), abs=3 * np.sqrt(2 / 320))


@pytest.mark.ranks(1, 2, 3, 4)
def test_cost_and_gradient_do_not_depend_on_the_number_of_ranks(comm):
    """At the first guess to 1e-12, the cost after five iterations to 1e-8."""
    twin, alone = (LorenzTwin(c, deviation=0.5) for c in (comm, SerialCommunicator()))
    (objective, result), (serial, expected) = (
        recover(t, gradient_reduction=0.0, iterations=5) for t in (twin, alone)
    )
    first, last = result.state.history[0], result.state.history[5]
    assert first.value == pytest.approx(expected.state.history[0].value, rel=1e-12)
    assert last.value == pytest.approx(expected.state.history[5].value, rel=1e-8)
    gradient = objective(objective.transform.zero()).gradient.distributed["state.x"]
    whole = serial(serial.transform.zero()).gradient.distributed["state.x"]
    np.testing.assert_allclose(
        twin.model.domain.gather(gradient), whole, rtol=0, atol=1e-12 * np.abs(whole).max()
    )
