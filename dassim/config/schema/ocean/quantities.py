"""Quantities of the ocean whose numbers have no unit of their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Salinity = Annotated[float, Field(ge=0, examples=[35])]
"""In g/kg, or on the practical scale, as the equation of state takes it."""
Amount = Annotated[float, Field(examples=[1])]
"""Of a passive tracer, in the unit that its user thinks of."""
