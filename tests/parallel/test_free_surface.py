"""The external mode in blocks: the same numbers and derivatives as on one rank."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.conjugate_gradients import conjugate_gradients, local_dots
from dassim.dynamics.free_surface import ImplicitFreeSurface, SplitExplicit, longest_substep
from dassim.grid import Field, build_grid, cartesian, latlon, levels
from dassim.parallel import DecompositionError, Domain, world
from tests.parallel.oracle import assert_same, every_domain, gathered

NY, NX = 13, 14
STEPS, DT = 2, 900.0
LOCATION = {"eta": "c", "u": "u", "v": "v", "slow_u": "u", "slow_v": "v", "volume_flux": "c"}
SCALE = {"eta": 1.0, "u": 0.1, "v": 0.1, "slow_u": 1e-5, "slow_v": 1e-5, "volume_flux": 1e-6}
UNITS = {"slow_u": 1e-4, "slow_v": 1e-4, "volume_flux": 1e-5}

CHANNEL, SIDEWAYS = (False, True), (True, False)
EACH_SUBSTEP = SplitExplicit(12, substeps_per_exchange=1)
EVERY_THIRD = SplitExplicit(12, substeps_per_exchange=3)
IMPLICIT = ImplicitFreeSurface(tolerance=1e-14)


def plane(domain):
    return cartesian(domain, 2e4 * np.arange(NX + 1), 2e4 * np.arange(NY + 1))


def whole_sphere(domain):
    return latlon(domain, np.linspace(0, 360, NX + 1), np.linspace(-90, 90, NY + 1))


def grid_on(domain, horizontal=plane):
    rng = np.random.default_rng(7)
    depth = rng.uniform(1000.0, 4500.0, (NY, NX)) * (rng.random((NY, NX)) < 0.85)
    return build_grid(horizontal(domain), levels([500.0] * 9), depth)


def fields(grid, seed: int) -> dict[str, jax.Array]:
    """This rank's points of the same random fields on every decomposition; 0 on land."""
    rng = np.random.default_rng(seed)
    return {
        name: jnp.where(
            grid.owned_mask(at, levels=False),
            SCALE[name] / UNITS.get(name, 1.0) * grid.domain.local(rng.standard_normal((NY, NX))),
            0.0,
        )
        for name, at in LOCATION.items()
    }


def model(kind, grid, dt=DT):
    """``STEPS`` steps, rematerialised in reverse."""

    def advance(state):
        inputs = (Field.at(at, state[name] * UNITS.get(name, 1.0)) for name, at in LOCATION.items())
        step = kind.advance(grid, *inputs, dt)
        new = {"eta": step.eta, "u": step.u_mean, "v": step.v_mean}
        transports = {"east": step.transport_u.data[0], "north": step.transport_v.data[0]}
        return state | {name: field.data[0] for name, field in new.items()}, transports

    def run(state) -> Any:
        return jax.lax.scan(
            jax.checkpoint(lambda state, _: advance(state)), state, None, length=STEPS
        )

    return run


def local_cost(kind, grid):
    """This rank's share."""

    def cost(state):
        end, transports = model(kind, grid)(state)
        return (
            jnp.sum(end["eta"] ** 2)
            + 1e3 * jnp.sum((1 + end["eta"]) * end["u"] ** 2)
            + 1e-5 * jnp.sum(transports["north"] * transports["east"])
        )

    return cost


def serial(periodic):
    return Domain.serial((NY, NX), periodic=periodic)


@pytest.mark.parametrize(
    ("kind", "periodic", "relative"),
    [
        (EACH_SUBSTEP, CHANNEL, 1e-13),
        (EVERY_THIRD, SIDEWAYS, 1e-13),
        (SplitExplicit(12), CHANNEL, 1e-13),
        (IMPLICIT, SIDEWAYS, 1e-11),
    ],
)
@pytest.mark.ranks(2, 3, 4)
def test_every_decomposition_gives_the_same(kind, periodic, relative):
    def run(domain):
        grid = grid_on(domain)
        return gathered(domain, jax.jit(model(kind, grid))(fields(grid, 1)))

    expected = run(serial(periodic))
    for domain in every_domain(world(), (NY, NX), periodic, width=3):
        assert_same(run(domain), expected, relative, domain.decomposition.layout)


