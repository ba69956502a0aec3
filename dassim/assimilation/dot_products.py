"""Whether an adjoint is the transpose: ``<F' dx, y> = <dx, F'^T y>``, with inner products over all
ranks. On one rank's part alone it would hold for an adjoint that never sends a message back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import (
    Control,
    ControlSpace,
    joined,
    random_like,
    split,
    sum_over_ranks,
)
from dassim.assimilation.tables import plain_table, verdict
from dassim.parallel import Domain
from dassim.simulation.model import Model

ROUND_OFF = 100 * float(np.finfo(float).eps)
"""Of the sum of the sizes of its terms: nearer than this, two sums of the same terms may not be.
In double precision, as the tolerances are."""

VAIN = 1e-9
"""Dot products that cancel so far that round-off is larger tell nothing, and fail."""

NOTHING = 1e-12
"""In SI units: an array of smaller numbers, as of rain where none falls, holds round-off alone."""


@dataclass(frozen=True)
class DotProductTest:
    """``forward = <F' dx, y>`` and ``adjoint = <dx, F'^T y>``; ``terms``: the sum of the sizes of
    what one of them adds up, which may cancel; of the one with more of it."""

    name: str
    forward: float
    adjoint: float
    tolerance: float = 1e-12
    terms: float = 0.0

    @property
    def size(self) -> float:
        return max(abs(self.forward), abs(self.adjoint))

    @property
    def difference(self) -> float:
        """Relative to the larger of the two; 0 where both vanish."""
        apart = abs(self.forward - self.adjoint)
        return apart / self.size if self.size else apart

    @property
    def bound(self) -> float:
        """Of the difference: the tolerance, and the round-off of terms that cancel."""
        round_off = ROUND_OFF * self.terms / self.size if self.size else 0.0
        return max(self.tolerance, min(self.tolerance + round_off, VAIN))

    @property
    def passed(self) -> bool:
        return self.difference <= self.bound

    def __str__(self) -> str:
        columns = ["<F' dx, y>", "<dx, F'^T y>", "difference"]
        table = plain_table(columns, [[self.forward, self.adjoint, self.difference]])
        vanish = self.forward == self.adjoint == 0.0
        note = "; both vanish: the step depends on nothing that is differentiated" if vanish else ""
        under = verdict(self.passed, f"expected at most {self.bound:.1e}{note}")
        return f"Dot-product test: {self.name}\n{table}\n{under}"


def dot_product_test(
    name: str,
    function: Callable[[Control], Control],
    point: Control,
    domain: Domain,
    *,
    seed: int = 0,
    tolerance: float = 1e-12,
) -> DotProductTest:
    """Compare the tangent-linear and the adjoint of ``function`` at ``point`` on random vectors.

    They are the same vectors on every number of ranks, to round-off, and in proportion to what
    they change: were a viscosity of 1e-4 and a temperature of 300 changed alike, the sums would
    cancel to round-off of one and not see the other. The adjoint is the transpose of the same
    linearisation: where slopes change within a small range, as WENO's in a uniform field, those of
    two programs, whose values differ in the last place, may differ by 1e-10. What it keeps of the
    steps, gigabytes of a large model, goes into the programs as arguments, not as constants.
    """
    space = ControlSpace(domain)
    image, linear = jax.linearize(jax.jit(lambda x: function(x)), point)
    dx = jax.tree.map(jnp.multiply, random_like(domain, point, seed), sizes(domain, point))
    y = jax.tree.map(jnp.divide, random_like(domain, image, seed + 1), sizes(domain, image))
    tangent = jax.jit(lambda linear, dx: linear(dx))(linear, dx)

    @jax.jit
    def adjoint(linear: Callable[[Control], Control], y: Control) -> Control:
        share = jax.linear_transpose(lambda dx: space.share(linear(dx), y), dx)
        (gradient,) = share(jnp.ones(()))
        return Control(gradient.distributed, sum_over_ranks(domain, gradient.replicated))

    back = adjoint(linear, y)
    forward, backward = space.dot(tangent, y), space.dot(dx, back)
    terms = max(space.dot(size_of(a), size_of(b)) for a, b in ((tangent, y), (dx, back)))
    return DotProductTest(name, forward, backward, tolerance, terms)


def size_of(vector: Control) -> Control:
    return jax.tree.map(abs, vector)


def sizes(domain: Domain, control: Control) -> Control:
    """The root mean square of every array over all ranks; 1 where that is less than
    :data:`NOTHING`."""

    def size(squares: jax.Array, count: jax.Array | int) -> jax.Array:
        mean = squares / count
        return jnp.sqrt(jnp.where(mean > NOTHING**2, mean, 1.0))

    def whole(leaf: jax.Array) -> jax.Array:
        counted = jnp.stack([jnp.sum(leaf**2), jnp.full((), leaf.size, leaf.dtype)])
        return size(*domain.sum(counted))

    return Control(
        jax.tree.map(whole, control.distributed),
        jax.tree.map(lambda leaf: size(jnp.sum(leaf**2), leaf.size), control.replicated),
    )


def model_dot_product_test(
    model: Model,
    parameters: Any,
    state: Any,
    *,
    steps: int = 1,
    seed: int = 0,
    tolerance: float = 1e-12,
) -> DotProductTest:
    """:func:`dot_product_test` of ``steps`` steps, with respect to state and parameters."""
    variable, fixed = eqx.partition((parameters, state), eqx.is_inexact_array)
    domain = model.domain

    def function(x: Control) -> Control:
        parameters, state = eqx.combine(joined(x), fixed)
        end, _ = jax.lax.scan(
            lambda state, _: (model.step(parameters, state), None), state, length=steps
        )
        return split(domain, eqx.filter(end, eqx.is_inexact_array))

    name = f"{steps} step{'s' * (steps > 1)} of {type(model).__name__}"
    return dot_product_test(
        name, function, split(domain, variable), domain, seed=seed, tolerance=tolerance
    )
