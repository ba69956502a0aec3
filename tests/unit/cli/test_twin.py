"""``dassim twin`` and ``dassim assimilate``: files, tables, codes, with a toy for the ocean."""

import csv
import errno
import fcntl
import json
import os
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
import yaml

import dassim as library
from dassim.assimilation.cost import FourDVar
from dassim.assimilation.lbfgs import Evaluation
from dassim.cli.figures import recovery as recovery_figures
from dassim.config.experiment import Experiment
from dassim.io import durable
from dassim.parallel import SerialCommunicator
from dassim.simulation.snapshots import StateSeries
from tests.models.plate import Plate

OCEAN = Path(__file__).parents[1] / "config" / "data" / "ocean.yaml"

SECTIONS = {
    "assimilation": {
        "window": {"start": "10 min", "length": "20 min"},
        "data": [{"every": "5 min", "errors": {"T": "0.1 K"}}],
        "control": {"state": {"T": "1 K"}},
        "minimiser": {"iterations": 30, "gradient_reduction": 1e-8},
    },
    "twin": {
        "first_guess": {"type": "noise", "size": {"T": "1 K"}},
        "forecast": "10 min",
    },
}

INCREMENTAL = SECTIONS["assimilation"] | {
    "minimiser": {"type": "incremental", "outer": 2, "inner": 4},
    "background": {"type": "uncorrelated"},
}

ITERATIONS = "assimilation.minimiser.iterations"


@pytest.fixture
def namelist(tmp_path):
    def write(name="plate.yaml", **changes):
        sections = {
            "base": str(OCEAN),
            "name": "plate",
            "time": {"duration": "60 min", "step": "1 min"},
            **SECTIONS,
            **changes,
        }
        path = tmp_path / name
        path.write_text(yaml.safe_dump({k: v for k, v in sections.items() if v is not None}))
        return path

    return write


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """What the namelist describes is the plate."""

    def build(namelist, comm=None):
        model = Plate.create(comm=SerialCommunicator())
        return Experiment(namelist.name, model, model.parameters(), model.state(), namelist.time)

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)


def rows(folder):
    with (folder / "iterations.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_clock(table):
    return [{k: v for k, v in row.items() if k not in ("seconds", "memory (MB)")} for row in table]


def test_a_twin_recovers_the_state_and_leaves_its_files(dassim, namelist, tmp_path):
    result = dassim("twin", namelist(), "-o", tmp_path / "twin")
    assert (result.code, result.err) == (0, "")
    folder = tmp_path / "twin"
    table = rows(folder)
    assert float(table[-1]["J"]) < 1e-10 * float(table[0]["J"])
    assert float(table[-1]["rmse T"]) < 1e-4 * float(table[0]["rmse T"])
    assert {"nature", "analysis", "fields", "figures", "scores.csv", "run.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert "converged: the gradient is reduced as asked" in result.out
    words = [line.split() for line in result.out.splitlines()]
    assert [float(line[2]) < 1e-4 for line in words if line[:2] == ["analysis", "T"]] == [True]
    increments = library.open(folder, "increments")["T_increment"].values[0]
    errors = library.open(folder, "errors")["T_first_guess_error"].values[0]
    np.testing.assert_allclose(increments, -errors, atol=1e-3)
    departures = library.open(folder, "departures")
    assert departures.sizes["time"] == 4
    assert abs(departures["T_minus_analysis"].values).max() < 1e-4
    assert (folder / "figures" / "index.html").exists()


def test_a_first_guess_beside_that_of_the_twin_is_refused(dassim, namelist, tmp_path):
    section = {**SECTIONS["assimilation"], "first_guess": {"run": "runs/other"}}
    result = dassim("twin", namelist(assimilation=section), "-o", tmp_path / "twin")
    assert result.code == 2
    assert "assimilation.first_guess: found a first guess; expected none beside that of" in (
        result.err
    )
    assert not (tmp_path / "twin" / "nature").exists()


def test_a_disk_that_is_full_at_the_end_is_said_in_one_line(
    dassim, namelist, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the disk")

    monkeypatch.setattr("dassim.cli.twin.tell", full)
    section = {**SECTIONS["assimilation"], "minimiser": {"iterations": 1}}
    result = dassim("twin", namelist(assimilation=section), "-o", tmp_path / "twin")
    assert result.code == 1
    assert result.err == "dassim twin: [Errno 28] No space left on device: 'the disk'\n"


def test_results_are_replaced_wholly_or_not_at_all(dassim, namelist, tmp_path, monkeypatch):
    path, publish = namelist(), durable.publish_file
    monkeypatch.setattr("dassim.cli.twin.draw", lambda *_: None)
    assert dassim("twin", path, "-o", tmp_path, "--set", f"{ITERATIONS}=1").code == 0
    for name in ("analysis/namelist.yaml", "analysis/analysis.json", "scores.csv"):
        before = (tmp_path / name).read_bytes()

        def full(unfinished, file, name=name):
            if file == tmp_path / name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
            publish(unfinished, file)

        monkeypatch.setattr(durable, "publish_file", full)
        result = dassim("twin", path, "-o", tmp_path, "--resume", "--set", f"{ITERATIONS}=2")
        assert result.code == 1 and "No space left on device" in result.err
        assert (tmp_path / name).read_bytes() == before


def test_a_first_guess_that_is_true_is_its_own_analysis(dassim, namelist, tmp_path):
    twin = {"first_guess": {"type": "other_time", "at": "10 min"}}
    result = dassim("twin", namelist(twin=twin), "-o", tmp_path / "twin")
    assert (result.code, result.err) == (0, "")
    assert "converged: the gradient is reduced as asked; J / J0 = -, |g| / |g0| = -" in result.out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"control": {"state": {"eta": "1 cm"}}}, "control.state.eta: found 'eta'"),
        (
            {"data": [{"every": "5 min", "errors": {"T": 0.1}, "levels": [7]}]},
            "data[0].levels: found level 7",
        ),
        ({"gravity_waves": {"size": {"u": 0.1}, "period": "4 min"}}, "size.u: found 'u'"),
        (
            {"observations": [{"name": "a", "type": "table", "daily": "%Y-%m-%d.nc"}]},
            "observations: found a model without a grid",
        ),
        ({"background": {"type": "correlated"}}, "background.type: found a model without a grid"),
    ],
)
def test_what_the_model_does_not_have_is_refused_before_nature_runs(
    dassim, namelist, tmp_path, changes, message
):
    section = SECTIONS["assimilation"] | changes
    result = dassim("twin", namelist(assimilation=section), "-o", tmp_path / "twin")
    assert result.code == 2
    assert message in result.err
    assert not (tmp_path / "twin" / "nature").exists()


