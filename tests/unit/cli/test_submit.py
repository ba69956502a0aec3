"""``dassim submit`` up to the doors of Slurm, which is a script of its own here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

NAMELISTS = Path(__file__).parents[3] / "namelists"

SITE = """
description = "two nodes"
launch = "srun --mpi=pmi2"
ranks_per_node = 4
modules = ["mpich/4"]
partition = "{partition}"
[environment]
OMP_NUM_THREADS = "2"
"""

SBATCH = """#!/bin/sh
echo "$@" >> "{calls}"
for last; do :; done
if grep -q "partition=nowhere" "$last"; then
  echo "invalid partition specified: nowhere" >&2
  exit 1
fi
case "$*" in --parsable*"$REFUSED"*) echo "too many jobs" >&2; exit 1;; esac
case "$1" in --parsable) echo "$(wc -l < "{calls}");cluster";; esac
"""


@pytest.fixture
def site(tmp_path):
    def written(partition="ci", more=""):
        file = tmp_path / "here.toml"
        file.write_text(SITE.format(partition=partition) + more)
        return file

    return written


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """What sbatch was called with."""
    folder, file = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    (folder / "sbatch").write_text(SBATCH.format(calls=file))
    (folder / "scancel").write_text(f'#!/bin/sh\necho "scancel $@" >> "{file}"\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("REFUSED", "none of them")
    return lambda: file.read_text().splitlines() if file.exists() else []


def test_a_job_is_tested_submitted_and_noted(dassim, box, site, calls, tmp_path):
    run = tmp_path / "run"
    done = dassim("submit", box, "--site", site(), "--ranks", 6, "--folder", run)
    assert done.code == 0, done.err
    (script,) = (run / "submissions").glob("*.sbatch")
    assert calls() == [f"--test-only {script}", f"--parsable {script}"]
    text = script.read_text()
    assert text in done.out
    assert "#SBATCH --nodes=2 --ntasks=6 --ntasks-per-node=3\n" in text
    assert "#SBATCH --requeue\n#SBATCH --signal=B:USR1@120\n" in text
    assert text.index("trap 'told=USR1' USR1") < text.index("module load mpich/4 || exit\n")
    assert "export NOTICE=120\n" in text
    assert "export JAX_PLATFORMS=cpu\n" in text
    assert f"export COMPILED={run}/submissions/compiled\n" in text
    assert "export OMP_NUM_THREADS=2\n" in text
    assert f"set -- {box.resolve()} --folder {run}\n" in text
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    (note,) = (run / "submissions").glob("*.json")
    record = json.loads(note.read_text())
    assert record["jobs"][0]["job"] == "2"
    assert record["site"]["partition"] == "ci"
    assert len(record["lock_sha256"]) == 64
    assert record["namelist"].startswith("name: ")


def test_folders_may_have_blanks(dassim, box, site, tmp_path):
    run = tmp_path / "my 5 % run"
    shown = dassim("submit", box, "--site", site(), "--folder", run, "--dry-run").out
    assert f"--output='{tmp_path}/my 5 %% run/submissions'/nature_run-%j.out\n" in shown
    assert f"set -- {box.resolve()} --folder '{run}'\n" in shown


@pytest.fixture
def chained(box, tmp_path):
    """A namelist of a chain, and the folder of its run."""
    run, namelist = tmp_path / "run", tmp_path / "chained.yaml"
    section = (
        "assimilation: {{window: {{length: 20 min}}, data: [{{run: {0}, errors: {{T: 1 K}}}}], "
        "control: {{state: {{T: 1 K}}}}}}\n"
    )
    snapshots = "snapshots: {every: 20 min}\n"
    namelist.write_text(box.read_text() + section.format(run) + snapshots)
    return namelist, run


def test_a_chain_goes_on_only_after_what_ended_well(dassim, chained, site, calls, tmp_path):
    namelist, run = chained
    options = ("submit", namelist, "--site", site(), "--chain", "--folder")
    done = dassim(*options, run)
    assert done.code == 0, done.err
    sent = [call.split() for call in calls()[5:]]
    kinds = [words[-1].rsplit("/", 1)[-1].split("_", 2)[-1] for words in sent]
    assert kinds == [
        f"{kind}.sbatch" for kind in ("nature_run", "collate", "assimilate", "nature_run", "plot")
    ]
    assert "--dependency=afterok:6" in sent[1]
    assert not any("dependency" in word for word in sent[0])
    assert f"--folder {run}/recovery --nature {run}\n" in done.out
    other = dassim(*options, tmp_path / "other")
    assert other.code == 2
    assert "assimilation.data[0].run: found" in other.err


def test_a_twins_namelist_makes_a_chain_as_it_stands(dassim, site):
    namelist = NAMELISTS / "assimilation" / "double_gyre_small.yaml"
    options = ("submit", namelist, "--site", site(), "--chain", "--dry-run")
    without = dassim(*options)
    assert without.code == 2
    assert "snapshots: found none" in without.err
    shown = dassim(*options, "--set", "snapshots.every=1 d")
    assert shown.code == 0, shown.err


def test_of_a_chain_all_jobs_are_submitted_or_none(dassim, chained, site, calls, monkeypatch):
    monkeypatch.setenv("REFUSED", "assimilate")
    done = dassim("submit", chained[0], "--site", site(), "--chain", "--folder", chained[1])
    assert done.code == 1
    assert "too many jobs" in done.err
    assert calls()[-1] == "scancel 6 7"


def test_members_of_an_ensemble_are_an_array(dassim, site, calls):
    noisy, quiet = (
        NAMELISTS / "ocean" / f"{name}.yaml" for name in ("baroclinic_adjustment", "double_gyre")
    )
    options = ("--site", site(), "--job", "ensemble", "--members", 3, "--dry-run")
    shown = dassim("submit", noisy, *options)
    assert "#SBATCH --array=0-2\n" in shown.out
    alike = dassim("submit", quiet, *options)
    assert alike.code == 2
    assert "initial.noise: found none" in alike.err
    assert calls() == []


def test_on_gpus_every_rank_has_one(dassim, box, calls):
    shown = dassim("submit", box, "--site", "gpu_nvidia", "--ranks", 6, "--dry-run")
    assert "#SBATCH --nodes=2 --ntasks=6 --ntasks-per-node=3\n" in shown.out
    assert "#SBATCH --gpus-per-node=3\n" in shown.out
    assert "export JAX_PLATFORMS=cuda,cpu\n" in shown.out
    assert "export XLA_PYTHON_CLIENT_MEM_FRACTION=0.9\n" in shown.out
    assert "export MPI4JAX_USE_CUDA_MPI=1\n" in shown.out
    assert "COMPILED" not in shown.out.split("# shellcheck")[0]


@pytest.mark.parametrize(
    ("known", "notice"),
    [
        ('{"files": {"restarts": {"count": 2, "seconds": 100.0}}}', 250),
        ('{"evaluations": 4, "seconds": 400.0}', 200),
        ("{}", 120),
    ],
)
def test_the_notice_is_longer_than_it_takes_to_stop(dassim, box, site, tmp_path, known, notice):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(known)
    shown = dassim("submit", box, "--site", site(), "--folder", run, "--dry-run")
    assert f"--signal=B:USR1@{notice}\n" in shown.out


def test_impossible_requests_are_refused_before_anything_is_submitted(
    dassim, box, site, calls, tmp_path
):
    def refused(*options, place=None):
        done = dassim("submit", box, "--site", place or site(), "--folder", tmp_path, *options)
        return done.code, done.err

    assert refused("--ranks", 97)[0] == 2
    assert "cannot be divided over 97 ranks" in refused("--ranks", 97)[1]
    code, message = refused(place="cpu_openmp")
    assert code == 2
    assert "did you mean cpu_openmpi" in message
    code, message = refused("--set", "grid.nx=none")
    assert code == 2
    code, message = refused("--set", "output=[{name: a, every: 1 d, variables: [q]}]")
    assert code == 2
    assert "output[0].variables[0]: found 'q'" in message
    code, message = refused("--job", "assimilate")
    assert code == 2
    assert "assimilation: found no such section" in message
    code, message = refused("--job", "sensitivity")
    assert code == 2
    assert "sensitivity: found no such section" in message
    code, message = refused("--time", "00:02:00")
    assert code == 2
    assert "found a time of 120 s and a notice of 120 s before its end" in message
    code, message = refused("--time", "one hour")
    assert code == 2
    assert "found the time 'one hour'" in message
    code, message = refused("--job", "nature")
    assert code == 2
    assert "did you mean nature_run" in message
    code, message = refused(place=site(more="color = 1\n"))
    assert code == 2
    assert "environment.color" in message
    assert calls() == []
    code, message = refused(place=site(partition="nowhere"))
    assert code == 1
    assert "invalid partition specified: nowhere" in message
    assert not any("--parsable" in call for call in calls())


def test_what_shows_when_the_start_is_built_is_refused_too(dassim, site, calls, monkeypatch):
    gyre = NAMELISTS / "ocean" / "double_gyre.yaml"
    options = ("submit", gyre, "--site", site(), "--dry-run", "--set", "grid={nx: 16, ny: 16}")
    too_long = (*options, "--set", "time={duration: 10 d, step: 12 h}")
    layout = ("--ranks", 4, "--set", "decomposition.layout=[2, 2]")
    refused = dassim(*too_long, *layout)
    assert refused.code == 2
    assert "time.step: found" in refused.err
    monkeypatch.setattr("dassim.cli.submit.BUILT", 1e3)
    large = dassim(*too_long, *layout)
    assert large.code == 0
    assert "grid and start not built" in large.out


def test_scripts_that_cannot_be_written_are_told(dassim, box, site, calls, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "submissions").write_text("a file")
    done = dassim("submit", box, "--site", site(), "--folder", tmp_path / "run")
    assert done.code == 1
    assert "cannot write to the folder" in done.err
    assert calls() == []


def test_without_slurm_it_says_so(dassim, box, site, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = dassim("submit", box, "--site", site(), "--folder", tmp_path / "run")
    assert done.code == 1
    assert "found no sbatch" in done.err
