"""Weather over real ground, of files that are made up: their layout is that of the real ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import netCDF4
import numpy as np

from dassim.config import Namelist, NamelistWarning, load
from dassim.config.experiment import Experiment, build_experiment
from dassim.parallel import AbstractCommunicator, SerialCommunicator
from tests.models.namelists import PACKAGES, PROJECT, SMALLER

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


def made_up(folder: Path) -> tuple[str, ...]:
    """Files in ``folder``, and overrides that put them in the place of the real ones."""
    lon, lat = LON[:, None], LAT
    months = np.arange(12) * 30.0
    land = 0.5 * (1 + np.sign(np.sin(np.deg2rad(lon)))) * np.ones((64, 32))
    season = 5 * np.cos(2 * np.pi * months / 360)
    along, monthly = ("lon", "lat"), ("lon", "lat", "time")
    terrain = write(
        folder / "terrain.nc",
        {"lon": LON, "lat": LAT},
        orog=(along, hills(lon, lat), {"units": "m"}),
        lsm=(along, land, {"units": "fractional"}),
    )
    forcing = write(
        folder / "forcing.nc",
        {"lon": LON, "lat": LAT, "time": months},
        sst=(monthly, 290.0 + season * np.ones((64, 32, 1)), {}),
        stl=(monthly, 280.0 - season * np.ones((64, 32, 1)), {"units": "K"}),
    )
    with netCDF4.Dataset(forcing, "a") as file:
        file["time"].setncatts({"units": "days since 1958-01-02", "calendar": "360_day"})
    air = analysis(folder / "era5.nc")
    return (
        *SMALLER["real_terrain"],
        "time.calendar=360_day",
        f"orography.file={terrain}",
        f"surface.land.fraction.file={terrain}",
        *(f"surface.{key}.file={forcing}" for key in ("temperature", "land.temperature")),
        *(f"surface.{key}.period=360 d" for key in ("temperature", "land.temperature")),
        f"initial.file={air}",
    )


def smaller(name: str, folder: Path) -> tuple[str, ...]:
    """Overrides that make a namelist small; what it reads of packages is made up in ``folder``."""
    return made_up(folder) if name in PACKAGES else SMALLER[name]


def build(overrides, comm: AbstractCommunicator | None = None) -> Experiment:
    """The namelist ``real_terrain`` with these overrides."""
    loaded = load(NAMELIST, Namelist, overrides=overrides)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        return build_experiment(loaded.namelist, comm or SerialCommunicator())
