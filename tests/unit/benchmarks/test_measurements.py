"""What the benchmarks make of their seconds: which way the ratios go, and what is wanted."""

from __future__ import annotations

from argparse import Namespace
from contextlib import nullcontext

import pytest

from tools.benchmarks import adjoint, compiling, network, ocean, restarts, scaling


def test_the_ocean_is_as_many_times_faster_as_veros_takes_longer():
    took = {"dassim": (0.5, 0.1), "veros": (2.5, 0.2)}
    speed, memory = ocean.measurements(ocean.CASES[0], "matched", took, 1e9)
    assert speed.ratio == pytest.approx(5.0)
    assert (speed.spread, speed.verdict) == (0.1, "met")
    assert memory.ratio == pytest.approx(ocean.BYTES_PER_CELL * ocean.CASES[0].cells / 0.5 / 1e9)


def test_without_veros_the_ocean_has_no_reference():
    speed, _ = ocean.measurements(ocean.CASES[0], "alone", {"dassim": (0.5, 0.1)}, 1e9)
    assert speed.ratio is None
    assert speed.verdict == ""


def test_a_gradient_is_held_to_its_run():
    row = {"ranks": 2, "steps": 25, "forward (s)": 2.0, "gradient (s)": 10.0, "spread": 0.1}
    row |= {"memory ratio": 3.0, "run's peak (GB)": 0.5, "planned": 31}
    time, memory, short = adjoint.measurements("channel", row)
    *_, long = adjoint.measurements("channel", row | {"steps": 1600})
    assert (time.case, time.ratio, time.verdict) == ("channel, 25 steps, 2 ranks", 5.0, "missed")
    assert (memory.value, memory.ratio) == (1.5, 3.0)
    assert (short.value, short.verdict, long.verdict) == (31, "", "missed")


def test_compiling_a_gradient_is_held_to_compiling_its_step():
    figures = {"trace": 1.0, "lower": 2.0, "compile": 3.0}
    figures |= {"operations": 600.0, "moved": 2000.0, "held": 300.0}
    row = {"step": figures, "gradient": {what: 4 * value for what, value in figures.items()}}
    found = compiling.measurements("gyre", [row, row])
    assert [one.ratio for one in found] == 6 * [None, 4.0]
    assert len({one.case for one in found}) == 12


def test_a_restart_is_held_to_bare_files_and_its_reading_to_its_writing():
    names = ("bare h5py", "bare h5py, on disk", "restart", "restart: check", "restart: read")
    medians = {name: (2.0**k, 0.0) for k, name in enumerate(names)}
    found = restarts.measurements("2 ranks", medians)
    assert [one.ratio for one in found] == [4.0, 2.0, 2.0, 4.0]
    assert [one.verdict for one in found] == ["missed", "met", "", ""]


def test_scaling_wants_a_share_of_the_ranks():
    wanted = f">= {2 * scaling.STRONG:g}"
    assert scaling.of("strong, 2 ranks", 17.1, 0.0, ("1 rank", 10.0), wanted).verdict == "met"
    assert scaling.of("strong, 2 ranks", 16.9, 0.0, ("1 rank", 10.0), wanted).verdict == "missed"


def test_a_step_over_a_network_is_held_to_its_prediction(monkeypatch):
    measured = {"seconds": [0.06], "latency": 1e-5, "bandwidth": 1e8}
    answers = iter([measured, {"step": 0.05, "messages": 0.02}])
    monkeypatch.setattr(network, "cable", lambda rate: nullcontext())
    monkeypatch.setattr(network.workers, "answer", lambda *_: next(answers))
    options = Namespace(namelist=network.NAMELIST, turns=1, seconds=1.0, overrides=[])
    short, long, step, messages = network.at("1gbit", options)
    assert (short.value, long.value, messages.value) == pytest.approx((10.0, 100.0, 20.0))
    assert (step.unit, step.value, step.ratio) == ("ms", 60.0, pytest.approx(1.2))
