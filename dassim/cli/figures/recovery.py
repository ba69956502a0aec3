"""Figures of a recovery: how the cost falls, and how far from the truth runs are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cmocean  # noqa: F401 - names its colour maps cmo.*
import numpy as np

from dassim.cli.figures import maps, series
from dassim.cli.figures.gallery import Shown, date_of
from dassim.cli.figures.series import COLOURS, Panel
from dassim.cli.figures.style import figure, unit
from dassim.io import derived

STYLES = {"first guess": ("#888888", "--"), "analysis": (COLOURS[0], "-")}


def convergence(folder: Path, rows: Sequence[Mapping[str, str]]) -> Iterator[Shown]:
    """The cost, its parts and its gradient over iterations, from the lines of the table."""
    if len(rows) < 2:
        return
    iterations = np.array([int(row["iteration"]) for row in rows])
    parts = [name for name in rows[0] if name.startswith(("Jb", "Jc", "Jo"))]
    costs = ["J", *parts] if len(parts) > 1 else ["J"]
    errors = [name for name in rows[0] if name.startswith("rmse ")]
    panels = [("Cost", costs), ("Gradient", ["|g|"])]
    if errors:
        panels.append(("Root-mean-square error at the window's start", errors))
    options: Any = {"nrows": len(panels), "sharex": True, "squeeze": False}
    with figure(6.4, 0.6 + 1.9 * len(panels), **options) as (made, grid):
        for axes, (title, names) in zip(grid[:, 0], panels, strict=True):
            axes.set_facecolor("white")
            for name, colour in zip(names, COLOURS * 3, strict=False):
                values = np.array([float(row[name]) for row in rows])
                known, label = np.isfinite(values), name.removeprefix("rmse ")
                axes.semilogy(iterations[known], values[known], color=colour, label=label)
            axes.set_title(title)
            axes.grid(color="#ddd", linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
            if len(names) > 1:
                above = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
                axes.legend(ncols=6, fontsize=8, handlelength=1.5, **above)
        grid[-1, 0].set_xlabel("iteration")
        grid[-1, 0].xaxis.get_major_locator().set_params(integer=True)
        made.savefig(folder / "convergence.png")
    yield Shown("convergence.png", "The minimisation: cost, gradient, and errors at the start.")


def errors(
    folder: Path,
    days: Mapping[str, np.ndarray],
    curves: Mapping[str, Mapping[str, np.ndarray]],
    units: Mapping[str, str],
    window: tuple[float, float],
) -> Iterator[Shown]:
    """Errors of each variable over ``days``; ``curves`` by variable and run; none of none."""
    if not curves:
        return
    options: Any = {"nrows": len(curves), "sharex": True, "squeeze": False}
    with figure(6.4, 0.7 + 1.6 * len(curves), **options) as (made, grid):
        for axes, (variable, runs) in zip(grid[:, 0], curves.items(), strict=True):
            axes.set_facecolor("white")
            axes.axvspan(*window, color="#eef3f8", zorder=0)
            for name, values in runs.items():
                colour, line = STYLES.get(name, (COLOURS[1], "-"))
                positive = np.where(values > 0, values, np.nan)
                axes.semilogy(days[name], positive, line, color=colour, label=name)
            axes.set_title(variable)
            axes.set_ylabel(unit(units[variable]))
            axes.grid(color="#ddd", linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
        above = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
        grid[0, 0].legend(ncols=3, fontsize=8, **above)
        grid[-1, 0].set_xlabel("days since the start; shaded: the window")
        made.savefig(folder / "errors.png")
    yield Shown(
        "errors.png",
        "Root-mean-square errors against the nature run, in the window and in the forecast.",
    )


class Kind(NamedTuple):
    """What a field of a recovery is, by the end of its name. ``like``: the end of the name of the
    field whose colours it has."""

    title: str
    like: str | None = None
    colours: str = "cmo.balance"


SUFFIXES = {
    "_increment": Kind("Increment"),
    "_minus_first_guess": Kind("Data minus first guess"),
    "_minus_analysis": Kind("Data minus analysis", like="_minus_first_guess"),
    "_truth": Kind("Nature"),
    "_first_guess_error": Kind("Error of the first guess"),
    "_analysis_error": Kind("Error of the analysis"),
    "_background_deviation": Kind("Deviation of background errors", colours="cmo.amp"),
    "_analysis_deviation": Kind(
        "Deviation of analysis errors", like="_background_deviation", colours="cmo.amp"
    ),
    "_first_guess": Kind("First guess"),
    "_analysis": Kind("Analysis"),
}
"""Of the fields that a recovery writes; the first that fits counts."""


def fields(
    folder: Path, data: Any, record: int = -1, suffixes: Mapping[str, Kind] = SUFFIXES
) -> Iterator[Shown]:
    """Maps of the level at the surface of all fields of ``data`` whose names end like
    ``suffixes``."""
    now = data.isel(time=record)
    for name in map(str, data.data_vars):
        suffix = next((suffix for suffix in suffixes if name.endswith(suffix)), None)
        if suffix is None:
            continue
        field, (kind, like, colours) = _at_surface(now[name]), suffixes[suffix]
        if not np.isfinite(field.values).any():
            continue
        variable = name.removesuffix(suffix)
        other = f"{variable}{like}"
        maps.draw(
            folder / f"{name}.png",
            field,
            now,
            f"{kind}: {variable}",
            date_of(now),
            colours,
            symmetric=colours == "cmo.balance",
            from_zero=colours == "cmo.amp",
            like=_at_surface(now[other]) if like and other in now else None,
        )
        where = _surface_of(now[name])
        yield Shown(f"{name}.png", f"{field.attrs.get('long_name', kind)}{where}.")


def _at_surface(field: Any) -> Any:
    shown = derived.surface(field)
    return (shown[0] if shown.ndim > 2 else shown).load()


def _surface_of(field: Any) -> str:
    """Which level is at the surface, in words."""
    if derived.levels_of_air(field) is not None:
        return ", lowest level"
    return ", topmost level" if "depth" in field.dims else ""


def departures(folder: Path, data: Any) -> Iterator[Shown]:
    """Root mean squares of departures, before and after, over the times of all records."""
    before, after = "_minus_first_guess", "_minus_analysis"
    names = [str(name).removesuffix(before) for name in data if str(name).endswith(before)]
    if not names or data.sizes["time"] < 2:
        return

    def rms(name: str) -> np.ndarray:
        field = data[name]
        return np.sqrt((field**2).mean(field.dims[1:]).values)

    panels = [
        Panel(
            f"Data minus run, root mean square: {name}",
            str(data[f"{name}{before}"].attrs.get("units", "")),
            {"first guess": rms(f"{name}{before}"), "analysis": rms(f"{name}{after}")},
        )
        for name in names
    ]
    series.draw(folder / "departures.png", derived.days(data["time"]), panels)
    yield Shown("departures.png", "Departures of first guess and analysis from the data.")


def derivatives(folder: Path, data: Any) -> Iterator[Shown]:
    """A map of every field of ``data``, in the level nearest to the surface that has values."""
    now = data.isel(time=-1)
    for name in data.data_vars:
        field = now[name].load()
        where = ""
        if field.ndim > 2:
            levels = range(len(field))
            if derived.levels_of_air(field) is not None:
                levels = levels[::-1]
            known = (k for k in levels if np.isfinite(field[k].values).any())
            level = next(known, levels[0])
            field, where = field[level], f", level {level}"
        if not np.isfinite(field.values).any():
            continue
        what = str(name).replace("_", " ")
        colours, units = "cmo.balance", per(field.attrs.get("units", ""))
        path = folder / f"{name}.png"
        maps.draw(path, field, now, what, date_of(now), colours, symmetric=True, units=units)
        yield Shown(f"{name}.png", f"{field.attrs.get('long_name', what)}{where}.")


def per(units: str) -> str:
    """The unit of a derivative as it is read.

    >>> per("1e6 m3 s-1 (W m-2)-1"), per("K")
    ('Sv / (W m-2)', 'K')
    """
    return re.sub(r"\((.*)\)-1$", r"/ (\1)", units.replace("1e6 m3 s-1", "Sv"))
