"""``dassim sensitivity`` of a toy: against finite differences, and what it leaves."""

import csv
import errno
import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

import dassim as library
from dassim.assimilation import cost, objectives
from dassim.assimilation.control import Control
from dassim.assimilation.derivatives import ComparisonTable
from dassim.config.experiment import Experiment
from dassim.config.objectives import Number, Objectives
from dassim.config.sensitivity import SensitivityProblem, output_of
from dassim.dynamics.series import TimeSeries
from dassim.parallel import SerialCommunicator
from dassim.simulation.segments import RunInputs
from tests.models.plate import Plate

OCEAN = Path(__file__).parents[1] / "config" / "data" / "ocean.yaml"


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """What the namelist describes is the plate, whose number is the mean of the dye."""

    def build(namelist, comm=None):
        model = Plate.create(comm=SerialCommunicator())
        return Experiment(
            namelist.name,
            model,
            model.parameters(),
            model.state(),
            namelist.time,
            objectives=Objectives(number),
        )

    def number(section, model, variables):
        return Number("energy", "K2", lambda state: jnp.mean(state.T**2))

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)


@pytest.fixture
def namelist(tmp_path, monkeypatch):
    monkeypatch.setattr(Plate, "grid", None, raising=False)

    def write(by=("T", "growth", "tracers.dye")):
        section = {
            "window": {"start": "20 min", "length": "10 min"},
            "objective": {"type": "kinetic_energy"},
            "by": list(by),
            "points": 3,
            "tolerance": 1e-7,
            "adjoint": {"segment": "5 min"},
        }
        path = tmp_path / "plate.yaml"
        time = {"duration": "60 min", "step": "1 min"}
        content = {"base": str(OCEAN), "name": "plate", "time": time, "sensitivity": section}
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def test_the_gradient_agrees_with_finite_differences_and_is_written(dassim, namelist, tmp_path):
    result = dassim("sensitivity", namelist(), "-o", tmp_path / "s")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith("energy at 2000-02-29 00:30:00: ")
    apart, _, points = lines[-1].removeprefix("largest relative difference: ").partition("; ")
    assert float(apart) < 1e-7
    assert points == "at most 1.00e-07 at 9 of 9 points"
    assert sum(line.startswith("growth ") for line in lines) == 3
    data = library.open(tmp_path / "s", "sensitivity")
    assert data["energy_by_T"].attrs["units"] == "K2 (K)-1"
    assert data["energy_by_T"].dims[-2:] == ("row", "column")
    assert float(data["energy_by_T"].min()) > 0
    assert not data["energy_by_tracers_dye"].values.any()
    assert (tmp_path / "s" / "figures" / "energy_by_T.png").exists()
    with (tmp_path / "s" / "sensitivity.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == []


def test_a_gradient_that_finite_differences_contradict_fails_and_says_so(
    dassim, namelist, tmp_path, monkeypatch
):
    step = Plate.step
    monkeypatch.setattr(
        Plate, "step", lambda self, p, s: step(self, jax.tree.map(jax.lax.stop_gradient, p), s)
    )
    path = namelist(by=["T", "growth"])
    result = dassim("sensitivity", path, "-o", tmp_path / "s")
    assert result.code == 1
    assert "found a derivative by growth at " in result.err
    assert "that is 1.00e+00 apart from finite differences" in result.err
    assert "expected at most 1.00e-07 (sensitivity.tolerance)" in result.err
    assert (tmp_path / "s" / "figures" / "energy_by_T.png").exists()


def test_names_may_be_whole_paths(dassim, namelist, tmp_path):
    result = dassim("sensitivity", namelist(by=["state.T", "parameters.growth"]), "-o", tmp_path)
    assert (result.code, result.err) == (0, "")
    data = library.open(tmp_path, "sensitivity")
    assert data["energy_by_state_T"].attrs["units"] == "K2 (K)-1"
    assert "energy_by_parameters_growth" in data


def test_what_there_is_not_is_refused(dassim, namelist, tmp_path):
    result = dassim("sensitivity", namelist(by=["grow"]), "-o", tmp_path / "s")
    assert result.code == 2
    assert "sensitivity.by[0]: found 'grow'; expected one of" in result.err
    assert "did you mean growth?" in result.err
    assert "time" not in result.err


def test_a_run_that_is_not_finite_says_so(dassim, namelist, tmp_path, monkeypatch):
    step = Plate.step
    monkeypatch.setattr(
        Plate,
        "step",
        lambda self, p, s: step(self, p, s).__class__(jnp.nan * s.T, s.tracers, s.time),
    )
    result = dassim("sensitivity", namelist(), "-o", tmp_path / "s")
    assert result.code == 3
    assert "the run is not finite" in result.err


def test_a_gradient_that_is_not_finite_is_no_success(dassim, namelist, tmp_path, monkeypatch):
    step = Plate.step

    def kink(self, p, s):
        """The growth is 0 everywhere, where its root has no derivative."""
        after = step(self, p, s)
        return after.__class__(after.T + jnp.sqrt(p["growth"]), after.tracers, after.time)

    monkeypatch.setattr(Plate, "step", kink)
    result = dassim("sensitivity", namelist(), "-o", tmp_path / "s")
    assert result.code == 1
    assert result.err == (
        "dassim sensitivity: found derivatives by growth that are not finite, of a number that is; "
        "expected finite ones; run dassim verify-adjoint\n"
    )


def test_points_of_which_none_was_compared_are_no_success(dassim, namelist, tmp_path, monkeypatch):
    monkeypatch.setattr("dassim.assimilation.objectives.compare_at_points", lambda *_: iter(()))
    result = dassim("sensitivity", namelist(), "-o", tmp_path / "s")
    assert result.code == 1
    assert (
        result.err.count("found no point at which finite differences know the derivative by") == 3
    )


def test_a_disk_that_is_full_is_said_in_one_line(dassim, namelist, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the disk")

    monkeypatch.setattr("dassim.cli.sensitivity.tell", full)
    result = dassim("sensitivity", namelist(), "-o", tmp_path / "s")
    assert result.code == 1
    assert result.err == "dassim sensitivity: [Errno 28] No space left on device: 'the disk'\n"


class KilledError(Exception):
    """The process ends here."""


@pytest.fixture
def made(monkeypatch):
    """How often sweeps and differences at a point were made."""
    counts = Counter()

    def counted(place, name):
        function = getattr(place, name)

        def call(*arguments):
            counts[name] += 1
            return function(*arguments)

        monkeypatch.setattr(place, name, call)

    counted(cost, "cost_and_gradient")
    counted(objectives, "derivative")
    return counts


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr("dassim.cli.sensitivity.draw", lambda *_: None)


def killed_after(rows, monkeypatch):
    """As soon as so many comparisons are known; 0 is once the gradient is."""
    write = ComparisonTable.write

    def last(self, comparisons):
        write(self, comparisons)
        if len(comparisons) == rows:
            raise KilledError

    def at_once(*_):
        raise KilledError

    if rows:
        monkeypatch.setattr(ComparisonTable, "write", last)
    else:
        monkeypatch.setattr("dassim.cli.sensitivity.write", at_once)


def table_of(result):
    """The last one that was printed."""
    before, _, table = result.out.rpartition("\nby  ")
    assert before
    return table


@pytest.mark.usefixtures("undrawn")
def test_after_its_sweep_a_sensitivity_that_is_killed_goes_on(
    dassim, namelist, tmp_path, monkeypatch, made
):
    whole = dassim("sensitivity", namelist(), "-o", tmp_path / "whole")
    made.clear()
    for rows, options in {0: [], 1: ["--resume"], 4: ["--resume"]}.items():
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            killed_after(rows, patch)
            dassim("sensitivity", namelist(), "-o", tmp_path / "s", *options)
        assert made == {"cost_and_gradient": 1, **({"derivative": rows} if rows else {})}
    result = dassim("sensitivity", namelist(), "-o", tmp_path / "s", "--resume")
    assert (result.code, result.err) == (0, "")
    assert made == {"cost_and_gradient": 1, "derivative": 9}
    assert table_of(result) == table_of(whole)
    tables = [(tmp_path / name / "comparisons.csv").read_text() for name in ("s", "whole")]
    assert tables[0] == tables[1] and len(tables[0].splitlines()) == 10
    data = [library.open(tmp_path / name, "sensitivity") for name in ("s", "whole")]
    np.testing.assert_array_equal(data[0]["energy_by_T"], data[1]["energy_by_T"])


@pytest.mark.usefixtures("undrawn")
def test_a_gradient_that_is_damaged_or_of_another_start_is_computed_again(
    dassim, namelist, tmp_path, monkeypatch, made
):
    whole = dassim("sensitivity", namelist(), "-o", tmp_path)
    (file,) = (tmp_path / "gradient").rglob("*.h5")
    file.write_bytes(file.read_bytes()[:-100])
    again = dassim("sensitivity", namelist(), "-o", tmp_path, "--resume")
    assert made == {"cost_and_gradient": 2, "derivative": 18}
    assert table_of(again) == table_of(whole)
    state = Plate.state
    monkeypatch.setattr(Plate, "state", lambda self: state(self, seed=1))
    other = dassim("sensitivity", namelist(), "-o", tmp_path, "--resume")
    assert made == {"cost_and_gradient": 3, "derivative": 27}
    assert table_of(other) != table_of(whole)


def test_derivatives_of_interior_faces_and_of_series_are_made_maps():
    """There is no value at the surface of the ones, and one change at all times of the others."""
    times = jnp.arange(12.0)
    series = TimeSeries(jnp.zeros((12, 2, 2)), times), TimeSeries(jnp.zeros((12, 4, 2, 2)), times)
    inputs = RunInputs(
        dict(zip(("sea", "sponge"), series, strict=True)), {"T": jnp.zeros((4, 2, 2))}
    )
    sea, sponge = "parameters.sea.values", "parameters.sponge.values"
    objective: Any = SimpleNamespace(transform=SimpleNamespace(background=inputs))
    none: Any = None
    problem = SensitivityProblem(objective, none, none, "n", "1", {sea: "sea", sponge: "sponge"})
    gradient = Control(
        {
            "kappa": jnp.ones((3, 2, 2)),
            "stress": jnp.ones((2, 2)),
            sea: jnp.ones((12, 2, 2)),
            sponge: jnp.ones((12, 4, 2, 2)),
        }
    )
    found = output_of(problem, gradient)
    assert jnp.isnan(found["kappa"][0]).all()
    assert (found["kappa"][1:] == 1.0).all()
    assert found["stress"].shape == (2, 2)
    np.testing.assert_array_equal(found[sea], np.full((2, 2), 12.0))
    np.testing.assert_array_equal(found[sponge], np.full((4, 2, 2), 12.0))
    assert [problem.variable(path, {}).levels for path in (sea, sponge)] == [False, True]
    assert "at all times alike" in problem.variable(sea, {}).long_name
