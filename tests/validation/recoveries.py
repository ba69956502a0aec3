"""Twin experiments and sensitivities of the namelists, on two ranks, as users run them."""

from __future__ import annotations

import csv
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.models.namelists import PROJECT
from tests.validation.report import Check, case

NAMELISTS = PROJECT / "namelists" / "assimilation"


@dataclass(frozen=True)
class Twin:
    """What ``dassim twin`` has left in ``folder``."""

    folder: Path

    def rows(self, file: str) -> list[dict[str, str]]:
        with (self.folder / file).open(newline="") as lines:
            return list(csv.DictReader(lines))

    def rmse(self, run: str) -> dict[str, float]:
        """By variable, at the window's start."""
        scores = [row for row in self.rows("scores.csv") if row["run"] == run]
        first = min(int(row["step"]) for row in scores)
        return {row["variable"]: float(row["rmse"]) for row in scores if int(row["step"]) == first}

    def better(self) -> dict[str, float]:
        """How many times smaller the error at the start has become, of what was wrong."""
        before, after = self.rmse("first guess"), self.rmse("analysis")
        return {name: error / after[name] for name, error in before.items() if error}

    def costs(self) -> list[float]:
        return [float(row["J"]) for row in self.rows("iterations.csv")]


@contextmanager
def ended(command: str, name: str, *keys: str) -> Iterator[tuple[Twin, str]]:
    """``dassim COMMAND`` of a namelist: its folder, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        line = [PROJECT / "tools" / "mpirun", "2", PROJECT / ".venv" / "bin" / "dassim", command]
        line += [NAMELISTS / f"{name}.yaml", "--folder", run]
        line += [word for key in keys for word in ("--set", key)]
        found = subprocess.run(line, cwd=PROJECT, capture_output=True, text=True)
        if found.returncode:
            raise RuntimeError(f"dassim {command} {name}: {found.stderr[-2000:]}")
        yield Twin(run), found.stdout


@case("recovery of the double gyre", "DJ4Earth (Moses et al. 2026): 20 iterations", minutes=25)
def recovery_of_the_double_gyre():
    with ended("twin", "double_gyre") as (twin, _):
        costs = twin.costs()
        for iterations in (20, 50, 100):
            at = min(iterations, len(costs) - 1)
            bound = 1e-6 if iterations == 100 else 1.0
            yield Check(f"J / J0 after {at} iterations", bound, costs[at] / costs[0], bound="below")
        for name, times in twin.better().items():
            yield Check(f"error of {name} at the start falls", 100.0, times, bound="above")


@case("recovery of the channel", "perfect model, coarse variant", minutes=25)
def recovery_of_the_channel():
    with ended("twin", "reentrant_channel") as (twin, _):
        for name, times in twin.better().items():
            least = 10.0 if name == "T" else 1.0
            yield Check(f"error of {name} at the start falls", least, times, bound="above")


def recovery_of_the_world(name: str, observed: tuple[str, ...]):
    with ended("twin", name) as (twin, printed):
        for variable, times in twin.better().items():
            if variable in observed:
                what = f"error of {variable} at the start falls"
                yield Check(what, 1.0, times, bound="above")
        fit = re.search(r"2 J / p = (\S+)", printed)
        yield Check("2 J / p", 2.0, float(fit[1]) if fit else float("nan"), bound="below")


@case("recovery of the world", "from daily fields; first guess of another month", minutes=20)
def recovery_of_the_world_from_fields():
    yield from recovery_of_the_world("global_4deg", ("T", "S", "u", "v", "eta"))


@case("recovery of the world from profiles", "1000 columns of T and S, sea level", minutes=20)
def recovery_of_the_world_from_profiles():
    yield from recovery_of_the_world("global_4deg_profiles", ("T", "S", "eta"))


def recovery_of_air(name: str, observed: tuple[str, ...]):
    with ended("twin", name) as (twin, _):
        better = twin.better()
        for variable in observed:
            what = f"error of {variable} at the start falls"
            yield Check(what, 10.0, better[variable], bound="above")


@case("recovery of the barotropic jet", "perfect model, two days, six-hourly", minutes=5)
def recovery_of_the_jet():
    yield from recovery_of_air("galewsky", ("u", "v", "h"))


@case("recovery of a growing wave", "perfect model, two days, six-hourly", minutes=30)
def recovery_of_the_wave():
    yield from recovery_of_air("jablonowski_williamson", ("u", "v", "T"))


def sensitivity(name: str, *overrides: str):
    """At two points of each of the six fields."""
    with ended("sensitivity", name, "sensitivity.points=2", *overrides) as (_, printed):
        found = re.search(r"largest relative difference: ([^;]+);", printed)
        apart = float(found[1]) if found else float("nan")
        yield Check("adjoint and differences differ by", 1e-5, apart, bound="below")


@case("sensitivity of the coarse channel", "identities; 14 days", minutes=30)
def sensitivity_of_the_coarse_channel():
    yield from sensitivity("channel_sensitivity_coarse")


@case("sensitivity without upwinding", "identities; the coarse channel, 14 days", minutes=30)
def sensitivity_without_upwinding():
    """What is upstream turns with the flow, and the channel begins at rest: a kink beyond which
    finite differences know less than an adjoint does. Centred schemes have none."""
    centred = "{type: centred, order: 4}"
    overrides = (f"physics.tracers={centred}", f"physics.momentum.scheme={centred}")
    yield from sensitivity("channel_sensitivity_coarse", *overrides)


@case("sensitivity of the channel", "identities; 14 days at full resolution", minutes=120)
def sensitivity_of_the_channel():
    yield from sensitivity("channel_sensitivity")
