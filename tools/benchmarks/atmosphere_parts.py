"""Where the step of dassim's hydrostatic atmosphere goes: its parts, each compiled by itself.

A part by itself reads its operands from memory and writes its results there, which the step, one
program, spares where it fuses parts. So the shares do not add up to one: "all parts" is their sum.
What the equations can do without is also left out of the step: what that saves is the part's share
in the one program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from dassim.atmosphere.primitive.column import Continuity
from dassim.atmosphere.primitive.model import DAMPING_POWER
from dassim.dynamics.friction import LateralFriction
from dassim.dynamics.tracers import tracer_flux_divergence
from dassim.parallel import compiled
from tools.benchmarks.record import Measurement, median

STAGES = 3
"""How often a step of Runge-Kutta evaluates the tendencies."""

SPUN_UP = 20
"""Steps before the first measurement."""


@dataclass(frozen=True)
class Part:
    """``function`` of ``operands``, which a step calls so many times."""

    name: str
    calls: int
    function: Callable[..., Any]
    operands: tuple[Any, ...]


def parts(model: Any, parameters: Any, state: Any) -> Iterator[Part]:
    """Those of a step from ``state``."""

    here = view(model, parameters, state)
    transports, flow = continuity(model, here)
    rates = tendencies(model, parameters, state)
    through = (transports, flow.upward)
    for name, function, *operands in (
        ("halos, levels", view, parameters, state),
        ("continuity", continuity, here),
        ("acceleration", acceleration, parameters, here, flow.upward),
        ("advection of T", advection, here, *through),
        ("compression", compression, parameters, here, flow.outflow),
        ("friction", friction, parameters, here),
        ("polar filter", polar_filter, rates),
    ):
        yield Part(name, STAGES, function, (model, *operands))
    if model.fast_modes is not None:
        moved = step(model, parameters, state).fields()
        operands = (model, state.fields(), moved)
        yield Part("fast modes", STAGES, fast_modes, operands)
    yield Part("physics of columns", 1, physics, (model, parameters, state))


@compiled
def step(model, parameters, state):
    return model.step(parameters, state)


@compiled
def tendencies(model, parameters, state):
    return model.tendencies(parameters, state)


@compiled
def view(model, parameters, state):
    return model.view(parameters, state)


@compiled
def continuity(model, here):
    transports = here.transports
    return transports, Continuity.of(model.grid, *transports)


@compiled
def acceleration(model, parameters, here, upward):
    return model._acceleration(parameters, here, upward)


@compiled
def advection(model, here, transports, upward):
    along_x, along_y = transports
    return tracer_flux_divergence(
        model.grid,
        here.temperature,
        along_x,
        along_y,
        upward,
        model.advection,
        model.grid.mask.c,
        model.vertical_advection,
    )


@compiled
def compression(model, parameters, here, outflow):
    return model._compression(parameters, here, outflow)


@compiled
def friction(model, parameters, here):
    return replace(model, polar=None)._friction(parameters, here)


@compiled
def fast_modes(model, fields, moved):
    dt = jnp.asarray(model.time_step)
    return model.fast_modes.correction(model.grid, model.polar, fields, fields, moved, dt)


@compiled
def polar_filter(model, rates):
    """Of all tendencies, and of friction's once more."""
    once = {name: model._filtered(True, rate) for name, rate in rates.items()}
    return once, {name: model._filtered(True, rates[name], DAMPING_POWER) for name in ("u", "v")}


@compiled
def physics(model, parameters, state):
    return model._physics(parameters, state)


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def steps_without(model: Any, parameters: Any, state: Any) -> Iterator[Part]:
    """The step from ``state`` without one part each, by the names of those parts."""
    for name, *given in (
        ("friction", model, replace(parameters, friction=LateralFriction())),
        ("polar filter", replace(model, polar=None), parameters),
        ("fast modes", replace(model, fast_modes=None), parameters),
        ("physics of columns", model, replace(parameters, physics=())),
    ):
        yield Part(name, 1, step, (*given, state))


def timed(every: list[Part], turns: int, clock: str) -> dict[str, tuple[float, float]]:
    """Milliseconds per step of each part, and the spread, from turns of several calls each."""
    calls, now = 5, CLOCKS[clock]
    times: dict[str, list[float]] = {part.name: [] for part in every}
    for part in every:
        jax.block_until_ready(part.function(*part.operands))  # compiles
    for _ in range(turns):
        for part in every:
            start = now()
            for _ in range(calls):
                jax.block_until_ready(part.function(*part.operands))
            times[part.name].append(1e3 * part.calls * (now() - start) / calls)
    return {name: median(each) for name, each in times.items()}


def report(one: Any, of: str, turns: int, clock: str) -> list[Measurement]:
    """Prints the milliseconds of every part per step, and their shares of the step, of the
    experiment ``one``."""
    state = one.state
    for _ in range(SPUN_UP):
        state = step(one.model, one.parameters, state)
    given = (one.model, one.parameters, state)
    every = list(parts(*given))
    without = [replace(part, name=f"without {part.name}") for part in steps_without(*given)]
    took = timed([Part("step", 1, step, given), *every, *without], turns, clock)
    whole, spread = took.pop("step")
    print(f"{of}: a step takes {whole:.1f} ms by the {clock} clock, spread {spread:.0%}")
    alone = [took[part.name][0] for part in every]
    print(f"{'part':20}{'ms':>8}{'share':>8}{'spread':>8}{'saves':>8}")
    for part in every:
        milliseconds, spread = took[part.name]
        left_out = took.get(f"without {part.name}")
        saves = "" if left_out is None else f"{1.0 - left_out[0] / whole:.0%}"
        shares = f"{milliseconds / whole:>8.0%}{spread:>8.0%}{saves:>8}"
        print(f"{part.name:20}{milliseconds:>8.1f}{shares}")
    print(f"{'all parts':20}{sum(alone):>8.1f}{sum(alone) / whole:>8.0%}")
    return [
        Measurement("atmosphere", f"{of}, {name}", value, "ms", spread, "the step", whole)
        for name, (value, spread) in took.items()
    ]
