"""What happens on the way of a run, beside its output: restarts, snapshots, the log, limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from dassim.config.explain import refuse
from dassim.config.intervals import Interval, Months, in_words
from dassim.config.schema.run import Time
from dassim.config.schema.section import Count, Section
from dassim.config.units import Duration, Quantity
from dassim.simulation.events import At, Every, Schedule, due_until, months

Moment = Annotated[float, Quantity("s", at_least=0)]
Moments = Annotated[tuple[float, ...], Quantity("s", above=0)]


class Restarts(Section):
    """Whole states from which a run goes on. One is always written at the end of a run."""

    every: Annotated[Interval | None, Field(examples=["1 month"])] = None
    """Time between restarts; only at the end when left out."""
    keep_last: Count = 2
    """How many of the newest restarts are kept."""
    keep_every: Annotated[Interval | None, Field(examples=["1 year"])] = None
    """Restarts at multiples of this time are kept for good."""


class Snapshots(Section):
    """Whole states in full precision at chosen times since the start, for the recovery of states
    by data assimilation. None when neither every nor times is given."""

    every: Annotated[Interval | None, Field(examples=["1 d"])] = None
    """Time between snapshots. Give this or times."""
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

    log: Annotated[Interval | None, Field(examples=["1 d"])] = None
    """Time between lines of the log and checks of the state; when left out, the shortest round
    time that makes no more than 120 lines."""
    wall_clock: Annotated[Duration | None, Field(examples=["23.5 h"])] = None
    """Wall-clock time of a job: in time before it is over the run writes a restart and ends with
    the exit code 75."""
    limits: dict[str, float | Literal["none"]] = Field(default_factory=dict)
    """Values of the monitored numbers beyond which a run counts as unstable and ends, in place of
    the model's own: courant_number: 1.2, highest_temperature: 45; none lifts a limit."""


# -- times ----------------------------------------------------------------------------------------


def schedule(
    every: float | Months, time: Time, first: int = 0, last: int | None = None
) -> Schedule:
    """The steps with which every such interval ends, from step ``first`` to step ``last``.

    Raises ValueError for an interval that ends between two steps.
    """
    if isinstance(every, Months):
        latest = time.steps if last is None else min(last, time.steps)
        ends = months(every.count, time.clock, latest).steps
        return At(tuple(step for step in ends if step >= first))
    steps = max(1, round(every / time.step))
    if abs(every / time.step - steps) > 1e-9 * steps:
        raise ValueError(f"{every:g} s end between two steps")
    return Every(steps, first, last)


def require_steps(every: float | Months, time: Time, name: str, section: str) -> None:
    """Refuse a time, the key ``name`` of a ``section``, that ends between two steps of the run."""
    try:
        schedule(every, time)
    except ValueError as error:
        found = f"{name} of {in_words(every)}"
        expected = f"a whole number of steps of {time.step:g} s"
        if isinstance(every, Months):
            found += f", where {error}"
            expected += f" from {time.start} to the first of each month"
            remedy = "choose a step that divides a day, and a start at midnight, or write days"
        else:
            remedy = f"write for example {max(1, round(every / time.step)) * time.step:g} s"
        raise refuse(expected, remedy, found=found, key=section) from None


def require_whole_steps(
    time: Time, restarts: Restarts, snapshots: Snapshots, run: Execution
) -> None:
    """Refuse times that lie between two steps, and restarts to keep that there are not."""
    given = {
        ("restarts", "every"): restarts.every,
        ("restarts", "keep_every"): restarts.keep_every,
        ("snapshots", "every"): snapshots.every,
        ("run", "log"): run.log,
    } | {("snapshots", f"times[{index}]"): value for index, value in enumerate(snapshots.times)}
    for (section, name), every in given.items():
        if every is not None:
            require_steps(every, time, name, section)
    if restarts.every is None or restarts.keep_every is None:
        return
    written, kept = schedule(restarts.every, time), schedule(restarts.keep_every, time)
    if not all(written.due(step) for step in due_until(kept, time.steps)):
        raise refuse(
            f"a multiple of every, {in_words(restarts.every)}",
            "correct one of the two",
            found=f"keep_every of {in_words(restarts.keep_every)}",
            key="restarts",
        )