class Kinked(Plate):
    """The growth is 0 everywhere, where its root has no derivative."""

    def step(self, parameters, state):
        after = super().step(parameters, state)
        return replace(after, T=after.T + jnp.sqrt(parameters["growth"]))


class Hot(Plate):
    """Beyond 90 degrees there is no temperature."""

    def step(self, parameters, state):
        after = super().step(parameters, state)
        return replace(after, T=jnp.where(after.T > 90.0, jnp.nan, after.T))


@pytest.mark.parametrize(
    ("kind", "size", "code", "words"),
    [
        (Kinked, "1 K", 1, "a gradient not finite, of a cost that is, at the first guess; "),
        (Hot, "1000 K", 3, "Jo.T not finite, at the first guess; expected numbers; shorten "),
    ],
)
def test_what_is_not_finite_is_named(
    dassim, namelist, tmp_path, monkeypatch, kind, size, code, words
):
    def build(namelist, comm=None):
        model = kind.create(comm=SerialCommunicator())
        return Experiment(namelist.name, model, model.parameters(), model.state(), namelist.time)

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)
    control = {"state": {"T": "1 K"}, "parameters": {"growth": 1e-3}}
    section = SECTIONS["assimilation"] | {"control": control}
    twin = {"first_guess": {"type": "noise", "size": {"T": size}}}
    result = dassim("twin", namelist(assimilation=section, twin=twin), "-o", tmp_path / "twin")
    assert result.code == code
    assert result.out.splitlines()[-1].startswith(f"no analysis: found {words}")


@pytest.fixture
def ascending(monkeypatch):
    """From when it is called, gradients have the wrong sign, and a size."""
    evaluate = FourDVar.__call__

    def begin(size=1.0):
        def wrong(self, control):
            found = evaluate(self, control)
            return Evaluation(found.shares, jax.tree.map(lambda g: -size * g, found.gradient))

        monkeypatch.setattr(FourDVar, "__call__", wrong)

    return begin


