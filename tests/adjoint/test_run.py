"""The gradient of a long run, on any number of ranks."""

from __future__ import annotations

import dataclasses
import errno

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation.control import Control, ControlSpace, split, sum_over_ranks
from dassim.assimilation.gradients import compare_gradients, compare_schedules
from dassim.io.checkpoints import FolderStore
from dassim.parallel import Domain, world
from dassim.simulation.adjoint import Run, cost, cost_and_gradient
from dassim.simulation.checkpoints import MemoryStore, Schedule, states_within
from dassim.simulation.errors import RunError
from dassim.simulation.segments import Rematerialisation, RunInputs, Segment, SegmentData
from tests.models.tracer import TracerModel, TracerState

pytestmark = pytest.mark.ranks(1, 2)

SHAPE = (12, 16)
LENGTHS = (5,) * 6
SCHEDULES = {
    "all in memory": Schedule(),
    "one in memory": Schedule(memory=1),
    "three in memory": Schedule(memory=3),
    "all on disk": Schedule(memory=0, disk=None),
    "two on disk": Schedule(memory=0, disk=2),
    "one in memory, disk": Schedule(memory=1, disk=None),
    "one in memory, two on disk": Schedule(memory=1, disk=2),
    "two in memory, one on disk": Schedule(memory=2, disk=1),
}


@pytest.fixture(scope="module")
def comm():
    return world()


@pytest.fixture
def store(comm, tmp_path):
    return FolderStore(comm.bcast(tmp_path), comm.rank)


def squared_misfit(state, target):
    """Against a field, and against its own mean over the whole domain in a second part."""
    return {"field": 0.5 * jnp.sum((state.tracer - target) ** 2), "mean": jnp.sum(state.tracer)}


def tracer_run(model: TracerModel, **options) -> Run:
    """Compared after every step of odd segments and at the end of even ones."""
    targets = np.random.default_rng(0).random((len(LENGTHS), 5, *SHAPE))

    def data(k):
        here = jnp.asarray(model.domain.local(targets[k]))
        return SegmentData(steps=here) if k % 2 else SegmentData(end=here[0])

    return Run(Segment(model, squared_misfit, **options), LENGTHS, data)


def tracer_inputs(model: TracerModel) -> RunInputs:
    return RunInputs(model.parameters(), model.blob())


def plain_gradient(run: Run, inputs: RunInputs):
    """Of this rank's share of the cost, by one ``jax.grad`` of the whole run."""
    model = run.segment.model

    def share(inputs):
        def step(state, target):
            state = model.step(inputs.parameters, state)
            return state, {} if target is None else squared_misfit(state, target)

        state, total = inputs.state, 0.0
        for k, steps in enumerate(run.lengths):
            data = run.data(k)
            state, parts = jax.lax.scan(step, state, data.steps, length=steps)
            total += sum(jnp.sum(part) for part in parts.values())
            if data.end is not None:
                total += sum(squared_misfit(state, data.end).values())
        return total

    return jax.jit(jax.value_and_grad(share))(inputs)


def whole(domain, inputs) -> Control:
    share = split(domain, inputs)
    return Control(share.distributed, sum_over_ranks(domain, share.replicated))


def test_the_gradient_is_that_of_the_whole_run_at_once(comm):
    model = TracerModel.create(SHAPE, comm=comm)
    run, inputs = tracer_run(model), tracer_inputs(model)
    value, expected = plain_gradient(run, inputs)
    found = cost_and_gradient(run, inputs)
    assert sum(found.parts.values()) == pytest.approx(float(value), rel=1e-13)
    assert found.parts == pytest.approx(cost(run, inputs), rel=1e-13)
    space = ControlSpace(model.domain)
    gradients = {"plain": whole(model.domain, expected), "run": whole(model.domain, found.inputs)}
    comparison = compare_gradients(gradients, space)
    assert comparison.passed, comparison


@pytest.mark.ranks(1, 2, 4)
def test_every_schedule_gives_the_same_gradient(comm, store):
    model = TracerModel.create(SHAPE, comm=comm)
    comparison = compare_schedules(tracer_run(model), tracer_inputs(model), SCHEDULES, store)
    assert comparison.passed, comparison
    assert store.names() == set()
    assert "all on disk" in str(comparison) and "5 on disk" in str(comparison)


