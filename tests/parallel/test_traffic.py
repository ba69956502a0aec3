"""The messages of a real rank are those that a stand-in counts, and no more than they need be."""

from dataclasses import replace

import equinox as eqx
import jax
import pytest

from dassim.assimilation.tangent import Tangent, TangentModel
from dassim.parallel import StandInCommunicator, world
from dassim.parallel.traffic import Traffic, traffic
from dassim.simulation.segments import (
    Rematerialisation,
    Segment,
    SegmentData,
    blocks,
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
IMPLICIT = (
    *SMALL,
    "physics.free_surface={type: implicit}",
    "physics.stepper={type: runge_kutta_3}",
)
WITH_SOLVER = {**CASES, "implicit": ("double_gyre", IMPLICIT)}


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


def segment_of(name, comm, again, tangent=False):
    one = build(*WITH_SOLVER[name], comm)
    model, given = one.model, (one.parameters, one.model.start(one.state))
    if tangent:
        model, given = TangentModel(model), [Tangent(x, differentiable(x)) for x in given]
    return Segment(model, lambda state, data: {}, None, again), given


def of_a_reverse(segment, given) -> Traffic:
    start, end = (zeros_like(differentiable(x)) for x in given)

    def reverse(parameters, state):
        return segment.reverse(STEPS, parameters, None, state, SegmentData(), end, start)

    return traffic(segment.model.domain, reverse, *given)


@pytest.mark.parametrize(("again", "times"), KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("name", ["runge_kutta_3", "adams_bashforth_2", "implicit", "held_suarez"])
@pytest.mark.ranks(2)
def test_the_way_back_sends_what_a_stand_in_does(name, again, times):
    comm = world()
    real = of_a_reverse(*segment_of(name, comm, again))
    stand_in = StandInCommunicator(comm.rank, comm.size)
    assert real == of_a_reverse(*segment_of(name, stand_in, again))
    if name != "implicit":  # whose solver starts again on the way back
        assert real.swaps == of_a_step(*CASES[name], comm).times(STEPS * times).swaps


@pytest.mark.ranks(2)
def test_increments_are_not_sent_on_the_way_back():
    comm = world()
    again, name = Rematerialisation(), "adams_bashforth_2"
    real = of_a_reverse(*segment_of(name, comm, again, tangent=True))
    stand_in = StandInCommunicator(comm.rank, comm.size)
    assert real == of_a_reverse(*segment_of(name, stand_in, again, tangent=True))


@pytest.mark.parametrize("kept", ["blocks", "steps"])
@pytest.mark.parametrize("name", ["runge_kutta_3", "implicit", "held_suarez"])
@pytest.mark.ranks(2)
def test_no_more_is_kept_of_messages_than_counted(name, kept):
    """JAX by itself keeps all that was received in every step of the segment."""
    again, _ = KEPT[kept]
    segment, given = segment_of(name, world(), again)
    parameters, state = given
    variable, fixed = eqx.partition(given, eqx.is_inexact_array)

    def end(variable):
        parameters, state = eqx.combine(variable, fixed)
        return differentiable(segment.advance(STEPS, parameters, None, state))

    def size(tree):
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

    found = size(jax.eval_shape(lambda variable: jax.vjp(end, variable)[1], variable))
    count, _, rest = blocks(STEPS)  # the insides of blocks are not there yet
    received = received_in_a_step(segment.model, parameters, state)
    counted = replace(again, received=received).states(STEPS)
    states = count + bool(rest) if kept == "blocks" else counted
    constants = size(given) + 2 * size(state)
    assert found <= states * size(state) + constants
