"""Point observations that all lie on one rank: cost, gradient and what is left of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import netCDF4
import numpy as np
import pytest

from dassim.assimilation.recovery import Recovered
from dassim.config import Namelist, load
from dassim.config.assimilation import build_recovery
from dassim.config.experiment import Experiment
from dassim.config.results import OBSERVATIONS, Results, write_misfits
from dassim.io.observations import ObservationTable, write_table
from dassim.io.stream import Clock
from dassim.parallel import SerialCommunicator, world
from tests.models.tracer import TracerModel
from tests.parallel.oracle import assert_same

OCEAN = Path(__file__).parents[1] / "unit" / "config" / "data" / "ocean.yaml"
NAMELIST = f"""
base: {OCEAN}
name: stirred
time: {{duration: 0.8 s, step: 0.1 s}}
assimilation:
  window: {{length: 0.8 s}}
  adjoint: {{segment: 0.4 s}}
  observations: [{{name: buoys, type: table, files: [buoys.nc], check: 20}}]
  control: {{parameters: {{source: 1e-2, growth: 0.1}}}}
  background: {{type: uncorrelated}}
"""
COUNT = 40
STEP = 1e-3
"""Down the gradient at the first guess, to what is taken for an analysis."""


def buoys() -> ObservationTable:
    """In the north-eastern corner of 12 by 16 cells of 1 m, which one rank owns; the last is far
    from what any run says."""
    rng = np.random.default_rng(3)
    columns = {
        "kind": 0,
        "x": 16.0 - rng.uniform(0.0, 2.0, COUNT),
        "y": 12.0 - rng.uniform(0.0, 2.0, COUNT),
        "time": rng.uniform(0.0, 0.8, COUNT),
        "value": np.append(rng.normal(size=COUNT - 1), 1e3),
        "error": rng.uniform(0.1, 0.2, COUNT),
    }
    return ObservationTable.build(("tracer",), "cartesian", columns)


def assimilated(folder, comm):
    """On the ranks of ``comm``: how many observations each holds; parts of the cost and gradient at
    the first guess; the columns of the file that is left."""
    namelist = load(folder.parent / "stirred.yaml", Namelist).namelist
    model = TracerModel.create(comm=comm)
    parameters, state = model.parameters(), model.blob()
    experiment = Experiment(namelist.name, model, parameters, state, namelist.time)
    recovery = build_recovery(namelist, experiment, folder)
    objective, points = recovery.objective, recovery.points
    evaluation, space = objective(objective.transform.zero()), objective.space
    parts = {name: space.sum(float(share)) for name, share in evaluation.shares.items()}
    source = model.domain.gather(evaluation.gradient.distributed["parameters.source"])
    growth = evaluation.gradient.replicated["parameters.growth"]
    downhill = jax.tree.map(lambda x: -STEP * x, evaluation.gradient)
    nothing: Any = None
    recovered = Recovered(nothing, objective.transform.physical(downhill))
    write_misfits(Results(folder, namelist, experiment), points, recovery, recovered)
    with netCDF4.Dataset(folder / OBSERVATIONS) as dataset:
        columns = {name: np.asarray(found[:]) for name, found in dataset.variables.items()}
    held = comm.allgather(points.count()["Jo.buoys.tracer"])
    return held, {"J": parts["Jo.buoys.tracer"], "source": source, "growth": growth}, columns


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What all ranks find together, and what one finds alone."""
    comm, alone = world(), None
    folder = comm.bcast(tmp_path_factory.mktemp("points") if comm.is_root else None)
    if comm.is_root:
        (folder / "stirred.yaml").write_text(NAMELIST)
        write_table(folder / "buoys.nc", buoys(), Clock("2000-02-29"))
        (folder / "together").mkdir()
        (folder / "alone").mkdir()
        alone = assimilated(folder / "alone", SerialCommunicator())
    alone = comm.bcast(alone)
    return assimilated(folder / "together", comm), alone


def test_cost_and_gradient_are_those_of_one_rank_and_the_same_on_all(both):
    (held, found, _), (alone, expected, _) = both
    assert held == [0] * (len(held) - 1) + [COUNT - 1] and alone == [COUNT - 1]
    assert_same(found, expected, 1e-12)
    for each in world().allgather(found):
        assert_same(each, found, 1e-12)


def test_the_file_of_misfits_has_every_observation_once(both):
    (*_, found), (*_, expected) = both
    assert sorted(found["value"]) == sorted(buoys().value[:-1])
    order, other = np.argsort(found["value"]), np.argsort(expected["value"])
    for name in ("x", "y", "time", "error", "minus_first_guess", "minus_analysis"):
        column, whole = found[name][order], expected[name][other]
        np.testing.assert_allclose(column, whole, rtol=0, atol=1e-12 * np.abs(whole).max())
    before, after = (found[f"minus_{run}"] / found["error"] for run in ("first_guess", "analysis"))
    assert (after**2).sum() < (before**2).sum()
