"""Discrete identities of the terms of the momentum equations."""

import jax.numpy as jnp
import numpy as np
import pytest
from basins import cells, flow, rough_basin

from dassim.dynamics.continuity import (
    horizontal_outflow,
    stretching,
    vertical_transport,
    volume_transports,
)
from dassim.dynamics.friction import LateralFriction
from dassim.dynamics.momentum import (
    flux_form_advection,
    gradient_force,
    kinetic_energy,
    relative_vorticity,
    vertical_advection,
    vorticity_flux,
)
from dassim.dynamics.reconstruction import WENO, Centred
from dassim.grid import Field, Staggered

GEOMETRIES = ("cartesian", "spherical")


def ones():
    return Staggered.build(lambda _: Field.constant(1.0))


def work(grid, u, v, du, dv, thickness):
    """Power of the tendencies: sum of ``h area (u du + v dv)``, and the sum of its magnitudes."""
    along_x = grid.owned(u * du * thickness.u * grid.area.u) * grid.owned_mask("u")
    along_y = grid.owned(v * dv * thickness.v * grid.area.v) * grid.owned_mask("v")
    return float(along_x.sum() + along_y.sum()), float(abs(along_x).sum() + abs(along_y).sum())


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_energy_conserving_vorticity_flux_does_no_work(geometry):
    grid = rough_basin(geometry)
    u, v = flow(grid)
    stretch = stretching(grid, Field.constant(3.0))
    vorticity = grid.coriolis.q + relative_vorticity(grid, u, v)
    total, size = work(grid, u, v, *vorticity_flux(grid, vorticity, u, v, stretch), stretch)
    assert abs(total) < 1e-13 * size


def test_enstrophy_conserving_vorticity_flux_keeps_enstrophy():
    """For flow without divergence, sum of ``area q d(q)/dt`` vanishes."""
    from dassim.grid.operators import curl, perpendicular_gradient

    grid = rough_basin(flat=True, periodic=True)
    psi = np.random.default_rng(3).normal(size=grid.shape) * np.asarray(grid.owned_mask("q"))
    u, v = perpendicular_gradient(grid, grid.exchange(Field.at("q", 1e4 * psi), 6))
    q = curl(grid, u, v)
    rates = []
    for conserving in ("enstrophy", "energy"):
        du, dv = vorticity_flux(grid, q, u, v, ones(), conserving)
        change = q * curl(grid, du, dv) * grid.area.q
        inside = grid.owned(change) * grid.owned_mask("q")
        rates.append(abs(float(inside.sum())) / float(abs(inside).sum()))
    assert rates[0] < 1e-13 < rates[1]


def test_kinetic_energy_gradient_balances_vertical_advection():
    """Advection in vector-invariant form moves energy about but makes none, over level columns."""
    grid = rough_basin(flat=True)
    u, v = flow(grid)
    thickness = ones().map(lambda one: one * grid.levels.dz.c)
    transports = volume_transports(grid, u, v, thickness)
    # Fixed levels under a lid that lets no volume through: remove the depth-mean divergence.
    from dassim.grid.operators import sum_z

    rising = -1.0 * sum_z(horizontal_outflow(*transports)) / grid.area.c / 5.0
    upward = vertical_transport(grid, *transports, rising)
    du1, dv1 = gradient_force(grid, kinetic_energy(grid, u, v))
    du2, dv2 = vertical_advection(grid, upward, u, v, thickness)
    # d(h K)/dt also holds K dh/dt of the levels that thicken.
    k_thickening = grid.owned(kinetic_energy(grid, u, v) * rising * grid.area.c)
    total, size = work(grid, u, v, du1 + du2, dv1 + dv2, thickness)
    assert abs(total + float((k_thickening * grid.owned_mask("c")).sum())) < 1e-12 * size


@pytest.mark.parametrize("scheme", [Centred(2), WENO(3), WENO(5)])
def test_flux_form_leaves_uniform_flow_alone(scheme):
    """On a flat bottom uniform velocities are advected without change, whatever carries them."""
    grid = rough_basin(flat=True)
    u, v = flow(grid)
    thickness = ones().map(lambda one: one * grid.levels.dz.c)
    transports = volume_transports(grid, u, v, thickness)
    upward = vertical_transport(grid, *transports, Field.constant(0.0))
    du, _ = flux_form_advection(
        grid, *transports, upward, 1.0 + 0.0 * u, 1.0 + 0.0 * v, thickness, scheme
    )
    assert float(abs(grid.owned(du)).max()) < 1e-15


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("slip", [0.0, 2.0])
def test_friction_takes_energy(geometry, slip):
    grid = rough_basin(geometry)
    u, v = flow(grid)
    thickness = ones()
    for friction in (
        LateralFriction(viscosity=100.0, slip=slip),
        LateralFriction(biharmonic=1e9, slip=slip),
        LateralFriction(viscosity=100.0, slip=slip, scale_length=1e4),
    ):
        total, size = work(grid, u, v, *friction(grid, u, v), thickness)
        assert total < -1e-3 * size


def test_friction_order_of_convergence():
    """``nu lap(u)`` and ``-nu_4 lap lap(u)`` of sines, second order."""
    from dassim.grid import build_grid, cartesian, levels
    from dassim.parallel import Domain

    def error(n, friction, eigenvalue):
        domain = Domain.serial((n, n), periodic=(True, True))
        faces = np.linspace(0, 2 * np.pi, n + 1)
        grid = build_grid(cartesian(domain, faces, faces), levels([1.0]))
        u = jnp.sin(grid.owned(grid.x.u)) * jnp.cos(2 * grid.owned(grid.y.u))
        u, v = grid.exchange((Field.at("u", u[None]), Field.at("v", 0 * u[None])), 4)
        du, _ = friction(grid, u, v)
        return float(abs(grid.owned(du - eigenvalue * u)).max())

    for friction, eigenvalue in (
        (LateralFriction(viscosity=1.0), -5.0),
        (LateralFriction(biharmonic=1.0), -25.0),
    ):
        coarse, fine = (error(n, friction, eigenvalue) for n in (32, 64))
        assert np.log2(coarse / fine) > 1.9


def test_no_friction_is_nothing():
    grid = rough_basin()
    assert LateralFriction()(grid, *flow(grid)) is None


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_continuity_closes_every_cell(geometry):
    """Outflow through six faces equals minus the thickening; nothing passes bottom and coasts."""
    from dassim.grid.operators import diff_z_f2c

    grid = rough_basin(geometry)
    u, v = flow(grid)
    thickness = ones().map(lambda one: one * grid.levels.dz.c)
    transports = volume_transports(grid, u, v, thickness)
    thickening = 1e-3 * cells(grid)
    upward = vertical_transport(grid, *transports, thickening)
    outflow = horizontal_outflow(*transports) - diff_z_f2c(upward)
    residual = grid.owned(outflow + thickening * grid.area.c) * grid.owned_mask("c")
    assert float(abs(residual).max()) < 1e-9 * float(abs(grid.owned(transports[0])).max())
    assert float(abs(grid.owned(upward)[-1]).max()) == 0.0
