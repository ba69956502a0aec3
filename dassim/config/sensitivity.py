"""From the section ``sensitivity`` to an objective, and to what it is differentiated by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control
from dassim.assimilation.cost import FourDVar
from dassim.assimilation.objectives import Goal, objective_at_end
from dassim.assimilation.recovery import SWEEP
from dassim.assimilation.window import Window
from dassim.config.assimilation import (
    build_clock,
    build_sweep,
    build_window,
    first_guess_of,
    require_constant_parameters,
)
from dassim.config.errors import NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.experiment import Experiment, state_variables
from dassim.config.schema import assimilation as schema
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.unknowns import of_the_stepper
from dassim.grid.variables import Variable
from dassim.io.checkpoints import FolderStore
from dassim.simulation.clock import Clock
from dassim.simulation.segments import RunInputs, Segment
from dassim.simulation.trees import named_leaves

DAY = 86400.0


@dataclass(frozen=True)
class SensitivityProblem:
    """A number at the end of a window, ``objective``, and what it is differentiated by: for each
    path, the name by which the namelist calls it. ``sizes``: by name, of changes of fields that are
    0 everywhere."""

    objective: FourDVar
    window: Window
    clock: Clock
    number: str
    units: str
    names: Mapping[str, str]
    sizes: Mapping[str, float] = field(default_factory=dict)

    def variable(self, path: str, known: Mapping[str, Variable]) -> Variable:
        """The derivative by the leaf at ``path``, as it is written."""
        name = self.names[path]
        of = known.get(name.rpartition(".")[2]) or Variable(name, "c", "1", name)
        like = named_leaves(self.objective.transform.background)[path]
        what = f"{of.long_name} at all times alike" if self.in_time(path) else of.long_name
        units = {"degC": "K", "1e-3": "1e-3"}.get(of.units, of.units)
        return replace(
            of,
            name=f"{self.number}_by_{name.replace('.', '_')}",
            long_name=f"derivative of the {self.number.replace('_', ' ')} by the {what}",
            standard_name=None,
            units=self.units if units == "1" else f"{self.units} ({units})-1",
            levels=jnp.ndim(like) - self.in_time(path) > 2,
        )

    def in_time(self, path: str) -> bool:
        """Whether the leaf at ``path`` holds the records of a series, ``(nt, ...)``."""
        series, _, leaf = path.rpartition(".")
        leaves = named_leaves(self.objective.transform.background)
        return leaf == "values" and f"{series}.times" in leaves


def build_sensitivity(
    namelist: AbstractNamelist, experiment: Experiment, folder: Path
) -> SensitivityProblem:
    """All ranks call this together. Raises NamelistError, or DataError for a state that is not
    there."""
    section = required(namelist)
    require_constant_parameters(experiment, ("sensitivity",))
    model, step, known = experiment.model, experiment.time.step, experiment.objectives
    wanted = known.number(section.objective, model, state_variables(experiment))
    parameters, paths = known.with_fields(experiment.parameters, section.by, model.grid)
    state = first_guess_of(section, namelist, experiment)
    inputs = RunInputs(parameters, state)
    found = {_path(name, inputs, paths, index): name for index, name in enumerate(section.by)}
    leaves = named_leaves(inputs)
    shape = model.domain.shape
    distributed = tuple(path for path in found if np.shape(leaves[path])[-2:] == shape)
    replicated = tuple(path for path in found if path not in distributed)
    window = build_window(section.window, segment_length(section, step), step)
    key = ("sensitivity", "adjoint")
    schedule, rematerialisation = build_sweep(
        section.adjoint, window, model, parameters, state, key
    )
    segment = Segment(model, Goal(wanted.name, wanted.function), None, rematerialisation)
    disk = FolderStore(folder / SWEEP, model.domain.comm.rank)  # a sweep that is killed goes on
    objective = objective_at_end(
        segment, window.lengths, inputs, (distributed, replicated), schedule, disk
    )
    return SensitivityProblem(
        objective, window, build_clock(experiment), wanted.name, wanted.units, found, known.sizes
    )


def required(namelist: AbstractNamelist) -> schema.Sensitivity:
    if namelist.sensitivity is None:
        message = mismatch("no such section", "a number and what it depends on", "add it")
        raise NamelistError([Problem(("sensitivity",), message)])
    return namelist.sensitivity


def segment_length(section: schema.Sensitivity, step: float) -> float:
    """Seconds: as the section says, or a day where it divides the window, else the whole of it."""
    if section.adjoint.segment is not None:
        return section.adjoint.segment
    length = section.window.length
    days = length / DAY
    return DAY if days > 1 and days == round(days) and (DAY / step).is_integer() else length


def _path(name: str, inputs: RunInputs, paths: Mapping[str, str], index: int) -> str:
    leaves = [
        path
        for path, leaf in named_leaves(inputs).items()
        if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.inexact)
    ]
    for path in (paths.get(name), name, f"state.{name}", f"parameters.{name}"):
        if path in leaves:
            return path
    names = (path.partition(".")[2] for path in leaves)
    known = [*paths, *(name for name in names if not of_the_stepper(name))]
    message = mismatch(f"'{name}'", one_of(known), suggest(name, known))
    raise NamelistError([Problem(("sensitivity", "by", index), message)])


def magnitudes(problem: SensitivityProblem) -> dict[str, float]:
    """By path, the largest value of the leaf; of one that is 0 everywhere the size of a change, or
    1. All ranks call this together."""
    leaves = named_leaves(problem.objective.transform.background)
    comm = problem.objective.run.domain.comm

    def largest(path: str) -> float:
        values = np.abs(np.asarray(leaves[path], float))
        here = float(np.max(values, initial=0.0, where=np.isfinite(values)))
        return max(comm.allgather(here)) or problem.sizes.get(problem.names[path], 1.0)

    return {path: largest(path) for path in problem.names}


def output_of(problem: SensitivityProblem, gradient: Control) -> dict[str, Any]:
    """The distributed derivatives with a value at every level; the topmost face has none. By what
    changes in time: by a change that is the same at all times."""
    state = named_leaves(problem.objective.transform.background.state).values()
    nz = max((np.shape(leaf)[0] for leaf in state if np.ndim(leaf) > 2), default=1)

    def padded(leaf: Any) -> Any:
        if np.ndim(leaf) < 3 or leaf.shape[0] == nz:
            return leaf
        top = jnp.full((nz - leaf.shape[0], *leaf.shape[1:]), jnp.nan, leaf.dtype)
        return jnp.concatenate([top, leaf])

    return {
        path: padded(leaf.sum(axis=0) if problem.in_time(path) else leaf)
        for path, leaf in gradient.distributed.items()
    }
