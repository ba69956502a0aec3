"""States on disk: whole or not used, and told what is wrong with them."""

import json
import shutil

import h5py
import numpy as np
import pytest

from dassim.io import durable, pieces
from dassim.io.restarts import RestartError, StateArchive
from dassim.parallel import Domain
from tests.models.states import SHAPE, VARIABLES, local, moment, same_bits, whole


@pytest.fixture
def archive(tmp_path):
    return StateArchive(
        tmp_path / "restarts", Domain.serial(SHAPE), VARIABLES, {"namelist_sha256": "abc"}
    )


@pytest.fixture
def two(archive):
    """The archive with restarts of steps 1 and 2."""
    for step in (1, 2):
        archive.write(moment(step), local(archive.domain, step))
    return archive


def newest_piece(archive):
    return archive.folder / moment(2).label / "rank_00000.h5"


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_state_comes_back_bitwise(archive):
    written = archive.write(moment(1), local(archive.domain, 1))
    found = archive.newest()
    assert found.damaged == {}
    assert found.entry.folder == written.folder == archive.folder / "2000-01-01T00-01-00"
    read = archive.read(found.entry, local(archive.domain, 1))
    assert all(same_bits(read[name], array) for name, array in whole(1).items())


def test_part_of_a_state_can_be_read(two):
    entry = two.newest().entry
    read = two.read(entry, {"eta": np.zeros(SHAPE)})
    assert list(read) == ["eta"]
    assert same_bits(read["eta"], whole(2)["eta"])


def test_pieces_say_where_they_lie(two):
    with h5py.File(newest_piece(two)) as file:
        u = file["u"].attrs
        assert list(u["start"]) == [0, 0, 0]
        assert list(u["global_shape"]) == [3, *SHAPE]
        assert (u["location"], u["units"]) == ("u", "m s-1")
        assert u["standard_name"] == "sea_water_x_velocity"
        assert file["previous.u"].attrs["location"] == "u"
        assert file["tracers.dye"].attrs["location"] == "c"
        assert file.attrs["schema"] == pieces.SCHEMA
        assert file.attrs["step"] == 2


def test_the_manifest_says_what_belongs_to_the_state(two):
    content = json.loads((newest_piece(two).parent / "manifest.json").read_text())["content"]
    piece = newest_piece(two)
    assert content["ranks"] == 1
    assert content["notes"] == {"namelist_sha256": "abc"}
    assert content["pieces"][0]["bytes"] == piece.stat().st_size
    assert content["pieces"][0]["sha256"] == durable.sha256_of(piece)
    assert (content["step"], content["date"]) == (2, "2000-01-01 00:02:00")


def test_the_index_shows_the_global_arrays(two):
    with h5py.File(newest_piece(two).parent / "index.h5") as file:
        assert all(same_bits(file[name][()], array) for name, array in whole(2).items())
        assert file["u"].attrs["units"] == "m s-1"


def test_the_index_shows_a_missing_piece_as_not_a_number(two):
    newest_piece(two).unlink()
    with h5py.File(newest_piece(two).parent / "index.h5") as file:
        assert np.isnan(file["eta"][()]).all()


# -- damage ---------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def found_instead(archive):
    """The step that is used, and what is said of the newest."""
    found = archive.newest()
    (problems,) = found.damaged.values()
    return found.entry.step, problems[0].replace(f"{archive.folder}/", "")


def test_a_truncated_piece_is_found_and_named(two):
    size = newest_piece(two).stat().st_size
    cut(newest_piece(two))
    step, problem = found_instead(two)
    assert step == 1
    assert problem == (
        f"2000-01-01T00-02-00/rank_00000.h5: found {size - 1} bytes, expected {size}"
    )


def test_a_flipped_bit_is_found_and_named(two):
    flip(newest_piece(two))
    assert found_instead(two) == (
        1,
        "2000-01-01T00-02-00/rank_00000.h5: found other contents than were written (sha256)",
    )


