"""The files of ``jobs`` can be used as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dassim.config.site import load_site

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.mark.parametrize("site", sorted(file.stem for file in (JOBS / "sites").glob("*.toml")))
def test_sites_can_be_read(site):
    assert load_site(site, JOBS / "sites").description


@pytest.mark.parametrize("script", ["chain", *sorted(f.name for f in JOBS.glob("*.s*"))])
def test_scripts_have_no_errors_of_syntax(script):
    assert subprocess.run(["bash", "-n", JOBS / script]).returncode == 0


@pytest.mark.parametrize("restarts", [0, 20])
def test_a_job_that_is_not_done_goes_back_in_line_some_times(tmp_path, restarts):
    """``scontrol requeue`` would end the script; here it says that it was called and fails."""
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho requeue called\nexit 1\n")
    (tmp_path / "scontrol").chmod(0o755)
    ended = subprocess.run(
        ["bash", "-c", f'source "{JOBS}/common.sh"; until_done bash -c "exit 75"'],
        capture_output=True,
        text=True,
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "JOBS": str(JOBS),
            "LAUNCH": "env",
            "SLURM_JOB_ID": "7",
            "SLURM_RESTART_COUNT": str(restarts),
        },
    )
    assert ended.returncode == 1
    assert ("requeue called" in ended.stdout) is (restarts < 20)


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
