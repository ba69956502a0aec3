"""The minimiser on one rank."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.control import Control, ControlSpace
from dassim.assimilation.lbfgs import LBFGS, Evaluation, State, Stop, descent_coefficients
from dassim.assimilation.minimise import Criteria, minimise
from dassim.assimilation.records import csv_header, csv_line, table
from dassim.parallel import Domain
from tests.models.objectives import PAIRS, evaluator, rosenbrock, rosenbrock_start

TIGHT = Criteria(gradient_reduction=1e-10)


@pytest.fixture
def domain():
    return Domain.serial(PAIRS)


@pytest.fixture
def method(domain):
    return LBFGS(ControlSpace(domain), pairs=10)


def numbers(state: State) -> dict[str, np.ndarray]:
    """The state without its clock."""
    arrays = state.to_arrays()
    return {name: arrays[name] for name in arrays if "seconds" not in name}


def assert_bitwise(one: State, other: State) -> None:
    first, second = numbers(one), numbers(other)
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_ten_rosenbrock_pairs_take_36_iterations_and_50_evaluations(domain, method):
    result = minimise(rosenbrock(domain), rosenbrock_start(domain), method, TIGHT)
    assert result.stop is Stop.GRADIENT and result.converged
    assert (result.state.iterations, result.state.evaluations) == (36, 50)
    for leaf in jax.tree.leaves(result.point):
        np.testing.assert_allclose(leaf, 1.0, rtol=1e-10)


@pytest.mark.parametrize("pairs", [0, 1, 3, 8])
def test_the_direction_is_that_of_the_bfgs_matrix_of_the_pairs(pairs):
    rng = np.random.default_rng(pairs)
    n = 12
    root = rng.normal(size=(n, n))
    hessian = root @ root.T + np.eye(n)
    s = rng.normal(size=(pairs, n))
    y = s @ hessian
    g = rng.normal(size=n)

    inverse = np.eye(n) * ((s[-1] @ y[-1]) / (y[-1] @ y[-1]) if pairs else 1.0)
    for a, b in zip(s, y, strict=True):
        project = np.eye(n) - np.outer(a, b) / (a @ b)
        inverse = project @ inverse @ project.T + np.outer(a, a) / (a @ b)

    basis = np.concatenate([s, y, g[None]])
    direction = descent_coefficients(basis @ basis.T) @ basis
    np.testing.assert_allclose(direction, -inverse @ g, rtol=0, atol=1e-10 * np.abs(g).max())


def test_only_the_newest_pairs_are_kept_and_the_gram_matrix_is_theirs(domain):
    method = LBFGS(ControlSpace(domain), pairs=3)
    criteria = Criteria(gradient_reduction=0.0, iterations=7)
    state = minimise(rosenbrock(domain), rosenbrock_start(domain), method, criteria).state
    assert len(state.s) == len(state.y) == 3
    basis = [*state.s, *state.y, state.gradient]
    np.testing.assert_allclose(state.gram, method.space.products(basis, basis), rtol=1e-14)


@pytest.mark.parametrize("evaluations", [1, 2, 10, 12, 18])
def test_a_restart_goes_on_bitwise_from_any_evaluation(domain, method, evaluations):
    """12 evaluations end in the middle of the line search of iteration 7, 18 with iteration 10."""
    start = rosenbrock_start(domain)
    whole = minimise(rosenbrock(domain), start, method, TIGHT)
    part = minimise(
        rosenbrock(domain), start, method, dataclasses.replace(TIGHT, evaluations=evaluations)
    )
    assert part.stop is Stop.EVALUATIONS and part.stop.resumable
    restored = State.from_arrays(part.state.to_arrays(), like=start)
    assert_bitwise(restored, part.state)
    assert_bitwise(minimise(rosenbrock(domain), restored, method, TIGHT).state, whole.state)


def test_a_state_before_the_first_evaluation_can_be_saved(domain, method):
    start = method.start(rosenbrock_start(domain))
    restored = State.from_arrays(start.to_arrays(), like=start.point)
    assert restored.search is None and restored.history == ()
    assert_bitwise(restored, start)


def test_a_state_of_another_grid_is_refused_with_its_name(domain, method):
    arrays = method.start(rosenbrock_start(domain)).to_arrays()
    with pytest.raises(ValueError, match=r"point.distributed.a: found an array of shape \(2, 5\)"):
        State.from_arrays(arrays, like=rosenbrock_start(Domain.serial((3, 5))))


def test_a_pair_without_curvature_is_skipped(domain):
    """Along a ridge ``s.y < 0``: the step is taken, its pair is not."""
    parts = evaluator(lambda c: {"J": -jnp.sum(jnp.log(jnp.cosh(0.1 * c.distributed["a"])))})
    start = Control({"a": jnp.full(domain.shape, 0.1)})
    criteria = Criteria(gradient_reduction=0.0, iterations=2)
    state = minimise(parts, start, LBFGS(ControlSpace(domain)), criteria).state
    assert state.iterations == 2
    assert state.s == () and state.gram.shape == (1, 1)


def walled(domain, wall):
    """A quadratic around 3 whose model blows up where ``a`` reaches ``wall``."""

    def parts(control):
        a = control.distributed["a"]
        return {"J": jnp.sum(jnp.where(a < wall, (a - 3.0) ** 2, jnp.nan))}

    return evaluator(parts)


def test_a_model_that_blows_up_on_the_way_is_backed_away_from(domain, method):
    """Rosenbrock's valley between walls, which some steps of More and Thuente leap over."""
    cost, values = rosenbrock(domain), []

    def fragile(control):
        evaluation = cost(control)
        a, b = control.distributed["a"], control.distributed["b"]
        inside = (b.min() > -0.1) & (a.max() < 1.1)
        value = float(jnp.where(inside, evaluation.shares["valley"], jnp.nan))
        values.append(value)
        return Evaluation({**evaluation.shares, "valley": value}, evaluation.gradient)

    result = minimise(fragile, rosenbrock_start(domain), method, TIGHT)
    assert sum(map(math.isnan, values)) >= 2
    assert result.converged
    for leaf in jax.tree.leaves(result.point):
        np.testing.assert_allclose(leaf, 1.0, rtol=1e-8)


