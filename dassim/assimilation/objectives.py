"""The gradient of a number at the end of a run, and its comparison with finite differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control
from dassim.assimilation.cost import FourDVar
from dassim.assimilation.differences import Comparison, derivative, step_for
from dassim.assimilation.transform import ControlTransform, Identity
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run
from dassim.simulation.checkpoints import IN_MEMORY, Schedule, Store
from dassim.simulation.segments import Parts, RunInputs, Segment, SegmentData
from dassim.simulation.trees import hashed, rounded

CLEAR = 0.1
"""Points whose derivative is at least this part of the largest one are compared with finite
differences: of smaller ones, these see the round-off of the number."""

ROUNDED = 0.5
"""Part of the tolerance that is left to the round-off of finite differences."""


class Goal(eqx.Module):
    """A number as a misfit: ``function(state)``, this rank's share of it, where the data are 1."""

    name: str = eqx.field(static=True)
    function: Callable[[Any], jax.Array]

    def __call__(self, state: Any, wanted: jax.Array) -> Parts:
        return {self.name: wanted * self.function(state)}


def objective_at_end(
    segment: Segment,
    lengths: tuple[int, ...],
    inputs: RunInputs,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    schedule: Schedule = IN_MEMORY,
    disk: Store | None = None,
) -> FourDVar:
    """The number after all segments by the leaves ``names`` (distributed, replicated) of
    ``inputs``; the misfit of ``segment`` is a :class:`Goal`."""
    last = len(lengths) - 1
    run = Run(
        segment,
        lengths,
        lambda k: SegmentData(end=jnp.asarray(float(k == last))),
        {"model": hashed(rounded(segment.model))},
    )
    return FourDVar(run, ControlTransform(inputs, Identity(), *names), (), schedule, disk)


def value(objective: FourDVar, control: Control) -> float:
    shares = [float(share) for share in objective.shares(control).values()]
    return float(objective.space.sum(np.array(sum(shares))))


def not_finite(gradient: Control, domain: Domain) -> list[str]:
    """The leaves of ``gradient`` with values that are not finite, on any rank. All ranks call this
    together."""
    leaves = {**gradient.distributed, **gradient.replicated}
    here = {name for name, leaf in leaves.items() if not np.isfinite(np.asarray(leaf)).all()}
    return sorted(set().union(*domain.comm.allgather(here)))


def compare_at_points(
    objective: FourDVar,
    gradient: Control,
    magnitudes: Mapping[str, float],
    points: int,
    tolerance: float,
    seed: int = 0,
    known: Iterable[Comparison] = (),
) -> Iterator[Comparison]:
    """At ``points`` points of every leaf, chosen by chance among the clear ones. ``magnitudes``: of
    the leaves, over the whole domain. Steps of the differences are chosen for ``tolerance``.
    ``known``: those of an earlier call with the same arguments, which are not made again. All ranks
    call this together."""
    zero = objective.transform.zero()
    domain = objective.run.domain
    rng = np.random.default_rng(seed)
    before = {(each.name, each.index): each for each in known}

    @functools.cache
    def total() -> float:
        return value(objective, zero)  # by the program of the differences, to the last bit

    for kind in ("distributed", "replicated"):
        for name, leaf in getattr(gradient, kind).items():
            whole = domain.gather(leaf) if kind == "distributed" else np.asarray(leaf)
            clear = np.argwhere(np.abs(whole) >= CLEAR * np.abs(whole).max())
            for i in rng.permutation(len(clear))[:points]:
                index = tuple(int(n) for n in clear[i])
                if (name, index) in before:
                    yield before[name, index]
                    continue
                one = _unit(objective, kind, name, index, zero)

                def number(change: float, one: Control = one) -> float:
                    return value(objective, jax.tree.map(lambda u: change * u, one))

                slope, magnitude = float(whole[index]), magnitudes[name]
                scale = max(abs(total()), abs(slope) * magnitude)
                step = step_for(scale, slope, magnitude, ROUNDED * tolerance)
                found = derivative(number, total(), scale, step)
                yield Comparison(name, index, slope, found.value, found.error)


def _unit(
    objective: FourDVar, kind: str, name: str, index: tuple[int, ...], zero: Control
) -> Control:
    """The control vector that is 1 at one point of one leaf."""
    parts = {"distributed": dict(zero.distributed), "replicated": dict(zero.replicated)}
    leaf = parts[kind][name]
    if kind == "distributed":
        whole = np.zeros((*leaf.shape[:-2], *objective.run.domain.global_shape))
        whole[index] = 1.0
        parts[kind][name] = jnp.asarray(objective.run.domain.local(whole), leaf.dtype)
    else:
        parts[kind][name] = jnp.zeros_like(leaf).at[index].set(1.0)
    return Control(**parts)
