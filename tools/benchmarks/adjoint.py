"""What the gradient of a run costs: its time and memory over those of the run itself.

Of the number of steps, for a namelist; what is kept of the way is chosen as a recovery chooses it.
Runs and gradients take turns, one core for each rank. Every length in a process of its own, since
the peak of a process's memory never falls. ``states``: by how many states of a rank the gradient's
peak is above the run's; its compilation is in it, which on small grids is most. ``planned``: states
in memory at a time by the schedule.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement

WANTED = "<= 4"

LONG, STATES_WANTED = 1600, "< 30"
"""From so many steps on, so few states may be planned in memory."""

COLUMNS = (
    "ranks",
    "steps",
    "forward (s)",
    "gradient (s)",
    "ratio",
    "memory ratio",
    "states",
    "planned",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/benchmarks/adjoint", description=__doc__)
    parser.add_argument("namelist", nargs="?", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=[25, 100, 400, 1600])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--segment", type=int, default=50, help="steps of a segment, about")
    parser.add_argument("--memory", type=float, default=1.0, help="GB a rank, as in a namelist")
    parser.add_argument("--states", type=int, help="room for so many states in place of --memory")
    parser.add_argument("--disk", action="store_true", help="keep further states on disk")
    parser.add_argument("--turns", type=int, default=3, help="medians are taken over these")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    channel = workers.PROJECT / "namelists/ocean/reentrant_channel_coarse.yaml"
    options.namelist = (options.namelist or channel).resolve()
    if options.one is not None:
        return measure(options)
    print(f"{options.namelist.stem} on {record.header()}")
    print("".join(f"{name:>14}" for name in COLUMNS), "  kept of the way", flush=True)
    for ranks in options.ranks:
        for steps in options.steps:
            row = in_process(options, ranks, steps)
            figures = "".join(f"{row[name]:>14.4g}" for name in COLUMNS)
            print(f"{figures}   {row['kept']}", flush=True)
            name = ", ".join((options.namelist.stem, *options.overrides))
            record.save(options.json, measurements(name, row))
    return 0


def measurements(name: str, row: dict[str, Any]) -> list[Measurement]:
    of = f"{name}, {row['steps']} steps, {row['ranks']} rank{'s' * (row['ranks'] > 1)}"
    gradient, forward = row["gradient (s)"], row["forward (s)"]
    peak = row["run's peak (GB)"] * row["memory ratio"]
    few = STATES_WANTED if row["steps"] >= LONG else ""
    return [
        Measurement("adjoint", f"{of}: run", forward, "s", row["run's spread"]),
        Measurement(
            "adjoint",
            of,
            gradient,
            "s",
            row["spread"],
            "the run",
            forward,
            WANTED,
            row["run's spread"],
        ),
        Measurement("adjoint", f"{of}: memory", peak, "GB", 0.0, "the run", row["run's peak (GB)"]),
        Measurement("adjoint", f"{of}: planned", row["planned"], "states", wanted=few),
    ]


def in_process(options: Any, ranks: int, steps: int) -> dict[str, Any]:
    """The figures of one length of run, from a fresh program on so many ranks."""
    given = [options.namelist, "--one", steps, "--turns", options.turns]
    given += ["--segment", options.segment, "--memory", options.memory]
    given += ["--states", options.states] if options.states else []
    given += ["--disk"] if options.disk else []
    given += [word for override in options.overrides for word in ("--set", override)]
    words = workers.command("adjoint", *given, ranks=ranks if ranks > 1 else 0)
    return workers.answer(words, workers.ONE_CORE)


def measure(options: Any) -> int:
    """Time and memory of a forward run and of a gradient, printed by rank 0."""
    import tempfile

    import jax

    jax.config.update("jax_enable_x64", True)

    from dassim.assimilation.recovery import peak_memory
    from dassim.assimilation.window import Window
    from dassim.config import Namelist, load
    from dassim.config.assimilation import build_sweep
    from dassim.config.schema.assimilation import Adjoint
    from dassim.io.checkpoints import FolderStore
    from dassim.parallel import world
    from dassim.parallel.timing import slowest_seconds
    from dassim.simulation.adjoint import cost, cost_and_gradient

    comm, steps = world(), options.one
    workers.pin(comm.rank)
    namelist = load(options.namelist, Namelist, overrides=options.overrides).namelist
    experiment = workers.built(namelist, comm)
    model, parameters, start = experiment.model, experiment.parameters, experiment.state
    window = Window.of(0, steps, segment_length(steps, options.segment))
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(start))
    memory = options.memory
    if options.states:
        memory = 1e-9 * max(comm.allgather(state)) * (options.states + 0.5)
    section = Adjoint(memory=memory, disk=options.disk)
    schedule, rematerialisation = build_sweep(section, window, model, parameters, start)
    run, inputs = run_of(experiment, window, rematerialisation)

    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder), comm.rank) if schedule.uses_disk else None

        def forward() -> Any:
            return cost(run, inputs)

        def gradient() -> Any:
            return cost_and_gradient(run, inputs, schedule, store)

        forward()
        run_peak = max(comm.allgather(peak_memory()))
        tally = gradient().tally
        times = [
            (slowest_seconds(forward, comm), slowest_seconds(gradient, comm))
            for _ in range(options.turns)
        ]
        peak = max(comm.allgather(peak_memory()))
    if comm.is_root:
        (run_time, run_spread), (time_of_gradient, spread) = map(
            record.median, zip(*times, strict=True)
        )
        row = {
            "ranks": comm.size,
            "steps": steps,
            "forward (s)": run_time,
            "gradient (s)": time_of_gradient,
            "ratio": time_of_gradient / run_time,
            "spread": spread,
            "run's spread": run_spread,
            "memory ratio": peak / run_peak,
            "run's peak (GB)": 1e-9 * run_peak,
            "states": (peak - run_peak) / state,
            "planned": tally.states,
            "kept": kept(rematerialisation, tally.disk),
        }
        print(json.dumps(row))
    return 0


def run_of(experiment: Any, window: Any, rematerialisation: Any) -> tuple[Any, Any]:
    """Through the window, with the last state's motion as its cost; and what it starts from."""
    import jax.numpy as jnp

    from dassim.assimilation.objectives import Goal
    from dassim.simulation.adjoint import Run
    from dassim.simulation.segments import RunInputs, Segment, SegmentData

    goal = Goal("J", lambda state: jnp.sum(state.u**2))
    segment = Segment(experiment.model, goal, None, rematerialisation)
    last = len(window.lengths) - 1
    run = Run(segment, window.lengths, lambda k: SegmentData(end=jnp.asarray(float(k == last))))
    return run, RunInputs(experiment.parameters, experiment.state)


def kept(rematerialisation: Any, disk: int) -> str:
    """In words."""
    if not rematerialisation.steps:
        inside = "all of every step"
    elif not rematerialisation.blocks:
        inside = "the state after every step"
    else:
        inside = "states of blocks of steps"
    return f"{inside}{f', {disk} states on disk' if disk else ''}"


def segment_length(steps: int, about: int = 50) -> int:
    """The divisor of ``steps`` next to ``about``.

    >>> [segment_length(steps) for steps in (25, 100, 400, 1600)]
    [25, 50, 50, 50]
    """
    divisors = [n for n in range(1, steps + 1) if steps % n == 0]
    return min(divisors, key=lambda n: abs(n - about))


if __name__ == "__main__":
    sys.exit(main())
