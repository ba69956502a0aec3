"""Looking at what a run has written: one dataset, merged files, differences of two runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc

import netCDF4
import numpy as np
import pytest
import xarray as xr

import dassim
from dassim.io import collate
from dassim.io.compare import differences, measures, unlike
from dassim.io.dataset import Piece, open_stream
from dassim.io.netcdf import OutputError, finished_times
from dassim.io.stream import Clock
from tests.models.fields import (
    CLOCK,
    DAY,
    NAMES,
    NX,
    NY,
    NZ,
    basin,
    put_days,
    stream,
    whole_field,
    write_days,
    writer,
)


@pytest.fixture(scope="module")
def grid():
    return basin("spherical")


@pytest.fixture(scope="module")
def run(tmp_path_factory, grid):
    """Four days over two months."""
    folder = tmp_path_factory.mktemp("run")
    write_days(folder, stream(), grid, range(4))
    return folder


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def change(folder, name, record, by):
    """Add to one value in a month's file."""
    with netCDF4.Dataset(folder / "fields/daily/2000-01-30/part_00000.nc", "a") as file:
        values = file[name][record]
        place = np.argwhere(~values.mask)[0]
        file[name][(record, *place)] += by


# -- opening --------------------------------------------------------------------------------------


def test_one_dataset_holds_all_records(run, grid):
    found = dassim.open(run)
    assert found.sizes["time"] == 4
    assert [str(time)[:13] for time in found.time.values] == [
        "2000-01-30 12",
        "2000-01-31 12",
        "2000-02-01 12",
        "2000-02-02 12",
    ]
    for name in NAMES:
        assert found[name].chunks is not None, "values are read when they are asked for"
        at = {"w": "c", "eta": "c", "T": "c", "zeta": "q"}.get(name, name)
        wet = np.asarray(grid.owned_mask(at, levels=name != "eta"))
        for day in range(4):
            expected = np.where(wet, whole_field(name, day), np.nan)
            np.testing.assert_array_equal(found[name][day], expected)


def test_metrics_and_bounds_are_coordinates(run, grid):
    found = dassim.open(run)
    assert set(found.data_vars) == set(NAMES)
    assert {"cell_area", "dy_u", "dx_v", "mask", "time_bnds", "depth_bnds"} <= set(found.coords)
    assert found.T.attrs["standard_name"] == "sea_water_potential_temperature"
    np.testing.assert_array_equal(found.mask, grid.owned_mask("c"))


def test_no_file_is_read_before_values_are_wanted(run, monkeypatch):
    found = dassim.open(run)

    def refuse(self, key):
        raise AssertionError("a file was read")

    monkeypatch.setattr(Piece, "__getitem__", refuse)
    mean = found.T.mean("time")
    with pytest.raises(AssertionError, match="a file was read"):
        mean.compute()


def test_a_stream_of_some_levels_has_the_mask_of_those(tmp_path, grid):
    write_days(tmp_path, stream(levels=(0, 2)), grid, range(1))
    found = dassim.open(tmp_path)
    assert found.depth.values.tolist() == [5, 50]
    np.testing.assert_array_equal(found.mask, np.asarray(grid.owned_mask("c"))[[0, 2]])


def test_an_unfinished_record_is_left_out(copy):
    with netCDF4.Dataset(copy / "fields/daily/2000-02-01/part_00000.nc", "a") as file:
        file["T"][2] = 0.0
    assert dassim.open(copy).sizes["time"] == 4


def test_a_file_that_a_run_is_writing_is_read_again(run, monkeypatch):
    attempts = []

    def busy(path):
        if path.parent.name == "2000-02-01" and len(attempts) < 3:
            attempts.append(path)
            raise OutputError("HDF error")
        return finished_times(path)

    monkeypatch.setattr("dassim.io.dataset.finished_times", busy)
    monkeypatch.setattr("dassim.io.dataset.WAITS", (0.0, 0.0, 0.0))
    assert dassim.open(run).sizes["time"] == 4
    assert len(attempts) == 3


