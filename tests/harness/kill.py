"""Kill a run at random moments, resume it once, and compare with one that nobody disturbed.

python -m tests.harness.kill [--times 20] [--ranks 2] [--seed 0]

Three ways: SIGKILL to one rank, SIGKILL to all, SIGTERM to one rank. Prints a line for each kill;
ends with code 1 if any resumed run differs in a bit of its end state or of its output.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import psutil

PROJECT = Path(__file__).resolve().parents[2]
CONTINUE_ME = 75
WAYS = ("SIGKILL to one rank", "SIGKILL to all ranks", "SIGTERM to one rank")


@dataclass(frozen=True)
class Setting:
    """How many ranks run for how many steps, and how long (s) at least the loop takes."""

    ranks: int = 2
    steps: int = 400
    seconds: float = 2.0

    def command(self, folder: Path) -> list[str]:
        options = ["--steps", str(self.steps), "--seconds", str(self.seconds)]
        program = [sys.executable, "-m", "tests.models.endurance", str(folder), *options]
        return [str(PROJECT / "tools" / "mpirun"), str(self.ranks), *program]


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
        if line.strip() == "running":
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
    code = run.wait(timeout=60)
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
    with contextlib.suppress(psutil.NoSuchProcess):
        return Path(process.cmdline()[0]).name.startswith("python")
    return False


def restarts(folder: Path) -> list[Path]:
    found = folder / "restarts"
    return [path for path in found.iterdir() if path.name[0] != "."] if found.is_dir() else []


def fingerprint(folder: Path) -> str:
    """Of all bits of the end state and of all lines of output."""
    digest = hashlib.sha256()
    with h5py.File(max(restarts(folder)) / "index.h5") as file:
        for name in sorted(file):
            digest.update(name.encode() + np.asarray(file[name]).tobytes())
    for path in sorted(folder.glob("means_*.txt")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="kills of each way")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    setting, chance = Setting(options.ranks), random.Random(options.seed)
    folder = Path(tempfile.mkdtemp())
    failed = 0
    try:
        begin = time.monotonic()
        expected = undisturbed(setting, folder / "undisturbed")
        print(f"undisturbed: {time.monotonic() - begin:.1f} s", flush=True)
        for way in WAYS:
            for number in range(options.times):
                wait = chance.uniform(0.0, 2.0 * setting.seconds)
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