@pytest.mark.parametrize("minimiser", ["lbfgs", "incremental"])
def test_a_search_without_one_step_is_no_success(dassim, namelist, tmp_path, ascending, minimiser):
    ascending()
    section = INCREMENTAL if minimiser == "incremental" else SECTIONS["assimilation"]
    result = dassim("twin", namelist(assimilation=section), "-o", tmp_path)
    assert result.code == 1
    words = result.out.splitlines()[-1]
    assert words.startswith("no analysis: found, at the first guess, that no ")
    assert "lowers the cost" in words and "run dassim verify-adjoint" in words
    assert not (tmp_path / "analysis").exists() and not (tmp_path / "scores.csv").exists()


def test_a_first_guess_at_the_minimum_is_the_analysis(
    dassim, namelist, tmp_path, ascending, monkeypatch
):
    monkeypatch.setattr("dassim.cli.twin.conclude", lambda *_: None)
    ascending(1e-9)  # as round-off is, which points anywhere
    result = dassim("twin", namelist(), "-o", tmp_path)
    assert (result.code, result.err) == (0, "")
    assert "ended: no step along the steepest descent lowers the cost" in result.out
    assert (tmp_path / "analysis").exists()


def test_a_search_that_fails_after_its_first_steps_leaves_what_they_reached(
    dassim, namelist, tmp_path, ascending, monkeypatch
):
    monkeypatch.setattr("dassim.cli.twin.conclude", lambda *_: None)
    path = namelist()
    assert dassim("twin", path, "-o", tmp_path, "--set", f"{ITERATIONS}=1").code == 0
    ascending()
    result = dassim("twin", path, "-o", tmp_path, "--resume")
    assert (result.code, result.err) == (0, "")
    assert "ended: no step along the steepest descent lowers the cost" in result.out
    assert (tmp_path / "analysis").exists()


FIGURES = {
    "increments": {"T_increment.png"},
    "departures": {"T_minus_first_guess.png", "T_minus_analysis.png", "departures.png"},
    "errors": {"T_truth.png", "T_first_guess_error.png", "T_analysis_error.png"},
    "analysis_errors": {"T_background_deviation.png", "T_analysis_deviation.png"},
}


def test_dassim_plot_draws_the_streams_of_a_recovery(dassim, namelist, tmp_path):
    assert dassim("twin", namelist(assimilation=INCREMENTAL), "-o", tmp_path).code == 0
    for stream, files in FIGURES.items():
        result = dassim("plot", tmp_path, "--stream", stream)
        folder = tmp_path / "plots" / stream
        assert (result.code, result.err) == (0, "")
        assert result.out == f"{len(files)} figures: {folder}/index.html\n"
        assert {path.name for path in folder.glob("*.png")} == files
        assert all(file in (folder / "index.html").read_text() for file in files)


def test_departures_before_and_after_share_their_colours(monkeypatch, tmp_path):
    """Those of the first guess, whose departures are larger."""
    ends = {}

    def draw(path, field, data, title, when, colours, *, like=None, **options):
        ends[path.stem] = float((field if like is None else like).max())

    monkeypatch.setattr("dassim.cli.figures.maps.draw", draw)
    dims, time = ("time", "y", "x"), [np.datetime64("2000-01-01")]
    fields = {
        f"T_minus_{kind}": (dims, np.full((1, 2, 2), size))
        for kind, size in (("first_guess", 3.0), ("analysis", 1.0))
    }
    list(recovery_figures.fields(tmp_path, xr.Dataset(fields, {"time": time})))
    assert ends == {"T_minus_first_guess": 3.0, "T_minus_analysis": 3.0}


LEVELS = {"sigma": (5.0, "lowest level"), "depth": (0.0, "topmost level")}


@pytest.mark.parametrize("dimension", LEVELS)
def test_maps_show_the_level_at_the_surface(monkeypatch, tmp_path, dimension):
    """The ground of an atmosphere, the top of an ocean."""
    shown, (expected, words) = {}, LEVELS[dimension]

    def draw(path, field, data, *options, **others):
        shown[path.stem] = np.unique(field)

    monkeypatch.setattr("dassim.cli.figures.maps.draw", draw)
    dims, time = ("time", dimension, "y", "x"), [np.datetime64("2000-01-01")]
    levels = np.arange(6.0)[:, None, None] * np.ones((1, 6, 2, 2))
    data = xr.Dataset({"T_truth": (dims, levels)}, {"time": time})
    (figure,) = recovery_figures.fields(tmp_path, data)
    assert words in figure.caption
    (figure,) = recovery_figures.derivatives(tmp_path, data)
    assert f"level {expected:.0f}" in figure.caption
    np.testing.assert_array_equal(shown["T_truth"], [expected])


