"""Time a step on one and on several ranks, one core each, and in float32.

The ocean: the re-entrant channel with its walls and WENO schemes on 128 x 128 x 30 cells a rank,
against one rank that has as many as all of them (strong scaling) or as one of them (weak); and on
as many in all. More rows of cells lengthen the channel, so that no step has more to do for a cell.
The atmosphere: Held & Suarez's test on its own grid, in all. Each number of ranks is a program of
its own whose ranks keep to one core each; a time is that of the slowest rank.

"beside each other": every rank has such a channel for itself and sends nothing. What is lost there
the cores lose by sharing the memory, and no weak scaling is better.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement

CHANNEL = "namelists/ocean/reentrant_channel.yaml"
LENGTH = 2000
"""Of the channel, in km, with as many rows of cells as are asked for."""
ATMOSPHERE = "namelists/atmosphere/held_suarez.yaml"
STRONG, WEAK = 0.85, 0.9
"""Wanted share of the speed that as many ranks would have if they did not wait for each other."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.scaling", description=__doc__)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2], help="against 1 rank")
    parser.add_argument("--block", type=int, nargs=3, default=[30, 128, 128], help="nz ny nx")
    parser.add_argument("--turns", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        measure(options)
        return
    nz, ny, nx = options.block
    print(f"one core for each rank, {nz} x {ny} x {nx} cells, of {record.header()}", flush=True)
    for found in (*channel(options), *atmosphere(options)):
        print(record.table([found]).splitlines()[-1], flush=True)
        record.save(options.json, [found])


def channel(options: Any) -> Iterator[Measurement]:
    """Of the ocean."""
    nz, ny, nx = options.block

    def rate(ranks: int, rows: int, *given: str, precision: str = "float64") -> tuple[float, float]:
        length = f"grid.ly={LENGTH * rows / ny} km"
        shape = (f"vertical.nz={nz}", f"grid.ny={rows}", f"grid.nx={nx}", length)
        return rate_on(options, CHANNEL, ranks, (*shape, f"precision={precision}"), *given)

    alone, spread = rate(1, ny)
    yield of("1 rank", alone, spread)
    single = rate(1, ny, precision="float32")
    yield of("1 rank, float32", *single, reference=("float64", alone, spread))
    for ranks in options.ranks:
        one_rank = ("1 rank", alone, spread)
        yield of(f"{ranks} beside each other, each", *rate(ranks, ny, "--apart"), one_rank)
        large = ("1 rank with all cells", *rate(1, ranks * ny))
        together, noise = rate(ranks, ranks * ny)
        yield of(f"strong, {ranks} ranks", together, noise, large, f">= {STRONG * ranks:g}")
        yield of(f"weak, {ranks} ranks, each", together / ranks, noise, one_rank, f">= {WEAK:g}")
        yield of(f"strong, {ranks} ranks, as many cells as 1", *rate(ranks, ny), one_rank)
        fast, noise = rate(ranks, ranks * ny, precision="float32")
        alike = ("1 rank", *single)
        yield of(f"weak, {ranks} ranks, each, float32", fast / ranks, noise, alike)


def atmosphere(options: Any) -> Iterator[Measurement]:
    """Of the atmosphere."""

    def rate(ranks: int, precision: str = "float64") -> tuple[float, float]:
        return rate_on(options, ATMOSPHERE, ranks, (f"precision={precision}",))

    alone, spread = rate(1)
    yield of("atmosphere, 1 rank", alone, spread)
    yield of(
        "atmosphere, 1 rank, float32", *rate(1, "float32"), reference=("float64", alone, spread)
    )
    for ranks in options.ranks:
        strong = rate(ranks)
        yield of(f"atmosphere, strong, {ranks} ranks", *strong, ("1 rank", alone, spread))


def of(
    case: str,
    value: float,
    spread: float,
    reference: tuple[str, float | None, float] = ("", None, 0.0),
    wanted: str = "",
) -> Measurement:
    name, against, noise = reference
    return Measurement("scaling", case, value, "Mcells/s", spread, name, against, wanted, noise)


def rate_on(
    options: Any, namelist: str, ranks: int, overrides: Sequence[str], *more: str
) -> tuple[float, float]:
    """Millions of cells per second of the namelist, so changed, and the spread."""
    given = (*more, "--one", namelist, "--turns", options.turns, "--seconds", options.seconds)
    given += tuple(word for override in overrides for word in ("--set", override))
    words = workers.command("scaling", *given, ranks=ranks if ranks > 1 else 0)
    found = workers.answer(words, workers.ONE_CORE)
    seconds, spread = record.median(found["seconds"])
    return 1e-6 * found["cells"] / seconds, spread


def measure(options: Any) -> None:
    """Seconds of a step in every turn, and the cells of the domain, printed by rank 0."""
    from dassim.parallel import SerialCommunicator, world

    comm = world()
    workers.pin(comm.rank)

    from dassim.config import Namelist, load

    namelist = load(workers.PROJECT / options.one, Namelist, overrides=options.overrides).namelist
    together = SerialCommunicator() if options.apart else comm
    times = seconds_of_a_step(namelist, comm, options.turns, options.seconds, together)
    if comm.is_root:
        cells = namelist.vertical.nz * namelist.grid.ny * namelist.grid.nx
        print(json.dumps({"seconds": times, "cells": cells}))


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
