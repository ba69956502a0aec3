"""The README's tracer runs as it stands, and gives the same on any number of ranks."""

from __future__ import annotations

import numpy as np

from dassim.parallel import SerialCommunicator
from tests.models.readme import run_example


def test_the_example_is_the_same_on_any_number_of_ranks(monkeypatch):
    found = run_example("tendency")
    monkeypatch.setattr("dassim.parallel.domain.world", SerialCommunicator)
    alone = run_example("tendency")
    assert alone["sensitivity"].shape == alone["grid"].global_shape
    np.testing.assert_allclose(found["cost"], alone["cost"], rtol=1e-13)
    np.testing.assert_allclose(
        found["domain"].gather(found["sensitivity"]), alone["sensitivity"], rtol=1e-12
    )


def test_the_example_conserves_its_tracer():
    names = run_example("tendency")
    grid, c = names["grid"], names["start"]
    zero = np.zeros(grid.shape)
    change = names["tendency"](zero + 0.5, zero, c) * grid.owned(grid.area.c)
    size = names["domain"].sum(abs(change).sum())
    assert size > 0
    assert abs(names["domain"].sum(change.sum())) < 1e-12 * size
