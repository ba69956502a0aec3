"""Forward-backward substeps of linear waves, and the weighted sums by which they are averaged.

A potential (sea level, geopotential) and the velocities it drives take turns, half a substep apart
(Stoermer-Verlet). The velocity is eliminated: the increment ``x`` of the potential since the start
of the step obeys::

    rise_k = rise_{k-1} + push(x_{k-1}),     x_k = x_{k-1} + rise_k,     x_0 = 0

with ``push`` affine, and the velocities at the end and in the mean of the step follow from two
weighted sums over ``x_k``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dassim.dynamics.free_surface.averaging import averaging_filter
from dassim.dynamics.free_surface.five_point import Overlap

Push = Callable[[jax.Array], jax.Array]


class SubstepWeights(NamedTuple):
    """Weights of the increments ``x_k``, ``k = 1 ... M*``, in the filtered velocities::

        end of step:  u_0 + dt a_0 - dt g grad(sum_k end_k x_k)
        mean of step: u_0 + dt centre a_0 - dt g grad(sum_k mean_k x_k)

    The first is ``sum_m a_m u_m``, the second ``sum_k b_k u_{k-1/2}``, with the filter's a and b
    and ``u_{k-1/2}`` the velocity between x_{k-1} and x_k.
    """

    end: np.ndarray
    mean: np.ndarray
    centre: float


@cache
def substep_weights(substeps: int, slope: float) -> SubstepWeights:
    transport = averaging_filter(substeps, slope).secondary
    following = np.append(transport[1:], 0.0)
    return SubstepWeights(
        end=0.5 * (transport + following),
        mean=np.cumsum(following[::-1])[::-1] / substeps,
        centre=float(transport @ (np.arange(len(transport)) + 0.5) / substeps),
    )


Sums = tuple[jax.Array, jax.Array]


def weighted_increments(push: Push, rise: jax.Array, weights: SubstepWeights) -> Sums:
    """The two weighted sums of ``x (..., ny, nx)`` over all substeps, from the first ``rise``; all
    of them on owned points."""
    return _run(_substep(push, lambda x: x), rise, (weights.end, weights.mean))


def overlapping_increments(
    push: Push, rise: jax.Array, weights: SubstepWeights, overlap: Overlap
) -> Sums:
    """The same, of a ``push(x)`` that gets and gives arrays with the halo of ``overlap``, which is
    exchanged once in as many substeps as it has points.

    Each substep spoils one more of them from the edge inwards; the owned points stay right until
    the next exchange.
    """
    if overlap.width == 1 or overlap.halo == (0, 0):
        return weighted_increments(lambda x: overlap.owned(push(overlap.extend(x))), rise, weights)
    substep = _substep(push, overlap.owned)

    def stretch(carry, weights):
        x, rise, totals = carry
        start = (*overlap.extend((x, rise)), totals)
        (x, rise, totals), _ = jax.lax.scan(substep, start, weights)
        return (overlap.owned(x), overlap.owned(rise), totals), None

    def stretches(weights):
        count = math.ceil(len(weights) / overlap.width)
        filled = np.pad(weights, (0, count * overlap.width - len(weights)))
        return filled.reshape(count, overlap.width)

    return _run(stretch, rise, (stretches(weights.end), stretches(weights.mean)))


def _substep(push: Push, owned: Push) -> Callable[[Any, Any], Any]:
    """The step of a scan over the weights; ``owned``: the points of ``x`` that are summed."""

    def substep(carry, weights):
        x, rise, totals = carry
        rise = rise + push(x)
        x = x + rise
        end, mean = weights
        return (x, rise, (totals[0] + end * owned(x), totals[1] + mean * owned(x))), None

    return substep


def _run(step: Callable[[Any, Any], Any], rise: jax.Array, weights: tuple[Any, Any]) -> Sums:
    """``step`` for every one of the ``weights``."""
    zero = jnp.zeros_like(rise)
    start, each = (zero, rise, (zero, zero)), tuple(jnp.asarray(w, rise.dtype) for w in weights)
    if each[0].shape[0] == 1:  # without a scan of length 1, which would copy what it saves
        (_, _, totals), _ = step(start, tuple(w[0] for w in each))
    else:
        (_, _, totals), _ = jax.lax.scan(step, start, each)
    return totals
