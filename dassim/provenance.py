"""Which code and which libraries produce a result: for reports of bugs, and beside every output."""

from __future__ import annotations

import platform
import subprocess
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


def commit() -> str | None:
    """The commit of the checkout that runs, with ``+changes`` if it has any; None elsewhere."""
    checkout = Path(__file__).parents[1]
    if not (checkout / ".git").exists():
        return None

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
