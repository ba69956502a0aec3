"""One segment of a long run, forward and backward, as two compiled programs.

Inside a segment the steps are scanned in about sqrt(n) blocks of about sqrt(n) steps. Going back,
a block is recomputed from its first state, and a step from its own and from what messages brought:
2 sqrt(n) states, the strips of sqrt(n) steps and the interior of one step are in memory at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp

from dassim.parallel import compiled, received
from dassim.simulation.checkpoints import bytes_of_state
from dassim.simulation.model import Model
from dassim.simulation.trees import differentiable

Parts = dict[str, Any]


class SegmentData(NamedTuple):
    """What a segment is compared with: trees of arrays, or ``None`` for nothing.

    The trees have the same structure on every rank; shapes may differ.
    ``steps``: one entry along the leading axis for every step, compared after it.
    ``end``: compared after the last step.
    """

    steps: Any = None
    end: Any = None


class RunInputs(NamedTuple):
    """All that a run depends on and can be differentiated by.

    ``segments``: one tree per segment (forcing of a time window, model error), or none at all.
    """

    parameters: Any
    state: Any
    segments: tuple[Any, ...] = ()

    def of_segment(self, k: int) -> Any:
        return self.segments[k] if self.segments else None


@dataclass(frozen=True)
class Rematerialisation:
    """What the way back recomputes instead of keeping it.

    ``blocks``: the states inside a block of steps, and what messages brought there. ``steps``: what
    the model keeps of a step, of the size of ``interior`` states; but what messages brought, of the
    size of ``received`` states, is kept. Each costs one more forward run.
    """

    blocks: bool = True
    steps: bool = True
    interior: int = 1
    received: float = 0.0

    def states(self, steps: int) -> int:
        """States in memory at a time in a segment of ``steps``."""
        each = 1.0 + self.received if self.steps else self.interior
        if not self.blocks:
            return math.ceil(each * steps)
        count, length, rest = blocks(steps)
        return count + bool(rest) + math.ceil(each * max(length, rest))


def interior_of_a_step(model: Model, parameters: Any, state: Any) -> int:
    """How many states have the size of what the way back keeps of one step (at most)."""
    return math.ceil(_kept(model.step, parameters, state) / _size(state))


def received_in_a_step(model: Model, parameters: Any, state: Any) -> float:
    """How many states have the size of what messages bring in one step, on the rank that gets most.
    All ranks call this together."""
    comm = model.domain.comm
    if comm.size == 1:
        return 0.0

    def step(parameters, state):
        return model.step(parameters, state)

    nothing, strips = (
        _kept(jax.checkpoint(step, policy=policy), parameters, state) for policy in (None, received)
    )
    return max(comm.allgather(strips - nothing)) / bytes_of_state(model.domain, state)


def _kept(step: Callable[[Any, Any], Any], parameters: Any, state: Any) -> int:
    """Bytes that the way back through one step keeps."""
    variable, fixed = eqx.partition((parameters, state), eqx.is_inexact_array)

    def end(variable):
        return differentiable(step(*eqx.combine(variable, fixed)))

    return _size(jax.eval_shape(lambda variable: jax.vjp(end, variable)[1], variable))


def _size(tree: Any) -> int:
    """Bytes of all arrays."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


class PathTerm(Protocol):
    """A term of the cost in a weighted sum over the states of a segment."""

    def weights(self, steps: int) -> Any:
        """Of a segment's first state and of the state after each step, ``(steps + 1,)``."""

    def sample(self, state: Any) -> Any:
        """What of a state is summed: a tree of arrays."""

    def parts(self, total: Any) -> Parts:
        """This rank's shares of the parts of the cost."""
        ...


