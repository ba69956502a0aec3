"""From a namelist of the ocean to its model, parameters and state."""

from __future__ import annotations

import warnings
from dataclasses import replace

from dassim.config.arrays import as_arrays
from dassim.config.build import build_domain, build_grid
from dassim.config.experiment import Experiment
from dassim.config.ocean.findings import findings, require_connected
from dassim.config.ocean.forcing import sources, surface_forcing
from dassim.config.ocean.initial import initial_fields, initial_state
from dassim.config.ocean.objectives import OBJECTIVES
from dassim.config.ocean.physics import coefficients, ocean_model
from dassim.config.ocean.reload import Reloads
from dassim.config.points import Basin
from dassim.config.schema import OceanNamelist
from dassim.parallel import AbstractCommunicator


def build_ocean(namelist: OceanNamelist, comm: AbstractCommunicator | None = None) -> Experiment:
    """This rank's part of the ocean that ``namelist`` describes; ``comm``: all ranks that take
    part, by default those of this run. All ranks call this together.

    Raises NamelistError for what cannot run, on all ranks alike. Warns on rank 0 (NamelistWarning)
    of a time step beyond a limit, unstable stratification and extrapolated values.
    """
    physics, time = namelist.physics, namelist.time
    grid = build_grid(namelist, build_domain(namelist, comm))
    require_connected(grid)
    basin = Basin.of(grid)
    fields = initial_fields(namelist.initial, basin)
    model = ocean_model(physics, grid, time.step)
    forcing, reloads = surface_forcing(namelist.forcing, basin, time)
    parameters = replace(
        coefficients(physics, grid.levels),
        forcing=forcing,
        sources=sources(namelist.forcing, fields, basin, time),
    )
    parameters = as_arrays(parameters, namelist.precision)
    state = model.start(initial_state(namelist.initial, fields, basin))
    for finding in findings(model, parameters, state, namelist.expected_speed or 0.0):
        if grid.domain.comm.is_root:
            warnings.warn(finding, stacklevel=2)
    refresh = Reloads(reloads, time.step) if reloads else None
    return Experiment(namelist.name, model, parameters, state, time, refresh, OBJECTIVES)
