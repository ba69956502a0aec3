"""Leaves of trees by name, and their split into what is differentiated and what is not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

Tree = TypeVar("Tree")


def named_leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves by their dotted path.

    >>> named_leaves({"u": 1, "tracers": {"dye": 2}}, prefix="state")
    {'state.tracers.dye': 2, 'state.u': 1}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_dotted(prefix, path): leaf for path, leaf in leaves}


def tree_from_named(named: Mapping[str, Any], like: Tree, prefix: str = "") -> Tree:
    """The tree shaped ``like`` whose leaves :func:`named_leaves` gave; shapes are checked."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(like)
    return jax.tree.unflatten(
        tree, [_taken(named, _dotted(prefix, path), leaf) for path, leaf in leaves]
    )


def replace_leaves(tree: Tree, new: Mapping[str, Any]) -> Tree:
    """``tree`` with the leaves at the dotted paths of ``new`` replaced.

    >>> replace_leaves({"u": 1, "tracers": {"dye": 2}}, {"tracers.dye": 3})
    {'tracers': {'dye': 3}, 'u': 1}
    """
    leaves = named_leaves(tree)
    unknown = [name for name in new if name not in leaves]
    if unknown:
        raise KeyError(f"found no {unknown[0]!r}; the leaves are {', '.join(leaves)}")
    return jax.tree.unflatten(jax.tree.structure(tree), list({**leaves, **new}.values()))


def hashed(leaves: Mapping[str, Any], start: bytes = b"") -> bytes:
    """A hash of ``start`` and of arrays: their names, types, shapes and bits, in this order.

    >>> hashed({"u": 1.0}) == hashed({"u": 1.0}), hashed({"u": 1.0}) == hashed({"v": 1.0})
    (True, False)
    """
    digest = hashlib.sha256(start)
    for name, leaf in leaves.items():
        array = np.ascontiguousarray(leaf)
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.digest()


def rounded(tree: Any) -> dict[str, np.ndarray]:
    """Arrays of ``tree`` by their names, in single precision: what is computed anew may differ in
    its last digits on another machine."""
    arrays = named_leaves(eqx.filter(tree, eqx.is_array))
    return {name: np.asarray(leaf, np.float32) for name, leaf in arrays.items()}


def differentiable(tree: Tree) -> Tree:
    """``tree`` with ``None`` in place of all that is not a floating-point array."""
    return eqx.filter(tree, eqx.is_inexact_array)


def zeros_like(tree: Tree) -> Tree:
    return jax.tree.map(jnp.zeros_like, tree)


def _taken(named: Mapping[str, Any], name: str, like: Any) -> jax.Array:
    if name not in named:
        raise KeyError(f"found no {name!r}; there are {', '.join(sorted(named))}")
    if np.shape(named[name]) != np.shape(like):
        raise ValueError(
            f"{name}: found an array of shape {np.shape(named[name])}, expected {np.shape(like)}; "
            f"it was written for another grid, another layout of ranks, or another choice of "
            f"variables"
        )
    return jnp.asarray(named[name], dtype=like.dtype)


def _dotted(prefix: str, path: Any) -> str:
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return ".".join(part for part in (prefix, name) if part)
