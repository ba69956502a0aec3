"""``dassim submit``: a namelist as a job of Slurm, or as a chain of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dassim.cli.options import FolderOption, NamelistPath, Overrides

if TYPE_CHECKING:
    from dassim.cli.jobs import Job
    from dassim.config.schema.site import Site

KINDS = ("nature_run", "assimilate", "sensitivity", "ensemble", "chain")

BUILT = 1e9
"""Bytes of memory up to which grid and start are built before a submission, on a login node."""

SUBMISSIONS = "submissions"
"""In the folder of a run: the scripts of its jobs, and where they come from."""


def command(
    namelist: NamelistPath,
    site: Annotated[
        str, typer.Option(help="A file of jobs/sites by its name, or the path of one.")
    ],
    job: Annotated[str, typer.Option(help=f"What to do: {', '.join(KINDS)}.")] = KINDS[0],
    chain: Annotated[
        bool,
        typer.Option(
            "--chain",
            help="--job chain: nature run, its collation, recovery, forecast from it, figures.",
        ),
    ] = False,
    ranks: Annotated[int, typer.Option(min=1, help="Ranks of the job.")] = 2,
    time: Annotated[str, typer.Option(help="Time limit, as Slurm writes it.")] = "01:00:00",
    notice: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Seconds before its end at which a job is told; by default the time of five of "
            "the run's restarts or of two evaluations of a cost, as far as they are known, and 120 "
            "at least.",
        ),
    ] = None,
    members: Annotated[int, typer.Option(min=1, help="Members of an ensemble.")] = 4,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the scripts and submit nothing.")
    ] = False,
    folder: FolderOption = None,
    jobs: Annotated[
        Path | None,
        typer.Option(help="A clone's folder jobs; by default the one beside this installation."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Check a namelist for a number of ranks, and submit it at a site.

    Scripts go to the run's folder, are shown, checked with sbatch --test-only and submitted; what
    they come from is noted beside them. Exit codes: 0 submitted, 1 Slurm refuses, 2 the request
    cannot be met.
    """
    from dassim.cli.check import report
    from dassim.cli.jobs import SubmitError
    from dassim.cli.ranks import BAD_INPUT, print_problems
    from dassim.config import Namelist, NamelistError, load
    from dassim.config.site import load_site
    from dassim.config.text import as_yaml

    home = (jobs or Path(__file__).parents[2] / "jobs").resolve()
    kind, options = "chain" if chain else job, tuple(overrides or ())
    try:
        _require_kind(kind)
        place = load_site(site, home / "sites")
        members_differ = ("initial.noise.seed=0",) if kind == "ensemble" else ()
        loaded = load(namelist, Namelist, overrides=(*options, *members_differ))
        run = (folder or Path("runs") / loaded.namelist.name).resolve()
        request = Request(namelist.resolve(), run, options, ranks, time, notice, members)
        steps = tuple(_steps(kind, request))
        with loaded.located():
            tuple(report(loaded.namelist, ranks))
            _require_sections(kind, loaded.namelist, run)
        _require_time(steps, home)
        with loaded.located():
            _require_start(loaded.namelist, ranks)
    except NamelistError as error:
        print_problems(error)
        raise SystemExit(BAD_INPUT) from None

    try:
        numbers = _submit(steps, place, home, run, dry_run)
    except SubmitError as error:
        typer.echo(f"dassim submit: {error}", err=True)
        raise SystemExit(1) from None
    if not dry_run:
        for step, number in zip(steps, numbers, strict=True):
            typer.echo(f"submitted {step.kind} as job {number}; see {run / SUBMISSIONS}")
        _note(steps, numbers, place, home, run, as_yaml(loaded.namelist))


class Request(NamedTuple):
    """What is asked for: see the options of the command."""

    namelist: Path
    run: Path
    overrides: tuple[str, ...]
    ranks: int
    time: str
    notice: int | None
    members: int


