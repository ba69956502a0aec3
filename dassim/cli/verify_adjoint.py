"""``dassim verify-adjoint``: whether a configuration's derivatives are right."""

from __future__ import annotations

import tempfile
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dassim.cli.options import NamelistPath, Overrides
from dassim.cli.run import FAILED

if TYPE_CHECKING:
    from dassim.assimilation.cost import FourDVar
    from dassim.assimilation.verification import Setting
    from dassim.config import Loaded, Namelist
    from dassim.config.experiment import Experiment
    from dassim.parallel import AbstractCommunicator


def command(
    namelist: NamelistPath,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps of each of three segments that are differentiated.")
    ] = 4,
    spin_up: Annotated[
        int,
        typer.Option(min=0, help="Steps before: at rest, some schemes have kinks."),
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Another seed takes other directions.")] = 0,
    nature: Annotated[
        Path | None,
        typer.Option(
            help="Run whose snapshots are the data where the namelist names no run; of a twin that "
            "has run, its own when left out."
        ),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Test the adjoint of the model that a namelist describes, on the ranks of this command.

    Dot products of tangent-linear and adjoint, by the whole state and all parameters; Taylor tests
    of a cost by the state and by each parameter, and central differences where kinks blur them; the
    same gradient whatever is kept of the way. Where there is a section assimilation whose data are
    there, the same of its own cost by its control vector, over as much of the window as has data of
    all kinds. Exit codes: 0 all tests pass, 1 one does not, 2 the namelist cannot be used.
    """
    from dassim.assimilation.verification import checks, cost_checks, coverage
    from dassim.cli.programs import prepare_jax
    from dassim.cli.ranks import agreed, leave
    from dassim.config import Namelist, load
    from dassim.io.checkpoints import FolderStore
    from dassim.parallel import abort_on_error, world

    comm = world()
    prepare_jax(comm)
    loaded = agreed(comm, lambda: load(namelist, Namelist, overrides=overrides or ()))
    passed = True
    with abort_on_error(comm):
        with tempfile.TemporaryDirectory() as folder:
            setting, own = prepared(loaded, comm, steps, spin_up, seed, Path(folder), nature)
            text = f"{coverage(setting)}\n{own.text}\n"
            if comm.is_root:
                typer.echo(text)
            found = [checks(setting, FolderStore(Path(folder), comm.rank))]
            if own.objective is not None:
                found.append(cost_checks(own.objective, seed))
            for check in chain(*found):
                passed &= check.passed
                if comm.is_root:
                    typer.echo(f"{check}\n")
        comm.barrier()
    if comm.is_root:
        typer.echo("all tests passed" if passed else "FAILED: not all tests passed")
    leave(comm, 0 if passed else FAILED)


class OwnCost(NamedTuple):
    """The cost that a namelist describes, if it can be had, and what to say of it."""

    text: str
    objective: FourDVar | None = None


def prepared(
    loaded: Loaded[Namelist],
    comm: AbstractCommunicator,
    steps: int,
    spin_up: int,
    seed: int,
    folder: Path,
    nature: Path | None,
) -> tuple[Setting, OwnCost]:
    """The model after its spin-up, and the cost of the namelist. Sizes of errors are those of the
    section assimilation, of what it does not seek a part of their spread or value."""
    from dassim.assimilation.verification import Setting, sizes_of
    from dassim.cli.ranks import agreed
    from dassim.config.experiment import build_experiment
    from dassim.config.unknowns import chosen_leaves
    from dassim.simulation.advance import Program

    section = loaded.namelist.assimilation
    key = ("assimilation", "control")
    sought = {} if section is None else section.control.state.by_leaf()
    uncertain = {} if section is None else section.control.windows | section.control.parameters

    def prepare():
        with loaded.located():
            experiment = build_experiment(loaded.namelist, comm)
            chosen_leaves(experiment.state, sought, (*key, "state"))
            chosen_leaves(experiment.parameters, uncertain, (*key, "parameters"))
            return experiment, own_cost(loaded.namelist, experiment, folder, nature)

    experiment, own = agreed(comm, prepare)
    program = Program(experiment.model)
    start = program.start(experiment.parameters, experiment.state)
    state = program(experiment.parameters, start, spin_up).state if spin_up else start.state
    sizes = sizes_of(experiment.model, state) | sought
    setting = Setting(
        experiment.model, experiment.parameters, state, sizes, uncertain, steps, seed=seed
    )
    return setting, own


def own_cost(
    namelist: Namelist, experiment: Experiment, folder: Path, nature: Path | None
) -> OwnCost:
    """The cost of the section assimilation, over the beginning of its window, if there are data."""
    from dassim.assimilation.data import DataError
    from dassim.assimilation.verification import beginning
    from dassim.cli.twin import NATURE
    from dassim.config.assimilation import build_recovery
    from dassim.config.twin import wrong_first_guess
    from dassim.io.restarts import RestartError
    from dassim.parallel.agreement import on_root

    section = namelist.assimilation
    if section is None:
        return OwnCost("No section assimilation: the model alone is tested")
    sources = [*section.data, *section.observations]
    if not sources:
        return OwnCost("No data in the section assimilation: the model alone is tested")
    left = Path("runs") / namelist.name / NATURE
    has_run = on_root(experiment.model.domain.comm, left.is_dir)
    if nature is None and namelist.twin is not None and has_run:
        nature = left
    if nature is None and any(getattr(source, "run", folder) is None for source in sources):
        return OwnCost("No run that the data come from: give --nature; the model alone is tested")
    unsaved = tuple(map(_unsaved, section.observations))
    section = section.model_copy(update={"observations": unsaved})
    namelist = namelist.model_copy(update={"assimilation": section})
    try:
        first_guess = None
        if nature is not None and namelist.twin is not None and section.first_guess is None:
            first_guess = wrong_first_guess(namelist, experiment, nature)
        recovery = build_recovery(
            namelist, experiment, folder, nature=nature, first_guess=first_guess
        )
    except (DataError, RestartError) as error:
        return OwnCost(f"The data cannot be had: {error}; the model alone is tested")
    objective, whole = beginning(recovery), recovery.objective.run.lengths
    lengths = objective.run.lengths
    names = (*objective.transform.distributed, *objective.transform.replicated)
    terms = ", ".join([*(term.name for term in objective.terms), *recovery.counts])
    return OwnCost(
        f"J ({terms}) over {len(lengths)} of {len(whole)} segments, {sum(lengths)} steps, by "
        f"{', '.join(names)}",
        objective,
    )


def _unsaved(source: Any) -> Any:
    """A source of observations that writes no file."""
    return source.model_copy(update={"save": None}) if hasattr(source, "save") else source
