"""Derivatives against finite differences: at which points, by which steps, the verdict."""

import math
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import pytest

from dassim.assimilation import objectives
from dassim.assimilation.control import Control
from dassim.assimilation.differences import Comparison, Verdict
from dassim.parallel import Domain

AGREES, CONTRADICTS, UNKNOWN = Verdict.AGREES, Verdict.CONTRADICTS, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("adjoint", "differences", "error", "verdict"),
    [
        (2.0, 2.00001, 1e-7, AGREES),
        (2.0, 2.001, 1e-7, CONTRADICTS),
        (2.0, 2.001, 1e-3, AGREES),
        (2.0, 2.004, 1e-3, CONTRADICTS),
        (0.0, 2.0, 1e-2, CONTRADICTS),
        (-2.0, 2.0, 1e-2, CONTRADICTS),
        (-2.0, 2.0, 1.5, UNKNOWN),
        (2.0, math.nan, math.inf, UNKNOWN),
        (0.0, 2.0, math.inf, UNKNOWN),
        (0.0, 0.0, 1e3, AGREES),
        (0.0, 1e-9, 1e-9, AGREES),
    ],
)
def test_the_verdict_is_by_the_tolerance_or_by_what_differences_know(
    adjoint, differences, error, verdict
):
    assert Comparison("T", (0, 0), adjoint, differences, error).verdict(1e-5) is verdict


@pytest.mark.parametrize(("magnitude", "smallest"), [(1.0, 2.2e-9), (100.0, 4.4e-8)])
def test_steps_fit_the_tolerance_and_points_are_clear(monkeypatch, magnitude, smallest):
    """Of a number that is 10, by points with derivatives 2 and 0.1: half the tolerance is left to
    round-off, of the number, or of what is changed."""
    slopes = jnp.where(jnp.eye(4) > 0, 2.0, 0.1)
    nothing, tried = Control({"T": jnp.zeros((4, 4))}, {}), []

    def value(objective, control):
        change = control.distributed["T"]
        tried.append(float(jnp.abs(change).sum()))
        return 10.0 + float((slopes * change).sum())

    monkeypatch.setattr(objectives, "value", value)
    domain = Domain.serial((4, 4))
    objective: Any = SimpleNamespace(
        transform=SimpleNamespace(zero=lambda: nothing), run=SimpleNamespace(domain=domain)
    )
    found = list(
        objectives.compare_at_points(
            objective,
            Control({"T": slopes}, {}),
            {"T": magnitude},
            points=10,
            tolerance=1e-5,
        )
    )
    assert sorted(each.index for each in found) == [(n, n) for n in range(4)]
    assert all(each.verdict(1e-5) is AGREES and each.uncertain < 1e-5 for each in found)
    assert min(each for each in tried if each) == pytest.approx(smallest, rel=0.02)
