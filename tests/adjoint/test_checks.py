"""The checks pass on right derivatives, on any number of ranks, and fail on wrong ones."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_derivatives import linear_call

from dassim.assimilation.control import (
    Control,
    ControlSpace,
    joined,
    random_like,
    split,
    sum_over_ranks,
)
from dassim.assimilation.dot_products import (
    DotProductTest,
    dot_product_test,
    model_dot_product_test,
)
from dassim.assimilation.gradients import compare_gradients
from dassim.assimilation.lbfgs import Evaluation
from dassim.assimilation.taylor import NEARBY, TaylorTest, TaylorTests, round_off, taylor_test
from dassim.parallel import Domain, SerialCommunicator, world
from tests.models.lorenz import Lorenz63, Lorenz96
from tests.models.tracer import TracerModel


@pytest.fixture(scope="module")
def comm():
    return world()


@pytest.fixture(scope="module", params=["lorenz63", "lorenz96", "tracer"])
def case(request, comm):
    """A model, its parameters and a state."""
    if request.param == "lorenz63":
        model = Lorenz63()
        return model, model.parameters(), model.state()
    if request.param == "lorenz96":
        model = Lorenz96.create(40, comm=comm)
        return model, model.parameters(), model.on_attractor()
    model = TracerModel.create((12, 16), comm=comm)
    return model, model.parameters(), model.blob()


def objective(case, steps=10):
    """``sum x^4 / 4`` after ``steps`` steps, with respect to state and parameters."""
    model, parameters, state = case
    domain = model.domain

    def share(x):
        parameters, state = joined(x)
        end, _ = jax.lax.scan(
            lambda state, _: (model.step(parameters, state), None), state, length=steps
        )
        fields = split(domain, end).distributed
        return sum(jnp.sum(leaf**4) / 4 for leaf in jax.tree.leaves(fields))

    derivative = jax.jit(jax.value_and_grad(share))

    def evaluate(x):
        value, gradient = derivative(x)
        total = sum_over_ranks(domain, gradient.replicated)
        return Evaluation({"J": value}, Control(gradient.distributed, total))

    return evaluate, split(domain, (parameters, state)), jax.jit(lambda x: {"J": share(x)})


@pytest.mark.ranks(1, 2)
def test_the_gradient_of_every_model_passes_the_taylor_test(case):
    evaluate, point, shares = objective(case)
    space = ControlSpace(case[0].domain)
    direction = random_like(space.domain, point, seed=1)
    test = taylor_test(evaluate, point, direction, space, shares=shares)
    assert test.passed, test
    assert test.order == pytest.approx(2.0, abs=0.05)
    assert "order" in str(test) and "passed" in str(test)


@pytest.mark.parametrize("error", [1e-2, 1e-4])
def test_a_gradient_that_is_slightly_wrong_fails_the_taylor_test(case, error):
    evaluate, point, _ = objective(case)
    space = ControlSpace(case[0].domain)

    def wrong(x):
        right = evaluate(x)
        gradient = jax.tree.map(lambda g: (1 + error) * g, right.gradient)
        return Evaluation(right.shares, gradient)

    test = taylor_test(wrong, point, random_like(space.domain, point, seed=1), space)
    assert not test.passed, test
    assert test.order == pytest.approx(1.0, abs=0.05)
    assert "FAILED" in str(test)


def test_the_taylor_test_shows_steps_at_which_the_cost_is_not_finite(case):
    evaluate, point, shares = objective(case)
    space = ControlSpace(case[0].domain)
    direction = random_like(space.domain, point, seed=1)
    test = taylor_test(
        evaluate, point, direction, space, shares=shares, steps=(1e200, 1e-3, 1e-4, 1e-5)
    )
    assert not np.isfinite(test.remainders[0]) and test.passed


def test_a_linear_cost_passes_the_taylor_test_at_round_off():
    model = Lorenz96.create(8, comm=SerialCommunicator())
    space = ControlSpace(model.domain)
    weights = Control({"x": jnp.arange(8.0)[None]})

    def evaluate(x):
        return Evaluation({"J": 1.0 + space.share(weights, x)}, weights)

    point = Control({"x": jnp.ones((1, 8))})
    test = taylor_test(evaluate, point, random_like(model.domain, point, 0), space)
    assert test.passed and test.order is None


def test_parameters_of_which_no_order_is_seen_are_told():
    steps = (1e-1, 1e-2, 1e-3)
    seen = TaylorTest(steps, (1e-2, 1e-4, 1e-6), 1e-12, "drag")
    unseen = TaylorTest(steps, (1e-14, 1e-14, 1e-14), 1e-12, "tilt")
    wrong = TaylorTest(steps, (1e-2, 1e-3, 1e-4), 1e-12, "wind")
    tests = TaylorTests("by each", (seen, unseen))
    *rows, summary = str(tests).splitlines()
    assert tests.passed
    assert [" ".join(row.split()[3:]) for row in rows[2:]] == ["passed", "not seen"]
    assert summary.startswith("passed: ") and summary.endswith("; 1 of 2 not seen")
    assert "not seen" not in str(TaylorTests("by each", (seen,)))
    failed = str(TaylorTests("by each", (seen, unseen, wrong)))
    assert "FAILED: orders of 2" in failed and "; 1 of 3 not seen" in failed


@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-9])
def test_round_off_of_the_cost_is_measured(size):
    noise = np.random.default_rng(1)
    found = round_off(lambda step: np.sin(0.3 + step) + size * noise.standard_normal())
    assert size / 3 < found < 3 * size + 1e-15


@pytest.mark.parametrize("where", [NEARBY, 2 * NEARBY])
def test_a_kink_is_no_round_off(where):
    def bent(x):
        angle = x.distributed["x"]
        value = jnp.sin(angle) + jnp.maximum(angle - 0.3, where)
        return Evaluation({"J": value.sum()}, Control({"x": jnp.cos(angle)}))

    space = ControlSpace(Domain.serial((1, 1)))
    point, direction = Control({"x": jnp.full((1, 1), 0.3)}), Control({"x": jnp.ones((1, 1))})
    test = taylor_test(bent, point, direction, space)
    assert test.passed and test.floor < 1e-12, test
    assert any(order is not None and order < 1.5 for order in test.orders), test


@pytest.mark.parametrize("error", [0.0, 1e-6, 3e-3, -1e-2])
def test_a_cost_with_many_kinks_passes_only_with_its_gradient(error):
    """As the sum of the rain of many cells, each of which begins at a place of its own."""
    places = 0.3 + 10.0 ** np.random.default_rng(3).uniform(-6, -1, 40)

    def rain(x):
        angle = x.distributed["x"]
        value = jnp.sin(angle).sum() + 0.01 * jnp.maximum(angle - places, 0.0).sum()
        return Evaluation({"J": value}, Control({"x": (1.0 + error) * jnp.cos(angle)}))

    space = ControlSpace(Domain.serial((1, 1)))
    point, direction = Control({"x": jnp.full((1, 1), 0.3)}), Control({"x": jnp.ones((1, 1))})
    test = taylor_test(rain, point, direction, space)
    assert test.passed == test.by_differences == (error == 0.0), test
    assert not test.smooth
    tests = str(TaylorTests("by each", (test,)))
    assert ("; 1 of 1 by central differences" in tests) == (error == 0.0)
    assert "apart, these uncertain by" in tests


def along(cost, slope):
    """The Taylor test of a function of the step alone, whose derivative is said to be ``slope``."""

    def evaluate(x):
        step = x.distributed["x"]
        return Evaluation({"J": cost(step).sum()}, Control({"x": jnp.full((1, 1), slope)}))

    zero, one = (Control({"x": jnp.full((1, 1), value)}) for value in (0.0, 1.0))
    return taylor_test(evaluate, zero, one, ControlSpace(Domain.serial((1, 1))))


def test_differences_that_know_little_do_not_stand_for_an_order():
    """At a kink at the point itself: the slopes on either side are 0.5 % apart."""
    test = along(lambda h: 3.0 * h + 0.0075 * jnp.abs(h) + h**2, 3.0)
    assert 1e-3 < test.comparison.uncertain < 1e-2
    assert not test.passed, test
    assert along(lambda h: 3.0 * h + 3e-4 * jnp.abs(h) + h**2, 3.0).by_differences


@pytest.mark.parametrize(("apart", "passes"), [(3e-8, True), (3e-7, False)])
def test_differences_that_claim_to_know_more_than_seven_digits_are_not_believed(apart, passes):
    kinked = along(lambda h: 3.0 * h + jnp.maximum(h - 3e-4, 0.0), 3.0 * (1.0 + apart))
    assert not kinked.smooth and kinked.comparison.uncertain < 1e-8
    assert kinked.passed == passes, kinked


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cost_that_is_not_finite_at_the_point_fails(value):
    test = along(lambda h: jnp.where(h == 0.0, value, jnp.sin(h)), 1.0)
    assert not test.passed, test


def test_a_kink_where_the_slope_is_nothing_is_no_certainty():
    test = along(lambda h: 1.0 + jnp.abs(h), 0.0)
    assert test.comparison.uncertain == np.inf and not test.passed, test


@pytest.mark.parametrize("size", [1e-12, 1e-10])
def test_a_cost_with_large_round_off_passes_only_with_its_gradient(size):
    noise = np.random.default_rng(0)

    def sine(x, error=0.0):
        angle = x.distributed["x"]
        value = jnp.sin(angle).sum() + size * noise.standard_normal()
        return Evaluation({"J": value}, Control({"x": (1.0 + error) * jnp.cos(angle)}))

    space = ControlSpace(Domain.serial((1, 1)))
    point, direction = Control({"x": jnp.full((1, 1), 0.3)}), Control({"x": jnp.ones((1, 1))})
    right = taylor_test(sine, point, direction, space)
    assert right.passed and right.order is not None, right
    wrong = taylor_test(lambda x: sine(x, error=1e-3), point, direction, space)
    assert not wrong.passed, wrong


@pytest.mark.ranks(1, 2, 4)
@pytest.mark.parametrize("steps", [1, 10])
def test_every_model_passes_the_dot_product_test(case, steps):
    test = model_dot_product_test(*case, steps=steps)
    assert test.passed, test
    assert test.difference < 1e-13
    assert "passed" in str(test)


def test_what_the_dot_product_test_keeps_of_the_steps_is_no_constant_of_its_programs():
    """As constants the gigabytes that a large model leaves are copied several times over."""
    model = Lorenz96.create(40, comm=SerialCommunicator())
    usual = jax.config.values["jax_captured_constants_warn_bytes"]
    jax.config.update("jax_captured_constants_warn_bytes", 10_000)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="A large amount of constants")
            model_dot_product_test(model, model.parameters(), model.on_attractor(), steps=100)
    finally:
        jax.config.update("jax_captured_constants_warn_bytes", usual)


def linear(forward, transpose):
    """A linear function with a transpose of its own, right or wrong."""
    return lambda c: Control(
        {
            "x": linear_call(
                lambda _, x: forward(x), lambda _, y: transpose(y), (), c.distributed["x"]
            )
        }
    )


def test_sums_that_cancel_are_known_to_the_round_off_of_their_terms():
    assert not DotProductTest("", 1.0, 1.0 + 5e-12).passed
    assert DotProductTest("", 1.0, 1.0 + 5e-12, terms=1e3).passed
    assert not DotProductTest("", 1.0, 1.0 + 5e-11, terms=1e3).passed


def test_what_is_changed_is_changed_in_proportion():
    """In changes of one size a wrong derivative of what is small would be lost in what is large."""
    domain = Lorenz96.create(8, comm=SerialCommunicator()).domain
    one = Control({"x": jnp.ones(domain.shape)}, {"a": jnp.array(1.0)})

    def function(c, error):
        a = c.replicated["a"]
        bent = linear_call(lambda _, a: a, lambda _, b: (1.0 + error) * b, (), a)
        return Control({"x": 1e12 * c.distributed["x"]}, {"a": bent})

    right, wrong = (
        dot_product_test("both", lambda c, e=error: function(c, e), one, domain)
        for error in (0.0, 1e-6)
    )
    assert right.passed, right
    assert not wrong.passed, wrong


@pytest.mark.parametrize("way", [1, -1])
def test_a_wrong_transpose_fails_the_dot_product_test(way):
    domain = Lorenz96.create(8, comm=SerialCommunicator()).domain
    function = linear(lambda x: jnp.roll(x, 1, axis=1), lambda y: jnp.roll(y, way, axis=1))
    test = dot_product_test("shift", function, Control({"x": jnp.ones(domain.shape)}), domain)
    assert test.passed == (way == -1), test
    assert ("FAILED" in str(test)) == (way == 1)


@pytest.mark.ranks(2)
def test_an_adjoint_that_forgets_a_message_fails_on_ranks(comm):
    """mpi4jax transposes its global sum to the identity: inner products of local parts alone would
    not see it."""
    import mpi4jax
    from mpi4py import MPI

    domain = TracerModel.create((12, 16), comm=comm).domain

    def test(total):
        def function(c):
            x = c.distributed["x"]
            return Control({"x": jnp.full_like(x, total(jnp.sum(x)))})

        return dot_product_test("total", function, Control({"x": jnp.ones(domain.shape)}), domain)

    right = test(domain.sum)
    wrong = test(lambda x: mpi4jax.allreduce(x, MPI.SUM, comm=comm.device_mpi))
    assert right.passed, right
    assert not wrong.passed, wrong


def test_gradients_are_compared_with_the_first():
    domain = Lorenz96.create(8, comm=SerialCommunicator()).domain
    one = Control({"x": jnp.ones((1, 8))}, {"a": jnp.ones(())})
    far = Control({"x": jnp.ones((1, 8)).at[0, 3].set(1.3)}, {"a": jnp.ones(())})
    comparison = compare_gradients({"one": one, "far": far}, ControlSpace(domain))
    assert not comparison.passed
    assert comparison.differences == (0.0, pytest.approx(0.1))
    assert "far" in str(comparison) and "FAILED" in str(comparison)


@pytest.mark.ranks(1, 3)
def test_random_vectors_do_not_depend_on_the_number_of_ranks(comm):
    def draw(domain):
        return random_like(
            domain,
            Control(
                {"a": jnp.zeros((3, *domain.shape)), "b": jnp.zeros(domain.shape)}, jnp.zeros(4)
            ),
            seed=7,
        )

    domain = TracerModel.create((12, 16), comm=comm).domain
    found, alone = draw(domain), draw(Domain.serial((12, 16)))
    for name in ("a", "b"):
        whole = domain.gather(found.distributed[name])
        np.testing.assert_array_equal(whole, alone.distributed[name])
        assert abs(whole.mean()) < 0.3 and whole.std() == pytest.approx(1.0, abs=0.15)
    np.testing.assert_array_equal(found.replicated, alone.replicated)
    assert len(np.unique(alone.distributed["a"])) == 3 * 12 * 16


def test_a_tree_that_is_split_is_joined_again():
    model = TracerModel.create((12, 16), comm=SerialCommunicator())
    tree = (model.parameters(), model.blob())
    control = split(model.domain, tree)
    assert len(jax.tree.leaves(control.distributed)) == 2
    assert len(jax.tree.leaves(control.replicated)) == 3
    assert jax.tree.structure(joined(control)) == jax.tree.structure(tree)