def test_a_minimum_behind_a_wall_is_never_called_converged(domain):
    start = Control({"a": jnp.zeros(domain.shape)})
    criteria = Criteria(gradient_reduction=1e-3, iterations=30)
    result = minimise(walled(domain, 1.0), start, LBFGS(ControlSpace(domain)), criteria)
    assert not result.converged
    assert np.isfinite(result.state.history[-1].value)
    assert result.state.history[-1].value < result.state.history[0].value
    assert (result.point.distributed["a"] < 1.0).all()


@pytest.mark.parametrize(("wall", "relative_decrease"), [(1e-3, 0.0), (1e-3, 1e-3), (1e-17, 0.0)])
def test_a_cost_that_stalls_at_a_wall_is_never_called_converged(domain, wall, relative_decrease):
    """At the last wall every step is so short that the point stays where it is."""

    def parts(control):
        x = 1.0 + control.distributed["a"]
        return {"J": jnp.sum(jnp.where(x <= 1.0 + wall, (x - 100.0) ** 2, jnp.inf))}

    start = Control({"a": jnp.zeros(domain.shape)})
    criteria = Criteria(relative_decrease=relative_decrease)
    result = minimise(evaluator(parts), start, LBFGS(ControlSpace(domain)), criteria)
    assert result.stop is Stop.BLOCKED
    assert not (result.converged or result.stop.resumable)


def test_a_first_guess_that_blows_up_is_reported(domain):
    start = Control({"a": jnp.full(domain.shape, 5.0)})
    result = minimise(walled(domain, 1.0), start, LBFGS(ControlSpace(domain)), Criteria())
    assert result.stop is Stop.NON_FINITE and not result.converged
    assert result.state.evaluations == 1


def test_a_cost_that_is_finite_at_the_first_guess_alone_is_reported(domain):
    start = Control({"a": jnp.zeros(domain.shape)})
    objective = walled(domain, 1e-300)
    result = minimise(objective, start, LBFGS(ControlSpace(domain)), Criteria())
    assert result.stop is Stop.NON_FINITE and not result.converged
    np.testing.assert_array_equal(result.point.distributed["a"], 0.0)


