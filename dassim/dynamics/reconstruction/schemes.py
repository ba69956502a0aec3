"""Schemes: the value between two points from the points around, on a uniform spacing.

Values of the source are averages over its cells; the schemes give the value at the face between
two of them (Shu 1998, ICASE Report 97-65). On a smoothly stretched spacing all are second order.

Each result is a value of the source plus a combination of differences, so that a constant comes
back unchanged, bit for bit, and numbers far from zero lose no digits in single precision.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from dassim.dynamics.reconstruction.weights import SUBSTENCILS, combine
from dassim.grid.locality import compiled_apart

Arrays = tuple[jax.Array, ...]


class Scheme(abc.ABC):
    """Static, hashable; compares by its parameters."""

    @property
    @abc.abstractmethod
    def reach(self) -> int:
        """Points needed on either side of a face: the width of the halo for fluxes at the faces
        0..n of the owned cells."""

    @abc.abstractmethod
    def between(
        self, forward: jax.Array, low: jax.Array, high: jax.Array, below: Arrays, above: Arrays
    ) -> jax.Array:
        """The value at the face between ``low`` and ``high``, arrays of one shape.

        ``below`` and ``above`` are the ``reach - 1`` differences (higher index minus lower) on
        either side of the face, nearest first; ``forward``: the flow is towards higher indices.
        """


@dataclass(frozen=True)
class Centred(Scheme):
    """Symmetric average of 2 or 4 points: no damping, dispersive."""

    order: Literal[2, 4] = 2

    def __post_init__(self):
        _require(self.order, (2, 4), "Centred: order")

    @property
    def reach(self) -> int:
        return self.order // 2

    def between(self, forward, low, high, below, above):
        mean = 0.5 * (low + high)
        return mean if self.order == 2 else mean + (below[0] - above[0]) / 12


class UpwindBiased(Scheme):
    """One point more upstream than downstream: the value upstream of the face plus a correction.

    The stencil is picked by the direction of the flow before the correction is computed, once.
    """

    def between(self, forward, low, high, below, above):
        upstream, downstream = (
            [jnp.where(forward, one, other) for one, other in zip(*sides, strict=True)]
            for sides in ((below, above), (above[:-1], below[:-1]))
        )
        correction = self.correction(*reversed(upstream), high - low, *downstream)
        return jnp.where(forward, low + correction, high - correction)

    @abc.abstractmethod
    def correction(self, *differences: jax.Array) -> jax.Array:
        """Face value minus upstream value, from the ``2 reach - 2`` differences along the flow.

        Odd: all signs flipped, the result flips. Called with differences against the flow's
        direction, it gives minus the correction.
        """


@dataclass(frozen=True)
class Upwind(UpwindBiased):
    """Linear interpolation of order 3 or 5: damps short waves, overshoots at fronts."""

    order: Literal[3, 5] = 3

    _WEIGHTS: ClassVar[dict[int, tuple[float, ...]]] = {
        3: (1 / 6, 2 / 6),
        5: (-2 / 60, 11 / 60, 24 / 60, -3 / 60),
    }

    def __post_init__(self):
        _require(self.order, (3, 5), "Upwind: order")

    @property
    def reach(self) -> int:
        return (self.order + 1) // 2

    def correction(self, *differences):
        return combine(self._WEIGHTS[self.order], differences)


@dataclass(frozen=True)
class WENO(UpwindBiased):
    """Weighted essentially non-oscillatory reconstruction of order 3 or 5.

    Substencils are weighted by the smoothness indicators ``beta_k`` of Jiang & Shu (1996, J.
    Comput. Phys. 126, 202) in the Z form of Borges et al. (2008, J. Comput. Phys. 227, 3191)::

        alpha_k = gamma_k (1 + (tau / (beta_k + eps))^2),   tau = |beta_first - beta_last|

    Z, since its weights stay closer to the ideal ``gamma_k`` where the field is smooth: of order 5
    holds its order at extrema, where Jiang & Shu's weights fall to third order. The power 2 makes
    ``tau`` enter squared: the face value is a smooth function of the points.

    ``eps = smooth_below^2``: differences between neighbours well below ``smooth_below``, in the
    field's unit, count as smooth. Its size sets only what is treated as noise; a field in small
    units (a mass mixing ratio) needs a smaller one. It keeps the derivative well defined at
    uniform fields. In single precision differences may be 1e9 times larger.
    """

    order: Literal[3, 5] = 5
    smooth_below: float = 1e-4

    def __post_init__(self):
        _require(self.order, (3, 5), "WENO: order")
        if not self.smooth_below > 0:
            raise ValueError(
                f"WENO: found smooth_below {self.smooth_below}; expected a positive difference in "
                f"the unit of the field"
            )

    @property
    def reach(self) -> int:
        return (self.order + 1) // 2

    def correction(self, *differences):
        return _weighted(self, *differences)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _weighted(scheme: WENO, *differences: jax.Array) -> jax.Array:
    return SUBSTENCILS[scheme.order].value(scheme.smooth_below**2, differences)


@_weighted.defjvp
def _weighted_jvp(scheme: WENO, differences, tangents):
    stencils, eps = SUBSTENCILS[scheme.order], scheme.smooth_below**2
    slopes = compiled_apart(partial(stencils.slopes, eps), differences)
    return _weighted(scheme, *differences), combine(slopes, tangents)


Limiter = Literal["minmod", "van_leer", "koren", "superbee"]


@dataclass(frozen=True)
class FluxLimited(UpwindBiased):
    """Second order (koren: third) where smooth, first order at extrema: makes no new extrema.

    With ``a`` the difference upstream and ``b`` the one across the face, of the same sign, the
    correction is (of opposite signs, 0)::

        minmod     min(a, b) / 2                          superbee  max(min(2a, b), min(a, 2b)) / 2
        van_leer   a b / (a + b)                          koren     min(a, (a + 2b) / 6, b)

    Total variation does not grow in one dimension, under SSP time stepping with Courant numbers
    up to 1/2 (Sweby 1984, SIAM J. Numer. Anal. 21, 995; Koren 1993, Vieweg, 117). The derivative
    jumps where a sign or a minimum changes. Differences whose product is below ``uniform_below^2``
    (in the field's unit) count as none: what round-off leaves of a uniform field has the
    derivative of first-order upwind, whatever its signs.
    """

    limiter: Limiter = "van_leer"
    uniform_below: float = 1e-10

    def __post_init__(self):
        _require(self.limiter, ("minmod", "van_leer", "koren", "superbee"), "FluxLimited: limiter")

    @property
    def reach(self) -> int:
        return 2

    def correction(self, *differences):
        a, b = differences
        alike = a * b > self.uniform_below**2
        if self.limiter == "van_leer":
            return jnp.where(alike, a * (b / jnp.where(alike, a + b, 1)), 0)
        if self.limiter == "minmod":
            limited = 0.5 * _smaller(a, b)
        elif self.limiter == "koren":
            limited = _smaller(_smaller(a, b), (a + 2 * b) / 6)
        else:
            limited = 0.5 * _larger(_smaller(2 * a, b), _smaller(a, 2 * b))
        return jnp.where(alike, limited, 0)


def _smaller(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(a) < jnp.abs(b), a, b)


def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(a) < jnp.abs(b), b, a)


def _require(found, allowed, what: str) -> None:
    if found not in allowed:
        raise ValueError(f"{what} {found!r}; expected one of {', '.join(map(str, allowed))}")
