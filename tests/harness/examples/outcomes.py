"""Tests whose outcome is known, for the test of the launcher; not collected by name."""

import pytest
from mpi4py import MPI

pytestmark = pytest.mark.ranks(2)


def test_passes_everywhere():
    assert MPI.COMM_WORLD.allreduce(1) == 2


def test_fails_on_one_rank():
    assert MPI.COMM_WORLD.rank != 1, "only rank 1 sees this"


def test_is_skipped_on_one_rank():
    if MPI.COMM_WORLD.rank == 0:
        pytest.skip("not here")


def test_is_skipped_everywhere():
    pytest.skip("nowhere")


@pytest.fixture
def broken_on_rank_1():
    if MPI.COMM_WORLD.rank == 1:
        raise OSError("no such file on rank 1")


def test_whose_fixture_fails_on_one_rank(broken_on_rank_1):
    pass


@pytest.mark.ranks(1)
def test_for_one_process():
    pass
