"""Segments and schedules on one rank."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.parallel import SerialCommunicator
from dassim.simulation.adjoint import Run, cost_and_gradient
from dassim.simulation.checkpoints import Schedule
from dassim.simulation.segments import (
    Rematerialisation,
    RunInputs,
    Segment,
    SegmentData,
    blocks,
    scan_in_blocks,
)
from tests.models.lorenz import Lorenz96


def lorenz(n: int = 12) -> Lorenz96:
    return Lorenz96.create(n, comm=SerialCommunicator())


def test_a_run_that_blows_up_is_not_reversed():
    model = lorenz(40)
    state = model.state(1e200 * np.arange(40.0))
    run = Run(Segment(model, lambda state, _: {"J": jnp.sum(state.x)}), (2, 2))
    found = cost_and_gradient(run, RunInputs(model.parameters(), state))
    assert np.isnan(sum(found.parts.values()))
    assert found.tally.reversed == 0
    assert jnp.isnan(found.inputs.state.x).all()


def test_states_in_memory_grow_with_the_square_root_or_the_logarithm_of_the_steps():
    """Segments of sqrt(n) steps with all their states kept, and with log2 of them kept."""
    square_root, logarithm = [], []
    for n in (16, 64, 256, 1024):
        model = lorenz()
        inputs = RunInputs(model.parameters(), model.on_attractor())
        side = int(np.sqrt(n))
        run = Run(Segment(model, lambda state, _: {"J": jnp.sum(state.x)}), (side,) * side)
        tallies = [
            cost_and_gradient(run, inputs, schedule).tally
            for schedule in (Schedule(), Schedule(memory=int(np.log2(side))))
        ]
        square_root.append(tallies[0].states)
        logarithm.append(tallies[1])
    assert [
        count / np.sqrt(n) for count, n in zip(square_root, (16, 64, 256, 1024), strict=True)
    ] < [2.1] * 4
    assert [tally.memory for tally in logarithm] == [2, 3, 4, 5]
    assert all(tally.advanced <= 3 * tally.reversed for tally in logarithm)


def test_segments_may_differ_in_length():
    model = lorenz()
    inputs = RunInputs(model.parameters(), model.on_attractor())
    segment = Segment(model, lambda state, data: {"J": jnp.sum((state.x - data) ** 2)})
    whole, uneven = (
        cost_and_gradient(Run(segment, lengths, data), inputs)
        for lengths, data in (
            ((12,), lambda k: SegmentData(end=jnp.ones(12))),
            ((5, 5, 2), lambda k: SegmentData(end=jnp.ones(12) if k == 2 else None)),
        )
    )
    np.testing.assert_allclose(uneven.inputs.state.x, whole.inputs.state.x, rtol=1e-12)


def test_an_integer_in_the_state_is_carried_and_not_differentiated():
    inner = lorenz()

    class Counting:
        domain = inner.domain

        def step(self, parameters, state):
            return inner.step(parameters, state[0]), state[1] + 1

    model = Counting()
    inputs = RunInputs(inner.parameters(), (inner.on_attractor(), jnp.array(0)))
    run = Run(
        Segment(model, lambda state, _: {"J": jnp.sum(state[0].x) * state[1]}),
        (3, 3),
        lambda k: SegmentData(end=jnp.zeros(())),
    )
    found = cost_and_gradient(run, inputs)
    assert found.inputs.state[1] is None
    assert np.isfinite(found.inputs.state[0].x).all()


@pytest.mark.parametrize("n", range(1, 40))
def test_blocks_cover_every_step_once_and_are_near_the_square_root(n):
    count, length, rest = blocks(n)
    assert count * length + rest == n and 0 <= rest < length
    assert Rematerialisation().states(n) <= 2 * np.sqrt(n) + 2

    def step(state, x):
        return 2 * state + x, {"sum": state}

    xs = jnp.arange(float(n)) % 3
    end, total = scan_in_blocks(step, jnp.array(1.0), xs, n, Rematerialisation())
    expected, each = jax.lax.scan(step, jnp.array(1.0), xs)
    assert end == expected and total["sum"] == jnp.sum(each["sum"])


def test_a_schedule_without_room_is_refused():
    with pytest.raises(ValueError, match="found room for no state in memory and for none on disk"):
        Schedule(memory=0, disk=0)


def test_a_schedule_on_disk_without_a_store_is_refused():
    model = lorenz()
    run = Run(Segment(model, lambda state, _: {}), (1, 1))
    with pytest.raises(ValueError, match="keeps states on disk; found no store"):
        cost_and_gradient(run, RunInputs(model.parameters(), model.on_attractor()), Schedule(0, 1))
