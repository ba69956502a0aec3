"""Long runs of the namelists: do they stay finite, and what do they settle to."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from dassim.config import Namelist, load
from dassim.ocean.diagnostics import overturning, transport_through_x
from tests.models.namelists import OCEAN, build, environment, integrate
from tests.validation.drawing import FIGURES, draw_sst_error
from tests.validation.report import Check, case

DRAKE_PASSAGE = 292.0, (-70.0, -54.0)
"""Longitude of a section from South America to Antarctica, and its latitudes (degrees)."""


def duration(name: str) -> float:
    """Seconds that the namelist runs."""
    return load(OCEAN[name], Namelist, environment=environment()).namelist.time.duration


def after_its_duration(name: str):
    """The experiment, and its state at the end of the namelist's time."""
    one = build(name)
    steps = round(duration(name) / one.model.time_step)
    return one, integrate(one.model, one.parameters, one.state, steps)


def is_finite(state) -> bool:
    return all(bool(jnp.isfinite(field.data).all()) for field in state.fields().values())


@case("re-entrant channel", "Moses et al. (2026); 8100 steps", minutes=20)
def reentrant_channel():
    yield from channel_checks(*after_its_duration("reentrant_channel"))


def channel_checks(one, state):
    yield Check("finite after 8100 steps", 1.0, float(is_finite(state)))
    sverdrups = float(one.model.domain.sum(transport_through_x(one.model, state, 500e3)))
    yield Check("transport through x = 500 km", 0.0, sverdrups, bound="above", unit="Sv")


@case("world at 4 degrees", "observed orders of magnitude; 10 years", minutes=20)
def world():
    yield from world_checks(*after_its_duration("global_4deg"))


def world_checks(one, state):
    model, grid = one.model, one.model.grid
    yield Check("finite after 10 years", 1.0, float(is_finite(state)))
    acc = float(model.domain.sum(transport_through_x(model, state, *DRAKE_PASSAGE)))
    yield Check("transport through Drake Passage", 150.0, acc, 50.0, "absolute", "Sv")
    psi = np.asarray(model.domain.sum(overturning(model, state)))
    yield Check("largest overturning", 22.5, float(psi.max()), 12.5, "absolute", "Sv")
    deep = psi[np.asarray(grid.levels.z.f.data).ravel() < -500.0]
    north = np.asarray(grid.owned(grid.y.v))[:, 0] > 20.0
    deepest = float(deep[:, north].max())
    yield Check("overturning below 500 m, north of 20 N", 0.0, deepest, bound="above", unit="Sv")
    wet = np.asarray(grid.owned_mask("c", levels=False))
    area = np.asarray(jnp.broadcast_to(grid.owned(grid.area.c), wet.shape)) * wet
    target = np.asarray(one.parameters.forcing.restoring["T"].target)
    error = np.where(wet, np.asarray(state.T[0]) - target, 0.0)
    rms = float(np.sqrt((area * error**2).sum() / area.sum()))
    yield Check("SST error to the climatology, rms", 2.0, rms, bound="below", unit="K")
    draw_sst_error(FIGURES, grid, np.where(wet, error, np.nan))
