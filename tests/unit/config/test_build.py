"""From namelists to grids: numbers, files, and what is wrong with files."""

from pathlib import Path

import jax
import netCDF4
import numpy as np
import pytest

from dassim.config import Namelist, NamelistError, load
from dassim.config.bathymetry import DepthFromFormula, bottom_depth, check_depth
from dassim.config.build import build_decomposition, build_domain, build_grid
from dassim.config.estimate import estimates, footprint, grid_size
from dassim.config.horizontal import Centres, build_horizontal, cell_centres
from dassim.config.plan import plan
from dassim.config.schema.section import Section
from dassim.config.vertical import level_thickness
from dassim.parallel import Domain, SerialCommunicator

BOX = Path(__file__).parent / "data" / "box.yaml"
SERIAL = SerialCommunicator()


def box(*overrides):
    return load(BOX, Namelist, overrides=overrides, environment={})


def built(*overrides):
    namelist = box(*overrides).namelist
    return build_grid(namelist, build_domain(namelist, SERIAL))


def refusals(function, *overrides):
    loaded = box(*overrides)
    with pytest.raises(NamelistError) as caught, loaded.located():
        function(loaded.namelist)
    return [f"{problem.key}: {problem.message}" for problem in caught.value.problems]


@pytest.fixture
def netcdf(tmp_path):
    def write(name="a.nc", **variables):
        path = tmp_path / name
        with netCDF4.Dataset(path, "w") as dataset:
            for key, (values, units) in variables.items():
                values = np.ma.asarray(values)
                dims = [f"{key}{axis}" for axis in range(values.ndim)]
                for dim, n in zip(dims, values.shape, strict=True):
                    dataset.createDimension(dim, n)
                variable = dataset.createVariable(key, "f8", dims, fill_value=-1e34)
                if units:
                    variable.units = units
                variable[:] = values
        return path

    return write


@pytest.fixture
def depths():
    return 10.0 + np.arange(96.0).reshape(8, 12)


# -- horizontal -----------------------------------------------------------------------------------


def test_a_beta_plane_channel():
    grid = built()
    assert grid.global_shape == (4, 8, 12)
    assert grid.domain.periodic == (False, True)
    assert float(grid.dx.c.data.squeeze()) == 10e3
    y = -35e3 + 10e3 * np.arange(8)
    np.testing.assert_allclose(grid.owned(grid.coriolis.c)[:, 0], 1e-4 + 2e-11 * y, rtol=1e-14)


def test_a_sphere():
    grid = built("grid={type: latlon, nx: 36, ny: 4, lon: [0, 360], lat: [0, 40], periodic: [x]}")
    phi = np.deg2rad([5, 15, 25, 35])
    np.testing.assert_allclose(
        grid.owned(grid.dx.c)[:, 0], 6.371e6 * np.deg2rad(10) * np.cos(phi), rtol=1e-14
    )
    np.testing.assert_allclose(
        grid.owned(grid.coriolis.c)[:, 0], 2 * 7.2921e-5 * np.sin(phi), rtol=1e-14
    )


def metrics(shape=(8, 12), **changes):
    given = {
        "dx": (5.0, "km"),
        "dy": (4e3, "m"),
        "coriolis": (1e-4, "s-1"),
        "x": (0.0, "degrees_east"),
        "y": (0.0, "degrees_north"),
    }
    variables = {
        f"{name}_{at}": (np.full(shape, value), units)
        for name, (value, units) in given.items()
        for at in "cuvq"
    }
    return {name: variable for name, variable in (variables | changes).items() if variable}


def test_a_grid_from_a_file(netcdf):
    path = netcdf(**metrics())
    grid = built(f"grid={{type: file, file: {path}, periodic: [x]}}")
    assert grid.global_shape == (4, 8, 12)
    np.testing.assert_array_equal(grid.owned(grid.dx.c), 5000.0)
    np.testing.assert_array_equal(grid.owned(grid.area.q), 2e7)


def test_cell_centres_of_a_grid_file_are_its_positions_or_indices(netcdf):
    given = {"x_c": (np.full((8, 12), 7.0), None), "y_c": (np.full((8, 12), 9.0), None)}
    for changes, expected in ((given, [7.0, 9.0]), ({"x_c": None}, [2.0, 1.0])):
        grid = box(f"grid={{type: file, file: {netcdf(**metrics(**changes))}}}").namelist.grid
        centres = cell_centres(grid)
        assert centres.shape == (8, 12)
        x, y = centres.at((slice(1, 2), slice(2, 3)))
        assert [x.item(), y.item()] == expected


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dx_u": None}, "grid.file: found no variable dx_u in "),
        ({"dy_v": (np.ones((8, 11)), "m")}, "grid.file: found dy_v of shape (8, 11) in "),
        ({"dx_c": (np.zeros((8, 12)), "m")}, "grid: dx_c: found a value of 0.0"),
        ({"dy_c": (np.ma.masked_all((8, 12)), "m")}, "grid: dy_c: found a value of nan"),
        (
            {"coriolis_q": (np.ma.masked_all((8, 12)), "s-1")},
            "grid: coriolis_q: found a value of nan; expected a number at every point",
        ),
        ({"dx_v": (np.full((8, 12), np.inf), "m")}, "grid: dx_v: found a value of inf"),
        (
            {"dy_q": (np.ones((8, 12)), "K")},
            "grid.file: found dy_q in units 'K', a temp",
        ),
    ],
)
def test_a_grid_file_that_cannot_be(netcdf, changes, problem):
    path = netcdf(**metrics(**changes))
    found, *_ = refusals(
        lambda namelist: build_grid(namelist, build_domain(namelist, SERIAL)),
        f"grid={{type: file, file: {path}}}",
    )
    assert found.startswith(problem)


