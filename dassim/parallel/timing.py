"""How long ranks take for what they do together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

from dassim.parallel.communicator import AbstractCommunicator


def slowest_seconds(call: Callable[[], Any], comm: AbstractCommunicator) -> float:
    """Until the arrays that ``call`` gives are there on the slowest rank. All ranks call this
    together, and begin together."""
    comm.barrier()
    begin = time.perf_counter()
    jax.block_until_ready(call())
    return max(comm.allgather(time.perf_counter() - begin))
