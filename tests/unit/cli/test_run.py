"""``dassim run``: exit codes, messages and files, with a toy in place of the ocean, and once with
the ocean."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import h5py
import pytest

from dassim import open as open_fields
from dassim.config.experiment import Experiment
from dassim.config.schema.run import Time
from tests.models.plate import Plate

OCEAN = Path(__file__).parents[1] / "config" / "data" / "ocean.yaml"
GYRE = Path(__file__).parents[3] / "namelists" / "ocean" / "double_gyre.yaml"


@pytest.fixture
def namelist(tmp_path):
    path = tmp_path / "plate.yaml"
    path.write_text(
        f"base: {OCEAN}\nname: plate\ntime: {{duration: 30 min, step: 1 min}}\n"
        "restarts: {every: 10 min}\nrun: {log: 10 min}\n"
    )
    return path


@pytest.fixture(autouse=True)
def toy(request, monkeypatch):
    """What the namelist describes is the plate, except where the name says ocean."""
    if "ocean" in request.node.name:
        return
    _replace_experiment(monkeypatch, Plate.create().parameters(), lambda: None)


def _replace_experiment(monkeypatch, parameters, meanwhile, model=None):
    model = model or Plate.create()

    def build(namelist, comm=None):
        meanwhile()
        time = Time(duration=namelist.time.duration, step=namelist.time.step)
        return Experiment(namelist.name, model, parameters, model.state(), time)

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)


def record(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_run_prints_lines_and_leaves_its_files(dassim, namelist, tmp_path):
    result = dassim("run", namelist, "--folder", tmp_path / "run")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line.split("  ")[1] for line in lines[:4]] == [
        f"step {step}/30" for step in (0, 10, 20, 30)
    ]
    assert lines[4:] == [f"finished at step 30; see {tmp_path}/run"]
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"namelist.yaml", "run.json", "log.csv", "restarts"} <= left
    notes = record(tmp_path / "run")["notes"]
    assert {"name", "source", "namelist_sha256", "commit", "versions"} == set(notes)


def test_the_folder_is_named_after_the_namelist(dassim, namelist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dassim("run", namelist).code == 0
    assert record(tmp_path / "runs" / "plate")["status"] == "finished"


def test_a_signal_while_the_model_is_built_stops_the_run(dassim, namelist, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        parameters = Plate.create().parameters()
        _replace_experiment(patch, parameters, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        result = dassim("run", namelist, "-o", tmp_path / "run")
    assert result.code == 75
    assert result.out.endswith("stopped at step 1 by SIGUSR1; go on with --resume\n")
    resumed = dassim("run", namelist, "-o", tmp_path / "run", "--resume")
    assert resumed.code == 0
    assert resumed.out.startswith(f"going on from {tmp_path}/run/restarts/0001-01-01T00-01-00\n")
    assert dassim("run", namelist, "-o", tmp_path / "whole").code == 0
    one, other = (
        h5py.File(tmp_path / name / "restarts" / "0001-01-01T00-30-00" / "index.h5")
        for name in ("run", "whole")
    )
    with one, other:
        assert one["T"][()].tobytes() == other["T"][()].tobytes()


def test_the_wall_clock_limit_stops_the_run(dassim, namelist, tmp_path):
    result = dassim("run", namelist, "-o", tmp_path / "run", "--wall-clock", "1 ms")
    assert result.code == 75
    assert "by the wall-clock limit of 0.001 s; go on with --resume" in result.out


def test_a_folder_with_a_run_is_refused(dassim, namelist, tmp_path):
    folder = tmp_path / "run"
    assert dassim("run", namelist, "-o", folder).code == 0
    result = dassim("run", namelist, "-o", folder)
    assert (result.code, result.err) == (
        1,
        f"dassim run: {folder}: found a run; go on with it by --resume, or choose another folder "
        f"by --folder\n",
    )


def test_a_run_of_another_namelist_is_refused(dassim, namelist, tmp_path):
    folder = tmp_path / "run"
    assert dassim("run", namelist, "-o", folder).code == 0
    result = dassim("run", namelist, "-o", folder, "--resume", "--set", "grid.nx=24")
    assert (result.code, result.err) == (
        1,
        f"dassim run: {folder}: found a run of another namelist: grid.nx is 12, now 24; resume it "
        f"with its own namelist, or choose another folder by --folder\n",
    )


def test_a_finished_run_can_be_lengthened(dassim, namelist, tmp_path):
    folder = tmp_path / "run"
    assert dassim("run", namelist, "-o", folder).code == 0
    result = dassim("run", namelist, "-o", folder, "--resume", "--set", "time.duration=40 min")
    assert result.code == 0
    assert record(folder)["step"] == 40


def test_an_unstable_run_has_an_exit_code_of_its_own(dassim, namelist, tmp_path, monkeypatch):
    hot = Plate.create().parameters(hot=(1, 1))
    _replace_experiment(monkeypatch, hot, lambda: None)
    result = dassim("run", namelist, "-o", tmp_path / "run")
    assert result.code == 3
    assert result.err.startswith("dassim run: the run became unstable at step 1, 0001-01-01 00:01")
    assert result.err.count("\n") == 1
    assert record(tmp_path / "run")["status"] == "unstable"


def test_a_folder_that_cannot_be_written_is_named(dassim, namelist, tmp_path):
    result = dassim("run", namelist, "-o", namelist / "run")
    assert (result.code, result.err) == (
        1,
        f"dassim run: {namelist}/run: Not a directory; choose a folder that can be written, by "
        f"--folder\n",
    )


def test_a_namelist_that_cannot_be_used(dassim, namelist, tmp_path):
    result = dassim("run", namelist, "-o", tmp_path / "run", "--set", "restarts.every=90 s")
    assert result.code == 2
    assert "restarts: found every of 90 s; expected a whole number of steps of 60 s" in result.err
    assert not (tmp_path / "run").exists()


def test_a_variable_that_there_is_not(dassim, namelist, tmp_path):
    stream = "output=[{name: daily, every: 10 min, variables: [heat]}]"
    result = dassim("run", namelist, "-o", tmp_path / "run", "--set", stream)
    assert result.code == 2
    assert "output[0].variables[0]: found 'heat'; expected" in result.err


# -- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def large(monkeypatch):
    """States of 120 kB; all restarts are kept."""
    plate = Plate.create((50, 100))
    _replace_experiment(monkeypatch, plate.parameters(), lambda: None, plate)
    options = ["time.duration=12 min", "restarts={every: 1 min, keep_last: 100}"]
    return [word for option in options for word in ("--set", option)]


STREAM = "output=[{name: fast, every: 1 min, kind: snapshot, variables: [T], precision: float64}]"


@pytest.mark.parametrize("output", ["output=[]", STREAM], ids=["restarts", "fields"])
def test_a_full_disk_ends_a_run_that_goes_on_with_room(dassim, namelist, disk, large, output):
    options = ["-o", disk / "run", "--set", output, *large]
    result = dassim("run", namelist, *options)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert re.search(r"bytes needed, \d+ free|No space left|free some space", result.err)
    kept = sorted(path.name for path in (disk / "run" / "restarts").glob("0*"))
    assert kept
    subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
    resumed = dassim("run", namelist, *options, "--resume")
    assert (resumed.code, resumed.err) == (0, "")
    assert resumed.out.startswith(f"going on from {disk}/run/restarts/{kept[-1]}\n")
    if output == STREAM:
        assert open_fields(disk / "run").sizes["time"] == 12


def test_a_disk_that_is_read_only_is_named(dassim, namelist, disk):
    assert dassim("run", namelist, "-o", disk / "run").code == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    longer = ["--resume", "--set", "time.duration=40 min"]
    for folder, options in (("run", longer), ("new", [])):
        result = dassim("run", namelist, "-o", disk / folder, *options)
        assert (result.code, result.err.count("\n")) == (1, 1)
        assert ": Read-only file system; choose a folder that can be written, by" in result.err
    with h5py.File(disk / "run" / "restarts" / "0001-01-01T00-30-00" / "index.h5") as last:
        assert last["T"].shape == (2, 6, 8)


@pytest.mark.filterwarnings("ignore::dassim.config.errors.NamelistWarning")
def test_the_ocean_runs_and_goes_on(dassim, tmp_path):
    options = ["-o", tmp_path / "run", "--set", "grid.nx=12", "--set", "grid.ny=12"]
    options += ["--set", "time.duration=2 h", "--set", "restarts.every=40 min"]
    options += ["--set", "output=[{name: fine, every: 1 h, variables: [eta, u]}]"]
    stopped = dassim("run", GYRE, *options, "--wall-clock", "1 ms")
    assert (stopped.code, stopped.err) == (75, "")
    finished = dassim("run", GYRE, *options, "--resume")
    assert (finished.code, finished.err) == (0, "")
    assert "step 6/6  speed 0.00" in finished.out
    assert list((tmp_path / "run" / "fields" / "fine").rglob("*.nc"))
    assert record(tmp_path / "run")["files"]["fields/fine"]["bytes"] > 0
