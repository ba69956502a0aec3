"""Twin experiments and sensitivities of the namelists, on two ranks, as users run them."""

from __future__ import annotations

import csv
import math
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

PLACES = {"start": "at the start", "window": "in the window", "forecast": "in the forecast"}
"""By column of the printed table of errors."""
TIMES = tuple(PLACES)


@dataclass(frozen=True)
class Ended:
    """What a command has left in ``folder``, and what it ``printed``."""

    folder: Path
    printed: str

    def errors(self, run: str, variable: str) -> dict[str, float]:
        """At the window's start, within it and in the forecast beyond; NaN where there is none."""
        line = rf"^ *{run} +{re.escape(variable)} +(\S+) +(\S+) +(\S+)$"
        found = re.search(line, self.printed, re.MULTILINE)
        texts = found.groups() if found else "-" * len(TIMES)
        return {
            when: math.nan if text == "-" else float(text)
            for when, text in zip(TIMES, texts, strict=True)
        }

    def falls(self, variable: str, when: str, least: float) -> Check:
        """An error has become at least so many times smaller; one that is not scored has not."""
        before, after = (self.errors(run, variable)[when] for run in ("first guess", "analysis"))
        times = before / after if after else math.inf
        times = times if before > 0.0 else math.nan  # nothing was wrong
        return Check(f"error of {variable} {PLACES[when]} falls", least, times, bound="above")

    def costs(self) -> list[float]:
        with (self.folder / "iterations.csv").open(newline="") as lines:
            return [float(row["J"]) for row in csv.DictReader(lines)]


@contextmanager
def ended(command: str, name: str, *keys: str) -> Iterator[Ended]:
    """``dassim COMMAND`` of a namelist, at its end."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        line = [PROJECT / "tools" / "mpirun", "2", PROJECT / ".venv" / "bin" / "dassim", command]
        line += [NAMELISTS / f"{name}.yaml", "--folder", run]
        line += [word for key in keys for word in ("--set", key)]
        found = subprocess.run(line, cwd=PROJECT, capture_output=True, text=True)
        if found.returncode:
            raise RuntimeError(f"dassim {command} {name}: {found.stderr[-2000:]}")
        yield Ended(run, found.stdout)


@case("recovery of the double gyre", "DJ4Earth (Moses et al. 2026): 20 iterations", minutes=25)
def recovery_of_the_double_gyre():
    with ended("twin", "double_gyre") as twin:
        costs = twin.costs()
        for iterations in (20, 50, 100):
            at = min(iterations, len(costs) - 1)
            bound = 1e-6 if iterations == 100 else 1.0
            yield Check(f"J / J0 after {at} iterations", bound, costs[at] / costs[0], bound="below")
        for name in ("u", "v"):
            yield twin.falls(name, "start", 100.0)


@case("recovery of the channel", "perfect model, coarse variant", minutes=25)
def recovery_of_the_channel():
    with ended("twin", "reentrant_channel") as twin:
        for name in ("T", "u", "v", "eta"):
            yield twin.falls(name, "start", 10.0 if name == "T" else 1.0)
            yield twin.falls(name, "window", 10.0)
            yield twin.falls(name, "forecast", 10.0)


def recovery_of_the_world(name: str, observed: tuple[str, ...]):
    with ended("twin", name) as twin:
        for variable in observed:
            yield twin.falls(variable, "start", 1.0)
            yield twin.falls(variable, "window", 1.0)
        fit = re.search(r"2 J / p = (\S+)", twin.printed)
        yield Check("2 J / p", 2.0, float(fit[1]) if fit else math.nan, bound="below")


@case("recovery of the world", "from daily fields; first guess of another month", minutes=20)
def recovery_of_the_world_from_fields():
    yield from recovery_of_the_world("global_4deg", ("T", "S", "u", "v", "eta"))


@case("recovery of the world from profiles", "1000 columns of T and S, sea level", minutes=20)
def recovery_of_the_world_from_profiles():
    yield from recovery_of_the_world("global_4deg_profiles", ("T", "S", "eta"))


def recovery_of_air(name: str, observed: tuple[str, ...]):
    with ended("twin", name) as twin:
        for variable in observed:
            yield twin.falls(variable, "start", 10.0)


@case("recovery of the barotropic jet", "perfect model, two days, six-hourly", minutes=5)
def recovery_of_the_jet():
    yield from recovery_of_air("galewsky", ("u", "v", "h"))


@case("recovery of a growing wave", "perfect model, two days, six-hourly", minutes=30)
def recovery_of_the_wave():
    yield from recovery_of_air("jablonowski_williamson", ("u", "v", "T"))


def sensitivity(name: str, *overrides: str):
    """At two points of each of the six fields."""
    with ended("sensitivity", name, "sensitivity.points=2", *overrides) as run:
        found = re.search(r"largest relative difference: ([^;]+);", run.printed)
        apart = float(found[1]) if found else math.nan
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
