"""Messages inside ``jax.checkpoint``: kept or sent again, as its policy says.

JAX by itself keeps the results of all that has effects, in every step of a run, and computes what
leads to them even where nobody needs them. The rules here treat messages as functions of what is
sent, on real ranks as on images of them; and solutions by iteration, which send some, likewise.
"""

from __future__ import annotations

from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import partial_eval

from dassim.parallel.messages import messages_in
from dassim.parallel.primitives import MESSAGES


def received(primitive: Primitive, *_: Any, **parameters: Any) -> bool:
    """A policy of ``jax.checkpoint``: what other ranks have sent is kept, and solutions for which
    they were asked; all else is computed again. Without it messages are sent again as well."""
    if primitive is jax.lax.linear_solve_p:
        return bool(messages_in(parameters["jaxprs"].solve.jaxpr))
    return primitive in MESSAGES


def _in_checkpoint(policy, unknown, at_hand, equation):
    """Of ``equation`` what is computed forward, what on the way back, which results are unknown
    forward, which are at hand on the way back, and which inputs must be kept for that."""
    inputs = [x for x, there in zip(equation.invars, at_hand, strict=True) if not there]
    count = len(equation.outvars)
    if any(unknown):
        return None, equation, [True] * count, [True] * count, inputs
    shapes = [x.aval for x in equation.invars]
    if policy(equation.primitive, *shapes, **equation.params):
        return equation, None, [False] * count, [False] * count, []
    return equation, equation, [False] * count, [True] * count, inputs


def _if_used(used, equation):
    """Which inputs are needed, and the equation, if any of its results is."""
    needed = any(used)
    return [needed] * len(equation.invars), equation if needed else None


for each in (*MESSAGES, jax.lax.linear_solve_p):
    partial_eval.partial_eval_jaxpr_custom_rules[each] = _in_checkpoint
    partial_eval.dce_rules[each] = _if_used
