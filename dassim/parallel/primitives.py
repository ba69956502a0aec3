"""The two linear JAX primitives that carry all messages of compiled programs.

Both are symmetric as operators on the fields of all ranks together, so each is its own transpose:

* ``neighbour_swap``: rank r hands a strip to its low and to its high neighbour along an axis and
  gets theirs. It permutes strips pairwise (r's high strip <-> r+1's low strip), and a
  permutation made of exchanges equals its transpose. Nothing comes from behind a wall: zeros.
* ``all_sum``: every rank gets the sum over ranks. Transposed under the convention that a cost is
  the SUM over ranks of local shares: the cotangents of all ranks are summed.

mpi4jax's own rules are not used: its ``sendrecv`` has no forward-mode rule, and the transpose of
its ``allreduce`` is the identity, which is wrong inside a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir, xla

from dassim.parallel.communicator import MPICommunicator
from dassim.parallel.standin import StandInCommunicator

Ranks = MPICommunicator | StandInCommunicator


@dataclass(frozen=True)
class Neighbours:
    """The ranks on either side along one axis; ``None`` is a wall."""

    comm: Ranks
    low: int | None
    high: int | None


@cache
def _mpi_effect():
    """mpi4jax's ordered effect, allowed inside ``jax.checkpoint``.

    ``remat_allowed_effects`` is the one private JAX name that dassim uses.
    """
    from jax._src.effects import remat_allowed_effects  # noqa: TID251
    from mpi4jax._src.utils import ordered_effect

    remat_allowed_effects.add_type(type(ordered_effect))
    return ordered_effect


def neighbour_swap(to_low, to_high, neighbours: Neighbours):
    """``(from_low, from_high)``: what both neighbours sent here; zeros where there is none.

    ``from_low`` has the shape of ``to_low``, ``from_high`` that of ``to_high``.
    """
    from_low, from_high = neighbour_swap_p.bind(to_low, to_high, neighbours=neighbours)
    return from_low, from_high


def all_sum(x, comm: Ranks):
    """Elementwise sum of ``x`` over ranks, on every rank."""
    return all_sum_p.bind(jnp.asarray(x), comm=comm)


def all_extreme(x, comm: Ranks, op: str):
    """Elementwise ``"max"`` or ``"min"`` of ``x`` over ranks; constant under differentiation."""
    if isinstance(comm, StandInCommunicator):
        return jax.lax.stop_gradient(jnp.asarray(x))
    import mpi4jax
    from mpi4py import MPI

    _mpi_effect()
    x = jax.lax.stop_gradient(jnp.asarray(x))
    return mpi4jax.allreduce(x, {"max": MPI.MAX, "min": MPI.MIN}[op], comm=comm.device_mpi)


def _effects(comm: Ranks) -> set:
    return set() if isinstance(comm, StandInCommunicator) else {_mpi_effect()}


def _swap_lowered(to_low, to_high, *, neighbours):
    if isinstance(neighbours.comm, StandInCommunicator):
        low, high = (each is not None for each in (neighbours.low, neighbours.high))
        none = jnp.zeros_like(to_low), jnp.zeros_like(to_high)
        return (to_high if low else none[0]), (to_low if high else none[1])
    import mpi4jax
    from mpi4py import MPI

    def send(strip, dest, source, tag):
        nowhere = MPI.PROC_NULL
        received = mpi4jax.sendrecv(
            strip,
            strip,
            nowhere if source is None else source,
            nowhere if dest is None else dest,
            sendtag=tag,
            recvtag=tag,
            comm=neighbours.comm.device_mpi,
        )
        return jnp.zeros_like(strip) if source is None else received

    from_low = send(to_high, neighbours.high, neighbours.low, tag=1)
    from_high = send(to_low, neighbours.low, neighbours.high, tag=2)
    return from_low, from_high


def _swap_abstract(to_low, to_high, *, neighbours):
    return (to_low, to_high), _effects(neighbours.comm)


def _swap_transpose(cotangents, *_, neighbours):
    if all(type(ct) is ad.Zero for ct in cotangents):
        return list(cotangents)
    from_low, from_high = map(ad.instantiate_zeros, cotangents)
    return neighbour_swap(from_low, from_high, neighbours)


def _swap_batch(strips, dims, *, neighbours):
    size = next(s.shape[d] for s, d in zip(strips, dims, strict=True) if d is not None)
    to_low, to_high = (
        batching.bdim_at_front(s, d, size) for s, d in zip(strips, dims, strict=True)
    )
    return neighbour_swap(to_low, to_high, neighbours), (0, 0)


def _sum_lowered(x, *, comm):
    if isinstance(comm, StandInCommunicator):
        return comm.size * x
    import mpi4jax
    from mpi4py import MPI

    return mpi4jax.allreduce(x, MPI.SUM, comm=comm.device_mpi)


def _sum_abstract(x, *, comm):
    return x, _effects(comm)


def _sum_transpose(cotangent, *_, comm):
    return [all_sum(cotangent, comm)]


def _sum_batch(args, dims, *, comm):
    return all_sum(args[0], comm), dims[0]


neighbour_swap_p = Primitive("neighbour_swap")
neighbour_swap_p.multiple_results = True
neighbour_swap_p.def_impl(lambda *args, **kw: xla.apply_primitive(neighbour_swap_p, *args, **kw))
neighbour_swap_p.def_effectful_abstract_eval(_swap_abstract)
ad.deflinear2(neighbour_swap_p, _swap_transpose)
batching.primitive_batchers[neighbour_swap_p] = _swap_batch
mlir.register_lowering(neighbour_swap_p, mlir.lower_fun(_swap_lowered, multiple_results=True))

all_sum_p = Primitive("all_sum")
all_sum_p.def_impl(lambda *args, **kw: xla.apply_primitive(all_sum_p, *args, **kw))
all_sum_p.def_effectful_abstract_eval(_sum_abstract)
ad.deflinear2(all_sum_p, _sum_transpose)
batching.primitive_batchers[all_sum_p] = _sum_batch
mlir.register_lowering(all_sum_p, mlir.lower_fun(_sum_lowered, multiple_results=False))

MESSAGES = (neighbour_swap_p, all_sum_p)
