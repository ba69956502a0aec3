"""The external mode against exact waves, conservation laws, and a plain NumPy integration."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.dynamics.free_surface import (
    ImplicitFreeSurface,
    SplitExplicit,
    averaging_filter,
    longest_substep,
)
from dassim.dynamics.free_surface.averaging import LEAST_DAMPING, LEAST_DISPERSION
from dassim.dynamics.free_surface.five_point import five_point
from dassim.grid import Field, build_grid, cartesian, latlon, levels
from dassim.parallel import Domain

G = 9.81
NY, NX = 10, 12
DX = 2e4
DT = 600.0
LOCATION = {"eta": "c", "u": "u", "v": "v", "slow_u": "u", "slow_v": "v", "volume_flux": "c"}

KINDS = {
    "split explicit": SplitExplicit(16),
    "implicit": ImplicitFreeSurface(theta=0.6),
    "backward Euler, Jacobi": ImplicitFreeSurface(theta=1.0, degree=0),
    "split explicit, linear": SplitExplicit(16, linear=True),
    "implicit, linear": ImplicitFreeSurface(linear=True),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
each_nonlinear_kind = pytest.mark.parametrize(
    "kind", [KINDS["split explicit"], KINDS["implicit"]], ids=["split explicit", "implicit"]
)


class State(NamedTuple):
    """Owned arrays ``(ny, nx)`` of everything that a step takes."""

    eta: Any
    u: Any
    v: Any
    slow_u: Any
    slow_v: Any
    volume_flux: Any


def plane(depth, periodic=(False, True), dx=DX, dy=DX, dtype=float):
    """A plane of ``(ny, nx)`` cells over the given depths (m), or the flat one of a number."""
    shape = depth.shape if np.ndim(depth) else (NY, NX)
    domain = Domain.serial(shape, periodic=periodic)
    faces = (np.arange(n + 1.0) * d for n, d in zip(shape, (dy, dx), strict=True))
    y, x = faces
    thickness = [200.0] * 25 if np.ndim(depth) else [depth]
    bottom = depth if np.ndim(depth) else None
    return build_grid(cartesian(domain, x, y, dtype=dtype), levels(thickness, dtype), bottom)


def rough_bottom(shape=(NY, NX)):
    """Depths of 500 to 4500 m with an island, a bay and a lone lake."""
    depth = np.random.default_rng(7).uniform(500.0, 4500.0, shape)
    depth[2:5, 3:6] = 0.0
    depth[3, 4] = 1000.0
    depth[0, :4] = 0.0
    return depth


def wet(grid, at):
    return grid.owned_mask(at, levels=False)


def random_state(grid, seed=0, scales=(0.5, 0.1, 0.1, 1e-5, 1e-5, 1e-6)) -> State:
    rng = np.random.default_rng(seed)
    dtype = grid.area.c.data.dtype
    return State(
        *(
            jnp.where(wet(grid, at), scale * rng.standard_normal(grid.domain.shape), 0).astype(
                dtype
            )
            for at, scale in zip(LOCATION.values(), scales, strict=True)
        )
    )


def still(grid, **fields) -> State:
    """A state of rest, but for what ``fields`` say."""
    values = dict.fromkeys(State._fields, np.zeros(grid.domain.shape)) | fields
    return State(**{name: jnp.asarray(value) for name, value in values.items()})


@eqx.filter_jit
def advance(kind, grid, state: State, dt=DT):
    fields = (Field.at(at, x) for at, x in zip(LOCATION.values(), state, strict=True))
    return kind.advance(grid, *fields, dt)


def owned(step):
    """eta, u, v, transport_u, transport_v as arrays ``(ny, nx)``."""
    fields = (step.eta, step.u_mean, step.v_mean, step.transport_u, step.transport_v)
    return [np.asarray(field.data[0]) for field in fields]


def march(kind, grid, state: State, steps: int, dt=DT) -> State:
    """``steps`` steps with the same slow forcing."""

    def body(state, _):
        step = advance(kind, grid, state, dt)
        new = (step.eta, step.u_mean, step.v_mean)
        eta, u, v = (field.data[0] for field in new)
        return state._replace(eta=eta, u=u, v=v), None

    return jax.lax.scan(body, state, None, length=steps)[0]


def assert_close(found, expected, relative, scale=None):
    """Agreement to ``relative``, of the largest expected value or of ``scale``."""
    found, expected = np.asarray(found), np.asarray(expected)
    scale = np.abs(expected).max() if scale is None else scale
    assert scale > 0
    assert np.abs(found - expected).max() <= relative * scale


# -- conservation and rest ------------------------------------------------------------------------


@each_kind
def test_the_transport_changes_the_sea_level_and_nothing_else_does(kind):
    grid = plane(rough_bottom(), dx=1.5 * DX)
    state = random_state(grid)
    eta, _, _, east, north = owned(advance(kind, grid, state))
    outflow = (np.roll(east, -1, axis=1) - east) * DX
    outflow += (np.append(north[1:], np.zeros((1, NX)), axis=0) - north) * 1.5 * DX
    expected = state.eta - DT * outflow / (1.5 * DX * DX) + DT * state.volume_flux
    assert_close(eta, expected, 1e-14)


@each_nonlinear_kind
@pytest.mark.parametrize("periodic", [(False, False), (False, True), (True, False), (True, True)])
def test_volume_is_conserved(kind, periodic):
    grid = plane(rough_bottom(), periodic)
    state = random_state(grid)
    end = march(kind, grid, state, steps=3)
    volume = jnp.sum(grid.owned(grid.depth.c))
    expected = jnp.sum(state.eta) + 3 * DT * jnp.sum(state.volume_flux)
    assert abs(jnp.sum(end.eta) - expected) <= 1e-15 * volume


@each_kind
def test_a_lake_at_rest_stays_at_rest_exactly(kind):
    grid = plane(rough_bottom())
    state = still(grid, eta=np.where(wet(grid, "c"), 0.7, 0.0))
    eta, u, v, east, north = owned(advance(kind, grid, state))
    assert (eta == state.eta).all()
    for motion in (u, v, east, north):
        assert not motion.any()


@each_kind
def test_land_stays_dry_and_coasts_closed(kind):
    grid = plane(rough_bottom())
    state = random_state(grid)._replace(volume_flux=jnp.full((NY, NX), 1e-6))
    eta, u, v, east, north = owned(advance(kind, grid, state))
    for field, at in ((eta, "c"), (u, "u"), (v, "v"), (east, "u"), (north, "v")):
        assert not field[~wet(grid, at)].any()
        assert field[wet(grid, at)].all()


@each_kind
def test_rain_fills_a_closed_basin(kind):
    grid = plane(3000.0, periodic=(False, False))
    state = still(grid, volume_flux=np.full((NY, NX), 1e-6))
    eta, u, v, *_ = owned(advance(kind, grid, state))
    assert_close(eta, np.full((NY, NX), DT * 1e-6), 1e-11)
    assert max(np.abs(u).max(), np.abs(v).max()) <= 1e-15


@each_kind
def test_a_uniform_force_accelerates_a_channel_uniformly(kind):
    grid = plane(3000.0)
    state = still(grid, slow_u=np.full((NY, NX), 3e-6), u=np.full((NY, NX), 0.2))
    eta, u, v, east, north = owned(advance(kind, grid, state))
    assert_close(u, np.full((NY, NX), 0.2 + DT * 3e-6), 1e-15)
    assert np.abs(eta).max() <= 1e-14
    assert np.abs(v).max() <= 1e-15
    assert np.abs(north).max() <= 1e-15
    assert_close(east, np.full((NY, NX), 3000.0 * 0.2), 3e-6 * DT / 0.2)


@each_kind
def test_a_closed_sphere_conserves_volume(kind):
    """Cells at the poles are 100 times narrower than at the equator."""
    ny, nx = 8, 6
    domain = Domain.serial((ny, nx), periodic=(False, True))
    horizontal = latlon(domain, np.linspace(0, 360, nx + 1), np.linspace(-90, 90, ny + 1))
    grid = build_grid(horizontal, levels([4000.0]))
    state = random_state(grid)
    eta, u, v, _, north = owned(advance(kind, grid, state, longest_substep(grid) * 12))
    assert not north[0].any()
    area = np.broadcast_to(grid.owned(grid.area.c), (ny, nx))
    added = longest_substep(grid) * 12 * state.volume_flux
    assert abs(np.sum(area * (eta - state.eta - added))) <= 1e-15 * 4000.0 * area.sum()
    assert np.abs(eta).max() < 10.0
    assert np.isfinite(u).all()
    assert np.isfinite(v).all()


# -- the substeps and their averages --------------------------------------------------------------


@pytest.mark.parametrize("slope", [LEAST_DISPERSION, LEAST_DAMPING])
@pytest.mark.parametrize("substeps", [1, 2, 3, 7, 30, 100])
def test_the_filter_is_normalised_and_centred(substeps, slope):
    primary, secondary = averaging_filter(substeps, slope)
    m = np.arange(1, len(primary) + 1)
    assert abs(primary.sum() - 1) < 1e-14
    assert abs(primary @ m / substeps - 1) < 1e-13
    assert abs(secondary.sum() - 1) < 1e-14
    assert len(primary) <= 1.5 * substeps


@pytest.mark.parametrize(
    ("slope", "amplitude", "phase"),
    [(LEAST_DISPERSION, 0.0238, 2.5e-5), (LEAST_DAMPING, 1e-3, 5e-3)],
)
def test_what_the_filter_does_to_a_wave(slope, amplitude, phase):
    """A wave of one radian per step loses this much amplitude and phase."""
    primary, _ = averaging_filter(200, slope)
    response = primary @ np.exp(1j * np.arange(1, len(primary) + 1) / 200)
    assert 0 < 1 - np.abs(response) <= 1.02 * amplitude
    assert np.abs(np.angle(response) - 1) <= phase


@pytest.mark.parametrize("name", ["substeps", "substeps_per_exchange"])
def test_less_than_one_substep_is_refused(name):
    with pytest.raises(ValueError, match=f"found {name} = 0; expected at least 1"):
        SplitExplicit(**({"substeps": 10} | {name: 0}))


def plain_split_explicit(grid, state: State, substeps: int, dt: float):
    """Velocity half a substep after the sea level, step by step, averaged as it is written."""
    eta, u, v, slow_u, slow_v, flux = map(np.asarray, state)
    open_u, open_v = np.asarray(wet(grid, "u")), np.asarray(wet(grid, "v"))

    def around(a):
        for axis, wraps in enumerate(grid.domain.periodic):
            a = np.pad(a, [(int(n == axis),) * 2 for n in (0, 1)], "wrap" if wraps else "constant")
        return a

    def west(a):
        return around(a)[1:-1, :-2]

    def south(a):
        return around(a)[:-2, 1:-1]

    H_u = open_u * (np.asarray(grid.owned(grid.depth.u)) + 0.5 * (eta + west(eta)))
    H_v = open_v * (np.asarray(grid.owned(grid.depth.v)) + 0.5 * (eta + south(eta)))

    def accelerations(eta):
        return (
            open_u * (slow_u - G * (eta - west(eta)) / DX),
            open_v * (slow_v - G * (eta - south(eta)) / DX),
        )

    def divergence(U, V):
        return (around(U)[1:-1, 2:] - U + around(V)[2:, 1:-1] - V) / DX

    tau = dt / substeps
    primary, secondary = averaging_filter(substeps)
    averages = [np.zeros_like(eta) for _ in range(5)]
    a_u, a_v = accelerations(eta)
    for a, b in zip(primary, secondary, strict=True):
        middle_u, middle_v = u + 0.5 * tau * a_u, v + 0.5 * tau * a_v
        eta = eta + tau * (flux - divergence(H_u * middle_u, H_v * middle_v))
        a_u, a_v = accelerations(eta)
        u, v = middle_u + 0.5 * tau * a_u, middle_v + 0.5 * tau * a_v
        terms = (a * eta, a * u, a * v, b * H_u * middle_u, b * H_v * middle_v)
        averages = [sum_ + term for sum_, term in zip(averages, terms, strict=True)]
    return averages


@pytest.mark.parametrize("periodic", [(False, False), (False, True), (True, True)])
def test_eliminating_the_velocity_changes_nothing(periodic):
    grid = plane(rough_bottom(), periodic)
    state = random_state(grid)
    expected = plain_split_explicit(grid, state, 16, DT)
    for found, other in zip(owned(advance(SplitExplicit(16), grid, state)), expected, strict=True):
        assert_close(found, other, 1e-13)


def test_the_stability_limit_of_a_substep():
    dx, dy, depth = 3e4, 2e4, 2500.0
    grid = plane(depth, (True, True), dx, dy)
    limit = 1 / np.sqrt(G * depth * (1 / dx**2 + 1 / dy**2))
    assert_close(longest_substep(grid, G), limit, 1e-14)
    checkers = 1e-3 * (-1.0) ** np.add.outer(np.arange(NY), np.arange(NX))
    for courant, bound in ((0.99, 1.0), (1.01, np.inf)):
        kind = SplitExplicit(100, linear=True)
        end = march(kind, grid, still(grid, eta=checkers), 3, 100 * courant * limit)
        growth = jnp.abs(end.eta).max() / 1e-3
        assert growth <= bound
        assert np.isinf(bound) == bool(growth > 1e3)


def test_the_number_of_substeps_follows_from_grid_and_time_step():
    grid = plane(4000.0)
    kind = SplitExplicit.for_grid(grid, 1200.0, courant=0.5, linear=True)
    assert kind.substeps == int(np.ceil(1200.0 / (0.5 * longest_substep(grid))))
    assert kind.linear
    assert SplitExplicit.for_grid(plane(np.zeros((NY, NX))), 1200.0).substeps == 1


def test_theta_must_not_amplify():
    with pytest.raises(ValueError, match=r"found theta = 0.4; expected 0.5"):
        ImplicitFreeSurface(theta=0.4)


def test_the_solver_says_how_it_went():
    grid = plane(rough_bottom())
    step = advance(ImplicitFreeSurface(tolerance=1e-6), grid, random_state(grid))
    assert 1 < step.iterations < 100
    assert 1e-9 < step.residual <= 1e-6
    exact = advance(ImplicitFreeSurface(tolerance=1e-14), grid, random_state(grid))
    assert_close(step.eta.data, exact.eta.data, 1e-4)
    assert advance(SplitExplicit(16), grid, random_state(grid)).iterations == 22


# -- waves ----------------------------------------------------------------------------------------


def seiche(depth=4000.0):
    """The gravest standing wave along x of a closed basin, and its frequency on this grid."""
    grid = plane(depth, periodic=(False, False))
    k = np.pi / (NX * DX)
    shape = np.broadcast_to(np.cos(k * (np.arange(NX) + 0.5) * DX), (NY, NX))
    return grid, shape, np.sqrt(G * depth) * 2 / DX * np.sin(k * DX / 2)


@pytest.mark.parametrize("filter_slope", [LEAST_DISPERSION, LEAST_DAMPING])
def test_split_explicit_seiche(filter_slope):
    """The substeps are cos(m theta), sin(theta / 2) = omega tau / 2, to round-off."""
    grid, shape, omega = seiche()
    kind = SplitExplicit(16, gravity=G, linear=True, filter_slope=filter_slope)
    primary, _ = averaging_filter(16, filter_slope)
    theta = 2 * np.arcsin(0.5 * omega * DT / 16)
    eta, u, v, *_ = owned(advance(kind, grid, still(grid, eta=shape)))
    m = np.arange(1, len(primary) + 1)
    assert_close(eta, primary @ np.cos(m * theta) * shape, 1e-13, scale=1.0)
    slope = np.diff(shape, axis=1, prepend=shape[:, :1]) / DX
    assert_close(u, -primary @ np.sin(m * theta) * DT / 32 / np.tan(theta / 2) * G * slope, 1e-13)
    assert np.abs(v).max() <= 1e-16


@pytest.mark.parametrize("degree", [0, 1, 4])
def test_implicit_seiche(degree):
    """The trapezoidal rule turns by theta, tan(theta / 2) = omega dt / 2, without damping."""
    grid, shape, omega = seiche()
    kind = ImplicitFreeSurface(theta=0.5, gravity=G, linear=True, degree=degree)
    end = march(kind, grid, still(grid, eta=shape), steps=10)
    assert_close(end.eta, np.cos(20 * np.arctan(0.5 * omega * DT)) * shape, 1e-11, scale=1.0)


WAVE_KINDS = {
    "least dispersion": (SplitExplicit(10, linear=True), 5e-5),
    "least damping": (SplitExplicit(10, linear=True, filter_slope=LEAST_DAMPING), 3e-4),
    "trapezoidal": (ImplicitFreeSurface(theta=0.5, linear=True), 6e-3),
}
each_wave_kind = pytest.mark.parametrize(
    ("kind", "error"), WAVE_KINDS.values(), ids=WAVE_KINDS.keys()
)


@eqx.filter_jit
def wave_heights(kind, grid, start: State, f, dt, steps: int):
    """``sum eta exp(-i k x)`` after each step: the slow forcing is the Coriolis acceleration, in
    the three stages dt/3, dt/2, dt."""
    k_x = 2 * jnp.pi / grid.domain.shape[1] * jnp.arange(grid.domain.shape[1])

    def stage(base, at, fraction):
        slow_u = 0.5 * f * (at.v + jnp.roll(at.v, 1, axis=1))
        slow_v = -0.5 * f * (at.u + jnp.roll(at.u, -1, axis=1))
        forced = base._replace(slow_u=slow_u, slow_v=slow_v)
        return march(kind, grid, forced, 1, dt * fraction)

    def step(state, _):
        at, _ = jax.lax.scan(
            lambda at, fraction: (stage(state, at, fraction), None),
            state._replace(slow_u=0 * state.u, slow_v=0 * state.v),
            jnp.asarray([1 / 3, 1 / 2, 1.0]),
        )
        return at, jnp.sum(at.eta * jnp.exp(-1j * k_x))

    return jax.lax.scan(step, start, None, length=steps)[1]


def wave_frequency(kind, f: float, dt: float, time: float = 12000.0) -> float:
    """Frequency (1/s) of a plane wave 1000 km long on 1000 m, with rotation ``f``."""
    n, depth = 50, 1000.0
    grid = plane(np.full((2, n), depth), (True, True))
    k = 2 * np.pi / (n * DX)
    K, c = 2 / DX * np.sin(k * DX / 2), np.cos(k * DX / 2)
    omega = np.sqrt((f * c) ** 2 + G * depth * K**2)
    phase = np.broadcast_to(np.exp(1j * k * DX * np.arange(n)), (2, n))
    u = omega / (depth * K) * phase * np.exp(-0.5j * k * DX)
    v = -1j * f * c / (depth * K) * phase
    start = still(grid, eta=phase.real, u=u.real, v=v.real)
    waves = wave_heights(kind, grid, start, jnp.asarray(f), jnp.asarray(dt), round(time / dt))
    turns = np.unwrap(np.angle(np.asarray(waves)))
    return (turns[0] - turns[-1]) / (time - dt)


@each_wave_kind
@pytest.mark.parametrize("f", [0.0, 1e-4])
def test_the_frequency_of_waves_with_and_without_rotation(kind, error, f):
    """The C-grid's own: 6.298686e-4 1/s with rotation."""
    k = 2 * np.pi / 1e6
    gravity_wave = np.sqrt(G * 1000.0) * 2 / DX * np.sin(k * DX / 2)
    expected = 6.298686e-4 if f else gravity_wave
    coarse, fine = (abs(wave_frequency(kind, f, dt) / expected - 1) for dt in (400.0, 200.0))
    assert coarse < error
    assert fine < max(coarse / 3.9, 1e-5)


