"""Steady circulations and balances with known answers."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from dassim.dynamics.free_surface import SplitExplicit
from dassim.dynamics.friction import LateralFriction
from dassim.dynamics.reconstruction import Centred
from dassim.grid import build_grid, latlon, levels
from dassim.ocean import (
    BottomDrag,
    ConstantMixing,
    LinearEOS,
    OceanModel,
    OceanParameters,
    OceanState,
    SurfaceForcing,
)
from dassim.parallel import Domain
from tests.validation.basin import at, box, order, run
from tests.validation.report import Check, case

LENGTH = 1.2e6  # m, the basin of Stommel and Munk
WEAK = 1e-4  # factor on the wind that makes advection negligible; answers are scaled back


def _gyre(nx: int, ny: int, drag: float, viscosity: float | None, seconds: float):
    """Maximum of the stream function (Sv), and its distance from the western wall (km)."""
    depth, density = 200.0, 1000.0
    grid = box((1, ny, nx), (depth, LENGTH, LENGTH), periodic=(False, False), f0=5e-5, beta=1e-11)
    x = grid.x.q
    at_side = (x < 1.0) | (x > LENGTH - 1.0)
    parameters = OceanParameters(
        eos=LinearEOS(reference_density=density),
        drag=BottomDrag(linear=drag * depth),
        friction=LateralFriction(viscosity=viscosity, slip=2.0 * at_side),
        forcing=SurfaceForcing(
            stress_x=at(grid, "u", lambda x, y: -0.1 * WEAK * jnp.cos(jnp.pi * y / LENGTH))
        ),
    )
    dt = 12000.0
    model = OceanModel(grid, dt, tracer_advection=Centred(2))
    state = model.start(OceanState.at_rest(grid, T=10.0, S=35.0))
    end, _ = run(model, parameters, state, int(seconds / dt))
    middle = ny // 2
    psi = np.cumsum(np.asarray(end.v[0, middle])) * (LENGTH / nx) * depth / 1e6 / WEAK
    edges = LENGTH / nx * (1 + np.arange(nx))
    k = int(abs(psi).argmax())
    a, b, c = np.polyfit(edges[k - 1 : k + 2], abs(psi[k - 1 : k + 2]), 2)
    return c - b**2 / (4 * a), -b / (2 * a) / 1e3


@case("Stommel gyre", "Stommel (1948); exact solution", minutes=1)
def stommel_gyre():
    errors = []
    for n in (30, 60):
        transport, where = _gyre(n, n, drag=1e-6, viscosity=None, seconds=1.5e7)
        errors.append(abs(transport - 16.053))
    yield Check("transport, dx = 20 km", 16.053, transport, 1e-2, unit="Sv")
    yield Check("distance of the maximum from the coast", 262.1, where, 2e-2, unit="km")
    yield Check("transport, order in dx", 1.7, order(errors), bound="above")


@case("Munk gyre", "Munk (1950); exact solution", minutes=10)
def munk_gyre():
    errors = []
    for nx, ny in ((60, 40), (120, 80)):
        transport, where = _gyre(nx, ny, drag=0.0, viscosity=400.0, seconds=1.5e8)
        errors.append(abs(transport - 32.215))
    yield Check("transport, dx = 10 km", 32.215, transport, 1e-2, unit="Sv")
    yield Check("distance of the maximum from the coast", 117.9, where, 2e-2, unit="km")
    yield Check("transport, order in dx", 1.7, order(errors), bound="above")


@case("thermal wind", "exact: f du/dz = -g alpha dT/dy")
def thermal_wind():
    f, alpha, gradient, depth, ly = 1e-4, 2e-4, 1e-5, 1000.0, 4e5
    grid = box((20, 40, 4), (depth, ly, 4e4), periodic=(False, True), f0=f)
    z = grid.levels.z.c.data
    shear = 9.81 * alpha * gradient / f
    # At rest at the bottom; the sea level balances the surface flow.
    state = replace(
        OceanState.at_rest(grid),
        T=10.0 + gradient * at(grid, "c", lambda x, y: y) + jnp.zeros(grid.shape),
        u=jnp.broadcast_to(-shear * (z + depth), grid.shape),
        eta=at(grid, "c", lambda x, y: f * shear * depth / 9.81 * (y - ly / 2)),
    )
    model = OceanModel(grid, 1200.0, tracer_advection=Centred(2))
    eos = LinearEOS(alpha=alpha, beta=0.0)
    end, _ = run(model, OceanParameters(eos=eos), model.start(state), 720)
    middle = np.asarray(end.u[:, 20, 0])
    measured = abs(np.polyfit(np.asarray(z)[:, 0, 0], middle, 1)[0])
    yield Check("|du/dz| after 10 days", 1.962e-4, measured, 1e-3, unit="1/s")
    across = float(abs(end.v).max())
    yield Check("flow across the channel", 1e-4, across, bound="below", unit="m/s")


@case("Ekman layer", "Ekman (1905); exact")
def ekman_layer():
    f, stress, density, viscosity = 1e-4, 0.1, 1025.0, 1e-2
    grid = box((100, 4, 4), (100.0, 4e4, 4e4), f0=f)
    parameters = OceanParameters(
        eos=LinearEOS(reference_density=density),
        mixing=ConstantMixing(viscosity=viscosity, diffusivity=0.0),
        forcing=SurfaceForcing(stress_x=at(grid, "u", lambda x, y: stress + 0 * x)),
    )
    dt = 2 * np.pi / f / 100
    model = OceanModel(grid, dt, tracer_advection=Centred(2))
    state = model.start(OceanState.at_rest(grid))
    _, profile = run(model, parameters, state, 5000, lambda s: s.u[:, 0, 0] + 1j * s.v[:, 0, 0])
    mean = np.asarray(profile)[-1000:].mean(axis=0)
    transport = mean.sum() * 1.0
    yield Check("transport", 0.975610, abs(transport), 2e-3, unit="m2/s")
    yield Check("angle to the wind", -90.0, np.degrees(np.angle(transport)), 0.5, "absolute", "deg")
    z = np.asarray(grid.levels.z.c.data)[:, 0, 0]
    upper = z > -30
    depth = 1 / np.polyfit(z[upper], np.log(abs(mean[upper])), 1)[0]
    yield Check("depth", 14.142, depth, 1e-2, unit="m")


@case("solid-body rotation", "Williamson et al. (1992), case 2, between walls at 60 degrees")
def solid_body_rotation():
    coarse, fine = _rotation_error(24), _rotation_error(48)
    yield Check("l2 error of the depth after 5 days", 1e-3, fine, bound="below")
    yield Check("order in the spacing", 1.8, order([coarse, fine]), bound="above")


def _rotation_error(n: int) -> float:
    """Relative error of the depth after 5 days on ``n x n`` cells."""
    speed, potential, radius, rotation, gravity = 38.61, 2.94e4, 6.37122e6, 7.292e-5, 9.80616
    domain = Domain.create((n, n), periodic=(False, True), minimum=4)
    horizontal = latlon(
        domain,
        np.linspace(0, 360, n + 1),
        np.linspace(-60, 60, n + 1),
        radius=radius,
        rotation=rotation,
    )
    grid = build_grid(horizontal, levels([potential / gravity]))
    fall = (radius * rotation * speed + speed**2 / 2) / gravity
    eta = at(grid, "c", lambda _, lat: -fall * jnp.sin(jnp.deg2rad(lat)) ** 2)
    u = at(grid, "u", lambda _, lat: speed * jnp.cos(jnp.deg2rad(lat)))
    dt = 600.0 * 24 / n
    model = OceanModel(
        grid,
        dt,
        tracer_advection=Centred(2),
        free_surface=SplitExplicit.for_grid(grid, dt, gravity=gravity),
    )
    state = replace(OceanState.at_rest(grid, T=10.0), eta=eta, u=u[None])
    parameters = OceanParameters(eos=LinearEOS(gravity=gravity))
    end, _ = run(model, parameters, model.start(state), int(5 * 86400 / dt))
    area = grid.owned(grid.area.c)
    norm = jnp.sum(area * (potential / gravity + eta) ** 2)
    return float(jnp.sqrt(jnp.sum(area * (end.eta - eta) ** 2) / norm))
