"""Files of fields: what stands in them, when they are safe, and what a refusal says."""

from __future__ import annotations

import resource
import threading

import jax.numpy as jnp
import netCDF4
import numpy as np
import pytest

from dassim.io import part
from dassim.io.fields import FieldWriter
from dassim.io.geometry import Geometry, of_grid
from dassim.io.netcdf import OutputError, chunk_of, finished_times
from dassim.io.stream import Clock
from tests.models.fields import (
    ATTRIBUTES,
    DAY,
    NAMES,
    NX,
    NY,
    NZ,
    OUTPUTS,
    basin,
    put_days,
    record,
    stream,
    whole_field,
    write_days,
    writer,
)
from tests.models.lorenz import Lorenz96

FIRST = "2000-01-30/part_00000.nc"


@pytest.fixture
def grid():
    return basin()


def folders(path):
    return sorted(folder.name for folder in path.iterdir())


# -- what stands in a file ------------------------------------------------------------------------


def test_values_are_those_put_and_land_is_missing(tmp_path, grid):
    write_days(tmp_path, stream(), grid, range(2))
    with netCDF4.Dataset(tmp_path / "fields/daily" / FIRST) as file:
        for name in NAMES:
            at = "c" if OUTPUTS[name].location == "w" else OUTPUTS[name].location
            wet = np.asarray(grid.owned_mask(at, levels=OUTPUTS[name].levels))
            for day in range(2):
                values = file[name][day]
                np.testing.assert_array_equal(values.mask, ~wet, err_msg=name)
                np.testing.assert_array_equal(values[wet], whole_field(name, day)[wet])


def test_variables_say_what_they_are(tmp_path, grid):
    write_days(tmp_path, stream(precision="float32"), grid, range(1))
    with netCDF4.Dataset(tmp_path / "fields/daily" / FIRST) as file:
        u = file["u"]
        assert u.dimensions == ("time", "depth", "y", "x_u")
        assert u.dtype == np.float32
        assert (u.standard_name, u.units) == ("sea_water_x_velocity", "m s-1")
        assert u.cell_methods == "time: mean"
        assert file["T"].cell_measures == "area: cell_area"
        assert file["T"].units_metadata == "temperature: on_scale"
        assert file["w"].dimensions == ("time", "depth_w", "y", "x")
        assert file["zeta"].dimensions == ("time", "depth", "y_v", "x_u")
        assert (file.Conventions, file.title) == ("CF-1.11", "test")


def test_times_have_bounds_and_a_calendar(tmp_path, grid):
    write_days(tmp_path, stream(), grid, range(2))
    with netCDF4.Dataset(tmp_path / "fields/daily" / FIRST) as file:
        time = file["time"]
        assert (time.units, time.calendar) == ("days since 2000-01-30 00:00:00", "noleap")
        assert time[:].tolist() == [0.5, 1.5]
        assert file[time.bounds][:].tolist() == [[0, 1], [1, 2]]


def test_snapshots_have_times_without_bounds(tmp_path, grid):
    write_days(tmp_path, stream(kind="snapshot"), grid, range(1))
    with netCDF4.Dataset(tmp_path / "fields/daily/2000-01-31/part_00000.nc") as file:
        assert file["time"][:].tolist() == [1.0]
        assert "time_bnds" not in file.variables
        assert file["T"].cell_methods == "time: point"


def test_coordinates_of_a_plane_have_bounds(tmp_path, grid):
    write_days(tmp_path, stream(), grid, range(1))
    with netCDF4.Dataset(tmp_path / "fields/daily" / FIRST) as file:
        assert file["x"][:2].tolist() == [500, 1500]
        assert file[file["x"].bounds][0].tolist() == [0, 1000]
        assert file["x_u"][:2].tolist() == [0, 1000]
        assert file[file["x_u"].bounds][0].tolist() == [-500, 500]
        assert file["y_v"][1] == 2000
        assert (file["depth"].positive, file["depth"].axis) == ("down", "Z")
        assert file["depth"][:].tolist() == [5, 20, 50]
        assert file[file["depth"].bounds][:].tolist() == [[0, 10], [10, 30], [30, 70]]
        assert file["depth_w"][:].tolist() == [0, 10, 30]


