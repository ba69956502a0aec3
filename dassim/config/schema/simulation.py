"""What happens on the way of a run, beside its output: restarts, snapshots, the log, limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from dassim.config.explain import refuse
from dassim.config.schema.run import Time
from dassim.config.schema.section import Count, Section
from dassim.config.units import Duration, Quantity

Moment = Annotated[float, Quantity("s", at_least=0)]
Moments = Annotated[tuple[float, ...], Quantity("s", above=0)]


class Restarts(Section):
    """Whole states from which a run goes on. One is always written at the end of a run."""

    every: Annotated[Duration | None, Field(examples=["30 d"])] = None
    """Time between restarts, a whole number of steps; only at the end when left out."""
    keep_last: Count = 2
    """How many of the newest restarts are kept."""
    keep_every: Annotated[Duration | None, Field(examples=["360 d"])] = None
    """Restarts at multiples of this time are kept for good."""


class Snapshots(Section):
    """Whole states in full precision at chosen times since the start, for the recovery of states
    by data assimilation. None when neither every nor times is given."""

    every: Annotated[Duration | None, Field(examples=["1 d"])] = None
    """Time between snapshots, a whole number of steps. Give this or times."""
    first: Moment = 0.0
    """With every: no snapshot before this time."""
    last: Moment | None = None
    """With every: no snapshot after this time."""
    times: Annotated[Moments, Strict(False), Field(examples=[["10 d", "11 d"]])] = ()
    """The times of all snapshots, growing, whole numbers of steps. Give this or every."""

    @model_validator(mode="after")
    def _check(self):
        if self.every is not None and self.times:
            raise refuse("either every or times", "remove one", found="both", key="times")
        if any(late <= early for early, late in zip(self.times, self.times[1:], strict=False)):
            raise refuse("times that grow", "sort them, each once", key="times")
        return self


class Execution(Section):
    """How a run goes, whatever its result."""

    log: Annotated[Duration | None, Field(examples=["1 d"])] = None
    """Time between lines of the log and checks of the state; a hundredth of the run when left
    out."""
    wall_clock: Annotated[Duration | None, Field(examples=["23.5 h"])] = None
    """Wall-clock time of a job: in time before it is over the run writes a restart and ends with
    the exit code 75."""
    limits: dict[str, float | Literal["none"]] = Field(default_factory=dict)
    """Values of the monitored numbers beyond which a run counts as unstable and ends, in place of
    the model's own: courant_number: 1.2, highest_temperature: 45; none lifts a limit."""


def require_whole_steps(time: Time, restarts: Restarts, snapshots: Snapshots, run: Execution):
    """Refuse a time that lies between two steps."""
    given = {
        ("restarts", "every"): restarts.every,
        ("restarts", "keep_every"): restarts.keep_every,
        ("snapshots", "every"): snapshots.every,
        ("run", "log"): run.log,
    } | {("snapshots", f"times[{index}]"): value for index, value in enumerate(snapshots.times)}
    for (section, key), seconds in given.items():
        if seconds is None:
            continue
        whole = max(1, round(seconds / time.step))
        if abs(seconds / time.step - whole) > 1e-9 * whole:
            raise refuse(
                f"a whole number of steps of {time.step:g} s",
                f"write for example {whole * time.step:g} s",
                found=f"{key} of {seconds:g} s",
                key=section,
            )
    if (
        restarts.every
        and restarts.keep_every
        and round(restarts.keep_every / time.step) % round(restarts.every / time.step)
    ):
        raise refuse(
            f"a multiple of every, {restarts.every:g} s",
            "correct one of the two",
            found=f"keep_every of {restarts.keep_every:g} s",
            key="restarts",
        )
