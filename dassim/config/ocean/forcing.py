"""From the ``forcing`` section to surface forcing, sponges and body forces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.config.errors import KeyPath
from dassim.config.ocean.reload import Reload, windows
from dassim.config.ocean.variables import entries, points_of
from dassim.config.points import Basin, Points
from dassim.config.schema.ocean import forcing as schema
from dassim.config.schema.run import Time
from dassim.config.series import in_time
from dassim.grid import Location
from dassim.ocean import (
    AbstractSource,
    BodyForce,
    Restoring,
    Sponge,
    SurfaceForcing,
)

SECTION = ("forcing",)
FLUXES: Mapping[str, Location] = {"stress_x": "u", "stress_y": "v", "heat": "c", "freshwater": "c"}
"""Where each surface flux lies."""


def surface_forcing(
    forcing: schema.Forcing, basin: Basin, run: Time
) -> tuple[SurfaceForcing, tuple[Reload, ...]]:
    """What acts on the surface, and the series of it that are read window by window."""
    cells = basin.points("c", surface=True)
    reloads: list[Reload] = []

    def field(profile: Any, at: Points, key: KeyPath) -> Any:
        reload = windows(profile, at, key, run)
        if reload is None:
            return in_time(profile, at, key, run)
        reloads.append(reload)
        return reload.series(0.0)

    fluxes = {
        name: field(profile, basin.points(location, surface=True), (*SECTION, name))
        for name, location in FLUXES.items()
        if (profile := getattr(forcing, name)) is not None
    }
    restoring = {
        name: Restoring(field(entry.target, cells, (*key, "target")), entry.timescale)
        for name, entry, key in entries(forcing.restoring, (*SECTION, "restoring"))
    }
    tracer_fluxes = {
        name: field(profile, cells, key)
        for name, profile, key in entries(forcing.fluxes, (*SECTION, "fluxes"))
    }
    made = SurfaceForcing(**fluxes, restoring=restoring, tracer_fluxes=tracer_fluxes)
    return made, tuple(reloads)


def sources(
    forcing: schema.Forcing, initial: Mapping[str, np.ndarray], basin: Basin, run: Time
) -> tuple[AbstractSource, ...]:
    """Sponges and body forces. ``initial``: the fields at the start, without noise."""
    return (
        *_sponges(forcing.sponges, initial, basin, run),
        *_body_forces(forcing.body_forces, basin, run),
    )


def _sponges(
    sponges: schema.Sponges, initial: Mapping[str, np.ndarray], basin: Basin, run: Time
) -> Iterator[AbstractSource]:
    for name, sections, key in entries(sponges, (*SECTION, "sponges")):
        at = points_of(basin, name)
        for index, sponge in enumerate(sections):
            target = jnp.asarray(initial.get(name, np.zeros((1, 1, 1))))
            if sponge.target is not None:
                target = in_time(sponge.target, at, (*key, index, "target"), run)
            rate = sponge_strength(sponge, at, (*key, index)) / sponge.timescale
            yield Sponge(name, target, jnp.asarray(rate))


def sponge_strength(sponge: schema.Sponge, at: Points, key: KeyPath) -> np.ndarray:
    """From 0 outside of all ramps to 1 at the end of any; 1 everywhere without ramps."""
    strengths = [
        _ramp(getattr(sponge, axis), at.position(axis, key))
        for axis in ("x", "y", "z")
        if getattr(sponge, axis) is not None
    ]
    return np.max(np.broadcast_arrays(*strengths), axis=0) if strengths else np.ones((1, 1, 1))


def _ramp(ends: tuple[float, float], position: np.ndarray) -> np.ndarray:
    return np.clip((position - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)


def _body_forces(forces: schema.BodyForces, basin: Basin, run: Time) -> Iterator[AbstractSource]:
    for name, profile, key in entries(forces, (*SECTION, "body_forces")):
        yield BodyForce(name, in_time(profile, points_of(basin, name), key, run))
