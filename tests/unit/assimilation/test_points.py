"""Point observations as data of a run: padding, the background check, the gradient."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.control import Control
from dassim.assimilation.cost import FourDVar, Huber, ObservationCost
from dassim.assimilation.data import at_ends
from dassim.assimilation.departures import departures
from dassim.assimilation.points import PointData, PointTerm
from dassim.assimilation.taylor import taylor_test
from dassim.assimilation.transform import ControlTransform, Identity
from dassim.assimilation.window import Window
from dassim.io.observations import joined
from dassim.observations.placing import Moments, Placer
from dassim.observations.rejections import Reason
from dassim.simulation.adjoint import Run
from dassim.simulation.segments import RunInputs, Segment
from tests.models.observed import NX, NY, NZ, VARIABLES, sea, table
from tests.models.warming import STEP, Warming, WarmState

WINDOW = Window.of(0, 6, 2)


@pytest.fixture(scope="module")
def model():
    return Warming(sea())


@pytest.fixture(scope="module")
def inputs():
    return RunInputs(jnp.asarray(0.5), WarmState(jnp.zeros((NZ, NY, NX)), jnp.zeros((NY, NX))))


def points(model, tables, **options):
    placer = Placer.on(model.grid, Moments(0.0, tuple(STEP * end for end in WINDOW.ends)))
    parts, rejections = {}, []
    for name, part in tables.items():
        placed, gone = placer(f"Jo.{name}", VARIABLES[name], part)
        parts[f"Jo.{name}"] = PointTerm(placed, name, **options)
        rejections.append(gone)
    return PointData(model.domain, WINDOW.ends, parts, sum(rejections[1:], start=rejections[0]))


@pytest.fixture(scope="module")
def some(model):
    """T at all three moments: 1, 3 and 0 of them; sea level at the last."""
    time = [150.0, 360.0, 420.0, 440.0]
    T = table(time=time, value=[1.0, 2.0, 2.5, 9.0], error=[0.5, 0.5, 0.25, 0.5])
    return points(model, {"T": T, "eta": table(kind="eta", time=600.0)}, tolerance=5.0)


def run_of(model, data):
    return Run(Segment(model, ObservationCost(data.terms)), WINDOW.lengths, at_ends(WINDOW, [data]))


def test_every_step_has_arrays_of_one_length_and_no_weight_where_there_is_nothing(some):
    T = [some.at(step)["Jo.T"] for step in WINDOW.ends]
    assert [each.values.shape for each in T] == [(3,), (3,), (3,)]
    assert [each.weights.tolist() for each in T] == [[2.0, 0.0, 0.0], [2.0, 4.0, 2.0], [0.0] * 3]
    assert T[1].values.tolist() == [2.0, 2.5, 9.0]
    assert some.count() == {"Jo.T": 4, "Jo.eta": 1}


def test_the_identity_is_that_of_what_is_compared(model, some):
    columns = {"time": [150.0, 360.0, 420.0, 440.0], "error": [0.5, 0.5, 0.25, 0.5]}

    def identity(*values, **change):
        T = table(**columns | change, value=values)
        return points(model, {"T": T, "eta": table(kind="eta", time=600.0)}).identity

    assert identity(1.0, 2.0, 2.5, 9.0) == some.identity
    assert identity(1.0, 2.0, 2.5 * (1.0 + 1e-15), 9.0) == some.identity
    for other in (
        identity(1.0, 2.0, 2.6, 9.0),
        identity(1.0, 2.0, 2.5, 9.0, error=1.0),
        identity(1.0, 2.0, 2.5, 9.0, depth=150.0),
    ):
        assert other["Jo.T"] != some.identity["Jo.T"]
        assert other["Jo.eta"] == some.identity["Jo.eta"]


def test_departures_and_the_background_check(model, inputs, some):
    found = dict(zip(WINDOW.ends, departures(run_of(model, some), inputs), strict=True))
    np.testing.assert_allclose(found[2]["Jo.T"], [0.0, 0.0, 0.0])
    np.testing.assert_allclose(found[4]["Jo.T"], [0.0, -2.0, -14.0])
    np.testing.assert_allclose(found[6]["Jo.eta"], [-2.0])
    misfits = some.misfits(found)
    np.testing.assert_allclose(misfits["Jo.T"], [0.0, 0.0, 0.5, 7.0])  # values 1, 2, 2.5, 9
    checked = some.checked(found)
    assert checked.count() == {"Jo.T": 3, "Jo.eta": 1}
    assert checked.rejections.counts["Jo.T"][Reason.DEPARTURE] == 1
    assert checked.rejections.used == {"Jo.T": 3, "Jo.eta": 1}
    assert checked.at(4)["Jo.T"].values.tolist() == [2.0, 2.5]


def test_errors_of_the_background_make_the_check_milder(model, inputs):
    T = table(time=150.0, value=9.0, error=0.5)
    kept = []
    for background in (1.0, 2.0):
        data = points(model, {"T": T}, tolerance=5.0, background=background)
        found = dict(zip(WINDOW.ends, departures(run_of(model, data), inputs), strict=True))
        kept.append(data.checked(found).count()["Jo.T"])
    assert kept == [0, 1]


def test_the_gradient_of_the_misfit_passes_the_taylor_test(model, inputs, some):
    data = dataclasses.replace(
        some, parts={name: dataclasses.replace(part, loss=Huber(2.0))
                     for name, part in some.parts.items()}
    )  # fmt: skip
    transform = ControlTransform(inputs, Identity(), ("state.T",), ("parameters",))
    objective = FourDVar(run_of(model, data), transform, ())
    rng = np.random.default_rng(0)
    direction = Control({"state.T": jnp.asarray(rng.normal(size=(NZ, NY, NX)))},
                        {"parameters": jnp.asarray(1.0)})  # fmt: skip
    start = Control({"state.T": jnp.zeros((NZ, NY, NX))}, {"parameters": jnp.asarray(0.2)})
    found = taylor_test(objective, start, direction, objective.space, shares=objective.shares)
    assert found.passed, str(found)


def test_joined_tables_keep_their_variables(model):
    both = joined([table(time=150.0), table(kind="eta", time=150.0)])
    data = points(model, {"T": both.of("T"), "eta": both.of("eta")})
    assert data.count() == {"Jo.T": 1, "Jo.eta": 1}
