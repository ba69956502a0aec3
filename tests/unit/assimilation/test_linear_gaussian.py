"""4D-Var on a linear model with Gaussian errors is the Kalman smoother."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.checks import taylor_test
from dassim.assimilation.control import Control, ControlSpace
from dassim.assimilation.incremental import GaussNewton, Incremental, IncrementalState
from dassim.assimilation.lanczos import Krylov, lanczos, ritz_pairs
from dassim.assimilation.lbfgs import LBFGS, Stop
from dassim.assimilation.minimise import Criteria, minimise
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
    result = Incremental(objective, tolerance=1e-13, gradient_reduction=1e-10).minimise(zero)
    assert result.stop is Stop.GRADIENT
    assert [loop.step for loop in result.state.loops] == [1.0, 0.0]
    assert result.state.loops[-1].value == pytest.approx(problem.least_cost, rel=1e-12)
    np.testing.assert_allclose(
        analysis(objective, result.control), problem.smoothed[0], rtol=1e-9, atol=1e-10
    )
    assert "inner" in str(result)


def test_incremental_goes_on_bitwise_from_any_state(objective, zero):
    """A loose tolerance makes for several outer loops."""
    method = Incremental(objective, outer=3, inner=4, tolerance=0.1, gradient_reduction=1e-9)
    states = []
    whole = method.minimise(zero, on_state=states.append)
    assert whole.stop is Stop.ITERATIONS and len(whole.state.loops) == 4
    assert len(states) > 10
    for state in states[::3]:
        restored = IncrementalState.from_arrays(state.to_arrays(), like=zero)
        again = method.minimise(restored)
        assert again.state.loops == whole.state.loops
        np.testing.assert_array_equal(vector(again.control), vector(whole.control))


def test_incremental_out_of_time_says_continue_me(objective, zero):
    ticks = iter(range(1000))
    method = Incremental(objective, tolerance=1e-13, seconds=4.5)
    result = method.minimise(zero, clock=lambda: float(next(ticks)))
    assert result.stop is Stop.WALL_CLOCK and result.state.krylov is not None
    assert result.state.krylov.iterations == 4


def test_incremental_with_a_tangent_linear_that_fails_says_so(problem, zero):
    """The model itself runs."""

    class Broken(GaussNewton):
        def __call__(self, direction):
            return control(np.nan * vector(direction))

    class Method(Incremental):
        def _iterated(self, state, krylov):
            operator = Broken(self.objective, state.control)
            longer, _ = lanczos(operator, krylov, self.objective.space, iterations=1)
            return longer if longer.iterations > krylov.iterations else None

    assert Method(problem.objective()).minimise(zero).stop is Stop.NON_FINITE


def test_incremental_never_takes_a_step_that_raises_the_cost(problem, zero):
    """A Hessian of the wrong sign leads uphill."""

    class Uphill(Incremental):
        def _iterated(self, state, krylov):
            longer = super()._iterated(state, krylov)
            if longer is None:
                return None
            return Krylov(longer.basis, longer.norm, (-1.0,) * longer.iterations, longer.beside)

    method = Uphill(problem.objective(), inner=1)
    result = method.minimise(zero)
    assert result.stop is Stop.LINE_SEARCH
    np.testing.assert_array_equal(vector(result.control), 0.0)


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
