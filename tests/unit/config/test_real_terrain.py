"""Weather over real ground: fields of files of other grids, an analysis on levels of pressure."""

from __future__ import annotations

import importlib.util

import netCDF4
import numpy as np
import pytest

from dassim.assimilation.dot_products import model_dot_product_test
from dassim.atmosphere.primitive.physics import Columns
from dassim.config.errors import NamelistError
from dassim.dynamics.series import TimeSeries
from tests.models.namelists import PACKAGES, SMALLER, integrate
from tests.models.terrain import (
    GRAVITY,
    LAPSE,
    LAT,
    LEVELS,
    LON,
    POWER,
    T0,
    analysis,
    build,
    hills,
    made_up,
    write,
)


@pytest.fixture
def files(tmp_path):
    return made_up(tmp_path)


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


def test_the_adjoint_is_the_transpose(files):
    experiment = build(files)
    start = integrate(experiment.model, experiment.parameters, experiment.state, 2)
    test = model_dot_product_test(experiment.model, experiment.parameters, start, steps=1, seed=1)
    assert test.passed, test


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
        "found no value of temperature at level=": f"initial.file={with_holes}",
        "expected at least 2 pressures, each once": f"initial.file={twice}",
        "initial.T: found no variable t in": "initial.T=t",
        "orography.variable: found no value of orog at lon=8": f"orography.file={rough}",
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
