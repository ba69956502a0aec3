"""From the list of point observations to data of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from dassim.config.experiment import Experiment, state_variables
from dassim.config.schema import observations as schema
from dassim.config.synthetic import Nature, require_observable, synthetic_table
from dassim.config.units import linear
from dassim.grid.horizontal import GridError
from dassim.grid.variables import Variable
from dassim.io.observations import (
    ObservationError,
    ObservationTable,
    Units,
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

CONSERVATIVE = "sea_water_conservative_temperature"


def build_observations(
    sources: Sequence[schema.AbstractSource],
    experiment: Experiment,
    window: Window,
    key: KeyPath = ("assimilation", "observations"),
    nature: Nature | None = None,
) -> PointData:
    """This rank's share of all observations, compared with the run at the ends of the window's
    segments. ``nature``: what synthetic observations are taken from. All ranks call this together.

    Raises NamelistError, the same on all ranks, for files, variables and positions that cannot be.
    """
    domain = experiment.model.domain
    if not sources:
        return PointData(domain, window.ends, {})
    placer, variables = _prepared(sources, experiment, window, key)
    parts: dict[str, PointTerm] = {}
    rejections = Rejections()
    for index, source in enumerate(sources):
        here = (*key, index)
        if isinstance(source, schema.AbstractFiles):
            table = _table_of_files(source, placer, variables, experiment, here)
        else:
            assert isinstance(source, schema.SyntheticSource) and nature is not None
            table = synthetic_table(source, nature, placer, window, variables, here)
        for name, term, gone in _terms(source, table, placer, variables):
            rejections = rejections + gone
            if term is not None:
                parts[name] = term
    return PointData(domain, window.ends, parts, rejections.over_ranks(domain.comm))


def require_observations(
    sources: Sequence[schema.AbstractSource],
    experiment: Experiment,
    window: Window,
    key: KeyPath = ("assimilation", "observations"),
) -> None:
    """Refuse what :func:`build_observations` refuses of files, which are read, and of the names of
    synthetic sources, before there is a run that they observe. All ranks call this together."""
    if not sources:
        return
    placer, variables = _prepared(sources, experiment, window, key)
    for index, source in enumerate(sources):
        here = (*key, index)
        if isinstance(source, schema.AbstractFiles):
            _table_of_files(source, placer, variables, experiment, here)
        else:
            assert isinstance(source, schema.SyntheticSource)
            require_observable(source, variables, here)


def _prepared(
    sources: Sequence[schema.AbstractSource], experiment: Experiment, window: Window, key: KeyPath
) -> tuple[Placer, dict[str, Variable]]:
    """What places observations, and the variables that can be observed."""
    step = experiment.time.step
    moments = Moments(window.first * step, tuple(end * step for end in window.ends))
    placer = _placer(experiment.model, moments, key)
    _require_names(sources, key)
    return placer, state_variables(experiment)


def _table_of_files(
    source: schema.AbstractFiles,
    placer: Placer,
    variables: Mapping[str, Variable],
    experiment: Experiment,
    key: KeyPath,
) -> ObservationTable:
    comm = placer.grid.domain.comm
    return _agreed(comm, lambda: _read_all(source, placer, variables, experiment, key))


def _require_names(sources: Sequence[schema.AbstractSource], key: KeyPath) -> None:
    names = [source.name for source in sources]
    for index, name in enumerate(names):
        if name in names[:index]:
            message = mismatch(f"two sources named '{name}'", "names of their own", "rename one")
            raise NamelistError([Problem((*key, index, "name"), message)])


def _agreed(comm: AbstractCommunicator, action: Callable[[], ObservationTable]) -> ObservationTable:
    """What ``action`` gives on this rank; a NamelistError of one rank is raised on all."""
    table, problem = None, None
    try:
        table = action()
    except NamelistError as error:
        problem = error
    first = next((found for found in comm.allgather(problem) if found is not None), None)
    if first is not None:
        raise first
    assert table is not None
    return table


def _placer(model: Any, moments: Moments, key: KeyPath) -> Placer:
    if getattr(model, "grid", None) is None:
        message = mismatch("a model without a grid", "one with a grid", "remove observations")
        raise NamelistError([Problem(key, message)])
    try:
        return Placer.on(model.grid, moments)
    except GridError as error:
        raise NamelistError([Problem(key, str(error))]) from None


def _terms(
    source: schema.AbstractSource,
    table: ObservationTable,
    placer: Placer,
    variables: Mapping[str, Variable],
) -> Iterator[tuple[str, PointTerm | None, Rejections]]:
    """The terms of one source, one for each variable; none for what the model does not have.

    Sends no messages.
    """
    leaves = {variable.name: leaf for leaf, variable in variables.items()}
    thinning = None if source.thin is None else Thinning(source.thin)
    for name in table.names:
        term, observed = f"Jo.{source.name}.{name}", table.of(name)
        if name in leaves:
            placed, gone = placer(term, variables[leaves[name]], observed, thinning)
            yield term, _term(source, name, leaves[name], placed), gone
        else:
            count = len(observed) * placer.grid.domain.comm.is_root
            yield term, None, Rejections({term: count}, {term: {Reason.UNKNOWN: count}})


def _term(source: schema.AbstractSource, name: str, leaf: str, placed: Placed) -> PointTerm:
    return PointTerm(
        placed,
        leaf,
        Quadratic() if source.huber is None else Huber(source.huber),
        source.check,
        source.background_errors.get(name, 0.0),
    )


def _read_all(
    source: schema.AbstractFiles,
    placer: Placer,
    variables: Mapping[str, Variable],
    experiment: Experiment,
    key: KeyPath,
) -> ObservationTable:
    """The observations of all files of ``source``, of the variables that it chooses."""
    _require_known(source, [variable.name for variable in variables.values()], key)
    clock = Clock(experiment.time.start, experiment.time.calendar)
    temperature = variables.get("T")
    teos10 = temperature is not None and temperature.standard_name == CONSERVATIVE
    units, tables = _units(variables.values()), []
    for path in _files(source, placer.moments, clock, key):
        try:
            tables.append(read(source, path, clock, units, teos10))
            placer.require_positions(tables[-1])
        except ObservationError as error:
            raise NamelistError([Problem((*key, _given(source)), str(error))]) from None
    whole = joined(tables)
    present = [name for name in whole.names if len(whole.of(name))]
    missing = [name for name in source.variables or () if name not in present]
    if missing:
        message = mismatch(
            f"no {missing[0]} among {', '.join(present) or 'no observations'} in the files",
            "observations of it",
            "correct the list",
        )
        raise NamelistError([Problem((*key, "variables"), message)])
    return _with_errors(whole.only(source.variables or present), source.errors)


def _units(variables: Iterable[Variable]) -> Units:
    """Those of the model; a passive tracer is in a unit that files know."""
    known = {v.name: v.units for v in variables if v.units != "1" or v.standard_name}
    return Units(known, linear)


def _with_errors(table: ObservationTable, errors: Mapping[str, float]) -> ObservationTable:
    """With the standard deviations ``errors`` for observations without their own."""
    usual = np.array([errors.get(name, np.nan) for name in table.names])[table.kind]
    return replace(table, error=np.where(np.isnan(table.error), usual, table.error))


def _require_known(source: schema.AbstractFiles, known: Sequence[str], key: KeyPath) -> None:
    """Refuse names of variables that the model does not have."""
    asked: dict[str, Iterable[str]] = {
        "variables": source.variables or (),
        "errors": source.errors,
        "background_errors": source.background_errors,
    }
    if isinstance(source, schema.IodaSource) and source.names:
        asked["names"] = source.names.values()
    problems = [
        Problem((*key, field), mismatch(f"'{name}'", one_of(known), suggest(name, known)))
        for field, names in asked.items()
        for name in names
        if name not in known
    ]
    if problems:
        raise NamelistError(problems)


# -- files ----------------------------------------------------------------------------------------


@singledispatch
def read(source: Any, path: Path, clock: Clock, units: Units, teos10: bool) -> ObservationTable:
    """The observations of one file in ``units``; with ``teos10``, in the variables of that equation
    of state.

    A new layout registers its reader here.
    """
    raise TypeError(f"found {type(source)}; expected a source whose reader is registered")


@read.register
def _(source: schema.TableSource, path: Path, clock: Clock, units: Units, teos10: bool):
    return read_table(path, clock, units)


@read.register
def _(source: schema.ArgoSource, path: Path, clock: Clock, units: Units, teos10: bool):
    return read_argo(path, clock, units, accept=source.accept, teos10=teos10)


@read.register
def _(source: schema.IodaSource, path: Path, clock: Clock, units: Units, teos10: bool):
    names = source.names or NAMES
    return read_ioda(path, clock, units, names=names, accept=source.accept, teos10=teos10)


def _given(source: schema.AbstractFiles) -> str:
    return "daily" if source.files is None else "files"


def _files(
    source: schema.AbstractFiles, moments: Moments, clock: Clock, key: KeyPath
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
