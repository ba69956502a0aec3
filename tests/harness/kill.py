"""Kill a run at random moments, resume it once, and compare with one that nobody disturbed.

python -m tests.harness.kill [--times 20] [--ranks 2] [--seed 0] [NAMELIST [KEY=VALUE ...]]

Of a plate of the tests, or of ``dassim run NAMELIST`` with these keys. Three ways: SIGKILL to one
rank, SIGKILL to all, SIGTERM to one rank. Prints a line for each kill; ends with code 1 if any
resumed run differs in a bit of its end state or of its output.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import psutil

import dassim
from dassim.io.dataset import streams

PROJECT = Path(__file__).resolve().parents[2]
CONTINUE_ME = 75
WAYS = ("SIGKILL to one rank", "SIGKILL to all ranks", "SIGTERM to one rank")


@dataclass(frozen=True)
class Setting:
    """A Python ``program`` on so many ranks, which begins or goes on in the folder that is its last
    argument. A line with the text ``begins`` tells that the time loop begins."""

    ranks: int
    program: tuple[str, ...]
    begins: str

    def command(self, folder: Path) -> list[str]:
        launcher = [str(PROJECT / "tools" / "mpirun"), str(self.ranks)]
        return [*launcher, sys.executable, "-m", *self.program, str(folder)]


def endurance(ranks: int = 2, steps: int = 400, seconds: float = 2.0) -> Setting:
    """The plate, in a loop that takes at least so many ``seconds``."""
    options = ("--steps", str(steps), "--seconds", str(seconds))
    return Setting(ranks, ("tests.models.endurance", *options), "running")


def experiment(ranks: int, namelist: str, overrides: Iterable[str] = ()) -> Setting:
    """``dassim run`` with a namelist."""
    keys = [word for override in overrides for word in ("--set", override)]
    return Setting(ranks, ("dassim", "run", namelist, "--resume", *keys, "-o"), "  step 0/")


@dataclass(frozen=True)
class Kill:
    """What was done to a run: whether it was still running, its exit code, the newest restart at
    its death, and where the resumed run began."""

    in_time: bool
    code: int
    newest: str | None
    resumed_from: str | None
    problems: tuple[str, ...]


def undisturbed(setting: Setting, folder: Path) -> str:
    """The fingerprint of a run that ends by itself."""
    subprocess.run(setting.command(folder), cwd=PROJECT, check=True, capture_output=True)
    return fingerprint(folder)


def kill_and_resume(
    way: str,
    wait: float,
    setting: Setting,
    folder: Path,
    expected: str,
    chance: random.Random,
    *,
    restarted: bool = False,
) -> Kill:
    """Disturb a new run in ``folder`` ``wait`` seconds into its time loop, or where ``restarted``
    after its first restart, and resume it."""
    run = subprocess.Popen(
        setting.command(folder),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert run.stdout is not None
    for line in run.stdout:
        if setting.begins in line:
            break
    while restarted and run.poll() is None and not restarts(folder):
        time.sleep(0.01)
    time.sleep(wait)
    ranks = processes(run.pid)
    in_time = run.poll() is None and len(ranks) == setting.ranks
    chosen = ranks if way == WAYS[1] else [chance.choice(ranks)] if ranks else []
    number = signal.SIGTERM if way == WAYS[2] else signal.SIGKILL
    for rank in chosen:
        with contextlib.suppress(psutil.NoSuchProcess):
            rank.send_signal(number)
    run.stdout.read()
    code = run.wait(timeout=300)
    newest = max((path.name for path in restarts(folder)), default=None)
    resumed = subprocess.run(setting.command(folder), cwd=PROJECT, capture_output=True, text=True)
    said = [line for line in resumed.stdout.splitlines() if line.startswith("going on from ")]
    resumed_from = Path(said[0].removeprefix("going on from ")).name if said else None
    problems = []
    if resumed.returncode != 0:
        problems.append(f"the resumed run ended with code {resumed.returncode}: {resumed.stderr}")
    elif fingerprint(folder) != expected:
        problems.append("the resumed run differs from the undisturbed one")
    if resumed_from != newest:
        problems.append(f"resumed from {resumed_from}, expected the newest restart {newest}")
    if way == WAYS[2] and code not in (0, CONTINUE_ME):
        problems.append(f"found exit code {code}, expected {CONTINUE_ME}")
    return Kill(in_time, code, newest, resumed_from, tuple(problems))


def processes(launcher: int) -> list[psutil.Process]:
    """The ranks under ``launcher``."""
    try:
        children = psutil.Process(launcher).children(recursive=True)
        return [child for child in children if _is_rank(child)]
    except psutil.NoSuchProcess:
        return []


def _is_rank(process: psutil.Process) -> bool:
    """A process that has just ended has no command line."""
    with contextlib.suppress(psutil.NoSuchProcess, IndexError):
        return Path(process.cmdline()[0]).name.startswith("python")
    return False


def restarts(folder: Path) -> list[Path]:
    found = folder / "restarts"
    return [path for path in found.iterdir() if path.name[0] != "."] if found.is_dir() else []


def seconds_in_loop(folder: Path) -> float:
    """Of the run's last session."""
    seconds = json.loads((folder / "run.json").read_text())["wall_seconds"]
    return seconds["total"] - seconds["start"] - seconds["compile"]


def fingerprint(folder: Path) -> str:
    """Of all bits of the end state and of the output."""
    digest = hashlib.sha256()
    with h5py.File(max(restarts(folder)) / "index.h5") as file:
        for name in sorted(file):
            digest.update(name.encode() + np.asarray(file[name]).tobytes())
    for path in sorted(folder.glob("means_*.txt")):
        digest.update(path.read_bytes())
    for stream in streams(folder):
        with dassim.open(folder, stream) as data:
            for name in sorted(map(str, data.variables)):
                values = data[name].values
                plain = values.astype(str) if values.dtype == object else values  # dates
                digest.update(name.encode() + plain.tobytes())
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="kills of each way")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("namelist", nargs="?")
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    setting = endurance(options.ranks)
    if options.namelist:
        setting = experiment(options.ranks, options.namelist, options.keys)
    chance = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp())
    failed = 0
    try:
        expected = undisturbed(setting, folder / "undisturbed")
        seconds = seconds_in_loop(folder / "undisturbed")
        print(f"undisturbed: {seconds:.1f} s in the time loop", flush=True)
        for number in range(options.times):
            for way in WAYS:
                wait = chance.uniform(0.0, seconds)
                run = folder / "run"
                kill = kill_and_resume(way, wait, setting, run, expected, chance)
                failed += bool(kill.problems)
                print(
                    f"{way} {number + 1}: after {wait:.2f} s"
                    f"{'' if kill.in_time else ' (too late)'}, code {kill.code}, resumed from "
                    f"{kill.resumed_from}: {'; '.join(kill.problems) or 'the same bits'}",
                    flush=True,
                )
                shutil.rmtree(run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{failed} of {len(WAYS) * options.times} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
