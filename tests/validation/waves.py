"""Oscillations and waves with known frequencies."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from dassim.dynamics.reconstruction import Centred
from dassim.dynamics.stepping import AdamsBashforth2, RungeKutta3
from dassim.ocean import LinearEOS, OceanModel, OceanParameters, OceanState
from tests.validation.basin import at, box, frequency, order, run
from tests.validation.report import Check, case

GRAVITY = 9.81


def still_water(grid):
    return OceanState.at_rest(grid, T=10.0, S=35.0)


@case("inertial oscillation", "exact; amplification factors of the steppers")
def inertial_oscillation():
    f, dt = 1e-4, 1000.0
    grid = box((1, 4, 4), (100.0, 4e4, 4e4), f0=f)
    for name, stepper, amplitude in (
        ("QAB2", AdamsBashforth2(eps=0.1), 0.99901561),
        ("RK3", RungeKutta3(), 0.99999585),
    ):
        model = OceanModel(grid, dt, stepper=stepper, tracer_advection=Centred(2))
        state = model.start(replace(still_water(grid), u=0.1 + jnp.zeros(grid.shape)))
        _, speed = run(
            model, OceanParameters(), state, 200, lambda s: s.u[0, 0, 0] + 1j * s.v[0, 0, 0]
        )
        speed = np.asarray(speed)
        growth = (abs(speed[-1]) / abs(speed[99])) ** (1 / 100)
        yield Check(f"{name}: amplitude per step at f dt = 0.1", amplitude, growth, 1e-8)
        if name == "RK3":
            period = 2 * np.pi / frequency(speed, dt)
            yield Check("RK3: period", 62831.85, period, 1e-3, unit="s")


@case("Poincare wave", "exact; C-grid dispersion relation")
def poincare_wave():
    exact = np.sqrt(1e-4**2 + GRAVITY * 1000.0 * (2 * np.pi / 1e6) ** 2)
    coarse, fine = _poincare_frequency(25), _poincare_frequency(50)
    yield Check("frequency, dx = 20 km", 6.298686e-4, fine, 2e-4, unit="1/s")
    yield Check("order in dx", 1.8, order([coarse - exact, fine - exact]), bound="above")


def _poincare_frequency(nx: int) -> float:
    f, depth, wavelength = 1e-4, 1000.0, 1e6
    k = 2 * np.pi / wavelength
    omega = np.sqrt(f**2 + GRAVITY * depth * k**2)
    grid = box((1, 1, nx), (depth, wavelength / nx, wavelength), f0=f)
    state = replace(
        still_water(grid),
        eta=at(grid, "c", lambda x, y: 1e-3 * np.cos(k * x)),
        u=at(grid, "u", lambda x, y: 1e-3 * omega / (k * depth) * np.cos(k * x))[None],
        v=at(grid, "v", lambda x, y: 1e-3 * f / (k * depth) * np.sin(k * x))[None],
    )
    model = OceanModel(grid, 100.0, tracer_advection=Centred(2))
    wave = jnp.exp(-1j * k * grid.owned(grid.x.c))
    _, signal = run(
        model, OceanParameters(), model.start(state), 400, lambda s: jnp.sum(s.eta * wave)
    )
    return frequency(signal, 100.0)


@case("Kelvin wave", "exact")
def kelvin_wave():
    f, depth = 1e-4, 4000.0
    speed = np.sqrt(GRAVITY * depth)
    radius = speed / f
    lx, nx, ny = 8e6, 80, 60
    grid = box((1, ny, nx), (depth, 6e6, lx), periodic=(False, True), f0=f)
    k = 2 * np.pi / lx

    def wave(x, y):
        return 1e-3 * np.exp(-y / radius) * np.cos(k * x)

    state = replace(
        still_water(grid),
        eta=at(grid, "c", wave),
        u=at(grid, "u", lambda x, y: np.sqrt(GRAVITY / depth) * wave(x, y))[None],
    )
    dt = 200.0
    model = OceanModel(grid, dt, tracer_advection=Centred(2))
    project = jnp.exp(-1j * k * grid.owned(grid.x.c))
    _, rows = run(
        model,
        OceanParameters(),
        model.start(state),
        200,
        lambda s: jnp.sum(s.eta * project, axis=1),
    )
    rows = np.asarray(rows)
    yield Check("phase speed", 198.091, frequency(rows[:, 0], dt) / k, 2e-3, unit="m/s")
    y = np.asarray(grid.owned(grid.y.c)[:, 0])
    near = y < 2 * radius
    decay = -1 / np.polyfit(y[near], np.log(abs(rows[-1][near])), 1)[0]
    yield Check("trapping scale", 1980.9, decay / 1e3, 1e-2, unit="km")


def stratified(n2: float, alpha: float = 2e-4, gravity: float = GRAVITY):
    """A linear equation of state, and the temperature gradient (K/m) that gives ``n2``."""
    eos = LinearEOS(alpha=alpha, beta=0.0, gravity=gravity)
    return OceanParameters(eos=eos), n2 / (alpha * gravity)


@case("internal wave", "exact, hydrostatic: omega^2 = f^2 + N^2 k^2 / m^2")
def internal_wave():
    n, f, k, m = 1.0, 0.2, 1.0, 16
    lz = 2 * np.pi
    grid = box((256, 1, 64), (lz, 2 * np.pi / 64, 2 * np.pi), f0=f)
    parameters, gradient = stratified(n**2)
    z = np.asarray(grid.levels.z.c.data)
    amplitude = 1e-6
    buoyancy = at(grid, "c", lambda x, y: np.cos(k * x)) * np.sin(m * z) * amplitude
    per_kelvin = gradient / n**2
    state = replace(
        still_water(grid),
        T=10.0 + gradient * z + buoyancy * per_kelvin + jnp.zeros(grid.shape),
    )
    dt = 0.05
    model = OceanModel(grid, dt, tracer_advection=Centred(2))
    mode = jnp.asarray(np.sin(m * z)) * jnp.cos(k * grid.owned(grid.x.c))
    mean = 10.0 + gradient * jnp.asarray(z)
    steps = 1200
    _, signal = run(
        model,
        parameters,
        model.start(state),
        steps,
        lambda s: jnp.mean((s.T - mean) * mode),
    )
    yield Check("frequency", 0.209538, _oscillation(np.asarray(signal), dt), 5e-3, unit="1/s")


@case("internal mode 1", "exact: c = N H / pi")
def internal_mode_one():
    coarse, fine = _mode_speed(10), _mode_speed(20)
    yield Check("phase speed, 20 levels", 2.54648, fine, 5e-3, unit="m/s")
    yield Check("order in dz", 1.7, order([coarse - 2.54648, fine - 2.54648]), bound="above")


def _mode_speed(nz: int) -> float:
    n, depth, lx, dt = 2e-3, 4000.0, 4e5, 600.0
    k = 2 * np.pi / lx
    parameters, gradient = stratified(n**2)
    grid = box((nz, 1, 80), (depth, lx / 80, lx))
    z = jnp.asarray(grid.levels.z.c.data)
    mode = jnp.sin(jnp.pi * z / depth) * at(grid, "c", lambda x, y: jnp.cos(k * x))
    mean = 10.0 + gradient * z
    model = OceanModel(grid, dt, tracer_advection=Centred(2))
    state = model.start(replace(still_water(grid), T=mean + 1e-4 * mode))
    _, signal = run(model, parameters, state, 500, lambda s: jnp.mean((s.T - mean) * mode))
    return _oscillation(np.asarray(signal), dt) / k


def _oscillation(signal: np.ndarray, dt: float) -> float:
    """Angular frequency of ``a cos(omega t) + c`` by a least-squares fit."""
    from scipy.optimize import curve_fit

    t = dt * np.arange(1, len(signal) + 1)
    scale = abs(signal).max()
    crossings = np.flatnonzero(np.diff(np.sign(signal - signal.mean())))
    guess = np.pi * (len(crossings) - 1) / (t[crossings[-1]] - t[crossings[0]])

    def wave(t, a, b, omega, c):
        return a * np.cos(omega * t) + b * np.sin(omega * t) + c

    (_, _, omega, _), _ = curve_fit(wave, t, signal / scale, p0=(1.0, 0.0, guess, 0.0))
    return abs(omega)
