"""``dassim twin``: a run of the model as nature, and the recovery of its state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dassim.cli.options import FolderOption, NamelistPath, Overrides, WallClock, with_wall_clock
from dassim.cli.run import CONTINUE_ME, FAILED, UNSTABLE

if TYPE_CHECKING:
    from dassim.assimilation.recovery import Recovered, Recovery
    from dassim.assimilation.scores import Scores
    from dassim.config import Loaded, Namelist
    from dassim.config.experiment import Experiment
    from dassim.parallel import AbstractCommunicator
    from dassim.simulation.plan import Outcome
    from dassim.simulation.signals import StopRequest
    from dassim.simulation.timing import Stopwatch

NATURE, SCORES, FIGURES = "nature", "scores.csv", "figures"
"""In the folder of a twin, beside what every recovery leaves there."""


def command(
    namelist: NamelistPath,
    folder: FolderOption = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where the experiment was stopped, or begin."),
    ] = False,
    wall_clock: WallClock = None,
    overrides: Overrides = None,
) -> None:
    """Run the model as nature, recover its state from a wrong first guess, forecast, and score.

    The sections assimilation and twin of the namelist say how. In the folder: nature/ is a run,
    analysis/ a run to go on with, iterations.csv and scores.csv are tables, figures/index.html
    shows them. Exit codes: 0 it is at its end, 75 it was stopped and wants to be resumed, 1 it
    cannot go on, or no step at all from the first guess lowers the cost, 2 the namelist cannot be
    used, 3 a run became unstable.
    """
    from dassim.cli.programs import prepare_jax
    from dassim.cli.ranks import agreed, leave
    from dassim.config import Namelist, load
    from dassim.parallel import abort_on_error, world
    from dassim.simulation.signals import stop_requests
    from dassim.simulation.timing import Stopwatch

    comm, stopwatch = world(), Stopwatch()
    prepare_jax(comm)
    options = with_wall_clock(overrides, wall_clock)
    loaded = agreed(comm, lambda: load(namelist, Namelist, overrides=options))
    path = folder or Path("runs") / loaded.namelist.name
    with abort_on_error(comm), stop_requests() as request:
        code = run(loaded, path, comm, stopwatch, request, resume=resume)
        comm.barrier()
    leave(comm, code)


def run(
    loaded: Loaded[Namelist],
    path: Path,
    comm: AbstractCommunicator,
    stopwatch: Stopwatch,
    request: StopRequest,
    *,
    resume: bool,
) -> int:
    """The whole experiment in the folder ``path``; the exit code."""
    from dassim.cli.assimilate import recover_and_write
    from dassim.cli.ranks import agreed
    from dassim.config.assimilation import recovery_identity
    from dassim.config.experiment import build_experiment
    from dassim.config.simulation import difference
    from dassim.config.text import as_yaml
    from dassim.config.twin import nature_namelist, require_known
    from dassim.simulation.errors import UnstableError
    from dassim.simulation.folder import RunFolder, claimed
    from dassim.simulation.run import OF_ALL_RANKS

    namelist, own = loaded.namelist, RunFolder(path)

    def prepare():
        with loaded.located():
            nature_namelist(namelist)
            experiment = build_experiment(namelist, comm)
            require_known(namelist, experiment)
            return experiment

    def prepare_recovery():
        with loaded.located():
            return build_twin(namelist, experiment, path)

    try:
        with claimed(
            own,
            f"{as_yaml(namelist)}\n",
            comm,
            resume=resume,
            difference=lambda text: difference(text, namelist, recovery_identity),
        ):
            experiment = agreed(comm, prepare)
            nature = run_nature(namelist, experiment, path / NATURE, stopwatch, request)
            if not nature.finished:
                _say(comm, f"nature stopped by {nature.reason}; go on with --resume")
                return CONTINUE_ME
            recovery = agreed(comm, prepare_recovery)
            code, recovered = recover_and_write(
                namelist, experiment, recovery, own, stopwatch, request, resume=resume
            )
            if code == 0:
                conclude(namelist, experiment, recovery, recovered, path)
    except OF_ALL_RANKS as error:
        if comm.is_root:
            typer.echo(f"dassim twin: {error}", err=True)
        return UNSTABLE if isinstance(error, UnstableError) else FAILED
    return code


def run_nature(
    namelist: Any, experiment: Experiment, path: Path, stopwatch: Stopwatch, request: StopRequest
) -> Outcome:
    """The nature run, or what is left of it, in the folder ``path``."""
    from dassim.cli.progress import BarReporter, reporter
    from dassim.config.simulation import build_case, build_plan, difference, notes
    from dassim.config.text import as_yaml
    from dassim.config.twin import nature_namelist, nature_plan
    from dassim.simulation.folder import RunFolder, claimed
    from dassim.simulation.run import simulate

    own, folder = nature_namelist(namelist), RunFolder(path)
    comm = experiment.model.domain.comm
    assert own.time is not None
    plan = nature_plan(build_plan(own, own.time), namelist, own.time.step)
    teller = reporter() if comm.is_root else None
    try:
        with claimed(
            folder,
            f"{as_yaml(own)}\n",
            comm,
            resume=True,
            difference=lambda text: difference(text, own),
        ):
            return simulate(
                build_case(replace(experiment, time=own.time)),
                plan,
                folder,
                resume=True,
                reporter=teller,
                notes=comm.bcast(notes(own) if comm.is_root else None),
                stopwatch=stopwatch,
                request=request,
            )
    finally:
        if isinstance(teller, BarReporter):
            teller.close()


def build_twin(namelist: Any, experiment: Experiment, path: Path) -> Recovery:
    """The recovery, with a first guess that is wrong and a truth to compare with."""
    from dassim.config.assimilation import build_recovery
    from dassim.config.twin import truth_of_twin, wrong_first_guess

    nature = path / NATURE
    first_guess = wrong_first_guess(namelist, experiment, nature)
    recovery = build_recovery(namelist, experiment, path, nature=nature, first_guess=first_guess)
    section = namelist.assimilation
    scored = {*section.control.state.by_leaf()}
    for data in section.data:
        scored |= {*data.errors.by_leaf()}
    if recovery.points is not None:
        scored |= {part.leaf for part in recovery.points.parts.values()}
    truth = truth_of_twin(namelist, experiment, nature, tuple(sorted(scored)))
    return replace(recovery, truth=truth)


def conclude(
    namelist: Any, experiment: Experiment, recovery: Recovery, recovered: Recovered, path: Path
) -> None:
    """Forecast, scores, fields of errors and figures."""
    from dassim.assimilation.scores import Scores, trajectory_errors
    from dassim.config.results import Results, write_errors
    from dassim.config.twin import forecast_segments
    from dassim.parallel.agreement import on_root

    beyond, truth = forecast_segments(namelist), recovery.truth
    assert truth is not None
    runs = {"first guess": recovery.first_guess, "analysis": recovered.analysis}
    run, window = recovery.objective.run, recovery.window
    scores = Scores(
        window,
        {
            name: trajectory_errors(run, window, inputs, truth, beyond)
            for name, inputs in runs.items()
        },
    )
    results = Results(path, namelist, experiment)
    write_errors(results, recovery, recovered)

    def show() -> None:
        tell(scores, recovery, path)
        draw(scores, recovery, results, path)

    on_root(recovery.comm, show)


def tell(scores: Scores, recovery: Recovery, path: Path) -> None:
    """The table of scores, printed; by time as CSV."""
    from dassim.assimilation.scores import COLUMNS
    from dassim.assimilation.tables import plain_table
    from dassim.io.durable import write_text

    typer.echo("root-mean-square errors against the nature run")
    typer.echo(plain_table(COLUMNS, scores.rows()))
    lines = ["run,variable,step,seconds,rmse"]
    for name, by_step in scores.errors.items():
        for step, found in by_step.items():
            seconds = recovery.clock.seconds(step)
            lines += [f"{name},{v},{step},{seconds!r},{e!r}" for v, e in found.items()]
    write_text(path / SCORES, "\n".join(lines) + "\n")


def draw(scores: Scores, recovery: Recovery, results: Any, path: Path) -> None:
    """Figures and the page that shows them."""
    import matplotlib as mpl
    import numpy as np

    import dassim
    from dassim.assimilation.journal import IterationLog
    from dassim.assimilation.recovery import ITERATIONS
    from dassim.simulation.trees import named_leaves

    mpl.use("Agg")
    from dassim.cli.figures import page
    from dassim.cli.figures import recovery as figures

    folder = path / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    steps = {name: list(by_step) for name, by_step in scores.errors.items()}
    clock, window = recovery.clock, recovery.window
    days = {n: np.array([clock.seconds(s) for s in at]) / 86400.0 for n, at in steps.items()}
    leaves = named_leaves(recovery.first_guess.state)
    variables = list(next(iter(scores.errors.values()))[window.first])
    curves = {
        variable: {
            name: np.array([by_step[step][variable] for step in steps[name]])
            for name, by_step in scores.errors.items()
        }
        for variable in variables
    }
    units = {variable: results.variable(variable, leaves[variable]).units for variable in variables}
    ends = clock.seconds(window.first) / 86400.0, clock.seconds(window.last) / 86400.0
    data = dassim.open(path, "errors")
    shown = [
        *figures.convergence(folder, IterationLog(path / ITERATIONS, recovery.comm).rows()),
        *figures.errors(folder, days, curves, units, ends),
        *figures.fields(folder, data),
    ]
    page.write(folder / "index.html", data, path, shown)
    typer.echo(f"{len(shown)} figures: {folder / 'index.html'}")


def _say(comm: AbstractCommunicator, text: str) -> None:
    if comm.is_root:
        typer.echo(text)
