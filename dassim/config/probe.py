"""One rank of many, built and timed alone."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from dassim.assimilation.window import Window
from dassim.config import sensitivity
from dassim.config.assimilation import build_sweep, build_window
from dassim.config.errors import NamelistWarning
from dassim.config.experiment import build_experiment
from dassim.config.schema.assimilation import Adjoint, segment_length
from dassim.config.schema.namelist import AbstractNamelist
from dassim.config.schema.simulation import Time
from dassim.parallel import (
    AbstractCommunicator,
    Block,
    Decomposition,
    DecompositionError,
    StandInCommunicator,
    compiled,
)
from dassim.parallel.timing import slowest_seconds
from dassim.parallel.traffic import Traffic, traffic
from dassim.simulation.advance import Carry, Program
from dassim.simulation.checkpoints import bytes_of_state
from dassim.simulation.model import Model
from dassim.simulation.segments import Parts, Segment, SegmentData, received_in_a_step
from dassim.simulation.trees import differentiable, zeros_like

MOST_CELLS = 500_000
"""Of a block that is timed; of a larger one a part is, and counts in proportion."""

TURNS, STEPS = 5, 4
"""So many times so many steps are timed; the median counts."""

SEGMENT = 50
"""Steps of a segment of a run that no section says how to differentiate."""


@dataclass(frozen=True)
class Work:
    """Of a rank in a step: seconds that it computes, what it sends, bytes that its program has."""

    seconds: float
    sent: Traffic
    memory: int


@dataclass(frozen=True)
class Sweep:
    """A step's share of a gradient: ``back``, with what is run again inside a segment, and so many
    steps ``forward`` before. ``kept``: bytes of the states kept on the way, at most. ``window``:
    what is swept, in words."""

    back: Work
    forward: float
    kept: int
    window: str = ""


@dataclass(frozen=True)
class LoneRank:
    """A rank with images of itself for neighbours, what it sends in a step, and the ``shape`` of
    its block."""

    model: Model
    parameters: Any
    state: Any
    sent: Traffic
    shape: tuple[int, int]


def timed_division(planned: Decomposition, levels: int, narrowest: int) -> Decomposition:
    """``planned``, divided further until a block can be timed, or no further."""
    divided = planned
    while levels * math.prod(_middle(divided).shape) > MOST_CELLS:
        try:
            finer = _finer(divided)
            finer.require_width(narrowest)
        except DecompositionError:
            break
        divided = finer
    return divided


def _finer(decomposition: Decomposition) -> Decomposition:
    """Twice the ranks, along the longer edge of a block and no axis that is whole but y."""
    (ny, nx), (py, px) = _middle(decomposition).shape, decomposition.layout
    along_x = px > 1 and nx > ny
    return replace(decomposition, layout=(py, 2 * px) if along_x else (2 * py, px))


def _middle(decomposition: Decomposition) -> Block:
    return decomposition.block(_middle_rank(decomposition))


def _middle_rank(decomposition: Decomposition) -> int:
    py, px = decomposition.layout
    return py // 2 * px + px // 2


def lone_ranks(namelist: AbstractNamelist, decomposition: Decomposition) -> Iterator[LoneRank]:
    """The middle rank, the first and the last."""
    layout = {"layout": decomposition.layout}
    divided = namelist.model_copy(
        update={"decomposition": namelist.decomposition.model_copy(update=layout)}
    )
    size = decomposition.size
    for rank in dict.fromkeys((_middle_rank(decomposition), 0, size - 1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NamelistWarning)
            experiment = build_experiment(divided, StandInCommunicator(rank, size))
        model, parameters = experiment.model, experiment.parameters
        state = model.start(experiment.state)
        sent = traffic(model.domain, model.step, parameters, state)
        yield LoneRank(model, parameters, state, sent, decomposition.block(rank).shape)


def of_a_step(rank: LoneRank, namelist: AbstractNamelist, beside: AbstractCommunicator) -> Work:
    """As runs take it: many in one program, with the sums that means need."""
    means = ((one.name, one.variables) for one in namelist.output if one.kind == "mean")
    program = Program(rank.model, tuple(means))
    given = (program, rank.parameters, program.start(rank.parameters, rank.state), STEPS)
    memory = _steps.memory(*given)
    return Work(_seconds(lambda: _steps(*given), beside) / STEPS, rank.sent, memory)


@compiled
def _steps(program: Program, parameters: Any, carry: Carry, steps: int) -> Carry:
    return program(parameters, carry, steps)


def of_a_sweep(
    rank: LoneRank,
    namelist: AbstractNamelist,
    run: Time,
    share: float,
    strips: float,
    beside: AbstractCommunicator,
) -> Sweep:
    """Back through the window of the namelist's recovery, of its sensitivity, or through the whole
    run; with the memory for states that it says, of which this block of a rank may have ``share``.
    The whole block sends ``strips`` times as many bytes.
    """
    section, window = way_back(namelist, run)
    allowed = section.model_copy(update={"memory": share * section.memory})
    model, parameters, state = rank.model, rank.parameters, rank.state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NamelistWarning)
        received = share * strips * received_in_a_step(model, parameters, state)
        given = (allowed, window, model, parameters, state)
        schedule, again = build_sweep(*given, received=received)
    longest, segments = max(window.lengths), len(window.lengths)
    steps = min(STEPS, longest)
    start, end = zeros_like(differentiable(parameters)), zeros_like(differentiable(state))
    given = (Segment(model, _no_misfit, None, again), steps, parameters, state, end, start)
    sent = traffic(model.domain, lambda *arrays: _back(*given[:2], *arrays), *given[2:])

    size = bytes_of_state(model.domain, state)
    inside = size * (again.states(longest) - again.states(steps))
    memory = _back.memory(*given) + inside
    seconds = _seconds(lambda: _back(*given), beside) / steps
    back = Work(seconds, sent.times(1 / steps), memory)
    words = f"{window.steps} steps in {segments} segments, {section.memory:g} GB for states"
    forward = schedule.advanced(segments) / segments
    return Sweep(back, forward, schedule.kept(segments) * size, words)


@compiled
def _back(segment: Segment, steps: int, parameters: Any, state: Any, end: Any, start: Any) -> Any:
    return segment.reverse(steps, parameters, None, state, SegmentData(), end, start)


def _no_misfit(state: Any, data: Any) -> Parts:
    return {}


def way_back(namelist: AbstractNamelist, run: Time) -> tuple[Adjoint, Window]:
    """How the namelist's gradients are swept back, and through which steps."""
    if (recovery := namelist.assimilation) is not None:
        length = segment_length(recovery)
        return recovery.adjoint, build_window(recovery.window, length, run.step)
    if (section := namelist.sensitivity) is not None:
        length = sensitivity.segment_length(section, run.step)
        return section.adjoint, build_window(section.window, length, run.step)
    return Adjoint(), Window.of(0, run.steps, min(SEGMENT, run.steps))


def _seconds(call: Callable[[], Any], beside: AbstractCommunicator) -> float:
    """The median over turns of the slowest of the ranks that time it beside each other."""
    return statistics.median(slowest_seconds(call, beside) for _ in range(TURNS))
