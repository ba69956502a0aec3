"""4D-Var on a linear model with Gaussian errors is the Kalman smoother."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.control import Control, ControlSpace
from dassim.assimilation.incremental import GaussNewton, Incremental, IncrementalState
from dassim.assimilation.lanczos import Krylov, inverse_bound, lanczos, ritz_pairs
from dassim.assimilation.lbfgs import LBFGS, Stop
from dassim.assimilation.minimise import Criteria, minimise
from dassim.assimilation.posterior import posterior
from dassim.assimilation.taylor import taylor_test
from tests.models.gaussian import LinearGaussian


@pytest.fixture(scope="module")
def problem():
    return LinearGaussian()


@pytest.fixture(scope="module")
def objective(problem):
    return problem.objective()


@pytest.fixture(scope="module")
def zero(objective):
    return objective.transform.zero()


def vector(control: Control) -> np.ndarray:
    return np.asarray(control.distributed["state.x"])[0]


def control(values) -> Control:
    return Control({"state.x": jnp.asarray(values)[None]})


def analysis(objective, v: Control) -> np.ndarray:
    return np.asarray(objective.transform.physical(v).state.x)[0]


@pytest.fixture(scope="module")
def solved(objective, zero):
    """Hessian products of the unit vectors, gradient at the background, and Newton's step."""
    hessian = GaussNewton(objective, zero)
    columns = [vector(hessian(control(unit))) for unit in np.eye(len(vector(zero)))]
    gradient = vector(objective(zero).gradient)
    return np.array(columns), gradient, np.linalg.solve(np.array(columns), -gradient)


def test_the_smoother_is_the_minimum_of_the_cost(problem):
    """The two oracles agree: recursion in time and the analysis equation."""
    gain = problem.covariance @ problem.whole_operator.T
    mean = problem.background + gain @ np.linalg.solve(
        problem.innovation_covariance, problem.innovation
    )
    np.testing.assert_allclose(problem.smoothed[0], mean, rtol=1e-10)


def test_hessian_products_are_those_of_the_matrix(problem, solved):
    np.testing.assert_allclose(solved[0], problem.hessian, rtol=1e-12, atol=1e-12)


def test_the_normal_equations_give_the_smoother(problem, objective, solved):
    mean, _ = problem.smoothed
    found = analysis(objective, control(solved[2]))
    np.testing.assert_allclose(found, mean, rtol=0, atol=1e-12 * np.abs(mean).max())


def test_lbfgs_gives_the_smoother_and_the_least_cost(problem, objective, zero):
    method = LBFGS(objective.space, pairs=20)
    result = minimise(objective, zero, method, Criteria(gradient_reduction=1e-9))
    mean, _ = problem.smoothed
    assert result.converged
    found = analysis(objective, result.point)
    np.testing.assert_allclose(found, mean, rtol=0, atol=1e-8 * np.abs(mean).max())
    last = result.state.history[-1]
    assert last.value == pytest.approx(problem.least_cost, rel=1e-12)
    assert set(last.parts) == {"Jb", "Jo.a", "Jo.b"}
    assert last.parts["Jb"] == pytest.approx(0.5 * vector(result.point) @ vector(result.point))


def test_lanczos_gives_the_smoother_in_as_many_iterations_as_unknowns(problem, objective, zero):
    right = control(-vector(objective(zero).gradient))
    krylov, stop = lanczos(
        GaussNewton(objective, zero), right, objective.space, tolerance=1e-13, iterations=20
    )
    assert stop is Stop.GRADIENT and krylov.iterations <= problem.n
    mean, _ = problem.smoothed
    found = analysis(objective, krylov.solution())
    np.testing.assert_allclose(found, mean, rtol=0, atol=1e-11 * np.abs(mean).max())
    here = sum(objective.shares(zero).values())
    assert here - krylov.decrease == pytest.approx(problem.least_cost, rel=1e-12)


def test_incremental_needs_one_linearisation(problem, objective, zero):
    method = Incremental(tolerance=1e-13, gradient_reduction=1e-10)
    result = method.minimise(objective, zero)
    assert result.stop is Stop.GRADIENT
    assert [loop.step for loop in result.state.loops] == [0.0, 1.0]
    assert result.state.reached.value == pytest.approx(problem.least_cost, rel=1e-12)
    np.testing.assert_allclose(
        analysis(objective, result.point), problem.smoothed[0], rtol=1e-9, atol=1e-10
    )
    assert "inner" in str(result)


def test_lines_of_inner_iterations_are_the_quadratic_cost_and_its_gradient(objective, zero):
    """Of a linear model that is the cost itself: its line at the iterate says the same."""
    for inner in (1, 3):
        method = Incremental(outer=1, inner=inner, tolerance=1e-13)
        before, *_, line, after = method.minimise(objective, zero).state.history
        assert (before.outer, before.inner) == (0, 0) and (after.outer, after.inner) == (1, 0)
        assert (line.outer, line.inner) == (0, inner) and line.iteration == inner
        assert line.value == pytest.approx(after.value, rel=1e-12)
        assert line.gradient_norm == pytest.approx(after.gradient_norm, rel=1e-9)
        assert set(line.parts) == set(after.parts) and np.isnan(list(line.parts.values())).all()


