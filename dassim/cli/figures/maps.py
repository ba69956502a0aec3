"""Maps: fields at one time over longitude and latitude, or over a plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize, PowerNorm, TwoSlopeNorm
from matplotlib.ticker import MaxNLocator

from dassim.cli.figures.style import (
    LAND,
    beyond,
    coastline,
    colour_bar,
    degrees,
    figure,
    head,
    kilometres,
    limits,
    scaled,
)
from dassim.io.derived import axes as names_of_axes


def draw(
    path: Path,
    field: Any,
    data: Any,
    title: str,
    when: str,
    colours: str,
    *,
    symmetric: bool = False,
    power: float = 1.0,
    units: str | None = None,
    like: Any = None,
    from_zero: bool = False,
) -> None:
    """A map of ``field (y, x)``, a DataArray of the dataset ``data``.

    ``symmetric``: colours around 0; ``power``: below 1, small values are told apart better;
    ``like``: a field whose colours it has, to be compared with; ``from_zero``: up to the largest.
    """
    x, y, spherical = edges(field, data)
    known = units or field.attrs.get("units", "")
    values, printed = scaled(np.asarray(field.values, float), known)
    range_of = values if like is None else scaled(np.asarray(like.values, float), known)[0]
    low, high = limits(range_of, symmetric=symmetric)
    if from_zero:
        low, high = 0.0, float(np.nanmax(range_of)) or 1.0
    norm: Any = Normalize(low, high)
    if power != 1.0:
        low = 0.0
        norm = PowerNorm(power, low, high)
    with _map(x, y) as (made, axes):
        drawn = axes.pcolormesh(x, y, values, cmap=colours, norm=norm, rasterized=True)
        ends = beyond(values, low, high)
        colour_bar(drawn, axes, printed, slenderness=np.ptp(y) / np.ptp(x), extend=ends)
        _coast(axes, data, over=any("_" in name for name in names_of_axes(field)))
        whole = edges(data["mask"].isel(depth=0), data) if "mask" in data.coords else (x, y)
        describe_axes(axes, *whole[:2], spherical)
        head(axes, title, when, narrow=np.ptp(y) > 1.15 * np.ptp(x))
        made.savefig(path)


def _map(x: np.ndarray, y: np.ndarray) -> Any:
    """A figure for a map of this extent."""
    height = float(np.clip(5.3 * np.ptp(y) / np.ptp(x) + 0.75, 2.6, 5.6))
    return figure(6.4 if height < 5.6 else 5.9, height)


def _contours(axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, colours: str) -> Any:
    """Filled levels of values at the corners ``x``, ``y``, with lines between them."""
    levels = MaxNLocator(20, symmetric=True).tick_values(*limits(values, symmetric=True))
    norm = TwoSlopeNorm(0.0, levels[0], levels[-1])
    drawn = axes.contourf(x, y, values, levels, cmap=colours, norm=norm, extend="both")
    axes.contour(x, y, values, levels, colors="k", linewidths=0.35)
    return drawn


def draw_streamfunction(path: Path, psi: Any, data: Any, title: str, when: str) -> None:
    """A map of a stream function at the corners of cells, which is 0 along the northern wall."""
    mask = data["mask"].isel(depth=0)
    x, y, spherical = edges(mask, data)
    # The corners beyond the last column are those of the first: around the globe, or both on walls.
    whole = np.zeros((len(y), len(x)))
    whole[:-1, :-1] = psi.values
    whole[:, -1] = whole[:, 0]
    whole[~_beside_water(mask.values > 0)] = np.nan
    with _map(x, y) as (made, axes):
        drawn = _contours(axes, x, y, whole, "cmo.balance")
        colour_bar(drawn, axes, "Sv", slenderness=np.ptp(y) / np.ptp(x))
        _coast(axes, data, over=True)
        describe_axes(axes, x, y, spherical)
        head(axes, title, when, narrow=np.ptp(y) > 1.15 * np.ptp(x))
        made.savefig(path)


def _beside_water(wet: np.ndarray) -> np.ndarray:
    """Corners (ny + 1, nx + 1) with a wet cell around them, over periodic or closed ends alike."""
    padded = np.pad(wet, 1)
    padded[:, 0], padded[:, -1] = padded[:, -2], padded[:, 1]
    return padded[:-1, :-1] | padded[1:, :-1] | padded[:-1, 1:] | padded[1:, 1:]


def edges(field: Any, data: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    """Edges of columns and rows, or corners of all cells, and whether they are in degrees."""
    at_y, at_x = names_of_axes(field)
    if f"{at_x}_bnds" in data.coords:
        x, y = (_edges_of(data[f"{name}_bnds"].values) for name in (at_x, at_y))
        return x, y, at_x.startswith("lon")
    if "x_at_c_bnds" in data.coords and (at_y, at_x) == ("y", "x"):
        x, y = (_corners_of(data[f"{name}_at_c_bnds"].values) for name in ("x", "y"))
        return x, y, False
    ny, nx = field.shape
    return np.arange(nx + 1.0) - 0.5, np.arange(ny + 1.0) - 0.5, False


def _edges_of(bounds: np.ndarray) -> np.ndarray:
    return np.append(bounds[:, 0], bounds[-1, 1])


def _corners_of(bounds: np.ndarray) -> np.ndarray:
    """Corners (ny + 1, nx + 1) from the four of each cell, counter-clockwise from south-west."""
    ny, nx, _ = bounds.shape
    corners = np.empty((ny + 1, nx + 1))
    corners[:-1, :-1] = bounds[..., 0]
    corners[:-1, -1] = bounds[:, -1, 1]
    corners[-1, :-1] = bounds[-1, :, 3]
    corners[-1, -1] = bounds[-1, -1, 2]
    return corners


def _coast(axes: Axes, data: Any, *, over: bool) -> None:
    """The coastline; ``over``: land covers what is drawn, for fields at faces or corners."""
    if "mask" not in data.coords:
        return
    mask = data["mask"].isel(depth=0)
    x, y, _ = edges(mask, data)
    wet = mask.values > 0
    if over:
        land = np.where(wet, np.nan, 0.0)
        axes.pcolormesh(x, y, land, cmap=ListedColormap([LAND]), rasterized=True, zorder=3)
    coastline(axes, wet, x, y)


def describe_axes(axes: Axes, x: np.ndarray, y: np.ndarray, spherical: bool) -> None:
    """Limits, ticks and labels of a map."""
    axes.set_xlim(x.min(), x.max())
    axes.set_ylim(max(y.min(), -90.0) if spherical else y.min(), y.max())
    if spherical:
        degrees(axes.xaxis, "EW", float(np.ptp(x)))
        degrees(axes.yaxis, "NS", float(np.ptp(y)))
        axes.set_aspect(1.0)
    else:
        kilometres(axes.xaxis, "x")
        kilometres(axes.yaxis, "y")
        axes.set_aspect(1.0)
