"""Benchmarks in processes of their own, on one or several ranks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]

ONE_CORE = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "OMP_NUM_THREADS": "1",
    "NPROC": "1",
    "JAX_PLATFORMS": "cpu",
}
"""Environment of a process that keeps to one core."""

LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""What tools/mpirun sets: so that one process has the memory that ranks have."""


def command(module: str, *options: Any, ranks: int = 0) -> tuple[str, ...]:
    """The command of a benchmark's module; with ``ranks``, by the MPI launcher."""
    launcher = (str(PROJECT / "tools" / "mpirun"), str(ranks)) if ranks else ()
    name = f"tools.benchmarks.{module}"
    return (*launcher, sys.executable, "-m", name, *map(str, options))


def answer(words: tuple[str, ...], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object in the last line that the command prints; ends this program if it fails."""
    done = subprocess.run(
        words,
        cwd=PROJECT,
        env={**LARGE_PAGES, **os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)
    return json.loads(done.stdout.splitlines()[-1])


def pin(rank: int = 0) -> None:
    """Keep this process to a core of its own, where the system lets it be chosen."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