def test_a_missing_piece_is_found_and_named(two):
    newest_piece(two).unlink()
    assert found_instead(two) == (1, "2000-01-01T00-02-00/rank_00000.h5: missing")


def test_a_missing_manifest_is_found_and_named(two):
    (newest_piece(two).parent / "manifest.json").unlink()
    assert found_instead(two) == (1, "2000-01-01T00-02-00/manifest.json: missing")


def test_a_truncated_manifest_is_found_and_named(two):
    cut(newest_piece(two).parent / "manifest.json")
    cut(newest_piece(two).parent / "manifest.json")
    step, problem = found_instead(two)
    assert (step, problem) == (1, "2000-01-01T00-02-00/manifest.json: found no manifest in it")


def test_a_changed_manifest_is_found_and_named(two):
    path = newest_piece(two).parent / "manifest.json"
    path.write_text(path.read_text().replace('"step": 2', '"step": 3'))
    assert found_instead(two) == (
        1,
        "2000-01-01T00-02-00/manifest.json: found other contents than were written (sha256)",
    )


def test_another_schema_is_refused(two, monkeypatch):
    monkeypatch.setattr("dassim.io.manifest.SCHEMA", "dassim state 2")
    two.write(moment(3), local(two.domain, 3))
    monkeypatch.undo()
    step, problem = found_instead(two)
    assert step == 2
    assert problem == (
        "2000-01-01T00-03-00/manifest.json: found the layout 'dassim state 2', expected 'dassim "
        "state 1'; read it with the version of dassim that wrote it"
    )


def test_a_half_written_state_is_no_state(two):
    (two.folder / moment(2).label).rename(two.folder / f".partial-{moment(2).label}")
    found = two.newest()
    assert (found.entry.step, found.damaged) == (1, {})
    two.write(moment(3), local(two.domain, 3))
    assert sorted(path.name for path in two.folder.iterdir()) == [
        moment(1).label,
        moment(3).label,
    ]


def test_where_nothing_is_whole_nothing_is_found(two):
    for step in (1, 2):
        flip(two.folder / moment(step).label / "rank_00000.h5")
    found = two.newest()
    assert found.entry is None
    assert sorted(found.damaged) == [moment(1).label, moment(2).label]


def test_a_state_of_the_same_date_is_replaced(two):
    two.write(moment(2), local(two.domain, 5))
    read = two.read(two.newest().entry, {"eta": np.zeros(SHAPE)})
    assert same_bits(read["eta"], whole(5)["eta"])
    assert len(list(two.folder.iterdir())) == 2


def test_a_state_is_replaced_where_a_killed_run_was_about_to(two):
    shutil.copytree(two.folder / moment(2).label, two.folder / f".removed-{moment(2).label}")
    two.write(moment(2), local(two.domain, 5))
    read = two.read(two.newest().entry, {"eta": np.zeros(SHAPE)})
    assert same_bits(read["eta"], whole(5)["eta"])
    assert len(list(two.folder.iterdir())) == 2


# -- what does not fit ----------------------------------------------------------------------------


def refusal(archive, like):
    with pytest.raises(RestartError) as refused:
        archive.read(archive.newest().entry, like)
    return str(refused.value).replace(f"{archive.folder}/", "")


def test_a_leaf_that_is_not_there_is_refused(two):
    assert refusal(two, {"S": np.zeros((3, *SHAPE))}) == (
        "2000-01-01T00-02-00: found no S, which this model needs; there are u, previous.u, "
        "tracers.dye, wet, eta, time, weights; continue with the namelist that wrote it"
    )


def test_other_levels_are_refused(two):
    assert refusal(two, {"u": np.zeros((4, *SHAPE))}) == (
        "2000-01-01T00-02-00: found u of float64 (3, 7, 9), expected float64 (4, 7, 9); continue "
        "with the levels and the precision that wrote it"
    )


