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