def test_coordinates_of_the_sphere_end_at_the_pole():
    coordinates = of_grid(basin("spherical")).coordinates
    assert coordinates["lat"].attributes["units"] == "degrees_north"
    np.testing.assert_allclose(coordinates["lat"].bounds[0], [-90, -70])
    np.testing.assert_allclose(coordinates["lat_v"].bounds[0], [-90, -80])
    np.testing.assert_allclose(coordinates["lon_u"].values, np.arange(NX) * 45.0)


def test_cells_of_a_curvilinear_grid_have_corners(tmp_path):
    write_days(tmp_path, stream(), basin("orthogonal"), range(1))
    with netCDF4.Dataset(tmp_path / "fields/daily" / FIRST) as file:
        assert file["T"].coordinates == "x_at_c y_at_c"
        assert file["x_at_c"][2, 3] == pytest.approx(3.3)
        corners = file[file["x_at_c"].bounds][2, 3]
        np.testing.assert_allclose(corners, [3.3, 4.3, 4.4, 3.4])


def test_a_model_without_a_grid_is_written_over_indices(tmp_path):
    model = Lorenz96.create(12)
    one = stream(variables=("x",))
    with FieldWriter.open(
        tmp_path, one, Geometry.of(model), model.domain, {}, variables=model.variables
    ) as made:
        made.put(0.0, DAY, {"x": np.arange(12.0)[None]})
    with netCDF4.Dataset(tmp_path / "daily/0001-01-01/part_00000.nc") as file:
        assert file["x"][0, 0].tolist() == list(range(12))


def test_chosen_levels_alone_are_written(tmp_path, grid):
    write_days(tmp_path, stream(levels=(0, 2)), grid, range(1))
    with netCDF4.Dataset(tmp_path / "fields/daily" / FIRST) as file:
        assert file["depth"][:].tolist() == [5, 50]
        assert file["T"].shape == (1, 2, NY, NX)
        wet = np.asarray(grid.owned_mask("c"))[2]
        np.testing.assert_array_equal(file["T"][0, 1][wet], whole_field("T", 0)[2][wet])


def test_the_grid_is_written_once(tmp_path, grid):
    write_days(tmp_path, stream(), grid, range(1))
    with netCDF4.Dataset(tmp_path / "fields/grid/part_00000.nc") as file:
        np.testing.assert_array_equal(file["cell_area"][:], 2e6)
        np.testing.assert_array_equal(file["mask"][:], grid.owned_mask("c"))
        assert file["mask"].standard_name == "sea_binary_mask"
        np.testing.assert_array_equal(file["bottom_depth"][:], grid.owned(grid.depth.c))


def test_chunks_hold_whole_rows_within_the_limit():
    assert chunk_of((50, 100, 200), 4) == (1, 50, 100, 200)
    assert chunk_of((50, 4000, 8000), 4) == (1, 1, 2097, 8000)


# -- files along time -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ("day", ["2000-01-30", "2000-01-31", "2000-02-01"]),
        ("month", ["2000-01-30", "2000-02-01"]),
        ("year", ["2000-01-30"]),
        ("run", ["2000-01-30"]),
    ],
)
def test_records_of_a_period_share_a_file(tmp_path, grid, per, expected):
    write_days(tmp_path, stream(file_per=per, variables=("eta",)), grid, range(3))
    assert folders(tmp_path / "fields/daily") == expected


def test_nothing_is_added_to_a_file_after_a_flush(tmp_path, grid):
    with writer(tmp_path, stream(), grid) as made:
        put_days(made, grid, range(1))
        made.flush()
        before = (tmp_path / "daily" / FIRST).read_bytes()
        put_days(made, grid, range(1, 2))
    assert (tmp_path / "daily" / FIRST).read_bytes() == before
    assert folders(tmp_path / "daily") == ["2000-01-30", "2000-01-31"]


def test_records_can_be_read_while_the_file_is_open(tmp_path, grid):
    made = writer(tmp_path, stream(), grid)
    put_days(made, grid, range(2))
    made.truncate_after(1e9)  # waits for the record on its way
    assert finished_times(tmp_path / "daily" / FIRST).tolist() == [DAY, 2 * DAY]
    made.close()


