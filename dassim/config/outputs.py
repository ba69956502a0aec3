"""From the ``output`` section to the writers of a run's fields."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dassim.config.errors import NamelistError, Problem, mismatch, one_of, suggest
from dassim.config.experiment import Experiment
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.output import OutputStream
from dassim.config.text import as_yaml
from dassim.grid.variables import Variable
from dassim.io.fields import FieldWriter
from dassim.io.geometry import Geometry
from dassim.io.gridfile import write_grid
from dassim.io.stream import Clock, Stream
from dassim.parallel import AbstractCommunicator
from dassim.provenance import versions
from dassim.simulation.outputs import output_variables

FIELDS = "fields"
"""Folder of all streams in the folder of a run."""


def streams(namelist: AbstractNamelist) -> tuple[Stream, ...]:
    """What the namelist asks to be written."""
    return tuple(_stream(section) for section in namelist.output)


def _stream(section: OutputStream) -> Stream:
    collected = section.files == "collected"
    return Stream(
        section.name,
        section.variables,
        section.kind,
        section.levels,
        section.precision,
        (section.writers or 1) if collected else None,
        section.file_per,
    )


def open_writers(
    run: Path | str, namelist: AbstractNamelist, experiment: Experiment
) -> dict[str, FieldWriter]:
    """A writer for each stream, by name, into the folder ``run``. All ranks call this together.

    Raises NamelistError for variables or levels that there are not.
    """
    if not namelist.output:
        return {}
    model = experiment.model
    variables = output_variables(model, experiment.parameters, experiment.state)
    geometry = Geometry.of(model)
    grid = getattr(model, "grid", None)
    require_outputs(namelist, variables, None if grid is None else grid.levels.count)
    attributes = global_attributes(namelist, model.domain.comm)
    folder = Path(run) / FIELDS
    write_grid(folder, geometry, model.domain, attributes)
    clock = Clock(experiment.time.start, experiment.time.calendar)
    return {
        stream.name: FieldWriter.open(
            folder, stream, geometry, model.domain, attributes, variables=variables, clock=clock
        )
        for stream in streams(namelist)
    }


def require_outputs(
    namelist: AbstractNamelist, variables: Mapping[str, Variable], levels: int | None
) -> None:
    """Refuse streams of other ``variables`` than the model's, and of more ``levels`` than its."""
    problems = []
    for number, section in enumerate(namelist.output):
        for index, name in enumerate(section.variables):
            if name not in variables:
                known = one_of(variables) or "no output of this model"
                message = mismatch(f"'{name}'", known, suggest(name, variables))
                problems.append(Problem(("output", number, "variables", index), message))
        if section.levels and levels is not None and section.levels[-1] >= levels:
            message = mismatch(
                f"level {section.levels[-1]}", f"levels 0 to {levels - 1}", "correct the list"
            )
            problems.append(Problem(("output", number, "levels"), message))
    if problems:
        raise NamelistError(problems)


def global_attributes(namelist: AbstractNamelist, comm: AbstractCommunicator) -> dict[str, Any]:
    """What every file says of its run; the same on all ranks."""
    known = versions()
    libraries = ", ".join(f"{name} {version}" for name, version in known.items())
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return comm.bcast(
        {
            "title": namelist.name,
            "source": f"dassim {known['dassim']}, model {getattr(namelist, 'model', 'unknown')}",
            "references": namelist.source,
            "history": f"{now} dassim {shlex.join(sys.argv[1:])}",
            "commit": known["commit"],
            "versions": libraries,
            "namelist": as_yaml(namelist),
        }
    )
