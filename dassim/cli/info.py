"""``dassim info``: what a report of a bug needs to say."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dassim.cli.options import Overrides

if TYPE_CHECKING:
    from dassim.parallel import AbstractCommunicator

SETTINGS = (
    "CUDA_VISIBLE_",
    "JAX_",
    "XLA_",
    "MPI4JAX_",
    "NPROC",
    "OMP_NUM_THREADS",
    "GLIBC_TUNABLES",
    "DASSIM_",
)
"""Environment variables that change a run begin with these."""

Facts = Mapping[str, str]


def command(
    namelist: Annotated[
        Path | None,
        typer.Argument(metavar="[NAMELIST]", help="Show its decomposition.", show_default=False),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Print versions, machine, MPI, devices and, for a namelist, the decomposition."""
    from dassim.cli.ranks import agreed
    from dassim.parallel import SerialCommunicator, world
    from dassim.parallel.diagnosis import mpi_facts
    from dassim.provenance import job, versions

    try:
        comm, broken = world(), {}
    except ImportError as error:
        comm, broken = SerialCommunicator(), {"ranks": str(error)}
    plan = agreed(comm, lambda: _plan(namelist, overrides or [], comm.size)) if namelist else {}
    hosts = comm.gather(os.uname().nodename)
    if not comm.is_root:
        return
    sections = {
        "versions": versions(),
        "machine": machine_facts(),
        "ranks": rank_facts(comm, hosts or [], os.environ) | broken | mpi_facts(),
        "job": job(),
        "JAX": jax_facts(os.environ),
        str(namelist): plan,
    }
    _print({title: facts for title, facts in sections.items() if facts})


def machine_facts() -> Facts:
    """System, processors and memory of this host."""
    system = os.uname()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{system.sysname} {system.release} {system.machine}",
        "processors": f"{usable} usable of {os.cpu_count()}",
        "memory": f"{total / 2**30:.1f} GiB",
    }


def rank_facts(
    comm: AbstractCommunicator, hosts: list[str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Number and hosts of the ranks, and what the launcher says of them."""
    from dassim.parallel.communicator import LAUNCHER_VARIABLES

    launcher = [f"{k}={environment[k]}" for k in LAUNCHER_VARIABLES if k in environment]
    return {
        "ranks": str(comm.size),
        "hosts": ", ".join(f"{host} x {count}" for host, count in Counter(hosts).items()),
        "launcher": " ".join(launcher) or "none",
    }


def jax_facts(environment: Mapping[str, str]) -> Facts:
    """Devices and settings of JAX in this process."""
    import jax

    try:
        kinds = Counter(f"{device.platform} {device.device_kind}" for device in jax.local_devices())
        devices = ", ".join(f"{kind} x {count}" for kind, count in kinds.items())
    except RuntimeError as error:
        devices = f"none: {error}"
    settings = {name: environment[name] for name in environment if name.startswith(SETTINGS)}
    enabled = jax.config.read("jax_enable_x64")
    return {"devices": devices, "x64 by default": str(enabled), **dict(sorted(settings.items()))}


def _plan(namelist: Path, overrides: list[str], ranks: int) -> Facts:
    from dassim.config import Namelist, load
    from dassim.config.plan import plan

    loaded = load(namelist, Namelist, overrides=overrides)
    with loaded.located():
        return {"decomposition": str(plan(loaded.namelist, ranks))}


def _print(sections: Mapping[str, Facts]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for title, facts in sections.items():
        console.print(Text(title, "bold"))
        for name, value in facts.items():
            console.print(Text(f"  {name:<22}", "cyan") + Text(value), soft_wrap=True)
