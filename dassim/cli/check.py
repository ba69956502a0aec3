"""``dassim check``: everything that can be known before a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dassim.cli.options import NamelistPath, Overrides

if TYPE_CHECKING:
    from dassim.config import Loaded, Namelist
    from dassim.config.estimate import Estimate, Files
    from dassim.config.predict import Prediction
    from dassim.config.probe import Work
    from dassim.config.schema.site import Costs, Site
    from dassim.parallel import AbstractCommunicator

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

    With --predict, a block of so many ranks is built and timed alone, on as many cores as a rank of
    the site has: the time of a step and of a gradient, memory, and the output's bandwidth follow.
    The ranks of this command time one each, beside each other: as many as a node takes tell what
    its cores leave of its memory's bandwidth to each.
    """
    from dassim.assimilation.recovery import peak_memory
    from dassim.cli.programs import kept_to_cores, prepare_jax
    from dassim.cli.ranks import agreed
    from dassim.config import Namelist, load
    from dassim.config.experiment import doubts
    from dassim.config.text import as_yaml
    from dassim.parallel import world

    if site and not predict:
        raise typer.BadParameter("its costs are those of --predict", param_hint="--site")
    comm = world()
    there = agreed(comm, lambda: site_of(site))
    cores = there.cores_per_rank if there else 1

    def examine() -> tuple[Loaded[Namelist], list[str]]:
        loaded = load(namelist, Namelist, overrides=overrides or ())
        with loaded.located():
            return loaded, list(report(loaded.namelist, ranks or comm.size))

    def build() -> list[str]:
        with loaded.located():
            return [f"warning: {doubt}" for doubt in doubts(loaded.namelist, comm)]

    def look_ahead() -> list[str]:
        with loaded.located():
            return list(prediction(loaded.namelist, ranks or comm.size, there, process, comm))

    with kept_to_cores(comm, cores) if predict else nullcontext():
        prepare_jax(comm)
        process = peak_memory()
        loaded, lines = agreed(comm, examine)
        if ranks in (None, comm.size):
            lines += agreed(comm, build)
        else:
            found = f"{ranks} ranks are planned, found {comm.size} here"
            lines += [f"grid and start not built: {found}"]
        if predict:
            lines += agreed(comm, look_ahead)
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


def prediction(
    namelist: Namelist,
    ranks: int,
    site: Site | None,
    process: float,
    beside: AbstractCommunicator,
) -> Iterator[str]:
    """Lines on how fast ``namelist`` would run on ``ranks`` ranks; ``process``: bytes that one of
    them takes without a model."""
    from dassim.assimilation.recovery import peak_memory
    from dassim.config.predict import predict

    costs = costs_of(site)
    found = predict(namelist, ranks, costs, beside)
    step, sweep = found.step, found.sweep
    yield f"predicted, from {found.timed} cells of {found.block} timed here"
    yield f"  a step            {_work(found, step)}"
    yield (
        f"  a gradient        {_seconds(found.gradient)} for each step: {sweep.forward:.3g} steps "
        f"forward; back {_work(found, sweep.back)} ({sweep.window})"
    )
    yield f"  a simulated day   {_seconds(found.during(86400))}"
    yield f"  this run          {_seconds(found.during(found.duration))}"
    yield (
        f"  memory of a rank  {_bytes(process + step.memory)}, with a gradient "
        f"{_bytes(process + found.memory_of_gradient)}, {_bytes(process)} of it without a model; "
        f"{_bytes(peak_memory())} at most while these were compiled here"
    )
    yield (
        f"  output            {_bytes(found.output_bandwidth)}/s of all ranks; a restart of "
        f"{_bytes(found.restart)} at once"
    )
    whose = "the site's" if site and "costs" in site.model_fields_set else "two cores' of a machine"
    yield (
        f"  costs             {1e6 * costs.latency:.3g} us a message, "
        f"{_bytes(costs.bandwidth)}/s, {costs.speed:.3g} times the speed of here: {whose}"
    )


def site_of(name: str | None) -> Site | None:
    """A file of jobs/sites, by name or path."""
    from dassim.config.site import load_site

    return None if name is None else load_site(name, SITES if SITES.is_dir() else Path())


def costs_of(site: Site | None) -> Costs:
    """The defaults where no site is named."""
    from dassim.config.schema.site import Costs

    return site.costs if site else Costs()


def _work(found: Prediction, work: Work) -> str:
    swaps, size = sum(work.sent.swaps), sum(work.sent.bytes)
    once = ", without those of an iterative solver" if work.sent.open_ended else ""
    return (
        f"{_seconds(found.seconds(work))}, {_seconds(found.computing(work))} of it computing; "
        f"{2 * swaps:.4g} messages, {_bytes(size)}{once}"
    )


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