def test_incremental_goes_on_bitwise_from_any_state(objective, zero):
    """A loose tolerance makes for several outer loops."""
    method = Incremental(outer=3, inner=4, tolerance=0.1, gradient_reduction=1e-9)
    states = []
    whole = method.minimise(objective, zero, on_state=states.append)
    assert whole.stop is Stop.ITERATIONS and len(whole.state.loops) == 4
    assert len(states) > 10
    assert len({state.evaluations for state in states}) == len(states)
    for state in [*states[::3], states[-1]]:
        restored = IncrementalState.from_arrays(state.to_arrays(), like=zero)
        again = method.minimise(objective, restored)
        assert repr(timeless(again.state)) == repr(timeless(whole.state))
        np.testing.assert_array_equal(vector(again.point), vector(whole.point))
        for one, other in zip(again.state.spectrum.basis, whole.state.spectrum.basis, strict=True):
            np.testing.assert_array_equal(vector(one), vector(other))


def timeless(state):
    """All lines without their seconds."""
    return [replace(record, seconds=0.0) for record in state.history]


def test_more_outer_loops_go_on_from_the_last(objective, zero):
    fewer, more = (Incremental(outer=outer, inner=2, tolerance=0.1) for outer in (1, 3))
    whole = more.minimise(objective, zero)
    part = fewer.minimise(objective, zero)
    assert part.stop is Stop.ITERATIONS and part.state.spectrum.iterations == 2
    again = more.minimise(objective, part.state)
    assert repr(timeless(again.state)) == repr(timeless(whole.state))


def test_incremental_out_of_time_says_continue_me(objective, zero):
    """Every reading of the clock is a second later; an iteration takes two, between three."""
    ticks = iter(range(1000))
    method = Incremental(tolerance=1e-13)
    result = method.minimise(objective, zero, seconds=12.5, clock=lambda: float(next(ticks)))
    assert result.stop is Stop.WALL_CLOCK and result.state.krylov is not None
    assert result.state.krylov.iterations == 3
    assert result.state.seconds == 12.0


def test_incremental_that_is_asked_to_stop_stops_after_the_iteration(objective, zero):
    result = Incremental().minimise(objective, zero, interrupted=lambda: True)
    assert result.stop is Stop.WALL_CLOCK and result.state.iterations == 0
    again = Incremental().minimise(objective, result.state, interrupted=lambda: True)
    assert again.stop is Stop.WALL_CLOCK and again.state.iterations == 1


def test_incremental_with_a_tangent_linear_that_fails_says_so(problem, zero):
    """The model itself runs."""

    class Broken(GaussNewton):
        def __call__(self, direction):
            return control(np.nan * vector(direction))

    class Method(Incremental):
        def _iterated(self, objective, state, krylov):
            operator = Broken(objective, state.control)
            longer, _ = lanczos(operator, krylov, objective.space, iterations=1)
            return longer if longer.iterations > krylov.iterations else None

    assert Method().minimise(problem.objective(), zero).stop is Stop.NON_FINITE


def test_incremental_never_takes_a_step_that_raises_the_cost(problem, zero):
    """A Hessian of the wrong sign leads uphill."""

    class Uphill(Incremental):
        def _iterated(self, objective, state, krylov):
            longer = super()._iterated(objective, state, krylov)
            if longer is None:
                return None
            return Krylov(longer.basis, longer.norm, (-1.0,) * longer.iterations, longer.beside)

    method = Uphill(inner=1)
    result = method.minimise(problem.objective(), zero)
    assert result.stop is Stop.HALVINGS
    np.testing.assert_array_equal(vector(result.point), 0.0)
    assert result.state.reached.inner == 0
    again = method.minimise(problem.objective(), result.state)
    assert again.stop is Stop.HALVINGS and again.state.history == result.state.history


def test_ritz_pairs_give_the_smoothers_variance(problem, objective, zero):
    right = control(-vector(objective(zero).gradient))
    krylov, _ = lanczos(
        GaussNewton(objective, zero), right, objective.space, tolerance=1e-14, iterations=20
    )
    pairs = ritz_pairs(krylov)
    np.testing.assert_allclose(
        np.sort(pairs.values), np.linalg.eigvalsh(problem.hessian), rtol=1e-9
    )
    for value, pair in zip(pairs.values, pairs.vectors, strict=True):
        w = vector(pair)
        np.testing.assert_allclose(problem.hessian @ w, value * w, rtol=0, atol=1e-7 * value)
    reduction = objective.transform.variance(pairs.inverse_reductions())
    variance = np.diag(problem.covariance) - vector(reduction)
    np.testing.assert_allclose(variance, np.diag(problem.smoothed[1]), rtol=1e-7)


