"""What tests of every kind may use."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import jax
import pytest

PROJECT = Path(__file__).resolve().parents[1]

# The same examples on every rank and in every run; compilation makes first examples slow.
hypothesis.settings.register_profile("dassim", derandomize=True, deadline=None)
hypothesis.settings.load_profile("dassim")


MAPS = Path("/proc/self/maps")
MANY_MAPS = 20_000
"""Of the 65530 memory maps that Linux lets a process have; compiled programs take some each."""


@pytest.fixture(scope="module", autouse=True)
def forget_programs() -> Iterator[None]:
    """Compiled programs go when there are many: with too many, the next one crashes."""
    yield
    if MAPS.exists() and MAPS.read_text().count("\n") > MANY_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """Observed and reference data: $DASSIM_DATA, else ../shared/data beside the project."""
    folder = Path(os.environ.get("DASSIM_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"found no data in {folder}; set DASSIM_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def mpirun() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``mpirun(ranks, *command, timeout=60)``: a finished MPI program, its output as text.

    For tests of whole programs in one process. Tests in tests/parallel are on ranks already.
    """
    if importlib.util.find_spec("mpi4jax") is None:
        pytest.skip("no MPI in this environment; run tools/setup --mpi=wheel")

    def run(ranks: int, *command: str | Path, timeout: float = 60.0):
        launcher = PROJECT / "tools" / "mpirun"
        return subprocess.run(
            [launcher, str(ranks), *command],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of 1 MiB, mounted for the test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk is not allowed here")
    yield folder
    # What a library could not write to a full disk it keeps open.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
