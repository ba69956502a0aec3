"""What ``dassim check --predict`` says of a step and of a gradient, against both as they are run.

The ranks time a block each, beside each other, and predict; then they run together, one core for
each. Both take the run without its output. A gradient is that of the whole run, swept as the
prediction takes it to be; its time is for each of the run's steps. More ranks than this process has
cores are not taken by default.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement

NAMELIST = workers.PROJECT / "namelists" / "ocean" / "reentrant_channel_coarse.yaml"
RANKS = (1, 2, 4)
WANTED = "within 25 %"

WHAT = ("step", "gradient")


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.verify", description=__doc__)
    parser.add_argument("namelist", nargs="?", type=Path, default=NAMELIST)
    parser.add_argument("--ranks", type=int, nargs="+", default=not_above(cores))
    parser.add_argument("--steps", type=int, default=100, help="of the run that is differentiated")
    parser.add_argument("--turns", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn of steps")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(options)
        return
    print(f"{options.namelist.stem} on {record.header()}", flush=True)
    for ranks in options.ranks:
        given = (options.namelist.resolve(), "--one", "--steps", options.steps)
        given += ("--turns", options.turns, "--seconds", options.seconds)
        words = workers.command("verify", *given, ranks=ranks if ranks > 1 else 0)
        row = workers.answer(words, workers.ONE_CORE)
        found = measurements(f"{options.namelist.stem}, {ranks} ranks", row)
        print(record.table(found), flush=True)
        record.save(options.json, found)


def not_above(cores: int) -> list[int]:
    """Numbers of ranks that each have a core.

    >>> not_above(2), not_above(64)
    ([1, 2], [1, 2, 4])
    """
    return [ranks for ranks in RANKS if ranks <= cores]


def measurements(of: str, row: dict[str, Any]) -> list[Measurement]:
    """From the seconds that were predicted, and those of every turn."""

    def one(what: str) -> Measurement:
        predicted, (seconds, spread) = row["predicted"][what], record.median(row["measured"][what])
        reference = ("measured", 1e3 * seconds)
        case = f"{of}: {what}"
        return Measurement(
            "verify", case, 1e3 * predicted, "ms/step", 0.0, *reference, WANTED, spread
        )

    return [one(what) for what in WHAT]


def measure(options: Any) -> None:
    """Seconds of a step, and of a gradient for each step: predicted, and in every turn. Printed by
    rank 0."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from dassim.config import Namelist, load
    from dassim.config.predict import predict
    from dassim.config.schema.site import Costs
    from dassim.parallel import world
    from tools.benchmarks.scaling import seconds_of_a_step

    comm = world()
    workers.pin(comm.rank)
    overrides = [f"time.duration={options.steps} steps", "output=[]"]
    namelist = load(options.namelist, Namelist, overrides=overrides).namelist
    namelist = namelist.model_copy(update={"assimilation": None, "sensitivity": None})
    found = predict(namelist, comm.size, Costs(), comm)
    measured = {
        "step": seconds_of_a_step(namelist, comm, options.turns, options.seconds),
        "gradient": seconds_of_a_gradient(namelist, comm, options.turns),
    }
    if comm.is_root:
        predicted = {"step": found.seconds(found.step), "gradient": found.gradient}
        print(json.dumps({"predicted": predicted, "measured": measured}))


def seconds_of_a_gradient(namelist: Any, comm: Any, turns: int) -> list[float]:
    """Of the slowest rank, for each step of the run. All ranks call this together."""
    from dassim.config.assimilation import build_sweep
    from dassim.config.probe import way_back
    from dassim.io.checkpoints import FolderStore
    from dassim.parallel.timing import slowest_seconds
    from dassim.simulation.adjoint import cost_and_gradient
    from tools.benchmarks.adjoint import run_of

    experiment = workers.built(namelist, comm)
    section, window = way_back(namelist, namelist.time)
    given = (section, window, experiment.model, experiment.parameters, experiment.state)
    schedule, rematerialisation = build_sweep(*given)
    run, inputs = run_of(experiment, window, rematerialisation)

    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder), comm.rank) if schedule.uses_disk else None

        def seconds() -> float:
            return slowest_seconds(lambda: cost_and_gradient(run, inputs, schedule, store), comm)

        seconds()  # compiles
        return [seconds() / window.steps for _ in range(turns)]


if __name__ == "__main__":
    main()
