"""Vertical levels at rest: k = 0 at the top, faces 0..nz with face 0 at z = 0."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from dassim.grid.field import Field, Point, Span
from dassim.grid.horizontal import GridError

Coordinate = Literal["depth", "layer", "sigma"]
"""What levels are counted in: metres below the surface; a layer as a whole; pressure over that at
the ground."""

REFERENCE_PRESSURE = 1e5  # Pa, at the ground of an atmosphere at rest


class Column(eqx.Module):
    """One quantity at level centres ``c`` and at faces ``f``."""

    c: Field
    f: Field


class Levels(eqx.Module):
    """Positions ``z`` (m, up, at most 0) and thicknesses ``dz`` (m) of levels and of faces.

    ``dz.f`` is the distance between the centres around a face; at the two ends, from the face to
    the one centre.
    """

    z: Column
    dz: Column
    coordinate: Coordinate = eqx.field(static=True, default="depth")

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

    def along_z(values: np.ndarray, at: Point) -> Field:
        return Field(jnp.asarray(values, dtype)[:, None, None], (Span(at), None, None))

    return Levels(
        z=Column(c=along_z(z_c, "c"), f=along_z(z_f, "f")),
        dz=Column(c=along_z(dz, "c"), f=along_z(dz_f, "f")),
    )


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
    return replace(levels(np.diff(sigma) * REFERENCE_PRESSURE, dtype), coordinate="sigma")


def uniform_thickness(count: int, depth: float) -> np.ndarray:
    """``count`` equal thicknesses that add up to ``depth`` (m)."""
    return np.full(count, depth / count)


def stretched_thickness(count: int, first: float, ratio: float) -> np.ndarray:
    """``dz_k = first ratio^k`` (m), k = 0 at the top."""
    return first * ratio ** np.arange(count)
