"""What one rank alone finds wrong with a file is refused on all ranks alike."""

from __future__ import annotations

import netCDF4
import pytest

from dassim.config import NamelistError
from dassim.config.build import build_grid
from dassim.config.schema import GridNamelist
from dassim.parallel import Domain, world

NY, NX = 32, 8

pytestmark = pytest.mark.ranks(2)


@pytest.fixture
def folder(tmp_path):
    return world().bcast(tmp_path)


def write_grid(path, name, value):
    """A grid file with one ``value`` in the second block of two, beyond the halo of the first."""
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.createDimension("y", NY)
        dataset.createDimension("x", NX)
        for metric in ("dx", "dy", "coriolis"):
            for at in "cuvq":
                dataset.createVariable(f"{metric}_{at}", "f8", ("y", "x"))[:] = 1.0
        dataset[name][NY - 2, 3] = value


@pytest.mark.timeout(60)
def test_a_bad_metric(folder):
    path = folder / "grid.nc"
    if world().is_root:
        write_grid(path, "dx_c", -1.0)
    world().barrier()
    namelist = GridNamelist.model_validate(
        {
            "name": "file",
            "source": "Tests",
            "model": "grid",
            "grid": {"type": "file", "file": str(path)},
            "vertical": {"type": "uniform", "nz": 1, "depth": 100.0},
        }
    )
    with pytest.raises(NamelistError, match=r"grid: dx_c: found a value of -1"):
        build_grid(namelist, Domain.create((NY, NX), layout=(2, 1)))
    assert world().allgather("in step") == ["in step"] * 2
