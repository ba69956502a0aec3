"""From numerical schemes in a namelist to the objects that compute."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from dassim.config.schema import numerics as schema
from dassim.config.schema.atmosphere import polar
from dassim.dynamics.polar import PolarFilter
from dassim.dynamics.reconstruction import WENO, Centred, FluxLimited, Scheme, Upwind
from dassim.dynamics.stepping import AbstractTimeStepper, AdamsBashforth2, RungeKutta3
from dassim.grid import Grid


def polar_filter(config: polar.PolarFilter | None, grid: Grid) -> PolarFilter | None:
    """The zonal filter on ``grid``, if there is one."""
    return None if config is None else PolarFilter.on(grid, config.latitude)


@singledispatch
def advection_scheme(config: Any) -> Scheme:
    """The reconstruction that ``config`` names."""
    raise TypeError(f"found a scheme of {type(config)}; expected a type that is registered")


@advection_scheme.register
def _(config: schema.Centred) -> Scheme:
    return Centred(config.order)


@advection_scheme.register
def _(config: schema.Upwind) -> Scheme:
    return Upwind(config.order)


@advection_scheme.register
def _(config: schema.Weno) -> Scheme:
    return WENO(config.order)


@advection_scheme.register
def _(config: schema.Limited) -> Scheme:
    return FluxLimited(config.limiter)


@singledispatch
def time_stepper(config: Any) -> AbstractTimeStepper:
    """The time stepper that ``config`` names."""
    raise TypeError(f"found a stepper of {type(config)}; expected a type that is registered")


@time_stepper.register
def _(config: schema.RungeKutta3) -> AbstractTimeStepper:
    return RungeKutta3()


@time_stepper.register
def _(config: schema.AdamsBashforth2) -> AbstractTimeStepper:
    return AdamsBashforth2(config.eps)
