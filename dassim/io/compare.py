"""How much the fields of two runs differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from dask.base import compute


class Difference(NamedTuple):
    """Of one variable at one time: the largest, the largest over the largest value of both, and
    the root mean square one. Infinite where one run has a value and the other none."""

    variable: str
    time: str
    largest: float
    relative: float
    rms: float


def unlike(a: xr.Dataset, b: xr.Dataset) -> list[str]:
    """What cannot be compared: variables, times or grids that only one of the two has."""
    findings = []
    for which, one, other in (("first", a, b), ("second", b, a)):
        alone = [str(name) for name in one.data_vars if name not in other.data_vars]
        if alone:
            findings.append(f"only the {which} run has {', '.join(sorted(alone))}")
        times = sorted(_times(one) - _times(other))
        if times:
            more = f" and {len(times) - 1} more" if len(times) > 1 else ""
            findings.append(f"only the {which} run has the time {times[0]}{more}")
    for name in _common(a, b):
        shapes = [tuple(one[name].sizes[d] for d in one[name].dims[1:]) for one in (a, b)]
        if shapes[0] != shapes[1]:
            findings.append(f"{name}: found shapes {shapes[0]} and {shapes[1]}")
    for dim in a.dims:
        if dim == "time" or dim not in a.coords or dim not in b.coords:
            continue
        one, other = (np.asarray(run[dim].values, float) for run in (a, b))
        if one.shape == other.shape and not np.array_equal(one, other):
            far = float(np.abs(one - other).max())
            findings.append(f"{dim}: found points up to {far:.4g} {a[dim].units} apart")
    return findings


def differences(a: xr.Dataset, b: xr.Dataset) -> Iterator[Difference]:
    """Those of all variables and times that both runs have, one record in memory at a time."""
    index = [{time: i for i, time in enumerate(_labels(one))} for one in (a, b)]
    for name in _common(a, b):
        if a[name].shape[1:] != b[name].shape[1:]:
            continue
        for time, i in index[0].items():
            if time in index[1]:
                pair = compute(a[name][i].data, b[name][index[1][time]].data)
                yield Difference(name, time, *measures(*(np.asarray(x, float) for x in pair)))


def measures(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Largest, relative and root mean square difference of two fields; NaN in both is land.

    >>> measures(np.array([1.0, 4.0]), np.array([1.0, 3.0]))
    (1.0, 0.25, 0.7071067811865476)
    """
    land = np.isnan(a) & np.isnan(b)
    a, b = a[~land], b[~land]
    if a.size == 0 or np.array_equal(a, b):
        return 0.0, 0.0, 0.0
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    apart[a == b] = 0.0  # also where both are infinite
    if not np.isfinite(apart).all():
        return math.inf, math.inf, math.inf
    largest = float(apart.max())
    scale = float(max(np.abs(a).max(), np.abs(b).max()))
    return largest, largest / scale, float(np.sqrt(np.mean(apart**2)))


def _common(a: xr.Dataset, b: xr.Dataset) -> list[str]:
    return [str(name) for name in a.data_vars if name in b.data_vars and "time" in a[name].dims]


def _labels(dataset: xr.Dataset) -> list[str]:
    return [str(time).replace(" ", "T")[:19] for time in dataset["time"].values]


def _times(dataset: xr.Dataset) -> set[str]:
    return set(_labels(dataset))
