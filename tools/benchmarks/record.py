"""What a benchmark has measured, where, and with which versions; as JSON, and as a table.

A file holds one record for each part that was run, so that a part can be measured anew by itself.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from dassim import provenance
from dassim.io.durable import write_text

LIBRARIES = ("dassim", "python", "jax", "jaxlib", "numpy", "h5py", "mpi4py", "mpi4jax")

MISSED = 3
"""Exit code of a benchmark that has measured a value beyond its limit."""

SKIPPED = 5
"""Exit code of a benchmark that cannot run here; the last line that it prints says why."""

LIMIT = re.compile(r"(<=|>=|<|>|within)\s*([\d.]+)")
GOALS = {"<=": "less", "<": "less", ">=": "more", ">": "more", "within": "one"}

RATE = re.compile(r"/(s|min|h|day)$")
SPENT = re.compile(r"(us|ms|s|min|h|B|kB|MB|GB|states|a cell)\b(?!/s\b)")
"""Units of which more is better, and of which less is."""


@dataclass(frozen=True)
class Measurement:
    """A number of a benchmark, the median over turns; ``part`` and ``case`` together name it.

    ``spread``: largest less smallest, over the median; 0 for what is not measured in turns.
    ``reference``: what was measured beside it in the same run, in the same unit, with a spread of
    its own. ``wanted``: a limit such as "<= 4", of the ratio where there is a reference, else of
    the value; "within 25 %": neither 1.25 times too large nor as many times too small.
    """

    part: str
    case: str
    value: float
    unit: str
    spread: float = 0.0
    reference: str = ""
    reference_value: float | None = None
    wanted: str = ""
    reference_spread: float = 0.0

    @property
    def ratio(self) -> float | None:
        """The value over that of the reference."""
        return self.value / self.reference_value if self.reference_value else None

    @property
    def verdict(self) -> str:
        """Whether the number is as wanted; empty where nothing is.

        >>> Measurement("ocean", "step", 9.6, "Mcells/s", 0.1, "Veros", 1.9, ">= 4").verdict
        'met'
        >>> Measurement("startup", "empty cache", 21.0, "s", wanted="< 20 s").verdict
        'missed'
        """
        limit = LIMIT.match(self.wanted)
        if limit is None:
            return ""
        number, bound = self.value if self.ratio is None else self.ratio, float(limit[2])
        within = {
            "<=": number <= bound,
            ">=": number >= bound,
            "<": number < bound,
            ">": number > bound,
            "within": off(number) <= 1.0 + bound / 100.0,
        }
        return "met" if within[limit[1]] else "missed"

    @property
    def goal(self) -> str:
        """What is better, "less", "more" or as near as may be to "one": by the limit, else by the
        unit. Empty where neither tells.

        >>> [Measurement("", "", 1.0, unit).goal for unit in ("ms", "s/step", "GB", "GB/s", "m")]
        ['less', 'less', 'less', 'more', '']
        >>> Measurement("", "", 1.0, "GB/s wanted").goal
        ''
        """
        if limit := LIMIT.match(self.wanted):
            return GOALS[limit[1]]
        if RATE.search(self.unit):
            return "more"
        return "less" if SPENT.match(self.unit) else ""


def off(number: float) -> float:
    """How many times larger or smaller than 1 it is.

    >>> off(1.25), off(0.8)
    (1.25, 1.25)
    """
    return max(number, 1.0 / number) if number > 0.0 else math.inf


@dataclass(frozen=True)
class Header:
    """Where, when and with what something was measured.

    ``memory`` in GB; ``precision`` of the cases that do not name another.
    """

    processor: str
    cores: int
    memory: float
    versions: Mapping[str, str]
    commit: str
    precision: str
    date: str

    @property
    def name(self) -> str:
        """A file name for the machine.

        >>> Header("AMD EPYC 9B14 (R)", 2, 8.0, {}, "", "float64", "").name
        'amd_epyc_9b14_r_2_cores'
        """
        words = f"{self.processor} {self.cores} cores".lower()
        return re.sub(r"[^a-z0-9]+", "_", words).strip("_")

    @property
    def machine(self) -> str:
        return f"{self.processor}, {self.cores} cores, {self.memory:g} GB; {self.precision}"

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.machine}\n{versions}; commit {self.commit}, {self.date}"


@dataclass(frozen=True)
class Record:
    """The measurements of one part, and what they were measured with."""

    header: Header
    measurements: tuple[Measurement, ...]


Records = Mapping[str, Record]
"""By part."""


def header(precision: str = "float64") -> Header:
    """Of this machine and this process, now."""
    versions = provenance.versions()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return Header(
        processor=processor(),
        cores=os.cpu_count() or 1,
        memory=round(memory, 1),
        versions={name: versions[name] for name in LIBRARIES} | {"MPI": mpi_library()},
        commit=versions["commit"],
        precision=precision,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def mpi_library() -> str:
    """Its name and version, without starting MPI in a process that has not."""
    try:
        import mpi4py

        mpi4py.rc.initialize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        return "none"
    words = MPI.Get_library_version().split(",")[0].splitlines()[0].split()
    return " ".join(word for word in words if word != "Version:")


def skip(reason: str) -> NoReturn:
    """End a benchmark that cannot run here."""
    print(f"skipped: {reason}")
    raise SystemExit(SKIPPED)


def median(times: Sequence[float]) -> tuple[float, float]:
    """And the spread: largest less smallest, over the median.

    >>> median([2.0, 1.0, 4.0])
    (2.0, 1.5)
    """
    middle = statistics.median(times)
    return middle, (max(times) - min(times)) / middle


def write(path: Path, records: Records) -> None:
    """In place of the file ``path``, wholly or not at all."""

    def plain(measurement: Measurement) -> dict[str, Any]:
        return asdict(measurement) | {"ratio": measurement.ratio}

    contents = {
        part: {
            "header": asdict(record.header),
            "measurements": list(map(plain, record.measurements)),
        }
        for part, record in sorted(records.items())
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(contents, indent=1) + "\n")


def measurements(records: Records) -> list[Measurement]:
    """Of all parts."""
    return [one for part in records.values() for one in part.measurements]


EXPECTED = "expected records of benchmarks; name another file, or measure anew (--json FILE)"


def read(path: Path) -> dict[str, Record]:
    """What was written. Raises ValueError where there is no file, or something else in it."""
    try:
        return records_of(json.loads(path.read_text()))
    except OSError as error:
        raise ValueError(f"{path}: found {str(error.strerror).lower()}, {EXPECTED}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: found {type(error).__name__}: {error}, {EXPECTED}") from error


def records_of(contents: Any) -> dict[str, Record]:
    if not isinstance(contents, dict):
        raise TypeError(f"a {type(contents).__name__} in place of parts")
    return {
        part: Record(Header(**one["header"]), tuple(map(measurement_of, one["measurements"])))
        for part, one in contents.items()
    }


NUMBERS = ("value", "spread", "reference_value", "reference_spread")


def measurement_of(entries: dict[str, Any]) -> Measurement:
    names = {field.name for field in fields(Measurement)} & entries.keys()
    one = Measurement(**{name: entries[name] for name in names})
    numbers = {name: getattr(one, name) for name in NUMBERS}
    if odd := [n for n in numbers.values() if not isinstance(n, int | float | None)]:
        raise TypeError(f"{odd[0]!r} for a number of {one.case}")
    return one


def save(
    path: Path | None, measurements: Iterable[Measurement], precision: str = "float64"
) -> None:
    """Put what this process has measured into the file ``path``, where one is named.

    Other parts in it stay; of the same part, what other cases were measured under like conditions.
    """
    if path is None:
        return
    records, now = read(path) if path.exists() else {}, header(precision)
    for one in measurements:
        records[one.part] = added(records.get(one.part), Record(now, (one,)))
    write(path, records)


def added(old: Record | None, new: Record) -> Record:
    """``new`` after the cases of ``old`` that it does not have, unless they were measured elsewhere
    or with other versions."""
    if old is None or replace(old.header, date=new.header.date) != new.header:
        return new
    cases = {measurement.case for measurement in new.measurements}
    others = tuple(one for one in old.measurements if one.case not in cases)
    return Record(new.header, (*others, *new.measurements))


HEAD = ("part", "case", "value", "unit", "spread", "ratio", "reference", "wanted", "")


def table(measurements: Iterable[Measurement]) -> str:
    """One line each; the ratio is that of the value to the reference, measured in the same run."""
    return lines_of(HEAD, [cells(one) for one in measurements])


def cells(one: Measurement) -> tuple[str, ...]:
    ratio = "" if one.ratio is None else f"{one.ratio:.3g}"
    spread, noise = (f"{s:.0%}" if s else "" for s in (one.spread, one.reference_spread))
    words = (one.reference, f"{one.reference_value:.4g}", noise) if ratio else ()
    reference = " ".join(filter(None, words))
    first = (one.part, one.case, f"{one.value:.4g}", one.unit)
    return (*first, spread, ratio, reference, one.wanted, one.verdict)


def lines_of(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their longest cell.

    >>> print(lines_of(("part", "s"), [("halo", "1.5"), ("ocean", "2")]))
    part   s
    -----  ---
    halo   1.5
    ocean  2
    """
    rows = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    all_rows = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in all_rows
    )
