"""Which code and which libraries produce a result: for reports of bugs, and beside every output."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from dassim._version import __version__

LIBRARIES = (
    "jax",
    "jaxlib",
    "equinox",
    "numpy",
    "scipy",
    "mpi4py",
    "mpi4jax",
    "h5py",
    "netCDF4",
    "xarray",
    "pydantic",
    "checkpoint-schedules",
)


def versions() -> dict[str, str]:
    """Versions of dassim, Python and the libraries; ``not installed`` where one is missing."""
    return {
        "dassim": __version__,
        "commit": commit() or "unknown",
        "python": platform.python_version(),
        **{library: _version_of(library) for library in LIBRARIES},
    }


JOB = {
    "id": "SLURM_JOB_ID",
    "array": "SLURM_ARRAY_JOB_ID",
    "member": "SLURM_ARRAY_TASK_ID",
    "restarts": "SLURM_RESTART_COUNT",
    "cluster": "SLURM_CLUSTER_NAME",
    "partition": "SLURM_JOB_PARTITION",
    "nodes": "SLURM_JOB_NODELIST",
    "container": "APPTAINER_CONTAINER",
}
"""What Slurm and Apptainer say of a job, and where they say it."""


def job(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The batch job that this is, and the modules it has loaded; empty where there are none.

    >>> job({"SLURM_JOB_ID": "7", "LOADEDMODULES": "gcc/13:mpich/4"})
    {'id': '7', 'modules': 'gcc/13, mpich/4'}
    """
    found = {
        name: environment[variable] for name, variable in JOB.items() if variable in environment
    }
    modules = ", ".join(environment.get("LOADEDMODULES", "").split(":"))
    return found | ({"modules": modules} if modules else {})


def commit() -> str | None:
    """The commit of the checkout that runs, with ``+changes`` if it has any; elsewhere what
    ``$DASSIM_COMMIT`` says, which containers set; None where nothing does."""
    checkout = Path(__file__).parents[1]
    if not (checkout / ".git").exists():
        return os.environ.get("DASSIM_COMMIT")

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _version_of(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
