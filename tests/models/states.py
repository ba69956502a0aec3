"""A state with leaves of every kind, known at every point of the globe."""

from __future__ import annotations

from typing import Any

import numpy as np

from dassim.grid.variables import Variable
from dassim.io.restarts import Moment
from dassim.parallel import Domain

SHAPE = (7, 9)

VARIABLES = {
    "u": Variable("u", "u", "m s-1", "velocity along x", "sea_water_x_velocity"),
    "eta": Variable("eta", "c", "m", "sea level", levels=False),
}


def whole(step: int = 0) -> dict[str, np.ndarray]:
    """Global arrays by name, ``(3, 7, 9)`` and ``(7, 9)``, and replicated ones."""
    rng = np.random.default_rng(step)
    u = rng.normal(size=(3, *SHAPE))
    u[0, 0, :4] = [np.nan, np.inf, -0.0, 5e-324]
    return {
        "u": u,
        "previous.u": rng.normal(size=(3, *SHAPE)).astype("f4"),
        "tracers.dye": rng.integers(0, 9, (2, *SHAPE)),
        "wet": rng.random(SHAPE) > 0.5,
        "eta": rng.normal(size=SHAPE),
        "time": np.array(0.1 * step),
        "weights": rng.normal(size=5),
    }


def local(domain: Domain, step: int = 0) -> dict[str, Any]:
    """This rank's part of :func:`whole`."""
    return {
        name: array if array.ndim < 2 else domain.local(array)
        for name, array in whole(step).items()
    }


def moment(step: int) -> Moment:
    return Moment(step, 60.0 * step, f"2000-01-01 00:{step:02d}:00", f"2000-01-01T00-{step:02d}-00")


def same_bits(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )
