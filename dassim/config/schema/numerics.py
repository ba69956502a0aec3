"""Numerical schemes that a namelist chooses among, for every fluid."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dassim.config.schema.section import Section


class Centred(Section):
    """Centred differences: no numerical diffusion, over- and undershoots at fronts."""

    type: Literal["centred"]
    order: Literal[2, 4] = 2
    """Order of accuracy."""


class Upwind(Section):
    """Upwind-biased reconstruction, with numerical diffusion at the grid scale."""

    type: Literal["upwind"]
    order: Literal[3, 5] = 3
    """Order of accuracy."""


class Weno(Section):
    """Weighted essentially non-oscillatory reconstruction: sharp fronts nearly without
    overshoots. Jiang & Shu (1996), J. Comput. Phys. 126, 202."""

    type: Literal["weno"]
    order: Literal[3, 5] = 5
    """Order of accuracy where the field is smooth."""


class Limited(Section):
    """Flux-limited advection: monotone, no new extrema."""

    type: Literal["limited"]
    limiter: Literal["minmod", "van_leer", "koren", "superbee"] = "van_leer"
    """From the most diffusive to the one that steepens fronts most."""


AdvectionScheme = Annotated[Centred | Upwind | Weno | Limited, Field(discriminator="type")]


class RungeKutta3(Section):
    """Three stages, each from the state at the start of the step: third order for waves, stable to
    omega dt = 1.73. Wicker & Skamarock (2002), Mon. Wea. Rev. 130, 2088."""

    type: Literal["runge_kutta_3"]


class AdamsBashforth2(Section):
    """Quasi-second-order Adams-Bashforth: one evaluation per step, for omega dt up to 0.5."""

    type: Literal["adams_bashforth_2"]
    eps: Annotated[float, Field(gt=0, le=0.5, examples=[0.1])] = 0.1
    """Offset of the extrapolation, which damps the computational mode."""


TimeStepper = Annotated[RungeKutta3 | AdamsBashforth2, Field(discriminator="type")]
