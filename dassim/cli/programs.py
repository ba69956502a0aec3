"""What JAX is told before a command compiles anything: float64, and where programs are kept."""

from __future__ import annotations

import os
import re
import socket
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dassim.parallel import AbstractCommunicator

MOST_RANKS = 16
"""Ranks that keep programs without being told where: more would crowd a shared home folder."""


THREADS = ("NPROC", "OMP_NUM_THREADS")
"""Variables that say how many threads a process has: XLA's, and those of other libraries."""


@contextmanager
def kept_to_cores(comm: AbstractCommunicator, count: int) -> Iterator[None]:
    """This process with ``count`` threads on as many cores, others than those of the ranks beside
    it, where it may choose; for what JAX is first asked within. All ranks call this together."""
    hosts = comm.allgather(socket.gethostname())
    beside = hosts[: comm.rank].count(hosts[comm.rank])
    threads = {name: os.environ.get(name) for name in THREADS}
    may_choose = hasattr(os, "sched_setaffinity")
    before = os.sched_getaffinity(0) if may_choose else set()
    try:
        os.environ |= dict.fromkeys(THREADS, str(count))
        if may_choose:
            cores = sorted(before)
            own = {cores[(beside * count + k) % len(cores)] for k in range(count)}
            os.sched_setaffinity(0, own)
        yield
    finally:
        if may_choose:
            os.sched_setaffinity(0, before)
        for name, value in threads.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def prepare_jax(comm: AbstractCommunicator) -> None:
    """Compute in float64, and take programs from earlier commands where they can be kept.

    ``JAX_COMPILATION_CACHE_DIR`` has its way; ``JAX_ENABLE_COMPILATION_CACHE=false`` keeps none.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    folder = folder_of_programs(comm, os.environ)
    if folder is None or not _made(folder):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def folder_of_programs(
    comm: AbstractCommunicator,
    environment: Mapping[str, str],
    cpuinfo: Path = Path("/proc/cpuinfo"),
) -> Path | None:
    """The folder of this rank's compiled programs; ``None`` where they would not serve again.

    One for each kind of processor, since what is compiled for one may not run on another, and for
    each rank, so that no rank reads what another one of this command is still writing.
    """
    if comm.size > MOST_RANKS or not comm.same_in_later_runs:
        return None
    cache = environment.get("XDG_CACHE_HOME") or _cache_of_home()
    if cache is None:
        return None
    return Path(cache) / "dassim" / "programs" / _processor(cpuinfo) / f"rank{comm.rank}"


def _cache_of_home() -> Path | None:
    try:
        return Path("~/.cache").expanduser()
    except RuntimeError:  # there is no home
        return None


def _processor(cpuinfo: Path) -> str:
    """A word that stands for the processor's instructions."""
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    found = re.search(r"^(flags|features)\b.*", text, re.IGNORECASE | re.MULTILINE)
    return f"{zlib.crc32(found[0].encode()):08x}" if found else os.uname().machine


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
