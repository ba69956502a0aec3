"""Time series: means, extremes and transports through a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dassim.cli.figures.style import figure, unit


class Panel(NamedTuple):
    """One pair of axes: curves by their labels, in one unit."""

    title: str
    units: str
    curves: dict[str, np.ndarray]


COLOURS = ("#1f4e79", "#c0504d", "#4f8a4c", "#8064a2")


def draw(path: Path, days: np.ndarray, panels: Sequence[Panel]) -> None:
    """The ``panels``, one below the other, over ``days`` since the start of the run."""
    years = days[-1] > 3 * 365
    x = days / 365.25 if years else days
    options: Any = {"nrows": len(panels), "sharex": True, "squeeze": False}
    with figure(6.4, 0.7 + 1.35 * len(panels), **options) as (made, grid):
        for axes, panel in zip(grid[:, 0], panels, strict=True):
            axes.set_facecolor("white")
            marker = "o" if len(x) < 40 else None
            for (label, values), colour in zip(panel.curves.items(), COLOURS, strict=False):
                axes.plot(x, values, color=colour, label=label, marker=marker, markersize=2.5)
            axes.set_title(panel.title)
            axes.set_ylabel(unit(panel.units))
            axes.grid(color="#ddd", linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
            axes.ticklabel_format(axis="y", useOffset=False)
            if len(panel.curves) > 1:
                above = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
                axes.legend(ncols=3, fontsize=8, handlelength=1.5, columnspacing=1.2, **above)
        grid[-1, 0].set_xlabel("years since the start" if years else "days since the start")
        grid[-1, 0].set_xlim(min(0.0, float(x[0])), x[-1])
        made.savefig(path)
