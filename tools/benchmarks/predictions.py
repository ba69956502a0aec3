"""Predict what steps and gradients of a world ocean cost on many ranks: 1/4, 1/12, 1/20 degree.

Each line is one of ``dassim check tools/benchmarks/world.yaml --predict``, whose block of a rank is
timed on one core; its messages are priced with the costs of a site. A gradient is that of ten days,
a step's share of it, where a rank may keep 32 GB of states; where these do not fit (1/12 and 1/20
degree on 100 ranks), more steps are run again. Memory is that of the programs, a gradient's with
the states that it keeps, beside the process's own. Time steps in seconds are 2400 times the spacing
in degrees. ``years/day`` are of the model; ``output`` is what all ranks write together, daily
fields and monthly restarts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement
from tools.benchmarks.turns import keep_to_one_core

NAMELIST = "tools/benchmarks/world.yaml"
STEP = 2400.0
"""Seconds of a time step for each degree of the spacing."""
DAYS_OF_A_YEAR = 365.0

COLUMNS = (
    ("spacing", "{spacing}"),
    ("ranks", "{ranks}"),
    ("cells a rank", "{cells:.3g}"),
    ("timed", "{timed:.3g}"),
    ("memory (GB)", "{memory:.3g}"),
    ("gradient's", "{memory_of_gradient:.3g}"),
    ("step (ms)", "{step:.3g}"),
    ("messages (ms)", "{messages:.3g}"),
    ("gradient (ms)", "{gradient:.3g}"),
    ("years/day", "{speed:.3g}"),
    ("output (GB/s)", "{output:.3g}"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks.predictions", description=__doc__
    )
    parser.add_argument("--spacings", type=int, nargs="+", default=[4, 12, 20], help="1/n degree")
    parser.add_argument("--ranks", type=int, nargs="+", default=[100, 1000, 4000])
    parser.add_argument("--site", help="whose costs to predict with: a file of jobs/sites")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    options = parser.parse_args()
    keep_to_one_core()
    print(record.header(), flush=True)
    print("".join(f"{name:>14}" for name, _ in COLUMNS))
    for fraction in options.spacings:
        for ranks in options.ranks:
            row = predicted(fraction, ranks, options.site)
            print("".join(f"{text.format(**row):>14}" for _, text in COLUMNS), flush=True)
            record.save(options.json, measurements(row))


def predicted(fraction: int, ranks: int, site: str | None) -> dict[str, Any]:
    """With a spacing of 1/``fraction`` degree."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from dassim.cli.check import costs_of, site_of
    from dassim.config import Namelist, load
    from dassim.config.predict import predict

    namelist = load(workers.PROJECT / NAMELIST, Namelist, overrides=overrides(fraction)).namelist
    found = predict(namelist, ranks, costs_of(site_of(site)))
    return {
        "spacing": f"1/{fraction}",
        "ranks": ranks,
        "cells": found.block,
        "timed": found.timed,
        "memory": 1e-9 * found.step.memory,
        "memory_of_gradient": 1e-9 * found.memory_of_gradient,
        "step": 1e3 * found.seconds(found.step),
        "messages": 1e3 * found.messages(found.step),
        "gradient": 1e3 * found.gradient,
        "speed": 86400.0 / found.during(86400.0) / DAYS_OF_A_YEAR,
        "output": 1e-9 * found.output_bandwidth,
        "costs": words(found.costs),
    }


def words(costs: Any) -> str:
    """What messages are taken to cost."""
    return f"{1e6 * costs.latency:g} us a message, {1e-9 * costs.bandwidth:g} GB/s"


def overrides(fraction: int) -> list[str]:
    points = {"nx": 360 * fraction, "ny": 158 * fraction}
    return [
        *(f"grid.{key}={count}" for key, count in points.items()),
        f"time.step={STEP / fraction:g} s",
    ]


def measurements(row: dict[str, Any]) -> list[Measurement]:
    case = f"{row['spacing']} degree, {row['ranks']} ranks, {row['costs']}"
    return [
        Measurement("predictions", f"{case}: step", row["step"], "ms"),
        Measurement("predictions", f"{case}: gradient", row["gradient"], "ms"),
        Measurement("predictions", f"{case}: memory", row["memory"], "GB"),
        Measurement("predictions", f"{case}: gradient's", row["memory_of_gradient"], "GB"),
        Measurement("predictions", f"{case}: output", row["output"], "GB/s wanted"),
    ]


if __name__ == "__main__":
    main()
