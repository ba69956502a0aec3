"""Time the ocean's step on one core against Veros's, and against the machine's copy bandwidth.

Both models run as processes of their own that wait, compiled, and take steps in turns. The
basin, the grid, the step, float64 and the explicit scheme are those of Veros's set-up acc, as it
stands and with 6 times 4 times the columns. What differs: dassim has z* levels, a split-explicit
free surface and TEOS-10; Veros a rigid lid (a stream function by conjugate gradients) and the
equation of state of Vallis (2008). ``matched`` gives Veros dassim's constant mixing;
``own`` is Veros with its turbulence and eddy closures, which dassim does not have.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tools.benchmarks.turns import Worker, in_turns, serve

HERE = Path(__file__).resolve().parent
ENLARGED = (6, 4)
LEVELS, NY, NX = 15, 42, 30


@dataclass(frozen=True)
class Case:
    """So many times the columns along x and y, and the step (s) that both models take."""

    name: str
    factors: tuple[int, int]
    step: float

    @property
    def cells(self) -> int:
        return LEVELS * NY * NX * self.factors[0] * self.factors[1]


CASES = (Case("acc", (1, 1), 4800.0), Case("acc 6x4", ENLARGED, 800.0))


def serve_dassim(factor_x: int, factor_y: int, step: float) -> None:
    """dassim as a worker: answers every number of steps by the seconds that they took."""
    import equinox as eqx
    import jax

    jax.config.update("jax_enable_x64", True)
    from dassim.config import Namelist, load
    from dassim.config.experiment import build_experiment

    viscosity = 2.2e5 / max(factor_x, factor_y)
    overrides = [
        f"grid.nx={NX * factor_x}",
        f"grid.ny={NY * factor_y}",
        f"time.step={step}",
        f"physics.friction.viscosity={viscosity}",
    ]
    one = build_experiment(load(HERE / "acc.yaml", Namelist, overrides=overrides).namelist)

    @eqx.filter_jit
    def run(model, parameters, state, steps):
        return jax.lax.fori_loop(0, steps, lambda _, x: model.step(parameters, x), state)

    def ready(state, steps):
        end = run(one.model, one.parameters, state, jax.numpy.asarray(steps))
        return jax.block_until_ready(end)

    serve(ready, one.state)


def copy_bandwidth(turns: int = 7) -> float:
    """Bytes per second, read plus written, of copying an array beyond all caches, on one core."""
    source, target = np.ones(2**25), np.zeros(2**25)
    seconds = []
    for _ in range(turns):
        start = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - start)
    return 2 * source.nbytes / float(np.median(seconds))


BYTES_PER_CELL = 4 * 3 * 8
"""u, v, T, S: this state and the previous one read, the new one written, in float64."""


def compare(case: Case, python: str, physics: str, turns: int, seconds: float) -> dict:
    """Medians over turns of about ``seconds`` each, of dassim and Veros one after the other."""
    factors = [str(factor) for factor in case.factors]
    workers = {
        "dassim": Worker(sys.executable, __file__, "--serve", *factors, str(case.step)),
        "veros": Worker(python, str(HERE / "veros_acc.py"), *factors, str(case.step), physics),
    }
    took = in_turns(workers, turns, seconds)
    for worker in workers.values():
        worker.close()
    bandwidth = copy_bandwidth()
    mine, theirs = (took[name][0] for name in ("dassim", "veros"))
    return {
        "case": case.name,
        "physics": physics,
        "cells": case.cells,
        "dassim_ms": 1e3 * mine,
        "veros_ms": 1e3 * theirs,
        "dassim_cells_per_s": case.cells / mine,
        "veros_cells_per_s": case.cells / theirs,
        "ratio": theirs / mine,
        "spread": {name: spread for name, (_, spread) in took.items()},
        "copy_bandwidth": bandwidth,
        "share_of_bandwidth": BYTES_PER_CELL * case.cells / mine / bandwidth,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/benchmarks/ocean", description=__doc__)
    parser.add_argument("--veros", help="the Python of Veros's environment")
    parser.add_argument("--serve", nargs=3, type=float, help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    parser.add_argument("--physics", nargs="+", default=["matched", "own"])
    parser.add_argument("--json", type=Path, help="write the results there, too")
    options = parser.parse_args()
    if options.serve:
        factor_x, factor_y, step = options.serve
        serve_dassim(int(factor_x), int(factor_y), step)
        return

    print(
        f"one core of {platform.processor() or platform.machine()}, float64, {os.cpu_count()} cores"
    )
    head = f"{'case':10}{'physics':9}{'cells':>9}{'dassim':>10}{'Veros':>10}  Mcells/s"
    print(head + f"{'ratio':>8}{'copy GB/s':>11}{'share':>7}")
    results = []
    for case in CASES:
        for physics in options.physics:
            one = compare(case, options.veros, physics, options.turns, options.seconds)
            results.append(one)
            print(
                f"{one['case']:10}{physics:9}{one['cells']:>9}"
                f"{one['dassim_cells_per_s'] / 1e6:>10.2f}{one['veros_cells_per_s'] / 1e6:>10.2f}"
                f"{'':10}{one['ratio']:>8.2f}{one['copy_bandwidth'] / 1e9:>11.1f}"
                f"{one['share_of_bandwidth']:>7.1%}",
                flush=True,
            )
    if options.json:
        cases = [asdict(case) for case in CASES]
        options.json.write_text(json.dumps({"cases": cases, "results": results}, indent=1))


if __name__ == "__main__":
    main()
