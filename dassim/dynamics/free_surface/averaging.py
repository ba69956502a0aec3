"""Averaging over the substeps of the external mode (Shchepetkin and McWilliams 2005)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

LEAST_DISPERSION = 0.18927
LEAST_DAMPING = 0.2846


class AveragingFilter(NamedTuple):
    """Weights of the substeps ``m = 1 ... M*`` around a step of ``M`` substeps.

    ``primary`` a_m: of sea level and velocity at substep m, with ``sum a = 1`` and
    ``sum a m / M = 1`` (the average is centred on the end of the step).
    ``secondary`` b_m: of the transport from substep m - 1 to m,
    ``b_m = 1/M sum_{k >= m} a_k``, with ``sum b = 1``: the transport that changes the averaged
    sea level from step to step.
    """

    primary: np.ndarray
    secondary: np.ndarray


@cache
def averaging_filter(substeps: int, slope: float = LEAST_DISPERSION) -> AveragingFilter:
    """The power-law filter ``a = A (x^2 (1 - x^4) - slope x)``, ``x = m / (M tau)``, where positive
    or below its maximum; ``tau`` makes the discrete first moment 1.

    ``slope = 0.18927`` has the least error of phase (2e-5 at omega dt = 1, amplitude 0.976);
    0.2846 makes the second moment 1 as well: least damping (amplitude 0.999, phase 4e-3).

    Source: Shchepetkin, A. F., and J. C. McWilliams, 2005: The regional oceanic modeling system,
    Ocean Modelling 9, 347-404.

    >>> weights = averaging_filter(20)
    >>> len(weights.primary), float(weights.secondary.sum().round(14))
    (28, 1.0)
    """

    shape = _shape(substeps, _centred_scale(substeps, slope), slope)
    primary = shape / shape.sum()
    secondary = np.cumsum(primary[::-1])[::-1] / substeps
    return AveragingFilter(primary, secondary / secondary.sum())


def _centred_scale(substeps: int, slope: float) -> float:
    """``tau``, by bisection: the mean time grows with it."""
    low, high = 1.2, 2.0
    while low < (middle := 0.5 * (low + high)) < high:
        late = _mean_time(_shape(substeps, middle, slope)) > substeps
        low, high = (low, middle) if late else (middle, high)
    return low


def _shape(substeps: int, scale: float, slope: float) -> np.ndarray:
    """Weights before normalisation at ``m = 1, 2, ...`` up to the last positive one."""
    x = np.arange(1, 4 * substeps + 1) / (substeps * scale)
    shape = x**2 * (1 - x**4) - slope * x
    return shape[: np.flatnonzero(shape > 0)[-1] + 1]


def _mean_time(shape: np.ndarray) -> float:
    return float(shape @ np.arange(1, len(shape) + 1) / shape.sum())
