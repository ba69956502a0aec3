"""A Slurm of two nodes on this machine, and jobs in it, by a user without privileges."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).resolve().parents[2]
SLURM = PROJECT / "tools" / "slurm"
CANNOT = 77

GYRE = """
base: {project}/namelists/ocean/double_gyre.yaml
name: gyre
grid: {{nx: 32, ny: 32}}
time: {{duration: {days} d, step: 20 min}}
restarts: {{every: {between} d}}
snapshots: {{every: 1 d}}
initial: {{noise: {{eta: 1 mm}}}}
"""

RECOVERY = """
assimilation:
  window: {{start: 1 d, length: 1 d}}
  data: [{{run: {run}, every: 1 d, errors: {{u: 1 cm s-1, v: 1 cm s-1, eta: 7 cm}}}}]
  control: {{state: {{u: 10 cm s-1, v: 10 cm s-1, eta: 10 cm}}}}
  minimiser: {{iterations: {iterations}}}
"""

SITE = """
description = "tools/slurm"
launch = "srun --mpi={mpi} --kill-on-bad-exit=1"
ranks_per_node = 1
{more}
[environment]
MPIR_CVAR_CH4_NETMOD = "ofi"
"""

OVER = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
"""States in which jobs have ended."""

QUICK_TO_COMPILE = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


@dataclass(frozen=True)
class Cluster:
    """``folder``: of the Slurm; ``home``: of its user."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def do(self, *command: str | Path, **options) -> subprocess.CompletedProcess[str]:
        """What ``command`` answers to the user of the jobs."""
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        return subprocess.run(
            [SLURM, "do", "env", *settings, *command],
            env=os.environ | {"DASSIM_SLURM": str(self.folder)},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )

    def do_as_root(self, *command: str) -> str:
        """What Slurm answers to those who look after it."""
        settings = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        return subprocess.run(
            command, env=settings, check=True, timeout=60, stdout=subprocess.PIPE, text=True
        ).stdout

    @property
    def settings(self) -> dict[str, str]:
        """Of all jobs; what one has compiled the others read."""
        programs = {"JAX_COMPILATION_CACHE_DIR": str(self.home / "compiled")}
        git = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory"}
        return QUICK_TO_COMPILE | programs | git | {"GIT_CONFIG_VALUE_0": str(PROJECT)}

    def write(self, name: str, text: str) -> Path:
        file = self.home / name
        file.write_text(text)
        return file

    def namelist(self, name: str, *, days: int, between: int = 1, more: str = "") -> Path:
        text = GYRE.format(project=PROJECT, days=days, between=between)
        return self.write(f"{name}.yaml", text + more)

    @property
    def mpi(self) -> str:
        """How srun starts ranks of the MPI that is installed."""
        state = (PROJECT / ".venv" / "dassim-setup").read_text()
        return "pmi2" if 'mpi="wheel"' in state else "pmix"

    def site(self, more: str = "", name: str = "here") -> Path:
        return self.write(f"{name}.toml", SITE.format(mpi=self.mpi, more=more))

    def dassim(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.do(PROJECT / ".venv" / "bin" / "dassim", *arguments)

    def submit(self, *arguments: str | Path, ranks: int = 2) -> list[Job]:
        """The jobs that ``dassim submit`` names."""
        options = ("--site", self.site(), "--ranks", str(ranks), "--time", "00:20:00")
        done = self.dassim("submit", *arguments, *options)
        assert done.returncode == 0, done.stderr
        return [Job(self, number) for number in re.findall(r" as job (\d+)", done.stdout)]


@dataclass(frozen=True)
class Job:
    cluster: Cluster
    number: str

    @property
    def members(self) -> list[dict[str, str]]:
        """What Slurm knows of the members of an array, or of the one job."""
        shown = self.cluster.do_as_root("scontrol", "--oneliner", "show", "job", self.number)
        return [
            dict(word.split("=", 1) for word in line.split() if "=" in word)
            for line in shown.strip().splitlines()
        ]

    @property
    def facts(self) -> dict[str, str]:
        return self.members[-1]

    @property
    def states(self) -> list[str]:
        return [member["JobState"] for member in self.members]

    @cached_property
    def output(self) -> Path:
        return Path(self.facts["StdOut"])

    @property
    def log(self) -> str:
        """What the job has printed."""
        return self.output.read_text() if self.output.exists() else ""

    def signal(self, name: str) -> None:
        """To the script of the job, as Slurm does it ahead of its end."""
        self.cluster.do("scancel", "--batch", f"--signal={name}", self.number)

    def ranks(self, run: Path) -> list[psutil.Process]:
        """The processes that run in the folder ``run``."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "exe"])
            if str(run) in (process.info["cmdline"] or ())
            and Path(process.info["exe"] or "").name.startswith("python")
        ]

    def wait(self, seconds: float = 240.0) -> list[str]:
        """States in which the job, or the members of an array, have ended."""
        wait_until(lambda: set(self.states) <= OVER, seconds, lambda: f"{self.facts}\n{self.log}")
        return self.states

    def wait_for_ranks(self, run: Path, seconds: float = 60.0) -> None:
        """Until Python has been started in the folder ``run``."""
        wait_until(lambda: bool(self.ranks(run)), seconds, lambda: f"{self.facts}\n{self.log}")

    def wait_for_state(self, state: str, seconds: float = 60.0) -> None:
        wanted = {state, *OVER}
        wait_until(lambda: wanted & set(self.states), seconds, lambda: f"{self.facts}\n{self.log}")
        assert state in self.states, f"{self.facts}\n{self.log}"

    def wait_for(self, text: str, seconds: float = 240.0) -> None:
        """Until the job has printed ``text``."""
        wait_until(lambda: text in self.log, seconds, lambda: f"{self.facts}\n{self.log}")


def wait_until(done: Callable[[], object], seconds: float, explain: Callable[[], str]) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"waited {seconds} s: {explain()}"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """Skips where this machine cannot have a Slurm."""
    folder = Path("/tmp") / f"dassim-slurm-{os.getpid()}"
    environment = os.environ | {"DASSIM_SLURM": str(folder)}
    if importlib.util.find_spec("mpi4jax") is None:
        pytest.skip("no MPI in this environment; run tools/setup --mpi=wheel")
    started = subprocess.run([SLURM, "up"], env=environment, capture_output=True, text=True)
    if started.returncode == CANNOT:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    try:
        yield Cluster(folder)
    finally:
        subprocess.run([SLURM, "down"], env=environment, check=True)
