"""Gradients through 50 steps of every namelist, from its start and in motion.

The cost is a sum of squares of the whole state at the end. Derivatives are taken in the initial
state, wind stress, heat flux, viscosity, diffusivity, drag and all other numbers of the model at
once; what a namelist of the ocean leaves out is added, so that each of them has all of these.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial, singledispatch
from pathlib import Path
from tempfile import TemporaryDirectory

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import random_like, split
from dassim.assimilation.dot_products import model_dot_product_test
from dassim.config.experiment import Experiment
from dassim.ocean import OceanParameters
from tests.models import terrain
from tests.models.namelists import ATMOSPHERE, OCEAN, SMALLER, build, integrate
from tests.validation.report import Check, case

STEPS, SPIN_UP = 50, 50
SIZES, SMALL = (1e-2, 1e-3, 1e-4, 1e-5), 1e-6
SAMPLES = 3
"""Of the cost's round-off."""
CLEAR = 4.0
"""Times the round-off; smaller remainders tell nothing."""
SMALLEST = {
    "u": 1e-2,
    "v": 1e-2,
    "T": 1e-1,
    "S": 1e-2,
    "eta": 1e-2,
    "h": 1.0,
    "ps": 10.0,
    "q": 1e-4,
    "Ts": 1e-1,
}
"""Perturbations of the state at size 1; those of parameters are in proportion to their values."""


@singledispatch
def with_all_processes(parameters, model):
    """Every process that the gradient is taken of is there, if only weakly."""
    return parameters


@with_all_processes.register
def _(parameters: OceanParameters, model) -> OceanParameters:
    mask = {at: model.grid.owned_mask(at, levels=False) for at in "cuv"}

    def default(value, fallback):
        return jnp.asarray(fallback) if value is None else value

    forcing, diffusion, drag = parameters.forcing, parameters.diffusion, parameters.drag
    return replace(
        parameters,
        forcing=replace(
            forcing,
            stress_x=default(forcing.stress_x, 1e-2 * mask["u"]),
            stress_y=default(forcing.stress_y, 1e-2 * mask["v"]),
            heat=default(forcing.heat, 10.0 * mask["c"]),
        ),
        diffusion=replace(diffusion, diffusivity=default(diffusion.diffusivity, 10.0)),
        drag=replace(drag, linear=default(drag.linear, 1e-5)),
    )


def cost(model, parameters, state):
    """Sum of squares of the state after ``STEPS`` steps."""
    step = jax.checkpoint(lambda state, _: (model.step(parameters, state), None))
    end, _ = jax.lax.scan(step, state, None, length=STEPS)
    return sum(
        jnp.sum((values / SMALLEST.get(name, 1.0)) ** 2) for name, _, values in _variables(end)
    )


def direction(model, parameters, state, moving: bool):
    """Random changes of all numbers, 0 on land; of a state at rest not of its velocity: where a
    scheme chooses its side by the sign of the flow, the cost has a kink there."""
    variable = eqx.filter((parameters, state), eqx.is_inexact_array)
    noise = eqx.filter(_joined(model, variable), eqx.is_inexact_array)
    in_parameters = jax.tree.map(lambda n, p: 0.1 * n * p, noise[0], variable[0])

    def of_state(noise, state):
        changes = {
            name: _change(model, name, location, values, moving)
            for name, location, values in _variables(noise)
        }
        tracers = {name: changes.pop(name) for name in state.tracers}
        before = None if state.previous is None else of_state(noise.previous, state.previous)
        return replace(state, **changes, tracers=tracers, previous=before, time=0.0 * state.time)

    return in_parameters, of_state(noise[1], state)


def _variables(state):
    """Name, location and values of all that a state holds, the temperature of the surface too."""
    for name, field in state.fields().items():
        carried = name in state.tracers
        yield name, field.location, state.tracers[name] if carried else getattr(state, name)
    if getattr(state, "Ts", None) is not None:
        yield "Ts", "c", state.Ts


def _change(model, name: str, location, noise, moving: bool):
    """``noise`` as a change of a variable; none of tracers without a size in ``SMALLEST``."""
    size = 0.0 if name in ("u", "v") and not moving else SMALLEST.get(name, 0.0)
    return size * noise * model.grid.owned_mask(location, levels=jnp.ndim(noise) == 3)


def _joined(model, variable):
    control = random_like(model.domain, split(model.domain, variable), seed=1)
    return eqx.combine(control.distributed, control.replicated)


@eqx.filter_jit
def value(model, variable, fixed):
    return cost(model, *eqx.combine(variable, fixed))


@eqx.filter_jit
def derivatives(model, variable, fixed, along):
    """The gradient, and the slope along a direction: of one linearisation, so of one trajectory."""
    at, tangent = jax.linearize(lambda v: cost(model, *eqx.combine(v, fixed)), variable)
    (gradient,) = jax.linear_transpose(tangent, variable)(jnp.ones_like(at))
    return gradient, tangent(along)


