"""Small tables of numbers in plain text, and what is said under them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Right-aligned columns under their names; floats with four digits, ``None`` as a dash.

    >>> print(plain_table(["step", "order"], [[0.1, None], [0.01, 2.0]]))
          step       order
    1.0000e-01           -
    1.0000e-02  2.0000e+00
    """
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(10, *(len(row[i]) for row in cells)) for i in range(len(columns))]
    lines = ("  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(lines)


def verdict(passed: bool, criterion: str) -> str:
    """The line under a test's table.

    >>> verdict(True, "at most 1e-12")
    'passed: at most 1e-12'
    """
    return f"{word(passed)}: {criterion}"


def word(passed: bool) -> str:
    return "passed" if passed else "FAILED"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4e}" if isinstance(value, float) else str(value)
