"""Figures of validation cases."""

from __future__ import annotations

from pathlib import Path

import cmocean  # noqa: F401 - names its colour maps cmo.*
import numpy as np
from matplotlib.ticker import MaxNLocator

from dassim.cli.figures.style import colour_bar, degrees, figure, head, unit
from tests.models.namelists import PROJECT

FIGURES = PROJECT / "runs" / "validation"


def draw_sst_error(folder: Path, grid, error: np.ndarray) -> Path:
    """A map of the SST's ``error (ny, nx)`` (K), NaN on land."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "global_4deg_sst_error.png"
    lon, lat = np.asarray(grid.owned(grid.x.c))[0], np.asarray(grid.owned(grid.y.c))[:, 0]
    with figure() as (made, axes):
        drawn = axes.pcolormesh(lon, lat, error, cmap="cmo.balance", vmin=-4, vmax=4)
        colour_bar(drawn, axes, "K", slenderness=np.ptp(lat) / np.ptp(lon), extend="both")
        axes.set(xlabel="longitude (degrees east)", ylabel="latitude (degrees north)", aspect=1)
        axes.set_facecolor("0.8")
        head(axes, "SST minus climatology", "after 10 years")
        made.savefig(path)
    return path


def draw_zonal_mean(
    folder: Path, name: str, title: str, when: str, units: str, lat, sigma, values: np.ndarray
) -> Path:
    """Contours of a zonal mean ``values (nz, ny)`` over latitude (degrees) and sigma, the top of
    the air above."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    both_signs = values.min() < 0.0 < values.max()
    largest = float(abs(values).max())
    ends = (-largest, largest) if both_signs else (float(values.min()), float(values.max()))
    levels = MaxNLocator(20, symmetric=both_signs).tick_values(*ends)
    colours = "cmo.balance" if both_signs else "cmo.thermal"
    with figure() as (made, axes):
        drawn = axes.contourf(lat, sigma, values, levels, cmap=colours)
        axes.contour(lat, sigma, values, levels[::2], colors="0.2", linewidths=0.4)
        colour_bar(drawn, axes, unit(units))
        axes.set(ylabel="sigma", ylim=(1.0, 0.0))
        degrees(axes.xaxis, "NS", 180.0)
        head(axes, title, when)
        made.savefig(path)
    return path
