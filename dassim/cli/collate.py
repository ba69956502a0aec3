"""``dassim collate``: the files of all ranks and days merged and compressed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    stream: Annotated[
        str | None, typer.Option(help="One of the streams of fields; all when left out.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a dask cluster, such as tcp://host:8786."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes without a cluster; all cores by default.")
    ] = None,
    compression: Annotated[int, typer.Option(min=0, max=9, help="zlib level; 0 is none.")] = 4,
    memory: Annotated[int, typer.Option(min=1, help="MB of values that a process holds.")] = 256,
) -> None:
    """Merge the fields of a run into RUN/collated/STREAM/VARIABLE_YEAR.nc.

    Files that are complete already are left as they are. The original files stay.
    """
    from dassim.cli.ranks import BAD_INPUT
    from dassim.io.collate import merge, plan
    from dassim.io.dataset import choose, streams
    from dassim.io.netcdf import OutputError

    try:
        names = [stream] if stream else (streams(run) or [choose(run, None)])
        tasks = [
            task
            for name in names
            for task in plan(run, name, compression=compression, memory=memory * 10**6)
        ]
        merged = merge(tasks, scheduler=scheduler, workers=workers)
    except OutputError as error:
        typer.echo(f"dassim collate: {error}", err=True)
        raise SystemExit(BAD_INPUT) from None
    for one in merged:
        if one.records:
            ratio = one.bytes_written / one.bytes_read
            typer.echo(
                f"{one.path}: {one.records} records, {one.bytes_written / 1e6:.3g} MB, "
                f"{100 * ratio:.0f} % of the values' size"
            )
        else:
            typer.echo(f"{one.path}: complete already")
