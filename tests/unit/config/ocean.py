"""What tests of the ocean's configuration share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from dassim.config import Namelist, NamelistError, load
from dassim.config.build import build_domain, build_grid
from dassim.config.points import Basin
from dassim.config.schema import OceanNamelist
from dassim.parallel import SerialCommunicator

OCEAN = Path(__file__).parent / "data" / "ocean.yaml"
SERIAL = SerialCommunicator()


def loaded(*overrides):
    return load(OCEAN, Namelist, overrides=overrides, environment={})


def ocean(*overrides) -> OceanNamelist:
    return loaded(*overrides).namelist


def basin(*overrides) -> Basin:
    namelist = ocean(*overrides)
    return Basin.of(build_grid(namelist, build_domain(namelist, SERIAL)))


def refusals(*overrides, by=None) -> list[str]:
    """Problems that loading, or then ``by(namelist)``, has with the ocean and ``overrides``."""
    with pytest.raises(NamelistError) as caught:
        one = loaded(*overrides)
        with one.located():
            assert by is not None, "the namelist was accepted"
            by(one.namelist)
    return [f"{problem.key}: {problem.message}" for problem in caught.value.problems]


def write_netcdf(path: Path, **variables: tuple[tuple[str, ...], Any, dict[str, str]]) -> Path:
    """A file of variables ``name=(dimensions, values, attributes)``; masked values are missing."""
    with netCDF4.Dataset(path, "w") as dataset:
        for name, (dimensions, values, attributes) in variables.items():
            values = np.ma.asarray(values)
            for dimension, n in zip(dimensions, values.shape, strict=True):
                if dimension not in dataset.dimensions:
                    dataset.createDimension(dimension, n)
            variable = dataset.createVariable(name, "f8", dimensions, fill_value=-1e34)
            variable.setncatts(attributes)
            variable[...] = values
    return path
