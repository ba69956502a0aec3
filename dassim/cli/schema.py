"""``dassim schema``: what a namelist may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write to this file.", dir_okay=False, show_default=False
        ),
    ] = None,
) -> None:
    """Print the JSON schema of namelists, with which editors complete and check them.

    In an editor with the YAML language server, put this line at the top of a namelist:
    # yaml-language-server: $schema=dassim.schema.json
    """
    import json

    from dassim.cli.ranks import BAD_INPUT
    from dassim.config import Namelist
    from dassim.config.jsonschema import json_schema
    from dassim.io.durable import write_text

    text = json.dumps(json_schema(Namelist), indent=2)
    if output is None:
        print(text)
    else:
        try:
            write_text(output, f"{text}\n")
        except OSError as error:
            typer.echo(f"dassim schema: found {error}; give the path of a new file", err=True)
            raise typer.Exit(BAD_INPUT) from None
