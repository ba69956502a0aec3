"""Predictions of a run on many ranks."""

import pytest

from dassim.config import Namelist, NamelistError, load, predict, probe
from dassim.config.build import build_decomposition
from dassim.config.predict import Prediction
from dassim.config.probe import Sweep, Work
from dassim.config.schema.site import Costs
from dassim.parallel import SerialCommunicator, StandInCommunicator
from dassim.parallel.traffic import Traffic
from tests.models.namelists import PROJECT, SMALLER, build

SMALL = ["grid.nx=24", "grid.ny=32", "time.duration=2 steps"]
SENSITIVITY = (
    "sensitivity={window: {length: 800 min}, objective: {type: transport, x: 0 km}, by: [T], "
    "adjoint: {segment: 200 min, memory: 1e-9}}"
)


def namelist(*overrides):
    path = PROJECT / "namelists" / "ocean" / "double_gyre_levels.yaml"
    return load(path, Namelist, overrides=[*SMALL, *overrides]).namelist


@pytest.fixture(scope="module")
def on_four():
    return predict.predict(namelist(), 4, Costs())


def test_time_is_computing_and_messages():
    step = Work(0.5, Traffic(swaps=(3, 2), bytes=(6e6, 4e6), sums=2), memory=100)
    back = Work(2.0, Traffic(swaps=(9, 6), bytes=(18e6, 12e6), sums=0), memory=300)
    costs = Costs(latency=1e-3, bandwidth=1e9, speed=2.0)
    one = Prediction(8, 100, 50, step, Sweep(back, 0.9, 1000), costs, 60.0, 600.0, 5000, 400)
    # 10 messages, 10 MB, two sums of three stages
    assert one.messages(step) == pytest.approx(10e-3 + 10e-3 + 6e-3)
    assert one.seconds(step) == pytest.approx(0.276)
    assert one.seconds(back) == pytest.approx(1.0 + 0.03 + 0.03)
    assert one.gradient == pytest.approx(1.06 + 0.9 * 0.276)
    assert one.memory_of_gradient == 1300
    assert one.during(600.0) == pytest.approx(2.76)
    assert one.output_bandwidth == pytest.approx(5000 / 2.76)


def test_a_block_of_the_ranks_is_built(on_four):
    assert on_four.ranks == 4
    assert on_four.block == on_four.timed == 3 * 8 * 24
    assert on_four.step.sent.swaps[0] > 5 and on_four.step.sent.swaps[1] == 0
    assert on_four.step.seconds > 0 and on_four.step.memory > 5 * 8 * on_four.block


def test_a_gradient_is_swept_as_the_memory_allows(on_four):
    """With all that its stages compute; or again from the state of a block, and from its own."""
    step, sweep = on_four.step, on_four.sweep
    assert sweep.forward == 0 and sweep.kept == 0  # one segment
    assert sweep.back.seconds > step.seconds and sweep.back.memory > step.memory
    assert _messages(sweep.back) == 2 * _messages(step)  # what was received is kept
    least = predict.predict(namelist(SENSITIVITY), 4, Costs())
    assert _messages(least.sweep.back) == 3 * _messages(step)
    assert least.sweep.forward > 1 and least.sweep.kept > 0


def _messages(work):
    return work.sent.swaps[0]


def test_a_slow_rank_beside_it_counts():
    class Beside(SerialCommunicator):
        def allgather(self, here):
            return [here, here + 1.0] if isinstance(here, float) else [here]

    found = predict.predict(namelist(), 4, Costs(), Beside())
    assert found.step.seconds > 1.0 / probe.STEPS


def test_restarts_that_are_removed_are_written_as_well(on_four):
    often = predict.predict(namelist("restarts.every=20 min", "time.duration=10 steps"), 4, Costs())
    assert often.restart == on_four.restart > 0
    assert often.written - on_four.written == 9 * often.restart


def test_a_part_stands_for_a_large_block(on_four, monkeypatch):
    monkeypatch.setattr(probe, "MOST_CELLS", 3 * 8 * 24)
    alone, pair = (predict.predict(namelist(), ranks, Costs()) for ranks in (1, 2))
    assert alone.timed == pair.timed == on_four.timed
    assert (alone.block, pair.block) == (4 * on_four.block, 2 * on_four.block)
    assert alone.step.sent == Traffic()
    # along y a block of half as many ranks has the same edges
    assert pair.step.sent == on_four.step.sent


def test_ranks_that_do_not_fit_are_refused():
    with pytest.raises(NamelistError, match="cannot be divided over 999 ranks"):
        predict.predict(namelist(), 999, Costs())


def test_blocks_are_not_made_narrower_than_a_halo(monkeypatch):
    monkeypatch.setattr(probe, "MOST_CELLS", 1)
    planned = build_decomposition(namelist(), 1)
    divided = probe.timed_division(planned, 3, namelist().narrowest_block)
    assert divided.block(0).shape == (4, 24)


def test_fast_waves_take_as_many_substeps_as_on_real_ranks(monkeypatch):
    """Where meridians converge they take more than in the middle."""
    overrides = [*SMALLER["held_suarez"], "physics.fast_modes.courant=0.5"]

    def substeps(comm=None):
        return build("held_suarez", overrides, comm).model.fast_modes.substeps

    timed = []
    work = Work(1.0, Traffic(), 1)
    monkeypatch.setattr(predict, "of_a_step", lambda rank, *_: timed.append(rank) or work)
    monkeypatch.setattr(predict, "of_a_sweep", lambda *_: Sweep(work, 0.0, 0))
    path = PROJECT / "namelists" / "atmosphere" / "held_suarez.yaml"
    predict.predict(load(path, Namelist, overrides=overrides).namelist, 4, Costs())
    found = timed[0].model.fast_modes.substeps
    assert found == substeps() > substeps(StandInCommunicator(2, 4))