def hump(grid):
    """A smooth hump of water, pushed by a steady wind."""
    ny, nx = grid.domain.shape
    y, x = np.meshgrid(np.linspace(-1, 1, ny), np.linspace(-1, 1, nx), indexing="ij")
    return still(
        grid,
        eta=np.exp(-4 * (x**2 + y**2)),
        slow_u=1e-5 * np.cos(np.pi * y) * wet(grid, "u"),
        volume_flux=1e-6 * np.sin(np.pi * x),
    )


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        (SplitExplicit(16), ImplicitFreeSurface(theta=1.0), 0.85),
        (SplitExplicit(16, filter_slope=LEAST_DAMPING), ImplicitFreeSurface(theta=0.5), 1.8),
    ],
)
def test_both_kinds_agree_to_the_order_of_the_time_step(one, other, order):
    grid = plane(4000.0, dx=8 * DX, dy=8 * DX)
    differences = []
    for steps in (16, 32):
        dt = 4800.0 / steps
        ends = [march(kind, grid, hump(grid), steps, dt) for kind in (one, other)]
        differences.append(np.abs(ends[0].eta - ends[1].eta).max())
    assert differences[0] < 0.2
    assert np.log2(differences[0] / differences[1]) > order


# -- precision and derivatives --------------------------------------------------------------------


