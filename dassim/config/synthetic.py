"""Observations of another run: its snapshots, seen by instruments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.data import states_at
from dassim.assimilation.window import Window
from dassim.config.data import open_run
from dassim.config.errors import KeyPath, NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.experiment import Experiment
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.observations import SyntheticSource
from dassim.grid.variables import Variable
from dassim.io.observations import ObservationTable, joined, write_table
from dassim.io.stream import Clock
from dassim.observations.placing import Moments, Placer
from dassim.observations.sampling import Design, sample
from dassim.parallel.agreement import RankError, on_root
from dassim.simulation.clock import Clock as StepClock
from dassim.simulation.trees import named_leaves


@dataclass(frozen=True)
class Nature:
    """What runs that are observed have in common with the one that is compared: ``namelist`` and
    ``experiment``; ``run``: the folder of the one that is observed where none is named."""

    namelist: AbstractNamelist
    experiment: Experiment
    run: Path | None = None


def synthetic_table(
    source: SyntheticSource,
    nature: Nature,
    placer: Placer,
    window: Window,
    variables: Mapping[str, Variable],
    key: KeyPath,
) -> ObservationTable:
    """The observations of ``source``; the same on all ranks, which call this together.
    ``variables`` by their paths in the state.

    Raises NamelistError, and DataError for states that the run has not left.
    """
    folder = source.run or nature.run
    if folder is None:
        message = mismatch("no run", "the folder of a run with snapshots", "add run")
        raise NamelistError([Problem((*key, "run"), message)])
    paths = require_observable(source, variables, key)
    experiment, domain = nature.experiment, placer.grid.domain
    time = experiment.time
    every = window.lengths[0] if source.every is None else round(source.every / time.step)
    steps = [end for end in window.ends if (end - window.first) % every == 0]
    leaves = named_leaves(experiment.state)
    like = {paths[name]: jnp.asarray(leaves[paths[name]]) for name in source.errors}
    series = open_run(folder, "snapshots", nature.namelist, domain)
    entries = states_at(series, steps, StepClock(time.start, time.calendar, time.step), like)

    def fields(number: int) -> Mapping[str, jax.Array]:
        found = series.archive.read(entries[steps[number]], like)
        return {name: jnp.asarray(found[paths[name]]) for name in source.errors}

    then = replace(
        placer, moments=Moments(placer.moments.begin, tuple(step * time.step for step in steps))
    )
    named = {name: variables[path] for name, path in paths.items()}
    design = joined([each.table(then.axes, then.moments) for each in _designs(source, then, named)])
    table = sample(then, named, design, fields, seed=source.seed, noise=float(source.noise))
    if source.save is not None:
        path, clock = source.save, Clock(time.start, time.calendar)
        attributes = {"title": f"synthetic observations of {folder.name}"}
        try:
            on_root(domain.comm, lambda: write_table(path, table, clock, attributes))
        except RankError as error:
            message = mismatch(f"{path}, which cannot be written ({error})", "a file", "correct it")
            raise NamelistError([Problem((*key, "save"), message)]) from None
    return table


def require_observable(
    source: SyntheticSource, variables: Mapping[str, Variable], key: KeyPath
) -> dict[str, str]:
    """The paths of ``variables`` by their names; refuses a source with other names."""
    paths = {variable.name: path for path, variable in variables.items()}
    for field in ("errors", "background_errors"):
        for name in getattr(source, field):
            if name not in paths:
                message = mismatch(f"'{name}'", one_of(paths), suggest(name, paths))
                raise NamelistError([Problem((*key, field), message)])
    return paths


def _designs(
    source: SyntheticSource, placer: Placer, variables: Mapping[str, Variable]
) -> list[Design]:
    """One for variables with levels and one for those without, at the same positions."""
    centres = -np.asarray(placer.grid.levels.z.c.data, float).ravel()
    depths = tuple(centres.tolist()) if source.depths is None else source.depths
    designs = []
    for levels in (True, False):
        errors = {n: e for n, e in source.errors.items() if variables[n].levels == levels}
        if errors:
            at = depths if levels else (0.0,)
            designs.append(Design(errors, source.columns, at, source.seed))
    return designs
