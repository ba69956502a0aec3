"""Time to trace, lower and compile one step of a model, and its gradient; and what they then do.

By XLA's own count, for each cell: operations, bytes that loops read and write, and memory held
beside arguments and results. What is inside a loop over stages or substeps counts once. Each turn
is a process of its own without a cache of programs, since what was traced once is found again. The
gradient is that of a sum of squares after the step, by all of the state and parameters; its process
has traced the step before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement

NAMELISTS = (
    "namelists/ocean/double_gyre.yaml",
    "namelists/ocean/global_4deg.yaml",
    "namelists/ocean/reentrant_channel_coarse.yaml",
    "namelists/atmosphere/held_suarez.yaml",
    "tools/benchmarks/acc.yaml",
)
STAGES = {"trace": "s", "lower": "s", "compile": "s"}
COUNTS = {"operations": "a cell", "moved": "B a cell", "held": "B a cell"}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks.compiling", description=__doc__
    )
    parser.add_argument("--namelists", nargs="+", default=NAMELISTS)
    parser.add_argument("--turns", type=int, default=3, help="medians are taken over these")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options.one)))
        return
    print(record.header(), flush=True)
    for namelist in options.namelists:
        words = workers.command("compiling", "--one", namelist)
        environment = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
        rows = [workers.answer(words, environment) for _ in range(options.turns)]
        found = measurements(Path(namelist).stem, rows)
        print(record.table(found), flush=True)
        record.save(options.json, found)


def measurements(name: str, rows: list[dict[str, dict[str, float]]]) -> list[Measurement]:
    """Medians over ``rows`` of seconds and counts by program; a gradient is held to its step."""

    def median(program: str, what: str) -> tuple[float, float]:
        return record.median([row[program][what] for row in rows])

    found = []
    for what, unit in (STAGES | COUNTS).items():
        (step, spread), (gradient, other) = median("step", what), median("gradient", what)
        of_step = Measurement("compiling", f"{name}, step: {what}", step, unit, spread)
        case = f"{name}, gradient: {what}"
        beside = ("the step", step, "", spread)
        found += [of_step, Measurement("compiling", case, gradient, unit, other, *beside)]
    return found


def measure(namelist: str) -> dict[str, dict[str, float]]:
    """Seconds of each stage and the counts, of the step and of its gradient."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    from dassim.config import Namelist, load

    one = workers.built(load(workers.PROJECT / namelist, Namelist).namelist)
    arrays, rest = eqx.partition((one.model, one.parameters, one.state), eqx.is_array)
    active, passive = eqx.partition(arrays, eqx.is_inexact_array)

    def step(arrays: Any) -> Any:
        model, parameters, state = eqx.combine(arrays, rest)
        return eqx.filter(model.step(parameters, state), eqx.is_array)

    def cost(inputs: Any, model: Any, passive: Any) -> jax.Array:
        leaves = jax.tree.leaves(step(eqx.combine((model, *inputs), passive)))
        return sum(
            (jnp.sum(leaf**2) for leaf in leaves if eqx.is_inexact_array(leaf)), jnp.zeros(())
        )

    model, *inputs = active
    cells = max(leaf.size for leaf in jax.tree.leaves(one.state))
    return {
        "step": stages(cells, step, arrays),
        "gradient": stages(cells, jax.grad(cost), tuple(inputs), model, passive),
    }


def stages(cells: int, function: Callable[..., Any], *arguments: Any) -> dict[str, float]:
    """Seconds to trace, lower and compile it, and what the program does for each cell."""
    import jax

    from dassim.parallel.compilation import compiler_options

    options = compiler_options()
    begin = time.perf_counter()
    traced = jax.jit(function, compiler_options=options).trace(*arguments)
    after_trace = time.perf_counter()
    lowered = traced.lower()
    after_lower = time.perf_counter()
    program = lowered.compile()
    moments = (begin, after_trace, after_lower, time.perf_counter())
    lengths = (end - start for start, end in pairwise(moments))
    cost: Any = program.cost_analysis()
    memory: Any = program.memory_analysis()
    counts = (cost["flops"], cost["bytes accessed"], memory.temp_size_in_bytes)
    each = (count / cells for count in counts)
    return dict(zip((*STAGES, *COUNTS), (*lengths, *each), strict=True))


if __name__ == "__main__":
    main()
