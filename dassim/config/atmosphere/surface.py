"""From the ``surface`` section to the temperature and the wetness of what lies below the air."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.points import Basin, Points, first_point
from dassim.config.schema.atmosphere.surface import GivenSurface, Land, SlabOcean
from dassim.config.schema.run import Time
from dassim.config.series import in_time
from dassim.dynamics.series import TimeSeries
from dassim.grid import Grid

SECTION = ("surface",)


def surface_temperature(
    section: GivenSurface | SlabOcean | None, grid: Grid, run: Time
) -> tuple[Any, Any]:
    """Temperature (K) of the surface at this rank's cells, ``None`` without one, and its wetness
    from 0 to 1; ``(ny, nx)`` each, or a series in time. All ranks call this together."""
    if section is None:
        return None, 1.0
    at, key = Basin.of(grid).points("c", surface=True), (*SECTION, "temperature")
    water = _over_all_cells(in_time(section.temperature, at, key, run), grid)
    if isinstance(section, SlabOcean):
        return _constant(water, key), 1.0
    if section.land is None:
        return water, 1.0
    return _with_land(section.land, water, at, run)


def _with_land(land: Land, water: Any, at: Points, run: Time) -> tuple[Any, Any]:
    """Means over water and land by their shares of the cells."""
    key = (*SECTION, "land")

    def given(name: str) -> Any:
        return _over_all_cells(in_time(getattr(land, name), at, (*key, name), run), at.grid)

    of_land, of_wetness = (*key, "fraction"), (*key, "wetness")
    share = _share(_constant(given("fraction"), of_land), at.grid, of_land)
    wetness = _share(given("wetness"), at.grid, of_wetness)
    wet = _mixed(jnp.ones_like(share), wetness, share, of_wetness)
    return _mixed(water, given("temperature"), share, (*key, "temperature")), wet


def _mixed(water: Any, land: Any, share: jax.Array, key: KeyPath) -> Any:
    """``(1 - share) water + share land``, of fields or of series of the same times."""
    series = [each for each in (water, land) if isinstance(each, TimeSeries)]
    if not series:
        return (1.0 - share) * water + share * land
    one = series[0]
    if any(
        other.period != one.period or not np.array_equal(other.times, one.times) for other in series
    ):
        message = mismatch(
            "records at other times than those of the water",
            "the same times and period for both",
            "bring both files to the same times",
        )
        raise NamelistError([Problem(key, message)])
    of_water, of_land = (
        each.values if isinstance(each, TimeSeries) else each for each in (water, land)
    )
    return TimeSeries((1.0 - share) * of_water + share * of_land, one.times, one.period)


def _over_all_cells(found: Any, grid: Grid) -> Any:
    return found if isinstance(found, TimeSeries) else jnp.broadcast_to(found, grid.shape[1:])


def _constant(found: Any, key: KeyPath) -> jax.Array:
    if isinstance(found, TimeSeries):
        message = mismatch("records in time", "one field", "extract the record of the start")
        raise NamelistError([Problem((*key, "variable"), message)])
    return found


def _share(found: Any, grid: Grid, key: KeyPath) -> Any:
    """``found`` if it is from 0 to 1. All ranks call this together."""
    values = np.asarray(found.values if isinstance(found, TimeSeries) else found[None])
    known = np.all((values >= 0.0) & (values <= 1.0), axis=0)
    point = first_point(grid, ~known[None])
    if point is not None:
        low = float(grid.domain.min(jnp.nanmin(jnp.asarray(values))))
        high = float(grid.domain.max(jnp.nanmax(jnp.asarray(values))))
        message = mismatch(
            f"no share at {point}, of values from {low:g} to {high:g}",
            "shares from 0 to 1",
            "correct the file",
        )
        raise NamelistError([Problem(key, message)])
    return found
