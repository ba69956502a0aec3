"""Parameters as arrays."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")


def as_arrays(tree: Tree, dtype: Any) -> Tree:
    """``tree`` with all its numbers as arrays of ``dtype``, so that all can be differentiated."""

    def array(leaf: Any) -> Any:
        return jnp.asarray(leaf, dtype) if eqx.is_inexact_array_like(leaf) else leaf

    return jax.tree.map(array, tree)
