"""Jobs of Slurm: the script of a job at a site, and its way to ``sbatch``."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dassim.config.schema.site import Site

NOTICE = 120
"""Seconds ahead of its end at which a job is told, unless its restarts are known to take longer."""


@dataclass(frozen=True)
class Job:
    """``kind``: a script of ``jobs/``; ``arguments``: its own; ``time``: as Slurm writes it;
    ``notice`` (s): how long ahead of its end it is told; ``array``: numbers of a job array."""

    kind: str
    arguments: tuple[str, ...]
    ranks: int
    time: str
    notice: int = NOTICE
    array: str | None = None


class SubmitError(RuntimeError):
    """What Slurm, or its absence, has against a job."""


def nodes(site: Site, ranks: int) -> int:
    """Nodes that ``ranks`` ranks need."""
    return -(-ranks // site.ranks_per_node)


def script(job: Job, site: Site, folder: Path, log: Path) -> str:
    """A job's script: the options of Slurm, the site's settings, and what ``folder`` has for it.
    What it prints, and what it compiles, goes to the folder ``log``."""
    body = (folder / f"{job.kind}.sbatch").read_text(encoding="utf-8").splitlines()
    own = [line for line in body if line.startswith("#SBATCH")]
    lines = [line for line in body[1:] if line not in own]
    options = [f"#SBATCH {option}" for option in _options(job, site, log, "\n".join(own))]
    told = ["trap 'told=USR1' USR1  # from now on"] if is_told(folder, job.kind) else []
    return "\n".join([body[0], *options, *told, *_settings(job, site, folder, log), *lines, ""])


def is_told(folder: Path, kind: str) -> bool:
    """Whether a job of this ``kind`` asks to be told ahead of its end."""
    return "--signal" in (folder / f"{kind}.sbatch").read_text(encoding="utf-8")


def seconds(time: str) -> float:
    """A time limit as Slurm writes it: infinite for none.

    >>> seconds("90"), seconds("01:00:00"), seconds("1-12"), seconds("02:30")
    (5400.0, 3600.0, 129600.0, 150.0)
    """
    if time.upper() in ("UNLIMITED", "INFINITE", "0"):
        return float("inf")
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time)
    if found is None:
        message = f"found the time '{time}'; expected one like 90 (minutes), 12:00:00, 1-12:00:00"
        raise ValueError(f"{message}; correct it")
    days, *fields = (None if part is None else int(part) for part in found.groups())
    first, second, third = (part or 0 for part in fields)
    if days is not None:
        return 86400.0 * days + 3600.0 * first + 60.0 * second + third
    if fields[2] is not None:
        return 3600.0 * first + 60.0 * second + third
    return 60.0 * first + second


def _options(job: Job, site: Site, log: Path, own: str) -> list[str]:
    count = nodes(site, job.ranks)
    on_each = -(-job.ranks // count)
    number = "%A_%a" if job.array else "%j"
    return [
        f"--job-name={job.kind}",
        f"--nodes={count} --ntasks={job.ranks} --ntasks-per-node={on_each}",
        f"--cpus-per-task={site.cores_per_rank} --time={job.time}",
        f"--open-mode=append --output={_literal(log)}/{job.kind}-{number}.out",
        "--requeue" if "--requeue" in own else "--no-requeue",
        *([f"--signal=B:USR1@{job.notice}"] if "--signal" in own else []),
        *([f"--partition={site.partition}"] if site.partition else []),
        *([f"--account={site.account}"] if site.account else []),
        *([f"--gpus-per-node={on_each}"] if site.gpus_per_node else []),
        *([f"--array={job.array}"] if job.array else []),
        *site.options,
    ]


def _literal(path: Path) -> str:
    """A path for an option of sbatch: blanks are part of it, and % is no number of a job.

    >>> _literal(Path("/runs/5 % wind"))
    "'/runs/5 %% wind'"
    """
    return shlex.quote(str(path).replace("%", "%%"))


def _settings(job: Job, site: Site, folder: Path, log: Path) -> list[str]:
    variables = {"JOBS": str(folder.resolve()), "LOGS": str(log), "LAUNCH": site.launch}
    variables |= {"NOTICE": str(job.notice), "JAX_PLATFORMS": "cpu"}
    if site.container:
        variables["CONTAINER"] = f"{site.container_command} {site.container}"
    if site.keep_compiled:
        variables["COMPILED"] = str(log / "compiled")
    if site.gpus_per_node:
        variables |= {
            "JAX_PLATFORMS": "cuda,cpu",  # the first is used; none of them may be missing
            "XLA_PYTHON_CLIENT_MEM_FRACTION": str(site.memory_of_gpu),
            "MPI4JAX_USE_CUDA_MPI": str(int(site.cuda_aware_mpi)),
        }
    variables |= site.environment
    return [
        *(["module purge"] if site.modules else []),
        *(f"module load {shlex.quote(module)} || exit" for module in site.modules),
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        *site.setup,
        f"set -- {shlex.join(job.arguments)}",
    ]


def sbatch(file: Path, *options: str) -> str:
    """What ``sbatch`` answers to ``file``. Raises SubmitError with its complaint."""
    try:
        ended = subprocess.run(["sbatch", *options, str(file)], capture_output=True, text=True)
    except FileNotFoundError:
        message = "found no sbatch; expected Slurm; submit on a login node, or use --dry-run"
        raise SubmitError(message) from None
    if ended.returncode:
        raise SubmitError(f"sbatch refuses {file}: {ended.stderr.strip()}")
    return ended.stdout.strip()


def tested(file: Path) -> None:
    """Ask Slurm whether it would take ``file``, without submitting it."""
    sbatch(file, "--test-only")


def submitted(file: Path, after: Sequence[str] = ()) -> str:
    """The number of the job, which begins once the jobs ``after`` have ended well."""
    chained = [f"--dependency=afterok:{':'.join(after)}", "--kill-on-invalid-dep=yes"]
    return sbatch(file, "--parsable", *(chained if after else [])).split(";")[0]


def withdrawn(numbers: Sequence[str]) -> None:
    """Take jobs out of line again."""
    if numbers:
        subprocess.run(["scancel", *numbers], capture_output=True)
