"""How long the messages of a program take by themselves.

The program is traced, and its halo exchanges and sums, with their shapes and as often as its loops
repeat them, are sent again without the arithmetic between. Waiting for slower ranks is not in it.
"""

from __future__ import annotations

import os
import socket
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dassim.parallel.communicator import AbstractCommunicator
from dassim.parallel.primitives import MESSAGES
from dassim.parallel.timing import slowest_seconds


class Message(NamedTuple):
    """One place of the program that sends, and how often; ``bytes`` that this rank hands over.
    ``open_ended``: whether it is in a loop whose length only the data tell."""

    equation: Any
    times: int
    open_ended: bool = False

    @property
    def bytes(self) -> int:
        return sum(v.aval.size * v.aval.dtype.itemsize for v in self.equation.invars)


def messages(function: Callable[..., Any], *args: Any) -> list[Message]:
    """The messages of ``function(*args)``. A loop whose length is not known counts once; of the
    branches of a condition, the one that sends most."""
    return messages_in(jax.make_jaxpr(function)(*args).jaxpr)


def messages_in(jaxpr: Any) -> list[Message]:
    """Those of a traced program."""
    return list(_walk(jaxpr, 1))


def seconds_for(found: list[Message], comm: AbstractCommunicator, repetitions: int = 5) -> float:
    """How long the messages take together: the median of the slowest rank's times. All ranks call
    this together."""
    if not found:
        return 0.0

    @jax.jit
    def send() -> list[Any]:
        return [_sent(message) for message in found]

    slowest_seconds(send, comm)  # compiles
    return statistics.median(slowest_seconds(send, comm) for _ in range(repetitions))


def share_cores(comm: AbstractCommunicator) -> bool:
    """Whether ranks outnumber the cores that some host lends them. A message then waits for the
    turn of the rank it goes to, and its time says nothing. All ranks call this together."""
    hosts = defaultdict(list)
    for host, cores in comm.allgather((socket.gethostname(), _usable_cores())):
        hosts[host].append(cores)
    return any(len(set().union(*cores)) < len(cores) for cores in hosts.values())


def _usable_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _sent(message: Message) -> Any:
    equation = message.equation

    def once(_: Any, strips: list[jax.Array]) -> list[jax.Array]:
        received = equation.primitive.bind(*strips, **equation.params)
        return list(received) if equation.primitive.multiple_results else [received]

    strips = [jnp.zeros(v.aval.shape, v.aval.dtype) for v in equation.invars]
    return jax.lax.fori_loop(0, message.times, once, strips)


def _walk(jaxpr: Any, times: int, open_ended: bool = False) -> Iterator[Message]:
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if equation.primitive in MESSAGES:
            yield Message(equation, times, open_ended)
        elif name == "cond":
            branches = equation.params["branches"]
            yield from max(
                (list(_walk(branch.jaxpr, times, open_ended)) for branch in branches),
                key=lambda found: sum(message.bytes for message in found),
            )
        elif name == "custom_linear_solve":  # its other programs are for derivatives
            yield from _walk(equation.params["jaxprs"].solve.jaxpr, times, open_ended)
        else:
            repeated = times * equation.params.get("length", 1)
            for inner in _inner(equation.params):
                yield from _walk(inner, repeated, open_ended or name == "while")


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    """The programs within an equation: bodies of loops, compiled functions, ..."""
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if hasattr(item, "eqns"):
                yield item
            elif hasattr(item, "jaxpr") and hasattr(item.jaxpr, "eqns"):
                yield item.jaxpr
