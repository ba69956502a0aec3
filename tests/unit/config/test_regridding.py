"""Fields of files on longitudes and latitudes of their own, and files of packages."""

from __future__ import annotations

import sys

import netCDF4
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from dassim.config.errors import NamelistError, NamelistWarning
from dassim.config.files import file_variable
from dassim.config.gridded import read_records
from dassim.config.paths import InputFile
from dassim.config.points import Basin
from dassim.config.regridding import Regridded
from dassim.config.schema.profiles import FromFile
from dassim.config.units import Temperature
from dassim.grid import build_grid, cartesian, latlon, levels, one_layer
from dassim.parallel import Domain

KEY = ("orography", "variable")


def globe(ny, nx=None):
    nx = 2 * ny if nx is None else nx
    domain = Domain.serial((ny, nx), periodic=(False, True))
    faces = np.linspace(0, 360, nx + 1), np.linspace(-90, 90, ny + 1)
    return build_grid(latlon(domain, *faces, radius=1.0, rotation=0.0), one_layer())


def write(path, dims, values, lat, lon, **units):
    with netCDF4.Dataset(path, "w") as file:
        for name, size in zip(dims, values.shape, strict=True):
            file.createDimension(name, size)
        for name, degrees in ((dims[-2], lat), (dims[-1], lon)):
            if name in dims and degrees is not None:
                file.createVariable(name, "f8", (name,))[...] = degrees
                if name in units:
                    file[name].units = units[name]
        file.createVariable("h", "f8", dims, fill_value=np.nan)[...] = values
    return path


def regridded(grid, path):
    variable = Regridded.onto(grid, file_variable(path, "h", KEY, None), KEY)
    return variable, np.asarray(variable[..., slice(None), slice(None)])


def waves(lat, lon):
    lat, lon = np.deg2rad(lat), np.deg2rad(lon)
    return np.sin(lat)[:, None] + np.cos(lat)[:, None] ** 2 * np.cos(2 * lon)


def gaussian(n):
    return np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(n)[0]))


def at_centres(grid):
    lat, lon = np.asarray(grid.owned(grid.y.c))[:, 0], np.asarray(grid.owned(grid.x.c))[0]
    return waves(lat, lon)


def test_bilinear_values_are_of_second_order(tmp_path):
    grid, errors = globe(40, 64), []
    for n in (24, 48):
        lat, lon = gaussian(n), np.arange(2 * n) * 180.0 / n
        path = write(tmp_path / f"{n}.nc", ("lat", "lon"), waves(lat, lon), lat, lon)
        _, found = regridded(grid, path)
        errors.append(abs(found - at_centres(grid)).max())
    assert errors[0] < 0.05
    assert errors[0] / errors[1] > 3.0


def test_any_order_of_dimensions_and_of_latitudes_is_the_same(tmp_path):
    lat, lon = gaussian(24), np.arange(48) * 7.5
    values = waves(lat, lon)
    grid = globe(16)
    _, found = regridded(grid, write(tmp_path / "a.nc", ("lat", "lon"), values, lat, lon))
    with netCDF4.Dataset(tmp_path / "b.nc", "w") as file:
        for name, size in (("i", 48), ("j", 24), ("time", 3)):
            file.createDimension(name, size)
        for name, degrees, units in (
            ("i", lon, "degrees_east"),
            ("j", lat[::-1], "degrees_north"),
        ):
            file.createVariable(name, "f8", (name,))[...] = degrees
            file[name].units = units
        file.createVariable("h", "f8", ("i", "j", "time"))
        for number in range(3):
            file["h"][..., number] = (number + 1) * values[::-1].T
    turned, each = regridded(grid, tmp_path / "b.nc")
    assert turned.shape == (3, 16, 32)
    assert turned.dimensions == ("time", "j", "i")
    np.testing.assert_allclose(each, np.stack([found, 2 * found, 3 * found]), rtol=1e-12)
    part = turned[1, ..., slice(3, 7), slice(30, 32)]
    np.testing.assert_allclose(part, 2 * found[3:7, 30:32], rtol=1e-12)


