"""The control vector and its inner product over all ranks."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.parallel import Domain

Tree = TypeVar("Tree")


@partial(
    jax.tree_util.register_dataclass, data_fields=["distributed", "replicated"], meta_fields=[]
)
@dataclass(frozen=True)
class Control:
    """What is sought, on one rank.

    ``distributed``: a tree of arrays that end in this rank's owned ``(ny, nx)`` points.
    ``replicated``: a tree of arrays that are the same on every rank (a drag coefficient, the
    weights of a network).
    """

    distributed: Any = field(default_factory=dict)
    replicated: Any = field(default_factory=dict)


class AbstractSpace(abc.ABC):
    """The inner product in which a minimiser, a Krylov method or a check works.

    It is split into this rank's share, which is cheap, and one sum over ranks of many shares.
    Immutable and hashable: static under ``jit``.
    """

    @abc.abstractmethod
    def share(self, a: Any, b: Any) -> jax.Array:
        """This rank's share of ``<a, b>``; traceable."""

    @abc.abstractmethod
    def sum(self, shares: Any) -> np.ndarray:
        """Elementwise sum over ranks, the same numbers on every rank; one message."""

    def products(self, left: Sequence[Any], right: Sequence[Any]) -> np.ndarray:
        """``<l, r>`` of every ``l`` of ``left`` (rows) and ``r`` of ``right``, in one message."""
        return self.sum(self.shares(left, right))

    def shares(self, left: Sequence[Any], right: Sequence[Any]) -> np.ndarray:
        """This rank's shares of :meth:`products`."""
        columns = [_column(self, tuple(left), item) for item in right]
        return np.array([np.asarray(column) for column in columns], float).T

    def dot(self, a: Any, b: Any) -> float:
        return float(self.products([a], [b])[0, 0])


@dataclass(frozen=True)
class ControlSpace(AbstractSpace):
    """The Euclidean inner product of :class:`Control` vectors, each unknown counted once."""

    domain: Domain

    def share(self, a: Control, b: Control) -> jax.Array:
        distributed = self.domain.local_dot(a.distributed, b.distributed)
        once = 1.0 if self.domain.comm.is_root else 0.0
        return distributed + once * self.domain.local_dot(a.replicated, b.replicated)

    def sum(self, shares: Any) -> np.ndarray:
        return np.asarray(self.domain.sum(jnp.asarray(shares)))


def sum_over_ranks(domain: Domain, replicated: Tree) -> Tree:
    """The gradient with respect to replicated unknowns, from each rank's share of it.

    A cost is the sum over ranks of local shares, so the derivative with respect to a number that
    every rank holds is the sum of all ranks' derivatives. To be applied exactly once. One message.
    """
    leaves, tree = jax.tree.flatten(replicated)
    if not leaves or domain.comm.size == 1:
        return replicated
    total = domain.sum(jnp.concatenate([jnp.ravel(leaf) for leaf in leaves]))
    parts = jnp.split(total, np.cumsum([leaf.size for leaf in leaves])[:-1])
    return jax.tree.unflatten(
        tree,
        [
            part.reshape(leaf.shape).astype(leaf.dtype)
            for part, leaf in zip(parts, leaves, strict=True)
        ],
    )


# -- trees ----------------------------------------------------------------------------------------


@jax.jit
def axpy(a: Any, x: Tree, y: Tree) -> Tree:
    """``a x + y`` in the number type of ``y``."""
    return jax.tree.map(lambda p, q: (a * p + q).astype(q.dtype), x, y)


@jax.jit
def difference(a: Tree, b: Tree) -> Tree:
    return jax.tree.map(jnp.subtract, a, b)


def combination(coefficients: Sequence[float], trees: Sequence[Tree]) -> Tree:
    """``sum_i coefficients[i] trees[i]``."""
    total = jax.tree.map(jnp.zeros_like, trees[0])
    for coefficient, tree in zip(coefficients, trees, strict=True):
        total = axpy(coefficient, tree, total)
    return total


@partial(jax.jit, static_argnums=0)
def _column(space: AbstractSpace, left: tuple[Any, ...], right: Any) -> jax.Array:
    return jnp.stack([space.share(item, right) for item in left])


def split(domain: Domain, tree: Any) -> Control:
    """The arrays of ``tree`` that end in this rank's ``(ny, nx)`` points, and all others.

    Each keeps the tree's structure with ``None`` for what the other has.
    """
    distributed, replicated = eqx.partition(
        tree, lambda leaf: np.ndim(leaf) >= 2 and np.shape(leaf)[-2:] == domain.shape
    )
    return Control(distributed, replicated)


def joined(control: Control) -> Any:
    """The tree that :func:`split` took apart."""
    return eqx.combine(control.distributed, control.replicated)


def random_like(domain: Domain, control: Control, seed: int) -> Control:
    """Normal random numbers shaped like ``control``, the same on every number of ranks.

    The rows of a distributed field are drawn one by one over the whole width of the domain.
    """
    key = jax.random.key(seed)
    rows = jnp.arange(domain.block.y.start, domain.block.y.stop)
    columns = slice(domain.block.x.start, domain.block.x.stop)
    width = domain.global_shape[1]

    def field(key: jax.Array, leaf: jax.Array) -> jax.Array:
        def row(level: jax.Array, y: jax.Array) -> jax.Array:
            here = jax.random.fold_in(jax.random.fold_in(key, level), y)
            return jax.random.normal(here, (width,), leaf.dtype)[columns]

        levels = jnp.arange(math.prod(leaf.shape[:-2]))
        values = jax.vmap(lambda level: jax.vmap(lambda y: row(level, y))(rows))(levels)
        return values.reshape(leaf.shape)

    def number(key: jax.Array, leaf: jax.Array) -> jax.Array:
        return jax.random.normal(key, jnp.shape(leaf), leaf.dtype)

    one, other = jax.random.split(key)
    return Control(
        _map_with_keys(field, one, control.distributed),
        _map_with_keys(number, other, control.replicated),
    )


def _map_with_keys(function: Callable[..., jax.Array], key: jax.Array, tree: Tree) -> Tree:
    leaves, structure = jax.tree.flatten(tree)
    keys = [jax.random.fold_in(key, i) for i in range(len(leaves))]
    return jax.tree.unflatten(structure, list(map(function, keys, leaves)))
