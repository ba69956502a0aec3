"""From the sections of ``physics.columns`` to processes within columns of air."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from dassim.atmosphere.primitive import (
    AbstractColumnPhysics,
    BettsMiller,
    BoundaryLayer,
    Condensation,
    DryAdjustment,
    GreyRadiation,
    HeldSuarez,
    PositiveHumidity,
    Sponge,
)
from dassim.config.schema.atmosphere import columns as schema


@singledispatch
def process(section: Any) -> AbstractColumnPhysics:
    """A process within columns. A new one registers its function here."""
    raise TypeError(f"found a process of {type(section)}; expected a type that is registered")


@process.register
def _(section: schema.HeldSuarez) -> AbstractColumnPhysics:
    return HeldSuarez(
        section.equator,
        section.contrast,
        section.stability,
        section.stratosphere,
        section.sigma_b,
        1.0 / section.friction_time,
        1.0 / section.air_time,
        1.0 / section.surface_time,
    )


@process.register
def _(section: schema.Sponge) -> AbstractColumnPhysics:
    return Sponge(1.0 / section.timescale, section.sigma)


@process.register
def _(section: schema.DryAdjustment) -> AbstractColumnPhysics:
    return DryAdjustment(section.sweeps)


@process.register
def _(section: schema.GreyRadiation) -> AbstractColumnPhysics:
    return GreyRadiation(
        section.solar,
        section.albedo,
        section.contrast,
        section.equator,
        section.pole,
        section.linear,
    )


@process.register
def _(section: schema.BoundaryLayer) -> AbstractColumnPhysics:
    return BoundaryLayer(section.roughness, section.critical, section.gustiness)


@process.register
def _(section: schema.BettsMiller) -> AbstractColumnPhysics:
    return BettsMiller(section.timescale, section.humidity)


@process.register
def _(section: schema.Condensation) -> AbstractColumnPhysics:
    return Condensation()


@process.register
def _(section: schema.PositiveHumidity) -> AbstractColumnPhysics:
    return PositiveHumidity()