def test_a_record_without_a_time_is_not_finished(tmp_path, grid):
    write_days(tmp_path, stream(), grid, range(2))
    path = tmp_path / "fields/daily" / FIRST
    with netCDF4.Dataset(path, "a") as file:
        file["T"][2] = 0.0
    assert finished_times(path).tolist() == [DAY, 2 * DAY]


# -- resuming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", range(5))
def test_later_records_go_and_are_written_again(tmp_path, grid, kept):
    write_days(tmp_path, stream(file_per="month"), grid, range(4))
    again = writer(tmp_path / "fields", stream(file_per="month"), grid)
    again.truncate_after(kept * DAY)
    put_days(again, grid, range(kept, 4))
    again.close()
    ends, values = [], []
    for folder in folders(tmp_path / "fields/daily"):
        path = tmp_path / "fields/daily" / folder / "part_00000.nc"
        ends += finished_times(path).tolist()
        with netCDF4.Dataset(path) as file:
            values += list(file["T"][:])
            assert file["time"].units == "days since 2000-01-30 00:00:00"
    assert ends == [DAY, 2 * DAY, 3 * DAY, 4 * DAY]
    wet = np.asarray(grid.owned_mask("c"))
    for day in range(4):
        np.testing.assert_array_equal(values[day][wet], whole_field("T", day)[wet])


def test_a_damaged_file_from_after_the_restart_goes_too(tmp_path, grid):
    write_days(tmp_path, stream(file_per="day"), grid, range(2))
    late = tmp_path / "fields/daily/2000-01-31"
    (late / "part_00000.nc").write_bytes(b"half a file")
    writer(tmp_path / "fields", stream(), grid).truncate_after(DAY)
    assert not late.exists()


def test_a_damaged_file_of_the_mean_under_way_goes_too(tmp_path, grid):
    """It begins before the restart, and was written after it."""
    write_days(tmp_path, stream(file_per="day"), grid, range(2))
    late = tmp_path / "fields/daily/2000-01-31"
    (late / "part_00000.nc").write_bytes(b"half a file")
    writer(tmp_path / "fields", stream(), grid).truncate_after(1.5 * DAY, begun=DAY)
    assert folders(tmp_path / "fields/daily") == ["2000-01-30"]


def test_a_shortened_file_stands_on_disk_before_it_has_its_name(tmp_path, grid, monkeypatch):
    write_days(tmp_path, stream(), grid, range(2))
    durable = []
    for sync in ("make_durable", "sync_folder"):
        monkeypatch.setattr(f"dassim.io.fields.{sync}", lambda path: durable.append(path.name))
    writer(tmp_path / "fields", stream(), grid).truncate_after(DAY)
    assert durable == ["part_00000.nc.new", "2000-01-30"]


def test_a_damaged_file_from_before_the_restart_is_named(tmp_path, grid):
    write_days(tmp_path, stream(file_per="day"), grid, range(2))
    early = tmp_path / "fields/daily" / FIRST
    early.write_bytes(b"half a file")
    with pytest.raises(OutputError, match=f"found {early} unreadable .*; expected a netCDF file"):
        writer(tmp_path / "fields", stream(), grid).truncate_after(2 * DAY)


def test_records_of_another_run_are_not_overwritten(tmp_path, grid):
    write_days(tmp_path, stream(), grid, range(2))
    again = writer(tmp_path / "fields", stream(), grid)
    with pytest.raises(
        OutputError, match=r"found records of another run from 2000-01-30 on .* resume that run"
    ):
        put_days(again, grid, range(2))


# -- in the background ----------------------------------------------------------------------------


def test_put_returns_before_the_record_is_written_and_waits_for_the_one_before(
    tmp_path, grid, monkeypatch
):
    gate, entered = threading.Event(), threading.Event()
    append = part.PartFile.append

    def slow(self, *arguments):
        entered.set()
        assert gate.wait(20)
        return append(self, *arguments)

    monkeypatch.setattr(part.PartFile, "append", slow)
    made = writer(tmp_path, stream(), grid)
    put_days(made, grid, range(1))  # returns, although the thread stands still
    assert entered.wait(20)
    second = threading.Thread(target=put_days, args=(made, grid, range(1, 2)))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    gate.set()
    second.join(20)
    made.close()
    assert made.seconds_lost > 0.15
    assert finished_times(tmp_path / "daily" / FIRST).tolist() == [DAY, 2 * DAY]