def test_dassim_run_goes_on_from_the_analysis(dassim, namelist, tmp_path):
    folder, path = tmp_path / "twin", namelist()
    assert dassim("twin", path, "-o", folder).code == 0
    result = dassim("run", path, "-o", folder / "analysis", "--resume")
    assert result.code == 0
    assert result.out.startswith(f"going on from {folder}/analysis/restarts/2000-02-29T00-10-00\n")
    domain = Plate.create(comm=SerialCommunicator()).domain
    end = StateSeries.open(folder / "analysis" / "restarts", domain)
    assert end.steps[-1] == 60


def restarts(folder):
    return sorted(path.name[11:] for path in (folder / "restarts").iterdir())


def test_a_run_from_an_earlier_analysis_is_set_aside(dassim, namelist, tmp_path, monkeypatch):
    """No run goes on from its end as if that were the forecast of the new analysis."""
    monkeypatch.setattr("dassim.cli.twin.conclude", lambda *_: None)
    folder, path = tmp_path / "twin", namelist()
    analysis = folder / "analysis"

    def words(result, word):
        return [line for line in result.out.splitlines() if word in line]

    for n, iterations in enumerate((1, 2, 3)):
        more = ("--set", f"{ITERATIONS}={iterations}")
        result = dassim("twin", path, "-o", folder, "--resume", *more)
        assert result.code == 0
        expected = f"the earlier analysis, and the run that went on from it, are now {analysis}.{n}"
        assert words(result, "the earlier analysis") == ([expected] if n else [])
        assert restarts(analysis) == ["00-10-00"]
        forecast = dassim("run", path, "-o", analysis, "--resume")
        assert forecast.out.startswith(f"going on from {analysis}/restarts/2000-02-29T00-10-00\n")
        before = end_of(analysis)
        again = dassim("twin", path, "-o", folder, "--resume", *more)
        assert (again.code, words(again, "the earlier analysis")) == (0, [])
        np.testing.assert_array_equal(end_of(analysis), before)
    ends = [end_of(each) for each in (folder / "analysis.1", folder / "analysis.2", analysis)]
    assert np.abs(ends[0] - ends[1]).max() > 0 and np.abs(ends[1] - ends[2]).max() > 0


def test_a_run_that_is_going_on_is_not_set_aside(dassim, namelist, tmp_path, monkeypatch):
    monkeypatch.setattr("dassim.cli.twin.conclude", lambda *_: None)
    folder, path = tmp_path / "twin", namelist()
    analysis = folder / "analysis"
    assert dassim("twin", path, "-o", folder, "--set", f"{ITERATIONS}=1").code == 0
    assert dassim("run", path, "-o", analysis, "--resume").code == 0
    with (analysis / ".lock").open("w") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        result = dassim("twin", path, "-o", folder, "--resume", "--set", f"{ITERATIONS}=2")
    assert result.code == 1
    assert f"dassim twin: {analysis}: found a run in progress; wait for its end" in result.err
    assert dassim("twin", path, "-o", folder, "--resume", "--set", f"{ITERATIONS}=2").code == 0
    assert (folder / "analysis.1").is_dir() and restarts(analysis) == ["00-10-00"]


def test_a_stopped_recovery_goes_on_with_the_same_numbers(dassim, namelist, tmp_path):
    path = namelist()
    assert dassim("twin", path, "-o", tmp_path / "whole").code == 0
    folder = tmp_path / "parts"
    codes = [dassim("twin", path, "-o", folder, "--wall-clock", "1 ms").code]
    while codes[-1] == 75 and len(codes) < 100:
        codes.append(dassim("twin", path, "-o", folder, "--resume", "--wall-clock", "1 ms").code)
    assert codes[-1] == 0
    assert without_clock(rows(folder)) == without_clock(rows(tmp_path / "whole"))


