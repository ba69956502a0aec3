"""What the sections of a namelist accept, and what a refusal says."""

from pathlib import Path

import numpy as np
import pytest

from dassim.config import Namelist, NamelistError, load
from dassim.config.schema.grid import CartesianGrid, LatLonGrid

BOX = Path(__file__).parent / "data" / "box.yaml"


def box(*overrides):
    return load(BOX, Namelist, overrides=overrides, environment={}).namelist


def refusals(*overrides):
    with pytest.raises(NamelistError) as caught:
        box(*overrides)
    return [f"{problem.key}: {problem.message}" for problem in caught.value.problems]


def latlon(**changes):
    keys = {"nx": 4, "ny": 2, "lon": [0, 40], "lat0": -10, "dlat": 10} | changes
    return [f"grid={{type: latlon, {', '.join(f'{k}: {v}' for k, v in keys.items() if v != '')}}}"]


def test_the_example_is_read():
    namelist = box()
    assert namelist.grid == CartesianGrid(
        type="cartesian",
        nx=12,
        ny=8,
        lx=120e3,
        dy=10e3,
        origin=(0.0, -40e3),
        periodic=("x",),
        f0=1e-4,
        beta=2e-11,
    )
    assert namelist.time is not None
    assert (namelist.time.steps, namelist.time.start) == (72, "2000-02-29")


# -- grids ----------------------------------------------------------------------------------------


def test_faces_from_extent_spacing_or_list():
    y, x = box().grid.faces
    np.testing.assert_allclose(x, np.linspace(0, 120e3, 13), rtol=1e-15)
    np.testing.assert_allclose(y, np.linspace(-40e3, 40e3, 9), rtol=1e-15, atol=1e-9)
    y, x = box("grid.ny=3", "grid.dy=[1 km, 2000, 3 km]").grid.faces
    assert y.tolist() == [-40e3, -39e3, -37e3, -34e3]


def test_latlon_faces_from_edges_or_start_and_spacing():
    y, x = box(*latlon(lon=[10, 50])).grid.faces
    assert y.tolist() == [-10, 0, 10]
    assert x.tolist() == [10, 20, 30, 40, 50]


def test_the_earth_is_that_of_the_grid():
    from dassim.grid.horizontal import EARTH_RADIUS, EARTH_ROTATION

    earth = LatLonGrid(type="latlon", nx=1, ny=1, lon=(0, 1), lat=(0, 1))
    assert (earth.radius, earth.rotation) == (EARTH_RADIUS, EARTH_ROTATION)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["grid.dx=1 km"],
            "grid.dx: found lx and dx; expected either lx or dx; remove dx",
        ),
        (["grid.lx=null"], "grid: found neither; expected lx or dx; add lx or dx"),
        (
            ["grid.dy=[1, 2]"],
            "grid.dy: found 2 spacings; expected one for each of ny = 8 cells; correct the list or "
            "ny",
        ),
        (["grid.dy=[1, 2 s]"], "grid.dy[1]: found '2 s', a time; expected a length above 0 m"),
        (["grid.nx=0"], "grid.nx: found 0; expected a number of at least 1; write for example 64"),
        (["grid.periodic=x"], "grid.periodic: found 'x'; expected a list; write for example [x]"),
        (
            ["grid.origin=[1]"],
            "grid.origin[1]: found nothing; expected an item 2; lengthen the list",
        ),
        (latlon(dlat=60), "grid.dlat: found a grid from -10 to 110 degrees; expected from -90"),
        (latlon(lon=[40, 0]), "grid.lon: found a grid from 40 to 0 degrees; expected at most 360"),
        (latlon(lon=[-190, 180]), "grid.lon: found a grid from -190 to 180 degrees; expected at"),
        (latlon(lat0=""), "grid: found no lat0; expected lat or lat0 and dlat; add lat0"),
        (latlon(lat=[0, 1]), "grid.dlat: found lat and lat0 and dlat; expected either lat or lat0"),
        (
            latlon(periodic="[x]", lon=[0, 50]),
            "grid.periodic: found x periodic over 50 degrees; expected 360 degrees or a whole ",
        ),
        (latlon(periodic="[y]"), "grid.periodic[0]: found 'y'; expected x"),
        (["grid.periodic=[x, y]"], "grid.beta: found beta = 2e-11 with y periodic; expected a Cor"),
    ],
)
def test_impossible_grids(overrides, problem):
    (found,) = refusals(*overrides)
    assert found.startswith(problem)


