"""What MPI this environment has, found out in a process of its own.

An MPI library that does not fit may abort when it is loaded; here it takes only the child with it.
"""

from __future__ import annotations

import json
import subprocess
import sys


def mpi_facts(timeout: float = 60.0) -> dict[str, str]:
    """MPI library and vendor, and what mpi4jax was built against; or why they do not load."""
    command = [sys.executable, "-m", __name__]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"MPI": f"did not load within {timeout:g} s"}
    if child.returncode != 0:
        last = child.stderr.strip().splitlines()[-1:] or [""]
        return {"MPI": f"ends the process when loaded (code {child.returncode}): {last[0]}"}
    return json.loads(child.stdout.splitlines()[-1])


def _load() -> dict[str, str]:
    try:
        import mpi4py

        mpi4py.rc.initialize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        return {"MPI": _one_line(f"mpi4py does not load: {error}")}
    name, version = MPI.get_vendor()
    facts = {
        "MPI library": _one_line(MPI.Get_library_version()),
        "MPI vendor": f"{name} {'.'.join(map(str, version))}",
    }
    try:
        import mpi4jax
        from mpi4jax._src.xla_bridge import mpi_xla_bridge_cpu  # type: ignore[attr-defined]
    except (ImportError, RuntimeError) as error:
        return facts | {"mpi4jax": _one_line(f"does not load: {error}")}
    built = mpi_xla_bridge_cpu.MPI_ABI_INFO
    cuda = "with" if mpi4jax.has_cuda_support() else "without"
    return facts | {
        "mpi4jax built for": f"{_one_line(built['mpi_library_version'])}, {cuda} CUDA",
    }


def _one_line(text: str) -> str:
    """The first line, blanks run together."""
    return " ".join(text.strip("\0\n ").partition("\n")[0].split())


if __name__ == "__main__":
    print(json.dumps(_load()))
