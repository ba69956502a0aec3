"""Discrete identities of the terms of the momentum equations."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
from dassim.grid import Field, Staggered, build_grid, cartesian, latlon, levels
from dassim.grid.horizontal import EARTH_RADIUS
from dassim.grid.operators import curl, diff_z_f2c, perpendicular_gradient, sum_z
from dassim.parallel import Domain
from tests.models.basins import NX, NY, NZ, cells, flow, rough_basin

GEOMETRIES = ("cartesian", "spherical")


def ones():
    return Staggered.build(lambda _: Field.constant(1.0))


def work(grid, u, v, du, dv, thickness):
    """Power of the tendencies: sum of ``h area (u du + v dv)``, and the sum of its magnitudes."""
    along_x = grid.owned(u * du * thickness.u * grid.area.u) * grid.owned_mask("u")
    along_y = grid.owned(v * dv * thickness.v * grid.area.v) * grid.owned_mask("v")
    return along_x.sum() + along_y.sum(), abs(along_x).sum() + abs(along_y).sum()


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_energy_conserving_vorticity_flux_does_no_work(geometry):
    grid = rough_basin(geometry)

    @jax.jit
    def power(u, v):
        stretch = stretching(grid, Field.constant(3.0))
        vorticity = grid.coriolis.q + relative_vorticity(grid, u, v)
        return work(grid, u, v, *vorticity_flux(grid, vorticity, u, v, stretch), stretch)

    total, size = power(*flow(grid))
    assert abs(total) < 1e-13 * size


def test_enstrophy_conserving_vorticity_flux_keeps_enstrophy():
    """For flow without divergence, the sum of ``area q dq/dt`` vanishes."""
    domain = Domain.serial((NY, NX), periodic=(True, True))
    horizontal = cartesian(domain, np.linspace(0, 160e3, NX + 1), np.linspace(0, 120e3, NY + 1))
    grid = build_grid(horizontal, levels(np.full(2, 100.0)))

    @partial(jax.jit, static_argnums=1)
    def rate(psi, conserving):
        u, v = perpendicular_gradient(grid, grid.exchange(Field.at("q", psi), 6))
        q = curl(grid, u, v)
        du, dv = vorticity_flux(grid, q, u, v, ones(), conserving)
        change = grid.owned(q * curl(grid, du, dv) * grid.area.q)
        return change.sum() / abs(change).sum()

    psi = 1e4 * np.random.default_rng(3).normal(size=grid.shape)
    assert abs(rate(psi, "enstrophy")) < 1e-13 < abs(rate(psi, "energy"))


def test_kinetic_energy_gradient_balances_vertical_advection():
    """Advection in vector-invariant form moves kinetic energy about, and makes none."""
    grid = rough_basin(flat=True)

    @jax.jit
    def power(u, v):
        thickness = ones().map(lambda one: one * grid.levels.dz.c)
        transports = volume_transports(grid, u, v, thickness)
        # All levels thicken alike, so that nothing passes the top.
        rising = -1.0 * sum_z(horizontal_outflow(*transports)) / grid.area.c / NZ
        upward = vertical_transport(grid, *transports, rising)
        kinetic = kinetic_energy(grid, u, v)
        along_x, along_y = gradient_force(grid, kinetic)
        du, dv = vertical_advection(grid, upward, u, v, thickness)
        total, size = work(grid, u, v, along_x + du, along_y + dv, thickness)
        with_levels = grid.owned(kinetic * rising * grid.area.c) * grid.owned_mask("c")
        return total + with_levels.sum(), size

    total, size = power(*flow(grid))
    assert abs(total) < 1e-12 * size


@pytest.mark.parametrize("scheme", [Centred(2), WENO(3), WENO(5)])
def test_flux_form_leaves_uniform_flow_alone(scheme):
    """On a flat bottom uniform velocities are advected without change, whatever carries them."""
    grid = rough_basin(flat=True)

    @jax.jit
    def tendency(u, v):
        thickness = ones().map(lambda one: one * grid.levels.dz.c)
        transports = volume_transports(grid, u, v, thickness)
        upward = vertical_transport(grid, *transports, Field.constant(0.0))
        uniform = 1.0 + 0.0 * u, 1.0 + 0.0 * v
        du, dv = flux_form_advection(grid, *transports, upward, *uniform, thickness, scheme)
        return grid.owned(du), grid.owned(dv)

    for along in tendency(*flow(grid)):
        assert float(abs(along).max()) < 1e-15


def test_flux_form_turns_flow_on_the_sphere_as_the_vector_invariant_form_does():
    """Solid-body rotation ``u = U cos(lat)`` is pushed outwards by ``-u^2 tan(lat) / radius``."""

    def errors(n):
        domain = Domain.serial((n, 4), periodic=(False, True))
        horizontal = latlon(domain, np.linspace(0, 360, 5), np.linspace(-60, 60, n + 1))
        grid = build_grid(horizontal, levels([100.0]))
        latitude = jnp.deg2rad(grid.owned(grid.y.v))
        expected = -(20.0**2) * jnp.sin(latitude) * jnp.cos(latitude) / EARTH_RADIUS

        @jax.jit
        def forms(u):
            u, v = grid.exchange((Field.at("u", u), Field.at("v", 0 * u)), 4)
            thickness = ones().map(lambda one: one * grid.levels.dz.c)
            along, across = volume_transports(grid, u, v, thickness)
            upward = vertical_transport(grid, along, across, Field.constant(0.0))
            flux = flux_form_advection(grid, along, across, upward, u, v, thickness, Centred(2))
            spin = vorticity_flux(grid, relative_vorticity(grid, u, v), u, v, thickness)
            pull = gradient_force(grid, kinetic_energy(grid, u, v))
            inside = slice(3, -2)  # flow along the walls meets none beyond
            return [
                abs(grid.owned(push)[..., inside, :] - expected[inside]).max()
                for push in (flux[1], spin[1] + pull[1])
            ]

        found = forms(20.0 * jnp.cos(jnp.deg2rad(grid.owned(grid.y.u))))
        return np.array(found) / float(abs(expected).max())

    coarse, fine = errors(16), errors(32)
    assert (fine < 1e-2).all(), fine
    assert (np.log2(coarse / fine) > 1.7).all(), coarse / fine


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("slip", [0.0, 2.0])
def test_friction_takes_energy(geometry, slip):
    grid = rough_basin(geometry)
    kinds = (
        LateralFriction(viscosity=100.0, slip=slip),
        LateralFriction(biharmonic=1e9, slip=slip),
        LateralFriction(viscosity=100.0, slip=slip, scale_length=1e4),
    )

    @jax.jit
    def powers(u, v):
        return [work(grid, u, v, *friction(grid, u, v), ones()) for friction in kinds]

    for total, size in powers(*flow(grid)):
        assert total < -1e-3 * size


@pytest.mark.parametrize(
    ("friction", "eigenvalue"),
    [(LateralFriction(viscosity=1.0), -5.0), (LateralFriction(biharmonic=1.0), -25.0)],
)
def test_friction_order_of_convergence(friction, eigenvalue):
    """``nu lap(u)`` and ``-nu_4 lap lap(u)`` of sines, second order."""

    def error(n):
        domain = Domain.serial((n, n), periodic=(True, True))
        faces = np.linspace(0, 2 * np.pi, n + 1)
        grid = build_grid(cartesian(domain, faces, faces), levels([1.0]))

        @jax.jit
        def residual(u):
            u, v = grid.exchange((Field.at("u", u), Field.at("v", 0 * u)), 4)
            return abs(grid.owned(friction(grid, u, v)[0] - eigenvalue * u)).max()

        return residual(jnp.sin(grid.owned(grid.x.u)) * jnp.cos(2 * grid.owned(grid.y.u)))

    assert np.log2(error(32) / error(64)) > 1.9


def test_no_friction_is_nothing():
    grid = rough_basin()
    assert LateralFriction()(grid, *flow(grid)) is None


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_continuity_closes_every_cell(geometry):
    """Outflow through six faces equals minus the thickening; nothing passes the bottom."""
    grid = rough_basin(geometry)

    @jax.jit
    def residual(u, v, thickening):
        thickness = ones().map(lambda one: one * grid.levels.dz.c)
        transports = volume_transports(grid, u, v, thickness)
        upward = vertical_transport(grid, *transports, thickening)
        outflow = horizontal_outflow(*transports) - diff_z_f2c(upward)
        left = grid.owned(outflow + thickening * grid.area.c) * grid.owned_mask("c")
        return abs(left).max() / abs(transports[0].data).max(), abs(upward.data[-1]).max()

    left, through_bottom = residual(*flow(grid), 1e-3 * cells(grid))
    assert left < 1e-12
    assert through_bottom == 0.0


@pytest.mark.parametrize("slip", [0.0, 2.0])
@pytest.mark.parametrize("ny", [12, 48])
def test_a_pole_is_no_coast_for_solid_rotation(ny, slip):
    """``lap(u) = -2 u / a^2`` of the rotation about the poles: to second order, and on the rows
    beside the poles to 1/8, since the mean over a cap lies nearer to the pole than those over
    rings. A wall would give ``1 / dy^2`` there, and ``1 / dy^4`` in place of ``1 / dy^2`` twice."""
    domain = Domain.serial((ny, 8), periodic=(False, True))
    lon, lat = np.linspace(0, 360, 9), np.linspace(-90, 90, ny + 1)
    grid = build_grid(latlon(domain, lon, lat, radius=1.0), levels([1.0]))
    u = jnp.cos(jnp.deg2rad(grid.owned(grid.y.u))) * jnp.ones((1, ny, 8))
    flow = grid.exchange((Field.at("u", u), Field.at("v", 0 * u)), 4)

    def rates(friction):
        return np.asarray(jax.jit(lambda u, v: grid.owned(friction(grid, u, v)[0]))(*flow) / u)

    once = rates(LateralFriction(viscosity=1.0, slip=slip))
    dy = np.pi / ny
    np.testing.assert_allclose(once[:, 1:-1], -2.0, rtol=dy**2)
    np.testing.assert_allclose(once[:, [0, -1]], -2.25, rtol=dy**2)
    twice = rates(LateralFriction(biharmonic=1.0, slip=slip))
    np.testing.assert_allclose(twice[:, 2:-2], -4.0, rtol=2 * dy**2)
    assert (abs(twice[:, [0, -1]]) < 1.5 / dy**2).all()
