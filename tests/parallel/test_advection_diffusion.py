"""A small nonlinear model on a C-grid with an island, written as physics is written in dassim,
and its value, gradient and Hessian-vector product after 200 steps on any number of ranks."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.grid import Field, Grid, build_grid, cartesian, levels
from dassim.grid.operators import (
    avg_x_c2f,
    avg_x_f2c,
    avg_y_c2f,
    avg_y_f2c,
    curl,
    divergence,
    gradient,
    masked,
    perpendicular_gradient,
)
from dassim.parallel import Domain
from tests.parallel.oracle import assert_same, block_of, gathered

pytestmark = pytest.mark.ranks(1, 2, 3, 4)

NX, NY, SPACING = 24, 20, 1000.0
TIME_STEP, SEGMENTS, STEPS = 100.0, 10, 20


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """Owned points ``(ny, nx)``: velocity (m/s) at faces, concentration ``c`` at cells."""

    u: jax.Array
    v: jax.Array
    c: jax.Array


class Toy(eqx.Module):
    """Burgers' equation with a tracer that it carries and that drives it::

        du/dt = -(u . grad) u + nu lap(u) - g grad(c)
        dc/dt = -div(u c) + div(kappa (1 + c^2) grad(c)) - r (c - <c>)

    with ``<c>`` the mean over all wet cells.
    """

    grid: Grid
    viscosity: float = 400.0  # m2/s
    diffusivity: float = 200.0  # m2/s
    buoyancy: float = 0.5  # m2/s2
    relaxation: float = 1e-6  # 1/s

    def step(self, state: State) -> State:
        tendency = self.tendency(state)
        return jax.tree.map(lambda x, dx: x + TIME_STEP * dx, state, tendency)

    def tendency(self, state: State) -> State:
        grid = self.grid
        u, v, c = grid.exchange(
            (Field.at("u", state.u), Field.at("v", state.v), Field.at("c", state.c)), width=2
        )
        du, dv = self.momentum(u, v, c)
        dc = self.advection(u, v, c) + self.diffusion(c) + self.restoring(c)
        return State(
            u=grid.owned(masked(grid.mask.u, du)),
            v=grid.owned(masked(grid.mask.v, dv)),
            c=grid.owned(masked(grid.mask.c, dc)),
        )

    def momentum(self, u: Field, v: Field, c: Field) -> tuple[Field, Field]:
        grid = self.grid
        vorticity = masked(grid.mask.q, curl(grid, u, v))
        kinetic_energy = 0.5 * (avg_x_f2c(u * u) + avg_y_f2c(v * v))
        head_x, head_y = gradient(grid, kinetic_energy + self.buoyancy * c)
        squeeze_x, squeeze_y = gradient(grid, divergence(grid, u, v))
        shear_x, shear_y = perpendicular_gradient(grid, vorticity)
        du = avg_y_f2c(vorticity * avg_x_c2f(v)) - head_x + self.viscosity * (squeeze_x + shear_x)
        dv = -avg_x_f2c(vorticity * avg_y_c2f(u)) - head_y + self.viscosity * (squeeze_y + shear_y)
        return du, dv

    def advection(self, u: Field, v: Field, c: Field) -> Field:
        return -divergence(self.grid, u * avg_x_c2f(c), v * avg_y_c2f(c))

    def diffusion(self, c: Field) -> Field:
        grid = self.grid
        kappa = self.diffusivity * (1.0 + c * c)
        c_x, c_y = gradient(grid, c)
        return divergence(
            grid,
            masked(grid.mask.u, avg_x_c2f(kappa) * c_x),
            masked(grid.mask.v, avg_y_c2f(kappa) * c_y),
        )

    def restoring(self, c: Field) -> Field:
        grid = self.grid
        area = grid.owned(masked(grid.mask.c, grid.area.c))
        mean = grid.domain.sum(jnp.sum(area * grid.owned(c))) / grid.domain.sum(jnp.sum(area))
        return -self.relaxation * (c - mean)


def toy_on(domain: Domain) -> Toy:
    depth = np.full((NY, NX), 100.0)
    depth[8:11, 5:9] = 0.0
    horizontal = cartesian(domain, SPACING * np.arange(NX + 1), SPACING * np.arange(NY + 1), halo=3)
    return Toy(build_grid(horizontal, levels([100.0]), depth))


def share_of_cost(toy: Toy, start: State) -> jax.Array:
    """This rank's share of the misfit to c = 1 and of the energy left after all steps."""

    @jax.checkpoint
    def segment(state, _):
        return jax.lax.scan(lambda s, _: (toy.step(s), None), state, None, length=STEPS)

    end, _ = jax.lax.scan(segment, start, None, length=SEGMENTS)
    wet = toy.grid.owned_mask("c", levels=False)
    return jnp.sum(wet * (end.c - 1.0) ** 2) + 10.0 * jnp.sum(end.u**2 + end.v**2)


@eqx.filter_jit
def value_gradient_and_hvp(toy: Toy, start: State, direction: State):
    value_and_gradient = jax.value_and_grad(lambda s: share_of_cost(toy, s))
    (value, gradient), (_, hvp) = jax.jvp(value_and_gradient, (start,), (direction,))
    return toy.grid.domain.sum(value), gradient, hvp


def random_flow(toy: Toy, seed: int) -> State:
    """A smooth random field of global shape, zero on land."""
    domain, rng = toy.grid.domain, np.random.default_rng(seed)
    y, x = np.mgrid[0:NY, 0:NX] * (2 * np.pi / np.array([NY, NX])[:, None, None])

    def wave(mask):
        phase = rng.uniform(0, 2 * np.pi, 4)
        whole = sum(np.cos((k % 3) * x + k * y + phase[k]) for k in range(4))
        return jnp.asarray(block_of(0.25 * whole, domain)) * toy.grid.owned(mask)

    return State(u=wave(toy.grid.mask.u), v=wave(toy.grid.mask.v), c=wave(toy.grid.mask.c))


def results(domain: Domain):
    toy = toy_on(domain)
    value, gradient, hvp = value_gradient_and_hvp(toy, random_flow(toy, 1), random_flow(toy, 2))
    return {"value": value, **gathered(domain, {"gradient": gradient, "hvp": hvp})}


def test_200_nonlinear_steps_are_the_same_on_any_number_of_ranks():
    periodic = (False, True)
    domain = Domain.create((NY, NX), periodic=periodic, minimum=2)
    one = results(Domain.serial((NY, NX), periodic=periodic))
    assert_same(results(domain), one, 1e-12, domain)


def test_the_problem_is_nonlinear_and_alive():
    """Else the agreement above would say little: 200 steps change the flow, but keep it."""
    toy = toy_on(Domain.create((NY, NX), periodic=(False, True), minimum=2))
    start = random_flow(toy, 1)

    @jax.jit
    def run(state):
        return jax.lax.fori_loop(0, SEGMENTS * STEPS, lambda _, s: toy.step(s), state)

    def norm(state):
        return float(toy.grid.domain.dot(state, state)) ** 0.5

    full, half = run(start), run(jax.tree.map(lambda x: 0.5 * x, start))
    nonlinear = jax.tree.map(lambda a, b: a - 2.0 * b, full, half)
    assert 0.1 * norm(start) < norm(full) < 2 * norm(start)
    assert norm(nonlinear) > 0.05 * norm(full)
