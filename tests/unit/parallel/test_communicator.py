"""One process without MPI, and how a run finds out that it has ranks."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dassim.parallel import (
    Domain,
    MPICommunicator,
    SerialCommunicator,
    abort_on_error,
    launched_by_mpi,
    world,
)


@pytest.mark.parametrize(
    ("variables", "launched"),
    [
        ({}, False),
        ({"HOME": "/root", "SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, False),  # a batch script
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"PMI_RANK": "0"}, True),
        ({"PMIX_RANK": "0"}, True),
        ({"SLURM_STEP_NUM_TASKS": "4"}, True),
        ({"SLURM_STEP_NUM_TASKS": "1", "PMI_RANK": "0", "PMI_SIZE": "1"}, False),  # srun -n 1
        ({"SLURM_STEP_NUM_TASKS": "1", "PMI_RANK": "0", "PMI_SIZE": "2"}, True),  # mpiexec in it
    ],
)
def test_a_launcher_is_known_by_its_variables(variables, launched):
    assert launched_by_mpi(variables) is launched
    if not launched:
        assert world(variables) == SerialCommunicator()


def test_one_process_talks_to_itself():
    comm = SerialCommunicator()
    comm.barrier()
    assert (comm.rank, comm.size, comm.is_root) == (0, 1, True)
    assert comm.bcast("x") == "x"
    assert comm.gather("x") == comm.allgather("x") == ["x"]


def test_programs_compiled_for_one_serial_domain_serve_another():
    traced = []

    def wide(domain, x):
        traced.append(domain)
        return domain.exchange(x, 1)

    compiled = jax.jit(wide, static_argnums=0)
    for _ in range(3):
        compiled(Domain.serial((4, 5)), jnp.ones((4, 5)))
    compiled(Domain.serial((4, 5), periodic=(True, False)), jnp.ones((4, 5)))
    assert len(traced) == 2


def test_without_mpi_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4jax", None)
    with pytest.raises(ImportError, match=r"needs mpi4py and mpi4jax.*install dassim\[mpi\]"):
        MPICommunicator()


def test_mpi_libraries_that_do_not_fit_are_told_like_missing_ones(monkeypatch, tmp_path):
    (tmp_path / "mpi4jax.py").write_text("raise RuntimeError('MPI ABI incompatibility')")
    monkeypatch.delitem(sys.modules, "mpi4jax", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"a broken one \(MPI ABI incompatibility\)"):
        MPICommunicator()


def test_an_error_on_the_only_rank_goes_on_its_way(capfd):
    for error in (ValueError("no such file"), SystemExit(3), SystemExit(0)):
        with pytest.raises(type(error)) as caught, abort_on_error(SerialCommunicator()):
            raise error
        assert caught.value is error
    assert capfd.readouterr().err == ""


def test_a_block_is_read_without_reading_the_rest():
    """An open file variable is sliced once, over the rows and columns that are needed."""

    asked = []

    class Variable:
        shape = (3, 40, 50)

        def __getitem__(self, index):
            asked.append(index)
            return np.arange(3 * 40 * 50.0).reshape(self.shape)[index]

    class Rank(SerialCommunicator):
        rank, size = 3, 4

    domain = Domain.create((40, 50), layout=(2, 2), comm=Rank())
    variable = Variable()
    block = domain.local(variable, width=2)
    assert block.shape == (3, 24, 29)
    assert asked == [(Ellipsis, slice(18, 40), slice(23, 50))]
    with pytest.raises(ValueError, match=r"found .* \(3, 40, 50\); expected \(\.\.\., 40, 60\)"):
        Domain.serial((40, 60)).local(variable)