@each_nonlinear_kind
def test_single_precision_stays_single(kind):
    single, double = (plane(rough_bottom(), dtype=dtype) for dtype in ("float32", "float64"))
    step = advance(kind, single, random_state(single))
    for found, expected in zip(
        owned(step), owned(advance(kind, double, random_state(double))), strict=True
    ):
        assert found.dtype == np.float32
        assert_close(found, expected, 1e-4)
    gradient = jax.grad(lambda state: jnp.sum(advance(kind, single, state).eta.data ** 2))(
        random_state(single)
    )
    for leaf in gradient:
        assert leaf.dtype == jnp.float32
        assert np.isfinite(leaf).all()


DIFFERENTIATED = {
    "split explicit": SplitExplicit(8),
    "implicit": ImplicitFreeSurface(tolerance=1e-15),
}
differentiated = pytest.mark.parametrize("kind", DIFFERENTIATED.values(), ids=DIFFERENTIATED.keys())
UNITS = State(1.0, 1.0, 1.0, 1e-3, 1e-3, 1e-3)


def model(kind, grid):
    """Three steps, as a function of numbers of order one."""

    def run(state):
        end = march(kind, grid, jax.tree.map(jnp.multiply, state, UNITS), 3)
        return end.eta, end.u, end.v

    return run


