"""Weather over real ground: fields of files of other grids, an analysis on levels of pressure."""

from __future__ import annotations

import importlib.util
import warnings

import netCDF4
import numpy as np
import pytest

from dassim.atmosphere.primitive.physics import Columns
from dassim.config import Namelist, NamelistWarning, load
from dassim.config.errors import NamelistError
from dassim.config.experiment import build_experiment
from dassim.dynamics.series import TimeSeries
from dassim.parallel import SerialCommunicator
from tests.models.namelists import PACKAGES, PROJECT, SMALLER, integrate

GAS, GRAVITY, LAPSE, T0 = 287.0, 9.80616, 0.0065, 290.0
POWER = GAS * LAPSE / GRAVITY
LEVELS = np.array([1, 3, 10, 30, 50, 70, *range(100, 1001, 25)])
LON, LAT = np.arange(64) * 5.625, np.linspace(-87, 87, 32)
NAMELIST = PROJECT / "namelists" / "atmosphere" / "real_terrain.yaml"


def hills(lon, lat):
    lon, lat = np.deg2rad(lon), np.deg2rad(lat)
    return 1500.0 * (1 + np.cos(2 * lon)) * np.cos(lat) ** 2


def write(path, dims, **fields):
    with netCDF4.Dataset(path, "w") as file:
        for name, points in dims.items():
            file.createDimension(name, len(points))
            file.createVariable(name, "f8", (name,))[...] = points
        for name, (along, values, attributes) in fields.items():
            file.createVariable(name, "f4", along, fill_value=np.nan)[...] = values
            file[name].setncatts(attributes)
    return path


def analysis(path, levels=LEVELS, **changes):
    """Air of a constant lapse rate, with the names, the units and the order of ERA5's."""
    sigma = np.asarray(levels)[:, None, None] / 1000.0
    ones = np.ones((len(levels), len(LON), len(LAT)))
    fields = {
        "geopotential": (GRAVITY * T0 / LAPSE * (1 - sigma**POWER) * ones, "m**2 s**-2"),
        "temperature": (T0 * sigma**POWER * ones, "K"),
        "u_component_of_wind": (20 * np.cos(np.deg2rad(LAT)) * ones, "m s**-1"),
        "v_component_of_wind": (0 * ones, "m s**-1"),
        "specific_humidity": (0.01 * sigma**3 * ones, "kg kg**-1"),
    }
    along = ("level", "longitude", "latitude")
    return write(
        path,
        {"level": levels, "longitude": LON, "latitude": LAT},
        **{
            name: (along, changes.get(name, values), {"units": units})
            for name, (values, units) in fields.items()
        },
    )


@pytest.fixture
def files(tmp_path):
    """Overrides of the namelist: files in place of those of the packages."""
    lon, lat = LON[:, None], LAT
    months = np.arange(12) * 30.0
    land = 0.5 * (1 + np.sign(np.sin(np.deg2rad(lon)))) * np.ones((64, 32))
    season = 5 * np.cos(2 * np.pi * months / 360)
    along, monthly = ("lon", "lat"), ("lon", "lat", "time")
    terrain = write(
        tmp_path / "terrain.nc",
        {"lon": LON, "lat": LAT},
        orog=(along, hills(lon, lat), {"units": "m"}),
        lsm=(along, land, {"units": "fractional"}),
    )
    forcing = write(
        tmp_path / "forcing.nc",
        {"lon": LON, "lat": LAT, "time": months},
        sst=(monthly, 290.0 + season * np.ones((64, 32, 1)), {}),
        stl=(monthly, 280.0 - season * np.ones((64, 32, 1)), {"units": "K"}),
    )
    with netCDF4.Dataset(forcing, "a") as file:
        file["time"].setncatts({"units": "days since 1958-01-02", "calendar": "360_day"})
    air = analysis(tmp_path / "era5.nc")
    return (
        *SMALLER["real_terrain"],
        "time.calendar=360_day",
        f"orography.file={terrain}",
        f"surface.land.fraction.file={terrain}",
        *(f"surface.{key}.file={forcing}" for key in ("temperature", "land.temperature")),
        *(f"surface.{key}.period=360 d" for key in ("temperature", "land.temperature")),
        f"initial.file={air}",
    )


def build(overrides):
    loaded = load(NAMELIST, Namelist, overrides=overrides)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        return build_experiment(loaded.namelist, SerialCommunicator())


def test_an_analysis_is_brought_to_the_ground_and_the_levels_of_the_model(files):
    experiment = build(files)
    grid, state, parameters = experiment.model.grid, experiment.state, experiment.parameters
    ground = np.asarray(parameters.orography)
    lon, lat = (np.asarray(grid.owned(axis.c)) for axis in (grid.x, grid.y))
    np.testing.assert_allclose(ground, hills(lon, lat), atol=80.0)
    assert ground.max() > 2500.0
    expected = 1e5 * (1 - LAPSE * ground / T0) ** (1 / POWER)
    np.testing.assert_allclose(state.ps, expected, atol=8.0)
    columns = Columns.of(grid, parameters, state)
    p = np.clip(np.asarray(columns.pressure), 0, 1e5)
    np.testing.assert_allclose(state.T, T0 * (p / 1e5) ** POWER, atol=0.3)
    # A line of ln p between 900 and 1000 hPa lies above p^3.
    np.testing.assert_allclose(state.tracers["q"], 0.01 * (p / 1e5) ** 3, atol=3e-5)
    np.testing.assert_allclose(
        state.u, 20 * np.cos(np.deg2rad(lat)) * np.ones(state.u.shape), atol=0.4
    )
    assert float(abs(state.v).max()) == 0.0


