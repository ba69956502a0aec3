"""All validation cases, by topic."""

from tests.validation import (
    circulation,
    climate,
    conservation,
    globe,
    gradients,
    ranks,
    recoveries,
    schemes,
    waves,
    weather,
)
from tests.validation.report import CASES

__all__ = [
    "CASES",
    "circulation",
    "climate",
    "conservation",
    "globe",
    "gradients",
    "ranks",
    "recoveries",
    "schemes",
    "waves",
    "weather",
]
