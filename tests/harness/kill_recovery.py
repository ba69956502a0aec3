"""Kill a recovery at random moments, resume it each time, and compare with one left alone.

python -m tests.harness.kill_recovery [--times 20] [--ranks 2] [--seed 0] NAMELIST RUN [KEY=VALUE]

``dassim assimilate NAMELIST`` with these keys and the files of the folder RUN as nature run.
SIGKILL goes to one rank or to all, at any moment from the start of the program on. A recovery that
ends before it is killed is compared, and the next one begins. Prints a line for each kill; ends
with code 1 if a recovery fails, or if a bit differs of its table (times and memory apart) or of
its analysis.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import math
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from dassim.assimilation.recovery import CHECKPOINTS
from tests.harness.kill import PROJECT, fingerprint, processes

TIMED = ("seconds", "memory (MB)")


def bits(folder: Path) -> str:
    """Of the table of iterations and of the analysis."""
    with (folder / "iterations.csv").open(newline="") as file:
        rows = [
            {name: text for name, text in row.items() if name not in TIMED}
            for row in csv.DictReader(file)
        ]
    return hashlib.sha256(f"{rows}{fingerprint(folder / 'analysis')}".encode()).hexdigest()


def checkpoints(folder: Path) -> list[Path]:
    """Of all ranks."""
    return list(folder.glob(f"{CHECKPOINTS}/*/*.h5"))


def killed(
    command: list[str],
    wait: float,
    chance: random.Random,
    begun: Callable[[], bool] = lambda: True,
) -> bool:
    """Whether the program was still running ``wait`` seconds after it had ``begun``, and has been
    killed."""
    run = subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while not begun() and run.poll() is None:
        time.sleep(0.01)
    try:
        output, _ = run.communicate(timeout=None if math.isinf(wait) else wait)
    except subprocess.TimeoutExpired:
        ranks = processes(run.pid)
        for rank in ranks if chance.random() < 0.5 else ranks[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                rank.send_signal(signal.SIGKILL)
        if not ranks:  # they have not begun
            run.kill()
        run.communicate(timeout=300)
        return True
    if run.returncode:
        raise SystemExit(f"{output}\nended with code {run.returncode}")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("namelist")
    parser.add_argument("run")
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    chance, folder = random.Random(options.seed), Path(tempfile.mkdtemp())
    start = [str(PROJECT / "tools" / "mpirun"), str(options.ranks), sys.executable, "-m", "dassim"]
    recovery = ["assimilate", options.namelist, "--nature", options.run, "--resume"]
    keys = [word for key in options.keys for word in ("--set", key)]
    command = [*start, *recovery, *keys, "--folder"]
    failed, kills = 0, 0
    try:
        for name in ("first", "alone"):  # what the first one compiles the second one finds
            began = time.monotonic()
            killed([*command, str(folder / name)], math.inf, chance)
            seconds = time.monotonic() - began
        expected, disturbed = bits(folder / "alone"), folder / "disturbed"
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        while kills < options.times or disturbed.exists():
            wait = chance.uniform(0.0, 1.1 * seconds) if kills < options.times else math.inf
            if killed([*command, str(disturbed)], wait, chance):
                kills += 1
                print(f"{kills}: killed after {wait:.1f} s", flush=True)
                continue
            same = bits(disturbed) == expected
            failed += not same
            print(f"ended: {'the same bits' if same else 'other bits'}", flush=True)
            shutil.rmtree(disturbed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
