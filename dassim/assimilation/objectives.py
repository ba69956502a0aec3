"""The gradient of a number at the end of a run, and its comparison with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.assimilation.control import Control
from dassim.assimilation.cost import FourDVar
from dassim.assimilation.transform import ControlTransform, Identity
from dassim.parallel import Domain
from dassim.simulation.adjoint import Run
from dassim.simulation.checkpoints import IN_MEMORY, Schedule, Store
from dassim.simulation.segments import Parts, RunInputs, Segment, SegmentData

CLEAR = 0.1
"""Points whose derivative is at least this part of the largest one are compared with finite
differences: of smaller ones, these see the round-off of the number."""

TRIED = (1.0, 10.0, 0.1, 0.01)
"""Times the step of finite differences: larger ones see less round-off, smaller ones bend less at
limiters."""


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
    run = Run(segment, lengths, lambda k: SegmentData(end=jnp.asarray(float(k == last))))
    return FourDVar(run, ControlTransform(inputs, Identity(), *names), (), schedule, disk)


@dataclass(frozen=True)
class Comparison:
    """A derivative at one point, ``index`` in the whole array, by adjoint and by differences."""

    name: str
    index: tuple[int, ...]
    adjoint: float
    differences: float

    @property
    def apart(self) -> float:
        """Relative to the larger of the two."""
        size = max(abs(self.adjoint), abs(self.differences))
        return abs(self.adjoint - self.differences) / size if size else 0.0


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
    steps: Mapping[str, float],
    points: int,
    seed: int = 0,
    tolerance: float = 0.0,
) -> Iterator[Comparison]:
    """At ``points`` points of every leaf, chosen by chance among the clear ones. ``steps``: of the
    differences, by leaf; where they are further apart than ``tolerance``, multiples of them
    (:data:`TRIED`), of which the nearest counts. All ranks call this together.

    The differences are central ones of two steps, extrapolated: errors of fourth order.
    """
    zero = objective.transform.zero()
    domain = objective.run.domain
    rng = np.random.default_rng(seed)
    for kind in ("distributed", "replicated"):
        for name, leaf in getattr(gradient, kind).items():
            whole = domain.gather(leaf) if kind == "distributed" else np.asarray(leaf)
            clear = np.argwhere(np.abs(whole) >= CLEAR * np.abs(whole).max())
            for i in rng.permutation(len(clear))[:points]:
                index = tuple(int(n) for n in clear[i])
                one = _unit(objective, kind, name, index, zero)

                def slope(h: float, one: Control = one) -> float:
                    ends = (jax.tree.map(lambda u, s=s: s * h * u, one) for s in (1.0, -1.0))
                    above, below = (value(objective, end) for end in ends)
                    return (above - below) / (2 * h)

                tried: list[Comparison] = []
                for times in TRIED if tolerance else TRIED[:1]:
                    step = times * steps[name]
                    differences = (4 * slope(0.5 * step) - slope(step)) / 3
                    tried.append(Comparison(name, index, float(whole[index]), differences))
                    if tried[-1].apart <= tolerance:
                        break
                yield min(tried, key=lambda each: each.apart)


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