WRITE = """
import os, subprocess, sys
if sys.argv[2] == "dassim":
    import dassim.cli
import netCDF4
file = netCDF4.Dataset(sys.argv[1], "w")
file.createDimension("time", None)
file.createVariable("T", "f8", ("time",))[0] = 1.0
file.sync()
look = "import sys, netCDF4; print(netCDF4.Dataset(sys.argv[1])['T'].shape)"
os.environ.pop("HDF5_USE_FILE_LOCKING", None)
subprocess.run([sys.executable, "-c", look, sys.argv[1]], check=True)
"""


@pytest.mark.parametrize("program", ["dassim", "another"])
def test_others_look_at_what_a_command_is_writing(tmp_path, monkeypatch, program):
    """They know nothing of dassim. HDF5 itself locks what it writes."""
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    words = [sys.executable, "-c", WRITE, str(tmp_path / "a.nc"), program]
    child = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (child.stdout == "(1,)\n") == (program == "dassim"), child.stderr


def test_importing_dassim_loads_nothing():
    code = "import sys, dassim; print([m for m in ('numpy', 'jax', 'xarray') if m in sys.modules])"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "[]\n"


def test_opening_needs_no_jax(run):
    code = f"import sys, dassim; dassim.open({str(run)!r}); print('jax' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "False\n"


def test_what_cannot_be_opened_is_said(run, copy, tmp_path, grid):
    with pytest.raises(OutputError, match=r"found no fields in .*nowhere; expected the folder"):
        dassim.open(tmp_path / "nowhere")
    with pytest.raises(OutputError, match=r"found no stream weekly in .*; expected one of daily"):
        dassim.open(run, "weekly")
    write_days(copy, stream("snapshots", kind="snapshot"), grid, range(1))
    with pytest.raises(
        OutputError, match=r"found the streams daily, snapshots in .*; expected one"
    ):
        dassim.open(copy)
    assert dassim.open(copy, "snapshots").sizes["time"] == 1
    part = copy / "fields/daily/2000-01-30/part_00000.nc"
    part.write_bytes(b"half a file")
    with pytest.raises(OutputError, match=f"found {part} unreadable .*; expected a netCDF file"):
        dassim.open(copy, "daily")


def test_records_of_two_runs_are_not_mixed(copy, grid):
    later = writer(copy / "fields", stream(), grid, clock=Clock("2000-01-29", "noleap"))
    later._started = True
    put_days(later, grid, range(1))
    later.close()
    with pytest.raises(OutputError, match=r"do not follow each other, the one of day 0.5 and"):
        dassim.open(copy)


# -- merging --------------------------------------------------------------------------------------


def test_merged_files_hold_one_variable_and_year(tmp_path, grid):
    one = stream(variables=("T", "eta"))
    with writer(tmp_path / "fields", one, grid, clock=Clock("2000-07-01", "noleap")) as made:
        for k in range(3):
            made.put(*(200 * DAY * (k + i) for i in (0, 1)), _block(grid, k, one.variables))
    merged = collate.merge(collate.plan(tmp_path), workers=1)
    assert [one.records for one in merged] == [1, 2, 1, 2]
    assert sorted(path.name for path in (tmp_path / "collated/daily").iterdir()) == [
        "T_2000.nc",
        "T_2001.nc",
        "eta_2000.nc",
        "eta_2001.nc",
    ]


def _block(grid, number, names):
    return {name: grid.domain.local(whole_field(name, number)) for name in names}


def test_merged_files_are_the_run_compressed(copy):
    before = dassim.open(copy).load()
    merged = collate.merge(collate.plan(copy), workers=1)
    assert all(one.records == 4 for one in merged)
    with netCDF4.Dataset(copy / "collated/daily/T_2000.nc") as file:
        assert file["T"].filters()["zlib"]
        assert "dassim collate" in file.history
        assert "part" not in file.ncattrs()
    shutil.rmtree(copy / "fields/daily")
    after = dassim.open(copy)
    xr.testing.assert_identical(
        after[list(NAMES)].load().drop_attrs(), before[list(NAMES)].drop_attrs()
    )
    for name in NAMES:
        assert after[name].attrs == before[name].attrs


def test_a_level_at_a_time_gives_the_same(copy, monkeypatch):
    collate.merge(collate.plan(copy, "daily", memory=1), workers=1)
    expected = open_stream(copy / "fields/daily")
    for name in NAMES:
        with netCDF4.Dataset(copy / f"collated/daily/{name}_2000.nc") as file:
            file.set_auto_mask(False)
            np.testing.assert_array_equal(file[name][:], expected[name])


