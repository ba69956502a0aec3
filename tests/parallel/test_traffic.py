"""The messages of a real rank are those that a stand-in counts, and no more than they need be."""

from dataclasses import replace

import equinox as eqx
import jax
import pytest

from dassim.parallel import StandInCommunicator, world
from dassim.parallel.traffic import Traffic, traffic
from dassim.simulation.segments import (
    Rematerialisation,
    Segment,
    SegmentData,
    received_in_a_step,
)
from dassim.simulation.trees import differentiable, zeros_like
from tests.models.namelists import SMALLER, build

SMALL = ("grid.nx=24", "grid.ny=24")
CASES = {
    "runge_kutta_3": ("double_gyre", (*SMALL, "physics.stepper={type: runge_kutta_3}")),
    "adams_bashforth_2": ("double_gyre", (*SMALL, "physics.stepper={type: adams_bashforth_2}")),
    **{name: (name, SMALLER[name]) for name in ("galewsky", "held_suarez", "aquaplanet")},
}


def of_a_step(name, overrides, comm) -> Traffic:
    one = build(name, overrides, comm)
    return traffic(one.model.domain, one.model.step, one.parameters, one.model.start(one.state))


@pytest.mark.parametrize(("name", "overrides"), CASES.values(), ids=CASES)
@pytest.mark.ranks(1, 2)  # of three, the middle one has images that need fewer substeps
def test_a_stand_in_sends_as_much_as_a_rank(name, overrides):
    comm = world()
    real = of_a_step(name, overrides, comm)
    assert real == of_a_step(name, overrides, StandInCommunicator(comm.rank, comm.size))
    assert (sum(real.swaps) > 0) == (comm.size > 1)


@pytest.mark.parametrize(("name", "swaps"), {"galewsky": 1, "held_suarez": 8}.items())
@pytest.mark.ranks(2)
def test_a_stage_of_the_atmosphere_swaps_few_times(name, swaps):
    assert of_a_step(name, SMALLER[name], world()).swaps == (3 * swaps, 0)


STEPS = 20
KEPT = {
    "blocks": (Rematerialisation(), 3),  # forward, again for its block, and back
    "steps": (Rematerialisation(blocks=False), 2),
    "all": (Rematerialisation(blocks=False, steps=False), 2),
}


def segment_of(name, overrides, comm, again):
    one = build(name, overrides, comm)
    given = one.parameters, one.model.start(one.state)
    return Segment(one.model, lambda state, data: {}, None, again), given


@pytest.mark.parametrize(("again", "times"), KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("name", ["runge_kutta_3", "adams_bashforth_2", "held_suarez"])
@pytest.mark.ranks(1, 2)
def test_the_way_back_sends_what_a_stand_in_does(name, again, times):
    def back(comm) -> Traffic:
        segment, (parameters, state) = segment_of(*CASES[name], comm, again)
        start, end = zeros_like(differentiable(parameters)), zeros_like(differentiable(state))

        def reverse(parameters, state):
            nothing = SegmentData()
            return segment.reverse(STEPS, parameters, None, state, nothing, end, start)

        return traffic(segment.model.domain, reverse, parameters, state)

    comm = world()
    real = back(comm)
    assert real == back(StandInCommunicator(comm.rank, comm.size))
    assert real.swaps == of_a_step(*CASES[name], comm).times(STEPS * times).swaps


@pytest.mark.parametrize(
    "again", [again for again, _ in list(KEPT.values())[:2]], ids=list(KEPT)[:2]
)
@pytest.mark.parametrize("name", ["runge_kutta_3", "held_suarez"])
@pytest.mark.ranks(1, 2)
def test_no_more_is_kept_of_messages_than_counted(name, again):
    """JAX by itself keeps all that was received in every step of the segment."""
    segment, (parameters, state) = segment_of(*CASES[name], world(), again)
    received = received_in_a_step(segment.model, parameters, state)
    variable, fixed = eqx.partition((parameters, state), eqx.is_inexact_array)

    def end(variable):
        parameters, state = eqx.combine(variable, fixed)
        return differentiable(segment.advance(STEPS, parameters, None, state))

    def size(tree):
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

    kept = size(jax.eval_shape(lambda variable: jax.vjp(end, variable)[1], variable))
    counted = replace(again, received=received).states(STEPS)
    constants = 2 * size(state)
    assert kept - size((parameters, state)) <= counted * size(state) + constants
