"""Build an Apptainer definition without Apptainer, and use the image on two ranks.

The definition is read as Apptainer reads it, and refused where it would be. Each stage is a root
file system: that of Debian's suite by mmdebstrap, in place of the image that From names, then
%files, then %post in a chroot. The last one gets what Apptainer adds, and is used by Charliecloud
as Apptainer does it, read-only and without privileges: %test, then a twin experiment on two ranks
that are started inside, that the MPI of this machine's .venv starts (hybrid), and that Slurm starts
(tools/slurm). All three leave the same scores.

That Apptainer itself takes the definition is not shown. Needs root, a mirror of Debian and
its packages mmdebstrap and charliecloud; where they are not to be had it ends with code 77.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CANNOT = 77
PROGRAMS = {"mmdebstrap": "mmdebstrap", "ch-run": "charliecloud"}
"""What is needed, and the packages of Debian that have it."""

SECTIONS = (
    *("arguments", "setup", "files", "post", "environment", "runscript", "startscript"),
    *("test", "labels", "help"),
)
SHELL = ("setup", "post", "environment", "runscript", "startscript", "test")
SUITE = re.compile(
    r"(?:docker\.io/)?(?:library/)?debian:([a-z]+)(?:-\d+)?(?:-slim)?(?:@sha256:\w+)?"
)

FROM_HERE = ("PIP_INDEX_URL", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy")
"""Settings of this machine's network that a build takes over, as with Apptainer."""

TWIN = """
base: /opt/dassim/namelists/assimilation/double_gyre.yaml
name: contained
grid: {nx: 32, ny: 32}
time: {duration: 4 d, step: 20 min}
assimilation: {window: {start: 2 d, length: 1 d}, minimiser: {iterations: 3}}
twin: {forecast: 1 d}
"""

QUICK_TO_COMPILE = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


class DefinitionError(ValueError):
    """A definition that Apptainer would refuse, or that nothing here can stand in for."""


@dataclass
class Stage:
    """One part of a definition. ``files``: (stage they come from, source, destination)."""

    header: dict[str, str] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str | None, str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.header.get("stage", "")

    @property
    def suite(self) -> str:
        """Of Debian."""
        found = SUITE.fullmatch(self.header.get("from", ""))
        if self.header.get("bootstrap") != "docker" or found is None:
            raise DefinitionError(
                f"found {self.header}; expected Bootstrap: docker and From: debian:SUITE-slim"
            )
        return found[1]


def parse(text: str, arguments: Mapping[str, str] | None = None) -> list[Stage]:
    """The stages of a definition, with ``arguments`` in place of the defaults of %arguments.

    >>> (stage,) = parse("Bootstrap: docker\\nFrom: debian:bookworm-slim\\n%post\\n    true\\n")
    >>> stage.suite, stage.sections
    ('bookworm', {'post': '    true\\n'})
    """
    stages: list[Stage] = []
    section, source = None, None
    for number, line in enumerate(text.splitlines(), start=1):
        title, entry = re.match(r"%(\w+)\s*(.*)", line), re.match(r"(\w+)\s*:\s*(.*?)\s*$", line)
        if entry and entry[1].lower() == "bootstrap":
            stages.append(Stage())
            section = None
        if title:
            section = title[1]
            source = title[2].removeprefix("from ").strip() or None if section == "files" else None
            if section not in SECTIONS or not stages:
                raise DefinitionError(
                    f"line {number}: found %{section}; expected one of {SECTIONS}"
                )
            if section in stages[-1].sections and section != "files":
                raise DefinitionError(f"line {number}: found %{section} twice in a stage")
            stages[-1].sections.setdefault(section, "")
        elif section == "files":
            if line.split():
                first, *second = line.split()
                stages[-1].files.append((source, first, second[0] if second else first))
        elif section is not None:
            stages[-1].sections[section] += f"{line}\n"
        elif entry and stages:
            stages[-1].header[entry[1].lower()] = entry[2]
        elif line.strip() and not line.startswith("#"):
            raise DefinitionError(f"line {number}: found '{line}'; expected KEY: VALUE")
    if not stages:
        raise DefinitionError("found no Bootstrap; expected a stage that begins with it")
    return [_filled_in(stage, arguments or {}) for stage in stages]


