"""What takes minutes on a Slurm: a whole chain with disturbances, a sensitivity that is told of its
end in the middle of its sweep back, and the failure of a node.

tools/test --sizes 1 tests/jobs/long.py
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

import dassim
from tests.harness.kill import fingerprint
from tests.jobs.conftest import RECOVERY, wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1500)]

LONG = 900.0

SENSITIVITY = """
sensitivity:
  window: {length: 6 d}
  objective: {type: mean, variable: eta}
  by: [u, eta, stress_x]
  adjoint: {segment: 20 min}
"""


def fields(folder: Path, stream: str) -> str:
    """Of all bits of the fields of a stream."""
    digest = hashlib.sha256()
    with dassim.open(folder, stream) as data:
        for name in sorted(map(str, data.data_vars)):
            digest.update(name.encode() + data[name].values.tobytes())
    return digest.hexdigest()


def costs(recovery: Path) -> list[float]:
    with (recovery / "iterations.csv").open(newline="") as file:
        return [float(row["J"]) for row in csv.DictReader(file)]


def test_a_disturbed_chain_ends_with_the_figures_of_the_same_state(cluster):
    run, other = cluster.home / "whole", cluster.home / "other"
    recovery = RECOVERY.format(run=run, iterations=3)
    namelist = cluster.namelist("whole", days=3, more=recovery)
    jobs = nature, _, search, _, figures = cluster.submit(namelist, "--chain", "--folder", run)
    nature.wait_for("  step 0/", LONG)
    nature.signal("USR1")
    search.wait_for("iteration", LONG)
    search.signal("USR1")
    assert figures.wait(LONG) == ["COMPLETED"], [job.log for job in jobs]
    assert [job.states for job in jobs] == [["COMPLETED"]] * 5
    assert [job.facts["Restarts"] for job in (nature, search)] == ["1", "1"]
    for folder in (run / "recovery", run / "recovery" / "analysis"):
        assert list(folder.rglob("*.png")), folder

    (alone,) = cluster.submit(namelist, "--job", "assimilate", "--folder", other)
    assert alone.wait(LONG) == ["COMPLETED"], alone.log
    assert fields(run / "recovery", "analysis") == fields(other, "analysis")
    assert costs(run / "recovery") == costs(other)
    assert costs(other)[-1] < 0.5 * costs(other)[0]


def test_a_sensitivity_that_is_told_in_its_sweep_back_goes_on_with_it(cluster):
    namelist = cluster.namelist("sensitive", days=6, more=SENSITIVITY)
    run, other = cluster.home / "sensitive", cluster.home / "insensitive"
    job, alone = (
        cluster.submit(namelist, "--job", "sensitivity", "--folder", folder)[0]
        for folder in (run, other)
    )
    wait_until(lambda: list((run / "adjoint").rglob("reversed.0004*")), LONG, lambda: job.log)
    job.signal("USR1")
    for each in (job, alone):
        assert each.wait(LONG) == ["COMPLETED"], each.log
    assert [each.facts["Restarts"] for each in (job, alone)] == ["1", "0"]
    assert fields(run, "sensitivity") == fields(other, "sensitivity")


def test_after_the_failure_of_a_node_a_job_goes_on_from_its_newest_restart(cluster):
    namelist = cluster.namelist("node", days=90)
    run, other = cluster.home / "node", cluster.home / "undisturbed"
    (job,) = cluster.submit(namelist, "--folder", run)
    wait_until(lambda: list(run.glob("restarts/0*")), LONG, lambda: job.log)
    cluster.do_as_root("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")
    job.wait_for_state("PENDING", LONG)
    assert job.wait(LONG) == ["COMPLETED"], job.log
    assert "going on from " in job.log
    (alone,) = cluster.submit(namelist, "--folder", other)
    assert alone.wait(LONG) == ["COMPLETED"], alone.log
    assert fingerprint(run) == fingerprint(other)
