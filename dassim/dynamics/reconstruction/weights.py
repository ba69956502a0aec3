"""Substencils of the WENO schemes, their nonlinear weights, and the derivatives of both."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import jax

Coefficients = tuple[float, ...]


def total(terms: Iterable[jax.Array]) -> jax.Array:
    return reduce(operator.add, terms)


def combine(coefficients: Iterable[Any], values: Iterable[Any]) -> jax.Array:
    """``sum of coefficient * value``, numbers or arrays; the number 0 leaves its term out."""
    pairs = zip(coefficients, values, strict=True)
    return total(c * value for c, value in pairs if not (isinstance(c, float) and c == 0.0))


@dataclass(frozen=True)
class Substencil:
    """One candidate polynomial: its part in the optimal scheme, ``ideal``; its face value minus the
    upstream value, a combination of the ``candidate`` coefficients with the differences along the
    flow; its smoothness ``beta = sum of weight * (form . differences)^2``."""

    ideal: float
    candidate: Coefficients
    smoothness: tuple[tuple[float, Coefficients], ...]

    def beta(self, eps: float, differences: Sequence[jax.Array]) -> jax.Array:
        """Smoothness plus ``eps``."""
        return eps + total(w * combine(form, differences) ** 2 for w, form in self.smoothness)

    def beta_slope(self, differences: Sequence[jax.Array], j: int) -> jax.Array:
        """Derivative of ``beta`` with respect to a difference ``j`` that it depends on."""
        return total(
            2 * w * form[j] * combine(form, differences) for w, form in self.smoothness if form[j]
        )


@dataclass(frozen=True)
class Substencils:
    """All candidates of one scheme, upstream first."""

    members: tuple[Substencil, ...]

    def value(self, eps: float, differences: Sequence[jax.Array]) -> jax.Array:
        """Face value minus upstream value: the weighted mean of the candidates."""
        _, _, alphas = self._weights(eps, differences)
        candidates = [combine(s.candidate, differences) for s in self.members]
        return combine(alphas, candidates) / total(alphas)

    def slopes(self, eps: float, differences: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
        """Derivatives of :meth:`value` with respect to each difference.

        With ``r = (beta_first - beta_last) / beta``, ``alpha = ideal (1 + r^2)`` and the weights
        ``omega = alpha / sum(alpha)``::

            d value = sum_k omega_k d candidate_k
                      + g_k (d beta_first - d beta_last - r_k d beta_k),
            g_k = 2 ideal_k r_k (candidate_k - value) / (beta_k sum(alpha))
        """
        inverses, ratios, alphas = self._weights(eps, differences)
        candidates = [combine(s.candidate, differences) for s in self.members]
        over_total = 1 / total(alphas)
        omegas = [alpha * over_total for alpha in alphas]
        value = combine(omegas, candidates)
        g = [
            2 * s.ideal * r * inverse * (candidate - value) * over_total
            for s, r, inverse, candidate in zip(
                self.members, ratios, inverses, candidates, strict=True
            )
        ]
        per_beta = [-gk * r for gk, r in zip(g, ratios, strict=True)]
        per_beta[0] = per_beta[0] + total(g)
        per_beta[-1] = per_beta[-1] - total(g)
        return tuple(
            total(
                omega * s.candidate[j] + per * s.beta_slope(differences, j)
                for s, omega, per in zip(self.members, omegas, per_beta, strict=True)
                if s.candidate[j]
            )
            for j in range(len(differences))
        )

    def _weights(self, eps: float, differences: Sequence[jax.Array]):
        betas = [s.beta(eps, differences) for s in self.members]
        spread = betas[0] - betas[-1]
        inverses = [1 / beta for beta in betas]
        ratios = [spread * inverse for inverse in inverses]
        alphas = [s.ideal + s.ideal * r * r for s, r in zip(self.members, ratios, strict=True)]
        return inverses, ratios, alphas


SUBSTENCILS = {
    3: Substencils(
        (
            Substencil(1 / 3, (1 / 2, 0.0), ((1.0, (1.0, 0.0)),)),
            Substencil(2 / 3, (0.0, 1 / 2), ((1.0, (0.0, 1.0)),)),
        )
    ),
    5: Substencils(
        (
            Substencil(
                1 / 10,
                (-2 / 6, 5 / 6, 0.0, 0.0),
                ((13 / 12, (-1.0, 1.0, 0.0, 0.0)), (1 / 4, (-1.0, 3.0, 0.0, 0.0))),
            ),
            Substencil(
                6 / 10,
                (0.0, 1 / 6, 2 / 6, 0.0),
                ((13 / 12, (0.0, -1.0, 1.0, 0.0)), (1 / 4, (0.0, 1.0, 1.0, 0.0))),
            ),
            Substencil(
                3 / 10,
                (0.0, 0.0, 4 / 6, -1 / 6),
                ((13 / 12, (0.0, 0.0, -1.0, 1.0)), (1 / 4, (0.0, 0.0, 3.0, -1.0))),
            ),
        )
    ),
}
