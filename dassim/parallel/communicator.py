"""Who takes part in a run: one process, or the ranks of an MPI communicator.

Objects travel on the host side (``bcast``, ``gather``, ...); arrays inside compiled programs
travel through the primitives of :mod:`dassim.parallel.primitives`.
"""

from __future__ import annotations

import abc
import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn

from dassim.parallel.failure import abort_when_uncaught, hand_over

# Set by the usual launchers (Open MPI, MPICH and Intel's Hydra, PMIx, Slurm's srun, Cray PALS).
SIZE_VARIABLES = (
    "OMPI_COMM_WORLD_SIZE",
    "PMI_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "SLURM_STEP_NUM_TASKS",
)
LAUNCHER_VARIABLES = (*SIZE_VARIABLES, "PMI_RANK", "PMIX_RANK", "PALS_RANKID")


class AbstractCommunicator(abc.ABC):
    """Ranks ``0 ... size - 1`` that run the same program. Immutable and hashable."""

    rank: int
    size: int

    @property
    def is_root(self) -> bool:
        return self.rank == 0

    @abc.abstractmethod
    def barrier(self) -> None:
        """Return once every rank has called it."""

    @abc.abstractmethod
    def bcast(self, value: Any, root: int = 0) -> Any:
        """The root's picklable ``value``, on every rank."""

    @abc.abstractmethod
    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """Every rank's picklable ``value`` in rank order on the root, ``None`` elsewhere."""

    @abc.abstractmethod
    def allgather(self, value: Any) -> list[Any]:
        """Every rank's picklable ``value`` in rank order, on every rank."""

    @abc.abstractmethod
    def split(self, colour: int) -> AbstractCommunicator:
        """A communicator of its own for the ranks that give the same ``colour``, in this order."""

    @property
    @abc.abstractmethod
    def concurrent(self) -> bool:
        """Whether several threads of a rank may send messages at a time."""

    @property
    @abc.abstractmethod
    def same_in_later_runs(self) -> bool:
        """Whether programs compiled for it serve the same rank of a later run."""

    @abc.abstractmethod
    def abort(self, code: int = 1) -> NoReturn:
        """End every rank at once with ``code``."""
        raise NotImplementedError


class AbstractLoneCommunicator(AbstractCommunicator):
    """One process without messages: what all ranks have is what it has."""

    def barrier(self) -> None:
        pass

    def bcast(self, value: Any, root: int = 0) -> Any:
        return value

    def gather(self, value: Any, root: int = 0) -> list[Any]:
        return self.allgather(value)

    def allgather(self, value: Any) -> list[Any]:
        return [value] * self.size

    def split(self, colour: int) -> AbstractCommunicator:
        return self

    @property
    def concurrent(self) -> bool:
        return True

    @property
    def same_in_later_runs(self) -> bool:
        return True

    def abort(self, code: int = 1) -> NoReturn:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class SerialCommunicator(AbstractLoneCommunicator):
    """One rank, without MPI. All of them are equal: programs compiled for one serve another."""

    rank = 0
    size = 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SerialCommunicator)

    def __hash__(self) -> int:
        return hash(SerialCommunicator)

    def __repr__(self) -> str:
        return "SerialCommunicator()"


class MPICommunicator(AbstractCommunicator):
    """The ranks of an mpi4py intra-communicator, ``MPI.COMM_WORLD`` when none is given.

    Messages of compiled programs travel on a duplicate, ``device_mpi``: JAX dispatches programs
    asynchronously, so that one may still be sending while the host side calls ``allgather``. Hashed
    by identity; make one per run (:func:`world`).
    """

    def __init__(self, comm: Any = None):
        try:
            import mpi4jax  # noqa: F401
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # RuntimeError: built for another MPI
            raise ImportError(
                f"a run on MPI ranks needs mpi4py and mpi4jax, found neither or a broken one "
                f"({error}); install dassim[mpi], or start one process without a launcher"
            ) from error
        self.mpi = MPI.COMM_WORLD if comm is None else comm
        self.device_mpi = self.mpi.Dup()
        self.rank = self.mpi.Get_rank()
        self.size = self.mpi.Get_size()

    def barrier(self) -> None:
        self.mpi.Barrier()

    def bcast(self, value: Any, root: int = 0) -> Any:
        return self.mpi.bcast(value, root=root)

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        return self.mpi.gather(value, root=root)

    def allgather(self, value: Any) -> list[Any]:
        return self.mpi.allgather(value)

    def split(self, colour: int) -> AbstractCommunicator:
        part = self.mpi.Split(colour, self.rank)
        return MPICommunicator(part) if part.Get_size() > 1 else SerialCommunicator()

    @property
    def concurrent(self) -> bool:
        from mpi4py import MPI

        return MPI.Query_thread() == MPI.THREAD_MULTIPLE

    @property
    def same_in_later_runs(self) -> bool:
        from mpi4py import MPI

        # Programs hold the communicator's handle: an address in Open MPI, else a number.
        return MPI.get_vendor()[0] != "Open MPI"

    def abort(self, code: int = 1) -> NoReturn:
        hand_over(sys.stdout, sys.stderr)
        self.mpi.Abort(code)
        os._exit(code)

    def __repr__(self) -> str:
        return f"MPICommunicator(rank={self.rank}, size={self.size})"


def launched_by_mpi(environment: Mapping[str, str]) -> bool:
    """Whether a launcher's variables in ``environment`` tell of several ranks, or of a rank
    without saying how many there are."""
    sizes = {environment[name] for name in SIZE_VARIABLES if name in environment}
    return sizes != {"1"} and any(name in environment for name in LAUNCHER_VARIABLES)


def world(environment: Mapping[str, str] | None = None) -> AbstractCommunicator:
    """All ranks of this run: MPI's world under a launcher, else this one process.

    The same object on every call, because compiled programs are cached by communicator. With more
    than one rank, an exception that nobody catches ends all of them from now on.
    """
    if launched_by_mpi(os.environ if environment is None else environment):
        return _mpi_world()
    return _serial_world()


@cache
def _serial_world() -> SerialCommunicator:
    return SerialCommunicator()


@cache
def _mpi_world() -> AbstractCommunicator:
    comm = MPICommunicator()
    if comm.size == 1:
        return _serial_world()
    abort_when_uncaught(comm)
    return comm