def _steps(kind: str, request: Request) -> Iterator[Job]:
    """The jobs, each of which waits for the one before."""
    if kind == "chain":
        recovery = request.run / "recovery"
        yield _job("nature_run", request, request.run)
        yield _alone("collate", request, request.run)
        yield _job("assimilate", request, recovery, "--nature", str(request.run))
        yield _job("nature_run", request, recovery / "analysis")
        yield _alone("plot", request, recovery, recovery / "analysis")
    elif kind == "ensemble":
        yield _ensemble(request)
    else:
        yield _job(kind, request, request.run)


def _sets(request: Request) -> list[str]:
    return [word for override in request.overrides for word in ("--set", override)]


def _job(kind: str, request: Request, folder: Path, *more: str) -> Job:
    from dassim.cli.jobs import Job

    arguments = (str(request.namelist), "--folder", str(folder), *more, *_sets(request))
    notice = request.notice or _notice(folder)
    return Job(kind, arguments, request.ranks, request.time, notice)


def _alone(kind: str, request: Request, *runs: Path) -> Job:
    """A job of one rank, which takes the folders of runs."""
    from dassim.cli.jobs import Job

    return Job(kind, tuple(map(str, runs)), 1, request.time)


def _ensemble(request: Request) -> Job:
    from dassim.cli.jobs import Job

    arguments = (str(request.namelist), str(request.run), *_sets(request))
    members = f"0-{request.members - 1}"
    notice = request.notice or _notice(request.run / "member_0")
    return Job("ensemble", arguments, request.ranks, request.time, notice, array=members)


