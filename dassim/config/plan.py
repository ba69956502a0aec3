"""How a namelist would run: checked as far as can be without running it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dassim.config.bathymetry import bottom_depth, check_depth
from dassim.config.build import build_decomposition
from dassim.config.errors import NamelistError, Problem
from dassim.config.horizontal import cell_centres
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.vertical import build_levels
from dassim.grid import Levels
from dassim.parallel import Decomposition, Domain


@dataclass(frozen=True)
class Plan:
    """The levels, and the grid's division over ranks."""

    levels: Levels
    decomposition: Decomposition

    def __str__(self) -> str:
        (py, px), (ny, nx) = self.decomposition.layout, self.decomposition.shape
        rows, columns = _points(ny, py), _points(nx, px)
        ranks = "1 rank" if py * px == 1 else f"{py * px} ranks as {py} x {px} (y, x)"
        return f"{ranks}, blocks of {rows} x {columns} cells out of {ny} x {nx}"


def plan(namelist: AbstractNamelist, ranks: int) -> Plan:
    """Open the files that ``namelist`` names, and divide its grid over ``ranks``.

    Raises NamelistError with all problems at once.
    """
    problems: list[Problem] = []
    levels, decomposition = None, None
    with _collected(problems):
        levels = build_levels(namelist.column)
    with _collected(problems):
        decomposition = build_decomposition(namelist, ranks)
    with _collected(problems):
        centres = cell_centres(namelist.grid)
        depth = bottom_depth(namelist.bottom, centres)
        if depth is not None:
            check_depth(depth, centres, Domain.serial(centres.shape))
    if problems or decomposition is None or levels is None:
        raise NamelistError(dict.fromkeys(problems))
    return Plan(levels, decomposition)


def _points(n: int, p: int) -> str:
    return f"{n // p}" if n % p == 0 else f"{n // p}-{n // p + 1}"


@contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except NamelistError as error:
        problems += error.problems