# -- levels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vertical", "problem"),
    [
        (
            "{type: uniform, nz: 2, depth: -4 km}",
            "vertical.depth: found '-4 km' (-4000 m); expected a length above 0 m such as '4 km'; "
            "correct the value or its unit",
        ),
        ("{type: given, thickness: []}", "vertical.thickness: found []; expected at least 1 items"),
        ("{type: given, thickness: 3}", "vertical.thickness: found 3.0; expected a list"),
        (
            "{type: stretched, nz: 2, first: 1, ratio: 0}",
            "vertical.ratio: found 0; expected a",
        ),
        (
            "{type: stretched, nz: 2, first: 1, ratio: .inf}",
            "vertical.ratio: found inf; expected a",
        ),
        (
            "{type: stretched, nz: 2, first: 1, ratio: 1e200}",
            "vertical.ratio: found 1e+200; expected a number of at most 10",
        ),
        (
            "{type: file, file: nothere.nc, variable: dz}",
            "vertical.file: found no file",
        ),
    ],
)
def test_impossible_levels(vertical, problem):
    (found,) = refusals(f"vertical={vertical}")
    assert found.startswith(problem)


# -- the run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["time.step=7 min"],
            "time.duration: found 86400 s; expected a whole number of steps of 420 s; write for "
            "example 86520 s",
        ),
        (["time.step=2 d"], "time.duration: found 86400 s; expected a whole number of steps"),
        (
            ["time.start=2001-02-29"],
            "time.start: found '2001-02-29'; expected a date of the standard calendar such as",
        ),
        (
            ["time.calendar=gregorain"],
            "time.calendar: found 'gregorain'; expected one of standard, proleptic_gregorian, ",
        ),
        (
            ["decomposition.layout=[2, 0]"],
            "decomposition.layout: found [2, 0]; expected auto, or [rows, columns] of ranks such "
            "as [2, 4]; write layout: auto",
        ),
        (["decomposition.layout=4"], "decomposition.layout: found 4; expected auto, or [rows"),
        (["precision=double"], "precision: found 'double'; expected float64 or float32; "),
        (["name=a b"], "name: found 'a b'; expected text of the form"),
    ],
)
def test_impossible_runs(overrides, problem):
    (found,) = refusals(*overrides)
    assert found.startswith(problem)


def test_a_duration_in_steps():
    time = box("time.duration=8100 steps", "time.step=150 s").time
    assert time is not None
    assert (time.steps, time.duration) == (8100, 1215000.0)


@pytest.mark.parametrize("step", ["150 m", "null", "-150"])
def test_a_duration_in_steps_of_a_wrong_length(step):
    problems = refusals("time.duration=3 steps", f"time.step={step}")
    assert any(problem.startswith("time.step: found ") for problem in problems)


def test_dates_follow_the_calendar():
    assert box("time.start=2000-02-30", "time.calendar=360_day").time is not None
    assert box("time.start=2000-02-28T06:30:00").time is not None


def test_layouts():
    assert box("decomposition.layout=[2, 3]").decomposition.layout == (2, 3)


def test_files_named_in_python_need_not_exist():
    from dassim.config.schema.bathymetry import BathymetryFromFile

    assert BathymetryFromFile(type="file", file=Path("gone.nc"), variable="h").variable == "h"
