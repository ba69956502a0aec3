"""Parameters that change on the way of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from dassim.simulation.events import Every
from tests.models.plate import Plate
from tests.models.runs import STEPS, case, end_state, run
from tests.models.states import same_bits


@dataclass
class Warming:
    """Growth of 0.001 times the number of the period of 7 steps."""

    asked: list[int] = field(default_factory=list)

    @property
    def schedules(self):
        return (Every(7),)

    def __call__(self, parameters, step):
        self.asked.append(step)
        return {"growth": 0.0 * parameters["growth"] + 0.001 * (step // 7)}


def expected():
    model = Plate.create()
    state, warming = model.state(), Warming()
    for step in range(STEPS):
        state = model.step(warming(model.parameters(), step), state)
    return state


def test_each_period_has_its_parameters(tmp_path):
    warming = Warming()
    run(tmp_path, case(refresh=warming))
    assert warming.asked == [0, 7, 14, 21, 28]
    found = end_state(tmp_path, case())
    np.testing.assert_allclose(found["T"], expected().T, rtol=1e-13)


@pytest.mark.parametrize("stop", [5, 14, 22])
def test_a_run_that_resumes_has_those_of_its_time(tmp_path, stop):
    run(tmp_path / "whole", case(refresh=Warming()))
    run(tmp_path / "parts", case(refresh=Warming()), stop_at=stop)
    warming = Warming()
    run(tmp_path / "parts", case(refresh=warming), resume=True)
    assert warming.asked[0] == stop
    whole, parts = (end_state(tmp_path / name, case()) for name in ("whole", "parts"))
    assert all(same_bits(whole[name], parts[name]) for name in whole)