def test_another_precision_is_refused(two):
    assert "found u of float64 (3, 7, 9), expected float32 (3, 7, 9)" in refusal(
        two, {"u": np.zeros((3, *SHAPE), "f4")}
    )


def test_another_grid_is_refused(two):
    other = StateArchive(two.folder, Domain.serial((9, 7)))
    assert refusal(other, {"eta": np.zeros((9, 7))}) == (
        "2000-01-01T00-02-00: found a grid of (7, 9) (ny, nx) points, expected (9, 7); continue "
        "with the grid that wrote it"
    )


def test_arrays_that_are_no_state_are_refused(archive):
    with pytest.raises(ValueError, match=r"x: found an array of shape \(4, 4\), expected a scalar"):
        archive.write(moment(1), {"x": np.zeros((4, 4))})
    with pytest.raises(TypeError, match="x: found numbers of type complex128"):
        archive.write(moment(1), {"x": np.zeros(SHAPE, complex)})


# -- a disk that does not take it -----------------------------------------------------------------


def test_a_full_disk_leaves_older_restarts_as_they_were(two, monkeypatch):
    before = files(two.folder)
    monkeypatch.setattr("dassim.io.restarts.free_bytes", lambda folder: 1000)
    with pytest.raises(RestartError) as refused:
        two.write(moment(3), local(two.domain, 3))
    assert str(refused.value).replace(str(two.folder), "RESTARTS") == (
        "cannot write the state of 2000-01-01 00:03:00 (RESTARTS: 3891 bytes needed, 1000 free); "
        "older ones in RESTARTS are as they were; make room or choose a folder that can be "
        "written, and resume"
    )
    assert files(two.folder) == before


def test_a_disk_that_fills_up_leaves_older_restarts_as_they_were(two, monkeypatch):
    before = files(two.folder)

    def full(path, *_):
        raise OSError(28, "h5py's own words")

    monkeypatch.setattr("dassim.io.pieces.write_file", full)
    with pytest.raises(RestartError, match=r"rank_00000.h5: No space left on device\); older ones"):
        two.write(moment(3), local(two.domain, 3))
    assert files(two.folder) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    archive = StateArchive(tmp_path / "file" / "restarts", Domain.serial(SHAPE))
    with pytest.raises(RestartError, match=r"file/restarts: Not a directory\); older ones"):
        archive.write(moment(1), local(archive.domain))


# -- pruning --------------------------------------------------------------------------------------


def steps(archive):
    return [entry.step for entry in archive.entries()]


def test_the_newest_and_the_milestones_are_kept(archive):
    for step in range(1, 9):
        archive.write(moment(step), {"eta": np.zeros(SHAPE)})
        archive.prune(keep_last=2, is_kept=lambda step: step % 3 == 0)
    assert steps(archive) == [3, 6, 7, 8]


def test_what_cannot_be_read_is_not_removed(two):
    (two.folder / moment(1).label / "manifest.json").unlink()
    two.write(moment(3), local(two.domain, 3))
    two.prune(keep_last=1)
    assert sorted(path.name for path in two.folder.iterdir()) == [
        moment(1).label,
        moment(3).label,
    ]


def test_a_damaged_state_ahead_of_the_run_does_not_count(two):
    for step in (8, 9):
        two.write(moment(step), local(two.domain, step))
        flip(two.folder / moment(step).label / "rank_00000.h5")
    two.write(moment(3), local(two.domain, 3))
    two.prune(keep_last=2, until=3)
    assert steps(two) == [2, 3, 8, 9]
    assert two.newest().entry.step == 3


def test_half_removed_states_go(two):
    shutil.copytree(two.folder / moment(1).label, two.folder / f".removed-{moment(1).label}")
    two.prune(keep_last=2)
    assert steps(two) == [1, 2]
    assert not list(two.folder.glob(".*"))
