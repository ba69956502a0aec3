"""States that runs have left, as first guesses and as data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import yaml

from dassim.assimilation.data import DataError, StateData, examined, states_at
from dassim.assimilation.scores import Truth, point_weights
from dassim.assimilation.window import Window
from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch
from dassim.config.experiment import Experiment
from dassim.config.noise import normal_noise
from dassim.config.schema import assimilation as schema
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.text import as_yaml
from dassim.config.unknowns import chosen_leaves
from dassim.io.restarts import RestartError
from dassim.parallel import Domain
from dassim.parallel.agreement import on_root
from dassim.simulation.clock import Clock
from dassim.simulation.folder import RunFolder
from dassim.simulation.snapshots import StateSeries
from dassim.simulation.trees import named_leaves, replace_leaves

GRID = ("model", "precision", "grid", "vertical", "bathymetry")
"""Sections that data and run have in common."""


# -- states of runs -------------------------------------------------------------------------------


def open_run(folder: Path, kind: str, namelist: AbstractNamelist, domain: Domain) -> StateSeries:
    """The states of ``kind`` (snapshots or restarts) that a run of this model on this grid has left
    in ``folder``. Raises DataError; all ranks call this together."""
    run = RunFolder(folder)
    own = yaml.safe_load(as_yaml(namelist))

    def examine() -> str | None:
        if not folder.is_dir():
            return f"{folder}: found no such folder; expected that of a run; correct the path"
        if not run.namelist.exists():
            return f"{folder}: found no namelist.yaml; expected the folder of a run"
        found = yaml.safe_load(run.namelist.read_text(encoding="utf-8"))
        for key in GRID:
            if found.get(key) != own.get(key):
                return (
                    f"{folder}: found a run with another {key}: {found.get(key)}; expected "
                    f"{own.get(key)}; take a run on this grid"
                )
        calendar = (found.get("time") or {}).get("calendar")
        if namelist.time is not None and calendar != namelist.time.calendar:
            return (
                f"{folder}: found a run in the calendar {calendar}, expected "
                f"{namelist.time.calendar}; correct time.calendar, or take another run"
            )
        return None

    problem = on_root(domain.comm, examine)
    if problem is not None:
        raise DataError(problem)
    return StateSeries.open(folder / kind, domain)


def state_of_run(
    section: schema.StateOfRun, start: float, namelist: AbstractNamelist, experiment: Experiment
) -> Any:
    """The state that a section names, as one at the time ``start`` (s)."""
    domain, time = experiment.model.domain, experiment.time
    at = start if section.at is None else section.at
    for kind in ("snapshots", "restarts"):
        series = open_run(section.run, kind, namelist, domain)
        for step in series.steps:
            if round(series.seconds(step), 3) == round(at, 3):
                return at_time(_read(series, step, experiment.state), start)
    date = Clock(time.start, time.calendar, time.step).text(round(at / time.step))
    raise DataError(
        f"{section.run}: found no state of {date}, {at:.15g} s after the start, among its "
        f"snapshots and restarts; expected one; write it by snapshots: in the namelist of that "
        f"run, or correct first_guess.at"
    )


def at_time(state: Any, seconds: float) -> Any:
    """``state`` as one at another time since the start, and so what it remembers of earlier steps.

    A state's ``time`` is in seconds; one without has no clock.
    """
    leaves = named_leaves(state)
    if "time" not in leaves:
        return state
    later = seconds - jnp.asarray(leaves["time"])
    times = [name for name in leaves if name.rpartition(".")[2] == "time"]
    return replace_leaves(state, {name: jnp.asarray(leaves[name]) + later for name in times})


def state_at(series: StateSeries, step: int, clock: Clock, like: Any) -> Any:
    """The state of ``series`` at a step of ``clock``, as a tree with the structure of ``like``.
    Raises DataError; all ranks call this together."""
    entries = states_at(series, [step], clock, {})
    return _read(series, entries[step].step, like)


def _read(series: StateSeries, step: int, like: Any) -> Any:
    try:
        return series.read(step, like)
    except RestartError as error:
        raise DataError(str(error)) from error


# -- data -----------------------------------------------------------------------------------------


def build_data(
    namelist: AbstractNamelist,
    experiment: Experiment,
    window: Window,
    clock: Clock,
    nature: Path | None,
) -> tuple[StateData, ...]:
    """The sources of ``assimilation.data``; ``nature``: the folder of the run where none is named.

    Every state is read. All ranks call this together.
    """
    section = namelist.assimilation
    assert section is not None
    sources: list[StateData] = []
    taken: set[str] = set()
    for index, data in enumerate(section.data):
        key = ("assimilation", "data", index)
        folder = data.run or nature
        if folder is None:
            message = mismatch("no run", "the folder of a run with snapshots", "add run")
            raise NamelistError([Problem((*key, "run"), message)])
        leaves = chosen_leaves(experiment.state, data.errors.by_leaf(), (*key, "errors"))
        weights = {
            leaf: sampling(data, leaf, experiment.model, value, (*key, "levels")) / error
            for leaf, (value, error) in leaves.items()
        }
        names = {leaf: _fresh(f"Jo.{leaf}", taken) for leaf in weights}
        series = open_run(folder, "snapshots", namelist, experiment.model.domain)
        steps = _data_steps(data, window, experiment.time.step)
        entries = states_at(series, steps, clock, weights)
        noise = _noise(data.seed, experiment) if data.noise else None
        sources.append(examined(StateData(series, entries, weights, names, noise)))
    return tuple(sources)


def _data_steps(data: schema.StatesAsData, window: Window, step: float) -> tuple[int, ...]:
    every = window.lengths[0] if data.every is None else round(data.every / step)
    return tuple(end for end in window.ends if (end - window.first) % every == 0)


def _fresh(name: str, taken: set[str]) -> str:
    """``name``, with a number where it is taken."""
    names = [name, *(f"{name}.{i}" for i in range(2, len(taken) + 3))]
    free = next(each for each in names if each not in taken)
    taken.add(free)
    return free


def _noise(seed: int, experiment: Experiment) -> Any:
    domain, leaves = experiment.model.domain, named_leaves(experiment.state)

    def noise(leaf: str, step: int) -> np.ndarray:
        levels = int(np.prod(np.shape(leaves[leaf])[:-2]))
        return normal_noise(domain, levels, f"{leaf} at {step}", seed)

    return noise


def sampling(
    data: schema.StatesAsData, leaf: str, model: Any, like: jax.Array, key: KeyPath
) -> jax.Array:
    """1 where there are data of a leaf of the state, shaped ``like`` it, else 0."""
    domain: Domain = model.domain
    wet = np.asarray(point_weights(model, {leaf: like})[leaf]) > 0
    here = np.ones(np.shape(like), bool) & wet
    if data.levels is not None and np.ndim(like) > 2:
        count = np.shape(like)[0]
        if data.levels[-1] >= count:
            message = mismatch(
                f"level {data.levels[-1]}", f"levels 0 to {count - 1}", "correct the list"
            )
            raise NamelistError([Problem(key, message)])
        here &= np.isin(np.arange(count), data.levels)[:, None, None]
    rows, columns = (np.asarray(owned) for owned in (domain.block.y, domain.block.x))
    here &= (rows % data.stride == 0)[:, None] & (columns % data.stride == 0)
    if data.columns is not None:
        here &= _columns(data.columns, data.seed, model)
    return jnp.asarray(here, like.dtype)


def _columns(count: int, seed: int, model: Any) -> np.ndarray:
    """``(ny, nx)``: this rank's part of ``count`` columns of water, chosen by chance."""
    domain: Domain = model.domain
    lot = normal_noise(domain, 1, "columns", seed)[0]
    grid = getattr(model, "grid", None)
    if grid is not None:
        lot = np.where(np.asarray(grid.owned_mask("c", levels=False)), lot, np.inf)
    lowest = np.sort(lot, axis=None)[:count]
    together = np.sort(np.concatenate(domain.comm.allgather(lowest)))
    last = together[min(count, len(together)) - 1]
    return np.isfinite(lot) & (lot <= last)


def truth_of(
    series: StateSeries,
    experiment: Experiment,
    clock: Clock,
    variables: Iterable[str],
    steps: Iterable[int],
) -> Truth:
    """The states of a nature run at ``steps``, of which these variables are scored. Raises
    DataError; all ranks call this together."""
    like = {name: jnp.asarray(named_leaves(experiment.state)[name]) for name in variables}
    entries = states_at(series, (step for step in steps if step), clock, like)

    def read(step: int) -> Any:
        if step == 0:
            return experiment.state
        return series.read(entries[step].step, like, check=False)

    return Truth(read, point_weights(experiment.model, like), experiment.model.domain)
