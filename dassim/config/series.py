"""From profiles that may change in time to arrays or series of them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.config.errors import KeyPath
from dassim.config.gridded import read_records
from dassim.config.points import Points
from dassim.config.profiles import values
from dassim.config.schema.profiles import VolumeSeriesFromFile
from dassim.config.schema.run import Time
from dassim.config.times import record_times
from dassim.dynamics.series import TimeSeries


def in_time(profile: Any, at: Points, key: KeyPath, run: Time) -> Any:
    """The profile at ``at``: ``(ny, nx)`` of a surface, else what broadcasts to ``(nz, ny, nx)``; a
    series where a file holds several records in time."""

    def of_points(field: np.ndarray) -> np.ndarray:
        return field[..., 0, :, :] if at.surface else field

    if isinstance(profile, VolumeSeriesFromFile):
        records, dimension = read_records(profile, at, key)
        if dimension is not None and len(records) > 1:
            times = record_times(profile, dimension, len(records), run, key)
            series = jnp.asarray(of_points(records))
            return TimeSeries(series, jnp.asarray(times), profile.period)
    found = values(profile, at, key)
    return jnp.asarray(of_points(np.where(at.wet, found, 0.0) if at.surface else found))
