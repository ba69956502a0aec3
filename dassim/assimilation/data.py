"""States of another run as data: whole, or chosen variables, levels and points of them.

Every rank holds one segment's part of its own block at a time, read when the sweep gets there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.cost import Observations, ObservationTerm
from dassim.assimilation.window import Window
from dassim.io.restarts import Entry
from dassim.parallel import Domain
from dassim.simulation.clock import Clock
from dassim.simulation.errors import RefusedError
from dassim.simulation.segments import SegmentData
from dassim.simulation.snapshots import StateSeries
from dassim.simulation.trees import hashed, named_leaves

Noise = Callable[[str, int], np.ndarray]
"""Standard normal numbers of this rank for a variable at a time step."""


class DataError(RefusedError):
    """Data that are not what they should be. The same on all ranks."""


class WholeVariable(eqx.Module):
    """H: a leaf of the state, at all its points."""

    leaf: str = eqx.field(static=True)

    def __call__(self, state: Any, where: None) -> jax.Array:
        return named_leaves(state)[self.leaf]


@dataclass(frozen=True)
class StateData:
    """The states of ``entries`` (by time step) as data.

    ``weights``: by leaf of the state, and shaped like it, one over the standard deviation of the
    data's errors where there are data, else 0. ``names``: of the terms of the cost, by leaf.
    ``noise``: what is added to the data, in these standard deviations. ``identity``: by term, a
    hash of what this rank compares with, as :func:`examined` finds it on disk.
    """

    series: StateSeries
    entries: Mapping[int, Entry]
    weights: Mapping[str, jax.Array]
    names: Mapping[str, str]
    noise: Noise | None = None
    identity: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def terms(self) -> tuple[ObservationTerm, ...]:
        return tuple(
            ObservationTerm(self.names[leaf], WholeVariable(leaf)) for leaf in self.weights
        )

    def count(self) -> dict[str, int]:
        """Numbers that are compared, on this rank, by term."""
        return {
            self.names[leaf]: len(self.entries) * int(np.count_nonzero(weights))
            for leaf, weights in self.weights.items()
        }

    def at(self, step: int) -> dict[str, Observations]:
        """The data of a time step; with weights of 0 where there are none, for one compilation."""
        if step not in self.entries:
            return {
                self.names[leaf]: Observations(jnp.zeros_like(weights), jnp.zeros_like(weights))
                for leaf, weights in self.weights.items()
            }
        found = self.series.archive.read(self.entries[step], self.weights)
        return {
            self.names[leaf]: Observations(self._values(leaf, step, found[leaf]), weights)
            for leaf, weights in self.weights.items()
        }

    def _values(self, leaf: str, step: int, values: np.ndarray) -> jax.Array:
        if self.noise is None:
            return jnp.asarray(values)
        weights = np.asarray(self.weights[leaf])
        spread = np.divide(1.0, weights, out=np.zeros_like(weights), where=weights > 0)
        noise = self.noise(leaf, step).reshape(values.shape)
        return jnp.asarray(values + spread * noise)


def at_ends(window: Window, sources: Iterable[Any]) -> Callable[[int], SegmentData]:
    """Data of all ``sources`` at the end of every segment of ``window``, by the segment."""
    known = tuple(sources)

    def data(k: int) -> SegmentData:
        parts: dict[str, Observations] = {}
        for source in known:
            parts |= source.at(window.ends[k])
        return SegmentData(end=parts)

    return data


def states_at(
    series: StateSeries, steps: Iterable[int], clock: Clock, weights: Mapping[str, jax.Array]
) -> dict[int, Entry]:
    """The states of ``series`` at these ``steps`` of ``clock``, found by their time.

    Every byte of them is read and compared with its seal. Raises DataError for states that are
    missing, damaged, of another calendar, of another grid or without a variable of ``weights``.
    All ranks call this together.
    """
    by_time = {round(entry.manifest.seconds, 3): entry for entry in series.entries.values()}
    folder = series.archive.folder
    chosen = {step: by_time.get(round(clock.seconds(step), 3)) for step in steps}
    missing = [clock.text(step) for step, entry in chosen.items() if entry is None]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{folder}: found no state of {missing[0]}{more} among {len(by_time)}; expected one at "
            f"each of {len(chosen)} times; write them by snapshots: in the namelist of that run, "
            f"or correct the window and how often there are data"
        )
    found = {step: entry for step, entry in chosen.items() if entry is not None}
    for step, entry in found.items():
        _require_alike(entry, clock.text(step), series.archive.domain, weights)
        _, problems = series.archive.examine(entry.folder.name)
        if problems:
            raise DataError(f"{entry.folder} is damaged: {'; '.join(problems)}; restore it")
    return found


def examined(source: StateData) -> StateData:
    """``source`` with its identity. Refuses states with values that are not finite, which no cost
    survives. Every state is read. Raises DataError; all ranks call this together."""
    domain = source.series.archive.domain
    identity = dict.fromkeys(source.weights, b"")
    for step, entry in source.entries.items():
        found = source.series.archive.read(entry, source.weights)
        here = {leaf: np.count_nonzero(~np.isfinite(array)) for leaf, array in found.items()}
        counts = domain.comm.allgather(here)
        for leaf in source.weights:
            number = sum(count[leaf] for count in counts)
            if number:
                raise DataError(
                    f"{entry.folder}: found {number} values of {leaf} that are not finite; "
                    f"expected numbers; take the states of a run that has stayed stable"
                )
        for leaf, weights in source.weights.items():
            compared = found[leaf][np.asarray(weights) > 0]
            identity[leaf] = hashed({str(step): compared}, identity[leaf])
    return replace(source, identity={source.names[leaf]: of for leaf, of in identity.items()})


def _require_alike(
    entry: Entry, date: str, domain: Domain, weights: Mapping[str, jax.Array]
) -> None:
    manifest = entry.manifest
    if manifest.date != date:
        raise DataError(
            f"{entry.folder}: found the date {manifest.date}, expected {date} at the same time "
            f"since the start; that run has another start or another calendar: correct time.start "
            f"and time.calendar"
        )
    if manifest.grid != domain.global_shape:
        raise DataError(
            f"{entry.folder}: found a grid of {manifest.grid} (ny, nx) points, expected "
            f"{domain.global_shape}; take data of this grid"
        )
    for leaf, weight in weights.items():
        shape = (*weight.shape[:-2], *domain.global_shape)
        there = manifest.leaves.get(leaf)
        if there is None:
            raise DataError(
                f"{entry.folder}: found no {leaf}; there are {', '.join(manifest.leaves)}; take "
                f"another variable as data"
            )
        if (there.shape, there.dtype) != (shape, weight.dtype.name):
            raise DataError(
                f"{entry.folder}: found {leaf} of {there}, expected {weight.dtype.name} {shape}; "
                f"take data of the same levels and precision"
            )