def test_incremental_4d_var_recovers_the_state_and_tells_its_errors(dassim, namelist, tmp_path):
    folder = tmp_path / "twin"
    result = dassim("twin", namelist(assimilation=INCREMENTAL), "-o", folder)
    assert (result.code, result.err) == (0, "")
    assert "errors of the analysis: an upper bound from 4 Lanczos pairs\n" in result.out
    table = rows(folder)
    loops = [(int(row["outer"]), int(row["inner"])) for row in table]
    assert loops[:6] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]
    ends = [row for row in table if row["inner"] == "0"]
    assert float(ends[-1]["J"]) < 0.1 * float(ends[0]["J"])
    assert float(ends[-1]["rmse T"]) < 0.3 * float(ends[0]["rmse T"])
    assert json.loads((folder / "run.json").read_text())["inner"] == 0
    found = library.open(folder, "analysis_errors")
    assert found.attrs["lanczos_pairs"] == 4
    before, after = (found[f"T_{kind}_deviation"] for kind in ("background", "analysis"))
    np.testing.assert_array_equal(before.values, 1.0)
    assert (after.values <= 1.0).all() and after.values.mean() < 0.985
    assert after.attrs["standard_name"].endswith(" standard_error")
    assert (folder / "figures" / "convergence.png").exists()


def test_a_stopped_incremental_recovery_goes_on_with_the_same_numbers(dassim, namelist, tmp_path):
    path = namelist(assimilation=INCREMENTAL)
    assert dassim("twin", path, "-o", tmp_path / "whole").code == 0
    folder = tmp_path / "parts"
    codes = [dassim("twin", path, "-o", folder, "--wall-clock", "1 ms").code]
    while codes[-1] == 75 and len(codes) < 100:
        codes.append(dassim("twin", path, "-o", folder, "--resume", "--wall-clock", "1 ms").code)
    assert codes[-1] == 0 and len(codes) > 3
    assert without_clock(rows(folder)) == without_clock(rows(tmp_path / "whole"))
    one, other = (library.open(f, "analysis_errors") for f in (folder, tmp_path / "whole"))
    np.testing.assert_array_equal(one["T_analysis_deviation"], other["T_analysis_deviation"])


def test_data_of_another_run_are_assimilated(dassim, namelist, tmp_path):
    nature = namelist("nature.yaml", assimilation=None, twin=None, snapshots={"every": "5 min"})
    assert dassim("run", nature, "-o", tmp_path / "nature").code == 0
    section = SECTIONS["assimilation"] | {
        "window": {"length": "20 min"},
        "data": [{"run": str(tmp_path / "nature"), "every": "5 min", "errors": {"T": 0.1}}],
        "first_guess": {"run": str(tmp_path / "nature"), "at": "30 min"},
    }
    result = dassim("assimilate", namelist(assimilation=section, twin=None), "-o", tmp_path / "a")
    assert (result.code, result.err) == (0, "")
    assert json.loads((tmp_path / "a" / "run.json").read_text())["status"] == "gradient"
    assert float(rows(tmp_path / "a")[-1]["J"]) < 1e-10 * float(rows(tmp_path / "a")[0]["J"])


@pytest.fixture
def growing(monkeypatch):
    """The plate of nature grows; nobody else knows by how much."""

    def build(namelist, comm=None):
        model = Plate.create(comm=SerialCommunicator())
        parameters = {"growth": 1e-3 * (namelist.source == "nature") + model.parameters()["growth"]}
        return Experiment(namelist.name, model, parameters, model.state(), namelist.time)

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)


def recovered(dassim, namelist, tmp_path, control, background=None):
    """The namelist of a recovery from the states of a plate that grows, and its folder."""
    keys = {"assimilation": None, "twin": None, "snapshots": {"every": "5 min"}}
    nature = namelist("nature.yaml", source="nature", **keys)
    assert dassim("run", nature, "-o", tmp_path / "nature").code == 0
    section = SECTIONS["assimilation"] | {
        "window": {"length": "20 min"},
        "data": [{"run": str(tmp_path / "nature"), "every": "5 min", "errors": {"T": 0.01}}],
        "control": control,
        "background": {"type": background or "none"},
    }
    if background:
        section["minimiser"] = {"type": "incremental", "outer": 2, "inner": 40, "tolerance": 1e-6}
    path = namelist(assimilation=section, twin=None)
    result = dassim("assimilate", path, "-o", tmp_path / "a")
    assert (result.code, result.err) == (0, "")
    return path, tmp_path / "a", result


