"""The launcher of the tests reports what happens on any rank, and does not wait for ever."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.harness.launch import complaint
from tests.harness.ranks import Together

HARNESS = Path(__file__).resolve().parents[2] / "harness"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mpi4jax") is None, reason="no MPI in this environment"
)


def command(example: str, *arguments: str) -> list[str | Path]:
    return [sys.executable, HARNESS / "launch.py", HARNESS / "examples" / example, *arguments]


def launch(example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    launcher = subprocess.Popen(
        command(example, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = launcher.communicate(timeout=100)
    finally:
        launcher.terminate()
    return subprocess.CompletedProcess(launcher.args, launcher.returncode, output)


def last_line(output: str) -> str:
    return output.strip().splitlines()[-1]


def test_a_hanging_test_ends_the_run_and_shows_the_stacks_of_all_ranks():
    start = time.monotonic()
    found = launch("hang.py", "--sizes", "2")
    assert found.returncode == 1
    assert last_line(found.stdout) == "total: 0 passed, 1 failed, 0 skipped"
    rank_0, rank_1 = found.stdout.split("rank 0 in ")[1].split("rank 1 in ")
    for stacks in (rank_0, rank_1):
        assert stacks.startswith("tests/harness/examples/hang.py::test_a_rank_fails_before")
        assert "Timeout (0:00:05)!" in stacks
    assert "in test_a_rank_fails_before_a_collective_call" in rank_0
    assert "ValueError: negative layer thickness" in rank_1
    assert time.monotonic() - start < 60


def test_a_failure_on_any_rank_fails_the_test_and_shows_that_rank():
    found = launch("outcomes.py")
    assert found.returncode == 1
    assert last_line(found.stdout) == "total: 2 passed, 3 failed, 1 skipped"
    assert (
        "rank 1: failed tests/harness/examples/outcomes.py::test_fails_on_one_rank" in found.stdout
    )
    assert "only rank 1 sees this" in found.stdout
    assert "rank 0: skipped tests/harness/examples/outcomes.py::test_is_skipped_on" in found.stdout
    assert "OSError: no such file on rank 1" in found.stdout
    assert found.stdout.count("short test summary info") == 1


def test_ranks_that_collect_different_tests_do_not_start():
    found = launch("unlike.py", "--sizes", "2")
    assert found.returncode == 1
    assert (
        "ranks 0 and 1 differ in ['tests/harness/examples/unlike.py::test_case[1]']" in found.stdout
    )


def test_a_rank_that_dies_fails_the_run():
    found = launch("crash.py", "--sizes", "2")
    assert found.returncode == 1
    assert last_line(found.stdout) == "total: 1 passed, 1 failed, 0 skipped"
    assert "the run broke off with exit code" in found.stdout


@pytest.mark.parametrize(
    ("code", "size", "found"),
    [(0, 2, None), (1, 2, None), (5, 1, None), (5, 2, "found no test to run")],
)
def test_ranks_that_run_nothing_are_complained_of(code, size, found):
    assert complaint(code, size) == found


def test_stacks_are_written_of_ranks_that_wait_in_their_first_message(tmp_path, monkeypatch):
    def duplicate():
        assert watched == [7.0]
        return SimpleNamespace(rank=0, size=1)

    watched: list[float] = []
    world = SimpleNamespace(rank=0, size=1, Dup=duplicate)
    monkeypatch.setitem(
        sys.modules, "mpi4py", SimpleNamespace(MPI=SimpleNamespace(COMM_WORLD=world))
    )
    monkeypatch.setattr(Together, "watch", lambda self, seconds: watched.append(seconds))
    together = Together(1, tmp_path, 7.0)
    together.stacks.close()
    assert together.comm is not world


def test_ending_the_launcher_ends_the_ranks():
    """As continuous integration does with a job that takes too long."""
    launcher = subprocess.Popen(
        command("hang.py", "--sizes", "2"), stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout is not None
    for line in launcher.stdout:
        if "collected" in line:
            break
    children = psutil.Process(launcher.pid).children(recursive=True)
    assert len(children) >= 3  # mpiexec and two ranks
    launcher.terminate()
    launcher.communicate(timeout=30)
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert launcher.returncode == 143
