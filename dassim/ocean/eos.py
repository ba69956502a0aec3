"""Equations of state: density and buoyancy of seawater from temperature, salinity and depth.

Every function takes Fields at the same points, or plain arrays, and is evaluated point by point.
``z`` (m) is the height of the points at rest, 0 at the surface and negative below: in a Boussinesq
ocean the pressure in the equation of state is that of the water at rest.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.grid import Field, Levels, Span, apply, taps
from dassim.grid.field import Z, align
from dassim.grid.locality import compiled_apart
from dassim.ocean import teos10
from dassim.ocean.teos10 import horner

STANDARD_GRAVITY = 9.81


class AbstractEquationOfState(eqx.Module):
    """``rho(T, S, z) = rho0 + profile(z) + anomaly(T, S, z)``, all in kg m-3.

    ``reference_density`` is rho0 of the Boussinesq approximation, ``gravity`` g (m s-2). What
    depends on depth alone is balanced by pressure, and so plays no part in the buoyancy.
    """

    reference_density: eqx.AbstractVar[Any]
    gravity: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def powers(self, T: Any, S: Any) -> tuple[Any, ...]:
        """The anomaly as a polynomial of z: its coefficients of z^0, z^1, ... (kg m-3, kg m-4,
        ...); plain arrays only."""

    @abc.abstractmethod
    def profile(self, z: Any) -> Any:
        """What the density grows with depth alone (kg m-3)."""

    @abc.abstractmethod
    def expansion_and_contraction(self, T: Any, S: Any, z: Any) -> tuple[Any, Any]:
        """``-d rho/dT`` (kg m-3 K-1) and ``d rho/dS`` (kg m-3 / (g/kg)); plain arrays only."""

    def anomaly(self, T: Any, S: Any, z: Any) -> Any:
        """Density less the reference density and the profile (kg m-3)."""
        return _pointwise(lambda T, S, z: horner(self.powers(T, S), z), T, S, z)

    def density(self, T: Any, S: Any, z: Any) -> Any:
        """In-situ density rho (kg m-3)."""

        def rho(T, S, z):
            return self.reference_density + self.profile(z) + self.anomaly(T, S, z)

        return _pointwise(rho, T, S, z)

    def buoyancy(self, T: Any, S: Any, z: Any) -> Any:
        """``b = -g (rho - rho0 - profile(z)) / rho0`` (m s-2), positive where water is light."""
        return -(self.gravity / self.reference_density) * self.anomaly(T, S, z)

    def expansion(self, T: Any, S: Any, z: Any) -> Any:
        """Boussinesq thermal expansion ``a = -d rho/dT`` (kg m-3 K-1)."""
        return _pointwise(lambda *at: self.expansion_and_contraction(*at)[0], T, S, z)

    def contraction(self, T: Any, S: Any, z: Any) -> Any:
        """Boussinesq haline contraction ``b = d rho/dS`` (kg m-3 / (g/kg))."""
        return _pointwise(lambda *at: self.expansion_and_contraction(*at)[1], T, S, z)

    def buoyancy_and_stratification(
        self, T: Field, S: Field, levels: Levels
    ) -> tuple[Field, Field]:
        """The buoyancy at the levels (m s-2), and ``N2 = db/dz`` (s-2) at the interior z faces
        1..nz-1, referenced to each face's depth.

        The water of the two levels around a face is compared at the face, so that compression
        does not count as stratification. Negative where water overturns. One level has no
        interior face: N2 is empty.
        """
        (T_here, S_here), spans = align(T, S)
        powers = compiled_apart(lambda T, S: self.powers(T, S), T_here, S_here)
        return compiled_apart(
            partial(self._in_columns, levels), [Field(power, spans) for power in powers]
        )

    def _in_columns(self, levels: Levels, powers: list[Field]) -> tuple[Field, Field]:
        """The same, of water whose density has these coefficients of the powers of depth."""
        to_buoyancy = -self.gravity / self.reference_density
        centres, faces = levels.z.c.data, levels.z.f.data

        def anomaly(z: jax.Array) -> Field:
            at = Field(z, levels.z.c.spans)
            return apply(lambda z, *powers: horner(powers, z), at, *powers)

        buoyancy = to_buoyancy * anomaly(centres)
        if levels.count == 1:
            return buoyancy, Field(buoyancy.data[:0], (Span("f", 1), *buoyancy.spans[1:]))
        # Before the shift to faces, so that derivatives too are evaluated on whole levels.
        (above,) = taps(anomaly(faces[1:]), Z, range(-1, 0), to="f")
        (below,) = taps(anomaly(faces[:-1]), Z, range(1), to="f")
        # The factor comes last: where a product and a difference are one operation, equal water
        # would differ by the product's round-off.
        return buoyancy, to_buoyancy * (above - below) / levels.dz.f


class LinearEOS(AbstractEquationOfState):
    """``rho = rho0 (1 - alpha (T - T0) + beta (S - S0))``.

    ``alpha`` (K-1) and ``beta`` (kg/g, or per psu): the defaults are those of water of about
    10 degrees. All coefficients can be differentiated.
    """

    alpha: Any = 1.67e-4
    beta: Any = 7.8e-4
    T0: Any = 10.0
    S0: Any = 35.0
    reference_density: Any = 1026.0
    gravity: Any = STANDARD_GRAVITY

    def powers(self, T: Any, S: Any) -> tuple[Any, ...]:
        relative = self.beta * (S - self.S0) - self.alpha * (T - self.T0)
        return (self.reference_density * relative,)

    def profile(self, z: Any) -> Any:
        return 0.0 * z

    def expansion_and_contraction(self, T: Any, S: Any, z: Any) -> tuple[Any, Any]:
        one = jnp.ones_like(T)
        rho0 = self.reference_density
        return rho0 * self.alpha * one, rho0 * self.beta * one


class TEOS10(AbstractEquationOfState):
    """TEOS-10 as the 55-term Boussinesq polynomial of Roquet et al. (2015).

    ``T`` is Conservative Temperature (deg C), ``S`` Absolute Salinity (g/kg). The polynomial is a
    fit over the oceanographic funnel, see :mod:`dassim.ocean.teos10`; it is finite, with finite
    derivatives, for any number, also for ``T = S = 0`` on land.
    """

    reference_density: Any = teos10.REFERENCE_DENSITY
    gravity: Any = STANDARD_GRAVITY

    def powers(self, T: Any, S: Any) -> tuple[Any, ...]:
        at_surface, *others = teos10.powers(T, S)
        return at_surface + (teos10.REFERENCE_DENSITY - self.reference_density), *others

    def profile(self, z: Any) -> Any:
        return teos10.profile(z)

    def expansion_and_contraction(self, T: Any, S: Any, z: Any) -> tuple[Any, Any]:
        return teos10.expansion_and_contraction(T, S, z)


def _pointwise(function: Callable[..., Any], *operands: Any) -> Any:
    if any(isinstance(operand, Field) for operand in operands):
        return apply(function, *operands)
    return function(*(jnp.asarray(operand) for operand in operands))
