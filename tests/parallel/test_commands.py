"""Commands that differentiate, called by two ranks together: the numbers of one rank."""

from __future__ import annotations

import csv
import re
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import jax.numpy as jnp
import pytest

from dassim.cli import main
from dassim.config import Namelist, experiment, load
from dassim.config.experiment import Experiment
from dassim.config.objectives import Number, Objectives
from dassim.config.sensitivity import build_sensitivity, magnitudes
from dassim.parallel import SerialCommunicator, world
from tests.models.plate import Plate

pytestmark = pytest.mark.ranks(2)

OCEAN = Path(__file__).parents[1] / "unit" / "config" / "data" / "ocean.yaml"

NAMELIST = f"""
base: {OCEAN}
name: plate
time: {{duration: 30 min, step: 1 min}}
snapshots: {{every: 5 min}}
assimilation:
  window: {{start: 10 min, length: 10 min}}
  data: [{{every: 5 min, errors: {{T: 0.1 K}}, noise: true}}]
  control: {{state: {{T: 1 K}}, parameters: {{growth: 1e-3, loss: 1e-3}}}}
  background: {{type: uncorrelated}}
  minimiser: {{type: lbfgs, iterations: 5}}
sensitivity:
  window: {{start: 10 min, length: 10 min}}
  objective: {{type: kinetic_energy}}
  by: [T, growth, loss]
  points: 3
  tolerance: 1e-7
"""


class Cooled(Plate):
    """Loses heat everywhere alike: ``loss`` is one number for all ranks."""

    grid: ClassVar[None] = None

    def parameters(self, hot=None):
        return super().parameters(hot) | {"loss": jnp.asarray(0.01)}

    def step(self, parameters, state):
        after = super().step(parameters, state)
        return replace(after, T=(1.0 - parameters["loss"]) * after.T)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """What the namelist describes is the plate; its number is a sum of which a rank has a share.
    Maps are left to other tests."""

    def build(namelist, comm=None):
        model = Cooled.create(comm=comm)
        known = Objectives(lambda *_: Number("energy", "K2", lambda state: jnp.sum(state.T**2)))
        parameters, state = model.parameters(), model.state()
        return Experiment(namelist.name, model, parameters, state, namelist.time, objectives=known)

    monkeypatch.setattr("dassim.config.experiment.build_experiment", build)
    monkeypatch.setattr("dassim.cli.sensitivity.draw", lambda _: None)


@pytest.fixture
def dassim(folder, capsys, monkeypatch):
    """``dassim(comm, "run", ...)``: what root prints, of a command that ends with code 0."""
    path = folder / "plate.yaml"
    if world().is_root:
        path.write_text(NAMELIST)
    world().barrier()

    def called(comm, command, *arguments):
        words = [command, path, *arguments]
        monkeypatch.setattr("dassim.parallel.world", lambda: comm)
        monkeypatch.setattr(
            "dassim.parallel.abort_on_error", lambda _: nullcontext()
        )  # pytest tells
        monkeypatch.setattr(sys, "argv", ["dassim", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert not ended.value.code, printed.out + printed.err
        return printed.out

    return called


@pytest.fixture
def nature(dassim, folder):
    dassim(world(), "run", "-o", folder / "nature")
    return folder / "nature"


def both(dassim, *words, folder):
    """What the command prints on all ranks, in the folder ``together``, and on root ``alone``."""
    comm = world()

    def own(name):
        return [*words, "-o", folder / name] if folder is not None else words

    together = dassim(comm, *own("together"))
    alone = dassim(SerialCommunicator(), *own("alone")) if comm.is_root else None
    return comm.bcast(together), comm.bcast(alone)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_sensitivity(dassim, folder):
    together, alone = both(dassim, "sensitivity", folder=folder)
    lines = [re.findall(r"^(T|growth|loss) (.*)", text, re.MULTILINE) for text in (together, alone)]
    assert len(lines[0]) == len(lines[1]) == 7
    for (name, found), (other, expected) in zip(*lines, strict=True):
        *place, adjoint, differences, _, apart = found.split()
        *same, value, other_differences, _, _ = expected.split()
        assert (name, place) == (other, same)
        assert float(adjoint) == pytest.approx(float(value), rel=1e-7)
        assert float(differences) == pytest.approx(float(other_differences), rel=2e-7)
        assert float(apart) <= 1e-7
    assert "at most 1.00e-07 at 7 of 7 points" in together
    (found,), (expected,) = (
        table(folder / name / "sensitivity.csv") for name in ("together", "alone")
    )
    assert float(found["derivative"]) == pytest.approx(float(expected["derivative"]), rel=1e-12)
    assert found["name"] == "loss" and float(found["derivative"]) < 0.0


def test_magnitudes_are_those_of_the_whole_domain(dassim, folder):
    namelist = load(folder / "plate.yaml", Namelist).namelist

    def found(comm):
        one = experiment.build_experiment(namelist, comm)
        return magnitudes(build_sensitivity(namelist, one, folder))

    comm = world()
    alone = found(SerialCommunicator())
    assert comm.allgather(found(comm)) == [alone] * comm.size
    assert alone["state.T"] > 19.0 and alone["parameters.growth"] == 1.0


def test_verify_adjoint(dassim, nature):
    words = ("verify-adjoint", "--nature", nature, "--steps", 1, "--spin-up", 1)
    together, alone = (text.split("\n\n") for text in both(dassim, *words, folder=None))
    assert together[0] == alone[0] and together[-1] == "all tests passed\n"
    found, expected = numbers(together), numbers(alone)
    assert list(found) == list(expected) and len(found) == 7
    for title, number in found.items():
        assert number == pytest.approx(expected[title], rel=1e-3), title


def numbers(parts):
    """An inner product, a remainder, or an order: the second number below each title."""
    tests = (part.splitlines() for part in parts if part.startswith(("Dot", "Taylor")))
    return {
        title: float(re.findall(r"-?\d\.\d{4}e[+-]\d\d", row)[1]) for title, _, row, *_ in tests
    }


def test_assimilate(dassim, folder, nature):
    both(dassim, "assimilate", "--nature", nature, folder=folder)
    found, expected = (table(folder / name / "iterations.csv") for name in ("together", "alone"))
    assert len(found) == len(expected) == 6
    for name in ("Jb", "Jo.T", "J", "|g|"):
        assert float(found[0][name]) == pytest.approx(float(expected[0][name]), rel=1e-12)
    for one, other in zip(found, expected, strict=True):
        assert float(one["J"]) == pytest.approx(float(other["J"]), rel=1e-8)