def _filled_in(stage: Stage, arguments: Mapping[str, str]) -> Stage:
    """With values for all ``{{ NAME }}``."""
    lines = stage.sections.pop("arguments", "").split()
    known = {**dict(line.split("=", 1) for line in lines), **arguments}

    def value(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise DefinitionError(f"found {found[0]}; expected one of %arguments: {list(known)}")
        return known[found[1]]

    def fill(text: str) -> str:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", value, text)

    return Stage(
        {key: fill(text) for key, text in stage.header.items()},
        {name: fill(text) for name, text in stage.sections.items()},
        [(source, fill(first), fill(second)) for source, first, second in stage.files],
    )


def check(stages: Sequence[Stage], folder: Path) -> None:
    """Refuse shell that has errors of syntax, and files that are neither in ``folder`` nor in a
    stage before."""
    names: list[str] = []
    for stage in stages:
        _ = stage.suite
        for name in SHELL:
            lines = stage.sections.get(name, "")
            ended = subprocess.run(["sh", "-n"], input=lines, capture_output=True, text=True)
            if ended.returncode:
                raise DefinitionError(f"%{name} of stage '{stage.name}': {ended.stderr.strip()}")
        for source, first, _ in stage.files:
            if source is not None and source not in names:
                raise DefinitionError(f"found %files from {source}; expected a stage of {names}")
            if source is None and not (folder / first).exists():
                raise DefinitionError(f"found %files {first}; expected it in {folder}")
        names.append(stage.name)


class Builder:
    """Builds the stages of a definition under ``folder``, from the files of ``context``."""

    def __init__(self, folder: Path, context: Path):
        self.folder, self.context, self.began = folder, context, time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:4.0f} s] {text}", flush=True)

    def build(self, stages: Sequence[Stage]) -> Path:
        """The root of the last stage."""
        roots: dict[str | None, Path] = {None: self.context}
        root = self.context
        for index, stage in enumerate(stages):
            root = self.folder / f"stage-{index}"
            self.unpack(stage.suite, root)
            for source, first, second in stage.files:
                start = roots[source] / first.lstrip("/")
                copy(start, root / second.lstrip("/"))
            self.post(stage, root)
            roots[stage.name] = root
        describe(stages[-1], root)
        self.say(f"image: {size(root)}")
        return root

    def unpack(self, suite: str, root: Path) -> None:
        """Debian's smallest system."""
        base = self.folder / f"{suite}.tar"
        if not base.exists():
            part = base.with_suffix(".part")
            ended = subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", suite, part],
                capture_output=True,
                text=True,
            )
            if ended.returncode:
                cannot(f"mmdebstrap could not unpack Debian {suite}: {ended.stderr.strip()[-500:]}")
            part.rename(base)
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        subprocess.run(["tar", "-C", root, "--exclude=./dev/*", "-xf", base], check=True)
        self.say(f"{suite}: {size(root)}")

    def post(self, stage: Stage, root: Path) -> None:
        """%post as root, with the network of this machine and nothing else of it."""
        if "post" not in stage.sections:
            return
        script = root / "post.sh"
        script.write_text(f"#!/bin/sh -e\n{stage.sections['post']}")
        settings = {
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **{name: os.environ[name] for name in FROM_HERE if name in os.environ},
        }
        log = self.folder / f"post-{stage.name}.log"
        with log.open("w") as output:
            ended = subprocess.run(
                ["unshare", "--mount", "sh", "-ec", INSIDE, "sh", str(root)],
                env=settings,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        script.unlink()
        if ended.returncode:
            sys.exit(f"{log.read_text()[-4000:]}\n%post of stage '{stage.name}' failed; see {log}")
        self.say(f"%post of stage '{stage.name}': {size(root)}")


INSIDE = """
for folder in proc sys dev; do mkdir -p "$1/$folder"; mount --rbind "/$folder" "$1/$folder"; done
mount -t tmpfs tmpfs "$1/tmp"
for file in /etc/resolv.conf /etc/hosts; do
  [ -e "$1$file" ] || : > "$1$file"
  mount --bind "$file" "$1$file"
done
if [ -n "${SSL_CERT_FILE:-}" ]; then
  cp -L "$SSL_CERT_FILE" "$1/tmp/certificates"
  export SSL_CERT_FILE=/tmp/certificates PIP_CERT=/tmp/certificates
fi
exec chroot "$1" /bin/sh -e /post.sh
"""
"""Runs %post in the root ``$1``, with the names and the certificates of this machine."""


def copy(source: Path, destination: Path) -> None:
    """As %files does: a file or a folder to a path, or into a folder that is there."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--no-preserve=ownership", source, destination], check=True)


def describe(stage: Stage, root: Path) -> None:
    """What Apptainer writes into an image."""
    folder = root / ".singularity.d"
    (folder / "env").mkdir(parents=True, exist_ok=True)
    (root / "mnt" / "work").mkdir(parents=True, exist_ok=True)
    (folder / "env" / "90-environment.sh").write_text(stage.sections.get("environment", ""))
    for name in ("runscript", "test"):
        script = folder / name
        script.write_text(f"#!/bin/sh\n{stage.sections.get(name, '')}")
        script.chmod(0o755)


def size(folder: Path) -> str:
    shown = subprocess.run(["du", "-sxm", folder], capture_output=True, text=True)
    return f"{shown.stdout.split()[0]} MB"


def enter(root: Path, work: Path, script: Path) -> None:
    """Write the command ``script``, which runs its arguments in the image ``root`` as apptainer
    exec does: read-only, without privileges, with the host's /dev, /proc, /sys and /tmp."""
    script.write_text(
        f"""#!/bin/sh
export USER=${{USER:-nobody}} HOME=${{HOME:-/tmp}}
exec ch-run --no-passwd --cd=/mnt/work --bind={work}:/mnt/work {root} -- /bin/sh -c \\
  '. /.singularity.d/env/90-environment.sh; exec "$@"' sh "$@"
"""
    )
    script.chmod(0o755)


class User:
    """Uses an image. ``scores``: of the twins so far."""

    def __init__(self, builder: Builder, root: Path):
        self.builder, self.work = builder, builder.folder / "work"
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        self.work.chmod(0o1777)
        self.enter, self.scores = builder.folder / "enter", {}
        enter(root, self.work, self.enter)
        (self.work / "twin.yaml").write_text(TWIN)
        self.settings = QUICK_TO_COMPILE | {"JAX_COMPILATION_CACHE_DIR": "/mnt/work/compiled"}

    def run(self, what: str, *command: str | Path, **settings: str) -> None:
        ended = subprocess.run(
            command,
            env=os.environ | self.settings | settings,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        if ended.returncode:
            sys.exit(f"{ended.stdout[-4000:]}\n{what} failed with code {ended.returncode}")
        self.builder.say(f"{what}: {ended.stdout.strip().splitlines()[-1]}")

    def twin(self, how: str, *start: str | Path, **settings: str) -> None:
        """A twin experiment on two ranks that ``start`` starts."""
        twin = ("dassim", "twin", "/mnt/work/twin.yaml", "--folder", f"/mnt/work/{how}")
        self.run(f"twin on 2 ranks, {how}", *start, *twin, **settings)
        self.scores[how] = (self.work / how / "scores.csv").read_bytes()
        if len(set(self.scores.values())) > 1:
            sys.exit(f"the scores differ: {self.work}/*/scores.csv")

    def slurm(self) -> None:
        """The twin under Slurm, by a user without privileges."""
        slurm, own = PROJECT / "tools" / "slurm", {"DASSIM_SLURM": "/tmp/dassim-slurm-container"}
        environment = os.environ | own
        started = subprocess.run([slurm, "up"], env=environment, capture_output=True, text=True)
        if started.returncode == CANNOT:
            self.builder.say(f"not under srun: {started.stderr.strip()}")
            return
        try:
            srun = ("srun", "--mpi=pmi2", "--nodes=2", "--ntasks=2", "--kill-on-bad-exit=1")
            self.twin("srun", slurm, "do", *srun, self.enter, **own)
        finally:
            subprocess.run([slurm, "down"], env=environment, check=True)


def use(builder: Builder, root: Path) -> None:
    user = User(builder, root)
    user.run("%test", user.enter, "/.singularity.d/test")
    user.twin("inside", user.enter, "mpiexec", "-n", "2")
    user.twin("hybrid", PROJECT / "tools" / "mpirun", "2", user.enter)
    user.slurm()


def require_means(programs: Iterable[str]) -> None:
    if os.geteuid() != 0:
        cannot("found no root, expected it, for chroot")
    for right in ("--mount", "--user"):
        if subprocess.run(["unshare", right, "true"], capture_output=True).returncode:
            cannot(f"found no right to unshare {right}, expected it, to build and enter an image")
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        cannot(f"found no {' and no '.join(missing)}, and no apt-get to install them")
    packages = [PROGRAMS[program] for program in missing]
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    print(f"installing {' '.join(packages)}", flush=True)
    for command in (["apt-get", "update", "-qq"], install):
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            cannot(f"found no {' and no '.join(missing)}, and could not install {packages}")


def cannot(why: str) -> None:
    print(f"tools/container-check: not run: {why}", file=sys.stderr)
    sys.exit(CANNOT)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/container-check", description=__doc__)
    parser.add_argument("definition", nargs="?", type=Path, default="containers/dassim.def")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/dassim-container"))
    parser.add_argument("--build-only", action="store_true", help="do not use the image")
    parser.add_argument("--keep", action="store_true", help="leave the image where it was built")
    options = parser.parse_args()
    try:
        stages = parse(options.definition.read_text(), {"commit": "checked"})
        check(stages, PROJECT)
    except (DefinitionError, OSError) as error:
        sys.exit(f"{options.definition}: {error}")
    require_means(PROGRAMS)
    builder = Builder(options.folder.resolve(), PROJECT)
    try:
        root = builder.build(stages)
        if not options.build_only:
            use(builder, root)
    finally:
        if not options.keep:
            shutil.rmtree(builder.folder, ignore_errors=True)
    builder.say(f"{options.definition} is in order")


if __name__ == "__main__":
    main()
