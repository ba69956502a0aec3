"""Grids in blocks: geometry, masks, and the discrete identities of vector calculus."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.grid import Field, Grid, build_grid, cartesian, latlon, levels
from dassim.grid.field import align
from dassim.grid.operators import (
    avg_x_c2f,
    avg_y_c2f,
    curl,
    divergence,
    gradient,
    laplacian,
    masked,
    perpendicular_gradient,
)
from dassim.parallel import Domain
from tests.parallel.oracle import assert_same, block_of, gathered

NY, NX = 13, 14
THICKNESS = [10.0, 20.0, 40.0]
HALO = 3


def stretched(n, length):
    s = np.linspace(0.0, 1.0, n + 1)
    return length * (s + 0.1 * np.sin(2 * np.pi * s) / (2 * np.pi))


def plane(domain):
    beta = 0.0 if domain.periodic[0] else 1e-11
    return cartesian(domain, stretched(NX, 7e5), stretched(NY, 5e5), f0=1e-4, beta=beta, halo=HALO)


def sphere(domain):
    return latlon(domain, np.linspace(0, 360, NX + 1), stretched(NY, 150.0) - 75.0, halo=HALO)


def whole_sphere(domain):
    return latlon(domain, np.linspace(0, 360, NX + 1), np.linspace(-90, 90, NY + 1), halo=HALO)


GRIDS = {
    "closed plane": (plane, (False, False)),
    "channel": (plane, (False, True)),
    "periodic plane": (plane, (True, True)),
    "sphere": (sphere, (False, True)),
    "whole sphere": (whole_sphere, (False, True)),
}


def rough_bottom():
    rng = np.random.default_rng(7)
    return rng.uniform(0.0, 90.0, (NY, NX)) * (rng.random((NY, NX)) < 0.8)


def build(name: str, serial: bool = False) -> Grid:
    geometry, periodic = GRIDS[name]
    shape = (NY, NX)
    if serial:
        domain = Domain.serial(shape, periodic=periodic)
    else:
        domain = Domain.create(shape, periodic=periodic, minimum=2)
    return build_grid(geometry(domain), levels(THICKNESS), rough_bottom())


def random_field(grid, at, seed):
    """Random on wet points, zero elsewhere, with halos."""
    whole = np.random.default_rng(seed).normal(size=(len(THICKNESS), NY, NX))
    field = Field.at(at, block_of(whole, grid.domain))
    return masked(getattr(grid.mask, at), grid.exchange(field, 2))


def total(grid, product):
    return grid.domain.sum(jnp.sum(grid.owned(product)))


def over_faces(grid, a, b):
    """Inner product of two vectors: each face weighs its length times the cells' distance."""
    return total(grid, a[0] * b[0] * (grid.dx.u * grid.dy.u)) + total(
        grid, a[1] * b[1] * (grid.dx.v * grid.dy.v)
    )


def over_cells(grid, a, b):
    return total(grid, a * b * grid.area.c)


def masked_vector(grid, vector):
    return masked(grid.mask.u, vector[0]), masked(grid.mask.v, vector[1])


@eqx.filter_jit
def fields_of(grid):
    """What the operators give on random wet fields: raw owned arrays."""
    phi, psi = random_field(grid, "c", 1), random_field(grid, "q", 2)
    u, v = random_field(grid, "u", 3), random_field(grid, "v", 4)
    rotational = perpendicular_gradient(grid, psi)
    potential = masked_vector(grid, gradient(grid, phi))
    open_faces = masked_vector(grid, (avg_x_c2f(phi) * 0.0 + 1.0, avg_y_c2f(phi) * 0.0 + 1.0))
    fields = {
        "gradient x": potential[0],
        "gradient y": potential[1],
        "divergence": divergence(grid, u, v),
        "curl": masked(grid.mask.q, curl(grid, u, v)),
        "laplacian": laplacian(grid, phi, *open_faces),
        "rotational u": rotational[0],
        "rotational v": rotational[1],
    }
    return {name: grid.owned(field) for name, field in fields.items()}


