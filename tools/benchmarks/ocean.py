"""Time the ocean's step on one core against Veros's, and against the machine's copy bandwidth.

Both models run as processes of their own that wait, compiled, and take steps in turns. The
basin, the grid, the step, float64 and the explicit scheme are those of Veros's set-up acc, as it
stands and with 6 times 4 times the columns. What differs: dassim has z* levels, a split-explicit
free surface and TEOS-10; Veros a rigid lid (a stream function by conjugate gradients) and the
equation of state of Vallis (2008). ``matched`` gives Veros dassim's constant mixing;
``own`` is Veros with its turbulence and eddy closures, which dassim does not have. Where there is
no Veros, dassim is timed alone.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement
from tools.benchmarks.turns import Worker, in_turns, serve

HERE = Path(__file__).resolve().parent
ENLARGED = (6, 4)
LEVELS, NY, NX = 15, 42, 30
VEROS = workers.PROJECT / ".venv-veros" / "bin" / "python"
WANTED = ">= 5"


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
    import jax

    jax.config.update("jax_enable_x64", True)
    from dassim.config import Namelist, load
    from dassim.config.experiment import build_experiment
    from dassim.simulation.advance import Program

    viscosity = 2.2e5 / max(factor_x, factor_y)
    overrides = [
        f"grid.nx={NX * factor_x}",
        f"grid.ny={NY * factor_y}",
        f"time.step={step}",
        f"physics.friction.viscosity={viscosity}",
    ]
    one = build_experiment(load(HERE / "acc.yaml", Namelist, overrides=overrides).namelist)

    program = Program(one.model)

    def ready(carry, steps):
        return jax.block_until_ready(program(one.parameters, carry, steps))

    serve(ready, program.start(one.parameters, one.state))


COPIED = 2**30
"""Bytes of an array whose copies are timed: beyond all caches."""


def serve_copies() -> None:
    """A copy of an array as a worker: a step is one copy."""
    source, target = np.ones(COPIED // 8), np.zeros(COPIED // 8)

    def copied(_state: None, times: int) -> None:
        for _ in range(times):
            np.copyto(target, source)

    serve(copied, None)


BYTES_PER_CELL = 4 * 3 * 8
"""u, v, T, S: this state and the previous one read, the new one written, in float64."""


def compare(
    case: Case, python: str | None, physics: str, turns: int, seconds: float
) -> list[Measurement]:
    """Medians over turns of about ``seconds`` each, of dassim, a copy and Veros one after the
    other."""
    factors = [*map(str, case.factors), str(case.step)]
    processes = {
        "dassim": Worker(*workers.command("ocean", "--serve", *factors)),
        "copy": Worker(*workers.command("ocean", "--serve-copies")),
    }
    if python is not None:
        processes["veros"] = Worker(python, str(HERE / "veros_acc.py"), *factors, physics)
    took = in_turns(processes, turns, seconds)
    for worker in processes.values():
        worker.close()
    veros = f"Veros {workers.version(python, 'veros')}" if python is not None else ""
    return measurements(case, physics, took, veros)


def measurements(
    case: Case, physics: str, took: dict[str, tuple[float, float]], veros: str
) -> list[Measurement]:
    """From the seconds of a step and their spread: cells per second against those of ``veros``, its
    name and version, bytes per second against a copy's."""
    (step, spread), name = took["dassim"], f"{case.name}, {physics}"
    rate = 1e-6 * case.cells / step
    speed = Measurement("ocean", name, rate, "Mcells/s", spread)
    if "veros" in took:
        seconds, theirs = took["veros"]
        wanted = WANTED if physics == "matched" else ""
        speed = replace(
            speed,
            reference=veros,
            reference_value=1e-6 * case.cells / seconds,
            reference_spread=theirs,
            wanted=wanted,
        )
    moved = 1e-9 * BYTES_PER_CELL * case.cells / step
    copying, noise = took["copy"]
    copy = ("copy of an array", 2e-9 * COPIED / copying, "", noise)
    return [
        speed,
        Measurement("ocean", f"{name}: memory", moved, "GB/s", spread, *copy),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/benchmarks/ocean", description=__doc__)
    parser.add_argument("--veros", help="the Python of Veros's environment; default .venv-veros")
    parser.add_argument("--serve", nargs=3, type=float, help=argparse.SUPPRESS)
    parser.add_argument("--serve-copies", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    parser.add_argument("--physics", nargs="+", default=["matched", "own"])
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    options = parser.parse_args()
    if options.serve:
        factor_x, factor_y, step = options.serve
        serve_dassim(int(factor_x), int(factor_y), step)
        return

    if options.serve_copies:
        serve_copies()
        return

    python = options.veros or (str(VEROS) if VEROS.exists() else None)
    print(f"one core of {record.header()}", flush=True)
    for case in CASES:
        for physics in options.physics if python else ["alone"]:
            found = compare(case, python, physics, options.turns, options.seconds)
            print(record.table(found), flush=True)
            record.save(options.json, found)


if __name__ == "__main__":
    main()
