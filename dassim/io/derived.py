"""What is computed from the fields of a run: transports, stream functions, means.

All take a dataset of :func:`dassim.open` and return lazy DataArrays, ``None`` where the stream has
not the fields for it. Transports in Sv (1e6 m3/s).
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from xarray.conventions import encode_cf_variable

SVERDRUP = 1e6


def axes(field: xr.DataArray) -> tuple[str, str]:
    """Names of the dimensions of ``field`` along y and x."""
    return str(field.dims[-2]), str(field.dims[-1])


def thickness(data: xr.Dataset) -> xr.DataArray | None:
    """Thickness (m) of the levels at rest; ``None`` unless all levels are there."""
    if "depth_bnds" not in data.coords:
        return None
    bounds = data["depth_bnds"].values
    follow = np.allclose(bounds[1:, 0], bounds[:-1, 1]) and bounds[0, 0] == 0.0
    deepest = float(data["bottom_depth"].max()) if "bottom_depth" in data.coords else 0.0
    if not follow or deepest > bounds[-1, 1] * (1 + 1e-6):
        return None
    return xr.DataArray(bounds[:, 1] - bounds[:, 0], dims=("depth",), coords={"depth": data.depth})


def levels_of_air(field: xr.DataArray | xr.Dataset) -> str | None:
    """The vertical dimension of fields of an atmosphere; ``None`` of others."""
    return next((dim for dim in ("sigma", "hybrid") if dim in field.dims), None)


def air_extents(data: xr.Dataset, dim: str) -> xr.DataArray:
    """The share of the column at rest that is in each level ``dim`` of an atmosphere."""
    bounds = data[f"{dim}_bnds"].values
    extents = bounds[:, 1] - bounds[:, 0]
    return xr.DataArray(extents, dims=(dim,), coords={dim: data[dim]})


def transport(data: xr.Dataset, axis: str) -> xr.DataArray | None:
    """Volume transport (Sv) through the faces across ``axis`` ("x" or "y"); 0 on land.

    As it was written, else of the written velocity with the levels at rest.
    """
    if f"transport_{axis}" in data:
        return data[f"transport_{axis}"].fillna(0.0) / SVERDRUP
    velocity, length = ("u", "dy_u") if axis == "x" else ("v", "dx_v")
    dz = thickness(data)
    if velocity not in data or length not in data.coords or dz is None:
        return None
    return data[velocity].fillna(0.0) * dz * data[length] / SVERDRUP


def barotropic_streamfunction(data: xr.Dataset) -> xr.DataArray | None:
    """``psi`` (Sv) at corners with ``U = -d psi/dy``, 0 along the northern wall: positive for
    clockwise gyres, and on the southern coast the transport around the globe."""
    through = transport(data, "x")
    if through is None:
        return None
    y, _ = axes(through)
    corner = f"{y}_v"
    if corner not in data.dims:
        return None
    total = through.sum("depth")
    north = total.isel({y: slice(None, None, -1)}).cumsum(y).isel({y: slice(None, None, -1)})
    corners = north.rename({y: corner}).assign_coords({corner: data[corner]})
    return corners.rename("streamfunction").assign_attrs(
        long_name="barotropic stream function", units="Sv"
    )


def overturning_streamfunction(data: xr.Dataset) -> xr.DataArray | None:
    """``psi`` (Sv) at y-faces and upper faces of levels: what flows south below; positive where
    the flow is northward above and southward below."""
    through = transport(data, "y")
    if through is None or through.sizes["depth"] < 3:
        return None
    _, x = axes(through)
    zonal = through.sum(x)
    upside_down = zonal.isel(depth=slice(None, None, -1))
    psi = -upside_down.cumsum("depth").isel(depth=slice(None, None, -1))
    bounds = data["depth_bnds"].values[:, 0]
    psi = psi.rename(depth="depth_w").assign_coords(depth_w=("depth_w", bounds))
    return psi.rename("overturning").assign_attrs(
        long_name="overturning stream function", units="Sv"
    )


def transport_around(data: xr.Dataset) -> xr.DataArray | None:
    """Eastward transport (Sv) through a full section, mean of all sections: that around the
    globe, or along a channel."""
    through = transport(data, "x")
    if through is None:
        return None
    y, x = axes(through)
    return through.sum(("depth", y)).mean(x).rename("transport")


def volume_mean(field: xr.DataArray, data: xr.Dataset) -> xr.DataArray | None:
    """Mean over water or air of a field at cells, levels weighted by their thickness."""
    if "cell_area" not in data.coords:
        return None
    weights = data["cell_area"]
    if (air := levels_of_air(field)) is not None:
        weights = weights * air_extents(data, air)
    if "depth" in field.dims:
        dz = data["h"] if "h" in data else thickness(data)
        if dz is None:
            return None
        weights = weights * dz.fillna(0.0)
    space = [dim for dim in field.dims if dim != "time"]
    return field.weighted(weights.fillna(0.0)).mean(space)


def surface(field: xr.DataArray) -> xr.DataArray:
    """The level at the surface: the topmost of an ocean, the lowest of an atmosphere."""
    if (air := levels_of_air(field)) is not None:
        return field.isel({air: -1}, drop=True)
    return field.isel(depth=0, drop=True) if "depth" in field.dims else field


def surface_speed(data: xr.Dataset) -> xr.DataArray | None:
    """Speed (m/s) of the surface at cells: as it was written, else from the velocities there."""
    if "speed" in data:
        return surface(data["speed"])
    if "u" not in data or "v" not in data or "mask" not in data.coords:
        return None
    wet = surface(data["mask"]) > 0
    y, x = axes(wet)
    u, v = surface(data["u"]).fillna(0.0), surface(data["v"]).fillna(0.0)

    def at_cells(faces: xr.DataArray, along: str, cells: str) -> xr.DataArray:
        # The face after the last one is the first one: around the globe, or both are walls.
        mean = 0.5 * (faces + faces.roll({along: -1}))
        return mean.drop_vars(along).rename({along: cells}).assign_coords({cells: data[cells]})

    squared = at_cells(u, axes(u)[1], x) ** 2 + at_cells(v, axes(v)[0], y) ** 2
    return (squared**0.5).where(wet).rename("speed")


def days(times: xr.DataArray) -> np.ndarray:
    """Days since the start of the run: times, or their bounds, as the files have them."""
    return np.asarray(encode_cf_variable(times.variable).values, float)
