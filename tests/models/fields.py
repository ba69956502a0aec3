"""Basins in blocks, fields that are known everywhere, and streams of them on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dassim.grid import Grid, build_grid, cartesian, latlon, levels, orthogonal
from dassim.grid.variables import Variable
from dassim.io.fields import FieldWriter
from dassim.io.geometry import Geometry
from dassim.io.gridfile import write_grid
from dassim.io.stream import Clock, Stream
from dassim.ocean.output import OUTPUTS
from dassim.parallel import Domain

DAY = 86400.0
NZ, NY, NX = 3, 7, 8
THICKNESS = (10.0, 20.0, 40.0)
CLOCK = Clock("2000-01-30", "noleap")
ATTRIBUTES = {
    "title": "test",
    "source": "dassim",
    "history": "made by a test",
    "institution": "none",
    "references": "none",
    "comment": "none",
}
NAMES = ("T", "u", "v", "w", "zeta", "eta")


def depths() -> np.ndarray:
    depth = np.random.default_rng(3).uniform(12.0, 70.0, (NY, NX))
    depth[2:4, 3:5] = 0.0
    return depth


def basin(geometry: str = "cartesian", **options: Any) -> Grid:
    """A small channel or sphere with an island and a rough bottom, over all ranks."""
    domain = Domain.create((NY, NX), periodic=(False, True), minimum=2, **options)
    if geometry == "spherical":
        faces = np.linspace(0, 360, NX + 1), np.linspace(-90, 50, NY + 1)
        horizontal = latlon(domain, *faces, halo=2)
    elif geometry == "orthogonal":
        points = np.stack(np.meshgrid(np.arange(NY) + 1.0, np.arange(NX), indexing="ij"))
        metrics = {
            f"{name}_{at}": value
            for at in "cuvq"
            for name, value in {
                "dx": np.full((NY, NX), 2.0),
                "dy": np.full((NY, NX), 3.0),
                "coriolis": np.zeros((NY, NX)),
                "x": points[1] + 0.1 * points[0],
                "y": points[0],
            }.items()
        }
        horizontal = orthogonal(domain, metrics, halo=2)
    else:
        faces = 1e3 * np.arange(NX + 1.0), 2e3 * np.arange(NY + 1.0)
        horizontal = cartesian(domain, *faces, f0=1e-4, halo=2)
    return build_grid(horizontal, levels(THICKNESS), depths())


def whole_field(name: str, record: int) -> np.ndarray:
    """The same random numbers wherever they are asked for."""
    shape = (NZ, NY, NX) if OUTPUTS[name].levels else (NY, NX)
    return np.random.default_rng([record, *name.encode()]).normal(size=shape)


def record(domain: Domain, number: int, names: tuple[str, ...] = NAMES) -> dict[str, np.ndarray]:
    """This rank's blocks of the fields of a record."""
    return {name: domain.local(whole_field(name, number)) for name in names}


def stream(name: str = "daily", **options: Any) -> Stream:
    return Stream(name, **{"variables": NAMES, "precision": "float64"} | options)


def writer(
    folder: Path,
    one: Stream,
    grid: Grid,
    variables: Mapping[str, Variable] = OUTPUTS,
    clock: Clock = CLOCK,
) -> FieldWriter:
    geometry = Geometry.of(_Model(grid))
    return FieldWriter.open(
        folder, one, geometry, grid.domain, ATTRIBUTES, variables=variables, clock=clock
    )


def write_days(folder: Path, one: Stream, grid: Grid, days: range) -> FieldWriter:
    """Days of means, or snapshots at their ends, into ``folder / fields``, and the grid."""
    fields = folder / "fields"
    write_grid(fields, Geometry.of(_Model(grid)), grid.domain, ATTRIBUTES)
    with writer(fields, one, grid) as made:
        put_days(made, grid, days)
    return made


def put_days(to: FieldWriter, grid: Grid, days: range) -> None:
    for day in days:
        end = (day + 1) * DAY
        begin = end - DAY if to.stream.kind == "mean" else end
        to.put(begin, end, record(grid.domain, day, to.stream.variables))


class _Model:
    def __init__(self, grid: Grid):
        self.grid = grid
