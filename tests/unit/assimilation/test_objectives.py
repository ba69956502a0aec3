"""Finite differences of a number, on one that rounds and bends as wanted."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from dassim.assimilation import objectives
from dassim.assimilation.control import Control
from dassim.parallel import Domain

SLOPE = 2.0
NOTHING = Control({"T": jnp.zeros((4, 4))}, {})
GRADIENT = Control({"T": SLOPE * jnp.ones((4, 4))}, {})


def compared(monkeypatch, number, step, tolerance):
    """By a step of finite differences of ``number(change)``, at one point."""
    tried = []

    def value(objective, control):
        change = float(control.distributed["T"].sum())
        tried.append(abs(change))
        return number(change)

    monkeypatch.setattr(objectives, "value", value)
    domain = Domain.serial((4, 4))
    objective = SimpleNamespace(
        transform=SimpleNamespace(zero=lambda: NOTHING), run=SimpleNamespace(domain=domain)
    )
    steps = {"T": step}
    (found,) = objectives.compare_at_points(
        objective,  # type: ignore[arg-type]
        GRADIENT,
        steps,
        1,
        tolerance=tolerance,
    )
    return found.apart, sorted({float(f"{change:.3g}") for change in tried})


def test_a_good_step_is_tried_alone(monkeypatch):
    apart, tried = compared(monkeypatch, lambda x: SLOPE * x + x**3, 1e-2, 1e-6)
    assert apart < 1e-12 and tried == [5e-3, 1e-2]  # the extrapolation knows cubics


@pytest.mark.parametrize(
    ("number", "larger"),
    [
        (lambda x: float(np.round(1e3 + SLOPE * x, 5)), True),
        (lambda x: SLOPE * min(x, 2e-3), False),
    ],
    ids=["rounds", "bends"],
)
def test_where_a_step_does_not_do_larger_and_smaller_ones_are_tried(monkeypatch, number, larger):
    apart, tried = compared(monkeypatch, number, 3.4567e-3, 3e-4)
    assert apart < 3e-4
    assert tried[-1] == pytest.approx(3.46e-2)
    assert tried[0] == pytest.approx(1.73e-3 if larger else 1.73e-4)


def test_without_a_tolerance_there_is_one_step(monkeypatch):
    apart, tried = compared(monkeypatch, lambda x: SLOPE * min(x, 2e-3), 4e-3, 0.0)
    assert apart > 0.05 and tried == [2e-3, 4e-3]
