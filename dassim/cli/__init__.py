"""The command line. Each sub-command is one module here with a function ``command``.

A command's module imports what it needs inside its function: starting one must not load the others.
"""

from __future__ import annotations

import os
from importlib import import_module

import typer

# Of the commands alone: a run locks its folder, and who looks at it while it goes on may read its
# files. HDF5 reads this when it is loaded.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

COMMANDS = (
    "assimilate",
    "check",
    "collate",
    "diff",
    "info",
    "plot",
    "run",
    "schema",
    "sensitivity",
    "submit",
    "twin",
    "verify-adjoint",
)


def application() -> typer.Typer:
    """All sub-commands, in one Typer application."""
    app = typer.Typer(
        name="dassim",
        help="A differentiable ocean and atmosphere simulator with data assimilation.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(lambda: None)
    for name in COMMANDS:
        app.command(name)(import_module(f"dassim.cli.{name.replace('-', '_')}").command)
    return app


def main() -> None:
    """Entry point of the program ``dassim``."""
    application()()
