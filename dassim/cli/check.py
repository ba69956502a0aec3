"""``dassim check``: everything that can be known before a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dassim.cli.options import NamelistPath, Overrides

if TYPE_CHECKING:
    from dassim.config import Loaded, Namelist
    from dassim.config.estimate import Estimate, Files
    from dassim.config.schema.site import Costs

SITES = Path(__file__).parents[2] / "jobs" / "sites"
"""Those of the clone that this is installed from."""


def command(
    namelist: NamelistPath,
    ranks: Annotated[
        int | None,
        typer.Option(min=1, help="Ranks to plan for; by default, those of this command."),
    ] = None,
    predict: Annotated[
        bool, typer.Option("--predict", help="Time a block here, and predict the run's speed.")
    ] = False,
    site: Annotated[
        str | None,
        typer.Option(help="Whose costs to predict with: a file of jobs/sites, by name or path."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Validate a namelist and the files that it names, and print it with SI values and defaults.

    Its decomposition, the estimated memory, and number and size of all that the run writes follow
    as comments, and what is doubtful about its start: the model is built, on the ranks of this
    command. With --ranks for another number of them nothing is built.

    With --predict, a block of so many ranks is built and timed alone: the time of a step and of a
    gradient, memory, and the output's bandwidth follow.
    """
    from dassim.cli.programs import prepare_jax
    from dassim.cli.ranks import agreed
    from dassim.config import Namelist, load
    from dassim.config.experiment import doubts
    from dassim.config.text import as_yaml
    from dassim.parallel import world

    if site and not predict:
        raise typer.BadParameter("its costs are those of --predict", param_hint="--site")
    comm = world()
    prepare_jax(comm)

    def examine() -> tuple[Loaded[Namelist], list[str]]:
        loaded = load(namelist, Namelist, overrides=overrides or ())
        with loaded.located():
            return loaded, list(report(loaded.namelist, ranks or comm.size))

    def build() -> list[str]:
        with loaded.located():
            return [f"warning: {doubt}" for doubt in doubts(loaded.namelist, comm)]

    loaded, lines = agreed(comm, examine)
    if ranks in (None, comm.size):
        lines += agreed(comm, build)
    else:
        lines += [f"grid and start not built: {ranks} ranks are planned, found {comm.size} here"]
    if predict:
        lines += agreed(comm, lambda: list(prediction(loaded.namelist, ranks or comm.size, site)))
    if comm.is_root:
        _print("\n".join([as_yaml(loaded.namelist), *(f"# {line}".rstrip() for line in lines)]))


def report(namelist: Namelist, ranks: int) -> Iterator[str]:
    """Lines on how ``namelist`` would run on ``ranks`` ranks."""
    from dassim.config.estimate import estimates, files, footprint
    from dassim.config.outputs import require_outputs
    from dassim.config.plan import plan
    from dassim.config.vertical import in_words

    planned = plan(namelist, ranks)
    levels = planned.levels.count
    yield in_words(planned.levels)
    if namelist.time:
        yield f"{namelist.time.steps} steps"
    yield str(planned)
    yield from _memory(estimates(namelist, planned.decomposition, levels))
    require_outputs(namelist, footprint(namelist).outputs, levels)
    yield from _files(files(namelist, (levels, *planned.decomposition.shape)))


def prediction(namelist: Namelist, ranks: int, site: str | None) -> Iterator[str]:
    """Lines on how fast ``namelist`` would run on ``ranks`` ranks."""
    from dassim.config.predict import predict

    found = predict(namelist, ranks, costs_of(site))
    swaps, size = sum(found.sent.swaps), sum(found.sent.bytes)
    once = ", without those of an iterative solver" if found.sent.open_ended else ""
    yield f"predicted, from {found.timed} cells of {found.block} timed here"
    yield f"  a step            {_seconds(found.step)}: {_seconds(found.compute)} computing"
    yield (
        f"  messages          {_seconds(found.messages)}: {2 * swaps:g} of {_bytes(size)} in all"
        f"{once}"
    )
    yield f"  a gradient        {_seconds(found.gradient)} for each step of the run"
    yield f"  a simulated day   {_seconds(found.during(86400))}"
    yield f"  this run          {_seconds(found.during(found.duration))}"
    yield f"  memory of a rank  {_bytes(found.memory)}, and the states that a gradient keeps"
    yield f"  output            {_bytes(found.output_bandwidth)}/s of all ranks"


def costs_of(site: str | None) -> Costs:
    """Those of a file of jobs/sites, by name or path; the defaults where none is named."""
    from dassim.config.schema.site import Costs
    from dassim.config.site import load_site

    if site is None:
        return Costs()
    return load_site(site, SITES if SITES.is_dir() else Path()).costs


def _seconds(number: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if number >= length:
            return f"{number / length:.3g} {unit}"
    return f"{1e3 * number:.3g} ms"


def _memory(rows: Iterable[Estimate]) -> Iterator[str]:
    yield f"{'':<22}{'largest rank':>14}{'all ranks':>14}"
    for row in rows:
        yield f"{row.what:<22}{_bytes(row.largest_rank):>14}{_bytes(row.all_ranks):>14}"


def _files(rows: list[Files]) -> Iterator[str]:
    if rows:
        yield f"{'on disk: all ranks':<22}{'times':>14}{'each':>14}{'in all':>14}"
    for row in rows:
        yield f"{row.what:<22}{row.count:>14}{_bytes(row.each):>14}{_bytes(row.all):>14}"


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} PB"


def _print(text: str) -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    console = Console()
    if console.is_terminal:
        console.print(Syntax(text, "yaml", background_color="default", word_wrap=True))
    else:
        print(text)
