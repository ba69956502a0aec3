"""What a reconstruction should give, written with loops and point values, one face at a time."""

from __future__ import annotations

import numpy as np

from dassim.dynamics.reconstruction import WENO, Centred, FluxLimited, Scheme, Upwind

LIMITERS = ("minmod", "van_leer", "koren", "superbee")
SCHEMES = (
    Centred(2),
    Centred(4),
    Upwind(3),
    Upwind(5),
    WENO(3),
    WENO(5),
    *(FluxLimited(limiter) for limiter in LIMITERS),
)


def face_values(q, velocity, scheme: Scheme, wet=None) -> np.ndarray:
    """Values at the faces between all neighbours of ``q (n)``; ``velocity``, ``wet`` likewise.

    Face ``i`` lies between points ``i`` and ``i + 1``. Beyond them, differences to dry points and
    to points beyond the ends of ``q`` count as 0.
    """
    wet = np.ones(len(q), bool) if wet is None else wet
    return np.array(
        [_face_value(q, i, velocity[i] > 0, scheme, wet) for i in range(len(q) - 1)], q.dtype
    )


def _face_value(q, i, forward, scheme, wet):
    low, high = _outward(q, wet, i, -1), _outward(q, wet, i + 1, 1)
    if isinstance(scheme, Centred):
        return _centred(scheme.order, low, high)
    upstream, downstream = (low, high) if forward else (high, low)
    if scheme.reach == 2:
        return _of_three(scheme, upstream[1], upstream[0], downstream[0])
    return _of_five(scheme, *upstream[2::-1], *downstream[:2])


def _outward(q, wet, start, step):
    """Three values from ``start`` on; across dry or missing points there is no difference."""
    values = [q[start]]
    for i in (start + step, start + 2 * step):
        connected = 0 <= i < len(q) and wet[i] and wet[i - step]
        values.append(values[-1] + (q[i] - q[i - step] if connected else 0))
    return values


def _centred(order, low, high):
    if order == 2:
        return (low[0] + high[0]) / 2
    return (7 * (low[0] + high[0]) - (low[1] + high[1])) / 12


def _of_three(scheme, a, b, c):
    if isinstance(scheme, Upwind):
        return (-a + 5 * b + 2 * c) / 6
    if isinstance(scheme, WENO):
        candidates = np.array([(3 * b - a) / 2, (b + c) / 2])
        return _weighted(scheme, [1 / 3, 2 / 3], candidates, [(b - a) ** 2, (c - b) ** 2])
    if (c - b) * (b - a) <= 0:
        return b
    ratio = (b - a) / (c - b)
    phi = {
        "minmod": min(1, ratio),
        "van_leer": 2 * ratio / (1 + ratio),
        "koren": min(2 * ratio, (ratio + 2) / 3, 2),
        "superbee": max(min(2 * ratio, 1), min(ratio, 2)),
    }[scheme.limiter]
    return b + phi / 2 * (c - b)


def _of_five(scheme, a, b, c, d, e):
    if isinstance(scheme, Upwind):
        return (2 * a - 13 * b + 47 * c + 27 * d - 3 * e) / 60
    candidates = np.array(
        [(2 * a - 7 * b + 11 * c) / 6, (-b + 5 * c + 2 * d) / 6, (2 * c + 5 * d - e) / 6]
    )
    smoothness = [
        13 / 12 * (a - 2 * b + c) ** 2 + (a - 4 * b + 3 * c) ** 2 / 4,
        13 / 12 * (b - 2 * c + d) ** 2 + (b - d) ** 2 / 4,
        13 / 12 * (c - 2 * d + e) ** 2 + (3 * c - 4 * d + e) ** 2 / 4,
    ]
    return _weighted(scheme, [0.1, 0.6, 0.3], candidates, smoothness)


def _weighted(scheme, ideal, candidates, smoothness):
    beta = np.array(smoothness) + scheme.smooth_below**2
    alpha = np.array(ideal) * (1 + ((beta[0] - beta[-1]) / beta) ** 2)
    return (alpha @ candidates) / alpha.sum()
