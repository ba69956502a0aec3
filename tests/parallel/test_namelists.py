"""Every namelist of the ocean gives the same state on any number of ranks."""

from __future__ import annotations

import pytest

from tests.models.namelists import OCEAN, SMALLER, differences_between_ranks


@pytest.mark.ranks(2, 3)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", OCEAN)
def test_five_steps_are_the_same_as_on_one_rank(name, data_directory, monkeypatch):
    monkeypatch.setenv("DASSIM_DATA", str(data_directory))
    differences = differences_between_ranks(name, 5, SMALLER.get(name, ()))
    assert max(differences.values()) <= 1e-12, differences
