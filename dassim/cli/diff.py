"""``dassim diff``: whether two runs have written the same fields, and how far they are apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dassim.io.compare import Difference

APART = 1
"""Exit code for runs that differ."""


def command(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of the other run.")],
    stream: Annotated[
        str | None, typer.Option(help="Which of the streams of fields, if there are several.")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(min=0.0, help="Largest difference, relative to the largest value, allowed."),
    ] = 0.0,
    worst: Annotated[
        bool, typer.Option("--worst", help="For each variable, print the worst time alone.")
    ] = False,
) -> None:
    """Compare the fields of two runs, variable by variable and time by time.

    Exit codes: 0 they agree within the tolerance, 1 they do not, 2 there is nothing to compare.
    """
    import dassim
    from dassim.cli.ranks import BAD_INPUT
    from dassim.io.compare import differences, unlike
    from dassim.io.netcdf import OutputError

    try:
        a, b = dassim.open(first, stream), dassim.open(second, stream)
        findings, found = unlike(a, b), list(differences(a, b))
    except OutputError as error:
        typer.echo(f"dassim diff: {error}", err=True)
        raise SystemExit(BAD_INPUT) from None
    for line in table(_worst(found) if worst else found):
        typer.echo(line)
    for finding in findings:
        typer.echo(finding)
    if not found:
        typer.echo("dassim diff: found no variable and time that both runs have", err=True)
        raise SystemExit(BAD_INPUT)
    beyond = [each for each in found if each.relative > tolerance]
    if beyond:
        names = ", ".join(dict.fromkeys(each.variable for each in beyond))
        typer.echo(
            f"{len(beyond)} of {len(found)} fields differ by more than {tolerance:g}: {names}"
        )
    else:
        typer.echo(f"{len(found)} fields agree within {tolerance:g}")
    raise SystemExit(APART if beyond or findings else 0)


def table(found: Iterable[Difference]) -> Iterable[str]:
    """One line for each difference, under a heading."""
    yield f"{'variable':<16}{'time':<22}{'largest':>12}{'relative':>12}{'rms':>12}"
    for each in found:
        yield (
            f"{each.variable:<16}{each.time:<22}{each.largest:>12.4g}{each.relative:>12.4g}"
            f"{each.rms:>12.4g}"
        )


def _worst(found: list[Difference]) -> list[Difference]:
    names = dict.fromkeys(each.variable for each in found)
    return [
        max((each for each in found if each.variable == name), key=lambda each: each.relative)
        for name in names
    ]
