"""What the gradient of a run costs: its time and memory over those of the run itself.

Of the number of steps, for a namelist; every length in a process of its own, since the peak of a
process's memory never falls. ``states``: by how many states of a rank the gradient's peak is above
the run's; its compilation is in it, which on small grids is most.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namelist", nargs="?", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=[25, 100, 400, 1600])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--states", type=int, default=8, help="states kept between segments")
    parser.add_argument("--disk", action="store_true", help="keep further states on disk")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    project = HERE.parents[2]
    options.namelist = options.namelist or project / "namelists/ocean/reentrant_channel_coarse.yaml"
    if options.one is not None:
        return measure(options)
    print(f"{options.namelist.stem} on {platform.processor() or platform.machine()}, float64")
    columns = ("ranks", "steps", "forward (s)", "gradient (s)", "ratio", "memory ratio", "states")
    print("".join(f"{name:>14}" for name in columns), flush=True)
    for ranks in options.ranks:
        for steps in options.steps:
            row = in_process(options, ranks, steps)
            print("".join(f"{row[name]:>14.4g}" for name in columns), flush=True)
    return 0


def in_process(options: Any, ranks: int, steps: int) -> dict[str, float]:
    """The figures of one length of run, from a fresh program on so many ranks."""
    command = [sys.executable, str(HERE), str(options.namelist), "--one", str(steps)]
    command += ["--states", str(options.states), *(["--disk"] if options.disk else [])]
    command += [word for override in options.overrides for word in ("--set", override)]
    if ranks > 1:
        command = [str(HERE.parents[1] / "mpirun"), str(ranks), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: Any) -> int:
    """Time and memory of a forward run and of a gradient, printed by rank 0."""
    import tempfile
    import warnings

    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    from dassim.assimilation.objectives import Goal
    from dassim.assimilation.recovery import peak_memory
    from dassim.config import Namelist, load
    from dassim.config.experiment import build_experiment
    from dassim.io.checkpoints import FolderStore
    from dassim.parallel import world
    from dassim.simulation.adjoint import Run, cost, cost_and_gradient
    from dassim.simulation.checkpoints import Schedule
    from dassim.simulation.segments import RunInputs, Segment, SegmentData

    comm, steps = world(), options.one
    namelist = load(options.namelist, Namelist, overrides=options.overrides).namelist
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        experiment = build_experiment(namelist, comm)
    segment = Segment(experiment.model, Goal("J", lambda state: jnp.sum(state.u**2)))
    each = segment_length(steps)
    lengths = (each,) * (steps // each)
    last = len(lengths) - 1
    run = Run(segment, lengths, lambda k: SegmentData(end=jnp.asarray(float(k == last))))
    inputs = RunInputs(experiment.parameters, experiment.state)
    schedule = Schedule(options.states, None if options.disk else 0)
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(experiment.state))

    def timed(call: Any) -> tuple[float, float]:
        """Seconds of the second call, and the peak of memory after it."""
        for _ in range(2):
            comm.barrier()
            begin = time.perf_counter()
            call()
            took = time.perf_counter() - begin
        return max(comm.allgather(took)), max(comm.allgather(peak_memory()))

    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder), comm.rank) if schedule.uses_disk else None
        forward, run_peak = timed(lambda: cost(run, inputs))
        gradient, peak = timed(lambda: cost_and_gradient(run, inputs, schedule, store))
    if comm.is_root:
        row = {
            "ranks": comm.size,
            "steps": steps,
            "forward (s)": forward,
            "gradient (s)": gradient,
            "ratio": gradient / forward,
            "memory ratio": peak / run_peak,
            "states": (peak - run_peak) / state,
        }
        print(json.dumps(row))
    return 0


def segment_length(steps: int) -> int:
    """The divisor of ``steps`` next to 50: what lies inside takes 15 states at a time.

    >>> [segment_length(steps) for steps in (25, 100, 400, 1600)]
    [25, 50, 50, 50]
    """
    divisors = [n for n in range(1, steps + 1) if steps % n == 0]
    return min(divisors, key=lambda n: abs(n - 50))


if __name__ == "__main__":
    sys.exit(main())