def energy(kind, grid):
    def cost(state):
        eta, u, v = model(kind, grid)(state)
        return 0.5 * G * jnp.sum(eta**2) + 1e3 * jnp.sum((4000 + eta) * (u**2 + v**2))

    return cost


def states(grid):
    """At rest, and in motion."""
    return still(grid), random_state(grid, 1, scales=(0.5, 0.1, 0.1, 0.01, 0.01, 1e-3))


def direction(grid, seed):
    return random_state(grid, seed, scales=(1.0, 0.1, 0.1, 0.01, 0.01, 1e-3))


def dot(a, b):
    return sum(jnp.vdot(x, y) for x, y in zip(a, b, strict=True))


@differentiated
def test_tangent_and_adjoint(kind):
    grid = plane(rough_bottom())
    d = direction(grid, 2)

    @jax.jit
    def both_products(state, d, y):
        run = model(kind, grid)
        tangent = jax.jvp(run, (state,), (d,))[1]
        return dot(tangent, y), dot(d, jax.vjp(run, state)[1](y)[0])

    y = direction(grid, 3)[:3]
    for state in states(grid):
        forward, reverse = both_products(state, d, y)
        assert_close(forward, reverse, 1e-12)


@differentiated
def test_the_gradient_has_a_taylor_remainder_of_second_order(kind):
    grid = plane(rough_bottom())
    d = direction(grid, 2)
    value_and_gradient = jax.jit(jax.value_and_grad(energy(kind, grid)))
    for state in states(grid):
        value, gradient = value_and_gradient(state)

        def remainder(step, state=state, value=value, gradient=gradient):
            there, _ = value_and_gradient(jax.tree.map(lambda x, dx: x + step * dx, state, d))
            return abs(there - value - step * dot(gradient, d))

        assert all(np.isfinite(leaf).all() for leaf in gradient)
        orders = np.log2([remainder(s) / remainder(s / 2) for s in (1e-1, 1e-2)])
        assert np.abs(orders - 2).max() < 0.1


