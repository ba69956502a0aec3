"""A whole twin experiment from files on several ranks: the numbers of one rank."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from dassim.cli import twin
from dassim.config import Namelist, load
from dassim.config.experiment import Experiment
from dassim.config.recovered import with_recovered
from dassim.config.schema.run import Time
from dassim.parallel import SerialCommunicator, world
from dassim.simulation.folder import RunFolder
from dassim.simulation.signals import StopRequest
from dassim.simulation.timing import Stopwatch
from tests.models.plate import Plate

pytestmark = pytest.mark.ranks(1, 2, 3, 4)

OCEAN = Path(__file__).parents[1] / "unit" / "config" / "data" / "ocean.yaml"

NAMELIST = f"""
base: {OCEAN}
name: plate
time: {{duration: 60 min, step: 1 min}}
assimilation:
  window: {{start: 10 min, length: 20 min}}
  data:
    - {{every: 5 min, errors: {{T: 0.1 K}}, columns: 20, noise: true}}
    - {{every: 10 min, errors: {{T: 0.2 K}}, levels: [1], stride: 2}}
  control: {{state: {{T: 1 K}}, parameters: {{growth: 1e-3}}, model_error: {{T: 0.1 K}}}}
  background: {{type: uncorrelated}}
twin:
  first_guess: {{type: waves, wavenumbers: 2, size: {{T: 1 K}}}}
  forecast: 10 min
"""


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """What the namelist describes is the plate; scores and figures are left to other tests."""

    def build(namelist, comm=None):
        model = Plate.create(comm=comm)
        return Experiment(namelist.name, model, model.parameters(), model.state(), namelist.time)

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)
    monkeypatch.setattr("dassim.cli.twin.conclude", lambda *_: None)


LBFGS = ("type=lbfgs", "iterations=5")
INCREMENTAL = ("type=incremental", "outer=1", "inner=4")


def rows(folder, comm, minimiser=LBFGS, *, resume=False, request=None):
    """The table of a twin in ``folder`` on the ranks of ``comm``, on each of them."""
    if comm.is_root:
        folder.mkdir(exist_ok=True)
        (folder.parent / "plate.yaml").write_text(NAMELIST)
    comm.barrier()
    options = [f"assimilation.minimiser.{text}" for text in minimiser]
    loaded = load(folder.parent / "plate.yaml", Namelist, overrides=options)
    request = request or StopRequest()
    code = twin.run(loaded, folder, comm, Stopwatch(), request, resume=resume)
    with (folder / "iterations.csv").open(newline="") as file:
        return code, list(csv.DictReader(file))


@pytest.mark.parametrize("minimiser", [LBFGS, INCREMENTAL])
def test_cost_gradient_and_iterations_are_those_of_one_rank(folder, minimiser):
    comm = world()
    code, together = rows(folder / "together", comm, minimiser)
    assert code == 0
    alone = rows(folder / "alone", SerialCommunicator(), minimiser) if comm.is_root else None
    code, expected = comm.bcast(alone)
    assert code == 0
    for name in ("Jb", "Jo.T", "Jo.T.2", "J", "|g|", "rmse T"):
        first = [float(table[0][name]) for table in (together, expected)]
        assert first[0] == pytest.approx(first[1], rel=1e-12)
    growth, domain = analysed(folder / "together", comm)
    whole, _ = analysed(folder / "together", SerialCommunicator())
    np.testing.assert_array_equal(growth, domain.local(np.asarray(whole)))
    assert np.abs(whole).max() > 0.0
    for one, other in zip(together, expected, strict=True):
        assert float(one["J"]) == pytest.approx(float(other["J"]), rel=1e-8)


def analysed(folder, comm):
    """The parameter that was recovered, on the ranks of ``comm``."""
    model = Plate.create(comm=comm)
    experiment = Experiment(
        "plate", model, model.parameters(), model.state(), Time(duration=3600.0, step=60.0)
    )
    experiment, names = with_recovered(experiment, RunFolder(folder / "analysis"))
    assert names == ("growth",)
    return experiment.parameters["growth"], model.domain


def test_one_rank_that_is_asked_to_stop_stops_all_and_the_table_goes_on(folder):
    comm = world()
    _, expected = rows(folder / "whole", comm)
    _begin(folder / "parts", comm)
    codes, found = [], []
    for _ in range(2):
        request = StopRequest()
        if comm.rank == comm.size - 1:
            request.received.append("SIGTERM")
        code, found = rows(folder / "parts", comm, resume=True, request=request)
        codes.append(code)
    assert codes == [75, 75]
    assert len(found) < len(expected)
    code, found = rows(folder / "parts", comm, resume=True)
    assert code == 0
    assert _numbers(found) == _numbers(expected)


def _begin(folder, comm):
    """The nature run alone."""
    whole = folder.with_name("whole")
    if comm.is_root:
        folder.mkdir()
        shutil.copytree(whole / "nature", folder / "nature")
    comm.barrier()


def _numbers(table):
    return [{k: v for k, v in row.items() if k not in ("seconds", "memory (MB)")} for row in table]
