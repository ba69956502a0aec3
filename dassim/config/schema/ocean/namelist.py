"""The whole of a namelist of the ocean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dassim.config.errors import one_of, suggest
from dassim.config.explain import refuse
from dassim.config.schema.namelist import AbstractBasinNamelist
from dassim.config.schema.ocean.forcing import Forcing
from dassim.config.schema.ocean.initial import Initial
from dassim.config.schema.ocean.physics import Physics
from dassim.config.schema.run import Time
from dassim.config.schema.tracers import require_names
from dassim.config.units import Speed
from dassim.ocean.output import OUTPUTS

RESERVED = (*OUTPUTS, "time")
"""Names that a passive tracer may not have."""


class OceanNamelist(AbstractBasinNamelist[Literal["ocean"]]):
    """A hydrostatic ocean."""

    narrowest_block: ClassVar[int] = 4

    time: Time = Field()
    """Start, length and step of the run."""
    physics: Physics = Physics()
    """The ocean's equations."""
    initial: Initial
    """State at the start."""
    forcing: Forcing = Forcing()
    """What drives the ocean from outside."""
    expected_speed: Speed | None = None
    """Speed that the flow is expected to reach: the time step is checked for it, too."""

    @model_validator(mode="after")
    def _check(self):
        require_names(self.initial.tracers, RESERVED)
        for section, name in self._named_tracers():
            if name not in self.initial.tracers:
                known = self.initial.tracers
                raise refuse(
                    f"{one_of(known)} of initial.tracers" if known else "no passive tracers",
                    suggest(name, known),
                    found=f"a tracer named '{name}' in {section}",
                    key=section.partition(".")[0],
                )
        return self

    def _named_tracers(self) -> Iterator[tuple[str, str]]:
        """Sections that speak of passive tracers, with the names that they use."""
        sections = {
            "initial.noise": self.initial.noise,
            "forcing.fluxes": self.forcing.fluxes,
            "forcing.restoring": self.forcing.restoring,
            "forcing.sponges": self.forcing.sponges,
            "forcing.body_forces": self.forcing.body_forces,
        }
        for path, section in sections.items():
            yield from ((path, name) for name in section.tracers)
