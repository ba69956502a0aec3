"""A recovery on several ranks that one of them, or other files, keep from going on."""

from __future__ import annotations

import csv
import errno
import shutil
from dataclasses import replace

import pytest

from dassim.assimilation.minimise import Criteria, QuasiNewton
from dassim.assimilation.recovery import PlainReporter, Recovered, Recovery, recover
from dassim.assimilation.window import Window
from dassim.io.durable import publish_file
from dassim.parallel import SerialCommunicator, world
from dassim.simulation.clock import Clock
from dassim.simulation.errors import RunError
from dassim.simulation.folder import RunFolder
from tests.models.twin import LorenzTwin

pytestmark = pytest.mark.ranks(2, 3)


@pytest.fixture(scope="module")
def comm():
    return world()


@pytest.fixture(scope="module")
def objective(comm):
    return LorenzTwin(comm, n=12).objective()


def recovered(objective, path, evaluations=6, **options) -> Recovered:
    """In the folder ``path``, by so many evaluations."""
    path.mkdir(exist_ok=True)
    minimiser = QuasiNewton(Criteria(evaluations=evaluations))
    recovery = Recovery(objective, Window.of(0, 8, 4), Clock(time_step=0.05), minimiser=minimiser)
    return recover(recovery, RunFolder(path), reporter=PlainReporter(lambda _: None), **options)


def table(path):
    with (path / "iterations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("seconds", "memory (MB)")} for row in rows]


def full_on(rank, comm, monkeypatch):
    """The disk of one rank has no room for checkpoints."""

    def publish(unfinished, path):
        if comm.rank == rank:
            raise OSError(errno.ENOSPC, "No space left on device")
        publish_file(unfinished, path)

    monkeypatch.setattr("dassim.io.checkpoints.publish_file", publish)


@pytest.mark.parametrize("evaluations", [1, 3], ids=["first", "later"])
def test_one_rank_without_room_for_a_checkpoint_stops_all_and_all_go_on(
    comm, objective, folder, monkeypatch, evaluations
):
    last = comm.size - 1
    recovered(objective, folder / "whole")
    if evaluations > 1:
        recovered(objective, folder / "full", evaluations - 1)
    with monkeypatch.context() as patch:
        full_on(last, comm, patch)
        with pytest.raises(RunError, match=rf"^rank {last}: .*{evaluations}.h5: No space .*resume"):
            recovered(objective, folder / "full", resume=True)
    recovered(objective, folder / "full", resume=True)
    assert table(folder / "full") == table(folder / "whole")


@pytest.mark.parametrize("evaluations", [1, 3], ids=["first", "later"])
def test_checkpoints_that_a_rank_has_lost_are_refused_but_for_the_first(
    comm, objective, folder, evaluations
):
    recovered(objective, folder / "whole")
    recovered(objective, folder / "lost", evaluations)
    comm.barrier()
    if comm.is_root:
        shutil.rmtree(folder / "lost" / "checkpoints" / f"rank_{comm.size - 1:05d}")
    comm.barrier()
    if evaluations == 1:
        recovered(objective, folder / "lost", resume=True)
        assert table(folder / "lost") == table(folder / "whole")
    else:
        expected = rf"of {comm.size - 1} of {comm.size} ranks, expected one that all have.*restore"
        with pytest.raises(RunError, match=expected):
            recovered(objective, folder / "lost", resume=True)


@pytest.mark.parametrize("evaluations", [1, 3], ids=["first", "later"])
def test_checkpoints_of_fewer_ranks_are_refused(comm, objective, folder, evaluations):
    if comm.is_root:
        alone = LorenzTwin(SerialCommunicator(), n=12).objective()
        recovered(alone, folder / "alone", evaluations)
    comm.barrier()
    with pytest.raises(RunError, match=r"found .*checkpoint.* of 1 .*the number and the layout of"):
        recovered(objective, folder / "alone", resume=True)


def test_other_data_on_one_rank_are_refused_by_all(comm, objective, folder):
    def cost_of(name, data=b"these"):
        return replace(objective, run=replace(objective.run, identity={name: data}))

    last = comm.rank == comm.size - 1
    recovered(cost_of("Jo"), folder / "data", 2)
    for other, names in (
        (cost_of("Jo", b"others" if last else b"these"), "Jo"),
        (cost_of("Jo.2" if last else "Jo"), "Jo, Jo.2"),
    ):
        with pytest.raises(RunError, match=f"^found other values of {names} than .* in another fo"):
            recovered(other, folder / "data", resume=True)
    assert recovered(cost_of("Jo"), folder / "data", resume=True).result.state.evaluations == 6
