"""The grid itself in netCDF files, one a rank: what maps, sections and transports are made with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from dassim.grid.variables import Variable
from dassim.io.collect import Collector
from dassim.io.durable import sync_folder
from dassim.io.geometry import METRICS, Geometry
from dassim.io.netcdf import (
    CONVENTIONS,
    LIBRARY,
    OutputError,
    describe,
    make_durable,
    part_name,
    write_coordinates,
)
from dassim.io.part import placement
from dassim.parallel import Domain

FOLDER = "grid"

MASK = Variable("mask", "c", "1", "1 in water, 0 on land", "sea_binary_mask")


def write_grid(
    folder: Path | str, geometry: Geometry, domain: Domain, attributes: Mapping[str, Any]
) -> None:
    """Write ``folder/grid/``: areas and edge lengths of each rank's block, depths and mask.

    Nothing for a model without a grid. All ranks call this together, also when a run resumes.
    """
    if not geometry.metrics:
        return
    target = Path(folder) / FOLDER
    failure = None
    if domain.comm.is_root:
        try:
            target.mkdir(parents=True, exist_ok=True)
            for old in target.glob("part_*.nc"):
                old.unlink()
        except OSError as error:
            failure = str(error)
    failure = domain.comm.bcast(failure)
    if failure is None:
        path = target / part_name(domain.comm.rank)
        try:
            _write(path, geometry, Collector.create(domain, None), domain, attributes)
        except (OSError, RuntimeError) as error:
            failure = f"cannot write {path}: {error}"
    failures = [each for each in domain.comm.allgather(failure) if each]
    if failures:
        raise OutputError(
            f"{failures[0]}; expected a folder to write the grid to; correct its permissions or "
            f"free some space"
        )


def _write(
    path: Path,
    geometry: Geometry,
    collector: Collector,
    domain: Domain,
    attributes: Mapping[str, Any],
) -> None:
    unnamed = path.with_name(f"{path.name}.new")
    fields = {METRICS[name][1]: values for name, values in geometry.metrics.items()}
    masks = {MASK: geometry.masks["c"].astype(np.int8)} if geometry.masks else {}
    sizes: dict[str, int] = {}
    for variable, values in {**fields, **masks}.items():
        sizes |= dict(zip(geometry.dims_of(variable), values.shape, strict=True))
    with LIBRARY, netCDF4.Dataset(unnamed, "w") as dataset:
        dataset.Conventions = CONVENTIONS
        dataset.setncatts(dict(attributes))
        dataset.setncatts(placement(collector, domain.global_shape))
        write_coordinates(dataset, geometry, sizes)
        for variable, values in fields.items():
            _add(dataset, geometry, variable, "f8", values)
        for variable, values in masks.items():
            _add(dataset, geometry, variable, "i1", values)
    make_durable(unnamed)
    unnamed.replace(path)
    sync_folder(path.parent)


def _add(
    dataset: netCDF4.Dataset, geometry: Geometry, variable: Variable, kind: Any, values: np.ndarray
) -> None:
    dims = geometry.dims_of(variable)
    made = dataset.createVariable(variable.name, kind, dims)
    made.setncatts(describe(variable))
    if auxiliary := geometry.auxiliary(dims):
        made.coordinates = " ".join(auxiliary)
    made[...] = values
