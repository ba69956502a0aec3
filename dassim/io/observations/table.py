"""Point observations in memory: one row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from dassim.io.netcdf import OutputError

Geometry = Literal["cartesian", "spherical"]

COLUMNS = ("kind", "time", "x", "y", "depth", "value", "error", "good", "row")


class ObservationError(OutputError):
    """A file of observations that cannot be used; the message says why, and what to do."""


@dataclass(frozen=True)
class ObservationTable:
    """Observations ``(n,)`` of the variables ``names``.

    * ``kind``: which of ``names`` was observed;
    * ``time`` (s) since the start of the run;
    * ``x``, ``y``: degrees of longitude and latitude where ``geometry`` is spherical, else metres;
    * ``depth`` (m), positive down; ``value`` and standard deviation of its ``error`` in the model's
      units; NaN where there is none;
    * ``good``: whether those who made the file hold it for good; ``row``: its place in the file.
    """

    names: tuple[str, ...]
    geometry: Geometry
    kind: np.ndarray
    time: np.ndarray
    x: np.ndarray
    y: np.ndarray
    depth: np.ndarray
    value: np.ndarray
    error: np.ndarray
    good: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: Any) -> ObservationTable:
        """The rows of an index or a mask."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def of(self, name: str) -> ObservationTable:
        """The observations of one variable."""
        if name not in self.names:
            return self.take(slice(0))
        return self.take(self.kind == self.names.index(name))

    def only(self, names: Sequence[str]) -> ObservationTable:
        """The observations of the variables ``names``, which alone it then knows."""
        new = np.full(len(self.names), -1, np.int16)
        new[[self.names.index(name) for name in names]] = np.arange(len(names))
        kept = self.take(new[self.kind] >= 0)
        return replace(kept, names=tuple(names), kind=new[kept.kind])

    @classmethod
    def build(
        cls, names: Sequence[str], geometry: Geometry, columns: Mapping[str, Any]
    ) -> ObservationTable:
        """From columns that may be numbers for all rows; ``depth`` left out is the surface,
        ``error`` unknown, ``good`` true, ``row`` counted."""
        n = len(columns["value"])
        whole = {"depth": 0.0, "error": np.nan, "good": True, "row": np.arange(n), **columns}
        types = {"kind": np.int16, "good": bool, "row": np.int64}
        made = {
            name: np.broadcast_to(np.asarray(whole[name], types.get(name, float)), (n,))
            for name in COLUMNS
        }
        return cls(tuple(names), geometry, **made)


def joined(tables: Sequence[ObservationTable]) -> ObservationTable:
    """One after the other; all of one geometry."""
    first = tables[0]
    names = tuple(dict.fromkeys(name for table in tables for name in table.names))
    columns = {c.name: [] for c in fields(ObservationTable) if c.name in COLUMNS}
    for table in tables:
        if table.geometry != first.geometry:
            raise ObservationError(
                f"found {table.geometry} positions beside {first.geometry} ones; expected one kind"
            )
        for name in COLUMNS:
            columns[name].append(getattr(table, name))
        new = np.array([names.index(name) for name in table.names], np.int16)
        columns["kind"][-1] = new[table.kind]
    return ObservationTable(
        names, first.geometry, **{name: np.concatenate(parts) for name, parts in columns.items()}
    )
