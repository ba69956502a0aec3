"""From ``initial.tracers`` to what the air carries at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp

from dassim.config.points import Basin
from dassim.config.profiles import values
from dassim.grid import Grid


def with_tracers(profiles: Mapping[str, Any], state: Any, grid: Grid) -> Any:
    """``state`` with passive tracers of these names, at its cells. All ranks call this together."""
    if not profiles:
        return state
    layered = state.u.ndim == 3
    at, wet = Basin.of(grid).points("c", surface=not layered), grid.owned_mask("c", levels=layered)
    found = {}
    for name, profile in profiles.items():
        field = values(profile, at, ("initial", "tracers", name))
        field = jnp.asarray(field if layered else field[0], state.u.dtype)
        found[name] = jnp.where(wet, field, 0.0)
    return replace(state, tracers=state.tracers | found)
