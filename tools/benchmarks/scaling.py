"""Time the ocean's step on one and on several ranks, one core each, and in float32.

The re-entrant channel with its walls and WENO schemes on 128 x 128 x 30 cells: in all (strong
scaling), and on every rank (weak). Each number of ranks is a program of its own whose ranks keep to
one core each; a time is that of the slowest rank. More rows of cells lengthen the channel, so that
no step has more to do for a cell.

"beside each other": every rank has such a channel for itself and sends nothing. What is lost there
the cores lose by sharing the memory, and no weak scaling is better.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement

NAMELIST = "namelists/ocean/reentrant_channel.yaml"
STRONG, WEAK = 0.85, 0.9
"""Wanted share of the speed that as many ranks would have if they did not wait for each other."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.scaling", description=__doc__)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2], help="against 1 rank")
    parser.add_argument("--block", type=int, nargs=3, default=[30, 128, 128], help="nz ny nx")
    parser.add_argument("--turns", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        measure(options)
        return
    nz, ny, nx = options.block
    print(f"one core for each rank, {nz} x {ny} x {nx} cells, of {record.header()}", flush=True)

    def rate(ranks: int, ny: int, *given: str, precision: str = "float64") -> tuple[float, float]:
        """Millions of cells per second, and the spread."""
        return rate_on(options, ranks, (nz, ny, nx), precision, *given)

    def tell(*found: Measurement) -> None:
        print(record.table(found), flush=True)
        record.save(options.json, found)

    alone, spread = rate(1, ny)
    tell(
        of("1 rank", alone, spread),
        of("1 rank, float32", *rate(1, ny, precision="float32"), reference=("float64", alone)),
    )
    for ranks in options.ranks:
        one_rank = ("1 rank", alone)
        weak, spread = rate(ranks, ranks * ny)
        share = (weak / ranks, spread, one_rank, f">= {WEAK:g}")
        tell(
            of(f"{ranks} beside each other, each", *rate(ranks, ny, "--apart"), one_rank),
            of(f"strong, {ranks} ranks", *rate(ranks, ny), one_rank, f">= {STRONG * ranks:g}"),
            of(f"weak, {ranks} ranks, each", *share),
        )


def of(
    case: str,
    value: float,
    spread: float,
    reference: tuple[str, float | None] = ("", None),
    wanted: str = "",
) -> Measurement:
    return Measurement("scaling", case, value, "Mcells/s", spread, *reference, wanted)


def rate_on(
    options: Any, ranks: int, shape: tuple[int, int, int], precision: str, *more: str
) -> tuple[float, float]:
    """Millions of cells per second in the whole of ``shape``, and the spread."""
    given = (*more, "--one", *shape, precision, "--block", *options.block)
    given += ("--turns", options.turns, "--seconds", options.seconds)
    words = workers.command("scaling", *given, ranks=ranks if ranks > 1 else 0)
    seconds, spread = record.median(workers.answer(words, workers.ONE_CORE)["seconds"])
    nz, ny, nx = shape
    return 1e-6 * nz * ny * nx / seconds, spread


def measure(options: Any) -> None:
    """Seconds of a step in every turn, printed by rank 0."""
    from dassim.parallel import SerialCommunicator, world

    comm = world()
    workers.pin(comm.rank)

    from dassim.config import Namelist, load

    *shape, precision = options.one
    length = 2000 * int(shape[1]) / options.block[1]
    points = [
        f"{key}={n}" for key, n in zip(("vertical.nz", "grid.ny", "grid.nx"), shape, strict=True)
    ]
    overrides = [*points, f"grid.ly={length} km", f"precision={precision}"]
    namelist = load(workers.PROJECT / NAMELIST, Namelist, overrides=overrides).namelist
    together = SerialCommunicator() if options.apart else comm
    times = seconds_of_a_step(namelist, comm, options.turns, options.seconds, together)
    if comm.is_root:
        print(json.dumps({"seconds": times}))


def seconds_of_a_step(
    namelist: Any, comm: Any, turns: int, length: float, together: Any = None
) -> list[float]:
    """Of the slowest rank, in turns of about ``length`` seconds, all from the start, so that all of
    them compute the same. All ranks of ``comm`` call this together; those of ``together``, by
    default the same, have the domain among them."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from dassim.parallel.timing import slowest_seconds
    from dassim.simulation.advance import Program

    one = workers.built(namelist, together or comm)
    program = Program(one.model)
    carry = program.start(one.parameters, one.state)

    def seconds(steps: int) -> float:
        return slowest_seconds(lambda: program(one.parameters, carry, steps), comm) / steps

    seconds(2)  # compiles
    steps = max(2, int(length / seconds(3)))
    return [seconds(steps) for _ in range(turns)]


if __name__ == "__main__":
    main()