@pytest.mark.parametrize(
    "choice", [Rematerialisation(blocks=False), Rematerialisation(False, False)], ids=str
)
def test_what_is_recomputed_does_not_change_the_gradient(comm, choice):
    model = TracerModel.create(SHAPE, comm=comm)
    runs = {"both": tracer_run(model), str(choice): tracer_run(model, rematerialisation=choice)}
    found = {
        name: whole(model.domain, cost_and_gradient(run, tracer_inputs(model)).inputs)
        for name, run in runs.items()
    }
    comparison = compare_gradients(found, ControlSpace(model.domain))
    assert comparison.passed, comparison


@pytest.mark.ranks(1, 2, 4)
def test_the_gradient_does_not_depend_on_the_number_of_ranks(comm):
    """By state and source (fields) and by diffusivity and growth (numbers)."""

    def gradient(model):
        return whole(
            model.domain, cost_and_gradient(tracer_run(model), tracer_inputs(model)).inputs
        )

    model = TracerModel.create(SHAPE, comm=comm)
    found, expected = (
        gradient(model),
        gradient(TracerModel.create(SHAPE, comm=Domain.serial(SHAPE).comm)),
    )
    for one, other in zip(
        jax.tree.leaves(found.distributed), jax.tree.leaves(expected.distributed), strict=True
    ):
        np.testing.assert_allclose(
            model.domain.gather(one), other, rtol=0, atol=1e-12 * np.abs(other).max()
        )
    for one, other in zip(
        jax.tree.leaves(found.replicated), jax.tree.leaves(expected.replicated), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)


class InterruptedSweepError(Exception):
    pass


class FailingStore:
    """A store whose rank dies on its ``n``-th write."""

    def __init__(self, store, n):
        self.store, self.left = store, n

    def write(self, name, arrays):
        if self.left == 0:
            raise InterruptedSweepError
        self.left -= 1
        self.store.write(name, arrays)

    def __getattr__(self, name):
        return getattr(self.store, name)


