"""The namelists of the project, built and stepped: as they stand, or on fewer points for tests."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

from dassim.config import Namelist, NamelistWarning, load
from dassim.config.experiment import Experiment, build_experiment
from dassim.parallel import AbstractCommunicator, SerialCommunicator, world

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES: Mapping[str, tuple[str, ...]] = {"real_terrain": ("jcm", "neuralgcm")}
"""Namelists that read files of packages which are no part of the set-up; they have own tests."""

OCEAN, ATMOSPHERE = (
    {
        path.stem: path
        for path in sorted((PROJECT / "namelists" / fluid).glob("*.yaml"))
        if path.stem not in PACKAGES
    }
    for fluid in ("ocean", "atmosphere")
)

SMALLER: Mapping[str, tuple[str, ...]] = {
    "double_gyre": ("grid.nx=32", "grid.ny=32"),
    "double_gyre_levels": ("grid.nx=32", "grid.ny=32"),
    "reentrant_channel": ("grid.nx=20", "grid.ny=40", "vertical.nz=8"),
    "reentrant_channel_coarse": ("grid.nx=20", "grid.ny=40", "vertical.nz=8"),
    "seamount": ("grid.nx=32", "grid.ny=32", "vertical.nz=10"),
    "aquaplanet": ("grid.nx=32", "grid.ny=16", "vertical.nz=5"),
    "galewsky": ("grid.nx=32", "grid.ny=16"),
    "held_suarez": ("grid.nx=32", "grid.ny=16", "vertical.nz=6"),  # of 5, one lies on the kink
    "jablonowski_williamson_steady": ("grid.nx=32", "grid.ny=16", "vertical.nz=5"),
    "jablonowski_williamson_wave": ("grid.nx=32", "grid.ny=16", "vertical.nz=5"),
    "real_terrain": ("grid.nx=32", "grid.ny=16", "vertical.nz=10"),
    "williamson_2": ("grid.nx=32", "grid.ny=16"),
    "williamson_5": ("grid.nx=32", "grid.ny=16"),
    "williamson_6": ("grid.nx=32", "grid.ny=16"),
}
"""What makes a namelist small enough for a test that every change runs."""

OCEAN_SCALE = {"u": 1e-2, "v": 1e-2, "eta": 1e-2, "T": 1.0, "S": 1.0}
"""The least that differences are measured against: round-off in a state of rest is no flow."""
AIR_SCALE = {"u": 10.0, "v": 10.0, "q": 1e-2}
"""The same in air, where round-off of the temperature, 1e-13 K, makes 1e-12 m/s within hours."""


def with_set(overrides: Iterable[str]) -> list[str]:
    """The overrides as options of a command."""
    return [word for override in overrides for word in ("--set", override)]


def environment() -> dict[str, str]:
    """That of the process, with the folder of the data beside the project if it says no other."""
    return {"DASSIM_DATA": str(PROJECT.parent / "shared" / "data"), **os.environ}


def build(
    name: str, overrides: Iterable[str] = (), comm: AbstractCommunicator | None = None
) -> Experiment:
    """The experiment of the namelist ``name``; warnings are left to other tests."""
    path = {**OCEAN, **ATMOSPHERE}[name]
    loaded = load(path, Namelist, overrides=overrides, environment=environment())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        return build_experiment(loaded.namelist, comm)


@eqx.filter_jit
def integrate(model, parameters, state, steps: int):
    """``state`` after ``steps`` steps."""
    return jax.lax.fori_loop(0, steps, lambda _, x: model.step(parameters, x), state)


def run(
    name: str, steps: int, overrides: Iterable[str] = (), comm: AbstractCommunicator | None = None
) -> dict[str, np.ndarray]:
    """The whole fields after ``steps`` steps on the ranks of ``comm``, on each of them."""
    experiment = build(name, overrides, comm)
    state = integrate(experiment.model, experiment.parameters, experiment.state, steps)
    owned = {field: value.data for field, value in state.fields().items()}
    gathered = {field: experiment.model.domain.gather(value) for field, value in owned.items()}
    return {
        field: whole.squeeze(0) if field == "eta" else whole for field, whole in gathered.items()
    }


def differences_between_ranks(
    name: str, steps: int, overrides: Iterable[str] = (), divided: Iterable[str] = ()
) -> dict[str, float]:
    """The largest difference of each variable after ``steps`` steps between a run on all ranks of
    this program, with the overrides ``divided`` as well, and one on rank 0 alone, relative to its
    largest value."""
    comm = world()
    alone = run(name, steps, overrides, SerialCommunicator()) if comm.is_root else None
    together = run(name, steps, (*overrides, *divided), comm)
    if alone is None:
        return comm.bcast(None)
    scale = AIR_SCALE if name in ATMOSPHERE else OCEAN_SCALE
    return comm.bcast(
        {
            field: float(abs(together[field] - whole).max())
            / max(float(abs(whole).max()), scale.get(field, 1.0))
            for field, whole in alone.items()
        }
    )


if __name__ == "__main__":  # tools/mpirun 4 python -m tests.models.namelists double_gyre 100
    jax.config.update("jax_enable_x64", True)
    found = differences_between_ranks(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
    if world().is_root:
        print(json.dumps(found))
