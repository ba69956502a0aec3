"""What one rank alone finds wrong is refused on all ranks alike."""

from __future__ import annotations

import warnings

import jax.numpy as jnp
import netCDF4
import pytest

from dassim.assimilation.control import Control
from dassim.config import NamelistError
from dassim.config.background import build_background
from dassim.config.build import build_grid
from dassim.config.experiment import build_experiment
from dassim.config.schema import GridNamelist
from dassim.config.schema.background import CorrelatedBackground
from dassim.parallel import Domain, world
from dassim.simulation.segments import RunInputs
from tests.unit.config.ocean import ocean

NY, NX = 32, 8

pytestmark = pytest.mark.ranks(2)


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


@pytest.mark.timeout(60)
def test_a_negative_deviation():
    profile = {"type": "linear", "axis": "y", "low": -1.0, "high": 2.0}
    section = CorrelatedBackground.model_validate(
        {"type": "correlated", "horizontal": 20e3, "variables": {"T": {"deviation": profile}}}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = build_experiment(ocean("grid.ny=16", "decomposition.layout=[2, 1]"), world())
    inputs = RunInputs(one.parameters, one.state)
    with pytest.raises(NamelistError, match=r"deviation: found -0\.9.*; expected standard dev"):
        build_background(section, one.model, inputs, Control({"state.T": jnp.asarray(1.0)}))
    assert world().allgather("in step") == ["in step"] * 2
