"""From the list of point observations to data of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np

from dassim.assimilation.cost import Huber, Quadratic
from dassim.assimilation.points import PointData, PointTerm
from dassim.assimilation.window import Window
from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.experiment import Experiment
from dassim.config.schema import observations as schema
from dassim.grid.horizontal import GridError
from dassim.grid.variables import Variable
from dassim.io.observations import (
    ObservationError,
    ObservationTable,
    joined,
    read_argo,
    read_ioda,
    read_table,
)
from dassim.io.observations.ioda import NAMES
from dassim.io.stream import Clock
from dassim.observations.placing import Moments, Placed, Placer, Thinning
from dassim.observations.rejections import Reason, Rejections
from dassim.parallel import AbstractCommunicator
from dassim.simulation.outputs import output_variables
from dassim.simulation.trees import named_leaves

CONSERVATIVE = "sea_water_conservative_temperature"


def build_observations(
    sources: Sequence[schema.AbstractSource],
    experiment: Experiment,
    window: Window,
    key: KeyPath = ("assimilation", "observations"),
) -> PointData:
    """This rank's share of all observations, compared with the run at the ends of the window's
    segments. All ranks call this together.

    Raises NamelistError, the same on all ranks, for files, variables and positions that cannot be.
    """
    model, comm = experiment.model, experiment.model.domain.comm
    step = experiment.time.step
    moments = Moments(window.first * step, tuple(end * step for end in window.ends))
    placer = _placer(model, moments, key)
    variables = _observable(experiment)
    parts: dict[str, PointTerm] = {}
    rejections, problem = Rejections(), None
    try:
        _require_names(sources, key)
        for index, source in enumerate(sources):
            for name, term, gone in _terms(source, placer, variables, experiment, (*key, index)):
                rejections = rejections + gone
                if term is not None:
                    parts[name] = term
    except NamelistError as error:
        problem = error
    _agree(comm, problem)
    return PointData(model.domain, window.ends, parts, rejections.over_ranks(comm))


def _require_names(sources: Sequence[schema.AbstractSource], key: KeyPath) -> None:
    names = [source.name for source in sources]
    for index, name in enumerate(names):
        if name in names[:index]:
            message = mismatch(f"two sources named '{name}'", "names of their own", "rename one")
            raise NamelistError([Problem((*key, index, "name"), message)])


def _agree(comm: AbstractCommunicator, problem: NamelistError | None) -> None:
    """Raise what one rank has found on all."""
    first = next((found for found in comm.allgather(problem) if found is not None), None)
    if first is not None:
        raise first


def _placer(model: Any, moments: Moments, key: KeyPath) -> Placer:
    if getattr(model, "grid", None) is None:
        message = mismatch("a model without a grid", "one with a grid", "remove observations")
        raise NamelistError([Problem(key, message)])
    try:
        return Placer.on(model.grid, moments)
    except GridError as error:
        raise NamelistError([Problem(key, str(error))]) from None


def _observable(experiment: Experiment) -> dict[str, Variable]:
    """Variables of the state by their paths, as the model understands them."""
    known = output_variables(experiment.model, experiment.parameters, experiment.state)
    found = {}
    for leaf in named_leaves(experiment.state):
        name = leaf.rpartition(".")[2]
        if name in known and not leaf.startswith("previous."):
            found[leaf] = known[name]
    return found


def _terms(
    source: schema.AbstractSource,
    placer: Placer,
    variables: Mapping[str, Variable],
    experiment: Experiment,
    key: KeyPath,
) -> Iterator[tuple[str, PointTerm | None, Rejections]]:
    """The terms of one source, one for each variable; none for what the model does not have.

    Sends no messages.
    """
    clock = Clock(experiment.time.start, experiment.time.calendar)
    temperature = variables.get("T")
    teos10 = temperature is not None and temperature.standard_name == CONSERVATIVE
    leaves = {variable.name: leaf for leaf, variable in variables.items()}
    _require_known(source, leaves, key)
    tables = []
    for path in _files(source, placer.moments, clock, key):
        try:
            tables.append(read(source, path, clock, teos10))
            placer.require_positions(tables[-1])
        except ObservationError as error:
            raise NamelistError([Problem((*key, _given(source)), str(error))]) from None
    whole = joined(tables)
    for name in source.variables or [n for n in whole.names if len(whole.of(n))]:
        if name not in whole.names:
            message = mismatch(
                f"no {name} among {one_of(whole.names)} in the files",
                "observations of it",
                "correct the list",
            )
            raise NamelistError([Problem((*key, "variables"), message)])
        term = f"Jo.{source.name}.{name}"
        if name not in leaves:
            count = len(whole.of(name)) * experiment.model.domain.comm.is_root
            yield term, None, Rejections({term: count}, {term: {Reason.UNKNOWN: count}})
            continue
        thinning = None if source.thin is None else Thinning(source.thin)
        table = _with_errors(whole.of(name), source.errors.get(name))
        placed, gone = placer(term, variables[leaves[name]], table, thinning)
        yield term, _term(source, name, leaves[name], placed), gone


def _term(source: schema.AbstractSource, name: str, leaf: str, placed: Placed) -> PointTerm:
    return PointTerm(
        placed,
        leaf,
        Quadratic() if source.huber is None else Huber(source.huber),
        source.check,
        source.background_errors.get(name, 0.0),
    )


def _with_errors(table: ObservationTable, deviation: float | None) -> ObservationTable:
    """``deviation`` for observations without an error of their own."""
    if deviation is None:
        return table
    return replace(table, error=np.where(np.isnan(table.error), deviation, table.error))


def _require_known(source: schema.AbstractSource, leaves: Mapping[str, str], key: KeyPath) -> None:
    asked = {
        "variables": source.variables or (),
        "errors": source.errors,
        "background_errors": source.background_errors,
    }
    if isinstance(source, schema.IodaSource) and source.names:
        asked["names"] = source.names.values()
    problems = [
        Problem((*key, field), mismatch(f"'{name}'", one_of(leaves), suggest(name, leaves)))
        for field, names in asked.items()
        for name in names
        if name not in leaves
    ]
    if problems:
        raise NamelistError(problems)


# -- files ----------------------------------------------------------------------------------------


@singledispatch
def read(source: Any, path: Path, clock: Clock, teos10: bool) -> ObservationTable:
    """The observations of one file; with ``teos10``, in the variables of that equation of state.

    A new layout registers its reader here.
    """
    raise TypeError(f"found {type(source)}; expected a source whose reader is registered")


@read.register
def _(source: schema.TableSource, path: Path, clock: Clock, teos10: bool) -> ObservationTable:
    return read_table(path, clock)


@read.register
def _(source: schema.ArgoSource, path: Path, clock: Clock, teos10: bool) -> ObservationTable:
    return read_argo(path, clock, accept=source.accept, teos10=teos10)


@read.register
def _(source: schema.IodaSource, path: Path, clock: Clock, teos10: bool) -> ObservationTable:
    return read_ioda(path, clock, names=source.names or NAMES, accept=source.accept)


def _given(source: schema.AbstractSource) -> str:
    return "daily" if source.files is None else "files"


def _files(
    source: schema.AbstractSource, moments: Moments, clock: Clock, key: KeyPath
) -> tuple[Path, ...]:
    """All files, of ``daily`` those of every day of the window."""
    if source.daily is None:
        return source.files or ()
    first, last = clock.date(moments.begin), clock.date(moments.times[-1])
    day = first.replace(hour=0, minute=0, second=0, microsecond=0)
    paths = []
    while day < last:
        paths.append(Path(day.strftime(str(source.daily))))
        day = day + timedelta(days=1)
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        message = mismatch(
            f"no {missing[0]}{more} in {paths[0].parent}",
            f"one file for each of {len(paths)} days",
            "restore them, or list the files that there are under files",
        )
        raise NamelistError([Problem((*key, "daily"), message)])
    return tuple(paths)
