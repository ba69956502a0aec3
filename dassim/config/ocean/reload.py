"""Surface fields of long series in files: a window of records at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.gridded import RecordReader
from dassim.config.points import Points
from dassim.config.schema.profiles import SeriesFromFile
from dassim.config.schema.run import Time
from dassim.config.times import record_times
from dassim.dynamics.series import TimeSeries
from dassim.io.windows import Series, Windows
from dassim.ocean import OceanParameters
from dassim.simulation.errors import RunError
from dassim.simulation.events import Every, Schedule


@dataclass(frozen=True)
class Reload:
    """One surface field whose records are read in ``windows``; ``reader`` knows its key."""

    reader: RecordReader
    windows: Windows

    @property
    def every(self) -> float:
        """Seconds between windows."""
        return self.windows.series.reload

    def series(self, seconds: float) -> TimeSeries:
        """The records that serve from ``seconds`` on. All ranks call this together.

        Raises RunError on all of them for a file that one cannot read.
        """
        values, times, failure = None, None, None
        try:
            values, times = self.windows.at(seconds)
        except (OSError, RuntimeError) as error:
            failure = str(error)
        failures = [each for each in self.reader.at.grid.domain.comm.allgather(failure) if each]
        if failures or values is None:
            raise RunError(
                f"found {self.reader.profile.file} unreadable ({failures[0]}); expected the file "
                f"as it was at the start; restore it, and resume the run"
            )
        records = self.reader.checked(values)
        return TimeSeries(jnp.asarray(records[:, 0]), jnp.asarray(times))

    @property
    def where(self) -> Callable[[OceanParameters], Any]:
        """The place of the series in the parameters, as its key tells."""
        _, section, *names = (str(name) for name in self.reader.key)
        match section:
            case "restoring":
                return lambda parameters: parameters.forcing.restoring[names[-2]].target
            case "fluxes":
                return lambda parameters: parameters.forcing.tracer_fluxes[names[-1]]
            case _:
                return lambda parameters: getattr(parameters.forcing, section)


@dataclass(frozen=True)
class Reloads:
    """Puts the windows of all series into the parameters of the ocean, as the run goes on."""

    series: Sequence[Reload]
    time_step: float

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        return tuple(Every(round(one.every / self.time_step)) for one in self.series)

    def __call__(self, parameters: OceanParameters, step: int) -> OceanParameters:
        for one in self.series:
            before = one.where(parameters)
            try:
                after = one.series(step * self.time_step)
            except NamelistError as error:
                raise RunError(f"forcing from step {step} on: {error}") from error
            cast = TimeSeries(
                after.values.astype(before.values.dtype), after.times.astype(before.times.dtype)
            )
            parameters = eqx.tree_at(one.where, parameters, cast)
        return parameters


def windows(profile: Any, at: Points, key: KeyPath, run: Time) -> Reload | None:
    """How the profile is read where it says ``reload`` and has several records; else ``None``."""
    if not isinstance(profile, SeriesFromFile) or profile.reload is None:
        return None
    if abs(profile.reload / run.step - max(1, round(profile.reload / run.step))) > 1e-9:
        message = mismatch(
            f"{profile.reload:g} s", f"a whole number of steps of {run.step:g} s", "correct it"
        )
        raise NamelistError([Problem((*key, "reload"), message)])
    reader = RecordReader.open(profile, at, key)
    if reader.count == 1 or reader.dimension is None:
        return None
    times = record_times(profile, reader.dimension, reader.count, run, key)
    series = Series(times, profile.reload, run.duration, profile.period)
    return Reload(reader, Windows(series, reader.read))