@pytest.mark.parametrize(
    ("schedule", "writes"),
    [
        ("all on disk", 3),  # on the way forward
        ("all on disk", 8),
        ("one in memory, two on disk", 6),
        ("all in memory", 2),
    ],
)
def test_an_interrupted_sweep_goes_on_bitwise(comm, store, schedule, writes):
    model = TracerModel.create(SHAPE, comm=comm)
    run, inputs, schedule = tracer_run(model), tracer_inputs(model), SCHEDULES[schedule]
    expected = cost_and_gradient(run, inputs, schedule, MemoryStore())
    with pytest.raises(InterruptedSweepError):
        cost_and_gradient(run, inputs, schedule, FailingStore(store, writes))
    left = min(int(n.removeprefix("reversed.")) for n in store.names() if n.startswith("reversed."))
    found = cost_and_gradient(run, inputs, schedule, store)
    assert found.parts == expected.parts
    for one, other in zip(
        jax.tree.leaves(found.inputs), jax.tree.leaves(expected.inputs), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert found.tally.reversed == left
    assert found.tally.advanced < expected.tally.advanced
    assert store.names() == set()


@pytest.mark.parametrize("other", ["inputs", "data"])
def test_a_sweep_does_not_go_on_from_that_of_other_inputs_or_data(comm, store, other):
    model = TracerModel.create(SHAPE, comm=comm)
    run, inputs = tracer_run(model), tracer_inputs(model)
    if other == "inputs":
        state = TracerState(0.9 * inputs.state.tracer, inputs.state.time)
        started = run, inputs._replace(state=state)
    else:
        one_rank_has_other = b"others" if comm.rank == comm.size - 1 else b"these"
        started = dataclasses.replace(run, identity={"field": one_rank_has_other}), inputs
        run = dataclasses.replace(run, identity={"field": b"these"})
    with pytest.raises(InterruptedSweepError):
        cost_and_gradient(*started, SCHEDULES["all on disk"], FailingStore(store, 8))
    found = cost_and_gradient(run, inputs, SCHEDULES["all on disk"], store)
    assert found.tally.reversed == len(LENGTHS)
    expected = cost_and_gradient(run, inputs)
    for one, other in zip(
        jax.tree.leaves(found.inputs), jax.tree.leaves(expected.inputs), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_one_rank_behind_the_others_resumes_where_all_were(comm, store):
    """The last rank dies one write earlier than the rest."""
    model = TracerModel.create(SHAPE, comm=comm)
    run, inputs = tracer_run(model), tracer_inputs(model)
    with pytest.raises(InterruptedSweepError):
        cost_and_gradient(run, inputs, SCHEDULES["all on disk"], FailingStore(store, 9))
    if comm.rank == comm.size - 1 and comm.size > 1:
        last = min(name for name in store.names() if name.startswith("reversed"))
        arrays = store.read(last)
        store.remove(last)
        store.write("reversed.000005", {**arrays, "fingerprint": arrays["fingerprint"] + 1})
    found = cost_and_gradient(run, inputs, SCHEDULES["all on disk"], store)
    assert len(set(comm.allgather(found.tally.reversed))) == 1
    for one, other in zip(
        jax.tree.leaves(found.inputs),
        jax.tree.leaves(cost_and_gradient(run, inputs).inputs),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_a_sweep_does_not_go_on_from_what_is_damaged(comm, store):
    """Files of the last rank that a failure of the power has cut off, or not written at all."""
    model = TracerModel.create(SHAPE, comm=comm)
    run, inputs = tracer_run(model), tracer_inputs(model)
    with pytest.raises(InterruptedSweepError):
        cost_and_gradient(run, inputs, SCHEDULES["all on disk"], FailingStore(store, 8))
    left = min(name for name in store.names() if name.startswith("reversed."))
    if comm.rank == comm.size - 1:
        state = store.own / "state.000001.h5"
        content = state.read_bytes()
        state.write_bytes(content[: len(content) // 2])
        (store.own / "reversed.000002.h5").write_bytes(b"")
    found = cost_and_gradient(run, inputs, SCHEDULES["all on disk"], store)
    assert f"reversed.{found.tally.reversed:06d}" == left == "reversed.000004"
    assert found.tally.advanced == 2  # to the damaged state, and to the one already used up
    expected = cost_and_gradient(run, inputs)
    for one, other in zip(
        jax.tree.leaves(found.inputs), jax.tree.leaves(expected.inputs), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert store.names() == set()


class FullStore(FailingStore):
    """A store without room for the ``n``-th entry."""

    def write(self, name, arrays):
        try:
            super().write(name, arrays)
        except InterruptedSweepError:
            raise OSError(errno.ENOSPC, "No space left on device") from None


@pytest.mark.parametrize("writes", [3, 8], ids=["forward", "back"])
def test_one_rank_without_room_stops_all_and_the_sweep_goes_on(comm, store, writes):
    model = TracerModel.create(SHAPE, comm=comm)
    run, inputs = tracer_run(model), tracer_inputs(model)
    full = FullStore(store, writes if comm.rank == comm.size - 1 else 100)
    with pytest.raises(RunError, match=rf"^rank {comm.size - 1}: .* left on device; make room, an"):
        cost_and_gradient(run, inputs, SCHEDULES["all on disk"], full)
    found = cost_and_gradient(run, inputs, SCHEDULES["all on disk"], store)
    expected = cost_and_gradient(run, inputs)
    for one, other in zip(
        jax.tree.leaves(found.inputs), jax.tree.leaves(expected.inputs), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_inputs_of_every_segment_have_their_own_gradient(comm):
    """A model error added at the start of a segment, against finite differences."""
    model = TracerModel.create(SHAPE, comm=comm)
    domain = model.domain

    def with_error(parameters, error, state):
        return parameters, TracerState(state.tracer + error, state.time)

    run = tracer_run(model, apply=with_error)
    rng = np.random.default_rng(3)
    errors = [domain.local(0.01 * rng.normal(size=SHAPE)) for _ in LENGTHS]
    way = [domain.local(rng.normal(size=SHAPE)) for _ in LENGTHS]

    def at(h):
        moved = tuple(jnp.asarray(e + h * w) for e, w in zip(errors, way, strict=True))
        return tracer_inputs(model)._replace(segments=moved)

    def value(h):
        return float(domain.sum(sum(cost(run, at(h)).values())))

    found = cost_and_gradient(run, at(0.0), Schedule(memory=1))
    slope = float(domain.dot(list(found.inputs.segments), way))
    h = 1e-5
    assert slope == pytest.approx((value(h) - value(-h)) / (2 * h), rel=1e-7)

    with pytest.raises(ValueError, match="inputs of 5 segments, expected none, or one for each"):
        inputs = at(0.0)
        cost_and_gradient(run, inputs._replace(segments=inputs.segments[1:]))


def test_a_budget_counts_the_states_of_the_largest_rank(comm):
    model = TracerModel.create(SHAPE, comm=comm)
    biggest = max(comm.allgather(model.blob().tracer.size)) * 8 + 8
    assert states_within(model.domain, 10.5 * biggest, model.blob()) == 10
    assert states_within(model.domain, 1.0, model.blob()) == 1
