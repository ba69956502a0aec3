"""``dassim assimilate``: the recovery of a state from data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dassim.cli.options import FolderOption, NamelistPath, Overrides, WallClock, with_wall_clock
from dassim.cli.run import CONTINUE_ME, FAILED, UNSTABLE

if TYPE_CHECKING:
    from dassim.assimilation.lbfgs import Stop
    from dassim.assimilation.recovery import Recovered, Recovery
    from dassim.config import Loaded, Namelist
    from dassim.config.experiment import Experiment
    from dassim.parallel import AbstractCommunicator
    from dassim.simulation.folder import RunFolder
    from dassim.simulation.signals import StopRequest
    from dassim.simulation.timing import Stopwatch

NO_STEP = ("LINE_SEARCH", "HALVINGS")
"""Ends of a search that has failed."""

ROUND_OFF = 1e-10
"""A gradient by the control vector, where errors have the size 1, whose square is below this part
of the cost promises a decrease that the cost's round-off hides."""


def command(
    namelist: NamelistPath,
    folder: FolderOption = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on after the last evaluation of cost and gradient."),
    ] = False,
    nature: Annotated[
        Path | None,
        typer.Option(help="Run whose snapshots are the data where the namelist names no run."),
    ] = None,
    wall_clock: WallClock = None,
    overrides: Overrides = None,
) -> None:
    """Recover the state, and whatever else the section assimilation seeks, from data.

    The folder's analysis/ is that of a run: dassim run --folder FOLDER/analysis --resume goes on
    from the recovered state with the recovered parameters (analysis/parameters); where forcing in
    windows or model error was sought, from the window's end. Where a run has gone on from an
    earlier analysis, that folder becomes analysis.1, analysis.2, ... FOLDER/fields has analysis,
    increments, departures, parameters and corrections, FOLDER/parameters.csv single numbers.

    SIGTERM, SIGUSR1 and the end of the wall-clock time stop it after an evaluation. Exit codes:
    0 it is at its end, 75 it was stopped and wants to be resumed, 1 it cannot go on, as with a
    gradient that is not finite, or along which no step at all lowers the cost, 2 the namelist
    cannot be used, 3 the cost is not finite wherever it was tried.
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
        code = run(loaded, path, comm, stopwatch, request, nature=nature, resume=resume)
        comm.barrier()
    leave(comm, code)


def run(
    loaded: Loaded[Namelist],
    path: Path,
    comm: AbstractCommunicator,
    stopwatch: Stopwatch,
    request: StopRequest,
    *,
    nature: Path | None,
    resume: bool,
) -> int:
    """Recover in the folder ``path``; the exit code."""
    from dassim.cli.ranks import agreed
    from dassim.config.assimilation import build_recovery, recovery_identity
    from dassim.config.experiment import build_experiment
    from dassim.config.simulation import difference
    from dassim.config.text import as_yaml
    from dassim.simulation.folder import RunFolder, claimed
    from dassim.simulation.run import OF_ALL_RANKS

    namelist, own = loaded.namelist, RunFolder(path)

    def prepare():
        with loaded.located():
            experiment = build_experiment(namelist, comm)
            return experiment, build_recovery(namelist, experiment, path, nature=nature)

    try:
        with claimed(
            own,
            f"{as_yaml(namelist)}\n",
            comm,
            resume=resume,
            difference=lambda text: difference(text, namelist, recovery_identity),
        ):
            experiment, recovery = agreed(comm, prepare)
            code, _ = recover_and_write(
                namelist, experiment, recovery, own, stopwatch, request, resume=resume
            )
    except OF_ALL_RANKS as error:
        if comm.is_root:
            typer.echo(f"dassim assimilate: {error}", err=True)
        return FAILED
    return code


def recover_and_write(
    namelist: Any,
    experiment: Experiment,
    recovery: Recovery,
    folder: RunFolder,
    stopwatch: Stopwatch,
    request: StopRequest,
    *,
    resume: bool,
) -> tuple[int, Recovered]:
    """The exit code, with the analysis and fields in ``folder`` where there is one."""
    from dassim.assimilation.recovery import ANALYSIS, recover, write_analysis
    from dassim.assimilation.superseded import keep_identity, make_way
    from dassim.cli.iterations import LiveReporter, reporter
    from dassim.config.recovered import write_parameters, write_recovered
    from dassim.config.results import Results, write_posterior, write_results
    from dassim.config.simulation import notes
    from dassim.config.text import as_yaml
    from dassim.io.durable import write_text
    from dassim.parallel.agreement import on_root
    from dassim.simulation.folder import RunFolder

    comm = recovery.comm
    teller = reporter() if comm.is_root else None
    limit = namelist.run.wall_clock
    told = comm.bcast(notes(namelist) if comm.is_root else None)
    try:
        recovered = recover(
            recovery,
            folder,
            resume=resume,
            seconds=None if limit is None else limit - stopwatch.elapsed,
            reporter=teller,
            request=request,
            notes=told,
        )
    finally:
        if isinstance(teller, LiveReporter):
            teller.close()
    stop, history = recovered.result.stop, recovered.result.state.history
    if stop.name == "WALL_CLOCK":
        _say(comm, f"stopped: {stop.value}; go on with --resume")
        return CONTINUE_ME, recovered
    if not history:
        return no_analysis(recovery), recovered
    first, *later = (record for record in history if record.of_cost)
    at_minimum = first.gradient_norm**2 <= ROUND_OFF * abs(first.value)
    if stop.name in NO_STEP and not later and not at_minimum:
        return no_step(recovery, stop), recovered
    analysis = RunFolder(folder.path / ANALYSIS)
    aside = make_way(recovery, recovered, analysis)
    if aside is not None:
        _say(comm, f"the earlier analysis, and the run that went on from it, are now {aside}")
    written = write_analysis(recovery, recovered, analysis, told)
    write_parameters(recovery, recovered, analysis, told)
    on_root(comm, lambda: write_text(analysis.namelist, f"{as_yaml(namelist)}\n"))
    keep_identity(recovery, recovered, analysis)
    results = Results(folder.path, namelist, experiment)
    write_results(results, recovery, recovered)
    _say(comm, summary(recovery, recovered))
    errors = write_posterior(results, recovery, recovered)
    write_recovered(results, recovery, recovered, errors)
    if errors is not None:
        _say(comm, str(errors))
    _say(comm, f"the analysis is {written}; dassim run goes on from it with --folder and --resume")
    return (0 if stop.name != "NON_FINITE" else UNSTABLE), recovered


def no_analysis(recovery: Recovery) -> int:
    """Say what is not finite at the first guess; the exit code."""
    from dassim.assimilation.recovery import parts_not_finite

    bad = parts_not_finite(recovery.objective)
    if bad:
        found, remedy = f"{', '.join(bad)} not finite", "shorten the time step or the window"
    else:
        found, remedy = "a gradient not finite, of a cost that is", "run dassim verify-adjoint"
    _say(
        recovery.comm,
        f"no analysis: found {found}, at the first guess; expected numbers; {remedy}",
    )
    return UNSTABLE if bad else FAILED


def no_step(recovery: Recovery, stop: Stop) -> int:
    """Say that no step from the first guess was accepted, in this call or before; the exit code."""
    _say(
        recovery.comm,
        f"no analysis: found, at the first guess, that {stop.value}; expected a step that lowers "
        f"it; run dassim verify-adjoint",
    )
    return FAILED


def summary(recovery: Recovery, recovered: Recovered) -> str:
    """How the minimisation ended, and how well the data are fitted."""
    from dassim.assimilation.recovery import outcome

    state = recovered.result.state
    first, last, count = state.history[0], state.reached, sum(recovery.counts.values())
    return (
        f"{outcome(recovered.result.stop)}; J / J0 = {_ratio(last.value, first.value)}, "
        f"|g| / |g0| = {_ratio(last.gradient_norm, first.gradient_norm)}, "
        f"2 J / p = {2 * last.value / max(1, count):.4g} with p = {count} data"
    )


def _ratio(number: float, other: float) -> str:
    return f"{number / other:.3e}" if other else "-"


def _say(comm: AbstractCommunicator, text: str) -> None:
    if comm.is_root:
        typer.echo(text)
