"""``dassim plot``: a page of figures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    stream: Annotated[
        str | None, typer.Option(help="Which of the streams of fields, if there are several.")
    ] = None,
    record: Annotated[
        int, typer.Option(help="Record that the maps show: 0 the first, -1 the last.")
    ] = -1,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the page; RUN/plots/STREAM by default."),
    ] = None,
) -> None:
    """Draw maps, sections and series of a run's fields, and a page index.html that shows them.

    Of a recovery, with --stream: increments, departures before and after, errors and their
    deviations, parameters.
    """
    import matplotlib as mpl

    import dassim
    from dassim.cli.ranks import BAD_INPUT
    from dassim.io.dataset import choose
    from dassim.io.netcdf import OutputError

    mpl.use("Agg")
    from dassim.cli.figures import gallery, page, recovery

    try:
        data = dassim.open(run, stream)
        count = data.sizes["time"]
        if not -count <= record < count:
            raise OutputError(
                f"found no record {record}; expected one of 0 to {count - 1}; correct --record"
            )
        folder = output or run / "plots" / choose(run, stream)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make {folder} ({error.strerror}); expected a folder for the figures; "
                f"choose another by --output"
            ) from None
        shown = [
            *gallery.draw_all(data, folder, record),
            *recovery.fields(folder, data, record),
            *recovery.departures(folder, data),
        ]
        page.write(folder / "index.html", data, run, shown)
    except OutputError as error:
        typer.echo(f"dassim plot: {error}", err=True)
        raise SystemExit(BAD_INPUT) from None
    typer.echo(f"{len(shown)} figures: {folder / 'index.html'}")
