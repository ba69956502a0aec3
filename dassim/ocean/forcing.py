"""What drives the ocean from outside: surface fluxes, restoring, sponges, body forces.

All numbers are parameters: they can be differentiated. Arrays hold this rank's owned points.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.dynamics.series import Forced, TimeSeries, value_at
from dassim.grid import Field
from dassim.ocean.view import View


class Restoring(eqx.Module):
    """Relaxation of the top level towards ``target (ny, nx)`` within ``timescale`` (s)."""

    target: jax.Array | TimeSeries
    timescale: Any


class SurfaceFluxes(eqx.Module):
    """Values at one time, as fields: stresses (N/m2) at u and v, the rest at cells.

    ``heat`` (W/m2) warms and ``freshwater`` (m/s of volume) raises the ocean where positive;
    ``tracers`` holds for ``T``, ``S`` and others the flux into the ocean (tracer unit times m/s).
    """

    stress_x: Field | None
    stress_y: Field | None
    heat: Field | None
    freshwater: Field | None
    tracers: dict[str, Field]


class SurfaceForcing(eqx.Module):
    """Wind stress (N/m2, at u and v), heat flux (W/m2, positive into the ocean), freshwater (m/s,
    positive into the ocean), restoring of ``T`` and ``S`` and fluxes of any tracer by name; each
    constant ``(ny, nx)`` or a :class:`TimeSeries`; ``None`` where there is none."""

    stress_x: Forced = None
    stress_y: Forced = None
    heat: Forced = None
    freshwater: Forced = None
    restoring: dict[str, Restoring] = eqx.field(default_factory=dict)
    tracer_fluxes: dict[str, Any] = eqx.field(default_factory=dict)

    def at(self, time: Any) -> SurfaceFluxes:
        """All prescribed fluxes at ``time`` (s); restoring depends on the state, see
        :meth:`restoring_fluxes`."""
        fluxes = {name: _field("c", value, time) for name, value in self.tracer_fluxes.items()}
        return SurfaceFluxes(
            _field("u", self.stress_x, time),
            _field("v", self.stress_y, time),
            _field("c", self.heat, time),
            _field("c", self.freshwater, time),
            {name: flux for name, flux in fluxes.items() if flux is not None},
        )

    def restoring_fluxes(self, top: dict[str, Field], dz: Field, time: Any) -> dict[str, Field]:
        """``(target - top) dz / timescale`` for each restored tracer: ``top`` its top level,
        ``dz`` (m) the level's thickness."""
        fluxes = {}
        for name, restoring in self.restoring.items():
            target = _field("c", restoring.target, time)
            assert target is not None
            fluxes[name] = (target - top[name]) * dz / restoring.timescale
        return fluxes


class AbstractSource(eqx.Module):
    """A further tendency: sponges, body forces, closures, learned terms."""

    @abc.abstractmethod
    def __call__(self, view: View) -> dict[str, Field]:
        """Tendencies per second of ``u``, ``v``, ``T``, ``S`` or tracers, by name, at least at
        the owned points."""


class Sponge(AbstractSource):
    """Relaxation of variable ``name`` towards ``target`` at ``rate`` (1/s).

    ``target``, at any time, and ``rate`` broadcast to ``(nz, ny, nx)``.
    """

    name: str = eqx.field(static=True)
    target: jax.Array | TimeSeries
    rate: jax.Array

    def __call__(self, view: View) -> dict[str, Field]:
        value = view.fields[self.name]
        owned = view.grid.owned(value)
        relaxation = self.rate * (value_at(self.target, view.time) - owned)
        return {self.name: Field.at(value.location, relaxation)}


class BodyForce(AbstractSource):
    """A prescribed acceleration (m/s2) or tracer tendency (per s) of variable ``name``.

    At any time it broadcasts to ``(nz, ny, nx)``.
    """

    name: str = eqx.field(static=True)
    tendency: jax.Array | TimeSeries

    def __call__(self, view: View) -> dict[str, Field]:
        value = view.fields[self.name]
        owned = jnp.broadcast_to(value_at(self.tendency, view.time), view.grid.shape)
        return {self.name: Field.at(value.location, owned)}


def _field(location: Any, value: Forced, time: Any) -> Field | None:
    if value is None:
        return None
    return Field.at(location, value_at(value, time))
