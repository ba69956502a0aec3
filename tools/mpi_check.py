"""Every rank hands its number to the next one through a compiled mpi4jax program.

Run on two ranks at the end of tools/setup: it shows that mpi4py, mpi4jax, jax and the launcher
belong together.
"""

import sys

import jax
import mpi4jax
from mpi4py import MPI

comm = MPI.COMM_WORLD
expected_ranks = int(sys.argv[1])
if comm.size != expected_ranks:
    sys.exit(
        f"found {comm.size} ranks, expected {expected_ranks}: mpiexec and mpi4py belong to "
        "different MPI libraries"
    )
previous, following = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size


@jax.jit
def from_previous(number):
    return mpi4jax.sendrecv(number, number, previous, following, comm=comm)


received = float(from_previous(jax.numpy.float32(comm.rank)))
if received != previous:
    sys.exit(f"rank {comm.rank} received {received} from rank {previous}")
if comm.rank == 0:
    library = " ".join(MPI.Get_library_version().split(",")[0].splitlines()[0].split())
    versions = f"jax {jax.__version__}, mpi4jax {mpi4jax.__version__}"
    print(f"{comm.size} ranks exchanged a message: {library}, {versions}")
