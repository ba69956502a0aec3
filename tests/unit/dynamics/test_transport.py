"""Waves and steps carried around periodic boxes by a uniform flow, in SSP Runge-Kutta 3."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.reconstruction import WENO, Centred, FluxLimited, Upwind
from dassim.dynamics.tracers import tracer_flux_divergence
from dassim.grid import Field, Grid, build_grid, cartesian, levels
from dassim.parallel import Domain
from tests.models.stencils import LIMITERS


def box(ny: int, nx: int) -> Grid:
    """A box 1 m by 1 m by 1 m, periodic in x and y, of one level."""
    domain = Domain.serial((ny, nx), periodic=(True, True))
    faces = (np.linspace(0.0, 1.0, n + 1) for n in (nx, ny))
    return build_grid(cartesian(domain, *faces), levels([1.0]))


@partial(jax.jit, static_argnames=("scheme", "steps"))
def carried(grid, start, flow, scheme, courant, steps):
    """``start (1, ny, nx)`` after ``steps`` of length ``courant``; ``flow``: cells per unit of time
    along x and y.

    Time stepping of Shu & Osher (1988, J. Comput. Phys. 77, 439): averages of Euler steps.
    """
    _, ny, nx = start.shape
    ones = grid.exchange({at: Field.at(at, jnp.ones_like(start)) for at in "uv"}, 1)
    through = (flow[0] / (nx * ny) * ones["u"], flow[1] / (nx * ny) * ones["v"])
    none = Field.at("w", jnp.zeros((2, ny, nx)))

    def euler(c):
        tracer = grid.exchange(Field.at("c", c), scheme.reach)
        return c + courant * grid.owned(
            tracer_flux_divergence(grid, tracer, *through, none, scheme)
        )

    def step(c, _):
        first = euler(c)
        second = 0.75 * c + 0.25 * euler(first)
        return c / 3 + 2 / 3 * euler(second), None

    return jax.lax.scan(step, start, None, length=steps)[0]


def once_around(scheme, start, flow, courant):
    """``start`` carried by whole box lengths, in steps of about ``courant``."""
    ny, nx = start.shape[1:]
    steps = round(max(ny, nx) / courant)
    return np.asarray(carried(box(ny, nx), start, flow, scheme, max(ny, nx) / steps, steps))


def averages(n):
    """Cell averages of ``exp(sin x)`` over one period."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    centres = 2 * np.pi * (np.arange(n)[:, None] + (1 + nodes) / 2) / n
    return np.exp(np.sin(centres)) @ weights / 2


def wave(n, dimensions):
    return averages(n)[None, None] * (averages(n)[None, :, None] if dimensions == 2 else 1.0)


@pytest.mark.parametrize("flow", [1.0, -1.0])
@pytest.mark.parametrize(
    ("scheme", "dimensions", "expected"),
    [
        (Centred(2), 1, 2),
        (Centred(4), 1, 4),
        (Upwind(3), 1, 3),
        (Upwind(5), 1, 5),
        (WENO(5), 1, 5),
        (WENO(5), 2, 5),
    ],
    ids=str,
)
def test_a_smooth_wave_returns_to_the_order_of_the_scheme(scheme, dimensions, expected, flow):
    """Time steps shrink with ``dx^(5/3)``: the time stepper's error with ``dx^5``."""
    errors = []
    for n in (24, 48):
        start = wave(n, dimensions)
        courant = 0.3 * (24 / n) ** (2 / 3)
        end = once_around(scheme, start, (flow, flow if dimensions == 2 else 0.0), courant)
        errors.append(abs(end - start).mean())
    order = np.log2(errors[0] / errors[1])
    assert abs(order - expected) < 0.4, (order, errors)


@pytest.mark.parametrize("scheme", [WENO(3), *map(FluxLimited, LIMITERS)], ids=str)
def test_schemes_that_clip_extrema_still_converge(scheme):
    errors = [
        abs(once_around(scheme, wave(n, 1), (1.0, 0.0), 0.3) - wave(n, 1)).mean() for n in (64, 128)
    ]
    assert np.log2(errors[0] / errors[1]) > 1.3, errors


def block(n=60):
    """A block of 1 in 0."""
    x = np.arange(n) / n
    return np.where(abs(x - 0.4) < 0.15, 1.0, 0.0)[None, None]


@pytest.mark.parametrize("flow", [1.0, -1.0])
def test_weno_carries_a_step_nearly_without_new_extrema(flow):
    start = block()
    end = once_around(WENO(5), start, (flow, 0.0), 0.4)
    assert end.min() > -1e-3
    assert end.max() < 1 + 1e-3
    assert abs(end - start).mean() < 0.06


@pytest.mark.parametrize("flow", [1.0, -1.0])
@pytest.mark.parametrize("limiter", LIMITERS)
def test_limited_schemes_make_no_new_extrema(limiter, flow):
    rough = np.random.default_rng(1).normal(size=(1, 1, 40))
    for start in (block(), rough):
        end = once_around(FluxLimited(limiter), start, (flow, 0.0), 0.45)
        assert end.min() > start.min() - 1e-14
        assert end.max() < start.max() + 1e-14


@pytest.mark.parametrize("limiter", LIMITERS)
def test_limited_schemes_keep_a_step_sharper_than_first_order_does(limiter):
    """First-order upwind, of the diffusivity ``u dx (1 - courant) / 2``, errs by some 0.2."""
    assert abs(once_around(FluxLimited(limiter), block(), (1.0, 0.0), 0.4) - block()).mean() < 0.1


def test_linear_schemes_do_make_new_extrema():
    """Else the tests above would say little."""
    for scheme in (Centred(2), Upwind(3)):
        assert once_around(scheme, block(), (1.0, 0.0), 0.4).max() > 1.03


@pytest.mark.parametrize("scheme", [Upwind(3), WENO(5), FluxLimited("superbee")], ids=str)
def test_x_and_y_are_alike(scheme):
    start = np.random.default_rng(2).normal(size=(1, 12, 18))
    turned = carried(box(18, 12), start.transpose(0, 2, 1), (-0.5, 1.0), scheme, 0.3, 10)
    here = carried(box(12, 18), start, (1.0, -0.5), scheme, 0.3, 10)
    np.testing.assert_allclose(np.transpose(turned, (0, 2, 1)), here, rtol=0, atol=1e-12)
