"""Time tools/demo from its start to its figures, in a new folder and with nothing compiled.

The set-up is there before: it is what tools/setup takes, and the network.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tools.benchmarks import record, workers
from tools.benchmarks.record import Measurement

NAMELIST = "namelists/assimilation/double_gyre_small.yaml"
WANTED = "< 180 s"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.demo", description=__doc__)
    parser.add_argument("namelist", nargs="?", default=NAMELIST)
    parser.add_argument("--json", type=Path, help="add the measurements to this file")
    options = parser.parse_args()
    print(record.header(), flush=True)
    found = [measured(options.namelist)]
    print(record.table(found))
    record.save(options.json, found)


def measured(namelist: str) -> Measurement:
    with tempfile.TemporaryDirectory() as folder:
        words = (str(workers.PROJECT / "tools" / "demo"), namelist, str(Path(folder) / "run"))
        seconds = workers.seconds(words, workers.cache_in(Path(folder)))
    return Measurement("demo", Path(namelist).stem, seconds, "s", wanted=WANTED)


if __name__ == "__main__":
    main()
