"""What came of an earlier analysis is set aside, so that no run goes on from it by mistake.

The folder of an analysis is that of a run. A run that went on from an earlier analysis leaves
restarts there that are newer than any analysis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from dassim.assimilation.recovery import Recovered, Recovery
from dassim.io.durable import plain_errors, write_text
from dassim.parallel import AbstractCommunicator
from dassim.parallel.agreement import RankError, on_root
from dassim.simulation.adjoint import fingerprint
from dassim.simulation.errors import RunError
from dassim.simulation.folder import RunFolder, set_aside

T = TypeVar("T")

FILE, KEY = "analysis.json", "sha256"
"""In the folder of an analysis, once all of it is there: a hash of it."""


def make_way(recovery: Recovery, recovered: Recovered, folder: RunFolder) -> Path | None:
    """Set ``folder`` aside where a run has gone on from another analysis; where it then is.

    All ranks call this together. Raises RunError on all where such a run is in progress, or where
    the folder cannot get another name.
    """
    identity, window = _identity(recovery, recovered), recovery.window
    steps = (window.first, window.last) if recovered.analysis.segments else (window.first,)
    own = {recovery.moment(step).label for step in steps}

    def aside() -> Path | None:
        return set_aside(folder) if _has_run(folder, own) and _kept(folder) != identity else None

    return _on_root(recovery.comm, aside)


def keep_identity(recovery: Recovery, recovered: Recovered, folder: RunFolder) -> None:
    """Say what the analysis in ``folder`` is, once all of it is there. All ranks call this
    together. Raises RunError on all where that cannot be written."""
    text = json.dumps({KEY: _identity(recovery, recovered)})

    def write() -> None:
        with plain_errors(folder.path):
            write_text(folder.path / FILE, f"{text}\n")

    _on_root(recovery.comm, write)


def _identity(recovery: Recovery, recovered: Recovered) -> str:
    """A hash of the analysis of all ranks, the same on each."""
    lengths = recovery.objective.run.lengths
    parts = recovery.comm.allgather(fingerprint(lengths, recovered.analysis).tobytes())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _kept(folder: RunFolder) -> str | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads((folder.path / FILE).read_text(encoding="utf-8"))[KEY]
    return None


def _has_run(folder: RunFolder, own: set[str]) -> bool:
    """Whether ``folder`` has more than an analysis with restarts of the names ``own``."""
    found = folder.restarts.iterdir() if folder.restarts.is_dir() else ()
    restarts = {path.name for path in found if not path.name.startswith(".")}
    streams = (folder.record, folder.fields, folder.snapshots)
    return bool(restarts - own) or any(path.exists() for path in streams)


def _on_root(comm: AbstractCommunicator, action: Callable[[], T]) -> T:
    try:
        return on_root(comm, action, kinds=(OSError, RunError))
    except RankError as error:
        raise RunError(str(error)) from error
