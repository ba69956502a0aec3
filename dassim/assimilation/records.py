"""One line per iteration of a minimisation: as a table, as CSV, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_NUMBERS = ("iteration", "evaluations", "value", "gradient_norm", "step", "seconds")


@dataclass(frozen=True)
class Record:
    """An iteration: the cost ``value`` and its ``parts`` at the point reached, ``gradient_norm``
    there, the ``step`` that led there, and ``evaluations`` and ``seconds`` since the start."""

    iteration: int
    evaluations: int
    value: float
    gradient_norm: float
    step: float
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, float]:
        """Columns by name, in the table's order."""
        return {
            "iteration": self.iteration,
            "J": self.value,
            **self.parts,
            "|g|": self.gradient_norm,
            "step": self.step,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
        }


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
    if name in ("iteration", "evaluations"):
        return f"{value:d}"
    return f"{value:.1f}" if name in ("seconds", "memory (MB)") else f"{value:.4e}"


def records_to_arrays(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """Named arrays, for :func:`records_from_arrays`. All records have the same parts."""
    names = records[0].parts if records else ()
    arrays = {
        f"history.{name}": np.array([getattr(r, name) for r in records], float) for name in _NUMBERS
    }
    parts = {f"history.parts.{name}": np.array([r.parts[name] for r in records]) for name in names}
    return arrays | parts


def records_from_arrays(arrays: Mapping[str, Any]) -> tuple[Record, ...]:
    prefix = "history.parts."
    names = [name for name in arrays if name.startswith(prefix)]
    columns = [np.asarray(arrays[f"history.{name}"]).tolist() for name in _NUMBERS]
    parts = [np.asarray(arrays[name]).tolist() for name in names]
    keys = [name.removeprefix(prefix) for name in names]
    return tuple(
        Record(
            int(iteration),
            int(evaluations),
            *numbers,
            parts=dict(zip(keys, (part[i] for part in parts), strict=True)),
        )
        for i, (iteration, evaluations, *numbers) in enumerate(zip(*columns, strict=True))
    )


def _width(name: str) -> int:
    return {"iteration": 9, "evaluations": 11, "seconds": 9}.get(name, max(12, len(name)))
