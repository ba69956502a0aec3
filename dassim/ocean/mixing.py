"""Vertical mixing: viscosity and diffusivity at the interior z faces of the cells.

A closure is a function of what the model sees of its state, :class:`dassim.ocean.view.View`. Its
numbers, or the weights of a network, are leaves that can be differentiated. The model itself
closes the faces beside dry cells, brings the viscosity to the velocities, and mixes implicitly,
so that no closure is bound by the time step.
"""

from __future__ import annotations

import abc
from functools import reduce
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.dynamics.implicit import open_faces
from dassim.grid import Field, Levels, Span, apply, maximum
from dassim.grid.operators import avg_x_f2c, avg_y_f2c, avg_z_c2f, diff_z_c2f, masked
from dassim.ocean.view import View


class Mixing(NamedTuple):
    """``viscosity`` and ``diffusivity`` (m2 s-1) of cells, each at the interior z faces 1..nz-1
    or constant along z."""

    viscosity: Field
    diffusivity: Field


class AbstractVerticalMixing(eqx.Module):
    """What turns a state into viscosity and diffusivity."""

    def __call__(self, view: View) -> Mixing:
        """Coefficients at cells, on the owned points and as much of the halo as ``view`` allows;
        at least one point of it is needed."""
        if view.grid.levels.count == 1:
            return Mixing(Field.constant(0.0), Field.constant(0.0))
        return self.coefficients(view)

    @abc.abstractmethod
    def coefficients(self, view: View) -> Mixing:
        """The same, for at least two levels."""


class ConstantMixing(AbstractVerticalMixing):
    """Coefficients that do not depend on the state: numbers, or Fields at the interior z faces
    (a profile such as :func:`surface_enhanced`, or one value per face)."""

    viscosity: Any = 0.0
    diffusivity: Any = 0.0

    def coefficients(self, view: View) -> Mixing:
        return Mixing(_as_field(self.viscosity), _as_field(self.diffusivity))


class PacanowskiPhilander(AbstractVerticalMixing):
    """Mixing by shear, weaker the larger the Richardson number ``Ri = N2 / |du/dz|^2``::

        nu    = nu0 / (1 + alpha Ri)^n + nu_b
        kappa = nu  / (1 + alpha Ri)   + kappa_b

    Pacanowski & Philander (1981), J. Phys. Oceanogr. 11, 1443-1451; the defaults are theirs.
    ``viscosity`` is nu0, ``background_viscosity`` nu_b, ``background_diffusivity`` kappa_b
    (m2 s-1); the shear is that at cells, see :func:`shear_squared`. Where N2 is negative, Ri
    counts as 0: unstable water mixes as neutral water does, and :class:`ConvectiveAdjustment`
    does the rest. ``least_shear_squared`` (s-2) is added to the shear in Ri, so that values and
    derivatives exist at rest: still stratified water has the background values, still neutral
    water the largest.
    """

    viscosity: Any = 5e-3
    alpha: Any = 5.0
    exponent: int | float = eqx.field(static=True, default=2)
    background_viscosity: Any = 1e-4
    background_diffusivity: Any = 1e-5
    least_shear_squared: Any = 1e-10

    def coefficients(self, view: View) -> Mixing:
        shear2 = shear_squared(view) + self.least_shear_squared
        stable = maximum(view.stratification, 0.0)
        damping = shear2 / (shear2 + self.alpha * stable)  # 1 / (1 + alpha Ri)
        nu = self.viscosity * damping**self.exponent + self.background_viscosity
        return Mixing(nu, nu * damping + self.background_diffusivity)


class ConvectiveAdjustment(AbstractVerticalMixing):
    """Enhanced mixing where the water is unstably stratified, N2 < 0.

    Without ``width`` the coefficients jump to their full values. A derivative then tells what
    happens while the same faces stay unstable: it sees the mixing, not its onset. With ``width``
    (s-2) they rise smoothly, as ``r^2 (3 - 2 r)`` with ``r = -N2 / width`` between 0 and 1: the
    derivative is that of the model as it runs, onset included, and is large (of order 1/width)
    while a face is in transition. Stable and neutral faces get 0 exactly, either way.
    """

    diffusivity: Any = 1.0
    viscosity: Any = 0.0
    width: Any = None

    def coefficients(self, view: View) -> Mixing:
        share = apply(self._share, view.stratification)
        return Mixing(share * self.viscosity, share * self.diffusivity)

    def _share(self, stratification: jax.Array) -> jax.Array:
        if self.width is None:
            return (stratification < 0.0).astype(stratification.dtype)
        r = jnp.clip(stratification / -self.width, 0.0, 1.0)
        return r * r * (3.0 - 2.0 * r)


class CombinedMixing(AbstractVerticalMixing):
    """The sum of several closures, of at least one."""

    parts: tuple[AbstractVerticalMixing, ...]

    def coefficients(self, view: View) -> Mixing:
        viscosities, diffusivities = zip(*(part(view) for part in self.parts), strict=True)
        return Mixing(_total(viscosities), _total(diffusivities))


class AddedMixing(AbstractVerticalMixing):
    """Coefficients of their own at every interior z face of the owned cells, ``(nz - 1, ny, nx)``;
    of 0, something to differentiate by."""

    viscosity: jax.Array
    diffusivity: jax.Array

    def coefficients(self, view: View) -> Mixing:
        spans = (Span("f", 1), Span("c"), Span("c"))
        owned = (Field(self.viscosity, spans), Field(self.diffusivity, spans))
        return Mixing(*view.grid.exchange(owned, 1))


def shear_squared(view: View) -> Field:
    """``(du/dz)^2 + (dv/dz)^2`` (s-2) of cells at the interior z faces.

    The mean of the squares on the two sides of a cell, which also sees a shear that alternates
    from side to side; sides closed by a wall count as 0.
    """

    def at_sides(velocity: Field, thickness: Field, wet: Field) -> Field:
        shear = diff_z_c2f(velocity) / avg_z_c2f(thickness)
        return masked(open_faces(wet, view.grid.levels.count), shear * shear)

    wet, thickness = view.grid.wet, view.thickness
    return avg_x_f2c(at_sides(view.u, thickness.u, wet.u)) + avg_y_f2c(
        at_sides(view.v, thickness.v, wet.v)
    )


def surface_enhanced(levels: Levels, diffusivity: Any, cells: Any = 5.0) -> Field:
    """``diffusivity (1 + exp(-k / cells))`` at the interior z faces k = 1..nz-1.

    ``k`` is the distance from the surface in cells: twice the deep value at the surface. The
    profile of the re-entrant channel of Moses et al. (2026).
    """
    if levels.count == 1:
        return Field.constant(diffusivity)
    k = jnp.arange(1, levels.count, dtype=levels.dz.c.data.dtype)[:, None, None]
    return Field(diffusivity * (1.0 + jnp.exp(-k / cells)), (Span("f", 1), None, None))


def _as_field(value: Any) -> Field:
    return value if isinstance(value, Field) else Field.constant(value)


def _total(fields: tuple[Field, ...]) -> Field:
    return reduce(lambda a, b: a + b, fields)
