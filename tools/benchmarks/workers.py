"""Benchmarks in processes of their own, on one or several ranks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
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


def answer(words: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object in the last line that the command prints; ends this program if it fails."""
    given = {**LARGE_PAGES, **os.environ, **(environment or {})}
    return json.loads(printed(words, given).splitlines()[-1])


def printed(words: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What the command prints, in this ``environment``; ends this program if it fails."""
    done = subprocess.run(
        words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)
    return done.stdout


def seconds(words: Sequence[str], environment: Mapping[str, str]) -> float:
    """Until the command has ended; ends this program if it fails."""
    begin = time.perf_counter()
    printed(words, environment)
    return time.perf_counter() - begin


def cache_in(folder: Path) -> dict[str, str]:
    """The environment of a command that keeps compiled programs in ``folder``."""
    own = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    return environment | {"XDG_CACHE_HOME": str(folder / "cache")}


def version(python: str, package: str) -> str:
    """Of a package in the environment of ``python``."""
    words = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    return printed((python, "-c", words, package)).strip()


def built(namelist: Any, comm: Any = None) -> Any:
    """Its experiment, without a word."""
    from dassim.config.experiment import build_experiment

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_experiment(namelist, comm)


def pin(rank: int = 0) -> None:
    """Keep this process to a core of its own, where the system lets it be chosen."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
