"""Correlated errors of the background: what is known of the unknowns before there are data."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, MultipleOf
from pydantic import Field

from dassim.config.schema.profiles import VolumeProfile
from dassim.config.schema.section import Section
from dassim.config.units import Length


class VariableErrors(Section):
    """Errors of one unknown, where they differ from those of the others."""

    deviation: VolumeProfile[float] | None = None
    """Standard deviation as a field over the grid, in the unknown's unit; the size given in the
    section control when left out. Corrections of segments (control.windows, control.model_error)
    have the size given there."""
    horizontal: Length | Literal["none"] | None = None
    """Length scale along levels; none: no correlation."""
    vertical: Length | Literal["none"] | None = None
    """Length scale in depth; none: no correlation."""
    at: Literal["c", "u", "v"] | None = None
    """Where a parameter lies: cells, x-faces or y-faces; cells when left out. Of variables of the
    state it is known."""


class Balance(Section):
    """What errors of one variable say of another: sizes and correlations are those of the rest."""

    salinity: bool = False
    """Salinity follows temperature along the background's T-S relation."""
    geostrophic: bool = False
    """Velocities follow the pressure of temperature, salinity and sea level."""


class Normalisation(Section):
    """How correlations are made to have unit variance."""

    type: Literal["exact", "randomised"] = "randomised"
    """exact: one solve for each cell, for small grids; randomised: cells far from each other share
    one, about 1 % wrong."""
    separation: Annotated[float, Field(ge=4)] = 6.0
    """randomised: length scales between cells that share a solve."""
    seed: Annotated[int, Field(ge=0)] = 0
    """randomised: another seed gives other signs."""


class CorrelatedBackground(Section):
    """Errors of the sizes given in control, correlated by diffusion, which does not cross land:
    Jb = (x - xb)' B^(-1) (x - xb) / 2. Weaver & Courtier (2001), Q. J. R. Meteorol. Soc. 127."""

    type: Literal["correlated"]
    horizontal: Annotated[Length | None, Field(examples=["200 km"])] = None
    """Length scale D along levels: errors at distance r correlate about like exp(-r^2/2D^2); not at
    all when left out."""
    vertical: Annotated[Length | None, Field(examples=["100 m"])] = None
    """Length scale in depth; no correlation when left out."""
    variables: dict[str, VariableErrors] = Field(default_factory=dict)
    """Unknowns whose errors differ, by name: T, or a path such as parameters.forcing.stress_x."""
    solves: Annotated[int, Ge(4), MultipleOf(2)] = 4
    """Diffusion solves in a correlation, an even number: more make it more like a Gaussian."""
    normalisation: Normalisation = Normalisation()
    """How correlations are normalised."""
    balance: Balance = Balance()
    """Balance between variables."""
