"""Fields of ranks in files: each rank its own, or a few for all; any number of ranks resumes."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

import dassim
from dassim.io import part
from dassim.io.collect import Collector
from dassim.io.netcdf import OutputError, finished_times, part_name
from dassim.parallel import world
from tests.models.fields import (
    DAY,
    NAMES,
    NX,
    NY,
    NZ,
    basin,
    depths,
    put_days,
    stream,
    whole_field,
    write_days,
    writer,
)


def mosaic(folder, name):
    """Global values of all records in the parts of one folder, and how many parts there are."""
    parts = sorted(folder.glob("part_*.nc"))
    whole = None
    for path in parts:
        with netCDF4.Dataset(path) as file:
            values = file[name][:].filled(np.nan)
            if whole is None:
                whole = np.full((*values.shape[:-2], *file.global_shape), -1e9)
            (y, x), (ny, nx) = file.region_start, file.region_shape
            whole[..., y : y + ny, x : x + nx] = values
    return whole, len(parts)


@pytest.mark.ranks(1, 2, 3, 4)
@pytest.mark.parametrize("writers", [None, 1, 2, 100])
def test_parts_make_up_the_whole(folder, writers):
    grid = basin()
    write_days(folder, stream(writers=writers), grid, range(2))
    wet = grid.domain.gather(grid.owned_mask("c"))
    found, parts = mosaic(folder / "fields/daily/2000-01-30", "T")
    expected = np.stack([np.where(wet, whole_field("T", day), np.nan) for day in range(2)])
    np.testing.assert_array_equal(found, expected)
    size = world().size
    assert parts == (size if writers is None else min(writers, size))
    world().barrier()


@pytest.mark.parametrize("writers", [None, 2])
def test_the_parts_open_as_one_dataset(folder, writers):
    grid = basin("spherical")
    write_days(folder, stream(writers=writers), grid, range(3))
    found = dassim.open(folder)
    assert found.sizes["time"] == 3
    for name, at in {"T": "c", "u": "u", "zeta": "q"}.items():
        wet = grid.domain.gather(grid.owned_mask(at))
        for day in range(3):
            expected = np.where(wet, whole_field(name, day), np.nan)
            np.testing.assert_array_equal(found[name][day], expected)
    np.testing.assert_array_equal(found.lon, np.arange(NX) * 45 + 22.5)
    np.testing.assert_array_equal(found.bottom_depth, grid.domain.gather(grid.owned(grid.depth.c)))
    world().barrier()


@pytest.mark.ranks(2, 3)
def test_a_part_that_is_missing_is_named_or_not_yet_there(folder):
    write_days(folder, stream(file_per="day"), basin(), range(2))
    world().barrier()
    last = part_name(world().size - 1)
    if world().is_root:
        (folder / "fields/daily/2000-01-31" / last).unlink()  # as if the run still went on
    world().barrier()
    assert dassim.open(folder).sizes["time"] == 1
    world().barrier()
    if world().is_root:
        (folder / "fields/daily/2000-01-30" / last).unlink()
    world().barrier()
    with pytest.raises(OutputError, match=f"found no {last} in .*2000-01-30; expected all parts"):
        dassim.open(folder)
    world().barrier()


@pytest.mark.parametrize("geometry", ["cartesian", "spherical", "orthogonal"])
def test_coordinates_do_not_depend_on_who_writes(folder, geometry):
    grid = basin(geometry)
    write_days(folder / "own", stream(), grid, range(1))
    write_days(folder / "few", stream(writers=1), grid, range(1))
    (whole,) = (folder / "few").glob("fields/daily/*/part_*.nc")
    own = sorted((folder / "own").glob("fields/daily/*/part_*.nc"))
    with netCDF4.Dataset(whole) as all_of_it:
        assert all_of_it.region_shape.tolist() == [NY, NX]
        for path in own:
            with netCDF4.Dataset(path) as piece:
                assert piece.variables.keys() == all_of_it.variables.keys()
                (y, x), (ny, nx) = piece.region_start, piece.region_shape
                for name, variable in piece.variables.items():
                    dims = variable.dimensions
                    where = tuple(
                        slice(y, y + ny)
                        if d in ("y", "y_v", "lat", "lat_v")
                        else slice(x, x + nx)
                        if d in ("x", "x_u", "lon", "lon_u")
                        else slice(None)
                        for d in dims
                    )
                    np.testing.assert_array_equal(variable[:], all_of_it[name][where], name)
    world().barrier()


def test_regions_of_writers_are_rectangles_of_all_points():
    grid = basin()
    for writers in (None, 1, 2, 3):
        collector = Collector.create(grid.domain, writers)
        regions = grid.domain.comm.allgather(collector.region if collector.writes else None)
        count = np.zeros((NY, NX), int)
        for region in filter(None, regions):
            (y, x), (ny, nx) = region
            count[y : y + ny, x : x + nx] += 1
        assert (count == 1).all()


@pytest.mark.parametrize("writers", [None, 1])
def test_an_error_of_one_rank_is_raised_on_all(folder, writers, monkeypatch):
    grid = basin()
    made = writer(folder, stream(writers=writers), grid)
    last = world().size - 1

    def full(self, *arguments):
        raise RuntimeError("NetCDF: HDF error")

    fails = 0 if writers == 1 else last
    if world().rank == fails:
        monkeypatch.setattr(part.PartFile, "append", full)
    put_days(made, grid, range(1))
    with pytest.raises(OutputError, match=f"stream daily, rank {fails}: .*HDF error"):
        put_days(made, grid, range(1, 2))
    world().barrier()


def test_another_number_of_ranks_goes_on(folder):
    alone = basin(comm=world().split(world().rank))
    if world().is_root:
        write_days(folder, stream(file_per="run"), alone, range(3))
    world().barrier()
    grid = basin()
    again = writer(folder / "fields", stream(file_per="run"), grid)
    again.truncate_after(2 * DAY)
    put_days(again, grid, range(2, 4))
    again.close()
    first, parts = mosaic(folder / "fields/daily/2000-01-30", "eta")
    second, more = mosaic(folder / "fields/daily/2000-02-01", "eta")
    assert (len(first), parts) == (2, 1)
    assert (len(second), more) == (2, world().size)
    wet = depths() > 5.0
    for day, values in enumerate([*first, *second]):
        np.testing.assert_array_equal(values[wet], whole_field("eta", day)[wet])
    world().barrier()


def test_all_fields_of_a_stream_reach_the_file(folder):
    grid = basin()
    write_days(folder, stream(writers=2), grid, range(1))
    for path in (folder / "fields/daily/2000-01-30").glob("part_*.nc"):
        assert finished_times(path).tolist() == [DAY]
        with netCDF4.Dataset(path) as file:
            for name in NAMES:
                assert file[name].shape[1:-2] == (() if name == "eta" else (NZ,))
    world().barrier()
