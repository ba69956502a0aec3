"""Forcing that is read in windows: the same flux as from all records, each rank its own block."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from dassim.config import Namelist, load
from dassim.config.build import build_domain, build_grid
from dassim.config.ocean.forcing import surface_forcing
from dassim.config.ocean.reload import Reloads
from dassim.config.points import Basin
from dassim.ocean import OceanParameters
from dassim.parallel import world
from dassim.simulation.errors import RunError
from tests.unit.config.ocean import OCEAN

NY, NX, DAYS = 8, 12, 11
DAY = 86400.0
STEP = 1200.0


def write(folder: Path) -> Path:
    """Random records at noon of every day."""
    path = folder / "heat.nc"
    if world().is_root:
        with netCDF4.Dataset(path, "w") as file:
            for name, n in (("time", DAYS), ("y", NY), ("x", NX)):
                file.createDimension(name, n)
            file.createVariable("time", "f8", ("time",))[:] = np.arange(DAYS) + 0.5
            file["time"].units = "days"
            values = np.random.default_rng(0).normal(size=(DAYS, NY, NX))
            file.createVariable("q", "f8", ("time", "y", "x"))[:] = values
            file["q"].units = "W m-2"
    world().barrier()
    return path


def forcing(path: Path, **options: str):
    keys = {"type": "file", "file": str(path), "variable": "q", **options}
    profile = "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"
    overrides = [f"forcing.heat={profile}", "time.duration=9 d"]
    one = load(OCEAN, Namelist, overrides=overrides, environment={}).namelist
    basin = Basin.of(build_grid(one, build_domain(one)))
    made, reloads = surface_forcing(one.forcing, basin, one.time)
    return OceanParameters(forcing=made), Reloads(reloads, STEP)


@pytest.mark.parametrize("options", [{}, {"period": "11 d"}])
@pytest.mark.parametrize("days", [1, 2.5, 30])
def test_windows_give_the_flux_of_the_whole_series(folder, options, days):
    path = write(folder)
    whole, none = forcing(path, **options)
    assert not none.series
    parameters, reloads = forcing(path, reload=f"{days} d", **options)
    steps = round(9 * DAY / STEP)
    for step in range(0, steps, 18):
        if step == 0 or any(schedule.due(step) for schedule in reloads.schedules):
            parameters = reloads(parameters, step)
        expected = whole.forcing.heat.at(step * STEP)
        found = parameters.forcing.heat.at(step * STEP)
        if options:
            np.testing.assert_allclose(found, expected, atol=1e-9)
        else:
            np.testing.assert_array_equal(found, expected)
    world().barrier()


def test_windows_have_one_shape(folder):
    parameters, reloads = forcing(write(folder), reload="2.5 d")
    shapes = {reloads(parameters, step).forcing.heat.values.shape for step in (0, 180, 360, 540)}
    assert len(shapes) == 1
    world().barrier()


def test_what_is_read_does_not_grow_with_ranks(folder):
    _, reloads = forcing(write(folder), reload="3 d")
    (one,) = reloads.series
    ny, nx = one.reader.at.grid.domain.shape
    halo = 1
    window = one.windows.series.size * (ny + 2 * halo) * (nx + 2 * halo) * 8
    assert one.windows.bytes_read == window
    everything = DAYS * NY * NX * 8
    assert world().size == 1 or window < everything
    world().barrier()


def test_a_file_that_is_gone_ends_the_run_on_all_ranks(folder):
    path = write(folder)
    parameters, reloads = forcing(path, reload="1 d")
    (one,) = reloads.series
    world().barrier()
    path.unlink(missing_ok=True)
    world().barrier()
    with pytest.raises(RunError, match=r"found .*heat.nc unreadable .*; expected the file as it"):
        for step in range(0, 720, 72):  # the second window may have been read already
            parameters = reloads(parameters, step)
    assert one.windows.series.number(0.0) == 0
    world().barrier()
