"""Fields of files of other grids, on any number of ranks."""

from __future__ import annotations

import numpy as np

from dassim.parallel import SerialCommunicator, world
from tests.models.namelists import integrate
from tests.models.terrain import build, made_up

STEPS = 100


def fields(experiment, steps):
    """Whole fields on every rank: at the start, after ``steps``, and what lies below."""
    state, parameters = experiment.state, experiment.parameters
    end = integrate(experiment.model, parameters, state, steps)
    found = {
        "ps at the start": state.ps,
        "u at the start": state.u,
        "ground": parameters.orography,
        "surface": parameters.surface_temperature.values,
        "wetness": parameters.wetness,
        "ps": end.ps,
        "T": end.T,
        "q": end.tracers["q"],
        "pr": end.fluxes["prc"] + end.fluxes["prl"],
    }
    return {name: experiment.model.domain.gather(value) for name, value in found.items()}


def test_real_ground_is_the_same_on_all_ranks(folder):
    comm = world()
    overrides = comm.bcast(made_up(folder) if comm.is_root else None)
    together = fields(build(overrides, comm), STEPS)
    alone = fields(build(overrides, SerialCommunicator()), STEPS) if comm.is_root else None
    alone = comm.bcast(alone)
    for name, whole in alone.items():
        scale = np.abs(whole).max()
        assert scale > 0.0, name
        assert np.abs(together[name] - whole).max() <= 1e-12 * scale, name
