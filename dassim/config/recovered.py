"""Parameters, forcing and model error that a recovery has found: to files, and into runs.

Constant parameters lie in the folder ``parameters`` of the analysis, as a restart's leaves do: by
their paths in the model's parameters, in its precision, for any layout of ranks. A run in a folder
that has it takes them in place of those of its namelist. Corrections of segments (forcing in time
windows, model error) end with the window, and are in the states that follow.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from dassim.config.experiment import Experiment
from dassim.grid.variables import Variable
from dassim.io.durable import write_text
from dassim.io.restarts import RestartError, StateArchive
from dassim.parallel.agreement import on_root
from dassim.simulation.folder import RunFolder
from dassim.simulation.trees import named_leaves, replace_leaves

if TYPE_CHECKING:  # a run that takes parameters needs no minimiser
    from dassim.assimilation.posterior import Posterior
    from dassim.assimilation.recovery import Recovered, Recovery
    from dassim.config.results import Results

PARAMETERS, SEGMENTS = "parameters.", "segments."

TABLE = "parameters.csv"
"""In the folder of a recovery: numbers that are no fields."""

KINDS = {
    "first_guess": "first guess of",
    "analysis": "analysis of",
    "background_deviation": "standard deviation of the background error of",
    "analysis_deviation": "standard deviation of the analysis error of",
}


# -- into runs ------------------------------------------------------------------------------------


def write_parameters(
    recovery: Recovery, recovered: Recovered, folder: RunFolder, notes: Mapping[str, Any]
) -> None:
    """The constant parameters that were sought, in ``folder``. All ranks call this together."""
    transform = recovery.objective.transform
    names = (*transform.distributed, *transform.replicated)
    leaves = named_leaves(recovered.analysis)
    found = {n.removeprefix(PARAMETERS): leaves[n] for n in names if n.startswith(PARAMETERS)}
    if found:
        archive = StateArchive(folder.parameters, recovery.objective.run.domain, {}, notes)
        archive.write(recovery.moment(), found)


def with_recovered(experiment: Experiment, folder: RunFolder) -> tuple[Experiment, tuple[str, ...]]:
    """``experiment`` with the parameters that lie in ``folder``, and their paths. All ranks call
    this together. Raises RestartError for damaged ones, and for those of another model."""
    domain, known = experiment.model.domain, named_leaves(experiment.parameters)
    if not on_root(domain.comm, folder.parameters.is_dir):
        return experiment, ()
    archive = StateArchive(folder.parameters, domain)
    entry, damaged = archive.newest()
    if entry is None:
        why = "; ".join(what for each in damaged.values() for what in each) or "it is empty"
        raise RestartError(
            f"{folder.parameters}: found no parameters that are whole ({why}); restore them, or "
            f"remove the folder to run with those of the namelist"
        )
    names = tuple(entry.manifest.leaves)
    unknown = [name for name in names if name not in known]
    if unknown or experiment.refresh is not None:
        found = unknown[0] if unknown else "forcing that is read in windows"
        raise RestartError(
            f"{folder.parameters}: found {found}, expected parameters of the model of this "
            f"namelist; continue with the namelist of the recovery"
        )
    values = archive.read(entry, {name: jnp.asarray(known[name]) for name in names})
    new = {name: jnp.asarray(values[name]) for name in names}
    return replace(experiment, parameters=replace_leaves(experiment.parameters, new)), names


# -- for people -----------------------------------------------------------------------------------


def write_recovered(
    results: Results, recovery: Recovery, recovered: Recovered, errors: Posterior | None
) -> None:
    """Streams ``parameters`` (one record) and ``corrections`` (one record a segment, at its start)
    of fields, and ``parameters.csv`` of all other numbers: first guess, analysis, and standard
    deviations of their errors where they are known. All ranks call this together."""
    kinds = {
        "first_guess": named_leaves(recovery.first_guess),
        "analysis": named_leaves(recovered.analysis),
        **({} if errors is None else {"background_deviation": errors.background}),
        **({} if errors is None else {"analysis_deviation": errors.analysis}),
    }
    clock, window, transform = recovery.clock, recovery.window, recovery.objective.transform
    fields = transform.distributed
    constant = [name for name in fields if name.startswith(PARAMETERS)]
    start = clock.seconds(window.first)
    _write(results, "parameters", [(start, {_label(name): name for name in constant})], kinds)
    of_segments = dict.fromkeys(_of_segment(name) for name in fields if name.startswith(SEGMENTS))
    records = [
        (clock.seconds(first), {_label(n, segment=True): f"{SEGMENTS}{k}.{n}" for n in of_segments})
        for k, first in enumerate((window.first, *window.ends[:-1]))
    ]
    _write(results, "corrections", records, kinds)
    if transform.replicated:
        table = _table({name: _of(kinds, name) for name in transform.replicated})
        on_root(recovery.comm, lambda: write_text(results.folder / TABLE, table))


def _of(kinds: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    return {kind: leaves[name] for kind, leaves in kinds.items() if name in leaves}


def _write(
    results: Results,
    stream: str,
    records: list[tuple[float, dict[str, str]]],
    kinds: Mapping[str, Mapping[str, Any]],
) -> None:
    """``records``: seconds, and the paths of unknowns by their names in the files. What is not
    known of one, such as the errors of a correction that is not sought, has no value."""
    if not records[0][1]:
        return
    written = []
    for seconds, paths in records:
        found: dict[str, tuple[Variable, Any]] = {}
        for name, path in paths.items():
            nothing = jnp.full_like(kinds["analysis"][path], jnp.nan)
            for kind, leaves in kinds.items():
                of = path.rpartition(".")[2]
                for variable, field in _slices(results, of, name, leaves.get(path, nothing), kind):
                    found[variable.name] = variable, field
        written.append((seconds, found))
    variables = [variable for variable, _ in written[0][1].values()]
    arrays = [(seconds, {n: field for n, (_, field) in each.items()}) for seconds, each in written]
    results.write(stream, variables, arrays)


def _slices(
    results: Results, of: str, name: str, field: Any, kind: str
) -> Iterator[tuple[Variable, jax.Array]]:
    """A field as it is written: with levels, or one for each of its records."""
    experiment = results.experiment
    known = {**experiment.model.variables, **experiment.objectives.fields}
    like = known.get(of) or Variable(of, "c", "1", of.replace("_", " "))
    variable = replace(
        like,
        name=f"{name}_{kind}",
        long_name=f"{KINDS[kind]} {like.long_name}",
        standard_name=None,
        levels=field.ndim > 2,
    )
    state = named_leaves(experiment.state).values()
    nz = max((np.shape(leaf)[0] for leaf in state if np.ndim(leaf) > 2), default=1)
    if field.ndim == 2 or field.shape[0] == nz:
        yield variable, field
        return
    for i, part in enumerate(field.reshape(-1, *field.shape[-2:])):
        yield replace(variable, name=f"{name}_{i}_{kind}", levels=False), part


def _table(unknowns: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each number, with all digits.

    >>> print(_table({"parameters.drag": {"first_guess": [1.0, 2.0], "analysis": [1.5, 2.5]}}))
    name,index,first_guess,analysis,background_deviation,analysis_deviation
    parameters.drag,0,1.0,1.5,,
    parameters.drag,1,2.0,2.5,,
    <BLANKLINE>
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["name", "index", *KINDS])
    for name, kinds in unknowns.items():
        for index in np.ndindex(np.shape(kinds["analysis"])):
            values = [
                repr(float(np.asarray(kinds[kind])[index])) if kind in kinds else ""
                for kind in KINDS
            ]
            rows.writerow([name, " ".join(map(str, index)), *values])
    return text.getvalue()


def _label(path: str, *, segment: bool = False) -> str:
    """What an unknown is called in files.

    >>> _label("parameters.forcing.stress_x"), _label("state.T", segment=True)
    ('forcing_stress_x', 'T_model_error')
    """
    kind, _, name = path.partition(".")
    suffix = {"state": "_model_error", "parameters": "_correction"}[kind] if segment else ""
    return f"{name.replace('.', '_')}{suffix}"


def _of_segment(name: str) -> str:
    """
    >>> _of_segment("segments.12.state.T")
    'state.T'
    """
    return name.split(".", 2)[2]