def round_off(model, variable, fixed, start_value) -> float:
    """The largest change of the cost by random changes in the last places of all numbers; at least
    its own last place, below which changes that cancel in its sum are not seen."""
    eps = float(jnp.finfo(start_value.dtype).eps)

    def moved(seed):
        rng = np.random.default_rng(seed)
        nearby = jax.tree.map(
            lambda v: v * (1.0 + eps * rng.integers(-2, 3, jnp.shape(v))), variable
        )
        return float(abs(value(model, nearby, fixed) - start_value))

    return max(eps * float(abs(start_value)), *(moved(seed) for seed in range(SAMPLES)))


def checks_of(name: str):
    yield from _checks_of(name, build(name, SMALLER.get(name, ())))


@case("gradients of real_terrain", "identities; files that are made up", minutes=3)
def checks_over_real_ground():
    with TemporaryDirectory() as folder:
        one = terrain.build(terrain.made_up(Path(folder)))
        yield from _checks_of("real_terrain", one, jumps=True)


def _checks_of(name: str, one: Experiment, *, jumps: bool = False):
    """``jumps``: where so many columns begin and cease to convect that the cost jumps within all
    steps but the smallest."""
    parameters = with_all_processes(one.parameters, one.model)
    moving = integrate(one.model, parameters, one.state, SPIN_UP)
    for start, state in (("start", one.state), ("motion", moving)):
        along = direction(one.model, parameters, state, moving=start == "motion")
        variable, fixed = eqx.partition((parameters, state), eqx.is_inexact_array)
        gradient, forward = derivatives(one.model, variable, fixed, along)
        leaves = jax.tree.leaves(gradient)
        finite = all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
        yield Check(f"{name}, {start}: all {len(leaves)} gradients finite", 1.0, float(finite))
        terms = [a * b for a, b in _pairs(gradient, along)]
        adjoint = sum(jnp.sum(term) for term in terms)
        largest = sum(jnp.sum(abs(term)) for term in terms)  # they may cancel
        apart = float(abs(forward - adjoint) / largest)
        yield Check(f"{name}, {start}: dot products differ by", 1e-12, apart, bound="below")
        if start == "motion" or not jumps:
            test = model_dot_product_test(one.model, parameters, state)
            what = f"{name}, {start}: random dot products of a step differ by"
            yield Check(what, test.bound, test.difference, bound="below")
        start_value, remainders = value(one.model, variable, fixed), []
        if jumps:
            there = jax.tree.map(lambda v, a: v + SMALL * a, variable, along)
            slope = (value(one.model, there, fixed) - start_value) / SMALL
            what = f"{name}, {start}: slope differs from differences by"
            yield Check(what, 1e-5, float(abs(slope / forward - 1.0)), bound="below")
            continue
        for size in SIZES:
            there = jax.tree.map(lambda v, a, size=size: v + size * a, variable, along)
            moved = value(one.model, there, fixed)
            remainders.append(float(abs(moved - start_value - size * forward)))
        least = CLEAR * round_off(one.model, variable, fixed, start_value)
        last = max(2, sum(remainder > least for remainder in remainders))
        larger, smaller = remainders[last - 2 : last]
        what = f"{name}, {start}: order of the Taylor remainder"
        yield Check(what, 1.9, float(np.log10(larger / smaller)), bound="above")


def _pairs(tree, other):
    return zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)


for each in (*OCEAN, *ATMOSPHERE):
    case(f"gradients of {each}", "identities", minutes=3)(partial(checks_of, each))


@case("single precision", "float32: finite, and near to float64", minutes=5)
def single_precision():
    for name in ("reentrant_channel", "global_4deg"):
        values = {}
        for precision in ("float32", "float64"):
            one = build(name, [*SMALLER.get(name, ()), f"precision={precision}"])
            parameters = with_all_processes(one.parameters, one.model)
            parameters = jax.tree.map(lambda p, as_=precision: jnp.asarray(p, as_), parameters)
            variable, fixed = eqx.partition((parameters, one.state), eqx.is_inexact_array)
            values[precision] = float(value(one.model, variable, fixed))
            gradient, _ = derivatives(one.model, variable, fixed, variable)
            fields = [leaf for leaf in jax.tree.leaves(gradient[1]) if leaf.ndim]  # not the time
            leaves = [*jax.tree.leaves(gradient[0]), *fields]
            same = all(leaf.dtype == precision for leaf in leaves)
            yield Check(f"{name}: all gradients are {precision}", 1.0, float(same))
            finite = all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
            yield Check(f"{name}: {precision} gradients finite", 1.0, float(finite))
        apart = abs(values["float32"] / values["float64"] - 1)
        yield Check(f"{name}: cost differs between precisions by", 1e-3, apart, bound="below")