def test_dassim_run_goes_on_with_the_recovered_parameters(dassim, namelist, tmp_path, growing):
    control = {"state": {"T": "1 K"}, "parameters": {"growth": 1e-2}}
    path, folder, _ = recovered(dassim, namelist, tmp_path, control, "uncorrelated")
    fields = library.open(folder, "parameters")
    np.testing.assert_array_equal(fields["growth_first_guess"], 0.0)
    np.testing.assert_allclose(fields["growth_analysis"], 1e-3, rtol=0.02)
    np.testing.assert_array_equal(fields["growth_background_deviation"], 1e-2)
    assert (fields["growth_analysis_deviation"].values <= 1e-2).all()
    assert fields["growth_analysis_deviation"].values.mean() < 0.95e-2
    result = dassim("run", path, "-o", folder / "analysis", "--resume")
    assert result.code == 0
    assert "with recovered parameters: growth\n" in result.out
    record = json.loads((folder / "analysis" / "run.json").read_text())
    assert record["notes"]["recovered_parameters"] == ["growth"]
    found, true = (end_of(tmp_path / name) for name in ("a/analysis", "nature"))
    still = end_of(tmp_path / "nature", 0)
    assert np.abs(found - true).max() < 0.02 * np.abs(still - true).max()


def end_of(folder, step=60):
    model = Plate.create(comm=SerialCommunicator())
    for kind in ("restarts", "snapshots"):
        series = StateSeries.open(folder / kind, model.domain)
        if step in series.steps:
            return np.asarray(series.read(step, model.state()).T)
    return np.asarray(model.state().T)


def test_parameters_that_are_damaged_or_of_another_model_are_refused(
    dassim, namelist, tmp_path, growing
):
    control = {"parameters": {"growth": 1e-2}}
    path, folder, _ = recovered(dassim, namelist, tmp_path, control)
    (piece,) = (folder / "analysis" / "parameters").glob("*/rank_00000.h5")
    whole = piece.read_bytes()
    piece.write_bytes(whole[:-1])
    result = dassim("run", path, "-o", folder / "analysis", "--resume")
    assert result.code == 1
    assert "parameters: found no parameters that are whole (" in result.err
    assert "remove the folder to run with those of the namelist" in result.err


def test_after_corrections_of_segments_a_run_goes_on_from_the_windows_end(
    dassim, namelist, tmp_path, growing
):
    control = {"windows": {"growth": 1e-2}, "model_error": {"T": "0.1 K"}}
    path, folder, result = recovered(dassim, namelist, tmp_path, control)
    words = f"the analysis is {folder}/analysis/restarts/2000-02-29T00-20-00; dassim run goes on"
    assert words in result.out
    assert not (folder / "analysis" / "parameters").exists()
    fields = library.open(folder, "corrections")
    assert fields.sizes["time"] == 4
    np.testing.assert_array_equal(fields["growth_correction_first_guess"], 0.0)
    assert 0.5e-3 < fields["growth_correction_analysis"].values.mean() < 1.5e-3
    changes = np.abs(fields["T_model_error_analysis"].values).max(axis=(1, 2, 3))
    assert changes[0] == 0.0 and (changes[1:] > 0.0).all()
    result = dassim("run", path, "-o", folder / "analysis", "--resume")
    assert result.code == 0 and "T00-20-00\n" in result.out.splitlines(keepends=True)[0]
    departures = library.open(folder, "departures")["T_minus_analysis"].values[-1]
    apart = end_of(tmp_path / "nature", 20) - end_of(folder / "analysis", 20)
    np.testing.assert_allclose(departures, apart, atol=1e-12)


MINUTES = {"duration": "60 min", "step": "1 min"}
REFUSED = {
    "a missing time": ({"snapshots": {"every": "10 min"}}, "found no state of 2000-02-29 00:05:00"),
    "another calendar": ({"time": MINUTES | {"calendar": "360_day"}}, "in the calendar 360_day"),
    "another start": ({"time": MINUTES | {"start": "2000-02-28"}}, "2000-02-28 00:05:00, expected"),
    "another grid": ({"grid": {"f0": 2e-4}}, "found a run with another grid"),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_data_that_do_not_belong_are_refused_before_any_computing(
    dassim, namelist, tmp_path, change, words
):
    keys = {"assimilation": None, "twin": None, "snapshots": {"every": "5 min"}} | change
    assert dassim("run", namelist("nature.yaml", **keys), "-o", tmp_path / "nature").code == 0
    section = SECTIONS["assimilation"] | {
        "window": {"length": "20 min"},
        "data": [{"run": str(tmp_path / "nature"), "every": "5 min", "errors": {"T": 0.1}}],
    }
    result = dassim("assimilate", namelist(assimilation=section, twin=None), "-o", tmp_path / "a")
    assert result.code == 1
    assert words in result.err
    assert not (tmp_path / "a" / "iterations.csv").exists()
