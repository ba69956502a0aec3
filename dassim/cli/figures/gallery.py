"""Which figures are made of a run: as many as its fields allow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cmocean  # noqa: F401 - names its colour maps cmo.*
import numpy as np

from dassim.cli.figures import maps, sections, series
from dassim.cli.figures.series import Panel
from dassim.io import derived

SURFACE_CELLS = 200.0
"""Depth (m) that the shallow, wind-driven cells do not reach."""

EVEN = 1e-6
"""A field that varies by less, relative to its size, is not drawn."""


class Shown(NamedTuple):
    """A figure on the page."""

    file: str
    caption: str


def draw_all(data: Any, folder: Path, record: int = -1) -> Iterator[Shown]:
    """Figures of one ``record`` of the dataset ``data`` and of the series, into ``folder``."""
    now = data.isel(time=record)
    when = date_of(now)
    yield from _surface(now, folder, when)
    yield from _section(now, folder, when)
    yield from _section_of_air(now, folder, when)
    yield from _streamfunctions(now, folder, when)
    yield from _series(data, folder)


def date_of(now: Any) -> str:
    """The date of one record, and the days that it is a mean of."""
    date = str(now["time"].values).replace("T", " ")[:16].removesuffix(" 00:00")
    if "time_bnds" not in now.coords:
        return date
    first, last = derived.days(now["time_bnds"])
    return f"{date}, mean of {last - first:g} d"


def _varies(field: Any) -> bool:
    values = np.asarray(field.values, float)
    finite = values[np.isfinite(values)]
    return bool(finite.size and np.ptp(finite) > EVEN * np.abs(finite).max())


def _surface(now: Any, folder: Path, when: str) -> Iterator[Shown]:
    wanted: list[tuple[str, str, str, dict[str, Any], str]] = [
        ("T", "Sea surface temperature", "cmo.thermal", {}, "Temperature of the topmost level."),
        ("S", "Sea surface salinity", "cmo.haline", {}, "Salinity of the topmost level."),
        (
            "eta",
            "Sea level",
            "cmo.balance",
            {"symmetric": True},
            "Height of the surface above its rest.",
        ),
        (
            "speed",
            "Surface speed",
            "cmo.speed",
            {"power": 0.5},
            "Speed in the topmost level; the colour scale is a square root.",
        ),
        (
            "zeta",
            "Relative vorticity",
            "cmo.curl",
            {"symmetric": True},
            "Relative vorticity of the topmost level, at corners of cells.",
        ),
        ("mld", "Mixed layer depth", "cmo.deep", {}, "Depth of the mixed layer."),
        ("h", "Thickness", "cmo.dense", {}, "Thickness of the layer."),
        ("surface_height", "Height of the surface", "cmo.dense", {}, "Height of the free surface."),
        (
            "pv",
            "Potential vorticity",
            "cmo.curl",
            {"symmetric": True},
            "(f + zeta) / h at corners.",
        ),
        ("pr", "Rain", "cmo.rain", {}, "Rain of all kinds."),
        ("ps", "Surface pressure", "cmo.dense", {}, "Pressure at the ground."),
        ("psl", "Pressure at sea level", "cmo.dense", {}, "Pressure reduced to sea level."),
    ]
    for name, title, colours, options, caption in wanted:
        field = derived.surface_speed(now) if name == "speed" else now.get(name)
        if field is None:
            continue
        field = derived.surface(field).load()
        if _varies(field):
            units = {"speed": "m s-1"}.get(name)
            title, caption = _said_of(now, title), _said_of(now, caption)
            maps.draw(
                folder / f"{name}.png", field, now, title, when, colours, units=units, **options
            )
            yield Shown(f"{name}.png", caption)


OF_AIR = {
    "Sea surface temperature": "Temperature near the ground",
    "Surface speed": "Wind speed near the ground",
    "topmost level": "lowest level",
}
OF_ONE_LAYER = {
    "Surface speed": "Speed",
    " in the topmost level": "",
    " of the topmost level": "",
}
"""What is said of the surface of an ocean, in words for other fluids."""


def _said_of(now: Any, text: str) -> str:
    """``text`` about an ocean, as it is said of the fluid of ``now``."""
    if derived.levels_of_air(now) is not None:
        words = OF_AIR
    else:
        words = {} if "depth" in now.dims else OF_ONE_LAYER
    for ocean, here in words.items():
        text = text.replace(ocean, here)
    return text


def _section(now: Any, folder: Path, when: str) -> Iterator[Shown]:
    """Temperature and salinity along y: the zonal mean."""
    if "depth" not in now.dims:
        return
    for name, title, colours in (
        ("T", "Temperature", "cmo.thermal"),
        ("S", "Salinity", "cmo.haline"),
    ):
        if name not in now or now[name].sizes["depth"] < 3 or "cell_area" not in now.coords:
            continue
        mean = _zonal_mean(now[name], now).load()
        if not _varies(mean):
            continue
        density = _zonal_mean(now["sigma0"], now).load() if "sigma0" in now else None
        lines = "" if density is None else " Lines: potential density less 1000 kg m⁻³."
        file = f"section_{name}.png"
        what = f"{title}, zonal mean"
        sections.draw(folder / file, mean, now, what, when, colours, lines=density)
        yield Shown(
            file, f"{title}, mean along x over the water; the depth axis is a square root.{lines}"
        )


def _section_of_air(now: Any, folder: Path, when: str) -> Iterator[Shown]:
    """Temperature and wind along y: the zonal mean."""
    for name, title, colours in (
        ("T", "Temperature", "cmo.thermal"),
        ("u", "Eastward wind", "cmo.balance"),
        ("q", "Specific humidity", "cmo.rain"),
    ):
        at_z = derived.levels_of_air(now[name]) if name in now else None
        if at_z is None or now[name].sizes[at_z] < 3:
            continue
        _, x = derived.axes(now[name])
        mean = now[name].mean(x).assign_attrs(now[name].attrs).load()
        if _varies(mean):
            file, what = f"section_{name}.png", f"{title}, zonal mean"
            sections.draw(folder / file, mean, now, what, when, colours, symmetric=name == "u")
            yield Shown(file, f"{title}, mean along x.")


def _zonal_mean(field: Any, now: Any) -> Any:
    _, x = derived.axes(field)
    mean = field.weighted(now["cell_area"].fillna(0.0)).mean(x)
    return mean.assign_attrs(field.attrs)


def _streamfunctions(now: Any, folder: Path, when: str) -> Iterator[Shown]:
    if "mask" not in now.coords:
        return
    psi = derived.barotropic_streamfunction(now)
    if psi is not None and _varies(psi := psi.load()):
        title = "Barotropic stream function"
        maps.draw_streamfunction(folder / "barotropic.png", psi, now, title, when)
        yield Shown(
            "barotropic.png",
            "Transport between a point and the northern wall; positive around clockwise gyres.",
        )
    psi = derived.overturning_streamfunction(now)
    if psi is not None and _varies(psi := psi.load()):
        title = "Overturning stream function"
        sections.draw_overturning(folder / "overturning.png", psi, now, title, when)
        yield Shown(
            "overturning.png",
            "Southward transport below a depth; positive around clockwise cells. The depth axis "
            "is a square root.",
        )


def _series(data: Any, folder: Path) -> Iterator[Shown]:
    panels = list(_panels(data)) if data.sizes["time"] > 1 else []
    if panels:
        series.draw(folder / "series.png", derived.days(data["time"]), panels)
        yield Shown(
            "series.png",
            "Means, extremes and transports of all records. Eastward: through a full section along "
            "y, mean of all.",
        )


def _panels(data: Any) -> Iterator[Panel]:
    if "T" in data and (mean := derived.volume_mean(data["T"], data)) is not None:
        top = derived.volume_mean(derived.surface(data["T"]), data)
        units = str(data["T"].attrs.get("units", "degC"))
        everything = "whole ocean" if derived.levels_of_air(data) is None else "all air"
        curves = {everything: mean, "surface": top}
        for label, curve in curves.items():
            if _varies(curve := curve.load()):
                yield Panel(f"Mean temperature, {label}", units, {label: curve.values})
    energy = _kinetic_energy(data)
    if energy is not None:
        yield Panel("Mean kinetic energy", "m2 s-2", {"kinetic energy": energy})
    if "ps" in data:
        space = data["ps"].dims[1:]
        curves = {"highest": data["ps"].max(space).values, "lowest": data["ps"].min(space).values}
        yield Panel("Surface pressure", "Pa", curves)
    if "eta" in data:
        space = data["eta"].dims[1:]
        curves = {
            "highest": data["eta"].max(space).values,
            "lowest": data["eta"].min(space).values,
        }
        yield Panel("Sea level", "m", curves)
    psi = derived.barotropic_streamfunction(data)
    if psi is not None:
        space = psi.dims[1:]
        curves = {
            "clockwise": psi.max(space).values,
            "counter-clockwise": psi.min(space).values,
        }
        around = derived.transport_around(data)
        if around is not None and goes_around(data):
            curves["eastward"] = around.values
        yield Panel("Barotropic transport", "Sv", curves)
    psi = derived.overturning_streamfunction(data)
    if psi is not None:
        below = psi.where(psi["depth_w"] > SURFACE_CELLS)
        space = below.dims[1:]
        curves = {
            "clockwise": below.max(space).values,
            "counter-clockwise": below.min(space).values,
        }
        yield Panel(f"Overturning below {SURFACE_CELLS:g} m", "Sv", curves)


def _kinetic_energy(data: Any) -> np.ndarray | None:
    """Mean over the water (m2/s2), from the kinetic energy or the speed where they were written."""
    if "kinetic_energy" in data:
        mean = derived.volume_mean(data["kinetic_energy"], data)
    elif "speed" in data:
        mean = derived.volume_mean(0.5 * data["speed"] ** 2, data)
    else:
        return None
    return None if mean is None else mean.values


def goes_around(data: Any) -> bool:
    """Whether the run's grid is periodic along x."""
    import yaml

    namelist = yaml.safe_load(data.attrs.get("namelist", "")) or {}
    return "x" in namelist.get("grid", {}).get("periodic", [])
