"""``dassim submit`` up to the doors of Slurm, which is a script of its own here."""

from __future__ import annotations

import json
import subprocess

import pytest

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
    (folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
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
    assert "#SBATCH --requeue --signal=B:USR1@120\n" in text
    assert "module load mpich/4\n" in text
    assert "export OMP_NUM_THREADS=2\n" in text
    assert f"set -- {box.resolve()} --folder {run}\n" in text
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    (note,) = (run / "submissions").glob("*.json")
    record = json.loads(note.read_text())
    assert record["jobs"][0]["job"] == "2"
    assert record["site"]["partition"] == "ci"
    assert len(record["lock_sha256"]) == 64
    assert record["namelist"].startswith("name: ")


def test_a_chain_goes_on_only_after_what_ended_well(dassim, box, site, calls, tmp_path):
    run, namelist = tmp_path / "run", tmp_path / "chained.yaml"
    section = (
        "assimilation: {{window: {{length: 20 min}}, data: [{{run: {0}, errors: {{T: 1 K}}}}], "
        "control: {{state: {{T: 1 K}}}}}}\n"
    )
    namelist.write_text(box.read_text() + section.format(run))
    options = ("submit", namelist, "--site", site(), "--chain", "--folder")
    done = dassim(*options, run)
    assert done.code == 0, done.err
    sent = [call.split() for call in calls()[4:]]
    kinds = [words[-1].rsplit("/", 1)[-1].split("_", 2)[-1] for words in sent]
    assert kinds == [
        f"{kind}.sbatch" for kind in ("nature_run", "collate", "assimilate", "nature_run")
    ]
    assert "--dependency=afterok:5" in sent[1]
    assert not any("dependency" in word for word in sent[0])
    other = dassim(*options, tmp_path / "other")
    assert other.code == 2
    assert "assimilation.data[0].run: found" in other.err


def test_members_of_an_ensemble_are_an_array(dassim, box, site, calls):
    shown = dassim(
        "submit", box, "--site", site(), "--job", "ensemble", "--members", 3, "--dry-run"
    )
    assert "#SBATCH --array=0-2\n" in shown.out
    assert calls() == []


def test_the_notice_is_longer_than_restarts_take(dassim, box, site, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"files": {"restarts": {"count": 2, "seconds": 100.0}}}')
    shown = dassim("submit", box, "--site", site(), "--folder", run, "--dry-run")
    assert "--signal=B:USR1@250\n" in shown.out


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


def test_without_slurm_it_says_so(dassim, box, site, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = dassim("submit", box, "--site", site(), "--folder", tmp_path / "run")
    assert done.code == 1
    assert "found no sbatch" in done.err