def test_float64_needs_64_bit_numbers():
    with jax.enable_x64(False), pytest.raises(RuntimeError, match="jax_enable_x64"):
        built()


def test_float32_grids():
    leaves = jax.tree.leaves(built("precision=float32"))
    assert {leaf.dtype.name for leaf in leaves} == {"float32", "int32", "bool"}


# -- vertical -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vertical", "thickness"),
    [
        ("{type: uniform, nz: 4, depth: 1 km}", [250.0] * 4),
        ("{type: stretched, nz: 3, first: 10, ratio: 2.0}", [10.0, 20.0, 40.0]),
        ("{type: given, thickness: [10, 20 m, 0.1 km]}", [10.0, 20.0, 100.0]),
    ],
)
def test_levels(vertical, thickness):
    namelist = box(f"vertical={vertical}").namelist
    np.testing.assert_allclose(level_thickness(namelist.vertical), thickness)


@pytest.mark.parametrize(
    ("values", "units"),
    [([10.0, 20.0, 40.0], "m"), ([0.0, 10.0, 30.0, 70.0], None), ([0.01, 0.02, 0.04], "km")],
)
def test_levels_from_a_file(netcdf, values, units):
    path = netcdf(dz=(values, units))
    vertical = box(f"vertical={{type: file, file: {path}, variable: dz}}").namelist.vertical
    np.testing.assert_allclose(level_thickness(vertical), [10.0, 20.0, 40.0])


@pytest.mark.parametrize("values", [[10.0, 0.0], [0.0, 10.0, 5.0], [[1.0], [2.0]], [-1.0]])
def test_inverted_levels_in_a_file(netcdf, values):
    path = netcdf(dz=(values, "m"))
    (problem,) = refusals(
        lambda namelist: level_thickness(namelist.vertical),
        f"vertical={{type: file, file: {path}, variable: dz}}",
    )
    assert problem.startswith("vertical.variable: found dz")
    assert "expected one positive thickness per level" in problem


# -- bathymetry -----------------------------------------------------------------------------------


def bathymetry(path, *, variable="h", positive="down"):
    return f"bathymetry={{type: file, file: {path}, variable: {variable}, positive: {positive}}}"


def depth_of(override):
    namelist = box(override).namelist
    depth = bottom_depth(namelist.bathymetry, cell_centres(namelist.grid))
    assert depth is not None
    return depth


def test_a_flat_bottom():
    namelist = box("bathymetry={type: flat}").namelist
    assert bottom_depth(namelist.bathymetry, cell_centres(namelist.grid)) is None
    assert float(built().depth.c.data.max()) == 150.0


def test_depths_in_a_file_with_land_where_it_has_no_values(netcdf, depths):
    masked = np.ma.masked_less(depths, 12)
    depth = depth_of(bathymetry(netcdf(h=(masked, "m"))))
    np.testing.assert_array_equal(depth[..., 0:8, 0:12], np.where(depths < 12, 0.0, depths))
    grid = built(bathymetry(netcdf(h=(masked, "m"))))
    assert not grid.owned_mask("c")[0, 0, :2].any()
    assert grid.owned_mask("c")[0, 0, 2:].all()


def test_heights_above_the_sea_are_land(netcdf, depths):
    heights = np.where(depths < 12, 3.0, -depths)
    depth = depth_of(bathymetry(netcdf(h=(heights, "m")), positive="up"))
    np.testing.assert_array_equal(depth[..., :, :], np.where(depths < 12, 0.0, depths))


def test_units_of_the_file_are_converted(netcdf, depths):
    depth = depth_of(bathymetry(netcdf(h=(depths / 1000, "km"))))
    np.testing.assert_allclose(depth[..., 2:3, 4:6], depths[2:3, 4:6], rtol=1e-14)


