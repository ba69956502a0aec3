"""Horizontal C-grid geometry: where points are, edge lengths, areas, Coriolis parameter.

Around each cell ``c`` of index (j, i) lie its western x-face ``u``, its southern y-face ``v`` and
its south-western corner ``q``. At each of the four kinds of point stand

* ``dx``, ``dy`` (m): at ``c`` the extents of the cell; at ``u`` the distance between the two cell
  centres (dx) and the length of the face (dy); at ``v`` the length of the face (dx) and the
  distance between centres (dy); at ``q`` the distances between the faces' midpoints around it;
* ``area`` (m2) of the cell around the point; ``coriolis`` (1/s);
* ``x``, ``y``: coordinates, metres, or degrees of longitude and latitude on the sphere.

``poles``: whether the first and the last row of y-faces are a pole.

All carry halos of ``halo`` points, continued beyond walls with the nearest spacing, so that no
operator divides by zero there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.grid.field import LOCATIONS, Field, Location, Span, Spans, X, Y
from dassim.parallel import Domain

EARTH_RADIUS = 6.371e6  # m, mean radius
EARTH_ROTATION = 7.2921e-5  # 1/s, sidereal
HORIZONTAL = ("c", "u", "v", "q")

Geometry = Literal["cartesian", "spherical", "orthogonal"]


class GridError(ValueError):
    """The grid asked for makes no sense."""


class Staggered(eqx.Module):
    """One quantity at cells, x-faces, y-faces and corners."""

    c: Field
    u: Field
    v: Field
    q: Field

    @classmethod
    def build(cls, at: Callable[[Location], Field]) -> Staggered:
        return cls(*(at(location) for location in HORIZONTAL))

    def map(self, function: Callable[[Field], Field]) -> Staggered:
        return Staggered.build(lambda location: function(getattr(self, location)))

    def where(self, field: Field) -> Field:
        """The one of the four that lies at the horizontal points of ``field``."""
        points = tuple("c" if span is None else span.at for span in field.spans[1:])
        return getattr(self, next(at for at in HORIZONTAL if LOCATIONS[at][1:] == points))


class HorizontalGrid(eqx.Module):
    """Geometry of one rank's part of the grid; see the module's text. Build one with
    :func:`cartesian`, :func:`latlon` or :func:`orthogonal`."""

    domain: Domain = eqx.field(static=True)
    halo: int = eqx.field(static=True)
    geometry: Geometry = eqx.field(static=True)
    x: Staggered
    y: Staggered
    dx: Staggered
    dy: Staggered
    area: Staggered
    coriolis: Staggered
    poles: tuple[bool, bool] = eqx.field(static=True, default=(False, False))


def cartesian(
    domain: Domain,
    x_faces: Any,
    y_faces: Any,
    *,
    f0: float = 0.0,
    beta: float = 0.0,
    halo: int = 6,
    dtype: Any = float,
) -> HorizontalGrid:
    """A plane with ``f = f0 + beta y``. ``x_faces (nx + 1)``, ``y_faces (ny + 1)`` in metres."""
    if beta and domain.periodic[0]:
        raise GridError(f"found beta = {beta} on a grid periodic in y; expected 0, or a closed y")
    xs = _axis(domain, X, x_faces, halo)
    ys = _axis(domain, Y, y_faces, halo)
    x = Staggered.build(lambda at: xs.position[LOCATIONS[at][X]])
    y = Staggered.build(lambda at: ys.position[LOCATIONS[at][Y]])
    dx = Staggered.build(lambda at: xs.spacing[LOCATIONS[at][X]])
    dy = Staggered.build(lambda at: ys.spacing[LOCATIONS[at][Y]])
    area = Staggered.build(lambda at: getattr(dx, at) * getattr(dy, at))
    f = y.map(lambda y: beta * y + f0) if beta else y.map(lambda _: _constant(f0))
    return _cast(HorizontalGrid(domain, halo, "cartesian", x, y, dx, dy, area, f), dtype)


def latlon(
    domain: Domain,
    longitude_faces: Any,
    latitude_faces: Any,
    *,
    radius: float = EARTH_RADIUS,
    rotation: float = EARTH_ROTATION,
    halo: int = 6,
    dtype: Any = float,
) -> HorizontalGrid:
    """The sphere, ``f = 2 rotation sin(latitude)``; faces in degrees, uniform or stretched.

    Lengths along x are ``radius cos(latitude) dlon``; areas are exact,
    ``radius^2 dlon (sin(lat_n) - sin(lat_s))``. At a pole the length of the face is as good as
    zero (1e-12 of the equator's): a closed wall lies there.
    """
    latitudes = np.asarray(latitude_faces, float)
    if latitudes.min() < -90 - 1e-9 or latitudes.max() > 90 + 1e-9:
        raise GridError(
            f"found latitudes {latitudes.min()} .. {latitudes.max()}; expected -90 .. 90 degrees"
        )
    longitudes = np.asarray(longitude_faces, float)
    extent = longitudes[-1] - longitudes[0]
    if domain.periodic[1] and not np.isclose(360.0 / extent, np.rint(360.0 / extent)):
        raise GridError(
            f"found a grid periodic in x over {extent} degrees of longitude; expected 360 or a "
            f"whole fraction of it, or a closed x"
        )
    lon = _axis(domain, X, longitudes, halo)
    lat = _axis(domain, Y, latitudes, halo)

    def per_latitude(function, at: Location) -> Field:
        field = lat.position[LOCATIONS[at][Y]]
        return _on_host(function(np.deg2rad(field.data)), field.spans)

    def cos(at: Location) -> Field:
        return per_latitude(lambda phi: np.maximum(np.abs(np.cos(phi)), 1e-12), at)

    def sine_extent(at: Location) -> Field:
        low, high = lat.ends[LOCATIONS[at][Y]]
        extent = _unfolded_sine(np.deg2rad(high)) - _unfolded_sine(np.deg2rad(low))
        start = lat.position[LOCATIONS[at][Y]].spans[Y]
        return _on_host(extent[None, :, None], (None, start, None))

    dlon = Staggered.build(lambda at: lon.spacing[LOCATIONS[at][X]] * (np.pi / 180))
    dlat = Staggered.build(lambda at: lat.spacing[LOCATIONS[at][Y]] * (np.pi / 180))
    grid = HorizontalGrid(
        domain,
        halo,
        "spherical",
        x=Staggered.build(lambda at: lon.position[LOCATIONS[at][X]]),
        y=Staggered.build(lambda at: lat.position[LOCATIONS[at][Y]]),
        dx=Staggered.build(lambda at: radius * cos(at) * getattr(dlon, at)),
        dy=dlat.map(lambda dlat: radius * dlat),
        area=Staggered.build(lambda at: radius**2 * getattr(dlon, at) * sine_extent(at)),
        coriolis=Staggered.build(lambda at: 2 * rotation * per_latitude(np.sin, at)),
        poles=(
            domain.periodic[1] and bool(np.isclose(latitudes[0], -90)),
            domain.periodic[1] and bool(np.isclose(latitudes[-1], 90)),
        ),
    )
    return _cast(grid, dtype)


def orthogonal(
    domain: Domain,
    metrics: dict[str, Any],
    *,
    halo: int = 6,
    dtype: Any = float,
) -> HorizontalGrid:
    """Any orthogonal grid, from global ``(ny, nx)`` arrays (or open file variables).

    ``metrics`` has ``dx_c, dx_u, dx_v, dx_q``, likewise ``dy_*`` (m), ``area_*`` (m2; left out,
    ``dx * dy``), ``coriolis_*`` (1/s) and, for maps, ``x_*`` and ``y_*`` (left out, indices).
    """

    def read(name: str, at: Location) -> Field | None:
        key = f"{name}_{at}"
        if key not in metrics:
            return None
        window = domain.local(metrics[key], halo, beyond=None)
        if name in ("dx", "dy", "area") and not (window > 0).all():
            raise GridError(
                f"{key}: found a value of {window.min()}; expected positive lengths and areas"
            )
        if not np.isfinite(window).all():
            wrong = window[~np.isfinite(window)][0]
            raise GridError(f"{key}: found a value of {wrong}; expected a number at every point")
        _, y, x = LOCATIONS[at]
        return _on_host(window[None], (None, Span(y, -halo), Span(x, -halo)))

    def need(name: str) -> Staggered:
        missing = [f"{name}_{at}" for at in HORIZONTAL if f"{name}_{at}" not in metrics]
        if missing:
            raise GridError(f"an orthogonal grid needs {', '.join(missing)}; found {list(metrics)}")
        return Staggered.build(lambda at: read(name, at))  # type: ignore[arg-type, return-value]

    def index(axis: int, at: Location) -> Field:
        faces = np.arange(domain.global_shape[axis - 1] + 1.0)
        return _axis(domain, axis, faces, halo).position[LOCATIONS[at][axis]]

    dx, dy = need("dx"), need("dy")

    def given(name: str, at: Location, otherwise: Callable[[], Field]) -> Field:
        field = read(name, at)
        return otherwise() if field is None else field

    grid = HorizontalGrid(
        domain,
        halo,
        "orthogonal",
        x=Staggered.build(lambda at: given("x", at, lambda: index(X, at))),
        y=Staggered.build(lambda at: given("y", at, lambda: index(Y, at))),
        dx=dx,
        dy=dy,
        area=Staggered.build(
            lambda at: given("area", at, lambda: getattr(dx, at) * getattr(dy, at))
        ),
        coriolis=need("coriolis"),
    )
    return _cast(grid, dtype)


class _Axis(eqx.Module):
    """One axis with halos: positions, spacings and the two ends of each cell or dual cell."""

    position: dict[str, Field]
    spacing: dict[str, Field]
    ends: dict[str, tuple[np.ndarray, np.ndarray]]


def _axis(domain: Domain, axis: int, faces: Any, halo: int) -> _Axis:
    """Geometry along ``axis`` (``X`` or ``Y``) from the global coordinates of its n + 1 faces."""
    name = "zyx"[axis]
    faces = np.asarray(faces, float)
    n = domain.global_shape[axis - 1]
    if faces.shape != (n + 1,):
        raise GridError(f"found {faces.shape} faces along {name}; expected ({n + 1},), cells + 1")
    if not (np.isfinite(faces).all() and (np.diff(faces) > 0).all()):
        raise GridError(f"faces along {name} must increase; found a step of {np.diff(faces).min()}")
    around = halo + 2
    spacing = np.pad(np.diff(faces), around, mode="wrap" if domain.periodic[axis - 1] else "edge")
    face = faces[0] + np.concatenate([[0.0], np.cumsum(spacing)]) - spacing[:around].sum()
    centre = 0.5 * (face[:-1] + face[1:])

    owned = (domain.block.y, domain.block.x)[axis - 1]
    cells = slice(owned.start - halo + around, owned.stop + halo + around)
    before = slice(cells.start - 1, cells.stop - 1)
    after = slice(cells.start + 1, cells.stop + 1)

    def along(values: np.ndarray, at: str) -> Field:
        shape = [1, 1, 1]
        shape[axis] = len(values)
        spans: list[Span | None] = [None, None, None]
        spans[axis] = Span(at, -halo)  # type: ignore[arg-type]
        return _on_host(values.reshape(shape), (spans[0], spans[1], spans[2]))

    uniform = np.allclose(np.diff(faces), faces[1] - faces[0], rtol=1e-12, atol=0)

    def distance(values: np.ndarray, at: str) -> Field:
        return _constant((faces[-1] - faces[0]) / n) if uniform else along(values, at)

    return _Axis(
        position={"c": along(centre[cells], "c"), "f": along(face[cells], "f")},
        spacing={
            "c": distance(face[after] - face[cells], "c"),
            "f": distance(centre[cells] - centre[before], "f"),
        },
        ends={"c": (face[cells], face[after]), "f": (centre[before], centre[cells])},
    )


def _unfolded_sine(phi: np.ndarray) -> np.ndarray:
    """Antiderivative of ``|cos|``: ``sin`` between the poles, ever growing beyond them."""
    half_turns = np.round(phi / np.pi)
    return 2 * half_turns + np.sin(phi - np.pi * half_turns)


def _constant(value: float) -> Field:
    return _on_host(np.full((1, 1, 1), value), (None, None, None))


def _on_host(numbers: np.ndarray, spans: Spans) -> Field:
    """A field that holds a NumPy array until :func:`_cast`."""
    return Field(cast(jax.Array, numbers), spans)


def _cast(grid: HorizontalGrid, dtype: Any) -> HorizontalGrid:
    """``grid``, computed by NumPy in double precision, as JAX arrays rounded once to ``dtype``."""
    return jax.tree.map(lambda numbers: jnp.asarray(numbers, dtype), grid)
