"""Run the tests without MPI and on MPI ranks, and add up what came out.

The run without MPI shares the tests out among the cores, and says which numbers of ranks they ask
for; each of these gets a run of its own. When a rank does not end a test in time, the stacks of
all ranks are shown, the ranks are ended, and the run has failed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

SECONDS_BETWEEN_STACKS = 5.0
"""How much later than the first rank the others may write their stacks."""

QUICK_TO_COMPILE = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false",
}
"""Divides the time that XLA takes by four. Where the environment says otherwise, it has its way."""

COMPILED_ONCE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
}
"""What one process has compiled (programs of one rank, above all) the others read."""

COMPLETED = (0, 1)
"""pytest's exit codes when all passed, when some failed."""
NOTHING = 5
"""pytest's exit code when there was nothing to run."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tools/test", description=__doc__, allow_abbrev=False, epilog="Others go to pytest."
    )
    parser.add_argument("--sizes", help="numbers of ranks, such as 1,2; default: all asked for")
    options, pytest_arguments = parser.parse_known_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of end(), which ends the ranks
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run_sizes(options.sizes, pytest_arguments, Path(folder))
    passed = outcomes["passed"] + outcomes["xpassed"]
    failed = outcomes["failed"] + outcomes["error"]
    skipped = outcomes["skipped"] + outcomes["xfailed"]
    print(f"\ntotal: {passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 0 if passed and not failed else 1


def run_sizes(sizes: str | None, arguments: list[str], folder: Path) -> Counter[str]:
    """Outcomes with all ``sizes`` ("1,2,3"), or with those that the tests ask for."""
    if sizes is not None:
        return sum((run(int(size), arguments, folder) for size in sizes.split(",")), Counter())
    outcomes = run(1, arguments, folder)
    plans = sorted(folder.glob("1/plan-*"), key=lambda plan: int(plan.name[5:]))
    if plans and importlib.util.find_spec("mpi4jax") is None:
        print("left out the runs on several ranks: no MPI in this environment", flush=True)
        return outcomes
    for plan in plans:
        outcomes += run(int(plan.name[5:]), [f"--plan={plan}", *arguments], folder)
    return outcomes


def run(size: int, arguments: list[str], folder: Path) -> Counter[str]:
    """Outcomes of pytest on ``size`` ranks; to break off counts as one more failure."""
    print(f"\n{'=' * 30} on {size} rank{'s' * (size > 1)} {'=' * 30}", flush=True)
    report = folder / str(size)
    report.mkdir()
    command = [sys.executable, "-m", "pytest"]
    command += ["--config-file", "pyproject.toml", "--rootdir", str(PROJECT)]
    command += [f"--ranks={size}", f"--report-folder={report}", *arguments]
    if size > 1:
        command = ["tools/mpirun", str(size), *command]
    elif not {"-n", "--pdb", "-s"}.intersection(arguments):
        # Files in their order, adjoints and jobs first: the longest tests are in small files.
        command += ["-n", str(len(os.sched_getaffinity(0))), "--dist", "loadfile"]
        command += ["--no-loadscope-reorder"]

    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    environment = QUICK_TO_COMPILE | COMPILED_ONCE | cache | os.environ
    process = subprocess.Popen(command, cwd=PROJECT, env=environment)
    try:
        problem = wait(process, size, report)
    finally:
        end(process, report)
    outcomes = Counter(read(report / "outcomes").splitlines())
    if problem is None and process.returncode == 1 and not outcomes["failed"] + outcomes["error"]:
        problem = "pytest failed without a failed test"
    if problem is not None:
        print(f"\non {size} ranks: {problem}", flush=True)
        outcomes["failed"] += 1
    return outcomes


def wait(process: subprocess.Popen[bytes], size: int, report: Path) -> str | None:
    """What kept the run from its end, if anything."""
    while process.poll() is None:
        if any(has_stacks(report, rank) for rank in range(size)):
            last = time.monotonic() + SECONDS_BETWEEN_STACKS
            while time.monotonic() < last and not all(has_stacks(report, r) for r in range(size)):
                time.sleep(0.1)
            return "\n\n".join(["a test ran into its time limit", *states(report, size)])
        time.sleep(0.1)
    return complaint(process.returncode, size)


def complaint(code: int, size: int) -> str | None:
    """What is wrong with a run of ``size`` ranks that ended with ``code``, if anything. Without MPI
    there may be nothing to run: all tests may ask for more ranks."""
    if code in COMPLETED or (code == NOTHING and size == 1):
        return None
    return "found no test to run" if code == NOTHING else f"the run broke off with exit code {code}"


def has_stacks(report: Path, rank: int) -> bool:
    stacks = report / f"stacks-{rank}"
    return stacks.exists() and stacks.stat().st_size > 0


def states(report: Path, size: int) -> list[str]:
    """For every rank the test that it is in, why it failed there, and its stacks."""
    return [
        f"rank {rank} in {read(report / f'test-{rank}') or 'no test'}\n"
        f"{read(report / f'failure-{rank}')}\n"
        f"{without_pytest(read(report / f'stacks-{rank}')) or 'wrote no stacks'}"
        for rank in range(size)
    ]


def without_pytest(stacks: str) -> str:
    frames = stacks.splitlines()
    return "\n".join(f for f in frames if "/_pytest/" not in f and "/pluggy/" not in f)


def read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def end(process: subprocess.Popen[bytes], report: Path) -> None:
    """End the ranks, whose launcher then ends by itself, or is made to."""
    if process.poll() is not None:
        return
    for file in report.glob("pid-*"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
