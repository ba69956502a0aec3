"""``dassim sensitivity``: the gradient of a number by what the run depends on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dassim.cli.options import FolderOption, NamelistPath, Overrides
from dassim.cli.run import FAILED, UNSTABLE

if TYPE_CHECKING:
    from dassim.assimilation.control import Control
    from dassim.assimilation.derivatives import ComparisonTable, Derivatives, KeptDerivatives
    from dassim.assimilation.differences import Comparison
    from dassim.config import Loaded, Namelist
    from dassim.config.experiment import Experiment
    from dassim.config.sensitivity import SensitivityProblem
    from dassim.grid.variables import Variable
    from dassim.parallel import AbstractCommunicator

STREAM, NUMBERS, FIGURES = "sensitivity", "sensitivity.csv", "figures"
"""In the folder: the stream of fields; derivatives by single numbers; maps."""

GRADIENT, COMPARISONS = "gradient", "comparisons.csv"
"""What --resume goes on from, once the sweep is done: the gradient as each rank has it, and its
comparisons with finite differences so far."""


def command(
    namelist: NamelistPath,
    folder: FolderOption = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the sweep back, or with finite differences, where they were "
            "interrupted, or begin.",
        ),
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Differentiate the number that the section sensitivity names, at the end of its window.

    The gradient is written as netCDF, one field for each thing that it is taken by, with maps, and
    where points are asked for compared with finite differences, in comparisons.csv. Exit codes: 0
    it is done, 1 it cannot go on, or finite differences contradict it by more than
    sensitivity.tolerance and three times their own error, 2 the namelist cannot be used, 3 the run
    is not finite.
    """
    from dassim.cli.programs import prepare_jax
    from dassim.cli.ranks import agreed, leave
    from dassim.config import Namelist, load
    from dassim.parallel import abort_on_error, world

    comm = world()
    prepare_jax(comm)
    loaded = agreed(comm, lambda: load(namelist, Namelist, overrides=overrides or ()))
    path = folder or Path("runs") / f"{loaded.namelist.name}_sensitivity"
    with abort_on_error(comm):
        code = run(loaded, path, comm, resume=resume)
        comm.barrier()
    leave(comm, code)


def run(loaded: Loaded[Namelist], path: Path, comm: AbstractCommunicator, *, resume: bool) -> int:
    """The gradient in the folder ``path``; the exit code."""
    from dassim.cli.ranks import agreed
    from dassim.config.experiment import build_experiment
    from dassim.config.sensitivity import build_sensitivity
    from dassim.config.simulation import difference
    from dassim.config.text import as_yaml
    from dassim.simulation.folder import RunFolder, claimed
    from dassim.simulation.run import OF_ALL_RANKS

    namelist = loaded.namelist

    def prepare():
        with loaded.located():
            experiment = build_experiment(namelist, comm)
            return experiment, build_sensitivity(namelist, experiment, path)

    try:
        with claimed(
            RunFolder(path),
            f"{as_yaml(namelist)}\n",
            comm,
            resume=resume,
            difference=lambda text: difference(text, namelist, dict),
        ):
            experiment, problem = agreed(comm, prepare)
            return differentiate(namelist, experiment, problem, path, resume=resume)
    except OF_ALL_RANKS as error:
        if comm.is_root:
            typer.echo(f"dassim sensitivity: {error}", err=True)
        return FAILED


def differentiate(
    namelist: Any,
    experiment: Experiment,
    problem: SensitivityProblem,
    path: Path,
    *,
    resume: bool,
) -> int:
    from dassim.assimilation.derivatives import ComparisonTable, KeptDerivatives
    from dassim.assimilation.objectives import not_finite
    from dassim.config.text import as_yaml
    from dassim.io.checkpoints import FolderStore

    domain = experiment.model.domain
    comm = domain.comm
    store = FolderStore(path / GRADIENT, comm.rank, durable=True)
    kept = KeptDerivatives(problem.objective, store, as_yaml(namelist))
    table = ComparisonTable(path / COMPARISONS, comm)
    found, is_new = derivatives(kept, resume=resume)
    if not math.isfinite(found.number):
        if comm.is_root:
            typer.echo("the run is not finite; shorten the time step or the window", err=True)
        return UNSTABLE
    if comm.is_root:
        when = problem.clock.text(problem.window.last)
        typer.echo(
            f"{problem.number.replace('_', ' ')} at {when}: {found.number!r} {problem.units}"
        )
    bad = [problem.names[place] for place in not_finite(found.gradient, domain)]
    if bad:
        if comm.is_root:
            typer.echo(
                f"dassim sensitivity: found derivatives by {', '.join(bad)} that are not finite, "
                f"of a number that is; expected finite ones; run dassim verify-adjoint",
                err=True,
            )
        return FAILED
    if is_new:
        table.clear()  # before it may be taken for that of this gradient
        kept.write(found)
    write(namelist, experiment, problem, found.gradient, path)
    section = namelist.sensitivity
    if not section.points:
        return 0
    complaints = compare(problem, found.gradient, section, table)
    for complaint in complaints if comm.is_root else ():
        typer.echo(f"dassim sensitivity: {complaint}", err=True)
    return FAILED if complaints else 0


