"""``dassim run``: a model from its namelist to the end of its time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dassim.cli.options import FolderOption, NamelistPath, Overrides, WallClock, with_wall_clock

if TYPE_CHECKING:
    from dassim.config import Loaded, Namelist
    from dassim.parallel import AbstractCommunicator
    from dassim.simulation.plan import Outcome
    from dassim.simulation.signals import StopRequest
    from dassim.simulation.timing import Stopwatch

FAILED = 1
"""Exit code of a run that cannot go on: files, folders, an error of the program."""

UNSTABLE = 3
"""Exit code of a run whose state went beyond a limit: a restart would go the same way."""

CONTINUE_ME = 75
"""Exit code of a run that was stopped in good order before its end: start it with --resume."""


def command(
    namelist: NamelistPath,
    folder: FolderOption = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on from the newest whole restart, or begin where there is none."
        ),
    ] = False,
    wall_clock: WallClock = None,
    overrides: Overrides = None,
) -> None:
    """Run the model that a namelist describes, on the ranks of this command.

    SIGTERM, SIGUSR1 and the end of the wall-clock time stop the run at its next step, with a
    restart. Exit codes: 0 the run is at its end, 75 it was stopped and wants to be resumed,
    1 it cannot go on, 2 the namelist cannot be used, 3 it became unstable.
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
    """Run in the folder ``path``; the exit code."""
    from dassim.cli.progress import BarReporter, reporter
    from dassim.cli.ranks import agreed
    from dassim.config.experiment import build_experiment
    from dassim.config.outputs import open_writers
    from dassim.config.recovered import with_recovered
    from dassim.config.simulation import build_case, build_outlets, build_plan, difference, notes
    from dassim.config.text import as_yaml
    from dassim.simulation.errors import UnstableError
    from dassim.simulation.folder import RunFolder, claimed
    from dassim.simulation.run import OF_ALL_RANKS, simulate

    namelist = loaded.namelist
    own = RunFolder(path)
    teller = reporter() if comm.is_root else None

    def prepare():
        with loaded.located():
            experiment = build_experiment(namelist, comm)
            return experiment, open_writers(own.path, namelist, experiment)

    try:
        with claimed(
            own,
            f"{as_yaml(namelist)}\n",
            comm,
            resume=resume,
            difference=lambda text: difference(text, namelist),
        ):
            with stopwatch.part("start"):
                experiment, writers = agreed(comm, prepare)
                experiment, recovered = with_recovered(experiment, own)
            told = comm.bcast(notes(namelist) if comm.is_root else None)
            if recovered:
                told |= {"recovered_parameters": list(recovered)}
                if teller is not None:
                    teller.message(f"with recovered parameters: {', '.join(recovered)}")
            outcome = simulate(
                build_case(experiment),
                build_plan(namelist, experiment.time),
                own,
                build_outlets(namelist, experiment.time, writers),
                resume=resume,
                reporter=teller,
                notes=told,
                stopwatch=stopwatch,
                request=request,
            )
    except OF_ALL_RANKS as error:
        if comm.is_root:
            typer.echo(f"dassim run: {error}", err=True)
        return UNSTABLE if isinstance(error, UnstableError) else FAILED
    finally:
        if isinstance(teller, BarReporter):
            teller.close()
    if comm.is_root:
        typer.echo(_last_words(outcome, own.path))
    return 0 if outcome.finished else CONTINUE_ME


def _last_words(outcome: Outcome, path: Path) -> str:
    if outcome.finished:
        return f"finished at step {outcome.step}; see {path}"
    return f"stopped at step {outcome.step} by {outcome.reason}; go on with --resume"
