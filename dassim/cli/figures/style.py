"""How all figures look: axes in degrees or kilometres, grey land, units on colour bars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

LAND, COAST = "#d5d0c8", "#4a4640"

SETTINGS: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.facecolor": LAND,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.dpi": 160,
    "savefig.dpi": 160,
    "mathtext.default": "regular",
}

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@contextmanager
def figure(width: float = 6.4, height: float = 3.6, **options: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure in the style of all, and its axes; closed afterwards. Inches."""
    with plt.rc_context(SETTINGS):
        made, axes = plt.subplots(figsize=(width, height), layout="constrained", **options)
        try:
            yield made, axes
        finally:
            plt.close(made)


def head(axes: Axes, title: str, when: str, *, narrow: bool = False) -> None:
    """What is shown, and the date: on the right, on narrow axes below."""
    axes.set_title(title, pad=18.0 if narrow else None)
    place, side = ((0.0, 1.0), "left") if narrow else ((1.0, 1.0), "right")
    axes.annotate(
        when,
        place,
        (0.0, 5.0),
        "axes fraction",
        "offset points",
        ha=side,
        fontsize=8.5,
        color="#555",
    )


def unit(text: str) -> str:
    """A unit as it is printed.

    >>> unit("m s-1"), unit("degC"), unit("1e-3"), unit("m3 s-1")
    ('m s⁻¹', '°C', '10⁻³', 'm³ s⁻¹')
    """
    plain = {"degC": "°C", "1e-3": "10⁻³", "1": ""}
    if text in plain:
        return plain[text]
    return re.sub(r"(?<=[A-Za-z])-?\d+", lambda power: power[0].translate(SUPERSCRIPTS), text)


def scaled(values: np.ndarray, units: str) -> tuple[np.ndarray, str]:
    """``values`` and their units with a power of ten, where all values are small.

    >>> scaled(np.array([0.0, -2e-5]), "s-1")
    (array([ 0., -2.]), '10⁻⁵ s⁻¹')
    """
    largest = np.nanmax(np.abs(values), initial=0.0)
    if largest == 0.0 or largest >= 1e-2:
        return values, unit(units)
    power = int(np.floor(np.log10(largest)))
    return values / 10.0**power, f"10{str(power).translate(SUPERSCRIPTS)} {unit(units)}".rstrip()


def colour_bar(
    drawn: Any, axes: Axes, units: str, *, slenderness: float = 1.0, **options: Any
) -> None:
    """Beside ``axes`` and as high, with the ``units`` as they are printed above it;
    ``slenderness``: height over width of the axes."""
    assert axes.figure is not None
    beside = axes.inset_axes((1.02, 0.0, 0.022 * max(1.0, slenderness), 1.0))
    bar = axes.figure.colorbar(drawn, cax=beside, **options)
    bar.outline.set_linewidth(0.5)  # type: ignore[operator]
    beside.tick_params(width=0.5, length=2.5)
    beside.set_title(units, fontsize=8.5, loc="left", pad=8)


def degrees(axis: Any, letters: str, span: float) -> None:
    """Ticks such as 60°S along an axis that spans so many degrees."""
    step = next((s for s in (1, 2, 5, 10, 15, 20, 30, 60) if span / s <= 7), 60)

    def text(value: float, _: Any) -> str:
        if letters == "EW":
            value = (value + 180.0) % 360.0 - 180.0
        letter = letters[0] if value > 0 else letters[1]
        edge = value == 0 or (letters == "EW" and abs(value) == 180)
        return f"{abs(value):g}°{'' if edge else letter}"

    axis.set_major_locator(MultipleLocator(step))
    axis.set_major_formatter(FuncFormatter(text))


def kilometres(axis: Any, name: str) -> None:
    """Ticks in kilometres along an axis in metres."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e3:g}".replace("-", "−")))
    axis.set_label_text(f"{name} (km)")


def coastline(axes: Axes, wet: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """The edges between wet cells and land; ``x``, ``y``: the edges of columns and rows, or the
    corners of all cells."""
    if x.ndim == 1:
        x, y = np.meshgrid(x, y)
    corners = np.stack([x, y], axis=-1)
    j, i = np.nonzero(wet[:, 1:] != wet[:, :-1])
    upright = np.stack([corners[j, i + 1], corners[j + 1, i + 1]], axis=1)
    j, i = np.nonzero(wet[1:] != wet[:-1])
    level = np.stack([corners[j + 1, i], corners[j + 1, i + 1]], axis=1)
    segments = np.concatenate([upright, level])
    lines = LineCollection(list(segments), colors=COAST, linewidths=0.5, zorder=4)
    axes.add_collection(lines, autolim=False)


def limits(
    values: np.ndarray, *, symmetric: bool = False, share: float = 0.5
) -> tuple[float, float]:
    """Range of a colour scale: all values but ``share`` percent at each end."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(end) for end in np.percentile(finite, [share, 100 - share]))
    if symmetric:
        high = max(abs(low), abs(high))
        low = -high
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return low, high


def beyond(values: np.ndarray, low: float, high: float) -> Any:
    """Which ends of a colour bar are pointed."""
    below, above = bool(np.nanmin(values) < low), bool(np.nanmax(values) > high)
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[(below, above)]
