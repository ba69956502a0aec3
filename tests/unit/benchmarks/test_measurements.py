"""What the benchmarks make of their seconds: which way the ratios go, and what is wanted."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np
import pytest

from dassim.config import Namelist, load
from dassim.config.outputs import streams
from dassim.parallel import world
from tools.benchmarks import (
    adjoint,
    compiling,
    demo,
    disk,
    network,
    ocean,
    output,
    record,
    restarts,
    scaling,
    verify,
    workers,
)


def test_the_ocean_is_as_many_times_faster_as_veros_takes_longer():
    took = {"dassim": (0.5, 0.1), "copy": (2e-9 * ocean.COPIED, 0.3), "veros": (2.5, 0.2)}
    speed, memory = ocean.measurements(ocean.CASES[0], "matched", took, "Veros 1.7.0")
    assert speed.reference == "Veros 1.7.0"
    assert speed.ratio == pytest.approx(5.0)
    assert (speed.spread, speed.verdict) == (0.1, "met")
    assert memory.ratio == pytest.approx(ocean.BYTES_PER_CELL * ocean.CASES[0].cells / 0.5 / 1e9)
    assert memory.reference_spread == 0.3


def test_without_veros_the_ocean_has_no_reference():
    took = {"dassim": (0.5, 0.1), "copy": (0.1, 0.0)}
    speed, _ = ocean.measurements(ocean.CASES[0], "alone", took, "")
    assert speed.ratio is None
    assert speed.verdict == ""


def test_a_gradient_is_held_to_its_run():
    row = {"ranks": 2, "steps": 25, "forward (s)": 2.0, "gradient (s)": 10.0, "spread": 0.1}
    row |= {"memory ratio": 3.0, "run's peak (GB)": 0.5, "planned": 31, "run's spread": 0.2}
    run, time, memory, short = adjoint.measurements("channel", row)
    *_, long = adjoint.measurements("channel", row | {"steps": 1600})
    assert (time.case, time.ratio, time.verdict) == ("channel, 25 steps, 2 ranks", 5.0, "missed")
    assert (time.spread, time.reference_spread) == (0.1, 0.2)
    assert (run.value, run.spread, run.ratio) == (2.0, 0.2, None)
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
    assert scaling.of("strong, 2 ranks", 17.1, 0.0, ("1 rank", 10.0, 0.0), wanted).verdict == "met"
    assert (
        scaling.of("strong, 2 ranks", 16.9, 0.0, ("1 rank", 10.0, 0.0), wanted).verdict == "missed"
    )


def test_a_step_over_a_network_is_held_to_its_prediction(monkeypatch):
    measured = {"seconds": [0.06], "latency": 1e-5, "bandwidth": 1e8}
    answers = iter([measured, {"step": 0.05, "messages": 0.02}])
    monkeypatch.setattr(network, "cable", lambda rate: nullcontext())
    monkeypatch.setattr(network.workers, "answer", lambda *_: next(answers))
    options = Namespace(namelist=network.NAMELIST, turns=1, seconds=1.0, overrides=[])
    short, long, step, messages = network.at("1gbit", options)
    assert (short.value, long.value, messages.value) == pytest.approx((10.0, 100.0, 20.0))
    assert (step.unit, step.value, step.ratio) == ("ms", 60.0, pytest.approx(1.2))
    assert step.verdict == "met"


def test_where_no_cable_can_be_laid_the_network_is_skipped(monkeypatch, capsys):
    monkeypatch.setattr(network.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["network"])
    with pytest.raises(SystemExit) as ended:
        network.main()
    assert ended.value.code == record.SKIPPED
    assert capsys.readouterr().out == (
        "skipped: found no ip, tc, nsenter; expected Linux with iproute2 and util-linux\n"
    )


def test_a_user_who_may_make_no_namespaces_is_told_so(monkeypatch):
    monkeypatch.setattr(network.shutil, "which", lambda name: name)
    words = ("sh", "-c", "echo not permitted >&2; exit 1")
    monkeypatch.setattr(network, "remove", lambda: None)
    call = network.call
    monkeypatch.setattr(network, "call", lambda *_: call(*words))
    assert "found no way to lay a cable" in network.obstacle()
    assert "not permitted); expected root" in network.obstacle()


def test_output_is_held_to_bare_files_in_megabytes_a_second():
    took = {disk.BARE: (1.0, 0.1), disk.ON_DISK: (3.0, 0.2), output.STREAM: (4.0, 0.3)}
    at_once, on_disk = output.measurements("2 ranks", 400_000_000, took)
    assert (at_once.value, at_once.unit, at_once.spread) == (100.0, "MB/s", 0.3)
    assert (at_once.ratio, at_once.verdict) == (0.25, "missed")
    assert (on_disk.ratio, on_disk.verdict) == (0.75, "met")


def test_actions_on_files_take_turns_and_leave_room_for_the_next(tmp_path):
    bare, seen = tmp_path / "bare", []
    actions = disk.bare_writes(bare, 0, {"T": np.arange(3.0)}, records=2)
    actions["look"] = lambda: seen.append(bare.exists())
    took = disk.in_turns(actions, {disk.ON_DISK: bare}, world(), 2)
    assert list(took) == [disk.BARE, disk.ON_DISK, "look"]
    assert seen == 3 * [False]
    actions[disk.BARE]()
    with h5py.File(bare / "0.h5") as file:
        assert np.asarray(file["1/T"]).tolist() == [0.0, 1.0, 2.0]


def test_the_folder_of_all_ranks_goes_at_the_end(tmp_path):
    with disk.common_folder(world(), tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_the_namelist_of_the_output_writes_days_of_all_fields():
    namelist = load(workers.PROJECT / output.NAMELIST, Namelist, overrides=output.overrides(40, 80))
    (stream,) = streams(namelist.namelist)
    assert (stream.name, stream.variables) == (output.STREAM, output.NAMES)
    assert (stream.kind, stream.precision, stream.file_per) == ("mean", "float32", "month")


def test_a_prediction_is_held_to_what_is_measured():
    row = {"predicted": {"step": 0.009, "gradient": 0.05}}
    row |= {"measured": {"step": [0.01, 0.01, 0.02], "gradient": [0.1]}}
    step, gradient = verify.measurements("channel, 2 ranks", row)
    assert (step.case, step.value, step.ratio) == ("channel, 2 ranks: step", 9.0, 0.9)
    assert (step.reference_spread, step.verdict) == (1.0, "met")
    assert (gradient.ratio, gradient.verdict) == (0.5, "missed")


def test_the_demo_is_timed_in_a_folder_of_its_own_with_an_empty_cache(monkeypatch):
    called = []
    monkeypatch.setattr(workers, "seconds", lambda *given: called.append(given) or 181.0)
    found = demo.measured(demo.NAMELIST)
    (((_, namelist, run), environment),) = called
    assert namelist == demo.NAMELIST
    assert Path(environment["XDG_CACHE_HOME"]).parent == Path(run).parent
    assert not Path(run).parent.exists()
    assert (found.value, found.unit, found.verdict) == (181.0, "s", "missed")


def test_a_version_is_that_of_the_other_environment():
    assert workers.version(sys.executable, "numpy") == np.__version__


def test_a_command_that_fails_ends_the_benchmark_with_what_it_said():
    with pytest.raises(SystemExit, match="out of luck"):
        workers.seconds((sys.executable, "-c", "raise SystemExit('out of luck')"), {})
