"""Means over boxes on the sphere, and of what air carries."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.config import NamelistError
from dassim.config.experiment import state_variables
from dassim.config.schema.assimilation import MeanOverBox
from dassim.parallel import SerialCommunicator
from tests.models.namelists import SMALLER, build


@pytest.fixture(scope="module")
def sphere():
    """32 columns all around, the first centred at 5.625 degrees east."""
    return build("williamson_2", SMALLER["williamson_2"], SerialCommunicator())


def mean(experiment, **keys):
    section = MeanOverBox(type="mean", **keys)
    variables = state_variables(experiment)
    return experiment.objectives.number(section, experiment.model, variables)


@pytest.mark.parametrize(
    ("ends", "columns"),
    [
        ((350.0, 10.0), [0, 31]),
        ((-10.0, 10.0), [0, 31]),
        ((0.0, 20.0), [0, 1]),
        ((360.0, 380.0), [0, 1]),
        ((-180.0, 180.0), range(32)),
    ],
)
def test_boxes_may_lie_around_the_meridian_where_longitudes_begin(sphere, ends, columns):
    weights = mean(sphere, variable="h", x=ends).function.weights
    assert set(np.nonzero(np.asarray(weights).any(axis=0))[0]) == {*columns}


def test_a_box_around_the_sphere_has_two_ends(sphere):
    with pytest.raises(NamelistError, match=r"objective.x: found \[10, 10\]; expected its lower"):
        mean(sphere, variable="h", x=(10.0, 10.0))
    with pytest.raises(NamelistError, match=r"objective.y: found \[20, 10\]; expected its lower"):
        mean(sphere, variable="h", y=(20.0, 10.0))


def test_a_mean_of_vapour():
    air = build("aquaplanet", SMALLER["aquaplanet"], SerialCommunicator())
    name, units, function = mean(air, variable="q", levels=(3, 4))
    assert (name, units) == ("mean_q", "1")
    state = replace(air.state, tracers={"q": jnp.ones_like(air.state.tracers["q"]).at[3:].set(2.0)})
    assert float(function(state)) == pytest.approx(2.0, rel=1e-12)
