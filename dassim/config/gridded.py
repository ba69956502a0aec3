"""Fields that lie on the points of the grid in netCDF files.

Each rank reads its own rows and columns, with as many around them as it takes values from.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dassim.config.errors import KeyPath, NamelistError, NamelistWarning, Problem, mismatch
from dassim.config.files import FileVariable, file_variable
from dassim.config.points import Points, first_point
from dassim.config.profiles import values
from dassim.config.regridding import Regridded
from dassim.config.schema.profiles import FromFile

NEIGHBOUR = {"u": (0, 1), "v": (1, 0)}
"""Cells to the south and to the west of a face's own where the cell on its other side lies."""


class Records(NamedTuple):
    """``values (..., nz, ny, nx)``, behind one axis for ``dimension`` if there is one in the file;
    of a surface ``nz`` is 1."""

    values: np.ndarray
    dimension: str | None


@values.register
def _(profile: FromFile, at: Points, key: KeyPath) -> np.ndarray:
    records = read_records(profile, at, key)
    if records.dimension is None:
        return records.values
    if len(records.values) == 1:
        return records.values[0]
    message = mismatch(
        f"{profile.variable} with {len(records.values)} records along {records.dimension} in "
        f"{profile.file}",
        "one field",
        "extract one record",
    )
    raise NamelistError([Problem((*key, "variable"), message)])


def read_records(profile: FromFile, at: Points, key: KeyPath) -> Records:
    """All records at this rank's points, 0 where dry; every wet point has a value, else the
    namelist is refused. All ranks call this together."""
    reader = RecordReader.open(profile, at, key)
    return Records(reader.checked(reader.read()), reader.dimension)


@dataclass(frozen=True)
class RecordReader:
    """Reads the records of a variable at this rank's points; ``count`` of them along
    ``dimension``, if there is one. ``key``: what asks for them."""

    profile: FromFile
    at: Points
    key: KeyPath
    variable: FileVariable | Regridded
    dimension: str | None

    @classmethod
    def open(cls, profile: FromFile, at: Points, key: KeyPath) -> RecordReader:
        name = (*key, "variable")
        variable = file_variable(profile.file, profile.variable, name, profile.unit)
        if profile.interpolate:
            variable = Regridded.onto(at.grid, variable, name)
        return cls(profile, at, key, variable, _record_dimension(variable, at, key))

    @property
    def count(self) -> int:
        return self.variable.shape[0] if self.dimension else 1

    def read(self, records: Sequence[int] | None = None) -> np.ndarray:
        """This rank's part with its halo, NaN where the file has no value; ``records``: the ones
        of these numbers. May be called by any thread."""
        domain, halo = self.at.grid.domain, self.profile.extrapolate + 1
        if records is None:
            window = domain.local(self.variable, halo, beyond=np.nan)
        else:
            each = [_Record(self.variable, number) for number in records]
            window = np.stack([domain.local(one, halo, beyond=np.nan) for one in each])
        return np.where(np.isfinite(window), window, np.nan)

    def checked(self, window: np.ndarray) -> np.ndarray:
        """Values at the owned points out of what was read, 0 where dry. All ranks call this
        together."""
        at, profile, reach = self.at, self.profile, self.profile.extrapolate
        if at.surface:
            window = np.expand_dims(window, -3)
        found = _at_points(window, at, profile)
        known = _at_points(_extrapolated(window, reach), at, profile) if reach else found
        _require_values(_missing(known, at), at, self.key, profile)
        _report(_missing(found, at), at, self.key, profile)
        return np.where(at.wet, known, 0.0)


class _Record(NamedTuple):
    """One record of a variable, sliced like an array."""

    variable: FileVariable | Regridded
    number: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.variable.shape[1:]

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        return self.variable[(self.number, *index)]


def _missing(values: np.ndarray, at: Points) -> np.ndarray:
    """Wet points ``(nz, ny, nx)`` without a value in some record."""
    missing = np.isnan(values) & at.wet
    return np.asarray(missing.any(axis=tuple(range(missing.ndim - 3))))


def _record_dimension(variable: FileVariable | Regridded, at: Points, key: KeyPath) -> str | None:
    """The dimension in front of those of the grid."""
    expected = at.grid.global_shape[1:] if at.surface else at.grid.global_shape
    extra = len(variable.shape) - len(expected)
    if variable.shape[max(extra, 0) :] == expected and extra in (0, 1):
        return variable.dimensions[0] if extra else None
    axes = "(ny, nx)" if at.surface else "(nz, ny, nx)"
    message = mismatch(
        f"{variable.name} of shape {variable.shape} in {variable.path}",
        f"shape {expected}, the {axes} of the grid, or one axis more in front",
        "correct the grid, choose another variable, or write interpolate: true",
    )
    raise NamelistError([Problem((*key, "variable"), message)])


def _at_points(window: np.ndarray, at: Points, profile: FromFile) -> np.ndarray:
    """Owned points out of a window with a halo; at faces the mean of the cells on both sides, or
    the one that has a value."""
    ny, nx = at.grid.domain.shape
    halo = profile.extrapolate + 1

    def owned(south: int = 0, west: int = 0) -> np.ndarray:
        row, column = halo - south, halo - west
        return window[..., row : row + ny, column : column + nx]

    if profile.staggered or at.location not in NEIGHBOUR:
        return owned()
    low, high = owned(*NEIGHBOUR[at.location]), owned()
    return 0.5 * (np.where(np.isnan(low), high, low) + np.where(np.isnan(high), low, high))


def _extrapolated(window: np.ndarray, reach: int) -> np.ndarray:
    """``window`` with values carried ``reach`` cells along the levels, and then down: a cell
    without a value takes the mean of the four around it that have one."""
    for _ in range(reach):
        padded = np.pad(window, [(0, 0)] * (window.ndim - 2) + [(1, 1)] * 2, constant_values=np.nan)
        around = np.stack(
            [
                padded[..., 1:-1, :-2],
                padded[..., 1:-1, 2:],
                padded[..., :-2, 1:-1],
                padded[..., 2:, 1:-1],
            ]
        )
        count = (~np.isnan(around)).sum(axis=0)
        mean = np.nansum(around, axis=0) / np.maximum(count, 1)
        window = np.where(np.isnan(window) & (count > 0), mean, window)
    for level in range(1, window.shape[-3]):
        here, above = window[..., level, :, :], window[..., level - 1, :, :]
        window[..., level, :, :] = np.where(np.isnan(here), above, here)
    return window


def _require_values(missing: np.ndarray, at: Points, key: KeyPath, profile: FromFile) -> None:
    point = first_point(at.grid, missing)
    if point is None:
        return
    count = sum(at.grid.domain.comm.allgather(int(missing.sum())))
    message = mismatch(
        f"no value of {profile.variable} at {point}, and {count} such points in all, in "
        f"{profile.file}",
        "a value at every wet point",
        f"correct the file, or write extrapolate: {profile.extrapolate + 5}",
    )
    raise NamelistError([Problem((*key, "variable"), message)])


def _report(missing: np.ndarray, at: Points, key: KeyPath, profile: FromFile) -> None:
    """Warn on rank 0 how many values are extrapolated."""
    count = sum(at.grid.domain.comm.allgather(int(missing.sum())))
    if count and profile.extrapolate and at.grid.domain.comm.is_root:
        message = (
            f"{count} wet points without a value of {profile.variable} in {profile.file} take "
            f"values from points around and above"
        )
        warnings.warn(NamelistWarning(Problem(key, message)), stacklevel=2)
