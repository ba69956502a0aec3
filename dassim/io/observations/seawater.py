"""From what floats measure to what models hold: depth, potential and conservative temperature.

Sources: Fofonoff & Millard (1983), UNESCO technical papers in marine science 44 (depth from
pressure); Saunders (1981), J. Phys. Oceanogr. 11, 573 (pressure from depth); Bryden (1973),
Deep-Sea Research 20, 401 (potential temperature); IOC, SCOR & IAPSO (2010), Manual and Guides 56,
TEOS-10 (conservative temperature, absolute salinity).
"""

from __future__ import annotations

import numpy as np


def depth_from_pressure(pressure: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Depth (m) of a sea ``pressure`` (dbar) at a ``latitude`` (degrees), within 0.01 % of TEOS-10.

    >>> round(float(depth_from_pressure(np.array(10000.0), np.array(30.0))), 3)
    9712.653
    """
    x = np.sin(np.deg2rad(latitude)) ** 2
    p = pressure
    gravity = 9.780318 * (1.0 + (5.2788e-3 + 2.36e-5 * x) * x) + 1.092e-6 * p
    return (((-1.82e-15 * p + 2.279e-10) * p - 2.2512e-5) * p + 9.72659) * p / gravity


DEEPEST = 12e3
"""Depth (m) that no sea has."""


def pressure_from_depth(depth: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Sea pressure (dbar) at a ``depth`` (m) at a ``latitude`` (degrees), within 0.05 % of TEOS-10.

    >>> round(float(pressure_from_depth(np.array(7321.45), np.array(30.0))), 1)
    7500.0
    """
    x = np.sin(np.deg2rad(latitude)) ** 2
    one = 1.0 - (5.92e-3 + 5.25e-3 * x)
    return (one - np.sqrt(one**2 - 8.84e-6 * np.minimum(depth, DEEPEST))) / 4.42e-6


def potential_temperature(
    temperature: np.ndarray, salinity: np.ndarray, pressure: np.ndarray
) -> np.ndarray:
    """Potential temperature (deg C) referred to the surface, of water of in-situ ``temperature``
    (deg C) and practical ``salinity`` at ``pressure`` (dbar); within 0.003 K of TEOS-10 down to
    6000 dbar.

    >>> round(float(potential_temperature(np.array(10.0), np.array(25.0), np.array(10000.0))), 4)
    8.4679
    """
    t, s, p = temperature, salinity - 35.0, 0.1 * pressure  # bar
    first = 3.6504e-4 + t * (8.3198e-5 + t * (-5.4065e-7 + t * 4.0274e-9))
    salt = 1.7439e-5 - 2.9778e-7 * t
    second = 8.9309e-7 + t * (-3.1628e-8 + t * 2.1987e-10)
    third = -1.6056e-10 + 5.0484e-12 * t
    return t - p * (first + s * salt + p * (second - 4.1057e-9 * s + p * third))


def absolute_salinity(salinity: np.ndarray) -> np.ndarray:
    """Reference-composition salinity (g/kg) of a practical ``salinity``; the anomaly of the sea's
    composition, at most 0.03 g/kg, is left out.

    >>> float(absolute_salinity(np.array(35.0)))
    35.16504
    """
    return 35.16504 / 35.0 * salinity


TYPICAL_SALINITY = 35.0
"""Where there is no good salinity: 1 psu more or less changes the temperature by 2e-4 K per km."""


def model_temperature(
    temperature: np.ndarray,
    salinity: np.ndarray | float,
    good: np.ndarray | bool,
    pressure: np.ndarray,
    *,
    teos10: bool,
) -> np.ndarray:
    """What a model holds of in-situ ``temperature``: potential, with ``teos10`` conservative.
    ``good``: where the practical ``salinity`` may be used."""
    salinity = np.where(good & np.isfinite(salinity), salinity, TYPICAL_SALINITY)
    theta = potential_temperature(temperature, salinity, pressure)
    return conservative_temperature(theta, absolute_salinity(salinity)) if teos10 else theta


def conservative_temperature(temperature: np.ndarray, salinity: np.ndarray) -> np.ndarray:
    """Conservative Temperature (deg C) of water of a potential ``temperature`` (deg C) and absolute
    ``salinity`` (g/kg)."""
    y = 0.025 * temperature
    x2 = 0.0248826675584615 * np.maximum(salinity, 0.0)
    x = np.sqrt(x2)
    fresh = (
        61.01362420681071,
        168776.46138048015,
        -2735.2785605119625,
        2574.2164453821433,
        -1536.6644434977543,
        545.7340497931629,
        -50.91091728474331,
        -18.30489878927802,
    )
    first = (
        268.5520265845071,
        -12019.028203559312,
        3734.858026725145,
        -2046.7671145057618,
        465.28655623826234,
        -0.6370820302376359,
        -10.650848542359153,
    )
    second = (
        937.2099110620707,
        588.1802812170108,
        248.39476522971285,
        -3.871557904936333,
        -2.6268019854268356,
    )
    third = (
        0.0,
        936.3206544460336,
        -942.7827304544439,
        369.4389437509002,
        -33.83664947895248,
        -9.987880382780322,
    )
    salty = (-1687.914374187449, 246.9598888781377, 123.59576582457964, -48.5891069025409)
    polynomial = np.polynomial.polynomial.polyval
    inner = polynomial(x, salty) + polynomial(y, third)
    salt = polynomial(y, first) + x * (polynomial(y, second) + x * inner)
    return (polynomial(y, fresh) + x2 * salt) / 3991.86795711963
