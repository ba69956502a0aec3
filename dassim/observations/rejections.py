"""Observations that are not used, by reason. None is left out without being counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from dassim.parallel import AbstractCommunicator


class Reason(StrEnum):
    """Why an observation is not used: the first that applies, in this order."""

    UNKNOWN = "not in model"
    NOT_A_NUMBER = "not a number"
    QUALITY = "marked bad"
    NO_ERROR = "no error"
    WINDOW = "out of window"
    OUTSIDE = "outside grid"
    LAND = "on land"
    BOTTOM = "below bottom"
    THINNED = "thinned"
    DEPARTURE = "far from background"


@dataclass(frozen=True)
class Rejections:
    """How many observations were ``read`` and rejected, by term of the cost.

    Counts of one rank until :meth:`over_ranks` adds them up.
    """

    read: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Mapping[Reason, int]] = field(default_factory=dict)

    @property
    def used(self) -> dict[str, int]:
        return {term: n - sum(self.counts.get(term, {}).values()) for term, n in self.read.items()}

    def __add__(self, other: Rejections) -> Rejections:
        terms = dict.fromkeys((*self.counts, *other.counts))
        return Rejections(
            _sum(self.read, other.read),
            {t: _sum(self.counts.get(t, {}), other.counts.get(t, {})) for t in terms},
        )

    def over_ranks(self, comm: AbstractCommunicator) -> Rejections:
        """Of all ranks together, which call this together."""
        return sum(comm.allgather(self), start=Rejections())

    def record(self) -> dict[str, dict[str, int]]:
        """Plain numbers by term: read, used, and rejected for each reason that applies."""
        return {
            term: {
                "read": self.read[term],
                "used": used,
                **{str(reason): n for reason, n in self.counts.get(term, {}).items() if n},
            }
            for term, used in self.used.items()
        }

    def __str__(self) -> str:
        """One line for each term, one column for each reason that applies."""
        present = [r for r in Reason if any(c.get(r) for c in self.counts.values())]
        used = self.used
        rows = [["observations", "read", "used", *map(str, present)]]
        for term in self.read:
            counts = self.counts.get(term, {})
            numbers = [self.read[term], used[term], *(counts.get(r, 0) for r in present)]
            rows.append([term, *map(str, numbers)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])])
            for first, *rest in rows
        )


class Sieve:
    """Rows of a table, fewer after each :meth:`reject`, which counts those that go."""

    def __init__(self, count: int):
        self.kept = np.ones(count, bool)
        self.counts: dict[Reason, int] = {}

    def reject(self, reason: Reason, which: np.ndarray) -> None:
        """Of the rows that are left, those where ``which`` holds."""
        gone = self.kept & which
        self.kept &= ~which
        self.counts[reason] = self.counts.get(reason, 0) + int(gone.sum())


def _sum(one: Mapping, other: Mapping) -> dict:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
