"""Jc: the digital filter, and what it does to an analysis with a fast mode."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.control import Control
from dassim.assimilation.cost import (
    BackgroundTerm,
    FourDVar,
    ObservationCost,
    Observations,
    ObservationTerm,
)
from dassim.assimilation.gravity_waves import FastPart, lanczos_filter
from dassim.assimilation.incremental import GaussNewton, Incremental
from dassim.assimilation.transform import ControlTransform, Diagonal
from dassim.simulation.adjoint import Run, cost
from dassim.simulation.segments import Rematerialisation, RunInputs, Segment, SegmentData
from tests.models.linear import LinearModel

HALF, PERIOD = 9, 16.0


def response(period):
    """Of the filter to a wave of so many steps."""
    n = np.arange(-HALF, HALF + 1)
    return float(lanczos_filter(HALF, PERIOD) @ np.cos(2 * np.pi * n / period))


def test_slow_waves_pass_and_fast_ones_do_not():
    assert response(np.inf) == pytest.approx(1.0, abs=1e-14)
    assert response(20 * PERIOD) == pytest.approx(1.0, abs=0.01)
    assert 0.3 < response(PERIOD) < 0.7
    assert max(abs(response(PERIOD / k)) for k in (3, 4, 5, 6)) < 0.02


def rotation(period):
    angle = 2 * np.pi / period
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def two_modes():
    """``x = (slow, fast, fast)``: the slow mode turns with nothing, the fast one in 5 steps."""
    matrix = np.eye(3)
    matrix[1:, 1:] = rotation(5.0)
    return LinearModel(jnp.asarray(matrix))


def fast_part(size=1.0):
    return FastPart({"x": jnp.full((1, 3), 1.0 / size)}, HALF, PERIOD)


def jc(state, **options):
    model = two_modes()
    segment = Segment(model, ObservationCost(()), path=fast_part(), **options)
    parts = cost(Run(segment, (20, 20)), RunInputs({}, model.state(state)))
    assert set(parts) == {"Jc"}
    return parts["Jc"]


def test_a_steady_state_costs_nothing_and_a_fast_wave_its_energy():
    assert jc([7.0, 0.0, 0.0]) < 1e-28
    amplitude, segments = 0.3, 2
    assert jc([7.0, amplitude, 0.0]) == pytest.approx(segments * 0.5 * amplitude**2, rel=0.05)


@pytest.mark.parametrize("blocks", [True, False])
def test_the_sum_is_that_of_all_states_of_the_segment(blocks):
    """Written out in NumPy, whatever the way back keeps."""
    x, states = np.array([1.0, 0.4, -0.2]), []
    for _ in range(41):
        states.append(x)
        x = np.asarray(two_modes().matrix) @ x
    h = lanczos_filter(HALF, PERIOD)
    fast = [states[k + HALF] - h @ np.array(states[k : k + 2 * HALF + 1]) for k in (0, 20)]
    found = jc(states[0], rematerialisation=Rematerialisation(blocks=blocks))
    assert found == pytest.approx(0.5 * np.sum(np.square(fast)), rel=1e-12)


def test_a_segment_that_is_too_short_for_the_filter_is_refused():
    with pytest.raises(ValueError, match="found a segment of 17 steps, expected at least 18"):
        fast_part().weights(17)


def observed(state, where):
    """The sum of a slow and a fast variable."""
    return state.x[0, :1] + state.x[0, 1:2]


def objective(size):
    """A noisy observation at the end of each of two segments; the truth is slow."""
    model = two_modes()
    values = (5.4, 4.7)
    misfit = ObservationCost((ObservationTerm("Jo", observed),))
    segment = Segment(model, misfit, path=None if size is None else fast_part(size))
    run = Run(
        segment,
        (20, 22),
        lambda k: SegmentData(end={"Jo": Observations(jnp.array([values[k]]), jnp.array([10.0]))}),
    )
    background = RunInputs({}, model.state([5.0, 0.0, 0.0]))
    root = Diagonal(Control({"state.x": jnp.ones(())}))
    return FourDVar(run, ControlTransform(background, root, ("state.x",)), (BackgroundTerm(),))


def recovered(size):
    goal = objective(size)
    result = Incremental(outer=2, inner=10, tolerance=1e-10).minimise(goal, goal.transform.zero())
    assert result.state.reached.value < result.state.history[0].value
    return np.asarray(goal.transform.physical(result.point).state.x)[0], result.state


def test_it_keeps_waves_out_of_an_analysis_of_noisy_data():
    free, _ = recovered(None)
    held, state = recovered(0.01)
    assert np.hypot(*free[1:]) > 0.1
    assert np.hypot(*held[1:]) < 0.02 * np.hypot(*free[1:])
    assert held[0] == pytest.approx(5.05, abs=0.1)
    assert list(state.reached.parts) == ["Jb", "Jc", "Jo"]


def test_the_inner_problem_knows_it():
    """The model is linear, so the Hessian's product is the difference of gradients."""
    goal = objective(0.1)
    zero = goal.transform.zero()
    one = jax.tree.map(lambda x: x + jnp.array([0.3, -1.0, 0.7]), zero)
    apart = jax.tree.map(jnp.subtract, goal(one).gradient, goal(zero).gradient)
    product = GaussNewton(goal, zero)(one)
    np.testing.assert_allclose(
        product.distributed["state.x"], apart.distributed["state.x"], rtol=1e-10
    )
    run = replace(goal.run, segment=eqx.tree_at(lambda s: s.path, goal.run.segment, None))
    without = GaussNewton(replace(goal, run=run), zero)(one).distributed["state.x"]
    assert np.abs(np.asarray(without - product.distributed["state.x"])).max() > 1.0
