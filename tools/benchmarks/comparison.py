"""Two files of measurements: what has become better or worse from the first to the second.

Where both hold a case with a reference, the ratios are compared: machines differ from day to day,
value and reference were measured in the same run. Else the values are. Where the reference is
dassim's own, as the run beside its gradient, a change counts that both show.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks import record
from tools.benchmarks.record import Measurement, Records, off

WORSE = 4
"""Exit code of a comparison that finds something worse."""

LEAST_SPREAD = 0.02
"""Smaller changes are taken for noise."""

UNKNOWN_SPREAD = 0.15
"""That of what was timed once."""

TIMED = re.compile(r"(^|/)(us|ms|s|min|h|day)\b")
"""Units of times and rates."""

OWN = ("the run", "the step", "restart", "1 rank", "1 rank with all cells", "float64")
"""References that dassim itself makes faster or slower."""

HEAD = ("part", "case", "first", "second", "unit", "ratio", "ratio", "second/first", "")


@dataclass(frozen=True)
class Change:
    """A case in two files; None where a file does not have it."""

    before: Measurement | None
    after: Measurement | None

    @property
    def numbers(self) -> list[tuple[float, float]]:
        """What is compared: ratios to the references where both have one, else values; both where
        the reference is dassim's own."""
        one, other = self.before, self.after
        if one is None or other is None:
            return []
        values = one.value, other.value
        if one.ratio is None or other.ratio is None:
            return [values]
        ratios = one.ratio, other.ratio
        return [ratios, values] if other.reference in OWN else [ratios]

    @property
    def unlike(self) -> str:
        """Why the two cannot be compared; empty where they can."""
        one, other = self.before, self.after
        if one is None:
            return "only second"
        if other is None:
            return "only first"
        if one.unit != other.unit:
            return "another unit"
        measured_beside = one.ratio is not None and other.ratio is not None
        return "another reference" if measured_beside and one.reference != other.reference else ""

    @property
    def mark(self) -> str:
        """What is to be seen: why there is nothing to compare, or a change beyond both spreads."""
        if self.unlike or self.before is None or self.after is None:
            return self.unlike
        noise = 1.0 + max(LEAST_SPREAD, noise_of(self.before), noise_of(self.after))
        times = [worsening(*pair, self.after.goal) for pair in self.numbers]
        worse, better = (all(t > noise for t in many) for many in (times, map(inverse, times)))
        if not (worse or better):
            return ""
        if not self.after.goal:
            return "changed"
        return "worse" if worse else "better"

    @property
    def cells(self) -> tuple[str, ...]:
        one = self.after or self.before
        assert one is not None
        both = (self.before, self.after)
        values = (f"{m.value:.4g}" if m else "-" for m in both)
        ratios = (f"{m.ratio:.3g}" if m and m.ratio is not None else "" for m in both)
        change = "" if self.unlike else f"{over(*reversed(self.numbers[0])):.3g}"
        return (one.part, one.case, *values, one.unit, *ratios, change, self.mark)


def noise_of(one: Measurement) -> float:
    """The larger spread of value and reference; of what was timed once, one that is not known."""
    own = one.spread or (UNKNOWN_SPREAD if TIMED.search(one.unit) else 0.0)
    return max(own, one.reference_spread)


def worsening(before: float, after: float, goal: str) -> float:
    """How many times worse the number after is; below 1 where it is better.

    >>> worsening(2.0, 3.0, "less"), worsening(2.0, 3.0, "more"), worsening(2.0, 1.0, "one")
    (1.5, 0.6666666666666666, 0.5)
    """
    if goal == "more":
        return over(before, after)
    return over(off(after), off(before)) if goal == "one" else over(after, before)


def inverse(number: float) -> float:
    return over(1.0, number)


def over(one: float, other: float) -> float:
    """Their ratio, also where the other is 0."""
    if other:
        return one / other
    return math.inf if one else 1.0


def changes(first: Records, second: Records) -> list[Change]:
    """Every case of either, in the order of the first."""
    before, after = (
        {(one.part, one.case): one for one in record.measurements(records)}
        for records in (first, second)
    )
    return [Change(before.get(key), after.get(key)) for key in before | after]


def compare(first: Path, second: Path) -> int:
    """Print the table of changes, below the machines and commits of both files, and what is worse;
    the exit code."""
    files = {"first": opened(first), "second": opened(second)}
    for name, records in files.items():
        conditions = (
            f"{one.header.machine}; commit {one.header.commit}" for one in records.values()
        )
        print("\n".join(f"{name}: {each}" for each in dict.fromkeys(conditions)))
    found = changes(files["first"], files["second"])
    print(f"\n{record.lines_of(HEAD, [change.cells for change in found])}\n\n{summary(found)}")
    return WORSE if any(change.mark == "worse" for change in found) else 0


def summary(found: Sequence[Change]) -> str:
    counts = (f"{sum(one.mark == mark for one in found)} {mark}" for mark in ("worse", "better"))
    compared = sum(not one.unlike for one in found)
    return f"{', '.join(counts)}, of {compared} cases that both files hold"


def opened(path: Path) -> Records:
    """The records of the file; ends the program with one line where there are none."""
    try:
        records = record.read(path)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    if not record.measurements(records):
        raise SystemExit(f"{path}: found no measurements, {record.EXPECTED}")
    return records
