"""What a namelist describes, ready to run."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

from dassim.config.build import build_domain, build_grid
from dassim.config.errors import (
    NamelistError,
    NamelistWarning,
    Problem,
    TimeStepWarning,
    mismatch,
)
from dassim.config.objectives import Objectives
from dassim.config.schema import (
    AtmosphereNamelist,
    GridNamelist,
    OceanNamelist,
    ShallowWaterNamelist,
)
from dassim.config.schema.run import Time
from dassim.grid.variables import Variable
from dassim.parallel import AbstractCommunicator
from dassim.simulation.outputs import output_variables
from dassim.simulation.plan import Refresh
from dassim.simulation.trees import named_leaves


@dataclass(frozen=True)
class Experiment:
    """A model on this rank, its parameters, and its state at the start.

    ``model.step(parameters, state)`` is the state one time step later; ``time`` says how often.
    ``refresh`` puts the forcing of later times into the parameters, where it is read in windows;
    ``objectives``: the numbers that can be differentiated.
    """

    name: str
    model: Any
    parameters: Any
    state: Any
    time: Time
    refresh: Refresh | None = None
    objectives: Objectives = field(default_factory=Objectives)


def state_variables(experiment: Experiment) -> dict[str, Variable]:
    """Variables of the state by their paths, as the model understands them."""
    known = output_variables(experiment.model, experiment.parameters, experiment.state)
    found = {}
    for leaf in named_leaves(experiment.state):
        name = leaf.rpartition(".")[2]
        if name in known and not leaf.startswith("previous."):
            found[leaf] = known[name]
    return found


@singledispatch
def build_experiment(namelist: Any, comm: AbstractCommunicator | None = None) -> Experiment:
    """This rank's part of the experiment that ``namelist`` describes; ``comm``: all ranks that
    take part, by default those of this run. All ranks call this together.

    Warns (NamelistWarning) of what is doubtful. A new model registers its builder here.
    """
    raise TypeError(f"found {type(namelist)}; expected a namelist whose builder is registered")


@build_experiment.register
def _(namelist: GridNamelist, comm: AbstractCommunicator | None = None) -> Experiment:
    message = mismatch("a grid by itself", "a model to run, such as ocean", "choose a model")
    raise NamelistError([Problem(("model",), message)])


@build_experiment.register
def _(namelist: OceanNamelist, comm: AbstractCommunicator | None = None) -> Experiment:
    from dassim.config.ocean import build_ocean  # no other model has to load for it

    return build_ocean(namelist, comm)


@build_experiment.register
def _(namelist: ShallowWaterNamelist, comm: AbstractCommunicator | None = None) -> Experiment:
    from dassim.config.atmosphere import build_shallow_water

    return build_shallow_water(namelist, comm)


@build_experiment.register
def _(namelist: AtmosphereNamelist, comm: AbstractCommunicator | None = None) -> Experiment:
    from dassim.config.atmosphere import build_atmosphere

    return build_atmosphere(namelist, comm)


@singledispatch
def doubts(namelist: Any, comm: AbstractCommunicator | None = None) -> list[Problem]:
    """What is doubtful about the start of the experiment, on rank 0, found by building it; of a
    namelist without a model, its grid.

    Raises NamelistError for what cannot run, and on rank 0 for a time step beyond a limit. All
    ranks call this together.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NamelistWarning)
        build_experiment(namelist, comm)
    found = [w.message for w in caught if isinstance(w.message, NamelistWarning)]
    too_long = [doubt.problem for doubt in found if isinstance(doubt, TimeStepWarning)]
    if too_long:
        raise NamelistError(too_long)
    return [doubt.problem for doubt in found]


@doubts.register
def _(namelist: GridNamelist, comm: AbstractCommunicator | None = None) -> list[Problem]:
    build_grid(namelist, build_domain(namelist, comm))
    return []