@pytest.mark.parametrize(("kind", "relative"), [(EVERY_THIRD, 1e-12), (IMPLICIT, 1e-11)])
@pytest.mark.ranks(2, 3)
def test_derivatives_are_the_same_on_any_number_of_ranks(kind, relative):
    def derivatives(domain):
        grid = grid_on(domain)
        gradient = jax.grad(local_cost(kind, grid))

        @jax.jit
        def all_of(state, direction):
            tangent = jax.jvp(model(kind, grid), (state,), (direction,))[1]
            return tangent, *jax.jvp(gradient, (state,), (direction,))

        return gathered(domain, all_of(fields(grid, 1), fields(grid, 2)))

    domain = Domain.create((NY, NX), periodic=CHANNEL, minimum=3)
    assert_same(derivatives(domain), derivatives(serial(CHANNEL)), relative)


@pytest.mark.parametrize("kind", [SplitExplicit(12), ImplicitFreeSurface()])
@pytest.mark.ranks(2, 3)
def test_a_closed_sphere_conserves_volume_on_all_ranks_together(kind):
    domain = Domain.create((NY, NX), periodic=CHANNEL, minimum=3)
    grid = grid_on(domain, whole_sphere)
    dt = 11 * longest_substep(grid)
    start = fields(grid, 1)
    end, _ = jax.jit(model(kind, grid, dt))(start)
    area = grid.owned(grid.area.c)
    rain = STEPS * dt * UNITS["volume_flux"] * start["volume_flux"]
    added = domain.sum(jnp.sum(area * (end["eta"] - start["eta"] - rain)))
    volume = domain.sum(jnp.sum(area * grid.owned(grid.depth.c)))
    assert abs(added) <= 1e-15 * volume


@pytest.mark.ranks(2)
def test_a_halo_wider_than_a_block_is_refused():
    domain = Domain.create((NY, NX), minimum=3)
    grid = grid_on(domain)
    with pytest.raises(DecompositionError, match="narrower than a halo of 17"):
        model(SplitExplicit(12, substeps_per_exchange=100), grid)(fields(grid, 1))


@cache
def spread_spectrum():
    rng = np.random.default_rng(3)
    basis, _ = np.linalg.qr(rng.standard_normal((NY * NX, NY * NX)))
    return basis * np.geomspace(1.0, 100.0, NY * NX) @ basis.T, rng.standard_normal((NY, NX))


@pytest.mark.ranks(1, 2, 3)
def test_conjugate_gradients_take_the_same_iterations_on_all_ranks():
    """A dense matrix: each rank multiplies with its columns, and the products are summed."""
    domain = Domain.create((NY, NX), periodic=CHANNEL)
    matrix, rhs = spread_spectrum()
    mine = domain.local(np.arange(NY * NX).reshape(NY, NX)).ravel()

    def operator(x):
        return domain.sum(jnp.asarray(matrix)[:, mine] @ x.ravel())[mine].reshape(x.shape)

    def solve(rhs):
        return conjugate_gradients(
            operator, rhs, dots=lambda *pairs: domain.sum(local_dots(*pairs)), tolerance=1e-13
        )

    def cost(rhs):
        return jnp.sum(jnp.sin(solve(rhs).x))

    solution = jax.jit(solve)(jnp.asarray(domain.local(rhs)))
    x = np.linalg.solve(matrix, rhs.ravel()).reshape(NY, NX)
    assert_same(domain.gather(solution.x), x, 1e-11)
    assert len(set(domain.comm.allgather(int(solution.iterations)))) == 1
    gradient = domain.gather(jax.jit(jax.grad(cost))(jnp.asarray(domain.local(rhs))))
    expected = np.linalg.solve(matrix, np.cos(x).ravel()).reshape(NY, NX)
    assert_same(gradient, expected, 1e-11)