def test_larger_cells_hold_the_mean(tmp_path):
    """Rough ground keeps its mean height."""
    lat, lon = -89.0 + 2.0 * np.arange(90), 2.0 * np.arange(180)
    rough = np.random.default_rng(0).random((90, 180))
    _, found = regridded(globe(9), write(tmp_path / "a.nc", ("lat", "lon"), rough, lat, lon))
    assert found.mean() == pytest.approx(rough.mean(), rel=2e-3)
    assert found.std() < 0.15 * rough.std()


def test_points_without_a_value_take_those_around(tmp_path):
    lat, lon = -85.0 + 10.0 * np.arange(18), 10.0 * np.arange(36)
    values = np.full((18, 36), 5.0)
    values[4:9, 10:15] = np.nan
    _, found = regridded(globe(36), write(tmp_path / "a.nc", ("lat", "lon"), values, lat, lon))
    missing = np.isnan(found)
    assert missing.any()
    assert missing.sum() < 4 * 25
    np.testing.assert_allclose(found[~missing], 5.0, rtol=1e-14)


def test_beyond_the_file_there_is_no_value(tmp_path):
    lat, lon = np.linspace(-20, 20, 9), np.linspace(100, 140, 9)
    path = write(tmp_path / "a.nc", ("lat", "lon"), np.ones((9, 9)), lat, lon)
    _, found = regridded(globe(36), path)
    known = np.isfinite(found)
    assert known.sum() == 10 * 10
    assert known[13:23, 19:29].all()


def test_values_on_levels_are_carried_to_points_that_have_none(tmp_path):
    """As those of files on the grid itself."""
    lat, lon = -85.0 + 10.0 * np.arange(18), 10.0 * np.arange(36)
    values = np.stack([10.0 * np.ones((18, 36)), 5.0 * np.ones((18, 36))])
    values[:, 6:9, 10:15] = np.nan
    path = write(tmp_path / "a.nc", ("level", "lat", "lon"), values, lat, lon)
    domain = Domain.serial((18, 36), periodic=(False, True))
    faces = np.linspace(0, 360, 37), np.linspace(-90, 90, 19)
    grid = build_grid(latlon(domain, *faces, radius=1.0, rotation=0.0), levels([10.0, 20.0]))
    keys = {"type": "file", "file": path, "variable": "h", "interpolate": True}
    at, key = Basin.of(grid).points("c"), ("initial", "T")
    with pytest.raises(NamelistError, match="no value of h at row 6, column 10"):
        read_records(FromFile[Temperature](**keys), at, key)
    with pytest.warns(NamelistWarning, match="take values from points around"):
        found = read_records(FromFile[Temperature](**keys, extrapolate=3), at, key).values
    np.testing.assert_allclose(found[0], 10.0, rtol=1e-12)
    np.testing.assert_allclose(found[1], 5.0, rtol=1e-12)


def test_what_cannot_be_interpolated_is_refused(tmp_path):
    path = write(tmp_path / "a.nc", ("y", "x"), np.ones((4, 8)), None, None)
    with pytest.raises(NamelistError, match="found h along y, x, none of them lat or latitude"):
        regridded(globe(4), path)
    path = write(tmp_path / "b.nc", ("lat", "lon"), np.ones((3, 4)), [0, 20, 10], [0, 1, 2, 3])
    with pytest.raises(NamelistError, match="expected degrees that grow, or fall"):
        regridded(globe(4), path)
    domain = Domain.serial((4, 4), periodic=(False, False))
    plane = build_grid(cartesian(domain, np.arange(5.0), np.arange(5.0)), one_layer())
    with pytest.raises(NamelistError, match="expected one of longitudes and latitudes"):
        regridded(plane, path)


def test_files_of_packages_are_found_without_importing_them(tmp_path, monkeypatch):
    package = tmp_path / "weather_fields" / "data"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "a.nc").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    path = TypeAdapter(InputFile)
    assert path.validate_python("package:weather_fields/data/a.nc") == package / "a.nc"
    assert "weather_fields" not in sys.modules
    for text, words in (
        ("package:no_such_fields/a.nc", "no package 'no_such_fields'"),
        ("package:weather_fields/data/b.nc", "no file"),
        ("package:../a.nc", "no package '..'"),
    ):
        with pytest.raises(ValidationError) as refused:
            path.validate_python(text)
        assert words in refused.value.errors()[0]["ctx"]["found"]