def test_air_below_the_lowest_level_gets_warmer(files, tmp_path):
    """The lowest level lies 1300 m over the sea."""
    air = analysis(tmp_path / "high.nc", levels=LEVELS[LEVELS <= 850])
    low = build([*files, f"initial.file={air}"])
    state, ground = low.state, np.asarray(low.parameters.orography)
    expected = 1e5 * (1 - LAPSE * ground / T0) ** (1 / POWER)
    np.testing.assert_allclose(state.ps, expected, atol=8.0)
    at_sea = ground < 100.0
    lowest = np.asarray(Columns.of(low.model.grid, low.parameters, state).pressure)[-1]
    T = T0 * (lowest / 1e5) ** POWER
    np.testing.assert_allclose(np.asarray(state.T)[-1][at_sea], T[at_sea], atol=0.3)


def test_a_cell_is_as_warm_and_wet_as_its_land_and_water(files):
    experiment = build(files)
    parameters, state = experiment.parameters, experiment.state
    assert isinstance(parameters.surface_temperature, TimeSeries)
    lon = np.asarray(experiment.model.grid.owned(experiment.model.grid.x.c))
    east = np.broadcast_to((lon > 10) & (lon < 170), state.ps.shape)
    west = np.broadcast_to((lon > 190) & (lon < 350), state.ps.shape)
    for month, swing in ((0, 5.0), (6, -5.0), (12, 5.0)):
        Ts = np.asarray(parameters.surface_temperature.at(month * 30 * 86400.0))
        np.testing.assert_allclose(Ts[west], 290.0 + swing, atol=1e-4)
        np.testing.assert_allclose(Ts[east], 280.0 - swing, atol=1e-4)
    wetness = np.asarray(parameters.wetness)
    np.testing.assert_allclose(wetness[west], 1.0, rtol=1e-12)
    np.testing.assert_allclose(wetness[east], 0.5, rtol=1e-12)


def test_it_runs(files):
    experiment = build(files)
    end = integrate(experiment.model, experiment.parameters, experiment.state, 4)
    assert all(np.isfinite(field.data).all() for field in end.fields().values())
    assert float(abs(end.u - experiment.state.u).max()) < 20.0


def test_what_cannot_be_is_refused(files, tmp_path):
    holes = np.ones((len(LEVELS), len(LON), len(LAT)))
    holes[-1, 5:15, 5:15] = np.nan
    with_holes = analysis(tmp_path / "holes.nc", temperature=holes)
    twice = analysis(tmp_path / "twice.nc", levels=np.r_[LEVELS, 1000])
    rough = tmp_path / "rough.nc"
    height = hills(LON[:, None], LAT)
    height[8:16, 8:16] = np.nan
    write(rough, {"lon": LON, "lat": LAT}, orog=(("lon", "lat"), height, {"units": "m"}))
    wrong = {
        "no value of temperature at row": f"initial.file={with_holes}",
        "expected at least 2 pressures, each once": f"initial.file={twice}",
        "initial.T: found no variable t in": "initial.T=t",
        "orography: found no number at row": f"orography.file={rough}",
        "or write interpolate: true": "orography.interpolate=false",
        "surface.land.fraction: found no share at row": "surface.land.fraction.variable=orog",
        "found grey_radiation and no": "surface=null",
        "and no q in the section initial": "initial.q=null",
    }
    for words, override in wrong.items():
        with pytest.raises(NamelistError) as refused:
            build([*files, override])
        assert words in str(refused.value), override


def test_the_analysis_of_era5_over_the_ground_of_echam():
    """Its mean pressure at the ground is that of the Earth, and its levels keep their height."""
    missing = [name for name in PACKAGES["real_terrain"] if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"found no package {missing[0]}; uv pip install --no-deps {missing[0]}")
    experiment = build(SMALLER["real_terrain"])
    model, grid = experiment.model, experiment.model.grid
    area = np.broadcast_to(np.asarray(grid.owned(grid.area.c)), experiment.state.ps.shape)
    assert np.average(experiment.state.ps, weights=area) == pytest.approx(98550.0, abs=200.0)
    found = model.output(experiment.parameters, experiment.state, ["z", "p", "psl"])
    assert 94000.0 < float(found["psl"].min()) < float(found["psl"].max()) < 108000.0
    log = np.log(np.asarray(found["p"]))
    middle = [
        [np.interp(np.log(5e4), log[:, j, i], np.asarray(found["z"])[:, j, i]) for i in range(32)]
        for j in range(16)
    ]
    spec = importlib.util.find_spec("neuralgcm")
    assert spec is not None and spec.submodule_search_locations
    folder = spec.submodule_search_locations[0]
    with netCDF4.Dataset(f"{folder}/data/era5_tl31_19590102T00.nc") as file:
        level = list(file["level"][:]).index(500)
        height = np.asarray(file["geopotential"][level]).T / GRAVITY
        weights = np.cos(np.deg2rad(np.asarray(file["latitude"][:])))[:, None] + 0 * height
    heights = np.average(middle, weights=area), np.average(height, weights=weights)
    assert heights[0] == pytest.approx(heights[1], abs=25.0)
    wetness = np.asarray(experiment.parameters.wetness)
    assert np.average(2 * (1 - wetness), weights=area) == pytest.approx(0.29, abs=0.03)
