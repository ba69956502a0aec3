"""Time how long dassim takes to start: its imports, and a command that takes one step.

Every time is that of a fresh process. Imports take turns with that of jax alone, which is in them.
The command runs with an empty cache of compiled programs, then with the cache that it has left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement

NAMELIST = "namelists/ocean/global_4deg.yaml"
MODULES = ("dassim.config", "dassim.cli", "jax")
WANTED = {"empty": "< 20 s", "warm": "< 5 s"}

IMPORT = "import time; begin = time.perf_counter(); import {}; print(time.perf_counter() - begin)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.startup", description=__doc__)
    parser.add_argument("namelist", nargs="?", default=NAMELIST)
    parser.add_argument("--turns", type=int, default=3, help="medians are taken over these")
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    options = parser.parse_args()
    print(record.header(), flush=True)
    found = [*imports(options.turns), *first_steps(options.namelist, options.turns)]
    print(record.table(found))
    record.save(options.json, found)


def imports(turns: int) -> list[Measurement]:
    """Seconds to import each of MODULES; the first turn, which reads the files, is not counted."""
    times: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(1 + turns):
        for module in MODULES:
            words = [sys.executable, "-c", IMPORT.format(module)]
            times[module].append(float(workers.printed(words)))
    took = {module: record.median(values[1:]) for module, values in times.items()}
    jax, noise = took.pop("jax")
    alone = ("import jax", jax)
    return [
        Measurement(
            "startup", f"import {module}", seconds, "s", spread, *alone, reference_spread=noise
        )
        for module, (seconds, spread) in took.items()
    ]


def first_steps(namelist: str, turns: int) -> list[Measurement]:
    """Seconds of ``dassim run`` for one step, with an empty and with a warm cache of programs."""
    times: dict[str, list[float]] = {cache: [] for cache in WANTED}
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            for cache in times:
                times[cache].append(one_step(namelist, Path(folder), cache))
    return [
        Measurement(
            "startup",
            f"{Path(namelist).stem}, one step, {cache} cache",
            *(record.median(values)[0], "s", record.median(values)[1]),
            wanted=WANTED[cache],
        )
        for cache, values in times.items()
    ]


def one_step(namelist: str, folder: Path, run: str) -> float:
    """Seconds of the command, which writes to ``run`` in ``folder``, its cache beside it."""
    words = [sys.executable, "-m", "dassim", "run", namelist, "--folder", str(folder / run)]
    return workers.seconds([*words, "--set", "time.duration=1 steps"], workers.cache_in(folder))


if __name__ == "__main__":
    main()
