"""From the ``initial`` section to the state at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from dassim.config.noise import normal_noise
from dassim.config.ocean.variables import entries, points_of
from dassim.config.points import Basin
from dassim.config.profiles import values
from dassim.config.schema.ocean.initial import Initial
from dassim.ocean import OceanState

SECTION = ("initial",)


def initial_fields(initial: Initial, basin: Basin) -> dict[str, np.ndarray]:
    """The variables that the namelist speaks of, before noise: arrays that broadcast to
    ``(nz, ny, nx)``, for the sea level to ``(1, ny, nx)``."""
    return {
        name: values(profile, points_of(basin, name), key)
        for name, profile, key in entries(initial, SECTION)
    }


def initial_state(initial: Initial, fields: Mapping[str, np.ndarray], basin: Basin) -> OceanState:
    """The ``fields`` and noise, at rest where there are none; 0 on land."""
    fields = dict(fields)
    for noise in entries(initial.noise, (*SECTION, "noise")):
        if noise.value:
            at = points_of(basin, noise.name)
            unit = normal_noise(basin.grid.domain, len(at.wet), noise.name, initial.noise.seed)
            fields[noise.name] = fields.get(noise.name, 0.0) + noise.value * unit
    whole = {name: _on_wet_points(basin, name, field) for name, field in fields.items()}
    rest = OceanState.at_rest(
        basin.grid,
        T=whole.pop("T"),
        S=whole.pop("S"),
        tracers={name: whole.pop(name) for name in initial.tracers},
    )
    return replace(rest, **{name: field.astype(rest.T.dtype) for name, field in whole.items()})


def _on_wet_points(basin: Basin, name: str, field: np.ndarray) -> jax.Array:
    at = points_of(basin, name)
    masked = jnp.asarray(np.where(at.wet, field, 0.0))
    return masked[0] if at.surface else masked
