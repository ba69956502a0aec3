"""Lateral friction, as every fluid has it."""

from __future__ import annotations

from typing import Literal

from dassim.config.schema.section import Section
from dassim.config.units import BiharmonicDiffusivity, Diffusivity, Length


class Friction(Section):
    """Lateral viscosity, and what coasts do to the flow along them."""

    viscosity: Diffusivity | None = None
    """Laplacian viscosity; none when left out."""
    biharmonic: BiharmonicDiffusivity | None = None
    """Biharmonic viscosity; none when left out."""
    slip: Literal["free", "none"] = "free"
    """free: coasts exert no stress; none: the fluid sticks to them."""
    scale_length: Length | None = None
    """With it the coefficients are those of a cell of this size, the Laplacian one growing with the
    cell's size and the biharmonic one with its cube; without, they are constant."""
