"""``dassim assimilate --resume`` goes on with the data that it began with, wherever they lie."""

import csv
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from dassim.config.experiment import Experiment
from dassim.io.observations import write_table
from dassim.io.stream import Clock
from dassim.parallel import SerialCommunicator
from tests.models.observed import NX, NY, NZ, sea, table
from tests.models.plate import Plate
from tests.models.warming import Warming, WarmState

OCEAN = Path(__file__).parents[1] / "config" / "data" / "ocean.yaml"
STOPPED = 75


def written(path, **sections):
    time = {"duration": "60 min", "step": "1 min"}
    path.write_text(yaml.safe_dump({"base": str(OCEAN), "name": "box", "time": time, **sections}))
    return path


def assimilation(**data):
    return {
        "window": {"length": "20 min"},
        "control": {"state": {"T": "1 K"}},
        "minimiser": {"iterations": 4},
        **data,
    }


def numbers(folder):
    with (folder / "iterations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("seconds", "memory (MB)")} for row in rows]


STARTS = {"one": 0, "other": 1}
"""The plates that runs begin with, by the ``source`` of their namelists."""


@pytest.fixture
def natures(dassim, tmp_path, monkeypatch):
    """The folders of two runs of a plate."""

    def build(namelist, comm=None):
        model = Plate.create(comm=SerialCommunicator())
        start = model.state(seed=STARTS.get(namelist.source, 2))
        return Experiment(namelist.name, model, model.parameters(), start, namelist.time)

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)
    folders = [tmp_path / name for name in STARTS]
    for folder in folders:
        path = written(
            tmp_path / f"{folder.name}.yaml", source=folder.name, snapshots={"every": "5 min"}
        )
        assert dassim("run", path, "-o", folder).code == 0
    return folders


STATES = {"every": "5 min", "errors": {"T": "0.1 K"}}


def test_data_of_another_nature_are_refused_and_copies_are_not(dassim, natures, tmp_path):
    one, other = natures
    path = written(tmp_path / "box.yaml", assimilation=assimilation(data=[STATES]))
    command = ("assimilate", path, "--nature")
    whole, parts, moved = (tmp_path / name for name in ("whole", "parts", "moved"))
    assert dassim(*command, one, "-o", whole).code == 0
    assert dassim(*command, one, "-o", parts, "--wall-clock", "1 ms").code == STOPPED
    before = numbers(parts)
    refused = dassim(*command, other, "-o", parts, "--resume")
    assert (refused.code, numbers(parts)) == (1, before)
    assert "found other values of Jo.T than this recovery began with; go on with" in refused.err
    shutil.copytree(parts, moved / "parts")
    shutil.copytree(one, moved / "one")
    shutil.rmtree(one)
    assert dassim(*command, moved / "one", "-o", moved / "parts", "--resume").code == 0
    assert numbers(moved / "parts") == numbers(whole)


def test_a_run_that_has_changed_is_refused(dassim, natures, tmp_path):
    one, other = natures
    section = assimilation(
        data=[{"run": str(one), **STATES}], first_guess={"run": str(one), "at": "30 min"}
    )
    command = "assimilate", written(tmp_path / "box.yaml", assimilation=section), "-o"
    folder = tmp_path / "a"
    assert dassim(*command, folder, "--wall-clock", "1 ms").code == STOPPED
    shutil.rmtree(one)
    shutil.copytree(other, one)
    refused = dassim(*command, folder, "--resume")
    assert refused.code == 1
    assert "found other values of Jo.T, first_guess than this recovery began with" in refused.err


def test_a_start_that_has_changed_is_refused(dassim, natures, tmp_path, monkeypatch):
    """As behind the same path of a file."""
    one, _ = natures
    section = assimilation(data=[{"run": str(one), **STATES}])
    path = written(tmp_path / "box.yaml", source="file", assimilation=section)
    command, folder = ("assimilate", path, "-o"), tmp_path / "a"
    monkeypatch.setitem(STARTS, "file", 3)
    assert dassim(*command, folder, "--wall-clock", "1 ms").code == STOPPED
    monkeypatch.setitem(STARTS, "file", 4)
    refused = dassim(*command, folder, "--resume")
    assert refused.code == 1
    assert "found other values of first_guess than this recovery began with" in refused.err


@pytest.fixture
def warming(monkeypatch):
    """What the namelist describes is water that warms."""

    def build(namelist, comm=None):
        model = Warming(sea(), namelist.time.step)
        start = WarmState(jnp.zeros((NZ, NY, NX)), jnp.zeros((NY, NX)))
        return Experiment(namelist.name, model, jnp.asarray(0.5), start, namelist.time)

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)


def test_observations_that_have_changed_are_refused(dassim, warming, tmp_path):
    def observe(change):
        value = np.array([1.0, 2.0 + change, 3.0])
        times = {"time": [150.0, 360.0, 420.0], "value": value}
        write_table(tmp_path / "a.nc", table(**times), Clock("2000-02-29"))

    source = {"name": "ships", "type": "table", "files": [str(tmp_path / "a.nc")]}
    section = assimilation(observations=[source], adjoint={"segment": "5 min"})
    command = "assimilate", written(tmp_path / "box.yaml", assimilation=section), "-o"
    folder = tmp_path / "a"
    observe(0.0)
    assert dassim(*command, folder, "--wall-clock", "1 ms").code == STOPPED
    observe(0.1)
    refused = dassim(*command, folder, "--resume", "--wall-clock", "1 ms")
    assert refused.code == 1
    assert "found other values of Jo.ships.T than this recovery began with" in refused.err
    observe(0.0)
    assert dassim(*command, folder, "--resume", "--wall-clock", "1 ms").code == STOPPED
