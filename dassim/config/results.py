"""What an assimilation leaves for people to look at: fields in the files of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from dassim.assimilation.data import StateData
from dassim.assimilation.departures import departures
from dassim.assimilation.points import PointData
from dassim.assimilation.posterior import Posterior, posterior
from dassim.assimilation.recovery import Recovered, Recovery
from dassim.assimilation.scores import trajectory
from dassim.config.experiment import Experiment
from dassim.config.outputs import FIELDS, global_attributes
from dassim.config.schema.namelist import AbstractNamelist
from dassim.grid.variables import Variable
from dassim.io.fields import FieldWriter
from dassim.io.geometry import Geometry
from dassim.io.gridfile import write_grid
from dassim.io.observations import joined, write_table
from dassim.io.stream import Clock, Stream
from dassim.parallel.agreement import on_root
from dassim.simulation.outputs import output_variables
from dassim.simulation.segments import RunInputs
from dassim.simulation.trees import named_leaves

OBSERVATIONS = "observations.nc"
"""In the folder of a recovery."""

Record = tuple[float, Mapping[str, Any]]
"""Seconds since the start of the experiment, and this rank's arrays by name."""


@dataclass(frozen=True)
class Results:
    """Streams of fields under ``folder``. All ranks call the methods together."""

    folder: Path
    namelist: AbstractNamelist
    experiment: Experiment

    def write(
        self,
        stream: str,
        variables: Iterable[Variable],
        records: Iterable[Record],
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Replace the ``stream`` by these records, in double precision; ``notes`` are attributes
        of its files."""
        model, time = self.experiment.model, self.experiment.time
        known = {variable.name: variable for variable in variables}
        geometry = Geometry.of(model)
        attributes = global_attributes(self.namelist, model.domain.comm)
        write_grid(self.folder / FIELDS, geometry, model.domain, attributes)
        writer = FieldWriter.open(
            self.folder / FIELDS,
            Stream(stream, tuple(known), "snapshot", None, "float64", None, "run"),
            geometry,
            model.domain,
            {**attributes, **(notes or {})},
            variables=known,
            clock=Clock(time.start, time.calendar),
        )
        with writer:
            writer.truncate_after(-1.0)
            for seconds, arrays in records:
                writer.put(seconds, seconds, arrays)

    def variable(self, leaf: str, like: Any) -> Variable:
        """Of a leaf of the state, or of the parameters, shaped ``like`` it."""
        name = leaf.rpartition(".")[2]
        experiment = self.experiment
        known = output_variables(experiment.model, experiment.parameters, experiment.state)
        found = known.get(name)
        if found is not None:
            return replace(found, levels=jnp.ndim(like) > 2)
        return Variable(name, "c", "1", leaf, None, jnp.ndim(like) > 2)


def write_results(results: Results, recovery: Recovery, recovered: Recovered) -> None:
    """Streams ``first_guess``, ``analysis`` and ``increments`` of what was sought of the state at
    the window's start, and ``departures`` of gridded data on the way."""
    start = recovery.clock.seconds(recovery.window.first)
    names = recovery.objective.transform.distributed
    sought = [name.removeprefix("state.") for name in names if name.startswith("state.")]
    before, after = (
        named_leaves(inputs.state) for inputs in (recovery.first_guess, recovered.analysis)
    )
    if sought:
        known = {leaf: results.variable(leaf, before[leaf]) for leaf in sought}
        for stream, leaves in (("first_guess", before), ("analysis", after)):
            arrays = {known[leaf].name: leaves[leaf] for leaf in sought}
            results.write(stream, known.values(), [(start, arrays)])
        changes = {f"{known[leaf].name}_increment": after[leaf] - before[leaf] for leaf in sought}
        changed = [_derived(variable, "increment", "increment of") for variable in known.values()]
        results.write("increments", changed, [(start, changes)])
    for number, source in enumerate(recovery.sources):
        stream = "departures" if len(recovery.sources) == 1 else f"departures_{number + 1}"
        variables = [
            _derived(results.variable(leaf, before[leaf]), f"minus_{run}", f"data minus {words} of")
            for leaf in source.weights
            for run, words in (("first_guess", "first guess"), ("analysis", "analysis"))
        ]
        results.write(stream, variables, _departures(results, recovery, recovered, source))
    if recovery.points is not None and recovery.points.parts:
        write_misfits(results, recovery.points, recovery, recovered)


def write_posterior(results: Results, recovery: Recovery, recovered: Recovered) -> Posterior | None:
    """Stream ``analysis_errors``: standard deviations of the errors of background and analysis of
    what was sought of the state, where the minimiser tells them."""
    found = posterior(recovery.objective, recovered.result.state.spectrum)
    if found is None:
        return None
    start = recovery.clock.seconds(recovery.window.first)
    variables, arrays = [], {}
    for name, size in found.analysis.items():
        if not name.startswith("state."):
            continue
        variable = results.variable(name.removeprefix("state."), size)
        for kind, values in (("background", found.background[name]), ("analysis", size)):
            words = f"standard deviation of the {kind} error of"
            variables.append(_derived(variable, f"{kind}_deviation", words))
            if variable.standard_name:
                modified = f"{variable.standard_name} standard_error"
                variables[-1] = replace(variables[-1], standard_name=modified)
            arrays[variables[-1].name] = values
    if variables:
        comment = (
            "deviations of the analysis are an upper bound: those of the background less what the "
            "Lanczos pairs explain"
        )
        notes = {"lanczos_pairs": found.pairs, "comment": comment}
        results.write("analysis_errors", variables, [(start, arrays)], notes)
    return found


def write_misfits(
    results: Results, points: PointData, recovery: Recovery, recovered: Recovered
) -> None:
    """``observations.nc``: the point observations that were used, in dassim's own layout, and what
    first guess and analysis leave of them."""
    run, comm = recovery.objective.run, points.domain.comm
    found = [
        points.misfits(dict(zip(points.steps, departures(run, inputs), strict=True)))
        for inputs in (recovery.first_guess, recovered.analysis)
    ]
    tables = {name: part.placed.table for name, part in points.parts.items()}
    attributes = global_attributes(results.namelist, comm)
    gathered = comm.gather([(tables[name], *(each[name] for each in found)) for name in tables])
    time = results.experiment.time

    def write() -> None:
        parts = [part for of_rank in gathered or () for part in of_rank]
        texts = {"first_guess": "value minus first guess", "analysis": "value minus analysis"}
        columns = {
            f"minus_{kind}": (np.concatenate([part[i] for part in parts]), text)
            for i, (kind, text) in enumerate(texts.items(), start=1)
        }
        whole = joined([part[0] for part in parts])
        clock = Clock(time.start, time.calendar)
        write_table(results.folder / OBSERVATIONS, whole, clock, attributes, columns)

    on_root(comm, write)


def write_errors(results: Results, recovery: Recovery, recovered: Recovered) -> None:
    """Stream ``errors``: the truth at the window's start, and what of first guess and analysis is
    not true."""
    truth, step = recovery.truth, recovery.window.first
    assert truth is not None
    true = named_leaves(truth.read(step))
    variables, arrays = [], {}
    runs = (("first_guess", recovery.first_guess), ("analysis", recovered.analysis))
    for leaf in truth.weights:
        variable = results.variable(leaf, true[leaf])
        variables.append(_derived(variable, "truth", "true"))
        arrays[variables[-1].name] = true[leaf]
        for kind, inputs in runs:
            words = f"error of the {kind.replace('_', ' ')} in"
            variables.append(_derived(variable, f"{kind}_error", words))
            arrays[variables[-1].name] = named_leaves(inputs.state)[leaf] - true[leaf]
    results.write("errors", variables, [(recovery.clock.seconds(step), arrays)])


def _derived(variable: Variable, suffix: str, words: str) -> Variable:
    return replace(
        variable,
        name=f"{variable.name}_{suffix}",
        long_name=f"{words} {variable.long_name}",
        standard_name=None,
    )


def _departures(
    results: Results, recovery: Recovery, recovered: Recovered, source: StateData
) -> Iterator[Record]:
    """Data minus run, where and when there are data; else no value."""
    run, window = recovery.objective.run, recovery.window

    def states(inputs: RunInputs) -> Iterator[tuple[int, Any]]:
        return trajectory(run, window, inputs)

    pairs = zip(states(recovery.first_guess), states(recovered.analysis), strict=True)
    for (step, one), (_, other) in pairs:
        if step not in source.entries:
            continue
        data, arrays = source.at(step), {}
        for leaf, name in source.names.items():
            values, weights, _ = data[name]
            label = results.variable(leaf, values).name
            for kind, state in (("first_guess", one), ("analysis", other)):
                apart = values - named_leaves(state)[leaf]
                arrays[f"{label}_minus_{kind}"] = jnp.where(weights > 0, apart, jnp.nan)
        yield recovery.clock.seconds(step), arrays
