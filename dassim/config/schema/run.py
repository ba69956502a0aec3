"""How a model runs: on which ranks, and through which time."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dassim.config.explain import refuse
from dassim.config.schema.section import Count, Section
from dassim.config.units import Duration, Quantity
from dassim.simulation.clock import Clock

STEPS = re.compile(r"\s*(\d+)\s*steps?\s*")

Precision = Literal["float64", "float32"]

Calendar = Literal["standard", "proleptic_gregorian", "julian", "noleap", "all_leap", "360_day"]


def _layout(value: Any) -> Any:
    if value == "auto":
        return "auto"
    counts = value if isinstance(value, list | tuple) else []
    if len(counts) != 2 or any(type(count) is not int or count < 1 for count in counts):
        raise refuse("auto, or [rows, columns] of ranks such as [2, 4]", "write layout: auto")
    return tuple(counts)


class Decomposition(Section):
    """Division of the grid over ranks."""

    layout: Annotated[
        Literal["auto"] | tuple[Count, Count], BeforeValidator(_layout), Field(examples=["auto"])
    ] = "auto"
    """auto, or the number of ranks along [y, x]. auto: short edges; with a polar filter latitude
    bands, since ranks that divide a filtered circle have to gather it."""


class Time(Section):
    """Start, length and step of the run."""

    start: Annotated[str, Field(examples=["2000-01-01"])] = "0001-01-01"
    """Date, or date and time, of the start: 2000-01-01, 2000-01-01T12:00:00."""
    calendar: Calendar = "standard"
    """Calendar of the dates (CF conventions)."""
    duration: Annotated[Duration, Field(examples=["10 d"])]
    """Length of the run, a whole number of steps: a time, or a count such as 8100 steps."""
    step: Annotated[Duration, Field(examples=["20 min"])]
    """Time step."""

    @property
    def steps(self) -> int:
        return round(self.duration / self.step)

    @property
    def clock(self) -> Clock:
        return Clock(self.start, self.calendar, self.step)

    @model_validator(mode="before")
    @classmethod
    def _count_steps(cls, keys: Any) -> Any:
        """``duration: 8100 steps`` as a time."""
        duration = keys.get("duration") if isinstance(keys, dict) else None
        count = STEPS.fullmatch(duration) if isinstance(duration, str) else None
        if count is None:
            return keys
        step = Quantity("s", above=0).number(keys.get("step"), key="step")
        return keys | {"duration": int(count[1]) * step}

    @model_validator(mode="after")
    def _check(self):
        _check_date(self.start, self.calendar)
        if abs(self.steps * self.step - self.duration) > 1e-9 * self.duration:
            whole = max(1, self.steps) * self.step
            raise refuse(
                f"a whole number of steps of {self.step:g} s",
                f"write for example {whole:g} s",
                found=f"{self.duration:g} s",
                key="duration",
            )
        return self


def _check_date(text: str, calendar: str) -> None:
    import cftime

    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        try:
            cftime.datetime.strptime(text, form, calendar=calendar)
            return
        except ValueError:
            continue
    raise refuse(
        f"a date of the {calendar} calendar such as 2000-01-31 or 2000-01-31T12:00:00",
        "correct the date or the calendar",
        found=f"'{text}'",
        key="start",
    )
