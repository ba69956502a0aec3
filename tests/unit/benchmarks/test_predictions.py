"""The world ocean whose speed on many ranks is predicted."""

import pytest

from dassim.config import Namelist, load
from dassim.config.estimate import footprint
from dassim.config.plan import plan
from dassim.config.probe import way_back
from tests.models.namelists import PROJECT
from tools.benchmarks import predictions


def world(fraction):
    overrides = predictions.overrides(fraction)
    return load(PROJECT / predictions.NAMELIST, Namelist, overrides=overrides).namelist


@pytest.mark.parametrize("ranks", [100, 1000, 4000])
@pytest.mark.parametrize("fraction", [4, 12, 20])
def test_the_world_can_be_divided(fraction, ranks):
    namelist = world(fraction)
    planned = plan(namelist, ranks).decomposition
    assert planned.size == ranks and planned.shape == (158 * fraction, 360 * fraction)
    assert namelist.time is not None
    assert namelist.time.step == pytest.approx(predictions.STEP / fraction)


@pytest.mark.parametrize("fraction", [4, 12, 20])
def test_its_gradient_is_that_of_ten_days_whose_states_fit_on_1000_ranks(fraction):
    namelist = world(fraction)
    section, window = way_back(namelist, namelist.time)
    assert window.steps * namelist.time.step == pytest.approx(10 * 86400.0)
    planned = plan(namelist, 1000)
    shape = planned.levels.count, *planned.decomposition.block(0).shape
    states = len(window.lengths) * footprint(namelist).state.size(shape, 8)
    assert states < 1e9 * section.memory


def test_a_row_is_measured_in_its_units():
    row = {
        "spacing": "1/4",
        "ranks": 100,
        "step": 1.0,
        "gradient": 2.0,
        "memory": 3.0,
        "memory_of_gradient": 5.0,
        "output": 4.0,
        "costs": "7 us a message, 10 GB/s",
    }
    found = predictions.measurements(row)
    assert [(one.value, one.unit) for one in found] == [
        (1.0, "ms"),
        (2.0, "ms"),
        (3.0, "GB"),
        (5.0, "GB"),
        (4.0, "GB/s wanted"),
    ]
    assert found[0].case == "1/4 degree, 100 ranks, 7 us a message, 10 GB/s: step"