def test_the_errors_of_ritz_pairs_bound_what_is_missing(problem, objective, zero):
    """After few iterations; the estimated variance is never below the smoother's."""
    right = control(-vector(objective(zero).gradient))
    krylov, stop = lanczos(GaussNewton(objective, zero), right, objective.space, iterations=5)
    assert stop is Stop.ITERATIONS
    everything = ritz_pairs(krylov, tolerance=np.inf)
    eigenvalues = np.linalg.eigvalsh(problem.hessian)
    for value, error in zip(everything.values, everything.errors, strict=True):
        assert np.abs(eigenvalues - value).min() <= error * (1 + 1e-10)
    assert len(ritz_pairs(krylov).values) < 5
    reduction = objective.transform.variance(everything.inverse_reductions())
    variance = np.diag(problem.covariance) - vector(reduction)
    assert (variance >= np.diag(problem.smoothed[1]) * (1 - 1e-10)).all()


@pytest.mark.parametrize("iterations", [1, 2, 3, 5, 7, 9])
def test_the_posterior_bounds_the_smoothers_deviations(problem, objective, zero, iterations):
    """After any number of iterations, and it is the smoother's after all of them."""
    method = Incremental(outer=1, inner=iterations, tolerance=1e-14)
    found = posterior(objective, method.minimise(objective, zero).state.spectrum)
    prior, true = (np.sqrt(np.diag(c)) for c in (problem.covariance, problem.smoothed[1]))
    before, after = (np.asarray(d["state.x"])[0] for d in (found.background, found.analysis))
    np.testing.assert_allclose(before, prior, rtol=1e-12)
    assert (after >= true * (1 - 1e-10)).all()
    assert (after < before).any() and (after <= before).all()
    assert found.pairs == iterations
    if iterations == problem.n:
        np.testing.assert_allclose(after, true, rtol=1e-7)


@pytest.mark.parametrize("iterations", range(1, 10))
def test_the_bound_of_the_inverse_holds_in_every_direction(problem, objective, zero, iterations):
    right = control(-vector(objective(zero).gradient))
    krylov, _ = lanczos(
        GaussNewton(objective, zero), right, objective.space, tolerance=0.0, iterations=iterations
    )
    terms = inverse_bound(krylov)
    assert len(terms) == iterations
    assert all(0.0 <= weight < 1.0 for weight, _ in terms)
    bound = np.eye(problem.n) - sum(w * np.outer(vector(v), vector(v)) for w, v in terms)
    excess = np.linalg.eigvalsh(bound - np.linalg.inv(problem.hessian))
    assert excess.min() > -1e-12
    assert excess.max() < 1e-9 if iterations == problem.n else excess.max() > 1e-3


def test_without_a_background_there_are_no_errors_of_the_analysis(problem, zero):
    objective = problem.objective(terms=())
    state = Incremental(outer=1).minimise(objective, zero).state
    assert state.spectrum is not None and posterior(objective, state.spectrum) is None


def test_lanczos_goes_on_bitwise(objective, zero):
    hessian = GaussNewton(objective, zero)
    right = control(-vector(objective(zero).gradient))
    whole, _ = lanczos(hessian, right, objective.space, tolerance=1e-13)
    part, _ = lanczos(hessian, right, objective.space, iterations=4)
    restored = Krylov.from_arrays(part.to_arrays(), like=zero)
    again, _ = lanczos(hessian, restored, objective.space, tolerance=1e-13)
    assert again.diagonal == whole.diagonal and again.beside == whole.beside
    np.testing.assert_array_equal(vector(again.solution()), vector(whole.solution()))


def test_the_basis_stays_orthonormal():
    """Where a three-term recurrence without reorthogonalisation would lose it."""
    n = 60
    eigenvalues = np.logspace(0, 6, n)
    space = ControlSpace(LinearGaussian(n).model.domain)
    krylov, _ = lanczos(
        lambda v: control(eigenvalues * vector(v)),
        control(np.ones(n)),
        space,
        iterations=n,
        tolerance=1e-12,
    )
    basis = np.array([vector(q) for q in krylov.basis])
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-13)


def test_lanczos_stops_where_the_space_is_exhausted_or_the_operator_fails(problem):
    space = ControlSpace(problem.model.domain)
    unit = control(np.eye(problem.n)[0])
    krylov, stop = lanczos(lambda v: control(3.0 * vector(v)), unit, space, tolerance=0.0)
    assert stop is Stop.GRADIENT and krylov.iterations == 1
    np.testing.assert_allclose(vector(krylov.solution()), vector(unit) / 3.0)
    assert Krylov.from_arrays(krylov.to_arrays(), like=unit).diagonal == krylov.diagonal
    _, stop = lanczos(lambda v: control(np.nan * vector(v)), unit, space)
    assert stop is Stop.NON_FINITE
    nothing, stop = lanczos(lambda v: v, control(np.zeros(problem.n)), space)
    assert stop is Stop.GRADIENT
    np.testing.assert_array_equal(vector(nothing.solution()), 0.0)


def test_the_cost_passes_the_taylor_test(objective, problem):
    rng = np.random.default_rng(0)
    point, direction = (control(rng.normal(size=problem.n)) for _ in range(2))
    test = taylor_test(objective, point, direction, objective.space, shares=objective.shares)
    assert test.passed and test.order == pytest.approx(2.0, abs=1e-3), test
