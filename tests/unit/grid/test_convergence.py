"""Second order everywhere: operators on smooth functions, errors shrinking with the grid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.grid import Field, HorizontalGrid, apply, cartesian, latlon, operators
from dassim.parallel import Domain

SIZES = (20, 40, 80)
RADIUS = 2.0


def wave(x, y):
    """Smooth, periodic with 2 pi in both directions, without symmetry on any grid."""
    return jnp.sin(x + 0.3) * jnp.cos(2 * y - 0.4) + 0.5 * jnp.cos(x + y) * jnp.sin(x - 0.1)


def other(x, y):
    return jnp.cos(x - 0.7) * jnp.sin(y + 0.2) - 0.3 * jnp.sin(2 * x + y)


def d_dx(function: Callable) -> Callable:
    return jnp.vectorize(jax.grad(function, argnums=0))


def d_dy(function: Callable) -> Callable:
    return jnp.vectorize(jax.grad(function, argnums=1))


def faces(n: int, stretch: float, length: float = 2 * np.pi) -> np.ndarray:
    s = np.linspace(0.0, 1.0, n + 1)
    return length * (s + stretch * np.sin(2 * np.pi * s) / (2 * np.pi))


class Plane:
    """x and y in metres over (0, 2 pi); the exact operators of the plane."""

    def __init__(self, stretch: float):
        self.stretch = stretch

    def grid(self, n):
        domain = Domain.serial((n, n), periodic=(True, True))
        return cartesian(domain, faces(n, self.stretch), faces(n, -self.stretch), halo=3)

    @staticmethod
    def gradient(phi):
        return d_dx(phi), d_dy(phi)

    @staticmethod
    def divergence(u, v):
        return lambda x, y: d_dx(u)(x, y) + d_dy(v)(x, y)

    @staticmethod
    def curl(u, v):
        return lambda x, y: d_dx(v)(x, y) - d_dy(u)(x, y)


class Sphere:
    """x and y are longitude and latitude in degrees, between 60 S and 70 N."""

    def grid(self, n):
        domain = Domain.serial((n, n), periodic=(False, True))
        lat = faces(n, 0.2, length=130.0) - 60.0
        return latlon(domain, np.linspace(0, 360, n + 1), lat, radius=RADIUS, halo=3)

    @staticmethod
    def gradient(phi):
        def along_x(lon, lat):
            return d_dx(phi)(lon, lat) / (RADIUS * jnp.cos(jnp.deg2rad(lat))) * (180 / np.pi)

        return along_x, lambda lon, lat: d_dy(phi)(lon, lat) / RADIUS * (180 / np.pi)

    @staticmethod
    def divergence(u, v):
        def value(lon, lat):
            flux = d_dy(lambda lon, lat: v(lon, lat) * jnp.cos(jnp.deg2rad(lat)))
            total = d_dx(u)(lon, lat) + flux(lon, lat)
            return total / (RADIUS * jnp.cos(jnp.deg2rad(lat))) * (180 / np.pi)

        return value

    @classmethod
    def curl(cls, u, v):
        return cls.divergence(v, lambda lon, lat: -u(lon, lat))


def in_degrees(function):
    return lambda lon, lat: function(jnp.deg2rad(lon), jnp.deg2rad(lat))


CASES = {
    "uniform plane": (Plane(0.0), wave, other),
    "stretched plane": (Plane(0.3), wave, other),
    "sphere": (Sphere(), in_degrees(wave), in_degrees(other)),
}


def at(grid, location: str, function: Callable) -> Field:
    """``function`` at the points of ``location``, halos included."""
    return apply(function, getattr(grid.x, location), getattr(grid.y, location))


@eqx.filter_jit
def errors(case: str, grid: HorizontalGrid) -> dict[str, jax.Array]:
    """Root mean square error of every operator over the owned points."""
    geometry, f, g = CASES[case]
    sample = partial(at, grid)
    phi, psi, u, v = sample("c", f), sample("q", f), sample("u", f), sample("v", g)
    f_x, f_y = geometry.gradient(f)
    lap = geometry.divergence(f_x, f_y)
    checks = {
        "avg_x_c2f": (operators.avg_x_c2f(phi), "u", f),
        "avg_x_f2c": (operators.avg_x_f2c(u), "c", f),
        "avg_y_c2f": (operators.avg_y_c2f(phi), "v", f),
        "avg_y_f2c": (operators.avg_y_f2c(v), "c", g),
        "interpolate": (operators.interpolate(u, "v"), "v", f),
        "diff_x_f2c": (operators.diff_x_f2c(u) / grid.dx.c, "c", f_x),
        "diff_y_f2c": (operators.diff_y_f2c(v) / grid.dy.c, "c", geometry.gradient(g)[1]),
        "gradient x": (operators.gradient(grid, phi)[0], "u", f_x),
        "gradient y": (operators.gradient(grid, phi)[1], "v", f_y),
        "divergence": (operators.divergence(grid, u, v), "c", geometry.divergence(f, g)),
        "curl": (operators.curl(grid, u, v), "q", geometry.curl(f, g)),
        "laplacian": (operators.laplacian(grid, phi), "c", lap),
        "perpendicular x": (-operators.perpendicular_gradient(grid, psi)[0], "u", f_y),
        "perpendicular y": (operators.perpendicular_gradient(grid, psi)[1], "v", f_x),
    }

    def mean(found, location, exact):
        return jnp.sqrt(jnp.mean((found - sample(location, exact)).owned(grid.domain.shape) ** 2))

    return {name: mean(*check) for name, check in checks.items()}


@pytest.mark.parametrize("case", CASES)
def test_second_order(case):
    found = [errors(case, CASES[case][0].grid(n)) for n in SIZES]
    for name in found[0]:
        history = np.array([float(one[name]) for one in found])
        order = np.log2(history[:-1] / history[1:])
        assert ((order > 1.9) & (order < 2.1)).all(), f"{name}: errors {history}, orders {order}"
        assert history[-1] > 1e-8, f"{name}: nothing left to measure"


def test_vertical_operators_are_second_order():
    def error(n):
        z = np.linspace(0, 1, n + 1)
        stretched = z + 0.1 * np.sin(np.pi * z)
        middle, thickness = 0.5 * (stretched[1:] + stretched[:-1]), np.diff(stretched)
        cells = Field.at("c", np.sin(3 * middle)[:, None, None])
        slope = operators.diff_z_c2f(cells).data.ravel() / np.diff(middle)
        integral = operators.sum_z(cells * Field.at("c", thickness[:, None, None])).data.item()
        return [
            np.abs(slope - 3 * np.cos(3 * stretched[1:-1])).max(),
            np.abs(operators.avg_z_c2f(cells).data.ravel() - np.sin(3 * stretched[1:-1])).max(),
            abs(integral - (1 - np.cos(3 * stretched[-1])) / 3),
        ]

    order = np.log2(np.divide(error(40), error(80)))
    assert ((order > 1.85) & (order < 2.2)).all(), order
