"""The files of ``jobs`` can be used as they are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from dassim.config import NamelistError
from dassim.config.site import load_site

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.mark.parametrize("site", sorted(file.stem for file in (JOBS / "sites").glob("*.toml")))
def test_sites_can_be_read(site):
    assert load_site(site, JOBS / "sites").description


def test_a_site_has_a_gpu_for_every_rank(tmp_path):
    text = 'description = "few"\nranks_per_node = 4\ngpus_per_node = 2\n'
    (tmp_path / "few.toml").write_text(text)
    with pytest.raises(NamelistError, match="found 4 ranks on a node with 2 GPUs"):
        load_site("few", tmp_path)


def test_an_image_has_a_path_without_blanks(tmp_path):
    (tmp_path / "blank.toml").write_text('description = "blank"\ncontainer = "/my images/a.sif"\n')
    with pytest.raises(NamelistError, match=r"found '/my images/a.sif'; expected a path without"):
        load_site("blank", tmp_path)


def test_an_installation_without_jobs_says_so(tmp_path):
    with pytest.raises(NamelistError, match=r"found no folder .*; expected a clone's jobs/sites"):
        load_site("cray", tmp_path / "sites")


@pytest.mark.parametrize("script", ["chain", "rank", *sorted(f.name for f in JOBS.glob("*.s*"))])
def test_scripts_have_no_errors_of_syntax(script):
    assert subprocess.run(["bash", "-n", JOBS / script]).returncode == 0


@pytest.fixture
def bash(tmp_path):
    """``bash(script, NAME=VALUE)``: ends after the functions of jobs/common.sh are known, outside
    Slurm. ``scontrol requeue`` would end the script; here it says that it was called and fails."""
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho requeue called\nexit 1\n")
    (tmp_path / "scontrol").chmod(0o755)
    known = {"PATH": f"{tmp_path}:/usr/bin:/bin", "JOBS": str(JOBS), "LAUNCH": "env"}
    known["NOTICE"] = "1000"  # what is left behind and waits for its end stops the test

    def run(script, **environment):
        return subprocess.run(
            ["bash", "-c", f'source "{JOBS}/common.sh"; {script}'],
            capture_output=True,
            text=True,
            env=known | environment,
        )

    return run


@pytest.mark.parametrize("restarts", [0, 20])
def test_a_job_that_is_not_done_goes_back_in_line_some_times(bash, restarts):
    ended = bash(
        'until_done bash -c "exit 75"', SLURM_JOB_ID="7", SLURM_RESTART_COUNT=str(restarts)
    )
    assert ended.returncode == 1
    assert ("requeue called" in ended.stdout) is (restarts < 20)
    assert ("cannot go back in line" in ended.stdout) is (restarts < 20)


def test_a_rank_that_is_killed_fails_the_job_and_says_so(bash):
    ended = bash("until_done bash -c 'kill -KILL $$'", SLURM_JOB_ID="7")
    assert ended.returncode == 137
    assert "a rank was killed" in ended.stdout
    assert "requeue" not in ended.stdout


def test_ranks_that_cannot_hear_the_signal_yet_go_back_in_line(bash):
    ended = bash("until_done bash -c 'kill -USR1 $PPID; sleep 10'", SLURM_JOB_ID="7")
    assert ended.returncode == 1
    assert "requeue called" in ended.stdout


def test_ranks_are_told_until_they_listen(bash):
    deaf = """trap "" USR1; kill -USR1 $PPID; sleep 1"""
    ranks = f"""{deaf}; trap "exit 75" USR1; for _ in {{1..100}}; do sleep 0.1; done"""
    ended = bash(f"until_done bash -c '{ranks}'", SLURM_JOB_ID="7", NOTICE="12")
    assert "stopped in good order" in ended.stdout
    assert "requeue called" in ended.stdout


def test_ranks_that_do_not_stop_in_time_go_back_in_line(bash):
    deaf = """trap "" USR1; kill -USR1 $PPID; while :; do sleep 0.1; done"""
    ended = bash(f"until_done bash -c '{deaf}'", SLURM_JOB_ID="7", NOTICE="2")
    assert "after 1 s the ranks have not stopped" in ended.stdout
    assert "requeue called" in ended.stdout


def test_a_job_that_is_cancelled_does_not_come_back(bash):
    ended = bash("until_done bash -c 'kill -TERM $PPID; sleep 0.2; exit 75'", SLURM_JOB_ID="7")
    assert ended.returncode == 138
    assert "was cancelled" in ended.stdout
    assert "requeue" not in ended.stdout


def test_ranks_do_not_begin_after_the_signal(bash):
    ended = bash("until_done echo ranks", told="USR1", SLURM_JOB_ID="7")
    assert "requeue called" in ended.stdout
    assert "\nranks\n" not in ended.stdout


def test_ranks_have_threads_gpus_and_compiled_programs_of_their_own(bash):
    show = "on_ranks sh -c 'echo $NPROC $OMP_NUM_THREADS $CUDA_VISIBLE_DEVICES $SRUN_CPUS_PER_TASK'"
    slurm = {"SLURM_CPUS_PER_TASK": "3", "SLURM_LOCALID": "1"}
    assert "\n3 3 7 3\n" in bash(show, CUDA_VISIBLE_DEVICES="6,7", **slurm).stdout
    assert "\n3 3 6 3\n" in bash(show, CUDA_VISIBLE_DEVICES="6", **slurm).stdout
    refused = bash(show, CUDA_VISIBLE_DEVICES="6,7", **slurm | {"SLURM_LOCALID": "2"})
    assert refused.returncode == 1
    assert "found 2 GPUs for rank 3 of this node" in refused.stderr
    by_mpi = bash(show, CUDA_VISIBLE_DEVICES="6,7", MPI_LOCALRANKID="0", **slurm)
    assert "\n3 3 6 3\n" in by_mpi.stdout
    pages = "on_ranks printenv GLIBC_TUNABLES"
    assert "\nglibc.malloc.hugetlb=1\n" in bash(pages, **slurm).stdout
    assert "\nmine\n" in bash(pages, GLIBC_TUNABLES="mine", **slurm).stdout
    cache = "on_ranks printenv JAX_COMPILATION_CACHE_DIR"
    assert re.search(r"\n/programs/\d+\n", bash(cache, COMPILED="/programs").stdout)
    mine = bash(cache, COMPILED="/programs", JAX_COMPILATION_CACHE_DIR="/mine")
    assert "\n/mine\n" in mine.stdout


def test_a_code_that_all_ranks_agree_on_does_not_end_them_by_a_signal(bash, tmp_path):
    agreed = "on_ranks sh -c 'echo 75 > $DASSIM_EXIT_CODE'"
    ended = bash(agreed, LOGS=str(tmp_path))
    assert ended.returncode == 75
    assert "stopped in good order" in ended.stdout
    assert not list(tmp_path.glob(".exit-code*"))
    assert bash("on_ranks true", LOGS=str(tmp_path)).returncode == 0


def test_where_no_code_can_be_left_the_code_of_the_ranks_is_that_of_the_job(bash):
    ended = bash("on_ranks sh -c 'printenv DASSIM_EXIT_CODE || exit 75'", LOGS="/nowhere")
    assert ended.returncode == 75
    assert not ended.stderr


def test_the_file_of_another_job_is_left_alone(bash, tmp_path):
    shown = bash("printenv DASSIM_EXIT_CODE || echo none", DASSIM_EXIT_CODE=str(tmp_path / "code"))
    assert shown.stdout == "none\n"


def test_an_ensemble_without_its_folder_is_refused(bash):
    ended = subprocess.run(
        ["bash", JOBS / "ensemble.sbatch", "box.yaml"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "JOBS": str(JOBS)},
    )
    assert ended.returncode == 2
    assert "found 1 arguments; expected sbatch jobs/ensemble.sbatch NAMELIST RUN" in ended.stdout


def test_a_signal_reaches_the_ranks_and_their_code_the_job():
    ranks = "trap 'echo told; exit 3' USR1; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        ["bash", "-c", f'source "{JOBS}/common.sh"; on_ranks bash -c "$RANKS"'],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "JOBS": str(JOBS), "LAUNCH": "env", "RANKS": ranks},
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() not in ("ready\n", ""):
            pass
        process.terminate()
        rest = process.stdout.read()
    assert "told" in rest
    assert process.returncode == 3
