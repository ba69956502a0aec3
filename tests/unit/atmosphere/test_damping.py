"""Diffusion along levels and the damping of divergence over hills: what they keep and take away."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.atmosphere.primitive import AtmosphereModel, AtmosphereParameters, isothermal_rest
from dassim.atmosphere.primitive.stability import stability_limits
from dassim.dynamics.friction import DivergenceDamping, LateralFriction
from dassim.dynamics.tracers import LateralDiffusion
from dassim.grid import Field, apply, smooth_hybrid_levels
from dassim.grid.operators import diff_x_c2f, diff_y_c2f, divergence, masked, perpendicular_gradient
from tests.unit.atmosphere.air import EARTH, air, atmosphere
from tests.unit.atmosphere.test_primitive import LEVELS, hills, stirred

KAPPA, BIHARMONIC, DAMPING = 1e5, 1e16, 1e6


@pytest.fixture(scope="module", params=LEVELS)
def over_hills(request):
    grid = air(8, LEVELS[request.param])
    return grid, AtmosphereParameters(orography=hills(grid)), stirred(grid)


@eqx.filter_jit
def rates_of(model, parameters, state):
    return {name: rate.data for name, rate in model.tendencies(parameters, state).items()}


def with_terms(parameters, diffusivity=0.0, biharmonic=0.0, damping=0.0):
    """All terms, so that one program serves for each of them."""
    diffusion = LateralDiffusion(jnp.asarray(diffusivity), jnp.asarray(biharmonic))
    damper = DivergenceDamping(jnp.asarray(damping))
    return replace(parameters, diffusion=diffusion, divergence_damping=damper)


# -- diffusion ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calm(over_hills):
    """Nothing but diffusion acts on air without wind: a function from its terms to the rates of the
    contents ``h T`` and ``h q`` times area, and the mass (Pa m2) and the state."""
    grid, parameters, state = over_hills
    state = replace(state, u=jnp.zeros_like(state.u), v=jnp.zeros_like(state.v))
    area = np.asarray(grid.owned(grid.area.c))
    here = AtmosphereModel(grid, 60.0).view(parameters, state)

    def diffused(model=None, **terms):
        model = model or AtmosphereModel(grid, 60.0)
        found = rates_of(model, with_terms(parameters, **terms), state)
        return {name: area * np.asarray(found[name]) for name in ("T", "q")}

    return grid, diffused, here, {"T": np.asarray(state.T), "q": np.asarray(state.tracers["q"])}


@pytest.mark.parametrize("polar", [False, True], ids=["unfiltered", "filtered"])
def test_diffusion_keeps_the_content_of_each_level(calm, polar):
    grid, diffused, _, _ = calm
    model = atmosphere(grid, 60.0) if polar else None
    for name, rate in diffused(model, diffusivity=KAPPA, biharmonic=BIHARMONIC).items():
        size = abs(rate).sum(axis=(1, 2))
        assert (size > 0.0).all()
        assert (abs(rate.sum(axis=(1, 2))) < 1e-13 * size).all(), name


def test_diffusion_takes_the_squared_gradient_out_of_the_variance(calm):
    """``sum of c d(h c)/dt = - sum of h kappa |grad c|^2 - sum of h kappa_4 (lap c)^2``."""
    grid, diffused, here, values = calm
    once = diffused(diffusivity=KAPPA)
    twice = diffused(biharmonic=BIHARMONIC)
    mass = np.asarray(grid.owned(here.thickness.c * grid.area.c))
    for name, value in values.items():
        field, h = here.fields[name], here.thickness
        gradient = (
            h.u * diff_x_c2f(field) ** 2.0 * grid.dy.u / grid.dx.u,
            h.v * diff_y_c2f(field) ** 2.0 * grid.dx.v / grid.dy.v,
        )
        square = [grid.owned(masked(m, g)) for m, g in zip(masks(grid), gradient, strict=True)]
        expected = -KAPPA * np.sum(square, axis=(0, 2, 3))
        np.testing.assert_allclose((value * once[name]).sum(axis=(1, 2)), expected, rtol=1e-10)
        laplacian = once[name] / (KAPPA * mass)
        expected = -BIHARMONIC * (mass * laplacian**2).sum(axis=(1, 2))
        np.testing.assert_allclose((value * twice[name]).sum(axis=(1, 2)), expected, rtol=1e-10)


# -- the damping of divergence --------------------------------------------------------------------


def masks(grid):
    return grid.mask.u, grid.mask.v


def damped(grid, parameters, state):
    """Accelerations along x and y by the damping alone."""
    model = AtmosphereModel(grid, 60.0)
    with_it, without = (
        rates_of(model, with_terms(parameters, damping=d), state) for d in (DAMPING, 0.0)
    )
    return [with_it[name] - without[name] for name in ("u", "v")]


def divergence_of(grid, along_x, along_y):
    u, v = grid.exchange((Field.at("u", along_x), Field.at("v", along_y)), 2)
    return divergence(grid, masked(grid.mask.u, u), masked(grid.mask.v, v))


def size_of(along_x, along_y) -> float:
    return max(float(abs(along_x).max()), float(abs(along_y).max()))


def test_wind_without_divergence_is_not_damped(over_hills):
    grid, parameters, state = over_hills

    def stream(lon, lat):
        lon, lat = jnp.deg2rad(lon), jnp.deg2rad(lat)
        return 1e7 * jnp.cos(lat) ** 2 * (jnp.sin(3 * lon) + jnp.sin(2 * lat) * jnp.cos(lon))

    wind = perpendicular_gradient(grid, apply(stream, grid.x.q, grid.y.q))
    profile = jnp.arange(1.0, 1.0 + grid.levels.count)[:, None, None]
    u, v = (profile * grid.owned(masked(m, w)) for m, w in zip(masks(grid), wind, strict=True))
    assert size_of(u, v) > 10.0
    rotating = replace(state, u=u, v=v)
    left, taken = (size_of(*damped(grid, parameters, s)) for s in (rotating, state))
    assert taken > 1e-6
    assert left < 1e-10 * taken


def test_the_damping_takes_the_squared_gradient_out_of_the_divergence(over_hills):
    """In each level ``d/dt sum of D^2 / 2 = - sum of nu_d |grad D|^2`` over area; energy loses
    ``sum of nu_d D^2``. The thickness of the level has no part in it."""
    grid, parameters, state = over_hills
    rates = damped(grid, parameters, state)
    d = divergence_of(grid, state.u, state.v)
    area = grid.owned(grid.area.c)
    change = (area * grid.owned(d) * grid.owned(divergence_of(grid, *rates))).sum(axis=(1, 2))
    areas = grid.dx.u * grid.dy.u, grid.dx.v * grid.dy.v
    gradient = diff_x_c2f(d) / grid.dx.u, diff_y_c2f(d) / grid.dy.v
    square = [
        grid.owned(masked(m, a * g**2.0))
        for m, a, g in zip(masks(grid), areas, gradient, strict=True)
    ]
    np.testing.assert_allclose(change, -DAMPING * np.sum(square, axis=(0, 2, 3)), rtol=1e-9)
    power = sum(
        (grid.owned(a) * wind * rate).sum(axis=(1, 2))
        for a, wind, rate in zip(areas, (state.u, state.v), rates, strict=True)
    )
    expected = -DAMPING * (area * grid.owned(d) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(power, expected, rtol=1e-9)


# -- stability ------------------------------------------------------------------------------------


def test_biharmonic_friction_is_as_stiff_as_its_limit_says():
    """By power iteration: with the polar filter it is stiffest beside the poles."""
    grid = air(64, smooth_hybrid_levels(2, 0.0, 1.0), nx=128)
    model, rest = atmosphere(grid, 60.0), isothermal_rest(grid, EARTH, 288.0, 287.0)
    rough = AtmosphereParameters(friction=LateralFriction(biharmonic=jnp.asarray(1.0)))
    calm = AtmosphereParameters(friction=LateralFriction(biharmonic=jnp.asarray(0.0)))

    @eqx.filter_jit
    def stiffest(rough, calm, wind):
        def apply(wind, _):
            length = jnp.sqrt(sum(jnp.sum(part**2) for part in wind))
            state = replace(rest, u=wind[0] / length, v=wind[1] / length)
            rates = (model.tendencies(parameters, state) for parameters in (rough, calm))
            with_it, without = ((rate["u"].data, rate["v"].data) for rate in rates)
            return tuple(b - a for a, b in zip(with_it, without, strict=True)), length

        return jax.lax.scan(apply, wind, None, length=200)[1][-1]

    rng = np.random.default_rng(0)
    wind = tuple(jnp.asarray(rng.normal(size=field.shape)) for field in (rest.u, rest.v))
    (limit,) = (
        one
        for one in stability_limits(model, rough, rest, 0.0)
        if one.term == "biharmonic viscosity"
    )
    share = float(stiffest(rough, calm, wind)) * model.time_step / limit.value
    assert 0.9 < share <= 1.0
