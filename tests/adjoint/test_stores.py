"""Stores keep arrays bitwise and wholly; schedules keep to their limits."""

from __future__ import annotations

from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.io.checkpoints import FolderStore
from dassim.simulation.adjoint import Run, cost_and_gradient
from dassim.simulation.checkpoints import MemoryStore, Schedule
from dassim.simulation.segments import RunInputs, Segment, SegmentData
from dassim.simulation.trees import named_leaves, tree_from_named
from tests.models.linear import LinearModel

ARRAYS = {
    "state.T": np.random.default_rng(0).normal(size=(2, 3, 4)),
    "state.single": np.float32(1) / np.arange(1, 5, dtype=np.float32),
    "count": np.array(7),
    "mask": np.array([True, False]),
    "special": np.array([np.nan, np.inf, -0.0, 5e-324]),
    "empty": np.zeros((0, 3)),
}


@pytest.fixture(params=["memory", "folder", "durable folder"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore()
    return FolderStore(tmp_path / "new", rank=3, durable=request.param == "durable folder")


def test_what_is_read_is_bitwise_what_was_written(store):
    assert store.names() == set()
    store.write("state.000001", ARRAYS)
    store.write("state.000002", {"x": jnp.ones(3)})
    assert store.names() == {"state.000001", "state.000002"}
    found = store.read("state.000001")
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.asarray(found[name]).tobytes() == array.tobytes(), name
    store.write("state.000002", {"y": jnp.zeros(2)})
    assert set(store.read("state.000002")) == {"y"}
    store.remove("state.000001")
    assert store.names() == {"state.000002"}
    store.clear()
    assert store.names() == set()


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_entry_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch, durable):
    store, synced = FolderStore(tmp_path / "new", durable=durable), []

    def sync(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr("os.fsync", sync)
    store.write("a", ARRAYS)
    assert synced == (["new", "a.h5.unfinished", "rank_00000"] if durable else [])


def test_ranks_do_not_share_a_folder(tmp_path):
    one, two = (FolderStore(tmp_path, rank) for rank in (0, 1))
    one.write("a", {"x": np.zeros(1)})
    assert one.names() == {"a"} and two.names() == set()


def test_an_entry_that_was_not_finished_is_not_there(tmp_path, monkeypatch):
    store = FolderStore(tmp_path)
    store.write("a", {"x": np.zeros(2)})

    def killed(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.Group, "create_dataset", killed)
    for name in ("a", "b"):
        with pytest.raises(KeyboardInterrupt):
            store.write(name, {"x": np.ones(2)})
    assert store.names() == {"a"}
    np.testing.assert_array_equal(store.read("a")["x"], 0.0)
    assert len(list(store.own.iterdir())) == 3
    store.clear()
    assert list(store.own.iterdir()) == []


def test_what_a_full_disk_does_not_take_leaves_no_trace(disk):
    store = FolderStore(disk)
    store.write("a", {"x": np.zeros(2)})
    for name in ("a", "b"):
        with pytest.raises(OSError, match=rf"{name}\.h5: No space left on device"):
            store.write(name, {"x": np.ones(10**6)})
    assert [path.name for path in store.own.iterdir()] == ["a.h5"]
    np.testing.assert_array_equal(store.read("a")["x"], 0.0)


def test_a_damaged_entry_is_not_read(tmp_path):
    store = FolderStore(tmp_path)
    store.write("a", ARRAYS)
    path = store.own / "a.h5"
    content = path.read_bytes()
    where = content.index(ARRAYS["state.T"].tobytes())
    path.write_bytes(content[:where] + bytes(8) + content[where + 8 :])
    with pytest.raises(OSError, match=r"a\.h5: found other numbers than were written"):
        store.read("a")
    for length in (where, 0):
        path.write_bytes(content[:length])
        with pytest.raises(OSError, match=r"a\.h5: Unable to "):
            store.read("a")


def test_a_missing_entry_is_named(tmp_path):
    store = FolderStore(tmp_path)
    store.write("there", {})
    with pytest.raises(FileNotFoundError, match=r"found no .*missing\.h5; there are there"):
        store.read("missing")


def test_a_tree_survives_its_names_and_other_shapes_are_refused():
    tree = {"u": jnp.ones((2, 3)), "tracers": (jnp.zeros(4), jnp.array(3))}
    named = named_leaves(tree, "state")
    assert set(named) == {"state.u", "state.tracers.0", "state.tracers.1"}
    again = tree_from_named(named, tree, "state")
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    with pytest.raises(ValueError, match=r"state.u: found an array of shape \(2, 3\), expected"):
        tree_from_named(named, {**tree, "u": jnp.ones((4, 3))}, "state")
    with pytest.raises(KeyError, match=r"found no 'state\.v'"):
        tree_from_named(named, {"v": jnp.ones(1)}, "state")


def weighted_sum(state, weights):
    return {"J": jnp.sum(weights * state.x)}


@pytest.mark.parametrize("segments", [1, 2, 3, 10, 17])
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(),
        Schedule(memory=1),
        Schedule(memory=4),
        Schedule(memory=0, disk=1),
        Schedule(memory=0, disk=3),
        Schedule(memory=0, disk=None),
        Schedule(memory=1, disk=None),
        Schedule(memory=2, disk=None, write_cost=3.0, read_cost=3.0),
        Schedule(memory=1, disk=1),
        Schedule(memory=2, disk=4),
    ],
    ids=str,
)
def test_every_schedule_keeps_to_its_limits_for_any_number_of_segments(segments, schedule):
    """``x_n = M^n x_0``: the gradient of a weighted sum of the last state is known."""
    model = LinearModel.rotating(4)
    weights = jnp.arange(1.0, 5.0)[None]
    run = Run(
        Segment(model, weighted_sum),
        (1,) * segments,
        lambda k: SegmentData(end=weights if k == segments - 1 else None),
    )
    inputs = RunInputs({}, model.state(np.ones(4)))
    store = MemoryStore()
    found = cost_and_gradient(run, inputs, schedule, store if schedule.uses_disk else None)
    expected = weights @ np.linalg.matrix_power(np.asarray(model.matrix), segments)
    np.testing.assert_allclose(found.inputs.state.x, expected, rtol=1e-12)
    tally = found.tally
    assert tally.reversed == segments
    assert schedule.advanced(segments) == tally.advanced
    assert schedule.kept(segments) >= tally.memory
    assert schedule.memory is None or tally.memory <= schedule.memory
    assert schedule.disk is None or tally.disk <= schedule.disk
    assert store.names() == set()
