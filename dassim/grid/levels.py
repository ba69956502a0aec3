"""Vertical levels at rest: k = 0 at the top, faces 0..nz with face 0 at z = 0."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from dassim.grid.field import Field, Point, Span
from dassim.grid.horizontal import GridError

Coordinate = Literal["depth", "layer", "sigma", "hybrid"]
"""What levels are counted in: metres below the surface; a layer as a whole; pressure over that at
the ground; pressure over :data:`REFERENCE_PRESSURE`, where the ground carries as much."""

REFERENCE_PRESSURE = 1e5  # Pa, at the ground of an atmosphere at rest


class Column(eqx.Module):
    """One quantity at level centres ``c`` and at faces ``f``."""

    c: Field
    f: Field


class Levels(eqx.Module):
    """Positions ``z`` (m, up, at most 0) and thicknesses ``dz`` (m) of levels and of faces.

    ``dz.f`` is the distance between the centres around a face; at the two ends, from the face to
    the one centre.

    Of an atmosphere, pressure (Pa) at rest under :data:`REFERENCE_PRESSURE` stands for metres. Its
    levels lie between faces at the pressure ``a + b ps`` over ground that carries ``ps``: ``a`` in
    Pa, and ``None`` where it vanishes, in sigma coordinates. ``least_pressure`` (Pa): the levels
    are in order over ground that carries more.
    """

    z: Column
    dz: Column
    coordinate: Coordinate = eqx.field(static=True, default="depth")
    a: Field | None = None
    b: Field | None = None
    least_pressure: float = eqx.field(static=True, default=0.0)

    @property
    def count(self) -> int:
        return self.dz.c.data.shape[0]


def levels(thickness: Any, dtype: Any = float) -> Levels:
    """Levels of the given thicknesses (m), top first.

    >>> levels([10.0, 20.0]).z.f.data.ravel().tolist()
    [0.0, -10.0, -30.0]
    """
    dz = np.asarray(thickness, float)
    if dz.ndim != 1 or dz.size == 0 or not ((dz > 0) & np.isfinite(dz)).all():
        raise GridError(f"found level thicknesses {dz}; expected a list of positive metres")
    z_f = 0.0 - np.concatenate([[0.0], np.cumsum(dz)])
    z_c = 0.5 * (z_f[:-1] + z_f[1:])
    dz_f = -np.diff(z_c, prepend=z_f[0], append=z_f[-1])

    return Levels(
        z=Column(c=_along_z(z_c, "c", dtype), f=_along_z(z_f, "f", dtype)),
        dz=Column(c=_along_z(dz, "c", dtype), f=_along_z(dz_f, "f", dtype)),
    )


def _along_z(values: np.ndarray, at: Point, dtype: Any) -> Field:
    return Field(jnp.asarray(values, dtype)[:, None, None], (Span(at), None, None))


def one_layer(dtype: Any = float) -> Levels:
    """A fluid that is not divided into levels; its thickness is a variable of the model."""
    return replace(levels([1.0], dtype), coordinate="layer")


def sigma_levels(faces: Any, dtype: Any = float) -> Levels:
    """Levels of an atmosphere between the ``faces`` ``sigma = p / ps``, from 0 at the top to 1 at
    the ground. Pressure (Pa), at rest under :data:`REFERENCE_PRESSURE`, stands for metres.

    >>> sigma_levels([0.0, 0.25, 1.0]).dz.c.data.ravel().tolist()
    [25000.0, 75000.0]
    """
    sigma = np.asarray(faces, float)
    ordered = sigma.ndim == 1 and sigma.size > 1 and bool((np.diff(sigma) > 0).all())
    if not ordered or sigma[0] != 0.0 or sigma[-1] != 1.0:
        raise GridError(f"found faces of levels {sigma}; expected sigma that grows from 0 to 1")
    rest = levels(np.diff(sigma) * REFERENCE_PRESSURE, dtype)
    return replace(rest, coordinate="sigma", b=_along_z(sigma, "f", dtype))


def hybrid_levels(a: Any, b: Any, dtype: Any = float) -> Levels:
    """Levels of an atmosphere between faces at the pressure ``a + b ps``: ``a`` in Pa, 0 at the
    ground; ``b`` from 0 at the top to 1 at the ground. Without ``a`` they are those of sigma.

    >>> hybrid_levels([1000.0, 20000.0, 0.0], [0.0, 0.3, 1.0]).dz.c.data.ravel().tolist()
    [49000.0, 50000.0]
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape or a.size < 2:
        raise GridError(
            f"found {a.size} numbers a and {b.size} numbers b; expected one of each for every face "
            f"of the levels; complete the lists"
        )
    if not a.any():
        return sigma_levels(b, dtype)
    ends = (a[-1], b[0], b[-1])
    if not (np.isfinite(a) & np.isfinite(b) & (a >= 0.0)).all() or ends != (0.0, 0.0, 1.0):
        raise GridError(
            f"found pressure from {a[0]:g} Pa + {b[0]:g} ps at the top to {a[-1]:g} Pa + {b[-1]:g} "
            f"ps at the ground; expected a of at least 0 Pa that ends at 0, and b from 0 to 1; "
            f"correct the lists"
        )
    rest = a + b * REFERENCE_PRESSURE
    if (wrong := np.flatnonzero(~((np.diff(rest) > 0) & (np.diff(b) >= 0)))).size:
        k = int(wrong[0]) + 1
        raise GridError(
            f"found face {k} at {a[k]:g} Pa + {b[k]:g} ps, not above the {a[k - 1]:g} Pa + "
            f"{b[k - 1]:g} ps of the face before; "
            f"expected pressure and b that grow from the top to the ground, {REFERENCE_PRESSURE:g} "
            f"Pa there; sort the faces"
        )
    thinning = np.diff(b) > 0
    least = float(np.max(-np.diff(a)[thinning] / np.diff(b)[thinning], initial=0.0))
    return replace(
        levels(np.diff(rest), dtype),
        coordinate="hybrid",
        a=_along_z(a, "f", dtype),
        b=_along_z(b, "f", dtype),
        least_pressure=least,
    )


def smooth_hybrid_levels(count: int, top: float, exponent: float, dtype: Any = float) -> Levels:
    """``count`` levels between ``top`` (Pa) and the ground that follow it less and less the higher
    they are: with ``eta`` in equal steps from ``eta_t = top / p0`` to 1 and p0 the reference
    pressure::

        b = ((eta - eta_t) / (1 - eta_t))^exponent,     a = (eta - b) p0

    Laprise & Girard (1990), J. Climate 3, 32. With ``exponent`` 1 and ``top`` 0 they are sigma.
    """
    share = np.arange(count + 1) / count
    highest = top / REFERENCE_PRESSURE
    b = share**exponent
    a = REFERENCE_PRESSURE * (highest + (1.0 - highest) * share - b)
    a[-1] = 0.0
    return hybrid_levels(np.where(np.abs(a) < 1e-9, 0.0, a), b, dtype)


def uniform_thickness(count: int, depth: float) -> np.ndarray:
    """``count`` equal thicknesses that add up to ``depth`` (m)."""
    return np.full(count, depth / count)


def stretched_thickness(count: int, first: float, ratio: float) -> np.ndarray:
    """``dz_k = first ratio^k`` (m), k = 0 at the top."""
    return first * ratio ** np.arange(count)
