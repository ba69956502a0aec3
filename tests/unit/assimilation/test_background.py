"""The background error covariance: variances, length scales, coasts, balances."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import gamma, kv

from dassim.assimilation.background import BackgroundRoot, VariableErrors
from dassim.assimilation.balance import GeostrophicBalance, SalinityBalance, salinity_slope
from dassim.assimilation.control import Control, random_like
from dassim.assimilation.correlation import Normalisation, correlation
from dassim.assimilation.diffusion import HorizontalDiffusion, diffusion_length
from dassim.assimilation.dot_products import dot_product_test
from dassim.grid import build_grid, cartesian, levels
from dassim.parallel import Domain
from tests.models.basins import rough_basin


@pytest.fixture(scope="module")
def basin():
    return rough_basin()


def plain(shape, *, spacing=10e3, nz=1, dz=10.0, depth=None):
    """A plane, periodic in x, over a flat bottom unless there is a ``depth``."""
    ny, nx = shape
    domain = Domain.serial(shape, periodic=(False, True))
    plane = cartesian(
        domain, spacing * np.arange(nx + 1), spacing * np.arange(ny + 1), f0=1e-4, beta=0.0
    )
    return build_grid(plane, levels([dz] * nz), depth)


def impulse(shape, *index):
    return jnp.zeros(shape).at[index].set(1.0)


def matern(r, length, nu):
    """The correlation at distance ``r``; 1 at 0."""
    r = np.maximum(np.abs(r) / length, 1e-12)
    return 2 ** (1 - nu) / gamma(nu) * r**nu * kv(nu, r)


@eqx.filter_jit
def root(correlation, x):
    return correlation.root(x)


@eqx.filter_jit
def inverse_root(correlation, x):
    return correlation.inverse_root(x)


@eqx.filter_jit
def row(correlation, x):
    """``C x``."""
    transposed = jax.linear_transpose(correlation.root, x)
    return correlation.root(transposed(x)[0])


@pytest.mark.parametrize("location", ["c", "u", "v"])
def test_variances_are_one_at_every_wet_point_and_zero_on_land(basin, location):
    found = correlation(basin, location, horizontal=20e3, vertical=150.0)
    wet = np.asarray(basin.owned_mask(location))
    points = jnp.asarray(np.argwhere(wet)[::7])

    @jax.jit
    def variance(point):
        unit = jnp.zeros(basin.shape).at[tuple(point)].set(1.0)
        column = jax.linear_transpose(found.root, unit)(unit)[0]
        return jnp.sum(column**2)

    np.testing.assert_allclose(jax.lax.map(variance, points), 1.0, rtol=1e-10)
    noise = jnp.asarray(np.random.default_rng(0).normal(size=basin.shape))
    smooth = np.asarray(root(found, noise))
    assert (smooth[~wet] == 0).all() and (smooth[wet] != 0).all()


def test_the_inverse_undoes_the_root(basin):
    found = correlation(basin, "c", horizontal=20e3, vertical=150.0)
    wet = basin.owned_mask("c")
    x = jnp.where(wet, np.random.default_rng(1).normal(size=basin.shape), 0.0)
    np.testing.assert_allclose(inverse_root(found, root(found, x)), x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("order", [4, 10])
def test_the_horizontal_correlation_is_that_of_matern_and_has_its_length_scale(order):
    shape, spacing, scale = (40, 40), 10e3, 40e3
    found = correlation(
        plain(shape, spacing=spacing), "c", levels=False, horizontal=scale, order=order,
        normalisation=Normalisation(5.0),
    )  # fmt: skip
    across = np.asarray(row(found, impulse(shape, 20, 5)))[20, 5:25]
    r = spacing * np.arange(20)
    expected = matern(r, diffusion_length(scale, order, 2), order - 1)
    np.testing.assert_allclose(across, expected, rtol=0, atol=0.02)
    curvature = 2 * (1 - across[1] / across[0]) / spacing**2
    assert 1 / np.sqrt(curvature) == pytest.approx(scale, rel=0.08)
    if order == 10:
        np.testing.assert_allclose(across, np.exp(-(r**2) / (2 * scale**2)), rtol=0, atol=0.05)


def test_the_vertical_correlation_is_that_of_matern():
    shape, dz, scale = (41, 1, 2), 10.0, 60.0
    found = correlation(plain(shape[1:], nz=41, dz=dz), "c", vertical=scale, order=4)
    down = np.asarray(row(found, impulse(shape, 20, 0, 0)))[20:, 0, 0]
    expected = matern(dz * np.arange(21), diffusion_length(scale, 4, 1), 3.5)
    np.testing.assert_allclose(down[:12], expected[:12], rtol=0, atol=0.02)


def test_nothing_passes_a_wall_and_coasts_keep_their_variance():
    depth = np.full((8, 20), 10.0)
    depth[:, [0, 10]] = 0.0
    grid = plain((8, 20), depth=depth)
    found = correlation(grid, "c", levels=False, horizontal=40e3)
    one = np.asarray(row(found, impulse((8, 20), 4, 9)))
    assert (one[:, :1] == 0).all() and (one[:, 10:] == 0).all()
    assert one[4, 9] == pytest.approx(1.0, rel=1e-10)
    assert (one[:, 1:9] > 0).all()


def test_impulses_far_apart_give_the_variance_to_a_hundredth():
    grid = plain((30, 44))
    exact = correlation(grid, "c", levels=False, horizontal=20e3)
    rough = correlation(grid, "c", levels=False, horizontal=20e3, normalisation=Normalisation(6.0))
    ratio = np.asarray(rough.horizontal.factor / exact.horizontal.factor) ** 2
    assert 1e-6 < np.abs(ratio - 1).max() < 1e-2


def test_impulses_too_near_to_each_other_are_refused():
    with pytest.raises(ValueError, match="use a larger separation"):
        correlation(plain((9, 12)), "c", levels=False, horizontal=20e3,
                    normalisation=Normalisation(1.0))  # fmt: skip


def test_diffusion_conserves_what_it_smooths_and_is_symmetric(basin):
    found = HorizontalDiffusion.on(basin, "u", basin.owned_mask("u"), 20e3, 4)
    x, y = (jnp.asarray(np.random.default_rng(i).normal(size=basin.shape)) for i in (0, 1))
    smooth = eqx.filter_jit(lambda d, x: d.solve(x))
    sx, sy = smooth(found, x), smooth(found, y)
    np.testing.assert_allclose(jnp.sum(found.size * sx), jnp.sum(found.size * x), rtol=1e-10)
    one, other = jnp.sum(found.size * sx * y), jnp.sum(found.size * x * sy)
    np.testing.assert_allclose(one, other, rtol=1e-11)


def test_an_odd_number_of_solves_has_no_root():
    with pytest.raises(ValueError, match="found 3 solves in 2 dimensions; expected an even"):
        diffusion_length(1.0, 3, 2)


# -- balances -------------------------------------------------------------------------------------


def test_salinity_follows_the_backgrounds_curve():
    grid = plain((2, 3), nz=6, dz=50.0, depth=np.full((2, 3), 260.0))
    T = np.linspace(20, 5, 6)[:, None, None] * np.ones((6, 2, 3))
    T[:2] = 20.0
    S = 35.0 + 0.1 * (T - 10.0)
    slope = salinity_slope(grid, T, S)
    np.testing.assert_allclose(slope[2:5], 0.1, rtol=1e-12)
    assert (slope[0] == 0).all() and (slope[5] == 0).all()  # mixed, and dry


def test_currents_balance_the_slope_of_the_sea_level():
    grid = plain((6, 8), nz=2, dz=100.0)
    eta = jnp.broadcast_to(1e-6 * 10e3 * (jnp.arange(6.0)[:, None] + 0.5), (6, 8))
    balance = GeostrophicBalance(grid, {}, gravity=10.0)
    found = eqx.filter_jit(balance.additions)({"state.eta": eta})
    np.testing.assert_allclose(found["state.u"], -10.0 * 1e-6 / 1e-4, rtol=0.02)
    np.testing.assert_allclose(found["state.v"], 0.0, atol=1e-15)


def test_currents_are_in_thermal_wind_balance():
    grid = plain((6, 8), nz=4, dz=100.0)
    warmer = jnp.broadcast_to(1e-5 * 10e3 * jnp.arange(6.0)[:, None], (4, 6, 8))
    balance = GeostrophicBalance(grid, {"state.T": jnp.full((4, 6, 8), 9.81 * 2e-4)})
    u = eqx.filter_jit(balance.additions)({"state.T": warmer})["state.u"]
    shear = -(u[:-1] - u[1:]) / 100.0  # du/dz = -(1/f) db/dy
    np.testing.assert_allclose(shear, 9.81 * 2e-4 * 1e-5 / 1e-4, rtol=0.02)


def whole_root(grid):
    """Of T, S, eta, u and v with both balances, and a number."""
    cells = correlation(grid, "c", horizontal=20e3, vertical=150.0)
    surface = correlation(grid, "c", levels=False, horizontal=20e3)
    faces = {at: correlation(grid, at) for at in ("u", "v")}
    slope = jnp.asarray(np.random.default_rng(2).normal(size=grid.shape))
    b = {"state.T": jnp.full(grid.shape, 2e-3), "state.S": jnp.full(grid.shape, -7e-3)}
    return BackgroundRoot(
        {
            "state.T": VariableErrors(jnp.full(grid.shape, 0.5), cells),
            "state.S": VariableErrors(jnp.asarray(0.05), correlation(grid, "c")),
            "state.eta": VariableErrors(jnp.asarray(0.1), surface),
            "state.u": VariableErrors(jnp.asarray(0.2), faces["u"]),
            "state.v": VariableErrors(jnp.asarray(0.2), faces["v"]),
        },
        {"parameters.drag": VariableErrors(jnp.asarray(1e-3))},
        (SalinityBalance(slope), GeostrophicBalance(grid, b)),
    )


def whole_control(grid):
    volume, surface = jnp.zeros(grid.shape), jnp.zeros(grid.shape[1:])
    fields = {f"state.{name}": volume for name in ("T", "S", "u", "v")} | {"state.eta": surface}
    return Control(fields, {"parameters.drag": jnp.zeros(())})


def test_the_whole_root_has_its_adjoint_and_its_inverse(basin):
    whole = whole_root(basin)
    control = whole_control(basin)
    domain = basin.domain
    result = dot_product_test("B^(1/2)", whole.apply, control, domain, tolerance=1e-11)
    assert result.passed, str(result)
    v = random_like(domain, control, 3)
    masks = {name: basin.owned_mask("c", levels=name != "state.eta") for name in v.distributed}
    masks |= {f"state.{at}": basin.owned_mask(at) for at in ("u", "v")}
    wet = {name: jnp.where(masks[name], values, 0.0) for name, values in v.distributed.items()}
    back = eqx.filter_jit(lambda root, v: root.inverse(root.apply(v)))(
        whole, Control(wet, v.replicated)
    )
    for name, values in wet.items():
        np.testing.assert_allclose(back.distributed[name], values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(back.replicated["parameters.drag"], v.replicated["parameters.drag"])


def test_the_spread_is_the_root_of_the_diagonal_and_leaves_out_what_is_balanced(basin):
    covariance, like = whole_root(basin), whole_control(basin)
    found = covariance.spread(like)
    assert set(found.distributed) == set(like.distributed) - {"state.S", "state.u", "state.v"}
    assert found.replicated.keys() == like.replicated.keys()
    zero = jax.tree.map(jnp.zeros_like, like)
    transposed = jax.jit(lambda x: jax.vjp(covariance.apply, zero)[1](x)[0])
    for name, sizes in found.distributed.items():
        assert sizes.shape == like.distributed[name].shape
        for index in np.argwhere(basin.owned_mask("c", levels=sizes.ndim > 2))[::97]:
            unit = zero.distributed[name].at[tuple(index)].set(1.0)
            of_control = transposed(Control({**zero.distributed, name: unit}, zero.replicated))
            variance = sum(float(jnp.sum(x**2)) for x in jax.tree.leaves(of_control))
            assert float(sizes[tuple(index)]) == pytest.approx(np.sqrt(variance), rel=1e-9)
