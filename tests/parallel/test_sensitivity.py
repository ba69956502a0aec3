"""A sensitivity that was killed goes on where all ranks have what it goes on from."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import pytest

from dassim.assimilation import cost
from dassim.cli import sensitivity
from dassim.config import Namelist, load
from dassim.config.experiment import Experiment
from dassim.config.objectives import Number, Objectives
from dassim.parallel import world
from tests.models.plate import Plate

OCEAN = Path(__file__).parents[1] / "unit" / "config" / "data" / "ocean.yaml"

NAMELIST = f"""
base: {OCEAN}
name: plate
time: {{duration: 60 min, step: 1 min}}
sensitivity:
  window: {{length: 10 min}}
  objective: {{type: kinetic_energy}}
  by: [T]
  points: 2
  tolerance: 1e-7
  adjoint: {{segment: 5 min}}
"""


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """What the namelist describes is the plate; fields are left to other tests."""

    def build(namelist, comm=None):
        model = Plate.create(comm=comm)
        number = Number("energy", "K2", lambda state: jnp.sum(state.T**2))
        objectives = Objectives(lambda *_: number)
        parts = (model.parameters(), model.state(), namelist.time)
        return Experiment(namelist.name, model, *parts, objectives=objectives)

    monkeypatch.setattr(Plate, "grid", None, raising=False)
    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)
    monkeypatch.setattr(sensitivity, "write", lambda *_: None)


@pytest.fixture
def sweeps(monkeypatch):
    """The sweeps that were made, one entry each."""
    sweep, made = cost.cost_and_gradient, []

    def counted(*arguments):
        made.append(None)
        return sweep(*arguments)

    monkeypatch.setattr(cost, "cost_and_gradient", counted)
    return made


def test_it_goes_on_where_all_ranks_have_the_gradient(folder, sweeps):
    comm = world()
    if comm.is_root:
        (folder / "plate.yaml").write_text(NAMELIST)
    comm.barrier()
    loaded, own = load(folder / "plate.yaml", Namelist), folder / "run"

    def table():
        assert sensitivity.run(loaded, own, comm, resume=bool(sweeps)) == 0
        text = (own / "comparisons.csv").read_text()
        comm.barrier()
        return text

    first = table()
    assert len(first.splitlines()) == 3
    assert (table(), len(sweeps)) == (first, 1)
    if comm.rank == comm.size - 1:
        (own / "gradient" / f"rank_{comm.rank:05d}" / "gradient.h5").unlink()
    comm.barrier()
    assert (table(), len(sweeps)) == (first, 2)