@pytest.mark.parametrize(
    ("values", "options", "problem"),
    [
        (
            np.ones((12, 8)),
            {},
            "expected shape (8, 12), the (ny, nx) of the grid; correct grid.nx and grid.ny",
        ),
        (np.ones((8, 12)), {"variable": "hh"}, "expected h; did you mean h?"),
        (
            np.full((8, 12), -1.0),
            {},
            "bathymetry: found -1 m at row 0, column 0 (x = 5000 m, y = -35000 m); expected metres",
        ),
        (np.full((8, 12), np.nan), {}, "bathymetry: found nan m at row 0, column 0 (x = 5000 m"),
        (np.ones((8, 12)), {"positive": "up"}, "bathymetry: found no point below the sea"),
    ],
)
def test_a_bathymetry_that_cannot_be(netcdf, values, options, problem):
    path = netcdf(h=(values, "m"))
    (found,) = refusals(lambda namelist: plan(namelist, 1), bathymetry(path, **options))
    assert problem in found


def test_a_variable_of_text_is_refused(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.createDimension("y", 8)
        dataset.createDimension("x", 12)
        dataset.createVariable("h", str, ("y", "x"))
    (found,) = refusals(lambda namelist: plan(namelist, 1), bathymetry(path))
    assert found.startswith("bathymetry.variable: found h of type str in ")


def test_a_file_that_is_no_netcdf(tmp_path):
    path = tmp_path / "a.nc"
    path.write_text("not netCDF")
    (found,) = refusals(lambda namelist: plan(namelist, 1), bathymetry(path))
    assert "bathymetry.file: found" in found
    assert "expected a netCDF file" in found


def test_later_bands_are_checked_too():
    centres = Centres(np.arange(600.0)[:, None], np.arange(2.0)[None, :])
    deep = DepthFromFormula(centres, lambda x, y: np.where((y == 599) & (x == 1), -5.0, 7.0))
    with pytest.raises(NamelistError, match="found -5 m at row 599, column 1"):
        check_depth(deep, centres, Domain.serial((600, 2)))


def test_a_new_shape_is_a_section_and_a_function():
    class Bowl(Section):
        radius: float

    @bottom_depth.register
    def _(config: Bowl, centres: Centres):
        return DepthFromFormula(
            centres, lambda x, y: np.maximum(0.0, 1 - (x**2 + y**2) / config.radius**2)
        )

    y, x = np.arange(3.0)[:, None], np.arange(4.0)[None, :]
    depth = bottom_depth(Bowl(radius=5.0), Centres(y, x))
    assert depth is not None
    np.testing.assert_allclose(depth[..., 1:3, 0:2], (1 - (x**2 + y**2) / 25)[1:3, 0:2], rtol=1e-15)


@pytest.mark.parametrize(
    ("function", "others"),
    [
        (bottom_depth, [Centres(0, 0)]),
        (level_thickness, []),
        (footprint, []),
        (build_horizontal, [Domain.serial((1, 1)), "float64"]),
    ],
)
def test_unregistered_sections_are_refused(function, others):
    with pytest.raises(TypeError, match="registered"):
        function(3, *others)


# -- decomposition --------------------------------------------------------------------------------


def test_layouts():
    assert build_decomposition(box().namelist, 4).size == 4
    assert build_decomposition(box("decomposition.layout=[1, 4]").namelist, 4).layout == (1, 4)


def test_plan_says_the_division_in_words():
    assert str(plan(box().namelist, 1)) == "1 rank, blocks of 8 x 12 cells out of 8 x 12"
    three = plan(box("decomposition.layout=[3, 1]").namelist, 3)
    assert str(three) == "3 ranks as 3 x 1 (y, x), blocks of 2-3 x 12 cells out of 8 x 12"


def test_plan_reports_all_problems_at_once(netcdf):
    path = netcdf(h=(np.ones((2, 2)), "m"), dz=([-1.0], "m"))
    problems = refusals(
        lambda namelist: plan(namelist, 5),
        bathymetry(path),
        f"vertical={{type: file, file: {path}, variable: dz}}",
        "decomposition.layout=[2, 2]",
    )
    assert [problem.split(":")[0] for problem in problems] == [
        "bathymetry.variable",
        "decomposition.layout",
        "vertical.variable",
    ]


# -- estimates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["plane", "topography", "file"])
def test_the_estimated_grid_is_as_large_as_the_grid(netcdf, depths, kind, precision):
    overrides = [f"precision={precision}"]
    if kind == "topography":
        overrides.append(bathymetry(netcdf(h=(depths, "m"))))
    if kind == "file":
        overrides.append(f"grid={{type: file, file: {netcdf(**metrics())}, periodic: [x]}}")
    grid = built(*overrides)
    true = sum(leaf.nbytes for leaf in jax.tree.leaves(grid))
    assert grid_size(box(*overrides).namelist, (4, 8, 12)) == pytest.approx(true, rel=0.2)


def test_estimates_over_ranks():
    namelist = box().namelist
    rows = {row.what: row for row in estimates(namelist, build_decomposition(namelist, 3), 4)}
    volume = rows["one field (z, y, x)"]
    assert volume.all_ranks == 4 * 8 * 12 * 8
    assert volume.largest_rank == 4 * 8 * 4 * 8
