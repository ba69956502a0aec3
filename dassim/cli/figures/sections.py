"""Sections: fields at one time over depth and one horizontal axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, TwoSlopeNorm
from matplotlib.ticker import MaxNLocator

from dassim.cli.figures.style import (
    LAND,
    beyond,
    colour_bar,
    degrees,
    figure,
    head,
    kilometres,
    limits,
    unit,
)


def draw(
    path: Path,
    field: Any,
    data: Any,
    title: str,
    when: str,
    colours: str,
    *,
    lines: Any = None,
    symmetric: bool = False,
) -> None:
    """A section of ``field (z, y)``, the bottom in grey, with isolines of ``lines``; ``symmetric``:
    colours around 0.

    A depth axis is a square root, so that the upper ocean has room.
    """
    at_z, at_y = field.dims
    values = np.asarray(field.values, float)
    low, high = limits(values, symmetric=symmetric)
    with figure(6.4, 3.2) as (made, axes):
        drawn = axes.pcolormesh(
            _edges(data, at_y),
            _edges(data, at_z),
            values,
            cmap=colours,
            vmin=low,
            vmax=high,
            rasterized=True,
        )
        colour_bar(
            drawn, axes, unit(field.attrs.get("units", "")), extend=beyond(values, low, high)
        )
        if lines is not None:
            _isolines(axes, lines, data)
        _describe(axes, data, at_y, at_z)
        head(axes, title, when)
        made.savefig(path)


def draw_overturning(path: Path, psi: Any, data: Any, title: str, when: str) -> None:
    """A stream function (upper faces, y-faces) over depth, 0 at the bottom and at the walls."""
    at_y = next(name for name in data["mask"].dims[1:] if psi.dims[1] == f"{name}_v")
    y, z = _edges(data, at_y), _edges(data, "depth")
    whole = np.zeros((len(z), len(y)))
    whole[:-1, :-1] = psi.values
    wet = (data["mask"].values > 0).any(axis=-1)
    levels = MaxNLocator(20, symmetric=True).tick_values(*limits(whole, symmetric=True))
    with figure(6.4, 3.2) as (made, axes):
        norm = TwoSlopeNorm(0.0, levels[0], levels[-1])
        drawn = axes.contourf(y, z, whole, levels, cmap="cmo.balance", norm=norm, extend="both")
        axes.contour(y, z, whole, levels, colors="k", linewidths=0.35)
        land = np.where(wet, np.nan, 0.0)
        axes.pcolormesh(y, z, land, cmap=ListedColormap([LAND]), rasterized=True, zorder=3)
        colour_bar(drawn, axes, "Sv")
        _describe(axes, data, at_y, "depth")
        head(axes, title, when)
        made.savefig(path)


def _edges(data: Any, name: str) -> np.ndarray:
    bounds = data[f"{name}_bnds"].values
    return np.append(bounds[:, 0], bounds[-1, 1])


def _isolines(axes: Axes, lines: Any, data: Any) -> None:
    """At values that divide the section into parts of similar size, to one decimal."""
    values = np.asarray(lines.values, float)
    finite = values[np.isfinite(values)]
    levels = np.unique(np.round(np.quantile(finite, np.linspace(0.08, 0.92, 9)), 1))
    at_z, at_y = (data[str(name)].values for name in lines.dims)
    drawn = axes.contour(at_y, at_z, values, levels, colors="k", linewidths=0.5)
    axes.clabel(drawn, fontsize=6.5, fmt="%g")


def _describe(axes: Axes, data: Any, at_y: str, at_z: str) -> None:
    """Scales, limits, ticks and labels of a section."""
    y, z = _edges(data, at_y), _edges(data, at_z)
    if at_z == "depth":
        axes.set_yscale("function", functions=(_root, np.square))
        axes.set_yticks(_depths(float(z[-1])))
    axes.set_ylim(z[-1], 0.0)
    labels = {
        "depth": "depth (m)",
        "sigma": "pressure over that at the ground",
        "hybrid": "pressure over 1000 hPa, at ground of as much",
    }
    axes.set_ylabel(labels[at_z])
    axes.set_xlim(y[0], y[-1])
    if at_y.startswith("l"):
        degrees(axes.xaxis, "NS", float(np.ptp(y)))
    else:
        kilometres(axes.xaxis, at_y[0])


def _root(depth: Any) -> Any:
    return np.sqrt(np.maximum(depth, 0.0))


def _depths(deepest: float) -> list[float]:
    """Ticks of a depth axis, denser towards the surface.

    >>> _depths(2500.0)
    [0.0, 50.0, 200.0, 500.0, 1000.0, 2000.0]
    """
    power = 10.0 ** np.floor(np.log10(deepest))
    whole = np.arange(1, deepest / power + 1e-9)
    return [float(power * part) for part in (0.0, 0.05, 0.2, 0.5, *whole)]
