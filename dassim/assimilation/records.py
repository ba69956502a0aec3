"""One line per iteration of a minimisation: as a table, as CSV, as arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_NUMBERS = ("iteration", "evaluations", "value", "gradient_norm", "step", "seconds")

INTEGERS = ("iteration", "outer", "inner", "evaluations")
"""Columns of whole numbers."""


@dataclass(frozen=True)
class Record:
    """An iteration: the cost ``value`` and its ``parts`` at the point reached, ``gradient_norm``
    there, the ``step`` that led there, and ``evaluations`` and ``seconds`` since the start.

    Of a method with loops: the ``outer`` loop, and the ``inner`` iteration in it, whose ``value``
    and ``gradient_norm`` are those of the quadratic cost, without ``parts``; 0 is the cost itself.
    """

    iteration: int
    evaluations: int
    value: float
    gradient_norm: float
    step: float
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)
    outer: int | None = None
    inner: int | None = None

    @property
    def of_cost(self) -> bool:
        """Whether this is the cost itself, not its quadratic approximation."""
        return not self.inner

    def row(self) -> dict[str, float]:
        """Columns by name, in the table's order."""
        return {
            "iteration": self.iteration,
            **self._loops,
            "J": self.value,
            **self.parts,
            "|g|": self.gradient_norm,
            "step": self.step,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
        }

    @property
    def _loops(self) -> dict[str, int]:
        loops = {"outer": self.outer, "inner": self.inner}
        return {name: number for name, number in loops.items() if number is not None}


def csv_header(record: Record) -> str:
    return ",".join(record.row())


def csv_line(record: Record) -> str:
    """All digits: what is read back is the same number."""
    return ",".join(repr(value) for value in record.row().values())


def table(records: Sequence[Record]) -> str:
    rows = [record.row() for record in records]
    return "\n".join([table_header(rows[0]), *map(table_line, rows)]) if rows else ""


def table_header(row: Mapping[str, float]) -> str:
    """Names above the columns of :func:`table_line`."""
    return " ".join(f"{name:>{_width(name)}}" for name in row)


def table_line(row: Mapping[str, float]) -> str:
    return " ".join(f"{table_cell(name, value):>{_width(name)}}" for name, value in row.items())


def table_cell(name: str, value: float) -> str:
    """A value of the column ``name`` as it is printed."""
    if name in INTEGERS:
        return f"{value:d}"
    if math.isnan(value):
        return "-"
    return f"{value:.1f}" if name in ("seconds", "memory (MB)") else f"{value:.4e}"


def records_to_arrays(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """Named arrays, for :func:`records_from_arrays`. All records have the same parts."""
    names = records[0].parts if records else ()
    arrays = {
        f"history.{name}": np.array([getattr(r, name) for r in records], float) for name in _NUMBERS
    }
    parts = {f"history.parts.{name}": np.array([r.parts[name] for r in records]) for name in names}
    if records and records[0].outer is not None:
        loops = [(record.outer, record.inner) for record in records]
        arrays["history.loops"] = np.array(loops, int)
    return arrays | parts


def records_from_arrays(arrays: Mapping[str, Any]) -> tuple[Record, ...]:
    prefix = "history.parts."
    names = [name for name in arrays if name.startswith(prefix)]
    columns = [np.asarray(arrays[f"history.{name}"]).tolist() for name in _NUMBERS]
    parts = [np.asarray(arrays[name]).tolist() for name in names]
    keys = [name.removeprefix(prefix) for name in names]
    none = [(None, None)] * len(columns[0])
    loops = np.asarray(arrays["history.loops"]).tolist() if "history.loops" in arrays else none
    return tuple(
        Record(
            int(iteration),
            int(evaluations),
            *numbers,
            parts=dict(zip(keys, (part[i] for part in parts), strict=True)),
            outer=loops[i][0],
            inner=loops[i][1],
        )
        for i, (iteration, evaluations, *numbers) in enumerate(zip(*columns, strict=True))
    )


def _width(name: str) -> int:
    widths = {"iteration": 9, "outer": 5, "inner": 5, "evaluations": 11, "seconds": 9}
    return widths.get(name, max(12, len(name)))
