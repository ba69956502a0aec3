"""The compiled program of the time loop: any number of steps, with the sums that means need.

The number of steps is an argument of the program. One compilation serves segments of all lengths,
and a state does not depend on how the steps before it were cut into segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dassim.parallel import compiled
from dassim.parallel.messages import messages, seconds_for, share_cores
from dassim.simulation.model import Model
from dassim.simulation.outputs import output

Sums = dict[str, dict[str, jax.Array]]
"""By stream and variable: the sum over the steps since the stream's last record."""

Streams = tuple[tuple[str, tuple[str, ...]], ...]
"""Name of each stream of means, with the names of its variables."""


class Carry(eqx.Module):
    """What the loop carries from step to step."""

    state: Any
    sums: Sums


class Program(eqx.Module):
    """``steps`` steps of ``model``; ``streams`` of means are summed up on the way.

    >>> import jax
    >>> from tests.models.lorenz import Lorenz63
    >>> program = Program(Lorenz63(), (("fine", ("x",)),))
    >>> carry = program.start(program.model.parameters(), program.model.state())
    >>> carry = program(program.model.parameters(), carry, 3)
    >>> round(float(carry.state.time), 6), carry.sums["fine"]["x"].shape
    (0.03, (1, 3))
    """

    model: Model
    streams: Streams = eqx.field(static=True, default=())

    def start(self, parameters: Any, state: Any) -> Carry:
        """``state`` with numbers as arrays, and empty sums."""
        state = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), state)
        return Carry(state, self.empty(parameters, state))

    def empty(self, parameters: Any, state: Any) -> Sums:
        shapes = _shapes(self, parameters, state)
        return {
            stream: {name: jnp.zeros(shapes[name].shape, shapes[name].dtype) for name in names}
            for stream, names in self.streams
        }

    def __call__(self, parameters: Any, carry: Carry, steps: int) -> Carry:
        return _advance(self, parameters, carry, jnp.asarray(steps, jnp.int32))

    def compile(self, parameters: Any, carry: Carry) -> None:
        """Compile now: by no step at all, which leaves ``carry`` as it is."""
        jax.block_until_ready(self(parameters, carry, 0))

    def message_seconds(self, parameters: Any, state: Any) -> float | None:
        """How long the messages of one step take by themselves; ``None`` where that cannot be told,
        because ranks share cores. All ranks call this together."""
        domain = self.model.domain
        if domain.comm.size == 1:
            return 0.0
        if share_cores(domain.comm):
            return None
        found = messages(lambda state: self.model.step(parameters, state), state)
        return seconds_for(found, domain.comm)

    @property
    def summed(self) -> tuple[str, ...]:
        """Variables of which any stream has means."""
        return tuple(dict.fromkeys(name for _, names in self.streams for name in names))


def means(sums: Mapping[str, jax.Array], steps: int) -> dict[str, jax.Array]:
    return {name: total / steps for name, total in sums.items()}


@compiled
def snapshot(model: Model, parameters: Any, state: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The named outputs of ``state``, in arrays of their own."""
    return output(model, parameters, state, names)


@compiled
def _advance(program: Program, parameters: Any, carry: Carry, steps: jax.Array) -> Carry:
    def step(_: Any, carry: Carry) -> Carry:
        state = program.model.step(parameters, carry.state)
        if not program.streams:
            return Carry(state, carry.sums)
        values = output(program.model, parameters, state, program.summed)
        sums = {
            stream: {name: total + values[name] for name, total in of_stream.items()}
            for stream, of_stream in carry.sums.items()
        }
        return Carry(state, sums)

    return jax.lax.fori_loop(0, steps, step, carry)


def _shapes(program: Program, parameters: Any, state: Any) -> dict[str, Any]:
    if not program.streams:
        return {}
    return eqx.filter_eval_shape(output, program.model, parameters, state, program.summed)
