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
from typing import NamedTuple

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


def weighted_increments(
    push: Push, rise: jax.Array, weights: SubstepWeights, overlap: Overlap
) -> tuple[jax.Array, jax.Array]:
    """The two weighted sums of ``x`` over all substeps, ``(..., ny, nx)`` on owned points, from the
    first ``rise``.

    ``push(x)`` gets and gives arrays with the halo of ``overlap``, which is exchanged once in as
    many substeps as it has points. Each substep spoils one more of them from the edge inwards; the
    owned points stay right until the next exchange.
    """

    def summed(totals, x, weights):
        return totals[0] + weights[0] * x, totals[1] + weights[1] * x

    def alone(carry, weights):
        x, rise, totals = carry
        rise = rise + overlap.owned(push(overlap.extend(x)))
        x = x + rise
        return (x, rise, summed(totals, x, weights)), None

    def following(carry, weights):
        x, rise, totals = carry
        rise = rise + push(x)
        x = x + rise
        return (x, rise, summed(totals, overlap.owned(x), weights)), None

    def stretch(carry, weights):
        x, rise, totals = carry
        start = (*overlap.extend((x, rise)), totals)
        (x, rise, totals), _ = jax.lax.scan(following, start, weights)
        return (overlap.owned(x), overlap.owned(rise), totals), None

    def stretches(weights):
        count = math.ceil(len(weights) / overlap.width)
        filled = np.pad(weights, (0, count * overlap.width - len(weights)))
        return jnp.asarray(filled.reshape(count, overlap.width), rise.dtype)

    zero = jnp.zeros_like(rise)
    start = (zero, rise, (zero, zero))
    every = (weights.end, weights.mean)
    if overlap.width == 1 or overlap.halo == (0, 0):
        each = tuple(jnp.asarray(w, rise.dtype) for w in every)
        (_, _, totals), _ = jax.lax.scan(alone, start, each)
    else:
        (_, _, totals), _ = jax.lax.scan(stretch, start, tuple(stretches(w) for w in every))
    return totals
