"""Ranks that collect different tests, for the test of the launcher; not collected by name."""

import pytest
from mpi4py import MPI


@pytest.mark.ranks(2)
@pytest.mark.parametrize("case", range(1 + MPI.COMM_WORLD.rank))
def test_case(case):
    pass