@eqx.filter_jit
def residuals_of(grid):
    """What must vanish, over the largest of the fluxes or steps that cancel in it."""
    phi, psi = random_field(grid, "c", 1), random_field(grid, "q", 2)
    u, v = perpendicular_gradient(grid, psi)
    slope = masked_vector(grid, gradient(grid, phi))
    circulation = masked(grid.mask.q, curl(grid, *slope)) * grid.area.q

    def largest(field):
        return grid.domain.max(jnp.max(jnp.abs(grid.owned(field))))

    return {
        "div perp grad": largest(divergence(grid, u, v) * grid.area.c) / largest(u * grid.dy.u),
        "curl grad": largest(circulation) / largest(slope[0] * grid.dx.u),
        "flow through coasts": largest(u - masked(grid.mask.u, u))
        + largest(v - masked(grid.mask.v, v)),
    }


@eqx.filter_jit
def products_of(grid):
    """Both sides of each rule of summation by parts."""
    phi, other = random_field(grid, "c", 1), random_field(grid, "c", 5)
    psi = random_field(grid, "q", 2)
    vector = random_field(grid, "u", 3), random_field(grid, "v", 4)
    slope = gradient(grid, phi)
    of = partial(laplacian, grid, open_u=grid.mask.u, open_v=grid.mask.v)
    return {
        "<grad phi, u> = -<phi, div u>": (
            over_faces(grid, slope, vector),
            -over_cells(grid, phi, divergence(grid, *vector)),
        ),
        "<perp grad psi, u> = -<psi, curl u>": (
            over_faces(grid, perpendicular_gradient(grid, psi), vector),
            -total(grid, psi * curl(grid, *vector) * grid.area.q),
        ),
        "<lap a, b> = <a, lap b>": (
            over_cells(grid, of(phi), other),
            over_cells(grid, phi, of(other)),
        ),
        "<lap a, a> = -|grad a|^2": (
            over_cells(grid, of(phi), phi),
            -over_faces(grid, masked_vector(grid, slope), masked_vector(grid, slope)),
        ),
    }


@pytest.mark.parametrize("name", GRIDS)
def test_operators_and_identities_on_masked_grids(name):
    grid = build(name)
    found = gathered(grid.domain, fields_of(grid))
    expected = fields_of(build(name, serial=True))
    assert_same(found, expected, 1e-13, grid.domain)
    for key, residual in residuals_of(grid).items():
        assert residual < 1e-14, key
    for key, (left, right) in products_of(grid).items():
        np.testing.assert_allclose(left, right, rtol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", GRIDS)
def test_every_rank_holds_its_part_of_the_same_grid(name):
    """Geometry and masks, halos included, are cut from one global grid."""
    grid, whole = build(name), build(name, serial=True)
    assert jax.tree.structure(grid.mask) == jax.tree.structure(whole.mask)
    rows, columns = grid.domain.block.y, grid.domain.block.x
    for (path, part), full in zip(
        jax.tree.leaves_with_path(eqx.filter(grid, eqx.is_array)),
        jax.tree.leaves(eqx.filter(whole, eqx.is_array)),
        strict=True,
    ):
        offset = [0] * 3
        for axis, start, n in ((-2, rows.start, NY), (-1, columns.start, NX)):
            if full.shape[axis] > n:
                offset[axis] = start
        window = full[tuple(slice(o, o + n) for o, n in zip(offset, part.shape, strict=True))]
        np.testing.assert_allclose(part, window, rtol=1e-14, err_msg=jax.tree_util.keystr(path))


def test_cells_of_the_sphere_add_up_to_its_surface():
    grid = build("whole sphere")
    surface = grid.domain.sum(jnp.sum(grid.owned(grid.area.c)))
    np.testing.assert_allclose(surface, 4 * np.pi * 6.371e6**2, rtol=1e-14)


@pytest.mark.parametrize("name", GRIDS)
def test_masks_in_halos_are_those_of_the_neighbours(name):
    """What a rank knows of its halo's bottom is what an exchange would bring; walls are dry."""
    grid = build(name)
    owned = {at: Field.at(at, grid.owned_mask(at).astype(float)) for at in ("c", "u", "v", "q")}
    for at, field in grid.exchange(owned, 1).items():
        mask = getattr(grid.mask, at)
        (own, brought), _ = align(mask, field)
        np.testing.assert_array_equal(own, brought, err_msg=at)
