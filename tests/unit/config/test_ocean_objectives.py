"""Numbers of an ocean that can be differentiated, and the fields that are made for it."""

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.config import Namelist, NamelistError, load
from dassim.config.experiment import build_experiment, state_variables
from dassim.config.ocean.objectives import number, with_fields
from dassim.config.schema.assimilation import KineticEnergy, MeanOverBox, Transport
from dassim.parallel import SerialCommunicator
from dassim.simulation.trees import named_leaves
from tests.models.namelists import PROJECT

OCEAN = PROJECT / "tests" / "unit" / "config" / "data" / "ocean.yaml"
DEPTH, WIDTH, LENGTH = 150.0, 80e3, 120e3


@pytest.fixture(scope="module")
def box():
    """A channel of uniform flow, warmer to the north by 0.5 K a row."""
    overrides = (
        "initial.u=0.1 m/s",
        "initial.tracers={dye: 2.0}",
        "initial.T={type: linear, axis: y, low: 10 degC, high: 14 degC}",
    )
    return build_experiment(
        load(OCEAN, Namelist, overrides=overrides).namelist, SerialCommunicator()
    )


def value(section, box):
    found = number(section, box.model, state_variables(box))
    return found.name, found.units, float(found.function(box.state))


def test_transport_through_a_section(box):
    name, units, through = value(Transport(type="transport", x=60e3), box)
    assert (name, units) == ("transport", "1e6 m3 s-1")
    assert through == pytest.approx(0.1 * DEPTH * WIDTH / 1e6, rel=1e-12)
    half = Transport(type="transport", x=60e3, y=(0.0, 40e3))
    assert value(half, box)[2] == pytest.approx(0.5 * through, rel=1e-12)


def test_means_over_boxes(box):
    assert value(MeanOverBox(type="mean"), box)[2] == pytest.approx(12.0, rel=1e-12)
    north = MeanOverBox(type="mean", y=(0.0, 40e3), levels=(0, 1))
    assert value(north, box) == ("mean_T", "degC", pytest.approx(13.0, rel=1e-12))
    assert value(MeanOverBox(type="mean", variable="eta"), box)[2] == 0.0


def test_a_mean_of_a_tracer(box):
    dye = MeanOverBox(type="mean", variable="dye")
    assert value(dye, box) == ("mean_dye", "1", pytest.approx(2.0, rel=1e-12))


def mean(**keys):
    return MeanOverBox(type="mean", **keys)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (mean(x=(500e3, 600e3)), "a box without a point of T: on land, between points, or beyond"),
        (mean(x=(61e3, 64e3)), "a box without a point of T"),
        (mean(x=(2e3, 1e3)), ".x: found [2000, 1000]; expected its lower end first"),
        (mean(y=(2e3, 2e3)), ".y: found [2000, 2000]; expected its lower end first"),
        (mean(levels=(0, 4)), ".levels: found level 4; expected levels 0 to 3"),
        (mean(variable="TT"), ".variable: found 'TT'"),
        (Transport(type="transport", x=500e3), ".x: found x = 500000; expected a position within"),
        (
            Transport(type="transport", x=0.0, y=(1e3, 2e3)),
            ".y: found a section between the points",
        ),
        (Transport(type="transport", x=0.0, y=(2e3, 1e3)), ".y: found [2000, 1000]; expected"),
    ],
)
def test_what_lies_beyond_the_grid_is_refused(box, section, expected):
    with pytest.raises(NamelistError) as caught:
        value(section, box)
    (problem,) = caught.value.problems
    assert f"{problem.key}: {problem.message}".startswith("sensitivity.objective")
    assert expected in f"{problem.key}: {problem.message}"


def test_kinetic_energy(box):
    found = value(KineticEnergy(type="kinetic_energy"), box)
    assert found[2] == pytest.approx(0.5 * 0.1**2 * DEPTH * WIDTH * LENGTH, rel=1e-12)


def test_fields_of_zero_are_made_where_there_are_none(box):
    names = ("stress_y", "vertical_diffusivity")
    parameters, paths = with_fields(box.parameters, names, box.model.grid)
    leaves = named_leaves(parameters)
    for name, shape in zip(names, ((8, 12), (3, 8, 12)), strict=True):
        leaf = leaves[paths[name].removeprefix("parameters.")]
        assert leaf.shape == shape
        assert not leaf.any()
    view = box.model.view(box.parameters, box.state)
    for one, other in zip(box.parameters.mixing(view), parameters.mixing(view), strict=True):
        grid = box.model.grid
        apart = grid.owned(other) - grid.owned(one)
        np.testing.assert_array_equal(apart, jnp.zeros_like(apart))