@differentiated
def test_hessian_products_are_symmetric(kind):
    grid = plane(rough_bottom())
    _, state = states(grid)

    @jax.jit
    def product(d):
        return jax.jvp(jax.grad(energy(kind, grid)), (state,), (d,))[1]

    one, other = direction(grid, 2), direction(grid, 3)
    assert_close(dot(product(one), other), dot(one, product(other)), 1e-11)


# -- the five-point operator ----------------------------------------------------------------------


def plain_five_point(west, south, values, wrap):
    """The same with shifts and JAX's own rules."""

    def shifted(a, by, axis, wraps):
        moved = jnp.roll(a, by, axis)
        edge = jnp.arange(a.shape[axis]) == (0 if by > 0 else a.shape[axis] - 1)
        edge = edge[:, None] if axis == -2 else edge
        return moved if wraps else jnp.where(edge, 0.0, moved)

    total = 0.0
    for stiffness, axis, wraps in ((west, -1, wrap[1]), (south, -2, wrap[0])):
        flux = stiffness * (values - shifted(values, 1, axis, wraps))
        total += shifted(flux, -1, axis, wraps) - flux
    return total


@pytest.mark.parametrize("wrap", [(False, False), (False, True), (True, False), (True, True)])
def test_the_five_point_operator_and_its_derivatives(wrap):
    rng = np.random.default_rng(0)
    arguments, directions = (
        tuple(jnp.asarray(rng.standard_normal((3, 4))) for _ in range(3)) for _ in range(2)
    )
    weights = jnp.asarray(rng.standard_normal((3, 4)))

    def results(operator):
        def apply(*arguments):
            return operator(*arguments, wrap)

        def cost(*arguments):
            return jnp.sum(weights * apply(*arguments) ** 2)

        gradient = jax.grad(cost, (0, 1, 2))
        return (
            apply(*arguments),
            jax.jvp(apply, arguments, directions)[1],
            gradient(*arguments),
            jax.jvp(gradient, arguments, directions)[1],
            jax.vmap(apply, (None, 0, -1))(
                arguments[0], jnp.stack(arguments[1:]), jnp.stack(arguments[1:], axis=-1)
            ),
        )

    found, expected = (
        jax.jit(results, static_argnums=0)(f) for f in (five_point, plain_five_point)
    )
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert_close(one, other, 1e-13)