def test_what_is_put_may_change_afterwards(tmp_path, grid):
    gate = threading.Event()
    fields = {name: jnp.asarray(value) for name, value in record(grid.domain, 0).items()}
    numbers = record(grid.domain, 1)
    with writer(tmp_path, stream(), grid) as made:
        made._thread.submit(gate.wait, 20)  # nothing is taken from the arrays before the gate opens
        made.put(0.0, DAY, fields)
        for array in fields.values():
            array.delete()
        gate.set()
        made.put(DAY, 2 * DAY, numbers)
        for array in numbers.values():
            array[...] = 0.0
    wet = np.asarray(grid.owned_mask("c"))
    with netCDF4.Dataset(tmp_path / "daily" / FIRST) as file:
        np.testing.assert_array_equal(file["T"][0][wet], whole_field("T", 0)[wet])
        np.testing.assert_array_equal(file["T"][1][wet], whole_field("T", 1)[wet])


def test_bytes_are_counted(tmp_path, grid):
    made = write_days(tmp_path, stream(variables=("T", "eta")), grid, range(3))
    assert made.bytes_written == 3 * 8 * (NZ + 1) * NY * NX


def test_an_error_in_the_background_is_raised_by_the_next_call(tmp_path, grid, monkeypatch):
    def full(self, *arguments):
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(part.PartFile, "append", full)
    made = writer(tmp_path, stream(), grid)
    put_days(made, grid, range(1))
    with pytest.raises(
        OutputError,
        match=r"stream daily, rank 0: .*cannot write .*part_00000.nc \(NetCDF: HDF error\): found "
        r".* MB free on its file system; expected room for the record; free some space",
    ):
        put_days(made, grid, range(1, 2))
    with pytest.raises(OutputError, match="HDF error"):
        made.close()


def test_unknown_variables_are_refused(tmp_path, grid):
    with pytest.raises(ValueError, match="stream daily: found no variables C; expected some of"):
        writer(tmp_path, stream(variables=("T", "C")), grid)


# -- dates ----------------------------------------------------------------------------------------


def test_dates_follow_the_calendar():
    labels = {
        calendar: Clock("2000-02-28", calendar).label(2 * DAY)
        for calendar in ("standard", "noleap", "360_day")
    }
    assert labels == {"standard": "2000-03-01", "noleap": "2000-03-02", "360_day": "2000-02-30"}


def test_labels_sort_and_read_back():
    clock = Clock("0001-01-01")
    times = [0.0, 3600.0, DAY, 400 * DAY]
    labels = [clock.label(seconds) for seconds in times]
    assert labels == sorted(labels)
    assert [clock.seconds(label) for label in labels] == times


def test_global_attributes_are_written(tmp_path, grid):
    write_days(tmp_path, stream(), grid, range(1))
    with netCDF4.Dataset(tmp_path / "fields/daily" / FIRST) as file:
        assert {name: file.getncattr(name) for name in ATTRIBUTES} == ATTRIBUTES


# -- disks that fail ------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """No file may grow beyond 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_earlier_files_stay(tmp_path, grid, small_disk):
    made = writer(tmp_path, stream(file_per="run"), grid)
    put_days(made, grid, range(2))
    made.flush()
    with pytest.raises(OutputError, match=r"cannot write .* MB free on its file system"):
        for day in range(2, 60):
            put_days(made, grid, range(day, day + 1))
    with pytest.raises(OutputError):
        made.close()
    assert finished_times(tmp_path / "daily" / FIRST).tolist() == [DAY, 2 * DAY]


def test_a_folder_without_permission_is_said(tmp_path, grid, monkeypatch):
    monkeypatch.setattr("dassim.io.fields.os.access", lambda *_: False)  # tests may run as root
    monkeypatch.setattr(part.PartFile, "append", lambda *_: (_ for _ in ()).throw(OSError("no")))
    made = writer(tmp_path, stream(), grid)
    put_days(made, grid, range(1))
    with pytest.raises(OutputError, match=r"found .* without permission to write; expected a fold"):
        made.flush()
