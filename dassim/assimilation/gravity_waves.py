"""Jc: what of an analysis is fast costs something.

Observations and increments set off gravity waves. A digital filter over the first states of every
segment, centred on the state in their middle, tells the fast part of that state (Lynch and Huang
1992, Mon. Wea. Rev. 120, 1019), and the cost has the term (Gauthier and Thepaut 2001, Mon. Wea.
Rev. 129, 2089)

``Jc = 1/2 sum over segments, variables and points of ((x_N - sum_n h_n x_n) / size)^2``

for ``n = 0 ... 2 N``. A state that does not change costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.simulation.segments import Parts
from dassim.simulation.trees import named_leaves

NAME = "Jc"


def lanczos_filter(half: int, steps_in_period: float) -> np.ndarray:
    """Weights ``h_n``, ``(2 half + 1,)``, of sum 1, of a low-pass filter with Lanczos' window.

    ``steps_in_period``: of the shortest period that passes, about.

    >>> h = lanczos_filter(9, 18)
    >>> h.shape, round(float(h.sum()), 12), bool(h.argmax() == 9)
    ((19,), 1.0, True)
    """
    n = np.arange(-half, half + 1)
    ideal = 2.0 / steps_in_period * np.sinc(2.0 * n / steps_in_period)
    weights = ideal * np.sinc(n / (half + 1))
    return weights / weights.sum()


class FastPart(eqx.Module):
    """The fast part of the state ``half`` steps after a segment's start.

    ``inverse_sizes``: by leaf of the state, and shaped like it, one over the ``size`` that its fast
    part may have, 0 on land. ``steps_in_period``: of the shortest period that is not fast.
    """

    inverse_sizes: Mapping[str, jax.Array]
    half: int = eqx.field(static=True)
    steps_in_period: float = eqx.field(static=True)

    def weights(self, steps: int) -> np.ndarray:
        if steps < 2 * self.half:
            raise ValueError(
                f"found a segment of {steps} steps, expected at least {2 * self.half}: the filter "
                f"needs them"
            )
        weights = np.zeros(steps + 1)
        weights[: 2 * self.half + 1] = -lanczos_filter(self.half, self.steps_in_period)
        weights[self.half] += 1.0
        return weights

    def sample(self, state: Any) -> dict[str, jax.Array]:
        leaves = named_leaves(state)
        return {leaf: leaves[leaf] for leaf in self.inverse_sizes}

    def parts(self, total: Mapping[str, jax.Array]) -> Parts:
        shares = (jnp.sum((w * total[leaf]) ** 2) for leaf, w in self.inverse_sizes.items())
        return {NAME: 0.5 * sum(shares, start=jnp.zeros(()))}
