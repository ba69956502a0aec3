"""Tests that never end, for the test of the watchdog; not collected by name."""

import jax
import jax.numpy as jnp
import pytest

pytestmark = [pytest.mark.ranks(2), pytest.mark.timeout(5)]


def test_a_rank_fails_before_a_collective_call():
    import mpi4jax
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 1:
        raise ValueError("negative layer thickness")
    jax.jit(lambda x: mpi4jax.allreduce(x, MPI.SUM, comm=MPI.COMM_WORLD))(jnp.ones(3))
