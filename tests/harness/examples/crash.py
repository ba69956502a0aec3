"""A rank that dies, for the test of the launcher; not collected by name."""

import os

import pytest
from mpi4py import MPI

pytestmark = pytest.mark.ranks(2)


def test_before():
    pass


def test_a_rank_dies():
    if MPI.COMM_WORLD.rank == 1:
        os._exit(7)
    MPI.COMM_WORLD.barrier()
