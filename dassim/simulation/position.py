"""Where a run is, in memory and as the leaves of a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dassim.io.restarts import Entry, StateArchive
from dassim.simulation.advance import Carry, Sums
from dassim.simulation.errors import RunError
from dassim.simulation.trees import named_leaves, tree_from_named

MEANS = "means."
"""Begins the names, among the leaves of a restart, of the sums that means need."""


class Position(NamedTuple):
    """The step, what the loop carries, and by stream from which step on it sums up means."""

    step: int
    carry: Carry
    since: Mapping[str, int]


def position_leaves(at: Position) -> dict[str, Any]:
    """The state's leaves by their path, then ``means.STREAM.VARIABLE`` and ``means.STREAM.since``.

    With the sums a mean goes on over a restart in the middle of its time.
    """
    leaves = named_leaves(at.carry.state)
    for stream, sums in at.carry.sums.items():
        leaves |= {f"{MEANS}{stream}.{name}": total for name, total in sums.items()}
        leaves[f"{MEANS}{stream}.since"] = np.int64(at.since[stream])
    return leaves


def read_position(archive: StateArchive, entry: Entry, fresh: Carry) -> Position:
    """The position that ``entry`` keeps, with the structure of ``fresh``.

    A stream of means that the restart does not know begins here. All ranks call this together.
    """
    found, leaves = entry.manifest.leaves, named_leaves(fresh.state)
    unknown = [name for name in found if name not in leaves and not name.startswith(MEANS)]
    if unknown:
        raise RunError(
            f"{entry.folder}: found {unknown[0]}, which this model does not have; continue with "
            f"the namelist that wrote it"
        )
    state = tree_from_named(archive.read(entry, leaves), fresh.state)
    since: dict[str, int] = {}
    sums: Sums = {}
    for stream, empty in fresh.sums.items():
        since[stream], sums[stream] = entry.step, empty
        begin = f"{MEANS}{stream}.since"
        names = {name: f"{MEANS}{stream}.{name}" for name in empty}
        if all(name in found for name in (begin, *names.values())):
            like = {names[name]: total for name, total in empty.items()}
            read = archive.read(entry, {**like, begin: np.int64(0)})
            since[stream] = int(read[begin])
            sums[stream] = {name: jnp.asarray(read[names[name]]) for name in empty}
    return Position(entry.step, Carry(state, sums), since)