class Segment(eqx.Module):
    """The compiled programs of a run's segments; one compilation per length.

    ``misfit(state, data)``: this rank's shares of the parts of the cost.
    ``apply(parameters, inputs, state)``: both as changed by the segment's own inputs.
    ``path``: a term in all states of the segment, if there is one.
    """

    model: Model
    misfit: Callable[[Any, Any], Parts]
    apply: Callable[[Any, Any, Any], tuple[Any, Any]] | None = None
    rematerialisation: Rematerialisation = eqx.field(static=True, default=Rematerialisation())
    path: PathTerm | None = None

    def advance(self, steps: int, parameters: Any, inputs: Any, state: Any) -> Any:
        """The state after ``steps`` steps."""
        return _forward(self, steps, parameters, inputs, state, SegmentData())[0]

    def cost(
        self, steps: int, parameters: Any, inputs: Any, state: Any, data: SegmentData
    ) -> tuple[Any, Parts]:
        """The state after ``steps`` steps and the shares of the cost on the way."""
        return _forward(self, steps, parameters, inputs, state, data)

    def reverse(
        self,
        steps: int,
        parameters: Any,
        inputs: Any,
        state: Any,
        data: SegmentData,
        cotangent: Any,
        gathered: Any,
    ) -> tuple[Any, Any, Any, Parts]:
        """From the cotangent of the segment's last state to that of its first, ``state``.

        Returns that cotangent, ``gathered`` plus the gradient with respect to the parameters, the
        gradient with respect to the segment's inputs, and the shares of the cost.
        """
        return _reverse(self, steps, parameters, inputs, state, data, cotangent, gathered)

    def _run(
        self, steps: int, parameters: Any, inputs: Any, state: Any, data: SegmentData
    ) -> tuple[Any, Parts]:
        if self.apply is not None and inputs is not None:
            parameters, state = self.apply(parameters, inputs, state)

        path = self.path
        weights = None if path is None else jnp.asarray(path.weights(steps))

        def sampled(state, weight):
            if path is None:
                return None
            return jax.tree.map(lambda x: weight.astype(x.dtype) * x, path.sample(state))

        def step(state, now):
            data, weight = now
            state = self.model.step(parameters, state)
            parts = {} if data is None else self.misfit(state, data)
            return state, (parts, sampled(state, weight))

        first = sampled(state, None if weights is None else weights[0])
        xs = (data.steps, None if weights is None else weights[1:])
        state, (each, total) = scan_in_blocks(step, state, xs, steps, self.rematerialisation)
        parts = jax.tree.map(jnp.sum, each)
        if path is not None:
            parts = _added(parts, path.parts(jax.tree.map(jnp.add, first, total)))
        if data.end is not None:
            parts = _added(parts, self.misfit(state, data.end))
        return state, parts


def blocks(n: int) -> tuple[int, int, int]:
    """``n`` steps as ``count`` blocks of ``length`` and a ``rest``, count + length near least.

    A divisor of ``n`` that lies within a factor 2 of the square root leaves no rest: the step is
    compiled once only.

    >>> blocks(24), blocks(100), blocks(31)
    ((6, 4, 0), (10, 10, 0), (6, 5, 1))
    """
    root = math.isqrt(n)
    for length in range(root, 2 * root + 1):
        if n % length == 0:
            return n // length, length, 0
    return n // root, root, n % root


def scan_in_blocks(
    step: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    xs: Any,
    n: int,
    rematerialisation: Rematerialisation,
) -> tuple[Any, Any]:
    """``lax.scan`` of ``step`` over ``n`` steps whose reverse keeps few states.

    The outputs of the steps are returned summed over all steps.
    """
    remember = partial(jax.checkpoint, prevent_cse=False)
    one = remember(step, policy=received) if rematerialisation.steps else step

    def many(state, xs, length):
        state, ys = jax.lax.scan(one, state, xs, length=length)
        return state, jax.tree.map(lambda y: jnp.sum(y, axis=0), ys)

    if not rematerialisation.blocks:
        return many(state, xs, n)
    count, length, rest = blocks(n)
    in_blocks = jax.tree.map(lambda x: x[: count * length].reshape(count, length, *x.shape[1:]), xs)
    state, ys = jax.lax.scan(remember(partial(many, length=length)), state, in_blocks, length=count)
    total = jax.tree.map(lambda y: jnp.sum(y, axis=0), ys)
    if rest:
        last = jax.tree.map(lambda x: x[count * length :], xs)
        state, ys = remember(partial(many, length=rest))(state, last)
        total = jax.tree.map(jnp.add, total, ys)
    return state, total


@compiled
def _forward(segment, steps, parameters, inputs, state, data):
    return segment._run(steps, parameters, inputs, state, data)


@compiled
def _reverse(segment, steps, parameters, inputs, state, data, cotangent, gathered):
    variable, fixed = eqx.partition((parameters, inputs, state), eqx.is_inexact_array)

    def forward(variable):
        end, parts = segment._run(steps, *eqx.combine(variable, fixed), data)
        return (differentiable(end), sum(parts.values(), start=jnp.zeros(()))), parts

    (_, total), pull_back, parts = jax.vjp(forward, variable, has_aux=True)
    ((of_parameters, of_inputs, of_state),) = pull_back((cotangent, jnp.ones_like(total)))
    return of_state, jax.tree.map(jnp.add, gathered, of_parameters), of_inputs, parts


def _added(one: Parts, other: Parts) -> Parts:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {**one, **other}}
