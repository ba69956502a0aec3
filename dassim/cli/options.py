"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NamelistPath = Annotated[
    Path, typer.Argument(metavar="NAMELIST", help="A namelist (YAML).", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the namelist, such as grid.nx=40. May be repeated.",
        show_default=False,
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", "-o", help="The run's folder; runs/NAME when left out."),
]
WallClock = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Stop in time before this is over, such as '23.5 h'."),
]


def with_wall_clock(overrides: list[str] | None, wall_clock: str | None) -> list[str]:
    """``overrides`` and the time of :data:`WallClock` as one more."""
    return [*(overrides or ()), *([f"run.wall_clock={wall_clock}"] if wall_clock else ())]
