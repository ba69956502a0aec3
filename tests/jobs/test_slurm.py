"""Jobs on a Slurm: they come back until they are done, and they fail when they have to."""

from __future__ import annotations

import re
import time

import psutil
import pytest

from tests.harness.kill import fingerprint
from tests.jobs.conftest import PROJECT, RECOVERY

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


def test_jobs_that_are_told_of_their_end_come_back_and_leave_the_same_bits(cluster):
    """One is told while it runs, one before its ranks can hear it."""
    namelist = cluster.namelist("told", days=36)
    undisturbed, told, early = (cluster.home / name for name in ("alone", "told", "early"))
    (second,), (third,) = (cluster.submit(namelist, "--folder", run) for run in (told, early))
    third.wait_for_ranks(early)
    third.signal("USR1")
    second.wait_for("  step 0/")
    second.signal("USR1")
    (first,) = cluster.submit(namelist, "--folder", undisturbed)
    second.wait_for("goes back in line")
    for job in (first, second, third):
        assert job.wait() == ["COMPLETED"], job.log
    for job, restarts in ((first, "0"), (second, "1"), (third, "1")):
        assert job.facts["Restarts"] == restarts, job.log
    assert "stopped in good order" in second.log
    assert "going on from " in second.log
    assert fingerprint(told) == fingerprint(undisturbed)
    assert fingerprint(early) == fingerprint(undisturbed)


def test_a_killed_rank_fails_the_job_with_a_message_and_ends_the_chain(cluster):
    run = cluster.home / "chain"
    recovery = RECOVERY.format(run=run, iterations=1)
    namelist = cluster.namelist("killed", days=900, more=recovery)
    first, *behind = cluster.submit(namelist, "--chain", "--folder", run)
    assert len(behind) == 4
    first.wait_for("  step 0/")
    psutil.Process(first.ranks(run)[-1].pid).kill()
    began = time.monotonic()
    assert first.wait() == ["FAILED"]
    assert time.monotonic() - began < 60
    assert "a rank was killed" in first.log
    assert [job.wait() for job in behind] == [["CANCELLED"]] * 4
    assert not any(job.log for job in behind)


def test_a_cancelled_job_does_not_come_back(cluster):
    run = cluster.home / "cancelled"
    (job,) = cluster.submit(cluster.namelist("cancelled", days=900), "--folder", run, ranks=1)
    job.wait_for("  step 0/")
    cluster.do("scancel", job.number)
    assert job.wait() == ["CANCELLED"], job.log
    assert "was cancelled" in job.log
    assert any((run / "restarts").iterdir())


def test_members_of_an_ensemble_differ(cluster):
    run, namelist = cluster.home / "ensemble", cluster.namelist("ensemble", days=1)
    options = ("--job", "ensemble", "--members", "4", "--folder", run)
    (job,) = cluster.submit(namelist, *options, ranks=1)
    assert job.wait() == ["COMPLETED"] * 4
    assert len({fingerprint(run / f"member_{member}") for member in range(4)}) == 4


def test_every_rank_has_a_gpu_for_itself(cluster):
    options = ("--nodes=1", "--overcommit", "--gpus-per-node=2")
    rank = (PROJECT / "jobs" / "rank", "printenv", "CUDA_VISIBLE_DEVICES")
    two = cluster.do("srun", "--ntasks=2", *options, *rank)
    assert sorted(two.stdout.split()) == ["0", "1"], two.stderr
    three = cluster.do("srun", "--ntasks=3", *options, *rank)
    assert three.returncode != 0
    assert "found 2 GPUs for rank 3 of this node" in three.stderr


def test_info_under_srun_tells_of_all_ranks_once(cluster):
    options = (f"--mpi={cluster.mpi}", "--nodes=2", "--ntasks=2", "--kill-on-bad-exit=1")
    python = PROJECT / ".venv" / "bin" / "python"
    command = ("srun", *options, PROJECT / "jobs" / "rank", python, "-m", "dassim", "info")
    shown = cluster.do("env", "MPIR_CVAR_CH4_NETMOD=ofi", *command)
    assert shown.returncode == 0, shown.stderr
    assert len(re.findall(r"^ *ranks:? +2$", shown.stdout, re.MULTILINE)) == 1, shown.stdout


def test_slurm_refuses_before_anything_is_submitted(cluster):
    namelist, run = cluster.namelist("refused", days=1), cluster.home / "refused"
    site = cluster.site('partition = "nowhere"', name="elsewhere")
    done = cluster.dassim("submit", namelist, "--site", site, "--folder", run)
    assert done.returncode == 1
    assert "invalid partition specified: nowhere" in done.stderr
    options = ("--site", cluster.site(), "--ranks", "3")
    done = cluster.dassim("submit", namelist, *options, "--folder", "/forbidden")
    assert done.returncode == 1
    assert "cannot write to the folder /forbidden/submissions" in done.stderr
    done = cluster.dassim("submit", namelist, *options, "--folder", run)
    assert done.returncode == 1
    assert "sbatch refuses" in done.stderr
    assert not cluster.do("squeue", "--noheader", "--name=nature_run").stdout