def derivatives(kept: KeptDerivatives, *, resume: bool) -> tuple[Derivatives, bool]:
    """Those that are kept, if the run is to ``resume`` and there are any, else new ones; whether
    they are new."""
    from dassim.assimilation.derivatives import differentiated

    found = kept.read() if resume else None
    return (differentiated(kept.objective), True) if found is None else (found, False)


def write(
    namelist: Any,
    experiment: Experiment,
    problem: SensitivityProblem,
    gradient: Control,
    path: Path,
) -> None:
    """Fields, numbers, maps."""
    from dassim.config.results import Results
    from dassim.config.sensitivity import output_of
    from dassim.parallel.agreement import on_root

    comm = experiment.model.domain.comm
    known = {**experiment.model.variables, **experiment.objectives.fields}
    fields = output_of(problem, gradient)
    variables = {place: problem.variable(place, known) for place in fields}
    if fields:
        start = problem.clock.seconds(problem.window.first)
        arrays = {variables[place].name: field for place, field in fields.items()}
        Results(path, namelist, experiment).write(STREAM, variables.values(), [(start, arrays)])

    def show() -> None:
        tell(problem, gradient, known, path)
        if fields:
            draw(path)

    on_root(comm, show)


def tell(
    problem: SensitivityProblem, gradient: Control, known: Mapping[str, Variable], path: Path
) -> None:
    """Derivatives by single numbers, printed, and as CSV."""
    import numpy as np

    from dassim.io.durable import write_text

    lines = ["name,index,derivative,units"]
    for place, leaf in gradient.replicated.items():
        variable = problem.variable(place, known)
        for index, value in np.ndenumerate(np.asarray(leaf)):
            where = " ".join(map(str, index))
            lines.append(f"{problem.names[place]},{where},{float(value)!r},{variable.units}")
            typer.echo(f"by {problem.names[place]} {where}: {float(value):.6e} {variable.units}")
    write_text(path / NUMBERS, "\n".join(lines) + "\n")


def draw(path: Path) -> None:
    """A map of every derivative in the topmost level that has it, and a page."""
    import matplotlib as mpl

    import dassim

    mpl.use("Agg")
    from dassim.cli.figures import page
    from dassim.cli.figures import recovery as figures

    folder = path / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    data = dassim.open(path, STREAM)
    shown = list(figures.derivatives(folder, data))
    page.write(folder / "index.html", data, path, shown)
    typer.echo(f"{len(shown)} figures: {folder / 'index.html'}")


def compare(
    problem: SensitivityProblem, gradient: Control, section: Any, table: ComparisonTable
) -> list[str]:
    """The table of derivatives by adjoint and by finite differences, as it grows, on from what is
    in ``table``; what finite differences have to complain of."""
    from dassim.assimilation.objectives import compare_at_points
    from dassim.config.sensitivity import magnitudes

    comm = table.comm
    if comm.is_root:
        titles = f"{'differences':>16}{'uncertain by':>14}{'apart':>12}"
        typer.echo(f"{'by':<24}{'at':>16}{'adjoint':>16}{titles}")
    sizes, points, tolerance = magnitudes(problem), section.points, section.tolerance
    known, found = table.read(), []
    for each in compare_at_points(
        problem.objective, gradient, sizes, points, tolerance, section.seed, known
    ):
        found.append(each)
        if each not in known:
            table.write(found)
        if comm.is_root:
            typer.echo(
                f"{problem.names[each.name]:<24}{_place(each):>16}{each.adjoint:>16.7e}"
                f"{each.differences:>16.7e}{each.uncertain:>14.1e}{each.apart:>12.2e}"
            )
    if comm.is_root:
        apart = [each.apart if math.isfinite(each.apart) else math.inf for each in found]
        near = sum(each <= tolerance for each in apart)
        typer.echo(
            f"largest relative difference: {max(apart, default=math.nan):.2e}; "
            f"at most {tolerance:.2e} at {near} of {len(found)} points"
        )
    return list(_complaints(problem, found, tolerance))


def _complaints(
    problem: SensitivityProblem, found: list[Comparison], tolerance: float
) -> Iterator[str]:
    """One for each name that finite differences contradict, or of which they know no point."""
    from dassim.assimilation.differences import Verdict

    for path, name in problem.names.items():
        verdicts = {each: each.verdict(tolerance) for each in found if each.name == path}
        wrong = [each for each, verdict in verdicts.items() if verdict is Verdict.CONTRADICTS]
        if wrong:
            worst = max(wrong, key=lambda each: each.apart)
            yield (
                f"found a derivative by {name} at {_place(worst)} that is {worst.apart:.2e} apart "
                f"from finite differences, which are uncertain by {worst.uncertain:.1e}; expected "
                f"at most {tolerance:.2e} (sensitivity.tolerance), or three times their error; the "
                f"files are written; test the model by dassim verify-adjoint"
            )
        elif Verdict.AGREES not in verdicts.values():
            yield (
                f"found no point at which finite differences know the derivative by {name}; "
                f"expected one; the files are written; take other points (sensitivity.seed), or a "
                f"shorter window"
            )


def _place(each: Comparison) -> str:
    return ", ".join(map(str, each.index))
