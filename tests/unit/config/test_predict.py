"""Predictions of a run on many ranks."""

import pytest

from dassim.config import Namelist, NamelistError, load, predict
from dassim.config.predict import Prediction
from dassim.config.schema.site import Costs
from dassim.parallel import StandInCommunicator
from dassim.parallel.traffic import Traffic
from dassim.simulation.advance import Program
from tests.models.namelists import PROJECT, SMALLER, build

SMALL = ["grid.nx=24", "grid.ny=32", "time.duration=2 steps"]


def namelist(*overrides):
    path = PROJECT / "namelists" / "ocean" / "double_gyre_levels.yaml"
    return load(path, Namelist, overrides=[*SMALL, *overrides]).namelist


@pytest.fixture(scope="module")
def on_four():
    return predict.predict(namelist(), 4, Costs())


def test_time_is_computing_and_messages():
    sent = Traffic(swaps=(3, 2), bytes=(6e6, 4e6), sums=2)
    costs = Costs(latency=1e-3, bandwidth=1e9, gradient=4.0)
    one = Prediction(8, 100, 50, 0.5, sent, costs, 60.0, 600.0, 0, 1000)
    # 10 messages, 10 MB, two sums of three stages
    assert one.messages == pytest.approx(10e-3 + 10e-3 + 6e-3)
    assert one.step == pytest.approx(0.526)
    assert one.gradient == pytest.approx(4 * 0.526)
    assert one.during(600.0) == pytest.approx(5.26)
    assert one.output_bandwidth == pytest.approx(1000 / 5.26)


def test_a_block_of_the_ranks_is_built(on_four):
    assert on_four.ranks == 4
    assert on_four.block == on_four.timed == 3 * 8 * 24
    assert on_four.sent.swaps[0] > 5 and on_four.sent.swaps[1] == 0
    assert on_four.compute > 0 and on_four.memory > 5 * 8 * on_four.block


def test_a_part_stands_for_a_large_block(on_four, monkeypatch):
    monkeypatch.setattr(predict, "MOST_CELLS", 3 * 8 * 24)
    alone, pair = (predict.predict(namelist(), ranks, Costs()) for ranks in (1, 2))
    assert alone.timed == pair.timed == on_four.timed
    assert (alone.block, pair.block) == (4 * on_four.block, 2 * on_four.block)
    assert alone.sent == Traffic()
    assert pair.sent == on_four.sent  # along y a block of half as many ranks has the same edges


def test_a_faster_machine_computes_faster():
    slow, fast = (predict.predict(namelist(), 1, Costs(speed=speed)) for speed in (1e-3, 1e3))
    assert slow.compute > 1e3 * fast.compute


def test_ranks_that_do_not_fit_are_refused():
    with pytest.raises(NamelistError, match="cannot be divided over 999 ranks"):
        predict.predict(namelist(), 999, Costs())


def test_blocks_are_not_made_narrower_than_a_halo(monkeypatch):
    monkeypatch.setattr(predict, "MOST_CELLS", 1)
    assert predict.predict(namelist(), 1, Costs()).timed == 3 * 4 * 24


def test_fast_waves_take_as_many_substeps_as_on_real_ranks(monkeypatch):
    """Where meridians converge they take more than in the middle."""
    overrides = [*SMALLER["held_suarez"], "physics.fast_modes.courant=0.5"]

    def substeps(comm=None):
        return build("held_suarez", overrides, comm).model.fast_modes.substeps

    timed = []
    monkeypatch.setattr(predict, "Program", lambda model: timed.append(model) or Program(model))
    path = PROJECT / "namelists" / "atmosphere" / "held_suarez.yaml"
    predict.predict(load(path, Namelist, overrides=overrides).namelist, 4, Costs())
    assert timed[0].fast_modes.substeps == substeps() > substeps(StandInCommunicator(2, 4))
