"""Gradients of a namelist of the ocean; ``tools/validate gradients`` takes all of them further."""

from __future__ import annotations

import pytest

from tests.validation import gradients


@pytest.mark.timeout(300)
def test_derivatives_from_rest_and_in_motion(monkeypatch):
    monkeypatch.setattr(gradients, "STEPS", 4)
    monkeypatch.setattr(gradients, "SPIN_UP", 4)
    for check in gradients.checks_of("double_gyre"):
        assert check.passed, f"{check.what}: found {check.got}, expected {check.expectation}"
