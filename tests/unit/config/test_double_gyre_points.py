"""The recovery of the double gyre from point observations, on few points: its namelist is built."""

from __future__ import annotations

import warnings

from dassim.cli.twin import NATURE, run_nature
from dassim.config import Namelist, NamelistWarning, load
from dassim.config.assimilation import build_recovery
from dassim.config.experiment import build_experiment
from dassim.parallel import SerialCommunicator
from dassim.simulation.signals import StopRequest
from dassim.simulation.timing import Stopwatch
from tests.models.namelists import PROJECT

POINTS = PROJECT / "namelists" / "assimilation" / "double_gyre_points.yaml"
SMALLER = (
    "grid.nx=12",
    "grid.ny=12",
    "assimilation.window.start=0 s",
    "assimilation.window.length=1 d",
    "twin.forecast=0 s",
)


def test_the_true_run_is_as_far_from_the_observations_as_their_errors(tmp_path):
    namelist = load(POINTS, Namelist, overrides=SMALLER).namelist
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        experiment = build_experiment(namelist, SerialCommunicator())
    nature = tmp_path / NATURE
    assert run_nature(namelist, experiment, nature, Stopwatch(), StopRequest()).finished
    recovery = build_recovery(namelist, experiment, tmp_path, nature=nature)
    counts, objective = recovery.counts, recovery.objective
    assert 100 < counts["Jo.altimeter.eta"] <= 144  # one in a cell and a day at most
    assert 190 < min(counts["Jo.drifters.u"], counts["Jo.drifters.v"]) <= 200
    parts = {n: float(x) for n, x in objective.shares(objective.transform.zero()).items()}
    assert parts.pop("Jb") == 0.0 and set(parts) == set(counts)
    for name, count in counts.items():
        assert 0.6 < 2 * parts[name] / count < 1.4, name
