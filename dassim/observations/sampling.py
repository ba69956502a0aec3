"""Synthetic observations: a run, seen where and when instruments would, with their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import jax
import numpy as np

from dassim.grid.variables import Variable
from dassim.io.observations.table import ObservationTable, joined
from dassim.observations.axes import Axes
from dassim.observations.placing import Moments, Placed, Placer
from dassim.observations.stencil import interpolated

Fields = Callable[[int], Mapping[str, jax.Array]]
"""Owned points of the observed variables, by name, at a moment given by its number."""

NOISE = 1
"""Beside a seed: the stream of the errors; that of the seed alone draws the positions."""


@dataclass(frozen=True)
class Design:
    """Which synthetic observations there are: ``columns`` random positions, new ones at each
    moment, at the ``depths`` (m; for variables with levels), of ``variables`` with these standard
    deviations of their errors."""

    variables: Mapping[str, float]
    columns: int
    depths: tuple[float, ...] = (0.0,)
    seed: int = 0

    def table(self, axes: Axes, moments: Moments) -> ObservationTable:
        """Where and when, without values. The same on every rank.

        Positions are uniform over the area of the basin, land included: what falls there is lost.
        """
        names = tuple(self.variables)
        generator = np.random.default_rng(self.seed)
        shape = (len(names), self.columns, len(self.depths))
        tables = []
        for time in moments.times:
            y, x = _positions(generator, axes, self.columns)
            columns = {
                "kind": np.arange(len(names))[:, None, None],
                "error": np.array(list(self.variables.values()))[:, None, None],
                "y": y[:, None],
                "x": x[:, None],
                "depth": np.array(self.depths),
                "time": time,
                "value": 0.0,
            }
            whole = {name: np.broadcast_to(each, shape).ravel() for name, each in columns.items()}
            tables.append(ObservationTable.build(names, axes.geometry, whole))
        return numbered(joined(tables))


def sample(
    placer: Placer,
    variables: Mapping[str, Variable],
    table: ObservationTable,
    fields: Fields,
    *,
    seed: int = 0,
    noise: float = 1.0,
) -> ObservationTable:
    """``table`` with values: H of the fields at the nearest moment, and ``noise`` times normal
    noise of each row's ``error``. Rows that cannot be observed (on land, below the bottom) are left
    out. The noise is independent of the positions that a :class:`Design` of this seed draws.

    The same on every rank and for every number of ranks. All ranks call this together.
    """
    table = numbered(table)
    placed = {name: placer(name, variables[name], table.of(name))[0] for name in table.names}
    observed = np.full(len(table), np.nan)
    for rows, values in placer.grid.domain.comm.allgather(_sampled(placer, placed, fields)):
        observed[rows] = values
    draws = np.random.default_rng([seed, NOISE]).standard_normal(len(table))
    errors = noise * table.error * draws
    return replace(table, value=observed + errors).take(np.isfinite(observed))


def numbered(table: ObservationTable) -> ObservationTable:
    """``table`` with its rows counted anew."""
    return replace(table, row=np.arange(len(table)))


def _sampled(
    placer: Placer, placed: Mapping[str, Placed], fields: Fields
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the table that this rank owns, and H there."""
    domain = placer.grid.domain
    observe = jax.jit(lambda field, stencil: interpolated(domain, field, stencil))
    rows, values = [np.zeros(0, int)], [np.zeros(0)]
    for number in range(len(placer.moments.times)):
        here = fields(number)
        for name, part in placed.items():
            now = np.flatnonzero(part.moment == number)
            rows.append(part.table.row[now])
            values.append(np.asarray(observe(here[name], part.stencil.take(now))))
    return np.concatenate(rows), np.concatenate(values)


def _positions(
    generator: np.random.Generator, axes: Axes, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Random ``(y, x)``, uniform over the area."""
    share_y, share_x = generator.random((2, count))
    south, north = axes.y.faces[[0, -1]]
    west, east = axes.x.faces[[0, -1]]
    if axes.geometry == "spherical":
        low, high = np.sin(np.deg2rad([south, north]))
        y = np.rad2deg(np.arcsin(low + (high - low) * share_y))
    else:
        y = south + (north - south) * share_y
    return y, west + (east - west) * share_x
