"""Terms of the cost, losses, and the transform of the control."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.control import Control, random_like
from dassim.assimilation.cost import (
    BackgroundTerm,
    FourDVar,
    Huber,
    ObservationCost,
    Observations,
    ObservationTerm,
    Quadratic,
)
from dassim.assimilation.incremental import GaussNewton
from dassim.assimilation.tangent import tangent_run
from dassim.assimilation.taylor import taylor_test
from dassim.assimilation.transform import ControlTransform, Diagonal, Identity
from dassim.parallel import SerialCommunicator
from dassim.simulation.adjoint import Run
from dassim.simulation.segments import RunInputs, Segment, SegmentData
from tests.models.tracer import TracerModel, TracerState

SHAPE = (6, 8)


@pytest.fixture(scope="module")
def model():
    return TracerModel.create(SHAPE, comm=SerialCommunicator())


@pytest.fixture(scope="module")
def inputs(model):
    errors = tuple(jnp.zeros(SHAPE) for _ in range(3))
    return RunInputs(model.parameters(), model.blob(), errors)


def add_error(parameters, error, state):
    return parameters, TracerState(state.tracer + error, state.time)


def everything(state, where):
    return state.tracer


@pytest.fixture(scope="module")
def objective(model, inputs):
    """Weak constraint: state, source, diffusivity, and model error of the second segment."""
    values = jnp.asarray(np.random.default_rng(0).random((3, *SHAPE)))

    def data(k):
        return SegmentData(end={"Jo": Observations(values[k], jnp.full(SHAPE, 5.0))})

    cost = ObservationCost((ObservationTerm("Jo", everything, Huber(1.5)),))
    run = Run(Segment(model, cost, add_error), (4, 4, 4), data)
    deviations = Control(
        {
            "state.tracer": jnp.full(SHAPE, 0.3),
            "parameters.source": jnp.full(SHAPE, 0.01),
            "segments.1": jnp.full(SHAPE, 0.05),
        },
        {"parameters.diffusivity": jnp.array(0.02)},
    )
    transform = ControlTransform(
        inputs,
        Diagonal(deviations),
        ("state.tracer", "parameters.source", "segments.1"),
        ("parameters.diffusivity",),
    )
    return FourDVar(run, transform)


@pytest.mark.parametrize("loss", [Quadratic(), Huber(1.5)])
def test_the_weight_of_a_loss_is_its_slope_over_the_departure(loss):
    d = jnp.array([-5.0, -1.6, -1.4, -0.1, 0.2, 1.49, 1.51, 9.0])
    slope = jax.vmap(jax.grad(loss.of))(d)
    np.testing.assert_allclose(loss.weight(d), slope / d, rtol=1e-14)
    assert loss.weight(jnp.zeros(1)) == 1.0


def test_huber_is_quadratic_inside_and_linear_outside():
    loss = Huber(2.0)
    d = jnp.array([-1.0, 0.0, 2.0, 3.0, -10.0])
    np.testing.assert_allclose(loss.of(d), [0.5, 0.0, 2.0, 4.0, 18.0])


def test_a_weight_of_zero_removes_an_observation(model):
    term = ObservationTerm("Jo", everything)
    state = model.blob()
    weights = jnp.ones(SHAPE).at[2, 3].set(0.0)
    observations = Observations(state.tracer.at[2, 3].set(99.0), weights)
    cost = ObservationCost((term,))
    assert cost(state, {"Jo": observations}) == {"Jo": 0.0}


def test_only_the_terms_with_data_have_a_part(model):
    cost = ObservationCost((ObservationTerm("a", everything), ObservationTerm("b", everything)))
    some = Observations(jnp.zeros(SHAPE), jnp.ones(SHAPE))
    assert list(cost(model.blob(), {"b": some})) == ["b"]


def test_the_zero_control_is_the_background(objective, inputs):
    found = objective.transform.physical(objective.transform.zero())
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(inputs), strict=True):
        np.testing.assert_array_equal(one, other)
    assert objective.shares(objective.transform.zero())["Jb"] == 0.0


def test_the_transform_and_its_inverse(objective):
    transform = objective.transform
    v = random_like(objective.run.domain, transform.zero(), seed=3)
    physical = transform.physical(v)
    assert not np.allclose(physical.segments[1], 0) and np.all(physical.segments[0] == 0)
    again = transform.control(physical)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(v), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_where_the_deviation_is_zero_the_background_stays():
    root = Diagonal(Control({"x": jnp.array([2.0, 0.0])}))
    assert root.apply(Control({"x": jnp.array([1.0, 5.0])})).distributed["x"].tolist() == [2, 0]
    assert root.inverse(Control({"x": jnp.array([1.0, 5.0])})).distributed["x"].tolist() == [0.5, 0]


def test_an_unknown_name_in_the_control_is_refused(inputs):
    with pytest.raises(
        ValueError, match=r"found 'state.T' in the control, expected one of .*state.tr"
    ):
        ControlTransform(inputs, Identity(), ("state.T",))


def test_the_gradient_by_state_forcing_parameter_and_model_error(objective):
    """All parts of the control at once, and each alone."""
    zero = objective.transform.zero()
    point = random_like(objective.run.domain, zero, seed=1)
    way = random_like(objective.run.domain, zero, seed=2)
    test = taylor_test(objective, point, way, objective.space, shares=objective.shares)
    assert test.passed, test
    evaluation = objective(point)
    assert set(evaluation.shares) == {"Jb", "Jo"}
    for leaf in jax.tree.leaves(evaluation.gradient):
        assert np.abs(leaf).max() > 0

    h = 1e-5
    for name in (*objective.transform.distributed, *objective.transform.replicated):
        alone = Control(
            {n: d * (n == name) for n, d in way.distributed.items()},
            {n: d * (n == name) for n, d in way.replicated.items()},
        )
        ends = [
            sum(
                map(
                    float,
                    objective.shares(
                        jax.tree.map(lambda p, d, s=s: p + s * h * d, point, alone)
                    ).values(),
                )
            )
            for s in (1, -1)
        ]
        slope = objective.space.dot(evaluation.gradient, alone)
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6), name


def test_the_gauss_newton_hessian_is_the_derivative_of_the_gradient_at_a_perfect_fit(
    model, inputs, objective
):
    """Where departures vanish, what Gauss-Newton leaves out vanishes too."""
    state, values = inputs.state, []
    for _ in range(3):
        state = objective.run.segment.advance(4, inputs.parameters, inputs.segments[0], state)
        values.append(state.tracer)

    def data(k):
        return SegmentData(end={"Jo": Observations(values[k], jnp.full(SHAPE, 5.0))})

    run = Run(objective.run.segment, objective.run.lengths, data)
    perfect = FourDVar(run, objective.transform, (BackgroundTerm(),))
    zero = perfect.transform.zero()
    way = random_like(run.domain, zero, seed=5)
    product = GaussNewton(perfect, zero)(way)
    h = 1e-5
    plus, minus = (
        perfect(jax.tree.map(lambda d, s=s: s * h * d, way)).gradient for s in (1.0, -1.0)
    )
    for name in ("distributed", "replicated"):
        for key, found in getattr(product, name).items():
            expected = (getattr(plus, name)[key] - getattr(minus, name)[key]) / (2 * h)
            np.testing.assert_allclose(
                found, expected, rtol=0, atol=1e-7 * np.abs(expected).max(), err_msg=key
            )


def test_incremental_refuses_a_misfit_without_departures(model):
    run = Run(Segment(model, lambda state, data: {}), (1,))
    with pytest.raises(TypeError, match="incremental 4D-Var needs departures"):
        tangent_run(run)
