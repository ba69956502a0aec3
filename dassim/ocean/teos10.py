"""The 55-term polynomial for the density of seawater in a Boussinesq ocean.

Source: Roquet, Madec, McDougall & Barker (2015), "Accurate polynomial expressions for the density
and specific volume of seawater using the TEOS-10 standard", Ocean Modelling 90, 29-43, Tables 2
and 3 (the fit of density). With Absolute Salinity ``S`` (g/kg), Conservative Temperature ``T``
(deg C) and height ``z`` (m, negative below the surface), density is ``r0(zeta) + r(s, t, zeta)``::

    s = sqrt((S + 32) / (40 * 35.16504 / 35))    t = T / 40    zeta = -z / 10000

The salinity root is taken from that of standard seawater before powers are formed: an equal
polynomial, without the cancellation among terms of a thousand kg m-3, which in single precision
costs 5e-4 kg m-3. Its derivatives are polynomials again and are evaluated as such.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

REFERENCE_DENSITY = 1026.0
"""rho0 (kg m-3) of Roquet et al. (2015)."""

STANDARD_SALINITY = 35.16504
"""Absolute Salinity (g/kg) of standard seawater."""

Row = tuple[float, ...]
Coefficients = tuple[tuple[Row, ...], ...]

_SALINITY_UNIT = 40.0 * STANDARD_SALINITY / 35.0
_SALINITY_OFFSET = 32.0
_TEMPERATURE_UNIT = 40.0
_DEPTH_UNIT = 1e4

# The root above is real for S > -32; below this floor (g/kg) density no longer changes.
_LEAST_SALINITY = -16.0

# r0: coefficients of zeta^1, zeta^2, ...
_PROFILE: Row = (
    4.6494977072e01,
    -5.2099962525e00,
    2.2601900708e-01,
    6.4326772569e-02,
    1.5616995503e-02,
    -1.7243708991e-03,
)

# r: for each power of zeta, for each power of t, the coefficients of s^0, s^1, ...
# fmt: off
_ANOMALY: Coefficients = (
    (
        (8.0189615746e+02, 8.6672408165e+02, -1.7864682637e+03, 2.0375295546e+03,
         -1.2849161071e+03, 4.3227585684e+02, -6.0579916612e+01),
        (2.6010145068e+01, -6.5281885265e+01, 8.1770425108e+01, -5.6888046321e+01,
         1.7681814114e+01, -1.9193502195e+00),
        (-3.7074170417e+01, 6.1548258127e+01, -6.0362551501e+01, 2.9130021253e+01,
         -5.4723692739e+00),
        (2.1661789529e+01, -3.3449108469e+01, 1.9717078466e+01, -3.1742946532e+00),
        (-8.3627885467e+00, 1.1311538584e+01, -5.3563304045e+00),
        (5.4048723791e-01, 4.8169980163e-01),
        (-1.9083568888e-01,),
    ),
    (
        (1.9681925209e+01, -4.2549998214e+01, 5.0774768218e+01, -3.0938076334e+01,
         6.6051753097e+00),
        (-1.3336301113e+01, -4.4870114575e+00, 5.0042598061e+00, -6.5399043664e-01),
        (6.7080479603e+00, 3.5063081279e+00, -1.8795372996e+00),
        (-2.4649669534e+00, -5.5077101279e-01),
        (5.5927935970e-01,),
    ),
    (
        (2.0660924175e+00, -4.9527603989e+00, 2.5019633244e+00),
        (2.0564311499e+00, -2.1311365518e-01),
        (-1.2419983026e+00,),
    ),
    (
        (-2.3342758797e-02, -1.8507636718e-02),
        (3.7969820455e-01,),
    ),
)
# fmt: on


@jax.checkpoint
def powers(T: Any, S: Any) -> tuple[jax.Array, ...]:
    """``r(T, S, z)`` less the reference density as a cubic of z: the coefficients of z^0 .. z^3
    (kg m-3, kg m-4, ...). The reverse mode keeps ``T`` and ``S`` alone."""
    x, t = _reduced(T, S)
    unit = -1.0 / _DEPTH_UNIT
    return tuple(_polynomial((rows,), x, t, 0.0) * unit**k for k, rows in enumerate(_CENTRED))


def anomaly(T: Any, S: Any, z: Any) -> jax.Array:
    """``r(T, S, z)`` less the reference density (kg m-3)."""
    return horner(powers(T, S), z)


def profile(z: Any) -> jax.Array:
    """``r0(z)`` (kg m-3), 0 at the surface."""
    zeta = -z / _DEPTH_UNIT
    return horner((0.0, *_PROFILE), zeta)


def expansion_and_contraction(T: Any, S: Any, z: Any) -> tuple[jax.Array, jax.Array]:
    """``a = -d rho/dT`` (kg m-3 K-1) and ``b = d rho/dS`` (kg m-3 / (g/kg))."""
    x, t = _reduced(T, S)
    zeta = z * (-1.0 / _DEPTH_UNIT)
    a = _polynomial(_along_t(_CENTRED), x, t, zeta) * (-1.0 / _TEMPERATURE_UNIT)
    b = _polynomial(_along_x(_CENTRED), x, t, zeta) * _root_slope(x)
    return a, jnp.where(S > _LEAST_SALINITY, b, 0.0)


def _reduced(T: Any, S: Any) -> tuple[jax.Array, jax.Array]:
    """``x = s - s(standard seawater)`` and ``t``."""
    return _salinity_root(jnp.maximum(S, _LEAST_SALINITY)), T * (1.0 / _TEMPERATURE_UNIT)


@jax.custom_jvp
def _salinity_root(S: Any) -> jax.Array:
    """``s(S) - s(standard seawater)``, free of cancellation."""
    s = jnp.sqrt((S + _SALINITY_OFFSET) * (1.0 / _SALINITY_UNIT))
    return (S - STANDARD_SALINITY) / (_SALINITY_UNIT * (s + _STANDARD_ROOT))


@_salinity_root.defjvp
def _salinity_root_jvp(primals: Any, tangents: Any) -> Any:
    x = _salinity_root(*primals)
    return x, tangents[0] * _root_slope(x)


def _root_slope(x: Any) -> jax.Array:
    """``ds/dS = 1 / (2 s U)``, where ``U`` is the unit of salinity."""
    return (0.5 / _SALINITY_UNIT) * (1.0 / (x + _STANDARD_ROOT))


# -- polynomials in x, t and zeta -----------------------------------------------------------------


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _polynomial(coefficients: Coefficients, x: Any, t: Any, zeta: Any) -> jax.Array:
    """Sum of ``coefficients[k][j][i] x^i t^j zeta^k``.

    Its derivative is evaluated as a polynomial too, not as that of Horner's rule, of which the
    reverse mode would have to keep every intermediate value.
    """
    powers = [horner([horner(row, x) for row in rows], t) for rows in coefficients]
    shape = jnp.broadcast_shapes(jnp.shape(x), jnp.shape(t), jnp.shape(zeta))
    return jnp.broadcast_to(horner(powers, zeta), shape)


def _polynomial_jvp(coefficients: Coefficients, primals: Any, tangents: Any) -> Any:
    value = _polynomial(coefficients, *primals)
    terms = [
        _polynomial(slopes, *primals) * ahead
        for along, ahead in zip((_along_x, _along_t, _along_zeta), tangents, strict=True)
        if not _is_zero(ahead) and (slopes := along(coefficients))
    ]
    return value, _total(terms, value)


_polynomial.defjvp(_polynomial_jvp, symbolic_zeros=True)


def _total(terms: list[jax.Array], like: jax.Array) -> jax.Array:
    """The sum of no, one or more arrays of the shape of ``like``."""
    return sum(terms[1:], terms[0]) if terms else jnp.zeros_like(like)


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)


def horner(coefficients: Any, x: Any) -> Any:
    """Sum of ``coefficients[i] x^i``."""
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def _along_x(coefficients: Coefficients) -> Coefficients:
    """Coefficients of the derivative with respect to x."""
    slopes = (tuple(_slopes(row) for row in rows if len(row) > 1) for rows in coefficients)
    return tuple(rows for rows in slopes if rows)


def _along_t(coefficients: Coefficients) -> Coefficients:
    slopes = (
        tuple(tuple(j * c for c in row) for j, row in enumerate(rows) if j > 0)
        for rows in coefficients
    )
    return tuple(rows for rows in slopes if rows)


def _along_zeta(coefficients: Coefficients) -> Coefficients:
    return tuple(
        tuple(tuple(k * c for c in row) for row in rows)
        for k, rows in enumerate(coefficients)
        if k > 0
    )


def _slopes(row: Row) -> Row:
    return tuple(i * c for i, c in enumerate(row) if i > 0)


def _centred(coefficients: Coefficients, centre: float, constant: float) -> Coefficients:
    """The same polynomial less ``constant``, in powers of ``s - centre`` in place of ``s``."""
    shift = np.polynomial.Polynomial([centre, 1.0])

    def moved(row: Row) -> Row:
        return tuple(float(c) for c in np.polynomial.Polynomial(row)(shift).coef)

    first, *others = (tuple(moved(row) for row in rows) for rows in coefficients)
    less = (first[0][0] - constant, *first[0][1:])
    return ((less, *first[1:]), *others)


_STANDARD_ROOT = float(np.sqrt((STANDARD_SALINITY + _SALINITY_OFFSET) / _SALINITY_UNIT))
_CENTRED = _centred(_ANOMALY, _STANDARD_ROOT, REFERENCE_DENSITY)
