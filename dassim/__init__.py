"""dassim: a differentiable ocean and atmosphere simulator, spread over MPI ranks.

``dassim.open(RUN)`` opens what a run has written. Everything else is in the packages below; this
one imports nothing by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dassim.io.dataset import xr

__all__ = ["open"]


def open(run: Path | str, stream: str | None = None) -> xr.Dataset:  # noqa: A001
    """The fields that the run in the folder ``run`` has written, as one lazy xarray dataset.

    Over all ranks and records, with coordinates, land as NaN, and the grid's areas, edge lengths
    and depths. ``stream`` names one of the streams of the namelist's output; not needed where
    there is but one. Raises ``OutputError`` (an OSError) for missing or damaged files.
    """
    from dassim.io.dataset import open_run

    return open_run(run, stream)
