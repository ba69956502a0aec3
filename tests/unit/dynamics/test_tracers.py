"""Budgets, signs and derivatives of tracer advection and lateral diffusion."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.continuity import (
    stretching,
    vertical_transport,
    volume_transports,
)
from dassim.dynamics.reconstruction import WENO, Centred, FluxLimited, Upwind
from dassim.dynamics.tracers import LateralDiffusion, tracer_flux_divergence
from dassim.grid import Field, Span, Staggered, build_grid, cartesian, levels
from dassim.parallel import Domain
from tests.models.basins import NX, NY, NZ, cells, flow, rough_basin

SCHEMES = (Centred(2), Upwind(3), WENO(5), FluxLimited("van_leer"))
each_scheme = pytest.mark.parametrize("scheme", SCHEMES, ids=str)


def transports(grid, seed=0):
    """Random transports through all wet faces: x, y, and z, the last with a flux at the top."""
    u, v = flow(grid, seed)
    thickness = stretching(grid, Field.constant(0.0)).map(lambda s: grid.levels.dz.c * s)
    w = np.random.default_rng(seed + 1).normal(size=(NZ + 1, *grid.domain.shape))
    w[:-1] *= np.asarray(grid.owned_mask("c"))
    w[-1] = 0.0
    return *volume_transports(grid, u, v, thickness), 1e6 * Field.at("w", w)


@partial(jax.jit, static_argnames=("scheme", "vertical"))
def advected(grid, tracer, moved, scheme, vertical=None):
    rate = tracer_flux_divergence(grid, tracer, *moved, scheme, grid.mask.c, vertical)
    return grid.owned(rate)


def content(grid, rate):
    """Sum over all cells of a rate per area, and the sum of its magnitudes."""
    area = np.asarray(grid.owned(grid.area.c))
    return (area * rate).sum(), (area * abs(rate)).sum()


# -- advection ------------------------------------------------------------------------------------


@each_scheme
@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
def test_advection_creates_no_tracer(geometry, scheme):
    """Around an island, over rough topography, with flow through the surface left out."""
    grid = rough_basin(geometry)
    rate = advected(grid, cells(grid), transports(grid), scheme)
    total, size = content(grid, rate)
    assert size > 0
    assert abs(total) < 1e-15 * size
    assert (np.asarray(rate)[~np.asarray(grid.owned_mask("c"))] == 0).all()


@each_scheme
def test_a_uniform_tracer_follows_the_thickness(scheme):
    """``d(h c)/dt = c dh/dt`` where the transports stretch the columns."""
    grid = rough_basin("spherical")
    rise = grid.exchange(Field.at("c", np.random.default_rng(3).normal(size=grid.domain.shape)), 4)

    @jax.jit
    def rates(u, v, rise):
        wet = 1.0 * grid.mask.c
        thickening = rise * grid.levels.dz.c * wet
        through = volume_transports(grid, u, v, stretching(grid, rise).map(lambda s: 100.0 * s))
        upward = vertical_transport(grid, *through, thickening)
        uniform = Field(0.0 * wet.data + 35.0, wet.spans)
        found = tracer_flux_divergence(grid, uniform, *through, upward, scheme, grid.mask.c)
        through_top = Field(upward.data[:1], (None, *upward.spans[1:]))
        at_top = Field((jnp.arange(NZ) == 0)[:, None, None], (Span("c"), None, None))
        return grid.owned(found - 35.0 * (thickening + at_top * through_top / grid.area.c))

    residual = np.asarray(rates(*flow(grid), rise))
    assert abs(residual).max() < 1e-12 * 35.0


@each_scheme
def test_content_moves_downstream(scheme):
    """Out of one cell, through one face at a time, into the neighbour on the side of the flow."""
    grid = rough_basin(flat=True)
    k, j, i = 2, 6, 7
    spot = np.zeros(grid.shape)
    spot[k, j, i] = 1.0
    tracer = grid.exchange(Field.at("c", spot), 4)
    for sign in (1, -1):
        for axis, (at, towards) in enumerate([("w", -sign), ("v", sign), ("u", sign)]):
            moved = {name: np.zeros((NZ + (name == "w"), NY, NX)) for name in "uvw"}
            face, neighbour = [k, j, i], [k, j, i]
            face[axis] += towards > 0
            neighbour[axis] += towards
            moved[at][tuple(face)] = sign * 1e8
            u, v = grid.exchange((Field.at("u", moved["u"]), Field.at("v", moved["v"])), 1)
            rate = advected(grid, tracer, (u, v, Field.at("w", moved["w"])), scheme)
            expected = np.zeros(grid.shape)
            flux = (1e8 / grid.owned(grid.area.c)[j, i]) * (0.5 if scheme == Centred(2) else 1.0)
            if scheme == Upwind(3):
                flux *= 5 / 6
            elif scheme == WENO(5):
                flux = -np.asarray(rate)[k, j, i]
                assert flux > 0
            expected[k, j, i], expected[tuple(neighbour)] = -flux, flux
            np.testing.assert_allclose(rate, expected, rtol=0, atol=1e-12 * flux)


def test_one_level_needs_no_vertical_transport():
    grid = build_grid(rough_basin(flat=True).horizontal, levels([100.0]))
    tracer, (u, v) = cells(grid), flow(grid)
    moved = (u * grid.dy.u * 100.0, v * grid.dx.v * 100.0, Field.at("w", np.ones((2, NY, NX))))
    total, size = content(grid, advected(grid, tracer, moved, WENO(5)))
    assert abs(total) < 1e-15 * size


def test_the_vertical_may_have_a_scheme_of_its_own():
    grid = rough_basin()
    tracer, (u, v, w) = cells(grid), transports(grid)
    none = (0.0 * u, 0.0 * v, 0.0 * w)
    both = advected(grid, tracer, (u, v, w), WENO(5), Centred(2))
    lateral = advected(grid, tracer, (u, v, none[2]), WENO(5))
    vertical = advected(grid, tracer, (*none[:2], w), Centred(2))
    np.testing.assert_allclose(both, lateral + vertical, rtol=0, atol=1e-13 * abs(both).max())


@each_scheme
def test_derivatives_of_advection(scheme):
    """Taylor remainders of order 2; forward and reverse mode agree.

    From a uniform tracer too, except with limiters, which have a kink there.
    """
    grid = rough_basin()
    moved, direction = transports(grid), (cells(grid, 5), transports(grid, 6))

    def cost(state):
        tracer, moved = state
        return jnp.sum(jnp.sin(1e3 * advected(grid, tracer, moved, scheme)))

    @jax.jit
    def along(state):
        value, slope = jax.jvp(cost, (state,), (direction,))
        gradient = jax.grad(cost)(state)
        return value, slope, grid.domain.local_dot(*map(tuple_of_data, (gradient, direction)))

    uniform = Field(jnp.full_like(cells(grid).data, 10.0), cells(grid).spans)
    starts = [cells(grid)] if isinstance(scheme, FluxLimited) else [cells(grid), uniform]
    for tracer in starts:
        state = (tracer, moved)
        value, forward, reverse = along(state)
        assert abs(forward - reverse) < 1e-12 * abs(forward)
        steps = np.array([1e-6, 5e-7])
        remainders = [
            abs(
                cost(jax.tree.map(lambda x, d, h=h: x + h * d, state, direction))
                - value
                - h * forward
            )
            for h in steps
        ]
        assert np.log2(remainders[0] / remainders[1]) > 1.9


def tuple_of_data(state):
    return tuple(jax.tree.leaves(state))


@each_scheme
def test_single_precision_stays_single_and_finite(scheme):
    grid = rough_basin()
    grid, tracer, moved = jax.tree.map(
        lambda x: x.astype(np.float32) if x.dtype == np.float64 else x,
        (grid, cells(grid), transports(grid)),
    )

    def cost(state):
        return jnp.sum(advected(grid, *state, scheme) ** 2)

    for start in (tracer, 0.0 * tracer):
        for leaf in jax.tree.leaves(jax.jit(jax.grad(cost))((start, moved))):
            assert leaf.dtype == np.float32
            assert np.isfinite(leaf).all()


# -- diffusion ----------------------------------------------------------------------------------


def depth_of(grid):
    rise = grid.exchange(Field.at("c", np.random.default_rng(8).normal(size=grid.domain.shape)), 4)
    return stretching(grid, rise).map(lambda s: grid.levels.dz.c * s)


def variable_coefficient(grid, size):
    values = np.random.default_rng(9).uniform(0.1, 2.0, size=grid.shape)
    return grid.exchange(Field.at("c", size * values), 4)


def diffusions(grid):
    return {
        "constant": LateralDiffusion(100.0),
        "variable": LateralDiffusion(variable_coefficient(grid, 100.0)),
        "biharmonic": LateralDiffusion(biharmonic=1e10),
        "variable biharmonic": LateralDiffusion(biharmonic=variable_coefficient(grid, 1e10)),
        "grid-scaled": LateralDiffusion(100.0, 1e10, scale_length=1e4),
    }


@jax.jit
def diffused(grid, diffusion, tracer):
    return grid.owned(diffusion(grid, tracer, depth_of(grid)))


@pytest.mark.parametrize("name", diffusions(rough_basin()))
@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
def test_diffusion_conserves_is_symmetric_and_takes_variance_away(geometry, name):
    grid = rough_basin(geometry)
    diffusion = diffusions(grid)[name]
    area = np.asarray(grid.owned(grid.area.c))
    one, other = cells(grid, 1), cells(grid, 2)
    of_one, of_other = (np.asarray(diffused(grid, diffusion, c)) for c in (one, other))

    total, size = content(grid, of_one)
    assert abs(total) < 1e-15 * size
    here, there = (
        (area * grid.owned(other) * of_one).sum(),
        (area * grid.owned(one) * of_other).sum(),
    )
    assert abs(here - there) < 1e-12 * abs(area * grid.owned(other) * of_one).sum()
    assert (area * grid.owned(one) * of_one).sum() < -0.1 * size
    assert (of_one[~np.asarray(grid.owned_mask("c"))] == 0).all()
    uniform = Field(jnp.full_like(one.data, 3.0), one.spans)
    assert (np.asarray(diffused(grid, diffusion, uniform)) == 0).all()


def test_a_wave_decays_at_the_discrete_rate():
    """``-h (kappa K^2 + kappa_4 K^4)``, ``K^2 = (2 - 2 cos(k dx)) / dx^2``, in a periodic box."""
    n, dx, h = 16, 1e3, 10.0
    domain = Domain.serial((n, n), periodic=(True, True))
    faces = dx * np.arange(n + 1)
    grid = build_grid(cartesian(domain, faces, faces), levels([h]))
    wave = np.cos(2 * np.pi * 3 * np.arange(n) / n)
    thickness = Staggered.build(lambda _: Field.constant(h))
    square = (2 - 2 * np.cos(2 * np.pi * 3 / n)) / dx**2
    for tracer in (wave[None, None, :] + np.zeros((n, 1)), wave[None, :, None] + np.zeros(n)):
        extended = grid.exchange(Field.at("c", tracer), 4)
        for diffusion, rate in [
            (LateralDiffusion(50.0), 50.0 * square),
            (LateralDiffusion(biharmonic=1e8), 1e8 * square**2),
            (LateralDiffusion(50.0, scale_length=500.0), 100.0 * square),
            (LateralDiffusion(None, 1e8, scale_length=500.0), 8e8 * square**2),
        ]:
            found = np.asarray(grid.owned(diffusion(grid, extended, thickness)))
            np.testing.assert_allclose(found, -h * rate * tracer, rtol=0, atol=1e-12 * h * rate)


def test_without_coefficients_there_is_no_diffusion():
    grid = rough_basin()
    assert LateralDiffusion()(grid, cells(grid), depth_of(grid)) is None


def test_diffusion_is_differentiable_in_its_coefficients():
    grid = rough_basin()
    tracer = cells(grid)

    @jax.jit
    @jax.grad
    def slope(coefficients):
        return jnp.sum(diffused(grid, LateralDiffusion(*coefficients), tracer) ** 2)

    for start in (0.0, 1.0):
        assert np.isfinite(slope((start, start))).all()
