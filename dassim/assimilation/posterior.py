"""Errors of an analysis, estimated from what its last inner problem has learnt of the Hessian.

Fisher and Courtier (1995), ECMWF Tech. Memo. 220. The inverse of the Hessian of 4D-Var in the
control vector, ``A = I + G^T R^-1 G``, is the covariance of the analysis errors. Ritz pairs of
``A`` explain a part of the variance of the background; what they do not explain stays, so the
estimate is an upper bound, exact where the pairs span all that the data see (of a linear model with
Gaussian errors).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from dassim.assimilation.control import Control
from dassim.assimilation.cost import BackgroundTerm, FourDVar
from dassim.assimilation.lanczos import Krylov, inverse_bound

Deviations = Mapping[str, Any]


@dataclass(frozen=True)
class Posterior:
    """Standard deviations of the errors of ``background`` and ``analysis`` by unknown, in its unit
    and shaped like it: this rank's part.

    ``pairs`` carry the estimate. ``unknown`` are the unknowns whose background errors are not known
    in closed form: what a balance adds to.
    """

    background: Deviations
    analysis: Deviations
    pairs: int
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"errors of the analysis: an upper bound from {self.pairs} Lanczos pairs"
        without = f"; none of {', '.join(self.unknown)}: a balance adds to them"
        return f"{text}{without if self.unknown else ''}"


def posterior(objective: FourDVar, krylov: Krylov | None) -> Posterior | None:
    """The estimate from ``krylov``, where there is one and the cost has a background term.

    ``variance = diag(B) - sum_i weight_i (B^(1/2) w_i)^2``. All ranks call this together.
    """
    has_background = any(isinstance(term, BackgroundTerm) for term in objective.terms)
    if krylov is None or krylov.iterations == 0 or not has_background:
        return None
    transform, bound = objective.transform, inverse_bound(krylov)
    sought = transform.increment_of(transform.background)
    before, explained = _flat(transform.root.spread(sought)), _flat(transform.variance(bound))
    after = {
        name: jnp.sqrt(jnp.maximum(0.0, size**2 - explained[name])) for name, size in before.items()
    }
    unknown = tuple(name for name in _flat(sought) if name not in before)
    return Posterior(before, after, len(bound), unknown)


def _flat(control: Control) -> dict[str, Any]:
    return {**control.distributed, **control.replicated}