def test_a_gradient_that_is_wrong_ends_in_a_failed_line_search(domain):
    cost = rosenbrock(domain)

    def wrong(control):
        evaluation = cost(control)
        return Evaluation(evaluation.shares, jax.tree.map(jnp.negative, evaluation.gradient))

    result = minimise(wrong, rosenbrock_start(domain), LBFGS(ControlSpace(domain)), Criteria())
    assert result.stop is Stop.LINE_SEARCH and not result.converged


def test_a_stationary_first_guess_is_converged_after_one_evaluation(domain, method):
    start = Control({"a": jnp.ones(domain.shape), "b": jnp.ones(domain.shape)})
    result = minimise(rosenbrock(domain), start, method, Criteria())
    assert result.stop is Stop.GRADIENT and result.state.evaluations == 1


@pytest.mark.parametrize(
    ("criteria", "stop"),
    [
        (Criteria(gradient_reduction=1e-3), Stop.GRADIENT),
        (Criteria(gradient_reduction=0.0, relative_decrease=1e-2), Stop.DECREASE),
        (Criteria(iterations=4), Stop.ITERATIONS),
        (Criteria(evaluations=9), Stop.EVALUATIONS),
    ],
)
def test_every_criterion_stops(domain, method, criteria, stop):
    result = minimise(rosenbrock(domain), rosenbrock_start(domain), method, criteria)
    assert result.stop is stop
    state, last = result.state, result.state.history[-1]
    if stop is Stop.GRADIENT:
        assert last.gradient_norm <= 1e-3 * state.history[0].gradient_norm
    if stop is Stop.DECREASE:
        assert state.history[-2].value - last.value <= 1e-2 * state.history[-2].value
    if stop is Stop.ITERATIONS:
        assert state.iterations == 4
    if stop is Stop.EVALUATIONS:
        assert state.evaluations == 9


def test_out_of_time_it_says_continue_me_and_continues(domain, method):
    """A clock on which an evaluation takes 1 s: none is begun that would end after 7.5 s."""
    cost, now = rosenbrock(domain), [0.0]

    def slow(control):
        now[0] += 1.0
        return cost(control)

    start = rosenbrock_start(domain)
    criteria = Criteria(gradient_reduction=1e-10, seconds=7.5)
    result = minimise(slow, start, method, criteria, clock=lambda: now[0])
    assert result.stop is Stop.WALL_CLOCK and result.stop.value.startswith("continue me")
    assert result.state.evaluations == 7
    while result.stop is Stop.WALL_CLOCK:
        state = State.from_arrays(result.state.to_arrays(), like=start)
        result = minimise(slow, state, method, criteria, clock=lambda: now[0])
    assert result.state.seconds == pytest.approx(50.0)
    assert_bitwise(result.state, minimise(rosenbrock(domain), start, method, TIGHT).state)


def test_callers_see_every_iteration_and_every_evaluation(domain, method):
    records, states = [], []
    result = minimise(
        rosenbrock(domain),
        rosenbrock_start(domain),
        method,
        TIGHT,
        on_iteration=lambda record, state: records.append(record),
        on_evaluation=states.append,
    )
    assert tuple(records) == result.state.history
    assert len(states) == 50 and states[-1] is result.state
    assert [record.iteration for record in records] == list(range(37))


def test_the_table_and_the_csv_hold_the_parts_of_the_cost(domain, method):
    result = minimise(rosenbrock(domain), rosenbrock_start(domain), method, Criteria(iterations=2))
    record = result.state.history[-1]
    assert record.value == pytest.approx(sum(record.parts.values()))
    header, *lines = table(result.state.history).splitlines()
    assert "valley" in header and "slope" in header and len(lines) == 3
    assert len({len(line) for line in (header, *lines)}) == 1
    row = dict(zip(csv_header(record).split(","), csv_line(record).split(","), strict=True))
    assert float(row["J"]) == record.value and float(row["valley"]) == record.parts["valley"]
    assert "used up" in str(result)
