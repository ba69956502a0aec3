"""Ranks, blocks, halos and global sums: the layer that hides where a point lives."""

from dassim.parallel.communicator import (
    AbstractCommunicator,
    MPICommunicator,
    SerialCommunicator,
    launched_by_mpi,
    world,
)
from dassim.parallel.compilation import compiled
from dassim.parallel.decomposition import Block, Decomposition, DecompositionError
from dassim.parallel.domain import Domain
from dassim.parallel.failure import AgreedExit, abort_on_error
from dassim.parallel.rematerialisation import received
from dassim.parallel.standin import StandInCommunicator

__all__ = [
    "AbstractCommunicator",
    "AgreedExit",
    "Block",
    "Decomposition",
    "DecompositionError",
    "Domain",
    "MPICommunicator",
    "SerialCommunicator",
    "StandInCommunicator",
    "abort_on_error",
    "compiled",
    "launched_by_mpi",
    "received",
    "world",
]
