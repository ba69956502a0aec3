"""The time loop on several ranks: one decision, one set of bits, one message."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dassim.parallel import Domain, SerialCommunicator, world
from dassim.parallel.messages import share_cores
from dassim.simulation.errors import RunError, UnstableError
from dassim.simulation.events import At, Every
from dassim.simulation.plan import Plan
from dassim.simulation.snapshots import StateSeries
from tests.models.plate import Plate
from tests.models.runs import PLAN, STEPS, Listener, MemoryWriter, case, outlets, run
from tests.models.states import same_bits


@pytest.fixture
def alone(folder):
    """The global temperature at the end of a run of rank 0 alone."""
    comm = world()
    if comm.is_root:
        run(folder / "alone", case(Plate.create(comm=SerialCommunicator())))
    comm.barrier()
    return at_end(folder / "alone", Domain.serial((6, 8)))


def at_end(folder, domain):
    series = StateSeries.open(folder / "restarts", domain)
    assert series.steps[-1] == STEPS
    return domain.gather(series.read(STEPS, {"T": case(Plate(domain)).state.T})["T"])


def test_ranks_give_the_bits_of_one_rank(folder, alone):
    plate = case()
    run(folder / "run", plate)
    assert same_bits(at_end(folder / "run", plate.model.domain), alone)


def test_one_rank_that_is_asked_to_stop_stops_all(folder, alone):
    comm, plate = world(), case()
    listener = Listener()
    if comm.rank == comm.size - 1:
        listener.request.received.append("SIGUSR1")
    stopped = run(folder / "run", plate, listener=listener)
    assert (stopped.step, stopped.reason) == (1, "SIGUSR1")
    assert run(folder / "run", plate, resume=True).finished
    assert same_bits(at_end(folder / "run", plate.model.domain), alone)


def test_the_wall_clock_is_that_of_all_ranks(folder):
    outcome = run(folder, case(), replace(PLAN, wall_clock=0.0, patience=1.0))
    assert outcome.reason == "the wall-clock limit of 0 s"
    assert len(set(world().allgather(outcome.step))) == 1


def test_a_resumed_mean_is_that_of_all_steps(folder):
    plate = case()
    whole, means = MemoryWriter(), MemoryWriter()
    run(folder / "whole", plate, outlets=outlets(whole, MemoryWriter()))
    streams = outlets(means, MemoryWriter())
    run(folder / "run", plate, outlets=streams, stop_at=8 if world().is_root else None)
    run(folder / "run", plate, outlets=streams, resume=True)
    assert [record[:2] for record in means.records] == [record[:2] for record in whole.records]
    for (_, _, one), (_, _, other) in zip(means.records, whole.records, strict=True):
        assert same_bits(one["T"], other["T"])


def test_snapshots_are_read_back_rank_by_rank(folder):
    plate = case()
    run(folder, plate, replace(PLAN, snapshots=At((4,))))
    state = StateSeries.open(folder / "snapshots", plate.model.domain).read(4, plate.state)
    assert state.T.shape == plate.state.T.shape
    serial = case(Plate.create(comm=SerialCommunicator()))
    whole = StateSeries.open(folder / "snapshots", serial.model.domain).read(4, serial.state)
    assert same_bits(state.T, plate.model.domain.local(np.asarray(whole.T)))


@pytest.mark.parametrize("point", [(0, 0), (5, 7)])
def test_all_ranks_know_where_the_state_went_wrong(folder, point):
    plate = case()
    wrong = replace(plate, parameters=plate.model.parameters(hot=point))
    with pytest.raises(UnstableError) as ended:
        run(folder, wrong, Plan(log=Every(10)))
    messages = world().allgather(str(ended.value))
    assert len(set(messages)) == 1
    assert f", row {point[0]}, column {point[1]}; the states of this" in messages[0]


def test_a_value_that_is_not_finite_is_counted_over_ranks(folder):
    plate = case()
    T = plate.state.T.at[:, -1, -1].set(np.nan)
    with pytest.raises(UnstableError, match=rf"one of {2 * world().size} such points"):
        run(folder, replace(plate, state=replace(plate.state, T=T)))


def test_a_refusal_of_rank_0_is_raised_on_all(folder):
    run(folder, case(), Plan())
    with pytest.raises(RunError, match="found a run; go on with it by --resume"):
        run(folder, case(), Plan())


def test_the_record_counts_all_ranks(folder):
    plate, means = case(), MemoryWriter()
    run(folder, plate, outlets=outlets(means, MemoryWriter()))
    found = json.loads((folder / "run.json").read_text())
    assert found["ranks"] == world().size
    assert found["files"]["fields/means"]["bytes"] == sum(world().allgather(means.bytes_written))
    merit = found["figure_of_merit"]
    split = found["of_steps"]
    if share_cores(world()):
        assert split["halo"] is None
    elif split["halo"] is not None:
        assert split["halo"] + split["compute"] == pytest.approx(found["wall_seconds"]["steps"])
        assert (split["halo"] > 0) == (world().size > 1)
    per_rank = merit["cell_steps_per_second"] / world().size
    assert merit["cell_steps_per_second_per_rank"] == pytest.approx(per_rank)
