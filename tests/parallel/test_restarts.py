"""States that any number of ranks writes and any other reads."""

import itertools

import h5py
import numpy as np
import pytest

from dassim.io.restarts import RestartError, StateArchive
from dassim.parallel import Domain, MPICommunicator, world
from tests.models.states import SHAPE, VARIABLES, local, moment, same_bits, whole


def layouts():
    size = world().size
    return [(p, size // p) for p in range(1, size + 1) if size % p == 0]


def archive(folder, layout=None):
    return StateArchive(folder, Domain.create(SHAPE, layout=layout), VARIABLES)


def assert_read(archive, step):
    entry, damaged = archive.newest()
    assert entry is not None
    assert damaged == {}
    like = local(archive.domain, step)
    read = archive.read(entry, like)
    assert all(same_bits(read[name], array) for name, array in like.items())


def test_every_layout_reads_every_other(folder):
    for step, (one, other) in enumerate(itertools.product(layouts(), repeat=2)):
        writer = archive(folder, one)
        writer.write(moment(step), local(writer.domain, step))
        assert_read(archive(folder, other), step)


@pytest.mark.ranks(3)
def test_one_rank_writes_three_go_on_two_read(folder):
    """Steps 1, 2 and 3 of a run whose sessions have 1, 3 and 2 ranks."""
    comm = world()
    two = MPICommunicator(comm.mpi.Split(comm.rank == 2, comm.rank))
    alone = StateArchive(folder, Domain.serial(SHAPE), VARIABLES)
    if comm.is_root:
        alone.write(moment(1), local(alone.domain, 1))
    comm.barrier()
    three = archive(folder)
    assert_read(three, 1)
    three.write(moment(2), local(three.domain, 2))
    if comm.rank < 2:
        pair = StateArchive(folder, Domain.create(SHAPE, comm=two, layout=(2, 1)), VARIABLES)
        assert_read(pair, 2)
        pair.write(moment(3), local(pair.domain, 3))
    comm.barrier()
    if comm.is_root:
        assert_read(alone, 3)


def test_the_index_shows_the_global_arrays(folder):
    written = archive(folder).write(moment(1), local(archive(folder).domain, 1))
    with h5py.File(written.folder / "index.h5") as file:
        assert all(same_bits(file[name][()], array) for name, array in whole(1).items())


def test_only_the_rectangle_needed_is_read(folder, monkeypatch):
    """Of a file per rank, those that do not overlap are not opened."""
    one = archive(folder)
    one.write(moment(1), local(one.domain, 1))
    opened = []
    monkeypatch.setattr(
        "dassim.io.pieces.h5py.File", lambda path, mode: opened.append(path) or File(path, mode)
    )
    assert_read(one, 1)
    assert [path.name for path in opened] == [f"rank_{world().rank:05d}.h5"]


File = h5py.File


def test_damage_of_any_piece_is_known_to_all_ranks(folder):
    comm, one = world(), archive(folder)
    for step in (1, 2):
        one.write(moment(step), local(one.domain, step))
    last = folder / moment(2).label / f"rank_{comm.size - 1:05d}.h5"
    if comm.is_root:
        last.write_bytes(last.read_bytes()[:-1])
    comm.barrier()
    found = one.newest()
    assert found.entry.step == 1
    (problem,) = found.damaged[moment(2).label]
    assert problem.startswith(f"{last}: found ")


def test_a_rank_that_cannot_write_stops_all(folder, monkeypatch):
    comm, one = world(), archive(folder)
    one.write(moment(1), local(one.domain, 1))

    def full(path, *_):
        raise OSError(28, "")

    if comm.rank == comm.size - 1:
        monkeypatch.setattr("dassim.io.pieces.write_file", full)
    with pytest.raises(RestartError, match=rf"\(rank {comm.size - 1}: .* No space left on device"):
        one.write(moment(2), local(one.domain, 2))
    comm.barrier()
    assert [entry.step for entry in one.entries()] == [1]
    assert_read(one, 1)


def test_leaves_may_be_read_one_by_one(folder):
    one = archive(folder)
    one.write(moment(1), local(one.domain, 1))
    read = one.read(one.newest().entry, {"previous.u": local(one.domain, 1)["previous.u"]})
    assert np.array_equal(one.domain.gather(read["previous.u"]), whole(1)["previous.u"])
