"""A recovery that is interrupted anywhere goes on with the same numbers, and says how it ended."""

import csv
import errno
import json
from dataclasses import replace

import jax.numpy as jnp
import pytest

from dassim.assimilation import recovery as module
from dassim.assimilation.incremental import Incremental
from dassim.assimilation.journal import Checkpoints, IterationLog
from dassim.assimilation.lbfgs import Stop
from dassim.assimilation.minimise import Criteria, QuasiNewton
from dassim.assimilation.recovery import PlainReporter, Recovery, recover
from dassim.assimilation.window import Window
from dassim.parallel import SerialCommunicator
from dassim.simulation.clock import Clock
from dassim.simulation.errors import RunError
from dassim.simulation.folder import RunFolder
from tests.models.twin import LorenzTwin

ITERATIONS = 6


class KilledError(BaseException):
    """What ends a process at once."""


@pytest.fixture(scope="module")
def objective():
    return LorenzTwin(SerialCommunicator(), n=8).objective()


MINIMISERS = {
    "lbfgs": QuasiNewton(Criteria(iterations=ITERATIONS)),
    "incremental": Incremental(outer=2, inner=3),
}


@pytest.fixture(params=MINIMISERS.values(), ids=MINIMISERS)
def recovery(objective, request):
    window, clock = Window.of(0, 8, 4), Clock(time_step=0.05)
    return Recovery(objective, window, clock, minimiser=request.param)


def table(folder):
    with (folder / "iterations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("seconds", "memory (MB)")} for row in rows]


def quiet():
    return PlainReporter(lambda _: None)


@pytest.fixture
def whole(recovery, tmp_path):
    (tmp_path / "whole").mkdir()
    recover(recovery, RunFolder(tmp_path / "whole"), reporter=quiet())
    return table(tmp_path / "whole")


def dies(monkeypatch, owner, name, call, *, after):
    """The ``call``-th call of a method kills the process, before it does anything or ``after``."""
    method, count = getattr(owner, name), iter(range(1, 1000))

    def killing(*arguments, **options):
        if next(count) != call:
            return method(*arguments, **options)
        if after:
            method(*arguments, **options)
        raise KilledError

    monkeypatch.setattr(owner, name, killing)


@pytest.mark.parametrize("call", [1, 2, 5])
@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (Checkpoints, "save", False),
        (Checkpoints, "save", True),
        (IterationLog, "add", False),
        (IterationLog, "add", True),
    ],
)
def test_killed_anywhere_it_resumes_with_the_same_table(
    recovery, whole, tmp_path, monkeypatch, owner, name, after, call
):
    folder = RunFolder(tmp_path / "killed")
    folder.path.mkdir()
    with monkeypatch.context() as patch:
        dies(patch, owner, name, call, after=after)
        with pytest.raises(KilledError):
            recover(recovery, folder, reporter=quiet())
    resumed = recover(recovery, folder, resume=True, reporter=quiet())
    assert resumed.result.stop is Stop.ITERATIONS
    assert table(folder.path) == whole


def test_a_disk_that_is_full_is_told(recovery, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dassim.io.checkpoints.publish_file", full)
    folder = RunFolder(tmp_path / "full")
    folder.path.mkdir()
    expected = r"evaluation.000001.h5: No space left on device; make room, and go on with --resu"
    with pytest.raises(RunError, match=expected):
        recover(recovery, folder, reporter=quiet())


def test_a_damaged_checkpoint_is_told(recovery, whole, tmp_path):
    (checkpoint,) = (tmp_path / "whole" / "checkpoints" / "rank_00000").glob("*.h5")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"found a checkpoint that cannot be read .*; restore it"):
        recover(recovery, RunFolder(tmp_path / "whole"), resume=True, reporter=quiet())


def test_more_iterations_go_on_from_the_last(recovery, whole, tmp_path):
    folder = RunFolder(tmp_path / "more")
    folder.path.mkdir()
    lbfgs = isinstance(recovery.minimiser, QuasiNewton)
    less = QuasiNewton(Criteria(iterations=2)) if lbfgs else Incremental(outer=1, inner=3)
    fewer = replace(recovery, minimiser=less)
    assert recover(fewer, folder, reporter=quiet()).result.stop is Stop.ITERATIONS
    recover(recovery, folder, resume=True, reporter=quiet())
    assert table(folder.path) == whole
    assert json.loads(folder.record.read_text())["status"] == "iterations"


def test_without_resume_it_begins_anew(recovery, whole, tmp_path):
    lines = []
    folder = RunFolder(tmp_path / "whole")
    recover(recovery, folder, reporter=PlainReporter(lines.append))
    assert table(folder.path) == whole
    loops = [] if isinstance(recovery.minimiser, QuasiNewton) else ["outer", "inner"]
    assert lines[0].split()[: 3 + len(loops)] == ["iteration", *loops, "J", "Jo"]
    assert len(lines) == 1 + len(whole)


def test_a_first_guess_that_is_not_finite_is_not_called_converged(recovery, tmp_path):
    def broken(control):
        evaluation = recovery.objective(control)
        return replace(evaluation, shares={"Jo": jnp.nan})

    class Broken:
        run, transform, space = (
            recovery.objective.run,
            recovery.objective.transform,
            recovery.objective.space,
        )
        __call__ = staticmethod(broken)

    found = recover(replace(recovery, objective=Broken()), RunFolder(tmp_path), reporter=quiet())
    assert found.result.stop is Stop.NON_FINITE
    assert not found.result.converged
    assert (
        module.outcome(found.result.stop) == "ended: the cost is not finite wherever it was tried"
    )


def test_a_table_that_cannot_be_written_is_an_error_in_words(recovery, tmp_path):
    (tmp_path / "iterations.csv").mkdir()
    with pytest.raises(RunError, match=r"iterations.csv: Is a directory; make room"):
        recover(recovery, RunFolder(tmp_path), reporter=quiet())


def test_checkpoints_of_another_layout_are_refused(recovery, tmp_path):
    folder = RunFolder(tmp_path)
    recover(recovery, folder, reporter=quiet())
    other = replace(recovery, objective=LorenzTwin(SerialCommunicator(), n=6).objective())
    with pytest.raises(RunError, match=r"found an array of shape \(1, 8\), expected \(1, 6\)"):
        recover(other, folder, resume=True, reporter=quiet())
