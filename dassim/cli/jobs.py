"""Jobs of Slurm: the script of a job at a site, and its way to ``sbatch``."""

from __future__ import annotations

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
    What it prints goes to the folder ``log``."""
    body = (folder / f"{job.kind}.sbatch").read_text(encoding="utf-8").splitlines()
    own = [line for line in body if line.startswith("#SBATCH")]
    comes_back = any("--signal" in line for line in own)
    lines = [line for line in body[1:] if line not in own]
    options = [f"#SBATCH {option}" for option in _options(job, site, log, comes_back)]
    return "\n".join([body[0], *options, *_settings(job, site, folder), *lines, ""])


def _options(job: Job, site: Site, log: Path, comes_back: bool) -> list[str]:
    count = nodes(site, job.ranks)
    number = "%A_%a" if job.array else "%j"
    return [
        f"--job-name={job.kind}",
        f"--nodes={count} --ntasks={job.ranks} --ntasks-per-node={-(-job.ranks // count)}",
        f"--cpus-per-task={site.cores_per_rank} --time={job.time}",
        f"--open-mode=append --output={log}/{job.kind}-{number}.out",
        *([f"--requeue --signal=B:USR1@{job.notice}"] if comes_back else ["--no-requeue"]),
        *([f"--partition={site.partition}"] if site.partition else []),
        *([f"--account={site.account}"] if site.account else []),
        *(["--gpus-per-task=1"] if site.gpus_per_node else []),
        *([f"--array={job.array}"] if job.array else []),
        *site.options,
    ]


def _settings(job: Job, site: Site, folder: Path) -> list[str]:
    variables = {"JOBS": str(folder.resolve()), "LAUNCH": site.launch}
    if site.container:
        variables["CONTAINER"] = f"{site.container_command} {site.container}"
    if site.gpus_per_node:
        variables |= {
            "JAX_PLATFORMS": "cuda",
            "MPI4JAX_USE_CUDA_MPI": str(int(site.cuda_aware_mpi)),
        }
    variables |= site.environment
    return [
        *(["module purge"] if site.modules else []),
        *(f"module load {shlex.quote(module)}" for module in site.modules),
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