def test_memory_is_bounded_by_what_is_asked(tmp_path):
    from dassim.io.mosaic import Region

    shape = (2, 40, 100, 200)
    path = tmp_path / "fields/daily/2000-01-01/part_00000.nc"
    path.parent.mkdir(parents=True)
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"parts": 1, "region_start": [0, 0], "region_shape": shape[2:], "part": 0})
        for name, n in zip(("time", "depth", "y", "x"), shape, strict=True):
            file.createDimension(name, None if name == "time" else n)
            file.createVariable(name, "f8", (name,))[:] = np.arange(n)
        file["time"].units, file["time"].calendar = "days since 2000-01-01", "noleap"
        field = file.createVariable("T", "f8", ("time", "depth", "y", "x"))
        for record in range(2):
            field[record] = np.random.default_rng(record).normal(size=shape[1:])
    (task,) = collate.plan(tmp_path, memory=1_000_000)
    assert Region((0, 0), shape[2:]) == task.records[0][0].whole
    tracemalloc.start()
    collate.merge_one(task)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3e6 < 8 * np.prod(shape[1:])


def test_complete_files_are_left(copy):
    tasks = collate.plan(copy)
    collate.merge(tasks, workers=1)
    again = collate.merge(tasks, workers=1)
    assert {one.records for one in again} == {0}
    change(copy, "T", 0, 1.0)
    path = copy / "collated/daily/T_2000.nc"
    before = path.read_bytes()
    collate.merge(collate.plan(copy), workers=1)
    assert path.read_bytes() == before


def test_new_records_are_merged_again(copy, grid):
    collate.merge(collate.plan(copy), workers=1)
    with writer(copy / "fields", stream(), grid) as more:
        put_days(more, grid, range(4, 5))
    assert {one.records for one in collate.merge(collate.plan(copy), workers=1)} == {5}


def test_workers_of_a_cluster_merge(copy):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    ) as cluster:
        merged = collate.merge(collate.plan(copy), scheduler=cluster.scheduler_address)
    assert len(merged) == len(NAMES)
    assert (copy / "collated/daily/u_2000.nc").exists()


# -- differences ----------------------------------------------------------------------------------


def test_a_run_is_like_itself(run, copy):
    a, b = dassim.open(run), dassim.open(copy)
    assert unlike(a, b) == []
    assert {each.relative for each in differences(a, b)} == {0.0}


def test_one_changed_value_is_found(run, copy):
    change(copy, "T", 1, 0.25)
    apart = [each for each in differences(dassim.open(run), dassim.open(copy)) if each.largest]
    (found,) = apart
    assert (found.variable, found.time) == ("T", "2000-01-31T12:00:00")
    assert found.largest == pytest.approx(0.25)
    count = int(np.isfinite(dassim.open(run).T[1]).sum())
    assert found.rms == pytest.approx(0.25 / np.sqrt(count))


def test_a_value_that_only_one_run_has_is_an_infinite_difference():
    a, b = np.array([1.0, np.nan]), np.array([1.0, 2.0])
    assert measures(a, b) == (np.inf, np.inf, np.inf)
    assert measures(a, a) == (0.0, 0.0, 0.0)


def test_records_and_variables_of_one_run_alone_are_named(run, tmp_path, grid):
    write_days(tmp_path, stream(variables=("T",)), grid, range(3))
    assert unlike(dassim.open(run), dassim.open(tmp_path)) == [
        "only the first run has eta, u, v, w, zeta",
        "only the first run has the time 2000-02-02T12:00:00",
    ]


def test_shapes_that_differ_are_named(run, tmp_path, grid):
    write_days(tmp_path, stream(variables=NAMES, levels=(0,)), grid, range(4))
    findings = unlike(dassim.open(run), dassim.open(tmp_path))
    assert f"T: found shapes ({NZ}, {NY}, {NX}) and (1, {NY}, {NX})" in findings


def test_the_calendar_is_that_of_the_run(run):
    assert dassim.open(run).time.dt.calendar == CLOCK.calendar
