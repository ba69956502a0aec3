"""``dassim verify-adjoint``: whether a configuration's derivatives are right."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dassim.cli.options import NamelistPath, Overrides
from dassim.cli.run import FAILED

if TYPE_CHECKING:
    from dassim.assimilation.verification import Setting
    from dassim.config import Loaded, Namelist
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
    overrides: Overrides = None,
) -> None:
    """Test the adjoint of the model that a namelist describes, on the ranks of this command.

    Dot products of tangent-linear and adjoint, by the whole state and all parameters; a Taylor test
    of a cost by the state; the same gradient whatever is kept of the way. Exit codes: 0 all tests
    pass, 1 one does not, 2 the namelist cannot be used.
    """
    import jax

    from dassim.assimilation.verification import checks, coverage
    from dassim.cli.ranks import agreed, leave
    from dassim.config import Namelist, load
    from dassim.io.checkpoints import FolderStore
    from dassim.parallel import abort_on_error, world

    jax.config.update("jax_enable_x64", True)
    comm = world()
    loaded = agreed(comm, lambda: load(namelist, Namelist, overrides=overrides or ()))
    passed = True
    with abort_on_error(comm):
        setting = prepared(loaded, comm, steps, spin_up, seed)
        if comm.is_root:
            typer.echo(f"{coverage(setting)}\n")
        with tempfile.TemporaryDirectory() as folder:
            for check in checks(setting, FolderStore(Path(folder), comm.rank)):
                passed &= check.passed
                if comm.is_root:
                    typer.echo(f"{check}\n")
        comm.barrier()
    if comm.is_root:
        typer.echo("all tests passed" if passed else "FAILED: not all tests passed")
    leave(comm, 0 if passed else FAILED)


def prepared(
    loaded: Loaded[Namelist], comm: AbstractCommunicator, steps: int, spin_up: int, seed: int
) -> Setting:
    """The model after its spin-up. Sizes of errors are those of the section assimilation, of
    variables that it does not seek a part of their spread."""
    from dassim.assimilation.verification import Setting, sizes_of
    from dassim.cli.ranks import agreed
    from dassim.config.experiment import build_experiment
    from dassim.config.unknowns import chosen_leaves
    from dassim.simulation.advance import Program

    section = loaded.namelist.assimilation
    sought = {} if section is None else section.control.state.by_leaf()

    def prepare():
        with loaded.located():
            experiment = build_experiment(loaded.namelist, comm)
            chosen_leaves(experiment.state, sought, ("assimilation", "control", "state"))
            return experiment

    experiment = agreed(comm, prepare)
    program = Program(experiment.model)
    start = program.start(experiment.parameters, experiment.state)
    state = program(experiment.parameters, start, spin_up).state if spin_up else start.state
    sizes = sizes_of(experiment.model, state) | sought
    return Setting(experiment.model, experiment.parameters, state, sizes, steps, seed=seed)