def _submit(
    steps: tuple[Job, ...], place: Site, home: Path, run: Path, dry_run: bool
) -> tuple[str, ...]:
    """The numbers of the jobs. All are submitted, or none."""
    from dassim.cli.jobs import SubmitError, script, submitted, tested, withdrawn
    from dassim.io.durable import write_text

    folder = run / SUBMISSIONS
    texts = [script(step, place, home, folder) for step in steps]
    for step, text in zip(steps, texts, strict=True):
        typer.echo(f"--- {step.kind}\n{text}")
    if dry_run:
        return ()
    files = [
        folder / f"{_now()}_{index}_{step.kind}.sbatch" for index, step in enumerate(steps, start=1)
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in zip(files, texts, strict=True):
            write_text(file, text)
    except OSError as error:
        found = f"cannot write to the folder {folder} ({error.strerror})"
        raise SubmitError(f"{found}; choose one that can be written, by --folder") from None
    for file in files:
        tested(file)
    numbers: list[str] = []
    try:
        for file in files:
            numbers.append(submitted(file, numbers[-1:]))
    except SubmitError:
        withdrawn(numbers)
        raise
    return tuple(numbers)


def _note(
    steps: tuple[Job, ...], numbers: tuple[str, ...], place: Site, home: Path, run: Path, text: str
) -> None:
    """Beside the scripts: commit, lock, versions, site, resolved namelist, numbers of the jobs."""
    from dassim.io.durable import write_text
    from dassim.provenance import versions

    lock = home.parent / "uv.lock"
    record = {
        "submitted": datetime.now(UTC).isoformat(timespec="seconds"),
        "jobs": [
            {"job": number, **asdict(step)} for number, step in zip(numbers, steps, strict=True)
        ],
        "site": place.model_dump(mode="json", exclude_none=True),
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
        "versions": versions(),
        "namelist": text,
    }
    file = run / SUBMISSIONS / f"{_now()}.json"
    write_text(file, json.dumps(record, indent=2) + "\n")


def _notice(folder: Path) -> int:
    """Seconds before its end at which a job is told: time for five restarts or two evaluations of
    a cost as what is in ``folder`` has taken them, if there is anything."""
    from dassim.cli.jobs import NOTICE
    from dassim.simulation.folder import RunFolder

    record = RunFolder(folder).read_record()
    restarts = record.get("files", {}).get("restarts", {})
    written = restarts.get("seconds", 0.0) / max(1, restarts.get("count", 0))
    evaluated = record.get("seconds", 0.0) / max(1, record.get("evaluations", 0))
    return max(NOTICE, math.ceil(5 * written), math.ceil(2 * evaluated))


def _require_kind(kind: str) -> None:
    from dassim.config import NamelistError, Problem
    from dassim.config.errors import mismatch, one_of, suggest

    if kind not in KINDS:
        message = mismatch(f"'{kind}'", one_of(KINDS), suggest(kind, KINDS))
        raise NamelistError([Problem(("job",), message)])


def _require_sections(kind: str, namelist: Any, run: Path) -> None:
    """Refuse a namelist that lacks what a job of this kind needs."""
    from dassim.config import assimilation, sensitivity

    if kind in ("assimilate", "chain"):
        assimilation.required(namelist)
    if kind == "sensitivity":
        sensitivity.required(namelist)
    if kind == "chain":
        _require_own_data(namelist, run)
    if kind == "ensemble":
        _require_noise(namelist)


def _require_start(namelist: Any, ranks: int) -> None:
    """Refuse what ``dassim check`` finds by building grid and start, and show what it doubts. A
    large one is left to the job."""
    from dassim.cli.programs import prepare_jax
    from dassim.config.estimate import estimates
    from dassim.config.experiment import doubts
    from dassim.config.plan import plan
    from dassim.config.schema.run import Decomposition
    from dassim.parallel import SerialCommunicator

    planned = plan(namelist, ranks)
    rows = estimates(namelist, planned.decomposition, planned.levels.count)
    if sum(row.all_ranks for row in rows if row.what.startswith("memory")) > BUILT:
        typer.echo("grid and start not built: too large for this check")
        return
    comm = SerialCommunicator()
    prepare_jax(comm)
    alone = namelist.model_copy(update={"decomposition": Decomposition()})
    for doubt in doubts(alone, comm):
        typer.echo(f"warning: {doubt}")


def _require_own_data(namelist: Any, run: Path) -> None:
    """Refuse a chain whose recovery would read the data of another run, or of one without any."""
    from dassim.config import NamelistError, Problem
    from dassim.config.errors import mismatch

    for index, data in enumerate(namelist.assimilation.data):
        if data.run is not None and data.run.resolve() != run:
            remedy = "name it, or leave the key out"
            message = mismatch(str(data.run), f"the chain's own run, {run}", remedy)
            raise NamelistError([Problem(("assimilation", "data", index, "run"), message)])
    snapshots = namelist.snapshots
    if namelist.assimilation.data and not (snapshots.every or snapshots.times):
        remedy = "add them, such as {every: 1 d}"
        message = mismatch("none", "snapshots of the nature run for the chain's recovery", remedy)
        raise NamelistError([Problem(("snapshots",), message)])


def _require_noise(namelist: Any) -> None:
    """Refuse an ensemble whose members would all be the same."""
    from dassim.config import NamelistError, Problem
    from dassim.config.errors import mismatch

    noise = namelist.initial.noise.model_dump(exclude={"seed"})
    if not any((*noise.pop("tracers", {}).values(), *noise.values())):
        message = mismatch("none", "what tells members apart", "add it, such as {T: 1e-3 K}")
        raise NamelistError([Problem(("initial", "noise"), message)])


def _require_time(steps: tuple[Job, ...], home: Path) -> None:
    """Refuse jobs that would be told of their end before they begin."""
    from dassim.cli.jobs import is_told, seconds
    from dassim.config import NamelistError, Problem
    from dassim.config.errors import mismatch

    for step in steps:
        try:
            limit = seconds(step.time)
        except ValueError as error:
            raise NamelistError([Problem(("time",), str(error))]) from None
        if is_told(home, step.kind) and limit <= step.notice:
            found = f"a time of {limit:g} s and a notice of {step.notice} s before its end"
            remedy = "give the job more time by --time, or less notice by --notice"
            message = mismatch(found, "a time longer than the notice", remedy)
            raise NamelistError([Problem(("time",), message)])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
