"""Tracer advection and diffusion around topography are the same on any number of ranks."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.continuity import volume_transports
from dassim.dynamics.reconstruction import WENO, Centred, FluxLimited, Scheme, Upwind
from dassim.dynamics.tracers import LateralDiffusion, tracer_flux_divergence
from dassim.grid import Field, Grid, Staggered, build_grid, latlon, levels
from dassim.parallel import Domain
from tests.parallel.oracle import assert_same, block_of, gathered

NZ, NY, NX = 4, 14, 15
HALO, STEPS, TIME_STEP = 4, 5, 2e4


def basin(domain: Domain) -> Grid:
    """Rough topography and an island, across the seams between ranks."""
    depth = np.random.default_rng(1).uniform(60.0, 400.0, (NY, NX))
    depth[4:9, 6:9] = 0.0
    horizontal = latlon(
        domain, np.linspace(0, 360, NX + 1), np.linspace(-60, 60, NY + 1), halo=HALO
    )
    return build_grid(horizontal, levels(np.full(NZ, 100.0)), depth)


def random_state(grid: Grid) -> dict[str, jax.Array]:
    rng = np.random.default_rng(2)
    whole = {at: rng.normal(size=(NZ + (at == "w"), NY, NX)) for at in "uvwc"}
    whole["w"] *= 1e-3 * (np.arange(NZ + 1) > 0)[:, None, None]
    return {at: jnp.asarray(block_of(field, grid.domain)) for at, field in whole.items()}


def advance(grid: Grid, scheme: Scheme, state: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """One Euler step of the tracer ``c``; the flow stays."""
    fields = {at: Field.at(at, state[at]) for at in "uvc"}
    fields = grid.exchange(fields, HALO)
    thickness = Staggered.build(lambda _: grid.levels.dz.c)
    through = volume_transports(grid, fields["u"], fields["v"], thickness)
    upward = Field.at("w", state["w"]) * grid.area.c
    mixing = LateralDiffusion(1e4, 1e15, scale_length=1e6)
    rate = tracer_flux_divergence(
        grid, fields["c"], *through, upward, scheme, grid.mask.c
    ) + mixing(grid, fields["c"], thickness)
    return state | {"c": state["c"] + TIME_STEP / 100.0 * grid.owned(rate)}


@eqx.filter_jit
def end_and_gradient(grid: Grid, scheme: Scheme, state: dict[str, jax.Array]):
    def share_of_cost(state):
        step = jax.checkpoint(lambda s, _: (advance(grid, scheme, s), None))
        end, _ = jax.lax.scan(step, state, None, length=STEPS)
        return jnp.sum(grid.owned_mask("c") * end["c"] ** 2), end["c"]

    gradient, end = jax.grad(share_of_cost, has_aux=True)(state)
    return {"end": end, **gradient}


@pytest.mark.parametrize("scheme", [Centred(4), Upwind(5), WENO(5), FluxLimited()], ids=str)
def test_steps_and_their_gradient_are_the_same_on_any_number_of_ranks(scheme):
    def results(domain):
        grid = basin(domain)
        return gathered(domain, end_and_gradient(grid, scheme, random_state(grid)))

    periodic = (False, True)
    domain = Domain.create((NY, NX), periodic=periodic, minimum=HALO)
    assert_same(results(domain), results(Domain.serial((NY, NX), periodic=periodic)), 1e-12, domain)
